"""LightGBM's estimators with any loss: predictions, probabilities, early stopping, files."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import losskit
from losskit.formula import REAL, maximum

lgb = pytest.importorskip("lightgbm")

from losskit.lightgbm import Classifier, Regressor  # noqa: E402 - where LightGBM is

QUIET = {"verbosity": -1, "n_jobs": 1, "n_estimators": 20}


def diabetes():
    """Return features and progression of 442 patients."""
    return load_diabetes(return_X_y=True)


def test_a_regressor_is_lightgbms_with_another_loss():
    X, y = diabetes()
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    ours = Regressor("squared_error", curvature="host", **QUIET).fit(X, y, sample_weight=w)
    theirs = lgb.LGBMRegressor(**QUIET).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)
    np.testing.assert_array_equal(ours.feature_importances_, theirs.feature_importances_)
    assert ours.n_features_in_ == 10
    assert ours.start_ == pytest.approx(np.average(y, weights=w), rel=1e-6)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-5)


def test_a_classifier_is_lightgbms_with_another_loss():
    for load in (load_breast_cancer, load_wine):
        X, codes = load(return_X_y=True)
        y = np.array(["zero", "one", "two"])[codes]
        ours = Classifier(curvature="host", **QUIET).fit(X, y)
        theirs = lgb.LGBMClassifier(**QUIET).fit(X, y)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
        assert (ours.predict(X) == theirs.predict(X)).all()
        assert ours.classes_.tolist() == sorted(set(y))


def test_lightgbms_probabilities_of_a_custom_objective_are_raw_scores_and_ours_are_probabilities():
    X, y = load_breast_cancer(return_X_y=True)

    def by_hand(y_true, y_pred):
        p = 1 / (1 + np.exp(-y_pred))
        return p - y_true, p * (1 - p)

    with pytest.warns(UserWarning, match="Cannot compute class probabilities"):
        theirs = lgb.LGBMClassifier(objective=by_hand, **QUIET).fit(X, y).predict_proba(X)
    assert theirs.shape == (len(y),)
    assert theirs.min() < 0
    for loss in ("auto", "exponential", "logistic_margin", "cross_entropy"):
        made = Classifier(loss, **QUIET).fit(X, y).predict_proba(X)
        assert made.shape == (len(y), 2)
        assert (made >= 0).all()
        np.testing.assert_allclose(made.sum(axis=1), 1, rtol=1e-12)
        assert abs(made[:, 1].mean() - y.mean()) < 0.05


@pytest.mark.parametrize("loss", ["auto", "hinge", "exponential", "crammer_singer", "focal"])
@pytest.mark.parametrize(
    "labels",
    [("b", "a", "c"), *(pytest.param(one, marks=pytest.mark.slow) for one in ((3, 10, 20),
                                                                              (b"x", b"y", b"z")))],
)  # fmt: skip
def test_classes_of_any_type_that_sorts(loss, labels):
    X, codes = load_wine(return_X_y=True)
    y = np.array(labels)[codes]
    settings = {**QUIET, "n_estimators": 60, "learning_rate": 0.3}
    model = Classifier(loss, **settings).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.9
    assert model.decision_function(X).shape == (len(y), 3)
    two = Classifier(loss, **settings).fit(X[codes < 2], y[codes < 2])
    assert two.decision_function(X).shape == (len(y),)
    assert (two.predict(X[codes < 2]) == y[codes < 2]).mean() > 0.9


def test_a_loss_that_tells_no_probabilities_says_so():
    X, y = load_breast_cancer(return_X_y=True)
    model = Classifier("hinge", **QUIET)
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError, match=r"no predict_proba: losskit\.hinge tells no prob"):
        model.fit(X, y).predict_proba(X)


def test_weights_of_classes():
    X, y = load_breast_cancer(return_X_y=True)
    for given in ("balanced", {0: 3.0, 1: 0.5}):
        ours = Classifier(curvature="host", class_weight=given, **QUIET).fit(X, y)
        theirs = lgb.LGBMClassifier(class_weight=given, **QUIET).fit(X, y)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_early_stopping_on_the_loss_of_held_out_data():
    X, y = diabetes()
    w = np.random.default_rng(0).uniform(0.5, 2, 142)
    settings = {**QUIET, "n_estimators": 300, "learning_rate": 0.2, "early_stopping_round": 5}
    model = Regressor("gamma", **settings)
    model.fit(X[:300], y[:300], eval_set=[(X[300:], y[300:])], eval_sample_weight=[w])
    best = losskit.gamma(y[300:], model.predict(X[300:]), sample_weight=w)
    assert 0 < model.best_iteration_ < 200
    assert model.best_score_["valid_0"]["losskit_gamma"] == pytest.approx(best, rel=1e-6)
    again = clone(model).fit(X[:300], y[:300], eval_X=(X[300:],), eval_y=(y[300:],))
    assert list(again.evals_result_["valid_0"]) == ["losskit_gamma"]


def test_early_stopping_of_classes():
    X, codes = load_wine(return_X_y=True)
    y, test = np.array(["x", "y", "z"])[codes], np.arange(len(codes)) % 3 == 0
    model = Classifier("hinge", **QUIET, early_stopping_round=5)
    model.fit(X[~test], y[~test], eval_X=X[test], eval_y=y[test])
    target = np.where(codes[test, None] == np.arange(3), 1.0, -1.0)
    value = losskit.hinge(target, model.decision_function(X[test]))
    assert model.best_score_["valid_0"]["losskit_hinge"] == pytest.approx(value, rel=1e-6)
    with pytest.raises(ValueError, match="none of the classes"):
        model.fit(X[~test], y[~test], eval_X=X[test], eval_y=np.full(test.sum(), "q"))


def test_several_quantiles_and_their_order():
    X, y = diabetes()
    model = Regressor(losskit.quantile(q=(0.1, 0.5, 0.9)), **QUIET).fit(X, y)
    made = model.predict(X)
    assert made.shape == (len(y), 3)
    assert (np.diff(made, axis=1) >= 0).all()
    below = (y[:, None] < made).mean(axis=0)
    assert (np.diff(below) > 0.1).all()
    loss, every = losskit.quantile(q=(0.1, 0.5, 0.9)), np.ones((len(y), 1))
    base = loss(y, every * np.quantile(y, [0.1, 0.5, 0.9], method="inverted_cdf"))
    assert model.score(X, y) == pytest.approx(1 - loss(y, made) / base, rel=1e-3)
    with pytest.raises(NotFittedError):
        Regressor(loss).score(X, y)


def test_outputs_with_links_of_their_own():
    X, y = diabetes()
    model = Regressor("gaussian_nll", **QUIET).fit(X, y)
    mean, sd = model.predict(X).T
    assert (sd > 0).all()
    assert losskit.gaussian_nll(y, np.stack([mean, sd], axis=1)) < losskit.gaussian_nll(
        y, np.tile([y.mean(), y.std()], (len(y), 1))
    )


@pytest.mark.parametrize("loss", ["huber", "poisson", "absolute_error"])
def test_a_saved_model_predicts_the_same(loss, tmp_path):
    X, y = diabetes()
    model = Regressor(loss, **QUIET).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    model.booster_.save_model(tmp_path / "model.txt")
    booster = lgb.Booster(model_file=tmp_path / "model.txt")
    np.testing.assert_allclose(booster.predict(X), model.predict(X), rtol=1e-12)


def test_a_saved_classifier_predicts_the_same(tmp_path):
    X, codes = load_wine(return_X_y=True)
    y = np.array(["x", "y", "z"])[codes]
    for loss in ("auto", "focal", "crammer_singer"):
        model = Classifier(loss, **QUIET).fit(X, y)
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.decision_function(X), model.decision_function(X))
        assert np.array_equal(again.predict(X), model.predict(X))
    model = Classifier(**QUIET).fit(X, y)
    model.booster_.save_model(tmp_path / "model.txt")
    booster = lgb.Booster(model_file=tmp_path / "model.txt")
    np.testing.assert_allclose(booster.predict(X), model.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        Regressor(losskit.quantile(q=(0.2, 0.8)), **QUIET),
        Regressor("gaussian_nll", early_stopping_round=2, **QUIET),
        Classifier("exponential", **QUIET),
        Classifier(**QUIET),
    ],
    ids=repr,
)
def test_an_estimators_file_has_its_loss(model, tmp_path):
    X, y = diabetes()
    if isinstance(model, Classifier):
        y = np.array(["low", "middle", "high"])[np.digitize(y, [100, 200])]
    model.fit(X[:300], y[:300], eval_X=X[300:], eval_y=y[300:])
    model.save_model(tmp_path / "model.txt")
    again = type(model)().load_model(tmp_path / "model.txt")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.loss_ == model.loss_
    if isinstance(model, Classifier):
        assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    alone = lgb.Booster(model_file=tmp_path / "model.txt")
    assert np.array_equal(alone.predict(X), model.booster_.predict(X))
    alone.save_model(tmp_path / "alone.txt")
    with pytest.raises(ValueError, match=r"alone\.txt tells no loss"):
        again.load_model(tmp_path / "alone.txt")


def test_a_users_own_loss_travels(tmp_path):
    @losskit.loss(target=REAL, optimum="quantile")
    def cost(y, f):
        """Charges three times as much for what is too little."""
        r = f - y
        return maximum(-3 * r, r)

    X, y = diabetes()
    model = Regressor(cost, **QUIET).fit(X, y)
    same = Regressor(losskit.asymmetric_absolute(alpha=3.0), **QUIET).fit(X, y)
    np.testing.assert_allclose(model.predict(X), same.predict(X), rtol=1e-6)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    model.save_model(tmp_path / "model.txt")
    assert np.array_equal(Regressor().load_model(tmp_path / "model.txt").predict(X),
                          model.predict(X))  # fmt: skip


def test_rows_of_weight_0_may_hold_anything():
    X, y = diabetes()
    w = np.where(np.arange(len(y)) % 5 == 0, 0.0, 1.0)
    spoiled = np.where(w == 0, np.nan, y)
    for curvature in ("exact", "host"):
        model = Regressor("poisson", curvature=curvature, **QUIET)
        one = model.fit(X, y, sample_weight=w).predict(X)
        assert np.array_equal(model.fit(X, spoiled, sample_weight=w).predict(X), one)


def test_parameters_are_lightgbms_and_the_losss():
    model = Regressor("huber", num_leaves=7, **QUIET)
    assert repr(model).startswith("losskit.lightgbm.Regressor(loss='huber', num_leaves=7")
    copy = clone(model).set_params(loss="fair", learning_rate=0.5)
    assert (copy.loss, copy.get_params()["learning_rate"], copy.num_leaves) == ("fair", 0.5, 7)
    assert model.get_params()["loss"] == "huber"
    X, y = diabetes()
    search = GridSearchCV(model, {"loss": ["huber", "squared_error"], "num_leaves": [3, 7]}, cv=2)
    assert search.fit(X, y).best_params_["loss"] in ("huber", "squared_error")
    with pytest.raises(ValueError, match="objective='regression'"):
        Regressor("huber", objective="regression", **QUIET).fit(X, y)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (Regressor("poisson"), [-1.0], r"y_true\[0\] = -1"),
        (Regressor(), [np.nan], r"y\[0\] is NaN"),
        (Regressor("cross_entropy"), [1.0], "fit a Classifier"),
        (Classifier("poisson"), [0, 1], "is no loss of classes"),
        (Classifier(), [0.5, 1], "continuous"),
        (Classifier(), [1, 1], "one class"),
        (Regressor(), [[1.0, 2.0]], "one target"),
        (Classifier(), [[1, 0], [0, 1]], "one class a row"),
    ],
)
def test_targets_that_do_not_fit_are_named_before_training(model, y, message):
    X = np.arange(40.0).reshape(-1, 1)
    many = np.resize(np.array(y, dtype=float), (40, *np.shape(y)[1:]))
    with pytest.raises(ValueError, match=message):
        model.fit(X, many)


def test_held_out_targets_that_do_not_fit_are_named_with_their_set():
    X, y = diabetes()
    wrong = np.where(np.arange(442) == 3, -1.0, y)
    with pytest.raises(ValueError, match=r"^eval_set\[1\]: poisson: y_true\[3\] = -1"):
        Regressor("poisson", **QUIET).fit(X, y, eval_set=[(X, y), (X, wrong)])
    with pytest.raises(ValueError, match=r"^eval_y\[0\]: y has 9 rows, X has 442"):
        Regressor("poisson", **QUIET).fit(X, y, eval_X=X, eval_y=y[:9])


def test_metrics_are_to_be_read():
    with pytest.raises(TypeError, match="the usual loss to train with"):
        Classifier("accuracy").fit([[0.0], [1.0]], [0, 1])


def test_frames_with_categories():
    pd = pytest.importorskip("pandas")
    X, y = diabetes()
    frame = pd.DataFrame(X[:, :3], columns=["age", "sex", "bmi"])
    frame["sex"] = np.where(frame["sex"] > 0, "f", "m")
    frame["sex"] = frame["sex"].astype("category")
    model = Regressor("huber", **QUIET).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["age", "sex", "bmi"]
    assert model.predict(frame).shape == (len(y),)
    assert model.predict(frame, pred_leaf=True).shape == (len(y), 20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_scikit_learns_checks_pass_where_lightgbms_do(kind):
    from sklearn.utils.estimator_checks import check_estimator

    def failing(model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the checks' own data
            found = check_estimator(model, on_fail=None, on_skip=None)
        return {one["check_name"] for one in found if one["status"] == "failed"}

    settings = {"verbosity": -1, "n_jobs": 1, "n_estimators": 10}
    theirs = failing(getattr(lgb, f"LGBM{kind}")(**settings))
    assert "check_all_zero_sample_weights_error" in theirs
    assert failing({"Regressor": Regressor, "Classifier": Classifier}[kind](**settings)) == set()
