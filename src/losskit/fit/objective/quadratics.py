"""Quadratics with an L1 penalty, an L2 penalty or none, given by their matrix: minimised in memory.

Everything here is the same in any units of the coordinates: matrices are brought to a unit diagonal
before they are factorised or called singular.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from losskit.backends.descent import Descent, Prox, quadratic
from losskit.fit.data.designs import Array

_BURST = 30  # sweeps before the first Newton step: about what a factorisation costs
_FEW = 3  # sweeps after one, enough to let other coordinates in
_VAIN = 5  # bursts that come no nearer before what is left is called rounding


@lru_cache(maxsize=256)
def prox_of(penalty: Any) -> Prox:
    """Return a separable penalty as coordinate descent takes it."""
    return Prox(penalty.scalar("numba"), penalty.numbers)


def lasso(
    matrix: Array,
    gradient: Array,
    weights: Array,
    l1: Array | float,
    *,
    tol: float,
    max_sweeps: int = 10_000,
) -> Descent:
    """Minimise ½(u − w)ᵀH(u − w) + g·(u − w) + Σ l1_j|u_j| over u, from w.

    `matrix` is H, (A, A), C-contiguous; `gradient` g and `weights` w, (A,); `l1` a number or (A,),
    0 for a coordinate without penalty. An elastic net adds its l2 to H's diagonal and l2·w to g.
    The end is that of `quadratic`. Where sweeps are slow, as columns are nearly dependent, there
    are Newton steps on the coordinates that are not zero between them: once signs are right one
    such step is exact.
    """
    from losskit import penalties

    prox = prox_of(penalties.L1)
    strengths = np.broadcast_to(np.asarray(l1, dtype=np.float64), (len(weights),))

    def sweep(slope: Array, w: Array, limit: int) -> Descent:
        return quadratic(
            matrix, slope, w, prox, strengths, tol=tol, max_sweeps=min(limit, max_sweeps)
        )

    found = sweep(gradient, weights, _BURST)
    sweeps, least, vain = found.sweeps, found.largest, 0
    while found.largest > tol and sweeps < max_sweeps and vain < _VAIN:
        w, slope = found.weights, found.slope
        for _ in range(_BURST):
            w, slope, whole = newton_step(matrix, slope, w, strengths)
            if whole:
                break
        found = sweep(slope, w, _FEW)
        sweeps += found.sweeps
        rounding = 1e-11 * np.max(np.abs(found.weights) * np.sqrt(np.diagonal(matrix)))
        vain = vain + 1 if least <= found.largest <= rounding else 0
        least = min(least, found.largest)
    return found._replace(sweeps=sweeps)


def newton_step(
    matrix: Array, slope: Array, weights: Array, l1: Array
) -> tuple[Array, Array, bool]:
    """Take a Newton step on the coordinates that are not zero, or not penalised.

    Coordinates that would change their sign stop at zero; the step is halved until the objective
    falls, at most until it ends where the first of them stops. Returns weights and slope there, and
    whether no further step from there would gain anything.
    """
    active = np.flatnonzero((weights != 0) | (l1 == 0))
    if not active.size:
        return weights, slope, True
    whole = active.size == len(weights)
    own = matrix if whole else matrix[np.ix_(active, active)]
    w, strength, q = weights[active], l1[active], slope[active]
    signs = np.sign(w)
    move = -_solve_nearly(own, q + strength * signs)
    crossed = (strength > 0) & ((w + move) * signs < 0)
    reach = np.where(crossed, -w / np.where(crossed, move, 1.0), np.inf)
    first = min(float(reach.min()), 1.0)
    step = float(reach[crossed].max(initial=0.0)) if crossed.any() else 1.0
    while True:
        moved = np.where(reach <= step, 0.0, w + step * move)
        bend = own @ (moved - w)
        if _falls(q, bend, w, moved, strength):
            break
        if step <= first:
            return weights, slope, True
        step = max(step / 2, first)
    made = weights.copy()
    made[active] = moved
    bend = bend if whole else (moved - w) @ matrix[active]
    return made, slope + bend, not crossed.any()


def solve_semidefinite(matrix: Array, right: Array) -> Array:
    """Return the solution of a symmetric system, or that of its part which the matrix sees.

    Where it is singular to rounding, the solution is of least length in units in which the diagonal
    is 1. Cholesky if it can be, eigenvectors else.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    scaled, scale = _unit_diagonal(matrix)
    try:
        factor = cho_factor(scaled, lower=True)
        if np.diagonal(factor[0]).min() > 1e-7:  # else rounding decides more than half the digits
            return np.asarray(cho_solve(factor, right / scale) / scale)
    except LinAlgError:
        pass
    vectors, values, _ = _spectrum(scaled, matrix.dtype)
    return np.asarray(vectors @ ((vectors.T @ (right / scale)) / values) / scale)


def least_norm(matrix: Array, right: Array) -> Array:
    """Return the solution of a symmetric system with the least Σ w², where there are several.

    The coordinates' own units count for the length, not for what is called dependent.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve, orth

    scaled, scale = _unit_diagonal(matrix)
    try:
        factor = cho_factor(scaled, lower=True)
        if np.diagonal(factor[0]).min() > 1e-7:
            return np.asarray(cho_solve(factor, right / scale) / scale)
    except LinAlgError:
        pass
    vectors, values, unseen = _spectrum(scaled, matrix.dtype)
    w = vectors @ ((vectors.T @ (right / scale)) / values) / scale
    basis = orth(unseen / scale[:, None])
    return np.asarray(w - basis @ (basis.T @ w))


def _solve_nearly(matrix: Array, right: Array) -> Array:
    """Solve a symmetric system; of a singular one, go far where the matrix does not see."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    scaled, scale = _unit_diagonal(matrix)
    for ridge in (0.0, 1e-10, 1e-6, 1e-2):  # curvature in single precision may be indefinite
        np.fill_diagonal(scaled, 1.0 + ridge)
        try:
            factor = cho_factor(scaled, lower=True)
        except LinAlgError:
            continue
        if np.diagonal(factor[0]).min() > 1e-7:
            return np.asarray(cho_solve(factor, right / scale) / scale)
    return solve_semidefinite(matrix, right)


def _unit_diagonal(matrix: Array) -> tuple[Array, Array]:
    diagonal = np.sqrt(np.maximum(np.diagonal(matrix), 0.0), dtype=np.float64)
    scale = np.where(diagonal > 0, diagonal, 1.0)
    return matrix / scale / scale[:, None], scale


def _spectrum(scaled: Array, dtype: Any) -> tuple[Array, Array, Array]:
    """Return eigenvectors and eigenvalues that are not 0 to rounding, and the other eigenvectors.

    Coordinates of a zero diagonal are in neither.
    """
    live = np.diagonal(scaled) > 0
    values, vectors = np.linalg.eigh(scaled[np.ix_(live, live)])
    keep = values > len(values) * np.finfo(dtype).eps * max(values.max(initial=0.0), 1e-300)
    whole = np.zeros((len(scaled), len(values)))
    whole[live] = vectors
    return whole[:, keep], values[keep], whole[:, ~keep]


def _falls(q: Array, bend: Array, w: Array, moved: Array, l1: Array) -> bool:
    """Tell whether a move does not raise the objective, but for rounding."""
    move = moved - w
    with np.errstate(over="ignore", invalid="ignore"):  # too far is no fall
        terms = np.concatenate([move * (q + 0.5 * bend), l1 * (np.abs(moved) - np.abs(w))])
        return bool(terms.sum() <= 4 * np.finfo(float).eps * np.abs(terms).sum())
