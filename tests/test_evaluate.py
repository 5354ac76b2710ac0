"""Scoring tables: values, standard errors and differences against plain arithmetic."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from losskit.evaluation.moments import Moments, Sum
from scoring import EPS, cross_entropy, expected, score, write

# --- the worked numbers of shared/articles.md §4


@pytest.mark.parametrize(
    ("y", "p", "loss", "value", "root"),
    [
        ([1200, 850, 2000, 950, 1500], [1150, 900, 1700, 940, 1520], "mse", 19100, 138.2027),
        ([1, 0, 1, 0], [0.9, 0.05, 0.1, 0.6], "bce", 0.843882, None),
        ([3, 5, 2.5, 7, 4.5], [2.8, 5.2, 2.6, 6.8, 4.0], "mse", 0.076, 0.275681),
        ([1, 0, 1, 1, 0], [0.9, 0.1, 0.8, 0.7, 0.3], "bce", 0.229443, None),
        ([300000], [799000], "squared_error", 2.49001e11, 499000),
        ([250000, 460000, 180000], [300000, 450000, 200000], "mse", 1e9, 31622.7766),
        ([3, 5, 2.5, 7], [2.5, 5, 3, 8], "mse", 0.375, 0.612372),
        ([3, 5, 2.5, 7], [2.5, 5, 3, 8], "mae", 0.5, None),
        ([1, 0, 1, 1], [0.9, 0.1, 0.8, 0.4], "log_loss", 0.337539, None),
        ([3, -0.5, 2, 7], [2.5, 0, 2, 8], "mae", 0.5, None),
        ([1, 1, 1, 1], [2, 1, 0.5, -1], "hinge", 0.625, None),
    ],
)
def test_worked_examples(tmp_path, y, p, loss, value, root):
    (result,) = score(write(tmp_path, y=y, p=p), loss=loss).results
    assert result.value == pytest.approx(value, rel=2e-6)
    assert result.root == (None if root is None else pytest.approx(root, rel=1e-6))


# --- arithmetic


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(5)
    n = 300_000
    y = (rng.random(n) < 0.3).astype(float)
    return {
        "y": y,
        "p": np.clip(0.2 + 0.3 * y + 0.2 * rng.standard_normal(n), 0, 1),
        "q": np.round(rng.random(n), 2),
        "w": np.where(
            rng.random(n) < 0.1, 0, rng.exponential(size=n) * 10.0 ** rng.integers(-3, 3, n)
        ),
        "g": rng.integers(0, 5, n),
    }


@pytest.fixture(scope="module")
def big(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("big") / "a.parquet"
    pq.write_table(pa.table(numbers), path, row_group_size=10_000)
    return path


@pytest.mark.parametrize("weighted", [False, True])
def test_means_and_errors_over_batches(big, numbers, weighted):
    report = score(big, ["p", "q"], loss=["bce", "mse"], weight="w" if weighted else None, by="g")
    w = numbers["w"] if weighted else np.ones(len(numbers["y"]))
    assert report.rows == len(w)
    assert report.invalid == {"null": 0, "nan": 0, "infinite": 0, "domain": 0}
    forms = {"binary_cross_entropy": cross_entropy, "squared_error": lambda y, p: (p - y) ** 2}
    assert [result.group for result in report.results[::4]] == [None, "0", "1", "2", "3", "4"]
    for result in report.results:
        rows = np.ones(len(w), bool) if result.group is None else numbers["g"] == int(result.group)
        losses = forms[result.loss](numbers["y"][rows], numbers[result.prediction][rows])
        mean, error = expected(losses, w[rows])
        assert result.value == pytest.approx(mean, rel=1e-14)
        assert result.standard_error == pytest.approx(error, rel=1e-12)
        p = numbers[result.prediction][rows & (w > 0)]
        clipped = np.count_nonzero((p < EPS) | (p > 1 - EPS))
        assert result.clipped == (clipped if result.loss == "binary_cross_entropy" else 0)
    assert [(d.a, d.b, d.loss) for d in report.differences] == [("p", "q", loss) for loss in forms]
    for item in report.differences:
        form = forms[item.loss]
        paired = form(numbers["y"], numbers["p"]) - form(numbers["y"], numbers["q"])
        mean, error = expected(paired, w)
        assert item.value == pytest.approx(mean, rel=1e-13)
        assert item.standard_error == pytest.approx(error, rel=1e-12)


def test_compiled_kernels_give_the_same(big, monkeypatch):
    plain = score(big, ["p", "q"], loss=["bce", "huber:delta=0.1"], weight="w", by="g")
    monkeypatch.setattr("losskit.evaluation.scorer._SCORES_BEFORE_COMPILING", 0)
    compiled = score(big, ["p", "q"], loss=["bce", "huber:delta=0.1"], weight="w", by="g")
    for a, b in zip(plain.results, compiled.results, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-14)
        assert a.standard_error == pytest.approx(b.standard_error, rel=1e-12)


def test_standard_error_does_not_cancel(tmp_path):
    # Losses near 1e12 that vary by 1e-2: the naive sum of squares has no digit left.
    rng = np.random.default_rng(0)
    offset = rng.standard_normal(50_000)
    y = np.zeros(50_000)
    p = 1e12 + offset
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": y, "p": p}), path, row_group_size=3000)
    (result,) = score(path, loss="mae").results
    mean, error = expected(np.abs(p - y))
    assert result.value == pytest.approx(mean, rel=1e-15)
    assert result.standard_error == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("groups", [0, 3])
def test_sums_are_compensated(groups):
    rng = np.random.default_rng(1)
    total = Sum(1 + groups)
    kept, codes = [], []
    for _ in range(50):
        values = rng.standard_normal(1000) * 10.0 ** rng.integers(-20, 20, 1000)
        code = rng.integers(0, max(groups, 1), 1000)
        found = Sum.of(values, code if groups else None, groups)
        total.add(found[:, 0], found[:, 1])
        kept.append(values)
        codes.append(code)
    kept, codes = np.concatenate(kept), np.concatenate(codes)
    assert total.value(0) == pytest.approx(math.fsum(kept), rel=1e-15)
    for group in range(groups):
        assert total.value(1 + group) == pytest.approx(math.fsum(kept[codes == group]), rel=1e-15)


def test_sums_of_special_values():
    for values, truth in (([0.0, 0.0], 0.0), ([1e308, 1e308, -1e308], 1e308), ([5e-324], 5e-324)):
        total = Sum(1)
        for value in values:
            found = Sum.of(np.array([value]), None, 0)
            total.add(found[:, 0], found[:, 1])
        assert total.value(0) == (truth if truth != 1e308 else math.inf)
    total = Sum(1)
    for value in (1.0, math.inf, 2.0):
        found = Sum.of(np.array([value]), None, 0)
        total.add(found[:, 0], found[:, 1])
    assert total.value(0) == math.inf


def test_moments_of_nothing():
    assert math.isnan(Moments(1).value(0))
    assert math.isnan(Moments(1).standard_error(0))


def test_integer_weights_are_repeated_rows(tmp_path):
    rows = [(1.0, 0.5, 3), (2.0, 2.5, 1), (0.0, 4.0, 2), (9.0, 9.0, 0)]
    y, p, w = zip(*rows, strict=True)
    weighted = score(write(tmp_path, y=y, p=p, w=w), loss="mse", weight="w").results[0]
    y, p = zip(*[(a, b) for a, b, count in rows for _ in range(count)], strict=True)
    repeated = score(write(tmp_path, y=y, p=p), loss="mse").results[0]
    assert weighted.value == pytest.approx(repeated.value, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e300])
def test_scale_of_weights_does_not_matter(tmp_path, scale):
    columns = {"y": [1.0, 2.0, 3.0], "p": [1.5, 1.0, 3.0]}
    plain = score(write(tmp_path, **columns, w=[1, 2, 4]), loss="mse", weight="w").results[0]
    path = write(tmp_path, **columns, w=[1 * scale, 2 * scale, 4 * scale])
    scaled = score(path, loss="mse", weight="w").results[0]
    tolerance = 1e-14 if scale > 1e-300 else 1e-3  # subnormal weights have few digits
    assert scaled.value == pytest.approx(plain.value, rel=tolerance)
    assert scaled.standard_error == pytest.approx(plain.standard_error, rel=tolerance)


def test_clipping_follows_the_loss(tmp_path):
    path = write(tmp_path, y=[1, 0, 1], p=[0, 0.5, 1])
    (result,) = score(path, loss="bce").results
    assert result.value == pytest.approx(losskit.bce([1.0, 0, 1], [0.0, 0.5, 1]), rel=1e-15)
    assert result.clipped == 2
    (result,) = score(path, loss="mse").results
    assert result.clipped == 0


def test_raw_scores(tmp_path):
    y, f = [1, 0, 1], [2.0, -30.0, 0.5]
    path = write(tmp_path, y=y, p=f)
    (result,) = score(path, loss="bce", raw=True).results
    assert result.value == pytest.approx(losskit.bce(np.array(y), np.array(f), raw=True), rel=1e-15)
    assert result.clipped == 0


def test_infinite_values_are_told(tmp_path):
    report = score(write(tmp_path, y=[0, 1], p=[1e200, 1], q=[1e201, 2]), ["p", "q"], loss="mse")
    plain = report.to_dict()
    assert [result["value"] for result in plain["results"]] == ["inf", "inf"]
    assert [result["root"] for result in plain["results"]] == ["inf", "inf"]
    assert plain["results"][0]["standard_error"] is None
    assert plain["differences"][0]["value"] is None


def test_progress_is_reported(big):
    calls = []
    score(big, loss="mse", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (300_000, 300_000)
    assert all(a[0] < b[0] for a, b in itertools.pairwise(calls))


# --- size


_MEASURE = """
import json, pathlib, re, sys, time, losskit
start = time.perf_counter()
report = losskit.evaluate(sys.argv[1], target="y", prediction=["p", "q"], by="g")
seconds = time.perf_counter() - start
# Not ru_maxrss: a child process inherits its parent's.
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024
print(json.dumps({"rows": report.rows, "seconds": seconds, "peak_mb": peak}))
print(json.dumps(report.to_dict()), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("row_group", [122_880, 50_000_000])
def test_fifty_million_rows_in_little_memory(tmp_path, row_group, capsys):
    n = 50_000_000
    rng = np.random.default_rng(7)
    y, p = (rng.random(n) < 0.4).astype(float), rng.random(n)
    columns = {"y": y, "p": p, "q": rng.random(n), "g": rng.integers(0, 7, n).astype(np.int32)}
    path = tmp_path / "big.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{n:,} rows, row groups of {row_group:,}: {measured}")
    assert measured["rows"] == n
    assert measured["peak_mb"] <= 600
    results = json.loads(done.stderr)["results"]
    found = {(r["loss"], r["prediction"], r["group"]): r["value"] for r in results}
    truth = float(np.mean(np.square(p - y), dtype=np.longdouble))
    assert found["squared_error", "p", None] == pytest.approx(truth, rel=1e-14)
    third = columns["g"] == 3
    truth = float(np.mean(cross_entropy(y[third], p[third]), dtype=np.longdouble))
    assert found["binary_cross_entropy", "p", "3"] == pytest.approx(truth, rel=1e-13)
