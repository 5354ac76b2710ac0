"""losskit in scikit-learn: scorers and metrics."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import metrics
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - what it is for
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import losskit
from losskit.sklearn import metric, scorer
from losskit.sklearn.responses import response

RNG = np.random.default_rng(5)
X, Y = load_diabetes(return_X_y=True)
W = RNG.integers(0, 4, len(Y)) + 0.5
CANCER = tuple(a[:, :6] if a.ndim == 2 else a for a in load_breast_cancer(return_X_y=True))
IRIS = load_iris(return_X_y=True)
NAMES = {2: np.array(["ham", "spam"]), 3: np.array(["a", "b", "c"])}


def _is_scored(name: str) -> bool:
    try:
        return bool(response(losskit.get(name)))
    except losskit.Unsupported:
        return False


SCORED = [name for name in losskit.names() if _is_scored(name)]
NUMBERS = [n for n in SCORED if losskit.get(n).task in ("regression", "counts")]
BINARY = [n for n in SCORED if losskit.get(n).task == "binary"]
CLASSES = [n for n in SCORED if losskit.get(n).task in ("classes", "sequence")]
LABELS = [n for n in SCORED if losskit.get(n).task == "multilabel"]
LISTS = [n for n in SCORED if losskit.get(n).task == "ranking"]


class Fixed:
    """An estimator of fixed answers."""

    def __init__(self, kind: str, classes: Any = None, **answers: Any) -> None:
        self.kind = kind
        self.answers = answers
        if classes is not None:
            self.classes_ = classes

    def __getattr__(self, name: str) -> Any:
        answers = self.__dict__.get("answers", {})
        if name not in answers:
            raise AttributeError(name)

        def method(X: Any) -> Any:
            return answers[name]

        method.__name__ = name
        return method

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        kind = LogisticRegression() if self.kind == "classifier" else LinearRegression()
        return kind.__sklearn_tags__()


# --- scorers, over the registry


def test_every_loss_is_a_scorer_or_says_why_not() -> None:
    assert len(SCORED) > 55
    for name in set(losskit.names()) - set(SCORED):
        with pytest.raises(losskit.Unsupported, match=name):
            losskit.get(name).to("sklearn")


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    loss = losskit.get(name)
    y = RNG.uniform(0.5, 3.0, 40)
    p = RNG.uniform(0.5, 3.0, (40, 2) if len(loss.outputs) > 1 else 40)
    w = RNG.uniform(0.0, 2.0, 40)
    model = Fixed("regressor", predict=p)
    made = loss.to("sklearn")
    assert made(model, None, y) == -loss(y, p)
    assert made(model, None, y, sample_weight=w) == -loss(y, p, sample_weight=w)
    assert metric(loss)(y, p, sample_weight=w) == loss(y, p, sample_weight=w)


@pytest.mark.parametrize("labels", [[0, 1], ["ham", "spam"], [False, True], [-1, 1], [3.0, 7.0]])
@pytest.mark.parametrize("name", BINARY)
def test_two_classes_of_any_name(name: str, labels: list[Any]) -> None:
    loss = losskit.get(name)
    codes = RNG.integers(0, 2, 50)
    y = np.array(labels)[codes]
    w = RNG.uniform(0.0, 2.0, 50)
    p, d = RNG.uniform(0.05, 0.95, 50), RNG.normal(size=50)
    model = Fixed(
        "classifier", np.array(labels), predict_proba=np.stack([1 - p, p], 1), decision_function=d
    )
    margins = loss.target_domain.values == (-1, 1)
    told = (2 * codes - 1, d) if margins else (codes, p)
    expected = -loss(*told, sample_weight=w)
    assert scorer(loss)(model, None, y, sample_weight=w) == pytest.approx(expected, rel=1e-14)
    # The other class as the positive one, from the same model.
    other = (1 - 2 * codes, -d) if margins else (1 - codes, 1 - p)
    turned = scorer(loss, pos_label=labels[0])(model, None, y, sample_weight=w)
    assert turned == pytest.approx(-loss(*other, sample_weight=w), rel=1e-12)
    # Folds may lack a class.
    one = codes == 1
    told = tuple(np.asarray(t)[one] for t in told)
    few = Fixed("classifier", np.array(labels), predict_proba=np.stack([1 - p, p], 1)[one],
                decision_function=d[one])  # fmt: skip
    assert scorer(loss)(few, None, y[one]) == pytest.approx(-loss(*told), rel=1e-14)


@pytest.mark.parametrize("name", CLASSES)
def test_several_classes_of_any_name(name: str) -> None:
    loss = losskit.get(name)
    codes = RNG.integers(0, 3, 60)
    y = NAMES[3][codes]
    p = RNG.dirichlet(np.ones(3), 60)
    d = RNG.normal(size=(60, 3))
    model = Fixed("classifier", NAMES[3], predict_proba=p, decision_function=d)
    told = p if loss.clips else d
    if name == "ordinal":  # takes the probabilities of lying beyond each class
        told = np.stack([p[:, 1] + p[:, 2], p[:, 2]], axis=1)
    assert scorer(loss)(model, None, y) == pytest.approx(-loss(codes, told), rel=1e-12)
    few = codes < 2
    part = Fixed("classifier", NAMES[3], predict_proba=p[few], decision_function=d[few])
    assert scorer(loss)(part, None, y[few]) == pytest.approx(
        -loss(codes[few], told[few]), rel=1e-12
    )


@pytest.mark.parametrize("name", CLASSES)
def test_losses_over_classes_take_two(name: str) -> None:
    loss = losskit.get(name)
    codes = RNG.integers(0, 2, 30)
    p, d = RNG.uniform(0.05, 0.95, 30), RNG.normal(size=30)
    model = Fixed(
        "classifier", NAMES[2], predict_proba=np.stack([1 - p, p], 1), decision_function=d
    )
    told = np.stack([1 - p, p], 1) if loss.clips else np.stack([np.zeros(30), d], 1)
    if name == "ordinal":
        told = p[:, None]
    found = scorer(loss)(model, None, NAMES[2][codes])
    assert found == pytest.approx(-loss(codes, told), rel=1e-12)


@pytest.mark.parametrize("name", LABELS)
def test_labels(name: str) -> None:
    loss = losskit.get(name)
    y = RNG.integers(0, 2, (40, 2))
    p = RNG.uniform(0.05, 0.95, (40, 2))
    # As neural networks answer, whose two labels look like two classes, and as forests do.
    array = Fixed("classifier", np.arange(2), predict_proba=p)
    each = Fixed("classifier", [np.arange(2)] * 2,
                 predict_proba=[np.stack([1 - c, c], 1) for c in p.T])  # fmt: skip
    for model in (array, each):
        assert scorer(loss)(model, None, y) == pytest.approx(-loss(y, p), rel=1e-14)


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    loss = losskit.get(name)
    query = np.repeat(np.arange(5), 6)
    y, f = RNG.integers(0, 3, 30).astype(float), RNG.normal(size=30)
    expected = loss(y, f, query=query)
    assert metric(loss)(y, f, query=query) == expected
    with sklearn.config_context(enable_metadata_routing=True):
        made = scorer(loss).set_score_request(query=True)
        assert made(Fixed("regressor", predict=f), None, y, query=query) == -expected


def test_a_label_that_never_occurs_has_probability_0() -> None:
    y = np.array([[1, 0], [0, 0], [1, 0]])
    forest = RandomForestClassifier(3, random_state=0).fit([[1.0], [0.0], [1.0]], y)
    assert len(forest.classes_[1]) == 1
    assert np.isfinite(scorer("multilabel_cross_entropy")(forest, [[1.0]], y[:1]))


def test_two_labels_of_a_neural_network_are_no_two_classes() -> None:
    y = RNG.integers(0, 2, (60, 2))
    x = y + 0.1 * RNG.normal(size=y.shape)
    network = MLPClassifier((8,), max_iter=400, random_state=0, tol=1e-2).fit(x, y)
    found = scorer("multilabel_cross_entropy")(network, x, y)
    p = np.clip(network.predict_proba(x), 1e-16, 1 - 1e-16)
    by_hand = -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()
    assert found == pytest.approx(-by_hand, rel=1e-9)


# --- scorers, in scikit-learn's own tools


def test_the_scorer_is_scikit_learns_log_loss() -> None:
    pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
    for data in (CANCER, IRIS):
        x, y = data[0], NAMES[len(np.unique(data[1]))][data[1]]
        theirs = cross_val_score(pipe, x, y, scoring="neg_log_loss")
        for name in ("cross_entropy", "log_loss"):
            ours = cross_val_score(pipe, x, y, scoring=scorer(name), error_score="raise")
            assert ours == pytest.approx(theirs, rel=1e-12)
    x, y = CANCER
    svm = LinearSVC().fit(x, NAMES[2][y])
    expected = metrics.hinge_loss(NAMES[2][y], svm.decision_function(x))
    assert scorer("hinge")(svm, x, NAMES[2][y]) == pytest.approx(-expected, rel=1e-12)


def test_metrics_are_scikit_learns() -> None:
    y, p, w = RNG.uniform(1, 5, 50), RNG.uniform(1, 5, 50), RNG.uniform(0, 2, 50)
    pairs = [
        ("squared_error", {}, metrics.mean_squared_error),
        ("absolute_error", {}, metrics.mean_absolute_error),
        ("mape", {}, metrics.mean_absolute_percentage_error),
        ("msle", {}, metrics.mean_squared_log_error),
        ("quantile", {"q": 0.9}, lambda *a, **k: metrics.mean_pinball_loss(*a, alpha=0.9, **k)),
    ]
    for name, params, theirs in pairs:
        ours = metric(name, **params)(y, p, sample_weight=w)
        assert ours == pytest.approx(theirs(y, p, sample_weight=w), rel=1e-12)
    for name, power in (("poisson", 1), ("gamma", 2)):  # a deviance is twice what is above least
        loss = losskit.get(name)
        ours = 2 * (metric(name)(y, p) - loss.infimum(y).mean())
        theirs = metrics.mean_tweedie_deviance(y, p, power=power)
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_labels_as_log_loss_takes_them() -> None:
    y = ["c", "b", "c"]
    p = [[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.3, 0.3, 0.4]]
    ours = metric("cross_entropy")(y, p, labels=["a", "b", "c"])
    assert ours == pytest.approx(metrics.log_loss(y, p, labels=["a", "b", "c"]), rel=1e-12)
    one = (["b", "b"], [0.9, 0.8])
    ours = metric("binary_cross_entropy")(*one, labels=["a", "b"])
    assert ours == pytest.approx(metrics.log_loss(*one, labels=["a", "b"]), rel=1e-12)
    shares = metric("binary_cross_entropy")([0.25, 1.0], [0.5, 0.75])  # are no labels
    assert shares == losskit.binary_cross_entropy([0.25, 1.0], [0.5, 0.75])
    rows = metric("cross_entropy")([[0.5, 0.5]], [[0.25, 0.75]])
    assert rows == losskit.cross_entropy([[0.5, 0.5]], [[0.25, 0.75]])


def test_what_does_not_count_may_hold_anything() -> None:
    y = np.array(["a", "b", None], object)
    p = np.array([0.2, 0.7, np.nan])
    weighed = metric("binary_cross_entropy")(y, p, sample_weight=[1, 1, 0])
    assert weighed == metric("binary_cross_entropy")(["a", "b"], p[:2])
    ignoring = metric("cross_entropy", ignore_index=1)
    rows = RNG.dirichlet(np.ones(3), 4)
    found = ignoring([1, 2, 3, 2], rows, labels=[1, 2, 3])  # 1 is a label here, and no place
    assert found == pytest.approx(losskit.cross_entropy([1, 2, 1], rows[1:]), rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metric("hinge")(["a", "a"], [0.5, 1.0]), "one label, 'a'"),
        (lambda: metric("hinge")(["a", "b", "c"], [0.5, 1.0, 0.0]), "two classes, and there are 3"),
        (lambda: metric("cross_entropy")(["a", "b", "c"], np.full((3, 2), 0.5)), r"\(3, 2\)"),
        (lambda: metric("cross_entropy")(["a", "d"], [0.5, 0.5], labels=["a", "b"]), r"y\[1\]"),
        (lambda: metric("cross_entropy")(["a"], [0.5], labels=["b", "a"]), "sorted order"),
        (lambda: metric("hinge")(["a", "b"], [0.5, 1.0], pos_label="c"), "pos_label='c'"),
        (lambda: metric("cross_entropy")([0, 1, 2], np.eye(3), pos_label=1), "two classes, not 3"),
        (lambda: metric("hinge")([0, 1], [0.5, 1.0], sample_weight=[1, -1]), r"sample_weight\[1\]"),
        (lambda: metric("hinge")([0, 1], [0.5, 1.0], sample_weight=[0, 0]), "no row counts"),
        (lambda: metric("hinge")([0, 1], [0.5]), "2 rows and y_pred 1"),
        (lambda: metric("poisson")([1.0, 2.0], [1.0, -1.0]), r"y_pred\[1\] = -1"),
        (lambda: metric("binary_cross_entropy")([0.5, 1.0], [0.5, 0.5], labels=[0, 1]), "shares"),
    ],
)
def test_mistakes_of_metrics_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_estimators_that_lack_the_answer() -> None:
    x, y = CANCER
    with pytest.raises(AttributeError, match="LinearSVC has no predict_proba"):
        scorer("binary_cross_entropy")(LinearSVC().fit(x, y), x, y)
    forest = RandomForestClassifier(2).fit(x, y)
    with pytest.raises(AttributeError, match="has no decision_function"):
        scorer("hinge")(forest, x, y)
    with pytest.raises(losskit.Unsupported, match="return_std"):
        scorer("gaussian_nll")(Ridge().fit(X, Y), X, Y)
    with pytest.raises(TypeError, match="no pos_label"):
        scorer("huber", pos_label=1)
    with pytest.raises(losskit.Unsupported, match="several losses"):
        scorer("focal", gamma=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"y_pred\[\d+\] = -"):
        scorer("poisson")(LinearRegression().fit(X, Y - Y.mean()), X, Y)


def test_a_normal_distribution_is_scored_by_mean_and_deviation() -> None:
    x, y = X[:40], (Y[:40] - Y.mean()) / Y.std()
    model = GaussianProcessRegressor(alpha=0.5, optimizer=None).fit(x, y)
    mean, sd = model.predict(x, return_std=True)
    expected = -losskit.gaussian_nll(y, np.stack([mean, sd], 1))
    assert scorer("gaussian_nll")(model, x, y) == pytest.approx(expected, rel=1e-14)


def test_a_loss_of_shares_scores_a_regressor() -> None:
    shares = 1 / (1 + np.exp(-(Y - Y.mean()) / Y.std()))
    model = losskit.Regressor("binary_cross_entropy").fit(X, shares)
    expected = -losskit.binary_cross_entropy(shares, model.predict(X))
    assert scorer("binary_cross_entropy")(model, X, shares) == expected


def test_searches_take_the_best_model() -> None:
    grid = {"alpha": [1e-3, 1.0, 1e3]}
    made = scorer("huber", delta=20.0)
    search = GridSearchCV(Ridge(), grid, scoring=made, cv=3).fit(X, Y)
    losses = [
        -cross_val_score(Ridge(alpha=a), X, Y, scoring=made, cv=3).mean() for a in grid["alpha"]
    ]
    assert search.best_params_["alpha"] == grid["alpha"][int(np.argmin(losses))]
    assert search.best_score_ == pytest.approx(-min(losses), rel=1e-12)
    halving = HalvingGridSearchCV(Ridge(), grid, scoring=made, cv=3, random_state=0).fit(X, Y)
    assert halving.best_params_["alpha"] in grid["alpha"]
    several = cross_validate(
        LinearRegression(), X, Y, scoring={"pinball": scorer("quantile", q=0.9), "huber": made}
    )
    assert (several["test_pinball"] < 0).all()
    frame = pd.DataFrame(X), pd.Series(Y)
    by_frame = cross_val_score(Ridge(), *frame, scoring=made, cv=3)
    assert by_frame == pytest.approx(cross_val_score(Ridge(), X, Y, scoring=made, cv=3))


def test_weights_are_routed() -> None:
    made = scorer("absolute_error")
    model = LinearRegression().fit(X, Y)
    expected = -np.average(abs(Y - model.predict(X)), weights=W)
    assert made(model, X, Y, sample_weight=W) == pytest.approx(expected, rel=1e-12)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = scorer("absolute_error").set_score_request(sample_weight=True)
        estimator = LinearRegression().set_fit_request(sample_weight=True)
        search = GridSearchCV(estimator, {"positive": [False]}, scoring=routed, cv=3)
        search.fit(X, Y, sample_weight=W)
        plain = GridSearchCV(
            estimator, {"positive": [False]}, cv=3,
            scoring=scorer("absolute_error").set_score_request(sample_weight=False),
        ).fit(X, Y, sample_weight=W)  # fmt: skip
        theirs = GridSearchCV(
            estimator, {"positive": [False]}, cv=3,
            scoring=metrics.get_scorer("neg_mean_absolute_error").set_score_request(
                sample_weight=True
            ),
        ).fit(X, Y, sample_weight=W)  # fmt: skip
        assert search.best_score_ == pytest.approx(theirs.best_score_, rel=1e-12)
        assert search.best_score_ != plain.best_score_


def test_lists_are_scored_by_query_in_cross_validation() -> None:
    query = np.repeat(np.arange(34), 13)
    with sklearn.config_context(enable_metadata_routing=True):
        made = scorer("pairwise_logistic").set_score_request(query=True)
        scores = cross_val_score(
            Ridge(), X, np.digitize(Y, [100, 200]), scoring=made, error_score="raise",
            cv=GroupKFold(3), params={"query": query, "groups": query},
        )  # fmt: skip
    assert (scores < 0).all()


def test_scorers_travel_and_read_well() -> None:
    made = scorer("quantile", q=0.9)
    assert repr(made) == "losskit.sklearn.scorer(losskit.quantile(q=0.9))"
    again = pickle.loads(pickle.dumps(made))
    model = LinearRegression().fit(X, Y)
    assert again(model, X, Y) == made(model, X, Y) == clone(made, safe=False)(model, X, Y)
    named = repr(scorer("hinge", pos_label="ham"))
    assert named == "losskit.sklearn.scorer(losskit.hinge, pos_label='ham')"

    @losskit.loss
    def cubic(y, f):
        return abs(f - y) ** 3

    own = pickle.loads(pickle.dumps(cubic.to("sklearn")))
    assert own(model, X, Y) == -cubic(Y, model.predict(X))
    by_metric = metrics.make_scorer(metric("huber"), greater_is_better=False)
    assert by_metric(model, X, Y) == scorer("huber")(model, X, Y)
