"""Tables of numbers in files, read in batches: exact, in order, in flat memory.

DuckDB reads, nanoarrow hands its record batches to NumPy without a copy; neither pandas nor pyarrow
takes part. What a cell means is decided here and never by a guess of the reader: see `cells`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from losskit.tables import arrow
from losskit.tables.batches import Batch, LabelCodes
from losskit.tables.batches import Fields as _Fields
from losskit.tables.cells import explain, quoted_name, quoted_text
from losskit.tables.delimited import other_delimiter
from losskit.tables.files import FORMATS, CellError, TableError, locate, nearest
from losskit.tables.parts import Part, describe, unreadable

if TYPE_CHECKING:
    import duckdb

__all__ = ["FORMATS", "Batch", "LabelCodes", "Table", "TableError", "open_table"]

# DuckDB's share; the CSV reader holds a 32 MB buffer per thread, hence few threads.
_MEMORY_LIMIT = "320MB"
_MAX_THREADS = 4
# More groups than this are an identifier passed by mistake, not something to compare.
_MAX_GROUPS = 10_000


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

    def label_codes(self, column: str, labels: Sequence[str] | None = None) -> LabelCodes:
        """Number the texts of a column for `batches`: by their place in `labels`, or all there are.

        Blank cells have no number; beside `labels`, NA and null are blank as well.
        """
        kind = quoted_name(f"losskit_labels {column}")
        if labels is not None:
            values = ", ".join(map(quoted_text, labels))
        else:
            values = " UNION ".join(
                "SELECT DISTINCT label "
                f"FROM (SELECT {part.label(column)} FROM {part.source}) AS t(label) "
                "WHERE label IS NOT NULL" for part in self.parts
            )  # fmt: skip
        self._run(f"CREATE OR REPLACE TEMP TYPE {kind} AS ENUM ({values})")
        return LabelCodes(column, kind, labels is not None)

    def label(self, codes: LabelCodes, code: int) -> str:
        """Return the text that has a number."""
        sql = f"SELECT (enum_range(NULL::{codes.kind}))[{code + 1}]"
        return str(self.connection.execute(sql).fetchall()[0][0])

    def batches(
        self,
        numbers: Sequence[str],
        by: str | None = None,
        groups: Sequence[str] = (),
        *,
        labels: LabelCodes | None = None,
        vectors: Sequence[str] = (),
        size: int = 0,
        texts: Sequence[str] = (),
        explained: Callable[[str], str] = explain,
    ) -> Iterator[Batch]:
        """Yield all rows in order; `groups` are `group_names(by)`, `labels` of `label_codes`, and
        `vectors` name columns of lists with `size` numbers each, `texts` those wanted as text.

        `explained` says of the text of a cell that is no number what is wrong with it.

        Raises:
            CellError: a cell that is no number, named with its row.
            TableError: a file that cannot be read.
        """
        blank = groups.index("") if "" in groups else -1
        if by is not None:
            named = ", ".join(quoted_text(group) for group in groups if group)
            self.connection.execute(f"CREATE OR REPLACE TEMP TYPE losskit_group AS ENUM ({named})")
        # `enum_code` counts without the blank group.
        places = np.array([index for index in range(len(groups)) if index != blank], dtype=np.intp)
        row = 1
        for part in self.parts:
            fields = _Fields(part, numbers, vectors, labels, by, texts, explained)
            start = row
            for array in self._stream(part, fields.sql):
                for name, place, said in fields.checks:
                    self._refuse(part, name, array.child(place), row, start, said)
                yield from fields.batch(array, row, places, blank, size).pieces(size * len(vectors))
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

    def _refuse(
        self, part: Part, name: str, child: Any, row: int, start: int, say: Callable[[str], str]
    ) -> None:
        bad = arrow.valid(child)
        if bad is not None and not bad.any():
            return
        at = 0 if bad is None else int(np.argmax(bad))
        text = str(child[at].as_py())
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        where = f"row {row + at - start + 1}" + (f" of {part.shown}" if len(self.parts) > 1 else "")
        said = say(text)
        if said.startswith("a whole"):
            raise CellError(f"column {name!r} has {text.strip()} at {where}, {said}", name)
        raise CellError(f"column {name!r} has {shown} at {where} {said}", name)

    def _run(self, sql: str) -> None:
        try:
            self.connection.execute(sql)
        except Exception as error:
            raise unreadable(self.parts[0].shown, error, self.parts[0].explain) from None

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
