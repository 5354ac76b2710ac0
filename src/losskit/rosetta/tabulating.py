"""The whole table: a row for every name of every library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from losskit.rosetta.differences import differences, predictions
from losskit.rosetta.listing import Entry, entries


@dataclass(frozen=True)
class Row:
    """One name of a library and the loss of ours that it is; ours = factor · theirs + shift."""

    library: str
    title: str  # as people write it
    also: tuple[str, ...]  # other names of it
    loss: str  # "" where nothing of ours equals it; `differences` then says why
    parameters: dict[str, str]  # ours by theirs
    constants: dict[str, Any]  # theirs at which it is equal
    defaults: dict[str, Any]
    ours: dict[str, Any]  # our parameters that it has no name for
    factor: Any
    shift: float
    raw: bool
    predictions: str
    labels: tuple[str, ...]
    silent: tuple[str, ...]
    weighted: str
    class_axis: str
    order: str
    clip: str
    target_only: bool
    differences: tuple[str, ...]
    tested: bool


def table() -> tuple[Row, ...]:
    """Return every name that is known, by library: what the page of names and tests are made of.

    >>> import losskit.rosetta
    >>> rows = [row for row in losskit.rosetta.table() if row.title == "torch.nn.HuberLoss"]
    >>> rows[0].loss, rows[0].parameters, rows[0].weighted
    ('huber', {'delta': 'delta'}, 'n')
    """
    return tuple(map(_row, entries()))


def _row(entry: Entry) -> Row:
    import losskit

    name = entry.name
    loss = losskit.get(name.loss) if name.loss else None
    return Row(
        library=entry.library.title,
        title=entry.title,
        also=tuple(s for s in entry.spellings if s != entry.title),
        loss=name.loss,
        parameters=dict(entry.parameters),
        constants=dict(entry.call.constants),
        defaults=dict(name.defaults),
        ours=dict(name.ours),
        factor=name.factor,
        shift=name.shift,
        raw=entry.raw,
        predictions=predictions(entry, loss) if loss else "",
        labels=name.labels,
        silent=name.silent,
        weighted=entry.weighted,
        class_axis=entry.library.class_axis,
        order=entry.library.order,
        clip=name.clip,
        target_only=name.target_only,
        differences=differences(entry, loss, {}) if loss else (name.without,),
        tested=entry.library.tested,
    )
