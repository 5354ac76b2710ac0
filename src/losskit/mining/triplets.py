"""Triplets of a batch: which of an anchor's positives and negatives count, and what they charge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from losskit.arrays import Array
from losskit.mining.tables import Rule, anchored, distances, relations
from losskit.written import Examples

MINING = ("batch_hard", "semi_hard", "all")
_LACKING = "no row has both a positive (another row of its label) and a negative (of another label)"


def mined_triplets(
    embeddings: Array,
    labels: Array,
    weight: Array | None,
    margin: float | None,
    distance: str,
    mining: str,
) -> Examples:
    """Return the triplet loss of a batch's anchors; `losses.embedding.triplet_mined` says which."""
    found: dict[str, Callable[[Array, float | None], Rule]] = {
        "batch_hard": _batch_hard,
        "semi_hard": _semi_hard,
        "all": _all if margin is not None else _all_soft,
    }
    table = distances(embeddings, distance)
    return anchored(table, found[mining](labels, margin), weight, _LACKING)


def _charge(gap: Array, margin: float | None) -> tuple[Array, Array]:
    """Return the hinge, or without a margin the softplus, of d⁺ − d⁻, and its derivative."""
    if margin is not None:
        short = gap + margin
        return np.maximum(short, 0), (short > 0).astype(float)
    decay = np.exp(-np.abs(gap))
    return np.maximum(gap, 0) + np.log1p(decay), np.where(gap < 0, decay, 1) / (1 + decay)


def _batch_hard(labels: Array, margin: float | None) -> Rule:
    """Hermans et al. (2017), equation 5: the farthest positive and the nearest negative."""

    def rule(d: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        same, others = relations(labels, rows)
        counts: Array = np.logical_and(same.any(axis=1), others.any(axis=1))
        far = np.where(same, d, -np.inf).max(axis=1)
        near = np.where(others, d, np.inf).min(axis=1)
        charged, slope = _charge(np.where(counts, far - near, 0), margin)
        charged, slope = charged * counts, slope * counts
        if not slopes:
            return charged, counts, None
        farthest, nearest = same & (d == far[:, None]), others & (d == near[:, None])
        return charged, counts, slope[:, None] * (_shared(farthest) - _shared(nearest))

    return rule


def _shared(marked: Array) -> Array:
    """Return 1 divided among those that tie, so that the order of a batch has no say."""
    return marked / np.maximum(marked.sum(axis=1, keepdims=True), 1)


def _semi_hard(labels: Array, margin: float | None) -> Rule:
    """Schroff et al. (2015): the nearest negative beyond the positive, else the farthest one."""

    def one(near: Array, far: Array) -> tuple[float, float, Array, Array]:
        order = np.argsort(far, kind="stable")
        place = np.searchsorted(far[order], near, side="right")
        chosen = order[np.minimum(place, len(far) - 1)]
        charged, slope = _charge(near - far[chosen], margin)
        return charged.sum(), len(near), slope, -np.bincount(chosen, slope, len(far))

    return _each(labels, one)


def _all(labels: Array, margin: float | None) -> Rule:
    """Hermans et al. (2017), equation 6, every triplet, in O(n log n) for each anchor.

    The negatives that a positive charges are the nearest ones: a sum over the start of a sorted
    list.
    """
    assert margin is not None

    def one(near: Array, far: Array) -> tuple[float, float, Array, Array]:
        order = np.argsort(far, kind="stable")
        ordered = far[order]
        charging = np.searchsorted(ordered, near + margin, side="left")
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        charged = np.maximum(charging * (near + margin) - sums[charging], 0).sum()
        # A negative is charged by the positives whose start of the list reaches it.
        reached = np.bincount(charging, minlength=len(far) + 1)
        by_negative = np.empty(len(far))
        by_negative[order] = -(len(near) - np.cumsum(reached)[:-1])
        return charged, len(near) * len(far), charging.astype(float), by_negative

    return _each(labels, one)


def _all_soft(labels: Array, margin: float | None) -> Rule:
    """Every triplet without a margin: O(n²) for each anchor, as no sum of softplus is shorter."""

    def one(near: Array, far: Array) -> tuple[float, float, Array, Array]:
        charged, slope = _charge(near[:, None] - far, margin)
        return charged.sum(), charged.size, slope.sum(axis=1), -slope.sum(axis=0)

    return _each(labels, one)


# Distances to an anchor's positives and negatives → sum, number of triplets, derivatives by both.
_One = Callable[[Array, Array], tuple[float, float, Array, Array]]


def _each(labels: Array, one: _One) -> Rule:
    """Return the rule that looks at one anchor after another."""

    def rule(d: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        same, others = relations(labels, rows)
        sums, numbers = np.zeros(len(d)), np.zeros(len(d))
        made = np.zeros_like(d) if slopes else None
        for i in np.flatnonzero(same.any(axis=1) & others.any(axis=1)):
            near, far = np.flatnonzero(same[i]), np.flatnonzero(others[i])
            sums[i], numbers[i], by_near, by_far = one(d[i, near], d[i, far])
            if made is not None:
                made[i, near], made[i, far] = by_near, by_far
        return sums, numbers, made

    return rule
