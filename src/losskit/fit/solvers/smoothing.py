"""Losses with corners, by a sequence of smoothed ones that come ever nearer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from losskit.fit.auto import choose, named
from losskit.fit.certificate import GAP, RESIDUAL, SMOOTHED, Certificate, solve_semidefinite
from losskit.fit.designs import Array
from losskit.fit.dual import RowGaps
from losskit.fit.needs import Needs
from losskit.fit.problem import Ask, Asking, Problem
from losskit.fit.run import Recorder
from losskit.fit.smoothing import smoothed, smoothing_error

_FIRST = 0.1  # of what can be gained at all: the smoothing error of the first stage
_ACCURACY = 0.01  # to which a stage is solved, beside what its smoothing costs
_NEWTON = 2000  # coefficients up to which Newton's steps pay: smoothed corners are badly scaled
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
    needs = Needs(loss=("convex",))

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Follow the solutions of smoothed problems from u until the certificate is good."""
        smooth = smoothed(problem.loss)
        width, error = yield from _first_width(problem, u)
        width = min(width, 1e3 * recorder.memory.get(self.name, width))
        least, left = _LEAST * width, problem.max_iter
        aim = _ACCURACY * error * width
        if (yield from _begin(problem, recorder, u)):
            return
        while left > 0 and width > least:
            sub = _smoothed_problem(problem, smooth(smoothing=width), error * width, aim, left)
            inner = Recorder(sub)
            yield from _inner(sub).solve(sub, inner, u)
            assert inner.best is not None and inner.certificate is not None
            u, left = inner.best, left - len(inner.history)
            cost, value, certificate = yield from _certify(problem, sub, inner, u, width)
            recorder.keep(u, value, certificate)
            recorder.memory[self.name] = width
            if certificate.reached:
                return
            width /= self.factor
            aim = _ACCURACY * min(cost, error * width) / self.factor


def _inner(sub: Problem) -> Any:
    """Return a solver for a stage."""
    name, _ = choose(sub)
    small = sub.size[0] * sub.size[1] <= _NEWTON
    return named("newton_cholesky" if name == "lbfgs" and small else name)


def _first_width(problem: Problem, u: Array) -> Asking:
    """Return the width of the first stage's corners, and the smoothing error for each unit of it."""
    room = _room(problem)
    error = yield from problem.row_mean(_error, u, 1.0)
    if not 0 < error < np.inf:
        error = yield from problem.row_mean(_difference, u, room)
        error = max(error / room, 1e-12)
    return _FIRST * room / error, error


def _room(problem: Problem) -> float:
    room = problem.target / problem.tol if problem.tol > 0 else 0.0
    return room if room > 1e-300 else 1.0


def _smoothed_problem(
    problem: Problem, loss: Any, error: float, aim: float, max_iter: int
) -> Problem:
    """Return the problem of a stage, whose target is `aim`."""
    room = _room(problem)
    infimum = problem.baseline.infimum - error
    value = infimum + room if np.isfinite(infimum) else room
    baseline = replace(problem.baseline, value=value, infimum=infimum)
    made = problem.with_loss(loss, baseline)
    return replace(made, tol=aim / room, max_iter=max_iter, certificate="auto")


def _begin(problem: Problem, recorder: Recorder, u: Array) -> Asking:
    """Keep the start, of which the loss's lower bound is all that is known; return if it is met."""
    (value,) = yield from problem.line(u, np.zeros_like(u), [0.0])
    bound = float(value) + problem.penalty_value(u) - problem.baseline.infimum
    met = bound <= problem.target
    recorder.keep(u, float(value), Certificate(GAP, bound, problem.target, met))
    return met


def _certify(
    problem: Problem, sub: Problem, inner: Recorder, u: Array, width: float
) -> Asking:
    """Return what the smoothing costs, the mean loss at u, and the certificate of u."""
    certificate = inner.certificate
    assert certificate is not None
    found = yield from _dual(problem, sub, u, width)
    cost, value, gap, note = found
    if np.isfinite(gap):
        kind, reached = GAP, gap <= problem.target
        precision = problem.precision(value + problem.penalty_value(u))
        if not reached and gap <= precision:
            return cost, value, Certificate(kind, gap, precision, True, "machine precision")
        return cost, value, Certificate(kind, gap, problem.target, reached, note)
    error = max(value + problem.penalty_value(u) - inner.objective, 0.0)
    total = error + certificate.value
    kind = RESIDUAL if certificate.kind == RESIDUAL else SMOOTHED
    note = f"smoothing error {error:.2g} + {certificate.kind} {certificate.value:.2g}"
    return (
        cost if np.isfinite(cost) else error, value,
        Certificate(kind, total, problem.target, total <= problem.target, note),
    )  # fmt: skip


def _dual(problem: Problem, sub: Problem, u: Array, width: float) -> Asking:
    """Return the mean of row gaps, the mean loss and the duality gap at u (both may be infinite)."""
    _, gradient = yield from sub.gradient(u)
    direction = yield from _towards_dual(sub, u, gradient)
    if direction is not None and direction.any():
        gradient = gradient + (yield from sub.product(u, direction))
    for c in _shrinks(problem, gradient):
        kernel = RowGaps(problem.loss, sub.loss, width, problem.columns)
        way = np.zeros_like(u) if direction is None else direction
        params = problem.theta(u), problem.theta(way), np.array(c), np.array(problem.held)
        gaps, values = yield Ask(kernel, params)
        cost = float(gaps) / problem.baseline.weight
        value = float(values) / problem.baseline.weight
        if np.isfinite(cost):
            break
    if direction is None or not np.isfinite(cost):
        return cost, value, np.inf, ""
    free = np.zeros(u.shape, dtype=bool)
    free[-1] = problem.intercept
    if not problem.penalized:
        free[:] = True
    # What rounding leaves of slopes that ought to be 0, for coefficients twice as large.
    left = float((np.abs(gradient[free]) * (1 + np.abs(u[free]))).sum())
    gap = cost + left
    if problem.penalized:
        scale = problem.scale[:, None]
        slope = c * gradient[:-1] * scale
        gap += c * float((gradient[:-1] * u[:-1]).sum()) + problem.penalty_value(u)
        gap += float(problem.penalty.conjugate(-slope, problem.alpha))
    return cost, value, max(gap, 0.0), f"its rows' part is {cost:.2g}"


def _towards_dual(sub: Problem, u: Array, gradient: Array) -> Asking:
    """Return the Newton step of free coefficients, at whose end their slope is 0; None where it is
    too dear or the penalty has no conjugate.
    """
    direction = np.zeros_like(u)
    if sub.penalized and not sub.penalty.convex:
        return None
    if sub.penalized:
        if sub.intercept:
            matrix = yield from sub.intercept_curvature(u)
            direction[-1] = -solve_semidefinite(matrix, gradient[-1])
        return direction
    if u.size > _NEWTON:
        return None
    matrix = yield from sub.curvature(u)
    step = solve_semidefinite(matrix.reshape(u.size, u.size), gradient.ravel())
    return -step.reshape(u.shape)


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
