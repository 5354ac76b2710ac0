"""A formula as an expression of Ibis, in arithmetic that every engine behind Ibis has.

IEEE arithmetic gives a limit where databases raise, give NULL, or do either by their settings:
exp beyond float64, log of 0, division by 0. Such a place is guarded by a condition, unless
the range of the operand shows that it cannot be met. Ibis has no log1p and expm1: the rounding of
u = 1 + x, or of u = e^x, is undone by what u itself says (Kahan). SQL cannot share a part of an
expression, so that forms are chosen in which operands stand few times.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import factorial, inf, log, nan
from operator import methodcaller
from typing import Any

import ibis

from losskit.backends.sql_plan import Scored
from losskit.backends.sql_ranges import Range, ranges
from losskit.formula.expr import Expr, reachable
from losskit.formula.fold import constant_of

_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 709.782712893384, -745.1332191019412
_FAR = 40.0  # e^-40 is below half an ulp of 1
_LARGE = 1e17  # beyond it 1 + x is x

TABLE: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "abs": methodcaller("abs"),
    "sqrt": methodcaller("sqrt"),
    "signed": lambda x, u: x * u.sign(),
    "maximum": lambda a, b: ibis.greatest(a, b),
    "minimum": lambda a, b: ibis.least(a, b),
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
}


def formula(wanted: Scored, columns: Mapping[str, Any], untyped: bool = False) -> Any:
    """Return the expression of a row's number, its symbols standing for `columns`.

    Of an `untyped` engine any of them may hold integers, which it would divide as such.
    """
    lowered = wanted.lowered([*TABLE, *_GUARDED, "where"], "ibis")
    spans = ranges([lowered], wanted.domains)
    made: dict[int, Any] = {}
    for node in reachable([lowered]):
        number = constant_of(node)
        if number is not None:
            made[node.serial] = operand(number)
        elif node.op == "symbol":
            made[node.serial] = columns[str(node.value)]
        elif node.op == "where":
            condition, *branches = node.args
            yes, no = (_branch(b, made) for b in branches)
            made[node.serial] = choose([(made[condition.serial], yes)], no)
        elif node.op in _GUARDED:
            args = [made[a.serial] for a in node.args]
            if untyped and node.op in ("div", "contrast"):
                args = [a * 1.0 for a in args]
            made[node.serial] = _GUARDED[node.op](*args, *(spans[a.serial] for a in node.args))
        else:
            made[node.serial] = TABLE[node.op](*(made[a.serial] for a in node.args))
    return _branch(lowered, made)


def choose(cases: Sequence[tuple[Any, Any]], otherwise: Any) -> Any:
    """Return the first value whose condition holds, without a condition where there is none."""
    return ibis.cases(*cases, else_=otherwise) if cases else otherwise


def double(value: float | None) -> Any:
    """Return a number of type float64, or NULL, wherever it stands: engines read 0.1 as decimal."""
    if value is None:
        return ibis.null("float64")
    if value != value or value in (inf, -inf):
        return ibis.literal(value, "float64")
    return ibis.literal(repr(value)).cast("float64")


def operand(value: float) -> Any:
    """Return a number to compute with a column, which is a float64 and makes it one.

    As a decimal only where converting that is exact: up to 15 digits, and no exponent.
    """
    text = repr(value)
    plain = "e" not in text and "n" not in text and len(text.strip("-0").replace(".", "")) <= 15
    return value if plain else double(value)


def _branch(node: Expr, made: Mapping[int, Any]) -> Any:
    number = constant_of(node)
    return made[node.serial] if number is None else double(number)


# --- what engines differ in: operands, then the range of each ----------------------------------


def _exp(x: Any, span: Range) -> Any:
    cases = []
    if not span.high < _LARGEST_EXPONENT:
        cases.append((x > _LARGEST_EXPONENT, double(inf)))
    if not span.low > _SMALLEST_EXPONENT:
        cases.append((x < _SMALLEST_EXPONENT, double(0.0)))
    return choose(cases, x.exp())


def _log(x: Any, span: Range) -> Any:
    if span.low > 0:
        return x.ln()
    cases = [(x > 0.0, x.ln())]
    if span.low >= 0:
        return choose(cases, double(-inf))
    return choose([*cases, (x < 0.0, double(nan))], double(-inf))


def _div(a: Any, b: Any, above: Range, below: Range) -> Any:
    if not below.may_be_zero:
        return a / b
    cases, limit = [(b != 0.0, a / b)], double(nan)
    if above.low > 0:
        limit = double(inf)
    elif above.high < 0:
        limit = double(-inf)
    else:
        cases += [(a > 0.0, double(inf)), (a < 0.0, double(-inf))]
    return choose(cases, limit)


def _pow(x: Any, power: Any, base: Range, exponent: Range) -> Any:
    if exponent.low >= 0 or not base.may_be_zero:
        return x**power
    return choose([(x == 0.0, double(inf))], x**power)


def _signed_pow(x: Any, power: Any, base: Range, exponent: Range) -> Any:
    found = x.sign() * x.abs() ** power
    return found if exponent.low > 0 else choose([(x != 0.0, found)], double(0.0))


def _contrast(u: Any, v: Any, *_: Range) -> Any:
    return choose([(u + v > 0.0, (u - v) / (u + v))], double(0.0))


def _log1p(x: Any, span: Range) -> Any:
    u = 1.0 + x
    cases = []
    if not span.high < _LARGE:
        cases.append((x > _LARGE, x.ln()))
    if not span.low > -1:
        cases.append((u == 0.0, double(-inf)))
    return choose(cases, u.ln() - (u - 1.0 - x) / u)


def _expm1(x: Any, span: Range) -> Any:
    u = x.exp()
    cases = []
    if not span.high < _FAR:
        cases.append((x > _FAR, _exp(x, Range(_FAR, span.high))))
    if not span.low > -_FAR:
        cases.append((x < -_FAR, double(-1.0)))
    cases.append((u == 1.0, x))
    return choose(cases, (u - 1.0) * (x / u.ln()))


def _expm1_gap(x: Any, span: Range) -> Any:
    def series(last: int) -> Any:
        # A flat sum: SQLite's parser has no room for eighteen brackets within each other.
        terms = [operand(2 / factorial(n + 2)) * x**n for n in range(1, last + 1)]
        return 0.5 * x * x * reduce(operator.add, terms, 1.0)

    # Of tiny x two terms are all that shows, and Postgres raises where a power underflows.
    near = [(x.abs() < 1e-5, series(2)), (x.abs() < 1.0, series(18))]
    return choose(near, _expm1(x, span) - x)


def _log1p_gap(x: Any, span: Range) -> Any:
    s = x / (2.0 + x)  # of x ≥ 0: log1p(x) = 2·atanh(s)

    def series(last: int) -> Any:  # a flat sum, as above
        terms = [operand(2 / n) * s**n for n in range(3, last + 1, 2)]
        return x * s - reduce(operator.add, terms)

    return choose([(x < 1e-5, series(5)), (x < 0.5, series(25))], x - _log1p(x, span))


def _sigmoid(x: Any, span: Range) -> Any:
    cases = []
    if not span.high < _FAR:
        cases.append((x > _FAR, double(1.0)))
    if not span.low > -_LARGEST_EXPONENT:
        cases.append((x < -_LARGEST_EXPONENT, double(0.0)))
    return choose(cases, 1.0 / (1.0 + (-x).exp()))


def _sigmoid_scaled(x: Any, scale: Any, span: Range, _: Range) -> Any:
    return 1.0 / (1.0 + _exp(-x, Range(-span.high, -span.low)) / scale)


def _log_cosh(x: Any, span: Range) -> Any:
    size, longest = x.abs(), max(map(abs, span[:2]))
    t = -_expm1(-size, Range(-1.0, 0.0))
    near = _log1p(0.5 * t * (t / (1.0 - t)), Range(0.0, 1.0))
    beyond = _exp(-2.0 * size, Range(-2 * longest, -2.0))
    return choose([(size > 1.0, size - operand(log(2)) + _log1p(beyond, Range(0.0, 1.0)))], near)


_GUARDED: dict[str, Callable[..., Any]] = {
    "exp": _exp,
    "log": _log,
    "log1p": _log1p,
    "expm1": _expm1,
    "expm1_gap": _expm1_gap,
    "log1p_gap": _log1p_gap,
    "log_cosh": _log_cosh,
    "sigmoid": _sigmoid,
    "sigmoid_scaled": _sigmoid_scaled,
    "contrast": _contrast,
    "div": _div,
    "pow": _pow,
    "abs_pow": lambda x, power, *spans: _pow(x.abs(), power, *spans),
    "signed_pow": _signed_pow,
}
