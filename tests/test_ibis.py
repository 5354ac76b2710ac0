"""Losses as expressions of Ibis: the same mean and counts in every engine, and clear refusals."""

from __future__ import annotations

import math
import operator
import sqlite3
from decimal import Decimal
from functools import cache

import pytest

pytest.importorskip("ibis")

import duckdb
import ibis
import numpy as np
import pyarrow as pa

import losskit
import losskit.ibis
from test_sql_query import BAD, GOOD, HOSTILE, ROLES, WEIGHTED

# Ibis 12 reads SQLite's results through an option that pandas 3 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

ENGINES = ("duckdb", "sqlite", "polars")


@cache
def connect(engine):
    return getattr(ibis, engine).connect()


def records(engine, table):
    return connect(engine).to_pyarrow(table).to_pylist()


def data(rows, names=ROLES):
    kinds = {n: pa.bool_() if n == "mask" else pa.float64() for n in names}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return ibis.memtable(pa.table({n: pa.array(c, kinds[n]) for n, c in columns}))


@pytest.mark.parametrize("nan", ["propagate", "omit"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_bad_row_is_counted_as_duckdbs_text_counts_it(engine, nan):
    loss, names = losskit.binary_cross_entropy, (*ROLES, "group")
    rows = [(*row, i) for i, bad in enumerate(BAD.values()) for row in (*GOOD, bad)]
    options = {**WEIGHTED, "group_by": "group", "nan": nan}
    found = records(engine, losskit.ibis.mean(loss, data(rows, names), **options))
    with duckdb.connect() as database:
        t = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        database.register("t", t)
        query = loss.to("sql", query="mean", table="t", **options)
        expected = database.sql(query).to_arrow_table().to_pylist()
    assert len(found) == len(expected) == len(BAD)
    key = operator.itemgetter("group")
    for kind, ours, theirs in zip(
        BAD, *(sorted(x, key=key) for x in (found, expected)), strict=True
    ):
        if engine == "sqlite" and kind.endswith("_nan"):  # which it stores as NULL
            theirs[kind.replace("_nan", "_null")], theirs[kind] = 1, 0
        mean = ours.pop("mean"), theirs.pop("mean")
        assert mean == (None, None) or mean[0] == pytest.approx(mean[1], rel=1e-14), kind
        assert ours == theirs, kind


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_do_not_count_may_hold_anything(engine):
    hidden = [(y, p, w, m) for y, p, _, _ in BAD.values() for w, m in ((0.0, True), (None, False))]
    loss = losskit.binary_cross_entropy
    (found,) = records(engine, losskit.ibis.mean(loss, data([*GOOD, *hidden]), **WEIGHTED))
    y, p, w, _ = np.array(GOOD).T
    assert found.pop("mean") == pytest.approx(loss(y, p, sample_weight=w), rel=1e-14)
    assert (found.pop("weight"), found.pop("row_count")) == (3, 22)
    assert set(found.values()) == {0}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_table_and_a_group_of_nulls(engine):
    empty = losskit.ibis.mean("huber", data([(1.0, 2.0, 1.0, True)]).filter(ibis._.y_true > 5))
    (found,) = records(engine, empty)
    assert (found.pop("mean"), found.pop("weight")) == (None, 0)
    assert set(found.values()) == {0}
    rows = [(1.0, 3.0, 7.0, True), (None, None, 8.0, True)]
    grouped = losskit.ibis.mean("squared_error", data(rows), group_by="sample_weight")
    found = {r["sample_weight"]: r for r in records(engine, grouped)}
    assert (found[7.0]["mean"], found[8.0]["mean"]) == (4, None)
    counts = [found[8.0][name] for name in ("y_true_null", "y_pred_null", "y_true_nan")]
    assert counts == [1, 1, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_null_gives_null_and_what_is_not_in_the_domain_nan(engine):
    rows = [(1.0, 0.5, 1.0, True), *BAD.values()][:7]
    t = data(rows)
    for function in (losskit.ibis.value, losskit.ibis.gradient, losskit.ibis.hessian):
        shown = t.select(x=function("binary_cross_entropy", t))
        good, *bad = [r["x"] for r in records(engine, shown)]
        assert math.isfinite(good)
        for (kind, _), x in zip(BAD.items(), bad, strict=False):
            assert x is None if kind.endswith("null") or engine == "sqlite" else math.isnan(x), kind


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE[:4])
def test_columns_of_any_name(engine, name):
    columns = (f"{name} y", name, f"{name} w", f"{name} g")
    t = data([(1.0, 2.0, 1.0, 5.0), (3.0, 5.0, 3.0, 5.0)], columns)
    options = {"target": f"{name} y", "prediction": name}
    (found,) = records(
        engine,
        losskit.ibis.mean(
            "squared_error", t, sample_weight=f"{name} w", group_by=f"{name} g", **options
        ),
    )  # fmt: skip
    assert (found[f"{name} g"], found["mean"]) == (5.0, 3.25)


@pytest.mark.parametrize("engine", ENGINES)
def test_columns_of_any_type_are_read_as_numbers(engine):
    table = pa.table({
        "truth": pa.array([True, False]), "whole": pa.array([1, 0], pa.int8()),
        "decimal": pa.array([Decimal("0.5"), Decimal("0.9")], pa.decimal128(3, 1)),
        "small": pa.array([0.5, 0.25], pa.float32()),
    })  # fmt: skip
    kept = table if engine != "sqlite" else table.drop(["decimal"])
    t = ibis.memtable(kept)
    loss = losskit.binary_cross_entropy
    for target in ("truth", "whole"):
        for prediction in kept.column_names[2:]:
            shown = t.select(x=losskit.ibis.value(loss, t, target, prediction))
            found = [r["x"] for r in records(engine, shown)]
            p = np.array(table[prediction].to_pylist(), float)
            np.testing.assert_allclose(found, loss([1, 0], p, reduction="none"), rtol=1e-14)


def stored(tmp_path, kinds, rows):
    """Return a table of SQLite's, whose columns hold what they are given whatever their type."""
    file = tmp_path / "t.db"
    with sqlite3.connect(file) as database:
        database.execute(f"CREATE TABLE t ({kinds})")
        database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    database.close()
    return ibis.sqlite.connect(file).table("t")


@pytest.mark.parametrize("kind", ["DECIMAL(10, 2)", "NUMERIC", "INTEGER", "BOOLEAN"])
def test_numbers_of_sqlite_are_neither_rounded_nor_divided_as_integers(tmp_path, kind):
    t = stored(tmp_path, f"y_true {kind}, y_pred {kind}", [(2, 3), (5, 7), (1, 4)])
    y, f = [2.0, 5.0, 1.0], [3.0, 7.0, 4.0]
    for loss in (losskit.inverse_gaussian, losskit.fair, losskit.smape):
        shown = t.select(
            x=losskit.ibis.value(loss, t), g=losskit.ibis.gradient(loss, t)
        ).to_pyarrow()  # fmt: skip
        for name, true in (("x", loss(y, f, reduction="none")),
                           ("g", loss.gradient(y, f, reduction="none"))):  # fmt: skip
            np.testing.assert_allclose(shown[name].to_pylist(), true, rtol=1e-14)


def test_text_in_a_column_of_sqlite_is_no_zero(tmp_path):
    rows = [(1, 2.0), ("n/a", 1.0), (1, "n/a")]
    t = stored(tmp_path, "y_true INTEGER, y_pred REAL", rows)
    found = losskit.ibis.mean("squared_error", t).to_pyarrow().to_pylist()[0]
    assert found["mean"] is None
    assert (found["y_true_nan"], found["y_pred_nan"], found["y_true_null"]) == (1, 1, 0)


def test_text_among_truths_of_sqlite_is_not_false(tmp_path):
    rows = [(1, 0.5, 1), ("true", 0.9, 1), (1, 0.5, "true"), ("x", 0.5, 0)]
    t = stored(tmp_path, "y_true BOOLEAN, y_pred REAL, m BOOLEAN", rows)
    loss = losskit.binary_cross_entropy
    expected = [{"mean": None, "y_true_nan": 1, "mask_null": 1}]
    found = losskit.ibis.mean(loss, t, mask="m")
    assert found.select(*expected[0]).to_pyarrow().to_pylist() == expected
    query = loss.to("sql", dialect="sqlite", query="mean", table="t", mask="m")
    text = t.get_backend().sql(query)
    assert text.select(*expected[0]).to_pyarrow().to_pylist() == expected


EXPRESSIONS = {
    "columns": lambda t: {"target": t.y_true, "prediction": t.y_pred},
    "deferred": lambda t: {"target": ibis._.y_true, "prediction": [ibis._["y_pred"]]},
    "computed": lambda t: {"target": 2 * t.half, "prediction": ibis._.more - 1},
    "mixed": lambda t: {"target": "y_true", "prediction": t.y_pred},
    "crossed names": lambda t: {
        "target": t.y_true.name("y_pred"), "prediction": t.y_pred.name("y_true")
    },
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_expressions_are_taken_as_names_are(engine, kind):
    rows = [(1.0, 3.0, 2.0, True), (2.0, 2.5, 1.0, False), (0.0, -4.0, 0.5, True)]
    t = data([(*row, row[0] / 2, row[1] + 1) for row in rows], (*ROLES, "half", "more"))
    given = EXPRESSIONS[kind](t)
    for function in (losskit.ibis.value, losskit.ibis.gradient, losskit.ibis.hessian):
        found = t.mutate(x=function("huber", t, **given), y=function("huber", t))
        assert all(r["x"] == r["y"] for r in records(engine, found))
    wanted = losskit.ibis.mean("huber", t, sample_weight="sample_weight", mask="mask")
    found = losskit.ibis.mean(
        "huber", t, **given, sample_weight=t.sample_weight * 1.0, mask=ibis._.mask
    )
    assert records(engine, found) == records(engine, wanted)
    assert records(engine, found)[0]["mean"] == (2 * 1.5 + 0.5 * 3.5) / 2.5


@pytest.mark.parametrize("engine", ENGINES)
def test_conditions_as_masks_and_groups(engine):
    t = data([(1.0, 3.0, 2.0, True), (2.0, 2.5, 1.0, False), (0.0, -4.0, 2.0, True)])
    (found,) = records(engine, losskit.ibis.mean("huber", t, mask=t.sample_weight == 2))
    assert (found["mean"], found["weight"], found["row_count"]) == (2.5, 2, 3)
    # A group that is named as another column does not stand for that column.
    for group, name in ((t.mask, "mask"), ((ibis._.y_true > 1).name("y_pred"), "y_pred")):
        found = records(engine, losskit.ibis.mean("huber", t, group_by=[group]))
        means = {bool(r[name]): r["mean"] for r in found}
        assert means == ({True: 2.5, False: 0.125} if name == "mask" else {True: 0.125, False: 2.5})


def test_an_expression_behind_the_name_of_a_column():
    t = ibis.memtable({"target=y": [5.0], "y": [1.0]})
    shown = t.select(x=losskit.ibis.value("absolute_error", t, t.y, "target=y"))
    assert shown.to_pyarrow().to_pylist() == [{"x": 4.0}]


def test_what_is_neither_a_name_nor_an_expression_of_the_table():
    t = ibis.memtable(pa.table({"y_true": [1.0], "y_pred": [2.0], "g": ["a"]}))
    other = ibis.memtable(pa.table({"y_pred": [1.0]}))
    frame = t.to_pandas()
    mean = losskit.ibis.mean
    for call, error, said in (
        (lambda: mean("huber", t, mask=frame.g == "a"), TypeError, "mask= is given a Series; need"),
        (lambda: mean("huber", t, group_by=3), TypeError, "group_by= is given a int; needed"),
        (lambda: losskit.ibis.value("huber", t, "y_true", 3), TypeError, "prediction= is given a"),
        (lambda: losskit.ibis.value("huber", frame), TypeError, "not a DataFrame; ibis.memtable"),
        (lambda: mean("huber", {"y_true": [1.0]}, t.y_true), TypeError, "not a dict"),
        (lambda: mean("huber", t, "y_true", other.y_pred), ValueError,
         "prediction=y_pred is no expression of this table, which has 'y_true', 'y_pred', 'g'"),
        (lambda: mean("huber", t, mask=ibis._.region == 1), ValueError,
         r"mask=\(_.region == 1\) is no expression of this table"),
        (lambda: mean("huber", t, mask=t.y_true), ValueError, "'mask=y_true' is of type float64;"),
        (lambda: losskit.ibis.value("huber", t, prediction=t.g), ValueError, "needed are numbers"),
        (lambda: mean("huber", t, group_by=["g", t.g]), ValueError, "stands there twice"),
        (lambda: mean("log_loss", t), losskit.Unsupported, "give 'binary_cross_entropy'"),
    ):  # fmt: skip
        with pytest.raises(error, match=said) as told:
            call()
        assert "\n" not in str(told.value)


def test_refusals():
    with pytest.raises(TypeError, match=r"needed is a table of Ibis, not a dict; ibis\.memtable"):
        losskit.ibis.mean("huber", {"y_true": [1.0], "y_pred": [1.0]})
    t = ibis.memtable(pa.table({"y_true": [1.0], "y_pred": ["a"], "w": [1.0]}))
    with pytest.raises(ValueError, match="column 'y_pred' is of type string; needed are numbers"):
        losskit.ibis.value("huber", t)
    with pytest.raises(ValueError, match="no column 'price'; it has 'y_true', 'y_pred', 'w'"):
        losskit.ibis.value("huber", t, "price")
    with pytest.raises(ValueError, match="a mask is boolean"):
        losskit.ibis.mean("huber", t, "y_true", "w", mask="w")
    with pytest.raises(losskit.Unsupported, match="lambda_rank"):
        losskit.ibis.value("lambda_rank", t)
    with pytest.raises(losskit.Unsupported, match="is several losses, and SQL takes one"):
        losskit.ibis.value(losskit.quantile(q=(0.1, 0.9)), t)
    with pytest.raises(TypeError, match="a loss is named by a string"):
        losskit.ibis.value(3, t)
    with pytest.raises(ValueError, match="give prediction= one column for each"):
        losskit.ibis.value("gaussian_nll", t, "y_true", "w")
    with pytest.raises(ValueError, match="output= one of them"):
        losskit.ibis.gradient("gaussian_nll", t, "y_true", ("w", "y_pred"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_users_own_loss(engine):
    @losskit.loss(target=losskit.Domain())
    def cubic(y, f, scale=2.0):
        """Cubes the size of the error."""
        r = f - y
        return abs(r) * r * r / scale

    t = data([(1.0, 3.0, 1.0, True), (1.0, 0.0, 1.0, True)])
    shown = t.select(x=losskit.ibis.value(cubic, t), g=losskit.ibis.gradient(cubic, t))
    assert records(engine, shown) == [{"x": 4.0, "g": 6.0}, {"x": 0.5, "g": -1.5}]
