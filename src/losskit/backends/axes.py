"""What the axis of a formula is in NumPy: the columns of a matrix, or lists of unequal length.

Values that vary along the axis are (rows, columns), or flat for lists; what a row has once is
(rows,). Generated functions take an `Axis` as their first argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from losskit.formula.expr import Unsupported

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Axis:
    """`columns` elements in every row, or (columns=0) rows that begin at `starts` of `size`."""

    columns: int = 0
    starts: Array = field(default_factory=lambda: np.empty(0, np.int64))
    size: int = 0
    _exponentials: list[tuple[Array, Any]] = field(default_factory=list, repr=False)

    @property
    def lengths(self) -> Array:
        """Number of elements of each list."""
        return np.diff(np.append(self.starts, self.size))

    @property
    def count(self) -> Any:
        """Number of elements of a row."""
        return np.array([self.columns]) if self.columns else self.lengths

    @property
    def position(self) -> Array:
        """Place of each element in its row."""
        if self.columns:
            return np.arange(self.columns)[None]
        return np.arange(self.size) - self.spread(self.starts)

    def spread(self, x: Any) -> Array:
        """Repeat what a row has once along it."""
        return x[:, None] if self.columns else np.repeat(x, self.lengths)

    def sum(self, x: Array) -> Array:
        """Add up each row."""
        return x.sum(axis=1) if self.columns else np.add.reduceat(x, self.starts)

    def max(self, x: Array) -> Array:
        """Return the largest of each row."""
        return x.max(axis=1) if self.columns else np.maximum.reduceat(x, self.starts)

    def any(self, x: Array) -> Array:
        """Say which rows hold a truth."""
        return np.asarray(x.any(axis=1) if self.columns else np.maximum.reduceat(x, self.starts))

    def norm(self, x: Array) -> Array:
        """Return the length, scaled so that no square overflows or vanishes on the way."""
        top = self.max(np.abs(x))
        scale = np.where((top > 0) & (top < np.inf), top, x.dtype.type(1))
        unit = x / self.spread(scale)
        return scale * np.sqrt(self.sum(unit * unit))

    def max_share(self, x: Array) -> Array:
        """Return 1 at the maximum, divided among those that tie."""
        top = (x == self.spread(self.max(x))).astype(x.dtype)
        return top / self.spread(self.sum(top))

    def uniform(self, x: Array) -> Array:
        """Return 1/count, and 0 where x is −∞."""
        allowed = (x > -np.inf).astype(x.dtype)
        return allowed / self.spread(self.sum(allowed))

    def softmax(self, x: Array) -> Array:
        """Return eˣ/Σeˣ."""
        _, _, e, others = self._parts(x)
        return e / (1 + self.spread(others))

    def softmax_rest(self, x: Array) -> Array:
        """Return 1 − softmax(x)."""
        _, first, e, others = self._parts(x)
        others = self.spread(others)
        return np.where(first, others, 1 + others - e) / (1 + others)

    def surprise(self, x: Array) -> Array:
        """Return −log softmax(x), as a sum of terms that are not negative."""
        top, _, _, others = self._parts(x)
        return (self.spread(top) - x) + self.spread(np.log1p(others))

    def logsumexp(self, x: Array) -> Array:
        """Return log Σ eˣ."""
        top, _, _, others = self._parts(x)
        return top + np.log1p(others)

    def entropy(self, x: Array) -> Array:
        """Return −Σ p·log p of p = softmax(x)."""
        p = self.softmax(x)
        return self.sum(np.where(p > 0, p * self.surprise(x), x.dtype.type(0)))

    def sparsemax(self, x: Array) -> Array:
        """Return the nearest point of the simplex, by sorting (Martins & Astudillo, 2016)."""
        if not self.columns:
            raise Unsupported("sparsemax is for classes, not for lists of unequal length")
        z = x - self.spread(self.max(x))  # it does not change, and −∞ stays out
        ordered = -np.sort(-z, axis=1)
        with np.errstate(invalid="ignore"):
            excess = np.cumsum(ordered, axis=1) - 1
            inside = ordered * np.arange(1, self.columns + 1) > excess
        last = np.count_nonzero(inside, axis=1)[:, None] - 1
        threshold = np.take_along_axis(excess, last, axis=1) / (last + 1)
        return np.maximum(z - threshold.astype(x.dtype), 0)

    def sparsemax_surprise(self, x: Array) -> Array:
        """Return |p − e|²/2 for the element e, and what x lacks to the support of p."""
        p = self.sparsemax(x)
        first, squares = self._first(p == self.spread(self.max(p))), p * p
        others = self.spread(self.sum(np.where(first, x.dtype.type(0), squares)))
        others = np.where(first, others, others + self.spread(self.max(squares)) - squares)
        outside = (self.spread(self.max(x)) - x) - self.spread(self.max(p))
        return 0.5 * ((1 - p) * (1 - p) + others) + np.maximum(outside, 0)

    def _parts(self, x: Array) -> Any:
        """Return the maximum, where it first is, e^(x − max), and the sum of these elsewhere."""
        for known, parts in self._exponentials:
            if known is x:
                return parts
        top = self.max(x)
        e = np.exp(x - self.spread(np.where(top > -np.inf, top, x.dtype.type(0))))
        first = self._first(x == self.spread(top))
        parts = top, first, e, self.sum(np.where(first, x.dtype.type(0), e))
        self._exponentials.append((x, parts))
        return parts

    def _first(self, marked: Array) -> Array:
        """Keep only the first mark of each row."""
        place = np.where(marked, self.position, np.iinfo(np.int64).max)
        return place == self.spread(-self.max(-place))
