"""How good a model is on rows that it has not seen, beside the best constant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import losskit
from losskit import metrics
from losskit.arrays import Array
from losskit.evaluation.spelling import spelled
from losskit.fit.data.source import MemorySource
from losskit.fit.inputs.targets import Classes
from losskit.fit.objective.baseline import start
from losskit.fit.solvers.run import drive
from losskit.formula.expr import Unsupported
from losskit.optimum import inverse
from losskit.tabular.results import Score


def scores_of(
    model: Any, matrix: Array, y: Array, weight: Array | None, fitted: tuple[Array, Array | None]
) -> tuple[Score, ...]:
    """Return the fitted loss and the usual metrics of a model on some rows.

    `fitted` holds targets and weights of the rows it was fitted to, whose best constant it is
    compared with.
    """
    constant = _constant(model, *fitted)
    raw = matrix @ np.atleast_2d(model.coef_).T + np.atleast_1d(model.intercept_)
    flat = np.broadcast_to(constant, raw.shape)
    loss = model.loss_
    target = _coded(model, y)
    own, theirs = (_by_row(loss, target, scores) for scores in (raw, flat))
    w = np.ones(len(y)) if weight is None else weight
    first = Score(
        spelled(loss), _mean(own, w), _mean(theirs, w), "lower", _error(own, w),
        _error(theirs - own, w),
    )  # fmt: skip
    figures = _of_classes if hasattr(model, "classes_") else _of_numbers
    return (
        first,
        *figures(model, raw, flat, y, weight),
        *_explained(loss, target, raw, flat, weight),
    )


def _mean(rows: Array, w: Array) -> float:
    return float(w @ rows / w.sum())


def _error(rows: Array, w: Array) -> float:
    if np.count_nonzero(w) < 2:
        return float("nan")
    return float(np.sqrt(np.square(w * (rows - _mean(rows, w))).sum()) / w.sum())


def _constant(model: Any, y: Array, weight: Array | None) -> Array:
    """Return the raw scores (outputs,) of the best constant."""
    outputs = np.atleast_2d(model.coef_).shape[0]
    nothing = MemorySource(np.zeros((len(y), 1)), _coded(model, y), weight=weight)
    (found,) = drive(nothing, [start(model.loss_, nothing, outputs, -1, True)])
    return np.asarray(found.constant)


def _coded(model: Any, y: Array) -> Array:
    """Return targets as the model's loss takes them."""
    if not hasattr(model, "classes_"):
        return y
    return np.asarray(model.coding_.target(_places(model, y)))


def _places(model: Any, y: Array) -> Classes:
    place = {label: i for i, label in enumerate(model.classes_.tolist())}
    return Classes(model.classes_, np.array([place[label] for label in y.tolist()], np.intp))


def _by_row(loss: Any, target: Array, raw: Array) -> Array:
    """Return the loss of each row, (n,); of several elements in a row, their mean."""
    scores = raw[:, 0] if raw.shape[1] == 1 else raw
    made = np.asarray(loss(target, scores, raw=True, reduction="none"))
    return made if made.ndim == 1 else made.mean(axis=1)


def _of_classes(model: Any, raw: Array, flat: Array, y: Array, weight: Array | None) -> list[Score]:
    codes, how = _places(model, y).codes, model.coding_
    own, theirs = (how.decision(scores) for scores in (raw, flat))
    rows = {"sample_weight": weight}
    labels = [how.codes(decision, columns=False) for decision in (own, theirs)]
    found = [_figure(metrics.accuracy, codes, labels, rows)]
    if len(model.classes_) == 2 and len(np.unique(codes)) == 2:
        scores = [d if d.ndim == 1 else d[:, 1] - d[:, 0] for d in (own, theirs)]
        found.append(_figure(metrics.auc, codes, scores, rows))
    elif len(model.classes_) > 2:
        found.append(_figure(metrics.balanced_accuracy, codes, labels, rows))
    return found


def _of_numbers(model: Any, raw: Array, flat: Array, y: Array, weight: Array | None) -> list[Score]:
    if raw.shape[1] > 1 or model.loss_.name == "absolute_error":
        return []
    own, theirs = (inverse(model.loss_.link, scores[:, 0]) for scores in (raw, flat))
    values = [losskit.absolute_error(y, p, sample_weight=weight) for p in (own, theirs)]
    return [Score("absolute_error", values[0], values[1], "lower")]


def _explained(
    loss: Any, target: Array, raw: Array, flat: Array, weight: Array | None
) -> list[Score]:
    """Return the share of the loss that is saved: R² of squared errors, D² of any other."""
    pair = [scores[:, 0] if scores.shape[1] == 1 else scores for scores in (raw, flat)]
    try:
        found = _figure(metrics.d2(loss=loss), target, pair, {"sample_weight": weight, "raw": True})
    except (Unsupported, ValueError):  # nothing to explain, or no bound to explain it up to
        return []
    return [replace(found, name="r2") if loss.name == "squared_error" else found]


def _figure(metric: Any, y: Array, pair: list[Array], rows: dict[str, Any]) -> Score:
    own, theirs = (metric(y, one, **rows) for one in pair)
    return Score(metric.name, own, theirs, metric.better)
