"""Constants of losses over classes and labels: the best constant prediction, the lower bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array, numeric
from losskit.formula.expr import Unsupported
from losskit.rows.checks import check_rows, class_weights

# What losses that are linear in their target say they elicit; a law holds them to it.
_PROPER = ("class probabilities", "probability of each label")
_CERTAIN = 1e4  # a score beside which others have probability 0


def optimal_constant(loss: Any, y_true: Any, sample_weight: Any, raw: bool) -> Array:
    """Return the constant probabilities (or scores) with the least mean loss."""
    if loss.definition.optimum not in _PROPER:
        raise Unsupported(
            f"{loss.name}: the best constant is computed for losses of one number and for those "
            f"that estimate {' or '.join(_PROPER)}"
        )
    target, weight = _targets(loss, y_true, sample_weight)
    counts = weight > 0
    if not counts.any():
        raise ValueError(f"{loss.name}: no row counts, so there is no best constant")
    mean = np.average(target[counts], axis=0, weights=weight[counts])
    if loss.definition.axis == "label":
        positive = mean * np.asarray(loss.params["pos_weight"])
        mean = positive / (positive + (1 - mean))
    return _scores(loss, mean) if raw else mean


def start_score(loss: Any, y_true: Any, sample_weight: Any) -> Array:
    """Return the scores of the optimal constant, whose probabilities are kept 10 eps inside."""
    mean = optimal_constant(loss, y_true, sample_weight, raw=False)
    margin = 10 * np.finfo(np.float64).eps
    return _scores(loss, np.clip(mean, margin, 1 - margin))


def infimum(loss: Any, y_true: Any) -> Array:
    """Return the greatest lower bound of the loss for each row: 0 for rows that are ignored.

    It is reached by predicting the target: as probabilities where these are what the loss
    elicits, else, for a target that is certain, by scores far apart.
    """
    if loss.params.get("label_smoothing") and np.ndim(y_true) == 1:
        raise ValueError(
            f"{loss.name}: the bound depends on the number of classes that labels are smoothed "
            "over; pass y_true one-hot"
        )
    target, weight = _targets(loss, y_true, None)
    proper = loss.definition.optimum == _PROPER[0]
    if not proper and not np.isin(target, (0, 1)).all():
        raise Unsupported(
            f"{loss.name}: the lower bound is computed for targets that are certain, and for "
            f"losses that estimate {_PROPER[0]}"
        )
    changed = {"class_weight": None, "ignore_index": None, "label_smoothing": 0.0}
    bare = loss(**{k: v for k, v in changed.items() if k in loss.params})
    scores = _scores(loss, target) if proper else _CERTAIN * (2 * target - 1)
    counts = weight > 0
    made = np.zeros(len(target))
    made[counts] = bare(target[counts], scores[counts], raw=True, reduction="none")
    return made


def _scores(loss: Any, p: Array) -> Array:
    with np.errstate(divide="ignore"):
        odds = np.log(p) - np.log1p(-p) if loss.definition.axis == "label" else np.log(p)
    return odds * loss.params.get("temperature", 1.0)


def _targets(loss: Any, y_true: Any, sample_weight: Any) -> tuple[Array, Array]:
    """Return targets as probabilities (rows, columns), smoothed as the loss does, and weights."""
    definition, params = loss.definition, loss.params
    y = numeric("y_true", y_true)
    kinds = [one.classes for _, one in definition.inputs]
    rows = definition.axis in ("class", "label") and len(kinds) == 2 and "level" not in kinds
    if not rows or y.ndim == 0:
        raise Unsupported(
            f"{loss.name}: constants are computed for rows of (y_true, y_pred) over classes or "
            "labels; y_true has one axis of class indexes, or a last axis of classes or labels"
        )
    per_class = params.get("class_weight")
    if y.ndim > 1 or definition.axis == "label":
        columns = y.shape[-1]
    elif isinstance(per_class, tuple):
        columns = len(per_class)
    else:
        counted = y[(y != params.get("ignore_index")) & (y == y)]
        columns = max(int(counted.max(initial=0)), 0) + 1
    shape = (len(y), columns) if y.ndim == 1 and definition.axis == "class" else y.shape
    options = {"sample_weight": sample_weight, "raw": True, "empty": "zero"}
    batch = loss._prepared(("value",), (y, np.zeros(shape)), options).batch
    given = class_weights(loss.name, batch, params)
    check_rows(loss.name, batch, definition.links, True, "raise", given)
    weight = np.ones(batch.rows) if given is None else given
    target = batch.values["y_true"]
    if target.ndim == 1:
        codes, target = target, np.zeros((batch.rows, columns))
        target[np.flatnonzero(weight), codes[weight != 0].astype(np.int64)] = 1
    smoothing = params.get("label_smoothing", 0.0)
    return (1 - smoothing) * target + smoothing / columns, weight
