"""What the estimators of the boosting libraries share: reading targets, and the way back to them.

A host's `fit` makes a `Task` of what the user passed, trains a booster by it, and keeps its
`Fitted`, which makes predictions of raw scores and can be written into the host's own model file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import MethodType
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.objective import FLOOR, Objective, objective, predictions
from losskit.boosting.targets import check_single, named
from losskit.fit.data.source import read_weights
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.inputs.choosing import loss_of_classes, loss_of_numbers
from losskit.fit.inputs.targets import Classes, Coding, coding, numbers, read_classes
from losskit.formula.expr import Unsupported
from losskit.portable import labels_from_json, labels_to_json, loss_from_json, loss_to_json
from losskit.several import Several


@dataclass(frozen=True, eq=False)
class Fitted:
    """What makes predictions of a booster's raw scores, (n,) or (n, outputs)."""

    loss: Any
    outputs: int
    classes: Array | None = None  # of a classifier: sorted, or the numbers of labels
    multilabel: bool = False

    def numbers(self, scores: Any) -> Array:
        """Return predictions in the shape of the scores; several quantiles are sorted."""
        return predictions(self.loss, scores)

    def score(self, scores: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² of predictions that have the target's shape; else the share of the mean loss of
        the best constant, above the least possible, that the model saves.
        """
        made = self.numbers(scores)
        target = _numbers(y, len(made), read_weight(sample_weight, len(made))[1])
        if made.shape == target.shape:
            from sklearn.metrics import r2_score

            return float(r2_score(target, made, sample_weight=sample_weight))
        loss = self.loss
        constant = np.asarray(loss.optimal_constant(target, sample_weight, raw=True))
        every = np.broadcast_to(constant, made.shape)
        base = loss(target, every, raw=True, sample_weight=sample_weight)
        least = float(np.average(loss.infimum(target), weights=sample_weight))
        own = loss(target, np.asarray(scores), raw=True, sample_weight=sample_weight)
        return float((base - own) / (base - (least if np.isfinite(least) else 0.0)))

    def decision(self, scores: Any) -> Array:
        """Return scores (n,) of the second of two classes, or (n, K) of all, or of labels."""
        return self.coding.decision(self._wide(scores))

    def labels(self, scores: Any) -> Array:
        """Return classes (n,), or 0/1 for each label (n, L)."""
        assert self.classes is not None
        codes = self.coding.codes(self.decision(scores), self.multilabel)
        return codes if self.multilabel else self.classes[codes]

    def probabilities(self, scores: Any) -> Array:
        """Return probabilities (n, K) of classes, rows summing to 1, or (n, L) of labels.

        Raises AttributeError where the loss tells none.
        """
        check_probabilities(self.loss, self.coding)
        wide = self._wide(scores).astype(np.float64)
        return probabilities(self.loss, self.coding, wide, self.multilabel)

    @cached_property
    def coding(self) -> Coding:
        """How classes are told to the loss."""
        assert self.classes is not None
        return _coding(self.loss, self.classes, self.multilabel)

    def to_text(self) -> str:
        """Return this as JSON, for a model file; ValueError for a loss of Python functions."""
        labels = None if self.classes is None else labels_to_json(self.classes)
        several = isinstance(self.loss, Several)
        first = self.loss.members[0] if several else self.loss
        family = [self.loss.parameter, self.loss.params[self.loss.parameter]] if several else None
        said = {"loss": loss_to_json(first), "family": family, "outputs": self.outputs}
        return json.dumps({**said, "classes": labels, "multilabel": self.multilabel})

    @staticmethod
    def from_text(text: str, *, classifier: bool | None = None) -> Fitted:
        """Return what `to_text` wrote; ValueError for any other text, and for a model that is no
        classifier's, or is one, where the other was asked for.
        """
        found = json.loads(text)
        if type(found) is not dict or set(found) != _MEMBERS or type(found["outputs"]) is not int:
            raise ValueError("the model file does not tell its loss as losskit writes it")
        loss = loss_from_json(found["loss"])
        if found["family"] is not None:
            parameter, values = found["family"]
            loss = loss(**{parameter: tuple(values)})
        if classifier is not None and classifier != (found["classes"] is not None):
            raise ValueError(
                "the model is of classes, load it by Classifier"
                if classifier is False
                else "the model tells no classes, load it by Regressor"
            )
        labels = None if found["classes"] is None else labels_from_json(found["classes"], "classes")
        return Fitted(loss, found["outputs"], labels, bool(found["multilabel"]))

    def _wide(self, scores: Any) -> Array:
        made = np.asarray(scores)
        return made.reshape(len(made), -1)


_MEMBERS = {"loss", "family", "outputs", "classes", "multilabel"}


@dataclass(frozen=True, eq=False)
class Task:
    """What a booster is to be trained for: targets and weights as the loss takes them."""

    objective: Objective
    why: str  # why this loss
    target: Array  # (n,) numbers or codes of classes, (n, outputs) targets side by side or labels
    weight: Array | None  # (n,)
    start: Any  # raw score, or (outputs,) of them, of the best constant
    fitted: Fitted

    @property
    def loss(self) -> Any:
        """The loss, or several."""
        return self.fitted.loss

    @property
    def outputs(self) -> int:
        """Number of raw scores of a row."""
        return self.fitted.outputs

    def evaluation(
        self, where: str, y: Any, rows: int, sample_weight: Any = None
    ) -> tuple[Array, Any]:
        """Return targets and weights of rows that are not trained on, checked as those are.

        Raises ValueError, as the metric of the first round would, that says `where` they were.
        """
        with named(where):
            return self._evaluation(y, rows, sample_weight)

    def check_begun(self, model: Fitted | None, name: str) -> None:
        """Raise ValueError where a model to train on from, the argument `name`, has other classes.

        What is known of it is None for a model that does not tell its loss.
        """
        known = None if model is None else model.classes
        own = self.fitted.classes
        if known is not None and own is not None and known.tolist() != own.tolist():
            raise ValueError(
                f"{name} is of the classes {known.tolist()}, y has {own.tolist()}; scores of one "
                "are not those of the other"
            )

    def start_of(self, rows: int) -> Array:
        """Return the start, repeated for a number of rows: (rows,) or (rows, outputs)."""
        start = np.asarray(self.start, dtype=np.float64)
        return np.broadcast_to(start, (rows, *start.shape)).copy()

    def _evaluation(self, y: Any, rows: int, sample_weight: Any) -> tuple[Array, Any]:
        weight, kept = read_weight(sample_weight, rows)
        if self.fitted.classes is None:
            target = _numbers(y, rows, kept)
        else:
            known = self.fitted.classes
            classes = read_classes(_kept(y, rows, kept), _count(rows, kept), kept, known)
            target = _whole(self.fitted.coding.target(classes), rows, kept)
        self.objective.metric(target, self.start_of(rows), weight)
        return target, weight


def task_of_numbers(
    host: str, y: Any, rows: int, sample_weight: Any = None, *, loss: Any = "auto",
    curvature: str = "auto", floor: float = FLOOR,
) -> Task:  # fmt: skip
    """Return what a regressor of `host` trains for, with all targets and weights checked.

    `y` is (n,), or (n, m) for m targets side by side. Rows of weight 0 may hold anything. Raises
    ValueError that names the first bad row, Unsupported for a loss that boosters cannot train with.
    """
    weight, kept = read_weight(sample_weight, rows)
    target = _numbers(y, rows, kept)
    chosen, why = loss_of_numbers(loss, target)
    made = objective(chosen, host, curvature=curvature, floor=floor)
    if made.outputs is None:
        raise ValueError(
            f"{chosen!r} is a loss over the {chosen.definition.axis} axis; fit a Classifier, or a "
            "loss of one number"
        )
    if made.outputs > 1 and target.ndim == 2:
        raise ValueError(
            f"{chosen!r} gives {made.outputs} predictions of one target; y has {target.shape[1]}: "
            "fit them one by one"
        )
    outputs = target.shape[1] if target.ndim == 2 else made.outputs
    return Task(made, why, target, weight, made.start(target, weight), Fitted(chosen, outputs))


def task_of_classes(
    host: str, y: Any, rows: int, sample_weight: Any = None, *, loss: Any = "auto",
    curvature: str = "auto", floor: float = FLOOR,
) -> Task:  # fmt: skip
    """Return what a classifier of `host` trains for, with all targets and weights checked.

    `y` is (n,) classes of any type that sorts, or 0/1 (n, L) labels. The target is one number a row
    for two classes, codes (n,) for a loss over classes, else (n, K) each against the rest.
    """
    weight, kept = read_weight(sample_weight, rows)
    classes = read_classes(_kept(y, rows, kept), _count(rows, kept), kept)
    chosen, why = loss_of_classes(loss, classes)
    fitted = Fitted(chosen, coding(chosen, classes).outputs, classes.labels, classes.columns)
    made = objective(chosen, host, curvature=curvature, floor=floor)
    target = _whole(fitted.coding.target(classes), rows, kept)
    return Task(made, why, target, weight, made.start(target, weight), fitted)


class OfProbabilities:
    """A method that a classifier has where its loss tells probabilities; used as a decorator.

    It is scikit-learn's `available_if`, whose error keeps to itself why there is no such method.
    The classifier has `loss` and, fitted, `fitted_`.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, model: Any, owner: Any = None) -> Any:
        """Return the method, or raise AttributeError that says what to use instead."""
        if model is None:
            return self._method
        try:
            fitted = getattr(model, "fitted_", None) or _to_be_fitted(model.loss)
            check_probabilities(fitted.loss, fitted.coding)
        except (AttributeError, TypeError, ValueError, Unsupported) as error:
            raise AttributeError(
                f"this {type(model).__name__} has no {self._method.__name__}: {error}"
            ) from error
        return MethodType(self._method, model)


def check_probabilities(loss: Any, how: Coding) -> None:
    """Raise AttributeError for a loss that tells no probabilities."""
    if estimator_of(loss, how) is None:
        raise AttributeError(
            f"{loss!r} tells no probabilities; use decision_function, or a loss that does, such as "
            "binary_cross_entropy"
        )


def read_weight(sample_weight: Any, rows: int) -> tuple[Array | None, Array | None]:
    """Return weights (n,) float64, and which rows they leave, None for all."""
    if sample_weight is None:
        return None, None
    weight = read_weights(sample_weight, rows)
    return weight, None if weight.all() else np.flatnonzero(weight)


def _to_be_fitted(asked: Any) -> Fitted:
    two = Classes(np.arange(2), np.arange(2))
    loss, _ = loss_of_classes(asked, two)
    labels = getattr(loss.definition, "axis", None) == "label"
    return Fitted(loss, 2, two.labels, labels)


def _numbers(y: Any, rows: int, kept: Array | None) -> Array:
    found = numbers(_kept(y, rows, kept), _count(rows, kept), kept)
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    check_single(found, kept)
    return _whole(found, rows, kept)


def _coding(loss: Any, labels: Array, multilabel: bool) -> Coding:
    shape = (1, len(labels)) if multilabel else (1,)
    return coding(loss, Classes(labels, np.zeros(shape, np.intp)))


def _kept(y: Any, rows: int, kept: Array | None) -> Any:
    """Return the targets of the rows that count."""
    if kept is None or y is None:
        return y
    array = y.tocsr() if hasattr(y, "tocsr") else np.asarray(y)
    if array.shape[:1] != (rows,):
        raise ValueError(f"y has {array.shape[0] if array.ndim else 0} rows, X has {rows}")
    return array[kept]


def _count(rows: int, kept: Array | None) -> int:
    return rows if kept is None else len(kept)


def _whole(target: Array, rows: int, kept: Array | None) -> Array:
    """Return targets of all rows; those of weight 0 get the first one's, as they do not count."""
    if kept is None:
        return target
    made = np.empty((rows, *target.shape[1:]), target.dtype)
    made[:] = target[0]
    made[kept] = target
    return made
