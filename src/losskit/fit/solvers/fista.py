"""FISTA: accelerated proximal gradient steps, for every penalty that has a prox."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.patience import Patience
from losskit.fit.solvers.run import Recorder
from losskit.fit.solvers.walking import curvature_along

_LARGEST = 1e30  # curvature beyond which no step descends
_PATIENCE = 30  # steps that improve nothing before it is put down to rounding


@dataclass(frozen=True)
class FISTA:
    """Accelerated proximal gradient steps of backtracked length (Beck & Teboulle 2009).

    The momentum starts anew where it points away from where the step went, or where the objective
    rose (O'Donoghue & Candès 2015), so that objectives fall from step to step and penalties that
    are not convex are fine as well. `relax` is what the curvature that steps assume is multiplied
    by after a good step (with the correction of Scheinberg, Goldfarb & Bai 2014): curvature often
    is less near the optimum.
    """

    relax: float = 0.95

    name = "fista"
    needs = Needs(loss=("differentiable",))

    def __post_init__(self) -> None:
        if not 0 < self.relax <= 1:
            raise ValueError(f"fista: relax is {self.relax!r}; needed is a number in (0, 1]")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Follow proximal gradient steps from u until the certificate is good."""
        slack = 4 * float(np.finfo(problem.data.dtype).eps)
        value, gradient = yield from problem.gradient(u)
        bend = recorder.memory.get(self.name)
        if bend is None:
            bend = yield from curvature_along(problem, u, gradient)
        before, theta, patience = u, 1.0, Patience(problem, _PATIENCE)
        for _ in range(problem.max_iter):
            if (yield from recorder.record(u, value, gradient)):
                break
            if patience.over(recorder.history[-1]):
                break
            objective = value + problem.penalty_value(u)
            while True:
                # Nesterov's weights where the assumed curvature changes from step to step.
                weight = (1 + sqrt(1 + 4 * theta * theta)) / 2
                ahead = u + (theta - 1) / weight * (u - before)
                found = yield from _step(problem, u, ahead, value, gradient, bend)
                if found is None:
                    recorder.memory.pop(self.name, None)
                    return
                moved, new, slope, bend, still = found
                rise = new + problem.penalty_value(moved) - objective
                if rise <= slack * abs(objective) or theta == 1.0:
                    break
                theta, before = 1.0, u
            away = float(((ahead - moved) * (moved - u)).sum()) > 0
            before, u, value, gradient = u, moved, new, slope
            theta = 1.0 if away else weight
            if not still:
                bend *= self.relax
                theta *= sqrt(self.relax)
        else:
            yield from recorder.record(u, value, gradient)
        recorder.memory[self.name] = bend


def _step(
    problem: Problem, u: Array, ahead: Array, value: float, gradient: Array, bend: float
) -> Asking:
    """Return the proximal gradient step from `ahead`, its value and gradient, the curvature that it
    took, and whether that had to grow; None where no curvature will do.
    """
    if ahead is not u and (ahead != u).any():
        value, gradient = yield from problem.gradient(ahead)
    first, noise = bend, 1e3 * float(np.finfo(problem.data.dtype).eps)
    while bend < _LARGEST:
        moved = problem.prox(ahead - gradient / bend, 1 / bend)
        new, slope = yield from problem.gradient(moved)
        way = moved - ahead
        length = float((way * way).sum())
        rise = new - value - float((gradient * way).sum())
        # Where values are too rough to tell, slopes are not.
        rough = noise * max(abs(new), abs(value)) if np.isfinite(new) else 0.0
        if rise <= bend / 2 * length + rough and np.isfinite(slope).all():
            turn = float(((slope - gradient) * way).sum())
            if rise > rough or turn <= bend * length * (1 + 1e-6) or length == 0:
                return moved, new, slope, bend, bend > first
        bend *= 2
    return None
