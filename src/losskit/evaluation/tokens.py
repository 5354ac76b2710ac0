"""Rows that are tokens: the log-probability that each model gave to the token that occurred."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from losskit.evaluation.problems import ROUNDING, Problem, of_numbers
from losskit.evaluation.report import Reported
from losskit.tables import Batch, Table

LABEL = "negative_log_likelihood"


@dataclass(frozen=True)
class Tokens:
    """Columns of natural logarithms of probabilities, one for each model."""

    models: tuple[str, ...]

    @cached_property
    def reported(self) -> dict[str, Reported]:
        """The mean of −log p, beside which stands the perplexity."""
        return {LABEL: Reported(perplexity=True)}

    def batches(
        self, table: Table, weight: str | None, by: str | None, groups: Sequence[str]
    ) -> Iterator[Batch]:
        """Read all columns as numbers."""
        return table.batches([*self.models, *([weight] if weight is not None else [])], by, groups)

    def problems(self, batch: Batch) -> Iterator[Problem]:
        """Yield what is missing, NaN or the logarithm of more than 1; −∞ is that of 0."""
        for name in self.models:
            yield from of_numbers(batch, name, "log-probability", _none)
            yield _above(name, batch.columns[name])

    def advice(self, batch: Batch, active: np.ndarray) -> str:
        """Return an empty string: there is no target."""
        return ""

    def values(
        self, batch: Batch, rows: slice | np.ndarray, compiled: bool
    ) -> dict[tuple[str, str], np.ndarray]:
        """Return −log p of rows."""
        return {(LABEL, name): 0.0 - batch.columns[name][rows] for name in self.models}

    def weights(self, label: str, batch: Batch, rows: slice | np.ndarray) -> None:
        """Return None: tokens weigh the same."""

    def moved(self, label: str, model: str, batch: Batch, rows: slice | np.ndarray) -> None:
        """Return None: nothing is clipped."""


def _none(values: np.ndarray) -> np.ndarray:
    return np.zeros(len(values), bool)  # −∞ has a meaning, and ∞ is told as out of domain


def _above(column: str, values: np.ndarray) -> Problem:
    def say(row: int) -> str:
        value = values[row]
        advice = "if it is the negative log-likelihood, change its sign"
        if value <= 1:
            advice = "if it is the probability itself, write its natural logarithm"
        return (
            f"log-probability {column!r} is {value:.6g}, but logarithms of probabilities are <= 0; "
            f"{advice}"
        )

    return Problem("domain", values > ROUNDING, say)
