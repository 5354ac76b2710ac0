"""A loss as a scikit-learn scorer: `scoring=` of cross-validation and searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics._scorer import _BaseScorer

from losskit.arrays import Array
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.sklearn.measures import NumberMetric, classes_of_rows, metric
from losskit.sklearn.messages import advice_of_scorers, loss_for
from losskit.sklearn.responses import (
    DECISION,
    PREDICT,
    PROBABILITIES,
    axis_of,
    is_of_classes,
    response,
)

_ROUTED = "pass it when scoring, as cross_validate(…, params=) does under metadata routing"
_ELSEWHERE = {
    "labels": "the labels are the estimator's classes_; leave it out",
    "sample_weight": _ROUTED,
    "query": _ROUTED,
}


def scorer(loss: Any, *, pos_label: Any = None, raw: bool = False, **parameters: Any) -> Scorer:
    """Return a scorer for `cross_val_score`, `GridSearchCV` and others: minus the mean loss.

    `loss` is a name or a `losskit.Loss`. The estimator is asked for what the loss takes: `predict`
    (losses of numbers; positive means for those under the log link), `predict_proba` (losses under
    the logit or softmax link), `decision_function` (losses of margins; labels become −1 and 1).
    `raw=True` takes `decision_function` as the raw scores of any loss of classes: for a model that
    was fitted by the loss, or by another under its link, and that tells no probabilities. Labels
    may be of any type and are mapped through the estimator's `classes_`, so folds may lack some;
    `pos_label` is the class that a loss of two counts as positive, the last unless said otherwise.
    `sample_weight` weighs, also by metadata routing (`set_score_request`). Raises ValueError at
    predictions that the loss does not take, with the first index.

    >>> from sklearn.linear_model import LinearRegression
    >>> from losskit.sklearn import scorer
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 7.0]
    >>> model = LinearRegression().fit(X, y)
    >>> round(scorer("huber", delta=0.5)(model, X, y), 4)
    -0.3762
    """
    return Scorer(loss_for("scorer", loss, parameters, _ELSEWHERE), pos_label, raw)


def loss_to(loss: Loss, *, pos_label: Any = None, raw: bool = False) -> Scorer:
    """Return what `loss.to("sklearn")` is: see `scorer`."""
    return scorer(loss, pos_label=pos_label, raw=raw)


class Scorer(_BaseScorer):
    """Minus the mean loss of an estimator's answers: `scorer(estimator, X, y, sample_weight=…)`.

    The base is scikit-learn's own, so that weights, metadata routing and several scorers at once
    work as they do for its scorers; it leaves `_score` to us.
    """

    def __init__(self, loss: Any, pos_label: Any = None, raw: bool = False) -> None:
        asked = [response(loss, raw), PREDICT]  # a regressor predicts shares, or scores, itself
        if pos_label is not None and not is_of_classes(loss):
            raise TypeError(f"{loss.name} is a loss of numbers, which have no pos_label")
        super().__init__(metric(loss, raw=raw), -1, {}, asked)
        self.loss = loss
        self.pos_label = pos_label
        self.raw = raw

    def __repr__(self) -> str:
        said = "" if self.pos_label is None else f", pos_label={self.pos_label!r}"
        said += ", raw=True" if self.raw else ""
        return f"losskit.sklearn.scorer({self.loss!r}{said})"

    def _score(
        self, method_caller: Callable[..., Any], estimator: Any, X: Any, y_true: Any, **given: Any
    ) -> float:
        if is_of_classes(self.loss) and is_classifier(estimator):
            asked = response(self.loss, self.raw)
            with advice_of_scorers(asked):
                return -self._of_classes(method_caller, estimator, asked, X, y_true, given)
        with advice_of_scorers(PREDICT):
            return -self._of_numbers(estimator, X, y_true, given)

    def _of_numbers(self, estimator: Any, X: Any, y_true: Any, given: dict[str, Any]) -> float:
        if self.pos_label is not None or self.raw:
            raise TypeError(
                f"{type(estimator).__name__} is no classifier: there is no pos_label, and its "
                "predict is not raw"
            )
        if is_classifier(estimator):
            _refuse_names(self.loss, estimator)
        told = metric(self.loss) if axis_of(self.loss) == "item" else NumberMetric(self.loss)
        return float(told(y_true, _numbers(self.loss, estimator, X), **given))

    def _of_classes(
        self,
        method_caller: Callable[..., Any],
        estimator: Any,
        asked: str,
        X: Any,
        y_true: Any,
        given: dict[str, Any],
    ) -> float:
        if not hasattr(estimator, asked):
            raise AttributeError(
                f"{type(estimator).__name__} has no {asked}, which {self.loss!r} is computed of"
                + ("; a loss of margins, such as hinge, takes its decision_function; so does "
                   "scorer(…, raw=True), for scores that this loss's link makes probabilities of"
                   if asked == PROBABILITIES and hasattr(estimator, DECISION) else
                   "; a loss of probabilities, such as binary_cross_entropy or cross_entropy, "
                   "takes its predict_proba" if hasattr(estimator, PROBABILITIES) else "")
            )  # fmt: skip
        if classes_of_rows(self.loss, y_true).ndim == 2:
            return float(self._score_func(y_true, _of_labels(estimator, asked, X), **given))
        classes = estimator.classes_
        if len(classes) < 2:
            raise ValueError(
                f"{type(estimator).__name__} knows one class, {np.asarray(classes).tolist()!r}; "
                f"{self.loss.name} needs one that was fitted with two or more"
            )
        if asked == DECISION and len(classes) > 2:
            _refuse_pairs(self.loss, estimator)
        given = {"pos_label": self.pos_label, **given}
        answer = method_caller(estimator, asked, X, pos_label=given["pos_label"])
        return float(self._score_func(y_true, answer, labels=classes, **given))


def _refuse_names(loss: Any, estimator: Any) -> None:
    """Raise TypeError where a classifier's answers are names, of which no number is computed.

    Three and more numbers may be grades, whose distances count; those of two are names.
    """
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list):
        return
    classes = np.asarray(classes)
    if classes.dtype.kind not in "iuf" or len(classes) < 3:
        raise TypeError(
            f"{loss.name} is a loss of numbers, and {type(estimator).__name__} a classifier of "
            f"{classes.tolist()!r:.60}: score by a loss of classes, such as binary_cross_entropy, "
            "cross_entropy or hinge"
        )


def _refuse_pairs(loss: Any, estimator: Any) -> None:
    """Raise ValueError for a decision function of pairs of classes, which for three classes has
    as many columns as one of classes.
    """
    last = estimator
    while found := getattr(last, "best_estimator_", None) or getattr(last, "steps", None):
        last = found[-1][1] if isinstance(found, list) else found
    if getattr(last, "decision_function_shape", None) == "ovo":
        raise ValueError(
            f"{loss.name} takes a score for each class; {type(last).__name__}'s decision_function "
            "has one for each pair of them: set decision_function_shape='ovr'"
        )


def _numbers(loss: Any, estimator: Any, X: Any) -> Any:
    """Return what a regressor predicts: (n,), or (n, 2) of mean and standard deviation."""
    answer = estimator.predict(X)
    if getattr(loss, "outputs", ()) == ("mean", "log_sd") and np.ndim(answer) == 1:
        try:  # as Gaussian processes and Bayesian ridge regression have it
            answer = np.stack(estimator.predict(X, return_std=True), axis=-1)
        except TypeError:
            raise Unsupported(
                f"{loss.name} takes mean and standard deviation; {type(estimator).__name__} "
                "predicts the mean alone: its predict has no return_std"
            ) from None
    return answer


def _of_labels(estimator: Any, asked: str, X: Any) -> Array:
    """Return answers (n, L) for labels: forests answer with a list of (n, classes) arrays.

    scikit-learn's own way to them takes the two columns of two labels for two classes.
    """
    answer = getattr(estimator, asked)(X)
    if not isinstance(answer, list):
        return np.asarray(answer)
    columns = []
    for each, classes in zip(answer, estimator.classes_, strict=True):
        there = np.flatnonzero(np.asarray(classes) == 1)
        columns.append(each[:, there[0]] if there.size else np.zeros(len(each)))
    return np.stack(columns, axis=1)
