"""Blocks of weights: their lengths, and weights scaled to new lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from losskit.arrays import Array


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which block each weight belongs to, counted from 0."""

    ids: Array  # (d,)
    count: int

    @classmethod
    def of(cls, labels: tuple[int | str, ...]) -> Blocks:
        """Return the blocks of labels, in the order of the sorted labels."""
        distinct, ids = np.unique(np.array(labels), return_inverse=True)
        ids.setflags(write=False)
        return cls(ids, distinct.size)

    def sums(self, x: Array) -> Array:
        """Return the sum over each block of x, (d,) or (d, K)."""
        rows = x if x.ndim == 1 else x.sum(axis=1)
        return np.bincount(self.ids, rows, minlength=self.count)

    def norms(self, x: Array) -> Array:
        """Return the length of each block of x; squares neither overflow nor underflow."""
        rows = np.abs(x) if x.ndim == 1 else np.abs(x).max(axis=1, initial=0.0)
        largest = np.zeros(self.count)
        np.maximum.at(largest, self.ids, rows)
        exponent = np.frexp(largest)[1]
        # A power of two changes no digit.
        near = np.ldexp(x, -exponent[self.ids] if x.ndim == 1 else -exponent[self.ids, None])
        return np.ldexp(np.sqrt(self.sums(near * near)), exponent)

    def scaled(self, x: Array, norms: Array, wanted: Array) -> Array:
        """Return x with each block, of length `norms`, brought to the wanted length; 0 stays 0."""
        factors = np.divide(wanted, norms, out=np.zeros(self.count), where=norms > 0)[self.ids]
        return x * (factors if x.ndim == 1 else factors[:, None]) + 0.0  # no negative zeros

    def constant(self, name: str, what: str, x: Array) -> Array:
        """Return the value of x in each block, or raise ValueError where it has several."""
        rows = x if x.ndim == 1 else x[:, 0]
        each = np.zeros(self.count)
        each[self.ids] = rows
        same = each[self.ids] == rows if x.ndim == 1 else (each[self.ids, None] == x).all(axis=1)
        if not same.all():
            at = int(np.argmin(same))
            raise ValueError(
                f"{name}: {what} differs within the block of weight {at}; needed is one {what} for "
                "each block"
            )
        return each
