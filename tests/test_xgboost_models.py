"""XGBoost's estimators with any loss, next to its own."""

import datetime
import pickle

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV

import losskit
from losskit.xgboost import Classifier, Regressor

SMALL = {"n_jobs": 1, "n_estimators": 20, "max_depth": 3}
DIABETES, PROGRESSION = load_diabetes(return_X_y=True)
TUMOURS, BENIGN = load_breast_cancer(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
VISITS = pd.read_csv("examples/data/doctor_visits.csv")


def visits():
    """Return the features and counts of a real table."""
    counts = VISITS["visits"].to_numpy()
    return VISITS.drop(columns="visits").select_dtypes("number").to_numpy(float), counts


# --- the hosts' models


def test_numbers_as_the_host():
    made = Regressor("squared_error", **SMALL).fit(DIABETES, PROGRESSION)
    own = xgb.XGBRegressor(**SMALL).fit(DIABETES, PROGRESSION)
    expected = own.predict(DIABETES)
    np.testing.assert_allclose(made.predict(DIABETES), expected, atol=1e-5 * np.ptp(expected))
    assert made.score(DIABETES, PROGRESSION) == pytest.approx(own.score(DIABETES, PROGRESSION))


def test_counts_of_a_real_table_as_the_host():
    features, counts = visits()
    made = Regressor(**SMALL).fit(features, counts)
    assert made.loss_ == losskit.poisson
    assert made.loss_why_.startswith("the target holds counts")
    own = xgb.XGBRegressor(objective="count:poisson", **SMALL).fit(features, counts)
    expected = own.predict(features)
    np.testing.assert_allclose(made.predict(features), expected, atol=1e-5 * np.ptp(expected))


def test_two_classes_as_the_host():
    made = Classifier(**SMALL).fit(TUMOURS, BENIGN)
    own = xgb.XGBClassifier(**SMALL).fit(TUMOURS, BENIGN)
    np.testing.assert_allclose(made.predict_proba(TUMOURS), own.predict_proba(TUMOURS), atol=1e-5)
    np.testing.assert_array_equal(made.predict(TUMOURS), own.predict(TUMOURS))


def test_classes_as_the_host():
    made = Classifier(**SMALL).fit(IRIS, NAMES)
    own = xgb.XGBClassifier(**SMALL).fit(IRIS, SPECIES)
    assert made.predict_proba(IRIS).shape == (150, 3)
    start = losskit.cross_entropy.start_score(SPECIES)
    np.testing.assert_allclose(start - start[0], 0, atol=1e-9)  # the host starts where ours does
    np.testing.assert_allclose(made.predict_proba(IRIS), own.predict_proba(IRIS), atol=1e-5)
    np.testing.assert_array_equal(made.predict(IRIS), made.classes_[own.predict(IRIS)])
    assert made.classes_.tolist() == ["setosa", "versicolor", "virginica"]


# --- classes, labels, probabilities


@pytest.mark.parametrize(
    "labels",
    [
        [True, False], ["no", "yes"], [3, 11], [-1.0, 1.0],
        [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "loss",
    ["auto", "hinge", *(pytest.param(name, marks=pytest.mark.slow)
                        for name in ("logistic_margin", "focal", "cross_entropy"))],
)  # fmt: skip
def test_classes_of_any_type(loss, labels):
    y = np.array(labels, dtype=object if isinstance(labels[0], datetime.date) else None)[BENIGN]
    model = Classifier(loss, **SMALL).fit(TUMOURS, y)
    assert sorted(model.classes_.tolist()) == sorted(labels)
    assert np.mean(model.predict(TUMOURS) == y) > 0.95
    assert model.decision_function(TUMOURS).shape == (len(y),)
    if y.dtype != object:  # scikit-learn's own scores take no dates
        assert model.score(TUMOURS, y) == np.mean(model.predict(TUMOURS) == y)


@pytest.mark.parametrize(
    "loss", ["hinge", "focal", "cross_entropy", "categorical_focal", "exponential"]
)
def test_more_classes(loss):
    model = Classifier(loss, **SMALL).fit(IRIS, NAMES)
    assert model.decision_function(IRIS).shape == (150, 3)
    assert np.mean(model.predict(IRIS) == NAMES) > 0.95
    if loss in ("cross_entropy", "exponential"):
        p = model.predict_proba(IRIS)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(IRIS))
    else:
        assert not hasattr(model, "predict_proba")


def test_probabilities_are_probabilities_or_none():
    rare = np.arange(len(BENIGN)) % 20 == 0
    model = Classifier(n_jobs=1, n_estimators=1, max_depth=1).fit(TUMOURS, rare)
    assert model.predict_proba(TUMOURS)[:, 1].mean() == pytest.approx(rare.mean(), rel=0.1)
    assert not hasattr(Classifier("hinge"), "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba") as error:
        Classifier("hinge", **SMALL).fit(TUMOURS, BENIGN).predict_proba(TUMOURS)
    assert "tells no probabilities; use decision_function" in str(error.value)
    with pytest.raises(AttributeError, match=r"no predict_proba: .*no loss of classes"):
        _ = Classifier("poisson").predict_proba
    margin = Classifier("logistic_margin", **SMALL).fit(TUMOURS, BENIGN)
    plain = Classifier("binary_cross_entropy", curvature="exact", **SMALL).fit(TUMOURS, BENIGN)
    np.testing.assert_allclose(
        margin.predict_proba(TUMOURS), plain.predict_proba(TUMOURS), atol=1e-4
    )


def test_labels_of_which_a_row_has_several():
    y = np.stack([SPECIES == 0, IRIS[:, 0] > 5.8], axis=1).astype(int)
    for loss in ("auto", "multilabel_cross_entropy"):
        model = Classifier(loss, **SMALL).fit(IRIS, y)
        assert np.mean(model.predict(IRIS) == y) > 0.98
        p = model.predict_proba(IRIS)
        assert p.shape == y.shape
        assert ((p > 0.5) == (model.predict(IRIS) == 1)).all()


# --- numbers


def test_several_quantiles_never_cross():
    band = losskit.quantile(q=(0.1, 0.5, 0.9))
    rng = np.random.default_rng(0)
    model = Regressor(band, n_jobs=1, n_estimators=60, max_depth=6).fit(DIABETES, PROGRESSION)
    new = rng.normal(scale=0.08, size=(2000, 10))
    made = model.predict(new)
    assert made.shape == (2000, 3)
    assert (np.diff(made, axis=1) >= 0).all()
    assert (np.diff(model.predict(new, output_margin=True), axis=1) < 0).any()  # the trees do
    assert 0 < model.score(DIABETES, PROGRESSION) < 1
    mixed = losskit.quantile(q=(0.9, 0.1))
    made = Regressor(mixed, **SMALL).fit(DIABETES, PROGRESSION).predict(new)
    assert (made[:, 0] >= made[:, 1]).all()


def test_a_mean_and_its_spread():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(1500, 1))
    y = 50 + 10 * x[:, 0] + (1 + 9 * x[:, 0]) * rng.normal(size=1500)
    model = Regressor("gaussian_nll", n_jobs=1, n_estimators=100, learning_rate=0.1, max_depth=2)
    mean, sd = model.fit(x, y).predict(np.array([[0.05], [0.95]])).T
    assert sd[0] == pytest.approx(1.45, rel=0.3)
    assert sd[1] == pytest.approx(9.55, rel=0.3)
    assert mean[0] == pytest.approx(50.5, abs=1.5)


def test_targets_side_by_side():
    y = np.stack([PROGRESSION, 500 - PROGRESSION], axis=1)
    for loss in ("squared_error", "huber", "absolute_error", "quantile"):
        model = Regressor(loss, n_jobs=1, n_estimators=60).fit(DIABETES, y)
        assert model.predict(DIABETES).shape == y.shape
        assert model.score(DIABETES, y) > 0.5
    with pytest.raises(ValueError, match="gives 2 predictions of one target; y has 2"):
        Regressor("gaussian_nll", **SMALL).fit(DIABETES, y)


def test_own_loss():
    @losskit.loss(target=losskit.Domain(), optimum="mean")
    def upwards(y, f):
        """Charges too low three times."""
        from losskit.formula import where

        r = f - y
        return where(r < 0, 3 * r * r, r * r)

    model = Regressor(upwards, **SMALL).fit(DIABETES, PROGRESSION)
    plain = Regressor("squared_error", **SMALL).fit(DIABETES, PROGRESSION)
    made, other = (upwards(PROGRESSION, m.predict(DIABETES)) for m in (model, plain))
    assert made < other


# --- weights, evaluation, early stopping


def test_rows_of_weight_zero_may_hold_anything():
    w = np.ones(len(PROGRESSION))
    w[[3, 40]] = 0
    y = PROGRESSION.copy()
    y[[3, 40]] = np.nan
    model = Regressor("gamma", **SMALL).fit(DIABETES, y, sample_weight=w)
    other = Regressor("gamma", **SMALL).fit(DIABETES, PROGRESSION, sample_weight=w)
    np.testing.assert_array_equal(model.predict(DIABETES), other.predict(DIABETES))
    y = NAMES.astype(object)
    y[5] = None
    w = np.where(np.arange(150) == 5, 0.0, 1.0)
    assert Classifier(**SMALL).fit(IRIS, y, sample_weight=w).classes_.tolist() == sorted(set(NAMES))


@pytest.mark.parametrize("loss", ["huber", "poisson", "absolute_error"])
def test_early_stopping_on_the_fitted_loss(loss):
    train, test = slice(0, 300), slice(300, None)
    w = np.random.default_rng(0).uniform(size=142)
    model = Regressor(
        loss, n_jobs=1, n_estimators=500, early_stopping_rounds=5, eval_metric=["rmse"]
    ).fit(
        DIABETES[train], PROGRESSION[train], eval_set=[(DIABETES[test], PROGRESSION[test])],
        sample_weight_eval_set=[w], verbose=False,
    )  # fmt: skip
    log = model.evals_result()["validation_0"]
    assert list(log) == ["rmse", f"losskit_{loss}"]
    values = log[f"losskit_{loss}"]
    assert model.best_iteration == int(np.argmin(values)) == len(values) - 6
    made = losskit.get(loss)(PROGRESSION[test], model.predict(DIABETES[test]), sample_weight=w)
    assert made == pytest.approx(values[model.best_iteration], rel=1e-5)
    assert model.best_score == values[model.best_iteration]


def test_early_stopping_of_classes_by_name():
    model = Classifier(n_jobs=1, n_estimators=300, early_stopping_rounds=3).fit(
        IRIS[::2], NAMES[::2], eval_set=[(IRIS[1::2], NAMES[1::2])], verbose=False
    )
    assert model.best_iteration < 299
    values = model.evals_result()["validation_0"]["losskit_cross_entropy"]
    p = model.predict_proba(IRIS[1::2])
    assert losskit.cross_entropy(SPECIES[1::2], p) == pytest.approx(min(values), rel=1e-4)
    with pytest.raises(ValueError, match="'rose', which is none of the classes"):
        model.fit(IRIS, NAMES, eval_set=[(IRIS, np.where(NAMES == "setosa", "rose", NAMES))])


# --- as estimators


def test_saved_and_loaded(tmp_path):
    @losskit.loss(target=losskit.Domain(), optimum="mean")
    def rounded(y, f, c: float = 2.0):
        """Grows like the logarithm far out."""
        from losskit.formula import log1p

        r = (f - y) / c
        return log1p(r * r)

    for loss in ("poisson", losskit.quantile(q=(0.2, 0.7)), losskit.gaussian_nll, rounded(c=90.0)):
        model = Regressor(loss, **SMALL).fit(DIABETES, PROGRESSION)
        path = tmp_path / "model.ubj"
        model.save_model(path)
        again = Regressor(**SMALL).load_model(path)
        np.testing.assert_array_equal(again.predict(DIABETES), model.predict(DIABETES))
        assert repr(again.loss_) == repr(model.loss_)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copied.predict(DIABETES), model.predict(DIABETES))
        again.fit(DIABETES, PROGRESSION)  # with its own parameters
    model = Classifier("hinge", **SMALL).fit(IRIS, NAMES)
    model.save_model(path)
    again = Classifier()
    again.load_model(path)
    assert again.classes_.tolist() == model.classes_.tolist()
    np.testing.assert_array_equal(again.predict(IRIS), model.predict(IRIS))
    xgb.XGBRegressor(**SMALL).fit(DIABETES, PROGRESSION).save_model(path)
    with pytest.raises(ValueError, match="no loss of losskit's"):
        Regressor().load_model(path)


def test_parameters():
    model = Regressor("huber", curvature="exact", learning_rate=0.1, grow_policy="lossguide")
    params = model.get_params()
    assert params["loss"] == "huber"
    assert params["learning_rate"] == 0.1
    assert "objective" not in params
    again = clone(model)
    assert again.get_params() == params
    assert "huber" in repr(again)
    fitted = again.set_params(loss=losskit.huber(delta=3.0), n_jobs=1, n_estimators=3).fit(
        DIABETES, PROGRESSION
    )
    assert fitted.loss_ == losskit.huber(delta=3.0)
    assert fitted.curvature_ == "exact"
    fitted.set_params(learning_rate=0.2)
    assert isinstance(fitted, xgb.XGBRegressor)
    assert fitted.start_ == losskit.huber(delta=3.0).start_score(PROGRESSION)
    assert fitted.intercept_[0] == pytest.approx(fitted.start_)
    search = GridSearchCV(
        Regressor(n_jobs=1, n_estimators=3), {"loss": ["huber", "squared_error"]}, cv=2
    ).fit(DIABETES, PROGRESSION)
    assert search.best_params_["loss"] == "squared_error"


def test_tables_of_all_kinds():
    frame = pd.DataFrame(DIABETES, columns=[f"x{i}" for i in range(10)])
    model = Regressor("huber", **SMALL).fit(frame, pd.Series(PROGRESSION))
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    assert model.feature_importances_.shape == (10,)
    expected = model.predict(frame)
    other = Regressor("huber", **SMALL).fit(sparse.csr_matrix(DIABETES), PROGRESSION)
    assert other.predict(sparse.csr_matrix(DIABETES)).shape == expected.shape
    frame["kind"] = pd.Categorical(np.where(PROGRESSION > 140, "high", "low"))
    model = Regressor("huber", enable_categorical=True, **SMALL).fit(
        frame, PROGRESSION, eval_set=[(frame[::-1], PROGRESSION[::-1])], verbose=False
    )
    assert model.score(frame, PROGRESSION) > 0.7
    held = model.evals_result()["validation_0"]["losskit_huber"][-1]
    assert held == pytest.approx(losskit.huber(PROGRESSION, model.predict(frame)), rel=1e-5)


def test_offsets():
    exposure = np.random.default_rng(0).uniform(0.5, 5, len(PROGRESSION))
    y = PROGRESSION * exposure
    model = Regressor("poisson", **SMALL).fit(DIABETES, y, base_margin=np.log(140 * exposure))
    made = model.predict(DIABETES, base_margin=np.log(140 * exposure))
    assert np.corrcoef(made, y)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("model", "y", "match"),
    [
        (Regressor("poisson"), [1.0, -2.0, 3.0], r"poisson: y_true\[1\] = -2"),
        (Regressor(), [1.0, np.nan, 3.0], r"y\[1\] is NaN"),
        (Regressor("accuracy"), [1.0, 2.0, 3.0], "accuracy.* is a metric"),
        (Regressor("cross_entropy"), [0, 1, 2], "loss over the class axis"),
        (Regressor("log_loss"), [0, 1, 2], "loss of classes"),
        (Classifier(), ["a", "a", "a"], "one class"),
        (Classifier(), [0.5, 1.5, 2.5], "continuous"),
        (Classifier("poisson"), [0, 1, 0], "is no loss of classes"),
        (Classifier("gaussian_nll"), [0, 1, 0], "a classifier needs a loss of one"),
        (Regressor(base_score=0.5), [1.0, 2.0, 3.0], "base_score=0.5 cannot be passed: train"),
        (Classifier(scale_pos_weight=2.0), [0, 1, 0], "scale_pos_weight.*ignored"),
        (Regressor(quantile_alpha=0.5), [1.0, 2.0, 3.0], "quantile_alpha.*losskit.quantile"),
        (Regressor(objective="reg:gamma"), [1.0, 2.0, 3.0], "objective='reg:gamma'.*loss="),
    ],
    ids=lambda one: repr(one)[:30],
)
def test_mistakes_are_told_in_one_line(model, y, match):
    with pytest.raises((ValueError, TypeError), match=match) as error:
        model.fit([[0.0], [1.0], [2.0]], y)
    assert "\n" not in str(error.value)


def test_more_mistakes():
    X = [[0.0], [1.0], [2.0]]
    with pytest.raises(ValueError, match="zero in every row"):
        Regressor().fit(X, [1.0, 2.0, 3.0], sample_weight=[0.0, 0.0, 0.0])
    with pytest.raises(TypeError, match="eval_metric takes names"):
        Regressor(eval_metric=np.mean, **SMALL).fit(X, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="sample_weight_eval_set has 1 parts; eval_set has 0"):
        Regressor().fit(X, [1.0, 2.0, 3.0], sample_weight_eval_set=[[1.0]])
    with pytest.raises(losskit.Unsupported, match="triplet"):
        Regressor("triplet").fit(X, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="y has 2 rows, X has 3"):
        Regressor().fit(X, [1.0, 2.0])
    for y, match in (([1.0, 2.0], "y has 2 rows, X has 3"), ([1, np.nan, 2], r"y\[1\] is NaN")):
        with pytest.raises(ValueError, match=rf"^eval_set\[1\]: {match}"):
            Regressor().fit(X, [1.0, 2.0, 3.0], eval_set=[(X, [1.0, 2.0, 3.0]), (X, y)])
