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

from collections.abc import Sequence
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
    flags,
    guarded,
    scored,
)
from losskit.catalogue import get
from losskit.ibis.expressions import formula
from losskit.ibis.words import Words, column, number_column, truth_column

__all__ = ["gradient", "hessian", "mean", "value"]


def value(
    loss: Any,
    table: Any,
    target: str = "y_true",
    prediction: str | Sequence[str] = (),
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
        target: The target's column.
        prediction: The prediction's column, or one for each raw output; `y_pred`, or the names of
            the raw outputs, unless given.
        raw: Whether predictions are raw scores and not probabilities or positive means.
        clip: How far from 0 and 1 probabilities are kept, as a call with float64 does.

    Raises:
        ValueError: The table has no such column, or one that holds no numbers.
        Unsupported: The loss sees a whole axis, or is an algorithm.

    Example:
        >>> import ibis
        >>> sales = ibis.memtable({"price": [1.0, 9.0], "forecast": [1.5, 2.0]})
        >>> errors = sales.mutate(error=value("huber", sales, "price", "forecast"))
        >>> errors.error.to_pandas().tolist()
        [0.125, 6.5]

    """
    return row_of(scored(_loss(loss), target, prediction, 0, raw, clip), table)


def gradient(
    loss: Any,
    table: Any,
    target: str = "y_true",
    prediction: str | Sequence[str] = (),
    *,
    raw: bool = False,
    clip: float = EPS,
    output: str | None = None,
) -> Any:
    """Return the derivative of every row's loss by its prediction, unweighted: see `value`.

    `output` names the raw output by which it is taken, where the loss has several.
    """
    return row_of(scored(_loss(loss), target, prediction, 1, raw, clip, output), table)


def hessian(
    loss: Any,
    table: Any,
    target: str = "y_true",
    prediction: str | Sequence[str] = (),
    *,
    raw: bool = False,
    clip: float = EPS,
    output: str | None = None,
) -> Any:
    """Return the second derivative of every row's loss by its prediction: see `gradient`."""
    return row_of(scored(_loss(loss), target, prediction, 2, raw, clip, output), table)


def mean(
    loss: Any,
    table: Any,
    target: str = "y_true",
    prediction: str | Sequence[str] = (),
    *,
    sample_weight: str | None = None,
    mask: str | None = None,
    group_by: str | Sequence[str] = (),
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

    Example:
        >>> import ibis
        >>> t = ibis.memtable({"y_true": [1.0, 0.0, 3.0], "y_pred": [0.9, 0.2, 0.5]})
        >>> found = mean("binary_cross_entropy", t).to_pandas()
        >>> found[["row_count", "y_true_outside"]].values.tolist(), found["mean"].isna().tolist()
        ([[3, 1]], [True])

    """
    groups = (group_by,) if isinstance(group_by, str) else tuple(group_by)
    wanted = scored(_loss(loss), target, prediction, 0, raw, clip)
    return mean_of(Mean(wanted, sample_weight, mask, groups, nan), table)


def row_of(wanted: Scored, table: Any) -> Any:
    """Return what `wanted` is of every row of `table`."""
    columns = {r.symbol: number_column(table, r.column) for r in wanted.reads}
    data = [(columns[r.symbol], r.domain) for r in wanted.reads]
    return guarded(Words(table), data, formula(wanted, columns))


def mean_of(asked: Mean, table: Any) -> Any:
    """Return the table of a mean."""
    data = {role: number_column(table, column) for role, column in asked.columns.items()}
    if asked.mask is not None:
        data[MASK] = truth_column(table, column_name(asked.mask))
    groups = {f"group_{i}": column(table, name) for i, name in enumerate(asked.group_by)}
    rows = table.select(**data, **groups)
    rows = rows.mutate(**flags(asked, Words(rows), {name: rows[name] for name in data}))
    columns = {r.symbol: rows[r.role] for r in asked.scored.reads}
    loss = formula(asked.scored, columns)
    found = {name: rows[name] for name in (*data, ACTIVE, COUNTED)}
    results = aggregates(asked, Words(rows), found, loss)
    if not groups:
        return rows.aggregate(**results)
    summed = rows.group_by(*groups).aggregate(**results)
    return summed.rename(dict(zip(asked.group_by, groups, strict=True)))


def _loss(loss: Any) -> Any:
    return get(loss) if isinstance(loss, str) else loss
