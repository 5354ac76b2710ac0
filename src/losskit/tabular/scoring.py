"""How good a model is on rows that it has not seen, beside the best constant."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import losskit
from losskit import metrics
from losskit.arrays import Array
from losskit.evaluation.spelling import spelled
from losskit.fit.problem import start
from losskit.fit.run import drive
from losskit.fit.source import MemorySource
from losskit.fit.targets import Classes
from losskit.tabular.results import Score


def of_matrix(model: Any) -> Any:
    """Return the model as one of the matrix that its preprocessing makes, for a matrix at hand."""
    bare = copy.copy(model)
    for name in ("preprocessing_", "feature_names_in_"):
        if hasattr(bare, name):
            delattr(bare, name)
    bare.n_features_in_ = bare.coef_.shape[-1]
    return bare


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
    mean = float(w @ own / w.sum())
    error = float(np.sqrt(np.square(w * (own - mean)).sum()) / w.sum())
    first = Score(
        spelled(loss),
        mean,
        error if np.count_nonzero(w) > 1 else float("nan"),
        float(w @ theirs / w.sum()),
        "lower",
    )
    figures = _of_classes if hasattr(model, "classes_") else _of_numbers
    return first, *figures(model, raw, flat, y, weight)


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


def _of_classes(
    model: Any, raw: Array, flat: Array, y: Array, weight: Array | None
) -> list[Score]:
    codes, how = _places(model, y).codes, model.coding_
    own, theirs = (how.decision(scores) for scores in (raw, flat))
    rows = {"sample_weight": weight}
    labels = [how.codes(decision, columns=False) for decision in (own, theirs)]
    found = [_share(metrics.accuracy, codes, *labels, rows)]
    if len(model.classes_) == 2 and len(np.unique(codes)) == 2:
        scores = [d if d.ndim == 1 else d[:, 1] - d[:, 0] for d in (own, theirs)]
        found.append(
            Score("auc", metrics.auc(codes, scores[0], **rows), np.nan, 0.5, metrics.auc.better)
        )
    elif len(model.classes_) > 2:
        found.append(_share(metrics.balanced_accuracy, codes, *labels, rows))
    return found


def _share(metric: Any, codes: Array, own: Array, theirs: Array, rows: dict[str, Any]) -> Score:
    return Score(
        metric.name, metric(codes, own, **rows), np.nan, metric(codes, theirs, **rows), metric.better
    )


def _of_numbers(
    model: Any, raw: Array, flat: Array, y: Array, weight: Array | None
) -> list[Score]:
    bare = of_matrix(model)
    if raw.shape[1] > 1:
        return []
    own, theirs = (bare._predicted(scores) for scores in (raw, flat))
    found = []
    if model.loss_.name != "absolute_error":
        values = [losskit.absolute_error(y, p, sample_weight=weight) for p in (own, theirs)]
        found.append(Score("absolute_error", values[0], np.nan, values[1], "lower"))
    if model.loss_.elicits == "mean" and len(y) > 1 and y.min() < y.max():
        values = [metrics.r2(y, p, sample_weight=weight) for p in (own, theirs)]
        found.append(Score("r2", values[0], np.nan, values[1], metrics.r2.better))
    return found
