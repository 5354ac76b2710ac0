"""A formula in elementary terms: composites written out, guards of their arithmetic left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from losskit.formula.expr import Expr, Trace, rebuild, rows
from losskit.formula.primitives import apply, where


def elementary(output: Expr, short: Mapping[tuple[str, str, str], str]) -> Expr:
    """Return `output` in a trace of its own, with composites written out.

    `short` maps (operation, symbol, symbol) to its name, as ("sub", "f", "y") to "r".
    """
    table = rows(output)
    symbols = [str(value) for op, _, value in table if op == "symbol"]
    trace = Trace(dict.fromkeys([*symbols, *short.values()]))

    def build(op: str, args: tuple[Expr, ...]) -> Expr:
        if len(args) == 2:
            first, second = (str(a.value) if a.op == "symbol" else "" for a in args)
            if (op, first, second) in short:
                return trace.symbols[short[op, first, second]]
            if (op, second, first) in short:
                name = trace.symbols[short[op, second, first]]
                return -name if op == "sub" else name
        return ELEMENTARY[op](*args) if op in ELEMENTARY else trace.node(op, *args)

    return rebuild(table, trace, build)[-1]


def is_constant(node: Expr, value: float) -> bool:
    """Say whether `node` is the number `value`."""
    return node.op == "constant" and node.value == value


def _over(a: Expr, k: Expr, limit: Expr, general: Expr) -> Expr:
    """(general − 1)/k, or its limit where k is the constant 0."""
    return limit if is_constant(k, 0) else (general - 1) / k


def _scaled_sigmoid(x: Expr, s: Expr) -> Expr:
    if s.op == "div" and is_constant(s.args[0], 1):
        return 1 / (1 + s.args[1] * apply("exp", -x))
    return s * apply("exp", x) / (1 + s * apply("exp", x))


def _tapered_slope(x: Expr, k: Expr) -> Expr:
    return (1 + (1 + 2 * k) * (x * x)) * apply("pow", 1 + x * x, k - 1)


def _chosen(condition: Expr, a: Expr, b: Expr) -> Expr:
    """Leave out a choice that guards a division or that the chosen term makes by itself."""
    x = next((n for n in condition.args if not is_constant(n, 0)), condition)
    if condition.op == "eq" and any(is_constant(n, 0) for n in condition.args):
        if x.op == "add" and all(n.op == "abs" for n in x.args):  # 0/0 at one point of the plane
            return b
        if (is_constant(a, 1) and b is x) or (is_constant(a, 0) and _has_factor(b, x)):
            return b
    if condition.op == "gt" and is_constant(condition.args[1], 0) and is_constant(b, 0):
        part = apply("positive_part", x)
        if _has_factor(a, part):
            return a
    return where(condition, a, b)


def _has_factor(node: Expr, factor: Expr) -> bool:
    if node is factor:
        return True
    if node.op in ("neg", "signed", "div"):
        return _has_factor(node.args[0], factor)
    return node.op == "mul" and any(_has_factor(a, factor) for a in node.args)


def _exp_over(x: Expr, a: Expr) -> Expr:
    return _over(x, a, x, apply("exp", a * x))


def _abs(x: Expr) -> Expr:
    return x if x.op in ("positive_part", "exp", "sigmoid") else abs(x)


ELEMENTARY: dict[str, Callable[..., Expr]] = {
    "abs": _abs,
    "where": _chosen,
    "indicator": lambda c: _chosen(c, c.trace.constant(1), c.trace.constant(0)),
    "xmul": lambda a, b: a * b,
    "mul_exp": lambda x, s: x * apply("exp", s),
    "expm1": lambda x: apply("exp", x) - 1,
    "expm1_gap": lambda x: apply("exp", x) - 1 - x,
    "expm1_over": _exp_over,
    "mul_expm1_over": lambda y, x, a: y * _exp_over(x, a),
    "boxcox": lambda x, a: _over(x, a, apply("log", x), apply("pow", x, a)),
    "boxcox_square": lambda x, k: _over(x, k, apply("log", 1 + x * x), apply("pow", 1 + x * x, k)),
    "log1p": lambda x: apply("log", 1 + x),
    "log1p_gap": lambda x: x - apply("log", 1 + x),
    "held": lambda x: x,
    "log1p_ratio": lambda a, b: apply("log", (1 + a) / (1 + b)),
    "logit": lambda p: apply("log", p / (1 - p)),
    "ratio1p": lambda x: x / (1 + x),
    "softplus": lambda x: apply("log", 1 + apply("exp", x)),
    "softplus_gap": lambda x: apply("log", (1 + apply("exp", x)) / 2),
    "log1mexp": lambda x: apply("log", 1 - apply("exp", -x)),
    "softplus_scaled": lambda x, s: apply("log", 1 + s * apply("exp", x)),
    "sigmoid_scaled": _scaled_sigmoid,
    "hypot1": lambda x: apply("sqrt", 1 + x * x),
    "tapered": lambda x, k: x * apply("pow", 1 + x * x, k),
    "tapered_slope": _tapered_slope,
    "abs_pow": lambda x, p: apply("pow", _abs(x), p),
    "signed_pow": lambda x, p: apply("signed", apply("pow", _abs(x), p), x),
    "contrast": lambda u, v: (u - v) / (u + v),
}
