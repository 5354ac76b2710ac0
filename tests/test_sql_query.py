"""The query of a mean in DuckDB: what it counts, what it leaves out, and whose names it bears."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pytest

import losskit
from laws.samples import sample
from losskit import Unsupported

NAN, INF = math.nan, math.inf
HOSTILE = (
    'a"b', "t'; DROP TABLE canary; --", "select", "ünïcodé ☃", "{0}", "two words", "50%", "a.b",
    "a\\b", 'x"; DROP TABLE "canary', "y_pred",
)  # fmt: skip


@pytest.fixture(scope="module")
def process():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def database(process):
    """Yield a cursor in a database of its own, as connecting anew takes longer than a test."""
    process.execute("ATTACH ':memory:' AS fresh")
    with process.cursor() as cursor:
        yield cursor.execute("USE fresh")
    process.execute("DETACH fresh")


def table(database, name="t", **columns):
    """Make a table; a column is numbers, or truths for one called mask or keep."""
    kinds = {c: "BOOLEAN" if c in ("mask", "keep") else "DOUBLE" for c in columns}
    quoted = {c: '"' + c.replace('"', '""') + '"' for c in columns}
    listed = ", ".join(f"{quoted[c]} {k}" for c, k in kinds.items())
    shown = '"' + name.replace('"', '""') + '"'
    database.execute(f"CREATE OR REPLACE TABLE {shown} ({listed})")
    marks = ", ".join("?" for _ in columns)
    rows = list(zip(*columns.values(), strict=True))
    database.executemany(f"INSERT INTO {shown} VALUES ({marks})", rows)


def asked(database, loss, **options):
    query = loss.to("sql", query="mean", **{"table": "t", **options})
    found = database.execute(query)
    names = [d[0] for d in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return rows if options.get("group_by") else rows[0]


@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_the_mean_is_that_of_a_call(database, name):
    loss, raw = losskit.get(name), len(name) % 2 == 0  # half of them on each scale
    y, f = sample(loss, 50)
    if not raw and any(link.name != "identity" for link in np.atleast_1d(loss.link)):
        f = predictions(loss, f)
    w = np.random.default_rng(0).uniform(0, 3, 50)
    keep = np.arange(50) % 7 != 0
    single = len(loss.outputs) == 1
    columns = {"y_pred": f} if single else dict(zip(loss.outputs, f.T, strict=True))
    values = {k: v.tolist() for k, v in {"y_true": y, **columns, "w": w, "keep": keep}.items()}
    table(database, **values)
    found = asked(database, loss, sample_weight="w", mask="keep", raw=raw)
    expected = loss(y, f, sample_weight=w, mask=keep, raw=raw)
    assert found["mean"] == pytest.approx(expected, rel=1e-12)
    assert found["weight"] == pytest.approx(w[keep].sum(), rel=1e-14)
    assert found["row_count"] == 50
    assert set(list(found.values())[3:]) == {0}


def predictions(loss, f):
    links = np.atleast_1d(loss.link)
    inverse = {
        "log": np.exp, "logit": lambda x: 1 / (1 + np.exp(-x)), "identity": lambda x: x,
    }  # fmt: skip
    made = [inverse[k.name](c) for k, c in zip(links, np.atleast_2d(f.T), strict=True)]
    return made[0] if len(made) == 1 else np.stack(made, axis=1)


BAD = {
    # row: target, prediction, weight, mask → what counts it
    "y_true_null": (None, 0.5, 1.0, True),
    "y_true_nan": (NAN, 0.5, 1.0, True),
    "y_true_outside": (1.5, 0.5, 1.0, True),
    "y_pred_null": (1.0, None, 1.0, True),
    "y_pred_nan": (1.0, NAN, 1.0, True),
    "y_pred_outside": (1.0, INF, 1.0, True),
    "sample_weight_null": (1.0, 0.5, None, True),
    "sample_weight_nan": (1.0, 0.5, NAN, True),
    "sample_weight_outside": (1.0, 0.5, -1.0, True),
    "mask_null": (1.0, 0.5, 1.0, None),
}
GOOD = [(1.0, 0.9, 2.0, True), (0.0, 0.2, 1.0, True)]
ROLES = ("y_true", "y_pred", "sample_weight", "mask")
WEIGHTED = {"sample_weight": "sample_weight", "mask": "mask"}


def rows(database, data):
    table(database, **dict(zip(ROLES, map(list, zip(*data, strict=True)), strict=True)))


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_makes_the_mean_null_and_is_counted_once(database, kind):
    rows(database, [*GOOD, BAD[kind]])
    found = asked(database, losskit.binary_cross_entropy, **WEIGHTED)
    assert found.pop("mean") is None
    assert found.pop("weight") == 3
    assert found.pop("row_count") == 3
    assert {k for k, n in found.items() if n} == {kind}
    assert found[kind] == 1


def test_every_kind_is_counted_beside_the_others(database):
    rows(database, [*GOOD, *BAD.values(), *BAD.values()])
    found = asked(database, losskit.binary_cross_entropy, **WEIGHTED)
    assert {k: found[k] for k in BAD} == dict.fromkeys(BAD, 2)
    assert found.keys() == {"mean", "weight", "row_count", *BAD}


@pytest.mark.parametrize("kind", BAD)
def test_omit_leaves_out_what_is_missing_and_nothing_else(database, kind):
    rows(database, [*GOOD, BAD[kind]])
    loss = losskit.binary_cross_entropy
    found = asked(database, loss, nan="omit", **WEIGHTED)
    assert found[kind] == 1
    if kind in ("y_true_null", "y_true_nan", "y_pred_null", "y_pred_nan"):
        y, p, w, _ = np.array(GOOD).T
        assert found["mean"] == pytest.approx(loss(y, p, sample_weight=w), rel=1e-14)
    else:
        assert found["mean"] is None


def test_a_row_that_lacks_its_target_and_is_wrong_besides_is_not_omitted(database):
    rows(database, [*GOOD, (None, 7.0, 1.0, True)])
    assert asked(database, losskit.binary_cross_entropy, nan="omit", **WEIGHTED)["mean"] is None


@pytest.mark.parametrize(
    ("weight", "mask"), [(0.0, True), (1.0, False), (None, False), (0.0, False)]
)
def test_rows_that_do_not_count_may_hold_anything(database, weight, mask):
    hidden = [(y, p, weight, mask) for y, p, _, _ in BAD.values()]
    rows(database, [*GOOD, *hidden])
    y, p, w, _ = np.array(GOOD).T
    found = asked(database, losskit.binary_cross_entropy, **WEIGHTED)
    assert found.pop("mean") == losskit.binary_cross_entropy(y, p, sample_weight=w)
    assert (found.pop("weight"), found.pop("row_count")) == (3, 2 + len(hidden))
    assert set(found.values()) == {0}


def test_without_rows_or_without_weight_there_is_no_mean(database):
    rows(database, [(1.0, 0.5, 0.0, True)])
    found = asked(database, losskit.squared_error, **WEIGHTED)
    assert (found["mean"], found["weight"], found["row_count"]) == (None, 0, 1)
    database.execute("DELETE FROM t")
    for options in ({}, WEIGHTED):
        found = asked(database, losskit.squared_error, **options)
        assert (found.pop("mean"), found.pop("weight"), found.pop("row_count")) == (None, 0, 0)
        assert set(found.values()) == {0}


def test_groups_have_a_row_each_and_a_bad_row_spoils_its_own(database):
    y, p = [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 3.5, None]
    table(database, y_true=y, y_pred=p, region=[7, 7, 8, 9], y_pred2=[1, 1, 1, 1])
    found = asked(database, losskit.squared_error, group_by=("region", "y_pred2"))
    means = {row["region"]: row["mean"] for row in found}
    assert means == {7: 2.5, 8: 0.25, 9: None}
    assert {row["region"]: row["y_pred_null"] for row in found} == {7: 0, 8: 0, 9: 1}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_quoted_and_never_run(database, name):
    database.execute("CREATE TABLE canary AS SELECT 1 AS x")
    target, weight, group = f"{name} 1", f"{name} 2", f"{name} 3"
    columns = {target: [1.0, 3.0], name: [2.0, 5.0], weight: [1.0, 3.0], group: [4.0, 4.0]}
    table(database, name=f"{name} t", **columns)
    loss = losskit.squared_error
    (found,) = asked(
        database, loss, table=f"{name} t", target=target, prediction=name, sample_weight=weight,
        group_by=group,
    )  # fmt: skip
    assert (found[group], found["mean"]) == (4.0, 3.25)
    quoted = '"' + f"{name} t".replace('"', '""') + '"'
    for order, expected in enumerate(([1.0, 4.0], [2.0, 4.0], [2.0, 2.0])):
        text = loss.to("sql", target=target, prediction=name, order=order)
        found = database.execute(f"SELECT {text} FROM {quoted}").fetchall()
        assert [v for (v,) in found] == expected
    assert database.execute("SELECT count(*) FROM canary").fetchone() == (1,)


def test_a_table_in_a_schema(database):
    database.execute('CREATE SCHEMA "my schema"')
    database.execute('CREATE TABLE "my schema"."a.b" AS SELECT 1.0 AS y_true, 3.0 AS y_pred')
    assert asked(database, losskit.squared_error, table=("my schema", "a.b"))["mean"] == 4
    with pytest.raises(duckdb.CatalogException):  # one name is one name: dots do not part it
        asked(database, losskit.squared_error, table="my schema.a.b")


def test_the_derivative_by_one_of_several_outputs(database):
    y, f = sample(losskit.gaussian_nll, 20)
    table(database, y_true=y.tolist(), mean=f[:, 0].tolist(), log_sd=f[:, 1].tolist())
    for order, method in ((1, "gradient"), (2, "hessian")):
        expected = getattr(losskit.gaussian_nll, method)(y, f, raw=True, reduction="sum")
        for i, output in enumerate(losskit.gaussian_nll.outputs):
            text = losskit.gaussian_nll.to("sql", order=order, output=output, raw=True)
            found = [v for (v,) in database.execute(f"SELECT {text} FROM t").fetchall()]
            np.testing.assert_allclose(found, expected[:, i], rtol=1e-12)


def test_infinite_values_are_outside(database):
    table(database, y_true=[1.0, 1.0, INF], y_pred=[INF, -INF, 1.0])
    text = losskit.binary_cross_entropy.to("sql", raw=True)
    found = database.execute(f"SELECT {text} FROM t").fetchall()
    assert all(math.isnan(v) for (v,) in found)
    found = asked(database, losskit.binary_cross_entropy, raw=True)
    assert (found["y_true_outside"], found["y_pred_outside"], found["mean"]) == (1, 2, None)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dialect": "oracle"}, Unsupported, "dialect='oracle'.*'duckdb', 'bigquery'"),
        ({"dialect": "postgres'; --"}, Unsupported, "SQL is written for dialect='duckdb'"),
        ({"query": "median"}, Unsupported, "query='median'.*'row', 'mean'"),
        ({"query": "mean"}, TypeError, "give the table's name, table="),
        ({"query": "mean", "table": ()}, ValueError, "schema and name"),
        ({"query": "mean", "table": "t", "order": 1}, TypeError, "derivatives are of rows"),
        ({"query": "mean", "table": "t", "nan": "raise"}, ValueError, "SQL cannot raise"),
        ({"query": "mean", "table": "t", "group_by": "Mean"}, ValueError, "name of a result"),
        ({"query": "mean", "table": "t", "group_by": ["a", "A"]}, ValueError, "stands there twice"),
        ({"sample_weight": "w"}, TypeError, "goes with query='mean'"),
        ({"order": 3}, ValueError, "order=3; needed is 0, 1 or 2"),
        ({"output": "mean"}, ValueError, "output='mean'; needed is one of f"),
        ({"target": ""}, ValueError, "no column can be named ''"),
        ({"target": 3}, TypeError, "a column's name is text, not 3"),
        ({"prediction": "a\0b"}, ValueError, "no column can be named"),
        ({"prediction": None}, TypeError, "prediction=None; needed is a name, or a sequence"),
        ({"reduction": "sum"}, TypeError, "takes no reduction=; it takes clip"),
        ({"raw": "no"}, TypeError, "raw has to be True or False, not 'no'"),
        ({"order": 1.0}, ValueError, "order=1.0; needed is 0, 1 or 2"),
        *(({"clip": c}, ValueError, r"clip=.*needed is a number in \[0, 0.5\)")
          for c in (2, -1, NAN, "a")),
        ({"query": "mean", "table": 3}, TypeError, "table=3; needed is a name, or a sequence"),
        ({"query": "mean", "table": "t", "group_by": 3}, TypeError, "group_by=3; needed is"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        losskit.squared_error.to("sql", **options)


def test_raw_outputs_that_are_called_like_columns_of_the_query(database):
    @losskit.loss(target=losskit.Domain())
    def both(y, mask, y_true):
        """A half square of the first, and the square of the second."""
        return (mask - y) * (mask - y) / 2 + y_true * y_true

    table(database, y=[1.0, 2.0], a=[2.0, 2.0], b=[3.0, 1.0])
    names = {"target": "y", "prediction": ("a", "b")}
    found = database.execute(f"SELECT {both.to('sql', **names)} FROM t").fetchall()
    assert found == [(9.5,), (1.0,)]
    with pytest.raises(Unsupported, match="has a column 'mask' of its own"):
        both.to("sql", query="mean", table="t", **names)
