"""By how much a ranking metric changes when two items swap places: LambdaRank's pair weights."""

from __future__ import annotations

import numpy as np

from losskit.arrays import Array
from losskit.formula.expr import Expr
from losskit.formula.primitives import where
from losskit.ranking.pairs import Pairs
from losskit.ranking.program import PairWeight
from losskit.ranking.segments import lengths_of, running
from losskit.written import Refused

LARGEST_GRADE = 1000.0  # 2 to a larger one may overflow in a sum


def change_of(
    metric: str, pairs: Pairs, y: Array, f: Array, k: int | None, gain: str
) -> PairWeight:
    """Return how much the metric changes by a swap, for items in the order of `pairs`.

    `y` and `f` are in that order too. Equal scores rank as items stand in the data.
    """
    rank = _ranks(pairs, f)
    seen = rank <= (np.inf if k is None else k)
    if metric == "map":
        return _change_of_map(pairs, y, rank, seen, k)
    gains = gains_of(y, gain, pairs.place)
    discount = np.where(seen, 1 / np.log2(1.0 + rank), 0.0)
    best = best_gain(pairs, y, k, gain)[pairs.list_of]
    share = np.divide(gains, best, out=np.zeros_like(gains), where=best > 0)
    return PairWeight(_of_ndcg, (share, discount))


def gains_of(y: Array, gain: str, place: Array | None = None) -> Array:
    """Return what items of these relevances are worth: 2^y − 1, or y.

    `place` says where the items stand in the data, if not in this order.
    """
    if gain == "linear":
        return y
    if y.max(initial=0) > LARGEST_GRADE:
        item = int(np.argmax(y > LARGEST_GRADE))
        what = "too large for the gain 2^relevance − 1; set gain='linear'"
        raise Refused("y_true", item if place is None else place[item], f"is {y[item]:g}, {what}")
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
    reciprocal = np.where(seen, 1.0 / rank, 0.0)
    order = np.lexsort((rank, pairs.list_of))
    lengths = lengths_of(pairs.starts, len(y))
    # Of each item: how many relevant ones are ranked up to it, and the sum of 1/rank over these.
    count, inverse = np.empty(len(y)), np.empty(len(y))
    count[order] = running(np.add, relevant[order] * 1.0, pairs.starts, lengths)
    inverse[order] = running(np.add, (relevant * reciprocal)[order], pairs.starts, lengths)
    best = pairs.per_list(relevant * 1.0)
    divisor = np.maximum(best if k is None else np.minimum(best, k), 1)[pairs.list_of]

    relevant = relevant.astype(np.float64)
    return PairWeight(
        _of_map, (count, inverse, reciprocal, rank * 1.0, relevant / divisor, 1 - relevant)
    )


def _of_ndcg(share_i: Expr, discount_i: Expr, share_j: Expr, discount_j: Expr) -> Expr:
    return abs((share_i - share_j) * (discount_i - discount_j))


def _of_map(
    count_i: Expr, inverse_i: Expr, reciprocal_i: Expr, rank_i: Expr, part_i: Expr, _i: Expr,
    count_j: Expr, inverse_j: Expr, reciprocal_j: Expr, rank_j: Expr, _j: Expr, other_j: Expr,
) -> Expr:  # fmt: skip
    # The relevant i takes j's place, and the relevant items between them move by one.
    rises = where(rank_j < rank_i, 1, 0)
    gained = (count_j + rises) * reciprocal_j - (count_i + rises) * reciprocal_i
    return abs(gained - (inverse_j - inverse_i)) * part_i * other_j
