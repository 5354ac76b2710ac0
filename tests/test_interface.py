"""Calling a loss: data, options, results, errors; in the tier of small arrays and of large ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import losskit
from losskit import binary_cross_entropy as bce
from losskit import gaussian_nll, huber, poisson, squared_error

Y = np.array([1.0, 2.0, 9.0])
F = np.array([1.5, 2.0, 2.0])
TIERS = ("numpy", "numba")


# --- calling -----------------------------------------------------------------------------------


def test_a_call_gives_a_python_float() -> None:
    for tier in (None, *TIERS):
        value = huber(Y, F, tier=tier)
        assert type(value) is float
        assert value == (0.125 + 0 + 6.5) / 3
    assert type(huber(Y, F, reduction="sum")) is float
    assert type(huber(1.0, 2.0)) is float


def test_a_loss_with_parameters_is_another_loss() -> None:
    other = huber(delta=1.5)
    assert other is not huber
    assert other.params == {"delta": 1.5}
    assert huber.params == {"delta": 1.0}
    assert repr(other) == "losskit.huber(delta=1.5)"
    assert repr(huber) == "losskit.huber"
    assert huber(delta=1) == huber
    assert hash(huber(delta=1)) == hash(huber)
    assert huber() is huber
    assert other(delta=1.0) == huber
    assert losskit.get("huber", delta=1.5) == other
    assert losskit.get("focal", alpha=0.25)(alpha=None) == losskit.focal
    with pytest.raises(dataclasses.FrozenInstanceError):
        huber.values = ()


def test_names_and_suggestions() -> None:
    assert losskit.mse == losskit.get("l2") == squared_error
    with pytest.raises(ValueError, match=r"no loss called 'hubr'; did you mean 'huber'"):
        losskit.get("hubr")
    with pytest.raises(AttributeError, match="did you mean 'huber'"):
        losskit.hubr  # noqa: B018
    assert not hasattr(losskit, "__wrapped__")
    assert {*losskit.names()} <= {*dir(losskit)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: huber(1.5), r"parameters go by name: huber\(delta=1.5\)"),
        (lambda: squared_error(1.5), r"takes data as \(y_true, y_pred\)"),
        (lambda: huber(Y, F, Y), "not 3 positional arguments; weights go by name"),
        (lambda: huber(Y, F, delta=2), r"parameters are set first: huber\(delta=…\)"),
        (lambda: huber(Y, F, sample_weights=Y), "did you mean 'sample_weight'"),
        (lambda: huber(dleta=2), "no parameter 'dleta'; did you mean 'delta'"),
        (lambda: huber(sample_weight=Y), r"goes with data: huber\(y_true, y_pred\)"),
        (lambda: squared_error(delta=1), "it has none"),
    ],
)
def test_wrong_calls_are_explained(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "average"}, "'mean', 'sum', 'none'"),
        ({"nan": "drop"}, "'raise', 'propagate', 'omit'"),
        ({"raw": "yes"}, "True, False"),
        ({"clip": -0.1}, r"\[0, 0.5\)"),
        ({"clip": 0.5}, r"\[0, 0.5\)"),
        ({"clip": "eps"}, "clip='eps'"),
        ({"value_out": np.zeros(3)}, "reduction='none'"),
    ],
)
def test_wrong_options_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bce([0, 1, 1], [0.5, 0.5, 0.5], **options)


# --- results -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_derivatives_are_of_what_the_call_returns(tier: str) -> None:
    w = np.array([1.0, 2.0, 5.0])
    pull = np.array([0.5, 0.0, -1.0])
    options: dict[str, Any] = {"sample_weight": w, "tier": tier}
    assert huber.gradient(Y, F, **options) == pytest.approx(w * pull / 8, rel=1e-15)
    assert huber.gradient(Y, F, reduction="sum", **options).tolist() == [0.5, 0.0, -5.0]
    assert huber.gradient(Y, F, reduction="none", **options).tolist() == [0.5, 0.0, -5.0]
    assert huber(Y, F, reduction="none", **options).tolist() == [0.125, 0.0, 32.5]
    assert huber.hessian(Y, F, reduction="sum", **options).tolist() == [1, 2, 0]
    value, gradient = huber.value_and_gradient(Y, F, **options)
    assert value == huber(Y, F, **options)
    assert (gradient == huber.gradient(Y, F, **options)).all()
    first, second = huber.gradient_and_hessian(Y, F, reduction="sum", **options)
    assert first.tolist() == [0.5, 0.0, -5.0]
    assert second.tolist() == [1, 2, 0]


@pytest.mark.parametrize("tier", TIERS)
def test_a_constant_derivative_has_the_shape_of_the_predictions(tier: str) -> None:
    assert squared_error.hessian(Y, F, reduction="sum", tier=tier).tolist() == [2, 2, 2]


@pytest.mark.parametrize("tier", TIERS)
def test_several_outputs(tier: str) -> None:
    y, p = np.array([1.0, 2.0]), np.array([[1.5, 0.5], [2.0, 2.0]])
    raw = p.copy()
    raw[:, 1] = np.log(raw[:, 1])
    value = gaussian_nll(y, p, tier=tier)
    assert value == pytest.approx(gaussian_nll(y, raw, raw=True, tier=tier), rel=1e-15)
    assert value == pytest.approx(np.mean([0.5 + math.log(0.5), math.log(2.0)]))
    for method in (gaussian_nll.gradient, gaussian_nll.hessian):
        assert method(y, p, tier=tier).shape == (2, 2)
    cube = np.stack([p, p, p])
    assert gaussian_nll.gradient(np.stack([y, y, y]), cube, tier=tier).shape == (3, 2, 2)
    with pytest.raises(ValueError, match="last axis of 2"):
        gaussian_nll(y, y)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 3), (0,), (3, 0)])
@pytest.mark.parametrize("tier", TIERS)
def test_shapes_are_kept(shape: tuple[int, ...], tier: str) -> None:
    y, f = np.zeros(shape), np.full(shape, 0.5)
    assert huber(y, f, reduction="none", tier=tier).shape == shape
    assert huber.gradient(y, f, reduction="none", tier=tier).shape == shape
    if y.size:
        assert huber(y, f, tier=tier) == 0.125
    else:
        with pytest.raises(ValueError, match="empty"):
            huber(y, f, tier=tier)
        with pytest.raises(ValueError, match="empty"):
            huber(y, f, reduction="sum", tier=tier)


@pytest.mark.parametrize(
    ("y", "f"), [((3,), (3, 1)), ((3, 1), (3,)), ((3,), (4,)), ((), (1,)), ((2, 3), (3, 2))]
)
def test_nothing_is_broadcast(y: tuple[int, ...], f: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="nothing is broadcast") as caught:
        huber(np.zeros(y), np.zeros(f))
    assert str(y) in str(caught.value)
    assert str(f) in str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("given", "made"),
    [("f8", "f8"), ("f4", "f4"), ("f2", "f2"), ("i8", "f8"), ("i4", "f8"), ("u1", "f8"), ("?", "f8")],
)
def test_the_predictions_dtype_decides(given: str, made: str, tier: str) -> None:
    f = np.array([0, 1, 1]).astype(given)
    for y in (np.array([1, 1, 0]), np.array([1.0, 1.0, 0.0]), np.array([1, 1, 0], np.float16)):
        gradient = huber.gradient(y, f, reduction="sum", tier=tier)
        assert gradient.dtype == made
        assert gradient.tolist() == [-1, 0, 1]
        assert huber(y, f, tier=tier) == 1 / 3


@pytest.mark.parametrize("tier", TIERS)
def test_half_precision_computes_in_single(tier: str) -> None:
    f = np.array([10.0, 11.0], np.float16)  # e^11 is 59874, e^12 is not a float16
    value = poisson(np.array([0.0, 0.0]), f, raw=True, tier=tier)
    assert value == pytest.approx((math.exp(10) + math.exp(11)) / 2, rel=1e-6)


@pytest.mark.parametrize("tier", TIERS)
def test_targets_are_checked_at_their_own_width(tier: str) -> None:
    f = np.array([0.5, 0.5], np.float32)
    with pytest.raises(ValueError, match=r"y_true\[1\]"):
        bce(np.array([1.0, 1 + 1e-12]), f, tier=tier)
    with pytest.raises(ValueError, match=r"y_true\[1\]"):
        losskit.focal(np.array([1, 2**40]), f, tier=tier)


def test_layouts_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    y, f = rng.normal(size=(6, 8)), rng.normal(size=(6, 8))
    value = huber(y, f)
    wide = np.repeat(f, 2, axis=1)
    swapped = f.astype(f.dtype.newbyteorder())
    frozen = f.copy()
    frozen.flags.writeable = False
    packed = np.zeros(f.size, dtype=[("pad", "i1"), ("f", "f8")])
    packed["f"] = f.ravel()
    for tier in TIERS:
        options: dict[str, Any] = {"tier": tier}
        for same in (np.asfortranarray(f), wide[:, ::2], swapped, frozen, f.tolist()):
            assert huber(y, same, **options) == value
        assert huber(y[::-1, ::-1], f[::-1, ::-1], **options) == pytest.approx(value, rel=1e-15)
        assert huber(y.ravel(), packed["f"], **options) == value
        assert huber.gradient(y, swapped, **options).dtype.isnative


def test_inputs_are_not_changed() -> None:
    y, f, w = Y.copy(), F.copy(), np.array([1.0, 0.0, 2.0])
    for tier in TIERS:
        huber.value_and_gradient(y, f, sample_weight=w, mask=np.array([True, False, True]), tier=tier)
        y[1] = np.nan
        huber(y, f, nan="omit", tier=tier)
        y[1] = 2.0
    assert (y == Y).all()
    assert (f == F).all()
    assert w.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b", "c"], "dtype <U1"),
        ([1.0, None, 2.0], "holding a NoneType"),
        (np.array(["2020-01-01"] * 3, "M8[D]"), "datetime64"),
        ([1j, 2, 3], "complex128"),
        (np.array([1.0, 2.0, 3.0], dtype=object), "astype"),
        (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), "mask=~"),
        ([[1.0], [1.0, 2.0], [1.0]], "NumPy cannot read"),
        (np.array([1, 2, 3], np.longdouble), "float64"),
    ],
)
def test_what_is_not_numbers_is_refused(value: Any, message: str) -> None:
    for name, data in (("y_true", (value, F)), ("y_pred", (Y, value))):
        with pytest.raises(TypeError, match=message) as caught:
            huber(*data)
        assert name in str(caught.value)
    with pytest.raises(TypeError, match=message):
        huber(Y, F, sample_weight=value)


# --- frames ------------------------------------------------------------------------------------


def test_frames_go_by_position() -> None:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    assert huber(pandas.Series(Y), polars.Series(F)) == huber(Y, F)
    assert huber(pandas.Series(Y, index=[7, 8, 9]), pandas.Series(F)) == huber(Y, F)
    frame = pandas.DataFrame({"y": Y, "f": F}, index=["a", "b", "c"])
    assert huber(frame.y, frame.f, sample_weight=frame.y) == huber(Y, F, sample_weight=Y)
    with pytest.raises(ValueError, match="same labels in another order"):
        huber(frame.y, frame.f[::-1])


# --- weights and masks -------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_weights_match_the_leading_axes(tier: str) -> None:
    y, f = np.zeros((2, 3)), np.arange(6.0).reshape(2, 3)
    w = np.array([1.0, 3.0])
    each = huber(y, f, reduction="none")
    expected = (each * w[:, None]).sum() / (3 * w.sum())
    assert huber(y, f, sample_weight=w, tier=tier) == pytest.approx(expected, rel=1e-15)
    assert huber(y, f, sample_weight=2.0, tier=tier) == pytest.approx(each.mean(), rel=1e-15)
    mask = np.array([True, False])
    assert huber(y, f, mask=mask, tier=tier) == pytest.approx(each[0].mean(), rel=1e-15)
    for wrong in (np.ones(3), np.ones((3, 2)), np.ones((2, 3, 1))):
        with pytest.raises(ValueError, match="sample_weight has shape"):
            huber(y, f, sample_weight=wrong, tier=tier)
    with pytest.raises(ValueError, match="mask has shape"):
        huber(y, f, mask=np.ones(3, bool), tier=tier)
    with pytest.raises(TypeError, match="True where an element counts"):
        huber(y, f, mask=np.array([1, 0]), tier=tier)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_weights_that_are_refused(bad: float, tier: str) -> None:
    with pytest.raises(ValueError, match=r"sample_weight\[1\] = ") as caught:
        huber(Y, F, sample_weight=[1.0, bad, 1.0], tier=tier)
    assert f"{bad:g}" in str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
def test_weights_that_sum_to_zero(tier: str) -> None:
    for options in ({"sample_weight": np.zeros(3)}, {"mask": np.zeros(3, bool)}):
        for method in (huber, huber.value_and_gradient, huber.gradient, huber.hessian):
            with pytest.raises(ValueError, match="sum to zero"):
                method(Y, F, tier=tier, **options)
        none = huber(Y, F, reduction="none", tier=tier, **options)
        assert none.tolist() == [0, 0, 0]


# --- bad values --------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_nan_policies(tier: str) -> None:
    y = np.array([1.0, math.nan, 9.0, 2.0])
    f = np.array([1.5, 2.0, 2.0, math.nan])
    options: dict[str, Any] = {"tier": tier}
    with pytest.raises(ValueError, match=r"huber: y_true\[1\] = nan"):
        huber(y, f, **options)
    assert huber(y, f, nan="omit", **options) == (0.125 + 6.5) / 2
    assert huber.gradient(y, f, nan="omit", **options).tolist() == [0.25, 0, -0.5, 0]
    assert huber(y, f, nan="omit", reduction="sum", **options) == 6.625
    assert math.isnan(huber(y, f, nan="propagate", **options))
    each = huber(y, f, nan="propagate", reduction="none", **options)
    np.testing.assert_array_equal(each, [0.125, math.nan, 6.5, math.nan])
    slope = huber.gradient(y, f, nan="propagate", reduction="none", **options)
    np.testing.assert_array_equal(slope, [0.5, math.nan, -1.0, math.nan])
    a = huber.accumulate(y, f, nan="omit", **options)
    assert a.denominator == (2.0, 0.0)
    with pytest.raises(ValueError, match=r"y_pred\[2\] = nan .*2 such values"):
        huber([0.0] * 4, [1, 1, math.nan, math.nan], **options)


@pytest.mark.parametrize("tier", TIERS)
def test_omitting_everything_leaves_nothing(tier: str) -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        huber([math.nan], [1.0], nan="omit", tier=tier)


@pytest.mark.parametrize("tier", TIERS)
def test_a_nan_policy_does_not_excuse_other_values(tier: str) -> None:
    with pytest.raises(ValueError, match=r"y_true\[2\] = 2 "):
        bce([math.nan, 1, 2], [0.5, 0.5, 0.5], nan="omit", tier=tier)


@pytest.mark.parametrize("tier", TIERS)
def test_infinite_scores(tier: str) -> None:
    inf = math.inf
    options: dict[str, Any] = {"raw": True, "reduction": "none", "tier": tier}
    y, f = [0, 1, 0, 1, 0.5, 0.5], [-inf, inf, inf, -inf, inf, -inf]
    assert bce(y, f, **options).tolist() == [0, 0, inf, inf, inf, inf]
    assert bce.gradient(y, f, **options).tolist() == [0, 0, 1, -1, 0.5, -0.5]
    assert bce.hessian(y, f, **options).tolist() == [0] * 6
    assert bce([0, 1], [0.0, inf], raw=True, tier=tier) == math.log(2) / 2
    assert bce([0, 1], [0.0, -inf], raw=True, tier=tier) == inf
    assert bce([0, 1], [inf, inf], raw=True, sample_weight=[0, 1], tier=tier) == 0
    assert huber([0.0], [-inf], **options).tolist() == [inf]
    assert huber.gradient([0.0, 0.0], [-inf, inf], **options).tolist() == [-1, 1]
    f32 = np.array([-inf, 0.0], np.float32)
    assert poisson.value_and_gradient([0, 1], f32, **options)[1].tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"y_true\[0\] = inf"):
        huber([inf], [0.0], tier=tier)


@pytest.mark.parametrize("tier", TIERS)
def test_errors_say_where_in_many_dimensions(tier: str) -> None:
    y, f = np.zeros((2, 3)), np.zeros((2, 3))
    y[1, 2] = math.nan
    with pytest.raises(ValueError, match=r"y_true\[1, 2\] = nan"):
        huber(y, f, tier=tier)
    p = np.ones((2, 3, 2))
    p[1, 0, 1] = -1
    with pytest.raises(ValueError, match=r"y_pred\[1, 0, 1\] = -1 .*raw=True"):
        gaussian_nll(np.zeros((2, 3)), p, tier=tier)
    with pytest.raises(ValueError, match=r"huber: y_pred = nan"):
        huber(1.0, math.nan, tier=tier)


@pytest.mark.parametrize("tier", TIERS)
def test_a_bad_value_far_into_a_large_array_is_found(tier: str) -> None:
    y, f = np.zeros(70_001), np.zeros(70_001)
    f[69_999] = math.nan
    with pytest.raises(ValueError, match=r"y_pred\[69999\] = nan"):
        huber(y, f, tier=tier)


# --- clipping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_probabilities_clip_at_the_eps_of_their_dtype(dtype: Any, tier: str) -> None:
    eps = float(np.finfo(dtype).eps)
    p = np.array([0.0, 1.0], dtype)
    loss, gradient = bce.value_and_gradient([1, 0], p, reduction="none", tier=tier)
    assert loss == pytest.approx([-math.log(eps)] * 2, rel=4 * eps)
    assert gradient == pytest.approx([-1 / eps, 1 / eps])  # the derivative where it is clipped to
    right = bce([0, 1], p, reduction="none", tier=tier)
    assert right == pytest.approx([-math.log1p(-eps)] * 2, rel=4 * eps)


@pytest.mark.parametrize("tier", TIERS)
def test_clipping_can_be_set(tier: str) -> None:
    p = np.array([0.0, 0.05, 0.5, 1.0])
    options: dict[str, Any] = {"reduction": "none", "tier": tier}
    loss = bce([1, 1, 1, 1], p, clip=0.1, **options)
    assert loss == pytest.approx([-math.log(q) for q in (0.1, 0.1, 0.5, 0.9)])
    slope = bce.gradient([1, 1, 1, 1], p, clip=0.1, **options)
    assert slope == pytest.approx([-10, -10, -2, -1 / 0.9])
    exact, slope = bce.value_and_gradient([1, 1, 0, 0], [0.0, 1.0, 0.0, 1.0], clip=0, **options)
    assert exact.tolist() == [math.inf, 0, 0, math.inf]
    assert slope.tolist() == [-math.inf, -1, 1, math.inf]
    assert bce([1, 0], [40.0, 40.0], raw=True, clip=0.4, **options)[1] == 40


# --- out= --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_results_go_where_they_are_wanted(tier: str) -> None:
    g, h, v = np.empty(3), np.empty(3), np.empty(3)
    options: dict[str, Any] = {"reduction": "none", "tier": tier}
    assert huber.gradient(Y, F, out=g, **options) is g
    assert g.tolist() == [0.5, 0, -1]
    assert huber.hessian(Y, F, out=h, **options) is h
    assert h.tolist() == [1, 1, 0]
    first, second = huber.gradient_and_hessian(Y, F, out=(h, g), **options)
    assert first is h
    assert second is g
    assert h.tolist() == [0.5, 0, -1]
    value, slope = huber.value_and_gradient(Y, F, out=g, value_out=v, **options)
    assert value is v
    assert slope is g
    assert v.tolist() == [0.125, 0, 6.5]
    assert huber(Y, F, value_out=v, **options) is v
    strided = np.zeros(6)[::2]
    assert huber.gradient(Y, F, out=strided, **options) is strided
    assert strided.tolist() == [0.5, 0, -1]
    wide = np.zeros((3, 2))
    raw = np.stack([F, np.zeros(3)], axis=1)
    assert gaussian_nll.gradient(Y, raw, raw=True, out=wide, **options) is wide
    assert wide[:, 0].tolist() == [0.5, 0, -7]


@pytest.mark.parametrize("tier", TIERS)
def test_a_result_may_replace_its_input(tier: str) -> None:
    f = F.copy()
    huber.gradient(Y, f, out=f, reduction="none", tier=tier)
    assert f.tolist() == [0.5, 0, -1]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros(4), r"shape \(3,\)"),
        (np.zeros(3, np.float32), "dtype float64, not .*float32"),
        ([0.0] * 3, "not list"),
        (np.zeros((3, 1)), r"not shape \(3, 1\)"),
    ],
)
def test_places_that_do_not_fit_are_refused(out: Any, message: str) -> None:
    for tier in TIERS:
        with pytest.raises(ValueError, match=message):
            huber.gradient(Y, F, out=out, tier=tier)
        with pytest.raises(ValueError, match=message):
            huber(Y, F, value_out=out, reduction="none", tier=tier)
    with pytest.raises(ValueError, match="out has 1 arrays; needed is one for each of: gradient, hessian"):
        huber.gradient_and_hessian(Y, F, out=(np.zeros(3),))
    with pytest.raises(ValueError, match="no derivative was asked for"):
        huber(Y, F, out=np.zeros(3))


def test_read_only_places_are_refused() -> None:
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for tier in TIERS:
        with pytest.raises(ValueError, match="read-only|writeable"):
            huber.gradient(Y, F, out=frozen, tier=tier)


# --- accumulation ------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_parts_add_up(tier: str) -> None:
    parts = [huber.accumulate(Y[s], F[s], tier=tier) for s in (slice(0, 1), slice(1, 1), slice(1, 3))]
    assert sum(parts).value == huber(Y, F)
    assert (parts[0] + parts[2]).value == huber(Y, F)
    with pytest.raises(ValueError, match="sum to zero"):
        parts[1].value  # noqa: B018
    with pytest.raises(TypeError):
        parts[0] + 1.0
    both = [huber.accumulate(Y[s], F[s], gradient=True) for s in (slice(0, 1), slice(1, 3))]
    assert sum(both).gradient.tolist() == [0.5, 0, -1]


# --- the user's own losses ---------------------------------------------------------------------


def test_a_users_loss_has_everything() -> None:
    @losskit.loss(target=losskit.formula.POSITIVE, link=("log", "log"), optimum="")
    def weibull_like(y, scale, shape, floor: losskit.formula.NonNegative = 0.0):
        """Charges a scaled distance with a floor."""
        from losskit.formula import exp, where

        r = scale - y
        return where(r > floor, r * r, abs(r)) * exp(-shape) + shape

    y, p = np.array([1.0, 2.0]), np.array([[1.5, 2.0], [0.5, 0.25]])
    assert "weibull_like" not in losskit.names()
    other = weibull_like(floor=0.5)
    assert other.params == {"floor": 0.5}
    assert other(y, p) == pytest.approx(other(y, np.log(p), raw=True))
    assert other.gradient(y, p).shape == (2, 2)
    for tier in TIERS:
        np.testing.assert_allclose(
            other.hessian(y, p, tier=tier), other.hessian(y, p), rtol=1e-14
        )
    assert other.accumulate(y, p).value == other(y, p)
    assert other.latex()
    assert other.source("numpy").startswith("def weibull_like(")
    assert np.isfinite(other.optimal_constant(y)).all()


def test_redefinition_replaces() -> None:
    def make(factor: float) -> losskit.Loss:
        @losskit.loss
        def mine(y, f):
            """Scales the error."""
            return factor * abs(f - y)

        return mine

    one, two = make(1.0), make(2.0)
    assert one([0.0], [1.0]) == 1
    assert two([0.0], [1.0]) == 2
    assert one != two
    assert one == make(1.0)
