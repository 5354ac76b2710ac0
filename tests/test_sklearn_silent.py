"""losskit in scikit-learn: what could give a number, or a model, that is silently wrong."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

import losskit
from losskit.sklearn import HistClassifier, HistRegressor, hist_loss, metric, scorer

X, Y = load_diabetes(return_X_y=True)
CANCER, TUMOUR = load_breast_cancer(return_X_y=True)
CANCER = scale(CANCER[:, :6])
SPAM = np.array(["ham", "spam"])[TUMOUR]
FLOWERS, KIND = load_iris(return_X_y=True)
QUICK: dict[str, Any] = {"max_iter": 10, "early_stopping": False}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep scikit-learn's OpenMP threads, which wait by spinning, from other workers' cores."""
    with threadpool_limits(1, user_api="openmp"):
        yield


# --- metrics and scorers


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        # Of two columns one is handed on, and of three classes' steps are made.
        (lambda: metric("focal")([0, 1], [[0.5, 0.5], [0.5, 0.9]]), ValueError, "row 1 sums to"),
        (lambda: metric("cross_entropy")([0, 1], [[np.nan, 0.5]] * 2), ValueError, "row 0 sums to"),
        (lambda: metric("ordinal")([0, 1, 2], np.full((3, 3), 0.5)), ValueError, "sums to 1.5"),
        (lambda: metric("hinge")(np.ma.array([0, 1], mask=[False, True]), [0.5, 1.0]),
         TypeError, "y_true is a masked array"),
        (lambda: metric("hinge")([0, 1], np.ma.array([0.5, 1.0])), TypeError, "y_pred is a masked"),
        (lambda: metric("hinge")(pd.Series([0, 1], [0, 1]), pd.Series([0.1, 0.9], [1, 0])),
         ValueError, "in another order"),
        (lambda: metric("hinge")([], []), ValueError, "the batch is empty"),
        (lambda: metric("hinge")(np.array(["a", None, "b"], object), [1.0, 2.0, 3.0]),
         ValueError, r"y\[1\] is missing"),
        (lambda: metric("hinge")([0, 1], [1.0, 2.0], sample_weight=["a", "b"]),
         TypeError, "sample_weight has dtype"),
        (lambda: metric("huber", raw=True), losskit.Unsupported, "a loss of numbers"),
        (lambda: metric("ordinal", raw=True), losskit.Unsupported, "scores of steps"),
        (lambda: scorer("focal", pos_label=1)(LinearRegression().fit(X, Y > 100), X, Y > 100),
         TypeError, "LinearRegression is no classifier"),
    ],
)  # fmt: skip
def test_mistakes_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_errors_count_rows_of_the_user() -> None:
    weights = [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"y_pred\[2\] = 1\.5"):
        metric("focal")([0, 0, 1], [0.5, 0.5, 1.5], sample_weight=weights)
    with pytest.raises(ValueError, match="row 2 sums to"):
        metric("focal")([0, 0, 1], [[9, 9], [0.5, 0.5], [1.0, 1.0]], sample_weight=weights)
    found = metric("focal")([9, 0, 1], [[9, 9], [0.5, 0.5], [0.2, 0.8]], sample_weight=weights)
    assert found == metric("focal")([0, 1], [0.5, 0.8])


def test_a_column_of_classes_keeps_its_positive_class() -> None:
    model = LogisticRegression().fit(CANCER, SPAM)
    loss = losskit.focal(alpha=0.9)
    told = scorer(loss, pos_label="ham")
    expected = -loss(TUMOUR == 0, model.predict_proba(CANCER)[:, 0])
    for y in (SPAM, SPAM[:, None], pd.DataFrame(SPAM)):
        assert told(model, CANCER, y) == pytest.approx(expected, rel=1e-12)


def test_a_positive_class_of_three_is_refused() -> None:
    model = LogisticRegression(max_iter=500).fit(FLOWERS, KIND)
    with pytest.raises(ValueError, match="two classes, not 3"):
        scorer("cross_entropy", pos_label=1)(model, FLOWERS, KIND)


def test_models_without_probabilities_are_scored_by_raw_scores() -> None:
    model = HistClassifier("focal", **QUICK).fit(CANCER, SPAM)
    assert not hasattr(model, "predict_proba")
    f = model.decision_function(CANCER)
    expected = -losskit.focal(TUMOUR, f, raw=True)
    made = losskit.focal.to("sklearn", raw=True)
    assert made(model, CANCER, SPAM) == pytest.approx(expected, rel=1e-14)
    turned = scorer("focal", raw=True, pos_label="ham")(model, CANCER, SPAM)
    assert turned == pytest.approx(-losskit.focal(1 - TUMOUR, -f, raw=True), rel=1e-14)
    again = pickle.loads(pickle.dumps(made))
    assert repr(again) == "losskit.sklearn.scorer(losskit.focal, raw=True)"
    assert again(model, CANCER, SPAM) == made(model, CANCER, SPAM)
    assert np.isfinite(
        cross_val_score(losskit.Classifier("focal"), CANCER, SPAM, scoring=made)
    ).all()
    three = HistClassifier("categorical_focal", **QUICK).fit(FLOWERS, KIND)
    scores = three.decision_function(FLOWERS)
    found = scorer("categorical_focal", raw=True)(three, FLOWERS, KIND)
    assert found == pytest.approx(-losskit.categorical_focal(KIND, scores, raw=True), rel=1e-14)
    with pytest.raises(AttributeError, match="raw=True"):
        scorer("focal")(model, CANCER, SPAM)


def test_pairs_of_classes_are_no_classes() -> None:
    """Of three classes there are three pairs."""
    pairs = SVC(decision_function_shape="ovo").fit(FLOWERS, KIND)
    search = GridSearchCV(make_pipeline(pairs), {}, cv=2).fit(FLOWERS, KIND)
    for model in (pairs, make_pipeline(pairs), search):
        with pytest.raises(ValueError, match=r"SVC's decision.*set decision_function_shape='ovr'"):
            scorer("crammer_singer")(model, FLOWERS, KIND)
    each = SVC().fit(FLOWERS, KIND)
    expected = -losskit.crammer_singer(KIND, each.decision_function(FLOWERS))
    assert scorer("crammer_singer")(each, FLOWERS, KIND) == pytest.approx(expected, rel=1e-14)
    assert np.isfinite(scorer("hinge")(SVC(decision_function_shape="ovo").fit(CANCER, SPAM),
                                       CANCER, SPAM))  # fmt: skip


def test_swapped_arguments_are_named() -> None:
    p = LogisticRegression().fit(CANCER, SPAM).predict_proba(CANCER)[:, 1]
    name = "binary_cross_entropy"
    with pytest.raises(ValueError, match="which are no labels, and y_pred 0 and 1 alone"):
        metric(name)(p, TUMOUR)
    with pytest.raises(ValueError, match="Unknown label type"):
        metric("focal")(p, TUMOUR)
    assert metric(name)(TUMOUR, p) < 0.5
    assert metric(name)(p, p) == losskit.get(name)(p, p)  # shares
    scores = np.zeros_like(p)
    assert metric(name, raw=True)(p, scores) == losskit.get(name)(p, scores, raw=True)


def test_several_quantiles_judge_together() -> None:
    band = losskit.quantile(q=(0.1, 0.9))
    model = losskit.Regressor(band).fit(X, Y)
    expected = band(Y, model.predict(X), sample_weight=1 + Y)
    assert scorer(band)(model, X, Y, sample_weight=1 + Y) == -expected
    assert metric("quantile", q=(0.1, 0.9))(Y, model.predict(X), sample_weight=1 + Y) == expected
    assert (cross_val_score(model, X, Y, scoring=scorer(band), cv=2, error_score="raise") < 0).all()


# --- trees


def test_a_fit_without_weights_gets_none() -> None:
    model = HistGradientBoostingRegressor(loss=hist_loss("squared_error", weighted=False), **QUICK)
    with pytest.raises(ValueError, match="weighted=False"):
        model.fit(X, Y, sample_weight=np.ones(len(Y)))
    plain = HistGradientBoostingRegressor(**QUICK).fit(X, Y)
    assert model.fit(X, Y).predict(X) == pytest.approx(plain.predict(X))


@pytest.mark.parametrize("name", ["absolute_error", "quantile", "epsilon_insensitive"])
def test_monotonic_constraints_hold(name: str) -> None:
    x = np.linspace(-1, 1, 300)[:, None]
    y = np.sin(6 * x[:, 0]) + x[:, 0]
    options = {"max_iter": 60, "early_stopping": False, "monotonic_cst": [1]}
    loss = losskit.get(name)
    model = HistRegressor(loss, **options).fit(x, y)
    p = model.predict(x)
    assert np.diff(p).min() >= 0
    squares = HistRegressor("squared_error", **options).fit(x, y).predict(x)
    assert loss(y, p) < 1.02 * loss(y, squares)
    frame = pd.DataFrame({"x": x[:, 0]})
    named = clone(model).set_params(monotonic_cst={"x": 1}).fit(frame, y)
    assert named.predict(frame) == pytest.approx(p)
    free = clone(model).set_params(monotonic_cst=[0]).fit(x, y).predict(x)
    assert (
        free == HistRegressor(loss, max_iter=60, early_stopping=False).fit(x, y).predict(x)
    ).all()


def test_class_weights_are_by_label() -> None:
    """scikit-learn 1.9 reads {1: 10} as the weight of the second class, whatever it is called."""
    for y, label in ((KIND + 1, 1), (np.array(["a", "b", "c"])[KIND], "c")):
        given = dict.fromkeys(np.unique(y).tolist(), 1.0) | {label: 10.0}
        weighed = HistClassifier(class_weight=given, **QUICK).fit(FLOWERS, y)
        w = np.where(y == label, 10.0, 1.0)
        by_rows = HistGradientBoostingClassifier(**QUICK).fit(FLOWERS, y, sample_weight=w)
        found, expected = (m.predict_proba(FLOWERS) for m in (weighed, by_rows))
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "curvature", "count", "message"),
    [
        (losskit.quantile(q=0.9), "majorizer", None, "has a corner"),
        ("asymmetric_absolute", "majorizer", None, "has a corner"),
        ("hinge", "majorizer", 2, "has a corner"),
        ("absolute_error", "host", 2, "no classifier of its own"),
        ("squared_error", "host", 2, "no classifier of its own"),
        ("smape", "auto", 2, "smape is flat where a score is that of the other class"),
        ("squared_error", "constant", None, "no curvature is typical"),
        ("poisson", "constant", None, "no curvature is typical"),
        ("squared_hinge", "constant", 2, "no curvature is typical"),
        ("crammer_singer", "exact", 3, "divide by its curvature, 0"),
        ("multiclass_perceptron", "exact", 3, "divide by its curvature, 0"),
        ("cross_entropy", "fisher", 3, "sees a whole row"),
        ("categorical_focal", "majorizer", 3, "sees a whole row"),
        ("focal", "auto", 1, "n_classes=1"),
        ("focal", "auto", 2.0, r"n_classes=2\.0"),
    ],
)
def test_curvatures_that_lower_no_loss_are_refused(
    name: Any, curvature: str, count: Any, message: str
) -> None:
    with pytest.raises((ValueError, losskit.Unsupported), match=message):
        hist_loss(name, curvature=curvature, n_classes=count)


def _takes_classes(name: str) -> bool:
    try:
        return bool(hist_loss(name, n_classes=2))
    except (ValueError, losskit.Unsupported):
        return False


FAST = ("absolute_error", "categorical_brier")
OF_CLASSES = [n for n in losskit.names() if _takes_classes(n)]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in OF_CLASSES]
)
def test_every_loss_of_classes_is_lowered(name: str) -> None:
    """Residuals of places among the classes are none of the loss: leaves of them ran away."""
    model = HistClassifier(name, max_iter=50, early_stopping=False, random_state=0)
    model.fit(CANCER, SPAM)
    scores = model.decision_function(CANCER)
    y = TUMOUR.astype(float)
    start = model._loss(y, np.full_like(scores, model._loss.fit_intercept_only(y)))
    assert model._loss(y, scores) < start + (1e-3 if start == 0 else 0)  # as of the perceptrons
    assert roc_auc_score(TUMOUR, scores) > 0.95


def test_majorizers_of_symmetric_corners_lower_the_loss() -> None:
    for name in ("absolute_error", "mape"):
        model = HistRegressor(name, curvature="majorizer", **QUICK).fit(X, Y)
        loss = losskit.get(name)
        constant = np.full(len(Y), loss.optimal_constant(Y))
        assert loss(Y, model.predict(X)) < 0.97 * loss(Y, constant)


@pytest.mark.parametrize("made", [2, 3, 4])
def test_another_number_of_classes_is_named(made: int) -> None:
    for y in (KIND, np.minimum(KIND, 1)):
        count = len(np.unique(y))
        loss = hist_loss("categorical_focal", n_classes=made)
        model = HistGradientBoostingClassifier(loss=loss, **QUICK)
        if count == made:
            assert model.fit(FLOWERS, y).score(FLOWERS, y) > 0.9
            continue
        with pytest.raises(ValueError, match=f"y has {count} classes.*n_classes={made}"):
            model.fit(FLOWERS, y)


def test_losses_that_are_least_nowhere_are_refused() -> None:
    @losskit.loss
    def falling(y, f):
        return f - y

    @losskit.loss
    def concave(y, f):
        return -((f - y) ** 2)

    for loss in (falling, concave):
        with pytest.raises((ValueError, losskit.Unsupported), match=loss.name):
            HistRegressor(loss, **QUICK).fit(X, Y)


def test_scikit_learns_rule_for_two_classes() -> None:
    mine = HistClassifier("cross_entropy", curvature="host", **QUICK).fit(CANCER, SPAM)
    peer = HistGradientBoostingClassifier(**QUICK).fit(CANCER, SPAM)
    assert mine.predict_proba(CANCER) == pytest.approx(peer.predict_proba(CANCER), abs=1e-6)


def test_the_objects_of_losses_are_taken_like_their_names() -> None:
    for loss in (losskit.log_loss, "log_loss", losskit.cross_entropy):
        model = HistClassifier(loss, **QUICK).fit(FLOWERS, KIND)
        assert model.predict_proba(FLOWERS).shape == (len(KIND), 3)
    with pytest.raises(losskit.Unsupported, match="several losses in one"):
        HistRegressor(losskit.quantile(q=(0.1, 0.9))).fit(X, Y)
    with pytest.raises(TypeError, match="named by a string"):
        HistRegressor(None).fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_wrong_loss_is_an_error_of_fit_alone() -> None:
    wrong = HistClassifier("hingee")
    assert "hingee" in wrong._repr_html_()
    search = GridSearchCV(HistClassifier(**QUICK), {"loss": ["auto", "hingee"]}, cv=2)
    with pytest.warns(FitFailedWarning, match="did you mean 'hinge'"):
        search.fit(CANCER, SPAM)
    assert search.best_params_ == {"loss": "auto"}


def test_what_a_model_tells_is_of_the_loss_it_was_fitted_with() -> None:
    model = HistClassifier(**QUICK).fit(CANCER, SPAM)
    before = model.predict_proba(CANCER)
    assert (model.set_params(loss="hinge").predict_proba(CANCER) == before).all()
    assert not hasattr(model.fit(CANCER, SPAM), "predict_proba")
