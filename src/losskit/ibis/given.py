"""What a user gives of a table: the names of columns, or expressions of Ibis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from losskit.ibis.words import check_table


@dataclass(frozen=True, eq=False)
class Given:
    """Names for what is given, and behind names that no column has, the expressions."""

    table: Any
    expressions: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_table(self.table)

    def named(self, option: str, given: Any) -> Any:
        """Return names for what an option was given, one or a sequence, or raise."""
        if isinstance(given, (list, tuple)):
            return [self.named(option, one) for one in given]
        if given is None or isinstance(given, str):
            return given
        bound = _bound(self.table, option, given)
        name = f"{option}={bound.get_name()}".replace("\0", "")
        while name in self.expressions or name in self.table.columns:
            name += "'"
        self.expressions[name] = bound
        return name

    def grouped(self, given: Any) -> Any:
        """Return the names of groups, which are the names of columns of the result too."""
        if isinstance(given, (list, tuple)):
            return [self.grouped(one) for one in given]
        if isinstance(given, str):
            return given
        bound = _bound(self.table, "group_by", given)
        self.groups[bound.get_name()] = bound
        return bound.get_name()


def _bound(table: Any, option: str, given: Any) -> Any:
    """Return an expression of this table, or raise."""
    if not isinstance(given, (ir.Value, ibis.Deferred)):
        raise TypeError(
            f"{option}= is given a {type(given).__name__}; needed is a column's name, or an "
            "expression of the table, as table.price or ibis._.price"
        )
    try:
        (bound,) = table.bind(given)
        table.select(bound)
    except (AttributeError, IbisError) as error:
        said = given.get_name() if isinstance(given, ir.Value) else repr(given)
        raise ValueError(
            f"{option}={said:.60} is no expression of this table, which has "
            f"{', '.join(map(repr, table.columns[:8]))}: {error}"
        ) from None
    return bound
