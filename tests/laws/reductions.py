"""Weights, masks, reductions and sums over parts."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

import losskit
from laws import cases
from laws.samples import sample, spoil, weights

ULP = float(np.finfo(np.float64).eps)


def law_reductions(loss: losskit.Loss, tier: str = "numpy") -> None:
    """Mean, sum and none are one another's, in value and derivative."""
    y, f = sample(loss, 257)
    w = weights(257)
    options: dict[str, Any] = {"raw": True, "tier": tier, "sample_weight": w}
    each = loss(y, f, reduction="none", **options)
    total = loss(y, f, reduction="sum", **options)
    mean = loss(y, f, **options)
    assert isinstance(total, float)
    assert isinstance(mean, float)
    # The values of "none" are rounded once each before they are added here.
    exact, size = math.fsum(each), math.fsum(np.abs(each))
    _close(total, exact, 2 * ULP * size, loss, "sum against none")
    _close(mean, total / math.fsum(w), 4 * ULP * abs(mean), loss, "mean against sum")
    if cases.has_gradient(loss):
        for name in ("gradient", "hessian"):
            method = getattr(loss, name)
            summed, none = (method(y, f, reduction=r, **options) for r in ("sum", "none"))
            np.testing.assert_array_equal(summed, none)
            mean_of = method(y, f, **options)
            np.testing.assert_allclose(mean_of, summed / math.fsum(w), rtol=8 * ULP, atol=1e-300)


def law_weights_multiply(loss: losskit.Loss, tier: str = "numpy") -> None:
    """A weight multiplies value and derivatives: exactly, for powers of two."""
    y, f = sample(loss, 64)
    w = np.exp2(np.arange(64) % 7 - 3.0)
    options: dict[str, Any] = {"raw": True, "tier": tier, "reduction": "none"}
    for call in _calls(loss):
        plain, weighted = call(y, f, **options), call(y, f, sample_weight=w, **options)
        factor = w if plain.ndim == 1 else w[:, None]
        np.testing.assert_array_equal(weighted, plain * factor, err_msg=repr(loss))


def law_integer_weights_are_repeated_rows(loss: losskit.Loss, tier: str = "numpy") -> None:
    """A weight of 3 is the row three times."""
    y, f = sample(loss, 50)
    times = np.arange(50) % 4
    options: dict[str, Any] = {"raw": True, "tier": tier}
    a = loss(y, f, sample_weight=times, **options)
    b = loss(np.repeat(y, times), np.repeat(f, times, axis=0), **options)
    size = np.average(np.abs(loss(y, f, reduction="none", **options)), weights=times)
    _close(a, b, 4 * ULP * size, loss, "weights against repeated rows")


def law_left_out_means_left_out(loss: losskit.Loss, tier: str = "numpy") -> None:
    """Masked and zero-weight elements may hold NaN and contribute exactly nothing."""
    y, f = sample(loss, 40)
    out = np.arange(40) % 3 == 1
    w = weights(40)
    spoiled_y, spoiled_f = spoil(y, out), spoil(f, out)
    options: dict[str, Any] = {"raw": True, "tier": tier}
    kept: dict[str, Any] = {"sample_weight": w[~out], **options}
    ways: tuple[dict[str, Any], ...] = (
        {"sample_weight": np.where(out, 0.0, w)},
        {"sample_weight": w, "mask": ~out},
        {"sample_weight": np.where(out, np.nan, w), "mask": ~out},
    )
    for way in ways:
        for reduction in ("mean", "sum", "none"):
            for call in _calls(loss):
                whole = call(spoiled_y, spoiled_f, reduction=reduction, **way, **options)
                part = call(y[~out], f[~out], reduction=reduction, **kept)
                if np.ndim(whole):
                    assert (whole[out] == 0).all(), f"{loss!r}: {whole[out]}"
                    whole = whole[~out]
                np.testing.assert_allclose(whole, part, rtol=4 * ULP, atol=0, err_msg=repr(loss))


def law_parts_add_up(loss: losskit.Loss, tier: str = "numpy") -> None:
    """The sum of accumulations is the whole to 4 ulp, also where values cancel."""
    y, f = sample(loss, 300)
    w = weights(300)
    options: dict[str, Any] = {"raw": True, "tier": tier}
    each = loss(y, f, reduction="none", **options)
    for weight in (w, _cancelling(each, w)):
        whole = loss.accumulate(y, f, sample_weight=weight, **options)
        cuts = (0, 0, 1, 40, 171, 300)
        parts = [
            loss.accumulate(y[a:b], f[a:b], sample_weight=weight[a:b], **options)
            for a, b in itertools.pairwise(cuts)
        ]
        merged = sum(parts[1:], parts[0])
        _close(merged.value, whole.value, 4 * ULP * abs(whole.value), loss, "parts against whole")
        true = _exact_mean(each, weight)
        # Each product w·ℓ of the true sum may have been rounded once before it was added.
        slack = 2 * ULP * float(np.abs(each * weight).sum() / weight.sum())
        _close(merged.value, true, slack, loss, "parts against exact sum")


def law_accumulate_gives_gradients(loss: losskit.Loss) -> None:
    """`gradient=True` adds the unnormalised derivatives, joined over the parts."""
    y, f = sample(loss, 30)
    w = weights(30)
    parts = [
        loss.accumulate(y[s], f[s], sample_weight=w[s], raw=True, gradient=True)
        for s in (slice(0, 11), slice(11, 30))
    ]
    whole = loss.gradient(y, f, sample_weight=w, raw=True, reduction="sum")
    np.testing.assert_array_equal((parts[0] + parts[1]).gradient, whole)


def _calls(loss: losskit.Loss) -> list[Any]:
    if not cases.has_gradient(loss):
        return [loss]
    return [loss, loss.gradient, loss.hessian]


def _cancelling(each: Any, w: Any) -> Any:
    """Return weights with which positive and negative values nearly cancel, if there are both."""
    up, down = float((w * each)[each > 0].sum()), -float((w * each)[each < 0].sum())
    if up == 0 or down == 0:
        return w
    return np.where(each < 0, w * (up / down * (1 + 1e-9)), w)


def _exact_mean(each: Any, weight: Any) -> float:
    top = sum(Fraction(float(v)) * Fraction(float(w)) for v, w in zip(each, weight, strict=True))
    return float(top / sum(Fraction(float(w)) for w in weight))


def _close(a: float, b: float, slack: float, loss: losskit.Loss, what: str) -> None:
    assert abs(a - b) <= slack, (
        f"{loss!r}: {what}: {a!r} and {b!r}, {abs(a - b) / (slack or 1):.3g} too far"
    )
