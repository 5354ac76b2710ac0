"""Rewrites that are exact in floating point, applied while a graph is built.

They keep derivatives readable and accurate: no factor of one, no sum with zero, powers of two moved
outwards, signs pulled out of products so that sign·sign cancels. Anything that could change a
rounding is left alone. Two of them hold for finite operands only (0·x = 0 and x − x = 0): they
come from derivatives of terms that do not depend on the prediction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

from losskit.formula.expr import Expr

_ARITHMETIC: dict[str, Callable[..., Fraction]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "maximum": max,
    "minimum": min,
}
_COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
}
_COMMUTATIVE = ("add", "mul", "maximum", "minimum", "eq", "and", "or")


def fold(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """Return the simpler node that `op(*args)` equals exactly, or None to build it as it is."""
    constants = [a.value for a in args if a.op == "constant"]
    if len(constants) == len(args) and op in _ARITHMETIC:
        exact = _exact(op, [float(c) for c in constants if c is not None])
        if exact is not None:
            return args[0].trace.constant(exact)
    rule = _RULES.get(op)
    simpler = rule(*args) if rule else None
    if simpler is None and op in _COMMUTATIVE and _order(args[1]) < _order(args[0]):
        simpler = args[0].trace.node(op, args[1], args[0])
    return simpler


def compare(op: str, a: float, b: float) -> bool:
    """Return the truth of the comparison named `op`."""
    return _COMPARISON[op](a, b)


def constant_of(expr: Expr) -> float | None:
    """Return the number that `expr` is, or None if it is not a constant."""
    return float(expr.value) if expr.op == "constant" and expr.value is not None else None


def _exact(op: str, values: list[float]) -> float | None:
    if not all(map(math.isfinite, values)) or (op == "div" and values[1] == 0):
        return None
    result = _ARITHMETIC[op](*map(Fraction, values))
    rounded = float(result)
    return rounded if Fraction(rounded) == result else None


def _order(expr: Expr) -> tuple[bool, int]:
    return (expr.op != "constant", expr.serial)


def _power_of_two(value: float | None) -> bool:
    return value is not None and value != 0 and abs(math.frexp(value)[0]) == 0.5


def _scaled(expr: Expr) -> tuple[float, Expr] | None:
    """Return (c, x) where `expr` is c·x with a constant c."""
    if expr.op == "mul" and (c := constant_of(expr.args[0])) is not None:
        return c, expr.args[1]
    return None


def _neg(a: Expr) -> Expr | None:
    if a.op == "neg":
        return a.args[0]
    if a.op == "sub":
        return a.args[1] - a.args[0]
    if a.op == "signed":
        return a.trace.node("signed", -a.args[0], a.args[1])
    if scaled := _scaled(a):
        return -scaled[0] * scaled[1]
    return None


def _add(a: Expr, b: Expr) -> Expr | None:
    if constant_of(a) == 0:
        return b
    if constant_of(b) == 0:
        return a
    if a is b:
        return 2 * a
    if b.op == "neg":
        return a - b.args[0]
    if a.op == "neg":
        return b - a.args[0]
    return _join_signed("add", a, b)


def _sub(a: Expr, b: Expr) -> Expr | None:
    if constant_of(b) == 0:
        return a
    if constant_of(a) == 0:
        return -b
    if a is b:
        return a.trace.constant(0)
    if b.op == "neg":
        return a + b.args[0]
    if (scaled := _scaled(b)) and scaled[0] < 0:
        return a + (-scaled[0] * scaled[1])
    return _join_signed("sub", a, b)


def _join_signed(op: str, a: Expr, b: Expr) -> Expr | None:
    if a.op == b.op == "signed" and a.args[1] is b.args[1]:
        return a.trace.node("signed", a.trace.node(op, a.args[0], b.args[0]), a.args[1])
    return None


def _mul(a: Expr, b: Expr) -> Expr | None:
    if constant_of(b) is not None and constant_of(a) is None:
        a, b = b, a
        return a * b
    if (c := constant_of(a)) is not None:
        if c == 0:
            return a
        if c == 1:
            return b
        if c == -1:
            return -b
        if b.op == "neg":
            return -c * b.args[0]
        inner = _scaled(b)
        if inner and (_power_of_two(c) or _power_of_two(inner[0])):
            return (c * inner[0]) * inner[1]
    elif a.op == "neg":
        return -(a.args[0] * b)
    elif b.op == "neg":
        return -(a * b.args[0])
    elif (inner := _scaled(a)) and _power_of_two(inner[0]):
        return inner[0] * (inner[1] * b)
    elif (inner := _scaled(b)) and _power_of_two(inner[0]):
        return inner[0] * (a * inner[1])
    for signed, other in ((a, b), (b, a)):
        if signed.op == "signed":
            return a.trace.node("signed", signed.args[0] * other, signed.args[1])
    return None


def _div(a: Expr, b: Expr) -> Expr | None:
    c = constant_of(b)
    if constant_of(a) == 0:
        return a
    if c is not None and _power_of_two(c):
        return (1 / c) * a
    if a.op == "neg":
        return -(a.args[0] / b)
    if b.op == "neg":
        return -(a / b.args[0])
    if (scaled := _scaled(a)) and _power_of_two(scaled[0]):
        return scaled[0] * (scaled[1] / b)
    if a.op == "signed":
        return a.trace.node("signed", a.args[0] / b, a.args[1])
    return None


def _signed(x: Expr, u: Expr) -> Expr | None:
    if constant_of(x) == 0:
        return x
    if x is u:
        return abs(u)
    if u.op == "neg":
        return -x.trace.node("signed", x, u.args[0])
    if x.op == "signed":
        # sign(u)² is 1 on both sides of the kink; its own value at 0 is not a limit of either.
        if x.args[1] is u:
            return x.args[0]
        if x.args[1].serial > u.serial:
            return x.trace.node("signed", x.trace.node("signed", x.args[0], u), x.args[1])
    return None


def _abs(a: Expr) -> Expr | None:
    if a.op == "neg":
        return abs(a.args[0])
    return a if a.op == "abs" else None


def _where(condition: Expr, a: Expr, b: Expr) -> Expr | None:
    if a is b:
        return a
    if condition.op in _COMPARISON:
        left, right = map(constant_of, condition.args)
        if left is not None and right is not None:
            return a if compare(condition.op, left, right) else b
    if condition.op == "not":
        return a.trace.node("where", condition.args[0], b, a)
    return None


def _extreme(a: Expr, b: Expr) -> Expr | None:
    return a if a is b else None


def _product_with_zero(a: Expr, b: Expr) -> Expr | None:
    """Fold xmul and mul_exp, which are 0 wherever their first operand is 0."""
    return a if constant_of(a) == 0 else None


def _pow(a: Expr, b: Expr) -> Expr | None:
    c = constant_of(b)
    if c == 1:
        return a
    if c == 2:
        return a * a
    if c == 0.5:
        return a.trace.node("sqrt", a)
    return None


_RULES: dict[str, Callable[..., Expr | None]] = {
    "neg": _neg,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "signed": _signed,
    "abs": _abs,
    "where": _where,
    "maximum": _extreme,
    "minimum": _extreme,
    "xmul": _product_with_zero,
    "mul_exp": _product_with_zero,
    "pow": _pow,
}
