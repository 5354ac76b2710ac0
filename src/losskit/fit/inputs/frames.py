"""Data frames as columns of numbers and of text: what `preprocessing` makes a matrix of.

pandas, Polars and Arrow are read through narwhals; a dict of NumPy arrays is a frame as well.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from losskit.arrays import Array

# pandas' own missing values, recognised without importing it: they compare with nothing.
MISSING_TYPES = ("NoneType", "NAType", "NaTType")
_WHOLE_LIMIT = 2**53


@dataclass(frozen=True, eq=False)
class Column:
    """One column: float64 with NaN where a cell is missing, or texts (objects) with None there."""

    name: str
    values: Array

    @property
    def is_text(self) -> bool:
        """Whether the column holds categories rather than numbers."""
        return self.values.dtype == object

    def as_text(self) -> Column:
        """Return the column as texts: 1.0 is `1`, as in a file of text."""
        if self.is_text:
            return self
        texts = np.array([_spelled(value) for value in self.values.tolist()], object)
        return Column(self.name, texts)


@dataclass(frozen=True, eq=False)
class Frame:
    """The columns of a data frame, each of which is converted when it is asked for."""

    names: tuple[str, ...]
    rows: int
    column: Callable[[str], Column]


class UnusableColumn(ValueError):
    """A column that holds neither numbers nor categories; `reason` is what it holds."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"column {name!r} {reason}; leave it out, or derive numbers or categories from it"
        )
        self.name, self.reason = name, reason


def is_frame(data: object) -> bool:
    """Whether `open_frame` takes `data`: a data frame, lazy or not, or a dict.

    >>> is_frame({"age": [31, 45]}), is_frame([[31], [45]])
    (True, False)
    """
    if isinstance(data, Mapping):
        return True
    if isinstance(data, np.ndarray | list | tuple):
        return False
    import narwhals as nw

    native = nw.from_native(data, pass_through=True)
    return isinstance(native, nw.DataFrame | nw.LazyFrame)


def open_frame(frame: Any, where: Callable[[int], str] = "row {}".format) -> Frame:
    """Return the columns of a pandas, Polars or Arrow table, or of a dict of arrays.

    `where` names a row in messages by its place, counted from 0.

    Raises:
        TypeError: not a data frame, or one that has not been collected.
        ValueError: columns of different lengths, without a name of text, or of the same name.
    """
    if isinstance(frame, Mapping):
        return _of_arrays(frame, where)
    import narwhals as nw

    try:
        native = nw.from_native(frame, pass_through=True)
    except nw.exceptions.NarwhalsError as error:
        raise ValueError(f"the data frame cannot be read: {_one_line(error)}") from None
    if isinstance(native, nw.LazyFrame):
        raise TypeError("a lazy frame has no rows yet; pass frame.collect()")
    if not isinstance(native, nw.DataFrame):
        raise TypeError(
            "needed is a data frame (pandas, Polars or Arrow) or a dict of arrays, not "
            f"{type(frame).__name__}"
        )
    try:
        names = _checked_names(native.columns)
    except nw.exceptions.NarwhalsError as error:
        raise ValueError(f"the data frame cannot be read: {_one_line(error)}") from None
    return Frame(names, len(native), lambda name: _of_series(name, native[name], where))


def _of_arrays(frame: Mapping[Any, Any], where: Callable[[int], str]) -> Frame:
    names = _checked_names(frame)
    arrays = {name: _array(frame[name]) for name in names}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise UnusableColumn(name, f"has shape {array.shape}, not (n,)")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        first, *others = lengths
        other = next(name for name in others if lengths[name] != lengths[first])
        raise ValueError(
            f"column {first!r} has {lengths[first]} rows and column {other!r} {lengths[other]}; "
            "they must be equally long"
        )
    rows = next(iter(lengths.values()), 0)
    return Frame(names, rows, lambda name: _of_array(name, arrays[name], where))


def _array(values: Any) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        found = np.ma.getdata(values).astype(object)
        found[np.ma.getmaskarray(values)] = None
        return found
    if isinstance(values, list | tuple):  # NumPy would make texts of ["a", 1]
        made = np.empty(len(values), object)
        made[:] = values
        return made
    return np.asarray(values)


def _checked_names(names: Iterable[Any]) -> tuple[str, ...]:
    found = tuple(names)
    for place, name in enumerate(found):
        if not isinstance(name, str):
            raise ValueError(
                f"column {place} is named {name!r}, which is not text; name it (pandas: "
                "frame.columns = frame.columns.astype(str))"
            )
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"several columns are named {twice!r}; rename them")
    return found


def _of_series(name: str, series: Any, where: Callable[[int], str]) -> Column:
    import narwhals as nw

    kind = series.dtype
    if kind.is_numeric() or kind == nw.Boolean:
        return Column(name, np.asarray(series.cast(nw.Float64).to_numpy(), np.float64))
    if kind.is_temporal():
        return _of_array(name, np.asarray(series.to_numpy()), where)
    if isinstance(kind, nw.List | nw.Array | nw.Struct | nw.Binary):
        raise UnusableColumn(name, f"holds {kind}")
    if isinstance(kind, nw.Categorical | nw.Enum):
        # Not to_numpy: of an Arrow dictionary it makes the last category where a cell is missing.
        return _of_categories(name, series.to_list())
    return _of_array(name, np.asarray(series.to_numpy()), where)


def _of_categories(name: str, values: list[Any]) -> Column:
    """Return categories as text, whatever they are: categories 1, 2, 3 are no quantities."""
    if all(_kind(type(value)) == "missing" or value != value for value in set(values)):
        return Column(name, np.full(len(values), np.nan))
    spelled: dict[Any, str | None] = {}
    for value in set(values):
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        spelled[value] = _spelled(float(value)) if number else _text(value)
    return Column(name, np.array([*map(spelled.__getitem__, values), None], object)[:-1])


def _of_array(name: str, values: Array, where: Callable[[int], str]) -> Column:
    if values.dtype.kind in "fiub":
        with np.errstate(over="ignore"):  # of longdouble: infinite, which is told later
            return Column(name, values.astype(np.float64))
    if values.dtype.kind in "UT":
        values = values.astype(object)
    if values.dtype.kind in "mM":
        shown = f" ({values[0]} at {where(0)})" if len(values) else ""
        raise UnusableColumn(
            name, f"holds {'durations' if values.dtype.kind == 'm' else 'dates'}{shown}"
        )
    if values.dtype != object:
        raise UnusableColumn(name, f"holds {values.dtype}")
    return _of_objects(name, values, where)


def _of_objects(name: str, values: Array, where: Callable[[int], str]) -> Column:
    """Tell numbers from texts in a column of Python objects, by all of them."""
    kinds = {kind: _kind(kind) for kind in set(map(type, values))}
    for kind, found in kinds.items():
        if found == "other":
            first = next(i for i, value in enumerate(values) if type(value) is kind)
            raise UnusableColumn(
                name, f"holds {kind.__name__} objects (the first at {where(first)})"
            )
    texts = [i for i, value in enumerate(values) if kinds[type(value)] == "text"]
    if not texts:
        return Column(name, np.array([_number(value, kinds) for value in values], np.float64))
    made = np.empty(len(values), object)
    made[texts] = [str(values[i]) for i in texts]
    for i, value in enumerate(values if "number" in kinds.values() else ()):
        if kinds[type(value)] == "number" and value == value:
            raise UnusableColumn(
                name,
                f"mixes texts and numbers ({values[texts[0]]!r} at {where(texts[0])}, {value!r} at "
                f"{where(i)})",
            )
    return Column(name, made)


def _kind(kind: type) -> str:
    if kind.__name__ in MISSING_TYPES:
        return "missing"
    if issubclass(kind, str):
        return "text"
    number = issubclass(kind, numbers.Real | Decimal | np.bool_)
    return "number" if number else "other"


def _number(value: Any, kinds: dict[type, str]) -> float:
    if kinds[type(value)] == "missing":
        return np.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond float64
        return np.inf if value > 0 else -np.inf


def _text(value: Any) -> str | None:
    missing = type(value).__name__ in MISSING_TYPES
    return None if missing else str(value)


def _spelled(value: float) -> str | None:
    if value != value:
        return None
    whole = abs(value) < _WHOLE_LIMIT and value == int(value)
    return str(int(value)) if whole else repr(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
