"""Losses run by engines through Ibis: DuckDB, SQLite and Polars; PySpark and PostgreSQL, slowly."""

from __future__ import annotations

import shutil
import warnings

import pytest

pytest.importorskip("ibis")

import ibis

import losskit
import postgres
from laws import cases, ibis_form

# Ibis 12 reads SQLite's results through an option that pandas 3 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

DEFAULTS = cases.stratified()
OTHER_SETTINGS = [loss for loss in cases.every_setting() if loss != losskit.get(loss.name)]


def run_duckdb(table):
    return columns(ibis.duckdb.connect().to_pyarrow(table))


def run_sqlite(table):
    return columns(ibis.sqlite.connect().to_pyarrow(table))


def run_polars(table):
    return columns(ibis.polars.connect().to_pyarrow(table))


def columns(found):
    return [column.to_pylist() for column in found.columns]


ENGINES = {"duckdb": run_duckdb, "sqlite": run_sqlite, "polars": run_polars}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", DEFAULTS)
def test_an_engine_computes_what_numpy_computes(name, engine):
    ibis_form.law_ibis(losskit.get(name), ENGINES[engine])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", OTHER_SETTINGS, ids=repr)
def test_so_it_does_at_other_parameters(loss, engine):
    ibis_form.law_ibis(loss, ENGINES[engine])


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
