"""A loss as SQL: of every row, its derivatives, and its mean with counts of what spoils it.

`dialect="duckdb"` is printed here, without another package; the others by `losskit.ibis`. A row is
NULL where its target or prediction is NULL, and NaN where one of them is NaN, infinite or outside
the loss's domain: infinite scores are not replaced by their limit, as calls do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from types import MappingProxyType
from typing import Any

from losskit.backends.sql_numbers import ready
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
from losskit.backends.sql_text import TABLE, Text, Words, formula, number, quote
from losskit.formula.domain import REAL, Domain
from losskit.formula.expr import Expr, Unsupported, reachable

__all__ = ["DIALECTS", "EPS", "expression", "loss_source", "loss_to", "number", "quote"]

# Those whose text tests run, or check with a parser of the dialect; all but the first by Ibis.
DIALECTS = ("duckdb", "bigquery", "databricks", "postgres", "pyspark", "snowflake", "sqlite")
QUERIES = ("row", "mean")


@dataclass(frozen=True)
class Options:
    """What `loss.to("sql", …)` takes.

    Args:
        dialect: One of `DIALECTS`.
        target: The target's column.
        prediction: The prediction's column, or one for each raw output; `y_pred`, or the names of
            the raw outputs, unless given.
        order: 0 for the loss, 1 for its derivative by the prediction, 2 for its curvature.
        output: By which output a derivative is taken, where there are several; with raw=False by
            that output's prediction, as the sd where the raw output is `log_sd`.
        raw: Whether predictions are raw scores and not probabilities or positive means.
        clip: How far from 0 and 1 probabilities are kept, as a call with float64 does.
        query: "row", an expression for each row; "mean", a whole query: see `sql_plan`.
        table: Of "mean", the table; a sequence of names is a table in a schema.
        sample_weight: Of "mean", the column of weights.
        mask: Of "mean", a boolean column: true counts. DuckDB takes numbers for booleans.
        group_by: Of "mean", the column or columns that have a row each in the result.
        nan: Of "mean", "propagate" or "omit".

    """

    dialect: str = "duckdb"
    target: str = "y_true"
    prediction: str | Sequence[str] = ()
    order: int = 0
    output: str | None = None
    raw: bool = False
    clip: float = EPS
    query: str = "row"
    table: str | Sequence[str] | None = None
    sample_weight: str | None = None
    mask: str | None = None
    group_by: str | Sequence[str] = ()
    nan: str = "propagate"

    def __post_init__(self) -> None:
        for name, allowed in (("dialect", DIALECTS), ("query", QUERIES)):
            if getattr(self, name) not in allowed:
                raise Unsupported(
                    f"{name}={getattr(self, name)!r:.40}; SQL is written for "
                    f"{name}={', '.join(map(repr, allowed))}"
                )
        of_mean = ("table", "sample_weight", "mask", "group_by", "nan")
        changed = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        for name in of_mean if self.query == "row" else ():
            if name in changed:
                raise TypeError(f"{name}= goes with query='mean'; an expression sees one row")
        if self.query == "mean" and self.table is None:
            raise TypeError("query='mean' is a whole query: give the table's name, table=")
        if self.query == "mean" and self.order:
            raise TypeError("query='mean' is of the loss; derivatives are of rows, query='row'")

    def scored(self, loss: Any) -> Scored:
        """Return what a row's expression is of its columns."""
        return scored(
            loss, self.target, self.prediction, self.order, self.raw, self.clip, self.output
        )

    def mean(self, loss: Any) -> Mean:
        """Return what the mean is of its columns."""
        groups = column_names("group_by", self.group_by)
        return Mean(self.scored(loss), self.sample_weight, self.mask, groups, self.nan)

    @property
    def table_names(self) -> tuple[str, ...]:
        """The table's name after those of its schema and database."""
        names = column_names("table", self.table)
        if not 1 <= len(names) <= 3:
            raise ValueError(f"table={self.table!r:.60}; needed is a name, or schema and name")
        return names


def loss_to(loss: Any, **options: Any) -> str:
    """Return a loss, its gradient or its curvature as SQL over named columns: see `Options`."""
    known = {f.name for f in fields(Options)}
    for name in options.keys() - known:
        raise TypeError(f"to('sql') takes no {name}=; it takes {', '.join(sorted(known))}")
    asked = Options(**options)
    if asked.dialect != "duckdb":
        return str(import_module("losskit.ibis.text").loss_text(loss, asked))
    if asked.query == "mean":
        return _mean(asked.mean(loss), asked.table_names)
    wanted = asked.scored(loss)
    columns = {read.symbol: read.column for read in wanted.reads} | dict(wanted.numbers)
    return expression(wanted.node, columns, domains=wanted.domains)


def loss_source(loss: Any) -> str:
    """Return the loss as SQL over the columns `y_true` and `y_pred`."""
    return loss_to(loss)


def expression(
    output: Expr,
    columns: Mapping[str, str | float],
    dialect: str = "duckdb",
    domains: Mapping[str, Domain] = MappingProxyType({}),
) -> str:
    """Return `output` as one SQL expression of type DOUBLE, without subqueries.

    Args:
        output: An expression of a formula, as traced or differentiated (it is lowered here).
        columns: For each symbol the name of a column, which is quoted here, or a number. Where
            one of these columns is NULL, so is the result; where one is not finite it is NaN.
        dialect: "duckdb"; the others are printed for losses only, by `loss_to`.
        domains: Where a symbol's values must lie; the result is NaN where they do not.

    Raises:
        ValueError: A symbol has neither a column nor a number.
        Unsupported: Another dialect is asked for.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> trace = Trace(["y", "f"])
        >>> r = trace.symbols["f"] - trace.symbols["y"]
        >>> print(expression(abs(r), {"y": "price", "f": "forecast"}).partition(" WHEN ")[2][:70])
        isfinite("price"::DOUBLE) AND isfinite("forecast"::DOUBLE) THEN abs(("

    """
    if dialect != "duckdb":
        raise Unsupported(f"SQL of an expression is for dialect='duckdb' only, not {dialect!r}")
    names = [str(node.value) for node in reachable([output]) if node.op == "symbol"]
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(
            f"no column for {', '.join(missing)}: columns= must name one, or give a number, for "
            f"each of {', '.join(names)}"
        )
    numbers = {s: float(c) for s, c in columns.items() if not isinstance(c, str)}
    read = {s: _number(c) for s, c in columns.items() if isinstance(c, str)}
    (lowered,) = ready([output], numbers, TABLE, "sql")
    result = formula(lowered, read)
    if not read:
        return result
    data = [(Text(text), domains.get(symbol, REAL)) for symbol, text in read.items()]
    return guarded(Words(), data, Text(result)).text


def _mean(mean: Mean, table: Sequence[str]) -> str:
    """Return the query of a mean: columns by losskit's names, conditions of rows, their sums."""
    write, groups = Words(), mean.groups
    columns = {role: _number(column) for role, column in mean.columns.items()}
    if mean.mask is not None:
        columns[MASK] = f"{quote(column_name(mean.mask))}::BOOLEAN"
    columns |= {key: quote(name) for key, name in groups.items()}
    data = {name: Text(quote(name)) for name in columns}
    conditions = flags(mean, write, data)
    symbols = {read.symbol: quote(read.role) for read in mean.scored.reads}
    value = Text(formula(mean.scored.lowered(TABLE, "sql"), symbols))
    data |= {ACTIVE: Text(ACTIVE), COUNTED: Text(COUNTED)}
    results = {quote(n): x.bare for n, x in aggregates(mean, write, data, value).items()}
    keys = {quote(name): key for key, name in groups.items()}
    tests = ",\n    ".join(f"{c.bare} AS {name}" for name, c in conditions.items())
    source = _listed({quote(name): text for name, text in columns.items()}, "      ")
    return (
        f"SELECT\n{_listed({**keys, **results}, '  ')}\nFROM (\n  SELECT\n    *,\n    {tests}\n"
        f"  FROM (\n    SELECT\n{source}\n    FROM {'.'.join(map(quote, table))}\n  ) AS data\n"
        f") AS checked" + (f"\nGROUP BY {', '.join(groups)}" if groups else "")
    )


def _number(column: str) -> str:
    return f"{quote(column)}::DOUBLE"


def _listed(columns: Mapping[str, str], indent: str) -> str:
    return ",\n".join(f"{indent}{text} AS {name}" for name, text in columns.items())
