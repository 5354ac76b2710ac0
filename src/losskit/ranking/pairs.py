"""Pairs of items of lists, in blocks that stay in the cache: there is never an array of all pairs.

Each item i is paired with a range of the items after it, so that the pairs of an item, as those of
a block of items, are contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from losskit.arrays import Array
from losskit.backends import numba
from losskit.interface import Loss
from losskit.lists import Lists
from losskit.ranking.program import LARGEST, PairWeight, program_of
from losskit.ranking.segments import lengths_of, starts_of

BLOCK = 1 << 15  # pairs of a block: the arrays of a loss and its slope stay in the cache
# Pairs from which a compiled kernel is worth its compilation, a second in the first process.
MANY = 1 << 17
RANGES = 64  # of lists, that threads take one after another


@dataclass(frozen=True, eq=False)
class Pairs:
    """Items in an order of their own, list after list; item i is paired with first[i] … last[i]−1.

    `place[i]` is where the item stands in the data, `list_of[i]` its list.
    """

    place: Array
    list_of: Array
    starts: Array  # (lists,) where each list begins
    first: Array
    last: Array

    @property
    def counts(self) -> Array:
        """Number of pairs that each item begins."""
        return self.last - self.first

    @property
    def total(self) -> int:
        """Number of pairs."""
        return int(self.counts.sum())

    def ranges(self) -> Array:
        """Return where ranges of whole lists begin and end that have about equally many pairs."""
        ends = np.append(self.starts, len(self.first))
        done = np.concatenate(([0], np.cumsum(self.counts)))[ends]
        cuts = np.searchsorted(done, np.linspace(0, done[-1], RANGES + 1)[1:-1])
        return np.unique(np.concatenate(([0], ends[cuts], [len(self.first)])))

    def per_list(self, x: Array) -> Array:
        """Add up what items have over each list."""
        return np.add.reduceat(x, self.starts) if len(x) else np.zeros(len(self.starts), x.dtype)

    def in_place(self, x: Array) -> Array:
        """Return what items have in the order of the data."""
        made = np.empty_like(x)
        made[self.place] = x
        return made

    def blocks(self) -> Iterator[Block]:
        """Yield the pairs, a few items at a time."""
        items = np.flatnonzero(self.counts > 0)
        ends = np.cumsum(self.counts[items])
        begin = 0
        while begin < len(items):
            done = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, done + BLOCK, side="right")), begin + 1)
            yield Block.of(items[begin:end], self.first, self.counts)
            begin = end


@dataclass(frozen=True, eq=False)
class Block:
    """Some pairs (i, j): those that begin with `items`, the pairs of each from `heads` on."""

    items: Array
    heads: Array
    counts: Array
    j: Array

    @classmethod
    def of(cls, items: Array, first: Array, counts: Array) -> Block:
        """Return all pairs that begin with `items`."""
        own = counts[items]
        heads = np.cumsum(own) - own
        j = np.arange(int(own.sum())) + np.repeat(first[items] - heads, own)
        return cls(items, heads, own, j)

    @property
    def i(self) -> Array:
        """The first item of each pair."""
        return np.repeat(self.items, self.counts)

    def difference(self, f: Array) -> Array:
        """Return f_i − f_j of each pair."""
        return np.repeat(f[self.items], self.counts) - f[self.j]

    def to_first(self, x: Array, to: Array) -> None:
        """Add what pairs have to their first items."""
        to[self.items] += np.add.reduceat(x, self.heads)

    def to_second(self, x: Array, to: Array) -> None:
        """Add what pairs have to their second items."""
        low = int(self.j.min())
        sums = np.bincount(self.j - low, weights=x)
        to[low : low + len(sums)] += sums


def by_grade(y: Array, lists: Lists) -> Pairs:
    """Return the pairs of each list whose first item is of the higher grade; ties make no pair.

    Items are sorted by falling grade, equal ones as they stand in the data.
    """
    list_of = np.repeat(np.arange(len(lists.starts)), lists.lengths)
    place = np.lexsort((-y, list_of))
    ties = starts_of(list_of, y[place])
    first = np.repeat(np.append(ties[1:], len(y)), lengths_of(ties, len(y)))
    last = np.repeat(lists.starts + lists.lengths, lists.lengths)
    return Pairs(place, list_of, lists.starts, first.astype(np.int64), last)


def all_pairs(lists: Lists) -> Pairs:
    """Return every two items of each list, once."""
    n = len(lists.order)
    list_of = np.repeat(np.arange(len(lists.starts)), lists.lengths)
    last = np.repeat(lists.starts + lists.lengths, lists.lengths)
    return Pairs(np.arange(n), list_of, lists.starts, np.arange(1, n + 1), last)


def over_pairs(
    pairs: Pairs, f: Array, loss: Loss, wanted: tuple[str, ...], weight: PairWeight | None = None
) -> dict[str, Array]:
    """Return for each item, in the order of `pairs`, the sums of a margin loss over its pairs.

    "value" is charged to the first items; "gradient" and "hessian" are by the item's score.
    """
    arrays = () if weight is None else weight.arrays
    formula = None if weight is None else weight.formula
    program = program_of(loss, wanted, formula, len(arrays))
    if pairs.total >= MANY and numba.available():
        from losskit.backends import pair_kernels

        return pair_kernels.run(
            program.kernel(), wanted, f, pairs.first, pairs.last, pairs.ranges(),
            program.numbers, arrays,
        )  # fmt: skip
    made = {name: np.zeros(len(f)) for name in wanted}
    charge = program.numpy()
    for block in pairs.blocks():
        margins, i = block.difference(f), block.i
        own, other = (a[i] for a in arrays), (a[block.j] for a in arrays)
        results = charge(1.0, margins, *program.numbers, *own, *other)
        for name, x in zip(wanted, results, strict=True):
            x = np.broadcast_to(x, margins.shape)
            if name == "value":
                block.to_first(x, made[name])
                continue
            x = np.clip(x, -LARGEST, LARGEST)
            block.to_first(x, made[name])
            block.to_second(-x if name == "gradient" else x, made[name])
    return made
