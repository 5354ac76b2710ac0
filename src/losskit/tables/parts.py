"""One file of a table as DuckDB sees it: its columns, its SQL source and its cells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from losskit.tables.cells import (
    Cell,
    json_label,
    json_list,
    json_number,
    json_pointer,
    quoted_name,
    quoted_text,
    text_list,
    text_number,
    typed_label,
    typed_list,
    typed_number,
)
from losskit.tables.delimited import measure, not_utf8, other_delimiter, read_header
from losskit.tables.files import File, TableError, nearest

if TYPE_CHECKING:
    import duckdb

# Rows of a JSON file whose keys are offered as its columns in messages.
_JSON_SAMPLE = 1000


@dataclass(frozen=True)
class Part:
    """One file (or database table): all that the formats differ in."""

    shown: str
    columns: tuple[str, ...]
    source: str
    number: Callable[[str], Cell]
    vector: Callable[[str], Cell]
    text: Callable[[str], str]
    label: Callable[[str], str]  # as text, but the number 1.0 is 1
    type: Callable[[str], str]  # of a column in SQL; TEXT or JSON where each cell has its own
    rows: int | None = None
    counted: bool = False  # `rows` is our own count, which DuckDB's must equal
    has: Callable[[str], bool] = field(default=lambda name: False)
    explain: Callable[[Exception], str] = field(default=lambda error: _first_line(error))


def describe(
    connection: duckdb.DuckDBPyConnection, file: File, table: str | None, delimiter: str | None
) -> Part:
    """Read what is needed to query `file`: header and shape, schema, or catalogue."""
    if table is not None and file.format != "duckdb":
        raise TableError(f"--table names a table of a database, but {file.shown} is {file.format}")
    if delimiter is not None and file.format not in ("csv", "tsv"):
        raise TableError(f"--delimiter is for CSV, but {file.shown} is {file.format}")
    if file.format in ("csv", "tsv"):
        return _delimited(
            file, delimiter if delimiter is not None else "\t" if file.format == "tsv" else ","
        )
    if file.format == "jsonl":
        return _json_lines(connection, file)
    if file.format == "parquet":
        return _parquet(connection, file)
    return _database(connection, file, table)


def _delimited(file: File, delimiter: str) -> Part:
    if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
        raise TableError(f"the delimiter must be one ASCII character, not {delimiter!r}")
    columns = read_header(file.path, file.shown, delimiter)
    try:
        shape = measure(file.path, file.shown, delimiter, len(columns))
    except TableError as error:
        hint = other_delimiter(columns)
        raise TableError(f"{error}".partition("; ")[0] + hint if hint else f"{error}") from None
    place = {name: f"c{index}" for index, name in enumerate(columns)}
    fields = ", ".join(f"'{column}': 'VARCHAR'" for column in place.values())
    source = (
        f"read_csv({quoted_text(str(file.path))}, columns = {{{fields}}}, auto_detect = false, "
        f"header = true, delim = {quoted_text(delimiter)}, quote = '\"', escape = '\"', "
        "comment = '', compression = 'none', hive_partitioning = false, null_padding = false, "
        # The strict mode refuses a mixture of CRLF and LF; `measure` has seen to the rest.
        f"ignore_errors = false, strict_mode = {str(not shape.mixed_line_ends).lower()})"
    )
    return Part(
        shown=file.shown,
        columns=columns,
        source=source,
        number=lambda name: text_number(place[name]),
        vector=lambda name: text_list(place[name]),
        text=lambda name: f"nullif({place[name]}, '')",
        label=lambda name: f"nullif({place[name]}, '')",
        type=lambda name: "TEXT",
        rows=shape.records,
        counted=len(columns) > 1,
        explain=lambda error: _explain_delimited(file, error),
    )


def _json_lines(connection: duckdb.DuckDBPyConnection, file: File) -> Part:
    # With more threads DuckDB 2.0 delivers the parts of such a file out of order (a race: most
    # runs of test_json_lines), whatever preserve_insertion_order says; CSV and Parquet keep theirs.
    connection.execute("SET threads = 1")
    path = quoted_text(str(file.path))
    source = f"read_ndjson_objects({path}, compression = 'none', hive_partitioning = false)"

    def explain(error: Exception) -> str:
        line = _bad_json_line(file)
        return (
            f'line {line} is not a JSON object such as {{"y": 1}}' if line else _first_line(error)
        )

    try:
        sample = connection.execute(
            f"SELECT json_keys(json) FROM {source} "
            f"WHERE json_type(json) = 'OBJECT' LIMIT {_JSON_SAMPLE}"
        ).fetchall()
    except Exception as error:
        raise unreadable(file.shown, error, explain) from None
    columns = tuple(dict.fromkeys(key for (keys,) in sample for key in keys or ()))
    if not columns and _bad_json_line(file):
        raise unreadable(file.shown, ValueError("no object"), explain)

    def has(name: str) -> bool:
        found = connection.execute(
            f"SELECT 1 FROM {source} WHERE json_exists(json, {json_pointer(name)}) LIMIT 1"
        )
        return bool(found.fetchall())

    return Part(
        shown=file.shown,
        columns=columns,
        source=source,
        number=json_number,
        vector=json_list,
        label=json_label,
        type=lambda name: "JSON",
        text=lambda name: f"nullif(json_extract_string(json, {json_pointer(name)}), '')",
        has=has,
        explain=explain,
    )


def _parquet(connection: duckdb.DuckDBPyConnection, file: File) -> Part:
    path = quoted_text(str(file.path))
    source = f"read_parquet({path}, hive_partitioning = false)"
    try:
        names = _parquet_names(connection, path)
        rows = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({path})").fetchall()
        return _typed(connection, file.shown, source, names, rows[0][0])
    except TableError:
        raise
    except Exception as error:
        raise unreadable(file.shown, error) from None


def _parquet_names(connection: duckdb.DuckDBPyConnection, path: str) -> tuple[str, ...]:
    """Return the top-level names as the file spells them.

    DuckDB minds no case and renames: of columns `A` and `a` the second becomes `a_1`, and asking
    for `a` silently gives `A`.
    """
    nodes = connection.execute(f"SELECT name, num_children FROM parquet_schema({path})").fetchall()
    names, at = [], 1  # node 0 is the root
    while at < len(nodes):
        names.append(nodes[at][0])
        pending = 1
        while pending:  # skip the subtree
            pending += (nodes[at][1] or 0) - 1
            at += 1
    return tuple(names)


def _database(connection: duckdb.DuckDBPyConnection, file: File, table: str | None) -> Part:
    try:
        connection.execute(f"ATTACH {quoted_text(str(file.path))} AS losskit_input (READ_ONLY)")
        # A view in someone's database must not read other files.
        connection.execute("SET enable_external_access = false")
        found = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            "WHERE database_name = 'losskit_input' "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = 'losskit_input' AND NOT internal ORDER BY ALL"
        ).fetchall()
        known = [name if schema == "main" else f"{schema}.{name}" for schema, name in found]
        listed = ", ".join(known[:20]) or "none"
        if table is None:
            raise TableError(f"{file.shown} is a database: pass --table (it has {listed})")
        if table not in known and table.removeprefix("main.") in known:
            table = table.removeprefix("main.")
        if table not in known:
            raise TableError(
                f"{file.shown} has no table {table!r}{nearest(table, known)} (it has {listed})"
            )
        schema, name = found[known.index(table)]
        source = f"losskit_input.{quoted_name(schema)}.{quoted_name(name)}"
        columns = [row[0] for row in connection.execute(f"DESCRIBE {source}").fetchall()]
        rows = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
        return _typed(connection, f"{file.shown} table {table}", source, tuple(columns), rows)
    except TableError:
        raise
    except Exception as error:
        raise unreadable(file.shown, error) from None


def _typed(
    connection: duckdb.DuckDBPyConnection,
    shown: str,
    source: str,
    names: tuple[str, ...],
    rows: int,
) -> Part:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    if len(described) != len(names):
        raise TableError(
            f"{shown} cannot be read: its schema has {len(names)} columns, DuckDB {len(described)}"
        )
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise TableError(f"{shown} has several columns named {repeated[0]!r}; rename them")
    place = {name: quoted_name(row[0]) for name, row in zip(names, described, strict=True)}
    types = {name: row[1] for name, row in zip(names, described, strict=True)}
    return Part(
        shown=shown,
        columns=names,
        source=source,
        number=lambda name: typed_number(place[name], types[name], shown, name),
        vector=lambda name: typed_list(place[name], types[name], shown, name),
        text=lambda name: f"nullif(CAST({place[name]} AS VARCHAR), '')",
        label=lambda name: typed_label(place[name], types[name]),
        type=types.__getitem__,
        rows=rows,
    )


def _explain_delimited(file: File, error: Exception) -> str:
    text = str(error)
    if "unicode" in text:
        return not_utf8(file.path)
    cause = next((part for part in text.splitlines()[1:] if part.endswith(".")), "")
    return f"{_first_line(error)}. {cause}".rstrip() if cause else _first_line(error)


def _bad_json_line(file: File) -> int | None:
    """Find the first bad line ourselves: the number in DuckDB's message is one too high."""
    with file.path.open("rb") as source:
        for number, line in enumerate(source, 1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return number
            except ValueError:
                return number
    return None


def unreadable(
    shown: str, error: Exception, explain: Callable[[Exception], str] | None = None
) -> TableError:
    """Return the one-line error for what DuckDB or nanoarrow raised while reading `shown`.

    Raises:
        KeyboardInterrupt: where DuckDB noticed Ctrl-C and made an error of its own of it.
    """
    text = str(error)
    if "Query interrupted" in text or "INTERRUPT" in text:
        raise KeyboardInterrupt
    if "Out of Memory" in text:
        return TableError(
            f"{shown} needs more memory than is allowed; set LOSSKIT_MEMORY_LIMIT, such as 2GB"
        )
    said = (explain or _first_line)(error)
    # What was copied or linked to our own folder is called by the user's name for it.
    said = re.sub(r"['\"]?[^'\" ]*/losskit-[^/'\" ]+/part\d+[^'\" ]*['\"]?", repr(shown), said)
    return TableError(f"{shown} cannot be read: {said}")


def _first_line(error: Exception) -> str:
    """Return the first line of a DuckDB error without its class."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text.split("Error: ", 1)[-1].strip()
