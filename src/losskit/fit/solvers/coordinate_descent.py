"""Coordinate descent on the data's own columns, for wide and sparse data in memory.

Each round takes the slopes and curvatures of the rows at the present scores and goes through the
columns one after another with them, keeping the scores up to date; no matrix of columns by columns
is formed, so what it costs grows with the numbers that are stored and not with the set in play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.backends import descent
from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import Rows, second_derivatives
from losskit.fit.objective.baseline import Ask, Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.quadratics import prox_of
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder
from losskit.fit.solvers.working_set import descend


@dataclass(frozen=True)
class CoordinateDescent:
    """Cyclic coordinate descent on models of the loss (Friedman, Hastie and Tibshirani 2010).

    `sweeps` is how often it goes through the columns before slopes and curvatures are computed
    again.
    """

    sweeps: int = 20

    name = "coordinate_descent"
    needs = Needs(
        loss=("differentiable", "curved", "uncoupled"), penalty="separable", source=("columns",)
    )

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Alternate rounds over all columns and over those that are not 0."""
        value, gradient = yield from problem.gradient(u)
        for _ in range(problem.max_iter):
            if (yield from recorder.record(u, value, gradient)) or recorder.stalled():
                return
            step = problem.prox(u - gradient, 1.0) - u
            chosen = np.flatnonzero(u[:-1].any(axis=1) | step[:-1].any(axis=1))
            aim = max(0.1 * recorder.history[-1].certificate, problem.target)
            tol = 1e-2 * min(aim, float(np.sqrt(aim)))
            sweep = Sweep(problem, tuple(chosen.tolist()), self.sweeps, tol)
            coef, shift = yield Ask(sweep, (problem.theta(u), np.array(problem.held)))
            moved = u.copy()
            moved[:-1] = coef * problem.scale[:, None]
            moved[-1] += shift
            direction = moved - u
            fall = float((direction * gradient).sum())
            fall += problem.penalty_value(moved) - problem.penalty_value(u)
            found = yield from descend(problem, u, value, direction, min(fall, 0.0))
            if found is None:
                return
            u, value, gradient, _ = found
        yield from recorder.record(u, value, gradient)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Coefficients after sweeps over columns: of all rows at once, so only for data in memory."""

    problem: Problem
    chosen: tuple[int, ...]
    sweeps: int
    tol: float

    def part(self, rows: Rows, theta: Array, held: Array) -> tuple[Array, ...]:
        """Return coefficients (1, d, K) and the changes of the centred intercepts (1, K)."""
        problem, (fold,) = self.problem, held
        scores = rows.scores(None, theta)[0]
        weight = rows.weight(int(fold))
        slope = problem.loss.gradient(
            rows.y, scores, raw=True, sample_weight=weight, reduction="sum"
        )
        bend = second_derivatives(problem.loss, rows.y, scores, weight)
        coef, shift = theta[0, :-1].copy(), np.zeros(theta.shape[2])
        chosen = np.array(self.chosen, dtype=np.int64)
        prox, alpha = _prox(problem)
        for k in range(theta.shape[2]):
            found = descent.columns(
                rows.design(None).by_columns(),
                slope if slope.ndim == 1 else np.ascontiguousarray(slope[:, k]),
                np.maximum(bend[k, k], 0.0),
                coef[chosen, k],
                prox,
                alpha,
                total=problem.baseline.weight,
                chosen=chosen,
                centre=(problem.centre - problem.data.shift)[chosen],
                intercept=problem.intercept,
                tol=self.tol,
                max_sweeps=self.sweeps,
            )
            coef[chosen, k] = found.weights
            shift[k] = found.intercept
        return coef[None], shift[None]


def _prox(problem: Problem) -> tuple[Any, float]:
    from losskit import penalties

    if problem.penalized:
        return prox_of(problem.penalty), problem.alpha
    return prox_of(penalties.L2), 0.0
