"""`losskit.translate`: a loss of any library in ours, and ours in every library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from losskit.rosetta.differences import differences, notes, predictions
from losskit.rosetta.finding import found
from losskit.rosetta.listing import Entry, entries
from losskit.rosetta.reading import read
from losskit.several import Several


@dataclass(frozen=True)
class Written:
    """A loss of ours as a library writes it: ours = factor · theirs + shift."""

    library: str
    text: str
    factor: Any
    shift: float
    predictions: str
    labels: tuple[str, ...]
    weighted: str
    differences: tuple[str, ...]
    tested: bool
    target_only: bool  # equal up to a term of the target
    notes: tuple[str, ...]  # those differences that no other field tells


@dataclass(frozen=True)
class Translation:
    """What `translate` found: `loss` is ours, `given` the name asked for, `names` all others."""

    asked: str
    loss: Any
    given: Written | None
    names: tuple[Written, ...]
    missing: tuple[str, ...]  # libraries that have no name for it

    def __str__(self) -> str:
        theirs = f"{self.given.library} {self.given.text} is " if self.given else ""
        return f"{theirs}{self.loss!r}"


def translate(text: str) -> Translation:
    """Return a loss named as any library names it in ours, for whoever moves between libraries.

    `text` is a name, alone or with its library and parameters: "LightGBM huber alpha=0.9",
    "torch.nn.SmoothL1Loss(beta=0.5)", "reg:pseudohubererror", "huber delta=2 to keras". The result
    has our `loss`, the name as `given` with the factor and what differs, and the `names` it has
    elsewhere. Nothing is imported. Raises ValueError for a name that is unknown, means several
    losses, or has none of ours.

    >>> import losskit
    >>> losskit.translate("LightGBM huber alpha=0.9").loss
    losskit.huber(delta=0.9)
    >>> for name in losskit.translate("pinball q=0.9 to catboost").names:
    ...     print(name.text)
    loss_function='Quantile:alpha=0.9'
    """
    if not isinstance(text, str):
        raise TypeError(f"translate takes a name as text, not {text!r:.60}; losskit.wrap objects")
    asked = read(text)
    entry, loss = found(asked)
    given = None if entry is None else written(entry, loss, asked.parameters)
    wanted = asked.wanted or (asked.library if entry is None else None)
    asks = [e for e in entries() if wanted in (None, e.library)]
    if isinstance(loss, Several):
        asks = []  # each of its members has names of its own
    names = [e for e in asks if e.serves(loss) and (entry is None or e.key != entry.key)]
    having = {e.library.name for e in names} | ({entry.library.name} if entry else set())
    missing = dict.fromkeys(e.library.title for e in asks if e.library.name not in having)
    return Translation(text, loss, given, tuple(written(e, loss) for e in names), tuple(missing))


def written(entry: Entry, loss: Any, given: Mapping[str, Any] | None = None) -> Written:
    """Return how a library writes a loss of ours; `given` are the parameters that were named."""
    # What is written for a loss of ours holds the constants at which it is equal.
    held = entry.call.constants if given is None else given
    return Written(
        entry.library.title,
        entry.write(loss, given),
        entry.factor,
        entry.name.shift,
        predictions(entry, loss, given),
        entry.name.labels,
        entry.weighted,
        differences(entry, loss, held),
        entry.library.tested,
        entry.name.target_only,
        notes(entry, held),
    )
