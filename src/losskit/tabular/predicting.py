"""`predict_table`: what a saved model says of each row of a table."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.fit.files.archive import load
from losskit.fit.inputs.encodings import Levels
from losskit.several import Several
from losskit.tables import Table, TableError, open_table
from losskit.tables.columns import read_columns
from losskit.tables.writing import output_format, write_table
from losskit.tabular.options import check_output
from losskit.tabular.results import TablePredictions
from losskit.tabular.target import missing

_PREDICTION = "prediction"


def predict_table(
    model: Any,
    table: str | os.PathLike[str],
    *,
    keep: bool = False,
    unknown: str = "error",
    output: str | os.PathLike[str] | None = None,
    input_format: str | None = None,
    database_table: str | None = None,
    glob: bool = False,
    delimiter: str | None = None,
    reading: Callable[[int, int | None], None] | None = None,
) -> TablePredictions:
    """Predict every row of a table, in its order, by a model that `fit_table` or an estimator made.

    Columns are found by name; those that the model does not use, such as a target, are ignored. The
    result has `prediction`, the class or number (`prediction_NAME` for each of several), and for
    classes of a loss that tells them `probability_CLASS`.

    Args:
        model: a file, or a fitted estimator with names of features.
        table: a path, or `-` for standard input.
        keep: whether the table's own columns come first, cells of text files as they are there.
        unknown: "error" at a category that the model was not fitted with, or "ignore": no level.
        output: a file to write, CSV, TSV or Parquet by its name, or `-` for standard output.
        reading: called with the rows read and the rows in all (None where unknown).

    Raises:
        TableError: model or table cannot be read; a column is missing; a name is there already.
        ValueError: a column holds what it must not, such as an infinite number, with its row.

    Example:
        >>> import losskit
        >>> model = losskit.Classifier().fit({"age": [20, 30, 40, 50]}, ["no", "no", "yes", "yes"])
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.csv")
        ...     _ = path.write_text("age\\n25\\n60\\n")
        ...     found = losskit.predict_table(model, path)
        >>> found.columns["prediction"].tolist()
        ['no', 'yes']
    """
    if unknown not in ("error", "ignore"):
        raise TableError(f"unknown is 'error' or 'ignore', not {unknown!r}")
    path = model if isinstance(model, str | os.PathLike) else None
    if output is not None and os.fspath(output) != "-":
        check_output(output, table, *([] if path is None else [path]))
        output_format(output)
    fitted = _loaded(path) if path is not None else model
    kinds = _kinds(fitted)
    with open_table(
        table, input_format=input_format, table=database_table, glob=glob, delimiter=delimiter
    ) as opened:
        _require(opened, kinds)
        columns = read_columns(opened, list(kinds), kinds=kinds, progress=reading)
        kept = _kept(opened, output) if keep else {}
    rows = len(next(iter(columns.values())))
    if not rows:
        raise TableError(f"{opened.parts[0].shown} has no data rows")

    def where(place: int) -> str:
        return opened.row_name(place + 1)

    matrix, notes = _matrix(fitted, columns, unknown, where)
    if getattr(fitted, "offset_in_fit_", False):
        notes.append(
            "the model was fitted with offsets, such as the logarithm of an exposure, which a "
            "table does not give: predictions are those of offset 0"
        )
    made = _predictions(_of_matrix(fitted), matrix)
    taken = [name for name in made if name in kept]
    if taken:
        raise TableError(
            f"{opened.parts[0].shown} has a column {taken[0]!r} already; rename it, or leave "
            "--keep out"
        )
    found = TablePredictions({**kept, **made}, tuple(notes))
    if output is not None:
        write_table(output, found.columns)
    return found


def _loaded(path: str | os.PathLike[str]) -> Any:
    try:
        return load(path)
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise TableError(f"model {os.fspath(path)!r}: it {why}") from None


def _kinds(model: Any) -> dict[str, Any]:
    """Return the columns that a model needs, and how to read each."""
    step = getattr(model, "preprocessing_", None)
    if step is not None:
        return dict(step.kinds)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise TableError(
            "the model was fitted to a matrix without names of columns, which a table's columns "
            "cannot be matched with; fit it to a data frame"
        )
    return dict.fromkeys(map(str, names), "number")


def _require(table: Table, kinds: dict[str, Any]) -> None:
    try:
        table.require(list(kinds))
    except TableError as error:
        raise TableError(f"{error}; the model was fitted with it") from None


def _kept(table: Table, output: str | os.PathLike[str] | None) -> dict[str, Array]:
    """Return all columns of the table; cells of text as they stand there, for a file of text."""
    names = table.parts[0].columns
    binary = output is not None and output_format(output) == "parquet"
    texts = [n for n in names if not binary and all(p.type(n) == "TEXT" for p in table.parts)]
    return read_columns(table, names, kinds=dict.fromkeys(texts, "text"))


def _matrix(
    model: Any, columns: dict[str, Array], unknown: str, where: Callable[[int], str]
) -> tuple[Array, list[str]]:
    """Return the model's matrix, and what had to be filled in."""
    step = getattr(model, "preprocessing_", None)
    if step is None:
        for name, values in columns.items():
            bad = ~np.isfinite(values.astype(np.float64))
            if bad.any():
                at = int(np.argmax(bad))
                shown = "missing" if np.isnan(values[at]) else f"{values[at]}"
                raise TableError(
                    f"column {name!r} is {shown} at {where(at)}; the model was fitted to numbers, "
                    "none missing"
                )
        return np.column_stack([columns[name].astype(np.float64) for name in columns]), []
    matrix = step.apply(columns, unknown=unknown, where=where)
    notes = _unknown(step, columns) if unknown == "ignore" else []
    for column in step.columns:
        absent = missing(columns[column.name])
        if absent.any() and not isinstance(column, Levels):
            notes.append(
                f"{column.name} is missing in {absent.sum()} of {len(absent)} rows: taken as its "
                f"mean where the model was fitted, {column.fill:.6g}"
            )
    return matrix, notes


def _unknown(step: Any, columns: dict[str, Array]) -> list[str]:
    """Say which columns hold categories that the model was not fitted with."""
    notes = []
    for column in step.columns:
        if isinstance(column, Levels):
            known = {*column.levels, *([None] if column.missing else [])}
            texts = columns[column.name].tolist()
            strange = sum(text not in known for text in texts)
            if strange:
                notes.append(
                    f"{column.name} has a category that the model was not fitted with in {strange} "
                    f"of {len(texts)} rows: taken for no level"
                )
    return notes


def _of_matrix(model: Any) -> Any:
    """Return the model as one of the matrix that its preprocessing makes."""
    bare = copy.copy(model)
    for name in ("preprocessing_", "feature_names_in_"):
        if hasattr(bare, name):
            delattr(bare, name)
    bare.n_features_in_ = bare.coef_.shape[-1]
    bare.offset_in_fit_ = False  # a note says so
    return bare


def _predictions(model: Any, matrix: Array) -> dict[str, Array]:
    found = np.asarray(model.predict(matrix))
    labels: Sequence[Any] = getattr(model, "classes_", np.empty(0)).tolist()
    if getattr(model, "multilabel_", False):
        names = [f"{_PREDICTION}_{_spelled(label)}" for label in labels]
        made = dict(zip(names, found.T, strict=True))
    elif found.ndim == 2:
        made = {f"{_PREDICTION}_{n}": c for n, c in zip(_parts(model), found.T, strict=True)}
    else:
        made = {_PREDICTION: found}
    if hasattr(model, "predict_proba"):
        columns = np.asarray(model.predict_proba(matrix)).T
        made |= {f"probability_{_spelled(k)}": p for k, p in zip(labels, columns, strict=True)}
    return made


def _parts(model: Any) -> list[str]:
    """Return what the predictions of a model of several are called."""
    loss = model.loss_
    if isinstance(loss, Several):
        return [f"{value:g}" for value in loss.params[loss.parameter]]
    if len(loss.outputs) > 1:
        return list(loss.outputs)
    return [str(i) for i in range(np.atleast_2d(model.coef_).shape[0])]


def _spelled(label: Any) -> str:
    """Return a class as a file of text has it."""
    return str(label).lower() if isinstance(label, bool) else str(label)
