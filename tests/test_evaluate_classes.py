"""Scoring class probabilities: against the losses and metrics called on arrays."""

import math

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from class_tables import LABELS, class_rows, columns, lists, values, write_wide
from losskit import metrics
from losskit.evaluation import InvalidRowsError, TableError, parse_loss
from losskit.evaluation.spelling import spelled
from scoring import expected, write


@pytest.fixture(scope="module")
def rows():
    return class_rows()


@pytest.fixture(scope="module")
def wide(rows, tmp_path_factory):
    """One column for each class and one of lists for each of two models."""
    return write_wide(rows, tmp_path_factory.mktemp("wide") / "a.parquet")


# --- classes: values


def test_the_default_is_cross_entropy_with_brier_and_accuracy(wide, rows):
    report = columns(wide)
    code, p = rows["code"], rows["p"]
    found = values(report)
    assert list(found) == [(n, "classes") for n in ("cross_entropy", "brier", "accuracy")]
    ce = losskit.cross_entropy(code, p)
    assert found["cross_entropy", "classes"] == pytest.approx(ce, rel=1e-13)
    assert found["brier", "classes"] == pytest.approx(metrics.brier(code, p), rel=1e-13)
    assert found["accuracy", "classes"] == pytest.approx(metrics.accuracy(code, p), rel=1e-15)
    assert report.results[0].perplexity == pytest.approx(metrics.perplexity(code, p), rel=1e-13)
    assert [result.perplexity for result in report.results[1:]] == [None, None]
    assert [result.better for result in report.results] == ["lower", "lower", "higher"]
    assert "holds one of 3 classes; scored with cross_entropy, brier, accuracy" in report.chosen


def test_errors_weights_and_groups_are_those_of_rows(wide, rows):
    report = lists(wide, ["p", "q"], weight="w", by="g", loss=["cross_entropy", "accuracy"])
    ways = {
        "cross_entropy": lambda p: -np.log(p[np.arange(len(p)), rows["code"]]),
        "accuracy": lambda p: (p.argmax(axis=1) == rows["code"]).astype(float),
    }
    for result in report.results:
        kept = np.ones(300, bool) if result.group is None else rows["g"] == int(result.group)
        each = ways[result.loss](rows[result.prediction])[kept]
        mean, error = expected(each, rows["w"][kept])
        assert result.value == pytest.approx(mean, rel=1e-13)
        assert result.standard_error == pytest.approx(error, rel=1e-12)
    for item in report.differences:
        mean, error = expected(ways[item.loss](rows["p"]) - ways[item.loss](rows["q"]), rows["w"])
        assert (item.a, item.b) == ("p", "q")
        assert item.value == pytest.approx(mean, rel=1e-12)
        assert item.standard_error == pytest.approx(error, rel=1e-12)


def test_columns_and_lists_agree(wide):
    assert [r.value for r in columns(wide).results] == [r.value for r in lists(wide).results]


@pytest.mark.parametrize(
    "loss",
    ["cross_entropy:label_smoothing=0.1", "generalized_cross_entropy:q=0.7", "categorical_focal",
     "cross_entropy:class_weight=1/2/5", "cross_entropy:ignore_index=1", "categorical_brier",
     "cross_entropy:class_weight=1/0/5,ignore_index=0", "log_loss", "nll", "token_cross_entropy"],
)  # fmt: skip
def test_every_loss_of_classes_with_its_weights(wide, rows, loss):
    made = parse_loss(loss, rank=2)
    truth = made(rows["code"], rows["p"], sample_weight=rows["w"])
    (result,) = columns(wide, loss=loss, weight="w").results
    assert result.value == pytest.approx(truth, rel=1e-13)
    assert result.loss == spelled(made)


def test_losses_and_metrics_as_objects(wide, rows):
    own = losskit.loss(_plain_brier, axis="class", link="softmax")
    report = columns(wide, loss=[own, metrics.brier, losskit.log_loss(label_smoothing=0.1)])
    smooth = losskit.cross_entropy(label_smoothing=0.1)(rows["code"], rows["p"])
    assert report.results[0].value == pytest.approx(report.results[1].value, rel=1e-12)
    assert report.results[2].value == pytest.approx(smooth, rel=1e-12)
    with pytest.raises(TableError, match="auc does not score class probabilities"):
        columns(wide, loss=metrics.auc)


def _plain_brier(y: losskit.formula.Mixture, f):
    """Squares the errors of class probabilities."""
    error = losskit.formula.softmax(f) - y
    return losskit.formula.sum_(error * error)


def test_scores_are_not_checked_as_probabilities(tmp_path):
    path = write(tmp_path, y=["a", "b"], u=[2, -3], v=[0.5, 1])
    given = {"target": "y", "class_columns": {"a": "u", "b": "v"}}
    report = losskit.evaluate(path, **given, loss=["crammer_singer", "accuracy"])
    truth = losskit.crammer_singer([0, 1], [[2, 0.5], [-3, 1]])
    assert [r.value for r in report.results] == [pytest.approx(truth), 1]
    with pytest.raises(InvalidRowsError, match="which is no probability; pass --raw"):
        losskit.evaluate(path, **given, loss=["crammer_singer", "brier"])


def test_raw_scores_may_exclude_classes(tmp_path):
    f = [[1.0, 2.0, -math.inf], [800.0, -800.0, 3.0]]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": [1, 0], "f": f}), path)
    report = losskit.evaluate(path, target="y", prediction="f", classes=["0", "1", "2"], raw=True)
    truth = losskit.cross_entropy([1, 0], f, raw=True)
    brier = metrics.brier([1, 0], f, raw=True)
    assert [r.value for r in report.results] == [pytest.approx(truth), pytest.approx(brier), 1]
    pq.write_table(pa.table({"y": [1, 0], "f": [[-math.inf] * 3, [0.0, math.inf, 0.0]]}), path)
    with pytest.raises(InvalidRowsError) as caught:
        losskit.evaluate(path, target="y", prediction="f", classes=["0", "1", "2"], raw=True)
    assert caught.value.counts == {"null": 0, "nan": 0, "infinite": 1, "domain": 1}


def test_an_impossible_class_that_came_true_is_clipped(tmp_path):
    path = write(tmp_path, y=["a", "b", "b"], u=[0, 0.5, 0], v=[1, 0.5, 1])
    report = losskit.evaluate(path, target="y", class_columns={"a": "u", "b": "v"})
    truth = losskit.cross_entropy([0, 1, 1], [[0, 1], [0.5, 0.5], [0.0, 1]])
    assert report.results[0].value == pytest.approx(truth, rel=1e-14)
    assert [result.clipped for result in report.results] == [2, 0, 0]


def test_one_row_that_its_class_weight_lets_count_has_no_error(tmp_path):
    path = write(tmp_path, y=["a", "b", "b"], u=[0.5, 0.5, 0.1], v=[0.5, 0.5, 0.9])
    given = {"target": "y", "class_columns": {"a": "u", "b": "v"}}
    report = losskit.evaluate(path, **given, loss="cross_entropy:class_weight=3/0")
    assert report.results[0].value == pytest.approx(math.log(2))
    assert math.isnan(report.results[0].standard_error)


def test_two_classes_have_the_binary_brier_score(tmp_path):
    path = write(tmp_path, y=["no", "yes"], u=[0.7, 0.4], v=[0.3, 0.6])
    given = {"target": "y", "class_columns": {"no": "u", "yes": "v"}, "loss": "brier"}
    assert losskit.evaluate(path, **given).results[0].value == pytest.approx((0.09 + 0.16) / 2)


# --- classes: where they stand


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.jsonl", "a.csv.gz", "a.duckdb"])
def test_lists_in_every_format(tmp_path, name):
    path = tmp_path / name
    select = (
        "SELECT * FROM (VALUES ('cat', [0.5, 0.25, 0.25]), ('dog', [0, 0.75, 0.25]), "
        "('a, b', [1, 0, 0])) AS t(y, p)"
    )
    options = {}
    if name.endswith("duckdb"):
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE TABLE t AS {select}")
        options = {"database_table": "t"}
    else:
        form = {"csv": "csv", "tsv": "csv, DELIMITER '\t'", "parquet": "parquet", "jsonl": "json",
                "gz": "csv, COMPRESSION gzip"}[name.rsplit(".", 1)[1]]  # fmt: skip
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{path}' (FORMAT {form})")
    found = values(lists(path, loss=["brier", "accuracy"], **options))
    assert found["brier", "p"] == pytest.approx((0.375 + 0.125 + 2) / 3)
    assert found["accuracy", "p"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "cell",
    ["[0.5, 0.25, 0.25]", "[0.5 0.25 0.25]", " [ .5,2.5e-1 , +0.25 ] ", "[0.5\n 0.25\n 0.25]"],
)
def test_lists_as_text(tmp_path, cell):
    path = tmp_path / "a.csv"
    path.write_text(f'y,p\ncat,"{cell}"\n')
    assert lists(path, loss="brier").results[0].value == 0.375


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.float16(), pa.decimal128(5, 2)])
def test_lists_of_every_type(tmp_path, kind):
    path = tmp_path / "a.parquet"
    cells = [[0.5, 0.25, 0.25], None]
    if kind == pa.decimal128(5, 2):
        from decimal import Decimal

        cells = [[Decimal("0.5"), Decimal("0.25"), Decimal("0.25")], None]
    table = pa.table({"y": ["cat", "dog"], "p": pa.array(cells, pa.list_(kind))})
    pq.write_table(table, path)
    report = lists(path, loss="brier", invalid="skip")
    assert report.results[0].value == 0.375
    assert report.invalid["null"] == 1


def test_lists_in_many_batches(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    p, code = rng.dirichlet(np.ones(3), 5000), rng.integers(0, 3, 5000)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": np.array(LABELS)[code], "p": list(p), "g": code}), path)
    monkeypatch.setattr("losskit.tables.batches._CELLS", 600)
    report = lists(path, by="g", loss="cross_entropy")
    assert report.results[0].value == pytest.approx(losskit.cross_entropy(code, p), rel=1e-13)
    code[4321] = 1
    labels = np.array(LABELS)[code]
    labels[4321] = "cow"
    pq.write_table(pa.table({"y": labels, "p": list(p)}), path)
    with pytest.raises(InvalidRowsError, match="row 4322: target 'y' is 'cow'"):
        lists(path)


@pytest.mark.parametrize(
    ("kind", "cells", "labels"),
    [
        (pa.int64(), [1, 2], ["1", "2"]), (pa.float64(), [1.0, 2.0], ["1", "2"]),
        (pa.float32(), [0.5, 2.0], ["0.5", "2"]), (pa.bool_(), [True, False], ["true", "false"]),
        (pa.string(), ["1.0", "NA"], ["1.0", "NA"]),
    ],
)  # fmt: skip
def test_labels_of_every_type(tmp_path, kind, cells, labels):
    path = tmp_path / "a.parquet"
    p = [[0.75, 0.25], [0.25, 0.75]]
    pq.write_table(pa.table({"y": pa.array(cells, kind), "p": p}), path)
    found = losskit.evaluate(path, target="y", prediction="p", classes=labels, loss="accuracy")
    assert found.results[0].value == 1


def test_na_is_missing_unless_it_is_a_class(tmp_path):
    path = write(tmp_path, y=["NA", "b", None], u=[0.9, 0.2, 0.5], v=[0.1, 0.8, 0.5])
    report = losskit.evaluate(
        path, target="y", class_columns={"NA": "u", "b": "v"}, loss="accuracy", invalid="skip"
    )
    assert (report.results[0].value, report.invalid["null"]) == (1, 1)
    path = write(tmp_path, y=["NA", "b", "null"], u=[0.9, 0.2, 0.5], v=[0.1, 0.8, 0.5])
    report = losskit.evaluate(
        path, target="y", class_columns={"a": "u", "b": "v"}, loss="accuracy", invalid="skip"
    )
    assert report.invalid == {"null": 2, "nan": 0, "infinite": 0, "domain": 0}
