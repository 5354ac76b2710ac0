"""Scores the predictions in a table: `losskit.evaluate`, which the command of that name calls."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from losskit.evaluation import classes as of_classes
from losskit.evaluation import ranking as of_lists
from losskit.evaluation.asked import (
    CLASSES,
    check_types,
    class_columns_of,
    labels_of,
    names_of,
    refuse_conflicts,
)
from losskit.evaluation.classes import Classes
from losskit.evaluation.defaults import default_losses
from losskit.evaluation.pointwise import Pointwise
from losskit.evaluation.ranking import Ranking
from losskit.evaluation.report import Difference, Evaluation, InvalidRowsError, Result
from losskit.evaluation.scorer import RowTask, Scorer
from losskit.evaluation.spelling import gather, make_loss, parse_loss, parse_value
from losskit.evaluation.tokens import Tokens
from losskit.tables import Table, TableError, open_table

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

Progress = Callable[[int, int | None], None]


def evaluate(
    table: str | os.PathLike[str],
    *,
    target: str | None = None,
    prediction: str | Sequence[str] | None = None,
    class_columns: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    query: str | None = None,
    log_probability: str | Sequence[str] | None = None,
    loss: Any = None,
    weight: str | None = None,
    by: str | None = None,
    raw: bool = False,
    invalid: str = "stop",
    input_format: str | None = None,
    database_table: str | None = None,
    glob: bool = False,
    delimiter: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score one or several models' predictions in a table with one or several losses.

    The table (a path, or `-` for standard input: CSV, TSV, Parquet, JSON lines, gzip, or a DuckDB
    database with `database_table`) is read in batches, so memory stays flat. What is scored:

    - `target` and `prediction`: columns of numbers, or yes and no (1, 0) and its probability.
    - `class_columns={"cat": "p_cat", "dog": "p_dog"}`: the columns of one model's class
      probabilities, `target` holding labels; or `classes=["cat", "dog"]`, with `prediction` columns
      that hold lists of them, in that order. A target that is no such label, to the letter, is an
      invalid row, and so are probabilities that do not sum to 1 within 3.5e-4 (the root of
      float32's eps; smaller deviations are divided out).
    - `query`: `target` holds relevances and `prediction` scores of items, which this column groups
      into lists. Everything needed is read into memory; losses and metrics are means over queries
      (or over their pairs), and a query with an invalid row is left out as a whole.
    - `log_probability`: natural logarithms of the probabilities of tokens that occurred, without a
      target: mean negative log-likelihood and perplexity.

    `loss` takes names such as `"huber:delta=1.5"`, losses, or a sequence of either; None takes what
    suits the data. Classes also have the metrics "brier" and "accuracy", lists "ndcg:k=10",
    "mean_average_precision" and "mean_reciprocal_rank". With `raw` predictions are on the link
    scale (logits, log-means). Rows of weight 0 are neither scored nor validated. `invalid="skip"`
    leaves out every row that is missing, NaN, infinite or out of domain for any of the columns and
    losses. `progress` is called with the rows done and the rows in all (None where unknown).

    The mean is sum(w l)/sum(w), its standard error sqrt(sum(w^2 (l - mean)^2))/sum(w); of two
    predictions likewise with l = l_a - l_b, row by row; of a single row it is unknown (NaN).
    Columns are read as float64, so that probabilities clip at the eps of float64 whatever the
    file's type.

    Raises:
        TypeError: an argument is no path, no column name or no loss.
        TableError: the table cannot be read or lacks a column, or arguments do not go together.
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
    check_types(
        table,
        {"target": target, "weight": weight, "by": by, "query": query},
        {"prediction": prediction, "classes": classes, "log_probability": log_probability},
        loss,
    )
    if invalid not in ("stop", "skip"):
        raise TableError(f"invalid must be 'stop' or 'skip', not {invalid!r}")
    refuse_conflicts(
        target=target, prediction=prediction, class_columns=class_columns, classes=classes,
        query=query, log_probability=log_probability, loss=loss, raw=raw,
    )  # fmt: skip
    given = _Given(target or "", prediction, class_columns, classes, query, log_probability, raw)
    task, chosen = given.task(loss)
    with open_table(
        table, input_format=input_format, table=database_table, glob=glob, delimiter=delimiter
    ) as opened:
        opened.require([*given.columns, *(name for name in (weight, by) if name is not None)])
        groups = opened.group_names(by) if by is not None else []
        if task is None:
            names, chosen = default_losses(
                opened, given.target, given.predictions, weight, raw, invalid == "skip", progress
            )
            task = Pointwise(given.target, given.predictions, gather(names), raw)
        made: Any
        if isinstance(task, Ranking):
            made = task.score(opened, weight, by, groups, progress)
        else:
            made = _scored(task, opened, weight, by, groups, progress)
        first = {
            kind: f"{opened.row_name(row)}: {what}"
            for kind, (row, what) in made.tally.first.items()
        }
    if made.read == 0:
        raise TableError(f"{os.fspath(table)} has no data rows; there is nothing to score")
    if first and invalid == "stop":
        raise InvalidRowsError(made.read, made.tally.counts, first, getattr(made, "advice", ""))
    scored = made.rows(groups)
    if not scored[None]:
        left = "their weights sum to 0" if not first else "each is invalid or has weight 0"
        raise TableError(f"none of the {made.read} rows can be scored: {left}")
    results = made.results(groups)
    if isinstance(task, Classes):
        for result in results:
            if result.group is None and math.isnan(result.value):
                raise TableError(
                    f"{result.loss} leaves out every row: its class_weight or ignore_index gives "
                    "the classes that occur weight 0"
                )
    return Evaluation(
        rows=made.read,
        invalid=dict(made.tally.counts),
        results=results,
        differences=made.differences(),
        first_invalid=first,
        chosen=chosen,
        scored=scored,
        queries=scored[None] if isinstance(task, Ranking) else None,
        notes=made.notes() if isinstance(task, Ranking) else (),
    )


class _Given:
    """What was asked, by what the columns hold."""

    def __init__(
        self,
        target: str,
        prediction: Any,
        class_columns: Any,
        classes: Any,
        query: str | None,
        log_probability: Any,
        raw: bool,
    ) -> None:
        self.target, self.query, self.raw = target, query, raw
        self.labels: tuple[str, ...] = ()
        self.models: dict[str, Any] = {}
        self.predictions: tuple[str, ...] = ()
        self.tokens: tuple[str, ...] = ()
        if log_probability is not None:
            self.tokens = names_of(log_probability, "log-probability")
            self.columns = self.tokens
            return
        if class_columns is not None:
            columns = class_columns_of(class_columns)
            self.labels, self.models = tuple(columns), {CLASSES: tuple(columns.values())}
            self.columns = (target, *columns.values())
            return
        self.predictions = names_of(prediction, "prediction")
        self.columns = (target, *self.predictions, *([query] if query is not None else []))
        if classes is not None:
            self.labels = labels_of(classes)
            self.models = {name: name for name in self.predictions}

    def task(self, loss: Any) -> tuple[Any, str | None]:
        """Return what scores the rows, and why; None where that depends on the data."""
        if self.tokens:
            return Tokens(self.tokens), None
        rank = 1
        metrics: Sequence[str] = ()
        names: Sequence[str] = ()
        if self.models:
            rank, metrics, names = 2, of_classes.METRICS, of_classes.DEFAULT
        elif self.query is not None:
            metrics, names = of_lists.METRICS, of_lists.DEFAULT
        if loss is None and not names:
            return None, None
        losses = gather(names if loss is None else loss, rank, metrics)
        why = None if loss is not None else f"scored with {', '.join(names)} (choose with --loss)"
        task: Any
        if self.models:
            task = Classes(self.target, self.labels, self.models, losses, self.raw)
            held = f"target {self.target!r} holds one of {len(self.labels)} classes"
        elif self.query is not None:
            task = Ranking(self.target, self.query, self.predictions, losses)
            held = f"target {self.target!r} holds the relevance of items, {self.query!r} their list"
        else:
            return Pointwise(self.target, self.predictions, losses, self.raw), None
        return task, why and f"{held}; {why}"


def _scored(
    task: RowTask,
    table: Table,
    weight: str | None,
    by: str | None,
    groups: list[str],
    progress: Progress | None,
) -> Scorer:
    scorer = Scorer(task, weight, len(groups))
    for batch in task.batches(table, weight, by, groups):
        scorer.add(batch)
        if progress is not None:
            progress(scorer.read, table.rows)
    return scorer
