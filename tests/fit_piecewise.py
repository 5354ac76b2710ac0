"""Losses of straight pieces, to machine precision: linear programs and KKT systems."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from fit_cases import Array, Case, Verdict, pieces_of
from fit_peers import peer
from fit_polish import solve


def linear_program(case: Case) -> Verdict:
    """Minimise Σ share·t + l1·Σ u with t above every piece and u above ±w, by HiGHS."""
    x = sp.csr_array(case.x)
    n, d = x.shape
    l1, _ = case.strengths
    ones = sp.csr_array(np.ones((n, 1)))
    offset = np.zeros(n) if case.offset is None else case.offset
    above, right = [], []
    for slope, start in pieces_of(case.loss, case.params, case.y):
        d_slope = sp.diags_array(slope)
        above.append(
            sp.hstack([d_slope @ x, d_slope @ ones, -sp.eye_array(n), sp.csr_array((n, d))])
        )
        right.append(-(start + slope * offset))
    for sign in (1, -1):
        above.append(sp.hstack([
            sign * sp.eye_array(d), sp.csr_array((d, 1 + n)), -sp.eye_array(d),
        ]))  # fmt: skip
        right.append(np.zeros(d))
    cost = np.concatenate([np.zeros(d + 1), case.share, np.full(d, l1)])
    bounds = [(None, None)] * d + [(None, None) if case.intercept else (0, 0)]
    bounds += [(None, None)] * n + [(0, None)] * d
    found = linprog(
        cost, sp.vstack(above).tocsr(), np.concatenate(right), bounds=bounds, method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    if found.status != 0:
        raise AssertionError(f"HiGHS on {case!r}: {found.message}")
    coef, intercept = found.x[:d, None], found.x[d : d + 1]
    value = case.objective(coef, intercept)
    return Verdict(value, coef, intercept, "HiGHS", abs(value - _dual_value(case, found)))


def _dual_value(case: Case, found: Any) -> float:
    """Return the value of the dual program at HiGHS's multipliers, a bound from below."""
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    pieces = pieces_of(case.loss, case.params, case.y)
    n = len(case.y)
    multipliers = -found.ineqlin.marginals[: n * len(pieces)].reshape(len(pieces), n)
    return float(sum(m @ (b + a * offset) for m, (a, b) in zip(multipliers, pieces, strict=True)))


def quadratic_program(case: Case) -> Verdict:
    """Solve for the slopes of the rows at a corner, which are found by smoothing ever less."""
    if case.strengths[0] or case.penalty is None:
        raise AssertionError(f"no judge for {case!r}: an elastic net on a piecewise linear loss")
    x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
    kinks, slopes = _corners(case)
    share = case.share
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    found = peer(case)
    starts = [] if found is None else [np.append(found[0], found[1])]
    best: Verdict | None = None
    for start in [*starts, *_smoothed_starts(case, x, kinks, slopes)]:
        scores = x @ start[:-1] + start[-1] + offset
        distance = np.abs(scores[:, None] - kinks)
        for near in np.logspace(-9, -1, 17):
            at = (distance.min(axis=1) < near * (1 + np.abs(case.y))) & (share > 0)
            point = _at_corners(case, x, scores, at, kinks, slopes)
            if point is not None and (best is None or point.slack < best.slack):
                best = point
        if best is not None and best.slack <= 1e-12 * (1 + abs(best.objective)):
            return best
    raise AssertionError(f"no judge for {case!r}: gap {best and best.slack}")


def _corners(case: Case) -> tuple[Array, Array]:
    """Return where each row's corners are (n, c), and its slopes between them (n, c + 1)."""
    pieces = pieces_of(case.loss, case.params, case.y)
    slopes = np.stack([p[0] for p in pieces], axis=1)
    starts = np.stack([p[1] for p in pieces], axis=1)
    order = np.argsort(slopes, axis=1, kind="stable")
    slopes, starts = (np.take_along_axis(a, order, axis=1) for a in (slopes, starts))
    kinks = -np.diff(starts, axis=1) / np.diff(slopes, axis=1)
    return kinks, slopes


def _smoothed_starts(case: Case, x: Array, kinks: Array, slopes: Array) -> Any:
    """Yield minima of the objective with corners rounded by ever less, by Newton's method."""
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    jumps, share, l2 = np.diff(slopes, axis=1), case.share, case.strengths[1]
    x = np.hstack([x, np.full((len(case.y), 1), 1.0 * case.intercept)])
    ridge = np.append(np.full(x.shape[1] - 1, l2), 0.0)
    theta = np.zeros(x.shape[1])

    def look(at: Array, width: float) -> tuple[float, Array, Array]:
        r = (x @ at + offset)[:, None] - kinks
        root = np.hypot(r, width)
        line = slopes[:, 0] * (r[:, 0] + kinks[:, 0])
        value = share @ (line + (jumps * (r + root) / 2).sum(axis=1))
        pull = share * (slopes[:, 0] + (jumps * (1 + r / root) / 2).sum(axis=1))
        bend = share * (jumps * width**2 / root**3 / 2).sum(axis=1)
        hessian = x.T @ (bend[:, None] * x) + np.diag(ridge)
        return float(value + ridge / 2 @ at**2), x.T @ pull + ridge * at, hessian

    for width in np.logspace(1, -9, 31):
        value, gradient, hessian = look(theta, width)
        for _ in range(50):
            step, length = -solve(hessian, gradient), 1.0
            while length > 1e-9 and not look(theta + length * step, width)[0] < value:
                length /= 3
            if length <= 1e-9:
                break
            theta = theta + length * step
            value, gradient, hessian = look(theta, width)
        if width < 1e-2:
            yield theta


def _at_corners(
    case: Case, x: Array, scores: Array, at: Array, kinks: Array, slopes: Array
) -> Verdict | None:
    """Return the optimum where just the rows `at` lie at their nearest corners, if there is one.

    Stationarity makes w a sum of rows, w = −Σ share·slope·x/l2, with the known slopes of rows away
    from corners, and those of the others and the intercept from f = corner: a linear system.
    """
    l2, share = case.strengths[1], case.share
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    row = np.arange(len(case.y))
    place = np.abs(scores[:, None] - kinks).argmin(axis=1)
    slope = slopes[row, (scores[:, None] > kinks).sum(axis=1)]
    known = np.where(at, 0.0, share * slope)
    m = int(at.sum())
    if m > 4 * x.shape[1] + 8:
        return None
    gram = x[at] @ (x[at].T * share[at]) / -l2
    matrix = np.zeros((m + 1, m + 1))
    matrix[:m, :m] = gram
    matrix[:m, m] = case.intercept
    matrix[m, :m] = share[at] * case.intercept
    matrix[m, m] = 1.0 - case.intercept
    base = x.T @ known / -l2
    right = np.append(
        kinks[at, place[at]] - offset[at] - x[at] @ base, -known.sum() * case.intercept
    )
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    dual = slope.copy()
    dual[at] = np.clip(solution[:m], slopes[at, place[at]], slopes[at, place[at] + 1])
    coef = -(x.T @ (share * dual)) / l2
    intercept = solution[m] if case.intercept else 0.0
    value = case.objective(coef[:, None], np.array([intercept]))
    unbalanced = abs(float(share @ dual)) * case.intercept
    # ℓ*(s) = s·f − ℓ(f) at a corner f whose slopes enclose s: the dual value at these slopes.
    inner = np.clip((dual[:, None] > slopes).sum(axis=1) - 1, 0, kinks.shape[1] - 1)
    corner = kinks[row, inner]
    at_corner = case.rows(corner[:, None])[0]
    conjugate = dual * corner - at_corner
    lower = -float(share @ (conjugate - dual * offset)) - l2 / 2 * float(coef @ coef)
    slack = value - lower + unbalanced * (1 + abs(intercept))
    return Verdict(value, coef[:, None], np.array([intercept]), "KKT system", abs(slack))
