"""Newton's method with a factorised Hessian, for smooth losses and few coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.patience import Patience
from losskit.fit.solvers.run import Recorder

_ARMIJO = 1e-4
_FLAT = 0.9  # of its slope left after a step, a direction is worth following farther
_SHORTER = 0.5 ** np.arange(1, 9)
_LONGER = 2.0 ** np.arange(1, 11)
_DEPENDENT = 1e-12  # of the largest eigenvalue: below it, a direction has no curvature
_PATIENCE = 3  # steps that improve nothing before it is put down to rounding


@dataclass(frozen=True)
class NewtonCholesky:
    """Newton steps from a Cholesky factor of the Hessian and a line search (Nocedal & Wright 2006).

    Where the loss curves downwards its curvature counts as 0. Directions without any curvature
    (equal columns, the flat zones of `huber`) are followed by gradient steps.
    """

    name = "newton_cholesky"
    needs = Needs(loss=("differentiable", "curved"), penalty="quadratic")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Follow Newton directions from u until the certificate is good."""
        l2 = problem.ridge
        value, gradient = yield from problem.gradient(u)
        matrix: Array | None = None
        patience = Patience(problem, _PATIENCE)
        for _ in range(problem.max_iter):
            if not problem.penalized:  # its certificate takes the same matrix
                matrix = yield from problem.curvature(u)
            if (yield from recorder.record(u, value, gradient, matrix)):
                return
            if patience.over(recorder.history[-1]):
                return
            slope = gradient + l2 * u
            if matrix is None:
                matrix = yield from problem.curvature(u)
            direction, matrix = _direction(matrix, l2, slope, problem.intercept), None
            found = yield from _search(problem, u, value, slope, direction, l2)
            if found is None:
                return  # not even short steps descend: rounding
            u, value, gradient = found
        yield from recorder.record(u, value, gradient)


def _direction(matrix: Array, l2: Array, slope: Array, intercept: bool) -> Array:
    """Return the Newton direction, that of |H| where H is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

    size = slope.size if intercept else slope.size - slope.shape[1]
    right = slope.ravel()[:size]
    hessian = matrix.reshape(slope.size, slope.size)[:size, :size].copy()
    hessian[np.diag_indices(size)] += l2.ravel()[:size]
    diagonal = np.sqrt(np.abs(np.diagonal(hessian)))
    scale = np.where(diagonal > 0, diagonal, diagonal.max(initial=0.0) or 1.0)
    hessian /= scale
    hessian /= scale[:, None]
    direction = np.zeros(slope.size)
    try:
        factor = cho_factor(hessian, check_finite=False)
        if np.diagonal(factor[0]).min() < 1e-6:
            raise LinAlgError
        direction[:size] = -cho_solve(factor, right / scale) / scale
    except LinAlgError:
        values, vectors = eigh(hessian)
        values = np.abs(values)
        top = values.max(initial=0.0)
        curvature = np.where(values > _DEPENDENT * top, values, top if top > 0 else 1.0)
        direction[:size] = -(vectors @ ((right / scale) @ vectors / curvature)) / scale
    return direction.reshape(slope.shape)


def _search(
    problem: Problem, u: Array, value: float, slope: Array, direction: Array, l2: Array
) -> Asking:
    """Return where along a direction to go, with value and gradient; None where nothing descends.

    The whole step needs one pass; else several shorter or longer ones are tried in one more.
    """

    def penalty(step: float) -> float:
        return problem.penalty_value(u + step * direction)

    objective, descent = value + penalty(0.0), float((slope * direction).sum())
    if not descent < 0:
        return None
    slack = 4 * float(np.finfo(problem.data.dtype).eps) * abs(objective)

    def enough(step: float, new: float) -> bool:
        return new <= objective + _ARMIJO * step * descent + slack

    moved = u + direction
    whole = yield from problem.gradient(moved)
    if np.isfinite(whole[1]).all() and enough(1.0, whole[0] + penalty(1.0)):
        left = float(((whole[1] + l2 * moved) * direction).sum())
        if left > _FLAT * descent:
            return moved, *whole
        steps, best = _LONGER, whole[0] + penalty(1.0)
    else:
        steps, best = _SHORTER, np.inf
    chosen = 0.0
    while steps[0] > 1e-12 and not chosen:
        values = yield from problem.line(u, direction, steps)
        for step, new in zip(steps.tolist(), values.tolist(), strict=True):
            total = new + penalty(step)
            if enough(step, total) and total < best:
                chosen, best = step, total
        if steps is _LONGER:
            break
        steps = steps * _SHORTER[-1]
    if not chosen:
        return (moved, *whole) if steps is _LONGER else None
    moved = u + chosen * direction
    return moved, *(yield from problem.gradient(moved))
