"""The one objective by which every contender is judged, and a certificate for the best value found.

F(w) = mean loss + alpha·(l1_ratio·‖w‖₁ + (1 − l1_ratio)/2·‖w‖²), the loss log(1 + eᶠ) − y·f or
(f − y)²/2, without an intercept: celer has none for logistic and liblinear penalises its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Task = dict[str, Any]


def objective(task: Task, x: Any, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return F at each row of w (n_alphas, d), at the alpha of that row."""
    return np.array(
        [_mean_loss(task, x @ row, y) + _penalty(task, a, row) for a, row in _pairs(task, w)]
    )


def duality_gap(task: Task, x: Any, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return bounds of F(w) − F* by Fenchel duality at the loss gradient, rescaled for pure L1."""
    gaps = []
    for alpha, row in _pairs(task, w):
        l1, l2 = alpha * task["l1_ratio"], alpha * (1 - task["l1_ratio"])
        scores = x @ row
        slope = _slope(task, scores, y)
        pull = np.abs(x.T @ slope) / len(y)
        scale = 1.0 if l2 > 0 else min(1.0, l1 / pull.max())
        excess = np.maximum(scale * pull - l1, 0)
        conjugate = (excess @ excess) / (2 * l2) if l2 > 0 else 0.0
        dual = -_mean_conjugate(task, scale * slope, y) - conjugate
        gaps.append(_mean_loss(task, scores, y) + _penalty(task, alpha, row) - dual)
    return np.array(gaps)


def alpha_max(loss: str, l1_ratio: float, x: Any, y: np.ndarray) -> float:
    """Return the least alpha at which w = 0 is the minimum."""
    slope = _slope({"loss": loss}, np.zeros(len(y)), y)
    return float(np.abs(x.T @ slope).max() / len(y) / l1_ratio)


def _pairs(task: Task, w: np.ndarray) -> Any:
    if len(w) != len(task["alphas"]):
        raise ValueError(f"{len(w)} solutions for {len(task['alphas'])} alphas")
    return zip(task["alphas"], w, strict=True)


def _penalty(task: Task, alpha: float, w: np.ndarray) -> float:
    ratio = task["l1_ratio"]
    return float(alpha * (ratio * np.abs(w).sum() + (1 - ratio) / 2 * (w @ w)))


def _mean_loss(task: Task, scores: np.ndarray, y: np.ndarray) -> float:
    if task["loss"] == "logistic":
        return float(np.mean(np.logaddexp(0, (1 - 2 * y) * scores)))
    return float(np.mean((scores - y) ** 2) / 2)


def _slope(task: Task, scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    if task["loss"] == "logistic":
        # p − y without cancellation, y being 0 or 1
        sign = 1 - 2 * y
        return sign / (1 + np.exp(-sign * scores))
    return scores - y


def _mean_conjugate(task: Task, v: np.ndarray, y: np.ndarray) -> float:
    if task["loss"] == "logistic":
        u = np.clip(np.abs(v), 0, 1)  # |p − y|: the conjugate is the same for both labels
        inner = u[(u > 0) & (u < 1)]
        return float((inner * np.log(inner) + (1 - inner) * np.log1p(-inner)).sum() / len(v))
    return float(np.mean(v * v / 2 + v * y))
