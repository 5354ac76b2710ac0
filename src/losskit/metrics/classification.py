"""Metrics of predicted classes, and of how well scores order the two classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Annotated, Any, Literal

import numpy as np

from losskit.arrays import Array
from losskit.metrics.definition import Label, Needs, metric
from losskit.metrics.rows import Data, Rows, labels, positive_label, scores

Threshold = Annotated[
    float, Needs("a number in [0, 1)", lambda v: isinstance(v, Real) and 0 <= v < 1)
]
Average = Literal["binary", "macro", "weighted", "micro"]
Empty = Literal["error", "zero"]


@metric(better="higher", takes="labels", surrogate="cross_entropy")
def accuracy(data: Data, *, threshold: Threshold = 0.5) -> float:
    """The share of elements whose predicted label is the true one.

    `y_pred` holds labels (numbers or text), or class probabilities with an axis more than `y_true`,
    or probabilities of class 1, which is predicted above `threshold`. Every element counts as one.

    >>> import losskit.metrics
    >>> losskit.metrics.accuracy([0, 1, 1], [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    0.6666666666666666
    """
    from sklearn.metrics import accuracy_score

    rows = labels(data, threshold)
    return accuracy_score(rows.y, rows.f, sample_weight=rows.weight)


@metric(better="higher", takes="labels", surrogate="cross_entropy")
def balanced_accuracy(data: Data, *, threshold: Threshold = 0.5) -> float:
    """The mean, over the classes in `y_true`, of the share of each that is found.

    Predictions are passed as to `accuracy`; class weights in the loss train for it.

    >>> import losskit.metrics
    >>> losskit.metrics.balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    from sklearn.metrics import recall_score

    # What balanced_accuracy_score computes, without its warning where a class is only predicted.
    rows = labels(data, threshold)
    present = np.unique(rows.y)
    return recall_score(rows.y, rows.f, labels=present, average="macro", sample_weight=rows.weight)


@metric(better="higher", takes="labels", surrogate="cross_entropy")
def precision(
    data: Data,
    *,
    average: Average = "binary",
    positive: Label = None,
    threshold: Threshold = 0.5,
    empty: Empty = "error",
) -> float:
    """The share of what is predicted as a class that is of that class.

    `average="binary"` is that of one class, `positive` (1 where labels are 0 and 1, or −1 and 1);
    "macro" and "weighted" average over the classes of `y_true` and `y_pred`, equally or by their
    weight in `y_true`; "micro" counts all together. A class that is never predicted has none: an
    error, or 0 with `empty="zero"`.

    >>> import losskit.metrics
    >>> losskit.metrics.precision(positive="spam")(["spam", "ham"], ["spam", "spam"])
    0.5
    """
    from sklearn.metrics import precision_score

    return _of_classes(precision_score, labels(data, threshold), average, positive, empty)


@metric(better="higher", takes="labels", surrogate="cross_entropy")
def recall(
    data: Data,
    *,
    average: Average = "binary",
    positive: Label = None,
    threshold: Threshold = 0.5,
    empty: Empty = "error",
) -> float:
    """The share of a class that is predicted as that class.

    Parameters are those of `precision`; a class that is not in `y_true` has no recall.

    >>> import losskit.metrics
    >>> losskit.metrics.recall([1, 1, 0], [0.9, 0.2, 0.6])
    0.5
    """
    from sklearn.metrics import recall_score

    return _of_classes(recall_score, labels(data, threshold), average, positive, empty)


@metric(better="higher", takes="labels", surrogate="cross_entropy")
def f1(
    data: Data,
    *,
    average: Average = "binary",
    positive: Label = None,
    threshold: Threshold = 0.5,
    empty: Empty = "error",
) -> float:
    """The harmonic mean of precision and recall.

    Parameters are those of `precision`; only a class neither true nor predicted has none.

    >>> import losskit.metrics
    >>> losskit.metrics.f1([1, 1, 0], [1, 0, 1])
    0.5
    """
    from sklearn.metrics import f1_score

    return _of_classes(f1_score, labels(data, threshold), average, positive, empty)


@metric(better="higher", takes="scores", surrogate="binary_cross_entropy", aliases=("roc_auc",))
def auc(
    data: Data, *, positive: Label = None, average: Literal["macro", "weighted"] = "macro"
) -> float:
    """The probability that a positive scores higher than a negative: the area under the ROC curve.

    `y_pred` holds the scores of the `positive` class (1 where labels are 0 and 1, or −1 and 1), or
    has a last axis of classes: the mean of each class against the rest, equally or by their weight
    in `y_true`. Ties count half. Each class has to occur, and not alone.

    >>> import losskit.metrics
    >>> losskit.metrics.auc([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.3])
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(roc_auc_score, scores(data, positive), average, alone=False)


@metric(better="higher", takes="scores", surrogate="binary_cross_entropy")
def average_precision(
    data: Data, *, positive: Label = None, average: Literal["macro", "weighted"] = "macro"
) -> float:
    """The mean precision over the positives in the order of scores: the area under the
    precision-recall steps.

    Data are passed as to `auc`. Equal scores are one threshold, as in scikit-learn; of lists by
    query see `mean_average_precision`.

    >>> import losskit.metrics
    >>> round(losskit.metrics.average_precision([1, 0, 1], [0.9, 0.8, 0.7]), 6)
    0.833333
    """
    from sklearn.metrics import average_precision_score

    return _one_against_rest(average_precision_score, scores(data, positive), average, alone=True)


def _of_classes(
    score: Callable[..., Any], rows: Rows, average: str, positive: Any, empty: str
) -> float:
    classes = np.union1d(rows.y, rows.f)
    if average == "binary":
        otherwise = f"or average over classes: {rows.metric}(average='macro')"
        label = positive_label(rows.metric, classes, positive, otherwise)
        rows = replace(rows, y=(rows.y == label) * 1, f=(rows.f == label) * 1)
        asked, shown, average = np.array([1]), np.array([label]), "macro"
    elif positive is not None:
        raise ValueError(
            f"{rows.metric}: positive={positive!r} goes with average='binary', not {average!r}"
        )
    else:
        asked = shown = classes
    each = score(
        rows.y, rows.f, labels=asked, average=None, zero_division=np.nan, sample_weight=rows.weight
    )
    undefined = np.isnan(each)
    if average == "weighted":
        undefined &= np.isin(asked, rows.y)  # others weigh nothing
    if empty == "error" and average != "micro" and undefined.any():
        raise ValueError(
            f"{rows.metric} of class {shown[undefined][0].item()!r} divides 0 by 0, as that class "
            f"is never {_NEVER[rows.metric]}; count it as 0 with {rows.metric}(empty='zero')"
        )
    return score(
        rows.y, rows.f, labels=asked, average=average, zero_division=0, sample_weight=rows.weight
    )


_NEVER = {"precision": "predicted", "recall": "in y_true", "f1": "true or predicted"}


def _one_against_rest(score: Callable[..., Any], rows: Rows, average: str, alone: bool) -> float:
    several = rows.f.ndim == 2
    values, sizes = [], []
    for k in range(rows.f.shape[1]) if several else [1]:
        y, f = rows.y == k, _finite(rows.f[:, k] if several else rows.f)
        if not y.any() or (y.all() and not alone):
            what = f"class {k}" if several else "the positive class"
            raise ValueError(
                f"{rows.metric} needs elements of {what}"
                + ("" if alone else " and others")
                + f"; y_true holds {'none' if not y.any() else 'no others'}"
            )
        values.append(score(y, f, sample_weight=rows.weight))
        sizes.append(rows.weight[y].sum() if average == "weighted" else 1.0)
    return float(np.average(values, weights=sizes))


def _finite(f: Array) -> Array:
    """Return scores, or where some are infinite their ranks, which is all that matters here."""
    return f if np.isfinite(f).all() else np.unique(f, return_inverse=True)[1].astype(float)
