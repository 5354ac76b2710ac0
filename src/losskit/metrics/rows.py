"""From what users pass to the elements that count, with errors that say what to pass instead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from losskit.arrays import Array, batch, check_index, check_weight, eps
from losskit.reduction import weight_exponent

_SINGLE = 2.0**53  # below, each whole number is a float64 of its own


@dataclass(frozen=True, eq=False)
class Data:
    """What a user passed to a metric, as it is."""

    metric: str
    y_true: Any
    y_pred: Any
    sample_weight: Any = None
    mask: Any = None
    raw: bool = False
    query: Any = None


@dataclass(frozen=True, eq=False)
class Rows:
    """The elements that count, flat: masked ones and those of weight 0 are left out."""

    metric: str
    y: Array  # (n,) numbers or text
    f: Array  # (n,) or (n, classes): float64 or text
    weight: Array  # (n,) positive; of the user's some multiple, so that no sum overflows
    place: Array  # (n,) where each stood in the flat target
    shape: tuple[int, ...]  # of the target
    eps: float  # of the type of y_pred

    def refuse(self, argument: str, bad: Array, advice: str) -> None:
        """Raise ValueError at the first element of `argument` that is `bad`, if there is one."""
        if bad.any():
            first = tuple(map(int, np.argwhere(bad)[0]))
            value = (self.y if argument == "y_true" else self.f)[first]
            shown = f"{value:g}" if isinstance(value, np.number) else f"{value!s:.40}"
            place = [*np.unravel_index(self.place[first[0]], self.shape), *first[1:]]
            where = f"[{', '.join(map(str, place))}]" if place else ""
            raise ValueError(f"{self.metric}: {argument}{where} = {shown} {advice}")

    @property
    def text(self) -> tuple[bool, bool]:
        """Whether targets and predictions are text."""
        return self.y.dtype.kind == "U", self.f.dtype.kind == "U"


def read(data: Data, classes: bool = True, text: bool = True) -> Rows:
    """Return the elements that count; `classes` lets `y_pred` have a last axis of classes
    and `text` lets labels be text.

    Raises TypeError or ValueError for shapes that do not match, for bad weights and for NaN.
    """
    y, f = _seen(data.y_true), _seen(data.y_pred)
    columns = 1
    if classes and f is not None and y is not None and f.ndim == y.ndim + 1 and f.shape[-1] > 1:
        columns = f.shape[-1]
    if classes and columns == 1 and not data.raw and data.mask is None:
        _refuse_one_hot(data.metric, y, f)
    check_index(data.y_true, data.y_pred, data.sample_weight, data.mask, data.query)
    text_y, text_f = (_text(y), _text(f)) if text else (None, None)
    checked = batch(
        data.y_true if text_y is None else np.zeros(text_y.shape),
        data.y_pred if text_f is None else np.zeros(text_f.shape),
        columns,
        data.sample_weight,
        data.mask,
    )
    weight = np.ones(checked.size) if checked.weight is None else checked.weight.astype(np.float64)
    rows = Rows(
        data.metric,
        checked.y if text_y is None else text_y.reshape(-1),
        checked.f.astype(np.float64) if text_f is None else text_f.reshape(-1),
        weight,
        np.arange(checked.size),
        checked.shape,
        eps(checked.dtype),
    )
    check_weight(
        data.metric,
        weight,
        lambda i: f"element {list(map(int, np.unravel_index(i, rows.shape)))}",
    )
    keep = weight != 0
    scaled = np.ldexp(weight[keep], -weight_exponent(weight))
    rows = replace(rows, y=rows.y[keep], f=rows.f[keep], weight=scaled, place=rows.place[keep])
    if not rows.y.size:
        raise ValueError(
            f"{data.metric}: "
            + ("the weights sum to zero (or every element is masked)" if checked.size else
               "the batch is empty")
            + ", so there is nothing to read"
        )  # fmt: skip
    return replace(rows, y=_valid(rows, "y_true"), f=_valid(rows, "y_pred"))


def labels(data: Data, threshold: float) -> Rows:
    """Return true and predicted labels, both int64 or both text.

    Predictions are labels, or class probabilities or scores (the last axis; the first of the
    largest is predicted), or probabilities of class 1 (above `threshold` it is predicted, so that
    one half gives class 0 in either form).
    """
    rows = read(data)
    if any(rows.text):
        if not all(rows.text):
            raise TypeError(
                f"{data.metric}: one of y_true and y_pred holds text and the other numbers; pass "
                "labels of one kind (np.unique(y_true, return_inverse=True)[1] numbers them)"
            )
        if data.raw:
            raise TypeError(f"{data.metric}: raw=True, but text is no logit")
        return rows
    if rows.f.ndim == 2:
        if threshold != 0.5:
            raise ValueError(
                f"{data.metric}: threshold= goes with probabilities of class 1; of a column for "
                "each class the largest is predicted"
            )
        y = class_index(rows)
        return replace(rows, y=y, f=rows.f.argmax(axis=1))
    for argument, values in (("y_true", rows.y), ("y_pred", rows.f)):
        alike = (values >= _SINGLE) & np.isfinite(values)
        rows.refuse(argument, alike | (values <= -_SINGLE), "is a label that float64 cannot tell "
                    "from its neighbours; pass labels as text")  # fmt: skip
    whole = np.isfinite(rows.y) & (rows.y == np.floor(rows.y))
    rows.refuse("y_true", ~whole, "is no label; for targets that are numbers see r2")
    binary = bool(np.isin(rows.y, (0, 1)).all())
    fraction = rows.f != np.rint(rows.f)
    if data.raw:
        rows.refuse("y_true", ~np.isin(rows.y, (0, 1)), "is not 0 or 1, which raw=True needs here")
        # sigmoid(f) > threshold; at threshold 0 every finite logit is above
        at = np.log(threshold) - np.log1p(-threshold) if threshold > 0 else -np.inf
        return replace(rows, y=rows.y.astype(np.int64), f=(rows.f > at).astype(np.int64))
    if binary and (fraction.any() or (rows.f < 0).any()):
        _in_unit(rows)
        return replace(rows, y=rows.y.astype(np.int64), f=(rows.f > threshold).astype(np.int64))
    rows.refuse(
        "y_pred",
        fraction | np.isinf(rows.f),
        "is no label, and no probability of class 1 as y_true holds other labels than 0 and 1; "
        "pass labels, or a last axis of class probabilities",
    )
    return replace(rows, y=rows.y.astype(np.int64), f=rows.f.astype(np.int64))


def scores(data: Data, positive: Any) -> Rows:
    """Return class indices with (n, classes) scores, or 0 and 1 with the (n,) scores of 1."""
    rows = read(data)
    _refuse_text_predictions(rows)
    if rows.f.ndim == 1:
        return replace(rows, y=_is_positive(rows, positive))
    _refuse_positive(rows, positive)
    y, f = class_index(rows), rows.f
    if data.raw:
        f = softmax(rows)
    return replace(rows, y=y, f=f[:, 1] if f.shape[1] == 2 else f)


def probabilities(data: Data, positive: Any = None) -> Rows:
    """Return class indices and (n, classes) probabilities; two columns for that of one class."""
    if data.raw:
        rows = _with_columns(read(data), positive, complement=np.zeros_like)
        return replace(rows, f=softmax(rows))
    rows = read(data)
    _refuse_text_predictions(rows)
    _in_unit(rows)
    rows = _with_columns(rows, positive, complement=lambda p: 1 - p)
    sums = rows.f.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > np.sqrt(rows.eps))
    if off.size:
        place = tuple(map(int, np.unravel_index(rows.place[off[0]], rows.shape)))
        raise ValueError(
            f"{rows.metric}: the probabilities in y_pred{list(place)} sum to {sums[off[0]]:g}, not "
            "1; divide them by their sum, or for logits pass raw=True"
        )
    return rows


def numbers(data: Data) -> Rows:
    """Return targets and predictions that are finite numbers, of one output."""
    rows = read(data, classes=False, text=False)
    if len(rows.shape) != 1:
        raise ValueError(
            f"{data.metric}: y_true has shape {rows.shape}; needed is one axis: read one output "
            "at a time, y_true[:, 0] and y_pred[:, 0]"
        )
    rows.refuse("y_true", np.isinf(rows.y), "is not finite")
    rows.refuse("y_pred", np.isinf(rows.f), "is not finite")
    return rows


def positive_label(metric: str, found: Array, positive: Any, otherwise: str) -> Any:
    """Return the label that counts as positive among those `found`, or raise ValueError."""
    is_text = found.dtype.kind == "U"
    if positive is None:
        if not is_text and any(np.isin(found, pair).all() for pair in ((0, 1), (-1, 1))):
            return 1
        shown = ", ".join(repr(x.item()) for x in found[:5]) + (", …" if found.size > 5 else "")
        raise ValueError(
            f"{metric}: the labels are {shown}; say which is the positive one: "
            f"{metric}(positive={found[-1].item()!r}), {otherwise}"
        )
    if is_text != isinstance(positive, str):
        raise ValueError(f"{metric}: positive={positive!r}, but a label is {found[0].item()!r}")
    return positive


def class_index(rows: Rows) -> Array:
    """Return targets as int64 columns of the predictions, or raise ValueError."""
    count = rows.f.shape[1]
    if rows.text[0]:
        raise TypeError(
            f"{rows.metric}: y_true holds text and y_pred a column for each of {count} classes; "
            "pass the column's number as y_true, from 0"
        )
    rows.refuse(
        "y_true",
        ~np.isin(rows.y, np.arange(count)),
        f"is no class index: y_pred has {count} columns, so y_true holds 0 to {count - 1}",
    )
    return rows.y.astype(np.int64)


def softmax(rows: Rows) -> Array:
    """Return probabilities of logits; +inf is the limit, −inf a class not allowed."""
    peak = rows.f.max(axis=1, keepdims=True)
    nothing = np.flatnonzero(np.isneginf(peak))
    if nothing.size:
        at = list(map(int, np.unravel_index(rows.place[nothing[0]], rows.shape)))
        raise ValueError(f"{rows.metric}: all logits in y_pred{at} are -inf: no class is allowed")
    with np.errstate(invalid="ignore"):
        shifted = np.where(rows.f == peak, 0.0, rows.f - peak)
    odds = np.exp(shifted)
    return odds / odds.sum(axis=1, keepdims=True)


def _seen(values: Any) -> Array | None:
    """Return what NumPy sees; None where it cannot read it, of which `batch` then says why."""
    try:
        return np.asarray(values)
    except Exception:
        return None


def _text(array: Array | None) -> Array | None:
    """Return an array that holds some text; None of any other."""
    if array is None or array.dtype.kind not in "UOT":
        return None
    holds = array.dtype.kind != "O" or any(isinstance(x, str) for x in array.flat)
    return array if holds else None


def _valid(rows: Rows, argument: str) -> Array:
    values = rows.y if argument == "y_true" else rows.f
    if values.dtype.kind in "OT":
        odd = np.array([not isinstance(x, str) for x in values], bool)
        rows.refuse(argument, odd, "is no text, as other labels are; mask it out or remove it")
        return values.astype(str)
    if values.dtype.kind == "f":
        rows.refuse(argument, np.isnan(values), "is not a number; mask it out or remove it")
    return values


def _refuse_one_hot(metric: str, y: Array | None, f: Array | None) -> None:
    if y is None or f is None or y.ndim < 2 or y.shape != f.shape or y.shape[-1] < 2:
        return
    if f.dtype.kind != "f" or y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
        return
    near = np.abs(f.sum(axis=-1, dtype=np.float64) - 1) <= np.sqrt(eps(f.dtype))
    if y.size and bool((y.sum(axis=-1) == 1).all() and near.all()):
        raise ValueError(
            f"{metric}: y_true looks one-hot beside class probabilities; pass class indices, "
            "y_true.argmax(-1)"
        )


def _refuse_text_predictions(rows: Rows) -> None:
    if rows.text[1]:
        raise TypeError(f"{rows.metric}: y_pred holds text; needed are probabilities or scores")


def _in_unit(rows: Rows) -> None:
    outside = (rows.f < 0) | (rows.f > 1)
    rows.refuse("y_pred", outside, "is no probability; for logits pass raw=True")


def _is_positive(rows: Rows, positive: Any) -> Array:
    otherwise = "or pass y_pred with a last axis of classes"
    label = positive_label(rows.metric, np.unique(rows.y), positive, otherwise)
    return (rows.y == label).astype(np.int64)


def _refuse_positive(rows: Rows, positive: Any) -> None:
    if positive is not None:
        raise ValueError(
            f"{rows.metric}: positive={positive!r} goes with the scores of one class; y_pred has a "
            f"column for each of {rows.f.shape[1]}: pass the column of that class alone"
        )


def _with_columns(rows: Rows, positive: Any, complement: Any) -> Rows:
    """Return rows with class indices and a column for each class."""
    if rows.f.ndim == 2:
        _refuse_positive(rows, positive)
        return replace(rows, y=class_index(rows))
    f = np.stack([complement(rows.f), rows.f], axis=1)
    return replace(rows, y=_is_positive(rows, positive), f=f)
