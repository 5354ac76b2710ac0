"""Between which numbers the parts of a formula lie, so that SQL is guarded only where it must be.

Databases raise at a logarithm of 0, a division by 0 and an exponential beyond float64, where IEEE
arithmetic gives the limit. A part whose range excludes that is printed without a guard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from math import exp, inf, isnan, log, nextafter
from typing import NamedTuple

from losskit.formula.domain import Domain
from losskit.formula.expr import Expr, reachable
from losskit.formula.fold import constant_of

Ends = tuple[float, float]


class Range(NamedTuple):
    """An interval, and whether what lies in it is known not to be 0 all the same."""

    low: float
    high: float
    not_zero: bool = False

    @property
    def may_be_zero(self) -> bool:
        """Whether 0 can be met."""
        return self.low <= 0 <= self.high and not self.not_zero


_ANY = Range(-inf, inf)


def ranges(outputs: Iterable[Expr], domains: Mapping[str, Domain]) -> dict[int, Range]:
    """Return, by serial number, an interval that holds each node's values for data in `domains`.

    Values that a condition excludes are not: what a branch guards is not known here.
    """
    found: dict[int, Range] = {}
    for node in reachable(outputs):
        args = [found[a.serial] for a in node.args]
        if node.op == "symbol":
            found[node.serial] = _of_domain(domains.get(str(node.value)))
        elif node.op == "constant":
            found[node.serial] = Range(*(float(str(node.value)),) * 2)
        elif node.op == "mul" and node.args[0] is node.args[1]:
            found[node.serial] = Range(0.0, _corners(_times, args[0], args[0])[1])
        else:
            low, high = _RULES.get(node.op, lambda *_: _ANY[:2])(*args)
            sound = not isnan(low) and not isnan(high)
            found[node.serial] = Range(low, high, _never_zero(node, found)) if sound else _ANY
    return found


def _never_zero(node: Expr, found: Mapping[int, Range]) -> bool:
    """Say whether a node is `where(x = 0, 1, x)`, as formulas write a divisor, or its size."""
    if node.op in ("abs", "neg"):
        return found[node.args[0].serial].not_zero
    if node.op != "where" or node.args[0].op != "eq":
        return False
    condition, instead, x = node.args
    compared = [constant_of(a) for a in condition.args]
    same = any(a is x for a in condition.args)
    return same and 0.0 in compared and constant_of(instead) not in (None, 0.0)


def _of_domain(domain: Domain | None) -> Range:
    if domain is None:
        return _ANY
    if domain.values:
        return Range(min(domain.values), max(domain.values))
    lower = nextafter(domain.lower, inf) if domain.open_lower else domain.lower
    upper = nextafter(domain.upper, -inf) if domain.open_upper else domain.upper
    return Range(lower, upper)


def _corners(f: Callable[[float, float], float], a: Range, b: Range) -> Ends:
    values = [f(x, y) for x, y in product(a[:2], b[:2])]
    return (min(values), max(values)) if not any(map(isnan, values)) else _ANY[:2]


def _times(a: float, b: float) -> float:
    return 0.0 if 0 in (a, b) else a * b  # an end is never reached where it is infinite


def _over(a: Range, b: Range) -> Ends:
    if b[0] <= 0 <= b[1]:
        return (0.0, inf) if a[0] >= 0 and b[0] >= 0 else _ANY[:2]
    return _corners(lambda x, y: x / y, a, b)


def _absolute(a: Range) -> Ends:
    least = 0.0 if a[0] <= 0 <= a[1] else min(map(abs, a[:2]))
    return least, max(map(abs, a[:2]))


def _exponential(x: float) -> float:
    return exp(x) if x < 709 else inf


def _logarithm(x: float) -> float:
    return log(x) if x > 0 else -inf


def _rising(function: Callable[[float], float]) -> Callable[[Range], Ends]:
    """Return the rule of a function that grows."""

    def rule(a: Range) -> Ends:
        # One unit for the engine's own rounding, which need not be the C library's.
        low, high = map(function, a[:2])
        return nextafter(low, -inf) if low else low, nextafter(high, inf)

    return rule


_RULES: dict[str, Callable[..., Ends]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": lambda a, b: _corners(_times, a, b),
    "div": _over,
    "neg": lambda a: (-a[1], -a[0]),
    "abs": _absolute,
    "sqrt": lambda a: (0.0, inf),
    "pow": lambda a, b: (0.0, inf) if a[0] >= 0 else _ANY[:2],
    "exp": _rising(_exponential),
    "expm1": _rising(lambda x: _exponential(x) - 1),
    "log": _rising(_logarithm),
    "log1p": _rising(lambda x: _logarithm(1 + x)),
    "sigmoid": lambda a: (0.0, 1.0),
    "sigmoid_scaled": lambda a, scale: (0.0, 1.0),
    "abs_pow": lambda a, b: (0.0, inf),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "where": lambda _, a, b: (min(a[0], b[0]), max(a[1], b[1])),
}
