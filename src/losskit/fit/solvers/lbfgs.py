"""L-BFGS: gradients only, for smooth losses with a penalty that is smooth as well."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder

_ARMIJO = 1e-4
_WOLFE = 0.9
_LEAST = 1e-12  # curvature


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with a line search for the weak Wolfe conditions (Nocedal 1980).

    Coordinates are standardised, so a number, beside the penalty's own curvature of each, is a fair
    first guess of all curvatures.
    """

    memory: int = 20

    name = "lbfgs"
    needs = Needs(loss=("differentiable",), penalty="quadratic")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Follow quasi-Newton directions from u until the certificate is good."""
        l2 = problem.ridge
        value, gradient = yield from problem.gradient(u)
        pairs: deque[tuple[Array, Array, float]] = deque(maxlen=self.memory)
        bent = 1.0  # the loss's curvature along the last step
        for _ in range(problem.max_iter):
            if (yield from recorder.record(u, value, gradient)):
                return
            slope = gradient + l2 * u
            direction = -_inverse_times(pairs, slope, 1 / (bent + l2))
            if not float((direction * slope).sum()) < 0:
                pairs.clear()
                direction = -slope / (bent + l2)
            if not pairs:  # nothing is known of the curvature: move by at most one unit
                direction /= max(1.0, float(np.abs(direction).max()))
            found = yield from _search(problem, u, value, slope, direction, l2)
            if found is None:
                if not pairs:
                    return  # not even the gradient descends: rounding
                pairs.clear()
                continue
            moved, value, gradient = found
            change, bend = moved - u, gradient + l2 * moved - slope
            curvature = float((change * bend).sum())
            if curvature > 1e-14 * float(np.linalg.norm(change) * np.linalg.norm(bend)):
                pairs.append((change, bend, 1 / curvature))
                own = float((change * (bend - l2 * change)).sum())
                bent = max(own / float((change * change).sum()), _LEAST)
            u = moved
        yield from recorder.record(u, value, gradient)


def _inverse_times(pairs: deque[tuple[Array, Array, float]], slope: Array, first: Array) -> Array:
    """Return the inverse Hessian that the pairs imply times a vector (the two-loop recursion)."""
    direction = slope.copy()
    factors = []
    for change, bend, rho in reversed(pairs):
        factor = rho * float((change * direction).sum())
        direction -= factor * bend
        factors.append(factor)
    direction *= first
    for (change, bend, rho), factor in zip(pairs, reversed(factors), strict=True):
        direction += change * (factor - rho * float((bend * direction).sum()))
    return direction


def _search(
    problem: Problem, u: Array, value: float, slope: Array, direction: Array, l2: Array
) -> Asking:
    """Bisect for a step that descends enough and flattens the slope; None where there is none."""
    objective, descent = value + problem.penalty_value(u), float((slope * direction).sum())
    slack = 4 * np.finfo(problem.data.dtype).eps * abs(objective)
    low, high, step = 0.0, np.inf, 1.0
    for _ in range(60):
        moved = u + step * direction
        new_value, gradient = yield from problem.gradient(moved)
        new = new_value + problem.penalty_value(moved)
        at = float(((gradient + l2 * moved) * direction).sum())
        if not new <= objective + _ARMIJO * step * descent + slack or not np.isfinite(at):
            high = step
        elif at < _WOLFE * descent:
            low = step
        else:
            return moved, new_value, gradient
        step = 2 * low if np.isinf(high) else (low + high) / 2
        if np.isinf(high) and step > 1e10:
            return moved, new_value, gradient
    return None
