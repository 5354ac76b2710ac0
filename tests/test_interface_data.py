"""Weights, masks, bad values, clipping, places for results, accumulation; in both tiers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from losskit import binary_cross_entropy as bce
from losskit import gaussian_nll, huber, poisson

Y = np.array([1.0, 2.0, 9.0])
F = np.array([1.5, 2.0, 2.0])
TIERS = ("numpy", "numba")


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


# --- bad values --------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="none is left"):
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


# --- clipping ----------------------------------------------------------------------------


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


# --- out= --------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="out has 1 arrays; needed is one for each"):
        huber.gradient_and_hessian(Y, F, out=(np.zeros(3),))
    with pytest.raises(ValueError, match="out= receives derivatives"):
        huber(Y, F, out=np.zeros(3))


def test_read_only_places_are_refused() -> None:
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for tier in TIERS:
        with pytest.raises(ValueError, match=r"read-only|writeable"):
            huber.gradient(Y, F, out=frozen, tier=tier)


# --- accumulation ------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_parts_add_up(tier: str) -> None:
    parts = [
        huber.accumulate(Y[s], F[s], tier=tier) for s in (slice(0, 1), slice(1, 1), slice(1, 3))
    ]
    assert sum(parts).value == huber(Y, F)
    assert (parts[0] + parts[2]).value == huber(Y, F)
    with pytest.raises(ValueError, match="sum to zero"):
        parts[1].value  # noqa: B018
    with pytest.raises(TypeError):
        parts[0] + 1.0
    both = [huber.accumulate(Y[s], F[s], gradient=True) for s in (slice(0, 1), slice(1, 3))]
    assert sum(both).gradient.tolist() == [0.5, 0, -1]
