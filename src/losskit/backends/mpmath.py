"""The oracle: a formula run with mpmath, every operation by its mathematical definition.

The rows below say what the primitives mean, independently of the rules by which
`formula.primitives` differentiates and lowers them; the tests hold the one against the other.
Definitions may cancel (log(1 + x) at x = 1e-300), so the working precision is chosen from the
magnitudes that occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from losskit.formula.expr import Expr

# Bits kept above and below 1 at most: 10^±700. What lies further out is far beyond any float64,
# so that a result which would need more digits than this rounds to 0 or infinity anyway.
_WIDEST = 2326
_GUARD = 32


def evaluate(outputs: Sequence[Expr], values: Mapping[str, Any], digits: int = 60) -> list[Any]:
    """Return the true value of each of `outputs` at `values`, for tests to compare with.

    Args:
        outputs: Expressions of one formula, as traced or differentiated (not lowered).
        values: A number for each symbol: int, float, NumPy scalar or mpf, taken exactly.
        digits: Significant digits wanted; where terms cancel the work is done with more.

    Returns:
        One `mpmath.mpf` per output, or a bool where the output is a condition.

    Raises:
        ValueError: A symbol has no value, or an operation leaves the real numbers.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> from losskit.formula.primitives import apply
        >>> trace = Trace(["f"])
        >>> print(evaluate([apply("softplus", trace.symbols["f"])], {"f": -800}, digits=20)[0])
        3.66787458417769e-348

    """
    known = _settle(outputs, values, digits)
    return [known[o.serial] for o in outputs]


def term_scale(output: Expr, values: Mapping[str, Any], digits: int = 60) -> Any:
    """Return the magnitude of the largest term of `output`, for judging what cancellation costs.

    It is the factor by which rounding in one term may be magnified: the larger scale of both
    operands of a sum, carried through products, quotients and choices. Every other function counts
    with its result alone (but for tapered_slope, which is a sum): rounding of an argument is not
    excused.
    """
    from mpmath import mp

    known = _settle([output], values, digits)
    scales: dict[int, Any] = {}

    def scale(node: Expr) -> Any:
        if node.serial not in scales:
            scales[node.serial] = found(node)
        return scales[node.serial]

    def found(node: Expr) -> Any:
        a, b = (*node.args, node, node)[:2]
        size = abs(known[node.serial])
        if node.op in ("add", "sub"):
            return max(scale(a), scale(b))
        if node.op in ("mul", "xmul"):
            return size and max(scale(a) * abs(known[b.serial]), abs(known[a.serial]) * scale(b))
        if node.op == "div":
            bottom = abs(known[b.serial])
            if not bottom:
                return size
            return max(scale(a) / bottom, abs(known[a.serial]) * scale(b) / bottom**2)
        if node.op == "signed":
            return scale(a) if known[b.serial] else size
        if node.op in ("neg", "abs"):
            return scale(a)
        if node.op == "where":
            return scale(node.args[1] if known[a.serial] else node.args[2])
        if node.op in ("maximum", "minimum"):
            return scale(a if known[a.serial] == known[node.serial] else b)
        if node.op == "positive_part":
            return scale(a) if known[a.serial] > 0 else size
        if node.op == "tapered_slope":  # (1 + x²)^(k−1)·(1 + (1+2k)·x²), zero within where k < −1/2
            x, k = known[a.serial], known[b.serial]
            return (1 + x * x) ** (k - 1) * max(1, abs(1 + 2 * k) * x * x)
        return size

    with mp.workdps(digits):
        return +scale(output)


def loss_to(loss: Any, order: int = 0, raw: bool = True, digits: int = 60) -> Callable[..., Any]:
    """Return a loss (order 0), gradient (1) or curvature (2) as a function of (y_true, y_pred).

    The function takes numbers, `y_pred` a sequence where there are several raw outputs, and returns
    an mpf, or a tuple of them. On the prediction scale probabilities are not clipped.
    """
    form = loss.form(raw)
    nodes = form.graph.select((("value", "gradient", "hessian")[order],))

    def function(y_true: Any, y_pred: Any) -> Any:
        predictions = (y_pred,) if len(form.graph.outputs) == 1 else tuple(y_pred)
        numbers = (y_true, *predictions, *form.arguments(0.0))
        found = evaluate(nodes, dict(zip(form.graph.symbols, numbers, strict=True)), digits)
        return found[0] if len(found) == 1 else tuple(found)

    return function


def loss_source(loss: Any) -> str:
    """Return the formula's graph as nested operations, whose meanings are the rows of this file."""
    return repr(loss.form(raw=True).graph.value)


# --- precision --------------------------------------------------------------


def _settle(outputs: Sequence[Expr], values: Mapping[str, Any], digits: int) -> dict[int, Any]:
    """Return the values of all nodes that count, at a precision that all magnitudes fit into."""
    from mpmath import mp

    base = int(digits * 3.33) + _GUARD
    precision = base
    while True:
        with mp.workprec(precision):
            known, low, high = _run(outputs, values)
        # An error of 2^(high - precision) in any term must be small beside a result of 2^low.
        needed = base + min(high, _WIDEST) + min(-low, _WIDEST)
        if needed <= precision:
            return known
        precision = needed


def _run(outputs: Sequence[Expr], values: Mapping[str, Any]) -> tuple[dict[int, Any], int, int]:
    """Return the value of each node that counts, and the smallest and largest exponent met."""
    from mpmath import mp

    table = _definitions()
    known: dict[int, Any] = {}
    low = high = 0

    def value(node: Expr) -> Any:
        nonlocal low, high
        if node.serial in known:
            return known[node.serial]
        args: tuple[Any, ...] = ()
        if node.op == "symbol":
            result = _number(values, str(node.value))
        elif node.op == "constant":
            result = mp.mpf(node.value)
        elif node.op == "where":  # the other branch may be undefined here
            result = value(node.args[1] if value(node.args[0]) else node.args[2])
        else:
            args = tuple(map(value, node.args))
            result = table[node.op](*args)
            if isinstance(result, mp.mpc):
                shown = ", ".join(mp.nstr(a, 17) for a in args)
                raise ValueError(
                    f"{node.op}({shown}) is not a real number: the point lies outside"
                    " the formula's domain"
                )
        known[node.serial] = result
        for bits in _exponents(node.op, args, result):
            low, high = min(low, bits), max(high, bits)
        return result

    for output in outputs:
        value(output)
    return known, low, high


def _number(values: Mapping[str, Any], name: str) -> Any:
    from mpmath import mp

    if name not in values:
        raise ValueError(
            f"no value for {name!r}: evaluate() needs one for every symbol of the formula, and "
            f"was given {', '.join(values) or 'none'}"
        )
    given = values[name]
    return (
        given
        if isinstance(given, mp.mpf)
        else mp.mpf(given if isinstance(given, int) else float(given))
    )


def _exponents(op: str, args: tuple[Any, ...], result: Any) -> Iterator[int]:
    """Yield the binary exponents of an operation's result and of the terms in its definition."""
    if isinstance(result, bool):
        return
    yield _bits(result)
    if op in _EXPONENTIAL:
        exponent = args[_EXPONENTIAL[op]] * (args[-1] if op in _SCALED else 1)
        reach = int(min(abs(exponent) * 1.4427, _WIDEST)) + 1
        yield reach
        yield -reach
    if op in _SQUARED:
        yield 2 * _bits(args[0])
    if op == "boxcox_square":
        yield 2 * _bits(args[0]) + _bits(args[1])
    if op == "boxcox":
        yield _bits(args[0] - 1) + _bits(args[1])
    if op == "log1p_ratio":
        yield _bits(args[0] - args[1])


def _bits(x: Any) -> int:
    """Return the binary exponent of `x`; 0 where it tells nothing (0, infinity, NaN)."""
    from mpmath import mp

    return int(mp.mag(x)) if x and mp.isfinite(x) else 0


# In which operand the exponent stands of an exponential inside the definition.
_EXPONENTIAL = {
    "exp": 0,
    "expm1": 0,
    "expm1_gap": 0,
    "expm1_over": 0,
    "mul_exp": 1,
    "mul_expm1_over": 1,
    "softplus": 0,
    "softplus_scaled": 0,
    "sigmoid": 0,
    "sigmoid_scaled": 0,
    "tanh": 0,
    "log_cosh": 0,
}
_SCALED = ("expm1_over", "mul_expm1_over")  # where that operand is multiplied by the last one
# Where the definition, or its distance from 1, is of the size of the operand's square.
_SQUARED = (
    "boxcox_square",
    "expm1_gap",
    "hypot1",
    "log1p_gap",
    "log_cosh",
    "tapered",
    "tapered_slope",
)


# --- definitions ------------------------------------------------------------


@cache
def _definitions() -> dict[str, Callable[..., Any]]:
    """Return what each operation means, on mpf numbers and bools."""
    from mpmath import mp

    exp, log, sqrt = mp.exp, mp.log, mp.sqrt

    def divide(a: Any, b: Any) -> Any:  # as IEEE 754 does; a zero here has no sign
        return a / b if b else a * mp.inf

    def power(x: Any, p: Any) -> Any:
        if x == 0:
            return mp.mpf(1) if p == 0 else mp.mpf(0) if p > 0 else mp.inf
        return x**p

    def signed(x: Any, u: Any) -> Any:
        return x if u > 0 else -x if u < 0 else u * 0

    def minmod(a: Any, b: Any) -> Any:
        return mp.mpf(0) if mp.sign(a) != mp.sign(b) else min(a, b, key=abs)

    return {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "neg": lambda a: -a,
        "mul": lambda a, b: a * b,
        "div": divide,
        "pow": power,
        "sqrt": sqrt,
        "abs": abs,
        "lt": lambda a, b: bool(a < b),
        "le": lambda a, b: bool(a <= b),
        "gt": lambda a, b: bool(a > b),
        "ge": lambda a, b: bool(a >= b),
        "eq": lambda a, b: bool(a == b),
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "not": lambda a: not a,
        "where": lambda c, a, b: a if c else b,
        "maximum": max,
        "minimum": min,
        "positive_part": lambda x: max(x, mp.mpf(0)),
        "indicator": lambda c: mp.mpf(1 if c else 0),
        "minmod": minmod,
        "signed": signed,
        "exp": exp,
        "expm1": lambda x: exp(x) - 1,
        "expm1_gap": lambda x: exp(x) - 1 - x,
        "expm1_over": lambda x, a: (exp(a * x) - 1) / a if a else x,
        "mul_expm1_over": lambda y, x, a: y * ((exp(a * x) - 1) / a if a else x),
        "mul_exp": lambda x, s: x * exp(s) if x else x,
        "xmul": lambda a, b: a * b if a else a,
        "log": log,
        "log1p": lambda x: log(1 + x),
        "log1p_gap": lambda x: x - log(1 + x),
        "log1p_ratio": lambda a, b: log((1 + a) / (1 + b)),
        "logit": lambda p: log(divide(p, 1 - p)),
        "ratio1p": lambda x: divide(x, 1 + x),
        "softplus": lambda x: log(1 + exp(x)),
        "softplus_scaled": lambda x, s: log(1 + s * exp(x)),
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "sigmoid_scaled": lambda x, s: 1 / (1 + exp(-x) / s),
        "tanh": mp.tanh,
        "log_cosh": lambda x: log(mp.cosh(x)),
        "hypot1": lambda x: sqrt(1 + x * x),
        "boxcox": lambda x, a: (power(x, a) - 1) / a if a else log(x),
        "boxcox_square": lambda x, k: ((1 + x * x) ** k - 1) / k if k else log(1 + x * x),
        "tapered": lambda x, k: x * (1 + x * x) ** k,
        "tapered_slope": lambda x, k: (1 + x * x) ** k + 2 * k * x * x * (1 + x * x) ** (k - 1),
        "abs_pow": lambda x, p: power(abs(x), p),
        "signed_pow": lambda x, p: signed(power(abs(x), p), x) if x else x,
        "contrast": lambda u, v: (u - v) / (u + v) if u + v else u * 0,
    }
