"""The rows of a table as they are handed out, and the fields of the query that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from losskit.tables import arrow
from losskit.tables.cells import explain_list, missing_label
from losskit.tables.parts import Part

# Numbers of lists in one batch: what is made of them stays small beside what was read.
_CELLS = 1 << 20


@dataclass(frozen=True)
class LabelCodes:
    """The texts of a column as numbers; made by `Table.label_codes`."""

    column: str
    kind: str  # the SQL type that has them
    listed: bool  # whether the user listed them, so that there may be others


@dataclass(frozen=True)
class Batch:
    """Consecutive rows as float64 arrays.

    `first_row` is the 1-based number of the first; `columns` hold NaN where a cell is missing, and
    `missing` a mask for the columns that have such cells; `group` indexes the group names.

    A column of lists is (rows, size), with NaN in rows of another length, whose lengths are then in
    `lengths`. `codes` are the labels' numbers, −1 where there is none: where `missing` says so, or
    for the text that `unknown(row)` returns.
    """

    first_row: int
    length: int
    columns: dict[str, np.ndarray]
    missing: dict[str, np.ndarray]
    group: np.ndarray | None
    lengths: dict[str, np.ndarray] = field(default_factory=dict)
    codes: np.ndarray | None = None
    unlabelled: np.ndarray | None = None  # the rows without a label
    unknown: Callable[[int], str] = str
    texts: dict[str, list[str | None]] = field(default_factory=dict)

    def pieces(self, width: int) -> Iterator[Batch]:
        """Yield the batch in parts of at most about a million numbers of lists."""
        step = max(1, _CELLS // width) if width else self.length
        if step >= self.length:
            yield self
            return
        for start in range(0, self.length, step):
            yield self._piece(start, min(start + step, self.length))

    def _piece(self, start: int, stop: int) -> Batch:
        rows = slice(start, stop)

        def cut(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: array[rows] for name, array in arrays.items()}

        return replace(
            self,
            first_row=self.first_row + start,
            length=stop - start,
            columns=cut(self.columns),
            missing=cut(self.missing),
            group=None if self.group is None else self.group[rows],
            lengths=cut(self.lengths),
            codes=None if self.codes is None else self.codes[rows],
            unlabelled=None if self.unlabelled is None else self.unlabelled[rows],
            unknown=lambda row: self.unknown(start + row),
            texts={name: texts[rows] for name, texts in self.texts.items()},
        )


class Fields:
    """What a query of one part selects, and the batches that its Arrow arrays are.

    `checks` has, for each column that may hold what is no number, its name, the place of the
    offending text, and the function that explains such a text.
    """

    def __init__(
        self,
        part: Part,
        numbers: Sequence[str],
        vectors: Sequence[str],
        labels: LabelCodes | None,
        by: str | None,
        texts: Sequence[str],
        explained: Callable[[str], str],
    ) -> None:
        self._selected: list[str] = []
        self.checks: list[tuple[str, int, Callable[[str], str]]] = []
        self._numbers = {n: self._checked(n, *part.number(n), explained) for n in numbers}
        self._vectors = {n: self._checked(n, *part.vector(n), explain_list) for n in vectors}
        self._texts = {n: self._select(part.label(n)) for n in texts}
        self._labels = labels
        if labels is not None:
            text = part.label(labels.column)
            code = f"enum_code(TRY_CAST({text} AS {labels.kind}))::INTEGER"
            self._code = self._select(code)
            absent = f"{text} IS NULL OR ({code} IS NULL AND {missing_label(text)})"
            self._absent = self._select(f"CASE WHEN {absent} THEN 1 END::INTEGER")
            self._text = self._select(text)
        self._by = None
        if by is not None:
            code = f"enum_code(CAST({part.text(by)} AS losskit_group))::INTEGER"
            self._by = self._select(code)
        self.sql = f"SELECT {', '.join(self._selected)} FROM {part.source}"

    def batch(self, array: Any, row: int, groups: np.ndarray, blank: int, size: int) -> Batch:
        """Return the rows of an Arrow array, of which the first has the number `row`."""
        columns, missing, lengths = {}, {}, {}
        for name, place in self._numbers.items():
            columns[name], absent = arrow.floats(array.child(place))
            if absent is not None:
                missing[name] = absent
        for name, place in self._vectors.items():
            columns[name], absent, other = arrow.vectors(array.child(place), size)
            if absent is not None:
                missing[name] = absent
            if other is not None:
                lengths[name] = other
        group = None if self._by is None else arrow.codes(array.child(self._by), groups, blank)
        read = {name: array.child(place).to_pylist() for name, place in self._texts.items()}
        batch = Batch(row, len(array), columns, missing, group, lengths, texts=read)
        if self._labels is None:
            return batch
        texts = array.child(self._text)
        absent = arrow.valid(array.child(self._absent))
        return replace(
            batch,
            codes=arrow.codes(array.child(self._code), None, -1),
            unlabelled=np.ones(len(array), bool) if absent is None else absent,
            unknown=lambda at: str(texts[at].as_py()),
        )

    def _checked(
        self, name: str, value: str, bad: str | None, explained: Callable[[str], str]
    ) -> int:
        place = self._select(value)
        if bad is not None:
            self.checks.append((name, self._select(bad), explained))
        return place

    def _select(self, sql: str) -> int:
        self._selected.append(f"{sql} AS v{len(self._selected)}")
        return len(self._selected) - 1
