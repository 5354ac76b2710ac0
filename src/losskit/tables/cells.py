"""SQL for one cell of each format: its number, and the text that explains why it is none.

Each function returns `(value, bad)`: `value` is a DOUBLE, NULL where the cell is missing; `bad` is
NULL or the offending text, and None where the format cannot hold such a cell. The casts are ours
because DuckDB's own accept `1_000` and `+-1`, and would make 1 of `true` in a text file.
"""

from __future__ import annotations

import re

from losskit.tables.files import TableError

# What a text cell may hold. Spaces around it are ignored; missing is blank, NA or null.
_DIGITS = r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"
_NUMBER = rf"(?i)[ \t]*[+-]?({_DIGITS}|inf|infinity|nan)[ \t]*"
_MISSING = r"(?i)[ \t]*(NA|null)?[ \t]*"
# float64 holds every whole number up to here; beyond, neighbours merge.
_WHOLE_LIMIT = 2**53
_WIDE_INTEGERS = {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"}
_PLAIN = {"TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER"}
_FLOATS = {"FLOAT", "DOUBLE"}

Cell = tuple[str, str | None]


def text_number(column: str) -> Cell:
    """A CSV cell: decimal text, correctly rounded to float64."""
    bad = (
        f"CASE WHEN {column} IS NOT NULL AND NOT regexp_full_match({column}, '{_NUMBER}') "
        f"AND NOT regexp_full_match({column}, '{_MISSING}') THEN {column} END"
    )
    return f"TRY_CAST({column} AS DOUBLE)", bad


def json_number(key: str) -> Cell:
    """A value of a JSON object: a number, true, false or null; a missing key is null."""
    pointer = json_pointer(key)
    kind = f"json_type(json, {pointer})"
    text = f"json_extract_string(json, {pointer})"
    value = (
        f"CASE WHEN {kind} IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT') "
        f"THEN CAST({text} AS DOUBLE) "
        f"WHEN {kind} = 'BOOLEAN' THEN CAST({text} = 'true' AS DOUBLE) END"
    )
    bad = (
        f"CASE WHEN {kind} IN ('VARCHAR', 'ARRAY', 'OBJECT') "
        f"THEN CAST(json_extract(json, {pointer}) AS VARCHAR) "
        "WHEN json_type(json) <> 'OBJECT' THEN CAST(json AS VARCHAR) END"
    )
    return value, bad


def json_pointer(key: str) -> str:
    """RFC 6901 pointer to one key, as SQL text; unlike DuckDB's own columns it minds the case."""
    return quoted_text("/" + key.replace("~", "~0").replace("/", "~1"))


def typed_number(column: str, type_name: str, shown: str, name: str) -> Cell:
    """A column that has a type: numbers and booleans are taken, anything else is refused."""
    if type_name in _FLOATS or type_name in _PLAIN or type_name == "BOOLEAN":
        return f"CAST({column} AS DOUBLE)", None
    if type_name in _WIDE_INTEGERS:
        limits = f"{column} > {_WHOLE_LIMIT} OR {column} < {-_WHOLE_LIMIT}"
        if type_name.startswith("U"):
            limits = f"{column} > {_WHOLE_LIMIT}"
        return f"CAST({column} AS DOUBLE)", f"CASE WHEN {limits} THEN CAST({column} AS VARCHAR) END"
    if re.fullmatch(r"DECIMAL\(\d+,\d+\)", type_name):
        # Through its text: the direct cast divides by a power of ten and may round twice.
        return f"CAST(CAST({column} AS VARCHAR) AS DOUBLE)", None
    if type_name == '"NULL"':
        return "CAST(NULL AS DOUBLE)", None
    kind = "text" if type_name in ("VARCHAR", "BLOB") or type_name.startswith("ENUM") else type_name
    raise TableError(
        f"column {name!r} of {shown} holds {kind}, not numbers; cast it to a number first"
    )


def quoted_name(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
