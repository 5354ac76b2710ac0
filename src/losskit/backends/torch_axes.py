"""What the axis of a formula is in PyTorch: the columns of a matrix, or lists of unequal length.

As `losskit.backends.axes` has it in NumPy, whose reasons hold here too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from losskit.formula.expr import Unsupported


@dataclass(frozen=True, eq=False)
class Axis:
    """`columns` elements in every row, or (columns=0) items of which each is in one of `rows`."""

    columns: int
    device: Any
    row: Tensor | None = None  # (items,), rising
    lengths: Tensor | None = None  # (rows,)
    _exponentials: list[tuple[Tensor, Any]] = field(default_factory=list, repr=False)

    @property
    def count(self) -> Any:
        """Number of elements of a row."""
        if self.lengths is None:
            return torch.full((1,), self.columns, device=self.device)
        return self.lengths

    @property
    def position(self) -> Tensor:
        """Place of each element in its row."""
        if self.row is None or self.lengths is None:
            return torch.arange(self.columns, device=self.device)[None]
        starts = torch.cumsum(self.lengths, 0) - self.lengths
        return torch.arange(len(self.row), device=self.device) - starts[self.row]

    def spread(self, x: Any) -> Tensor:
        """Repeat what a row has once along it."""
        return x[:, None] if self.row is None else x[self.row]

    def sum(self, x: Tensor) -> Tensor:
        """Add up each row."""
        if self.row is None or self.lengths is None:
            return x.sum(dim=1)
        return torch.zeros_like(self.lengths, dtype=x.dtype).index_add(0, self.row, x)

    def max(self, x: Tensor) -> Tensor:
        """Return the largest of each row."""
        if self.row is None or self.lengths is None:
            return x.amax(dim=1)
        lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        least = torch.full_like(self.lengths, lowest, dtype=x.dtype)
        return least.scatter_reduce(0, self.row, x, "amax")

    def norm(self, x: Tensor) -> Tensor:
        """Return the length, scaled so that no square overflows or vanishes on the way."""
        top = self.max(torch.abs(x))
        scale = torch.where((top > 0) & (top < torch.inf), top, torch.ones_like(top))
        unit = x / self.spread(scale)
        return scale * torch.sqrt(self.sum(unit * unit))

    def max_share(self, x: Tensor) -> Tensor:
        """Return 1 at the maximum, divided among those that tie."""
        top = (x == self.spread(self.max(x))).to(x.dtype)
        return top / self.spread(self.sum(top))

    def uniform(self, x: Tensor) -> Tensor:
        """Return 1/count, and 0 where x is −∞."""
        allowed = (x > -torch.inf).to(x.dtype)
        return allowed / self.spread(self.sum(allowed))

    def softmax(self, x: Tensor) -> Tensor:
        """Return eˣ/Σeˣ."""
        _, _, e, others = self._parts(x)
        return e / (1 + self.spread(others))

    def softmax_rest(self, x: Tensor) -> Tensor:
        """Return 1 − softmax(x)."""
        _, first, e, others = self._parts(x)
        others = self.spread(others)
        return torch.where(first, others, 1 + others - e) / (1 + others)

    def surprise(self, x: Tensor) -> Tensor:
        """Return −log softmax(x), as a sum of terms that are not negative."""
        top, _, _, others = self._parts(x)
        return (self.spread(top) - x) + self.spread(torch.log1p(others))

    def logsumexp(self, x: Tensor) -> Tensor:
        """Return log Σ eˣ."""
        top, _, _, others = self._parts(x)
        return top + torch.log1p(others)

    def entropy(self, x: Tensor) -> Tensor:
        """Return −Σ p·log p of p = softmax(x)."""
        p = self.softmax(x)
        return self.sum(torch.where(p > 0, p * self.surprise(x), 0.0))

    def sparsemax(self, x: Tensor) -> Tensor:
        """Return the nearest point of the simplex, by sorting (Martins & Astudillo, 2016)."""
        if self.row is not None:
            raise Unsupported("sparsemax is for classes, not for lists of unequal length")
        z = x - self.spread(self.max(x))  # it does not change, and −∞ stays out
        ordered = torch.sort(z, dim=1, descending=True).values
        excess = torch.cumsum(ordered, dim=1) - 1
        inside = ordered * torch.arange(1, self.columns + 1, device=x.device) > excess
        last = inside.sum(dim=1)[:, None] - 1
        threshold = torch.gather(excess, 1, last) / (last + 1)
        return torch.clamp(z - threshold, min=0)

    def sparsemax_surprise(self, x: Tensor) -> Tensor:
        """Return |p − e|²/2 for the element e, and what x lacks to the support of p."""
        p = self.sparsemax(x)
        first, squares = self._first(p == self.spread(self.max(p))), p * p
        others = self.spread(self.sum(torch.where(first, 0.0, squares)))
        others = torch.where(first, others, others + self.spread(self.max(squares)) - squares)
        outside = (self.spread(self.max(x)) - x) - self.spread(self.max(p))
        return 0.5 * ((1 - p) * (1 - p) + others) + torch.clamp(outside, min=0)

    def _parts(self, x: Tensor) -> Any:
        """Return the maximum, where it first is, e^(x − max), and the sum of these elsewhere."""
        for known, parts in self._exponentials:
            if known is x:
                return parts
        top = self.max(x)
        e = torch.exp(x - self.spread(torch.where(top > -torch.inf, top, 0.0)))
        first = self._first(x == self.spread(top))
        parts = top, first, e, self.sum(torch.where(first, 0.0, e))
        self._exponentials.append((x, parts))
        return parts

    def _first(self, marked: Tensor) -> Tensor:
        """Keep only the first mark of each row."""
        place = torch.where(marked, self.position, torch.iinfo(torch.int64).max)
        return place == self.spread(-self.max(-place))
