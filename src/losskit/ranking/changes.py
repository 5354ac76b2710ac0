"""By how much a ranking metric changes when two items swap places: LambdaRank's pair weights."""

from __future__ import annotations

import numpy as np

from losskit.arrays import Array
from losskit.ranking.pairs import Pairs, PairWeight
from losskit.ranking.segments import lengths_of

LARGEST_GRADE = 1000.0  # 2 to a larger one may overflow in a sum


def change_of(
    metric: str, pairs: Pairs, y: Array, f: Array, k: int | None, gain: str
) -> PairWeight:
    """Return the function (i, j) → |change of the metric| for items in the order of `pairs`.

    `y` and `f` are in that order too. Equal scores rank as items stand in the data.
    """
    if (y < 0).any():
        raise ValueError(f"a grade of {y.min():g} has no gain; needed are relevances of 0 or more")
    rank = _ranks(pairs, f)
    seen = rank <= (np.inf if k is None else k)
    if metric == "map":
        return _change_of_map(pairs, y, rank, seen, k)
    gains = gains_of(y, gain)
    discount = np.where(seen, 1 / np.log2(1.0 + rank), 0.0)
    best = best_gain(pairs, y, k, gain)[pairs.list_of]
    share = np.divide(gains, best, out=np.zeros_like(gains), where=best > 0)
    return lambda i, j: np.abs((share[i] - share[j]) * (discount[i] - discount[j]))


def gains_of(y: Array, gain: str) -> Array:
    """Return what items of these relevances are worth: 2^y − 1, or y."""
    if gain == "linear":
        return y
    if y.max(initial=0) > LARGEST_GRADE:
        raise ValueError(
            f"a relevance of {y.max():g} is too large for the gain 2^relevance − 1; set "
            "gain='linear'"
        )
    return np.expm1(y * np.log(2.0))


def best_gain(pairs: Pairs, y: Array, k: int | None, gain: str) -> Array:
    """Return the discounted gain of the best order of each list: that of `pairs`, by grade."""
    place = np.arange(len(y)) - pairs.starts[pairs.list_of]
    seen = place < (np.inf if k is None else k)
    return pairs.per_list(np.where(seen, gains_of(y, gain) / np.log2(2.0 + place), 0.0))


def _ranks(pairs: Pairs, f: Array) -> Array:
    """Return the rank of each item by falling score, from 1."""
    order = np.lexsort((pairs.place, -f, pairs.list_of))
    rank = np.empty(len(f), np.int64)
    rank[order] = np.arange(len(f)) - pairs.starts[pairs.list_of] + 1
    return rank


def _change_of_map(pairs: Pairs, y: Array, rank: Array, seen: Array, k: int | None) -> PairWeight:
    relevant = y >= 1
    # Of each item: how many relevant items are ranked up to it, and the sum of 1/rank over them.
    order = np.argsort(pairs.starts[pairs.list_of] + rank, kind="stable")
    head = pairs.starts[pairs.list_of]
    up_to, inverse = np.empty(len(y)), np.empty(len(y))
    reciprocal = np.where(seen, 1.0 / rank, 0.0)
    for made, x in ((up_to, relevant * 1.0), (inverse, relevant * reciprocal)):
        total = np.concatenate(([0.0], np.cumsum(x[order])))
        made[order] = total[1:] - total[head]
    count = pairs.per_list(relevant * 1.0)
    if k is not None:
        count = np.minimum(count, k)
    divisor = np.maximum(count, 1)[pairs.list_of]

    def change(i: Array, j: Array) -> Array:
        # i is relevant and j is not: i moves to j's rank, and relevant items between move by one.
        falls = rank[i] < rank[j]
        at_j = (up_to[j] + ~falls) * reciprocal[j] - up_to[i] * reciprocal[i]
        own = np.where(falls, reciprocal[i], -reciprocal[i])  # i itself is not between
        between = inverse[j] - inverse[i] + np.where(falls, 0.0, own - own)
        between = np.where(falls, between, between + reciprocal[i])
        return np.where(relevant[i] & ~relevant[j], np.abs(at_j - between), 0.0) / divisor[i]

    return change
