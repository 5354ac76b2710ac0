"""Expressions of Ibis, run by engines, against NumPy's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import losskit
import losskit.ibis
from laws import cases
from laws.accuracy import results
from laws.points import points
from laws.sql_form import check
from laws.truth import arrays

Rows = tuple[tuple[float, ...], ...]
Run = Callable[[Any], Sequence[Sequence[float | None]]]  # a table of Ibis → its columns
ORDERS = ("value", "gradient", "hessian")


def law_ibis(loss: losskit.Loss, run: Run, keep: Callable[[float], bool] = lambda v: True) -> None:
    """An engine computes value, gradient and Hessian of raw scores to 1e-12 of NumPy's."""
    import ibis

    rows = rows_of(loss, keep)
    table = ibis.memtable(pa.table(dict(zip(names(loss), np.array(rows).T, strict=True))))
    compare(loss, rows, run(table.select(**expressions(loss, table))))


def rows_of(loss: losskit.Loss, keep: Callable[[float], bool] = lambda v: True) -> Rows:
    """Return the law's points (target, raw scores…), those whose every number is kept."""
    return tuple(row for row in points(loss, 4, 20, seed=4) if all(map(keep, row)))


def names(loss: losskit.Loss) -> list[str]:
    """Return the columns of the law's table."""
    return ["y_true", *(["y_pred"] if len(loss.outputs) == 1 else loss.outputs)]


def wanted(loss: losskit.Loss) -> list[tuple[str, str]]:
    """Return (order, raw output) of every column that is compared."""
    orders = ORDERS if cases.has_gradient(loss) else ORDERS[:1]
    return [(o, out) for o in orders for out in (loss.outputs if o != "value" else ("",))]


def expressions(loss: losskit.Loss, table: Any) -> dict[str, Any]:
    """Return what is compared, as columns of Ibis."""
    made = {}
    for order, output in wanted(loss):
        asked = {"output": output} if output else {}
        function = getattr(losskit.ibis, order)
        made[f"{order}_{output}"] = function(loss, table, raw=True, **asked)
    return made


def compare(loss: losskit.Loss, rows: Rows, columns: Iterable[Sequence[float | None]]) -> None:
    """Raise AssertionError at the first number that is not NumPy's."""
    orders = tuple(dict.fromkeys(order for order, _ in wanted(loss)))
    ours = results(loss, *arrays(rows, np.float64), "numpy", orders)
    nodes = loss.form(raw=True).graph.select(orders)
    for (order, _), node, numpy, found in zip(wanted(loss), nodes, ours, columns, strict=True):
        assert len(found) == len(rows)
        for row, expected, got in zip(rows, numpy.tolist(), found, strict=True):
            number = float("nan") if got is None else float(got)
            check(loss, row, ORDERS.index(order), node, float(expected), number)
