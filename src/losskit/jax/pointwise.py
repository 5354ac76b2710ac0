"""A formula of one number as a JAX function that differentiates by losskit's rules.

Every derivative is taken on the formula's graph and then printed; JAX multiplies and adds them, and
never differentiates the printed text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from losskit.backends.jax import compiled, source
from losskit.compute import Form
from losskit.definition import copies
from losskit.formula.diff import derivative
from losskit.formula.domain import REAL, Domain
from losskit.formula.expr import Expr, Trace, Unsupported

Array = Any
Term = Callable[[Array, Array, Array, tuple[Array, ...]], Array]


def weighted_loss(form: Form, clip: float) -> Term:
    """Return the function (weight, counts, y, outputs) → w·ℓ, element by element.

    `weight` and `counts` (which elements count) may be None. What does not count, and what has
    weight 0, gives 0 whatever it holds; a value outside its domain gives NaN.
    """
    return _term(form, form.arguments(clip), form.graph.value, 1)


def _term(form: Form, arguments: tuple[float, ...], node: Expr, order: int) -> Term:
    """Return `node`, an (order − 1)-th derivative, as such a function."""
    evaluate = _evaluation(form, arguments, node)
    slopes: dict[int, Term] = {}

    def slope(place: int) -> Term:
        """Return the derivative by the target (0) or an output (1, 2, …)."""
        if place not in slopes:
            by = (form.graph.value.trace.symbols["y"], *form.graph.outputs)[place]
            found = _derivative(form.graph.name, node, by, min(order, 2))
            slopes[place] = _term(form, arguments, found, order + 1)
        return slopes[place]

    @jax.custom_jvp
    def term(weight: Array, counts: Array, y: Array, outputs: tuple[Array, ...]) -> Array:
        return scaled(evaluate(y, outputs), weight, counts)

    def change(primals: Any, tangents: Any) -> tuple[Array, Array]:
        weight, counts, y, outputs = primals
        by_weight, _, *by_data = tangents
        value = term(*primals)
        total = jnp.zeros_like(value)
        for place, moved in enumerate((by_data[0], *by_data[1])):
            if not isinstance(moved, SymbolicZero):
                total = total + slope(place)(weight, counts, y, outputs) * moved
        if not (by_weight is None or isinstance(by_weight, SymbolicZero)):
            total = total + term(None, counts, y, outputs) * by_weight
        return value, total

    term.defjvp(change, symbolic_zeros=True)
    return term


def _derivative(name: str, node: Expr, by: Expr, order: int) -> Expr:
    try:
        return derivative(node, by, order=order)
    except Unsupported as why:
        what = "y_true" if by.value == "y" else "y_pred"
        raise Unsupported(f"{name}: this derivative by {what} is not known: {why}") from None


def scaled(values: Array, weight: Array, counts: Array) -> Array:
    """Return weight·values, and 0 where nothing counts; None stands for 1 and for True."""
    if weight is not None:
        values = jnp.where(weight == 0, 0, weight * values)
    return values if counts is None else jnp.where(counts, values, 0)


def _evaluation(form: Form, arguments: tuple[float, ...], node: Expr) -> Callable[..., Array]:
    text: list[Callable[..., Any]] = []

    def evaluate(y: Array, outputs: tuple[Array, ...]) -> Array:
        if not text:  # derivatives that nobody asks for are never printed
            nodes = copies([node], Trace(form.graph.symbols))
            text.append(compiled(source(form.graph.name, form.graph.symbols, nodes)))
        held = [_finite(d, x) for d, x in zip(form.predictions, outputs, strict=True)]
        (value,) = text[0](y, *held, *arguments)
        value = jnp.broadcast_to(value, y.shape).astype(y.dtype)
        infinite = [x != z for x, z in zip(outputs, held, strict=True) if x is not z]
        if infinite:
            value = jnp.where(reduce(jnp.logical_or, infinite), limit(value), value)
        return jnp.where(_valid(form, y, held), value, jnp.nan)

    return evaluate


def _finite(domain: Domain, x: Array) -> Array:
    """Return `x` with infinite scores replaced by huge ones, where they are scores."""
    if math.isinf(domain.upper) and domain.lower != 0:
        huge = (
            float(jnp.finfo(x.dtype).max) * 2.0**-20
        )  # what scales or squares it may use the rest
        lowest = -huge if math.isinf(domain.lower) else None
        return jnp.where(jnp.isinf(x), jnp.clip(x, lowest, huge), x)
    return x


def limit(value: Array) -> Array:
    """Return the limit that `value` at a huge score tells: infinite, 0 or itself."""
    far = float(jnp.finfo(value.dtype).max) ** 0.4
    size = jnp.abs(value)
    settled = jnp.where(size > far, jnp.copysign(jnp.inf, value), value)
    return jnp.where(size < 1 / far, 0, settled)


def _valid(form: Form, y: Array, outputs: Sequence[Array]) -> Array:
    domains = zip((form.target, *form.predictions), (y, *outputs), strict=True)
    return reduce(and_, [inside(domain, x) for domain, x in domains])


def inside(domain: Domain, x: Array) -> Array:
    """Say which of `x` lie in `domain`."""
    return jnp.isfinite(x) if domain == REAL else domain.contains(x)
