"""Distances and similarities of vectors, a block of anchors at a time so that memory stays small.

A table has a row for each anchor and a column for what it is compared with. A rule says what the
rows of a block charge; `anchored` makes a loss of a table and a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from losskit.arrays import Array
from losskit.written import Examples, Refused

# Numbers of a table held at a time (2 MB): the few arrays that a rule makes of them fit a cache.
BLOCK = 1 << 18
DISTANCES = ("euclidean", "squared", "manhattan", "cosine")

# A block of the table, its anchors and whether derivatives are wanted → for each anchor the sum of
# what is charged and the number of examples in it; and the derivative of the sum by the block.
Rule = Callable[[Array, slice, bool], tuple[Array, Array, Array | None]]


class Table(Protocol):
    """Numbers that compare each anchor with others, and their derivatives."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of anchors and of others."""

    def block(self, rows: slice) -> Array:
        """Return the rows of the table, (anchors, others)."""

    def start(self) -> tuple[Array, Array]:
        """Return zeros to add derivatives to: of the anchors, of the others."""

    def pull(self, rows: slice, slopes: Array, into: tuple[Array, Array]) -> None:
        """Add what derivatives by a block make of derivatives by the vectors."""

    def finish(self, into: tuple[Array, Array]) -> tuple[Array, ...]:
        """Return the derivatives by each input."""


def anchored(table: Table, rule: Rule, weight: Array | None, lacking: str = "") -> Examples:
    """Return the loss of anchors by a rule, each the mean of the pairs or triplets it stands for.

    An anchor weighs as much as it stands for, so that the mean over anchors is that over all pairs
    or triplets; one that stands for none has weight 0. `lacking` says what is not there if all do.
    """
    n = table.shape[0]
    sums, numbers = np.zeros(n), np.zeros(n)
    for rows in _blocks(table.shape):
        sums[rows], numbers[rows], _ = rule(table.block(rows), rows, False)
    divisor = np.maximum(numbers, 1)

    def backward(upstream: Array) -> tuple[Array, ...]:
        into = table.start()
        for rows in _blocks(table.shape):
            _, _, slopes = rule(table.block(rows), rows, True)
            assert slopes is not None
            scale = (upstream[rows] / divisor[rows]).astype(slopes.dtype)
            table.pull(rows, slopes * scale[:, None], into)
        return table.finish(into)

    weights = numbers if weight is None else numbers * weight
    return Examples(sums / divisor, weights, backward, rows=True, lacking=lacking)


@dataclass(frozen=True, eq=False)
class Units:
    """Vectors of length 1 in the directions of others; 0 stays 0, and its derivative is 0."""

    vectors: Array
    lengths: Array  # (vectors, 1)

    def pull(self, slopes: Array) -> Array:
        """Return derivatives by the original vectors."""
        along = np.einsum("ij,ij->i", self.vectors, slopes)[:, None]
        across = slopes - self.vectors * along
        return np.where(self.lengths > 0, across / np.where(self.lengths > 0, self.lengths, 1), 0)


def units(x: Array) -> Units:
    """Return the directions of vectors; no length overflows or vanishes on the way."""
    largest = np.abs(x).max(axis=1, initial=0, keepdims=True)
    small = x / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("ij,ij->i", small, small))[:, None]
    return Units(small / np.where(largest > 0, length, 1), largest * length)


@dataclass(frozen=True, eq=False)
class Similarities:
    """Inner products of the rows of one matrix with those of another, or of itself."""

    left: Array
    right: Array
    pulls: tuple[Callable[[Array], Array], ...]  # of the inputs, from derivatives by left and right

    @property
    def shape(self) -> tuple[int, int]:
        """Number of anchors and of others."""
        return len(self.left), len(self.right)

    @property
    def swapped(self) -> Similarities:
        """The table's transpose."""
        return Similarities(self.right, self.left, self.pulls[::-1])

    def block(self, rows: slice) -> Array:
        """Return inner products of some anchors with all others."""
        return self.left[rows] @ self.right.T

    def start(self) -> tuple[Array, Array]:
        """Return zeros to add derivatives to."""
        return np.zeros_like(self.left), np.zeros_like(self.right)

    def pull(self, rows: slice, slopes: Array, into: tuple[Array, Array]) -> None:
        """Add the derivatives that a block's make."""
        into[0][rows] += slopes @ self.right
        into[1][...] += slopes.T @ self.left[rows]

    def finish(self, into: tuple[Array, Array]) -> tuple[Array, ...]:
        """Return the derivatives by each input."""
        if len(self.pulls) == 1:
            return (self.pulls[0](into[0] + into[1]),)
        return tuple(pull(part) for pull, part in zip(self.pulls, into, strict=True))


def similarities(left: Array, right: Array | None = None, normalise: bool = True) -> Similarities:
    """Return cosines, or inner products, of each row with each row of `right`, or of itself."""
    given = [left] if right is None else [left, right]
    made = [units(x) for x in given] if normalise else []
    vectors = [one.vectors for one in made] if normalise else given
    pulls = tuple(one.pull for one in made) if normalise else (lambda slopes: slopes,) * len(given)
    return Similarities(vectors[0], vectors[-1], pulls)


# |x − y|² = |x|² + |y|² − 2x·y is a matrix product but loses digits where vectors are close, so:
_CLOSE = 0.01  # of |x|² + |y|²: here the difference is squared instead; 14 digits are left beyond
_NEAR = 1e-8  # here the derivative too is of the difference
_SMALL = 1 << 20  # numbers in all differences: so few cost less than a matrix product saves
_LARGEST = 1e150
_CACHED = 1 << 15  # numbers that the loop over features goes over again and again
_SPARSE = 16  # of so many slopes one that is not 0: then single pairs cost less than whole blocks
_GATHERED = 1 << 20  # numbers of differences held at a time


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of vectors from each other, in float64 whatever their type."""

    x: Array
    kind: str  # of DISTANCES; for "cosine" x are directions
    directions: Units | None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of anchors and of others."""
        return len(self.x), len(self.x)

    def block(self, rows: slice) -> Array:
        """Return the distances of some anchors from all vectors."""
        if self.kind == "manhattan":
            return self._sums(rows)
        squares = self._squares(rows)
        if self.kind == "cosine":
            # 1 − cos = |x̂ − ŷ|²/2 keeps its digits where directions agree; cos of 0 counts as 0.
            lost = 0.5 * (self._directions.lengths[:, 0] == 0)
            return 0.5 * squares + (lost[rows, None] + lost)
        return squares if self.kind == "squared" else np.sqrt(squares)

    def start(self) -> tuple[Array, Array]:
        """Return zeros to add derivatives to."""
        return np.zeros_like(self.x), np.zeros_like(self.x)

    def pull(self, rows: slice, slopes: Array, into: tuple[Array, Array]) -> None:
        """Add the derivatives that a block's make; a distance of 0 has derivative 0."""
        own, other = into[0][rows], into[1]
        if self.kind == "manhattan":
            self._pull_signs(rows, slopes, own, other)
            return
        squares = self._squares(rows)
        if self.kind == "euclidean":
            root = np.sqrt(squares)
            factor = np.where(root > 0, slopes / np.where(root > 0, root, 1), 0)
        else:
            factor = slopes * (2.0 if self.kind == "squared" else 1.0)
        near = (squares <= _NEAR * self._scale(rows)) & (factor != 0)
        centred, _ = self._centred
        far = np.where(near, 0, factor)
        own += centred[rows] * far.sum(axis=1)[:, None] - far @ centred
        other += centred * far.sum(axis=0)[:, None] - far.T @ centred[rows]
        for i, j, difference in self._differences(near, rows):
            change = difference * factor[i, j][:, None]
            np.add.at(own, i, change)
            np.subtract.at(other, j, change)

    def finish(self, into: tuple[Array, Array]) -> tuple[Array, ...]:
        """Return the derivatives by the vectors."""
        whole = into[0] + into[1]
        return (whole if self.directions is None else self.directions.pull(whole),)

    @property
    def _directions(self) -> Units:
        assert self.directions is not None
        return self.directions

    @cached_property
    def _centred(self) -> tuple[Array, Array]:
        """Return the vectors from their mean, which cancels least, and their squared lengths."""
        centred = self.x - self.x.mean(axis=0)
        return centred, np.einsum("ij,ij->i", centred, centred)

    def _scale(self, rows: slice) -> Array:
        lengths = self._centred[1]
        return lengths[rows, None] + lengths

    def _squares(self, rows: slice) -> Array:
        centred, lengths = self._centred
        scale = lengths[rows, None] + lengths
        squares = scale - 2 * (centred[rows] @ centred.T)
        few = self.x.size * len(self.x) <= _SMALL
        close = np.ones_like(squares, bool) if few else squares <= _CLOSE * scale
        for i, j, difference in self._differences(close, rows):
            squares[i, j] = np.einsum("ij,ij->i", difference, difference)
        return squares

    def _differences(self, pairs: Array, rows: slice) -> Iterator[tuple[Array, Array, Array]]:
        """Yield the pairs that are marked in a block, and x − y of each, some at a time."""
        own, other = np.nonzero(pairs)
        step = max(1, _GATHERED // max(1, self.x.shape[1]))
        for first in range(0, len(own), step):
            i, j = own[first : first + step], other[first : first + step]
            yield i, j, self.x[rows][i] - self.x[j]

    @cached_property
    def _features(self) -> Array:
        return np.ascontiguousarray(self.x.T)

    def _sums(self, rows: slice) -> Array:
        """Return Σ|x − y|, a few anchors and one feature at a time."""
        made = np.zeros((rows.stop - rows.start, len(self.x)))
        for few in _parts(rows, max(1, _CACHED // max(1, len(self.x)))):
            sums = made[few.start - rows.start : few.stop - rows.start]
            work = np.empty_like(sums)
            for feature in self._features:
                np.subtract(feature[few, None], feature, out=work)
                np.abs(work, out=work)
                sums += work
        return made

    def _pull_signs(self, rows: slice, slopes: Array, own: Array, other: Array) -> None:
        if np.count_nonzero(slopes) * _SPARSE < slopes.size:
            for i, j, difference in self._differences(slopes != 0, rows):
                change = np.sign(difference) * slopes[i, j][:, None]
                np.add.at(own, i, change)
                np.subtract.at(other, j, change)
            return
        for few in _parts(rows, max(1, _CACHED // max(1, len(self.x)))):
            part = slice(few.start - rows.start, few.stop - rows.start)
            work = np.empty_like(slopes[part])
            for k, feature in enumerate(self._features):
                np.subtract(feature[few, None], feature, out=work)
                np.sign(work, out=work)
                np.multiply(work, slopes[part], out=work)
                own[part, k] += work.sum(axis=1)
                other[:, k] -= work.sum(axis=0)


def distances(x: Array, kind: str) -> Distances:
    """Return the distances of a matrix's rows from each other."""
    x = x.astype(np.float64)
    if kind != "cosine" and np.abs(x).max(initial=0) > _LARGEST:
        row, feature = np.argwhere(np.abs(x) > _LARGEST)[0]
        raise Refused(
            "embeddings",
            row,
            f"holds {x[row, feature]:g}; needed are numbers up to {_LARGEST:g}, as larger squares "
            "overflow, or distance='cosine'",
        )
    directions = units(x) if kind == "cosine" else None
    return Distances(x if directions is None else directions.vectors, kind, directions)


def relations(labels: Array, rows: slice) -> tuple[Array, Array]:
    """Return which vectors have an anchor's label, but are not itself, and which have another."""
    same = labels[rows, None] == labels
    others = ~same
    same[np.arange(len(same)), np.arange(len(labels))[rows]] = False
    return same, others


def _blocks(shape: tuple[int, int]) -> Iterator[slice]:
    return _parts(slice(0, shape[0]), max(1, BLOCK // max(1, shape[1])))


def _parts(rows: slice, step: int) -> Iterator[slice]:
    for first in range(rows.start, rows.stop, step):
        yield slice(first, min(first + step, rows.stop))
