"""Model files: what was written is read, and a kill leaves no half."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import losskit
from archives import ARRAYS, DOCUMENT, refused, same
from losskit import penalties
from losskit.fit.files import saving
from losskit.portable import (
    labels_from_json,
    labels_to_json,
    loss_from_json,
    loss_to_json,
    penalty_from_json,
    penalty_to_json,
)
from portable_losses import own_entropy, scaled
from tampering import PAYLOAD


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.losskit"


@pytest.fixture
def content(path):
    """The bytes of a model file."""
    saving.write(path, DOCUMENT, ARRAYS)
    return path.read_bytes()


# --- what was written is read


def test_a_model_comes_back(path):
    saving.write(path, DOCUMENT, ARRAYS)
    found = saving.read(path)
    assert same(found, (DOCUMENT, ARRAYS))
    assert str(found[0]["nested"][2][2]) == "-0.0"
    loaded = loss_from_json(found[0]["loss"])
    assert loaded == scaled(floor=0.5)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2), np.arange(10)[::3], np.array(2.5),
        np.empty((0, 7)), np.empty((3, 0), np.float32), np.array([], "U0"), np.array(["", "ab"]),
        np.array([b"a\0b", b""]), np.array([True, False]), np.ones(3, np.float16),
        np.array([2**63], np.uint64), np.array([-1], np.int8), np.arange(3, dtype=">i4"),
        np.array(["2020-01-01", "NaT"], "M8[ns]"), np.array([1, 2], "m8[D]"),
        np.arange(2**8).reshape((2,) * 8),
    ],
    ids=lambda a: f"{a.dtype}-{a.shape}",
)  # fmt: skip
def test_arrays_of_every_kind_come_back(path, array):
    saving.write(path, {}, {"x": array})
    (found,) = saving.read(path)[1].values()
    if array.dtype.itemsize:
        assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable
    assert found.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc


def test_equal_models_are_equal_files(path, content):
    saving.write(path, DOCUMENT, ARRAYS)
    assert path.read_bytes() == content


def test_others_can_open_it(path, content):
    with np.load(path, allow_pickle=False) as opened:
        assert (opened["names"] == ARRAYS["names"]).all()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        held = json.loads(archive.read("model.json"))
    assert held["format"] == saving.FORMAT
    assert held["losskit"] == losskit.__version__


def test_a_whole_model_of_ones_own_parts(path):
    labels = np.array(["no", "yes", "perhaps", "never"])
    penalty = penalties.GroupLasso([0, 0, 1])
    document = {
        "loss": loss_to_json(own_entropy(weight=(1.0, 2.0, 0.5, 1.0))),
        "penalty": penalty_to_json(penalty),
        "classes": labels_to_json(labels),
    }
    saving.write(path, document, {})
    with saving.naming(path):
        found, arrays = saving.read(path)
        assert loss_from_json(found["loss"]) == own_entropy(weight=(1.0, 2.0, 0.5, 1.0))
        assert penalty_from_json(found["penalty"]) == penalty
        assert labels_from_json(found["classes"]).tolist() == labels.tolist()
    assert arrays == {}


# --- what cannot be written


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"a": float("nan")}, "document.a is nan"), ({"a": [float("inf")]}, r"document.a\[0\]"),
        ({1: 2}, "has the key 1"), ({"a": np.float64(1)}, "type float64"), ({"a": {1}}, "type set"),
        ({"a": b"x"}, "type bytes"), ({"a": 10**50}, "more than 40 digits"),
        ({"a": [[]] * 1_600_000}, "document is too large"), ({"a": "x" * (33 << 20)}, "too large"),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_json_has_not_is_refused(path, document, message):
    with pytest.raises((TypeError, ValueError), match=message):
        saving.write(path, document, {})
    assert not path.exists()


def test_what_is_nested_without_end_is_refused(path):
    document: dict = {}
    document["self"] = document
    with pytest.raises(ValueError, match="nested too deeply"):
        saving.write(path, document, {})


@pytest.mark.parametrize(
    "array",
    [
        np.array([None], object), np.array([1j]), np.zeros(1, "M8"), np.zeros(1, [("a", "f8")]),
        np.array(["a"], np.dtypes.StringDType()), np.ma.masked_array([1]), [1.0], 1.0,
        np.zeros((1,) * 9), np.zeros(1, np.longdouble),
    ],
    ids=range(10),
)  # fmt: skip
def test_arrays_that_no_file_keeps(path, array):
    with pytest.raises(TypeError, match=r"^x "):
        saving.write(path, {}, {"x": array})


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "ä", "_x", "x" * 101, "a\n", 1])
def test_names_of_arrays_are_plain(path, name):
    with pytest.raises(ValueError, match="an array is called"):
        saving.write(path, {}, {name: np.ones(1)})


# --- all or nothing


def test_a_failure_leaves_what_was_there(path, content, monkeypatch):
    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(KeyboardInterrupt):
        saving.write(path, {}, ARRAYS)
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["m.losskit"]


@pytest.mark.parametrize("there", [True, False])
def test_a_killed_writer_leaves_no_half(path, content, there):
    if not there:
        path.unlink()
    script = (
        "import sys, time\n"
        "from losskit.replacing import replacing\n"
        "with replacing(sys.argv[1]) as place:\n"
        "    place.write_bytes(b'half')\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    assert path.exists() == there
    if there:
        assert path.read_bytes() == content
    left = [p.name for p in path.parent.iterdir() if p != path]
    assert len(left) == 1
    assert left[0].endswith(".part")
    saving.write(path, DOCUMENT, ARRAYS)
    assert path.read_bytes() == content


def test_links_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    saving.write(link, DOCUMENT, ARRAYS)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert same(saving.read(real), (DOCUMENT, ARRAYS))


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    old = os.umask(0o027)
    try:
        saving.write(tmp_path / "m", {}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


def test_where_no_file_can_be(tmp_path):
    with pytest.raises(OSError, match="no file that could be replaced"):
        saving.write(tmp_path, {}, {})
    with pytest.raises(FileNotFoundError, match="no folder"):
        saving.write(tmp_path / "none" / "m", {}, {})
    with pytest.raises(FileNotFoundError):
        saving.read(tmp_path / "none")
    refused(tmp_path, "it is no file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "it is no file")


def test_the_error_of_a_part_names_the_file(path):
    document = {"loss": {**DOCUMENT["loss"], "name": PAYLOAD}}
    saving.write(path, document, {})
    with pytest.raises(ValueError, match=r"is .__import__") as caught, saving.naming(path):
        loss_from_json(saving.read(path)[0]["loss"])
    assert str(caught.value).startswith(f"{path}: loss.name is ")


def test_errors_stay_on_one_line_whatever_the_path(tmp_path):
    path = tmp_path / "a\nb\x1b[2J"
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="no losskit model") as caught:
        saving.read(path)
    assert str(caught.value).isprintable()


def test_reading_takes_no_more_memory_than_the_file_is_large(path):
    saving.write(path, {}, {"x": np.zeros(1 << 20)})
    tracemalloc.start()
    try:
        saving.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * path.stat().st_size + (2 << 20)
    finally:
        tracemalloc.stop()


def test_files_are_not_read_from_other_objects():
    with pytest.raises(TypeError):
        saving.read(io.BytesIO(b""))  # type: ignore[arg-type]
