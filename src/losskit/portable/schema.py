"""Values as JSON and back: what is read comes from strangers, and is believed only after a check.

A `Codec` states a kind of value once, for both directions. Reading takes nothing for granted:
types, ranges, sizes and names are checked, and an error names the place, as in
`loss.parameters[2].name`.
"""

from __future__ import annotations

import keyword
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

LONGEST_NAME = 100
_CONTROL = "Cc"  # Unicode's category of what moves a terminal's cursor or ends a C string


@dataclass(frozen=True)
class Codec:
    """How one kind of value is written as JSON, and read from it at a place that errors name."""

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]


def refuse(where: str, value: Any, needed: str) -> ValueError:
    """Return the error for a value that is not what is needed."""
    kind = type(value).__name__ if isinstance(value, (dict, list)) else shown(value)
    return ValueError(f"{where} is {kind}; needed is {needed}")


def shown(value: Any) -> str:
    """Return a value as an error can show it: on one line, not too long."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text[:60])
    text = text if len(text) <= 40 else text[:39] + "…"
    return repr(text) if isinstance(value, str) else text


def plain(kind: type, needed: str) -> Codec:
    """Return the codec of what JSON has itself."""

    def read(where: str, value: Any) -> Any:
        if type(value) is not kind:
            raise refuse(where, value, needed)
        return value

    return Codec(kind, read)


def whole(lower: int = -(2**63), upper: int = 2**64 - 1) -> Codec:
    """Return the codec of a whole number."""

    def read(where: str, value: Any) -> int:
        if type(value) is not int or not lower <= value <= upper:
            raise refuse(where, value, f"a whole number from {lower} to {upper}")
        return value

    return Codec(lambda value: read("the number", int(value)), read)


def _write_number(value: float) -> Any:
    number = float(value)
    return number if math.isfinite(number) else {"float": repr(number)}


def _read_number(where: str, value: Any) -> float:
    if type(value) is dict and value in ({"float": "inf"}, {"float": "-inf"}, {"float": "nan"}):
        return float(value["float"])
    if type(value) not in (int, float):
        raise refuse(where, value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where} is too large for a float") from None


def _read_ordered(where: str, value: Any) -> float:
    number = _read_number(where, value)
    if math.isnan(number):
        raise ValueError(f"{where} is not a number (NaN)")
    return number


ANY_NUMBER = Codec(_write_number, _read_number)  # NaN too
NUMBER = Codec(_write_number, _read_ordered)
FLAG = plain(bool, "true or false")


def text(longest: int) -> Codec:
    """Return the codec of a text for people, without control characters but line feeds, tabs."""

    def read(where: str, value: Any) -> str:
        if type(value) is not str:
            raise refuse(where, value, "a text")
        if len(value) > longest:
            raise ValueError(f"{where} has {len(value)} characters; at most {longest} are allowed")
        for i, c in enumerate(value):
            if unicodedata.category(c) == _CONTROL and c not in "\n\t":
                raise ValueError(f"{where} holds the control character U+{ord(c):04X} at {i}")
        return value

    return Codec(lambda value: read("the text", str(value)), read)


def name(taken: Iterable[str] = (), pattern: Any = None) -> Codec:
    """Return the codec of a name that may stand in generated Python text as it is.

    It is an identifier in the form that Python reads it in (NFKC), does not begin with an
    underscore, and is no keyword, none of `taken` and not like `pattern`.
    """
    forbidden = frozenset(taken)

    def read(where: str, value: Any) -> str:
        if type(value) is not str:
            raise refuse(where, value, "a name")
        fine = len(value) <= LONGEST_NAME and value.isidentifier() and value[:1] != "_"
        if not fine or unicodedata.normalize("NFKC", value) != value or keyword.iskeyword(value):
            raise refuse(where, value, "a name: an identifier without a leading underscore")
        if value in forbidden or (pattern is not None and pattern.fullmatch(value)):
            raise ValueError(f"{where} is {shown(value)}, which is reserved")
        return value

    return Codec(lambda value: read("the name", value), read)


def optional(codec: Codec) -> Codec:
    """Return the codec of a value or None."""
    return Codec(
        lambda value: None if value is None else codec.write(value),
        lambda where, value: None if value is None else codec.read(where, value),
    )


def one_of(values: Iterable[Any]) -> Codec:
    """Return the codec of one of a few texts, numbers or truth values."""
    known = tuple(values)

    def read(where: str, value: Any) -> Any:
        for one in known:  # 1, 1.0 and True are equal in Python, and not the same choice
            if type(one) is type(value) and one == value:
                return one
        raise refuse(where, value, "one of " + ", ".join(map(shown, known)))

    return Codec(lambda value: read("the value", value), read)


def many(codec: Codec, most: int, least: int = 0) -> Codec:
    """Return the codec of a tuple of values of one kind."""

    def read(where: str, value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise refuse(where, value, "a list")
        if not least <= len(value) <= most:
            raise ValueError(f"{where} has {len(value)} items; allowed are {least} to {most}")
        return tuple(codec.read(f"{where}[{i}]", one) for i, one in enumerate(value))

    return Codec(lambda values: [codec.write(one) for one in values], read)


def either(*kinds: type) -> Codec:
    """Return the codec of what JSON has itself, of one of several types."""

    def read(where: str, value: Any) -> Any:
        if type(value) not in kinds:
            raise refuse(where, value, " or ".join(kind.__name__ for kind in kinds))
        return value

    return Codec(lambda value: read("the value", value), read)


def members(where: str, value: Any, known: Iterable[str]) -> Mapping[str, Any]:
    """Return a JSON object that has exactly the members `known`, or raise ValueError."""
    if type(value) is not dict:
        raise refuse(where, value, "an object")
    for key in known:
        if key not in value:
            raise ValueError(f"{where} has no {key!r}")
    for key in value:
        if key not in known:
            raise ValueError(f"{where} has {shown(key)}, which is unknown here")
    return value


def parted(where: str, value: Any, *own: str) -> tuple[dict[str, Any], list[Any]]:
    """Return a JSON object without its members `own`, and these."""
    if type(value) is not dict:
        raise refuse(where, value, "an object")
    for key in own:
        if key not in value:
            raise ValueError(f"{where} has no {key!r}")
    return {k: v for k, v in value.items() if k not in own}, [value[key] for key in own]


@contextmanager
def usable(where: str) -> Iterator[None]:
    """Turn what tracing, differentiating and printing say of a bad graph into a ValueError."""
    try:
        yield
    except ValueError as error:
        raise error if str(error).startswith(where) else ValueError(f"{where}: {error}") from None
    except (
        ArithmeticError, LookupError, MemoryError, NotImplementedError, RecursionError,
        SyntaxError, TypeError,
    ) as error:  # fmt: skip
        text = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where} is no usable formula: {text:.200}") from None


def pair(first: Codec, second: Codec) -> Codec:
    """Return the codec of a tuple of two."""

    def read(where: str, value: Any) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            raise refuse(where, value, "a list of two")
        return first.read(f"{where}[0]", value[0]), second.read(f"{where}[1]", value[1])

    return Codec(lambda two: [first.write(two[0]), second.write(two[1])], read)


def struct(**codecs: Codec) -> Codec:
    """Return the codec of a mapping with exactly these members."""

    def read(where: str, value: Any) -> dict[str, Any]:
        found = members(where, value, codecs)
        return {key: codec.read(f"{where}.{key}", found[key]) for key, codec in codecs.items()}

    return Codec(lambda given: {key: c.write(given[key]) for key, c in codecs.items()}, read)


def record(kind: type, **codecs: Codec) -> Codec:
    """Return the codec of a dataclass whose fields are `codecs`."""
    assert [f.name for f in fields(kind)] == [*codecs], f"{kind.__name__} has other fields"
    inner = struct(**codecs)
    return Codec(
        lambda one: inner.write({key: getattr(one, key) for key in codecs}),
        lambda where, value: kind(**inner.read(where, value)),
    )


def union(kinds: Mapping[str, tuple[type, Codec]]) -> Codec:
    """Return the codec of one of several classes, told apart by the member "kind"."""

    def write(value: Any) -> Any:
        for kind, (cls, codec) in kinds.items():
            if type(value) is cls:
                return {"kind": kind, **codec.write(value)}
        raise ValueError(f"{value!r:.60} cannot be saved; what can is of {', '.join(kinds)}")

    def read(where: str, value: Any) -> Any:
        if type(value) is not dict:
            raise refuse(where, value, "an object")
        kind = one_of(kinds).read(f"{where}.kind", value.get("kind"))
        rest = {key: one for key, one in value.items() if key != "kind"}
        return kinds[kind][1].read(where, rest)

    return Codec(write, read)
