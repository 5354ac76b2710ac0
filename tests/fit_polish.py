"""Smooth objectives to machine precision, and how far a point may be from the minimum."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp

from fit_cases import Array, Case, lower_bound


def polished(case: Case, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Return the minimum by proximal Newton steps, then plain ones with the signs found.

    Steps lower the objective as long as that can be seen to fall, the last ones the violation of
    the optimality conditions, which goes on where the objective is flat to the last digit.
    """
    point = _Point(case)
    theta = np.vstack([coef, intercept]) * point.size
    best = point.objective(theta)
    for _ in range(200):
        gradient, hessian = point.derivatives(theta)
        step = _model_minimum(hessian, gradient, theta[point.free], *point.strengths)
        length = 1.0
        while length > 1e-10:
            trial = theta.copy()
            trial[point.free] += length * step
            value = point.objective(trial)
            if value < best:
                break
            length /= 4
        else:
            break
        theta, best = trial, value
    wrong = point.violation(theta)
    for _ in range(20):
        gradient, hessian = point.derivatives(theta)
        now = theta[point.free]
        moved = _signed_step(hessian, gradient, now, *point.strengths)
        if moved is None:
            break
        trial = theta.copy()
        trial[point.free] += moved
        if (np.sign(trial) != np.sign(theta))[point.penalised].any():
            break
        less = point.violation(trial)
        if not less < wrong:
            break
        theta, wrong = trial, less
    theta = theta / point.size
    return theta[:-1], theta[-1]


class _Point:
    """A case in columns of unit size, so that units do not matter: theta is (d + 1, K)."""

    def __init__(self, case: Case) -> None:
        self.case = case
        x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
        size = np.sqrt(case.share @ x**2)
        self.size = np.append(np.where(size > 0, size, 1.0), 1.0)[:, None]
        self.x = np.hstack([x, np.ones((len(case.y), 1))]) / self.size.T
        shape = (x.shape[1] + 1, case.outputs)
        self.free, self.penalised = np.ones((2, *shape), dtype=bool)
        self.free[-1], self.penalised[-1] = case.intercept, False
        l1, l2 = case.strengths
        l1s, l2s = l1 / self.size * self.penalised, l2 / self.size**2 * self.penalised
        self.strengths = l1s[self.free], l2s[self.free]

    def objective(self, theta: Array) -> float:
        theta = theta / self.size
        return self.case.objective(theta[:-1], theta[-1])

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Return slope and curvature of the mean loss by what is free."""
        raw, share = theta / self.size, self.case.share
        _, slopes, bends = self.case.rows(self.case.scores(raw[:-1], raw[-1]))
        slopes = np.where(share[:, None] > 0, slopes, 0)
        gradient = (self.x.T @ (share[:, None] * slopes))[self.free]
        return gradient, _hessian(self.x, share, bends, self.free)

    def violation(self, theta: Array) -> float:
        """Return the largest violation of the optimality conditions."""
        l1, l2 = self.strengths
        now, (gradient, _) = theta[self.free], self.derivatives(theta)
        pull = gradient + l2 * now
        moving = np.abs(pull + l1 * np.sign(now))
        return float(np.where(now != 0, moving, np.maximum(np.abs(pull) - l1, 0)).max())


def _model_minimum(hessian: Array, gradient: Array, now: Array, l1: Array, l2: Array) -> Array:
    """Return the step to the least second-order model plus penalties, by coordinate descent."""
    if not l1.any():
        return -solve(hessian + np.diag(l2), gradient + l2 * now)
    diagonal = np.diagonal(hessian) * (1 + 1e-10) + 1e-14
    at, pull = now.copy(), gradient.copy()
    for sweep in range(400):
        largest = 0.0
        for j in range(now.size):
            aim = diagonal[j] * at[j] - pull[j]
            new = math.copysign(max(abs(aim) - l1[j], 0.0), aim) / (diagonal[j] + l2[j])
            if new != at[j]:
                pull += hessian[:, j] * (new - at[j])
                largest = max(largest, abs(new - at[j]))
                at[j] = new
        if largest <= 1e-14 * (1 + np.abs(at).max()):
            break
        if sweep % 20 == 19:  # the signs may have settled: then it is a linear system
            moved = _signed_step(hessian, gradient + hessian @ (at - now), at, l1, l2)
            if moved is not None and (np.sign(at + moved) == np.sign(at))[l1 > 0].all():
                trial = gradient + hessian @ (at + moved - now)
                rest = (at == 0) & (l1 > 0)
                if (np.abs(trial[rest]) <= l1[rest]).all():
                    return at + moved - now
    return at - now


def _signed_step(hessian: Array, gradient: Array, now: Array, l1: Array, l2: Array) -> Array | None:
    """Return Newton's step of what is not held at 0, for the signs that it has."""
    active = (now != 0) | (l1 == 0)
    if not active.any():
        return None
    pull = (gradient + l2 * now + l1 * np.sign(now))[active]
    moved = np.zeros(now.shape)
    moved[active] = -solve((hessian + np.diag(l2))[np.ix_(active, active)], pull)
    return moved


def _hessian(x: Array, shares: Array, bends: Array, active: Array) -> Array:
    d, k = active.shape
    full = np.zeros((d, k, d, k))
    for i in range(k):
        for j in range(k):
            weight = np.where(shares > 0, shares * np.where(shares > 0, bends[:, i, j], 0), 0)
            full[:, i, :, j] = x.T @ (weight[:, None] * x)
    flat = active.ravel()
    return full.reshape(d * k, d * k)[np.ix_(flat, flat)]


def solve(matrix: Array, right: Array) -> Array:
    scale = np.sqrt(np.maximum(np.diagonal(matrix), 0))
    scale = np.where(scale > 0, scale, 1.0)
    return np.linalg.lstsq(matrix / scale / scale[:, None], right / scale, rcond=1e-13)[0] / scale


def gap(case: Case, coef: Array, intercept: Array) -> float:
    """Return by how much the objective may exceed the minimum of a convex case.

    A duality gap, plus the Newton decrement of directions without a penalty (an estimate).
    """
    shares = case.share
    values, slopes, bends = case.rows(case.scores(coef, intercept))
    counts = shares > 0
    slopes = shares[:, None] * np.where(counts[:, None], slopes, 0)
    g = np.asarray(case.x.T @ slopes)
    l1, l2 = case.strengths
    x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
    x = np.hstack([x, np.ones((len(case.y), 1))])
    loose = np.vstack([g + l2 * coef, slopes.sum(axis=0) * case.intercept])
    open_ = np.zeros(loose.shape, dtype=bool)
    open_[-1] = case.intercept
    if case.penalty is None:
        open_[:-1] = True
    rest = loose[open_]
    bound = 0.0
    if rest.size:
        bound = 0.5 * float(rest @ solve(_hessian(x, shares, bends, open_), rest))
    if l2 and not l1:
        bound += float(((g + l2 * coef) ** 2).sum()) / (2 * l2)
    elif l1:
        c = 1.0 if l2 else min(1.0, l1 / max(np.abs(g).max(), 1e-300))
        paid = l1 * np.abs(coef) + l2 / 2 * coef**2 + c * g * coef
        over = np.maximum(np.abs(c * g) - l1, 0) ** 2 / (2 * l2) if l2 else np.zeros(g.shape)
        bound += float((paid + over).sum())
        if c < 1:
            bound += (1 - c) * (float(shares[counts] @ values[counts]) - lower_bound(case))
    return max(bound, 0.0)
