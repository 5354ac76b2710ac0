"""What becomes of one column of a data frame: numbers standardised, or a column for each level."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from losskit.arrays import Array
from losskit.fit.inputs.frames import Column, UnusableColumn

MAX_LEVELS = 1000  # more are free text
_FEW_LEVELS = 50
# On fewer rows than this, values that are all different say nothing.
_FEW_ROWS = 20
_DATE = re.compile(r"(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T].*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SHOWN = 8

Where = Callable[[int], str]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: (x − centre)/scale, with x = fill where a cell is missing."""

    name: str
    fill: float
    centre: float
    scale: float
    varies: bool  # False where only the missing cells differ: the numbers are left out
    indicator: bool  # whether a column says which cells are missing

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""
        return (self.name,) * self.varies + (f"{self.name} missing",) * self.indicator

    @property
    def kind(self) -> Literal["number", "text"]:
        """How to read the column from a file."""
        return "number"

    def describe(self) -> str:
        """Return a line that says what becomes of the column."""
        if not self.varies:
            return f"{self.name}: only whether it is missing (it is {self.fill:.6g} otherwise)"
        said = f"{self.name}: number, mean {self.fill:.6g}"
        if (self.centre, self.scale) != (0, 1):
            said += f", standard deviation {self.scale:.6g}"
        if self.indicator:
            said += "; missing becomes the mean, and a column says where"
        return said

    def encode(self, column: Column, out: Array, counts: Array | None, where: Where) -> None:
        """Write the matrix's columns into `out`; rows that do not count may hold anything."""
        if column.is_text:
            at = next(i for i, text in enumerate(column.values.tolist()) if text is not None)
            raise ValueError(
                f"column {self.name!r} held numbers where the model was fitted, but has "
                f"{column.values[at]!r} at {where(at)}"
            )
        values = column.values
        absent = np.isnan(values)
        if self.varies:
            _refuse_infinite(column, counts, where)
            with np.errstate(over="ignore"):
                np.subtract(values, self.centre, out=out[:, 0])
                out[:, 0] /= self.scale
            out[absent, 0] = (self.fill - self.centre) / self.scale
            bad = ~np.isfinite(out[:, 0])
            out[bad, 0] = 0
            bad &= True if counts is None else counts
            if bad.any():
                at = int(np.argmax(bad))
                raise ValueError(
                    f"column {self.name!r} has {values[at]:g} at {where(at)}, too many standard "
                    f"deviations ({self.scale:g}) from the mean for float64; correct it"
                )
        if self.indicator:
            out[:, -1] = absent


@dataclass(frozen=True)
class Levels:
    """A column of categories: one matrix column for each level, and for the missing if seen."""

    name: str
    levels: tuple[str, ...]
    missing: bool
    reference: bool  # whether the first level has no column

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""
        levels = tuple(f"{self.name}={level}" for level in self.levels[self.reference :])
        return levels + (f"{self.name} missing",) * self.missing

    @property
    def kind(self) -> Literal["number", "text"]:
        """How to read the column from a file."""
        return "text"

    def describe(self) -> str:
        """Return a line that says what becomes of the column."""
        said = f"{self.name}: category of {len(self.levels)} levels ({listed(self.levels)})"
        if self.reference:
            said += f", compared with {shortened(self.levels[0])}"
        return said + (", or missing" if self.missing else "")

    def encode(
        self, column: Column, out: Array, counts: Array | None, where: Where, unknown: str
    ) -> None:
        """Write the matrix's columns into `out`; rows that do not count may hold anything."""
        place: dict[str | None, int] = {level: i for i, level in enumerate(self.levels)}
        if self.missing:
            place[None] = len(self.levels)
        texts = column.as_text().values.tolist()
        codes = np.fromiter((place.get(text, -1) for text in texts), np.intp, len(texts))
        strange = codes < 0
        strange &= True if counts is None else counts
        if unknown == "error" and strange.any():
            at = int(np.argmax(strange))
            found = "a missing cell" if texts[at] is None else shortened(texts[at])
            known = listed(self.levels) + ", or missing" * self.missing
            raise ValueError(
                f"column {self.name!r} has {found} at {where(at)}, which it never had where the "
                f"model was fitted ({known}); correct it, or have unknown ones ignored "
                "(unknown='ignore', --unknown ignore), as no level"
            )
        codes -= self.reference
        rows = np.flatnonzero(codes >= 0)
        out[:] = 0
        out[rows, codes[rows]] = 1


def learn_numbers(
    column: Column, weight: Array | None, standardize: bool, where: Where
) -> tuple[Numbers | None, list[str]]:
    """Learn what becomes of a column of numbers: None if it does not vary, and notes on that."""
    name, counts = column.name, None if weight is None else weight > 0
    _refuse_infinite(column, counts, where)
    known = ~np.isnan(column.values)
    rows = len(known)
    if counts is not None and weight is not None:
        known &= counts
        rows = int(np.count_nonzero(counts))
        weight = weight[known]
    values = column.values[known]
    absent = rows - len(values)
    if not len(values):
        return None, [f"{name} is left out: all of it is missing"]
    mean, deviation = _moments(values, weight)
    spread = values.max() > values.min()
    # Rounding in the values and in the mean gives a spread of this size to what is constant.
    varies = bool(spread and deviation > 4 * np.finfo(float).eps * np.abs(values).max())
    notes = []
    if absent:
        told = f"'{name} missing' says where" if varies else f"only '{name} missing' is used"
        notes = [
            f"{name} is missing in {absent} of {rows} rows: filled with the mean {mean:.6g}; {told}"
        ]
    elif not varies:
        how = "it varies by rounding only" if spread else f"it is {values[0]:.6g} in all rows"
        return None, [f"{name} is left out: {how}"]
    if _numbers_the_rows(values):
        notes.append(
            f"{name} seems to number the rows ({values.min():.0f} to {values.max():.0f}, each "
            "once): leave it out unless the order means something"
        )
    centre, scale = (mean, deviation) if standardize and varies else (0.0, 1.0)
    return Numbers(name, mean, centre, scale, varies, absent > 0), notes


def learn_levels(
    column: Column, weight: Array | None, reference: bool
) -> tuple[Levels | None, list[str]]:
    """Learn what becomes of a column of texts: None if it does not vary, and notes on that."""
    name, texts = column.name, column.values.tolist()
    if weight is not None:
        texts = [text for text, w in zip(texts, weight.tolist(), strict=True) if w > 0]
    found = Counter(texts)
    absent = found.pop(None, 0)
    known = found.total()
    example = shortened(next(iter(found), ""))
    if found and all(_DATE.fullmatch(text) for text in found):
        raise UnusableColumn(name, f"holds dates (such as {example})")
    if are_identifiers(len(found), known):
        raise UnusableColumn(
            name,
            f"holds {len(found)} different texts in {known} rows, as identifiers do (such as "
            f"{example})",
        )
    if len(found) > MAX_LEVELS:
        raise UnusableColumn(name, f"has {len(found)} levels, of which {MAX_LEVELS} are the limit")
    if len(found) + (absent > 0) < 2:
        what = f"it is {example} in all rows" if found else "all of it is missing"
        return None, [f"{name} is left out: {what}"]
    notes = []
    if absent:
        notes = [f"{name} is missing in {absent} of {absent + known} rows: a level of its own"]
    numeric = all(_NUMBER.fullmatch(text) for text in found)
    levels = tuple(sorted(found, key=lambda text: (float(text) if numeric else 0, text)))
    if numeric and len(found) > 2:
        notes.append(
            f"{name} holds numbers as text ({listed(levels)}): taken as categories; convert it "
            "where they are quantities"
        )
    return Levels(name, levels, absent > 0, reference), notes


def are_identifiers(different: int, rows: int) -> bool:
    """Whether so many different texts in so many rows are names of rows: all, or many and most."""
    return different == rows >= _FEW_ROWS or (different > _FEW_LEVELS and different > rows / 2)


def encoding_from_json(data: Any) -> Numbers | Levels:
    """Return what `dataclasses.asdict` gave, with its `kind`; anything else is an error."""
    name, kind = exactly(data["name"], str), data["kind"]
    if kind == "number":
        fill, centre, scale = (
            float(exactly(data[key], float, int)) for key in ("fill", "centre", "scale")
        )
        if not np.isfinite([fill, centre, scale]).all() or scale <= 0:
            raise ValueError(f"column {name!r}")
        flags = (exactly(data[key], bool) for key in ("varies", "indicator"))
        return Numbers(name, fill, centre, scale, *flags)
    if kind != "text":
        raise ValueError(f"kind {kind!r}")
    levels = tuple(exactly(level, str) for level in exactly(data["levels"], list))
    if len(set(levels)) < len(levels) or len(levels) > MAX_LEVELS:
        raise ValueError(f"levels of {name!r}")
    missing, reference = (exactly(data[key], bool) for key in ("missing", "reference"))
    return Levels(name, levels, missing, reference)


def exactly(value: Any, *kinds: type) -> Any:
    """Return a value that has just one of these types: True is no number here."""
    if type(value) not in kinds:
        raise TypeError(f"{type(value).__name__} where {kinds[0].__name__} is needed")
    return value


def listed(values: Sequence[Any]) -> str:
    """Return the first few of some values, texts quoted, and how many there are."""
    shown = ", ".join(
        shortened(one) if isinstance(one, str) else repr(one) for one in values[:_SHOWN]
    )
    return shown if len(values) <= _SHOWN else f"{shown}, ... {len(values)} in all"


def shortened(text: str) -> str:
    """Return a text quoted, without its end if it is long."""
    return repr(text if len(text) <= 30 else text[:27] + "...")


def _moments(values: Array, weight: Array | None) -> tuple[float, float]:
    """Return the mean and the standard deviation (over n), without overflow or underflow."""
    peak = float(np.abs(values).max())
    if peak == 0:
        return 0.0, 0.0
    unit = float(np.ldexp(1.0, int(np.frexp(peak)[1]) - 1))  # a power of two: exact
    scaled = values / unit
    mean = float(np.average(scaled, weights=weight))
    mean = float(np.clip(mean, scaled.min(), scaled.max()))
    variance = float(np.average((scaled - mean) ** 2, weights=weight))
    return mean * unit, float(np.sqrt(variance)) * unit


def _numbers_the_rows(values: Array) -> bool:
    """Whether the values are whole, all different, and nearly as dense as 1, 2, 3, …"""
    low, high = float(values.min()), float(values.max())
    if len(values) < _FEW_ROWS or high - low >= 2 * len(values):
        return False
    if not (values == np.floor(values)).all():
        return False
    return int(np.bincount((values - low).astype(np.intp)).max()) == 1


def _refuse_infinite(column: Column, counts: Array | None, where: Where) -> None:
    bad = np.isinf(column.values)
    bad &= True if counts is None else counts
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"column {column.name!r} is {column.values[at]} at {where(at)}; a finite number is "
            "needed, or a missing one"
        )
