"""From what the user typed to regular files that DuckDB can open by a name of our own choice."""

from __future__ import annotations

import difflib
import glob as globbing
import gzip
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FORMATS = ("csv", "tsv", "parquet", "jsonl", "duckdb")

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".db": "duckdb",
}
_GZIP = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
# First bytes of files that people pass by mistake, and what they should do instead.
_FOREIGN = {
    b"SQLite format 3": "is an SQLite database: export the table to CSV or Parquet first",
    b"PK\x03\x04": "is a zip archive (Excel?): save it as CSV first",
    b"\xd0\xcf\x11\xe0": "is an old Excel file: save it as CSV first",
    b"ARROW1": "is an Arrow (Feather) file: save it as Parquet first",
    b"ORC": "is an ORC file: save it as Parquet first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first (only gzip is read)",
    b"BZh": "is compressed with bzip2: unpack it first (only gzip is read)",
    b"\xfd7zXZ": "is compressed with xz: unpack it first (only gzip is read)",
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8 first",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8 first",
}
_HEAD = 65536
_BLOCK = 1 << 20


class TableError(ValueError):
    """Tells the user in one line what is wrong with a table, where, and what to do."""


class CellError(TableError):
    """A cell that is not what its column was asked for as; `column` is the column's name."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class File:
    """One regular file: where DuckDB finds it, what the user calls it, and its format."""

    path: Path
    shown: str
    format: str


def locate(text: str, folder: Path, input_format: str | None, glob: bool) -> list[File]:
    """Find the files that `text` names; `folder` takes what has to be copied or unpacked.

    `text` is taken literally, `-` meaning standard input, unless `glob` is true. Everything that
    is not a plain regular file is copied there first, because a table may be read twice.
    """
    if input_format is not None and input_format not in FORMATS:
        raise TableError(
            f"input format {input_format!r} is unknown; use one of {', '.join(FORMATS)}"
        )
    if not glob:
        return [_one(text, folder, 0, input_format)]
    matches = sorted(globbing.glob(text, recursive=True))
    paths = [match for match in matches if not Path(match).is_dir()]
    if not paths:
        raise TableError(
            f"no file matches {text!r}; quote the pattern so that the shell leaves it alone"
        )
    return [_one(path, folder, index, input_format) for index, path in enumerate(paths)]


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` when a known name is close, else an empty string."""
    lowered = {candidate.strip().lower(): candidate for candidate in reversed(known)}
    close = difflib.get_close_matches(name.strip().lower(), list(lowered), 1, 0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def format_named(name: str) -> str | None:
    """Return the format that the ending of a file's name stands for, `.gz` left aside."""
    return _SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)


def _one(text: str, folder: Path, index: int, input_format: str | None) -> File:
    own = folder / f"part{index}"
    if text == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise TableError("'-' reads standard input, but nothing is piped in; name a file")
        _copy(sys.stdin.buffer, own, "standard input", lambda source: source)
        return _opened(own, "standard input", own, "", input_format)
    if not text:
        raise TableError("the table's name is empty; name a file, or - for standard input")
    path = Path(text)
    try:
        if path.is_dir():
            raise TableError(
                f"{text!r} is a directory; name one file, or all of them with "
                f"--glob '{text.rstrip('/')}/*.parquet'"
            )
        if not path.exists():
            raise TableError(_missing(path, text))
        if not path.is_file():  # a pipe such as /dev/fd/63: it can be read only once
            with path.open("rb") as source:
                _copy(source, own, text, lambda source: source)
            return _opened(own, text, own, path.name, input_format)
        return _opened(path, text, own, path.name, input_format)
    except OSError as error:
        raise TableError(f"{text!r} cannot be opened: {error.strerror or error}") from None


def _missing(path: Path, text: str) -> str:
    if any(mark in text for mark in "*?["):
        return f"{text!r} does not exist; a path is taken literally: --glob makes it a pattern"
    if path.is_symlink():
        return f"{text!r} is a link that leads to no file"
    try:
        others = {entry.stem: entry.name for entry in path.parent.iterdir() if entry.is_file()}
    except OSError:
        others = {}
    # By the stems: all names that end in .csv are alike.
    close = difflib.get_close_matches(path.stem, list(others), 1, 0.6)
    hint = f"; did you mean {others[close[0]]!r}?" if close else ""
    return f"{text!r} does not exist{hint}"


def _opened(path: Path, shown: str, own: Path, name: str, input_format: str | None) -> File:
    """Unpack `path` where needed, decides its format, and gives it a name without wildcards.

    DuckDB expands `*`, `?` and `[` in every path and reads `key=value` folders as columns; a link
    in our own folder keeps the user's spelling out of SQL altogether.
    """
    with path.open("rb") as source:
        packed = source.read(2) == _GZIP
        source.seek(0)
        if packed:
            # DuckDB reads gzip too, but does not verify the checksum of what it unpacked.
            unpacked = own.with_suffix(".unpacked")
            _copy(source, unpacked, shown, lambda source: gzip.GzipFile(fileobj=source))
            path = unpacked
    with path.open("rb") as source:
        head = source.read(_HEAD)
    if not head.strip():
        raise TableError(f"{shown} is empty; it needs a header or at least one record")
    format = _format_of(head, name, shown, input_format)
    if format == "jsonl" and head.startswith(_UTF8_BOM):  # DuckDB refuses it
        bare = own.with_suffix(".bare")
        with path.open("rb") as source:
            source.seek(len(_UTF8_BOM))
            _copy(source, bare, shown, lambda source: source)
        path = bare
    if format != "duckdb" and path.parent != own.parent:
        own.symlink_to(path.resolve())
        path = own
    return File(path, shown, format)


def _format_of(head: bytes, name: str, shown: str, input_format: str | None) -> str:
    binary = "parquet" if head.startswith(b"PAR1") else "duckdb" if head[8:12] == b"DUCK" else None
    foreign = next((advice for magic, advice in _FOREIGN.items() if head.startswith(magic)), None)
    if foreign:
        raise TableError(f"{shown} {foreign}")
    named = format_named(name)
    format = input_format or binary or named or _sniffed(head)
    if format in ("parquet", "duckdb") and format != binary:
        what = "a Parquet file" if format == "parquet" else "a DuckDB database"
        raise TableError(f"{shown} is not {what} (its first bytes are {head[:8]!r})")
    if format not in ("parquet", "duckdb") and binary:
        raise TableError(f"{shown} is a {binary} file, not {format}; leave --input-format out")
    if format == "jsonl" and head.removeprefix(_UTF8_BOM).lstrip()[:1] == b"[":
        raise TableError(
            f"{shown} holds one JSON array; write one object per line (jq -c '.[]' makes that)"
        )
    return format


def _sniffed(head: bytes) -> str:
    text = head.removeprefix(_UTF8_BOM).lstrip()
    if text[:1] in (b"{", b"["):
        return "jsonl"
    line = text.split(b"\n", 1)[0]
    return "tsv" if line.count(b"\t") > line.count(b",") else "csv"


def _copy(
    source: BinaryIO, target: Path, shown: str, wrap: Callable[[BinaryIO], BinaryIO | gzip.GzipFile]
) -> None:
    try:
        reader = wrap(source)
        with target.open("wb") as sink:
            while block := reader.read(_BLOCK):
                sink.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(f"{shown} is damaged gzip: {error}") from None
    except OSError as error:
        raise TableError(
            f"{shown} cannot be copied to {target.parent}: {error.strerror or error}; "
            "set TMPDIR to a folder with enough room"
        ) from None
