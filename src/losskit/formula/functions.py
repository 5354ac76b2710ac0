"""The functions that a formula may call, by the names it calls them."""

from __future__ import annotations

from collections.abc import Callable

from losskit.formula.expr import Expr
from losskit.formula.primitives import apply, where

__all__ = ["equal", "sign", "where"]


def _function(name: str, doc: str) -> Callable[..., Expr]:
    def call(*operands: Expr | float) -> Expr:
        return apply(name, *operands)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    __all__.append(name)
    return call


def sign(x: Expr) -> Expr:
    """Return −1, 0 or 1."""
    return apply("signed", 1, x)


def equal(a: Expr, b: Expr | float) -> Expr:
    """Return the condition a = b, for `where`."""
    return apply("eq", a, b)


exp = _function("exp", "Return eˣ.")
expm1 = _function("expm1", "Return eˣ − 1, accurate near 0.")
log = _function("log", "Return the natural logarithm.")
log1p = _function("log1p", "Return log(1 + x), accurate near 0.")
sqrt = _function("sqrt", "Return the square root.")
maximum = _function("maximum", "Return the larger of two.")
minimum = _function("minimum", "Return the smaller of two.")
positive_part = _function("positive_part", "Return max(x, 0).")
indicator = _function("indicator", "Return 1 where `condition` holds, else 0; it has no derivative.")
softplus = _function("softplus", "Return log(1 + eˣ), for every x.")
sigmoid = _function("sigmoid", "Return 1/(1 + e⁻ˣ), for every x.")
softplus_scaled = _function("softplus_scaled", "Return log(1 + scale·eˣ) for scale > 0 and every x.")
tanh = _function("tanh", "Return the hyperbolic tangent.")
log_cosh = _function("log_cosh", "Return log cosh x: x²/2 near 0, |x| − log 2 far away.")
log1p_gap = _function("log1p_gap", "Return x − log(1 + x) for x ≥ 0, accurate near 0.")
log1p_ratio = _function("log1p_ratio", "Return log((1 + a)/(1 + b)), accurate where a and b are close.")
expm1_gap = _function("expm1_gap", "Return eˣ − 1 − x, accurate near 0.")
expm1_over = _function("expm1_over", "Return (e^{a·x} − 1)/a, which is x at a = 0.")
boxcox_square = _function("boxcox_square", "Return ((1 + x²)^k − 1)/k, which is log(1 + x²) at k = 0: the Box–Cox transform of 1 + x².")
mul_exp = _function("mul_exp", "Return x·eˢ, and 0 where x = 0 even if eˢ overflows.")
xmul = _function("xmul", "Return a·b, and 0 where a = 0 even if b is infinite.")
abs_pow = _function("abs_pow", "Return |x|^p.")
contrast = _function("contrast", "Return (u − v)/(u + v) for u, v ≥ 0, and 0 at 0/0.")
