"""Model files: one for tests, and archives made by hand, as strangers might make them."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from losskit.fit.files import saving
from losskit.portable import loss_to_json
from portable_losses import scaled
from tampering import watched

DOCUMENT = {
    "loss": loss_to_json(scaled(floor=0.5)),
    "alpha": 0.1,
    "text": 'ü\n"\\ 😀 \ud800',
    "nested": [[], {}, [None, True, -0.0, 2**100, 5e-324]],
}
ARRAYS = {
    "coef": np.array([[1.5, -0.0, np.inf], [np.nan, 5e-324, 1e308]]),
    "intercept": np.float64([0.25]),
    "names": np.array(["age", "Größe 😀", ""]),
}


def same(mine, theirs):
    """Whether two (document, arrays) are equal, to the bit."""
    return mine[0] == theirs[0] and list(mine[1]) == list(theirs[1]) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(mine[1].values(), theirs[1].values(), strict=True)
    )  # fmt: skip


def refused(path, message=None):
    """The one line that reading a file gives; nothing is compiled or run meanwhile."""
    with watched() as texts, pytest.raises(ValueError, match=message) as caught:
        saving.read(path)
    assert texts == []
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < 500
    return text


def archive(path: Path, members: list[tuple[str, bytes]], **options) -> None:
    """Write an archive by hand, its members stored unless said otherwise."""
    with zipfile.ZipFile(path, "w", options.get("compression", zipfile.ZIP_STORED)) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name) if not options else name, data)


def header(names=(), **changes) -> bytes:
    content = {
        "format": 1, "losskit": "0.1.0", "arrays": list(names), "document": {}, **changes,
    }  # fmt: skip
    return json.dumps({k: v for k, v in content.items() if v is not ...}).encode()


def npy(text: str, data: bytes = b"\0" * 8, version: bytes = b"\1\0") -> bytes:
    line = text.encode("latin-1").ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(line)) + line + data


def described(descr: str = "'<f8'", order: str = "False", shape: str = "(1,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def entry(
    kind: bytes, name: bytes, size: int, crc: int, at: int = 0, flags: int = 0, method: int = 0
) -> bytes:
    """A member's entry by hand: before its data, or in the directory at the end."""
    fields = struct.pack("<HHHHHIII", 20, flags, method, 0, 33, crc, size, size)
    if kind == b"PK\3\4":
        return kind + fields + struct.pack("<HH", len(name), 0) + name
    rest = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, at)
    return kind + b"\x14\0" + fields + rest + name


def lying(names: list[str], size: int | None = None, flags: int = 0, method: int = 0) -> bytes:
    """An archive in which all arrays are the same bytes, of a size that may be a lie."""
    document, member = header([n.removesuffix(".npy") for n in names]), npy(described())
    claimed = len(member) if size is None else size
    first = entry(b"PK\3\4", b"model.json", len(document), zlib.crc32(document)) + document
    local = entry(b"PK\3\4", b"x.npy", claimed, zlib.crc32(member), 0, flags, method) + member
    crc = zlib.crc32(document)
    directory = entry(b"PK\1\2", b"model.json", len(document), crc)
    for name in names:
        directory += entry(
            b"PK\1\2", name.encode(), claimed, zlib.crc32(member), len(first), flags, method
        )
    body = first + local
    count = len(names) + 1
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end
