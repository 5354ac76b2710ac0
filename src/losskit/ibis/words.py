"""What Ibis calls the words of `sql_plan.Writer`, and how it reads the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any

import ibis
from ibis.common.exceptions import IbisError

from losskit.ibis.expressions import choose, double


@dataclass(frozen=True, eq=False)
class Words:
    """Conditions and sums over the rows of one table.

    Engines differ in how NaN compares: never, or as the largest number, equal to itself. What is
    written here holds for both.
    """

    table: Any

    def finite(self, x: Any) -> Any:
        """Say that a number is neither infinite nor NaN."""
        return (x > double(-inf)) & (x < double(inf))

    def nan(self, x: Any) -> Any:
        """Say that a number is NaN."""
        return ~(x <= double(inf))

    def null(self, x: Any) -> Any:
        """Say that nothing is there."""
        condition = x.type().is_boolean()
        return (x if condition else x >= 0.0).isnull()  # Ibis has NaN as NULL too on Spark

    def one_of(self, x: Any, values: Sequence[float]) -> Any:
        """Say that a number is one of a few."""
        return x.isin(list(values))

    def choose(self, cases: Sequence[tuple[Any, Any]], otherwise: Any) -> Any:
        """Return the first value whose condition holds."""
        return choose(cases, otherwise)

    def number(self, value: float | None) -> Any:
        """Return a number, or NULL."""
        return double(value)

    def truth(self) -> Any:
        """Return the condition that always holds."""
        return ibis.literal(True)

    def true_unless_false(self, condition: Any) -> Any:
        """Say that a condition holds or is NULL."""
        return condition.fill_null(True)

    def count(self, condition: Any) -> Any:
        """Count the rows for which a condition holds."""
        # Not count(where=…), which on Spark is NULL where the condition is NULL in every row.
        return ibis.cases((condition, 1), else_=0).sum().fill_null(0)

    def rows(self) -> Any:
        """Count all rows."""
        return self.table.count()

    def total(self, x: Any) -> Any:
        """Return the sum over rows, 0 of none."""
        return x.sum().fill_null(0.0)


NOTHING: Mapping[str, Any] = MappingProxyType({})


def check_table(table: Any) -> None:
    """Raise where something else is given than a table of Ibis."""
    if not isinstance(table, ibis.Table):
        raise TypeError(
            f"needed is a table of Ibis, not a {type(table).__name__}; ibis.memtable makes one of "
            "a data frame"
        )


def column(table: Any, name: str, expressions: Mapping[str, Any] = NOTHING) -> Any:
    """Return the expression or the column of this name, or raise."""
    check_table(table)
    if name in expressions:
        return expressions[name]
    if name not in table.columns:
        near = ", ".join(map(repr, table.columns[:8]))
        more = ", …" if len(table.columns) > 8 else ""
        raise ValueError(f"the table has no column {name!r:.60}; it has {near}{more}")
    return table[name]


def number_column(table: Any, name: str, expressions: Mapping[str, Any] = NOTHING) -> Any:
    """Return a column of numbers as float64, or raise."""
    read = column(table, name, expressions)
    kind = read.type()
    if not (kind.is_boolean() or kind.is_numeric()):
        raise ValueError(f"column {name!r:.60} is of type {kind}; needed are numbers")
    if on_sqlite(table):
        return read if kind.is_float64() else _as_stored(read)
    if kind.is_boolean():
        read = read.cast("int8")  # Postgres has no other way
    return read.cast("float64")


def truth_column(table: Any, name: str, expressions: Mapping[str, Any] = NOTHING) -> Any:
    """Return a column of truths, or raise."""
    read = column(table, name, expressions)
    if not read.type().is_boolean():
        raise ValueError(
            f"column {name!r:.60} is of type {read.type()}; a mask is boolean: true counts"
        )
    return stored_truth(_as_stored(read)) if on_sqlite(table) else read


def stored_truth(x: Any) -> Any:
    """Return whether SQLite's number is not 0, NULL where it is text, which SQLite takes for 0."""
    number = (x > double(-inf)) & (x < double(inf))
    return ibis.cases((x == 0.0, False), (number, True), else_=ibis.null("boolean"))


@ibis.udf.scalar.builtin(name="likely")
def _as_stored(x) -> float:  # type: ignore[empty-body]
    """Return what a column of SQLite's holds, of whatever type it is declared.

    A cast makes 0 of 'n/a', and Ibis rounds what it computes of a DECIMAL. As it is, text compares
    as larger than every number, and is counted with what is not a number. SQLite's likely(x) is x.
    """


def on_sqlite(table: Any) -> bool:
    """Say whether a table lies in SQLite, whose columns hold values of any type."""
    try:
        return bool(table.get_backend().name == "sqlite")
    except IbisError:  # of an unbound table, or data in memory: of no engine yet
        return False
