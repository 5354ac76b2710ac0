"""Squared loss from XᵀX: sums over rows once, then whole paths and folds without the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from losskit.fit.designs import Array
from losskit.fit.solvers.quadratics import lasso, least_norm, solve_semidefinite

# Elements of a block of rows, which is centred, weighted and multiplied while it is in the cache
# that cores share. Smaller ones lose more in BLAS's threads waiting for each other.
_ELEMENTS = 1 << 20


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums over the rows of K parts (folds) of the data, with x − shift for x.

    The shift (d,) is any vector near the columns' means: it saves the digits that centring costs.
    Sums of equal shift add up over batches of rows.
    """

    weight: Array  # (K,) Σ w
    x: Array  # (K, d) Σ w x
    y: Array  # (K,) Σ w y
    gram: Array  # (K, d, d) Σ w x xᵀ
    cross: Array  # (K, d) Σ w x y
    square: Array  # (K,) Σ w y²
    shift: Array  # (d,)

    def __add__(self, other: Sums) -> Sums:
        return self._made([a + b for a, b in zip(self._added, other._added, strict=True)])

    def whole(self) -> Sums:
        """Return the sums over all parts, as K = 1."""
        return self._made([one.sum(axis=0, keepdims=True) for one in self._added])

    def outside(self) -> Sums:
        """Return for each part the sums over all others: that part is held out."""
        return self._made([one.sum(axis=0) - one for one in self._added])

    def _made(self, added: list[Array]) -> Sums:
        weight, x, y, gram, cross, square = added
        return Sums(weight, x, y, gram, cross, square, self.shift)

    @property
    def _added(self) -> tuple[Array, ...]:
        return self.weight, self.x, self.y, self.gram, self.cross, self.square


def sums(
    X: Array,
    y: Array,
    weight: Array | None = None,
    part: Array | None = None,
    parts: int = 1,
    shift: Array | None = None,
) -> Sums:
    """Return the sums over the rows of an array (n, d) of either order, or a SciPy CSR matrix.

    `part` (n,) numbers the part of each row from 0, −1 for none. Rows are multiplied in blocks, so
    that no copy of X is made; products of float32 are float32's, their sums float64.
    """
    d = X.shape[1]
    moved = np.zeros(d) if shift is None else np.asarray(shift, dtype=np.float64)
    made = Sums(
        np.zeros(parts), np.zeros((parts, d)), np.zeros(parts), np.zeros((parts, d, d)),
        np.zeros((parts, d)), np.zeros(parts), moved,
    )  # fmt: skip
    add = _add_dense if isinstance(X, np.ndarray) else _add_sparse
    for k in range(parts):
        rows = None if part is None else np.flatnonzero(part == k)
        add(made, k, X, y, weight, rows)
    return made


@dataclass(frozen=True, eq=False)
class Gram:
    """The objective ½ wᵀGw − b·w + ½ square, G `matrix` and b `pull`, and the intercept's means."""

    matrix: Array
    pull: Array
    square: float
    x_mean: Array
    y_mean: float

    @cached_property
    def size(self) -> int:
        """The number d of coefficients."""
        return len(self.pull)

    def slope(self, w: Array) -> Array:
        """Return the objective's derivative Gw − b."""
        return np.asarray(self.matrix @ w - self.pull)

    def value(self, w: Array, slope: Array | None = None) -> float:
        """Return the objective, given or not the slope at w."""
        slope = self.slope(w) if slope is None else slope
        return 0.5 * max(self.square + float(w @ (slope - self.pull)), 0.0)

    def intercept(self, w: Array) -> float:
        """Return the best intercept for w."""
        return self.y_mean - float(self.x_mean @ w)


def gram(sums: Sums, k: int = 0, *, intercept: bool = True, curvature: float = 1.0) -> Gram:
    """Return the mean of curvature·½(y − w·x − b)² over part k, with the best intercept b.

    `curvature` is 2 for the loss (y − f)². Without an intercept the sums need a shift of 0.

    Raises:
        ValueError: part k has no row that counts.
    """
    weight = float(sums.weight[k])
    if not weight > 0:
        raise ValueError(
            f"gram: part {k} has a sum of weights of {weight:g}; needed is one above 0"
        )
    matrix, pull = sums.gram[k] / weight, sums.cross[k] / weight
    square, x, y = float(sums.square[k]) / weight, sums.x[k] / weight, float(sums.y[k]) / weight
    if not intercept:
        if sums.shift.any():
            raise ValueError("gram: sums were taken with a shift, which needs an intercept")
        return Gram(matrix * curvature, pull * curvature, square * curvature, np.zeros_like(x), 0.0)
    means = np.diagonal(matrix).copy()
    matrix -= np.outer(x, x)
    pull -= x * y
    constant = np.diagonal(matrix) <= 1e-14 * means + 1e-30 * sums.shift**2  # what rounding leaves
    matrix[constant] = matrix[:, constant] = pull[constant] = 0.0
    square = max(square - y * y, 0.0)
    return Gram(matrix * curvature, pull * curvature, square * curvature, x + sums.shift, y)


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum to within `gap`."""

    weights: Array  # (d,)
    slope: Array  # (d,) of the objective without the penalty
    gap: float
    sweeps: int = 0


def solve(
    problem: Gram,
    l1: Array | float,
    l2: Array | float,
    *,
    target: float,
    start: Solution | None = None,
) -> Solution:
    """Minimise the objective + Σ l1|w| + l2/2·w², to a duality gap of `target` if rounding allows.

    `l1` and `l2` are numbers or (d,). Without l1 it is a linear system, whose solution of least
    length is given where l2 = 0 and there are several.
    """
    return next(path(problem, [(l1, l2)], target=target, start=start))


def path(
    problem: Gram,
    strengths: Sequence[tuple[Array | float, Array | float]],
    *,
    target: float,
    start: Solution | None = None,
) -> Iterator[Solution]:
    """Yield `solve` for each (l1, l2), each started from the one before."""
    matrix = problem.matrix.copy()
    diagonal = matrix.diagonal().copy()
    here = start or Solution(np.zeros(problem.size), -problem.pull, np.inf)
    tol = 0.0
    for pair in strengths:
        l1, l2 = (
            np.broadcast_to(np.asarray(one, dtype=np.float64), diagonal.shape) for one in pair
        )
        np.fill_diagonal(matrix, diagonal + l2)
        if not l1.any():
            solver = solve_semidefinite if l2.all() else least_norm
            w = solver(matrix, problem.pull)
            slope = problem.slope(w)
            here = Solution(w, slope, gap(problem, w, slope, l1, l2))
        else:
            tol = tol or float(np.sqrt(target))
            here, tol = _descend(problem, matrix, l1, l2, here, target, tol)
        yield here


def gap(problem: Gram, w: Array, slope: Array, l1: Array | float, l2: Array | float) -> float:
    """Return a bound on how far w's penalised objective is above the minimum.

    With r the residuals, c·r is a feasible point of the dual problem for each c in [0, 1] at which
    penalty*(−c·slope) is finite, and the gap there is, with nothing left to cancel,

        ½(1 − c)²·mean r² + c·w·slope + penalty(w) + penalty*(−c·slope).

    Coordinates without a penalty, whose conjugate is infinite off 0, are first moved to where their
    slopes are 0; what that gains is part of the bound.
    """
    one, two = _each(l1, w.size), _each(l2, w.size)
    free = (one == 0) & (two == 0)
    gained = 0.0
    if free.any() and slope[free].any():
        own = problem.matrix[np.ix_(free, free)]
        move = -solve_semidefinite(own, slope[free])
        gained = -0.5 * float(slope[free] @ move)
        slope = slope + move @ problem.matrix[free]
        w = w.copy()
        w[free] += move
    rest = 2.0 * problem.value(w, slope)
    w, g, one, two = w[~free], slope[~free], one[~free], two[~free]
    paid, pull = float((one * np.abs(w) + 0.5 * two * w * w).sum()), float(w @ g)
    edges = one / np.maximum(np.maximum(np.abs(g), one), 1e-300)
    soft = two > 0

    def at(c: float) -> float:
        over = np.maximum(c * np.abs(g[soft]) - one[soft], 0.0)
        conjugate = 0.5 * float((over * over / two[soft]).sum())
        return 0.5 * (1 - c) ** 2 * rest + c * pull + paid + conjugate

    edge = float(edges[~soft].min(initial=1.0))
    return max(gained + min(at(c) for c in {edge, float(edges.min(initial=1.0))}), 0.0)


def _each(strength: Array | float, size: int) -> Array:
    return np.broadcast_to(np.asarray(strength, dtype=np.float64), (size,))


def _descend(
    problem: Gram, matrix: Array, l1: Array, l2: Array, here: Solution, target: float, tol: float
) -> tuple[Solution, float]:
    """Lower the tolerance of coordinate descent until the gap is small enough."""
    w, slope, sweeps = here.weights, here.slope, 0
    least = 1e-16 * np.sqrt(max(problem.square, 1e-300))
    while True:
        found = lasso(matrix, slope + l2 * w, w, l1, tol=tol)
        w, slope = found.weights, found.slope - l2 * found.weights
        sweeps += found.sweeps
        reached = gap(problem, w, slope, l1, l2)
        if reached <= target or tol <= least:
            return Solution(w, slope, reached, sweeps), tol
        tol = max(0.2 * tol, least)


def _add_dense(
    made: Sums, k: int, X: Array, y: Array, weight: Array | None, rows: Array | None
) -> None:
    n, d = X.shape if rows is None else (len(rows), X.shape[1])
    step = max(1, min(n, _ELEMENTS // max(d, 1)))
    kind = X.dtype if X.dtype == np.float32 else np.dtype(np.float64)
    moved, shift = bool(made.shift.any()), made.shift.astype(kind)
    room = np.empty((step, d), dtype=kind)
    for begin in range(0, n, step):
        at: Any = slice(begin, begin + step) if rows is None else rows[begin : begin + step]
        block, target = X[at], y[at].astype(np.float64)
        w = np.ones(len(target)) if weight is None else weight[at]
        if moved or block.dtype != kind or not block.flags.c_contiguous:
            block = np.subtract(block, shift, out=room[: len(block)])
        made.weight[k] += w.sum()
        made.y[k] += w @ target
        made.square[k] += w @ (target * target)
        first, cross = np.stack([w, w * target]).astype(kind, copy=False) @ block
        made.x[k] += first
        made.cross[k] += cross
        if weight is not None:
            block = np.multiply(block, np.sqrt(w).astype(kind)[:, None], out=room[: len(block)])
        made.gram[k] += block.T @ block  # one array twice: NumPy does half the work


def _add_sparse(
    made: Sums, k: int, X: Any, y: Array, weight: Array | None, rows: Array | None
) -> None:
    block = X if rows is None else X[rows]
    target = (y if rows is None else y[rows]).astype(np.float64)
    w = np.ones(len(target)) if weight is None else weight if rows is None else weight[rows]
    weighted = block.multiply(w[:, None]).tocsr()
    first = np.asarray(weighted.sum(axis=0), dtype=np.float64).ravel()
    total, shift = float(w.sum()), made.shift
    made.weight[k] = total
    made.x[k] = first - total * shift
    made.y[k] = w @ target
    made.square[k] = w @ (target * target)
    made.cross[k] = weighted.T @ target - made.y[k] * shift
    dense = np.asarray((block.T @ weighted).todense(), dtype=np.float64)
    mixed = np.outer(shift, first)
    made.gram[k] = dense - mixed - mixed.T + total * np.outer(shift, shift)
