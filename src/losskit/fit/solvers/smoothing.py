"""Losses with corners, by a sequence of smoothed ones that come ever nearer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Ask, Asking
from losskit.fit.objective.certificate import (
    GAP,
    PRECISION,
    RESIDUAL,
    SMOOTHED,
    Certificate,
    solve_semidefinite,
)
from losskit.fit.objective.dual import RowGaps
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.smoothing import PARAMETER, smoothed, smoothing_error
from losskit.fit.solvers.auto import choose, named
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder
from losskit.fit.solvers.working_set import WorkingSet

_FIRST = 0.1  # of what can be gained at all: the smoothing error of the first stage
_ACCURACY = 0.01  # to which a stage is solved, beside what its smoothing costs
_LAST = 0.05  # of the target, more accurately than which no stage is solved
_WIDER = 24  # powers of ten that the first width may be above what bounds allow
_NEWTON = 2000  # coefficients up to which Newton's steps pay: smoothed corners are badly scaled
_STEPS = {"newton_cholesky": 40, "working_set": 5}  # more than which a stage should not need
_GENTLE, _BOLDER = 1.2, 1.5  # the least factor, and how fast it recovers
_FAILURES = 3  # stages that are not solved before the rest is given up
_AGAIN = 3  # times a stage is solved once more, to an accuracy that dual points need
_CORNER = 1e-9  # of the first width: corners that are as good as sharp
_LEAST = 1e-12  # of the first width; below it rounding decides
_SHRINK = (0.0, 1e-9, 1e-6, 1e-3)  # tried where a dual point lies just outside the slopes


@dataclass(frozen=True)
class Smoothing:
    """Solves a sequence of problems with rounded corners, each begun where the last one ended
    (Nesterov 2005), by the solver that is best for a smooth loss.

    `factor` is by what the width of the corners shrinks from stage to stage. A stage's slopes make
    a dual point for the loss with corners (see `fit.dual`), so the certificate is a duality gap;
    where there is none, the smoothing error is added to what is known of the smoothed problem.
    """

    factor: float = 10.0

    name = "smoothing"
    needs = Needs(loss=("convex", "corners"))

    def __post_init__(self) -> None:
        if not 1 < self.factor < np.inf:
            raise ValueError(f"smoothing: factor is {self.factor!r}; needed is a number above 1")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Follow the solutions of smoothed problems from u until the certificate is good."""
        smooth = smoothed(problem.loss)
        width, cost = yield from _first_width(problem, u)
        if (yield from _begin(problem, recorder, u, smooth(smoothing=_CORNER * width))):
            return
        path = _Path(min(width, 1e3 * recorder.memory.get(self.name, width)), cost, self.factor)
        left, least, failures, again = problem.max_iter, _LEAST * width, 0, 0
        while left > 0 and path.width > least and failures <= _FAILURES:
            aim = _ACCURACY**again * max(_ACCURACY * path.cost, _LAST * problem.target)
            loss = smooth(smoothing=path.width)
            sub = yield from _smoothed_problem(problem, loss, path.width, aim)
            solver, limit = _inner(sub)
            inner = Recorder(replace(sub, max_iter=min(left, limit)))
            yield from solver.solve(inner.problem, inner, u)
            assert inner.best is not None
            assert inner.certificate is not None
            left -= len(inner.history)
            if len(inner.history) > limit and path.retreat():
                u = path.point
                continue
            u = inner.best
            found = yield from _certify(problem, inner, u, path.width)
            nearest = min(step.certificate for step in recorder.history)
            failures = 0 if found.certificate.value < nearest else failures + 1
            recorder.keep(u, found.value, found.certificate)
            recorder.memory[self.name] = path.width
            if found.certificate.reached:
                return
            again = again + 1 if found.rough and again < _AGAIN else 0
            if not again:
                path.advance(u, found.cost, quick=4 * len(inner.history) < limit)


class _Path:
    """The width of the stage to be solved and what its smoothing will cost; the stage before."""

    def __init__(self, width: float, cost: float, factor: float) -> None:
        self.width, self.cost = width, cost
        self.factor = self.most = factor
        self.solved: tuple[float, float] | None = None
        self.point = np.empty(0)

    def advance(self, point: Array, cost: float, quick: bool) -> None:
        """Go to the next stage; in longer strides after one that was solved quickly."""
        self.solved, self.point = (self.width, cost), point
        self.factor = min(self.most, self.factor * _BOLDER) if quick else self.factor
        self._stride()

    def retreat(self) -> bool:
        """Go only half the way from the stage before; return whether there is one."""
        if self.solved is None or self.factor <= _GENTLE:
            return False
        self.factor = max(sqrt(self.factor), _GENTLE)
        self._stride()
        return True

    def _stride(self) -> None:
        assert self.solved is not None
        self.width, self.cost = (one / self.factor for one in self.solved)


def _inner(sub: Problem) -> tuple[Any, int]:
    """Return a solver for a stage and how many iterations it should not need."""
    name, _ = choose(sub)
    if name == "lbfgs" and sub.size[0] * sub.size[1] <= _NEWTON:  # the scales are bad ones
        name = "newton_cholesky"
    solver = WorkingSet(patience=0.0, rough=False) if name == "working_set" else named(name)
    return solver, _STEPS.get(name, sub.max_iter)


def _first_width(problem: Problem, u: Array) -> Asking:
    """Return the width of the first stage's corners, and what it costs at u."""
    allowed = _FIRST * (problem.room or 1.0)
    error = yield from problem.row_mean(_error, u, 1.0)
    width = allowed / error if 0 < error < np.inf else _LEAST * allowed
    cost = yield from problem.row_mean(_difference, u, width)
    for _ in range(_WIDER):  # where a few rows alone make the bound large
        wider = yield from problem.row_mean(_difference, u, 10 * width)
        if not wider <= allowed:
            break
        width, cost = 10 * width, wider
    return width, max(cost, 1e-3 * allowed)


def _smoothed_problem(problem: Problem, loss: Any, width: float, aim: float) -> Asking:
    """Return the problem of a stage, whose target is `aim`."""
    error = yield from problem.row_mean(_error, problem.origin(), width)
    room, infimum = problem.room or 1.0, problem.baseline.infimum - error
    value = infimum + room if np.isfinite(infimum) else room
    baseline = replace(problem.baseline, value=value, infimum=infimum)
    made = problem.with_loss(loss, baseline)
    return replace(made, tol=aim / room, certificate="auto")


def dual_slope(problem: Problem, width: float | None = None) -> Asking:
    """Return the derivative by u at the best constant that a dual point has: of the many slopes at
    corners, those that balance.
    """
    u = problem.origin()
    if width is None:
        width = (yield from _first_width(problem, u))[0] * _CORNER
    sub = yield from _smoothed_problem(problem, smoothed(problem.loss, width), width, 1.0)
    _, gradient = yield from sub.gradient(u)
    if sub.intercept:
        direction = np.zeros_like(u)
        matrix = yield from sub.intercept_curvature(u)
        if not np.isfinite(matrix).all():  # every row sits on a corner
            return gradient
        direction[-1] = -solve_semidefinite(matrix, gradient[-1])
        gradient = gradient + (yield from sub.product(u, direction))
    return gradient


def _begin(problem: Problem, recorder: Recorder, u: Array, loss: Any) -> Asking:
    """Keep the start; return whether it is the end: a constant that no column improves.

    `loss` is a smoothed one whose corners are all but sharp.
    """
    (value,) = yield from problem.line(u, np.zeros_like(u), [0.0])
    bound = float(value) + problem.penalty_value(u) - problem.baseline.infimum
    if problem.penalized and not u[:-1].any():
        sub = problem.with_loss(loss, problem.baseline)
        _, _, gap = yield from _dual(problem, sub, u, float(loss.params[PARAMETER]))
        bound = bound if gap is None else min(bound, gap)
    met = bound <= problem.target
    recorder.keep(u, float(value), Certificate(GAP, bound, problem.target, met))
    return met


@dataclass(frozen=True)
class _Found:
    """A point's certificate, its mean loss, what its smoothing costs beside a solved problem, and
    whether the stage was solved too roughly for a dual point.
    """

    certificate: Certificate
    value: float
    cost: float
    rough: bool = False


def _certify(problem: Problem, inner: Recorder, u: Array, width: float) -> Asking:
    """Return what is known of the solution of a stage."""
    known = inner.certificate
    assert known is not None
    cost, value, gap = yield from _dual(problem, inner.problem, u, width)
    objective = value + problem.penalty_value(u)
    if gap is not None and np.isfinite(gap):
        precision = problem.precision(objective)
        if problem.target < gap <= precision:
            made = Certificate(PRECISION, gap, precision, True, f"from the {GAP}")
        else:
            made = Certificate(GAP, gap, problem.target, gap <= problem.target)
        return _Found(made, value, cost)
    error = max(objective - inner.objective, 0.0)
    kind = RESIDUAL if known.kind == RESIDUAL else SMOOTHED
    total = error + known.value
    # Where a dual point is to be had, a decrement near a corner is no match for it.
    met = total <= problem.target and gap is None
    note = f"smoothing error {error:.2g} + {known.kind} {known.value:.2g}"
    made = Certificate(kind, total, problem.target, met, note)
    return _Found(made, value, error, gap is not None)


def _dual(problem: Problem, sub: Problem, u: Array, width: float) -> Asking:
    """Return the mean of row gaps, the mean loss and the duality gap at u.

    The gap is infinite where the dual point is none, and None where nothing can make it one.
    """
    _, gradient = yield from sub.gradient(u)
    direction = yield from _towards_dual(sub, u, gradient)
    if direction is None:
        (value,) = yield from problem.line(u, np.zeros_like(u), [0.0])
        return np.inf, float(value), None
    if direction.any():
        gradient = gradient + (yield from sub.product(u, direction))
    for c in _shrinks(problem, gradient):
        kernel = RowGaps(problem.loss, sub.loss, width, problem.columns)
        params = problem.theta(u), problem.theta(direction), np.array(c), np.array(problem.held)
        gaps, values = yield Ask(kernel, params)
        cost = float(gaps) / problem.baseline.weight
        value = float(values) / problem.baseline.weight
        if np.isfinite(cost):
            break
    free = np.zeros(u.shape, dtype=bool)
    free[-1] = problem.intercept
    if not problem.penalized:
        free[:] = True
    # What rounding leaves of slopes that ought to be 0, for coefficients twice as large.
    gap = cost + float((np.abs(gradient[free]) * (1 + np.abs(u[free]))).sum())
    if problem.penalized:
        slope = c * gradient[:-1] * problem.scale[:, None]
        gap += c * float((gradient[:-1] * u[:-1]).sum()) + problem.penalty_value(u)
        gap += float(problem.penalty.conjugate(-slope, problem.alpha))
    return cost, value, max(float(gap), 0.0)


def _towards_dual(sub: Problem, u: Array, gradient: Array) -> Asking:
    """Return the Newton step of all that no corner of the penalty holds at 0.

    At its end slopes are what optimality asks for: those of free coefficients are 0, those of
    others balance the penalty. None where that is too dear, or there is no dual.
    """
    direction = np.zeros_like(u)
    if sub.penalized and not sub.penalty.convex:
        return None
    if sub.strengths is None:
        if sub.intercept:
            matrix = yield from sub.intercept_curvature(u)
            direction[-1] = -solve_semidefinite(matrix, gradient[-1])
        return direction
    l1, l2 = (one[:, None] for one in sub.strengths)
    moving = np.flatnonzero(((u[:-1] != 0) | (l1 == 0)).any(axis=1))
    if (moving.size + 1) * sub.outputs > _NEWTON:
        if not sub.penalized:
            return None
        moving = moving[:0]
    if not moving.size and not sub.intercept:
        return direction
    place = np.append(moving, sub.data.columns)
    slope = gradient.copy()
    slope[:-1] += l1 * np.sign(u[:-1]) + l2 * u[:-1]
    part = sub.restricted(moving) if sub.columns is None else sub.narrowed(moving)
    matrix = yield from part.curvature(u[place])
    bends = np.arange(place.size - (not sub.intercept))
    size = bends.size * sub.outputs
    matrix = matrix[bends][:, :, bends].reshape(size, size)
    ridge = np.zeros((bends.size, sub.outputs))
    ridge[: moving.size] = l2[moving]
    matrix[np.diag_indices(size)] += ridge.ravel()
    step = solve_semidefinite(matrix, slope[place[bends]].ravel())
    direction[place[bends]] = -step.reshape(ridge.shape)
    return direction


def _shrinks(problem: Problem, gradient: Array) -> Iterator[float]:
    """Yield what to multiply dual points by: L1 allows slopes up to alpha, a loss only its own."""
    edge = 1.0
    if problem.penalized and problem.penalty.convex:
        slope = gradient[:-1] * problem.scale[:, None]
        if not np.isfinite(problem.penalty.conjugate(-slope, problem.alpha)):
            largest = problem.penalty.alpha_max(slope)
            if np.isfinite(largest) and largest > problem.alpha:
                edge = problem.alpha / largest
    for less in _SHRINK:
        yield edge * (1 - 8 * np.finfo(float).eps) * (1 - less)


def _error(loss: Any, y: Array, scores: Array, width: float) -> Array:
    """Return a bound on the smoothing error of each row."""
    bound = smoothing_error(loss, float(width), y)
    return bound if bound.ndim == 1 else bound.sum(axis=1)


def _difference(loss: Any, y: Array, scores: Array, width: float) -> Array:
    """Return the smoothing error of each row at its scores."""
    options = {"raw": True, "reduction": "none"}
    made = loss(y, scores, **options) - smoothed(loss, float(width))(y, scores, **options)
    return made if made.ndim == 1 else made.sum(axis=1)
