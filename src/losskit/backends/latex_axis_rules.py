"""What a formula over an axis may be written as: conditions settled, terms that cancel, powers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from losskit.backends.latex_elementary import is_constant
from losskit.backends.latex_expand import Monomial, expanded, gathered, product_of
from losskit.backends.latex_products import product_terms
from losskit.formula.expr import Expr, reachable
from losskit.formula.primitives import apply

HUGE = 1e30  # a number beyond it guards against an infinity


def included(x: Expr) -> tuple[Expr, Expr | None]:
    """Return what −∞ does not exclude, and the condition under which it excludes."""
    if x.op == "where" and is_constant(x.args[1], -math.inf):
        return x.args[2], x.args[0]
    if x.op == "where" and is_constant(x.args[2], -math.inf):
        return x.args[1], negation(x.args[0])
    return x, None


def known(condition: Expr) -> bool | None:
    """Return whether a condition holds that compares two numbers."""
    if condition.op == "eq" and all(a.op == "constant" for a in condition.args):
        return number_of(condition.args[0]) == number_of(condition.args[1])
    return None


def negation(condition: Expr) -> Expr:
    """Return the condition that holds where `condition` does not."""
    return condition.args[0] if condition.op == "not" else condition.trace.node("not", condition)


def number_of(node: Expr) -> float:
    """Return the number that a constant is."""
    return float(str(node.value))


def truth_of(op: str, args: tuple[Expr, ...]) -> bool | None:
    """Return the truth of a comparison of numbers, or with an infinity that nothing shown is."""
    if op == "not":
        truth = known(args[0])
        return None if truth is None else not truth
    if op not in _COMPARED:
        return None
    a, b = args
    if a.op == b.op == "constant":
        return _COMPARED[op](number_of(a), number_of(b))
    if b.op == "constant" and abs(number_of(b)) > HUGE:
        return _COMPARED[op](0.0, number_of(b))
    if a.op == "constant" and abs(number_of(a)) > HUGE:
        return _COMPARED[op](number_of(a), 0.0)
    return None


def indicated(node: Expr) -> Expr | None:
    """Return the condition under which a choice is 1 where else it is 0."""
    if node.op != "where" or not is_constant(node.args[2], 0):
        return None
    condition, inner = node.args[0], indicated(node.args[1])
    if is_constant(node.args[1], 1):
        return condition
    return None if inner is None else condition & inner


def distance(a: Expr, b: Expr) -> float | None:
    """Return the number that a − b is, None where it is none."""
    terms = expanded(a - b)
    if terms is None or any(monomial for _, monomial in terms):
        return None
    return float(sum(coefficient for coefficient, _ in terms))


def is_linear(node: Expr) -> bool:
    """Say whether a length can be written of `node`: a sum of data, perhaps scaled."""
    for product in product_terms(node):
        powers = [power for _, power in product.factors.values()]
        varying = [base for base, _ in product.factors.values() if base.rank == 2]
        if len(varying) != 1 or varying[0].op != "symbol" or not {*powers} <= {1, -1}:
            return False
    return True


def apart(monomial: Monomial) -> tuple[Monomial, Monomial]:
    """Return the factors that a row has once, and those that vary along the axis."""
    fixed = {s: f for s, f in monomial.items() if f[0].rank < 2}
    return fixed, {s: f for s, f in monomial.items() if f[0].rank == 2}


def shorter(node: Expr) -> Expr:
    """Multiply a sum out where terms cancel: (1 − y)·p − y·(1 − p) is p − y."""
    terms = expanded(node)
    if terms is None:
        return node
    other = gathered(terms, node)
    return other if 2 * len(reachable([other])) <= len(reachable([node])) else node


def unshifted(x: Expr) -> tuple[Expr, Expr]:
    """Return `x` without what all places have in common, as log Σ e^{x + c} = log Σ eˣ + c."""
    shift = x.trace.constant(0)
    for product in product_terms(x):
        fixed, varying = apart(product.factors)
        shift = shift if varying else shift + product_of(product.coefficient, fixed, x)
    return shorter(x - shift), shift


def exponential(x: Expr) -> Expr:
    """Write e^{q·log a − log b + c} as a^q/b·e^c."""
    rest, made = x.trace.constant(0), x.trace.constant(1)
    for product in product_terms(x):
        factors = {s: f for s, f in product.factors.items()}
        log = next((s for s, f in factors.items() if f[0].op == "log" and f[1] == 1), None)
        if log is None:
            rest = rest + product_of(product.coefficient, factors, x)
            continue
        base = factors.pop(log)[0].args[0]
        power = product_of(product.coefficient, factors, x)
        made = made / base if is_constant(power, -1) else made * apply("pow", base, power)
    return made if is_constant(rest, 0) else made * apply("exp", rest)


_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b,
}  # fmt: skip
