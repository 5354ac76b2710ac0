"""Squared losses from XᵀX: one pass for the curvature, one for the slope, then paths without data.

Where the curvature of a loss is one number, its mean is a quadratic that two sums give for good:
every further penalty, in every fold, costs arithmetic on a matrix of columns by columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.quadratics import lasso, least_norm, solve_semidefinite
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder

_REFINEMENTS = 20
_LEAST = 1e-17  # of the objective: below this coordinate descent moves digits that are rounding


@dataclass(frozen=True)
class Gram:
    """Cholesky factors where there is no L1, else coordinate descent on XᵀX (Efron et al. 2004)."""

    name = "gram"
    needs = Needs(loss=("quadratic", "uncoupled"), penalty="elastic")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Minimise the quadratic that the data were summed to."""
        model = recorder.memory.get(self.name)
        if model is None:
            value, gradient = yield from problem.gradient(u)
            matrix = yield from problem.curvature(u)
            # The outputs of a loss that does not couple them see the same columns.
            matrix = np.ascontiguousarray(matrix[:, 0, :, 0])
            model = _Quadratic(u, value, gradient, matrix, np.sqrt(problem.target))
        assert problem.strengths is not None
        l1, l2 = (np.append(one, 0.0) for one in problem.strengths)
        recorder.memory[self.name] = model
        if not u[:-1].any() and (yield from recorder.record(u, *model.at(u))):
            return  # the best constant, to the last digit
        refined = 0
        while True:
            u = model.minimum(u, l1, l2, problem.intercept)
            exact = model.noise() > problem.target or not problem.steady
            if exact:  # the sums' rounding, or that of centring them, would hide what is asked for
                model = yield from _at(model, problem, u)
            value, gradient = model.at(u)
            if (yield from recorder.record(u, value, gradient)):
                break
            if l1.any() and model.tol > model.least():
                model = replace(model, tol=0.2 * model.tol)
            elif refined < _REFINEMENTS and not recorder.stalled():
                refined += 1
                model = yield from _at(model, problem, u)
            else:
                break
        recorder.memory[self.name] = model


def _at(model: _Quadratic, problem: Problem, u: Array) -> Asking:
    """Return the same quadratic about u, with value and slope from the data (one refinement)."""
    value, gradient = yield from problem.gradient(u)
    return replace(model, origin=u, value=value, gradient=gradient)


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """The mean loss as a quadratic about a point."""

    origin: Array
    value: float
    gradient: Array
    matrix: Array  # (d + 1, d + 1)
    tol: float  # of coordinate descent, which the next penalty of a path begins with

    def at(self, u: Array) -> tuple[float, Array]:
        """Return the mean loss and its derivative."""
        move = u - self.origin
        bend = self.matrix @ move
        fall = float((move * self.gradient).sum()) + 0.5 * float((move * bend).sum())
        return self.value + fall, self.gradient + bend

    def noise(self) -> float:
        """Return the rounding of values that are differences from that at the origin."""
        return 4 * float(np.finfo(np.float64).eps) * abs(self.value)

    def least(self) -> float:
        """Return the smallest tolerance of coordinate descent that means anything."""
        return float(np.sqrt(_LEAST * max(abs(self.value), 1e-290)))

    def minimum(self, u: Array, l1: Array, l2: Array, intercept: bool) -> Array:
        """Return the minimum of this + Σ l1|u| + l2/2·u²."""
        matrix = self.matrix.copy()
        matrix[np.diag_indices(len(matrix))] += l2
        slope = self.at(u)[1] + l2[:, None] * u
        made = u.copy()
        for k in range(u.shape[1]):
            if l1.any():
                made[:, k] = lasso(matrix, slope[:, k], u[:, k], l1, tol=self.tol).weights
            else:
                free = len(matrix) if intercept else len(matrix) - 1
                solver = solve_semidefinite if l2[:-1].all() else least_norm
                right = (matrix @ u)[:free, k] - slope[:free, k]
                made[:free, k] = solver(matrix[:free, :free], right)
        return made
