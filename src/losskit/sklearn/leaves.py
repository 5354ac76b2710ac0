"""What trees need where a loss's own curvature does not do: lengths of steps, values of leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.formula.expr import reachable
from losskit.interface import Loss
from losskit.optimum import _perfect_scores

# A target infinitely far away, as the log-odds of a label are, counts as so far: the step that the
# logistic loss takes from 0 has that length.
_FAR = 2.0
_STRAIGHT = 1e-6  # of the slope: curvature below is none
_STEPS = 200  # of a bisection, which ends when two neighbours are left


@lru_cache(maxsize=256)
def properties(loss: Loss) -> Any:
    """Return `loss.properties`, a search of some tens of milliseconds, kept."""
    return loss.properties


@lru_cache(maxsize=256)
def of_residual(loss: Loss) -> bool:
    """Whether a loss of numbers depends on target and score by their difference alone."""
    if loss.kind != "pointwise" or len(loss.outputs) > 1 or loss.link.name != "identity":
        return False
    nodes = reachable([loss.form(raw=True).graph.value])
    data = {node for node in nodes if node.op == "symbol" and node.value in ("y", "f")}
    return all(
        node.op == "sub" and set(node.args) == data
        for node in nodes
        if not data.isdisjoint(node.args)
    )


def within_reach(loss: Loss, y: Array, f: Array, g: Array, h: Array) -> Array:
    """Return `h` raised until no row on its own would step past its target.

    A leaf's step is then a mean of steps that each lead towards a target. Where targets are
    infinitely far, only what has a slope and no curvature is raised.
    """
    distance = np.abs(f - _perfect_scores(loss, y))
    near = np.isfinite(distance)
    size = np.abs(g)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = size / np.where(near, distance, _FAR)
    raise_it = (size > 0) & (near | (h <= _STRAIGHT * size))
    return np.where(raise_it, np.maximum(h, least), h)


def best_of_residuals(loss: Loss, residual: Array, weight: Array | None) -> float:
    """Return the constant with the least mean loss, the middle of the interval where several are.

    A fit asks for one for every leaf of every tree, so convex losses skip `optimal_constant`'s
    search for the least of several minima, and its exact sums.
    """
    found = properties(loss)
    if loss.definition.optimum in _AT_ONCE and weight is None:
        return _quantile(residual, float(loss.params.get("q") or 0.5))
    if loss.definition.optimum in _AT_ONCE or not found.convex:
        return float(loss.optimal_constant(residual, weight, raw=True))
    form = loss.form(raw=True)
    derivative, rest = form.numpy(("gradient",)), form.arguments(0.0)

    def slope(c: float) -> float:
        with np.errstate(all="ignore"):
            each = np.broadcast_to(derivative(residual, np.full_like(residual, c), *rest)[0],
                                   residual.shape)  # fmt: skip
        return float(each.sum() if weight is None else each @ weight)

    offsets = [k.position - found.at for k in found.kinks]
    low = float(residual.min()) + min(offsets, default=0.0)
    high = float(residual.max()) + max(offsets, default=0.0)
    # Sums of slopes that cancel are rounded; so many decide on a tie.
    scale = float(len(residual) if weight is None else np.sum(weight)) * 1e-12
    lower = _first(lambda c: slope(c) >= -scale, low, high)
    upper = _first(lambda c: slope(c) > scale, lower, high)
    return lower + (upper - lower) / 2


# Which `optimal_constant` reads off sorted targets.
_AT_ONCE = ("median", "quantile {q:g}")


def _quantile(values: Array, q: float) -> float:
    """Return the middle of the interval of q-quantiles, as `optimal_constant` does by sorting."""
    share, tolerance = q * len(values), 1e-12 * len(values)
    ends = [max(math.ceil(share + t) - 1, 0) for t in (-tolerance, tolerance)]
    lower, upper = np.partition(values, ends)[ends]
    return float(lower + (upper - lower) / 2)


def _first(holds: Callable[[float], Any], low: float, high: float) -> float:
    """Return the first number between where `holds`, `high` if none does before."""
    if holds(low):
        return low
    for _ in range(_STEPS):
        middle = low + (high - low) / 2
        if middle in (low, high) or high - low <= 2 * math.ulp(max(abs(low), abs(high))):
            break
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
