"""A loss as scikit-learn's metrics are called: (y_true, y_pred), labels of any type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array, check_index, eps, numeric
from losskit.fit.inputs.targets import Classes, coding, read_classes
from losskit.interface import Loss
from losskit.sklearn.messages import RAW, advice_of_metrics, keywords, loss_for, refuse_unknown
from losskit.sklearn.responses import (
    axis_of,
    is_of_classes,
    is_of_probabilities,
    levels,
    response,
)


def metric(loss: Any, *, raw: bool = False, **parameters: Any) -> Any:
    """Return a loss as a function with the signature of `sklearn.metrics`, for `make_scorer` too.

    `loss` is a name or a `losskit.Loss`. The function takes `(y_true, y_pred, *, sample_weight)`
    and returns the weighted mean loss, a float, lower being better. Losses of classes take labels
    of any type that sorts, as `sklearn.metrics.log_loss` does: `y_pred` is (n,) for `pos_label`
    (the last one, unless said otherwise) or (n, K) in the order of `labels`, sorted (those of
    `y_true`, unless said otherwise); they are probabilities, and decision functions for losses of
    margins, and for all but `ordinal` under `raw=True`. `ordinal` takes the probabilities of
    classes; shares of a class between 0 and 1 are targets (n,) too, of losses under the logit link.
    Several losses in one, such as `quantile(q=(0.1, 0.9))`, take predictions (n, losses), and
    losses of lists take `query=`. Raises Unsupported for losses that are no function of a
    target and a prediction.

    >>> from losskit.sklearn import metric
    >>> round(metric("binary_cross_entropy")(["ham", "spam"], [0.2, 0.6]), 4)
    0.367
    >>> round(metric("hinge")(["ham", "spam"], [-2.0, 0.5]), 2)
    0.25
    """
    found = loss_for("metric", loss, parameters, _OF_CALLS)
    response(found, raw)  # or say why there is none
    if axis_of(found) == "item":
        return ListMetric(found)
    return ClassMetric(found, raw) if is_of_classes(found) else NumberMetric(found)


@dataclass(frozen=True)
class NumberMetric:
    """A loss of numbers as a metric."""

    loss: Any  # or several losses

    @property
    def __name__(self) -> str:
        return str(self.loss.name)

    def __call__(
        self, y_true: Any, y_pred: Any, *, sample_weight: Any = None, **unknown: Any
    ) -> float:
        """Return the weighted mean; `y_pred` has y_true's shape, or one axis more of outputs."""
        refuse_unknown(self, unknown)
        with advice_of_metrics(self.loss):
            return float(self.loss(y_true, y_pred, sample_weight=sample_weight))


@dataclass(frozen=True)
class ListMetric:
    """A loss of lists as a metric; `query` (n,) says which list an item belongs to."""

    loss: Loss

    @property
    def __name__(self) -> str:
        return self.loss.name

    def __call__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        sample_weight: Any = None,
        query: Any = None,
        **unknown: Any,
    ) -> float:
        """Return the weighted mean over lists; without `query` the last axis is one list."""
        refuse_unknown(self, unknown)
        with advice_of_metrics(self.loss):
            return float(self.loss(y_true, y_pred, sample_weight=sample_weight, query=query))


@dataclass(frozen=True)
class ClassMetric:
    """A loss of classes or labels as a metric, of raw scores if so said."""

    loss: Loss
    raw: bool = False

    @property
    def __name__(self) -> str:
        return self.loss.name

    def __call__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        sample_weight: Any = None,
        labels: Any = None,
        pos_label: Any = None,
        **unknown: Any,
    ) -> float:
        """Return the weighted mean; see `metric` for what labels and predictions are."""
        refuse_unknown(self, unknown)
        with advice_of_metrics(self.loss):
            return self._mean(y_true, y_pred, sample_weight, labels, pos_label)

    def _mean(
        self, y_true: Any, y_pred: Any, sample_weight: Any, labels: Any, pos_label: Any
    ) -> float:
        loss = self.loss
        check_index(y_true, y_pred, sample_weight)
        y, p = classes_of_rows(loss, y_true), numeric("y_pred", y_pred)
        if y.ndim != 1 or _are_shares(loss, y):
            if y.ndim == 1 and not self.raw:
                _refuse_swapped(loss, p)
            if labels is not None or pos_label is not None:
                raise ValueError(
                    f"{loss.name}: labels= and pos_label= name classes (n,); y_true has shape "
                    f"{y.shape} and holds {'shares' if y.ndim == 1 else 'a column for each'}"
                )
            return float(loss(y, p, raw=self.raw, sample_weight=sample_weight))
        if not y.size:
            raise ValueError(f"{loss.name}: the batch is empty, so it has no mean")
        ignored = loss.params.get("ignore_index")
        if ignored is not None:  # by its label, here; the loss then sees places among `labels`
            loss = loss(ignore_index=None)
        weight = _weights(y, sample_weight, ignored)
        kept = np.flatnonzero(weight > 0)
        if not kept.size:
            raise ValueError(f"{loss.name}: no row counts; all weights are 0")
        if p.ndim == 0 or len(p) != len(y):
            raise ValueError(
                f"{loss.name}: y_true has {len(y)} rows and y_pred {len(p) if p.ndim else 'none'}"
            )
        found = _classes(loss, y[kept], kept, labels)
        codes = np.zeros(len(y), np.intp)  # rows without weight are none of any class
        codes[kept] = found.codes
        shares = is_of_probabilities(loss) and not self.raw
        if shares and p.shape[1:] == found.labels.shape:
            _check_sums(loss, p, kept)
        target, told = self._as_loss_takes(loss, Classes(found.labels, codes), p, pos_label)
        return float(loss(target, told, raw=self.raw, sample_weight=weight))

    def _as_loss_takes(
        self, loss: Loss, classes: Classes, p: Array, pos_label: Any
    ) -> tuple[Array, Array]:
        """Return target and prediction as the loss takes them."""
        count = len(classes.labels)
        how = coding(loss, classes)
        if how.layout == "each":
            raise ValueError(
                f"{loss.name} sees two classes, and there are {count}; losses over classes, such "
                "as cross_entropy, see more"
            )
        if count == 2:
            shares = is_of_probabilities(loss) and not self.raw
            place = _place(loss, classes.labels, pos_label)
            one = _of_positive(loss, p, place, shares)
            positive = classes.codes == place
            if how.layout == "one":
                return np.where(positive, 1.0, how.negative), one
            if levels(loss):  # whose steps run in the order of the classes
                return classes.codes, (one if place else 1 - one)[:, None]
            rest = 1 - one if shares else np.zeros_like(one)
            return positive.astype(np.intp), np.stack([rest, one], axis=1)
        if pos_label is not None:
            raise ValueError(
                f"{loss.name}: pos_label={pos_label!r} goes with two classes, not {count}"
            )
        if p.shape != (len(classes.codes), count):
            raise ValueError(
                f"{loss.name}: y_pred has shape {p.shape}, and there are {count} classes, "
                f"{classes.labels.tolist()!r:.60}; needed is a column for each. Where y_true "
                "lacks some, pass labels=, all that there are"
            )
        return classes.codes, _beyond(p) if levels(loss) else p


def classes_of_rows(loss: Loss, y_true: Any) -> Array:
    """Return targets as an array, one column being (n,) where rows have one class."""
    if isinstance(y_true, np.ma.MaskedArray):
        raise TypeError(
            "y_true is a masked array: leave those rows out, or give them weight 0 and pass its "
            "data"
        )
    y = np.asarray(y_true.toarray() if hasattr(y_true, "toarray") else y_true)
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and axis_of(loss) != "label" else y


def _check_sums(loss: Loss, p: Array, kept: Array) -> None:
    """Raise ValueError at the first row that counts whose probabilities do not sum to 1: where
    only some of them are handed on, the loss cannot see it.
    """
    floats = p.dtype if p.dtype.kind in "fV" else np.dtype(np.float64)
    tolerance = 2.0**-4 if floats.itemsize == 2 else np.sqrt(eps(floats))
    sums = p[kept].sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= tolerance))
    if wrong.size:
        raise ValueError(
            f"{loss.name}: y_pred of row {kept[wrong[0]]} sums to {sums[wrong[0]]:.6g}, not 1; "
            f"needed are the probabilities of all classes; for decision functions {RAW}"
            + (f" ({wrong.size} such rows)" if wrong.size > 1 else "")
        )


def _refuse_swapped(loss: Loss, p: Array) -> None:
    """Raise ValueError for labels as predictions of shares: both would be taken as what they are
    not.
    """
    if p.size and np.all((p == 0) | (p == 1) | np.isnan(p)):
        raise ValueError(
            f"{loss.name}: y_true holds values between 0 and 1, which are no labels, and y_pred 0 "
            "and 1 alone; needed is (y_true, y_pred), in this order"
        )


def _are_shares(loss: Loss, y: Array) -> bool:
    """Whether targets are shares of a class between 0 and 1, as a loss under the logit link has."""
    if loss.kind != "pointwise" or y.dtype.kind != "f":
        return False
    inside = loss.target_domain.contains(y)
    return bool(np.all(inside | np.isnan(y)) and np.any((y > 0) & (y < 1)))


def _weights(y: Array, sample_weight: Any, ignored: Any) -> Array:
    weight = np.ones(len(y))
    if sample_weight is not None:
        weight = numeric("sample_weight", sample_weight).astype(np.float64)
        if weight.shape != y.shape:
            raise ValueError(f"sample_weight has shape {weight.shape}; needed is {y.shape}")
        wrong = np.flatnonzero(~(weight >= 0) | np.isinf(weight))
        if wrong.size:
            raise ValueError(
                f"sample_weight[{wrong[0]}] is {weight[wrong[0]]:g}; needed is finite and not "
                "negative"
            )
    return weight if ignored is None else np.where(y == ignored, 0.0, weight)


def _classes(loss: Loss, y: Array, kept: Array, labels: Any) -> Classes:
    """Return the classes of the rows that count, which are the user's rows `kept`."""
    if labels is None:
        if len(np.unique(y.astype(str) if y.dtype.kind == "O" else y)) == 1:
            raise ValueError(
                f"{loss.name}: y_true has one label, {y.tolist()[0]!r}, so which class it is "
                "cannot be told; pass labels=, all that there are"
            )
        return read_classes(y, len(y), kept)
    given = np.asarray(labels)
    known = np.unique(given)
    if len(known) < 2 or known.shape != given.shape or (known != given).any():
        raise ValueError(
            f"{loss.name}: labels={given.tolist()!r:.60}; needed are two or more in sorted order, "
            "which scikit-learn has its columns in"
        )
    return read_classes(y, len(y), kept, known)


def _place(loss: Loss, labels: Array, pos_label: Any) -> int:
    if pos_label is None:
        return 1
    known = labels.tolist()
    if pos_label not in known:
        raise ValueError(f"{loss.name}: pos_label={pos_label!r}; the labels are {known!r}")
    return int(known.index(pos_label))


def _of_positive(loss: Loss, p: Array, place: int, shares: bool) -> Array:
    """Return the prediction of the positive class (n,): probability, or decision function."""
    if p.ndim == 1:
        return p
    if p.ndim != 2 or p.shape[1] != 2:
        raise ValueError(
            f"{loss.name}: y_pred has shape {p.shape}, and there are two classes; needed is (n,) "
            "or (n, 2). Where y_true lacks some, pass labels=, all that there are"
        )
    return p[:, place] if shares else p[:, place] - p[:, 1 - place]


def _beyond(p: Array) -> Array:
    """Return the probabilities of lying beyond each class but the last."""
    return np.minimum(np.cumsum(p[:, :0:-1], axis=1)[:, ::-1], 1.0)


_OF_CALLS = {
    name: f"pass it when calling: metric(…)(y_true, y_pred, {name}=…)"
    for kind in (NumberMetric, ListMetric, ClassMetric)
    for name in keywords(kind.__call__)
}
