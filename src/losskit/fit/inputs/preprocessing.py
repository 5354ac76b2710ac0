"""From the columns of a data frame to a matrix, by a step that is learned once and recorded.

Numbers (booleans are 0 and 1) are standardised, so that a penalty treats the units of all alike; a
missing one becomes the mean, beside a column that tells where. Categories become a column of 0 and
1 for each level, the missing ones a level of their own; these stay 0 and 1, so that a penalty
shrinks a rare level more. No level is left out: under a penalty each is shrunk towards the common
mean, and leaving one out would make the model depend on which (`reference=True` does, for fits
without a penalty, where the levels would sum to the intercept).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from losskit.arrays import Array
from losskit.fit.inputs.encodings import (
    Levels,
    Numbers,
    Where,
    encoding_from_json,
    exactly,
    learn_levels,
    learn_numbers,
    listed,
)
from losskit.fit.inputs.frames import UnusableColumn, open_frame

_row: Where = "row {}".format


@dataclass(frozen=True)
class Preprocessing:
    """The recorded step from a data frame to a matrix; made by `learn`, kept with the model.

    `notes` say in a line each what was done that the caller should know of.

    >>> import numpy as np
    >>> from losskit.fit.inputs.preprocessing import Preprocessing
    >>> frame = {"age": np.array([20.0, np.nan, 40.0]), "city": ["Oslo", "Bergen", "Oslo"]}
    >>> step = Preprocessing.learn(frame)
    >>> step.names
    ('age', 'age missing', 'city=Bergen', 'city=Oslo')
    >>> step.apply({"age": [30.0, None], "city": ["Bergen", "Oslo"]})
    array([[0., 0., 1., 0.],
           [0., 1., 0., 1.]])
    """

    columns: tuple[Numbers | Levels, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        frame: Any,
        *,
        features: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        standardize: bool = True,
        reference: bool = False,
        unusable: Literal["error", "leave out"] = "error",
        weight: Any = None,
        where: Where = _row,
    ) -> Preprocessing:
        """Learn means, standard deviations and levels from all rows of a data frame.

        Numbers stay numbers however few there are; texts, pandas categories and Polars enums are
        categories. Columns that do not vary are left out.

        Args:
            frame: a pandas, Polars or Arrow table, or a dict of arrays.
            features: the columns to use; all by default, but for `exclude`.
            exclude: columns not to use, such as the target.
            standardize: whether numbers get mean 0 and standard deviation 1 (weighted, over n).
            reference: leave out the first level of each category.
            unusable: what to do where a column holds dates, lists or other objects, mixes texts and
                numbers, or has more than 1000 levels or one for most rows: an error, or leave it
                out with a note. Named features are always an error.
            weight: of each row, not negative; rows of weight 0 do not count and may hold anything.
            where: names a row in messages by its place, counted from 0.

        Raises:
            ValueError: no such column; an infinite number; an unusable column; none that varies.
        """
        if unusable not in ("error", "leave out"):
            raise ValueError(f"unusable is 'error' or 'leave out', not {unusable!r}")
        opened = open_frame(frame, where)
        w = _weights(weight, opened.rows)
        kept: list[Numbers | Levels] = []
        notes: list[str] = []
        for name in _chosen(opened.names, features, exclude):
            try:
                column = opened.column(name)
                learned, said = (
                    learn_levels(column, w, reference)
                    if column.is_text
                    else learn_numbers(column, w, standardize, where)
                )
            except UnusableColumn as error:
                if unusable == "error" or features is not None:
                    raise
                learned, said = None, [f"{name} is left out: it {error.reason}"]
            notes += said
            kept += [learned] if learned is not None else []
        if not kept:
            why = f": {'; '.join(notes)}" if notes else ""
            raise ValueError(f"no column is left to learn from{why}")
        _check_names(kept)
        return cls(tuple(kept), tuple(notes))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the matrix's columns, such as `age`, `age missing` and `city=Oslo`."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def sources(self) -> tuple[str, ...]:
        """For each of the matrix's columns, the frame's column that it was made of."""
        return tuple(column.name for column in self.columns for _ in column.names)

    @property
    def kinds(self) -> dict[str, Literal["number", "text"]]:
        """The frame's columns that `apply` needs, and how to read each from a file."""
        return {column.name: column.kind for column in self.columns}

    @property
    def centre(self) -> Array:
        """What is subtracted in each of the matrix's columns, (d,), in the units of the frame."""
        return self._each(lambda numbers: numbers.centre, 0.0)

    @property
    def scale(self) -> Array:
        """What each column is divided by then, (d,): w/scale are coefficients in those units."""
        return self._each(lambda numbers: numbers.scale, 1.0)

    def apply(
        self,
        frame: Any,
        *,
        unknown: Literal["error", "ignore"] = "error",
        weight: Any = None,
        where: Where = _row,
    ) -> Array:
        """Return the matrix of a data frame, (n, d), float64 in Fortran order.

        Columns are found by name, in any order; others are ignored. A missing number becomes the
        mean even where none was missing before. A category that was not there before, a missing
        one included, is an error, or no level at all with `unknown="ignore"`. In rows of weight 0
        anything goes; what cannot be encoded is 0 there.

        Raises:
            ValueError: a column that is not there, or holds texts where it held numbers; an
                infinite number; an unknown category: each with its column and row.
        """
        if unknown not in ("error", "ignore"):
            raise ValueError(f"unknown is 'error' or 'ignore', not {unknown!r}")
        if unknown == "ignore" and any(isinstance(c, Levels) and c.reference for c in self.columns):
            raise ValueError(
                "unknown='ignore' would take an unknown category for the level that was left out "
                "(reference=True)"
            )
        opened = open_frame(frame, where)
        w = _weights(weight, opened.rows)
        counts = None if w is None else w > 0
        absent = [column.name for column in self.columns if column.name not in opened.names]
        if absent:
            more = f" (nor {listed(absent[1:])})" if len(absent) > 1 else ""
            raise ValueError(
                f"the data has no column {absent[0]!r}{more}, which the model was fitted with"
                f"{_nearest(absent[0], opened.names)} (it has {listed(opened.names)})"
            )
        out = np.empty((opened.rows, len(self.names)), order="F")
        start = 0
        for step in self.columns:
            part = out[:, start : start + len(step.names)]
            start += len(step.names)
            if isinstance(step, Levels):
                step.encode(opened.column(step.name), part, counts, where, unknown)
            else:
                step.encode(opened.column(step.name), part, counts, where)
        return out

    def describe(self) -> str:
        """Return a line for each of the frame's columns that says what becomes of it."""
        return "\n".join(column.describe() for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`, which `from_json` turns back into the same step."""
        columns = [{"kind": column.kind, **asdict(column)} for column in self.columns]
        for column in columns:
            if column["kind"] == "text":
                column["levels"] = list(column["levels"])
        return {"columns": columns, "notes": list(self.notes)}

    @classmethod
    def from_json(cls, data: Any) -> Preprocessing:
        """Return the step that `to_json` gave; what it could not have given is a ValueError."""
        try:
            columns = [encoding_from_json(column) for column in exactly(data["columns"], list)]
            notes = tuple(exactly(note, str) for note in exactly(data["notes"], list))
            if not columns or len({column.name for column in columns}) < len(columns):
                raise ValueError("columns")
            _check_names(columns)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"the preprocessing step is damaged ({type(error).__name__}: {error})"
            ) from None
        return cls(tuple(columns), notes)

    def _each(self, field: Callable[[Numbers], float], otherwise: float) -> Array:
        found = np.full(len(self.names), otherwise)
        start = 0
        for column in self.columns:
            if isinstance(column, Numbers) and column.varies:
                found[start] = field(column)
            start += len(column.names)
        return found


def _weights(weight: Any, rows: int) -> Array | None:
    if not rows:
        raise ValueError("the data frame has no rows")
    if weight is None:
        return None
    found = np.asarray(weight, np.float64)
    if found.shape != (rows,):
        raise ValueError(f"weight has shape {found.shape}, but the data frame has {rows} rows")
    bad = ~((found >= 0) & np.isfinite(found))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"weight[{at}] = {found[at]:g} must be finite and not negative")
    if not found.any():
        raise ValueError("all weights are 0; at least one row must count")
    return found / found.max()  # so that their sum cannot overflow


def _chosen(
    names: Sequence[str], features: Sequence[str] | None, exclude: Sequence[str]
) -> list[str]:
    for name in [*(features or ()), *exclude]:
        if name not in names:
            raise ValueError(
                f"the data has no column {name!r}{_nearest(name, names)} (it has {listed(names)})"
            )
    found = dict.fromkeys(names if features is None else features)
    return [name for name in found if name not in exclude]


def _check_names(columns: Sequence[Numbers | Levels]) -> None:
    names = Counter(name for column in columns for name in column.names)
    for name, times in names.items():
        if times > 1:
            raise ValueError(f"two columns of the matrix would be named {name!r}; rename one")


def _nearest(name: str, names: Sequence[str]) -> str:
    lowered = {known.strip().lower(): known for known in reversed(names)}
    close = difflib.get_close_matches(name.strip().lower(), list(lowered), 1)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""
