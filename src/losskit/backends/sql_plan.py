"""What SQL says of a loss, in whatever words: the row's value, and the mean with what spoils it.

Written once over conditions that know `&`, `|`, `~`, `<`, … and a writer of the few other words, so
that the text for DuckDB (`sql`) and expressions of Ibis (`losskit.ibis`) cannot differ in meaning.

Rows that a mask or a zero weight leaves out contribute exactly 0 and are not looked at. SQL cannot
raise, so a row that counts and is NULL, NaN or outside its domain makes the mean NULL, and a count
beside it says which column had what. `nan="omit"` leaves out rows whose target or prediction is
NULL or NaN, as calls do, and counts them all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from operator import and_, or_
from typing import Any, Protocol

from losskit.backends.sql_numbers import ready
from losskit.formula.domain import NONNEGATIVE, Domain
from losskit.formula.expr import Expr, Unsupported

EPS = 2.0**-52  # of float64, by which calls clip probabilities
ORDERS = ("value", "gradient", "hessian")
NAN_POLICIES = ("propagate", "omit")


class Writer(Protocol):
    """The words in which conditions of two writers differ; a condition and a number are theirs."""

    def finite(self, x: Any) -> Any: ...  # noqa: D102
    def nan(self, x: Any) -> Any: ...  # noqa: D102
    def null(self, x: Any) -> Any: ...  # noqa: D102
    def one_of(self, x: Any, values: Sequence[float]) -> Any: ...  # noqa: D102
    def choose(self, cases: Sequence[tuple[Any, Any]], otherwise: Any) -> Any: ...  # noqa: D102
    def number(self, value: float | None) -> Any: ...  # noqa: D102
    def truth(self) -> Any: ...  # noqa: D102
    def true_unless_false(self, condition: Any) -> Any: ...  # noqa: D102
    def count(self, condition: Any) -> Any: ...  # noqa: D102
    def rows(self) -> Any: ...  # noqa: D102
    def total(self, x: Any) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Read:
    """One column that a formula reads: its symbol there, what losskit calls it, where it lies."""

    symbol: str
    role: str
    column: str
    domain: Domain


@dataclass(frozen=True)
class Scored:
    """A loss, or a derivative, of named columns: `node` has numbers for everything else."""

    node: Expr
    reads: tuple[Read, ...]
    numbers: Mapping[str, float]

    def lowered(self, native: Sequence[str] | Mapping[str, Any], backend: str) -> Expr:
        """Return the formula in the operations `native`, with numbers for what has no column."""
        return ready([self.node], self.numbers, native, backend)[0]

    @property
    def domains(self) -> dict[str, Domain]:
        """Where each symbol's values lie."""
        return {read.symbol: read.domain for read in self.reads}


def scored(
    loss: Any,
    target: str,
    prediction: str | Sequence[str],
    order: int = 0,
    raw: bool = False,
    clip: float = EPS,
    output: str | None = None,
) -> Scored:
    """Return what `loss` (order 0), its gradient (1) or its curvature (2) is of these columns.

    `output` names the raw output by which a derivative is taken where there are several.
    """
    if loss.kind != "pointwise":
        if loss.kind == "several":
            raise Unsupported(f"{loss!r} is several losses, and SQL takes one: each of its members")
        why = "is an algorithm" if loss.kind == "written" else "sees a whole axis"
        raise Unsupported(
            f"SQL is written for losses of one number; {loss.name} {why}: call it on arrays, "
            "which losskit.evaluate reads from a table"
        )
    if not isinstance(order, int) or order not in (0, 1, 2):
        raise ValueError(f"{loss.name}: order={order!r}; needed is 0, 1 or 2")
    if not isinstance(raw, bool):
        raise TypeError(f"{loss.name}: raw has to be True or False, not {raw!r:.40}")
    if type(clip) not in (int, float) or not 0 <= clip < 0.5:
        raise ValueError(
            f"{loss.name}: clip={clip!r}; needed is a number in [0, 0.5), 0 to clip nothing"
        )
    form = loss.form(raw)
    names = prediction_columns(loss, prediction)
    if output is not None and output not in loss.outputs:
        raise ValueError(
            f"{loss.name}: output={output!r}; needed is one of {', '.join(loss.outputs)}"
        )
    if len(names) != len(loss.outputs) or (order and len(names) > 1 and output is None):
        raise ValueError(
            f"{loss.name} has the raw outputs {', '.join(loss.outputs)}: give prediction= one "
            f"column for each, and for a derivative output= one of them, or order=0 where there "
            f"are several; got {names} and order={order}"
        )
    nodes = form.graph.select((ORDERS[order],))
    node = nodes[loss.outputs.index(output) if order and output else 0]
    symbols = form.graph.symbols
    roles = ("y_true", *(("y_pred",) if len(names) == 1 else loss.outputs))
    domains = (form.target, *form.predictions)
    reads = zip(symbols, roles, (column_name(target), *names), domains, strict=False)
    numbers = zip(symbols[len(roles) :], form.arguments(float(clip)), strict=True)
    return Scored(node, tuple(Read(*r) for r in reads), dict(numbers))


def prediction_columns(loss: Any, prediction: str | Sequence[str]) -> list[str]:
    """Return the columns of predictions, by default named as losskit names them."""
    if names := column_names("prediction", prediction):
        return list(names)
    return ["y_pred"] if len(loss.outputs) == 1 else list(loss.outputs)


def column_names(option: str, given: Any) -> tuple[str, ...]:
    """Return the names that an option is given, one or a sequence, or raise."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence):
        raise TypeError(f"{option}={given!r:.40}; needed is a name, or a sequence of names")
    return tuple(column_name(name) for name in names)


def column_name(name: Any) -> str:
    """Return a name that can be quoted, or raise."""
    if not isinstance(name, str):
        raise TypeError(f"a column's name is text, not {name!r:.40}")
    if not name or "\0" in name:
        raise ValueError(f"no column can be named {name!r:.40}")
    return name


# --- conditions ----------------------------------------------------------------------------


def inside(write: Writer, x: Any, domain: Domain) -> Any:
    """Return the condition that a number is finite and in `domain`; NaN and NULL are not."""
    if domain.values:
        return write.one_of(x, domain.values)
    bounded = isfinite(domain.lower) and isfinite(domain.upper)
    tests = [] if bounded else [write.finite(x)]
    if isfinite(domain.lower):
        tests.append(x > domain.lower if domain.open_lower else x >= domain.lower)
    if isfinite(domain.upper):
        tests.append(x < domain.upper if domain.open_upper else x <= domain.upper)
    if domain.hole is not None:
        tests.append(x != domain.hole)
    return reduce(and_, tests)


def guarded(write: Writer, data: Sequence[tuple[Any, Domain]], value: Any) -> Any:
    """Return `value` where all data lie in their domains, NULL where one is NULL, else NaN.

    The formula stands in the branch that is taken for good rows only, so that nothing raises.
    """
    fine = reduce(and_, (inside(write, x, domain) for x, domain in data))
    absent = reduce(or_, (write.null(x) for x, _ in data))
    cases = [(fine, value), (absent, write.number(None))]
    return write.choose(cases, write.number(float("nan")))


# --- the mean ------------------------------------------------------------------------------

WEIGHT, MASK = "sample_weight", "mask"
ACTIVE, COUNTED = "active", "counted"
_KINDS = ("null", "nan", "outside")


@dataclass(frozen=True)
class Mean:
    """What is asked of a mean: the row's loss, and the columns that weigh and divide rows."""

    scored: Scored
    sample_weight: str | None = None
    mask: str | None = None
    group_by: tuple[str, ...] = ()
    nan: str = "propagate"

    def __post_init__(self) -> None:
        if self.nan not in NAN_POLICIES:
            raise ValueError(
                f"nan={self.nan!r}; needed is 'propagate' (a bad row makes the mean NULL) or "
                "'omit'; SQL cannot raise, the counts say what is wrong"
            )
        roles = [read.role.casefold() for read in self.scored.reads]
        taken = {WEIGHT, MASK, ACTIVE, COUNTED, *self.groups}
        for i, role in enumerate(roles):
            if role in (*roles[:i], *taken):
                raise Unsupported(
                    f"the query of a mean has a column {role!r} of its own: give the loss's raw "
                    "output of that name another"
                )
        results = {name.casefold() for name in self.results}
        for name in self.group_by:
            if column_name(name).casefold() in results:
                raise ValueError(
                    f"group_by={name!r} is also the name of a result; rename the column in a view"
                )
        if len({name.casefold() for name in self.group_by}) < len(self.group_by):
            raise ValueError(f"group_by={self.group_by}: a column stands there twice")

    @property
    def groups(self) -> dict[str, str]:
        """The user's column for each that has a row of its own for each of its values."""
        return {f"group_{i}": name for i, name in enumerate(self.group_by)}

    @property
    def numbers(self) -> dict[str, Domain]:
        """The roles whose columns are read as numbers, and where they must lie."""
        domains = {read.role: read.domain for read in self.scored.reads}
        return domains | ({WEIGHT: NONNEGATIVE} if self.sample_weight is not None else {})

    @property
    def columns(self) -> dict[str, str]:
        """The user's column for each role that is a number."""
        columns = {read.role: read.column for read in self.scored.reads}
        if self.sample_weight is not None:
            columns[WEIGHT] = column_name(self.sample_weight)
        return columns

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the result's columns, after those of `group_by`."""
        counts = [f"{role}_{kind}" for role in self.numbers for kind in _KINDS]
        return ("mean", "weight", "row_count", *counts, *([f"{MASK}_null"] * bool(self.mask)))


def flags(mean: Mean, write: Writer, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return conditions of a row: whether it is looked at, and whether it counts in the mean."""
    active, known = [], []
    if mean.mask is not None:
        active.append(write.true_unless_false(data[MASK]))
        known.append(~write.null(data[MASK]))
    if mean.sample_weight is not None:
        active.append(write.true_unless_false(data[WEIGHT] != 0))
    fine = [inside(write, data[role], domain) for role, domain in mean.numbers.items()]
    looked_at = reduce(and_, active) if active else write.truth()
    return {ACTIVE: looked_at, COUNTED: reduce(and_, [*active, *known, *fine])}


def aggregates(mean: Mean, write: Writer, data: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return the result's columns by name, of rows that have `flags`; `value` is a row's loss."""
    active, counted = data[ACTIVE], data[COUNTED]
    weight = data.get(WEIGHT)
    weighed = value if weight is None else weight * value
    numerator = write.total(write.choose([(counted, weighed)], write.number(0.0)))
    if weight is None:
        denominator = write.count(counted) * write.number(1.0)
    else:
        denominator = write.total(write.choose([(counted, weight)], write.number(0.0)))
    spoiled = write.count(active) - write.count(counted)
    if mean.nan == "omit":
        spoiled = spoiled - write.count(active & _omitted(mean, write, data))
    stated = (spoiled == 0) & (denominator > 0)
    ratio = write.choose([(stated, numerator / denominator)], write.number(None))
    found = {"mean": ratio, "weight": denominator, "row_count": write.rows()}
    for role, domain in mean.numbers.items():
        null, nan = write.null(data[role]), write.nan(data[role])
        outside = ~null & ~nan & ~inside(write, data[role], domain)
        for kind, condition in zip(_KINDS, (null, nan, outside), strict=True):
            found[f"{role}_{kind}"] = write.count(active & condition)
    if mean.mask is not None:
        found[f"{MASK}_null"] = write.count(active & write.null(data[MASK]))
    return found


def _omitted(mean: Mean, write: Writer, data: Mapping[str, Any]) -> Any:
    """Return the condition that NaN policy "omit" leaves a row out: nothing else is wrong in it."""
    missing, fine = [], []
    for read in mean.scored.reads:
        x = data[read.role]
        missing.append(write.null(x) | write.nan(x))
        fine.append(missing[-1] | inside(write, x, read.domain))
    conditions = [reduce(or_, missing), *fine]
    if mean.mask is not None:
        conditions.append(~write.null(data[MASK]))
    if mean.sample_weight is not None:
        conditions.append(inside(write, data[WEIGHT], NONNEGATIVE))
    return reduce(and_, conditions)
