"""Tables of numbers in files, read in batches: exact, in order, in flat memory.

DuckDB reads, nanoarrow hands its record batches to NumPy without a copy; neither pandas nor pyarrow
takes part. What a cell means is decided here and never by a guess of the reader: see `cells`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from losskit.tables.cells import explain, quoted_text
from losskit.tables.delimited import other_delimiter
from losskit.tables.files import FORMATS, TableError, locate, nearest
from losskit.tables.parts import Part, describe, unreadable

if TYPE_CHECKING:
    import duckdb

__all__ = ["FORMATS", "Batch", "Table", "TableError", "open_table"]

# DuckDB's share; the CSV reader holds a 32 MB buffer per thread, hence few threads.
_MEMORY_LIMIT = "320MB"
_MAX_THREADS = 4
# More groups than this are an identifier passed by mistake, not something to compare.
_MAX_GROUPS = 10_000


@dataclass(frozen=True)
class Batch:
    """Consecutive rows as float64 arrays.

    `first_row` is the 1-based number of the first; `columns` hold NaN where a cell is missing, and
    `missing` a mask for the columns that have such cells; `group` indexes the group names.
    """

    first_row: int
    length: int
    columns: dict[str, np.ndarray]
    missing: dict[str, np.ndarray]
    group: np.ndarray | None


@dataclass(frozen=True)
class Table:
    """An open table. Made by `open_table`; may be read any number of times."""

    connection: duckdb.DuckDBPyConnection
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int | None:
        """The number of rows where it is known beforehand (not for JSON lines)."""
        known = [part.rows for part in self.parts]
        return None if None in known else sum(row or 0 for row in known)

    def require(self, names: Sequence[str]) -> None:
        """Raise for the first of `names` that is not a column of every part."""
        for part in self.parts:
            for name in names:
                if name not in part.columns and not part.has(name):
                    raise _no_column(part, name)

    def group_names(self, column: str) -> list[str]:
        """Return the distinct values of a column as text, numbers in order; blank is ''."""
        found: set[str] = set()
        for part in self.parts:
            rows = self._query(
                part,
                f"SELECT DISTINCT {part.text(column)} FROM {part.source} LIMIT {_MAX_GROUPS + 1}",
            )
            found.update(row[0] or "" for row in rows)
        if len(found) > _MAX_GROUPS:
            raise TableError(
                f"column {column!r} has more than {_MAX_GROUPS} distinct values; "
                "group by a coarser column"
            )
        return sorted(found, key=_natural)

    def batches(
        self, numbers: Sequence[str], by: str | None = None, groups: Sequence[str] = ()
    ) -> Iterator[Batch]:
        """Yield all rows in order; `groups` are `group_names(by)`.

        Raises:
            TableError: a cell that is no number, named with its row; a file that cannot be read.
        """
        names = list(dict.fromkeys(numbers))
        blank = groups.index("") if "" in groups else -1
        if by is not None:
            labels = ", ".join(quoted_text(group) for group in groups if group)
            self.connection.execute(f"CREATE OR REPLACE TEMP TYPE losskit_group AS ENUM ({labels})")
        # `enum_code` counts without the blank group.
        codes = np.array([index for index in range(len(groups)) if index != blank], dtype=np.intp)
        row = 1
        for part in self.parts:
            cells = {name: part.number(name) for name in names}
            selected = [f"{value} AS v{i}" for i, (value, _) in enumerate(cells.values())]
            checked = [(name, bad) for name, (_, bad) in cells.items() if bad is not None]
            selected += [f"{bad} AS b{i}" for i, (_, bad) in enumerate(checked)]
            if by is not None:
                selected.append(f"enum_code(CAST({part.text(by)} AS losskit_group))::INTEGER AS g")
            start = row
            for array in self._stream(part, f"SELECT {', '.join(selected)} FROM {part.source}"):
                for i, (name, _) in enumerate(checked):
                    self._refuse(part, name, array.child(len(names) + i), row, start)
                columns, missing = {}, {}
                for i, name in enumerate(names):
                    columns[name], absent = _floats(array.child(i))
                    if absent is not None:
                        missing[name] = absent
                group = None if by is None else _codes(array.child(len(selected) - 1), codes, blank)
                yield Batch(row, len(array), columns, missing, group)
                row += len(array)
            if part.counted and row - start != part.rows:
                raise TableError(
                    f"{part.shown} has {part.rows} records but {row - start} were read; "
                    "check its line ends and quotes"
                )

    def row_name(self, row: int) -> str:
        """Say where a row is: `row 12`, or `row 3 of b.csv` where the table has several files."""
        if len(self.parts) == 1:
            return f"row {row}"
        for part in self.parts:
            if part.rows is None:
                return f"row {row} of all files"
            if row <= part.rows:
                return f"row {row} of {part.shown}"
            row -= part.rows
        return f"row {row}"

    def _refuse(self, part: Part, name: str, child: Any, row: int, start: int) -> None:
        valid = _valid(child)
        if valid is not None and not valid.any():
            return
        at = 0 if valid is None else int(np.argmax(valid))
        text = str(child[at].as_py())
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        where = f"row {row + at - start + 1}" + (f" of {part.shown}" if len(self.parts) > 1 else "")
        said = explain(text)
        if said.startswith("a whole"):
            raise TableError(f"column {name!r} has {text.strip()} at {where}, {said}")
        raise TableError(f"column {name!r} has {shown} at {where} {said}")

    def _query(self, part: Part, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self.connection.execute(sql).fetchall()
        except Exception as error:
            raise unreadable(part.shown, error, part.explain) from None

    def _stream(self, part: Part, sql: str) -> Iterator[Any]:
        import nanoarrow

        try:
            # A relation exports its rows as they come; `execute` would collect them first.
            stream = iter(nanoarrow.ArrayStream(self.connection.sql(sql)))
        except Exception as error:
            raise unreadable(part.shown, error, part.explain) from None
        while True:
            try:
                array = next(stream)
            except StopIteration:
                return
            except Exception as error:
                raise unreadable(part.shown, error, part.explain) from None
            if len(array):
                yield array


@contextmanager
def open_table(
    path: str | os.PathLike[str],
    *,
    input_format: str | None = None,
    table: str | None = None,
    glob: bool = False,
    delimiter: str | None = None,
) -> Iterator[Table]:
    """Open a CSV, TSV, Parquet or JSON-lines file (also gzip), `-`, or a DuckDB database's `table`.

    Parameters are those of `losskit evaluate`. Databases are opened read-only; DuckDB may neither
    install nor load extensions, and works within a memory limit.

    Raises:
        TableError: one line that says what is wrong, where, and what to do.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="losskit-") as folder:
        config = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",  # SQL must not see Python's variables
            "preserve_insertion_order": "true",  # row numbers depend on it
            "memory_limit": os.environ.get("LOSSKIT_MEMORY_LIMIT", _MEMORY_LIMIT),
            "threads": str(min(_processors(), _MAX_THREADS)),
            "temp_directory": folder,
        }
        work = Path(folder)
        files = locate(os.fspath(path), work, input_format, glob)
        if len(files) > 1 and any(file.format == "duckdb" for file in files):
            raise TableError("--glob takes files, not databases; name one database")
        with duckdb.connect(config=config) as connection:
            # On by default in a notebook, and it writes to stdout, which belongs to the result.
            connection.execute("SET enable_progress_bar = false")
            # Prefetching takes a whole row group into memory, and some writers make only one.
            connection.execute("SET disable_parquet_prefetching = true")
            parts = tuple(describe(connection, file, table, delimiter) for file in files)
            yield Table(connection, parts)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _no_column(part: Part, name: str) -> TableError:
    listed = ", ".join(map(repr, part.columns[:12])) + (", ..." if len(part.columns) > 12 else "")
    hint = other_delimiter(part.columns) or nearest(name, part.columns)
    return TableError(f"{part.shown} has no column {name!r}{hint} (it has {listed})")


def _natural(text: str) -> tuple[bool, float, str]:
    try:
        return (False, float(text), text)
    except ValueError:
        return (True, 0.0, text)


def _valid(child: Any) -> np.ndarray | None:
    """The validity of an Arrow array as booleans, None where everything is valid."""
    bitmap = np.frombuffer(child.buffers[0], np.uint8)
    if not len(bitmap):
        return None
    bits = np.unpackbits(bitmap, bitorder="little")
    valid = bits[child.offset : child.offset + len(child)].view(bool)
    return None if valid.all() else valid


def _floats(child: Any) -> tuple[np.ndarray, np.ndarray | None]:
    values = np.frombuffer(child.buffers[1], np.float64)[child.offset : child.offset + len(child)]
    valid = _valid(child)
    if valid is None:
        return values, None
    return np.where(valid, values, np.nan), ~valid


def _codes(child: Any, codes: np.ndarray, blank: int) -> np.ndarray:
    raw = np.frombuffer(child.buffers[1], np.int32)[child.offset : child.offset + len(child)]
    valid = _valid(child)
    if valid is None:
        return codes[raw]
    group = np.full(len(raw), blank, dtype=np.intp)
    group[valid] = codes[raw[valid]]
    return group
