"""Sums over the batches of a table: one per loss, prediction and group, and per pair to compare."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from losskit.evaluation.moments import Moments, Sum
from losskit.evaluation.problems import Problem, Tally, of_weights
from losskit.evaluation.report import Difference, Reported, Result
from losskit.tables import Batch, Table

# A compiled kernel's compiler takes seconds in a fresh process and pays from this many scores on.
_SCORES_BEFORE_COMPILING = 20_000_000


class RowTask(Protocol):
    """What the rows of a table hold, and what a row's score is."""

    @property
    def models(self) -> Sequence[str]:
        """Names of the models whose predictions are scored."""

    @property
    def reported(self) -> Mapping[str, Reported]:
        """The losses and metrics by their spelling."""

    def batches(
        self, table: Table, weight: str | None, by: str | None, groups: Sequence[str]
    ) -> Iterator[Batch]:
        """Read what it needs of a table."""

    def problems(self, batch: Batch) -> Iterator[Problem]:
        """Yield what makes rows impossible to score."""

    def advice(self, batch: Batch, active: np.ndarray) -> str:
        """Say what to do where the target follows another convention; else an empty string."""

    def values(
        self, batch: Batch, rows: slice | np.ndarray, compiled: bool
    ) -> dict[tuple[str, str], np.ndarray]:
        """Return the scores of rows by loss and model."""

    def weights(self, label: str, batch: Batch, rows: slice | np.ndarray) -> np.ndarray | None:
        """Return the weights that a loss itself gives to rows; None where it gives none."""

    def moved(
        self, label: str, model: str, batch: Batch, rows: slice | np.ndarray
    ) -> np.ndarray | None:
        """Return the rows whose probability was clipped; None where there are none."""


class Scorer:
    """Grows batch by batch; cell 0 of every sum holds all rows, the others one group each."""

    def __init__(self, task: RowTask, weight: str | None, groups: int) -> None:
        self.task, self.weight, self.groups = task, weight, groups
        self.scored = 0
        self.read = 0
        self.advice = ""
        self.tally = Tally()
        self._rows = np.zeros(1 + groups, np.int64)  # with a score
        # The same for losses that give rows weights of their own, which may be 0.
        self._counting: dict[str, np.ndarray] = {}
        self._scale: float | None = None
        pairs = itertools.combinations(task.models, 2)
        labels = task.reported
        self._moments = {key: Moments(1 + groups) for key in itertools.product(labels, task.models)}
        self._paired = {key: Moments(1) for key in itertools.product(labels, pairs)}
        self._clipped = {key: np.zeros(1 + groups, np.int64) for key in self._moments}

    def add(self, batch: Batch) -> None:
        """Score the rows that have weight and are valid; counts the invalid ones."""
        self.read += batch.length
        keep = np.ones(batch.length, bool)
        if self.weight is not None:
            keep = batch.columns[self.weight] != 0  # NaN stays, and is found invalid
        problems = [*of_weights(batch, self.weight), *self.task.problems(batch)]
        bad = self.tally.reject(batch, keep, problems)
        if not self.advice and bad.any():
            self.advice = self.task.advice(batch, keep)
        keep &= ~bad
        taken = int(np.count_nonzero(keep))
        self.scored += taken
        if not taken:
            return
        rows = slice(None) if taken == batch.length else keep
        codes = batch.group[rows] if batch.group is not None and self.groups else None
        self._rows[0] += taken
        if codes is not None:
            self._rows[1:] += np.bincount(codes, minlength=self.groups)
        w = None if self.weight is None else self._scaled(batch.columns[self.weight][rows])
        compiled = self.scored * len(self._moments) >= _SCORES_BEFORE_COMPILING
        scores = self.task.values(batch, rows, compiled)
        ones = np.ones(taken)
        shared = w, Sum.of(ones if w is None else w, codes, self.groups)
        for label in self.task.reported:
            weight, totals = shared
            own = self.task.weights(label, batch, rows)
            if own is not None:
                weight = own if w is None else own * w
                totals = Sum.of(weight, codes, self.groups)
                counting = self._counting.setdefault(label, np.zeros_like(self._rows))
                self._count(counting, own > 0, codes)
            self._add(label, scores, weight, codes, totals)
            for model in self.task.models:
                moved = self.task.moved(label, model, batch, rows)
                if moved is not None and moved.any():
                    self._count(self._clipped[label, model], moved, codes)

    def rows(self, groups: Sequence[str]) -> dict[str | None, int]:
        """Return the number of rows with a score in all and in each group."""
        return dict(zip([None, *groups], self._rows.tolist(), strict=True))

    def results(self, groups: Sequence[str]) -> tuple[Result, ...]:
        """Return the results of all rows, then of each group."""
        return tuple(
            self.task.reported[label].result(
                name,
                label,
                moments.value(cell),
                self._error(label, moments, cell),
                group,
                int(self._clipped[label, name][cell]),
            )
            for cell, group in enumerate([None, *groups])
            for (label, name), moments in self._moments.items()
        )

    def differences(self) -> tuple[Difference, ...]:
        """Return every pair of predictions compared under every loss."""
        return tuple(
            Difference(
                a, b, label, moments.value(0), self._error(label, moments, 0),
                self.task.reported[label].better,
            )
            for (label, (a, b)), moments in self._paired.items()
        )  # fmt: skip

    def _add(
        self,
        label: str,
        scores: dict[tuple[str, str], np.ndarray],
        w: np.ndarray | None,
        codes: np.ndarray | None,
        totals: np.ndarray,
    ) -> None:
        for model in self.task.models:
            self._moments[label, model].add(scores[label, model], w, codes, totals)
        for a, b in itertools.combinations(self.task.models, 2):
            with np.errstate(invalid="ignore"):  # inf - inf: there is no difference to give
                difference = scores[label, a] - scores[label, b]
            self._paired[label, (a, b)].add(difference, w, None, totals[:1])

    def _error(self, label: str, moments: Moments, cell: int) -> float:
        """Return the standard error; one row says nothing of how others would differ."""
        rows = self._counting.get(label, self._rows)
        return moments.standard_error(cell) if rows[cell] > 1 else math.nan

    def _scaled(self, w: np.ndarray) -> np.ndarray:
        """Divide weights by a power of two, so that their squares neither overflow nor vanish."""
        if self._scale is None:
            exponent = math.frexp(float(w.max()))[1]
            self._scale = math.ldexp(1.0, -max(-1000, min(exponent, 1000)))
        return w * self._scale

    def _count(self, counts: np.ndarray, moved: np.ndarray, codes: np.ndarray | None) -> None:
        counts[0] += np.count_nonzero(moved)
        if codes is not None:
            counts[1:] += np.bincount(codes[moved], minlength=self.groups)
