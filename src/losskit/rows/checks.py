"""Finding what is wrong with the numbers of rows, and what their weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from losskit.arrays import Array, check_weight, sum_tolerance
from losskit.formula.domain import REAL
from losskit.formula.inputs import Input
from losskit.links import Link
from losskit.rows.batch import RowBatch


def class_weights(name: str, batch: RowBatch, params: Mapping[str, Any]) -> Array | None:
    """Return the rows' weights: 0 for the ignored index, and times the class weight of the target.

    A row of class probabilities has their mean class weight.
    """
    key = next((key for key, one in batch.inputs.items() if one.classes), None)
    ignored, per_class = params.get("ignore_index"), params.get("class_weight")
    weight = batch.weight
    if weight is not None:
        check_weight(name, weight, batch.place)
    if key is None or (ignored is None and per_class is None):
        return weight
    y, columns = batch.values[key], batch.columns
    weight = np.ones(batch.rows) if weight is None else weight
    if ignored is not None and not (y.ndim == 2 and ignored < 0):  # which no one-hot row says
        if y.ndim == 2:
            raise ValueError(f"{name}: ignore_index={ignored} is for class indexes; mask= for rows")
        weight = np.where(y == ignored, 0.0, weight)
    if per_class is None:
        return weight
    classes = columns + (batch.inputs[key].classes == "level")
    table = (
        np.broadcast_to(np.asarray(per_class, np.float64), (classes,))
        if np.ndim(per_class) == 0
        else np.asarray(per_class, np.float64)
    )
    if table.shape != (classes,):
        raise ValueError(
            f"{name}: class_weight holds {len(table)} numbers; needed is one for each of the "
            f"{classes} classes"
        )
    counts = weight != 0
    if y.dtype.kind == "f":  # what is missing counts, until `check_rows` has seen it
        counts = counts & ~(np.isnan(y) if y.ndim == 1 else np.isnan(y).any(axis=1))
    own = np.ones(batch.rows)
    if y.ndim == 2:
        own[counts] = y[counts] @ table
    else:
        _check_index(name, key, batch, counts, classes)
        own[counts] = table[y[counts].astype(np.int64)]
    return weight * own


def check_rows(
    name: str,
    batch: RowBatch,
    links: Sequence[Link],
    raw: bool,
    nan: str,
    weight: Array | None,
) -> tuple[Array, Array]:
    """Return which rows hold a NaN, and which an infinite score that needs its limit.

    Raises ValueError at the first row that counts and cannot be scored.
    """
    counts = np.ones(batch.rows, bool) if weight is None else weight != 0
    missing, infinite = np.zeros(batch.rows, bool), np.zeros(batch.rows, bool)
    trained = [key for key, one in batch.inputs.items() if one.trained]
    by_link = dict(zip(trained, links, strict=True))
    for key, one in batch.inputs.items():
        x = batch.values[key]
        if x.dtype.kind == "f":
            nans = _any(batch, one, np.isnan(x)) & counts
            if nan == "raise" and nans.any():
                _raise(name, key, batch, one, np.isnan(x), counts, "is not a number; remove it, or "
                       "pass nan='omit' or nan='propagate'")  # fmt: skip
            missing |= nans
    counts = counts & ~missing
    for key, one in batch.inputs.items():
        if key not in by_link:
            _check_data(name, key, batch, one, counts)
            continue
        link = by_link[key]
        if one.falling:
            _check_falling(name, key, batch, counts)
        if raw or link.name == "identity":
            infinite |= _check_scores(name, key, batch, one, counts, link)
        else:
            _check_predictions(name, key, batch, one, counts, link)
    return missing, infinite


def _check_data(name: str, key: str, batch: RowBatch, one: Input, counts: Array) -> None:
    x = batch.values[key]
    if one.classes and x.ndim == 1:
        _check_index(name, key, batch, counts, batch.columns + (one.classes == "level"))
        return
    domain = one.domain
    what = "is not finite" if domain == REAL else f"lies outside {domain}, where targets are"
    _raise_if(name, key, batch, one, ~domain.contains(x), counts, what)
    if one.classes:
        if one.classes == "hard":
            _raise_if(name, key, batch, one, (x != 0) & (x != 1), counts, "is no 0 or 1: this loss "
                      "takes class indexes or one-hot rows")  # fmt: skip
        _check_sums(name, key, batch, counts, "one-hot or class probabilities")


def _check_index(name: str, key: str, batch: RowBatch, counts: Array, classes: int) -> None:
    y = batch.values[key]
    wrong = ~((y >= 0) & (y < classes)) & counts
    if y.dtype.kind == "f":
        wrong |= (y != np.floor(y)) & counts
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{name}: {key} of {batch.place(row)} is {y[row]:g}; needed is a class index 0 … "
            f"{classes - 1} (y_pred has {batch.columns} columns); for rows that do not count pass "
            "mask= or ignore_index="
        )


def _check_falling(name: str, key: str, batch: RowBatch, counts: Array) -> None:
    x = batch.values[key]
    grows = (x[:, 1:] > x[:, :-1]) & counts[:, None]
    if grows.any():
        row, k = (int(i) for i in np.argwhere(grows)[0])
        raise ValueError(
            f"{name}: {key} of {batch.place(row)} grows from {x[row, k]:g} to {x[row, k + 1]:g} at "
            f"level {k + 1}; needed are P(y > 0) ≥ P(y > 1) ≥ …, or their scores"
        )


def _check_scores(
    name: str, key: str, batch: RowBatch, one: Input, counts: Array, link: Link
) -> Array:
    """Return the rows with an infinite score that the formula cannot take as it is."""
    x = batch.values[key]
    with np.errstate(all="ignore"):
        if np.isfinite(x.sum()):
            return np.zeros(batch.rows, bool)
    excludes = batch.excludes(link)
    if not excludes and link.name == "identity":
        _raise_if(name, key, batch, one, ~np.isfinite(x), counts, "is not finite")
        return np.zeros(batch.rows, bool)
    if not excludes or one.rank == 1:
        return _any(batch, one, np.isinf(x)) & counts
    nothing = counts & (x == -np.inf).all(axis=1)
    if nothing.any():
        row = int(np.flatnonzero(nothing)[0])
        raise ValueError(
            f"{name}: {key} of {batch.place(row)} is −∞ for every class; a class with −∞ is "
            "excluded, and one has to be left"
        )
    return _any(batch, one, x == np.inf) & counts


def _check_predictions(
    name: str, key: str, batch: RowBatch, one: Input, counts: Array, link: Link
) -> None:
    advice = "for raw scores (logits) pass raw=True"
    outside = ~link.domain.contains(batch.values[key])
    what = f"lies outside {link.domain}, where predictions are; {advice}"
    _raise_if(name, key, batch, one, outside, counts, what)
    if link.name == "softmax":
        _check_sums(name, key, batch, counts, f"class probabilities; {advice}")


def _check_sums(name: str, key: str, batch: RowBatch, counts: Array, needed: str) -> None:
    x = batch.values[key]
    if batch.lists is not None:
        return
    half = batch.dtype.itemsize == 2 or key in batch.halves
    tolerance = sum_tolerance(
        np.dtype(np.float16) if half else x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    )
    sums = x.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(counts & ~(np.abs(sums - 1) <= tolerance))
    if wrong.size:
        more = f" ({wrong.size} such rows)" if wrong.size > 1 else ""
        raise ValueError(
            f"{name}: {key} of {batch.place(int(wrong[0]))} sums to {_beside_one(sums[wrong[0]])}; "
            f"needed are {needed}{more}"
        )


def _beside_one(total: float) -> str:
    if abs(total - 1) > 1e-4:
        return f"{total:.6g}, not 1"
    return f"1 {'+' if total > 1 else '−'} {abs(total - 1):.2g}: divide each row by its sum"


def _any(batch: RowBatch, one: Input, bad: Array) -> Array:
    """Return the rows in which any element is `bad`."""
    if bad.ndim == 2:
        return np.asarray(bad.any(axis=1))
    if batch.lists is not None and one.rank == 2:
        return np.asarray(np.maximum.reduceat(bad, batch.lists.starts)) if bad.size else bad
    return bad


def _raise_if(
    name: str, key: str, batch: RowBatch, one: Input, bad: Array, counts: Array, what: str
) -> None:
    if bad.any() and (_any(batch, one, bad) & counts).any():
        _raise(name, key, batch, one, bad, counts, what)


def _raise(
    name: str, key: str, batch: RowBatch, one: Input, bad: Array, counts: Array, what: str
) -> NoReturn:
    x = batch.values[key]
    if batch.lists is not None and one.rank == 2:
        bad = bad & np.repeat(counts, batch.lists.lengths)
        flat = int(batch.lists.order[np.flatnonzero(bad)[0]])
        index = [int(i) for i in np.unravel_index(flat, batch.lists.shape)]
        value = x[np.flatnonzero(bad)[0]]
    else:
        bad = bad & (counts[:, None] if bad.ndim == 2 else counts)
        place = np.argwhere(bad)[0]
        row = np.unravel_index(int(place[0]), batch.shape) if batch.shape else ()
        index = [int(i) for i in (*row, *place[1:])]
        value = x[tuple(place)]
    count = int(bad.sum())
    more = f" ({count} such values)" if count > 1 else ""
    raise ValueError(f"{name}: {key}{index or ''} = {value:g} {what}{more}")
