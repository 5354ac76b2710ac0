"""The SQL form, run by DuckDB, against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

import losskit
from laws import cases
from laws.accuracy import EXCEPTIONS, backward, results
from laws.points import points
from laws.truth import arrays
from losskit.backends.mpmath import evaluate, term_scale

AGREE = 1e-12


def law_sql(loss: losskit.Loss, most: int | None = 4, count: int = 20) -> None:
    """DuckDB computes value, gradient and Hessian of raw scores to 1e-12 of NumPy's."""
    import duckdb

    rows = points(loss, most, count, seed=4)
    wanted = ("value", "gradient", "hessian") if cases.has_gradient(loss) else ("value",)
    ours = results(loss, *arrays(rows, np.float64), "numpy", wanted)
    single = len(loss.outputs) == 1
    names = ["y_true", *(["y_pred"] if single else loss.outputs)]
    orders = range(len(wanted) if single else 1)
    selected = ", ".join(loss.to("sql", order=order, raw=True) for order in orders)
    with duckdb.connect() as connection:
        columns = ", ".join(f"unnest(?::DOUBLE[]) AS {name}" for name in names)
        query = f"SELECT {selected} FROM (SELECT {columns})"
        found = connection.execute(query, np.array(rows).T.tolist()).fetchall()
    assert len(found) == len(rows)
    nodes = loss.form(raw=True).graph.select(wanted)
    for order in orders:
        for i, row in enumerate(rows):
            check(loss, row, order, nodes[order], float(ours[order][i]), found[i][order])


def check(
    loss: losskit.Loss, row: tuple[float, ...], order: int, node: Any, numpy: float, sql: float
) -> None:
    """Raise AssertionError where SQL's number is not NumPy's, at one point (target, scores…)."""
    if numpy == sql:
        return
    if np.isfinite(numpy) and abs(numpy - sql) <= max(AGREE * abs(numpy), 1e-300):
        return
    form = loss.form(raw=True)
    at = dict(zip(form.graph.symbols, (*row, *form.values), strict=True))
    entry = EXCEPTIONS.get((loss.name, ("value", "gradient", "hessian")[order]))
    if entry and backward(sql, node, at, evaluate([node], at)[0], np.float64, entry[0]):
        return
    size = float(term_scale(node, at))
    assert np.isfinite(numpy), f"{loss!r}, derivative {order} at {row}: {numpy!r}, SQL {sql!r}"
    assert abs(numpy - sql) <= AGREE * size, (
        f"{loss!r}, derivative {order} at {row}: NumPy {numpy!r}, SQL {sql!r}"
    )
