"""What fitting a table and predicting one come to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from losskit.arrays import Array


@dataclass(frozen=True)
class Rows:
    """How many rows a table had, and what became of them."""

    read: int
    fitted: int
    tested: int
    dropped: tuple[tuple[str, int], ...]  # why, and how many

    @property
    def used(self) -> int:
        """The rows that were fitted or tested."""
        return self.fitted + self.tested


@dataclass(frozen=True)
class Score:
    """A loss or metric of the rows that the fit has not seen, beside the best constant's.

    `better` says whether "lower" or "higher" is better. A loss, which is a mean over rows, has the
    standard error of its value, and of `baseline` minus that, row by row; NaN is unknown.
    """

    name: str
    value: float
    baseline: float
    better: str
    error: float = math.nan
    saved_error: float = math.nan

    @property
    def saved(self) -> float:
        """How much lower the value is than the best constant's."""
        return self.baseline - self.value


@dataclass(frozen=True)
class Coefficient:
    """The coefficients of one feature, one for each output of the model.

    `values` are those of the standardised feature: what a standard deviation more adds to the raw
    score. `per_unit` are those of a unit of the column, and the same for the level of a category.
    """

    feature: str
    values: tuple[float, ...]
    per_unit: tuple[float, ...]

    @property
    def size(self) -> float:
        """The largest of the values, without its sign."""
        return max(map(abs, self.values))


@dataclass(frozen=True, eq=False)
class TableFit:
    """A model fitted to a table: what was chosen and why, and how good it is.

    `model` is a fitted `losskit.Regressor` or `Classifier`, or one of those whose alpha was
    cross-validated: then `model.cv_` has the curve. `outputs` names the columns of coefficients.
    """

    model: Any
    target: str
    loss: str
    why: str
    classes: tuple[tuple[Any, int], ...]  # label and rows; empty for a target of numbers
    columns: tuple[str, ...]  # of the table, that the model uses
    outputs: tuple[str, ...]
    rows: Rows
    scores: tuple[Score, ...]  # the fitted loss first; empty without test rows
    coefficients: tuple[Coefficient, ...]  # the largest first
    notes: tuple[str, ...]  # what was done to columns
    warnings: tuple[str, ...]  # what looks wrong
    seed: int
    seconds: float  # of fitting
    interrupted: str  # where Ctrl-C stopped it; empty where it was not


@dataclass(frozen=True, eq=False)
class TablePredictions:
    """Predictions in the order of the table's rows, by the names of the columns written."""

    columns: dict[str, Array]
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())))
