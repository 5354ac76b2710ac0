"""XGBoost's own objectives, and what a loss makes of its models: the same, in any unit."""

import json

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import make_friedman1

import losskit
from losskit.xgboost import Classifier
from losskit.xgboost.rounds import Rounds, derivatives
from xgboost_cases import DIABETES, OWN, PARAMS, PROGRESSION


def own_start(matrix, own):
    """Return what XGBoost itself starts at, as `base_score`."""
    booster = xgb.train({**PARAMS, **own}, matrix, 1)
    config = json.loads(booster.save_config())
    return json.loads(config["learner"]["learner_model_param"]["base_score"])


def claims():
    """Return the losses that say they are an objective of XGBoost's."""
    every = [losskit.get(name) for name in losskit.names()]
    return {loss.name for loss in every if any("xgboost" in one for one in loss.same_as)}


def test_every_claim_has_a_row():
    assert {loss.name for loss, _, _ in OWN.values()} == claims()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", OWN)
def test_the_hosts_curvature_gives_the_hosts_model(name, weighted):
    loss, features, y = OWN[name]
    w = np.random.default_rng(5).integers(0, 4, len(y)) if weighted else None
    matrix = xgb.DMatrix(features, y, weight=w)
    ours = loss.to("xgboost", curvature="host")
    own = ours.params(matrix)
    # XGBoost starts some losses elsewhere than at the best constant: one start for both. That of
    # its pseudo-Huber is beyond all targets (1758 of 25 to 346), and nothing is learnt from there.
    if name != "pseudo-huber":
        own["base_score"] = own_start(matrix, {k: v for k, v in own.items() if k != "base_score"})
    if "quantile" in name:  # between targets: where one is met, our slope is 0, XGBoost's 1 − q
        own["base_score"] = (np.array(own["base_score"]) + 0.01).tolist()
    theirs = xgb.train({**PARAMS, **own}, matrix, 30)
    made = xgb.train({**PARAMS, **own}, matrix, 30, obj=ours.objective)
    expected = theirs.predict(matrix)
    np.testing.assert_allclose(made.predict(matrix), expected, atol=1e-5 * np.ptp(expected))
    assert np.ptp(expected) > 0.1 * np.ptp(y)
    if name not in ("squared log", "pseudo-huber"):  # where rounding moves a split's last digit
        splits = [tree.Split for tree in (theirs.trees_to_dataframe(), made.trees_to_dataframe())]
        np.testing.assert_allclose(splits[1], splits[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["squared", "logistic", "poisson", "absolute", "softmax"])
def test_one_call_is_the_hosts_model_with_its_own_start(name):
    loss, features, y = OWN[name]
    matrix = xgb.DMatrix(features, y)
    ours = loss.to("xgboost")
    assert ours.curvature == "host"
    told = {k: v for k, v in ours.params(matrix).items() if k != "base_score"}
    expected = xgb.train({**PARAMS, **told}, matrix, 30).predict(matrix)
    made = ours.predict(ours.train(PARAMS, matrix, 30), matrix)
    np.testing.assert_allclose(made, expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize("loss", [losskit.absolute_error, losskit.quantile(q=0.8)], ids=repr)
def test_straight_losses_predict_as_well_as_the_hosts_own(loss):
    features, y = make_friedman1(2000, noise=2.0, random_state=0)
    train, test = (
        xgb.DMatrix(features[part], y[part]) for part in (slice(1000), slice(1000, None))
    )
    ours = loss.to("xgboost")
    told = {k: v for k, v in ours.params(train).items() if k != "base_score"}
    params = {**PARAMS, "eta": 0.1}
    theirs = loss(y[1000:], xgb.train({**params, **told}, train, 60).predict(test))
    made = loss(y[1000:], ours.predict(ours.train(params, train, 60), test))
    assert made <= 1.05 * theirs
    # By hand the scikit-learn interface declares nothing that renews leaves: worse, but it learns.
    by_hand = xgb.XGBRegressor(
        objective=ours.objective, base_score=ours.start(y[:1000]), n_estimators=60, max_depth=3,
        learning_rate=0.1, n_jobs=1,
    ).fit(features[:1000], y[:1000])  # fmt: skip
    start = loss(y[1000:], np.full(1000, ours.start(y[:1000])))
    assert loss(y[1000:], by_hand.predict(features[1000:])) < 0.7 * start


def steps(ours, matrix, **train):
    """Return what one round adds to each row's raw scores, each row a leaf: −gradient/curvature."""
    alone = {"eta": 1.0, "lambda": 0.0, "min_child_weight": 0.0, "max_depth": 14, "nthread": 1}
    told = {**ours.params(matrix), **alone, "tree_method": "exact"}
    booster = xgb.train(told, matrix, 1, **train)
    margin = matrix.get_base_margin()
    made = booster.predict(matrix, output_margin=True)
    return made - margin.reshape(made.shape)


@pytest.mark.parametrize(
    "loss",
    [
        losskit.poisson, losskit.gamma, losskit.tweedie(power=1.3), losskit.msle,
        losskit.pseudo_huber(delta=2.0), losskit.binary_cross_entropy, losskit.cross_entropy,
    ],
    ids=lambda loss: loss.name,
)  # fmt: skip
def test_rules_of_the_installed_version_row_by_row(loss):
    rng = np.random.default_rng(0)
    rows = 40
    y = rng.gamma(2.0, size=rows)
    f = np.linspace(-4, 4, rows) if loss.link.name != "identity" else np.linspace(-0.9, 12, rows)
    if loss.link.name == "logit":
        y = np.arange(rows) % 2
    if loss.name == "cross_entropy":
        y, f = np.arange(rows) % 3, rng.normal(scale=2, size=(rows, 3))
    matrix = xgb.DMatrix(np.arange(rows, dtype=float)[:, None], y, base_margin=f)
    ours = loss.to("xgboost", curvature="host")
    theirs, made = steps(ours, matrix), steps(ours, matrix, obj=ours.objective)
    if f.ndim == 1:
        np.testing.assert_allclose(made, theirs, rtol=2e-5, atol=2e-5)
        return
    # The classes share rows, so that trees differ in which rows they set apart: the sums agree.
    np.testing.assert_allclose(made, theirs, rtol=1e-4, atol=1e-4)


def test_a_round_of_quantiles_of_targets_side_by_side():
    y = np.stack([PROGRESSION, -PROGRESSION], axis=1)
    matrix = xgb.DMatrix(DIABETES, y)
    ours = losskit.quantile(q=0.3).to("xgboost")
    booster = ours.train(PARAMS, matrix, 40)
    made = ours.predict(booster, matrix)
    assert made.shape == y.shape
    start = np.broadcast_to(ours.start(y), y.shape)
    assert ours.core.metric(y, made) < 0.8 * ours.core.metric(y, start)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "quantile"])
def test_targets_in_other_units_give_predictions_in_those(name):
    ours = losskit.get(name).to("xgboost")
    plain, large = (xgb.DMatrix(DIABETES, factor * PROGRESSION) for factor in (1.0, 1000.0))
    small = ours.predict(ours.train(PARAMS, plain, 30), plain)
    made = ours.predict(ours.train(PARAMS, large, 30), large)
    np.testing.assert_allclose(made, 1000 * small, rtol=1e-4)


@pytest.mark.parametrize("unit", [pytest.param(1e-4, marks=pytest.mark.slow), 1e5])
def test_losses_without_an_objective_of_the_hosts_learn_in_any_unit(unit):
    y = unit * PROGRESSION
    for loss in (
        losskit.huber(delta=10 * unit), losskit.asymmetric_absolute, losskit.gaussian_nll,
        losskit.epsilon_insensitive(epsilon=unit), losskit.inverse_gaussian, losskit.lp,
    ):  # fmt: skip
        matrix = xgb.DMatrix(DIABETES, y)
        ours = loss.to("xgboost")
        booster = ours.train(PARAMS, matrix, 30)
        scores = booster.predict(matrix, output_margin=True)
        start = np.broadcast_to(ours.start(y), scores.shape)
        own, base = (ours.core.metric(y, one) for one in (scores, start))
        least = np.mean(loss.infimum(y)) if loss.name != "gaussian_nll" else base - 1.0
        assert own - least < 0.8 * (base - least), loss


@pytest.mark.parametrize("name", ["squared_error", "poisson", "absolute_error", "cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_later_rounds_have_the_derivatives_of_a_call_by_itself(name, weighted):
    rng = np.random.default_rng(0)
    y, w = rng.integers(0, 3, 300).astype(float), rng.uniform(0, 2, 300) if weighted else None
    core, data = losskit.get(name).to("xgboost").core, xgb.DMatrix(np.zeros((300, 1)))
    rounds = Rounds(core, y, w, None)
    for _ in range(3):
        f = rng.normal(size=(300, 3) if name == "cross_entropy" else 300).astype(np.float32)
        alone = derivatives(core, y, f, w)
        for found, expected in zip(rounds(f, data), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_weights_are_repeated_rows_as_far_as_float32_tells():
    worst = {Classifier: 0.0, xgb.XGBClassifier: 0.0}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, w = rng.random((30, 30)), rng.integers(0, 5, 30)
        y = rng.permutation(np.arange(30) % 3)
        for kind in worst:
            model = kind(n_jobs=1, n_estimators=5, min_child_weight=0)
            made, same = (
                model.fit(*data, sample_weight=weight).predict(X, output_margin=True)
                for data, weight in (((X, y), w), ((X.repeat(w, axis=0), y.repeat(w)), None))
            )
            worst[kind] = max(worst[kind], np.max(np.abs(made / same - 1)))
    assert 1e-7 < worst[xgb.XGBClassifier] < 1e-5
    assert worst[Classifier] < 1e-5
