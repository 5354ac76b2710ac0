"""Penalties and labels as JSON and back, and tampered with."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from losskit import penalties
from losskit.formula import Positive, where
from losskit.portable import (
    labels_from_json,
    labels_to_json,
    penalty_from_json,
    penalty_to_json,
)
from tampering import NO_NAMES, PAYLOAD, check_one_line, mutants, through_json, watched


@penalties.penalty(cite="me", ordered=("low", "high"))
def ramp(w, v, step, alpha, low: Positive = 1.0, high: Positive = 2.0):
    """Charges weights their size, more to the right."""
    return where(w < 0, -low * w, high * w) * alpha, where(
        v > step * alpha * high,
        v - step * alpha * high,
        where(v < -step * alpha * low, v + step * alpha * low, 0),
    )


PENALTIES = (
    None, penalties.L1, penalties.L2, penalties.ElasticNet(l1_ratio=0.25), penalties.MCP(gamma=2.5),
    penalties.SCAD(a=3.0), penalties.Box(lower=-np.inf, upper=0.5), penalties.NonNegative,
    penalties.GroupLasso([0, 0, 1]), penalties.GroupLasso(["a", "b", "a"]),
    penalties.grouped(penalties.MCP(gamma=2.0), [2, 2, 2]), ramp, ramp(low=0.5, high=0.75),
)  # fmt: skip


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_penalty_comes_back(penalty):
    found = penalty_from_json(through_json(penalty_to_json(penalty)))
    assert found == penalty
    assert repr(found) == repr(penalty)
    if penalty is not None:
        w = np.array([0.5, -1.0, 0.0])
        assert found.value(w, 0.5) == penalty.value(w, 0.5)
        assert (found.prox(w, 0.75, 0.5) == penalty.prox(w, 0.75, 0.5)).all()


def test_every_penalty_by_name_can_be_kept():
    for name in penalties.names():
        penalty = penalties.get(name)
        assert penalty_from_json(through_json(penalty_to_json(penalty))) == penalty


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [ramp, penalties.GroupLasso([0, 0, 1])], ids=repr)
def test_a_tampered_penalty_is_refused_or_is_a_penalty(penalty, seed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for value in mutants(through_json(penalty_to_json(penalty)), 300, seed):
        try:
            with watched() as texts:
                found = penalty_from_json(value)
        except ValueError as error:
            check_one_line(error, "penalty")
            refused += 1
        else:
            assert found is None or isinstance(found, penalties.Penalty)
        assert not [text for text in texts if "import os" in text or "__" in text]
    assert refused > 150
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*NO_NAMES, "w", "v", "step", "alpha", "left", "math"], ids=ascii)
def test_parameters_of_a_penalty_have_plain_names(name):
    value = through_json(penalty_to_json(ramp))
    value["parameters"][0]["name"] = name
    with watched() as compiled:
        with pytest.raises(ValueError, match=r"^penalty\.parameters\[0\]\.name"):
            penalty_from_json(value)
    assert compiled == []


def test_what_is_no_penalty_is_refused():
    with pytest.raises(TypeError, match=r"losskit\.penalties\.Penalty"):
        penalty_to_json("l1")
    for value in (0, "l1", {"kind": "registered", "name": "os", "groups": None, "parameters": {}}):
        with pytest.raises(ValueError, match=r"^penalty"):
            penalty_from_json(value)


# --- labels

LABELS = (
    np.array(["no", "yes", "ümlaut\n"]), np.array(["a"], "U9"), np.array([], "U1"),
    np.array([0, 1, -5]), np.array([0, 255], np.uint8), np.array([2**63], np.uint64),
    np.array([-(2**63)]), np.array([True, False]), np.array([0.1, -0.0, np.inf, np.nan]),
    np.array([0.1, 2.5], np.float32), np.array([b"a\0b", b"\xff"]),
    np.array(["2020-01-01", "NaT"], "M8[D]"), np.array([1, 2], "m8[ns]"),
    np.array(["2020-01-01T01:02:03.123456789"], "M8[ns]"),
    np.array(["a", "bb"], np.dtypes.StringDType()),
    np.array(["a", None, 1, 1.5, True, b"x", np.inf], object),
    np.array([datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5, 6)], object),
    np.array([datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)], object),
)  # fmt: skip


@pytest.mark.parametrize("labels", LABELS, ids=lambda a: f"{a.dtype}-{a.size}")
def test_labels_come_back_with_their_type(labels):
    found = labels_from_json(through_json(labels_to_json(labels)))
    assert found.dtype == labels.dtype
    assert found.shape == labels.shape
    if labels.dtype.kind == "O":
        assert [(type(x), x) for x in found] == [(type(x), x) for x in labels]
    else:
        np.testing.assert_array_equal(found, labels)
        assert labels.dtype.kind != "f" or (np.signbit(found) == np.signbit(labels)).all()


def test_labels_of_another_byte_order_and_of_lists():
    found = labels_from_json(labels_to_json(np.array([1, 2], ">i4")))
    assert found.dtype == np.int32
    assert found.tolist() == [1, 2]
    assert labels_from_json(labels_to_json(["a", "b"])).tolist() == ["a", "b"]
    numbers = np.array([np.int64(1), np.str_("a"), np.float64(0.5)], object)
    assert labels_from_json(labels_to_json(numbers)).tolist() == [1, "a", 0.5]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([object()], object), "label 0 is '?<object"),
        (np.array(["a", {1}], object), "label 1 is"),
        (np.array([2**70], object), "of type int"),
        (np.array([np.datetime64("2020", "ns")], object), "of type datetime64"),
        (np.array([1 + 2j]), "complex128"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.array(["x" * (1 << 20)] * 17), "17 labels of 1048576 characters are too many"),
    ],
    ids=range(7),
)
def test_labels_that_cannot_be_kept(labels, message):
    with pytest.raises(ValueError, match=message):
        labels_to_json(labels)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "object", "values": [{"pickle": "gASV"}]}, r"labels\.values\[0\]"),
        ({"type": "object", "values": [{"date": PAYLOAD}]}, "is no 'date'"),
        ({"type": "object", "values": [{"float": PAYLOAD}]}, "is no 'float'"),
        ({"type": "O", "values": []}, "labels.type is 'O'"),
        ({"type": "i8,O", "values": []}, "labels.type is"),
        ({"type": "str99999999", "values": ["a"]}, "too many"),
        ({"type": "str1", "values": ["ab"]}, "longer than 1"),
        ({"type": "int8", "values": [128]}, "from -128 to 127"),
        ({"type": "int64", "values": [1.0]}, "whole number"),
        ({"type": "bool", "values": [1]}, "true or false"),
        ({"type": "float32", "values": [1e300]}, "no float32"),
        ({"type": "bytes2", "values": ["zz"]}, "hexadecimal"),
        ({"type": "str1", "values": {}}, "needed is a list"),
        ({"type": "str1"}, "labels has no 'values'"),
        ([], "labels is list; needed is an object"),
    ],
    ids=range(15),
)
def test_tampered_labels_are_refused(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        labels_from_json(value)
    check_one_line(caught.value, "labels")
