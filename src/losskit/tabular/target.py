"""The target's column, and whether a model of classes or one of numbers is fitted to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit import metrics
from losskit.arrays import Array
from losskit.by_rank import ByRank
from losskit.evaluation.spelling import parse_loss
from losskit.fit.data.designs import LARGEST
from losskit.fit.inputs.choosing import AUTO
from losskit.fit.inputs.encodings import MAX_LEVELS, are_identifiers, listed, shortened
from losskit.fit.objective.shape import shape_of
from losskit.formula.expr import Unsupported
from losskit.several import Several
from losskit.tables import TableError

# Whole numbers up to so many different ones may be meant as classes.
_LIKE_CLASSES = 10

Where = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Target:
    """The targets of the rows that are used, and the loss to fit to them."""

    values: Array  # float64; of classes int64, bool or objects that are texts
    classes: bool
    loss: Any  # a loss, or "auto"
    hint: str = ""  # what else the target may be


def missing(column: Array) -> Array:
    """Return which cells of a table's column are missing, (n,)."""
    if column.dtype == object:
        return np.array([cell is None for cell in column], bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)


def read_target(name: str, column: Array, loss: Any, where: Where) -> Target:
    """Return the target for a loss: "auto", `NAME[:param=value]`, or a loss.

    `column` has no missing cells; `where` names a row by its place in it. By itself a target is of
    classes where it holds texts, truth values, or two whole numbers.

    Raises TableError where loss and target do not go together, or there is nothing to learn.
    """
    found, counts = _distinct(column)
    whole = column.dtype.kind != "f" or bool(
        (np.isfinite(column) & (column == np.floor(column))).all()
    )
    text = column.dtype.kind not in "biuf"
    if isinstance(loss, str) and loss == AUTO:
        classes = text or column.dtype.kind == "b" or (len(found) == 2 and whole)
        chosen: Any = AUTO
    else:
        chosen = _loss(loss, 1 if len(found) == 2 else 2)
        # Shares of the whole, such as 0.3, are numbers to a loss of two classes.
        classes = _is_of_classes(chosen) and (text or whole or chosen.kind != "pointwise")
    if text and not classes:
        raise TableError(
            f"target {name!r} holds text ({shortened(str(column[0]))} at {where(0)}), but "
            f"{chosen.name} is a loss of numbers; leave the loss out to have one for classes"
        )
    if len(found) < 2:
        shown = listed([str(found[0])]) if text else f"{found[0]}"
        raise TableError(
            f"target {name!r} is {shown} in every row that counts; needed are two "
            f"{'classes' if classes else 'different numbers'}"
        )
    if classes:
        values = column.astype(np.int64) if column.dtype.kind == "f" else column
        _check_classes(name, found, counts)
        return Target(values, True, chosen)
    values = column.astype(np.float64)
    _check_numbers(name, values, chosen, where)
    hint = ""
    if chosen == AUTO and whole and len(found) <= _LIKE_CLASSES:
        hint = (
            f"target {name!r} holds {len(found)} different whole numbers, taken as quantities; if "
            "they name classes, pass --loss cross_entropy"
        )
    return Target(values, False, chosen, hint)


def _distinct(column: Array) -> tuple[Array, Array]:
    if column.dtype != object:
        return np.unique(column, return_counts=True)
    cells = Counter(column.tolist())
    labels = sorted(cells, key=str)
    return np.array(labels, object), np.array([cells[label] for label in labels])


def _loss(given: Any, rank: int) -> Any:
    """Return the loss that was named, if a linear model of one column can be fitted to it."""
    loss = given
    if isinstance(given, str):
        _refuse_metric(given)
        loss = parse_loss(given, rank)
    elif isinstance(given, metrics.Metric):
        _refuse_metric(given.name)
    elif isinstance(given, ByRank):
        loss = given.of_rank(rank)
    if isinstance(loss, Several):
        raise TableError(f"{loss!r} is several losses; fit a losskit.Regressor with it")
    try:
        shape_of(loss)
    except Unsupported as error:
        raise TableError(str(error)) from None
    if loss.task == "multilabel":
        raise TableError(
            f"{loss.name} is a loss of several labels in each row; a column holds one: fit "
            "binary_cross_entropy, or losskit.Classifier to a matrix of labels"
        )
    return loss


def _is_of_classes(loss: Any) -> bool:
    if loss.kind != "pointwise" or loss.task == "binary":
        return True
    domain = loss.target_domain
    return bool(loss.task == "user" and domain.lower >= -1 and domain.upper <= 1)


def _refuse_metric(text: str) -> None:
    name = text.partition(":")[0].strip()
    try:
        metric = metrics.get(name)
    except ValueError:
        return
    raise TableError(
        f"{name!r} is a metric, to be read and not trained with; the usual loss to train with is "
        f"{metric.surrogate}"
    )


def _check_classes(name: str, found: Array, counts: Array) -> None:
    rows = int(counts.sum())
    if are_identifiers(len(found), rows) or len(found) > MAX_LEVELS:
        raise TableError(
            f"target {name!r} has {len(found)} different values in {rows} rows (such as "
            f"{shortened(str(found[0]))}), as identifiers, free text and measurements do; needed "
            "are classes"
        )


def _check_numbers(name: str, values: Array, loss: Any, where: Where) -> None:
    bad = ~(np.abs(values) <= LARGEST)
    needed = "a finite number" + (
        f" of at most {LARGEST:g}, whose square is finite: choose other units"
        if np.isfinite(values).all()
        else ""
    )
    if loss != AUTO and not bad.any():
        bad, needed = ~loss.target_domain.contains(values), f"{loss.target_domain}"
    if bad.any():
        at = int(np.argmax(bad))
        kind = "" if loss == AUTO else f", which {loss.name} is for"
        raise TableError(
            f"target {name!r} is {values[at]:g} at {where(at)}; needed is {needed}"
            + (kind if np.isfinite(values[at]) else "")
        )
