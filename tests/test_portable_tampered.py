"""Losses in JSON that was tampered with: refused in one line, and nothing of it is run."""

from __future__ import annotations

import time
from typing import Any

import pytest

import losskit
from losskit.interface import Loss
from losskit.portable import loss_from_json, loss_to_json
from portable_losses import own_entropy, scaled, two_outputs
from tampering import NO_NAMES, changed, check_one_line, mutants, through_json, watched


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [scaled, two_outputs, own_entropy, losskit.huber], ids=repr)
def test_a_tampered_loss_is_refused_or_is_a_loss(loss, seed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for value in mutants(through_json(loss_to_json(loss)), 700, seed):
        try:
            with watched() as texts:
                found = loss_from_json(value)
        except ValueError as error:
            check_one_line(error, "loss")
            refused += 1
        else:
            assert isinstance(found, Loss)
            assert "\x1b" not in found.doc + found.elicits + found.cite
        for text in texts:
            assert not any(word in text for word in ("__", "import", "lambda", "\x1b"))
    assert refused > 500
    assert list(tmp_path.iterdir()) == []


def tamper(loss: Any, path: tuple[Any, ...], new: Any) -> Any:
    return changed(through_json(loss_to_json(loss)), path, new)


NAMED = (
    (two_outputs, ("name",)), (two_outputs, ("parameters", 0, "name")),
    (two_outputs, ("outputs", 0)), (two_outputs, ("aliases",)), (own_entropy, ("name",)),
    (own_entropy, ("symbols", 0)), (own_entropy, ("inputs", 0, 0)),
    (own_entropy, ("parameters", 0, "name")),
)  # fmt: skip


@pytest.mark.parametrize(("loss", "path"), NAMED, ids=lambda x: str(x)[:30])
@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_no_name_is_anything_but_a_plain_identifier(loss, path, name):
    labels = path in (("outputs", 0), ("aliases",), ("inputs", 0, 0))  # which no text is made of
    if labels and name in ("np", "axis", "float", "clip_lower"):
        return
    value = tamper(loss, path, [name] if path == ("aliases",) else name)
    with watched() as compiled, pytest.raises(ValueError, match=r"^loss\.") as caught:
        loss_from_json(value)
    check_one_line(caught.value, "loss.")
    assert compiled == []


@pytest.mark.parametrize(
    ("loss", "path", "new", "message"),
    [
        (scaled, ("kind",), "written", "loss.kind is 'written'; needed is one of"),
        (scaled, ("tables", 0, 1, 0), ["system", [0]], "tables.0..0. is 'system', which is no op"),
        (scaled, ("tables", 0, 1, 3), ["exp", [3]], "3 is no operation before this one, 0 to 2"),
        (scaled, ("tables", 0, 1, 3), ["exp", [-1]], "-1 is no operation before"),
        (scaled, ("tables", 0, 1, 3), ["exp", [True]], "True is no operation before"),
        (scaled, ("tables", 0, 1, 3), ["exp", [0, 1]], "exp takes 1 operand"),
        (scaled, ("tables", 0, 1, 3), ["sum", [0]], "'sum', which is no operation"),
        (scaled, ("tables", 0, 1, 3), ["and", [0, 1]], "and takes conditions such as"),
        (scaled, ("tables", 1, 1, 0), ["symbol", "floor"], "symbol 'floor', which the loss has n"),
        (scaled, ("tables", 0, 1, 0), ["constant", {"float": "nan"}], r"\(NaN\)"),
        (scaled, ("tables", 0, 1), [["symbol", "y"]] * 501, "501 operations; allowed are 1 to 500"),
        (scaled, ("tables",), [], "needed is a list of 2 tables"),
        (scaled, ("tables", 1, 0), [], r"tables.1. is not the formula without .'floor'."),
        (scaled, ("values", "scale"), -1.0, "scale=-1.0; needed is a number in"),
        (scaled, ("values", "scale"), "2", "loss.values.scale is '2'; needed is a number"),
        (scaled, ("links",), ["softmax"], "links.0. is 'softmax'"),
        (scaled, ("links",), ["log", "log"], "loss.links has 2 items for 1 outputs"),
        (scaled, ("parameters", 1, "name"), "scale", "parameters has 'scale' twice"),
        (scaled, ("parameters", 0, "name"), "sample_weight", "'sample_weight', which is reserved"),
        (scaled, ("parameters", 0, "name"), "f7", "'f7', which is reserved"),
        (scaled, ("doc",), "x" * 50_001, "50001 characters; at most 50000"),
        (scaled, ("optimum",), "{scale:>999999999}", "braces around 'scale'"),
        (scaled, ("optimum",), "{scale!r}", "braces around 'scale'"),
        (scaled, ("optimum",), "{", "loss.optimum: "),
        (scaled, ("extra",), 1, "loss has 'extra', which is unknown here"),
        (scaled, ("root",), 1, "loss.root is 1; needed is true or false"),
        (own_entropy, ("axis",), "row", "loss.axis is 'row'"),
        (own_entropy, ("links",), [], "links has 0 items"),
        (own_entropy, ("inputs", 1, 1, "trained"), False, "1 items for 0 outputs"),
        (own_entropy, ("inputs", 0, 1, "rank"), 3, "rank is 3; needed is one of 1, 2"),
        (own_entropy, ("inputs", 0, 1, "classes"), "index", "goes with rank 1"),
        (own_entropy, ("values", "side"), "middle", "'middle'; needed is one of 'left', 'right'"),
        (own_entropy, ("symbols", 0), "sharp", "loss has 'sharp' twice"),
        (own_entropy, ("parameters", 3, "name"), "other", "loss.values has no 'other'"),
        (losskit.huber, ("name",), "os", "'os', which is no loss of this version's catalogue"),
        (losskit.huber, ("parameters",), {"theta": 1.0}, "has 'theta', which is unknown here"),
        (losskit.huber, ("parameters", "delta"), 0.0, r"huber: delta=0.0; needed is"),
    ],
    ids=lambda x: str(x)[:25],
)  # fmt: skip
def test_what_is_wrong_is_named(loss, path, new, message):
    with pytest.raises(ValueError, match=message) as caught:
        loss_from_json(tamper(loss, path, new))
    check_one_line(caught.value, "loss")


@pytest.mark.parametrize("value", [None, [], "huber", 1, {}, {"kind": "registered"}, {"kind": []}])
def test_what_is_no_loss_at_all_is_refused(value):
    with pytest.raises(ValueError, match=r"^model\.loss"):
        loss_from_json(value, "model.loss")


def grown(*steps: list[Any], times: int, last: list[Any] | None = None) -> list[Any]:
    """A table that applies the steps to the node before, again and again; −1 is that node."""
    table: list[Any] = [["symbol", "f"], ["symbol", "y"], ["lt", [0, 1]], ["constant", 0.0]]
    table += [["where", [2, 3, 0]]]
    for _ in range(times):
        for op, args in steps:
            here = len(table)
            table.append([op, [here - 1 if a == -1 else a for a in args]])
    return table + ([last] if last else [])


MULTIPLYING = (
    grown(["mul", [-1, -1]], times=480),  # doubles a chain of wheres each time
    grown(["mul", [-1, 4]], ["signed", [-1, 0]], times=240),
    [*grown(times=0), *[["and", [i, i]] for i in (2, *range(5, 490))], ["where", [490, 0, 1]]],
)
SLOW = (
    grown(["boxcox_square", [-1, 0]], times=495),
    grown(["mul_expm1_over", [1, -1, 0]], times=495),
    grown(["exp", [-1]], ["mul", [-1, 4]], ["add", [-1, 0]], times=160),
    grown(["pow", [-1, -1]], times=490),
    grown(["neg", [-1]], times=490),
    [["constant", 1e308], ["symbol", "f"], ["mul", [0, 0]], ["mul", [2, 1]]],
    [["constant", 5e-324], ["symbol", "f"], ["div", [1, 0]], ["pow", [2, 2]]],
)


@pytest.mark.parametrize("table", MULTIPLYING + SLOW, ids=range(10))
def test_a_hostile_graph_takes_bounded_time(table):
    start = time.process_time()
    said = ""
    for loss in (scaled, own_entropy):
        value = through_json(loss_to_json(loss))
        if loss is scaled:
            value["tables"][1][1] = table  # of the formula without floor
        else:
            value["table"] = [*table, ["sum", [len(table) - 1]]]
        try:
            loss_from_json(value)
        except ValueError as error:
            check_one_line(error, "loss")
            said += str(error)
    assert time.process_time() - start < 60
    assert ("too many" in said) == (table in MULTIPLYING)


def test_the_watch_sees_what_is_compiled():
    value = through_json(loss_to_json(scaled))
    table = value["tables"][1][1]
    table += [["constant", 0.109375], ["add", [len(table) - 1, len(table)]]]  # in no other test
    with watched() as compiled:
        loss_from_json(value)
    assert any("def scaled(y, f, scale)" in text for text in compiled)
