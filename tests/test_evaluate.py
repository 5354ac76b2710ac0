"""Scoring tables: values, standard errors, groups and differences against plain arithmetic."""

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
from losskit.evaluation import InvalidRowsError, TableError, parse_loss
from losskit.evaluation.moments import Moments, Sum
from losskit.evaluation.spelling import spelled

EPS = np.finfo(float).eps


def write(folder, name="a.csv", **columns):
    """A table of columns given as lists; text stands as it is, None is blank."""
    path = folder / name
    rows = zip(*columns.values(), strict=True)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    path.write_text("\n".join([",".join(columns), *map(",".join, cells)]) + "\n")
    return path


def score(path, prediction="p", **options):
    return losskit.evaluate(path, target="y", prediction=prediction, **options)


def expected(losses, weights=None):
    """Mean and standard error of a list of losses by exact sums."""
    w = np.ones(len(losses)) if weights is None else np.asarray(weights, float)
    total = math.fsum(w)
    mean = math.fsum(w * losses) / total
    return mean, math.sqrt(math.fsum((w * (losses - mean)) ** 2)) / total


def cross_entropy(y, p):
    p = np.clip(p, EPS, 1 - EPS)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


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


# --- which rows count


def test_invalid_rows_stop(tmp_path):
    path = write(
        tmp_path,
        y=[1, 0, None, 0, 1, 0, 1, 3],
        p=[0.5, "NaN", 0.5, "inf", 1.2, 0.5, 0.5, 0.5],
        q=[0.5, None, 0.5, 0.5, "nan", 0.25, None, 0.5],
    )
    with pytest.raises(InvalidRowsError) as caught:
        score(path, ["p", "q"], loss="bce")
    # Row 2 is missing in q and NaN in p: it counts once, as null.
    assert caught.value.counts == {"null": 3, "nan": 1, "infinite": 1, "domain": 1}
    assert str(caught.value).splitlines() == [
        "6 of 8 rows cannot be scored:",
        "  null     3 rows, first row 2: prediction 'q' is missing",
        "  nan       1 row, first row 5: prediction 'q' is NaN",
        "  infinite  1 row, first row 4: prediction 'p' is inf",
        "  domain    1 row, first row 8: target 'y' is 3, but binary_cross_entropy needs [0, 1]",
        "correct them, or pass --invalid skip (invalid='skip') to leave them out of every score",
    ]


def test_skipped_rows_leave_numerator_and_denominator(tmp_path):
    # The trap of SQL clipping: a missing or NaN prediction must not score as a perfect one.
    path = write(tmp_path, y=[1, 1, 1, 1, 1], p=[0.9, 0.8, 0.7, None, "NaN"])
    report = score(path, loss="bce", invalid="skip")
    (result,) = report.results
    assert result.value == pytest.approx(-math.log(0.9 * 0.8 * 0.7) / 3, rel=1e-14)
    assert report.rows == 5
    assert report.invalid == {"null": 1, "nan": 1, "infinite": 0, "domain": 0}
    assert report.first_invalid["nan"] == "row 5: prediction 'p' is NaN"


def test_a_row_invalid_for_one_is_skipped_for_all(tmp_path):
    path = write(tmp_path, y=[1, 2, 0, 4], p=[1, 3, 1, 4], q=[2, None, 1, 5], w=[1, 2, 3, 4])
    report = score(path, ["p", "q"], loss=["mse", "mape"], invalid="skip", weight="w")
    # Row 2 for its blank, row 3 for mape, whose target must not be 0.
    assert [result.value for result in report.results] == [0, 1, 0, 0.4]
    assert report.invalid == {"null": 1, "nan": 0, "infinite": 0, "domain": 1}


def test_rows_without_weight_are_not_validated(tmp_path):
    path = write(tmp_path, y=[1, None, "nan", 7, 0], p=[0.5, 0.5, 2, "inf", 0.5], w=[1, 0, 0, 0, 3])
    report = score(path, loss="bce", weight="w")
    assert report.results[0].value == pytest.approx(math.log(2), rel=1e-15)
    assert report.rows == 5
    assert sum(report.invalid.values()) == 0


@pytest.mark.parametrize(
    ("weight", "kind", "message"),
    [
        (None, "null", "weight 'w' is missing"),
        ("NaN", "nan", "weight 'w' is NaN"),
        ("inf", "infinite", "weight 'w' is inf"),
        (-1, "domain", "weight 'w' is -1, but a weight needs a number >= 0"),
    ],
)
def test_bad_weights(tmp_path, weight, kind, message):
    path = write(tmp_path, y=[1, 2, 3], p=[1, 3, 9], w=[1, 1, weight])
    with pytest.raises(InvalidRowsError) as caught:
        score(path, loss="mse", weight="w")
    assert caught.value.first == {kind: f"row 3: {message}"}
    report = score(path, loss="mse", weight="w", invalid="skip")
    assert report.results[0].value == 0.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [1, 2], "p": [1, 2], "w": [0, 0]}, "their weights sum to 0"),
        ({"y": [None, None], "p": [1, 2], "w": [1, 0]}, "each is invalid or has weight 0"),
        ({"y": [], "p": [], "w": []}, "has no data rows"),
    ],
)
def test_nothing_to_score(tmp_path, columns, message):
    with pytest.raises(TableError, match=message):
        score(write(tmp_path, **columns), loss="mse", weight="w", invalid="skip")


def test_wrong_label_encoding_is_an_error(tmp_path):
    with pytest.raises(InvalidRowsError, match=r"target 'y' is 0, but hinge needs \{-1, 1\}"):
        score(write(tmp_path, y=[1, 0], p=[0.5, 0.5]), loss="hinge")
    with pytest.raises(InvalidRowsError, match=r"target 'y' is -1, but binary_cross_entropy needs"):
        score(write(tmp_path, y=[1, -1], p=[0.5, 0.5]), loss="bce")


def test_groups(tmp_path):
    path = write(tmp_path, y=[1, 2, 3, 4], p=[1, 3, 5, "nan"], g=["b", None, "b", "c"])
    report = score(path, loss="mse", by="g", invalid="skip")
    found = {result.group: result.value for result in report.results}
    assert found.pop("c") != found["b"]  # c has no row to score: NaN
    assert found == {None: pytest.approx(5 / 3), "": 1, "b": 2}
    assert report.to_dict()["results"][-1]["value"] is None
    with pytest.raises(TableError, match="no column 'h'"):
        score(path, loss="mse", by="h")


# --- which losses


def losses_of(path, prediction="p", **options):
    report = score(path, prediction, **options)
    return list(dict.fromkeys(result.loss for result in report.results)), report.chosen


def test_default_losses(tmp_path):
    binary, why = losses_of(write(tmp_path, y=[0, 1], p=[0.2, 1], q=[0, 0.5]), ["p", "q"])
    assert binary == ["binary_cross_entropy", "squared_error"]
    assert why.startswith("target 'y' holds only 0 and 1 and every prediction lies in [0, 1]; ")
    counts, why = losses_of(write(tmp_path, y=[0, 1, 7], p=[0.2, 1, 3]))
    assert counts == ["poisson", "squared_error", "absolute_error"]
    assert "whole numbers >= 0 and every prediction is positive" in why
    numbers, why = losses_of(write(tmp_path, y=[0, 1, 7.5], p=[0.2, 1, 3]))
    assert numbers == ["squared_error", "absolute_error"]
    assert "'y' holds numbers" in why
    numbers, why = losses_of(write(tmp_path, y=[0, 1, 7], p=[0.2, -1, 3]))
    assert numbers == ["squared_error", "absolute_error"]
    assert "prediction 'p' is -1 at row 2" in why
    assert losses_of(write(tmp_path, y=[-1, 1], p=[0.2, 1]))[0] == numbers


def test_default_losses_of_raw_scores(tmp_path):
    assert losses_of(write(tmp_path, y=[0, 1], p=[-3, 7]), raw=True)[0] == ["binary_cross_entropy"]
    assert losses_of(write(tmp_path, y=[0, 5], p=[-3, 7]), raw=True)[0] == ["poisson"]


def test_labels_with_something_that_is_no_probability(tmp_path):
    path = write(tmp_path, y=[0, 1, 1], p=[0.2, 0.5, 1.2])
    with pytest.raises(TableError, match=r"prediction 'p' is 1\.2 at row 3, which is no prob"):
        score(path)
    with pytest.raises(
        InvalidRowsError, match=r"'p' is 1\.2, but binary_cross_entropy needs \[0, 1"
    ):
        score(path, loss="bce")


def test_the_default_follows_every_row(tmp_path):
    y = np.zeros(400_000)
    for value, first in ((0.0, "binary_cross_entropy"), (2.0, "poisson"), (0.5, "squared_error")):
        y[399_999] = value
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"y": y, "p": np.full(400_000, 0.5)}), path)
        assert losses_of(path)[0][0] == first


def test_the_default_ignores_rows_that_do_not_count(tmp_path):
    path = write(tmp_path, y=[0, 1, 0.5, None], p=[0.5, 0.5, 7, 9], w=[1, 2, 0, 0])
    assert losses_of(path, weight="w")[0][0] == "binary_cross_entropy"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("huber", "huber"), ("huber:delta=1.5", "huber:delta=1.5"), ("mse", "squared_error"),
        ("huber:delta=1", "huber"), ("barron: alpha = -inf , c=2", "barron:alpha=-inf,c=2"),
        ("focal:alpha=none", "focal"), ("focal:alpha=.25,gamma=1e-1", "focal:gamma=0.1,alpha=0.25"),
    ],
)  # fmt: skip
def test_spelling(text, canonical):
    loss = parse_loss(text)
    assert spelled(loss) == canonical
    assert parse_loss(canonical) == loss


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hubr", "no loss called 'hubr'; did you mean 'huber'"),
        ("huber:delt=1", "no parameter 'delt'; did you mean 'delta'"),
        ("huber:delta", "'delta' where param=value is needed"),
        ("huber:", "'' where param=value is needed"),
        ("huber:delta=1,delta=2", "gives 'delta' twice"),
        ("huber:delta=__import__('os')", "must be a number or none"),
        ("huber:delta=1_0", "must be a number or none"),
        ("huber:delta=-1", "delta=-1"),
        ("huber:delta=nan", "delta=nan"),
        ("gaussian_nll", r"needs 2 numbers per prediction \(mean, log_sd\)"),
        ("", "no loss called ''"),
    ],
)
def test_wrong_spelling(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        score(write(tmp_path, y=[1], p=[1]), loss=text)


def test_losses_as_values_and_user_losses(tmp_path):
    @losskit.loss
    def cubed(y, f, scale=1.0):
        """Cubes."""
        r = (f - y) * scale
        return abs(r) * r * r

    path = write(tmp_path, y=[1, 2], p=[3, 2])
    report = score(path, loss=[cubed, cubed(scale=2.0), losskit.mse, "l2"])
    assert [(result.loss, result.value) for result in report.results] == [
        ("cubed", 4), ("cubed:scale=2", 32), ("squared_error", 2),
    ]  # fmt: skip


def test_every_loss_of_the_catalogue_can_score(tmp_path):
    tasks = {
        "regression": write(tmp_path, "r.csv", y=[1.5, 2, 0.25], p=[1, 2, 3]),
        "counts": write(tmp_path, "c.csv", y=[1, 2, 5], p=[1, 2.5, 3]),
        (0, 1): write(tmp_path, "b.csv", y=[1, 0, 1], p=[0.5, 0.25, 0.75]),
        (-1, 1): write(tmp_path, "s.csv", y=[1, -1, 1], p=[0.5, 0.25, -0.75]),
    }
    for name in losskit.names():
        loss = losskit.get(name)
        if len(loss.outputs) > 1:
            continue
        ends = loss.target_domain.lower, loss.target_domain.upper
        report = score(tasks[ends if loss.task == "binary" else loss.task], loss=name)
        assert math.isfinite(report.results[0].value), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"invalid": "drop"}, "invalid must be 'stop' or 'skip'"),
        ({"prediction": []}, "no prediction column"),
        ({"prediction": ["p", "p"]}, "'p' was given twice"),
        ({"loss": []}, "no loss was given"),
        ({"prediction": "pp"}, "no column 'pp'; did you mean 'p'"),
        ({"weight": "w"}, "no column 'w'"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    path = write(tmp_path, y=[1], p=[1])
    with pytest.raises(TableError, match=message):
        score(path, **options)


def test_the_documented_form(tmp_path):
    report = score(write(tmp_path, y=[1, 2], p=[1, 4], q=[1, 3]), ["p", "q"], loss="mse", by="y")
    plain = report.to_dict()
    assert list(plain) == ["rows", "invalid", "results", "differences"]
    assert plain["rows"] == 2
    assert plain["invalid"] == {"null": 0, "nan": 0, "infinite": 0, "domain": 0}
    assert plain["results"][0] == {
        "prediction": "p", "loss": "squared_error", "value": 2.0, "root": math.sqrt(2),
        "standard_error": math.sqrt(8) / 2, "clipped": 0, "group": None,
    }  # fmt: skip
    assert [result["group"] for result in plain["results"]] == [None, None, "1", "1", "2", "2"]
    assert plain["differences"] == [
        {"a": "p", "b": "q", "loss": "squared_error", "value": 1.5,
         "standard_error": math.sqrt(2 * 1.5**2) / 2},
    ]  # fmt: skip


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
