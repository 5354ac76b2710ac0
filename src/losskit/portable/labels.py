"""Class labels and categories as JSON and back, with their NumPy type."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.portable import schema as s

_MOST = 10_000_000
_MOST_CHARACTERS = 1 << 24  # of a NumPy array of texts, which all have the width of the longest
_TEXT = r"(?P<text>str|bytes)(?P<width>\d{1,8})"
_TIME = r"(?P<time>datetime64|timedelta64)\[(?P<unit>Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]"
_NUMBER = r"(?P<number>bool|u?int(8|16|32|64)|float(16|32|64))"
_TYPE = re.compile(f"{_TEXT}|{_TIME}|{_NUMBER}|object|string")


def labels_to_json(labels: Any) -> dict[str, Any]:
    """Return labels (n,) as plain JSON values from which `labels_from_json` makes the same array.

    Of any type that can be sorted or compared: truth values, numbers, texts, bytes, dates (NumPy's
    and Python's), and object arrays that mix these with None. Raises ValueError for other objects,
    with the first index.

    >>> import numpy as np
    >>> from losskit.portable import labels_from_json, labels_to_json
    >>> labels_to_json(np.array(["no", "yes"]))
    {'type': 'str3', 'values': ['no', 'yes']}
    >>> labels_from_json(labels_to_json(np.array(["no", "yes"])))
    array(['no', 'yes'], dtype='<U3')
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels have shape {array.shape}; needed is one axis")
    name = _type_name(array.dtype)
    if name is None:
        raise ValueError(f"labels of type {array.dtype} cannot be saved")
    made = {"type": name, "values": _written(array)}
    labels_from_json(made)
    return made


def labels_from_json(value: Any, where: str = "labels") -> Array:
    """Return the labels that `labels_to_json` wrote, or raise ValueError that names the place."""
    found = s.members(where, value, ("type", "values"))
    name, values = found["type"], found["values"]
    match = _TYPE.fullmatch(name) if type(name) is str else None
    if match is None:
        raise s.refuse(f"{where}.type", name, "a type of labels, such as 'int64' or 'str5'")
    if type(values) is not list or len(values) > _MOST:
        raise s.refuse(f"{where}.values", values, f"a list of at most {_MOST} labels")
    place = f"{where}.values"
    if name == "object":
        array = np.empty(len(values), object)
        for i, one in enumerate(values):
            array[i] = _read_object(f"{place}[{i}]", one)
        return array
    if name == "string":
        return np.array(_each(place, values, _read_text), np.dtypes.StringDType())
    if match["text"]:
        return _texts(place, match["text"], int(match["width"]), values)
    if match["time"]:
        numbers = np.array(_each(place, values, s.whole(-(2**63), 2**63 - 1).read), np.int64)
        return numbers.view(f"{match['time']}[{match['unit']}]")
    dtype = np.dtype(name)
    if dtype.kind == "b":
        return np.array(_each(place, values, s.FLAG.read), dtype)
    if dtype.kind == "f":
        return _as_floats(place, values, dtype)
    limits = np.iinfo(dtype)
    return np.array(_each(place, values, s.whole(int(limits.min), int(limits.max)).read), dtype)


def _type_name(dtype: Any) -> str | None:
    if dtype.kind in "US":
        width = dtype.itemsize // (4 if dtype.kind == "U" else 1)
        return f"{'str' if dtype.kind == 'U' else 'bytes'}{max(width, 1)}"
    name = "string" if dtype.kind == "T" else str(dtype.newbyteorder("="))
    return name if _TYPE.fullmatch(name) else None


def _written(array: Array) -> list[Any]:
    kind = array.dtype.kind
    if kind in "Mm":
        return list(array.astype(array.dtype.newbyteorder("=")).view(np.int64).tolist())
    if kind == "f":
        return [s.ANY_NUMBER.write(one) for one in array.tolist()]
    if kind == "S":
        return [one.hex() for one in array.tolist()]
    if kind == "O":
        return [_write_object(i, one) for i, one in enumerate(array)]
    return list(array.tolist())


def _each(where: str, values: list[Any], read: Callable[[str, Any], Any]) -> list[Any]:
    return [read(f"{where}[{i}]", one) for i, one in enumerate(values)]


def _read_text(where: str, value: Any) -> str:
    if type(value) is not str:  # of any characters: it is data, and goes nowhere else
        raise s.refuse(where, value, "a text")
    return value


def _read_bytes(where: str, value: Any) -> bytes:
    text = _read_text(where, value)
    if not re.fullmatch(r"([0-9a-f]{2})*", text):
        raise s.refuse(where, value, "hexadecimal digits")
    return bytes.fromhex(text)


def _texts(where: str, kind: str, width: int, values: list[Any]) -> Array:
    if max(width, 1) * len(values) > _MOST_CHARACTERS:
        raise ValueError(f"{where}: {len(values)} labels of {width} characters are too many")
    made = _each(where, values, _read_text if kind == "str" else _read_bytes)
    for i, one in enumerate(made):
        if len(one) > width:
            raise ValueError(f"{where}[{i}] is longer than {width} characters")
    return np.array(made, f"{'U' if kind == 'str' else 'S'}{width}")


def _as_floats(where: str, values: list[Any], dtype: Any) -> Array:
    numbers = np.array(_each(where, values, s.ANY_NUMBER.read), np.float64)
    with np.errstate(over="ignore"):
        made = numbers.astype(dtype)
    wrong = np.flatnonzero((made != numbers) & ~np.isnan(numbers))
    if wrong.size:
        raise ValueError(f"{where}[{wrong[0]}] is no {dtype} number")
    return np.asarray(made)


# How each Python type is tagged in an object array; texts, truth values, whole numbers and None are
# JSON's own.
_TAGS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "bytes": (bytes, bytes.hex, lambda text: _read_bytes("bytes", text)),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "datetime": (
        datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat,
    ),
}  # fmt: skip


def _write_object(i: int, value: Any) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biufUS":
        value = value.item()
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is int and -(2**63) <= value < 2**64:
        return value
    if type(value) is float:
        return {"float": repr(value)}
    for tag, (kind, write, _) in _TAGS.items():
        if type(value) is kind:
            return {tag: write(value)}
    raise ValueError(
        f"label {i} is {s.shown(value)}, of type {type(value).__name__}, which cannot be saved: "
        "use texts, numbers, truth values or dates"
    )


def _read_object(where: str, value: Any) -> Any:
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is not dict or len(value) != 1:
        raise s.refuse(where, value, "a label")
    ((tag, content),) = value.items()
    if type(content) is not str or (tag != "float" and tag not in _TAGS) or len(content) > 10_000:
        raise s.refuse(where, value, "a label")
    try:
        return float(content) if tag == "float" else _TAGS[tag][2](content)
    except ValueError:
        raise ValueError(f"{where}: {s.shown(content)} is no {s.shown(tag)}") from None
