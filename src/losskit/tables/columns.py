"""A whole table as a dict of NumPy columns: what `losskit fit` and `losskit predict` read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from losskit.tables import Table, TableError
from losskit.tables.cells import explain_number, json_pointer
from losskit.tables.files import CellError
from losskit.tables.parts import Part, unreadable

# What may be asked of a column.
Kind = Literal["number", "text"]
# What a column turns out to be: a "number" has whole numbers if all of its cells are whole.
_Found = Literal["number", "integer", "float", "boolean", "text"]

# Columns that one query counts, and that one reads: its memory and time grow faster than they.
_COUNTED = 16
_READ = 128
# Cells of a file of text are tried as numbers on this many rows, fewer of tables with more columns
# than are counted in one query; the reading verifies the rest.
_SAMPLE = 10_000
_LEAST_SAMPLE = 100
# A column of which more than this share are numbers is one of numbers, and the rest are mistakes.
_MOSTLY = 0.9
# Text that is no number, though it reads as one: 007 and 01234 name things.
_CODE = "^0[0-9]+$"
_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")
_WHOLE_LIMIT = 2**53


def read_columns(
    table: Table,
    names: Sequence[str] | None = None,
    *,
    kinds: Mapping[str, Kind] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, np.ndarray]:
    """Read columns of an open table (all that its header, schema or first records name) as arrays.

    A column is float64 with NaN where a cell is missing; int64 where the file says so or, in files
    of text and JSON, where every cell is a whole number; bool in files that have such a type; else
    text: an object array of str, None where a cell is blank. What counts as a number and what as
    missing is said in `losskit.tables.cells`. `NA` in a column of text is a text like any other,
    and so are `true` and `false` in CSV; dates are text, and whole numbers of which one in ten or
    more exceed 2^53 are, as identifiers. True and false beside blank cells are an object array.
    A column of CSV in which one of the first cells is a code such as 007 is text.

    Args:
        table: from `open_table`.
        names: the columns to read, in this order.
        kinds: columns to read as numbers, or as text (verbatim in CSV), whatever they look like.
        progress: called with the rows read so far and the number of all rows, where it is known.

    Raises:
        TableError: no such column; lists or objects; a cell that is no number in a column of which
            nine in ten are, or that `kinds` calls one, named with its row.
    """
    chosen = list(table.parts[0].columns if names is None else dict.fromkeys(names))
    if not chosen:
        raise TableError(f"{table.parts[0].shown} has no columns to read")
    table.require(chosen)
    given = {name: kind for name, kind in (kinds or {}).items() if name in chosen}
    unknown = [name for name in chosen if name not in given]
    sample = max(_LEAST_SAMPLE, _SAMPLE * _COUNTED // max(_COUNTED, len(unknown)))
    found: dict[str, _Found] = {**given, **_kinds(table, unknown, sample)}
    try:
        return _read(table, chosen, found, progress)
    except CellError as error:
        if error.column in given:
            raise
        known = _kinds(table, [name for name in unknown if found[name] != "text"], None)
        if known[error.column] == found[error.column]:
            raise
    return _read(table, chosen, found | known, progress)


@dataclass
class _Cells:
    """How many cells are numbers and how many are not, and the types of the parts."""

    numbers: int
    others: int
    types: set[str]

    def kind(self) -> _Found:
        if "text" in self.types or self.others > (self.numbers + self.others) * (1 - _MOSTLY):
            return "text"
        if self.types == {"boolean"}:
            return "boolean"
        if self.types == {"integer"}:
            return "integer"
        return "float" if "float" in self.types else "number"


def _kinds(table: Table, names: Sequence[str], rows: int | None) -> dict[str, _Found]:
    """Return what each column is, by the types of the parts or the first `rows` rows of each."""
    cells = {name: _Cells(0, 0, set()) for name in names}
    for part in table.parts:
        types = {name: _type(part, name) for name in names}
        for name, type_name in types.items():
            cells[name].types |= {type_name} - {"cells"}
        asked = [name for name in names if types[name] in ("cells", "integer")]
        for start in range(0, len(asked), _COUNTED):
            counted = _count(table, part, asked[start : start + _COUNTED], rows)
            for name, (numbers, others, codes, found) in counted.items():
                cells[name].numbers += numbers
                cells[name].others += others
                if found & {"ARRAY", "OBJECT"}:
                    raise _nested(part, name, "lists or objects")
                if codes:
                    cells[name].types.add("text")
                elif types[name] == "cells" and numbers + others:
                    cells[name].types.add("boolean" if found == {"BOOLEAN"} else "number")
    return {name: seen.kind() for name, seen in cells.items()}


def _type(part: Part, name: str) -> str:
    """Return the kind of a typed column, `cells` where each cell has its own type."""
    sql = part.type(name)
    if sql in ("TEXT", "JSON"):
        return "cells"
    if sql.endswith("INT") or sql in ("INTEGER", "UINTEGER"):
        return "integer"
    if sql.startswith(_FLOATS) and not sql.endswith("]"):
        return "float"
    if sql == "BOOLEAN":
        return "boolean"
    if sql == '"NULL"':
        return "float"
    if sql.endswith("]") or sql.startswith(("STRUCT", "MAP", "UNION", "BLOB", "BIT", "VARIANT")):
        raise _nested(part, name, sql)
    return "text"


def _nested(part: Part, name: str, what: str) -> TableError:
    return TableError(
        f"column {name!r} of {part.shown} holds {what}, which is neither numbers nor text; name "
        "the columns to read without it"
    )


def _count(
    table: Table, part: Part, names: Sequence[str], rows: int | None
) -> dict[str, tuple[int, int, int, set[str]]]:
    """Count the cells that are numbers, those that are not, and in files of text those that are
    codes; in JSON, say which types occur.
    """
    inner, outer = [], []
    for place, name in enumerate(names):
        value, bad = part.number(name)
        kind = f"json_type(json, {json_pointer(name)})" if part.type(name) == "JSON" else "NULL"
        text = part.text(name) if part.type(name) == "TEXT" else "NULL"
        inner.append(
            f"{value} AS v{place}, {bad or 'NULL'} AS b{place}, {kind} AS t{place}, "
            f"{text} AS c{place}_text"
        )
        outer.append(
            f"count(v{place}) FILTER (WHERE b{place} IS NULL), count(b{place}), "
            f"count(*) FILTER (WHERE regexp_matches(trim(c{place}_text), '{_CODE}')), "
            f"list(DISTINCT t{place}) FILTER (WHERE t{place} <> 'NULL')"
        )
    if not names:
        return {}
    limit = "" if rows is None else f" LIMIT {rows}"
    sql = f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {part.source}{limit})"
    try:
        (row,) = table.connection.execute(sql).fetchall()
    except Exception as error:
        raise unreadable(part.shown, error, part.explain) from None
    return {
        name: (*row[4 * place : 4 * place + 3], set(row[4 * place + 3] or ()))
        for place, name in enumerate(names)
    }


def _read(
    table: Table,
    names: Sequence[str],
    kinds: Mapping[str, _Found],
    progress: Callable[[int, int | None], None] | None,
) -> dict[str, np.ndarray]:
    read: dict[str, np.ndarray] = {}
    for start in range(0, len(names), _READ):
        read |= _read_some(table, names[start : start + _READ], kinds, progress)
    return read


def _read_some(
    table: Table,
    names: Sequence[str],
    kinds: Mapping[str, _Found],
    progress: Callable[[int, int | None], None] | None,
) -> dict[str, np.ndarray]:
    texts = [name for name in names if kinds[name] == "text"]
    numbers = [name for name in names if kinds[name] != "text"]
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    known: dict[str, dict[str | None, str | None]] = {name: {} for name in texts}
    done = 0
    for batch in table.batches(numbers, texts=texts, explained=explain_number):
        for name in numbers:  # a copy: what was read lies in a buffer of the whole batch
            pieces[name].append(np.array(batch.columns[name]))
        for name in texts:  # equal texts become one object
            piece = np.empty(batch.length, object)
            piece[:] = [known[name].setdefault(text, text) for text in batch.texts[name]]
            pieces[name].append(piece)
        done += batch.length
        if progress is not None:
            progress(done, table.rows)
    return {name: _joined(pieces.pop(name), kinds[name]) for name in names}


def _joined(pieces: list[np.ndarray], kind: _Found) -> np.ndarray:
    if kind == "text":
        return np.concatenate([np.empty(0, object), *pieces])
    column = np.concatenate([np.empty(0), *pieces])
    missing = np.isnan(column)
    if kind == "boolean" and bool((missing | (column == 0) | (column == 1)).all()):
        if not missing.any():
            return column.astype(bool)
        flags = (column == 1).astype(object)
        flags[missing] = None
        return flags
    if kind != "float" and not missing.any():
        whole = (np.abs(column) <= _WHOLE_LIMIT) & (column == np.trunc(column))
        if whole.all() and (len(column) or kind == "integer"):
            return column.astype(np.int64)
    return column
