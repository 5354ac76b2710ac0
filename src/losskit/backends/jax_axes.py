"""What the axis of a formula is in JAX: the last axis of arrays, or lists of flat items.

Generated functions take an `Axis` as their first argument. The operations are those of
`backends.axes`, in the same precision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from losskit.formula.expr import Unsupported

Array = Any


@dataclass(frozen=True, eq=False)
class Axis:
    """`columns` elements in every row, or (columns=0) flat items, item i of list `ids[i]`.

    Elements that are not `valid` are of no row.
    """

    columns: int = 0
    ids: Array = None
    lists: int = 0
    valid: Array = None
    _exponentials: list[tuple[Array, Any]] = field(default_factory=list, repr=False)

    @property
    def count(self) -> Any:
        """Number of elements of a row."""
        if self.columns and self.valid is None:
            return self.columns
        return self.sum(self._ones)

    @property
    def position(self) -> Array:
        """Place of each element among those of its row."""
        if self.columns:
            return self._place if self.valid is None else jnp.cumsum(self.valid, axis=-1) - 1
        order = jnp.argsort(self._ids, stable=True)
        starts = jnp.cumsum(self.count) - self.count
        there = self._place - self.spread(starts)[order]
        return jnp.zeros_like(there).at[order].set(there)

    def spread(self, x: Any) -> Array:
        """Repeat what a row has once along it."""
        x = jnp.asarray(x)
        return x[..., None] if self.columns else x.at[self._ids].get(mode="clip")

    def sum(self, x: Array) -> Array:
        """Add up each row."""
        if self.columns:
            return (x if self.valid is None else jnp.where(self.valid, x, 0)).sum(axis=-1)
        return jax.ops.segment_sum(self._each(x), self._ids, self.lists)

    def max(self, x: Array) -> Array:
        """Return the largest of each row."""
        if self.columns:
            least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
            return (x if self.valid is None else jnp.where(self.valid, x, least)).max(axis=-1)
        return jax.ops.segment_max(self._each(x), self._ids, self.lists)

    def any(self, x: Array) -> Array:
        """Say which rows hold a truth."""
        return self.sum(x.astype(jnp.int32)) > 0

    def norm(self, x: Array) -> Array:
        """Return the length, scaled so that no square overflows or vanishes on the way."""
        top = self.max(jnp.abs(x))
        scale = jnp.where((top > 0) & (top < jnp.inf), top, 1)
        unit = x / self.spread(scale)
        return scale * jnp.sqrt(self.sum(unit * unit))

    def max_share(self, x: Array) -> Array:
        """Return 1 at the maximum, divided among those that tie."""
        top = (x == self.spread(self.max(x))).astype(x.dtype)
        return top / self.spread(self.sum(top))

    def uniform(self, x: Array) -> Array:
        """Return 1/count, and 0 where x is −∞."""
        allowed = (x > -jnp.inf).astype(x.dtype)
        return allowed / self.spread(self.sum(allowed))

    def softmax(self, x: Array) -> Array:
        """Return eˣ/Σeˣ."""
        _, _, e, others = self._parts(x)
        return e / (1 + self.spread(others))

    def softmax_rest(self, x: Array) -> Array:
        """Return 1 − softmax(x)."""
        _, first, e, others = self._parts(x)
        others = self.spread(others)
        return jnp.where(first, others, 1 + others - e) / (1 + others)

    def surprise(self, x: Array) -> Array:
        """Return −log softmax(x), as a sum of terms that are not negative."""
        top, _, _, others = self._parts(x)
        return (self.spread(top) - x) + self.spread(jnp.log1p(others))

    def logsumexp(self, x: Array) -> Array:
        """Return log Σ eˣ."""
        top, _, _, others = self._parts(x)
        return top + jnp.log1p(others)

    def entropy(self, x: Array) -> Array:
        """Return −Σ p·log p of p = softmax(x)."""
        p = self.softmax(x)
        return self.sum(jnp.where(p > 0, p * self.surprise(x), 0))

    def sparsemax(self, x: Array) -> Array:
        """Return the nearest point of the simplex, by sorting (Martins & Astudillo, 2016)."""
        if not self.columns or self.valid is not None:
            raise Unsupported("sparsemax is for classes, not for lists of unequal length")
        z = x - self.spread(self.max(x))  # it does not change, and −∞ stays out
        ordered = -jnp.sort(-z, axis=-1)
        excess = jnp.cumsum(ordered, axis=-1) - 1
        inside = ordered * jnp.arange(1, self.columns + 1) > excess
        last = jnp.count_nonzero(inside, axis=-1, keepdims=True) - 1
        threshold = jnp.take_along_axis(excess, last, axis=-1) / (last + 1)
        return jnp.maximum(z - threshold.astype(x.dtype), 0)

    def sparsemax_surprise(self, x: Array) -> Array:
        """Return |p − e|²/2 for the element e, and what x lacks to the support of p."""
        p = self.sparsemax(x)
        first, squares = self._first(p == self.spread(self.max(p))), p * p
        others = self.spread(self.sum(jnp.where(first, 0, squares)))
        others = jnp.where(first, others, others + self.spread(self.max(squares)) - squares)
        outside = (self.spread(self.max(x)) - x) - self.spread(self.max(p))
        return 0.5 * ((1 - p) * (1 - p) + others) + jnp.maximum(outside, 0)

    def _parts(self, x: Array) -> Any:
        """Return the maximum, where it first is, e^(x − max), and the sum of these elsewhere."""
        for known, parts in self._exponentials:
            if known is x:
                return parts
        top = self.max(x)
        e = jnp.exp(x - self.spread(jnp.where(top > -jnp.inf, top, 0)))
        first = self._first(x == self.spread(top))
        parts = top, first, e, self.sum(jnp.where(first, 0, e))
        self._exponentials.append((x, parts))
        return parts

    def _first(self, marked: Array) -> Array:
        """Keep only the first mark of each row."""
        place = jnp.where(marked, self._place, jnp.iinfo(jnp.int32).max)
        return place == self.spread(-self.max(-place))

    @property
    def _place(self) -> Array:
        """Number of each element: of its row, or of the flat items."""
        return jnp.arange(self.columns or self.ids.shape[0], dtype=jnp.int32)

    @property
    def _ones(self) -> Array:
        return jnp.ones((self.columns,) if self.columns else self.ids.shape, jnp.int32)

    @property
    def _ids(self) -> Array:
        """The items' lists; those that are not valid are in one of which JAX drops the items."""
        return self.ids if self.valid is None else jnp.where(self.valid, self.ids, self.lists)

    def _each(self, x: Array) -> Array:
        return jnp.broadcast_to(x, self.ids.shape)
