"""Two numbers that need the data: where training starts, and how far a straight loss has to go."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.formula.expr import Unsupported

_SAMPLE = 100_000  # rows from which a typical distance is taken
_FAR = 1e6  # distances of this many scales: where a straight loss has its two slopes


def start_of_rows(loss: Any, y: Array, weight: Any) -> Array:
    """Return the scores (K,) of the best constant of a loss over classes or labels.

    Where the loss does not tell it, it is searched for from what the frequencies say. Losses of
    label sets saturate, so that their best constant is infinite and has no slope to train by:
    these start from the frequencies.
    """
    from losskit.catalogue import get

    try:
        return np.asarray(loss.start_score(y, weight))
    except Unsupported:
        pass
    proper = "multilabel_cross_entropy" if loss.definition.axis == "label" else "cross_entropy"
    first = np.asarray(get(proper).start_score(y, weight))
    if loss.definition.axis == "label":
        return first
    targets, place = np.unique(y, axis=0, return_inverse=True)
    counts = np.bincount(place.reshape(-1), weight, minlength=len(targets))
    targets, counts = targets[counts > 0], counts[counts > 0]

    def mean(scores: Array) -> Any:
        at = np.tile(scores, (len(targets), 1))
        value, slopes = loss.value_and_gradient(targets, at, raw=True, sample_weight=counts)
        return value, slopes.sum(axis=0)

    from scipy.optimize import minimize

    candidates = [first, 0 * first]
    for begin in (first, 0 * first):
        candidates.append(minimize(mean, begin, jac=True, method="L-BFGS-B").x)
    return min(candidates, key=lambda scores: float(mean(scores)[0]))


def typical_curvature(loss: Any, y: Array, f: Array, weight: Any, floor: float) -> Any:
    """Return the curvature of a straight loss: half the jump of its slope over a typical distance.

    That of the parabola above |r| that touches it at the median |r|, so it has the target's units
    and grows as residuals shrink; a number, or one for each row where slopes depend on the target.
    """
    every = max(1, len(y) // _SAMPLE)
    near, scores = y[::every], f[::every].astype(np.float64)
    w = None if weight is None else np.asarray(weight)[::every]
    distance = _distances(loss, near, scores)
    if w is not None:
        distance, w = distance[w > 0], w[w > 0]
    middle = _median(distance, w)
    if not middle > 0:  # more than half of them are met exactly
        middle = float(np.mean(distance)) or 1.0
    return np.maximum(_half_jump(loss, y) / middle, floor)


def _distances(loss: Any, y: Array, f: Array) -> Array:
    """Return how far scores are from the nearest place where the loss bends."""
    found = loss.properties
    if not found.kinks:
        return np.abs(f - y)
    if loss.link.name == "identity" and loss.target_domain.values:  # ±1: kinks are of a margin
        places = [y * (k.position * found.at) for k in found.kinks]
    else:
        places = [y + (k.position - found.at) for k in found.kinks]
    return np.min([np.abs(f - place) for place in places], axis=0)


def _half_jump(loss: Any, y: Array) -> Any:
    """Return half of what the slope far above differs by from that far below."""
    probes = np.unique(y) if y.size < 64 else np.quantile(y, np.linspace(0, 1, 9), method="nearest")
    jumps = _slopes(loss, probes)
    return float(jumps[0]) if (jumps == jumps[0]).all() else _slopes(loss, y)


def _slopes(loss: Any, y: Array) -> Array:
    y = y.astype(np.float64)
    far = _FAR * (1.0 + np.abs(y))
    up = loss.gradient(y, y + far, raw=True, reduction="none")
    down = loss.gradient(y, y - far, raw=True, reduction="none")
    return np.abs(up - down) / 2


def _median(values: Array, weight: Array | None) -> float:
    if weight is None:
        return float(np.median(values)) if values.size else 0.0
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    if not values.size or not below[-1] > 0:
        return 0.0
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
