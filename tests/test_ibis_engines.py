"""Losses run by engines through Ibis: DuckDB, SQLite and Polars; PySpark and PostgreSQL, slowly."""

from __future__ import annotations

import shutil
import warnings
from functools import cache

import pytest

pytest.importorskip("ibis")

import duckdb
import ibis
import numpy as np
import pyarrow as pa

import losskit
import losskit.ibis
import postgres
from laws import cases, ibis_form
from test_sql_query import BAD, GOOD, ROLES, WEIGHTED

# Ibis 12 reads SQLite's results through an option that pandas 3 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

DEFAULTS = cases.stratified()
OTHER_SETTINGS = [loss for loss in cases.every_setting() if loss != losskit.get(loss.name)]


ENGINES = ("duckdb", "sqlite", "polars")


@cache
def connect(engine):
    return getattr(ibis, engine).connect()


def columns(found):
    return [column.to_pylist() for column in found.columns]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", DEFAULTS)
def test_an_engine_computes_what_numpy_computes(name, engine):
    database = connect(engine)
    ibis_form.law_ibis(losskit.get(name), lambda table: columns(database.to_pyarrow(table)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", OTHER_SETTINGS, ids=repr)
def test_so_it_does_at_other_parameters(loss, engine):
    database = connect(engine)
    ibis_form.law_ibis(loss, lambda table: columns(database.to_pyarrow(table)))


# Each kind of bad row beside two good ones, in a group of its own.
BAD_GROUPS = [(*row, i) for i, bad in enumerate(BAD.values()) for row in (*GOOD, bad)]


def of_duckdb(loss, options):
    """Return what DuckDB's text finds in `BAD_GROUPS`, sorted by group."""
    names = (*ROLES, "group")
    columns = map(list, zip(*BAD_GROUPS, strict=True))
    with duckdb.connect() as database:
        database.register("bad", pa.table(dict(zip(names, columns, strict=True))))
        query = loss.to("sql", query="mean", table="bad", **options)
        return database.execute(f'SELECT * FROM ({query}) ORDER BY "group"').fetchall()


def agree(found, expected):
    assert len(found) == len(expected) == len(BAD)
    for ours, theirs in zip(found, expected, strict=True):
        assert [v is None for v in ours] == [v is None for v in theirs]
        known = ([v for v in row if v is not None] for row in (ours, theirs))
        np.testing.assert_allclose(*known, rtol=1e-14)


# --- Spark ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None:
        pytest.skip("PySpark needs Java, and this machine has no `java`")
    pytest.importorskip("pyspark")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark 4.3 warns of pandas 3 wherever it is imported
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        for name in ("spark.driver.host", "spark.driver.bindAddress"):
            builder = builder.config(name, "127.0.0.1")
        session = builder.config("spark.driver.memory", "2g").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield ibis.pyspark.connect(session)
        session.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("nan", ["propagate", "omit"])
@pytest.mark.parametrize("dialect", [None, "pyspark", "databricks"])
def test_spark_counts_every_bad_row_as_duckdbs_text_does(spark, dialect, nan):
    loss = losskit.binary_cross_entropy
    options = {**WEIGHTED, "group_by": "group", "nan": nan}
    session = spark._session  # Ibis would send NaN as NULL
    kinds = ", ".join(f"{r} {'BOOLEAN' if r == 'mask' else 'DOUBLE'}" for r in ROLES)
    session.createDataFrame(BAD_GROUPS, f"{kinds}, group INT").createOrReplaceTempView("bad")
    if dialect is None:
        made = losskit.ibis.mean(loss, spark.table("bad"), **options).order_by("group")
        found = [tuple(row.values()) for row in spark.to_pyarrow(made).to_pylist()]
    else:
        query = loss.to("sql", dialect=dialect, query="mean", table="bad", **options)
        found = [tuple(row) for row in session.sql(query).orderBy("group").collect()]
    agree(found, of_duckdb(loss, options))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", cases.names())
def test_spark_computes_what_numpy_computes(spark, name):
    ibis_form.law_ibis(losskit.get(name), lambda table: columns(spark.to_pyarrow(table)))


# --- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    if postgres.MISSING:
        pytest.skip(f"PostgreSQL's `{postgres.MISSING}` is not on this machine")
    with postgres.server() as running:
        yield running


def moderate(value):
    """Postgres raises where a product leaves float64, as the square of 1e-200 does."""
    return value == 0 or 1e-100 < abs(value) < 300


@pytest.mark.slow
@pytest.mark.parametrize("nan", ["propagate", "omit"])
def test_postgres_counts_every_bad_row_as_duckdbs_text_does(server, nan):
    loss = losskit.binary_cross_entropy
    options = {**WEIGHTED, "group_by": "group", "nan": nan}
    kinds = ", ".join(f"{r} {'boolean' if r == 'mask' else 'double precision'}" for r in ROLES)
    server.ask(f'DROP TABLE IF EXISTS bad; CREATE TABLE bad ({kinds}, "group" integer)')
    lines = ("\t".join("\\N" if v is None else str(v) for v in row) for row in BAD_GROUPS)
    server.ask("COPY bad FROM stdin", "\n".join(lines) + "\n")
    query = loss.to("sql", dialect="postgres", query="mean", table="bad", **options)
    asked = server.ask(f'SELECT * FROM ({query}) AS means ORDER BY "group"')
    found = [tuple(float(v) if v else None for v in row) for row in asked]
    agree(found, of_duckdb(loss, options))


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.names())
def test_postgres_runs_the_text_and_computes_what_numpy_computes(server, name):
    loss = losskit.get(name)
    rows = ibis_form.rows_of(loss, moderate)
    kinds = ", ".join(f"{c} double precision" for c in ibis_form.names(loss))
    texts = [
        loss.to("sql", dialect="postgres", raw=True, order=ibis_form.ORDERS.index(order),
                output=output or None)
        for order, output in ibis_form.wanted(loss)
    ]  # fmt: skip
    server.ask(f"DROP TABLE IF EXISTS t; CREATE TABLE t (i integer, {kinds})")
    lines = ("\t".join([str(i), *map(repr, row)]) + "\n" for i, row in enumerate(rows))
    server.ask("COPY t FROM stdin", "".join(lines))
    found = server.ask(f"SELECT {', '.join(texts)} FROM t ORDER BY i")
    ibis_form.compare(loss, rows, [[float(v) for v in c] for c in zip(*found, strict=True)])
