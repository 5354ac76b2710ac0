"""LightGBM's silent failures, its own result beside ours."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import losskit
from lightgbm_cases import QUIET, diabetes, example

lgb = pytest.importorskip("lightgbm")


def documented(preds, data):
    """The squared error as LightGBM's examples hand-write it."""
    return preds - data.get_label(), np.ones(len(preds))


def test_a_hand_written_objective_starts_at_0_and_ours_at_the_best_constant():
    X, y = diabetes()  # whole numbers from 25 to 346
    seen = []

    def by_hand(preds, data):
        seen.append(preds[0])
        return np.exp(preds) - data.get_label(), np.exp(preds)

    asked = {**QUIET, "objective": by_hand, "boost_from_average": True}
    theirs = np.exp(lgb.train(asked, lgb.Dataset(X, y), 10).predict(X))
    assert seen[0] == 0.0  # boost_from_average was asked for, and ignored without a word
    ours = losskit.poisson.to("lightgbm", curvature="exact")
    made = ours.predict(ours.train(QUIET, lgb.Dataset(X, y), 10), X)
    assert made.mean() == pytest.approx(y.mean(), rel=0.02)
    assert theirs.max() > 1e4  # from a mean of 1 the first step of e^f overshoots
    assert losskit.poisson(y, made) < losskit.poisson(y, theirs) - 1000


def test_a_hand_written_squared_error_is_another_model():
    X, y = diabetes()
    built_in = lgb.train({**QUIET, "objective": "regression"}, lgb.Dataset(X, y), 10).predict(X)
    theirs = lgb.train({**QUIET, "objective": documented}, lgb.Dataset(X, y), 10).predict(X)
    ours = losskit.squared_error.to("lightgbm").train(QUIET, lgb.Dataset(X, y), 10).predict(X)
    np.testing.assert_allclose(ours, built_in, rtol=1e-9)
    assert losskit.squared_error(y, theirs) > 2 * losskit.squared_error(y, ours)


def test_weights_vanish_from_two_arguments_and_not_from_ours():
    X, y = diabetes()
    heavy = np.where(y > 150, 100.0, 1.0)
    settings = {"n_estimators": 10, "verbosity": -1, "n_jobs": 1}

    def two(y_true, y_pred):
        return y_pred - y_true, np.ones_like(y_pred)

    fits = [lgb.LGBMRegressor(objective=two, **settings).fit(X, y, sample_weight=w).predict(X)
            for w in (None, heavy)]  # fmt: skip
    assert np.array_equal(*fits)
    ours = losskit.squared_error.to("lightgbm")
    plain, weighed = (
        lgb.LGBMRegressor(objective=ours.objective, **settings)
        .fit(X, y, sample_weight=w, init_score=np.full(len(y), ours.start(y, w)))
        .predict(X)
        + ours.start(y, w)
        for w in (None, heavy)
    )
    built_in = lgb.LGBMRegressor(**settings).fit(X, y, sample_weight=heavy).predict(X)
    np.testing.assert_allclose(weighed, built_in, rtol=1e-6)
    assert np.abs(weighed - plain).max() > 10


def test_integer_weights_are_repeated_rows():
    _, y = diabetes()
    ours = losskit.poisson.to("lightgbm", curvature="exact")
    w = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    f = np.full(len(y), 4.9)
    gradient, hessian = ours.objective(y, f, w)
    one, other = ours.objective(np.repeat(y, w.astype(int)), np.repeat(f, w.astype(int)))
    assert gradient.sum() == pytest.approx(one.sum())
    assert hessian.sum() == pytest.approx(other.sum())
    assert ours.start(y, w) == pytest.approx(ours.start(np.repeat(y, w.astype(int))), rel=1e-6)


def test_no_curvature_no_trees_and_ours_has_one():
    X, y = diabetes()

    def by_hand(preds, data):  # the derivatives of |preds − y|, as a calculus book has them
        return np.sign(preds - data.get_label()), np.zeros(len(preds))

    theirs = lgb.train({**QUIET, "objective": by_hand}, lgb.Dataset(X, y), 20).predict(X)
    assert np.ptp(theirs) == 0  # one leaf, for ever, without an error
    ours = losskit.absolute_error.to("lightgbm")
    made = ours.predict(ours.train(QUIET, lgb.Dataset(X, y), 20), X)
    assert losskit.absolute_error(y, made) < 0.8 * losskit.absolute_error(
        y, np.full(len(y), np.median(y))
    )


def test_a_missing_target_becomes_0_and_ours_is_an_error():
    X, y = diabetes()
    y[3] = np.nan
    data = lgb.Dataset(X, y)
    lgb.train({**QUIET, "objective": "regression"}, data, 1)
    assert data.get_label()[3] == 0.0
    with pytest.raises(ValueError, match=r"y_true\[3\] = nan"):
        losskit.squared_error.to("lightgbm").train(QUIET, lgb.Dataset(X, y), 1)


@pytest.mark.parametrize(
    ("loss", "bad", "message"),
    [
        ("hinge", 0.0, r"y_true\[5\] = 0"),
        ("poisson", -1.0, r"y_true\[5\] = -1"),
        ("binary_cross_entropy", 2.0, r"y_true\[5\] = 2"),
        ("squared_error", np.inf, r"y_true\[5\] = inf"),
        ("cross_entropy", -1.0, "row 5 is -1"),
        ("cross_entropy", 0.5, "row 5 is 0.5"),
    ],
)
def test_targets_that_a_loss_does_not_take_are_named_before_training(loss, bad, message):
    X, y = example(losskit.get(loss))
    y[5] = bad
    with pytest.raises(ValueError, match=message) as caught:
        losskit.get(loss).to("lightgbm").train(QUIET, lgb.Dataset(X, y), 1)
    assert "\n" not in str(caught.value)


def test_held_out_targets_are_named_with_their_set():
    X, y = diabetes()
    wrong = np.where(np.arange(442) == 3, -1.0, y)
    poisson = losskit.poisson.to("lightgbm")
    train, test = lgb.Dataset(X, y), lgb.Dataset(X, wrong)
    for told, name in (({}, "valid_1"), ({"valid_names": ["train", "mine"]}, "mine")):
        with pytest.raises(ValueError, match=rf"^valid set '{name}': poisson: y_true\[3\] = -1"):
            poisson.train(QUIET, train, 1, valid_sets=[train, test], **told)


def test_any_label_above_0_is_positive_for_lightgbm():
    X, y = load_breast_cancer(return_X_y=True)
    spoiled = np.where(y == 1, 7, 0)
    lgb.train({**QUIET, "objective": "binary"}, lgb.Dataset(X, spoiled), 1)
    with pytest.raises(ValueError, match=r"y_true\[19\] = 7"):
        losskit.binary_cross_entropy.to("lightgbm").train(QUIET, lgb.Dataset(X, spoiled), 1)


def test_weights_of_nothing():
    X, y = diabetes()
    for w, message in ((np.zeros(len(y)), "positive weight"), (-np.ones(len(y)), "weight")):
        with pytest.raises(ValueError, match=message):
            losskit.huber.to("lightgbm").train(QUIET, lgb.Dataset(X, y, weight=w), 1)


def test_data_that_cannot_be_split_is_an_error_of_custom_objectives_only():
    X, y = np.zeros((30, 2)), np.arange(30.0)
    with pytest.raises(lgb.basic.LightGBMError, match="num_features"):
        lgb.train({**QUIET, "objective": documented}, lgb.Dataset(X, y), 3)
    ours = losskit.cross_entropy.to("lightgbm")
    made = ours.train(QUIET, lgb.Dataset(X, y % 3), 3)
    np.testing.assert_allclose(ours.predict(made, X[:1]), [[1 / 3, 1 / 3, 1 / 3]])
