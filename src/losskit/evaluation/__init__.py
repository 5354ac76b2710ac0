"""Scores the predictions in a table: `losskit.evaluate`, which the command of that name calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from losskit.evaluation.defaults import default_losses
from losskit.evaluation.report import Difference, Evaluation, InvalidRowsError, Result
from losskit.evaluation.scorer import Scorer
from losskit.evaluation.spelling import gather, make_loss, parse_loss, parse_value
from losskit.tables import TableError, open_table

__all__ = [
    "Difference",
    "Evaluation",
    "InvalidRowsError",
    "Result",
    "TableError",
    "evaluate",
    "make_loss",
    "parse_loss",
    "parse_value",
]


def evaluate(
    table: str | os.PathLike[str],
    *,
    target: str,
    prediction: str | Sequence[str],
    loss: Any = None,
    weight: str | None = None,
    by: str | None = None,
    raw: bool = False,
    invalid: str = "stop",
    input_format: str | None = None,
    database_table: str | None = None,
    glob: bool = False,
    delimiter: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Evaluation:
    """Score one or several prediction columns of a table with one or several losses.

    The table (a path, or `-` for standard input: CSV, TSV, Parquet, JSON lines, gzip, or a DuckDB
    database with `database_table`) is read in batches, so memory stays flat. `loss` takes names
    such as `"huber:delta=1.5"`, losses, or a sequence of either; None decides by a scan of the
    data. With `raw` predictions are on the link scale (logits, log-means). Rows of weight 0 are
    neither scored nor validated. `invalid="skip"` leaves out every row that is missing, NaN,
    infinite or out of domain for any of the columns and losses. `progress` is called with the rows
    done and the rows in all (None where unknown).

    The mean is sum(w l)/sum(w), its standard error sqrt(sum(w^2 (l - mean)^2))/sum(w); of two
    predictions likewise with l = l_a - l_b, row by row; of a single row it is unknown (NaN).
    Columns are read as float64, so that probabilities clip at the eps of float64 whatever the
    file's type.

    Raises:
        TypeError: an argument is no path, no column name or no loss.
        TableError: the table cannot be read or lacks a column.
        InvalidRowsError: some rows cannot be scored and `invalid` is "stop".

    Example:
        >>> import losskit, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.csv")
        ...     _ = path.write_text("y,p\\n3,2.5\\n-0.5,0\\n2,2\\n7,8\\n")
        ...     report = losskit.evaluate(path, target="y", prediction="p", loss="mse")
        >>> report.results[0].value, round(report.results[0].root, 6)
        (0.375, 0.612372)
    """
    _check_types(table, target, prediction, loss, weight, by)
    if invalid not in ("stop", "skip"):
        raise TableError(f"invalid must be 'stop' or 'skip', not {invalid!r}")
    predictions = [prediction] if isinstance(prediction, str) else list(prediction)
    if not predictions:
        raise TableError("no prediction column was given; pass at least one")
    for name in predictions:
        if predictions.count(name) > 1:
            raise TableError(f"prediction {name!r} was given twice; pass each column once")
    losses = None if loss is None else gather(loss)
    with open_table(
        table, input_format=input_format, table=database_table, glob=glob, delimiter=delimiter
    ) as opened:
        columns = [target, *predictions] + ([weight] if weight is not None else [])
        opened.require(columns + ([by] if by is not None else []))
        groups = opened.group_names(by) if by is not None else []
        chosen = None
        if losses is None:
            skip = invalid == "skip"
            names, chosen = default_losses(opened, target, predictions, weight, raw, skip, progress)
            losses = gather(names)
        scorer = Scorer(target, predictions, losses, weight, raw, len(groups))
        rows = 0
        for batch in opened.batches(columns, by, groups):
            scorer.add(batch)
            rows += batch.length
            if progress is not None:
                progress(rows, opened.rows)
        first = {
            kind: f"{opened.row_name(row)}: {what}" for kind, (row, what) in scorer.first.items()
        }
    if rows == 0:
        raise TableError(f"{os.fspath(table)} has no data rows; there is nothing to score")
    if first and invalid == "stop":
        raise InvalidRowsError(rows, scorer.counts, first, scorer.labels)
    if not scorer.scored:
        left = "their weights sum to 0" if not first else "each is invalid or has weight 0"
        raise TableError(f"none of the {rows} rows can be scored: {left}")
    return Evaluation(
        rows=rows,
        invalid=dict(scorer.counts),
        results=scorer.results(groups),
        differences=scorer.differences(),
        first_invalid=first,
        chosen=chosen,
        scored=scorer.rows(groups),
    )


def _check_types(table: Any, target: Any, prediction: Any, loss: Any, weight: Any, by: Any) -> None:
    if not isinstance(table, (str, os.PathLike)):
        raise TypeError(
            f"table must be the path of a file, not {type(table).__name__}; save it first (such as "
            "to_parquet), or call a loss on its columns: losskit.squared_error(y, p)"
        )
    for name, column in (("target", target), ("weight", weight), ("by", by)):
        if not isinstance(column, str) and (column is not None or name == "target"):
            raise TypeError(f"{name} must be the name of a column, not {type(column).__name__}")
    several = not isinstance(prediction, str) and isinstance(prediction, Sequence)
    for column in prediction if several else [prediction]:
        if not isinstance(column, str):
            raise TypeError(
                "prediction must be the name of a column or a list of names, not "
                f"{type(column).__name__}"
            )
    several = not isinstance(loss, str) and isinstance(loss, Sequence)
    for item in loss if several else [loss]:
        if item is not None and not isinstance(item, str) and not hasattr(item, "outputs"):
            raise TypeError(
                "loss must be a name such as 'huber:delta=1.5', a loss, or a list of them, not "
                f"{type(item).__name__}"
            )
