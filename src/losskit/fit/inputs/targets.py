"""Targets as users have them, and as losses want them: numbers, classes, columns of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.fit.data.designs import LARGEST
from losskit.fit.inputs.encodings import listed
from losskit.fit.inputs.frames import MISSING_TYPES
from losskit.formula.domain import Domain
from losskit.several import Several


@dataclass(frozen=True, eq=False)
class Classes:
    """Sorted classes (K,) and each row's place among them (n,); or labels, with 0/1 (n, L)."""

    labels: Array
    codes: Array

    @property
    def columns(self) -> bool:
        """Whether rows have any number of labels, rather than one class."""
        return self.codes.ndim == 2


@dataclass(frozen=True)
class Coding:
    """How classes are told to a loss, and what its raw scores (n, outputs) say of classes.

    `layout` is "one" number for two classes, "each" class (or label) against the rest, a class
    "index", or "labels" (n, L); `negative` is what stands for the other class: −1 or 0.
    """

    layout: str
    outputs: int
    negative: float = 0.0

    def target(self, classes: Classes) -> Array:
        """Return the loss's targets."""
        if self.layout == "index":
            return classes.codes
        if self.layout == "each" and not classes.columns:
            positive = classes.codes[:, None] == np.arange(len(classes.labels))
        else:
            positive = classes.codes == 1
        return np.where(positive, 1.0, self.negative)

    def decision(self, scores: Array) -> Array:
        """Return scores (n, K) of classes, or (n,) of the second of two."""
        if self.layout == "one":
            return scores[:, 0]
        if self.layout == "index" and self.outputs == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    def codes(self, decision: Array, columns: bool) -> Array:
        """Return classes' places (n,), or 0/1 (n, L), that a decision is for."""
        if columns or decision.ndim == 1:
            return (decision > 0).astype(np.intp)
        return decision.argmax(axis=1)


def numbers(y: Any, rows: int, kept: Array | None = None) -> Array:
    """Return a target of numbers, (n,) or (n, m), as float64.

    `kept` says which rows of the user's these are, if not all. Raises ValueError at the first that
    is missing, not finite, or no number.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    array = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: y holds {array.dtype}")
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"y has shape {array.shape}; needed is (n,), or (n, m) for m targets")
    _check_rows(array, rows)
    if array.dtype.kind not in "biuf":
        array = _as_floats(array, kept)
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        at = int(np.argmin(np.isfinite(array)))
        raise ValueError(
            f"y{_place(at, array, kept)} is {_spelled(array.flat[at])}; needed is a finite number: "
            "drop the row, or give it weight 0"
        )
    if np.abs(array).max() > LARGEST:
        at = int(np.argmax(np.abs(array)))
        raise ValueError(
            f"y{_place(at, array, kept)} is {array.flat[at]}; its square overflows: choose other "
            "units"
        )
    return array


def read_classes(
    y: Any, rows: int, kept: Array | None = None, known: Array | None = None
) -> Classes:
    """Return the classes of a target: texts, truth values, whole numbers or dates (n,), or 0/1 for
    each of several labels (n, L).

    `kept` says which rows of the user's these are, if not all; `known` are all classes there are,
    of which these rows may lack some. Raises ValueError for what is missing or continuous, for
    classes that are not known, and where there is one class only.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    array = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: y holds {array.dtype}")
    if array.ndim not in (1, 2):
        raise ValueError(
            f"Unknown label type: y has shape {array.shape}; needed is (n,), or 0/1 (n, labels)"
        )
    _check_rows(array, rows)
    if array.ndim == 2 and array.shape[1] > 1:
        found = _label_columns(array, kept)
        if known is not None and len(known) != len(found.labels):
            raise ValueError(f"y has {len(found.labels)} labels; the model has {len(known)}")
        return found
    if array.ndim == 2:
        from sklearn.utils import column_or_1d

        array = column_or_1d(array, warn=True)
    array = _plain(array, kept)
    if known is not None:
        codes = np.minimum(np.searchsorted(known, array), len(known) - 1)
        strange = known[codes] != array
        if strange.any():
            at = int(np.argmax(strange))
            raise ValueError(
                f"y{_place(at, array, kept)} is {array.tolist()[at]!r}, which is none of the "
                f"classes {listed(known.tolist())}"
            )
        return Classes(known, codes)
    labels, codes = np.unique(array, return_inverse=True)
    if labels.size < 2:
        raise ValueError(
            "needed are two classes; y has one class"
            + (f", {labels.tolist()[0]!r}, in every row that counts" if labels.size else " at most")
        )
    return Classes(labels, codes.reshape(-1))


def coding(loss: Any, classes: Classes) -> Coding:
    """Return how to tell classes to a loss, which decides by where its targets may lie.

    Two classes are −1 and 1 where these are targets, else 0 and 1; more are each against the rest
    for a loss of one output, and indexes for a loss over classes.
    """
    count = len(classes.labels)
    if isinstance(loss, Several):
        raise ValueError(f"{loss!r} is several losses; a classifier is fitted with one")
    if loss.kind != "pointwise":
        return _coding_of_rows(loss, classes)
    if len(loss.outputs) > 1:
        raise ValueError(f"{loss!r} has outputs {loss.outputs}; a classifier needs a loss of one")
    layout = "each" if classes.columns or count > 2 else "one"
    return Coding(layout, count if layout == "each" else 1, _negative(loss))


def class_factors(class_weight: Any, classes: Classes, weight: Array | None) -> Array | None:
    """Return what each row's weight is multiplied by for its class (n,), None for 1.

    `class_weight` is None, "balanced" (so that every class weighs alike), weights by class, or (K,)
    in the order of the classes.
    """
    if class_weight is None:
        return None
    if classes.columns:
        raise ValueError(
            f"class_weight={class_weight!r:.40} goes with one class a row; weigh labels by a loss "
            "such as losskit.multilabel_cross_entropy(pos_weight=…)"
        )
    count = len(classes.labels)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(
                f"class_weight={class_weight!r}; needed is 'balanced', weights by class, or None"
            )
        sums = np.bincount(classes.codes, weight, minlength=count)
        factors = sums.sum() / (count * sums)
    elif isinstance(class_weight, Mapping):
        known = classes.labels.tolist()
        unknown = [one for one in class_weight if one not in known]
        if unknown:
            raise ValueError(
                f"class_weight has {unknown[0]!r}, which is no class of y: {listed(known)}"
            )
        factors = np.array([class_weight.get(one, 1.0) for one in known], dtype=np.float64)
    else:
        factors = np.asarray(class_weight, dtype=np.float64)
    if factors.shape != (count,):
        raise ValueError(f"class_weight has shape {factors.shape}; needed is one for each of the "
                         f"{count} classes {listed(classes.labels.tolist())}")  # fmt: skip
    bad = ~(np.isfinite(factors) & (factors >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"class_weight of {classes.labels.tolist()[at]!r} is {factors[at]}; needed is a finite "
            "number of at least 0"
        )
    return factors[classes.codes]


def _coding_of_rows(loss: Any, classes: Classes) -> Coding:
    axis = getattr(loss.definition, "axis", None)
    if axis == "label" and not classes.columns:
        raise ValueError(
            f"{loss.name} is a loss over labels, of which a row may have several; y has one class "
            "in each: pass 0/1 (n, labels), or fit binary_cross_entropy or cross_entropy"
        )
    if axis == "class" and classes.columns:
        raise ValueError(
            f"{loss.name} is a loss over classes, of which a row has one; y has "
            f"{len(classes.labels)} columns of labels: fit binary_cross_entropy"
        )
    return Coding("labels" if axis == "label" else "index", len(classes.labels))


def _negative(loss: Any) -> float:
    """Return the number that stands for the class beside 1."""
    domain: Domain = loss.target_domain
    if loss.link.name == "identity" and domain.contains(-1.0) and domain.contains(1.0):
        return -1.0
    if domain.contains(0.0) and domain.contains(1.0) and domain.upper <= 1:
        if loss.link.name == "logit" or loss(0.0, 0.0, raw=True) == loss(1.0, 0.0, raw=True):
            return 0.0
    raise ValueError(
        f"{loss!r} is no loss of classes: a score above 0 has to stand for the second of two; fit "
        "a loss whose targets are −1 and 1, or 0 and 1 under link='logit', or use a Regressor"
    )


def _label_columns(array: Array, kept: Array | None) -> Classes:
    kind = array.dtype.kind
    if kind == "O":
        array = _as_floats(array, kept)
    elif kind not in "biuf":
        raise ValueError(f"Unknown label type: y of shape {array.shape} holds {array.dtype}")
    bad = (array != 0) & (array != 1)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"Unknown label type: y{_place(at, array, kept)} is {_spelled(array.flat[at])} "
            f"(continuous, or several targets); y of {array.shape[1]} columns holds 0 or 1 for "
            "each label"
        )
    return Classes(np.arange(array.shape[1]), array.astype(np.intp))


def _plain(array: Array, kept: Array | None) -> Array:
    """Return classes as an array that sorts, after looking for what is missing or continuous."""
    if array.dtype.kind == "O":
        array = _same_kind(array, kept)
    if array.dtype.kind == "T":
        array = array.astype(str)
    missing = array != array
    if np.any(missing):
        raise _missing(_place(int(np.argmax(missing)), array, kept), "NaN")
    if array.dtype.kind == "f":
        continuous = ~np.isfinite(array) | (array != np.floor(array))
        if continuous.any():
            at = int(np.argmax(continuous))
            raise ValueError(
                f"Unknown label type: continuous; y{_place(at, array, kept)} is {array[at]}, and "
                "needed are classes: whole numbers, texts or truth values; a losskit.Regressor is "
                "fitted to numbers"
            )
    return array


def _same_kind(array: Array, kept: Array | None) -> Array:
    values = array.tolist()
    for i, value in enumerate(values):
        if type(value).__name__ in MISSING_TYPES or (isinstance(value, float) and value != value):
            raise _missing(_place(i, array, kept), value)
    kinds = {isinstance(value, str) for value in values}
    if len(kinds) > 1:
        first = next(v for v in values if isinstance(v, str) != isinstance(values[0], str))
        raise ValueError(f"Unknown label type: y mixes texts and others: {values[0]!r}, {first!r}")
    if kinds == {True}:
        return array
    try:
        made = np.array(values)
        if made.dtype.kind in "biufmMS" and made.ndim == 1:
            return made
        np.unique(array)  # objects of one kind, such as dates
    except (TypeError, ValueError):
        made = np.zeros(0)
    if made.ndim == 1 and made.size:
        return array
    raise ValueError(
        f"Unknown label type: y[0] is of type {type(values[0]).__name__}; needed are texts, whole "
        "numbers or truth values"
    )


def _missing(place: list[int], value: Any) -> ValueError:
    return ValueError(
        f"y{place} is missing ({value}); drop the row, give it weight 0, or name such rows a class "
        "of their own"
    )


def _as_floats(array: Array, kept: Array | None) -> Array:
    flat = array.reshape(-1).tolist()
    made = np.empty(len(flat))
    for i, value in enumerate(flat):
        try:
            made[i] = np.nan if type(value).__name__ in MISSING_TYPES else float(value)
        except OverflowError:
            made[i] = np.inf
        except (TypeError, ValueError):
            raise ValueError(
                f"y{_place(i, array, kept)} is {value!r:.40}; needed is a number: a "
                "losskit.Classifier is fitted to classes"
            ) from None
    return made.reshape(array.shape)


def _place(flat: int, array: Array, kept: Array | None) -> list[int]:
    """Return the user's index of an element that stands at a place in the flat array."""
    first, *rest = map(int, np.unravel_index(flat, array.shape))
    return [first if kept is None else int(kept[first]), *rest]


def _check_rows(array: Array, rows: int) -> None:
    if len(array) != rows:
        raise ValueError(f"y has {len(array)} rows, X has {rows}")


def _spelled(value: Any) -> str:
    return "NaN" if value != value else f"{value}"
