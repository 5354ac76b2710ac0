"""The convex conjugate of a loss, row by row, by which solvers sharpen their duality gaps.

ℓ*(z) = sup_f [z·f − ℓ(y, f)] is what a dual objective subtracts, so a certificate may overstate it
and must never understate it. Any f gives z·f − ℓ(f) ≤ ℓ*(z), the wrong side; but as a convex ℓ lies
above its tangent at f,

    ℓ*(z) ≤ z·f − ℓ(f) + (z − ℓ'(f))·(f* − f)

for the maximiser f*, and a Newton iteration kept between points at which ℓ' lies on both sides of z
knows how far away f* is at most. The last term is of the second order in the distance from f*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.fit.objective.shape import shape_of
from losskit.formula.expr import Unsupported

Array = np.ndarray[Any, np.dtype[Any]]
_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 4 * _EPS  # of slopes beside z, and of the terms of a conjugate
_MOST = 200  # iterations; bisection alone needs some 60 once there are two sides


def conjugate(loss: Any, y_true: Any, z: Any, start: Any) -> Array:
    """Return ℓ*(z) = sup_f [z·f − ℓ(y, f)] of each row: an upper bound, and a sharp one.

    It is exact to a billionth of ℓ*(z) − (z·start − ℓ(start)) and to rounding of these terms.

    For the certificates of solvers. `y_true`, `z` and `start`, raw scores near the maximisers, have
    one shape, which is that of the result; a near `start` takes five passes, a far one more.
    Where z lies outside the range of ℓ' the conjugate is infinite; z counts as equal to a slope
    that it differs from by rounding. Raises Unsupported unless the loss is convex, without corners
    and of one number.

    >>> import losskit
    >>> from losskit.fit.objective.conjugate import conjugate
    >>> conjugate(losskit.squared_error, [1.0], [4.0], [0.0])  # z²/4 + y·z
    array([8.])
    """
    _check(loss)
    y, z, f = (np.asarray(a, dtype=np.float64) for a in (y_true, z, start))
    if not y.shape == z.shape == f.shape:
        raise ValueError(
            f"y_true, z and start have shapes {y.shape}, {z.shape} and {f.shape}; needed is one"
        )
    shape = y.shape
    y, z, f = y.ravel(), z.ravel(), f.ravel()
    for name, values in (("z", z), ("start", f)):
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{name} of row {first} is {values[first]}; needed is a finite number")
    if not y.size:
        return np.empty(shape)
    bound, left = _near(loss, y, z, np.clip(f, *_ends(loss)))
    if left.size:
        search = _maximisers(loss, y[left], z[left], f[left])
        bound[left] = _bound(loss, y[left], z[left], search)
    return bound.reshape(shape)


def at_shrunk_slopes(loss: Any, y_true: Any, scores: Any, c: Any) -> Array:
    """Return ℓ*(c·ℓ'(f)) of each row at raw scores f, for 0 ≤ c ≤ 1: the rescaled dual point."""
    slopes = loss.gradient(y_true, scores, raw=True, reduction="none")
    return conjugate(loss, y_true, c * slopes, scores)


def minimisers(loss: Any, y_true: Any, start: Any) -> Array:
    """Return for each row the raw score, found from `start`, with the least loss, a convex one."""
    _check(loss)
    y, f = (np.asarray(a, dtype=np.float64) for a in (y_true, start))
    return _maximisers(loss, y.ravel(), np.zeros(y.size), f.ravel()).f.reshape(y.shape)


def _near(loss: Any, y: Array, z: Array, start: Array) -> tuple[Array, Array]:
    """Return the bounds after two of Newton's steps, and the rows for which they are not sharp."""
    ends = _ends(loss)

    def look(f: Array) -> tuple[Array, Array]:
        slope, bend = loss.gradient_and_hessian(y, f, raw=True, reduction="none")
        return z - slope, bend

    with np.errstate(all="ignore"):
        f = start
        lacking, bend = first, _ = look(f)
        for _ in range(2):
            step = np.where(lacking == 0, 0.0, lacking / bend)
            f = np.clip(np.where(np.isfinite(step), f + step, f), *ends)
            lacking, bend = look(f)
        # Twice as far lies the other side, so that the maximiser is between: see the module's text.
        step = np.where(lacking == 0, 0.0, 2 * lacking / bend)
        step += 4 * np.copysign(np.spacing(np.abs(f)), lacking)
        other = np.clip(np.where(np.isfinite(step), f + step, f), *ends)
        beyond = look(other)[0]
        value = loss(y, f, raw=True, reduction="none")
        further = np.abs(lacking * (other - f))
        rounding = _ROUNDING * (np.abs(z * f) + np.abs(value))
        bound = z * f - value + further + rounding
        between = (lacking == 0) | (lacking * beyond <= 0)
        sharp = between & (further <= rounding + 1e-9 * np.abs(first * (f - start)))
    return bound, np.flatnonzero(~(sharp & np.isfinite(bound)))


@dataclass(frozen=True)
class _Search:
    """Where each row's search stands: ℓ'(low) ≤ z ≤ ℓ'(high), and ℓ'(f) = slope."""

    f: Array
    slope: Array
    bend: Array
    low: Array
    high: Array

    def found(self, z: Array) -> Array:
        """Say where z is the slope at f, up to rounding."""
        with np.errstate(invalid="ignore"):
            return np.abs(z - self.slope) <= _ROUNDING * np.maximum(np.abs(z), np.abs(self.slope))

    def look(self, loss: Any, y: Array, z: Array, rows: Array, f: Array) -> None:
        """Move rows to f, and note on which side of z the slope there is."""
        if not rows.size:
            return
        slope, bend = loss.gradient_and_hessian(y[rows], f, raw=True, reduction="none")
        # Beyond what floats hold, a slope is as far off as the way there went.
        slope = np.where(np.isnan(slope), np.copysign(np.inf, f - self.f[rows]), slope)
        short, beyond = slope < z[rows], slope > z[rows]
        self.low[rows[short]] = f[short]
        self.high[rows[beyond]] = f[beyond]
        self.f[rows], self.slope[rows], self.bend[rows] = f, slope, bend


@lru_cache(maxsize=256)
def _check(loss: Any) -> None:
    if loss.kind != "pointwise" or len(loss.outputs) != 1:
        raise Unsupported(f"{loss.name}: conjugates are computed for losses of one number")
    found = shape_of(loss)
    if not (found.convex and found.differentiable):
        lacking = "convex" if not found.convex else "without corners"
        raise Unsupported(f"{loss.name} is not {lacking}, so its conjugate tells nothing here")


def _maximisers(loss: Any, y: Array, z: Array, start: Array) -> _Search:
    """Find where the slope is z: by Newton's steps, by halves of what is left where those fail."""
    ends = _ends(loss)
    f = np.clip(start, *ends)
    unknown = np.full(f.shape, np.nan)
    low, high = np.full(f.shape, -np.inf), np.full(f.shape, np.inf)
    search = _Search(f, unknown, unknown.copy(), low, high)
    rows = np.arange(f.size)
    search.look(loss, y, z, rows, f.copy())
    reach = np.maximum(1.0, np.abs(f))  # the longest step while one side is open
    moved = np.full((2, f.size), np.inf)  # the last two steps
    for count in range(_MOST):
        width = (search.high - search.low)[rows]
        narrow = width <= 2 * np.spacing(np.abs(search.f[rows]))
        rows = rows[~(narrow | search.found(z)[rows] | (reach[rows] > 1e300))]
        if not rows.size:
            break
        step = _step(search, z, rows, reach[rows], moved[0, rows], ends)
        moved[:, rows] = moved[1, rows], np.abs(step)
        # First by factors of two, then by ever larger ones: 1e300 is reached in 84 steps.
        factor = 2.0 if count < 40 else 2.0 ** (count - 39)
        reach[rows] = np.minimum(reach[rows], 2e300 / factor) * factor
        search.look(loss, y, z, rows, np.clip(search.f[rows] + step, *ends))
    _close(loss, y, z, search)
    return search


def _step(
    search: _Search, z: Array, rows: Array, reach: Array, before: Array, ends: tuple[float, float]
) -> Array:
    """Return how far to go: Newton's step where that shrinks by half every other time."""
    f, low, high = search.f[rows], search.low[rows], search.high[rows]
    lacking = z[rows] - search.slope[rows]
    way = np.sign(lacking)
    closed = np.isfinite(low) & np.isfinite(high)
    with np.errstate(all="ignore"):
        newton = lacking / search.bend[rows]
        good = (search.bend[rows] > 0) & np.isfinite(newton) & (np.abs(newton) <= 0.5 * before)
        half = low + (high - low) / 2 - f
        inside = (f + newton > low) & (f + newton < high)
    onwards = np.where(good, np.clip(newton, -reach, reach), way * reach)
    # The end of a domain is approached by halves.
    room = np.where(way > 0, ends[1] - f, ends[0] - f)
    onwards = np.where(np.abs(onwards) < np.abs(room), onwards, room / 2)
    step = np.where(closed, np.where(good & inside, newton, half), onwards)
    return np.where(f + step == f, np.nextafter(f, f + way) - f, step)


def _close(loss: Any, y: Array, z: Array, search: _Search) -> None:
    """Bring the other side near: Newton's steps come from one side and leave the other behind."""
    rows = np.flatnonzero(~search.found(z) & np.isfinite(search.slope))
    way = np.sign(z - search.slope)
    for count in range(8):
        with np.errstate(all="ignore"):
            step = np.abs((z - search.slope)[rows] / search.bend[rows])
            step = 2.0 ** (2 * count) * (2 * step + 4 * np.spacing(np.abs(search.f[rows])))
            trial = search.f[rows] + way[rows] * step
        inside = (trial > search.low[rows]) & (trial < search.high[rows])
        rows = rows[inside]
        if not rows.size:
            return
        search.look(loss, y, z, rows, trial[inside])
        rows = rows[np.sign(z - search.slope)[rows] == way[rows]]


def _bound(loss: Any, y: Array, z: Array, search: _Search) -> Array:
    """Return what the tangents at the points found leave possible."""
    lacking = np.where(search.found(z), 0.0, z - search.slope)
    domain = loss.form(raw=True).predictions[0]
    other = np.where(
        lacking > 0, np.minimum(search.high, domain.upper), np.maximum(search.low, domain.lower)
    )
    with np.errstate(all="ignore"):
        further = np.where(lacking == 0, 0.0, lacking * (other - search.f))
    bound = np.full(z.shape, np.inf)
    rows = np.flatnonzero(np.isfinite(further))
    if rows.size:
        value = loss(y[rows], search.f[rows], raw=True, reduction="none")
        product = z[rows] * search.f[rows]
        rounding = _ROUNDING * (np.abs(product) + np.abs(value))
        bound[rows] = product - value + further[rows] + rounding
    return bound


def _ends(loss: Any) -> tuple[float, float]:
    """Return the least and the largest score that a loss takes."""
    domain = loss.form(raw=True).predictions[0]
    largest = float(np.finfo(np.float64).max)
    low = np.nextafter(domain.lower, np.inf) if domain.open_lower else domain.lower
    high = np.nextafter(domain.upper, -np.inf) if domain.open_upper else domain.upper
    return max(float(low), -largest), min(float(high), largest)
