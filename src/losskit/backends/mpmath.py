"""The oracle: a formula run with mpmath, every operation by its mathematical definition.

The rows below say what the primitives mean, independently of the rules by which
`formula.primitives` differentiates and lowers them; the tests hold the one against the other.
Definitions may cancel (log(1 + x) at x = 1e-300), so the working precision is chosen from the
magnitudes that occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from losskit.backends.mpmath_axes import axis_definitions, axis_reach
from losskit.formula.axis import AXIS_PRIMITIVES
from losskit.formula.expr import Expr

# Where in a row a value stands: at an element 0, 1, …; once for the row; or the list of all.
ONCE, ALL = -1, -2
Known = dict[tuple[int, int], Any]
# Bits kept above and below 1 at most: 10^±700. What lies further out is far beyond any float64,
# so that a result which would need more digits than this rounds to 0 or infinity anyway.
_WIDEST = 2326
_GUARD = 32


def evaluate(outputs: Sequence[Expr], values: Mapping[str, Any], digits: int = 60) -> list[Any]:
    """Return the true value of each of `outputs` at `values`, for tests to compare with.

    Args:
        outputs: Expressions of one formula, as traced or differentiated (not lowered).
        values: A number for each symbol: int, float, NumPy scalar or mpf, taken exactly; for
            what varies along an axis a list of them.
        digits: Significant digits wanted; where terms cancel the work is done with more.

    Returns:
        One `mpmath.mpf` per output, or a bool where the output is a condition; a list of them
        where the output varies along the axis.

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
    return [known[o.serial, ALL if o.rank == 2 else ONCE] for o in outputs]


def term_scale(output: Expr, values: Mapping[str, Any], digits: int = 60) -> Any:
    """Return the magnitude of the largest term of `output`, for judging what cancellation costs.

    It is the factor by which rounding in one term may be magnified: the larger scale of both
    operands of a sum, carried through products, quotients and choices. Every other function counts
    with its result alone (but for tapered_slope, which is a sum): rounding of an argument is not
    excused.
    """
    from mpmath import mp

    known = _settle([output], values, digits)
    scales: dict[tuple[int, int], Any] = {}

    def scale(node: Expr, at: int) -> Any:
        place = _place(node, at)
        if place not in scales:
            scales[place] = along(node, at) if node.op in AXIS_PRIMITIVES else found(node, at)
        return scales[place]

    def along(node: Expr, at: int) -> Any:
        result, operand = known[_place(node, at)], node.args[0]
        if node.op not in ("sum", "max"):
            return abs(result)
        row = known[operand.serial, ALL]
        return max(scale(operand, i) for i, x in enumerate(row) if node.op == "sum" or x == result)

    def found(node: Expr, at: int) -> Any:
        a, b = (*node.args, node, node)[:2]
        result = known[_place(node, at)]
        size = abs(result)
        if node.op in ("add", "sub"):
            return max(scale(a, at), scale(b, at))
        if node.op == "where":
            return scale(node.args[1] if known[_place(a, at)] else node.args[2], at)
        if node.op in ("neg", "abs"):
            return scale(a, at)
        if not node.args:
            return size
        x, y = known[_place(a, at)], known[_place(b, at)]
        if node.op in ("mul", "xmul"):
            return size and max(scale(a, at) * abs(y), abs(x) * scale(b, at))
        if node.op == "div":
            if not y:
                return size
            return max(scale(a, at) / abs(y), abs(x) * scale(b, at) / abs(y) ** 2)
        if node.op == "signed":
            return scale(a, at) if y else size
        if node.op in ("maximum", "minimum"):
            return scale(a if x == result else b, at)
        if node.op == "positive_part":
            return scale(a, at) if x > 0 else size
        if node.op == "tapered_slope":  # (1 + x²)^(k−1)·(1 + (1+2k)·x²), zero within where k < −1/2
            return (1 + x * x) ** (y - 1) * max(1, abs(1 + 2 * y) * x * x)
        return size

    with mp.workdps(digits):
        if output.rank == 2:
            return [+scale(output, i) for i in range(len(known[output.serial, ALL]))]
        return +scale(output, ONCE)


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


def _settle(outputs: Sequence[Expr], values: Mapping[str, Any], digits: int) -> Known:
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


def _run(outputs: Sequence[Expr], values: Mapping[str, Any]) -> tuple[Known, int, int]:
    """Return the value of each node that counts, and the smallest and largest exponent met."""
    from mpmath import mp

    table, of_axis = _definitions(), axis_definitions()
    columns = next((len(v) for v in values.values() if isinstance(v, (list, tuple))), 0)
    known: Known = {}
    low = high = 0

    def value(node: Expr, at: int) -> Any:
        place = _place(node, at)
        if place in known:
            return known[place]
        if node.op in of_axis:
            result = along(node)
            if node.rank == 2:
                known[node.serial, ALL] = result
                for i, one in enumerate(result):
                    known[node.serial, i] = one
                return result[at]
        else:
            result = single(node, at)
            widen([] if isinstance(result, bool) else [_bits(result)])
        known[place] = result
        return result

    def row(node: Expr) -> list[Any]:
        whole = known.get((node.serial, ALL))
        if whole is None:
            whole = known[node.serial, ALL] = [value(node, i) for i in range(columns)]
        return whole

    def along(node: Expr) -> Any:
        x = row(node.args[0])
        result = of_axis[node.op](x)
        widen(_bits(one) for one in (result if node.rank == 2 else [result]))
        widen(b for reach in axis_reach(node.op, x) for b in _reach(reach))
        return result

    def single(node: Expr, at: int) -> Any:
        if node.op == "symbol":
            given = _given(values, str(node.value))
            return _number(given[at] if node.rank == 2 else given)
        if node.op == "constant":
            return mp.mpf(node.value)
        if node.op in ("count", "position"):
            return mp.mpf(columns if node.op == "count" else at)
        if node.op == "where":  # the other branch may be undefined here
            return value(node.args[1 if value(node.args[0], at) else 2], at)
        args = tuple(value(a, at) for a in node.args)
        result = table[node.op](*args)
        if isinstance(result, mp.mpc):
            shown = ", ".join(mp.nstr(a, 17) for a in args)
            raise ValueError(
                f"{node.op}({shown}) is not a real number: the point lies outside"
                " the formula's domain"
            )
        widen(_exponents(node.op, args))
        return result

    def widen(exponents: Iterable[int]) -> None:
        nonlocal low, high
        for bits in exponents:
            low, high = min(low, bits), max(high, bits)

    for output in outputs:
        if output.rank == 2:
            row(output)
        else:
            value(output, ONCE)
    return known, low, high


def _place(node: Expr, at: int) -> tuple[int, int]:
    return node.serial, at if node.rank == 2 else ONCE


def _given(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise ValueError(
            f"no value for {name!r}: evaluate() needs one for every symbol of the formula, and "
            f"was given {', '.join(values) or 'none'}"
        )
    return values[name]


def _number(given: Any) -> Any:
    from mpmath import mp

    exact = isinstance(given, mp.mpf)
    return given if exact else mp.mpf(given if isinstance(given, int) else float(given))


def _exponents(op: str, args: tuple[Any, ...]) -> Iterator[int]:
    """Yield the binary exponents of the terms in an operation's definition."""
    if op in _EXPONENTIAL:
        exponent = args[_EXPONENTIAL[op]] * (args[-1] if op in _SCALED else 1)
        yield from _reach(exponent)
    if op in _SQUARED:
        yield 2 * _bits(args[0])
    if op == "boxcox_square":
        yield 2 * _bits(args[0]) + _bits(args[1])
    if op == "boxcox":
        yield _bits(args[0] - 1) + _bits(args[1])
    if op == "log1p_ratio":
        yield _bits(args[0] - args[1])


def _reach(exponent: Any) -> tuple[int, int]:
    """Return the largest binary exponents of e^±exponent; 0 of e^±∞."""
    from mpmath import mp

    if not mp.isfinite(exponent):
        return 0, 0
    reach = int(min(abs(exponent) * 1.4427, _WIDEST)) + 1
    return reach, -reach


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
    "softplus_gap": 0,
    "log1mexp": 0,
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
        "held": lambda x: x,
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
        "softplus_gap": lambda x: log((1 + exp(x)) / 2),
        "log1mexp": lambda x: log(1 - exp(-x)),
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
