"""The benchmark's data and problems, written once as `.npy` files that every worker reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .objective import alpha_max


@dataclass(frozen=True)
class Problem:
    """One objective (or a path of them), who competes in it, and the bound that the issue sets."""

    title: str
    data: str
    loss: str
    l1_ratio: float
    contenders: tuple[str, ...]
    ratio: float | None = None  # alpha as a share of alpha_max; smallest one of a path
    alpha: float | None = None
    n_alphas: int = 1
    targets: tuple[tuple[str, float], ...] = ()  # ours ≤ factor · that contender

    def task(self, folder: Path, x: Any, y: np.ndarray) -> dict[str, Any]:
        """Return what a worker is told."""
        if self.alpha is not None:
            alphas = [self.alpha]
        else:
            assert self.ratio
            top = alpha_max(self.loss, self.l1_ratio, x, y)
            first = top if self.n_alphas > 1 else self.ratio * top
            alphas = np.geomspace(first, self.ratio * top, self.n_alphas).tolist()
        return {
            "data": str(folder / self.data),
            "loss": self.loss,
            "l1_ratio": self.l1_ratio,
            "alphas": alphas,
        }


_OURS = ("losskit", "losskit-columns", "losskit-core")
_L1 = (*_OURS, "adelie", "python-glmnet", "celer", "skglm", "liblinear", "saga")
_FASTER = ("python-glmnet", "celer", "skglm", "liblinear")
PROBLEMS = {
    "l1": Problem(
        "L1 logistic, 20000×500, 0.05·alpha_max", "synth", "logistic", 1.0, _L1, ratio=0.05,
        targets=(("adelie", 1.5), *((peer, 1.0) for peer in _FASTER)),
    ),
    "l2": Problem(
        "L2 logistic, 20000×500, alpha 1e-3", "synth", "logistic", 0.0,
        (*_OURS, "lbfgs", "newton-cholesky", "adelie", "python-glmnet", "skglm"), alpha=1e-3,
        targets=(("lbfgs", 1.0),),
    ),
    "path": Problem(
        "Elastic-net logistic path, 20000×500, 100 alphas to 0.01·alpha_max", "synth", "logistic",
        0.5, (*_OURS, "adelie", "python-glmnet", "skglm", "celer", "saga"), ratio=0.01,
        n_alphas=100, targets=(("adelie", 1.5),),
    ),
    "gaussian": Problem(
        "Elastic-net Gaussian path, 20000×500, 100 alphas to 0.01·alpha_max", "gaussian", "squared",
        0.5, (*_OURS, "enet_path", "adelie", "celer", "skglm", "python-glmnet"), ratio=0.01,
        n_alphas=100, targets=(("enet_path", 1.0),),
    ),
    "cancer": Problem(
        "L1 logistic, breast cancer 569×30 standardised, 0.05·alpha_max", "cancer", "logistic",
        1.0, _L1, ratio=0.05,
    ),
    "sparse": Problem(
        "L1 logistic, sparse 50000×50000, 80 per row, 0.01·alpha_max", "sparse", "logistic", 1.0,
        _L1, ratio=0.01,
    ),
}  # fmt: skip


def write(name: str, folder: Path) -> None:
    """Make one data set and save it below folder."""
    makers: dict[str, Callable[[], tuple[Any, np.ndarray]]] = {
        "synth": _synth,
        "gaussian": _gaussian,
        "cancer": _cancer,
        "sparse": _sparse,
    }
    x, y = makers[name]()
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / "y.npy", y)
    if isinstance(x, np.ndarray):
        np.save(place / "X.npy", x)
        return
    for part in ("data", "indices", "indptr", "shape"):
        np.save(place / f"X_{part}.npy", getattr(x, part))


def _synth(n: int = 20_000, d: int = 500) -> tuple[np.ndarray, np.ndarray]:
    x, scores, rng = _scores(n, d)
    return x, (rng.random(n) < 1 / (1 + np.exp(-scores))).astype(np.float64)


def _gaussian(n: int = 20_000, d: int = 500) -> tuple[np.ndarray, np.ndarray]:
    x, scores, rng = _scores(n, d)
    return x, scores + rng.standard_normal(n)


def _scores(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Return columns in an AR(0.5) chain, and scores of 50 true coefficients with deviation 2."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    for j in range(1, d):
        x[:, j] = 0.5 * x[:, j - 1] + np.sqrt(0.75) * x[:, j]
    w = np.zeros(d)
    w[rng.choice(d, 50, replace=False)] = rng.standard_normal(50)
    scores = x @ w
    return x, scores * (2 / scores.std()), rng


def _cancer() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return np.ascontiguousarray((x - x.mean(0)) / x.std(0)), y.astype(np.float64)


def _sparse(n: int = 50_000, d: int = 50_000, words: int = 80) -> tuple[Any, np.ndarray]:
    """Return rows like texts: Zipf-distributed words, log-normal weights, unit length."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    share = np.cumsum(1 / (np.arange(d) + 20.0))
    columns = np.searchsorted(share / share[-1], rng.random(n * words)).astype(np.int32)
    values = rng.lognormal(0, 0.5, n * words) * np.log(d / (1 + columns) + 1)
    starts = np.arange(0, n * words + 1, words, dtype=np.int32)
    x = csr_matrix((values, columns, starts), shape=(n, d))
    x.sum_duplicates()
    x.data /= np.repeat(np.sqrt(np.asarray(x.multiply(x).sum(1)).ravel()), np.diff(x.indptr))
    w = np.zeros(d)
    chosen = rng.choice(3000, 300, replace=False)
    w[chosen] = rng.standard_normal(300)
    scores = x @ w
    scores *= 2 / scores.std()
    y = rng.random(n) < 1 / (1 + np.exp(-(scores - np.median(scores))))
    return x, y.astype(np.float64)
