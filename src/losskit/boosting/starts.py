"""Two numbers that need the data: where training starts, and how far a straight loss has to go."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.formula.expr import Unsupported

_SAMPLE = 100_000  # rows from which a typical distance is taken
_SHARES = np.linspace(0, 1, 9)
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


def typical_curvature(
    loss: Any, y: Array, f: Array, weight: Any, floor: float, distance: Any = None
) -> Any:
    """Return the curvature of a straight loss: half the jump of its slope over a typical distance.

    That of the parabola above |r| that touches it at a typical |r|, so it has the target's units
    and grows as residuals shrink; a number, or one for each row where slopes depend on the target.
    Targets side by side, (n, K), have one each: (K,) or (n, K). The distance is that of these rows
    unless it is given.
    """
    middle = typical_distance(loss, y, f, weight) if distance is None else distance
    if weight is not None and not np.all(weight):
        counts = np.asarray(weight) > 0
        if not counts.any():
            return 1.0  # of nothing
        # What rows of weight 0 hold, be it NaN, is not looked at.
        y = np.where(counts.reshape(-1, *[1] * (y.ndim - 1)), y, y[counts.argmax()])
    if y.ndim == 2:
        each = [_half_jump(loss, one) / m for one, m in zip(y.T, middle, strict=True)]
        return np.maximum(np.stack(np.broadcast_arrays(*each), axis=-1), floor)
    return np.maximum(_half_jump(loss, y) / middle, floor)


def typical_distance(loss: Any, y: Array, f: Array, weight: Any) -> Any:
    """Return a weighted mean distance to where a loss bends; of targets side by side (K,).

    The mean of the roots, squared: few far rows count little in it, as in a median, which is 0
    though where most rows lie at the bend, as those of the larger class of a hinge do at the start.
    """
    if y.ndim == 2:
        pairs = zip(y.T, f.T, strict=True)
        return np.array([typical_distance(loss, one, at, weight) for one, at in pairs])
    if weight is not None:
        y, f, weight = counting(y, f, np.asarray(weight, np.float64))
    every = max(1, len(y) // _SAMPLE)
    near, scores = y[::every], f[::every].astype(np.float64)
    roots = np.sqrt(_distances(loss, near, scores))
    if not roots.size:
        return 1.0
    return float(np.average(roots, weights=None if weight is None else weight[::every])) ** 2 or 1.0


def counting(*columns: Array) -> tuple[Array, ...]:
    """Return the rows of arrays whose last, the weight, is not 0: others may hold anything."""
    counts = columns[-1] != 0
    return columns if counts.all() else tuple(column[counts] for column in columns)


def has_jump(loss: Any) -> bool:
    """Whether a loss of one number is straight far from a target on both sides, and turns between.

    Else there is no typical curvature: it would be infinite, as of squares, or none.
    """
    if len(loss.outputs) > 1 or np.isfinite(loss.prediction_domain(raw=True).lower):
        return False
    domain = loss.target_domain
    y = np.array([v for v in domain.values or (0.5, 1.0, 3.0) if domain.contains(v)])
    with np.errstate(all="ignore"):
        near, far = _slopes(loss, y), _slopes(loss, y, 2 * _FAR)
    straight = np.isfinite(far).all() and np.allclose(near, far, rtol=1e-3, atol=0)
    return bool(straight and (near > 0).all())


def _distances(loss: Any, y: Array, f: Array) -> Array:
    """Return how far scores are from the nearest place where the loss bends."""
    at, positions = _kinks(loss)
    if not positions:
        return np.abs(f - y)
    if loss.link.name == "identity" and loss.target_domain.values:  # ±1: kinks are of a margin
        places = [y * (position * at) for position in positions]
    else:
        places = [y + (position - at) for position in positions]
    return np.min([np.abs(f - place) for place in places], axis=0)


@lru_cache(maxsize=64)
def _kinks(loss: Any) -> tuple[float, tuple[float, ...]]:
    """Return where the loss bends, and the target for which it does so."""
    found = loss.properties
    return found.at, tuple(k.position for k in found.kinks)


def _half_jump(loss: Any, y: Array) -> Any:
    """Return half of what the slope far above differs by from that far below.

    A number if it is the same for a sample of the targets, else one for each.
    """
    some = y[:: max(1, len(y) // _SAMPLE)]
    probes = some if some.size < 64 else np.quantile(some, _SHARES, method="nearest")
    jumps = _slopes(loss, probes)
    return float(jumps[0]) if (jumps == jumps[0]).all() else _slopes(loss, y)


def _slopes(loss: Any, y: Array, scales: float = _FAR) -> Array:
    y = y.astype(np.float64)
    far = scales * (1.0 + np.abs(y))
    up = loss.gradient(y, y + far, raw=True, reduction="none")
    down = loss.gradient(y, y - far, raw=True, reduction="none")
    return np.abs(up - down) / 2
