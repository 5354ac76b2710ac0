"""What a table's columns are asked to be, from the options of `losskit.evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from losskit.tables import TableError

# What the columns of one model of class probabilities are called together.
CLASSES = "classes"
_LOSS_LIKE = ("outputs", "of_rank", "surrogate")  # of a loss, of log_loss, of a metric


def check_types(
    table: Any, columns: Mapping[str, Any], lists: Mapping[str, Any], loss: Any
) -> None:
    """Raise TypeError for what cannot be a path, names of columns, or losses.

    `columns` are arguments that take a name or None, `lists` those that take one or several.
    """
    if not isinstance(table, (str, os.PathLike)):
        raise TypeError(
            f"table must be the path of a file, not {type(table).__name__}; save it first (such as "
            "to_parquet), or call a loss on its columns: losskit.squared_error(y, p)"
        )
    for name, column in columns.items():
        if column is not None and not isinstance(column, str):
            raise TypeError(f"{name} must be the name of a column, not {type(column).__name__}")
    for name, given in lists.items():
        what = (
            "a list of labels" if name == "classes" else "the name of a column or a list of names"
        )
        for item in _items(given):
            if not isinstance(item, str):
                raise TypeError(f"{name} must be {what}, not {type(item).__name__}")
    for item in _items(loss):
        if not isinstance(item, str) and not any(map(item.__class__.__dict__.get, _LOSS_LIKE)):
            raise TypeError(
                "loss must be a name such as 'huber:delta=1.5', a loss, or a list of them, not "
                f"{type(item).__name__}"
            )


def class_columns_of(given: Any) -> dict[str, str]:
    """Return labels with their columns, from a mapping of one to the other."""
    if not isinstance(given, Mapping) or not all(
        isinstance(part, str) for pair in given.items() for part in pair
    ):
        raise TypeError(
            "class_columns must map labels to names of columns, such as {'cat': 'p_cat'}; both are "
            "text"
        )
    for label, column in given.items():
        others = [other for other in given if given[other] == column and other != label]
        if others:
            raise TableError(
                f"column {column!r} was given for classes {label!r} and {others[0]!r}; each class "
                "has its own"
            )
    _check_labels(list(given))
    return dict(given)


def labels_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the labels of `classes`, checked."""
    labels = [given] if isinstance(given, str) else list(given)
    _check_labels(labels)
    return tuple(labels)


def names_of(given: Any, what: str) -> tuple[str, ...]:
    """Return one or several names of columns, each given once."""
    names = _items(given)
    if not names:
        raise TableError(f"no {what} column was given; pass at least one")
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"{what} {name!r} was given twice; pass each column once")
    return tuple(names)


def refuse_conflicts(**given: Any) -> None:
    """Raise TableError where options are given that do not go together, or too few."""
    have = {name for name, value in given.items() if value not in (None, False)}
    if "log_probability" in have:
        for other in sorted(have - {"log_probability"}):
            raise TableError(
                f"--log-probability is all that perplexity needs; leave out --{_dashed(other)}"
            )
        return
    ways = [name for name in ("prediction", "class_columns") if name in have]
    if len(ways) == 2:
        raise TableError(
            "--prediction and --class-column were both given: one column for each class is "
            "--class-column, a column of lists is --prediction with --classes"
        )
    if "classes" in have and "class_columns" in have:
        raise TableError("each --class-column names its class; leave out --classes")
    if "query" in have and have & {"classes", "class_columns"}:
        raise TableError(
            "--query ranks items by one score each; leave out --classes and --class-column"
        )
    if "query" in have and "raw" in have:
        raise TableError("scores that rank have no other scale; leave out --raw")
    if "target" not in have:
        raise TableError("missing option --target (target=): name the column of true values")
    if not ways:
        raise TableError(
            "missing option --prediction (prediction=): name the column of predictions"
            if "classes" not in have
            else "--classes names what a column of lists holds: pass it as --prediction"
        )


def _check_labels(labels: list[str]) -> None:
    for label in labels:
        if not label.strip():
            raise TableError("a class has an empty label, which stands for a missing one; name it")
        if labels.count(label) > 1:
            raise TableError(f"class {label!r} was given twice; name each class once")
    if len(labels) < 2:
        raise TableError(
            f"one class alone ({labels[0]!r}) is always right; name all classes, or score the "
            "probability of a yes/no target with --prediction"
            if labels
            else "no class was named"
        )


def _items(given: Any) -> list[Any]:
    if given is None:
        return []
    several = isinstance(given, Sequence) and not isinstance(given, str)
    return list(given) if several else [given]


def _dashed(name: str) -> str:
    return {"class_columns": "class-column"}.get(name, name.replace("_", "-"))
