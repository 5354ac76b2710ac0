"""The text that Ibis compiles a loss to, in another database's SQL."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.backends.sql.compilers as compilers
import sqlglot.expressions as syntax
from ibis.config import Config

from losskit.backends.sql import Options
from losskit.backends.sql_plan import Mean, Scored, column_name
from losskit.formula.expr import Unsupported
from losskit.ibis import mean_of, row_of
from losskit.ibis.words import stored_truth

# A cast is printed for a column of integers, as which a column of unknown type is declared; SQLite
# casts 'n/a' to 0, so that its columns, and a mask, stay as they are.
_DECLARED = {"sqlite": "float64"}


def loss_text(loss: Any, asked: Options) -> str:
    """Return a row's expression, or the query of a mean, as `asked`."""
    if asked.query == "mean":
        return _query(asked.mean(loss), asked)
    return _expression(asked.scored(loss), asked)


def _expression(wanted: Scored, asked: Options) -> str:
    columns = [read.column for read in wanted.reads]
    table = _table(asked, columns, ("t",))
    select = _compiled(table.select(row=row_of(wanted, table)), asked.dialect)
    (found,) = select.selects
    _check_names(found, columns, asked.dialect)
    for name in list(found.find_all(syntax.Column)):
        name.set("table", None)
    return str(found.unalias().sql(dialect=_compiler(asked.dialect).dialect, pretty=False))


def _query(mean: Mean, asked: Options) -> str:
    numbers = list(mean.columns.values())
    table = _table(asked, numbers, asked.table_names, mean.mask, mean.group_by)
    if mean.mask is not None and asked.dialect == "sqlite":
        table = table.mutate(**{mean.mask: stored_truth(table[mean.mask])})
    query = _compiled(mean_of(mean, table), asked.dialect)
    _check_names(query, [*numbers, *mean.group_by, *filter(None, [mean.mask])], asked.dialect)
    return str(query.sql(dialect=_compiler(asked.dialect).dialect, pretty=True))


def _table(
    asked: Options,
    numbers: list[str],
    names: tuple[str, ...],
    mask: str | None = None,
    groups: tuple[str, ...] = (),
) -> Any:
    kinds = dict.fromkeys(groups, "string")
    kinds |= dict.fromkeys(numbers, _DECLARED.get(asked.dialect, "int64"))
    if mask is not None:
        kinds[column_name(mask)] = _DECLARED.get(asked.dialect, "boolean")
    *place, name = names
    where = dict(zip(("database", "catalog"), reversed(place), strict=False))
    return ibis.table(kinds, name=name, **where)


def _compiler(dialect: str) -> Any:
    return getattr(compilers, dialect).compiler


def _compiled(table: Any, dialect: str) -> Any:
    if dialect == "pyspark" and ibis.options.pyspark is None:
        ibis.options.pyspark = _Spark()
    return _compiler(dialect).to_sqlglot(table.unbind())


class _Spark(Config):
    """What Ibis's words for Spark read, at its default: to declare it Ibis needs PySpark itself."""

    treat_nan_as_null: bool = False


def _check_names(query: Any, columns: list[str], dialect: str) -> None:
    """Raise where Ibis wrote another name than was given, as it does for BigQuery."""
    written = {identifier.this for identifier in query.find_all(syntax.Identifier)}
    for name in columns:
        if name not in written:
            raise Unsupported(
                f"Ibis does not write the column {name!r:.60} for dialect={dialect!r}; give it a "
                "name of letters, digits and underscores, in a view"
            )
