"""What the methods that walk down a gradient share: coordinates, the default rate, divergence.

They are for learning and for comparison: textbook steps in the coefficients and intercepts of the
data's own columns, as a reader would write them down. `standardized=True` walks in coefficients of
centred columns of unit scale instead, which is much faster where columns differ in scale or lie far
from 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import penalty_kind
from losskit.fit.solvers.run import Recorder

_POWER = 30  # products with the mean of x·xᵀ, after which its largest eigenvalue is known well
_SAFE = 1.05
_GUESS = 2.0  # a curvature that is known at one place only may be so many times as large elsewhere
_FAR = 1e3  # times what could be gained, by which an objective has risen where steps diverge


class Walk:
    """A problem in the coordinates that steps are taken in, and the way from and to its own."""

    def __init__(self, problem: Problem, standardized: bool) -> None:
        self.problem, self.inside = problem, problem
        if not standardized:
            flat, one = np.zeros(problem.data.columns), np.ones(problem.data.columns)
            data = replace(problem.data, mean=flat, scale=one, size=one)
            self.inside = replace(problem, data=data)
        self.smooth = penalty_kind(problem) == "quadratic"  # else the penalty is for a prox
        self.l2 = self.inside.ridge if self.smooth else np.zeros(problem.size)

    def into(self, u: Array) -> Array:
        """Return a point of the problem in the coordinates of steps."""
        return self.inside.at(*self.problem.coefficients(u))

    def record(self, recorder: Recorder, x: Array, value: float, gradient: Array) -> Asking:
        """Keep a point; return whether it is good enough."""
        problem, inside = self.problem, self.inside
        slope = gradient.copy()  # first by coefficients and intercepts, then by u
        slope[:-1] = gradient[:-1] * inside.scale[:, None] + inside.centre[:, None] * gradient[-1]
        slope[:-1] = (slope[:-1] - problem.centre[:, None] * slope[-1]) / problem.scale[:, None]
        coef, intercept = inside.coefficients(x)
        return (yield from recorder.record(problem.at(coef, intercept), value, slope))

    def slope(self, x: Array, gradient: Array) -> Array:
        """Return the derivative of what steps descend: with the penalty where that is smooth."""
        return gradient + self.l2 * x

    def settle(self, x: Array, step: float | Array) -> Array:
        """Return the proximal step of a penalty that is not smooth."""
        return x if self.smooth else self.inside.prox(x, step)

    def objective(self, x: Array, value: float) -> float:
        """Return mean loss + penalty."""
        return value + self.inside.penalty_value(x)

    def safe_rate(self, batch: int | None = None) -> Asking:
        """Return 1/L for the largest curvature L of the objective, as far as that is known.

        Batches of few rows curve more, by about what single rows do over their number.
        """
        bend = yield from _curvature(self.inside, self.into(self.problem.origin()))
        most = yield from self._spread()
        if batch is not None:
            most += 2 * self._row_size() / batch
        total = bend * most + float(self.l2.max(initial=0.0))
        return 1 / total if 0 < total < np.inf else 1.0

    def _spread(self) -> Asking:
        """Return the largest eigenvalue of the mean of x·xᵀ."""
        direction = np.random.default_rng(0).normal(size=(self.inside.size[0], 1))
        if not self.inside.intercept:
            direction[-1] = 0.0
        most = 0.0
        for _ in range(_POWER):
            direction = yield from self.inside.spread(direction / np.linalg.norm(direction))
            most = float(np.linalg.norm(direction))
            if not 0 < most < np.inf:
                break
        return _SAFE * most

    def _row_size(self) -> float:
        """Return the mean of |x|²."""
        data, inside = self.problem.data, self.inside
        squares = np.maximum(data.size**2 - data.mean**2, 0.0) + (data.mean - inside.centre) ** 2
        return float((squares / inside.scale**2).sum()) + inside.intercept


def curvature_along(problem: Problem, x: Array, gradient: Array) -> Asking:
    """Return the curvature of the mean loss along its gradient, by a difference."""
    size = float(np.linalg.norm(gradient))
    if not size > 0:
        return 1.0
    step = 1e-3 * max(1.0, float(np.linalg.norm(x))) / size
    _, other = yield from problem.gradient(x - step * gradient)
    bend = float(np.linalg.norm(other - gradient)) / (step * size)
    return bend if np.isfinite(bend) and bend > 0 else 1.0


def _curvature(problem: Problem, x: Array) -> Asking:
    """Return how much a loss curves by its score at most, as far as that is known."""
    shape, loss = problem.shape, problem.loss
    if loss.kind == "pointwise" and len(loss.outputs) == 1:
        found, room = loss.properties, problem.room or 1.0
        if shape.differentiable and 0 < found.curvature[1] < np.inf:
            return float(found.curvature[1])
        if not shape.differentiable and np.isfinite(found.lipschitz):
            # A corner rounded so that this costs about what can be gained curves so much.
            return float(found.lipschitz**2 / room)
    if shape.curved and shape.differentiable:
        matrix = yield from problem.intercept_curvature(x)
        return _GUESS * float(np.linalg.eigvalsh(matrix)[-1])
    _, gradient = yield from problem.gradient(x)
    return _GUESS * (yield from curvature_along(problem, x, gradient))


class Watch:
    """Notices where steps diverge, and says what to change."""

    def __init__(self, walk: Walk, start: float, rate: float, advice: str) -> None:
        self.start, self.room = start, walk.problem.room or 1.0
        self.note = f"diverged with learning_rate={rate:.3g}: {advice}"

    def lost(self, objective: float, x: Array) -> bool:
        """Say whether a point is beyond hope."""
        limit = self.start + _FAR * max(self.room, abs(self.start))
        return not (objective <= limit and np.isfinite(x).all())

    def close(self, recorder: Recorder, objective: float) -> None:
        """Note on the best certificate that steps led upwards, if this is where they ended."""
        assert recorder.certificate is not None
        if not objective <= self.start + self.room:
            recorder.certificate = replace(recorder.certificate, note=self.note)
