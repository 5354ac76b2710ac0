"""Which losses to report when none were asked for, decided by every row of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from losskit.tables import Batch, Table, TableError

_BINARY = ("binary_cross_entropy", "squared_error")  # the latter is the Brier score here
_COUNTS = ("poisson", "squared_error", "absolute_error")
_NUMBERS = ("squared_error", "absolute_error")


@dataclass
class _Facts:
    """What holds for all rows so far; a dict gives the first row and value where it does not."""

    binary: bool = True
    whole: bool = True  # counts: whole and not negative
    broken: bool = False  # some row is missing, not finite, or has a bad weight
    rows: int = 0
    improbable: dict[str, tuple[int, float]] = field(default_factory=dict)
    nonpositive: dict[str, tuple[int, float]] = field(default_factory=dict)


def default_losses(
    table: Table,
    target: str,
    predictions: Sequence[str],
    weight: str | None,
    raw: bool,
    skip: bool,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[tuple[str, ...], str]:
    """Return the names of the losses that suit the data, and why in one sentence.

    Reads all rows that have a weight, a target and predictions, or as many as settle the matter: a
    target such as 2.5 makes the rest irrelevant. Unless `skip`, rows that no loss can score come
    before any complaint about the choice: their scoring tells them all.

    Raises:
        TableError: the target holds only 0 and 1, but a prediction is no probability.
    """
    facts = _Facts()
    columns = [target, *predictions] + ([weight] if weight is not None else [])
    done = 0
    for batch in table.batches(columns):
        _learn(facts, batch, target, predictions, weight)
        done += batch.length
        if progress is not None:
            progress(done, table.rows)
        if not facts.whole:
            break
    if not facts.rows or not facts.whole:
        return _said(_NUMBERS, f"target {target!r} holds numbers")
    if facts.binary:
        labels = f"target {target!r} holds only 0 and 1"
        if raw:
            return _said(_BINARY[:1], f"{labels} and predictions are raw (logits)")
        if facts.improbable:
            if facts.broken and not skip:
                return _said(_NUMBERS, labels)
            name, (row, value) = next(iter(facts.improbable.items()))
            how = (
                "say how to score with --loss (such as squared_error)"
                if not skip
                else "name a --loss, which skipping needs here: binary_cross_entropy leaves such "
                "rows out, squared_error scores them"
            )
            raise TableError(
                f"{labels}, but prediction {name!r} is {value:.6g} at {table.row_name(row)}, which "
                f"is no probability; correct it, pass --raw if predictions are logits, or {how}"
            )
        return _said(_BINARY, f"{labels} and every prediction lies in [0, 1]")
    counts = f"target {target!r} holds whole numbers >= 0"
    if raw:
        return _said(_COUNTS[:1], f"{counts} and predictions are raw (log-means)")
    if facts.nonpositive:
        name, (row, value) = next(iter(facts.nonpositive.items()))
        return _said(
            _NUMBERS, f"{counts}, but prediction {name!r} is {value:.6g} at {table.row_name(row)}"
        )
    return _said(_COUNTS, f"{counts} and every prediction is positive")


def _learn(
    facts: _Facts, batch: Batch, target: str, predictions: Sequence[str], weight: str | None
) -> None:
    y = batch.columns[target]
    usable = np.isfinite(y)
    for name in predictions:
        usable &= np.isfinite(batch.columns[name])
    active = np.ones(len(y), bool)
    if weight is not None:
        w = batch.columns[weight]
        active = w != 0
        usable &= (w > 0) & np.isfinite(w)
    facts.broken = facts.broken or bool((active & ~usable).any())
    usable &= active
    y = y[usable]
    facts.rows += len(y)
    facts.binary = facts.binary and bool(((y == 0) | (y == 1)).all())
    facts.whole = facts.whole and bool(((y >= 0) & (y == np.floor(y))).all())
    for name in predictions:
        p = batch.columns[name]
        for found, wrong in ((facts.improbable, (p < 0) | (p > 1)), (facts.nonpositive, p <= 0)):
            wrong &= usable
            if name not in found and wrong.any():
                at = int(np.argmax(wrong))
                found[name] = (batch.first_row + at, float(p[at]))


def _said(names: tuple[str, ...], why: str) -> tuple[tuple[str, ...], str]:
    return names, f"{why}; scored with {', '.join(names)} (choose with --loss)"
