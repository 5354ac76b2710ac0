"""Sums over the batches of a table: one per loss, prediction and group, and per pair to compare."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.evaluation.moments import Moments, Sum
from losskit.evaluation.report import KINDS, Difference, Result
from losskit.formula.domain import BINARY, REAL, SIGN, UNIT
from losskit.tables import Batch

# Short pieces run a loss's NumPy form; whole batches its compiled kernel, whose compiler takes
# seconds in a fresh process and pays from about this many scores on.
_PIECE = 16_000
_SCORES_BEFORE_COMPILING = 20_000_000


@dataclass(frozen=True)
class _Check:
    """One column that has to lie in one domain, and what to say of a value that does not."""

    role: str
    column: str
    domain: Any
    label: str

    def describe(self, value: float) -> str:
        return f"{self.role} {self.column!r} is {value:.6g}, but {self.label} needs {self.domain}"

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


class Scorer:
    """Grows batch by batch; cell 0 of every sum holds all rows, the others one group each."""

    def __init__(
        self,
        target: str,
        predictions: Sequence[str],
        losses: dict[str, Any],
        weight: str | None,
        raw: bool,
        groups: int,
    ) -> None:
        self.target, self.predictions, self.weight = target, predictions, weight
        self.losses, self.raw, self.groups = losses, raw, groups
        self.scored = 0
        self.labels = ""  # advice where the target has the labels of another convention
        self._rows = np.zeros(1 + groups, np.int64)  # with a score
        self.counts = dict.fromkeys(KINDS, 0)
        self.first: dict[str, tuple[int, str]] = {}
        self._scale: float | None = None
        self._checks = self._domains()
        pairs = itertools.combinations(predictions, 2)
        self._moments = {key: Moments(1 + groups) for key in itertools.product(losses, predictions)}
        self._paired = {key: Moments(1) for key in itertools.product(losses, pairs)}
        self._clipped = {key: np.zeros(1 + groups, np.int64) for key in self._moments}

    def add(self, batch: Batch) -> None:
        """Score the rows that have weight and are valid; counts the invalid ones."""
        keep = np.ones(batch.length, bool)
        if self.weight is not None:
            keep = batch.columns[self.weight] != 0  # NaN stays, and is found invalid
        keep &= ~self._reject(batch, keep)
        taken = int(np.count_nonzero(keep))
        self.scored += taken
        if not taken:
            return
        rows = slice(None) if taken == batch.length else keep
        y = batch.columns[self.target][rows]
        codes = batch.group[rows] if batch.group is not None and self.groups else None
        self._rows[0] += taken
        if codes is not None:
            self._rows[1:] += np.bincount(codes, minlength=self.groups)
        w = None if self.weight is None else self._scaled(batch.columns[self.weight][rows])
        totals = Sum.of(np.ones(taken) if w is None else w, codes, self.groups)
        scores: dict[tuple[str, str], np.ndarray] = {}
        for label, name in self._moments:
            loss, p = self.losses[label], batch.columns[name][rows]
            values = self._values(loss, y, p)
            scores[label, name] = values
            self._moments[label, name].add(values, w, codes, totals)
            if loss.clips and not self.raw:
                self._count_clipped(self._clipped[label, name], p, codes)
        for (label, (a, b)), moments in self._paired.items():
            with np.errstate(invalid="ignore"):  # inf - inf: there is no difference to give
                difference = scores[label, a] - scores[label, b]
            moments.add(difference, w, None, totals[:1])

    def rows(self, groups: Sequence[str]) -> dict[str | None, int]:
        """Return the number of rows with a score in all and in each group."""
        return dict(zip([None, *groups], self._rows.tolist(), strict=True))

    def results(self, groups: Sequence[str]) -> tuple[Result, ...]:
        """Return the results of all rows, then of each group."""
        return tuple(
            self._result(label, name, cell, group)
            for cell, group in enumerate([None, *groups])
            for label, name in self._moments
        )

    def differences(self) -> tuple[Difference, ...]:
        """Return every pair of predictions compared under every loss."""
        return tuple(
            Difference(a, b, label, moments.value(0), self._error(moments, 0))
            for (label, (a, b)), moments in self._paired.items()
        )

    def _values(self, loss: Any, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        if self.scored * len(self._moments) >= _SCORES_BEFORE_COMPILING:
            return np.asarray(loss(y, p, reduction="none", raw=self.raw))
        values = np.empty(len(y))
        for start in range(0, len(y), _PIECE):
            piece = slice(start, start + _PIECE)
            values[piece] = loss(y[piece], p[piece], reduction="none", raw=self.raw)
        return values

    def _result(self, label: str, name: str, cell: int, group: str | None) -> Result:
        moments = self._moments[label, name]
        value = moments.value(cell)
        return Result(
            prediction=name,
            loss=label,
            value=value,
            root=math.sqrt(value) if self.losses[label].root and value >= 0 else None,
            standard_error=self._error(moments, cell),
            clipped=int(self._clipped[label, name][cell]),
            group=group,
        )

    def _error(self, moments: Moments, cell: int) -> float:
        """Return the standard error; one row says nothing of how others would differ."""
        return moments.standard_error(cell) if self._rows[cell] > 1 else math.nan

    def _domains(self) -> list[_Check]:
        """List each domain once per column; the reals need none, as infinities are found before."""
        found: dict[tuple[str, Any], _Check] = {}
        for label, loss in self.losses.items():
            wanted = [("target", self.target, loss.target_domain)]
            prediction = loss.prediction_domain(raw=self.raw)
            wanted += [("prediction", name, prediction) for name in self.predictions]
            for role, column, domain in wanted:
                if domain != REAL:
                    found.setdefault((column, domain), _Check(role, column, domain, label))
        return list(found.values())

    def _reject(self, batch: Batch, active: np.ndarray) -> np.ndarray:
        """Return the mask of the active rows that cannot be scored, and counts them by kind."""
        roles = {self.target: "target"} | dict.fromkeys(self.predictions, "prediction")
        if self.weight is not None:
            roles.setdefault(self.weight, "weight")
        masks: dict[str, list[tuple[np.ndarray, str, Any]]] = {kind: [] for kind in KINDS}
        for name, role in roles.items():
            values = batch.columns[name]
            if np.isfinite(values).all():
                continue
            missing = batch.missing.get(name, np.zeros(batch.length, bool))
            masks["null"].append((missing, name, lambda _, r=role, n=name: f"{r} {n!r} is missing"))
            nan = np.isnan(values) & ~missing
            masks["nan"].append((nan, name, lambda _, r=role, n=name: f"{r} {n!r} is NaN"))
            infinite = np.isinf(values)
            masks["infinite"].append(
                (infinite, name, lambda v, r=role, n=name: f"{r} {n!r} is {v}")
            )
        if self.weight is not None:
            negative = batch.columns[self.weight] < 0
            say = _Check("weight", self.weight, "a number >= 0", "a weight").describe
            masks["domain"].append((negative, self.weight, say))
        for check in self._checks:
            outside = ~check.domain.contains(batch.columns[check.column])
            masks["domain"].append((outside, check.column, check.describe))
            if not self.labels and outside.any():
                self.labels = check.labels(batch.columns[check.column][outside & active])
        bad = np.zeros(batch.length, bool)
        for kind in KINDS:
            here = np.zeros(batch.length, bool)
            for mask, _, _ in masks[kind]:
                here |= mask
            here &= active & ~bad
            if not here.any():
                continue
            self.counts[kind] += int(np.count_nonzero(here))
            bad |= here
            if kind not in self.first:
                at = int(np.argmax(here))
                column, say = next((name, say) for mask, name, say in masks[kind] if mask[at])
                self.first[kind] = (batch.first_row + at, say(batch.columns[column][at]))
        return bad

    def _scaled(self, w: np.ndarray) -> np.ndarray:
        """Divide weights by a power of two, so that their squares neither overflow nor vanish."""
        if self._scale is None:
            exponent = math.frexp(float(w.max()))[1]
            self._scale = math.ldexp(1.0, -max(-1000, min(exponent, 1000)))
        return w * self._scale

    def _count_clipped(self, counts: np.ndarray, p: np.ndarray, codes: np.ndarray | None) -> None:
        eps = float(np.finfo(np.float64).eps)
        moved = (p < eps) | (p > 1 - eps)
        if not moved.any():
            return
        counts[0] += np.count_nonzero(moved)
        if codes is not None:
            counts[1:] += np.bincount(codes[moved], minlength=self.groups)
