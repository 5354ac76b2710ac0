"""Rows with one number to predict: the pointwise losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from losskit.evaluation.problems import Problem, of_numbers
from losskit.evaluation.report import Reported
from losskit.formula.domain import BINARY, REAL, SIGN, UNIT
from losskit.tables import Batch, Table, TableError

_PIECE = 16_000  # rows that a loss's NumPy form takes at once: they stay in the cache


@dataclass(frozen=True)
class Pointwise:
    """A target and predictions that are columns of numbers."""

    target: str
    models: tuple[str, ...]
    losses: Mapping[str, Any]
    raw: bool

    def __post_init__(self) -> None:
        for loss in self.losses.values():
            if getattr(loss, "kind", "") != "pointwise":
                raise TableError(_elsewhere(loss))
            if len(loss.outputs) != 1:
                raise TableError(
                    f"{loss.name} needs {len(loss.outputs)} numbers per prediction "
                    f"({', '.join(loss.outputs)}), but a prediction here is one column; "
                    "call it from Python"
                )

    @cached_property
    def reported(self) -> dict[str, Reported]:
        """The losses, some with their root."""
        return {label: Reported(root=loss.root) for label, loss in self.losses.items()}

    def batches(
        self, table: Table, weight: str | None, by: str | None, groups: Sequence[str]
    ) -> Iterator[Batch]:
        """Read all columns as numbers."""
        columns = [self.target, *self.models] + ([weight] if weight is not None else [])
        return table.batches(columns, by, groups)

    def problems(self, batch: Batch) -> Iterator[Problem]:
        """Yield what is missing, not finite or outside a loss's domain."""
        yield from of_numbers(batch, self.target, "target")
        for name in self.models:
            yield from of_numbers(batch, name, "prediction")
        for check in self._checks:
            yield check.problem(batch)

    def advice(self, batch: Batch, active: np.ndarray) -> str:
        """Say how to turn labels of the other convention, if there are any, into a loss's."""
        for check in self._checks:
            values = batch.columns[check.column]
            found = check.labels(values[active & ~check.domain.contains(values)])
            if found:
                return found
        return ""

    def values(
        self, batch: Batch, rows: slice | np.ndarray, compiled: bool
    ) -> dict[tuple[str, str], np.ndarray]:
        """Return the losses of rows."""
        y = batch.columns[self.target][rows]
        return {
            (label, name): _values(loss, y, batch.columns[name][rows], self.raw, compiled)
            for label, loss in self.losses.items()
            for name in self.models
        }

    def weights(self, label: str, batch: Batch, rows: slice | np.ndarray) -> None:
        """Return None: no pointwise loss weighs."""

    def moved(
        self, label: str, model: str, batch: Batch, rows: slice | np.ndarray
    ) -> np.ndarray | None:
        """Return which probabilities the loss clips."""
        if self.raw or not self.losses[label].clips:
            return None
        return clipped(batch.columns[model][rows])

    @cached_property
    def _checks(self) -> list[Check]:
        """List each domain once per column; the reals need none, as infinities are found before."""
        found: dict[tuple[str, Any], Check] = {}
        for label, loss in self.losses.items():
            wanted = [("target", self.target, loss.target_domain)]
            prediction = loss.prediction_domain(raw=self.raw)
            wanted += [("prediction", name, prediction) for name in self.models]
            for role, column, domain in wanted:
                if domain != REAL:
                    found.setdefault((column, domain), Check(role, column, domain, label))
        return list(found.values())


@dataclass(frozen=True)
class Check:
    """One column that has to lie in one domain, and what to say of a value that does not."""

    role: str
    column: str
    domain: Any
    label: str

    def problem(self, batch: Batch) -> Problem:
        """Return the rows outside the domain."""
        values = batch.columns[self.column]
        named, needed = f"{self.role} {self.column!r}", f"but {self.label} needs {self.domain}"
        outside = ~self.domain.contains(values)
        return Problem("domain", outside, lambda i: f"{named} is {values[i]:.6g}, {needed}")

    def labels(self, values: np.ndarray) -> str:
        """Return how to turn labels of the other convention, if `values` has them, into ours."""
        values = values[np.isfinite(values)]
        if self.role != "target" or not len(values):
            return ""
        if self.domain == SIGN and bool((values == 0).all()):
            return f"labels 0 and 1 of {self.column!r} become -1 and 1 by 2*y - 1"
        if self.domain in (BINARY, UNIT) and bool((values == -1).all()):
            return f"labels -1 and 1 of {self.column!r} become 0 and 1 by (y + 1)/2"
        return ""


def clipped(p: np.ndarray) -> np.ndarray:
    """Return which probabilities are nearer to 0 or 1 than losses let them be."""
    eps = float(np.finfo(np.float64).eps)
    return (p < eps) | (p > 1 - eps)


def _values(loss: Any, y: np.ndarray, p: np.ndarray, raw: bool, compiled: bool) -> np.ndarray:
    if compiled:
        return np.asarray(loss(y, p, reduction="none", raw=raw))
    values = np.empty(len(y))
    for start in range(0, len(y), _PIECE):
        piece = slice(start, start + _PIECE)
        values[piece] = loss(y[piece], p[piece], reduction="none", raw=raw)
    return values


def _elsewhere(loss: Any) -> str:
    """Say how a loss that is not pointwise is evaluated."""
    axis = getattr(getattr(loss, "definition", None), "axis", "")
    if axis == "class":
        how = "for class probabilities pass --class-column LABEL=COLUMN for each class"
    elif axis == "item":
        how = "for ranked lists pass --query COLUMN"
    else:
        how = "call it from Python"
    return f"{loss.name} does not score one number per row; {how}"
