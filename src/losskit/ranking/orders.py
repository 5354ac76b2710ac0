"""Losses of the order of a whole list: of the permutation that grades give, and of smooth ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.catalogue import loss
from losskit.formula.domain import SIGN
from losskit.formula.primitives import sigmoid, softplus
from losskit.lists import Lists
from losskit.ranking.changes import best_gain, gains_of
from losskit.ranking.pairs import all_pairs, by_grade, over_pairs
from losskit.ranking.program import PairWeight
from losskit.ranking.segments import lengths_of, running, starts_of
from losskit.written import Examples

Slope = Callable[[Array], Array]


def plackett_luce(y: Array, f: Array, lists: Lists) -> Examples:
    """Return −log of the probability that items drawn one by one, each with a probability
    proportional to e^score among those left, come in the order of falling grades.

    Items of equal grade are drawn as they stand in the data.
    """
    sorted_ = by_grade(y, lists)
    list_of = sorted_.list_of
    f = f[sorted_.place].astype(np.float64)
    # Where all later scores are so far below that e^score vanishes beside, draws before and after
    # have no part in each other. Between such places scores count from the largest, as logarithms
    # of sums of large ones would lose the digits that tell them apart.
    top = running(np.maximum, f, lists.starts, lists.lengths, reverse=True)
    falls = np.append(True, top[:-1] - top[1:] > _VANISHES)
    starts = starts_of(list_of, np.cumsum(falls))
    lengths = lengths_of(starts, len(f))
    f = f - np.repeat(top[starts], lengths)
    left = running(np.logaddexp, f, starts, lengths, reverse=True)  # log Σ e^score from here on
    after = np.full(len(f), -np.inf)
    last = starts + lengths - 1
    inner = np.ones(len(f), bool)
    inner[last] = False
    after[inner] = left[np.flatnonzero(inner) + 1]
    lack = after - f
    values = sorted_.per_list(np.logaddexp(0.0, lack))

    def earlier(power: int) -> Array:
        """Return for each item the sum over earlier draws of the powers of its probability."""
        before = np.full(len(f), -np.inf)
        known = running(np.logaddexp, -power * left, starts, lengths)
        later = np.ones(len(f), bool)
        later[starts] = False
        before[later] = known[np.flatnonzero(later) - 1]
        return np.exp(power * f + before)

    def gradient(upstream: Array) -> tuple[Array, ...]:
        # Its own draw gives p − 1 = −sigmoid(lack), which keeps its digits where p is near 1.
        return (sorted_.in_place((earlier(1) - _sigmoid(lack)) * upstream[list_of]),)

    def curvature(upstream: Array) -> tuple[Array, ...]:
        own = _sigmoid(lack) * _sigmoid(-lack)
        rest = np.maximum(earlier(1) - earlier(2), 0)
        return (sorted_.in_place((own + rest) * upstream[list_of]),)

    return Examples(values, _weights(lists), gradient, curvature)


def smooth_ndcg(y: Array, f: Array, lists: Lists, temperature: float, gain: str) -> Examples:
    """Return 1 − NDCG with a smooth rank, 1 + Σⱼ sigmoid((fⱼ − fᵢ)/temperature), for each rank."""
    graded = by_grade(y, lists)
    gains = gains_of(y.astype(np.float64), gain)
    best = best_gain(graded, y[graded.place].astype(np.float64), None, gain)
    share = gains / np.where(best > 0, best, np.nan)[graded.list_of]

    def discount(rank: Array) -> Array:
        return 1 / np.log2(1 + rank)

    def slope(rank: Array) -> Array:
        return -(discount(rank) ** 2) / ((1 + rank) * np.log(2.0))

    return _by_smooth_rank(share, f, lists, temperature, discount, slope)


def smooth_mrr(y: Array, f: Array, lists: Lists, temperature: float) -> Examples:
    """Return 1 − the mean over relevant items (of grade 1 or more) of 1/smooth rank."""
    list_of = np.repeat(np.arange(len(lists.starts)), lists.lengths)
    relevant = (y >= 1).astype(np.float64)
    count = np.bincount(list_of, weights=relevant, minlength=len(lists.starts))
    share = relevant / np.where(count > 0, count, np.nan)[list_of]
    return _by_smooth_rank(share, f, lists, temperature, np.reciprocal, lambda r: -1 / (r * r))


def _by_smooth_rank(
    share: Array, f: Array, lists: Lists, temperature: float, discount: Slope, slope: Slope
) -> Examples:
    """Return 1 − Σ share·discount(rank); a list whose shares are undefined has no value."""
    pairs = all_pairs(lists)
    f = np.clip(f.astype(np.float64) / temperature, -_HUGE, _HUGE)
    # Of each pair the second item loses a rank, but for the slope, which the first one gains.
    place = np.arange(len(f)) - lists.starts[pairs.list_of]
    rank = 1 + place - over_pairs(pairs, f, _smooth_order, ("gradient",))["gradient"]
    values = 1 - pairs.per_list(share * discount(rank))
    of_rank = np.nan_to_num(share) * slope(rank)

    def gradient(upstream: Array) -> tuple[Array, ...]:
        weight = PairWeight(_difference, (of_rank,))
        made = over_pairs(pairs, f, _smooth_step, ("gradient",), weight)["gradient"]
        return (made / temperature * upstream[pairs.list_of],)

    return Examples(values, _weights(lists), gradient)


@loss(target=SIGN)
def _smooth_step(y: Any, f: Any) -> Any:
    """Rises from 0 to 1 around a margin of 0."""
    return sigmoid(y * f)


@loss(target=SIGN)
def _smooth_order(y: Any, f: Any) -> Any:
    """Has the slope −sigmoid(−m): how much the second item of a pair is before the first."""
    return softplus(-y * f)


def _difference(first: Any, second: Any) -> Any:
    return first - second


def _weights(lists: Lists) -> Array:
    return np.ones(len(lists.starts)) if lists.weight is None else lists.weight


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


_HUGE = np.finfo(np.float64).max / 4
_VANISHES = 800.0  # e^−745 is the smallest float, and a sum holds more than one
