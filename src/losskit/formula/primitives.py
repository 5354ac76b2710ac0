"""THE table: every operation of the language, its derivative, and how it becomes arithmetic.

One entry states one operation. `tangent(args, dargs, node)` is its derivative along a change
`dargs` of its arguments (None where an argument does not change); `lower(*args)` writes it in
simpler operations for the backends that do not have it themselves, in the form that keeps full
relative precision. What an operation *means* is said once more, independently, in
`backends/mpmath.py` and `backends/sympy.py`, against which the tests hold this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from losskit.formula.expr import Expr, FormulaError, Number, Unsupported

Tangent = Callable[[tuple[Expr, ...], tuple[Expr | None, ...], Expr], Expr]


@dataclass(frozen=True)
class Primitive:
    """One operation: how many operands, its derivative, its arithmetic."""

    arity: int
    tangent: Tangent | None = None
    lower: Callable[..., Expr] | None = None


def apply(op: str, *operands: Expr | Number) -> Expr:
    """Return the node `op(*operands)`; at least one operand must be traced."""
    trace = next((a.trace for a in operands if isinstance(a, Expr)), None)
    if trace is None:
        raise FormulaError(
            f"{op}({', '.join(map(repr, operands))}) has no traced operand: for plain numbers use "
            "the math module, and inside a formula pass the target, the prediction or a parameter"
        )
    return trace.node(op, *operands)


def _unary(derivative: Callable[[Expr], Expr | Number]) -> Tangent:
    """Derivative of an operation that only its first operand changes: f'(x, …)·dx."""

    def tangent(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
        if dargs[0] is None or any(d is not None for d in dargs[1:]):
            raise Unsupported(
                f"{node.op} has a derivative in its first operand only: its other operands must "
                "not depend on the prediction"
            )
        return derivative(*args) * dargs[0]

    return tangent


def _sum_rule(op: str) -> Tangent:
    def tangent(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
        return node.trace.node(op, *(0 if d is None else d for d in dargs))

    return tangent


def _product_rule(op: str) -> Tangent:
    def tangent(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
        (a, b), (da, db) = args, dargs
        left = 0 if da is None else node.trace.node(op, da, b)
        return left + (0 if db is None else node.trace.node(op, a, db))

    return tangent


def _quotient_rule(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
    (_, b), (da, db) = args, dargs
    left = node.trace.constant(0) if da is None else da / b
    return left if db is None else left - node * (db / b)


def _power_rule(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
    return _unary(lambda x, p: p * apply("pow", x, p - 1))(args, dargs, node)


def _mul_exp_rule(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
    (x, s), (dx, ds) = args, dargs
    left = node.trace.constant(0) if dx is None else apply("mul_exp", dx, s)
    return left if ds is None else left + apply("mul_exp", ds * x, s)


def _signed_rule(args: tuple[Expr, ...], dargs: tuple[Expr | None, ...], node: Expr) -> Expr:
    return node.trace.constant(0) if dargs[0] is None else apply("signed", dargs[0], args[1])


def where(condition: Expr | bool, a: Expr | Number, b: Expr | Number) -> Expr:
    """Return `a` where `condition` holds and `b` elsewhere; both must be finite everywhere."""
    if isinstance(condition, bool):
        raise FormulaError("where() needs a traced condition such as r > 0, not True or False")
    return apply("where", condition, a, b)


# --- arithmetic of the stable composites -----------------------------------------------------------


def _decay(x: Expr) -> Expr:
    """exp(−|x|), which several lowered forms share and which never overflows."""
    return apply("exp", -abs(x))


def _lower_softplus(x: Expr) -> Expr:
    return apply("maximum", x, 0) + apply("log1p", _decay(x))


def _lower_sigmoid(x: Expr) -> Expr:
    return where(x >= 0, 1, _decay(x)) / (1 + _decay(x))


def _lower_tanh(x: Expr) -> Expr:
    t = -apply("expm1", -abs(x))
    return apply("signed", t * (2 - t) / (1 + (1 - t) * (1 - t)), x)


def _lower_log_cosh(x: Expr) -> Expr:
    # log1p(2·sinh²(x/2)) near 0 and |x| + log1p(e^{-2|x|}) − log 2 far, with one log1p.
    far = abs(x) > 1
    t = -apply("expm1", -abs(x))
    e = 1 - t
    near = 0.5 * (t * t) / where(far, 1, e)
    log2 = 0.6931471805599453
    return where(far, abs(x) - log2, 0) + apply("log1p", where(far, e * e, near))


def _lower_softplus_scaled(x: Expr, scale: Expr) -> Expr:
    # log1p is accurate for every argument, so only the overflow of exp needs care: beyond 80 the
    # 1 in log(1 + s·e^x) is lost in rounding, and the rest is linear.
    capped = apply("minimum", x, 80)
    return apply("log1p", scale * apply("exp", capped)) + (x - capped)


def _lower_sigmoid_scaled(x: Expr, scale: Expr) -> Expr:
    top = where(x > 0, scale, scale * _decay(x))
    return top / (where(x > 0, _decay(x), 1) + top)


def _lower_hypot1(x: Expr) -> Expr:
    # From 2^27 on the 1 is below half an ulp, and x·x would overflow later on.
    big = abs(x) > 134217728.0
    bounded = where(big, 1, x)
    return where(big, abs(x), apply("sqrt", 1 + bounded * bounded))


def _log1p_square(x: Expr) -> Expr:
    big = abs(x) > 134217728.0
    bounded = where(big, 1, x)
    return where(
        big, 2 * apply("log", where(big, abs(x), 1)), apply("log1p", bounded * bounded)
    )


def _power_of_hypot(x: Expr, k: Expr) -> Expr:
    """(1 + x²)^k through exact cases, else by pow."""
    value = k.value if k.op == "constant" else None
    if value == -0.5:
        return 1 / apply("hypot1", x)
    if value == -1:
        return 1 / (1 + x * x)
    return apply("pow", apply("hypot1", x), 2 * k)


def _lower_boxcox_square(x: Expr, k: Expr) -> Expr:
    if k.op == "constant" and k.value == 0:
        return _log1p_square(x)
    if k.op == "constant" and k.value == 0.5:
        return 2 * (x * (x / (1 + apply("hypot1", x))))
    # Near 0 by expm1 (no cancellation), far away by pow (no amplified rounding of the exponent).
    log = _log1p_square(x)
    exponent = k * log
    zero = apply("eq", k, 0)
    near = where(zero, log, apply("expm1", exponent) / where(zero, 1, k))
    far = (_power_of_hypot(x, k) - 1) / where(zero, 1, k)
    return where((abs(exponent) < 1) | zero, near, far)


def _lower_tapered(x: Expr, k: Expr) -> Expr:
    return x * _power_of_hypot(x, k)


def _lower_tapered_slope(x: Expr, k: Expr) -> Expr:
    # (1+x²)^k·(1 + (1+2k)·x²)/(1+x²): exact at x = 1 for Cauchy's k = −1, and no overflow.
    bounded = where(abs(x) > 134217728.0, 134217728.0, x)
    square = bounded * bounded
    return (1 + (1 + 2 * k) * square) / (1 + square) * _power_of_hypot(x, k)


def _lower_log1p_gap(x: Expr) -> Expr:
    # log1p(x) = 2·atanh(s) with s = x/(2+x), hence x − log1p(x) = x·s − 2·(s³/3 + s⁵/5 + …).
    small = x < 0.5
    s = where(small, x, 0) / (2 + x)
    square = s * s
    series = x.trace.constant(0)
    for n in range(25, 1, -2):
        series = 1 / n + square * series
    return where(small, x * s - 2 * (s * square) * series, x - apply("log1p", x))


def _lower_expm1_gap(x: Expr) -> Expr:
    small = abs(x) < 1
    t = where(small, x, 0)
    series = x.trace.constant(1)  # e^x − 1 − x = x²/2·(1 + x/3·(1 + x/4·(…)))
    for n in range(20, 2, -1):
        series = 1 + (1 / n) * t * series
    return where(small, 0.5 * (t * t) * series, apply("expm1", x) - x)


def _lower_expm1_over(x: Expr, a: Expr) -> Expr:
    zero = apply("eq", a, 0)
    return where(zero, x, apply("expm1", a * x) / where(zero, 1, a))


def _lower_boxcox(x: Expr, a: Expr) -> Expr:
    log = apply("log", x)
    far = (apply("pow", x, a) - 1) / where(apply("eq", a, 0), 1, a)
    return where(abs(a * log) < 1, apply("expm1_over", log, a), far)


def _lower_logit(p: Expr) -> Expr:
    middle = abs(p - 0.5) < 0.25  # where log p − log(1 − p) would cancel
    ratio = where(middle, (2 * p - 1) / (1 - p), 0)
    far = apply("log", p) - apply("log1p", -p)
    return where(middle, apply("log1p", ratio), far)


def _lower_log1p_ratio(f: Expr, y: Expr) -> Expr:
    gap = apply("log1p", abs(f - y) / (1 + apply("minimum", f, y)))
    return where(f >= y, gap, -gap)


def _lower_mul_exp(x: Expr, s: Expr) -> Expr:
    # Two half steps: x·e^s may be finite where e^s is not.
    half = apply("exp", 0.5 * s)
    return where(apply("eq", x, 0), 0, x * half * half)


def _lower_xmul(a: Expr, b: Expr) -> Expr:
    return where(apply("eq", a, 0), 0, a * b)


def _lower_contrast(u: Expr, v: Expr) -> Expr:
    total = u + v
    return where(apply("eq", total, 0), 0, (u - v) / where(apply("eq", total, 0), 1, total))


def _lower_abs_pow(x: Expr, p: Expr) -> Expr:
    return apply("pow", abs(x), p)


def _lower_signed_pow(x: Expr, p: Expr) -> Expr:
    zero = apply("eq", x, 0)
    return where(zero, 0, apply("signed", apply("pow", where(zero, 1, abs(x)), p), x))


def _signed_pow_slope(x: Expr, p: Expr) -> Expr:
    return where(apply("eq", p, 0), 0, p * apply("abs_pow", x, p - 1))


def _contrast_slope(u: Expr, v: Expr) -> Expr:
    return 2 * (v / (u + v)) / (u + v)


def _lower_minmod(a: Expr, b: Expr) -> Expr:
    smaller = where(abs(a) < abs(b), a, b)
    return where(apply("signed", a, b) > 0, smaller, 0)


def _lower_signed(x: Expr, u: Expr) -> Expr:
    return where(u > 0, x, where(u < 0, -x, 0))


def _lower_positive_part(x: Expr) -> Expr:
    return apply("maximum", x, 0)


def _lower_indicator(condition: Expr) -> Expr:
    return where(condition, 1, 0)


def _logistic_slope(x: Expr) -> Expr:
    return apply("sigmoid", x) * apply("sigmoid", -x)


def _ratio1p_slope(x: Expr) -> Expr:
    return (1 / (1 + x)) * (1 / (1 + x))


PRIMITIVES: dict[str, Primitive] = {
    # arithmetic
    "add": Primitive(2, _sum_rule("add")),
    "sub": Primitive(2, _sum_rule("sub")),
    "neg": Primitive(1, _sum_rule("neg")),
    "mul": Primitive(2, _product_rule("mul")),
    "div": Primitive(2, _quotient_rule),
    "pow": Primitive(2, _power_rule),
    "sqrt": Primitive(1, _unary(lambda x: 0.5 / apply("sqrt", x))),
    # comparisons and choices; `diff` knows the kinks of where, maximum, minimum, positive_part
    "lt": Primitive(2), "le": Primitive(2), "gt": Primitive(2), "ge": Primitive(2),
    "eq": Primitive(2), "and": Primitive(2), "or": Primitive(2), "not": Primitive(1),
    "where": Primitive(3), "maximum": Primitive(2), "minimum": Primitive(2),
    "positive_part": Primitive(1, lower=_lower_positive_part),
    "indicator": Primitive(1, lower=_lower_indicator),
    "minmod": Primitive(2, lower=_lower_minmod),
    "abs": Primitive(1, lambda args, d, node: apply("signed", d[0], args[0])),  # type: ignore[arg-type]
    "signed": Primitive(2, _signed_rule, _lower_signed),  # x·sign(u), and sign(0) = 0
    # exponentials and logarithms
    "exp": Primitive(1, _unary(lambda x: apply("exp", x))),
    "expm1": Primitive(1, _unary(lambda x: apply("exp", x))),
    "log": Primitive(1, _unary(lambda x: 1 / x)),
    "logit": Primitive(1, _unary(lambda p: 1 / p / (1 - p)), _lower_logit),
    "log1p": Primitive(1, _unary(lambda x: 1 / (1 + x))),
    "expm1_gap": Primitive(1, _unary(lambda x: apply("expm1", x)), _lower_expm1_gap),
    "expm1_over": Primitive(2, _unary(lambda x, a: apply("exp", a * x)), _lower_expm1_over),
    "boxcox": Primitive(2, _unary(lambda x, a: apply("pow", x, a - 1)), _lower_boxcox),
    "log1p_gap": Primitive(1, _unary(lambda x: apply("ratio1p", x)), _lower_log1p_gap),
    "ratio1p": Primitive(1, _unary(_ratio1p_slope), lambda x: x / (1 + x)),
    "log1p_ratio": Primitive(2, _unary(lambda f, y: 1 / (1 + f)), _lower_log1p_ratio),
    "mul_exp": Primitive(2, _mul_exp_rule, _lower_mul_exp),
    "xmul": Primitive(2, _product_rule("xmul"), _lower_xmul),  # a·b, and 0 wherever a is 0
    # the logistic family
    "softplus": Primitive(1, _unary(lambda x: apply("sigmoid", x)), _lower_softplus),
    "sigmoid": Primitive(1, _unary(_logistic_slope), _lower_sigmoid),
    "softplus_scaled": Primitive(
        2, _unary(lambda x, s: apply("sigmoid_scaled", x, s)), _lower_softplus_scaled
    ),
    "sigmoid_scaled": Primitive(
        2,
        _unary(lambda x, s: apply("sigmoid_scaled", x, s) * apply("sigmoid_scaled", -x, 1 / s)),
        _lower_sigmoid_scaled,
    ),
    "tanh": Primitive(1, _unary(lambda x: 4 * _logistic_slope(2 * x)), _lower_tanh),
    "log_cosh": Primitive(1, _unary(lambda x: apply("tanh", x)), _lower_log_cosh),
    # powers
    "hypot1": Primitive(1, _unary(lambda x: apply("tapered", x, -0.5)), _lower_hypot1),
    "boxcox_square": Primitive(
        2, _unary(lambda x, k: 2 * apply("tapered", x, k - 1)), _lower_boxcox_square
    ),
    "tapered": Primitive(
        2, _unary(lambda x, k: apply("tapered_slope", x, k)), _lower_tapered
    ),
    "tapered_slope": Primitive(2, None, _lower_tapered_slope),
    "abs_pow": Primitive(
        2, _unary(lambda x, p: p * apply("signed_pow", x, p - 1)), _lower_abs_pow
    ),
    "signed_pow": Primitive(2, _unary(_signed_pow_slope), _lower_signed_pow),
    "contrast": Primitive(2, _unary(_contrast_slope), _lower_contrast),
}

def check_known(op: str, arity: int) -> None:
    """Raise ValueError unless the language has `op` with `arity` operands."""
    known = PRIMITIVES.get(op)
    if known is None or known.arity != arity:
        raise ValueError(f"{op!r} with {arity} operands is not a primitive of the loss language")
