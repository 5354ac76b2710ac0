"""Training on from a model, and reading the file of another kind of one."""

import numpy as np
import pytest
import xgboost as xgb

import losskit
from losskit.xgboost import Classifier, Regressor
from xgboost_cases import BENIGN, COUNTS, DIABETES, IRIS, PARAMS, PROGRESSION, SPECIES, TUMOURS

SMALL = {"n_jobs": 1, "n_estimators": 10, "max_depth": 3}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "loss", ["cross_entropy", *(pytest.param(n, marks=SLOW) for n in ("poisson", "gaussian_nll"))]
)
def test_training_goes_on_from_a_booster_its_file_and_its_bytes(loss, tmp_path):
    X, y = (IRIS, SPECIES) if loss == "cross_entropy" else (DIABETES, COUNTS)
    matrix, path = xgb.DMatrix(X, y), tmp_path / "model.ubj"
    ours = losskit.get(loss).to("xgboost")
    expected = ours.predict(ours.train(PARAMS, matrix, 20), matrix)
    half = ours.train(PARAMS, matrix, 10)
    half.save_model(path)
    for model in (half, path, bytes(half.save_raw()), half.save_raw()):
        made = ours.train(PARAMS, matrix, 10, xgb_model=model)
        np.testing.assert_allclose(ours.predict(made, matrix), expected, rtol=1e-5)
    with pytest.raises(TypeError, match="xgb_model is a dict; needed is a Booster"):
        ours.train(PARAMS, matrix, 10, xgb_model={})


def test_an_early_stop_is_over_when_training_goes_on():
    """XGBoost keeps the best iteration of the model that it began with."""
    train, test = (xgb.DMatrix(DIABETES[s], PROGRESSION[s]) for s in (slice(300), slice(300, None)))
    ours, told = losskit.squared_error.to("xgboost"), {**PARAMS, "eta": 0.6}
    stopped = ours.train(
        told, train, 60, evals=[(test, "test")], early_stopping_rounds=3, verbose_eval=False
    )
    assert 0 < stopped.best_iteration < 20
    longer = ours.train({**PARAMS, "eta": 0.05}, train, 40, xgb_model=stopped)
    np.testing.assert_array_equal(ours.predict(longer, train), longer.predict(train))
    assert stopped.best_iteration < stopped.num_boosted_rounds()  # the user's is as it was
    kept = xgb.train({**PARAMS, "eta": 0.05}, train, 40, xgb_model=stopped)
    assert kept.best_iteration == stopped.best_iteration  # XGBoost's own
    model = Regressor("huber", **SMALL | {"n_estimators": 60, "learning_rate": 0.9})
    model.set_params(early_stopping_rounds=2).fit(
        DIABETES[:300], PROGRESSION[:300], eval_set=[(DIABETES[300:], PROGRESSION[300:])],
        verbose=False,
    )  # fmt: skip
    more = Regressor("huber", **SMALL).fit(DIABETES[:300], PROGRESSION[:300], xgb_model=model)
    rest = (DIABETES[:300], PROGRESSION[:300])
    assert more.score(*rest) > model.score(*rest) + 0.1
    again = model.set_params(early_stopping_rounds=None).fit(*rest)
    assert not hasattr(again, "evals_result_")  # of the fit before


def test_scores_of_another_kind_are_refused():
    counts, two = xgb.DMatrix(DIABETES, COUNTS), xgb.DMatrix(TUMOURS, BENIGN)
    means = losskit.squared_error.to("xgboost").train(PARAMS, counts, 3)
    with pytest.raises(ValueError, match=r"another link than that of losskit\.poisson") as error:
        losskit.poisson.to("xgboost").train(PARAMS, counts, 3, xgb_model=means)
    assert "\n" not in str(error.value)
    own = xgb.train({**PARAMS, "objective": "binary:logistic"}, two, 3)
    losskit.focal.to("xgboost").train(PARAMS, two, 3, xgb_model=own)  # of the same link
    with pytest.raises(ValueError, match=r"another link than that of losskit\.squared_error"):
        losskit.squared_error.to("xgboost").train(PARAMS, two, 3, xgb_model=own)
    with pytest.raises(ValueError, match=r"gives 1 scores a row, .*gaussian_nll needs 2"):
        losskit.gaussian_nll.to("xgboost").train(PARAMS, counts, 3, xgb_model=means)


def test_classes_of_another_model_are_refused():
    model = Classifier(**SMALL).fit(TUMOURS, np.where(BENIGN, "benign", "malign"))
    with pytest.raises(ValueError, match=r"classes \['benign', 'malign'\], y has \['no', 'yes'\]"):
        Classifier(**SMALL).fit(TUMOURS, np.where(BENIGN, "no", "yes"), xgb_model=model)
    three = Classifier(**SMALL).fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\], y has \[0, 1\]"):
        Classifier(**SMALL).fit(IRIS[:100], SPECIES[:100], xgb_model=three.get_booster())
    once = Classifier(**SMALL | {"n_estimators": 20}).fit(IRIS, SPECIES).predict_proba(IRIS)
    twice = Classifier(**SMALL).fit(IRIS, SPECIES, xgb_model=three).predict_proba(IRIS)
    np.testing.assert_allclose(twice, once, atol=1e-5)


def test_a_file_of_the_other_estimator_is_refused(tmp_path):
    path = tmp_path / "model.json"
    Classifier(**SMALL).fit(IRIS, SPECIES).save_model(path)
    with pytest.raises(TypeError, match="Expecting: regressor, got: classifier"):  # XGBoost's own
        Regressor().load_model(path)
    # A booster of `train` tells XGBoost of no kind.
    ours = losskit.cross_entropy.to("xgboost")
    ours.train(PARAMS, xgb.DMatrix(IRIS, SPECIES), 3).save_model(path)
    with pytest.raises(ValueError, match="tells no classes, load it by Regressor"):
        Classifier().load_model(path)
    model = Regressor()
    model.load_model(path)
    assert model.predict(IRIS).shape == (150, 3)
    booster = Classifier(**SMALL).fit(IRIS, SPECIES).get_booster()
    xgb.Booster(model_file=bytearray(booster.save_raw("json"))).save_model(path)
    booster.set_attr(scikit_learn=None)
    booster.save_model(path)
    with pytest.raises(ValueError, match="is of classes, load it by Classifier"):
        Regressor().load_model(path)


@pytest.mark.parametrize(
    "told",
    [
        {"booster": "dart", "rate_drop": 0.3},
        {"multi_strategy": "multi_output_tree"},
        {"num_parallel_tree": 10, "subsample": 0.7, "colsample_bynode": 0.5},
        pytest.param({"booster": "gblinear"}, marks=SLOW),
        pytest.param({"tree_method": "approx"}, marks=SLOW),
        pytest.param({"grow_policy": "lossguide", "max_leaves": 6}, marks=SLOW),
    ],
    ids=lambda told: next(iter(told)),
)
def test_other_kinds_of_models_are_the_hosts(told):
    settings = {**PARAMS, "seed": 3, **told}
    if told.get("booster") == "gblinear":
        del settings["max_depth"]
    y = PROGRESSION
    if "multi_strategy" in told:
        y = np.stack([PROGRESSION, 300 - PROGRESSION + 100 * DIABETES[:, 0]], axis=1)
    rest, test = xgb.DMatrix(DIABETES[:300], y[:300]), xgb.DMatrix(DIABETES[300:], y[300:])
    ours, log = losskit.squared_error.to("xgboost"), {}
    start = np.ravel(ours.start(y[:300])).tolist()
    start = start if y.ndim == 2 else start[0]
    theirs = xgb.train({**settings, "base_score": start}, rest, 10)
    made = ours.train(
        settings, rest, 10, evals=[(test, "test")], evals_result=log, verbose_eval=False
    )
    expected = theirs.predict(test)
    np.testing.assert_allclose(made.predict(test), expected, atol=1e-5 * np.ptp(expected))
    seen = losskit.squared_error(y[300:], made.predict(test))
    assert log["test"]["losskit_squared_error"][-1] == pytest.approx(seen, rel=1e-6)


def test_data_in_parts_give_the_model_of_the_whole(tmp_path):
    w = np.linspace(0.5, 2, 442).astype(np.float32)

    class Parts(xgb.DataIter):
        def __init__(self, name):
            super().__init__(cache_prefix=str(tmp_path / name))
            self.place = 0

        def next(self, input_data):
            if self.place == 2:
                return False
            rows = slice(self.place * 221, (self.place + 1) * 221)
            input_data(data=DIABETES[rows], label=PROGRESSION[rows], weight=w[rows])
            self.place += 1
            return True

        def reset(self):
            self.place = 0

    whole = xgb.QuantileDMatrix(DIABETES, PROGRESSION, weight=w)
    for loss in (losskit.absolute_error, losskit.huber(delta=20.0)):
        ours = loss.to("xgboost")
        expected = ours.predict(ours.train(PARAMS, whole, 8), DIABETES)
        for data in (
            xgb.ExtMemQuantileDMatrix(Parts(loss.name)),
            xgb.DMatrix(Parts("d" + loss.name)),
        ):
            made = ours.train(PARAMS, data, 8, evals=[(data, "train")], verbose_eval=False)
            np.testing.assert_allclose(ours.predict(made, DIABETES), expected, rtol=1e-5)
