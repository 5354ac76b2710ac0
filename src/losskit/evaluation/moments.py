"""Weighted means and their standard errors over a stream, by group, to the last digit or so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Sum:
    """A compensated sum per cell; it grows by arrays and ends within an ulp or two of the truth."""

    def __init__(self, cells: int) -> None:
        self.high = np.zeros(cells)
        self.low = np.zeros(cells)

    def add(self, high: np.ndarray, low: np.ndarray) -> None:
        """Add one pair per cell, as `Sum.of` makes them."""
        with np.errstate(invalid="ignore", over="ignore"):
            total = self.high + high
            virtual = total - self.high
            error = (self.high - (total - virtual)) + (high - virtual)
        self.low += np.where(np.isfinite(error), error, 0.0) + low
        self.high = total

    def value(self, cell: int) -> float:
        """Return the sum of one cell."""
        return float(self.high[cell] + self.low[cell])

    @staticmethod
    def of(values: np.ndarray, codes: np.ndarray | None, groups: int) -> np.ndarray:
        """Sum `values` in all and by group: an array (1 + groups, 2) of high and low parts.

        The values are split at a power of two so large that the upper parts add without error
        (Rump, Ogita & Oishi 2008, AccSum); the lower parts are then too small for theirs to matter.
        """
        largest = max(float(values.max()), -float(values.min()))
        exponent = math.frexp(largest)[1] + len(values).bit_length() + 1
        if math.isfinite(largest) and 0 < largest and exponent < 1023:
            sigma = math.ldexp(1.0, exponent)
            upper = (values + sigma) - sigma
            lower = values - upper
        else:
            upper, lower = values, np.zeros(1)
        found = np.zeros((1 + groups, 2))
        with np.errstate(invalid="ignore", over="ignore"):
            found[0] = upper.sum(), lower.sum()
            if codes is not None:
                found[1:, 0] = np.bincount(codes, upper, groups)
                if len(lower) == len(codes):
                    found[1:, 1] = np.bincount(codes, lower, groups)
        return found


class Moments:
    """Mean and standard error of a loss per cell, where cell 0 takes all rows.

    Sum(w^2 (l - m)^2) is kept about the w^2-weighted mean by the update of Chan, Golub & LeVeque
    (1983) and moved to the mean m at the end: every term is non-negative, nothing cancels.
    """

    def __init__(self, cells: int) -> None:
        self.weights = Sum(cells)
        self.losses = Sum(cells)
        self.squares = np.zeros(cells)  # sum of w^2
        self.center = np.zeros(cells)  # w^2-weighted mean
        self.spread = np.zeros(cells)  # sum of w^2 (l - center)^2

    def add(
        self, values: np.ndarray, w: np.ndarray | None, codes: np.ndarray | None, totals: np.ndarray
    ) -> None:
        """Add rows; `totals` is `Sum.of(w, codes, groups)`, which all losses of a batch share."""
        groups = len(self.center) - 1
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            weighted = values if w is None else values * w
            self.weights.add(totals[:, 0], totals[:, 1])
            sums = Sum.of(weighted, codes, groups)
            self.losses.add(sums[:, 0], sums[:, 1])
            squares = totals.sum(axis=1) if w is None else _sums(w * w, codes, groups)
            firsts = sums.sum(axis=1) if w is None else _sums(w * weighted, codes, groups)
            center = np.where(squares > 0, firsts / squares, 0.0)
            spread = _sums(_deviations(values, center[:1], w), None, 0)
            if codes is not None:
                by_group = _deviations(values, center[1:][codes], w)
                spread = np.concatenate([spread, np.bincount(codes, by_group, groups)])
            self._merge(squares, center, spread)

    def value(self, cell: int) -> float:
        """Return the weighted mean of one cell, NaN when it has no weight."""
        total = self.weights.value(cell)
        return self.losses.value(cell) / total if total > 0 else math.nan

    def standard_error(self, cell: int) -> float:
        """Return sqrt(sum(w^2 (l - m)^2)) / sum(w), NaN when it has no weight."""
        total = self.weights.value(cell)
        if not total > 0:
            return math.nan
        shift = self.value(cell) - float(self.center[cell])
        return math.sqrt(self.spread[cell] + self.squares[cell] * shift * shift) / total

    def _merge(self, squares: np.ndarray, center: np.ndarray, spread: np.ndarray) -> None:
        total = self.squares + squares
        share = np.where(total > 0, squares / total, 0.0)
        step = center - self.center
        self.spread = (
            self.spread + spread + np.where(share > 0, step * step * self.squares * share, 0.0)
        )
        self.center = self.center + np.where(share > 0, step * share, 0.0)
        self.squares = total


def _deviations(values: np.ndarray, center: np.ndarray, w: np.ndarray | None) -> Any:
    scaled = values - center if w is None else (values - center) * w
    return scaled * scaled


def _sums(values: np.ndarray, codes: np.ndarray | None, groups: int) -> np.ndarray:
    total = np.array([values.sum()])
    return total if codes is None else np.concatenate([total, np.bincount(codes, values, groups)])
