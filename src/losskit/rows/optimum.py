"""Constants of losses over classes: the best constant probabilities, and the lower bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array, numeric, weights
from losskit.formula.expr import Unsupported

_PROPER = "class probabilities"  # what a loss that is linear in its target elicits


def optimal_constant(loss: Any, y_true: Any, sample_weight: Any, raw: bool) -> Array:
    """Return the constant class probabilities (or scores) with the least mean loss."""
    target, weight = _targets(loss, y_true, sample_weight)
    if not weight.sum() > 0:
        raise ValueError(f"{loss.name}: no row counts, so there is no best constant")
    mean = np.average(target, axis=0, weights=weight)
    return _scores(loss, mean) if raw else mean


def start_score(loss: Any, y_true: Any, sample_weight: Any) -> Array:
    """Return the scores of the optimal constant, whose probabilities are kept 10 eps above 0."""
    mean = optimal_constant(loss, y_true, sample_weight, raw=False)
    return _scores(loss, np.maximum(mean, 10 * np.finfo(np.float64).eps))


def infimum(loss: Any, y_true: Any) -> Array:
    """Return the greatest lower bound of the loss for each row: that of its own target."""
    target, _ = _targets(loss, y_true, None)
    bare = loss(class_weight=None, ignore_index=None)
    if "label_smoothing" in loss.params:
        bare = bare(label_smoothing=0.0)  # the target is smoothed already
    return np.asarray(bare(target, _scores(loss, target), raw=True, reduction="none"))


def _scores(loss: Any, p: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(p) * loss.params.get("temperature", 1.0)


def _targets(loss: Any, y_true: Any, sample_weight: Any) -> tuple[Array, Array]:
    """Return targets as class probabilities (rows, classes), smoothed as the loss does, weights."""
    definition, params = loss.definition, loss.params
    if definition.optimum != _PROPER:
        raise Unsupported(
            f"{loss.name}: the best constant is computed for losses of one number and for those "
            f"that estimate {_PROPER}"
        )
    y = numeric("y_true", y_true)
    weight = weights(sample_weight, None, y.shape[:1])
    weight = np.ones(len(y)) if weight is None else weight
    if y.ndim == 2:
        target = y.astype(np.float64)
    else:
        counts = y != params["ignore_index"]
        per_class = params["class_weight"]
        classes = (
            len(per_class) if isinstance(per_class, tuple) else int(y[counts].max(initial=0)) + 1
        )
        wrong = np.flatnonzero(counts & ~((y >= 0) & (y < classes) & (y == np.floor(y))))
        if wrong.size:
            raise ValueError(
                f"{loss.name}: y_true[{wrong[0]}] = {y[wrong[0]]:g}; needed is a class index 0 … "
                f"{classes - 1}"
            )
        target = np.zeros((len(y), classes))
        target[np.flatnonzero(counts), y[counts].astype(np.int64)] = 1
        weight = np.where(counts, weight, 0.0)
    if params["class_weight"] is not None:
        weight = weight * (target @ np.broadcast_to(params["class_weight"], target.shape[1:]))
    smoothing = params.get("label_smoothing", 0.0)
    return (1 - smoothing) * target + smoothing / target.shape[1], weight
