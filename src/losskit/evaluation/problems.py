"""What makes rows impossible to score, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from losskit.evaluation.report import KINDS
from losskit.tables import Batch

# How far what a table holds may stray from what it stands for: most models compute in float32, and
# text does not tell. Probabilities sum to 1 and logarithms of them are at most 0 up to this.
ROUNDING = float(np.sqrt(np.finfo(np.float32).eps))


@dataclass(frozen=True)
class Problem:
    """Some rows of a batch that cannot be scored; `say(row)` tells of one of them."""

    kind: str
    rows: np.ndarray
    say: Callable[[int], str]


@dataclass
class Tally:
    """How many rows had which kind of problem, and what was the first of each."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    first: dict[str, tuple[int, str]] = field(default_factory=dict)

    def reject(self, batch: Batch, active: np.ndarray, problems: Sequence[Problem]) -> np.ndarray:
        """Return the active rows that have a problem, counted by the first kind they have."""
        bad = np.zeros(batch.length, bool)
        for kind in KINDS:
            found = [problem for problem in problems if problem.kind == kind]
            here = np.zeros(batch.length, bool)
            for problem in found:
                here |= problem.rows
            here &= active & ~bad
            if not here.any():
                continue
            self.counts[kind] += int(np.count_nonzero(here))
            bad |= here
            if kind not in self.first:
                at = int(np.argmax(here))
                said = next(problem.say(at) for problem in found if problem.rows[at])
                self.first[kind] = (batch.first_row + at, said)
        return bad


def of_numbers(
    batch: Batch, column: str, role: str, infinite: Callable[[Any], Any] = np.isinf
) -> Iterator[Problem]:
    """Yield what is missing, NaN or `infinite` in a column of numbers, or of lists of them."""
    values = batch.columns[column]
    if np.isfinite(values).all():
        return
    named = f"{role} {column!r}"
    missing = batch.missing.get(column, np.zeros(batch.length, bool))
    if values.ndim == 1:
        yield Problem("null", missing, lambda _: f"{named} is missing")
        yield Problem("nan", np.isnan(values) & ~missing, lambda _: f"{named} is NaN")
        yield Problem("infinite", infinite(values), lambda i: f"{named} is {values[i]}")
        return
    told = missing
    if column in batch.lengths:
        told = missing | (batch.lengths[column] != values.shape[1])
    nan = np.isnan(values).any(axis=1) & ~told
    yield Problem("null", missing, lambda _: f"{named} is missing or lacks a number")
    yield Problem("nan", nan, lambda _: f"{named} holds NaN")
    wrong = infinite(values)
    yield Problem(
        "infinite", wrong.any(axis=1), lambda i: f"{named} holds {values[i][wrong[i]][0]}"
    )


def of_weights(batch: Batch, column: str | None) -> Iterator[Problem]:
    """Yield what is wrong with the column of weights, if there is one."""
    if column is None:
        return
    yield from of_numbers(batch, column, "weight")
    values = batch.columns[column]
    yield Problem(
        "domain",
        values < 0,
        lambda i: f"weight {column!r} is {values[i]:.6g}, but a weight needs a number >= 0",
    )
