"""Duality gaps of losses with corners, from dual points that a smoothed loss supplies.

At scores f the slopes r and curvatures h of a smoothed loss ℓ_μ ≤ ℓ are good dual variables for ℓ
itself: for every z = c·(r + h·Xδ), with g = mean x·z,

    F(u) − min F ≤ mean[ℓ(f) + ℓ*(z) − z·f] + g·u + pen(u) + pen*(−g),

as far as g is 0 where coefficients are free; a Newton step δ for the free ones makes it so. A row
far from its corner costs nearly nothing, so that the sum is much smaller than the smoothing error,
which every row pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import Rows, scores_of

_GROWTH, _LEAP, _NEAR, _FAR = 8.0, 2.0**20, 12, 18  # 2**36, then 2**156 times as far
_MOST = 100  # points that are looked at
_SHARP = 1e-3  # of a row's gap, and less than which its bound is not sharpened
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class RowGaps:
    """Σw(ℓ(f) + ℓ*(z) − z·f) for z = shrink·(r + h·Xδ) by a smoothed loss, and Σwℓ(f): params
    theta, direction, shrink (fits,), held.
    """

    loss: Any
    smooth: Any
    reach: float  # how far away the maximisers of rows are, roughly
    columns: tuple[int, ...] | None = None

    def part(
        self, rows: Rows, theta: Array, direction: Array, shrink: Array, held: Array
    ) -> tuple[Array, ...]:
        """Return gaps and values (fits,)."""
        scores = rows.scores(self.columns, theta)
        moves = scores_of(rows.design(self.columns), direction)
        options = {"raw": True, "reduction": "none"}
        made = np.zeros((2, len(held)))
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold))
            weight = np.ones(len(rows.y)) if weight is None else weight
            counts = weight > 0
            y, f, w = rows.y[counts], scores[i][counts], weight[counts]
            slope, bend = self.smooth.gradient_and_hessian(y, f, **options)
            z = shrink[i] * (slope + bend * moves[i][counts])
            gaps = row_gaps(self.loss, y, z, f, self.reach)
            values = self.loss(y, f, **options)
            each = (w if gaps.ndim == 1 else w[:, None]) * np.stack([gaps, values])
            made[:, i] = each.reshape(2, -1).sum(axis=1)
        return made[0], made[1]


def row_gaps(loss: Any, y: Array, z: Array, start: Array, reach: float) -> Array:
    """Return ℓ(f) + ℓ*(z) − z·f at scores f = `start` of each element: bounds, and sharp ones.

    For convex losses, corners included. The maximiser of z·f − ℓ(f) is enclosed; as a concave
    function lies below its tangents, it is nowhere higher than where the tangents at both ends
    meet, which for straight pieces is the corner between them. Infinite where z is no slope of the
    loss.
    """
    shape = start.shape
    y, z, f = y.ravel(), z.ravel(), start.ravel()

    def look(rows: Array, at: Array) -> tuple[Array, Array]:
        value, slope = loss.value_and_gradient(y[rows], at, raw=True, reduction="none")
        return z[rows] * (at - f[rows]) - value, z[rows] - slope

    everything = np.arange(f.size)
    height, rise = look(everything, f)
    loss_there = -height
    gaps = np.where(rise == 0, 0.0, np.inf)
    search = _Search(f, height, rise, reach)
    rows = everything[rise != 0]
    for count in range(_MOST):
        if not rows.size:
            break
        with np.errstate(all="ignore"):
            at = search.next(rows, count)
            found = look(rows, at)
        search.put(rows, at, *found)
        bound, known = search.bound(rows)
        rounding = _ROUNDING * (np.abs(z * f)[rows] + loss_there[rows])
        # `height` is relative to z·f, so that it starts at −ℓ(f) and the gap is what it gains.
        gaps[rows] = np.minimum(gaps[rows], bound + loss_there[rows] + rounding)
        gained = known + loss_there[rows]
        left = gaps[rows] - gained
        done = left <= np.maximum(_SHARP * gained, 2 * rounding)
        rows = rows[~(done | (np.isinf(gaps[rows]) & (count >= _FAR)))]
    return gaps.reshape(shape)


class _Search:
    """Enclosures of maximisers: points left and right of them, with heights and rises there."""

    def __init__(self, f: Array, height: Array, rise: Array, reach: float) -> None:
        self.at = np.stack([f, f])
        self.height = np.stack([height, height])
        self.rise = np.stack([rise, rise])
        self.open = np.stack([rise < 0, rise > 0])  # the side that nothing is known of
        self.way = np.sign(rise)
        self.reach = np.full(f.shape, reach)

    def next(self, rows: Array, count: int) -> Array:
        """Return where to look next: farther out, where tangents meet, or halfway."""
        left, right = self.at[:, rows]
        still = self.open[:, rows].any(axis=0)
        outwards = np.where(self.way[rows] > 0, right, left) + self.way[rows] * self.reach[rows]
        self.reach[rows[still]] *= _GROWTH if count < _NEAR else _LEAP
        inwards = self._meeting(rows)[0]
        middle = left + (right - left) / 2
        usable = (inwards > left) & (inwards < right) & (count % 3 != 2)
        return np.where(still, outwards, np.where(usable, inwards, middle))

    def put(self, rows: Array, at: Array, height: Array, rise: Array) -> None:
        """Put what was found at points in the place of the end on their side."""
        for side, there in ((0, rise >= 0), (1, rise <= 0)):
            some = rows[there]
            self.at[side, some] = at[there]
            self.height[side, some] = height[there]
            self.rise[side, some] = rise[there]
            self.open[side, some] = False

    def bound(self, rows: Array) -> tuple[Array, Array]:
        """Return how high a row can be at most, and how high it is known to be."""
        highest = self._meeting(rows)[1]
        shut = ~self.open[:, rows].any(axis=0)
        return np.where(shut, highest, np.inf), self.height[:, rows].max(axis=0)

    def _meeting(self, rows: Array) -> tuple[Array, Array]:
        """Return where the tangents at both ends meet, and how high that is."""
        (a, b), (low, high), (up, down) = self.at[:, rows], self.height[:, rows], self.rise[:, rows]
        with np.errstate(all="ignore"):
            step = (high - low - down * (b - a)) / (up - down)
            step = np.clip(np.where(np.isfinite(step), step, 0.0), 0.0, b - a)
            at_left, at_right = low + up * step, high - down * ((b - a) - step)
        top = np.where(up == 0, low, np.where(down == 0, high, np.maximum(at_left, at_right)))
        return a + step, top
