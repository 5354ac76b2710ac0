"""Problems for judging fits: data of every kind, and the objective written out in NumPy.

Nothing here uses losskit's formulas: `rows_of` states value, slope and curvature of a loss again,
so that a fit and its judge share no line of code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, log_softmax, softmax

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """One objective: mean loss + alpha·penalty over these rows.

    `loss` names a loss of the catalogue, `params` are its parameters; `penalty` is "l1", "l2",
    "elasticnet" or None.
    """

    name: str
    loss: str
    x: Any
    y: Array
    params: dict[str, float] = field(default_factory=dict)
    weight: Array | None = None
    offset: Array | None = None
    intercept: bool = True
    penalty: str | None = None
    alpha: float = 0.0
    l1_ratio: float = 0.5

    def __repr__(self) -> str:
        penalty = f", {self.penalty} {self.alpha:g}" if self.penalty else ""
        weights = ", weights" if self.weight is not None else ""
        offset = ", offset" if self.offset is not None else ""
        bare = "" if self.intercept else ", no intercept"
        return f"{self.loss}: {self.name}{penalty}{weights}{offset}{bare}"

    @property
    def outputs(self) -> int:
        """The number of raw outputs."""
        return int(self.y.max()) + 1 if self.loss == "cross_entropy" else 1

    @property
    def strengths(self) -> tuple[float, float]:
        """What multiplies the sum of |w|, and half the sum of w²."""
        ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": self.l1_ratio, None: 0.0}[self.penalty]
        return self.alpha * ratio, self.alpha * (1 - ratio) if self.penalty else 0.0

    @property
    def share(self) -> Array:
        """Each row's part of the mean."""
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        return weight / math.fsum(weight)

    def scores(self, coef: Array, intercept: Array) -> Array:
        """Return raw scores (n, K)."""
        made = np.asarray(self.x @ coef) + intercept
        return made if self.offset is None else made + self.offset[:, None]

    def rows(self, scores: Array) -> tuple[Array, Array, Array]:
        """Return values (n,), slopes (n, K) and curvatures (n, K, K)."""
        return rows_of(self.loss, self.params, self.y, scores)

    def objective(self, coef: Array, intercept: Array) -> float:
        """Return mean loss + penalty."""
        values = self.rows(self.scores(coef, intercept))[0]
        l1, l2 = self.strengths
        penalty = l1 * math.fsum(np.abs(coef).ravel()) + l2 / 2 * math.fsum((coef**2).ravel())
        counts = self.share > 0
        return math.fsum(self.share[counts] * values[counts]) + penalty


@dataclass(frozen=True, eq=False)
class Verdict:
    """The minimum as an independent solver finds it; the true one is at most `slack` lower."""

    objective: float
    coef: Array
    intercept: Array
    who: str
    slack: float


# --- losses, once more -------------------------------------------------------------------


def rows_of(loss: str, params: dict[str, float], y: Array, f: Array) -> tuple[Array, ...]:
    """Return values (n,), slopes (n, K) and curvatures (n, K, K) at scores f (n, K)."""
    if loss == "cross_entropy":
        p, hot = softmax(f, axis=1), np.eye(f.shape[1])[y.astype(int)]
        values = -(hot * log_softmax(f, axis=1)).sum(axis=1)
        return values, p - hot, p[:, :, None] * (np.eye(f.shape[1]) - p[:, None, :])
    with np.errstate(over="ignore", invalid="ignore"):
        value, slope, bend = _ONE[loss](y, f[:, 0], **params)
    return value, slope[:, None], bend[:, None, None]


def _logistic(y: Array, f: Array) -> tuple[Array, ...]:
    p = expit(f)
    return np.logaddexp(0, f) - y * f, p - y, p * expit(-f)


def _poisson(y: Array, f: Array) -> tuple[Array, ...]:
    return np.exp(f) - y * f, np.exp(f) - y, np.exp(f)


def _gamma(y: Array, f: Array) -> tuple[Array, ...]:
    ratio = y * np.exp(-f)
    return f + ratio, 1 - ratio, ratio


def _tweedie(y: Array, f: Array, power: float = 1.5) -> tuple[Array, ...]:
    a, b = 2 - power, 1 - power
    up, down = np.exp(a * f), y * np.exp(b * f)
    return np.expm1(a * f) / a - y * np.expm1(b * f) / b, up - down, a * up - b * down


def _negative_binomial(y: Array, f: Array, dispersion: float = 1.0) -> tuple[Array, ...]:
    p = expit(f + math.log(dispersion))  # d·μ/(1 + d·μ)
    whole = np.logaddexp(0, f + math.log(dispersion))
    value = whole / dispersion + y * (whole - f)
    return value, p / dispersion - y * (1 - p), (1 / dispersion + y) * p * (1 - p)


def _huber(y: Array, f: Array, delta: float = 1.0) -> tuple[Array, ...]:
    r = f - y
    near = np.abs(r) <= delta
    value = np.where(near, r * r / 2, delta * (np.abs(r) - delta / 2))
    return value, np.clip(r, -delta, delta), near * 1.0


def _squared_hinge(y: Array, f: Array) -> tuple[Array, ...]:
    lack = np.maximum(1 - y * f, 0)
    return lack**2, -2 * y * lack, 2.0 * (lack > 0)


def _squared(y: Array, f: Array) -> tuple[Array, ...]:
    r = f - y
    return r * r, 2 * r, np.full(r.shape, 2.0)


def _broken(pieces: Callable[..., list[tuple[Array, Array]]]) -> Callable[..., tuple[Array, ...]]:
    """Return the largest of straight pieces slope·f + start, with a subgradient."""

    def rows(y: Array, f: Array, **params: float) -> tuple[Array, ...]:
        slopes, starts = (np.stack(p) for p in zip(*pieces(y, **params), strict=True))
        values = slopes * f + starts
        best = values.argmax(axis=0)
        column = np.arange(f.size)
        return values[best, column], slopes[best, column], np.zeros(f.size)

    return rows


def pieces_of(loss: str, params: dict[str, float], y: Array) -> list[tuple[Array, Array]]:
    """Return a loss that is the largest of straight lines as their slopes and values at 0."""
    return PIECES[loss](y, **params)


PIECES: dict[str, Callable[..., list[tuple[Array, Array]]]] = {
    "absolute_error": lambda y: [(y * 0 - 1, y), (y * 0 + 1, -y)],
    "quantile": lambda y, q=0.5: [(y * 0 - q, q * y), (y * 0 + 1 - q, (q - 1) * y)],
    "hinge": lambda y: [(-y, y * 0 + 1), (y * 0, y * 0)],
    "epsilon_insensitive": lambda y, epsilon=0.1: [
        (y * 0 - 1, y - epsilon), (y * 0, y * 0), (y * 0 + 1, -y - epsilon),
    ],
}  # fmt: skip

_ONE: dict[str, Callable[..., tuple[Array, ...]]] = {
    "squared_error": _squared,
    "logistic": _logistic,
    "poisson": _poisson,
    "gamma": _gamma,
    "tweedie": _tweedie,
    "negative_binomial": _negative_binomial,
    "huber": _huber,
    "squared_hinge": _squared_hinge,
    **{name: _broken(pieces) for name, pieces in PIECES.items()},
}


def lower_bound(case: Case) -> float:
    """Return the mean of each row's least loss."""
    y = case.y
    if case.loss == "logistic":
        least = np.where((y > 0) & (y < 1), -y * np.log(np.where(y > 0, y, 1)), 0.0)
    elif case.loss in ("poisson", "gamma", "tweedie", "negative_binomial"):
        f = np.where(y > 0, np.log(np.where(y > 0, y, 1)), -700.0)
        least = rows_of(case.loss, case.params, y, f[:, None])[0]
    else:
        least = np.zeros(len(y))
    return float(case.share @ least)


# --- data --------------------------------------------------------------------------------

KINDS = ("plain", "sparse", "correlated", "wide", "separable", "duplicated", "scales", "offset")


def design(kind: str, seed: int = 0) -> Any:
    """Return a matrix with some trouble: sparse, correlated at 0.95, wide, in odd units, …."""
    rng = np.random.default_rng([seed, 1])
    n, d = (40, 90) if kind == "wide" else (160, 12)
    x = rng.normal(size=(n, d))
    if kind == "sparse":
        return sp.csr_array(np.where(rng.random((n, d)) < 0.25, x, 0.0))
    if kind in ("correlated", "wide"):
        rho = 0.95 if kind == "correlated" else 0.5
        for j in range(1, d):
            x[:, j] = rho * x[:, j - 1] + math.sqrt(1 - rho**2) * x[:, j]
    if kind == "duplicated":
        x[:, d // 2 :] = x[:, : d // 2]
    if kind == "scales":
        return (x + 0.5) * np.logspace(-6, 6, d)
    return x


def targets(loss: str, kind: str, x: Any, seed: int = 0) -> Array:
    """Return targets that a linear model explains in part."""
    rng = np.random.default_rng([seed, 2])
    n, d = x.shape
    dense = np.asarray(x.todense()) if sp.issparse(x) else x
    spread = dense.std(axis=0)
    way = np.zeros(d)
    way[: min(d, 6)] = rng.normal(size=min(d, 6))
    f = (dense - dense.mean(axis=0)) / np.where(spread > 0, spread, 1) @ way
    f = f / f.std() + 0.3
    noise = 0.0 if kind == "separable" else 1.0
    if loss in ("logistic", "hinge", "squared_hinge"):
        positive = f + noise * rng.logistic(size=n) > 0
        return np.where(positive, 1.0, 0.0 if loss == "logistic" else -1.0)
    if loss == "cross_entropy":
        others = np.stack([f, np.roll(f, 1), 0 * f], axis=1) * (1 + 9 * (noise == 0))
        return (others + noise * rng.gumbel(size=(n, 3))).argmax(axis=1).astype(float)
    if loss in ("poisson", "negative_binomial"):
        return rng.poisson(np.exp(0.7 * f)).astype(float)
    if loss == "gamma":
        return rng.gamma(2.0, np.exp(0.5 * f) / 2)
    if loss == "tweedie":
        return np.where(rng.random(n) < 0.3, 0.0, rng.gamma(2.0, np.exp(0.5 * f)))
    return f + noise * rng.standard_t(3, n)


def weights(n: int, seed: int = 0) -> Array:
    """Return weights of different sizes, a tenth of them 0."""
    rng = np.random.default_rng([seed, 3])
    return np.where(rng.random(n) < 0.1, 0.0, rng.uniform(0.2, 3.0, n))


def case(
    loss: str,
    kind: str = "plain",
    penalty: str | None = "l2",
    share: float = 0.1,
    *,
    weighted: bool = False,
    seed: int = 0,
    **changes: Any,
) -> Case:
    """Return a case whose alpha is `share` of the largest slope at the best model without columns.

    For L1 that is `share` of `alpha_max`, so that cases of all losses and units are comparable.
    """
    x = design(kind, seed)
    y = targets(loss, kind, x, seed)
    made = Case(kind, loss, x, y, penalty=penalty, **changes)
    if weighted:
        made = replace(made, weight=weights(len(y), seed))
    if kind == "offset":
        rng = np.random.default_rng([seed, 4])
        made = replace(made, offset=rng.normal(0, 0.5, len(y)))
    if penalty is None or "alpha" in changes:
        return made
    slope = made.rows(made.scores(np.zeros((x.shape[1], made.outputs)), np.zeros(made.outputs)))[1]
    centred = slope - made.intercept * (made.share @ slope)
    steep = np.abs(np.asarray(x.T @ (made.share[:, None] * centred))).max()
    return replace(made, alpha=float(f"{share * steep:.3g}"))
