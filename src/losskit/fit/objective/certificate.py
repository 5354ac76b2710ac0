"""What says how far an objective may still be from its minimum, and the meaning of `tol`.

With g the gradient of the mean loss at the scores' slopes r, every c in [0, 1] with a finite
penalty*(−c·g) bounds the minimum from below (Fenchel's inequality, and for c < 1 the convexity of
the loss's conjugate, whose value at 0 is minus the infimum):

    F(u) − min F ≤ pen(u) + c·g·u + pen*(−c·g) + (1 − c)(L − infimum)

(with (1 − c)² for a squared loss, whose conjugate is known). c = 1 serves penalties that grow
faster than linearly; for L1 alone, c = alpha/|g|∞ puts the dual point on the edge of the feasible
set, which is the gap inside the ball |u|₁ ≤ (F − infimum)/alpha, divided by |g|∞/alpha. Where that
is too loose, the conjugate of each row at c·r replaces the last term: one more pass over rows, none
over columns. Nothing here needs a conjugate of the loss to be stated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.quadratics import solve_semidefinite

GAP = "duality gap"
DECREMENT = "Newton decrement (estimate)"
SEARCHED = "line-search gain (estimate)"
RESIDUAL = "stationarity residual"
SMOOTHED = "gap of the smoothed problem + smoothing error"
PRECISION = "machine precision"

_PAYS = 50  # by which the rows' conjugates may lower a gap; above, another step is better
_LARGEST_HESSIAN = 3000  # coefficients that a decrement is computed for


@dataclass(frozen=True)
class Certificate:
    """How far from the minimum an objective may be: `value`, to be compared with `target`.

    `kind` says what the value is. "duality gap" is a bound; a "Newton decrement" is an estimate; a
    "stationarity residual" says only how flat the objective is. `reached` is the solver's answer.
    """

    kind: str
    value: float
    target: float
    reached: bool
    note: str = ""

    def __str__(self) -> str:
        said = "reached" if self.reached else "NOT reached"
        note = f"; {self.note}" if self.note else ""
        return f"{self.kind} {self.value:.2g} ({said}: tol asks for {self.target:.2g}){note}"


def certify(
    problem: Problem,
    u: Array,
    value: float,
    gradient: Array,
    matrix: Array | None = None,
    *,
    sharp: bool = True,
) -> Asking:
    """Return the certificate of u, where the mean loss has this value and derivative.

    `matrix` is the second derivative (`Problem.curvature`) at u, of a solver that has it. `sharp`
    allows one more pass over rows where that may bring a gap below its target.
    """
    objective = value + problem.penalty_value(u)
    if problem.shape.convex and (not problem.penalized or problem.penalty.convex):
        found = yield from _gap(problem, u, value, gradient, matrix, sharp)
    elif problem.certificate == "gap":
        raise ValueError(not_convex(problem))
    else:
        found = _finished(problem, RESIDUAL, residual(problem, u, gradient))
    precision = problem.precision(objective)
    if found.kind != RESIDUAL and found.target < found.value <= precision:
        return Certificate(PRECISION, found.value, precision, True, f"from the {found.kind}")
    return found


def not_convex(problem: Problem) -> str:
    """Say why there is no duality gap."""
    what = repr(problem.loss) if not problem.shape.convex else repr(problem.penalty)
    return (
        f"{what} is not convex, so there is no duality gap; certificate='auto' reports the "
        "stationarity residual instead"
    )


def residual(problem: Problem, u: Array, gradient: Array) -> float:
    """Return the length of the step that a proximal gradient step from u takes."""
    return float(np.linalg.norm(u - problem.prox(u - gradient, 1.0)))


def _finished(problem: Problem, kind: str, value: float, note: str = "") -> Certificate:
    return Certificate(kind, value, problem.target, value <= problem.target, note)


def _gap(
    problem: Problem, u: Array, value: float, gradient: Array, matrix: Array | None, sharp: bool
) -> Asking:
    if not problem.penalized:
        free = np.ones(u.shape, dtype=bool)
        return (yield from _decrement(problem, u, gradient, free, 0.0, matrix))
    scale = problem.scale[:, None]
    w, g = u[:-1] / scale, gradient[:-1] * scale
    penalty, alpha = problem.penalty, problem.alpha
    pull = float((w * g).sum())
    paid = float(penalty.value(w, alpha))
    gaps = {1.0: paid + pull + float(penalty.conjugate(-g, alpha))}
    if not np.isfinite(gaps[1.0]) or gaps[1.0] > problem.target:
        c = _edge(problem, g)
        loose = value - problem.baseline.infimum
        if c < 1.0 and np.isfinite(loose):
            conjugate = float(penalty.conjugate(-c * g, alpha))
            # The conjugate of a quadratic is known: the square of what is given away.
            given = (1 - c) ** 2 if problem.shape.quadratic else 1 - c
            gaps[c] = paid + c * pull + conjugate + given * loose
    c = min(gaps, key=lambda one: gaps[one])
    if sharp and c < 1.0 and problem.target < gaps[c] <= _PAYS * problem.target:
        sharper = yield from _sharpened(problem, u, c)
        if sharper is not None:
            conjugate = float(penalty.conjugate(-c * g, alpha))
            gaps[c] = min(gaps[c], value + paid + sharper + conjugate)
    gap = max(gaps[c], 0.0)
    if not np.isfinite(gap):
        bounded = np.isfinite(problem.baseline.infimum)
        why = (
            "no scaled slope is one of the penalty's" if bounded else "the loss has no known bound"
        )
        return _finished(problem, RESIDUAL, residual(problem, u, gradient), why)
    if not problem.intercept:
        return _finished(problem, GAP, gap)
    free = np.zeros(u.shape, dtype=bool)
    free[-1] = True
    return (yield from _decrement(problem, u, gradient, free, gap, None))


def _edge(problem: Problem, g: Array) -> float:
    """Return the largest c at which −c·g is among the slopes of the penalty at 0; 1 if none is."""
    strengths = problem.penalty.elastic(problem.alpha)
    if strengths is not None:  # no need to search for what `alpha_max` finds
        share = strengths[0] / max(float(np.abs(g).max(initial=0.0)), 1e-300)
    else:
        share = problem.alpha / max(float(problem.penalty.alpha_max(g)), 1e-300)
    # Rounding of the product must not leave the slopes.
    return share * (1 - 1e-13) if 0 < share < 1 else 1.0


def _sharpened(problem: Problem, u: Array, c: float) -> Asking:
    """Return the mean of the rows' conjugates at c times their slopes, None where it is unknown."""
    from losskit.fit.objective.conjugate import at_shrunk_slopes

    shape = problem.shape
    known = shape.differentiable and shape.curved and not (shape.coupled or shape.quadratic)
    if not known or problem.outputs > 1 or problem.data.offset:
        return None
    mean = yield from problem.row_mean(at_shrunk_slopes, u, c)
    return mean if np.isfinite(mean) else None


def _decrement(
    problem: Problem, u: Array, gradient: Array, free: Array, gap: float, matrix: Array | None
) -> Asking:
    """Add ½gᵀH⁻¹g over the directions without penalty: an estimate, not a bound."""
    slope = gradient[free]
    if not slope.any():
        return _finished(problem, GAP, gap)
    rough = 0.5 * float(slope @ slope)  # where curvatures were 1
    if gap > 0.0 and rough <= 1e-10 * problem.target:
        return _finished(problem, GAP, gap + rough)
    kind = DECREMENT if not problem.penalized else f"{GAP} + {DECREMENT} of the intercept"
    if problem.certificate == "gap":  # no estimate will do: the slope itself has to vanish
        return _finished(problem, kind, problem.target * (1 + 1e-6) + gap + rough)
    if free.sum() > _LARGEST_HESSIAN or not problem.shape.curved:
        return (yield from _searched(problem, u, gradient, free, gap, kind))
    if gap + rough > 100 * problem.target / max(problem.tol, 1e-3):
        return replace(_finished(problem, kind, gap + rough), reached=False)
    if free[:-1].any():
        if matrix is None:
            matrix = yield from problem.curvature(u)
        matrix = matrix.reshape(u.size, u.size)[np.ix_(free.ravel(), free.ravel())]
    else:
        matrix = yield from problem.intercept_curvature(u)
    step = solve_semidefinite(matrix, slope)
    if float(np.linalg.norm(matrix @ step - slope)) > 0.1 * float(np.linalg.norm(slope)):
        return (yield from _searched(problem, u, gradient, free, gap, kind))
    return _finished(problem, kind, gap + max(0.5 * float(slope @ step), 0.0))


def _searched(
    problem: Problem, u: Array, gradient: Array, free: Array, gap: float, kind: str
) -> Asking:
    """Add twice what the best of many steps down the slope gains, where curvature tells nothing."""
    direction = np.where(free, -gradient, 0.0)
    steps = np.concatenate([[0.0], np.geomspace(1e-6, 1e12, 37) / np.linalg.norm(direction)])
    with np.errstate(all="ignore"):
        values = yield from problem.line(u, direction, steps)
    gain = float(values[0] - np.nanmin(values))
    kind = kind.replace(DECREMENT, SEARCHED)
    return _finished(problem, kind, gap + 2 * gain, "the loss does not curve here")
