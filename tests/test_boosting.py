"""What boosters are given: derivatives at the host's scale, a curvature by policy, a start."""

import copy
import pickle
from functools import cache

import numpy as np
import pytest

import losskit
from laws.samples import sample
from losskit.boosting import hosts
from losskit.boosting.curvature import POLICIES, policy_for, properties_of
from losskit.boosting.objective import FLOOR, objective


@cache
def made_for(name, host):
    """Return an objective, found once: to choose its curvature takes longer than most tests."""
    return objective(name, host)


def is_trainable(name):
    try:
        made_for(name, "lightgbm")
    except losskit.Unsupported:
        return False
    return True


TRAINABLE = [name for name in losskit.names() if is_trainable(name)]
POINTWISE = [name for name in TRAINABLE if name in losskit.names("pointwise")]


def data(loss, size=80):
    """Return targets and raw scores of a loss: of one number, or of three classes or labels."""
    rng = np.random.default_rng(3)
    if loss.kind == "pointwise":
        y, f = sample(loss, size, seed=3)
        return y, np.clip(f, -5, 5)
    f = rng.normal(size=(size, 3))
    if loss.definition.axis == "label":
        return rng.integers(0, 2, (size, 3)), f
    return rng.integers(0, 3, size), f


def test_what_a_booster_cannot_train_with_says_why():
    refused = {name for name in losskit.names() if name not in TRAINABLE}
    for name in refused:
        with pytest.raises(losskit.Unsupported, match=name):
            objective(name, "lightgbm")
    assert {"zero_one", "triplet", "lambda_rank", "softmax_ranking", "ordinal"} <= refused
    assert len(TRAINABLE) > 45


@pytest.mark.parametrize(
    "host", [h if h == "lightgbm" else pytest.param(h, marks=pytest.mark.slow) for h in hosts.HOSTS]
)
@pytest.mark.parametrize("name", TRAINABLE)
def test_derivatives_are_the_losss_at_the_hosts_scale(name, host):
    loss = losskit.get(name)
    y, f = data(loss)
    w = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    made = made_for(name, host)
    gradient, hessian = made.gradient_and_hessian(y, f, w)
    factor = 1.0 if made.own is None else made.own.factor
    true = loss.gradient(y, f, raw=True, reduction="sum", sample_weight=w)
    np.testing.assert_allclose(factor * gradient, true, rtol=1e-12, atol=1e-14)
    assert hessian.shape == f.shape
    counts = w.reshape(-1, *[1] * (f.ndim - 1)) > 0
    assert (hessian[np.broadcast_to(counts, f.shape)] > 0).all()
    assert (hessian[~np.broadcast_to(counts, f.shape)] == 0).all()
    assert made.metric(y, f, w) == loss(y, f, raw=True, sample_weight=w)


@pytest.mark.parametrize("name", TRAINABLE)
def test_scores_of_float32_give_float32(name):
    loss = losskit.get(name)
    y, f = data(loss)
    for array in made_for(name, "lightgbm").gradient_and_hessian(y, f.astype(np.float32)):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous


def test_squares_are_handed_over_as_the_hosts_have_them():
    for host in hosts.HOSTS:
        gradient, hessian = objective("squared_error", host).gradient_and_hessian(
            np.array([1.0, 2.0]), np.array([3.0, 2.0])
        )
        assert gradient.tolist() == [2.0, 0.0]
        assert hessian.tolist() == [1.0, 1.0]


DISTANCES = [
    name
    for name in POINTWISE
    if losskit.get(name).target_domain == losskit.formula.REAL
    and len(losskit.get(name).outputs) == 1
    and properties_of(losskit.get(name)).differentiable
    and properties_of(losskit.get(name)).symmetric
]


def secant_falls(loss):
    """Say whether slope/distance falls with the distance, on both sides."""
    r = np.logspace(-3, 2, 100)
    for side in (r, -r):
        secant = loss.gradient(0 * r, side, reduction="none") / side
        if (np.diff(secant) > 1e-9 * np.abs(secant[1:])).any():
            return False
    return True


def test_robust_losses_are_majorized():
    assert {"huber", "log_cosh", "cauchy", "fair", "barron", "lp"} <= {
        name for name in DISTANCES if secant_falls(losskit.get(name))
    }


@pytest.mark.parametrize("name", [n for n in DISTANCES if secant_falls(losskit.get(n))])
def test_a_majorizing_parabola_lies_above_the_loss(name):
    loss = losskit.get(name)
    made = objective(loss, "xgboost", curvature="majorizer")
    factor = 1.0 if made.own is None else made.own.factor
    at, to = np.random.default_rng(0).normal(scale=3, size=(2, 400))
    y = np.zeros(400)
    gradient, hessian = made.gradient_and_hessian(y, at)
    parabola = loss(y, at, reduction="none") + factor * (
        gradient * (to - at) + hessian * (to - at) ** 2 / 2
    )
    assert (parabola >= loss(y, to, reduction="none") - 1e-9).all()


def test_expected_curvature():
    f = np.array([-1.0, 0.0, 2.0])
    y = np.array([1.0, 5.0, 0.3])
    expected = {
        "gamma": np.ones(3),
        "poisson": np.exp(f),
        "inverse_gaussian": np.exp(-f),
        "binary_cross_entropy": np.exp(-f) / (1 + np.exp(-f)) ** 2,
    }
    for name, true in expected.items():
        target = y if name != "binary_cross_entropy" else np.array([0.0, 1.0, 1.0])
        made = objective(name, "catboost", curvature="fisher")
        np.testing.assert_allclose(made.gradient_and_hessian(target, f)[1], true, rtol=1e-13)
    assert objective("inverse_gaussian", "xgboost").curvature == "fisher"
    with pytest.raises(losskit.Unsupported, match="expected curvature is known where"):
        objective("huber", "xgboost", curvature="fisher")


def test_host_rules_by_version():
    own = hosts.counterpart(losskit.poisson, "xgboost")
    old, new = hosts.rule(own, "3.2.0"), hosts.rule(own, "3.5.0-dev")
    assert (old.formula, new.formula) == ("exp(f + 0.7)", "(y + 2·exp f)/3")
    assert hosts.rule(hosts.counterpart(losskit.squared_error, "lightgbm"), "4.7.0") is None
    y, f = np.array([0.0, 3.0]), np.array([0.1, -0.4])
    hessian = objective("poisson", "lightgbm", curvature="host").gradient_and_hessian(y, f)[1]
    np.testing.assert_allclose(hessian, np.exp(f + 0.7), rtol=1e-14)
    z = np.array([[0.2, -0.3, 0.9]])
    p = np.exp(z) / np.exp(z).sum()
    for host, factor in (("xgboost", 2.0), ("lightgbm", 1.5)):
        hessian = objective("cross_entropy", host).gradient_and_hessian(np.array([1]), z)[1]
        np.testing.assert_allclose(hessian, factor * p * (1 - p), rtol=1e-13)
    with pytest.raises(losskit.Unsupported, match="is not an objective of xgboost"):
        objective("huber", "xgboost", curvature="host")


@pytest.mark.parametrize("name", ["absolute_error", "quantile", "epsilon_insensitive"])
def test_straight_losses_step_in_the_targets_units(name):
    rng = np.random.default_rng(5)
    y = rng.normal(size=500) + 3
    loss = losskit.get(name)
    large = loss(epsilon=100.0) if name == "epsilon_insensitive" else loss
    f = np.zeros(500)
    g, h = objective(loss, "xgboost").gradient_and_hessian(y, f)
    g1000, h1000 = objective(large, "xgboost").gradient_and_hessian(1000 * y, f)
    np.testing.assert_array_equal(g, g1000)
    np.testing.assert_allclose(h1000, h / 1000, rtol=1e-12)
    if name == "absolute_error":
        assert h[0] == pytest.approx(1 / np.mean(np.sqrt(np.abs(y))) ** 2)
    nearer = objective(loss, "xgboost").gradient_and_hessian(y, np.full(500, 3.0))[1]
    assert nearer[0] > 1.5 * h[0]  # grows as residuals shrink


def test_weights_of_a_typical_distance():
    y, f = np.array([1.0, 4.0, 49.0]), np.zeros(3)
    h = objective("absolute_error", "xgboost").gradient_and_hessian(y, f, np.array([1, 1, 2.0]))[1]
    np.testing.assert_allclose(h, np.array([1, 1, 2]) / ((1 + 2 + 2 * 7) / 4) ** 2)
    h = objective("absolute_error", "xgboost").gradient_and_hessian(y, f, np.array([5, 0, 0.0]))[1]
    np.testing.assert_allclose(h, [5, 0, 0])


def test_most_rows_at_the_bend_do_not_make_steps_vanish():
    y = np.repeat([1.0, -1.0], [70, 30])
    h = objective("hinge", "xgboost").gradient_and_hessian(y, np.full(100, 1.001))[1]
    assert h[0] < 5  # half the jump of the slope over what 30 rows lack, not over 0.001


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_start_is_the_best_constant(name):
    loss = losskit.get(name)
    y, f = data(loss)
    made = made_for(name, "lightgbm")
    start = np.asarray(made.start(y))
    assert start.shape == f.shape[1:]
    at = np.broadcast_to(start, f.shape)
    best = made.metric(y, at)
    if loss.kind == "rows" and loss.definition.axis == "label":
        assert np.isfinite(start).all()  # these saturate, and start from the frequencies
        return
    assert best <= made.metric(y, 0 * f) + 1e-12
    if name in ("crammer_singer", "multiclass_perceptron"):
        return  # piecewise linear: searched for, not solved
    for step in (-0.05, 0.05):
        assert best <= made.metric(y, at + step * np.ones_like(f)) + 1e-9


def test_several_quantiles_and_targets_side_by_side():
    band = losskit.quantile(q=(0.1, 0.5, 0.9))
    made = objective(band, "lightgbm")
    y = np.random.default_rng(2).normal(size=200)
    start = made.start(y)
    assert (np.diff(start) > 0).all()
    for shape in ((200, 4), (200,)):
        with pytest.raises(ValueError, match=r"scores have shape .*; needed is \(rows, 3\)"):
            made.gradient_and_hessian(y, np.zeros(shape))
        with pytest.raises(ValueError, match="scores have shape"):
            made.predictions(np.zeros(shape))
    g, h = made.gradient_and_hessian(y, np.tile(start, (200, 1)))
    assert g.shape == h.shape == (200, 3)
    crossed = made.predictions(np.array([[3.0, 1.0, 2.0]]))
    assert crossed.tolist() == [[1.0, 2.0, 3.0]]
    two = objective("squared_error", "xgboost")
    targets = np.stack([y, 2 * y + 1], axis=1)
    np.testing.assert_allclose(two.start(targets), targets.mean(axis=0))
    assert two.gradient_and_hessian(targets, 0 * targets)[0].shape == (200, 2)


def test_predictions_undo_the_link():
    f = np.array([0.0, 1.0])
    assert objective("poisson", "xgboost").predictions(f).tolist() == [1.0, np.exp(1.0)]
    assert objective("bce", "xgboost").predictions(f)[0] == 0.5
    rows = objective("cross_entropy", "xgboost").predictions(np.array([[0.0, 1.0, 2.0]]))
    assert rows.sum() == pytest.approx(1.0)
    both = objective("gaussian_nll", "xgboost").predictions(np.array([[3.0, 0.0]]))
    assert both.tolist() == [[3.0, 1.0]]


def test_a_users_own_loss():
    @losskit.loss
    def soft(y, f, scale: losskit.formula.Positive = 2.0):
        r = (f - y) / scale
        return losskit.formula.sqrt(1 + r * r) - 1

    made = objective(soft(scale=3.0), "catboost")
    assert made.curvature == "majorizer"
    g, h = made.gradient_and_hessian(np.zeros(2), np.array([0.0, 3.0]))
    np.testing.assert_allclose(g, [0, 1 / 3 / np.sqrt(2)])
    np.testing.assert_allclose(h, [1 / 9, 1 / 9 / np.sqrt(2)])


def test_mistakes_are_said_before_training():
    with pytest.raises(ValueError, match=r"hinge.*y_true\[0\] = 0"):
        objective("hinge", "xgboost").start(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"host='sklearn'; needed is one of xgboost"):
        objective("huber", "sklearn")
    with pytest.raises(ValueError, match="curvature='exakt'; needed is one of 'exact'"):
        objective("huber", "xgboost", curvature="exakt")
    with pytest.raises(ValueError, match="is a metric"):
        objective("accuracy", "xgboost")
    with pytest.raises(ValueError, match="by the number of classes"):
        objective("log_loss", "xgboost")
    assert len(POLICIES) == 5
    assert FLOOR == 1e-16


@pytest.mark.parametrize("name", POINTWISE)
def test_a_step_is_never_infinite(name):
    loss = losskit.get(name)
    if len(loss.outputs) > 1:
        pytest.skip("has several scores")
    made = made_for(name, "lightgbm")
    if made.curvature == "host":
        pytest.skip("is as LightGBM has it")
    y, f = data(loss, 400)
    gradient, hessian = made.gradient_and_hessian(y, f)
    assert (np.abs(gradient / hessian) < 1e4 * (1 + np.abs(f - y))).all()


@pytest.mark.parametrize("curvature", [*POLICIES, "auto"])
@pytest.mark.parametrize("name", ["squared_error", "quantile", "hinge", "mape", "cross_entropy"])
def test_rows_of_weight_0_may_hold_nan(name, curvature):
    loss = losskit.get(name)
    y, f = data(loss)
    w = np.random.default_rng(1).integers(0, 3, len(y)).astype(float)
    try:
        made = objective(loss, "xgboost", curvature=curvature)
    except losskit.Unsupported:
        return
    blank = np.where(w > 0, y, np.nan)
    for found, true in zip(
        made.gradient_and_hessian(blank, f, w), made.gradient_and_hessian(y, f, w), strict=True
    ):  # fmt: skip
        np.testing.assert_array_equal(found, true)
    np.testing.assert_array_equal(made.start(blank, w), made.start(y, w))
    assert made.metric(blank, f, w) == made.metric(y, f, w)


def test_labels_of_rows_of_weight_0_may_be_nan_in_the_start():
    y, w = np.array([[1.0, 0], [0, 0], [np.nan, np.nan]]), np.array([1.0, 1, 0])
    made = objective("multilabel_cross_entropy", "xgboost")
    np.testing.assert_array_equal(made.start(y, w), made.start(y[:2], w[:2]))


@pytest.mark.parametrize("kind", [int, bool, np.float16])
def test_scores_of_other_types_have_a_curvature_too(kind):
    made = objective("absolute_error", "xgboost")
    found = made.gradient_and_hessian(np.array([3.0, -2.0]), np.zeros(2, kind))
    for one, true in zip(
        found, made.gradient_and_hessian(np.array([3.0, -2.0]), np.zeros(2)), strict=True
    ):  # fmt: skip
        assert one.dtype == np.float64
        np.testing.assert_array_equal(one, true)


@pytest.mark.parametrize(
    "name", ["squared_error", "cauchy", "linex", "poisson", "msle", "gaussian_nll", "smape"]
)
def test_constant_curvature_is_of_losses_that_are_straight_far_out(name):
    with pytest.raises(losskit.Unsupported, match=f"{name} is not straight far from the target"):
        objective(name, "xgboost", curvature="constant")
    objective("huber", "xgboost", curvature="constant")


def test_no_majorizer_of_several_outputs():
    with pytest.raises(losskit.Unsupported, match="gaussian_nll: its curvature has no upper bound"):
        objective("gaussian_nll", "xgboost", curvature="majorizer")


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_any_number_of_classes_may_have_weights(classes):
    weights = tuple(np.arange(1.0, classes + 1))
    y, f = np.arange(classes), np.random.default_rng(0).normal(size=(classes, classes))
    labels = np.eye(classes)
    for loss, target in (
        (losskit.cross_entropy(class_weight=weights), y),
        (losskit.cross_entropy(class_weight=weights, ignore_index=0), y),
        (losskit.weston_watkins(class_weight=weights), y),
        (losskit.multilabel_cross_entropy(pos_weight=weights), labels),
    ):
        made = objective(loss, "xgboost")
        found, hessian = made.gradient_and_hessian(target, f)
        true = loss.gradient(target, f, raw=True, reduction="sum")
        np.testing.assert_allclose(found, true, rtol=1e-12)
        assert (hessian > 0).all()


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "cross_entropy"])
def test_a_copy_has_the_same_curvature(name):
    loss = losskit.get(name)
    y, f = data(loss)
    made = objective(loss, "catboost", floor=0.3)
    true = made.gradient_and_hessian(y, f)
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (again.curvature, again.why) == (made.curvature, made.why)
        for one, other in zip(again.gradient_and_hessian(y, f), true, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["absolute_error", "huber"])
def test_targets_of_any_size_are_learned_alike(name):
    y, f = data(losskit.get(name))
    curvature = "constant" if name == "absolute_error" else "majorizer"
    loss, unit = losskit.get(name), 1e25
    if name == "huber":
        loss = loss(delta=unit)
    gradient, hessian = objective(loss, "xgboost", curvature=curvature).gradient_and_hessian(
        unit * y, unit * f
    )
    small = objective(name, "xgboost", curvature=curvature).gradient_and_hessian(y, f)
    np.testing.assert_allclose(gradient / hessian, unit * small[0] / small[1], rtol=1e-9)


def test_whether_a_curvature_fades_is_no_matter_of_units():
    for c in (1e-11, 1.0, 1e5):
        assert policy_for(losskit.fair(c=c), "lightgbm")[0] == "host"
        assert policy_for(losskit.huber(delta=c), "catboost")[0] == "majorizer"
    assert policy_for(losskit.log_cosh, "catboost")[0] == "majorizer"


@pytest.mark.parametrize("floor", [0, -1, np.nan, True, 1e-50, "a"])
def test_a_floor_is_a_number_that_float32_has(floor):
    with pytest.raises(ValueError, match="needed is a number above 0, of those that float32 has"):
        objective("hinge", "xgboost", floor=floor)
    hessian = objective("hinge", "xgboost", floor=2e-38).gradient_and_hessian(
        np.ones(1), np.full(1, 1e30, np.float32)
    )[1]
    assert hessian[0] > 0
