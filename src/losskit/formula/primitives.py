"""THE table: every operation of the language, its derivative, and how it becomes arithmetic.

A native operation is one line. A stable composite states its derivative and its arithmetic, in the
form that keeps full relative precision, for the backends that do not have it. What an operation
*means* is said once more, in `backends/mpmath.py` and `sympy.py`, against which tests hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature

from losskit.formula.expr import Expr, FormulaError, Unsupported

Args = tuple[Expr, ...]
Tangent = Callable[[Args, Args, Expr], Expr]  # of operands, their changes, the node
Function = Callable[..., Expr]


@dataclass(frozen=True)
class Primitive:
    """One operation: how many operands, its derivative along a change of them, its arithmetic."""

    arity: int
    tangent: Tangent | None = None
    lower: Function | None = None


PRIMITIVES: dict[str, Primitive] = {}
_FAR = 134217728.0  # 2^27: beyond it, 1 + x² is x² in float64, and x² is finite in float32


def apply(op: str, *operands: Expr | float) -> Expr:
    """Build the node `op(*operands)`; at least one operand must be traced."""
    trace = next((a.trace for a in operands if isinstance(a, Expr)), None)
    if trace is None:
        raise FormulaError(f"{op}{operands} has no traced operand: use the math module for numbers")
    return trace.node(op, *operands)


def enter(
    op: str, arity: int, tangent: Tangent | None = None, lower: Function | None = None,
    doc: str | None = None,
) -> Function:  # fmt: skip
    """Enter an operation in the table and return the function that applies it."""
    PRIMITIVES[op] = Primitive(arity, tangent, lower)

    def function(*operands: Expr | float) -> Expr:
        return apply(op, *operands)

    function.__name__, function.__doc__ = op, doc
    return function


def composite(tangent: Tangent | None = None) -> Callable[[Function], Function]:
    """Enter an operation whose arithmetic is the decorated function."""
    return lambda lower: enter(
        lower.__name__, len(signature(lower).parameters), tangent, lower, lower.__doc__
    )


def slope(derivative: Callable[..., Expr | float], by: int = 0) -> Tangent:
    """Give the tangent of an operation that only its operand number `by` may change."""

    def tangent(args: Args, changes: Args, node: Expr) -> Expr:
        if any(c.value != 0 for c in changes[:by] + changes[by + 1 :]):
            raise Unsupported(f"only the {'second' if by else 'first'} operand of {node.op} varies")
        return derivative(*args) * changes[by]

    return tangent


def _linear(args: Args, changes: Args, node: Expr) -> Expr:
    return apply(node.op, *changes)


def _product(args: Args, changes: Args, node: Expr) -> Expr:
    return apply(node.op, changes[0], args[1]) + apply(node.op, args[0], changes[1])


def _quotient(args: Args, changes: Args, node: Expr) -> Expr:
    return changes[0] / args[1] - node * (changes[1] / args[1])


def _mul_exp(args: Args, changes: Args, node: Expr) -> Expr:
    return mul_exp(changes[0], args[1]) + mul_exp(changes[1] * args[0], args[1])


for _op in ("add", "sub"):
    enter(_op, 2, _linear)
for _op in ("lt", "le", "gt", "ge", "and", "or", "not"):
    enter(_op, 1 if _op == "not" else 2)
enter("neg", 1, _linear)
enter("mul", 2, _product)
enter("div", 2, _quotient)
enter("abs", 1, lambda args, changes, node: signed(changes[0], args[0]))
pow_: Function = enter("pow", 2, slope(lambda x, p: where(equal(p, 0), 0, p * pow_(x, p - 1))))
sqrt: Function = enter("sqrt", 1, slope(lambda x: 0.5 / sqrt(x)), doc="Return the square root.")
exp: Function = enter("exp", 1, slope(lambda x: exp(x)), doc="Return eˣ.")
expm1 = enter("expm1", 1, slope(lambda x: exp(x)), doc="Return eˣ − 1, accurate near 0.")
log = enter("log", 1, slope(lambda x: 1 / x), doc="Return the natural logarithm.")
log1p = enter("log1p", 1, slope(lambda x: 1 / (1 + x)), doc="Return log(1 + x), accurate near 0.")
maximum = enter("maximum", 2, doc="Return the larger of two.")
minimum = enter("minimum", 2, doc="Return the smaller of two.")
equal: Function = enter("eq", 2, doc="Return the condition a = b, for `where`.")
where: Function = enter("where", 3, doc="Return the second where the first holds, else the third.")


held = enter(
    "held", 1, lambda args, changes, node: node.trace.constant(0), lambda x: x,
    "Return x, as a constant of derivatives: for what cancels in the whole formula.",
)  # fmt: skip


def sign(x: Expr) -> Expr:
    """Return −1, 0 or 1."""
    return signed(1, x)


@composite(lambda args, changes, node: signed(changes[0], args[1]))
def signed(x: Expr, u: Expr) -> Expr:
    """Return x·sign(u)."""
    return where(u > 0, x, where(u < 0, -x, 0))


minmod = enter(  # 0 where a and b differ in sign, else the smaller in magnitude
    "minmod", 2, lower=lambda a, b: where(signed(a, b) > 0, where(abs(a) < abs(b), a, b), 0)
)
positive_part = enter("positive_part", 1, lower=lambda x: maximum(x, 0), doc="Return max(x, 0).")
indicator = enter(
    "indicator", 1, lower=lambda condition: where(condition, 1, 0),
    doc="Return 1 where a condition holds, else 0; it has no derivative.",
)  # fmt: skip
xmul = enter(
    "xmul", 2, _product, lambda a, b: where(equal(a, 0), 0, a * b),
    "Return a·b, and 0 where a = 0 even if b is infinite.",
)  # fmt: skip


def _decay(x: Expr) -> Expr:
    return exp(-abs(x))  # never overflows, and several composites share it


def _not_zero(x: Expr) -> Expr:
    return where(equal(x, 0), 1, x)


softplus: Function = enter(
    "softplus", 1, slope(lambda x: sigmoid(x)), lambda x: maximum(x, 0) + log1p(_decay(x)),
    "Return log(1 + eˣ), for every x.",
)  # fmt: skip
softplus_gap: Function = enter(
    "softplus_gap", 1, slope(lambda x: sigmoid(x)),
    lambda x: maximum(x, 0) + log1p(0.5 * expm1(-abs(x))),
    "Return log((1 + eˣ)/2), accurate near 0.",
)  # fmt: skip
log1mexp = enter(
    "log1mexp", 1, slope(lambda x: -(exp(-x) / expm1(-x))),
    lambda x: where(x < 0.6875, log(-expm1(-x)), log1p(-exp(-x))),
    "Return log(1 − e⁻ˣ) for x > 0, accurate near 0 and far away.",
)  # fmt: skip
sigmoid: Function = enter(
    "sigmoid", 1, slope(lambda x: sigmoid(x) * sigmoid(-x)),
    lambda x: where(x >= 0, 1, _decay(x)) / (1 + _decay(x)), "Return 1/(1 + e⁻ˣ), for every x.",
)  # fmt: skip


@composite(slope(lambda p: 1 / p / (1 - p)))
def logit(p: Expr) -> Expr:
    """Return log(p/(1 − p))."""
    middle = abs(p - 0.5) < 0.25  # where log p − log(1 − p) would cancel
    ratio = where(middle, (2 * p - 1) / (1 - p), 0)
    return where(middle, log1p(ratio), log(p) - log1p(-p))


@composite(slope(lambda x, scale: sigmoid_scaled(x, scale)))
def softplus_scaled(x: Expr, scale: Expr) -> Expr:
    """Return log(1 + scale·eˣ) for scale > 0 and every x."""
    # Only the overflow of exp needs care: beyond 80 the 1 is lost in rounding, the rest is linear.
    capped = minimum(x, 80)
    return log1p(scale * exp(capped)) + (x - capped)


@composite(slope(lambda x, s: sigmoid_scaled(x, s) * sigmoid_scaled(-x, 1 / s)))
def sigmoid_scaled(x: Expr, scale: Expr) -> Expr:
    """Return scale·eˣ/(1 + scale·eˣ)."""
    top = where(x > 0, scale, scale * _decay(x))
    return top / (where(x > 0, _decay(x), 1) + top)


@composite(slope(lambda x: 4 * (sigmoid(2 * x) * sigmoid(-2 * x))))
def tanh(x: Expr) -> Expr:
    """Return the hyperbolic tangent."""
    t = -expm1(-abs(x))
    return signed(t * (2 - t) / (1 + (1 - t) * (1 - t)), x)


@composite(slope(lambda x: tanh(x)))
def log_cosh(x: Expr) -> Expr:
    """Return log cosh x: x²/2 near 0, |x| − log 2 far away."""
    # log1p(2·sinh²(x/2)) near 0 and |x| + log1p(e^{-2|x|}) − log 2 far, with one log1p.
    far, t = abs(x) > 1, -expm1(-abs(x))
    e = 1 - t
    near = 0.5 * (t * t) / where(far, 1, e)
    return where(far, abs(x) - 0.6931471805599453, 0) + log1p(where(far, e * e, near))


@composite(slope(lambda x: expm1(x)))
def expm1_gap(x: Expr) -> Expr:
    """Return eˣ − 1 − x, accurate near 0."""
    t = where(abs(x) < 1, x, 0)
    series = x.trace.constant(1)  # x²/2·(1 + x/3·(1 + x/4·(…)))
    for n in range(20, 2, -1):
        series = 1 + (1 / n) * t * series
    return where(abs(x) < 1, 0.5 * (t * t) * series, expm1(x) - x)


expm1_over = enter(
    "expm1_over", 2, slope(lambda x, a: exp(a * x)),
    lambda x, a: where(equal(a, 0), x, expm1(a * x) / _not_zero(a)),
    "Return (e^{a·x} − 1)/a, which is x at a = 0.",
)  # fmt: skip


@composite(_mul_exp)
def mul_exp(x: Expr, s: Expr) -> Expr:
    """Return x·eˢ, finite wherever that is, and 0 where x = 0."""
    half = exp(0.5 * s)
    return where(equal(x, 0), 0, x * half * half)


@composite(slope(lambda y, x, a: mul_exp(y, a * x), by=1))
def mul_expm1_over(y: Expr, x: Expr, a: Expr) -> Expr:
    """Return y·(e^{a·x} − 1)/a, finite wherever that is."""
    far = (mul_exp(y, a * x) - y) / _not_zero(a)
    return where(abs(a * x) > 1, far, y * expm1_over(x, a))


@composite(slope(lambda x, a: pow_(x, a - 1)))
def boxcox(x: Expr, a: Expr) -> Expr:
    """Return (x^a − 1)/a, which is log x at a = 0."""
    far = (pow_(x, a) - 1) / _not_zero(a)
    return where(abs(a * log(x)) < 1, expm1_over(log(x), a), far)


@composite(slope(lambda x: ratio1p(x)))
def log1p_gap(x: Expr) -> Expr:
    """Return x − log(1 + x) for x ≥ 0, accurate near 0."""
    # log1p(x) = 2·atanh(s) with s = x/(2+x), hence x − log1p(x) = x·s − 2·(s³/3 + s⁵/5 + …).
    s = where(x < 0.5, x, 0) / (2 + x)
    series = x.trace.constant(0)
    for n in range(25, 1, -2):
        series = 1 / n + (s * s) * series
    return where(x < 0.5, x * s - 2 * (s * (s * s)) * series, x - log1p(x))


ratio1p: Function = enter(
    "ratio1p", 1, slope(lambda x: 1 / (1 + x) * (1 / (1 + x))), lambda x: x / (1 + x)
)


@composite(slope(lambda a, b: 1 / (1 + a)))
def log1p_ratio(a: Expr, b: Expr) -> Expr:
    """Return log((1 + a)/(1 + b)), accurate where a and b are close."""
    ratio = abs(a - b) / (1 + minimum(a, b))  # beyond 1e30 it may overflow, and nothing cancels
    return where(ratio < 1e30, signed(log1p(ratio), a - b), log1p(a) - log1p(b))


hypot1: Function = enter(
    "hypot1", 1, slope(lambda x: tapered(x, -0.5)),
    lambda x: where(abs(x) > _FAR, abs(x), sqrt(1 + _near(x) * _near(x))), "Return √(1 + x²).",
)  # fmt: skip


def _near(x: Expr) -> Expr:
    return where(abs(x) > _FAR, 1, x)


def _log_hypot_square(x: Expr) -> Expr:
    far = where(abs(x) > _FAR, abs(x), 1)
    return where(abs(x) > _FAR, 2 * log(far), log1p(_near(x) * _near(x)))


def _hypot_power(x: Expr, k: Expr) -> Expr:
    """(1 + x²)^k, through the exact cases where k is a constant that has one."""
    if k.value == -0.5:
        return 1 / hypot1(x)
    return 1 / (1 + x * x) if k.value == -1 else pow_(hypot1(x), 2 * k)


@composite(slope(lambda x, k: 2 * tapered(x, k - 1)))
def boxcox_square(x: Expr, k: Expr) -> Expr:
    """Return ((1 + x²)^k − 1)/k, which is log(1 + x²) at k = 0: the Box–Cox transform of 1 + x²."""
    if k.value == 0.5:
        return 2 * (x * (x / (1 + hypot1(x))))
    log_square = _log_hypot_square(x)
    if k.value == 0:
        return log_square
    # Near 0 by expm1 (no cancellation), far away by pow (no amplified rounding of the exponent).
    exponent, far = k * log_square, (_hypot_power(x, k) - 1) / _not_zero(k)
    near = where(equal(k, 0), log_square, expm1(exponent) / _not_zero(k))
    return where((abs(exponent) < 1) | equal(k, 0), near, far)


tapered: Function = enter(  # x·(1 + x²)^k
    "tapered", 2, slope(lambda x, k: tapered_slope(x, k)), lambda x, k: x * _hypot_power(x, k)
)


@composite()
def tapered_slope(x: Expr, k: Expr) -> Expr:
    """Return the derivative of tapered(x, k): (1 + x²)^(k−1)·(1 + (1+2k)·x²)."""
    square = _near(x) * _near(x)
    bend = (1 + (1 + 2 * k) * square) / (1 + square)
    return where(abs(x) > _FAR, 1 / x / x + (1 + 2 * k), bend) * _hypot_power(x, k)


abs_pow: Function = enter(
    "abs_pow", 2, slope(lambda x, p: where(equal(p, 0), 0, p * signed_pow(x, p - 1))),
    lambda x, p: pow_(abs(x), p), "Return |x|^p.",
)  # fmt: skip
signed_pow: Function = enter(
    "signed_pow", 2, slope(lambda x, p: where(equal(p, 0), 0, p * abs_pow(x, p - 1))),
    lambda x, p: where(equal(x, 0), 0, signed(pow_(_not_zero(abs(x)), p), x)),
    "Return sign(x)·|x|^p, and 0 at 0.",
)  # fmt: skip
contrast = enter(
    "contrast", 2, slope(lambda u, v: 2 * (v / _not_zero(u + v)) / _not_zero(u + v)),
    lambda u, v: (u - v) / _not_zero(u + v), "Return (u − v)/(u + v) for u, v ≥ 0, and 0 at 0/0.",
)  # fmt: skip
