"""Rewrites that are exact in floating point, applied while a graph is built.

Signs and powers of two move outwards, factors of one and sums with zero vanish, sign·sign cancels;
what could change a rounding is left alone. Two rules hold for finite operands only (0·x = 0 and
x − x = 0): they come from derivatives of terms that do not depend on the prediction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

from losskit.formula.expr import Expr

_ARITHMETIC: dict[str, Callable[..., Fraction]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "neg": operator.neg, "abs": abs,
}  # fmt: skip


def fold(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """Return the simpler node that `op(*args)` equals exactly, or None to build it as it is."""
    numbers = [constant_of(a) for a in args]
    if op in _ARITHMETIC and None not in numbers:
        exact = _exact(op, [n for n in numbers if n is not None])
        if exact is not None:
            return args[0].trace.constant(exact)
    simpler = _RULES[op](*args) if op in _RULES else None
    if simpler is None and op in ("add", "mul", "maximum", "minimum", "eq", "and", "or"):
        if _order(args[1]) < _order(args[0]):
            return args[0].trace.node(op, args[1], args[0])
    return simpler


def constant_of(expr: Expr) -> float | None:
    """Return the number that `expr` is, or None if it is not a constant."""
    return float(str(expr.value)) if expr.op == "constant" else None


def _exact(op: str, values: list[float]) -> float | None:
    if not all(map(math.isfinite, values)) or (op == "div" and values[1] == 0):
        return None
    result = _ARITHMETIC[op](*map(Fraction, values))
    return float(result) if Fraction(float(result)) == result else None


def _order(expr: Expr) -> tuple[bool, int]:
    return (expr.op != "constant", expr.serial)


def _split(expr: Expr) -> tuple[float, Expr]:
    """Return (c, x) where `expr` is c·x, c being a power of two or its negative; else (1, expr)."""
    if expr.op == "neg":
        return -1.0, expr.args[0]
    c = constant_of(expr.args[0]) if expr.op == "mul" else None
    if c and abs(math.frexp(c)[0]) == 0.5:
        return c, expr.args[1]
    return 1.0, expr


def _scale(c: float, x: Expr) -> Expr:
    """Return c·x in its one form: x, −x or a product with a constant first."""
    trace, factor = x.trace, constant_of(x.args[0]) if x.op == "mul" else None
    if c == 1:
        return x
    if c == -1 and factor is None:
        return x.args[1] - x.args[0] if x.op == "sub" else trace.add("neg", (x,))
    inner, x = (1.0, x) if factor is None else (factor, x.args[1])
    return trace.add("mul", (trace.constant(c * inner), x))


def _neg(a: Expr) -> Expr | None:
    c, x = _split(a)
    return _scale(-c, x) if c != 1 or x.op in ("sub", "mul") else None


def _add(a: Expr, b: Expr) -> Expr | None:
    if constant_of(a) == 0 or constant_of(b) == 0:
        return b if constant_of(a) == 0 else a
    if a is b:
        return 2 * a
    if b.op == "neg" or a.op == "neg":
        return a - b.args[0] if b.op == "neg" else b - a.args[0]
    return _join_signed("add", a, b)


def _sub(a: Expr, b: Expr) -> Expr | None:
    if constant_of(b) == 0 or a is b:
        return a if a is not b else a.trace.constant(0)
    if constant_of(a) == 0:
        return -b
    c, x = _split(b)
    return a + _scale(-c, x) if c < 0 else _join_signed("sub", a, b)


def _join_signed(op: str, a: Expr, b: Expr) -> Expr | None:
    if a.op == b.op == "signed" and a.args[1] is b.args[1]:
        return a.trace.node("signed", a.trace.node(op, a.args[0], b.args[0]), a.args[1])
    return None


def _mul(a: Expr, b: Expr) -> Expr | None:
    for number, other in ((constant_of(a), b), (constant_of(b), a)):
        if number in (0, 1):
            return other if number == 1 else a.trace.constant(0)
        if number is not None and abs(math.frexp(number)[0]) == 0.5:
            c, x = _split(other)
            return _scale(number * c, x)
    (c, x), (d, z) = _split(a), _split(b)
    if (c, d) != (1, 1):
        return _scale(c * d, x * z)
    for x, other in ((a, b), (b, a)):
        if x.op == "signed":
            return a.trace.node("signed", x.args[0] * other, x.args[1])
        if x.op == "where" and 0 in (constant_of(x.args[1]), constant_of(x.args[2])):
            # So that what is infinite on the other side of the condition stays there.
            return a.trace.node("where", x.args[0], x.args[1] * other, x.args[2] * other)
    return None


def _div(a: Expr, b: Expr) -> Expr | None:
    number = constant_of(b)
    if constant_of(a) == 0:
        return a
    if number and abs(math.frexp(number)[0]) == 0.5:
        return (1 / number) * a
    (c, x), (d, z) = _split(a), _split(b)
    if (c, d) != (1, 1):
        return _scale(c / d, x / z)
    if a.op == "signed":
        return a.trace.node("signed", a.args[0] / b, a.args[1])
    return None


def _signed(x: Expr, u: Expr) -> Expr | None:
    (c, z), (d, v) = _split(x), _split(u)
    if constant_of(x) == 0 or x is u:
        return x if x is not u else abs(u)
    if (c, d) != (1, 1):
        return _scale(math.copysign(c, c * d), x.trace.node("signed", z, v))
    if x.op == "signed" and x.args[1] is u:
        # sign(u)² is 1 on both sides of the kink; its own value at 0 is not a limit of either.
        return x.args[0]
    if x.op == "signed" and x.args[1].serial > u.serial:
        return x.trace.node("signed", x.trace.node("signed", x.args[0], u), x.args[1])
    return None


def _abs(a: Expr) -> Expr | None:
    c, x = _split(a)
    return abs(c) * abs(x) if c != 1 else a if a.op == "abs" else None


def _where(condition: Expr, a: Expr, b: Expr) -> Expr | None:
    numbers = [constant_of(x) for x in condition.args]
    if condition.op == "eq" and None not in numbers:
        return a if numbers[0] == numbers[1] else b
    return a if a is b else None


def _xmul(a: Expr, b: Expr) -> Expr | None:
    (c, x), (d, z) = _split(a), _split(b)
    if 0 in (constant_of(a), constant_of(b)):
        return a.trace.constant(0)
    if 1 in (constant_of(a), constant_of(b)):
        return b if constant_of(a) == 1 else a
    return _scale(c * d, a.trace.node("xmul", x, z)) if (c, d) != (1, 1) else None


def _mul_exp(x: Expr, s: Expr) -> Expr | None:
    c, z = _split(x)
    if c != 1:
        return _scale(c, x.trace.node("mul_exp", z, s))
    return x if constant_of(x) == 0 else None


def _same(a: Expr, b: Expr) -> Expr | None:
    return a if a is b else None


_RULES: dict[str, Callable[..., Expr | None]] = {
    "neg": _neg, "add": _add, "sub": _sub, "mul": _mul, "div": _div, "abs": _abs, "signed": _signed,
    "where": _where, "maximum": _same, "minimum": _same, "xmul": _xmul, "mul_exp": _mul_exp,
    "pow": lambda x, p: x if constant_of(p) == 1 else x * x if constant_of(p) == 2 else None,
}  # fmt: skip
