"""Metrics of ranked lists, grouped by query; ties count as the mean over their orders.

scikit-learn's `ndcg_score` has linear gains, no groups and lists of two items or more, and it has
neither of the others. The expectations over ties are those of McSherry & Najork 2008, Computing
information retrieval performance measures efficiently in the presence of tied scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Literal

import numpy as np

from losskit.arrays import Array
from losskit.lists import lists_of
from losskit.metrics.definition import Count, Needs, metric
from losskit.metrics.rows import Data, read
from losskit.ranking.changes import LARGEST_GRADE, gains_of
from losskit.reduction import ratio, total, weight_exponent

Relevant = Annotated[float, Needs("a number above 0", lambda v: isinstance(v, Real) and v > 0)]
Empty = Literal["error", "zero", "skip"]
_OPTIONS = ("sample_weight", "mask", "query")


@dataclass(frozen=True, eq=False)
class PerList:
    """What a metric is of each list, in the order of their first items; a float is their mean."""

    metric: str
    values: Array
    weights: Array  # 0 where a list does not count

    def __float__(self) -> float:
        if not self.weights.any():
            raise ValueError(f"{self.metric}: no query has a relevant item")
        return ratio(total(self.weights * self.values), total(self.weights))


@metric(better="higher", takes="scores", surrogate="lambda_rank", options=_OPTIONS)
def ndcg(
    data: Data,
    *,
    k: Count | None = None,
    gain: Literal["exponential", "linear"] = "exponential",
    empty: Empty = "error",
) -> PerList:
    """The discounted gain of the first `k` items of each list, as a share of the best possible.

    `y_true` holds relevances ≥ 0 and `y_pred` scores: of one list (n,), of lists (lists, items)
    with `mask`, or (n,) with `query` ids, in any order. The item at rank r counts its gain over
    log₂(1 + r); the gain is 2^relevance − 1, as in LightGBM, XGBoost and Rax, or with
    `gain="linear"` the relevance, as in scikit-learn. Ties count as the mean over their orders. The
    mean over lists is weighted by `sample_weight`, which is the same for all items of a list. A
    list without a relevant item is an error, counts 0 with `empty="zero"`, or is left out with
    `empty="skip"`.

    >>> import losskit.metrics
    >>> relevance, scores, query = [1, 0, 0, 1], [0.9, 0.1, 0.8, 0.2], ["a", "a", "b", "b"]
    >>> round(losskit.metrics.ndcg(relevance, scores, query=query), 6)
    0.815465
    """
    lists = _lists(data, k, np.inf if gain == "linear" else LARGEST_GRADE)
    gains = gains_of(lists.y, gain)
    discount = np.where(lists.seen, 1 / np.log2(1.0 + lists.rank), 0.0)
    ideal = gains[np.lexsort((-gains, lists.query))]  # ranks stand at the same places
    best = lists.sums(ideal * discount)
    return lists.share(lists.sums(lists.over_ties(gains) * discount), best, empty)


@metric(
    better="higher", takes="scores", surrogate="lambda_rank", aliases=("map",), options=_OPTIONS
)
def mean_average_precision(
    data: Data, *, k: Count | None = None, relevant: Relevant = 1, empty: Empty = "error"
) -> PerList:
    """The mean over lists of the mean precision at the ranks of the relevant items.

    Items of relevance `relevant` or more are relevant. With `k`, ranks beyond it count 0 and the
    sum is divided by the number of relevant items, at most `k`, so that the best order scores 1.
    Data, ties and `empty` are those of `ndcg`.

    >>> import losskit.metrics
    >>> round(losskit.metrics.mean_average_precision([1, 0, 1], [3, 2, 1]), 6)
    0.833333
    """
    lists = _lists(data, k)
    hit = (lists.y >= relevant).astype(np.float64)
    size, hits = lists.of_tie(np.ones_like(hit)), lists.of_tie(hit)
    before = lists.before_tie(hit)
    place = lists.rank - lists.before_tie(np.ones_like(hit))  # within its tie, from 1
    # P(relevant) times the expected number of relevant items up to here, this one included.
    expected = hits / size * (before + 1 + (place - 1) * (hits - 1) / np.maximum(size - 1, 1))
    found = lists.sums(np.where(lists.seen, expected / lists.rank, 0.0))
    count = lists.sums(hit)
    return lists.share(found, count if k is None else np.minimum(count, k), empty)


@metric(better="higher", takes="scores", surrogate="approx_mrr", aliases=("mrr",), options=_OPTIONS)
def mean_reciprocal_rank(
    data: Data, *, k: Count | None = None, relevant: Relevant = 1, empty: Empty = "error"
) -> PerList:
    """The mean over lists of one over the rank of the first relevant item.

    Items of relevance `relevant` or more are relevant. With `k`, ranks beyond it count 0. Data,
    ties and `empty` are those of `ndcg`.

    >>> import losskit.metrics
    >>> losskit.metrics.mean_reciprocal_rank([[1, 0], [0, 1]], [[2, 1], [2, 1]])
    0.75
    """
    lists = _lists(data, k)
    hit = (lists.y >= relevant).astype(np.float64)
    hits, size = lists.of_tie(hit), lists.of_tie(np.ones_like(hit))
    # The first item of the first tie of each list that holds a relevant item stands for that tie.
    first = np.diff(lists.tie, prepend=-1).astype(bool) & (hits > 0) & (lists.before_tie(hit) == 0)
    query, rank, size, hits = (v[first] for v in (lists.query, lists.rank, size, hits))
    value = np.zeros(lists.ids.size)
    none_yet, step = np.ones(query.size), 0
    while query.size:
        here = none_yet * hits / (size - step)
        value[query] += np.where(rank + step <= (k or np.inf), here / (rank + step), 0.0)
        step += 1
        open_ = size - hits >= step
        query, rank, size, hits = (v[open_] for v in (query, rank, size, hits))
        none_yet = (none_yet - here)[open_]
    return lists.share(value, np.minimum(lists.sums(hit), 1), empty)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Items by list, and in each by falling score; equal scores of a list are one tie."""

    metric: str
    ids: Array  # (lists,) what the user calls each
    weight: Array  # (lists,)
    query: Array  # (n,) which list, ascending
    tie: Array  # (n,) which tie, ascending
    rank: Array  # (n,) in its list, from 1
    seen: Array  # (n,) whether the rank is within the cut-off
    y: Array  # (n,)

    def sums(self, values: Array) -> Array:
        """Return the sum of each list."""
        return np.bincount(self.query, weights=values)

    def of_tie(self, values: Array) -> Array:
        """Return, for each item, the sum over its tie."""
        return np.bincount(self.tie, weights=values)[self.tie]

    def over_ties(self, values: Array) -> Array:
        """Return, for each item, the mean over its tie."""
        return self.of_tie(values) / np.bincount(self.tie)[self.tie]

    def before_tie(self, counts: Array) -> Array:
        """Return, for each item, the sum of whole numbers before its tie in its list."""
        running = np.cumsum(counts) - counts
        starts = np.flatnonzero(np.diff(self.tie, prepend=-1))
        heads = np.flatnonzero(np.diff(self.query, prepend=-1))
        return running[starts][self.tie] - running[heads][self.query]

    def share(self, value: Array, best: Array, empty: str) -> PerList:
        """Return value/best of each list."""
        none = best == 0
        if none.any() and empty == "error":
            raise ValueError(
                f"{self.metric}: query {self.ids[none][0].item()!r} has no relevant item"
                + (f" ({none.sum()} such queries)" if none.sum() > 1 else "")
                + f"; pass {self.metric}(empty='zero') to count 0, or empty='skip'"
            )
        weight = np.where(none, 0.0, self.weight) if empty == "skip" else self.weight
        share = np.divide(value, best, out=np.zeros_like(value), where=~none)
        return PerList(self.metric, np.minimum(share, 1), weight)  # which rounding may exceed


def _lists(data: Data, k: int | None, largest: float = np.inf) -> _Lists:
    rows = read(data, classes=False, text=False)
    wrong = ~((rows.y >= 0) & np.isfinite(rows.y))
    rows.refuse("y_true", wrong, "is no relevance; needed is a finite number, 0 or more")
    large = "is too large a relevance for the gain 2^relevance − 1; pass ndcg(gain='linear')"
    rows.refuse("y_true", rows.y > largest, large)
    counts = np.zeros(rows.shape, bool)
    counts.reshape(-1)[rows.place] = True
    options = {"query": data.query, "mask": counts, "sample_weight": data.sample_weight}
    lists = lists_of(data.metric, rows.shape, options)
    whole = np.zeros((2, counts.size))
    whole[:, rows.place] = rows.y, rows.f
    y, f = lists.take(whole[0]), lists.take(whole[1])
    query = np.repeat(np.arange(lists.lengths.size), lists.lengths)
    order = np.lexsort((-f, query))
    y, f = y[order], f[order]
    starts = np.concatenate(([True], (query[1:] != query[:-1]) | (f[1:] != f[:-1])))
    rank = np.arange(query.size) - lists.starts[query] + 1
    return _Lists(
        data.metric,
        lists.names,
        np.ones(lists.lengths.size) if lists.weight is None else _of_any_size(lists.weight),
        query,
        np.cumsum(starts) - 1,
        rank,
        rank <= (np.inf if k is None else k),
        y,
    )


def _of_any_size(weight: Array) -> Array:
    return np.ldexp(weight, -weight_exponent(weight))
