"""A second opinion: a formula as a SymPy expression, every operation by its definition.

Used by tests, documentation and proofs, never at run time. Kinks come out as SymPy writes them
(`Max`, `Piecewise`, `sign`), so compare derivatives away from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from losskit.formula.expr import Expr, reachable

_NONE: Mapping[str, Any] = MappingProxyType({})


def expression(
    outputs: Sequence[Expr], assumptions: Mapping[str, Mapping[str, bool]] = _NONE
) -> list[Any]:
    """Return `outputs` as SymPy expressions of real symbols, for proofs and comparisons.

    Args:
        outputs: Expressions of one formula, as traced or differentiated (not lowered).
        assumptions: What SymPy may assume of a symbol beyond being real, by its name.

    Returns:
        One `sympy.Expr` (a Boolean where the output is a condition) per output. Constants are
        exact: 0.1 is the rational number that the float64 0.1 is.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> trace = Trace(["y", "f", "delta"])
        >>> y, f, delta = trace.symbols.values()
        >>> expression([abs(f - y) / delta], {"delta": {"positive": True}})[0]
        Abs(f - y)/delta

    """
    import sympy

    table = _definitions()
    known: dict[int, Any] = {}
    for node in reachable(outputs):
        if node.op == "symbol":
            name = str(node.value)
            result = sympy.Symbol(name, real=True, **assumptions.get(name, {}))
        elif node.op == "constant":
            result = _constant(float(node.value))  # type: ignore[arg-type]
        else:
            result = table[node.op](*(known[a.serial] for a in node.args))
        known[node.serial] = result
    return [known[o.serial] for o in outputs]


def loss_to(loss: Any, order: int = 0, raw: bool = True) -> Any:
    """Return a loss (order 0), gradient (1) or curvature (2) in y, f and its parameters' names.

    A tuple where there are several raw outputs and `order` is not 0.
    """
    graph = loss.form(raw).graph
    part = ("value", "gradient", "hessian")[order]
    assumptions = {
        p.name: {"positive": True}
        for p in loss.definition.parameters
        if p.domain.lower >= 0 and not p.domain.contains(0.0)
    }
    found = expression(graph.select((part,)), assumptions)
    return found[0] if len(found) == 1 else tuple(found)


def loss_source(loss: Any) -> str:
    """Return the loss as text that `sympy.sympify` reads."""
    return str(loss_to(loss))


def _constant(value: float) -> Any:
    import sympy

    if value in (float("inf"), float("-inf")):
        return sympy.oo if value > 0 else -sympy.oo
    return sympy.Rational(*value.as_integer_ratio())


@cache
def _definitions() -> dict[str, Callable[..., Any]]:
    """Return what each operation means, on SymPy expressions and conditions."""
    import sympy as sp

    exp, log, sqrt, one = sp.exp, sp.log, sp.sqrt, sp.Integer(1)

    def where(condition: Any, a: Any, b: Any) -> Any:
        return sp.Piecewise((a, condition), (b, True))

    def minmod(a: Any, b: Any) -> Any:
        return where(a * b <= 0, sp.Integer(0), where(sp.Abs(a) < sp.Abs(b), a, b))

    return {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "neg": lambda a: -a,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "pow": lambda a, b: a**b,
        "sqrt": sqrt,
        "abs": sp.Abs,
        "lt": sp.Lt,
        "le": sp.Le,
        "gt": sp.Gt,
        "ge": sp.Ge,
        "eq": sp.Eq,
        "and": sp.And,
        "or": sp.Or,
        "not": sp.Not,
        "where": where,
        "maximum": sp.Max,
        "minimum": sp.Min,
        "positive_part": lambda x: sp.Max(x, 0),
        "indicator": lambda c: where(c, one, sp.Integer(0)),
        "minmod": minmod,
        "signed": lambda x, u: x * sp.sign(u),
        "exp": exp,
        "expm1": lambda x: exp(x) - 1,
        "expm1_gap": lambda x: exp(x) - 1 - x,
        "expm1_over": lambda x, a: where(sp.Ne(a, 0), (exp(a * x) - 1) / _divisor(a), x),
        "mul_expm1_over": lambda y, x, a: y * where(sp.Ne(a, 0), (exp(a * x) - 1) / _divisor(a), x),
        "mul_exp": lambda x, s: x * exp(s),
        "xmul": lambda a, b: a * b,
        "log": log,
        "log1p": lambda x: log(1 + x),
        "log1p_gap": lambda x: x - log(1 + x),
        "log1p_ratio": lambda a, b: log((1 + a) / (1 + b)),
        "logit": lambda p: log(p / (1 - p)),
        "ratio1p": lambda x: x / (1 + x),
        "softplus": lambda x: log(1 + exp(x)),
        "held": lambda x: x,
        "softplus_gap": lambda x: log((1 + exp(x)) / 2),
        "log1mexp": lambda x: log(1 - exp(-x)),
        "softplus_scaled": lambda x, s: log(1 + s * exp(x)),
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "sigmoid_scaled": lambda x, s: 1 / (1 + exp(-x) / s),
        "tanh": sp.tanh,
        "log_cosh": lambda x: log(sp.cosh(x)),
        "hypot1": lambda x: sqrt(1 + x**2),
        "boxcox": lambda x, a: where(sp.Ne(a, 0), (x**a - 1) / _divisor(a), log(x)),
        "boxcox_square": lambda x, k: where(
            sp.Ne(k, 0), ((1 + x**2) ** k - 1) / _divisor(k), log(1 + x**2)
        ),
        "tapered": lambda x, k: x * (1 + x**2) ** k,
        "tapered_slope": lambda x, k: (1 + x**2) ** k + 2 * k * x**2 * (1 + x**2) ** (k - 1),
        "abs_pow": lambda x, p: sp.Abs(x) ** p,
        "signed_pow": lambda x, p: sp.sign(x) * sp.Abs(x) ** p,
        "contrast": lambda u, v: where(sp.Ne(u + v, 0), (u - v) / _divisor(u + v), sp.Integer(0)),
    }


def _divisor(x: Any) -> Any:
    """Return what to divide by in a branch that is not taken where `x` is 0."""
    return 1 if x == 0 else x
