"""Names of the table at parameters, with data: what the tests of names ask libraries for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import losskit
from laws import rows_cases
from laws.samples import sample
from losskit.rosetta.facts import (
    FRACTION,
    INDEX,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    ZERO_ONE,
)
from losskit.rosetta.listing import Entry, entries

BOOSTERS = ("xgboost", "lightgbm", "catboost")
ROWS = 24


@dataclass(frozen=True)
class Cell:
    """A name at some parameters of its library's, by one of its spellings."""

    entry: Entry
    spelling: str
    given: tuple[tuple[str, Any], ...]
    flag: tuple[tuple[str, bool], ...] = ()

    def __str__(self) -> str:
        said = ", ".join(f"{n}={v}" for n, v in (*self.given, *self.flag))
        return f"{self.spelling} {self.entry.call.title}({said})"

    @property
    def loss(self) -> losskit.Loss:
        return self.entry.read(dict(self.given))

    @property
    def raw(self) -> bool:
        return dict(self.flag).get(self.entry.name.raw_if, self.entry.raw)


def compared() -> list[Entry]:
    return [e for e in entries() if e.library.tested and not e.name.without]


def cells() -> list[Cell]:
    """Return every name at its defaults and at others, once by each of its spellings."""
    found = []
    for entry in compared():
        if entry.library.name in BOOSTERS or entry.library.name in _ELSEWHERE:
            continue
        for i, given in enumerate(settings(entry)):
            for spelling in entry.spellings if i == 0 else entry.spellings[:1]:
                said = given if spelling == entry.spellings[0] else (*given, *asked(entry, given))
                for flag in flags(entry):
                    found.append(Cell(entry, spelling.partition(" ")[0], said, flag))
    return found


def asked(entry: Entry, given: tuple[tuple[str, Any], ...]) -> list[tuple[str, Any]]:
    """Return the defaults of parameters, which a function may have none for."""
    defaults = entry.name.defaults
    names = {*entry.call.parameters} - {name for name, _ in given}
    return [(name, defaults[name]) for name in sorted(names) if defaults.get(name) is not None]


# Names that stand in the table by `same_as` alone, which is tested where they are.
_ELSEWHERE = {
    "rax": "laws/test_rows_same_as.py", "pytorch_metric_learning": "test_losses_embedding.py",
}  # fmt: skip


# Values that ours takes and theirs does not.
_REFUSED = {
    ("torch.nn.functional.triplet_margin_loss", "margin", 0.0),
    ("keras.losses.CategoricalGeneralizedCrossEntropy", "q", 0.0),
}


def flags(entry: Entry) -> list[tuple[tuple[str, bool], ...]]:
    flag = entry.name.raw_if
    return [((flag, True),), ((flag, False),)] if flag else [()]


def settings(entry: Entry) -> list[tuple[tuple[str, Any], ...]]:
    """Return parameters of theirs: the constants alone, then with one parameter set at a time."""
    fixed = {n: v for n, v in entry.call.constants.items() if n != "loss"}
    loss = losskit.get(entry.name.loss)
    domains = {p.name: p.domain for p in loss.definition.parameters}
    needed = {
        theirs: losskit.get(entry.name.loss).params[ours]
        for theirs, ours in entry.call.parameters.items()
        if theirs not in entry.name.defaults and loss.params[ours] is not None
    }
    if "Tweedie" in entry.key or "tweedie" in entry.key:
        values: dict[str, tuple[Any, ...]] = {"power": (1.25, 1.75)}
    else:
        values = {
            ours: rows_cases._values(domains[ours])[:3]
            for ours in entry.parameters.values()
            if ours not in ("class_weight", "ignore_index")
        }
    found = [{**fixed, **needed}]
    for theirs, ours in entry.parameters.items():
        for value in values.get(ours, ()):
            if value is None or isinstance(value, tuple) or (entry.key, theirs, value) in _REFUSED:
                continue
            found.append({**fixed, **needed, theirs: value})
    return [tuple(one.items()) for one in found if _readable(entry, one)]


def _readable(entry: Entry, given: dict[str, Any]) -> bool:
    """Whether this variant has these: sklearn's deviance of power 0, its default, is another's."""
    try:
        entry.read(given)
    except ValueError:
        return False
    return not entry.allows(given)


@dataclass(frozen=True)
class Numbers:
    """Data in our terms: raw scores and targets; and ours of it."""

    loss: losskit.Loss
    arrays: tuple[Any, ...]

    def ours(self, raw: bool) -> Any:
        arrays = [self._scaled(i, a) if not raw else a for i, a in enumerate(self.arrays)]
        return self.loss(*arrays, raw=raw, reduction="none", **({} if raw else {"clip": 0}))

    def mean(self, raw: bool) -> Any:
        arrays = [self._scaled(i, a) if not raw else a for i, a in enumerate(self.arrays)]
        return self.loss(*arrays, raw=raw)

    def trained(self, raw: bool) -> list[Any]:
        return [
            a if raw else self._scaled(i, a)
            for i, a in enumerate(self.arrays) if self.loss.inputs[i] in _trained(self.loss)
        ]  # fmt: skip

    def targets(self) -> list[Any]:
        pairs = zip(self.loss.inputs, self.arrays, strict=True)
        return [a for name, a in pairs if name not in _trained(self.loss)]

    def _scaled(self, place: int, array: Any) -> Any:
        if self.loss.inputs[place] not in _trained(self.loss):
            return array
        links = [link.name for link in self.loss.definition.links]
        if self.loss.kind == "pointwise" and len(links) > 1:
            return np.stack([_INVERSE[k](a) for k, a in zip(links, array.T, strict=True)], axis=1)
        return _INVERSE[links[0]](array)


_INVERSE = {
    "identity": lambda f: f,
    "log": np.exp,
    "logit": lambda f: 1 / (1 + np.exp(-f)),
    "softmax": lambda f: np.exp(f) / np.exp(f).sum(-1, keepdims=True),
}


def _trained(loss: losskit.Loss) -> tuple[str, ...]:
    return ("y_pred",) if loss.kind == "pointwise" else loss.outputs


def numbers(cell: Cell, seed: int = 5) -> Numbers:
    loss = cell.loss
    if loss.kind == "pointwise":
        y, f = sample(loss, ROWS, seed=3)
        f = np.clip(f if seed == 5 else f[::-1], -5, 5)
        if loss.link != "identity" and loss.name == "msle":
            f = abs(f)
        return Numbers(loss, _modest(cell, y, f))
    drawn = rows_cases.draw(loss, ROWS, seed=seed)
    return Numbers(loss, _positive(cell, tuple(drawn.arrays)))


def _modest(cell: Cell, y: Any, f: Any) -> tuple[Any, Any]:
    """Return data that the other library takes: none below 0 in a logarithm, and hard labels."""
    if cell.loss.name == "msle":
        return abs(y), abs(f)
    labels = cell.entry.name.labels
    if cell.entry.key.endswith("brier_score_loss"):  # a squared error of probabilities
        return (y > 0).astype(float), 1 / (1 + np.exp(-f))
    if ZERO_ONE in labels and FRACTION not in labels:
        return np.round(y), f
    return y, f


def _positive(cell: Cell, made: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keras's categorical hinge takes the best other score as 0 where it is below."""
    if cell.entry.key != "keras.losses.CategoricalHinge":
        return made
    return (made[0], abs(made[1]))


def request(cell: Cell, made: Numbers, weight: Any = None) -> list[Any]:
    targets = [coded(cell, a) for a in made.targets()]
    given = dict((*cell.given, *cell.flag))
    if not cell.raw and "eps" in cell.entry.name.defaults:
        given["eps"] = 0.0  # which is added to means: see the test of clips
    trained = [a.tolist() for a in made.trained(cell.raw)]
    return [
        cell.spelling,
        cell.entry.call.title,
        given,
        trained,
        [a.tolist() for a in targets],
        weight,
    ]


def coded(cell: Cell, y: Any) -> Any:
    """Return targets in a code that the other library takes."""
    if "Boosting" in cell.entry.key and -1 in y:  # what its estimator makes of two labels
        return (y + 1) / 2
    labels = cell.entry.name.labels
    loss = cell.loss
    if (
        loss.kind == "pointwise"
        and labels
        and SIGNS not in labels
        and -1 in loss.target_domain.values
    ):
        return (y + 1) / 2
    if INDEX not in labels and (ONE_HOT in labels or MIXTURE in labels) and np.ndim(y) == 1:
        return np.eye(rows_cases.COLUMNS)[y.astype(int)]
    return y
