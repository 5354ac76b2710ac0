"""Quadratics with an L1 penalty, an L2 penalty or none, given by their matrix: minimised in memory.

Everything here is the same in any units of the coordinates: matrices are brought to a unit diagonal
before they are factorised or called singular.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from losskit.backends.descent import Descent, Prox, quadratic
from losskit.fit.designs import Array

_BURST = 30  # sweeps between Newton steps: about what a factorisation costs
_STUCK = 20 * _BURST


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

    def burst(slope: Array, w: Array) -> Descent:
        sweeps = min(_BURST, max_sweeps)
        return quadratic(matrix, slope, w, prox, strengths, tol=tol, max_sweeps=sweeps)

    found = burst(gradient, weights)
    sweeps, least = found.sweeps, found.largest
    while found.largest > tol and sweeps < max_sweeps:
        w, slope = newton_step(matrix, found.slope, found.weights, strengths)
        found = burst(slope, w)
        sweeps += found.sweeps
        if found.largest >= least and sweeps > _STUCK:
            break  # rounding moves it about
        least = min(least, found.largest)
    return found._replace(sweeps=sweeps)


def newton_step(matrix: Array, slope: Array, weights: Array, l1: Array) -> tuple[Array, Array]:
    """Take a Newton step on the coordinates that are not zero, or not penalised.

    A coordinate that would change its sign stops at zero; if the objective does not fall so, the
    step ends where the first one does. Returns weights and slope there, or what was given where
    nothing is gained.
    """
    active = np.flatnonzero((weights != 0) | (l1 == 0))
    if not active.size:
        return weights, slope
    whole = active.size == len(weights)
    own = matrix if whole else matrix[np.ix_(active, active)]
    w, strength, q = weights[active], l1[active], slope[active]
    signs = np.sign(w)
    move = -solve_semidefinite(own, q + strength * signs)
    crossed = (strength > 0) & ((w + move) * signs < 0)
    moved = np.where(crossed, 0.0, w + move)
    bend = own @ (moved - w)
    if crossed.any() and not _falls(q, bend, w, moved, strength):
        reach = np.where(crossed, -w / np.where(crossed, move, 1.0), np.inf)
        first = reach.min()
        moved = np.where(reach == first, 0.0, w + first * move)
        bend = own @ (moved - w)
    if not _falls(q, bend, w, moved, strength):
        return weights, slope
    made = weights.copy()
    made[active] = moved
    return made, slope + (bend if whole else (moved - w) @ matrix[active])


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
    terms = np.concatenate([move * (q + 0.5 * bend), l1 * (np.abs(moved) - np.abs(w))])
    return bool(terms.sum() <= 4 * np.finfo(float).eps * np.abs(terms).sum())
