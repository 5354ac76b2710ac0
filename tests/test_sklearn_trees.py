"""losskit in scikit-learn: histogram gradient boosting with any loss."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - what it is for
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

import losskit
from losskit.sklearn import HistClassifier, HistRegressor, hist_loss, scorer

RNG = np.random.default_rng(5)
X, Y = load_diabetes(return_X_y=True)
W = RNG.integers(0, 4, len(Y)) + 0.5
CANCER = tuple(a[:, :6] if a.ndim == 2 else a for a in load_breast_cancer(return_X_y=True))
IRIS = load_iris(return_X_y=True)
NAMES = {2: np.array(["ham", "spam"]), 3: np.array(["a", "b", "c"])}


def _grown(n_classes: int | None, *tasks: str) -> list[str]:
    """Names of the losses of these tasks that trees can be grown by."""
    made = []
    for name in losskit.names():
        try:
            hist_loss(name, n_classes=n_classes)
        except (losskit.Unsupported, ValueError):
            continue
        if losskit.get(name).task in tasks:
            made.append(name)
    return made


TREES_OF_NUMBERS = _grown(None, "regression", "counts")
TREES_OF_TWO = _grown(2, "binary")
TREES_OF_CLASSES = _grown(3, "classes", "sequence")


def _stratum(names: list[str], *fast: str) -> list[Any]:
    """Return all names as parameters, of which those that are not `fast` are slow."""
    return [pytest.param(n, marks=() if n in fast else pytest.mark.slow) for n in names]


SAME = [
    ("squared_error", {}, {}),
    ("absolute_error", {}, {}),
    ("poisson", {}, {}),
    ("gamma", {}, {}),
    ("quantile", {"q": 0.9}, {"quantile": 0.9}),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep scikit-learn's OpenMP threads, which wait by spinning, from other workers' cores."""
    with threadpool_limits(1, user_api="openmp"):
        yield


@pytest.mark.parametrize(
    ("stopping", "weight"),
    [
        pytest.param(False, W, id="weighted"),
        pytest.param(True, None, id="early"),
        pytest.param(False, None, id="plain", marks=pytest.mark.slow),
        pytest.param(True, W, id="early-weighted", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("name", "params", "theirs"), SAME, ids=[s[0] for s in SAME])
def test_trees_are_scikit_learns(
    name: str, params: Any, theirs: Any, stopping: bool, weight: Any
) -> None:
    options = {
        "max_iter": 25, "early_stopping": stopping, "random_state": 0, "l2_regularization": 2.0,
        "n_iter_no_change": 5,
    }  # fmt: skip
    peer = HistGradientBoostingRegressor(loss=name, **options, **theirs)
    peer.fit(X, Y, sample_weight=weight)
    mine = HistRegressor(losskit.get(name, **params), curvature="host", **options)
    mine.fit(X, Y, sample_weight=weight)
    spread = np.ptp(peer.predict(X))
    assert mine.predict(X) == pytest.approx(peer.predict(X), abs=1e-6 * spread)
    assert mine.n_iter_ == peer.n_iter_
    assert mine.train_score_ == pytest.approx(peer.train_score_, rel=1e-9)
    staged = zip(mine.staged_predict(X), peer.staged_predict(X), strict=True)
    assert all(a == pytest.approx(b, abs=1e-6 * spread) for a, b in staged)
    # Without "host" the constants are the exactly best ones, and the same where theirs are.
    own = clone(mine).set_params(curvature="auto").fit(X, Y, sample_weight=weight)
    if name in ("squared_error", "poisson", "gamma"):
        assert own.predict(X) == pytest.approx(peer.predict(X), abs=1e-6 * spread)
    elif not stopping:
        loss = losskit.get(name, **params)
        ours, other = (loss(Y, m.predict(X), sample_weight=weight) for m in (own, peer))
        assert ours < 1.1 * other


@pytest.mark.parametrize(
    ("stopping", "class_weight"),
    [
        pytest.param(True, None, id="early"),
        pytest.param(False, "balanced", id="balanced", marks=pytest.mark.slow),
        pytest.param(False, None, id="plain", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["two", "three"])
@pytest.mark.parametrize("loss", ["auto", "cross_entropy", "log_loss"])
def test_trees_of_classes_are_scikit_learns(
    loss: str, data: Any, stopping: bool, class_weight: Any
) -> None:
    x, codes = data
    y = NAMES[len(np.unique(codes))][codes]
    w = RNG.uniform(0.5, 2.0, len(y))
    options = {
        "max_iter": 10, "early_stopping": stopping, "random_state": 0, "class_weight": class_weight,
    }  # fmt: skip
    peer = HistGradientBoostingClassifier(**options).fit(x, y, sample_weight=w)
    mine = HistClassifier(loss, **options).fit(x, y, sample_weight=w)
    assert mine.predict_proba(x) == pytest.approx(peer.predict_proba(x), abs=1e-6)
    assert (mine.predict(x) == peer.predict(x)).all()
    assert mine.train_score_ == pytest.approx(peer.train_score_, rel=1e-9)


def test_the_plain_estimators_take_the_loss_object() -> None:
    options = {"max_iter": 5, "early_stopping": False}
    plain = HistGradientBoostingRegressor(loss=hist_loss("huber"), **options).fit(X, Y)
    assert (plain.predict(X) == HistRegressor("huber", **options).fit(X, Y).predict(X)).all()
    x, y = IRIS
    loss = hist_loss("categorical_focal", n_classes=3)
    plain = HistGradientBoostingClassifier(loss=loss, **options).fit(x, NAMES[3][y])
    mine = HistClassifier("categorical_focal", **options).fit(x, NAMES[3][y])
    assert (plain.predict(x) == mine.predict(x)).all()
    assert plain.decision_function(x) == pytest.approx(mine.decision_function(x))


def _target(name: str) -> Any:
    """Return a target that the loss takes, which X tells something of."""
    domain = losskit.get(name).target_domain
    return Y / 50 if not domain.values else np.where(Y > 140, 1.0, -1.0)


def test_all_that_can_be_grown_is() -> None:
    assert len(TREES_OF_NUMBERS) == len(_of("regression", "counts")) - 2  # gaussian_nll, msle
    assert len(TREES_OF_TWO) == len(_of("binary")) - 1  # zero_one
    assert len(TREES_OF_CLASSES) == len(_of("classes", "sequence")) - 2  # ordinal, reinforce


def _of(*tasks: str) -> list[str]:
    return [n for n in losskit.names() if losskit.get(n).task in tasks]


@pytest.mark.parametrize(
    "name", _stratum(TREES_OF_NUMBERS, "huber", "quantile", "tweedie", "expectile", "mape")
)
def test_every_step_lowers_the_loss(name: str) -> None:
    model = HistRegressor(name, max_iter=8, early_stopping=True, validation_fraction=None)
    scores = model.fit(X, _target(name)).train_score_
    assert (np.diff(scores) > 0).all()
    loss = losskit.get(name)
    constant = np.full(len(Y), loss.optimal_constant(_target(name)))
    start = loss(_target(name), constant)
    assert loss(_target(name), model.predict(X)) < start
    assert -scores[0] * model._loss.factor == pytest.approx(start, rel=1e-6)


@pytest.mark.parametrize("name", _stratum(TREES_OF_TWO, "squared_hinge", "focal", "smoothed_hinge"))
def test_two_classes_are_learnt(name: str) -> None:
    x, codes = CANCER
    options = {"max_iter": 20, "early_stopping": False, "learning_rate": 0.3}
    model = HistClassifier(name, **options).fit(x, NAMES[2][codes])
    assert metrics.roc_auc_score(codes, model.decision_function(x)) > 0.95
    turned = HistClassifier(name, **options).fit(x, codes)
    assert turned.decision_function(x) == pytest.approx(model.decision_function(x))
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(x)
        assert p.shape == (len(x), 2)
        assert p.sum(axis=1) == pytest.approx(1.0)
        assert ((p[:, 1] > 0.5) == (model.decision_function(x) > 0)).all()


@pytest.mark.parametrize("name", _stratum(TREES_OF_CLASSES, "categorical_focal", "sparsemax"))
@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["two", "three"])
def test_classes_are_learnt(name: str, data: Any) -> None:
    x, codes = data
    y = NAMES[len(np.unique(codes))][codes]
    model = HistClassifier(name, max_iter=12, early_stopping=False, learning_rate=0.3).fit(x, y)
    assert model.score(x, y) > 0.85


def test_losses_that_tell_no_probabilities_have_no_predict_proba() -> None:
    assert hasattr(HistClassifier("squared_hinge"), "predict_proba")
    assert not hasattr(HistClassifier("hinge"), "predict_proba")
    x, y = CANCER
    model = HistClassifier("hinge", max_iter=2).fit(x, y)
    with pytest.raises(AttributeError) as raised:
        model.predict_proba(x)
    assert "tells no probabilities" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    "name",
    _stratum(["squared_error", "quantile", "mape", "epsilon_insensitive"], "quantile", "mape"),
)
def test_units_do_not_matter(name: str) -> None:
    """Fitting 1000·y predicts 1000 times as much: steps have the target's units."""
    loss = losskit.get(name)
    scaled = loss(epsilon=1000 * loss.params["epsilon"]) if "epsilon" in loss.params else loss
    options = {"max_iter": 10, "early_stopping": False, "max_leaf_nodes": 8}
    small = HistRegressor(loss, **options).fit(X, Y).predict(X)
    large = HistRegressor(scaled, **options).fit(X, 1000 * Y).predict(X)
    assert large == pytest.approx(1000 * small, rel=1e-3)


def test_robust_losses_of_large_targets_do_not_diverge() -> None:
    """Their own curvature vanishes far out, where a step by it has no bound."""
    for name in ("log_cosh", "huber", "linex"):
        y = Y if name == "linex" else 1e4 * Y
        model = HistRegressor(name, max_iter=20, early_stopping=False).fit(X, y)
        p = model.predict(X)
        assert y.min() <= p.min() <= p.max() <= y.max()
        if name != "linex":
            assert np.corrcoef(p, y)[0, 1] > 0.6


@pytest.mark.slow
def test_outliers_do_not_move_huber() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (800, 1))
    truth = np.sin(2 * x[:, 0])
    y = truth + 0.1 * rng.normal(size=800) + 50.0 * (rng.uniform(size=800) < 0.1)
    error = {
        name: np.abs(HistRegressor(name, max_iter=60).fit(x, y).predict(x) - truth).mean()
        for name in ("squared_error", "huber", "log_cosh")
    }
    assert error["huber"] < 0.2
    assert error["log_cosh"] < 0.2
    assert error["squared_error"] > 2.0


@pytest.mark.slow
def test_expectiles_have_their_share() -> None:
    """At an expectile q the pulls of what lies above and below are as q to 1 − q."""
    q = 0.9
    model = HistRegressor(losskit.expectile(q=q), max_iter=200, early_stopping=False).fit(X, Y)
    r = Y - model.predict(X)
    above, below = r[r > 0].sum(), -r[r < 0].sum()
    assert q * above == pytest.approx((1 - q) * below, rel=0.05)


@pytest.mark.parametrize(
    "name",
    _stratum(["huber", "quantile", "epsilon_insensitive", "mape", "tweedie"], "huber", "quantile"),
)
def test_weights_are_repeated_rows(name: str) -> None:
    x = np.clip(np.round(X[:, :4] * 33), -4, 4)  # few values, so that both have the same bins
    counts = RNG.integers(1, 4, len(Y))
    options = {"max_iter": 8, "early_stopping": False, "min_samples_leaf": 1, "max_leaf_nodes": 4}
    weighed = HistRegressor(name, **options).fit(x, Y, sample_weight=counts)
    repeated = HistRegressor(name, **options)
    repeated.fit(np.repeat(x, counts, axis=0), np.repeat(Y, counts))
    assert weighed.predict(x) == pytest.approx(repeated.predict(x), abs=1e-7 * np.ptp(Y))


def test_early_stopping_is_on_the_fitted_loss() -> None:
    model = HistRegressor(
        "huber", early_stopping=True, max_iter=300, random_state=0, n_iter_no_change=3
    ).fit(X, Y)
    assert model.n_iter_ < 300
    best = model.validation_score_[-4:].max()
    assert model.validation_score_[:-3].max() == pytest.approx(best)
    scored = HistRegressor(
        "huber", early_stopping=True, max_iter=300, random_state=0, n_iter_no_change=3,
        scoring=scorer("huber"),
    ).fit(X, Y)  # fmt: skip
    assert scored.validation_score_ == pytest.approx(model.validation_score_, rel=1e-9)


def test_trees_travel() -> None:
    for model, y in (
        (HistRegressor(losskit.quantile(q=0.9), max_iter=5), Y),
        (HistClassifier("focal", max_iter=5), Y > 140),
        (
            HistClassifier(losskit.categorical_focal(gamma=1.0), max_iter=5),
            np.digitize(Y, [90, 180]),
        ),
    ):
        fitted = clone(model).fit(X, y)
        again = pickle.loads(pickle.dumps(fitted))
        assert (again.predict(X) == fitted.predict(X)).all()
        assert again.get_params()["loss"] == model.loss

    @losskit.loss
    def smooth(y, f, width: losskit.formula.Positive = 10.0):
        r = (f - y) / width
        return r * r / (1 + abs(r))

    fitted = HistRegressor(smooth, max_iter=30, early_stopping=False).fit(X, Y)
    assert smooth(Y, fitted.predict(X)) < 0.7 * smooth(Y, np.full(len(Y), np.median(Y)))
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict(X) == fitted.predict(X)).all()


def test_parameters_are_scikit_learns_with_one_more() -> None:
    for mine, host, gone in (
        (HistRegressor, HistGradientBoostingRegressor, {"quantile"}),
        (HistClassifier, HistGradientBoostingClassifier, set()),
    ):
        theirs = host().get_params()
        ours = mine().get_params()
        assert ours.keys() == (theirs.keys() - gone) | {"curvature"}
        assert all(ours[k] == theirs[k] for k in theirs.keys() - gone - {"loss"})
    with pytest.raises(TypeError, match=r"losskit.quantile\(q="):
        HistRegressor(quantile=0.5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: hist_loss("gaussian_nll"), losskit.Unsupported, "outputs mean, log_sd"),
        (lambda: hist_loss("msle"), losskit.Unsupported, "TransformedTargetRegressor"),
        (lambda: hist_loss("zero_one"), losskit.Unsupported, "no derivative"),
        (lambda: hist_loss("ordinal", n_classes=3), losskit.Unsupported, "one score fewer"),
        (lambda: hist_loss("dice"), losskit.Unsupported, "axis of labels"),
        (lambda: hist_loss("lambda_rank"), losskit.Unsupported, "axis of items"),
        (lambda: hist_loss("triplet"), losskit.Unsupported, "axis of features"),
        (lambda: hist_loss("cross_entropy"), losskit.Unsupported, "HistClassifier"),
        (lambda: hist_loss("poisson", n_classes=2), ValueError, "no loss of classes"),
        (lambda: hist_loss("hinge", n_classes=3), ValueError, "OneVsRestClassifier"),
        (lambda: hist_loss("mape", curvature="exact"), losskit.Unsupported, "by its curvature, 0"),
        (lambda: hist_loss("huber", curvature="own"), ValueError, "curvature='own'"),
        (lambda: hist_loss("huber", curvature="host"), losskit.Unsupported, "of its own"),
        (lambda: HistRegressor("poisson").fit(X, Y - 300), ValueError, r"y_true\[0\]"),
        (lambda: HistRegressor("hubert").fit(X, Y), ValueError, "did you mean 'huber'"),
        (lambda: HistClassifier("hinge").fit(*IRIS), ValueError, "two classes"),
    ],
)
def test_mistakes_of_trees_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_another_private_interface_is_refused() -> None:
    from losskit.sklearn import host

    class Other:
        def __call__(self, y_true: Any, raw_prediction: Any) -> Any: ...

    with pytest.raises(losskit.Unsupported, match=r"installed, where BaseLoss.__call__ takes"):
        host.check(Other, ())
    with pytest.raises(losskit.Unsupported, match="takes no BaseLoss"):
        host.check(host.BaseLoss, (LinearRegression,))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        HistRegressor(max_iter=5),
        HistRegressor("huber", max_iter=20),
        HistClassifier(max_iter=5),
        HistClassifier("squared_hinge", max_iter=5),
    ]
)
def test_scikit_learn_accepts(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
def test_the_interface_alone_is_imported() -> None:
    code = "import losskit.sklearn, sys; losskit.sklearn.scorer('huber'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for other in ("torch", "jax", "keras", "xgboost", "lightgbm", "sklearn.ensemble"):
        assert other not in done.stdout.split()
