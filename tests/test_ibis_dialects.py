"""The text for other databases: it parses there, names are quoted, two losses were reviewed.

`python tests/test_ibis_dialects.py` rewrites the reviewed texts; review the diff.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ibis")

import numpy as np
import sqlglot

import losskit
from laws import cases
from losskit.backends.sql import DIALECTS

COMPILED = [d for d in DIALECTS if d != "duckdb"]
PARSED_AS = {"pyspark": "spark"}
GOLDEN = Path(__file__).with_name("test_ibis_dialects.json")
REVIEWED = ("binary_cross_entropy", "huber")


def texts(loss, dialect):
    """Yield every text of a loss, on both scales where they differ."""
    linked = any(link.name != "identity" for link in np.atleast_1d(loss.link))
    orders = (0, 1, 2) if cases.has_gradient(loss) else (0,)
    for raw in (True, False) if linked else (True,):
        for order in orders:
            for output in loss.outputs if order else (None,):
                yield loss.to("sql", dialect=dialect, raw=raw, order=order, output=output)
        yield loss.to(
            "sql", dialect=dialect, raw=raw, query="mean", table="t", sample_weight="w", mask="m",
            group_by="g", nan="omit",
        )  # fmt: skip


# One of several outputs in one dialect, another in each; the others in `make test-all`.
QUICK = {("gaussian_nll", "bigquery"), *(("huber", d) for d in COMPILED)}
PAIRS = [(n, d) for n in cases.names() for d in COMPILED]


@pytest.mark.parametrize(
    ("name", "dialect"),
    [pytest.param(*p, marks=() if p in QUICK else pytest.mark.slow) for p in PAIRS],
)
def test_the_text_parses_in_its_dialect(name, dialect):
    loss = losskit.get(name)
    for text in texts(loss, dialect):
        query = text if text.startswith("SELECT") else f"SELECT {text} FROM t"
        tree = sqlglot.parse_one(query, read=PARSED_AS.get(dialect, dialect))
        columns = {c.name for c in tree.find_all(sqlglot.exp.Column)}
        assert "y_true" in columns
        assert "y_pred" in columns or set(loss.outputs) & columns


def reviewed(name):
    """Return the texts of a loss that are reviewed."""
    return {
        f"{name} {dialect} {what}": losskit.get(name).to("sql", dialect=dialect, **options)
        for dialect in DIALECTS
        for what, options in (
            ("value", {}),
            ("gradient of raw scores", {"order": 1, "raw": True}),
            ("mean", {"query": "mean", "table": ("shop", "sales"), "sample_weight": "w"}),
        )
        if (name, what) != ("binary_cross_entropy", "mean")
    }


@pytest.mark.parametrize("name", REVIEWED)
def test_the_text_is_the_reviewed_one(name):
    known = json.loads(GOLDEN.read_text("utf-8"))
    made = reviewed(name)
    assert {key for key in known if key.partition(" ")[0] == name} == made.keys()
    for key, text in made.items():
        assert text.splitlines() == known[key], f"{key} differs: see this file's first lines"


HOSTILE = ("a\"`b'; DROP TABLE canary; -- {0}", "ünïcodé select")


@pytest.mark.parametrize("dialect", COMPILED)
@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_one_identifier_each(name, dialect):
    options = {"target": f"{name} t", "prediction": f"{name} p"}
    whole = {
        "query": "mean", "table": f"{name} s", "sample_weight": f"{name} w",
        "group_by": f"{name} g",
    }  # fmt: skip
    if dialect == "bigquery" and set(name) & set('";`{}'):  # Ibis would read another column
        for more in ({}, whole):
            with pytest.raises(losskit.Unsupported, match="does not write the column"):
                losskit.squared_error.to("sql", dialect=dialect, **options, **more)
        return
    text = losskit.squared_error.to("sql", dialect=dialect, **options)
    query = losskit.squared_error.to("sql", dialect=dialect, **options, **whole)
    read = PARSED_AS.get(dialect, dialect)
    (row,) = sqlglot.parse(f"SELECT {text}", read=read)
    assert {c.name for c in row.find_all(sqlglot.exp.Column)} == set(options.values())
    (tree,) = sqlglot.parse(query, read=read)  # one statement
    found = {i.this for i in tree.find_all(sqlglot.exp.Identifier)}
    assert {*options.values(), f"{name} s", f"{name} w", f"{name} g"} <= found


def test_bigquery_takes_the_names_it_has():
    text = losskit.squared_error.to("sql", dialect="bigquery", target="price", prediction="_p1")
    assert "`price`" in text
    assert "`_p1`" in text


SAID = """
import sys
sys.modules["ibis"] = None
import losskit
losskit.huber.to("sql")
try:
    losskit.huber.to("sql", dialect="postgres")
except losskit.Unsupported as error:
    print(error)
"""
IMPORTED = """
import sys, losskit, losskit.backends.sql
assert "ibis" not in sys.modules and "sqlglot" not in sys.modules
import losskit.ibis
losskit.huber.to("sql", dialect="pyspark", query="mean", table="t")
print(*sorted({"torch", "jax", "keras", "xgboost", "lightgbm", "catboost", "pyspark", "polars"}
              & sys.modules.keys()))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_ibis_duckdb_is_still_written_and_the_others_say_what_to_install():
    assert run(SAID) == "the sql backend needs ibis: pip install 'losskit[ibis]'"


def test_neither_importing_it_nor_writing_for_spark_imports_another_framework():
    assert run(IMPORTED) == ""


if __name__ == "__main__":
    lines = {key: text.splitlines() for name in REVIEWED for key, text in reviewed(name).items()}
    GOLDEN.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", "utf-8")
