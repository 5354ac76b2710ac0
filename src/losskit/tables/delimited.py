"""The strict shape of a CSV file: its header, and that every record has as many fields.

DuckDB accepts `3,4,,` under a header of two columns, skips what it takes for blank, and returns no
rows at all when it misjudges the line ends. So the shape is established here, in one pass over the
bytes (about 1 GB/s), and the number of records is compared with what DuckDB delivered.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from losskit.tables.files import TableError

_CHUNK = 1 << 20
_LF, _CR, _QUOTE = 10, 13, 34


@dataclass(frozen=True)
class Shape:
    """What a pass over the bytes established: records below the header, and uniform line ends."""

    records: int
    mixed_line_ends: bool


def read_header(path: Path, shown: str, delimiter: str) -> tuple[str, ...]:
    """Return the column names of line 1; an empty or repeated name is an error."""
    with path.open("rb") as source:
        head = source.read(_CHUNK)
        if b"\r" in head and b"\n" not in head:
            raise TableError(f"{shown} ends its lines with CR alone; convert them to LF first")
        source.seek(0)
        text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
        try:
            names = next(csv.reader(text, delimiter=delimiter, strict=True), [])
        except UnicodeDecodeError:
            raise TableError(f"{shown} cannot be read: {not_utf8(path)}") from None
        except csv.Error as error:
            raise TableError(f"{shown} has a header that is not valid CSV: {error}") from None
    if not names:
        raise TableError(f"{shown} has a blank line 1; the header must be the first line")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise TableError(
                f"{shown} has no name for column {position} in its header; name it "
                "(pandas writes its index so: use to_csv(index=False))"
            )
        if name in seen:
            raise TableError(
                f"{shown} names columns {seen[name]} and {position} both {name!r}; rename one"
            )
        seen[name] = position
    return tuple(names)


def other_delimiter(columns: tuple[str, ...]) -> str:
    """Return a hint where a header of one name looks like several under another delimiter."""
    if len(columns) != 1:
        return ""
    for mark in ";|,":
        if mark in columns[0]:
            return f"; {mark!r} seems to separate its fields: pass --delimiter {mark!r}"
    return "; tabs seem to separate its fields: pass --input-format tsv" * ("\t" in columns[0])


def not_utf8(path: Path) -> str:
    """Say where the first byte is that is not UTF-8, and what to do."""
    with path.open("rb") as source:
        for number, line in enumerate(source, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return (
                    f"line {number} is not UTF-8 text (byte 0x{line[error.start]:02x}, number "
                    f"{error.start + 1} of the line); convert the file first "
                    "(iconv -f latin1 -t utf-8)"
                )
    return "it is not UTF-8 text; convert it first (iconv -f latin1 -t utf-8)"


def measure(path: Path, shown: str, delimiter: str, columns: int) -> Shape:
    """Count the records and verifies that each has `columns` fields.

    Quoting is RFC 4180: a quote opens and closes, a doubled one is a quote. Blank lines are no
    records (except under a single column, where one is a blank value).

    Raises:
        TableError: a ragged line or an unclosed quote, with its line number in the file.
    """
    state = _Scan(shown, ord(delimiter), columns)
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            state.feed(chunk)
    return state.finish()


class _Scan:
    def __init__(self, shown: str, delimiter: int, columns: int) -> None:
        self.shown, self.delimiter, self.columns = shown, delimiter, columns
        self.line = 1  # number of the physical line at the start of the next chunk
        self.record_line = 1  # the line on which the unfinished record began
        self.delimiters = 0  # seen so far in the unfinished record
        self.length = 0  # bytes so far in the unfinished record
        self.inside = False  # within quotes
        self.last = 0  # last byte of the chunk before
        self.records = -1  # the header is none
        self.crlf = self.lf = 0

    def feed(self, chunk: bytes) -> None:
        data = np.frombuffer(chunk, np.uint8)
        newlines = data == _LF
        separators = newlines | (data == self.delimiter)
        if self.inside or b'"' in chunk:
            quoted = (np.cumsum(data == _QUOTE) + self.inside) & 1
            separators &= quoted == 0
            self.inside = bool(quoted[-1])
        places = np.flatnonzero(separators)
        ends = np.flatnonzero(newlines[places])
        if len(ends):
            self._lines(data, places, ends)
            self.delimiters = len(places) - int(ends[-1]) - 1
            self.length = len(data) - int(places[ends[-1]]) - 1
            self.record_line = self.line + chunk.count(b"\n", 0, int(places[ends[-1]]) + 1)
        else:
            self.delimiters += len(places)
            self.length += len(data)
        self.line += chunk.count(b"\n")
        self.last = int(data[-1])

    def _lines(self, data: np.ndarray, places: np.ndarray, ends: np.ndarray) -> None:
        """Take the records that end in this chunk; `ends` index the newlines among `places`."""
        counts = np.diff(ends, prepend=-1) - 1
        counts[0] += self.delimiters
        stops = places[ends]
        lengths = np.diff(stops, prepend=-1) - 1
        lengths[0] += self.length
        before = np.where(stops > 0, data[stops - 1], self.last)
        returned = (before == _CR) & (lengths > 0)
        blank = (lengths - returned == 0) & (self.columns > 1)
        ragged = (counts != self.columns - 1) & ~blank
        if ragged.any():
            first = int(np.argmax(ragged))
            start = 0 if first == 0 else int(stops[first - 1]) + 1
            above = int(np.count_nonzero(data[:start] == _LF))
            line = self.record_line if first == 0 else self.line + above
            raise self._ragged(line, int(counts[first]) + 1)
        self.records += len(ends) - int(np.count_nonzero(blank))
        self.crlf += int(np.count_nonzero(returned))
        self.lf += len(ends) - int(np.count_nonzero(returned))

    def finish(self) -> Shape:
        if self.inside:
            raise TableError(
                f"{self.shown} has a quoted field that opens in the record of line "
                f'{self.record_line} and never closes; write a quote inside a field as ""'
            )
        if self.length > (self.last == _CR) or (self.length and self.columns == 1):
            if self.delimiters != self.columns - 1:
                raise self._ragged(self.record_line, self.delimiters + 1)
            self.records += 1
        return Shape(self.records, self.crlf > 0 and self.lf > 0)

    def _ragged(self, line: int, found: int) -> TableError:
        return TableError(
            f"{self.shown} has {found} field{'s' * (found != 1)} on line {line} where its header "
            f"has {self.columns}; correct that line (a field that holds the delimiter needs quotes)"
        )
