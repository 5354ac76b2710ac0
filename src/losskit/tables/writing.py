"""Writing columns to a table: all of it, or nothing."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from losskit.replacing import replacing
from losskit.tables.files import TableError, format_named

# Rows that are turned into text at a time.
_ROWS = 1 << 14
# Endings that promise what this is not; any other that is unknown, or none, is CSV.
_FOREIGN = tuple(f".{name}" for name in "gz bz2 xz zst zip xls xlsx ods feather arrow orc".split())


def write_table(path: str | os.PathLike[str], columns: Mapping[str, np.ndarray]) -> None:
    """Write equally long columns as CSV, as TSV or Parquet where the name ends so, `-` to stdout.

    A file appears when it is complete, under a name that until then keeps what it had. Numbers are
    written with the digits that give them back exactly; NaN and None are blank (NULL in Parquet),
    booleans `true` and `false`.

    Raises:
        TableError: a name that asks for another format; a folder that cannot be written to.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths or len(set(lengths.values())) > 1:
        raise ValueError(f"write_table needs columns of one length, not {lengths}")
    if os.fspath(path) == "-":
        _write_text(sys.stdout, columns, ",")
        sys.stdout.flush()
        return
    form = output_format(path)
    with _writing(path) as target:
        if form == "parquet":
            _write_parquet(target, columns)
        else:
            with open(target, "w", encoding="utf-8", newline="") as sink:
                _write_text(sink, columns, "\t" if form == "tsv" else ",")


def output_format(path: str | os.PathLike[str]) -> str:
    """Return the format that a file's name asks for; TableError where it is not written."""
    form = format_named(os.fspath(path))
    foreign = os.fspath(path).lower().endswith(_FOREIGN)
    if foreign or form not in (None, "csv", "tsv", "parquet"):
        raise TableError(
            f"{os.fspath(path)!r} asks for a format that is not written; end the name in .csv, "
            ".tsv or .parquet"
        )
    return form or "csv"


@contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the file to write: `path` itself if it is a pipe or the like, else what replaces it."""
    shown, place = os.fspath(path), Path(os.path.realpath(path))
    if place.is_dir():
        raise TableError(f"{shown!r} is a directory; name a file in it")
    if place.exists() and not place.is_file():
        yield place
        return
    try:
        with replacing(path) as own:
            yield own
    except OSError as error:
        raise TableError(f"{shown!r} cannot be written: {error.strerror or error}") from None


def _write_text(sink: TextIO, columns: Mapping[str, np.ndarray], delimiter: str) -> None:
    writer = csv.writer(sink, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    length = len(next(iter(columns.values())))
    for start in range(0, length, _ROWS):
        part = slice(start, start + _ROWS)
        writer.writerows(zip(*(_texts(values[part]) for values in columns.values()), strict=True))


def _texts(values: np.ndarray) -> Iterable[str]:
    values = np.asarray(values)
    if values.dtype.kind == "f":
        # Items of float32 and narrower know their own shortest digits; Python's floats are faster.
        items = values.tolist() if values.dtype == np.float64 else list(values)
        return ["" if item != item else str(item) for item in items]
    return [_text(item) for item in values.tolist()]


def _text(item: object) -> str:
    if item is None or item != item:
        return ""
    if isinstance(item, bool | np.bool_):
        return "true" if item else "false"
    return str(item)


def _write_parquet(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    import duckdb

    from losskit.tables.cells import quoted_name, quoted_text

    folded: dict[str, str] = {}
    for name in columns:
        other = folded.setdefault(name.lower(), name)
        if other != name:  # DuckDB would rename the second
            raise TableError(
                f"Parquet is written without minding case, but columns {other!r} and {name!r} "
                "differ in nothing else; rename one, or write CSV"
            )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        given = {f"c{i}": _plain(np.asarray(v)) for i, v in enumerate(columns.values())}
        connection.register("losskit_columns", given)
        selected = ", ".join(f"c{i} AS {quoted_name(name)}" for i, name in enumerate(columns))
        copy = f"COPY (SELECT {selected} FROM losskit_columns) TO {quoted_text(str(path))}"
        try:
            connection.execute(f"{copy} (FORMAT parquet)")
        except duckdb.IOException as error:
            raise OSError(str(error).splitlines()[0]) from None


def _plain(values: np.ndarray) -> np.ndarray:
    """Return what DuckDB takes: it knows one of NumPy's two kinds of text, and that as an ENUM."""
    return values.astype(object) if values.dtype.kind in "UT" else values
