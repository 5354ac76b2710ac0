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
# float64 holds every whole number up to here; beyond, neighbours merge. Digits without a point or
# an exponent are meant exactly (identifiers, amounts in cents), so every format refuses them there.
_WHOLE_LIMIT = 2**53
_MANY_DIGITS = r"[ \t]*[+-]?0*[1-9][0-9]{15,}[ \t]*"
_WIDE_INTEGERS = {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"}
# Words that other readers take for missing.
_ALMOST_MISSING = {"n/a", "none", "#n/a", "#na", "<na>", "nil", "-", ".", "?", "missing", "#null!"}
_NEEDED = "where a number is needed"
_OTHERWISE = "write a number such as 0.5, or leave the cell blank (or NA) where it is missing"
_PLAIN = {"TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER"}
_FLOATS = {"FLOAT", "DOUBLE"}

# A list in text: JSON's, or NumPy's, which has spaces (and line ends) in place of commas.
_ELEMENT = rf"([+-]?({_DIGITS}|inf|infinity|nan)|null)"
_LIST = rf"(?i)\s*\[\s*({_ELEMENT}((\s*,\s*|\s+){_ELEMENT})*)?\s*\]\s*"

Cell = tuple[str, str | None]


def text_number(column: str) -> Cell:
    """A CSV cell: decimal text, correctly rounded to float64."""
    bad = (
        f"CASE WHEN {column} IS NOT NULL AND NOT regexp_full_match({column}, '{_NUMBER}') "
        f"AND NOT regexp_full_match({column}, '{_MISSING}') OR {_too_long(column)} "
        f"THEN {column} END"
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
        "WHEN json_type(json) <> 'OBJECT' THEN CAST(json AS VARCHAR) "
        f"WHEN {kind} <> 'BOOLEAN' AND {_too_long(text)} THEN {text} END"
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
        text = f"CAST({column} AS VARCHAR)"
        bad = f"CASE WHEN {_too_long(text)} THEN {text} END" if type_name.endswith(",0)") else None
        return f"CAST({text} AS DOUBLE)", bad
    if type_name == '"NULL"':
        return "CAST(NULL AS DOUBLE)", None
    kind = "text" if type_name in ("VARCHAR", "BLOB") or type_name.startswith("ENUM") else type_name
    advice = "cast it to a number first"
    if type_name.endswith("]"):
        advice = "if they are class probabilities name the classes: --classes a,b,c"
    raise TableError(f"column {name!r} of {shown} holds {kind}, not numbers; {advice}")


def text_list(column: str) -> Cell:
    """A text cell that holds a list of numbers, such as [0.1, 0.2, 0.7]."""
    missing = f"regexp_full_match({column}, '{_MISSING}')"
    bare = f"trim({column}, '[] ' || chr(9) || chr(10) || chr(13))"
    spaced = rf"regexp_replace({bare}, '\s*,\s*|\s+', ',', 'g')"
    bad = (
        f"CASE WHEN {column} IS NOT NULL AND NOT {missing} "
        f"AND NOT regexp_full_match({column}, '{_LIST}') THEN {column} END"
    )
    return f"CASE WHEN NOT {missing} THEN TRY_CAST('[' || {spaced} || ']' AS DOUBLE[]) END", bad


def json_list(key: str) -> Cell:
    """An array of numbers in a JSON object; a missing key is null."""
    pointer = json_pointer(key)
    value, bad = text_list(f"nullif(CAST(json_extract(json, {pointer}) AS VARCHAR), 'null')")
    return value, f"CASE WHEN json_type(json) <> 'OBJECT' THEN CAST(json AS VARCHAR) ELSE {bad} END"


def typed_list(column: str, type_name: str, shown: str, name: str) -> Cell:
    """A column of lists of numbers, or of text that holds them."""
    if type_name in ("VARCHAR", "JSON"):
        return text_list(f"CAST({column} AS VARCHAR)")
    element, bracket, _ = type_name.rpartition("[")
    if bracket and element in _FLOATS | _PLAIN | _WIDE_INTEGERS:
        return f"CAST({column} AS DOUBLE[])", None
    if bracket and element.startswith("DECIMAL"):
        return f"CAST(CAST({column} AS VARCHAR[]) AS DOUBLE[])", None
    advice = "" if bracket else "; for a column of each class pass --class-column LABEL=COLUMN"
    raise TableError(
        f"column {name!r} of {shown} holds {type_name}, not lists of numbers as --classes "
        f"needs{advice}"
    )


def json_label(key: str) -> str:
    """A value of a JSON object as the text of a label; 1.0 is 1."""
    pointer = json_pointer(key)
    text = f"json_extract_string(json, {pointer})"
    kind = f"json_type(json, {pointer})"
    number = f"CASE WHEN {kind} = 'DOUBLE' THEN TRY_CAST({text} AS DOUBLE) END"
    return f"coalesce({_whole(number)}, nullif({text}, ''))"


def typed_label(column: str, type_name: str) -> str:
    """A column that has a type as the text of labels; the number 1.0 is 1."""
    text = f"nullif(CAST({column} AS VARCHAR), '')"
    if type_name in _FLOATS or type_name.startswith("DECIMAL"):
        return f"coalesce({_whole(column)}, {text})"
    return text


def missing_label(text: str) -> str:
    """Whether the text of a label stands for a missing one, if it is not itself a label."""
    return f"regexp_full_match({text}, '{_MISSING}')"


def _whole(number: str) -> str:
    """The text of a whole number, NULL for any other."""
    inside = f"abs({number}) < {_WHOLE_LIMIT} AND {number} = trunc({number})"
    return f"CASE WHEN {inside} THEN CAST(CAST({number} AS BIGINT) AS VARCHAR) END"


def explain(text: str) -> str:
    """Say what `explain_number` says, to someone who may have meant probabilities of classes."""
    said = explain_number(text)
    if said == _NEEDED:
        return f"{said}; for class probabilities in one column name the classes: --classes a,b,c"
    if said.endswith(_OTHERWISE) and text.strip(' \t"').replace(" ", "").isalpha():
        return f"{said}; if these are classes, name them (--classes a,b,c or --class-column)"
    return said


def explain_number(text: str) -> str:
    """Say what is wrong with the text of a cell that is no number, and what to write instead."""
    bare = text.strip()
    if re.fullmatch(r"[+-]?[0-9]{1,15}", bare):  # too short to be refused but for its place
        return "where a JSON object is needed; write one per line"
    if re.fullmatch(r"[+-]?[0-9]+", bare):
        return "a whole number beyond 2^53 that float64 cannot hold; rescale it"
    word = bare.strip('"')
    if word.lower() in ("yes", "no", "true", "false", "y", "n", "t", "f"):
        advice = "write 1 for yes or true and 0 for no or false"
    elif word.endswith("%"):
        advice = "write a percentage as a fraction, 50% as 0.5"
    elif re.fullmatch(r"[+-]?[0-9][0-9.,_' ]*(e[+-]?[0-9]+)?", word, re.IGNORECASE):
        quoted = bare != word and word.count(".") < 2 and not re.search("[,_' ]", word)
        advice = (
            "write it without quotes"
            if quoted
            else "write a decimal point (0.5) and no grouping of thousands (1000)"
        )
    elif bare.startswith("["):
        return _NEEDED
    elif word.lower() in _ALMOST_MISSING:
        advice = "only a blank cell, NA and null are read as missing"
    else:
        advice = _OTHERWISE
    return f"{_NEEDED}; {advice}"


def explain_list(text: str) -> str:
    """Say what is wrong with the text of a cell that is no list of numbers."""
    bare = text.strip()
    advice = "write [0.1, 0.2, 0.7]"
    if bare.startswith('"'):
        advice = "write the list without quotes"
    elif "..." in bare:
        advice = "NumPy left numbers out as it printed the array; write array.tolist()"
    elif bare[:1] not in ("", "[", "{"):
        advice += ", or pass --class-column LABEL=COLUMN for a column of each class"
    return f"where a list of numbers is needed; {advice}"


def _too_long(text: str) -> str:
    whole = f"TRY_CAST(trim({text}, ' \t+') AS HUGEINT)"
    inside = f"coalesce({whole} BETWEEN {-_WHOLE_LIMIT} AND {_WHOLE_LIMIT}, false)"
    # The length first: it is far cheaper than the pattern.
    return f"(length({text}) > 15 AND regexp_full_match({text}, '{_MANY_DIGITS}') AND NOT {inside})"


def quoted_name(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
