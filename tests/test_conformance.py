"""`losskit.conformance`: right passes, each mistake fails its own checks, nothing crashes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import losskit
from conforming import BFLOAT16, MISTAKES, OWN, SHIFTED, THEIRS, TITLES, own, right
from losskit.audit import Conformance, classes, conformance, pointwise


@pytest.mark.parametrize(
    "library",
    [pytest.param(one, marks=() if one == "torch" else pytest.mark.slow) for one in THEIRS],
)
def test_each_mistake_fails_its_own_checks(library):
    package, backend = library.split()[0], library.split()[-1]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    code = f"import conforming, json; print(json.dumps(conforming.reports({library!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for statuses in found.values():
        assert statuses["values"] == "pass"
        assert "error" not in statuses.values()
    failing = {k: {c for c, s in v.items() if s == "fail"} for k, v in found.items()}
    assert failing == {**OWN.get(library, {}), **THEIRS[library]}
    for name in OWN.get(library, {}):
        assert "not applicable" not in found[name].values()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_fails_its_own_checks_in_numpy(mistake):
    report = conformance(own(np, mistake), gradient=own(np, mistake, derivative=True))
    assert set(report.failed) == MISTAKES[mistake]
    assert report.passed == (not mistake)
    assert {r.check for r in report.rows if r.status == "not applicable"} == BFLOAT16


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "huber", "poisson"])
def test_losskits_own_pass(name):
    report = conformance(losskit.get(name), like=name)
    assert report.passed
    assert sum(row.status == "pass" for row in report.rows) > 20


def test_the_guide_tells_what_the_tests_found():
    guide = (Path(__file__).parents[1] / "docs/guide/conformance.md").read_text()
    told = dict(re.findall(r"^\| ([\w ]+ `\w+`) \| (.*) \|$", guide, re.MULTILINE))
    assert {name: set(failed.split("; ")) for name, failed in told.items()} == {
        f"{TITLES[library]} `{name}`": failed
        for library, theirs in THEIRS.items()
        for name, failed in theirs.items()
    }


def statuses(report: Conformance) -> dict[str, str]:
    return {row.check: row.status for row in report.rows}


def test_what_a_function_lacks_does_not_apply():
    def rows_only(y_true, y_pred):
        log_p = y_pred - np.log(np.exp(y_pred).sum(-1, keepdims=True))
        return -(y_true * log_p).sum(-1).mean()

    found = {row.check: row for row in conformance(rows_only).rows}
    assert found["values"].status == found["soft targets"].status == "pass"
    assert found["sum"].why == "it has no reduction='sum'"
    assert found["label smoothing"].why == "it has no label_smoothing"
    assert found["soft targets: gradient"].why == "its gradient is not known: pass gradient="
    assert "a label that is no class" in found["label out of range"].why
    assert found["NaN logit"].status == "pass"
    assert found["label smoothing"].given == found["label smoothing"].expected == ""


def test_soft_targets_that_are_refused_do_not_apply_and_say_why():
    def labels_only(y_true, y_pred):
        if y_true.dtype.kind != "i":
            raise TypeError("labels, please")
        return right(np, "", False, y_true, y_pred, None, -100, 0.0, "none")

    (row,) = [row for row in conformance(labels_only).rows if row.check == "soft targets"]
    assert row.status == "not applicable"
    assert row.why == "it does not take soft targets: TypeError: labels, please"


def test_probabilities_instead_of_logits():
    from sklearn.metrics import log_loss

    assert conformance(log_loss, raw=False).passed
    report = conformance(log_loss, "binary_cross_entropy", raw=False)
    assert statuses(report)["targets between 0 and 1"] == "not applicable"
    assert statuses(report)["weights: mean"] == "pass"
    assert set(report.failed) == {"NaN at weight 0"}  # it refuses any NaN
    assert "values" in conformance(log_loss).failed  # what it makes of logits


def test_an_implementation_that_raises_is_reported_with_its_message():
    def broken(y_true, y_pred):
        raise RuntimeError("no such kernel\nat line 3")

    report = conformance(broken, framework="numpy")
    assert not report.passed
    assert report.rows[0].status == "error"
    assert report.rows[0].given == "RuntimeError: no such kernel"
    assert set(statuses(report).values()) == {"error", "not applicable"}
    assert "values: the loss itself (RuntimeError: no such kernel)" in str(report)


@pytest.mark.parametrize(
    "answer", [None, "text", [], np.zeros((2, 2)), {"loss": 1.0}, 1 + 2j, np.zeros(0)], ids=repr
)
def test_nonsense_is_no_crash(answer):
    report = conformance(lambda y_true, y_pred: answer, framework="numpy")
    assert report.rows[0].status in ("fail", "error")
    assert not report.passed
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_function_that_writes_into_its_arguments_disturbs_no_other_check():
    def scribbling(y_true, y_pred):
        loss = losskit.huber(y_true, y_pred, reduction="none")
        y_pred[...], y_true[...] = 0.0, 0.0
        return loss

    assert conformance(scribbling, "huber").passed


def broadcasting(y_true, y_pred):
    return np.mean(np.abs(y_true - y_pred))


def weighted(y_true, y_pred, sample_weight=1.0):
    return np.sum(sample_weight * (y_true - y_pred) ** 2) / y_true.size


def forgiving(y_true, y_pred):
    return np.nanmean((y_true - y_pred) ** 2)


def narrow(y_true, y_pred):
    return np.add.accumulate(np.abs(y_true - y_pred).astype(y_pred.dtype))[-1] / len(y_true)


@pytest.mark.parametrize(
    ("function", "like", "failed"),
    [
        (broadcasting, "absolute_error", {"shape (n, 1) against (n,)"}),
        (weighted, "squared_error", {"weights: mean", "NaN at weight 0",
                                     "shape (n, 1) against (n,)"}),
        (forgiving, "squared_error", {"NaN prediction", "shape (n, 1) against (n,)"}),
        (narrow, "absolute_error", {"float16: mean of 4096", "shape (n, 1) against (n,)"}),
    ],
)  # fmt: skip
def test_mistakes_in_losses_of_one_number(function, like, failed):
    assert set(conformance(function, like).failed) == failed


def test_any_slope_between_the_sides_is_right_at_a_kink():
    def slope(at_kink):
        def gradient(y_true, y_pred):
            return np.where(y_true == y_pred, at_kink, np.sign(y_pred - y_true))

        return statuses(conformance(absolute, "absolute_error", gradient=gradient))

    def absolute(y_true, y_pred):
        return np.abs(y_true - y_pred)

    assert {slope(x)["gradient at kinks"] for x in (-1.0, 0.0, 0.5, 1.0)} == {"pass"}
    assert {slope(x)["gradient at kinks"] for x in (1.5, np.nan)} == {"fail"}


def test_parameters_are_given_on_both_sides():
    def huber(pred, target, delta=1.0):
        return losskit.huber(delta=delta)(target, pred, reduction="none")

    assert conformance(partial(huber, delta=2.0), losskit.huber(delta=2.0)).passed
    assert "values" in conformance(huber, losskit.huber(delta=2.0)).failed


def test_the_order_decides():
    def pinball(a, b):
        return losskit.quantile(q=0.9)(a, b, reduction="none")

    like = losskit.quantile(q=0.9)
    assert conformance(pinball, like, order="true_first", framework="numpy").passed
    report = conformance(pinball, like, order="pred_first", framework="numpy")
    assert "values" in report.failed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformance(lambda a, b: np.abs(a - b)), "pass order='true_first' or"),
        (lambda: conformance(lambda y, f: y - f), 'pass framework="numpy", "torch" or "jax"'),
        (lambda: conformance(broadcasting, framework="tensorflow"), "'numpy', 'torch', 'jax'"),
        (lambda: conformance(broadcasting, order="both"), "needed is 'true_first' or"),
        (lambda: conformance(broadcasting, supports={"weights": "w"}), "supports= has 'weights'"),
        (lambda: conformance(broadcasting, "hubber"), "no loss called 'hubber'"),
    ],
)
def test_what_cannot_be_told_is_an_error(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_loss_without_checks_is_unsupported():
    with pytest.raises(losskit.Unsupported, match="no checks for gaussian_nll"):
        conformance(broadcasting, "gaussian_nll")


def test_the_table_is_aligned_and_complete():
    report = conformance(own(np, "0/0"))
    summary, *lines = str(report).splitlines()
    assert summary.startswith("conforming.own.cross_entropy (numpy) like losskit.cross_en")
    header = next(line for line in lines if line.lstrip().startswith("check"))
    for row in report.rows:
        (line,) = [x for x in lines if x.strip().startswith(f"{row.check}  ")]
        assert line.index(row.status, len(row.check) + 1) == header.index("status")
    assert lines[-1].startswith("all targets ignored: mean: 0/0")
    assert max(map(len, lines[: len(report.rows)])) < 160


def test_html_is_escaped():
    def hostile(y_true, y_pred):
        raise ValueError("<script>alert(1)</script>")

    hostile.__qualname__ = "<b>hostile</b>"
    html = conformance(hostile, framework="numpy")._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<tr>") == html.count("</tr>") == len(classes.CHECKS) + 1


def test_plain_values_are_strict_json():
    report = conformance(own(np, "naive exp"))
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["passed"] is False
    assert told["framework"] == "numpy"
    by_name = {row["check"]: row for row in told["rows"]}
    assert by_name[SHIFTED]["given"] in ("nan", "inf")
    assert by_name["values"]["difference"] < 1e-12
    assert set(by_name) == {check.name for check in classes.CHECKS}


def test_names_of_checks_are_unique_and_each_says_why():
    for checks in (classes.CHECKS, pointwise.checks(losskit.hinge, raw=True)):
        assert len({check.name for check in checks}) == len(checks)
        assert all(check.why for check in checks)
