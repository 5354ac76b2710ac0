"""Model files: a zip archive of one JSON document and of arrays in NumPy's format.

Nothing in such a file is code, and reading believes nothing in it: no pickle, no `eval`; the
members are stored uncompressed, so that nothing read can be larger than the file is; every array's
header is parsed here and has to agree with the bytes that follow. What is wrong with a file is a
ValueError of one line that begins with its path.

The archive can be opened by others too: `numpy.load("m.losskit")["coef"]`, `unzip -p`.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.replacing import replacing

FORMAT = 1  # of files; a version reads its own and all earlier ones
_DOCUMENT = "model.json"
_SUFFIX = ".npy"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,50}")
_MOST_BYTES = 32 << 20  # of the document
_MOST_VALUES = 3_000_000  # in the document: each takes far more memory than its text
_MOST_MEMBERS = 10_000
_DEEPEST = 100
_LONGEST_NUMBER = 40
_MAGIC = b"\x93NUMPY\x01\x00"
_TYPE = re.compile(
    r"[<|](b1|[iu][1248]|f[248]|[US]\d{1,8}|[mM]8\[(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])"
)
_HEADER = re.compile(
    rf"\{{'descr': '(?P<type>{_TYPE.pattern})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]{0,200})\), \} *\n"
)
_MOST_AXES = 8
_SHAPE = re.compile(rf"|\d{{1,15}},|\d{{1,15}}(, \d{{1,15}}){{1,{_MOST_AXES - 1}}}")
_LAST_CHARACTER = 0x10FFFF
_PIECE = 1 << 20  # bytes read at a time


def write(
    path: str | os.PathLike[str], document: dict[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write a model file, or leave what was there: it is replaced at once, when all is written.

    `document` holds what JSON has (finite numbers only), `arrays` NumPy arrays of truth values,
    numbers, texts, bytes or dates under names of ASCII letters, digits, "_", "." and "-". Raises
    TypeError or ValueError for anything else, OSError where the file cannot be written.

    >>> import os, tempfile, numpy as np
    >>> from losskit.fit.files import saving
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.losskit")
    ...     saving.write(path, {"alpha": 0.1}, {"coef": np.array([1.0, 2.0])})
    ...     saving.read(path)
    ({'alpha': 0.1}, {'coef': array([1., 2.])})
    """
    import losskit

    _check_plain("document", document, 0)
    for name, array in arrays.items():
        _check_array(name, array)
    if len(arrays) >= _MOST_MEMBERS:
        raise ValueError(f"there are {len(arrays)} arrays; fewer than {_MOST_MEMBERS} are allowed")
    content = {
        "format": FORMAT,
        "losskit": losskit.__version__,
        "arrays": list(arrays),
        "document": document,
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    _check_size(text)
    with replacing(path) as place, zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_member(_DOCUMENT), "w") as member:
            member.write(text)
        for name, array in arrays.items():
            native = array.astype(_stored_type(array.dtype), copy=False)
            with archive.open(_member(name + _SUFFIX), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, native, version=(1, 0), allow_pickle=False)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the document and the arrays of a model file.

    Raises ValueError where the file is not what `write` wrote: no archive, cut off, changed,
    of a newer version; OSError where it cannot be read.
    """
    with naming(path), open(_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                return _contents(archive, size)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"it is no losskit model, cut off or damaged: {str(error)[:120]}"
            ) from None
        except (
            EOFError, IndexError, NotImplementedError, OSError, OverflowError, RuntimeError,
            UnicodeDecodeError, struct.error,
        ) as error:  # fmt: skip
            # What zipfile says of archives whose fields contradict each other.
            raise ValueError(f"it is damaged: {str(error)[:120] or type(error).__name__}") from None


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the path before what a ValueError says, and all of it on one line.

    For what `read` returned to be made into objects: `with saving.naming(path): …`.
    """
    try:
        yield
    except ValueError as error:
        name = os.fspath(path)
        text = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
        text = " ".join(text.split())
        raise ValueError(text if text.isprintable() else repr(text)[1:-1]) from None


# --- reading


def _regular(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    if os.path.exists(name) and not os.path.isfile(name):
        raise ValueError("it is no file")
    return name


def _contents(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, Any], dict[str, Array]]:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"it has {len(members)} members; at most {_MOST_MEMBERS} are allowed")
    found = {one.filename: one for one in members}
    if _DOCUMENT not in found:
        raise ValueError(f"it is no losskit model: it holds no {_DOCUMENT}")
    content = _document(archive, found[_DOCUMENT])
    if len(found) < len(members):
        raise ValueError("it has two members of the same name")
    if sum(one.file_size for one in members) > size:
        raise ValueError("its members claim to be larger than it is")
    names = content["arrays"]
    if sorted(found) != sorted([_DOCUMENT, *(name + _SUFFIX for name in names)]):
        raise ValueError(f"its members are not {_DOCUMENT} and the arrays that it lists")
    return content["document"], {name: _array(archive, found[name + _SUFFIX]) for name in names}


def _document(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    """Return what the document's member holds; its version is looked at before anything else."""
    if member.file_size > _MOST_BYTES:
        raise ValueError(f"{_DOCUMENT} has {member.file_size} bytes; at most {_MOST_BYTES}")
    with _opened(archive, member) as file:
        text = file.read()
    _check_size(text)
    try:
        content = json.loads(
            text.decode("ascii"), object_pairs_hook=_distinct, parse_float=_finite,
            parse_int=_short, parse_constant=_no_number,
        )  # fmt: skip
    except RecursionError:
        raise ValueError(f"{_DOCUMENT} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{_DOCUMENT} is no JSON of a model: {str(error)[:120]}") from None
    if type(content) is not dict or type(content.get("format")) is not int:
        raise ValueError(f"{_DOCUMENT} does not say of what format it is")
    _check_format(content)
    if set(content) != {"format", "losskit", "arrays", "document"}:
        raise ValueError(f"{_DOCUMENT} has other members than a model's")
    names = content["arrays"]
    if type(content["document"]) is not dict or type(names) is not list:
        raise ValueError(f"{_DOCUMENT} has no document, or no list of arrays")
    if not all(type(name) is str and _NAME.fullmatch(name) for name in names):
        raise ValueError(f"{_DOCUMENT} lists an array whose name is none")
    return content


def _check_format(content: Mapping[str, Any]) -> None:
    import losskit

    version = content.get("losskit")
    written = version if type(version) is str and _VERSION.fullmatch(version) else "another version"
    if content["format"] > FORMAT:
        raise ValueError(
            f"it has format {content['format']}, written by losskit {written}; this is losskit "
            f"{losskit.__version__}, which reads formats up to {FORMAT}: pip install -U losskit"
        )
    if content["format"] < 1 or written != version:
        raise ValueError(f"{_DOCUMENT} names no format and version of losskit")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Return a member in NumPy's format; its header is never evaluated as Python."""
    name = member.filename
    with _opened(archive, member) as file:
        start = file.read(len(_MAGIC) + 2)
        length = int.from_bytes(start[len(_MAGIC) :], "little")
        match = _HEADER.fullmatch(file.read(length).decode("latin-1"))
        if start[: len(_MAGIC)] != _MAGIC or match is None:
            raise ValueError(f"{name} is no array of numbers, texts or dates as losskit writes it")
        dtype, text = np.dtype(match["type"]), match["shape"]
        if not _SHAPE.fullmatch(text) or dtype.itemsize == 0:
            raise ValueError(f"{name} has the shape ({text}), which is none")
        shape = tuple(int(n) for n in text.split(",") if n.strip())
        count, held = math.prod(shape), member.file_size - len(start) - length
        if count * dtype.itemsize != held:
            raise ValueError(f"{name} of shape ({text}) and type {dtype} does not fill its {held} "
                             "bytes")  # fmt: skip
        flat = np.empty(count, dtype)
        view = flat.view(np.uint8).data
        done = 0
        while done < len(view) and (n := file.readinto(view[done : done + _PIECE])):
            done += n
        if done < len(view):  # at the end of a member its checksum is compared
            raise ValueError(f"{name} is cut off")
    _check_bytes(name, flat)
    native = flat.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(shape, order="F" if match["fortran"] == "True" else "C")


def _check_bytes(name: str, flat: Array) -> None:
    """Refuse bytes that NumPy takes on trust."""
    if flat.dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise ValueError(f"{name} holds truth values that are none")
    if flat.dtype.kind == "U":
        codes = flat.view(flat.dtype.str[0] + "u4")
        if codes.size and codes.max() > _LAST_CHARACTER:
            raise ValueError(f"{name} holds a character that Unicode has not")


@contextmanager
def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Any]:
    stored = member.compress_type == zipfile.ZIP_STORED
    if not stored or member.compress_size != member.file_size or member.flag_bits & 1:
        raise ValueError(
            f"{member.filename} is compressed or encrypted, as losskit never writes it (zip -0)"
        )
    with archive.open(member) as file:
        yield file


# --- JSON


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has two members of the same name")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:_LONGEST_NUMBER]} is beyond every number")
    return number


def _short(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check_size(text: bytes) -> None:
    values = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if len(text) > _MOST_BYTES or values > _MOST_VALUES:
        raise ValueError(
            f"the document is too large ({len(text)} bytes, {values} values); what is long belongs "
            "into arrays"
        )


def _check_plain(where: str, value: Any, depth: int) -> None:
    """Raise where a value would not come back as it is."""
    if depth > _DEEPEST:
        raise ValueError(f"{where} is nested too deeply")
    if type(value) is dict:
        for key, one in value.items():
            if type(key) is not str:
                raise TypeError(f"{where} has the key {key!r:.40}; needed is a str")
            _check_plain(f"{where}.{key}", one, depth + 1)
    elif type(value) in (list, tuple):
        for i, one in enumerate(value):
            _check_plain(f"{where}[{i}]", one, depth + 1)
    elif type(value) is float and not math.isfinite(value):
        raise ValueError(f"{where} is {value}, which JSON has not")
    elif type(value) is int and len(str(value)) > _LONGEST_NUMBER:
        raise ValueError(f"{where} has more than {_LONGEST_NUMBER} digits")
    elif value is not None and type(value) not in (str, int, float, bool):
        raise TypeError(f"{where} is of type {type(value).__name__}, which JSON has not")


# --- writing


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # dated 1980, so that equal models are equal files
    member.external_attr = 0o644 << 16
    return member


def _check_array(name: str, array: Any) -> None:
    if type(name) is not str or not _NAME.fullmatch(name):
        raise ValueError(f"an array is called {name!r:.60}; needed is {_NAME.pattern}")
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is of type {type(array).__name__}, not numpy.ndarray")
    if array.dtype.kind not in "biufUSMm" or array.ndim > _MOST_AXES or not _storable(array.dtype):
        raise TypeError(
            f"{name} has type {array.dtype} and {array.ndim} axes; what can be saved are truth "
            f"values, numbers, texts, bytes and dates of up to {_MOST_AXES} axes"
        )


def _storable(dtype: Any) -> bool:
    return _TYPE.fullmatch(_stored_type(dtype).str) is not None


def _stored_type(dtype: Any) -> Any:
    """Return the type in little-endian bytes; NumPy's empty texts have a width of 1."""
    if dtype.kind in "US" and dtype.itemsize == 0:
        return np.dtype(f"<{dtype.kind}1")
    return dtype.newbyteorder("<")
