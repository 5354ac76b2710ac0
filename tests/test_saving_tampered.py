"""Model files that were damaged or tampered with: one line says so, and nothing is run."""

from __future__ import annotations

import os
import pickle
import random
import tracemalloc
import zipfile

import pytest

import losskit
from archives import ARRAYS, DOCUMENT, archive, described, header, lying, npy, refused, same
from losskit.fit.files import saving
from tampering import PAYLOAD


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.losskit"


@pytest.fixture
def content(path):
    """The bytes of a model file."""
    saving.write(path, DOCUMENT, ARRAYS)
    return path.read_bytes()


# --- damage


def test_a_file_cut_off_anywhere_is_refused(path, content):
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        refused(path)


def test_a_changed_byte_is_refused_or_changes_nothing(path, content):
    rng, whole, said = random.Random(0), saving.read(path), []
    for at in range(len(content)):
        bad = bytearray(content)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        try:
            found = saving.read(path)
        except ValueError as error:
            said.append(str(error))
        else:
            assert same(found, whole), at
    assert len(said) > 0.8 * len(content)
    assert all(text.startswith(f"{path}: ") and text.isprintable() for text in said)
    assert max(map(len, said)) < 500


def test_larger_damage_is_refused_or_changes_nothing(path, content):
    rng, whole, said = random.Random(1), saving.read(path), []
    for _ in range(1500):
        bad = bytearray(content)
        for _ in range(rng.choice((1, 2, 5))):
            at, size = rng.randrange(len(bad)), rng.choice((1, 4, 30, 200))
            kind = rng.randrange(4)
            if kind == 0:
                bad[at : at + size] = rng.randbytes(size)
            elif kind == 1:
                del bad[at : at + size]
            elif kind == 2:
                bad[at:at] = bad[rng.randrange(len(bad)) :][:size]
            else:
                bad[at : at + size] = b"\xff" * size
        path.write_bytes(bad)
        try:
            assert same(saving.read(path), whole)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 1000
    assert all(text.startswith(f"{path}: ") and text.isprintable() for text in said)
    assert max(map(len, said)) < 500


@pytest.mark.parametrize("junk", [b"", b"PK\5\6", b"{}", b"\0" * 100, pickle.dumps({"a": 1})])
def test_what_is_no_archive_is_refused(path, junk):
    path.write_bytes(junk)
    refused(path, "it is no losskit model")


# --- tampering


def test_a_newer_version_is_named(path):
    archive(path, [("model.json", header(format=2, losskit="3.1.4", what="else"))])
    text = refused(path)
    assert "format 2" in text
    assert "losskit 3.1.4" in text
    assert f"losskit {losskit.__version__}" in text
    archive(path, [("model.json", header(format=2, losskit="\n'''x"))])
    assert "another version" in refused(path, "format 2")


def test_a_newer_version_may_have_other_members(path):
    archive(path, [("model.json", header(format=9)), ("what/ever.bin", b"x"), ("a.npy", b"")])
    refused(path, "format 9")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (header(format=0), "names no format"), (header(format=True), "does not say"),
        (header(format="1"), "does not say"), (header(losskit=None), "names no format"),
        (header(extra=1), "other members"), (header(document=...), "other members"),
        (header(document=[]), "no document"), (header(arrays={}), "no list of arrays"),
        (header(arrays=["../x"]), "whose name is none"), (header(arrays=["x", "x"]), "its members"),
        (header(arrays=["x"]), "its members are not"), (b"", "no JSON of a model"),
        (b"[]", "does not say"), (b"\xff\xfe{}", "no JSON"), (b"{", "no JSON"),
        (b'{"format": 1, "format": 1}', "two members of the same name"),
        (b'{"format": NaN}', "NaN is no number"), (b'{"format": 1e999}', "beyond every number"),
        (b'{"format": ' + b"9" * 5000 + b"}", "5000 digits"), (b'{"format": -Infinity}', "is no n"),
        (b"[" * 100_000, "nested too deeply"), (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" + b"[]," * 1_600_000, "too large"), (b"{}" + b" " * (33 << 20), "at most"),
    ],
    ids=range(24),
)  # fmt: skip
def test_a_tampered_document_is_refused(path, document, message):
    archive(path, [("model.json", document)])
    refused(path, message)


class Evil:
    """Leaves a file behind where it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy(described("'|O'"), pickle.dumps([Evil()])), "no array of numbers"),
        (npy(described(PAYLOAD)), "no array"), (npy(PAYLOAD), "no array"),
        (npy(described(shape=f"({PAYLOAD},)")), "no arr"), (npy(described(order="1")), "no array"),
        (npy(described("[('a', '<f8')]")), "no array"), (npy(described("'<c16'")), "no array"),
        (npy(described("'>f8'")), "no array"), (npy(described("'<V8'")), "no array"),
        (npy(described("'<M8'")), "no array"), (npy(described(), version=b"\3\0")[:-1], "no array"),
        (npy(described(shape="(2,)")), "its 8 bytes"), (npy(described(shape="()"), b""), "its 0 b"),
        (npy(described(shape="(1)")), "which is none"), (npy(described(shape="(,)")), "is none"),
        (npy(described(shape="(1, 1, 1, 1, 1, 1, 1, 1, 1)")), "which is none"),
        (npy(described(shape="(9999999999999999999,)")), "which is none"),
        (npy(described(shape="(999999999999999, 999999999999999)")), "its 8 bytes"),
        (npy(described(shape="(-1,)")), "no array"), (npy(described("'<U0'")), "which is none"),
        (npy(described("'<U99999999'")), "its 8 bytes"), (npy(described(), b"\0" * 9), "its 9 b"),
        (npy(described("'|b1'"), b"\2"), "truth values"),
        (npy(described("'<U2'"), b"\xff" * 8), "character that Unicode"),
        (b"\x93NUMPY\1\0\xff\xff" + b" " * 10, "no array"), (b"", "no array"),
        (pickle.dumps(Evil()), "no array"),
    ],
    ids=range(27),
)  # fmt: skip
def test_a_tampered_array_is_refused(path, member, message, monkeypatch):
    monkeypatch.chdir(path.parent)
    archive(path, [("model.json", header(["x"])), ("x.npy", member)])
    refused(path, f"x.npy.*{message}")
    assert [p.name for p in path.parent.iterdir()] == ["m.losskit"]


@pytest.mark.parametrize(
    "name", ["../pwned.npy", "/pwned.npy", "x.npy/", "x.NPY", "C:\\x.npy", "x", "x.npy.npy", ".npy"]
)
def test_other_members_are_refused(path, name, monkeypatch):
    monkeypatch.chdir(path.parent)
    archive(path, [("model.json", header(["x"])), (name, npy(described()))])
    refused(path, "its members are not")
    assert [p.name for p in path.parent.iterdir()] == ["m.losskit"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(path):
    for name in ("x.npy", "model.json"):
        member = npy(described()) if name == "x.npy" else header(["x"])
        archive(path, [("model.json", header(["x"])), ("x.npy", npy(described())), (name, member)])
        refused(path, "two members of the same name")


def test_a_bomb_is_not_unpacked(path):
    for document in (header() + b" " * (20 << 20), header(["x"])):
        members = [("model.json", document), ("x.npy", npy(described(), b"\0" * (200 << 20)))]
        archive(path, members, compression=zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 1 << 20
        tracemalloc.start()
        try:
            refused(path, "compressed or encrypted")
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


def test_members_cannot_claim_more_than_the_file_has(path):
    path.write_bytes(lying(["x.npy"]))
    assert saving.read(path)[1]["x"].tolist() == [0.0]
    path.write_bytes(lying(["x.npy"], size=1 << 31))
    refused(path, "larger than it is")
    path.write_bytes(lying([f"x{i}.npy" for i in range(9000)]))
    refused(path)
    path.write_bytes(lying([f"x{i}.npy" for i in range(11_000)]))
    refused(path, "11001 members")
    for hidden in ({"flags": 1}, {"method": 8}):
        path.write_bytes(lying(["x.npy"], **hidden))
        refused(path, "compressed or encrypted")
    path.write_bytes(lying(["x.npy"], size=len(npy(described())) + 4))
    refused(path)


def test_a_member_whose_checksum_fails_is_refused(path):
    data = bytearray(lying(["x.npy"]))
    at = bytes(data).index(b"\0" * 8, bytes(data).index(b"\x93NUMPY") + 100)
    data[at] = 1
    path.write_bytes(data)
    refused(path, "x.npy")
