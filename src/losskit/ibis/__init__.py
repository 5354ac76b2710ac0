"""Losses inside a database, through Ibis: of every row, their derivatives, and weighted means.

An expression of Ibis runs on DuckDB, SQLite, Polars, PySpark and what else Ibis speaks to; nothing
leaves the engine but the result. `loss.to("sql", dialect="postgres")` prints the same as text.

>>> import ibis
>>> import losskit.ibis
>>> sales = ibis.memtable({"price": [1.0, 2.0, 9.0], "forecast": [1.5, 2.0, 2.0]})
>>> losskit.ibis.mean("huber", sales, "price", "forecast").to_pandas()["mean"][0].item()
2.2083333333333335
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losskit.backends.sql_plan import (
    ACTIVE,
    COUNTED,
    EPS,
    MASK,
    Mean,
    Scored,
    aggregates,
    column_name,
    column_names,
    flags,
    guarded,
    scored,
)
from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.extras import require
from losskit.formula.expr import Unsupported

require("ibis")

from losskit.ibis.expressions import formula
from losskit.ibis.given import Given
from losskit.ibis.words import NOTHING, Words, column, number_column, on_sqlite, truth_column

__all__ = ["gradient", "hessian", "mean", "value"]


def value(
    loss: Any,
    table: Any,
    target: Any = "y_true",
    prediction: Any = (),
    *,
    raw: bool = False,
    clip: float = EPS,
) -> Any:
    """Return the loss of every row as a column expression of type float64.

    NULL where target or prediction is NULL; NaN (NULL on SQLite, which has none) where one is NaN,
    infinite or outside the loss's domain.

    Args:
        loss: A loss of one number, or its name.
        table: A table of Ibis, bound to a database or not.
        target: The target's column: its name, or an expression of the table, as `table.price`,
            `ibis._.price` or what is computed of them.
        prediction: The prediction's column, or one for each raw output; `y_pred`, or the names of
            the raw outputs, unless given.
        raw: Whether predictions are raw scores and not probabilities or positive means.
        clip: How far from 0 and 1 probabilities are kept, as a call with float64 does.

    Raises:
        TypeError: What is given is no table of Ibis.
        ValueError: The table has no such column, or one that holds no numbers.
        Unsupported: The loss sees a whole axis, is an algorithm, or is several losses.

    Example:
        >>> import ibis
        >>> import losskit.ibis
        >>> sales = ibis.memtable({"price": [1.0, 9.0], "forecast": [1.5, 2.0]})
        >>> errors = sales.mutate(error=losskit.ibis.value("huber", sales, "price", "forecast"))
        >>> errors.error.to_pandas().tolist()
        [0.125, 6.5]

    """
    return _row(loss, table, target, prediction, (0, raw, clip))


def gradient(
    loss: Any,
    table: Any,
    target: Any = "y_true",
    prediction: Any = (),
    *,
    raw: bool = False,
    clip: float = EPS,
    output: str | None = None,
) -> Any:
    """Return the derivative of every row's loss by its prediction, unweighted: see `value`.

    `output` names the raw output by which it is taken, where the loss has several.
    """
    return _row(loss, table, target, prediction, (1, raw, clip, output))


def hessian(
    loss: Any,
    table: Any,
    target: Any = "y_true",
    prediction: Any = (),
    *,
    raw: bool = False,
    clip: float = EPS,
    output: str | None = None,
) -> Any:
    """Return the second derivative of every row's loss by its prediction: see `gradient`."""
    return _row(loss, table, target, prediction, (2, raw, clip, output))


def mean(
    loss: Any,
    table: Any,
    target: Any = "y_true",
    prediction: Any = (),
    *,
    sample_weight: Any = None,
    mask: Any = None,
    group_by: Any = (),
    raw: bool = False,
    clip: float = EPS,
    nan: str = "propagate",
) -> Any:
    """Return the weighted mean with what spoils it, as a table of one row, or one for each group.

    Its columns: those of `group_by`, `mean` (Σwℓ/Σw), `weight` (Σw), `row_count`, then counts of
    rows by column and kind: `y_true_null`, `y_true_nan`, `y_true_outside`, the same of `y_pred`
    (or of each raw output) and of `sample_weight`, and `mask_null`. Rows that the mask or a zero
    weight leaves out contribute exactly 0 and are in none of these counts. Any other bad row makes
    the mean NULL, and so does a weight of 0; with `nan="omit"` rows whose target or prediction is
    NULL or NaN are left out, and counted.

    Columns are names or expressions, as in `value`: `mask=ibis._.region == "north"`. An expression
    in `group_by` gives the result's column its own name.

    Example:
        >>> import ibis
        >>> import losskit.ibis
        >>> t = ibis.memtable({"y_true": [1.0, 0.0, 3.0], "y_pred": [0.9, 0.2, 0.5]})
        >>> found = losskit.ibis.mean("binary_cross_entropy", t).to_pandas()
        >>> found[["row_count", "y_true_outside"]].values.tolist(), found["mean"].isna().tolist()
        ([[3, 1]], [True])

    """
    given = Given(table)
    data = given.named("target", target), given.named("prediction", prediction)
    weighing = given.named("sample_weight", sample_weight), given.named("mask", mask)
    groups = column_names("group_by", given.grouped(group_by))
    asked = Mean(scored(_one(loss), *data, 0, raw, clip), *weighing, groups, nan)
    return mean_of(asked, table, given.expressions, given.groups)


def _row(loss: Any, table: Any, target: Any, prediction: Any, options: Any) -> Any:
    given = Given(table)
    data = given.named("target", target), given.named("prediction", prediction)
    return row_of(scored(_one(loss), *data, *options), table, given.expressions)


def _one(loss: Any) -> Any:
    """Return the loss, or the loss of this name, where it is one."""
    found = get(loss)
    if isinstance(found, ByRank):
        raise Unsupported(
            f"{found.name} is {found.flat} or {found.rows} by the rank of y_pred, and SQL is "
            f"written for losses of one number: give {found.flat!r}"
        )
    return found


def row_of(wanted: Scored, table: Any, expressions: Mapping[str, Any] = NOTHING) -> Any:
    """Return what `wanted` is of every row of `table`; some names are of `expressions`."""
    columns = {r.symbol: number_column(table, r.column, expressions) for r in wanted.reads}
    data = [(columns[r.symbol], r.domain) for r in wanted.reads]
    return guarded(Words(table), data, formula(wanted, columns, on_sqlite(table)))


def mean_of(
    asked: Mean,
    table: Any,
    expressions: Mapping[str, Any] = NOTHING,
    group_expressions: Mapping[str, Any] = NOTHING,
) -> Any:
    """Return the table of a mean; some names are of expressions."""
    data = {role: number_column(table, key, expressions) for role, key in asked.columns.items()}
    if asked.mask is not None:
        data[MASK] = truth_column(table, column_name(asked.mask), expressions)
    groups = {key: column(table, name, group_expressions) for key, name in asked.groups.items()}
    rows = table.select(**data, **groups)
    rows = rows.mutate(**flags(asked, Words(rows), {name: rows[name] for name in data}))
    columns = {r.symbol: rows[r.role] for r in asked.scored.reads}
    loss = formula(asked.scored, columns, on_sqlite(table))
    found = {name: rows[name] for name in (*data, ACTIVE, COUNTED)}
    results = aggregates(asked, Words(rows), found, loss)
    if not groups:
        return rows.aggregate(**results)
    summed = rows.group_by(*groups).aggregate(**results)
    return summed.rename({name: key for key, name in asked.groups.items()})
