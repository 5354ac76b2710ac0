"""Derivatives of a formula, taken on its graph before anything is lowered.

Kinks. At a tie of `maximum`, `minimum`, `abs` the gradient is 0 where the one-sided derivatives
differ in sign, else the smaller in magnitude; a `where` takes the branch its condition selects. The
curvature at any kink is the smaller one-sided value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from losskit.formula.expr import Expr, Unsupported, depends, reachable
from losskit.formula.fold import constant_of
from losskit.formula.primitives import PRIMITIVES, apply, where


@dataclass(frozen=True)
class Derivatives:
    """A value with its gradient and the diagonal of its Hessian, one entry per raw output."""

    value: Expr
    gradient: tuple[Expr, ...]
    hessian: tuple[Expr, ...]


def derivatives(value: Expr, symbols: Sequence[Expr]) -> Derivatives:
    """Differentiate `value` twice by each of `symbols`."""
    gradient = tuple(derivative(value, s) for s in symbols)
    hessian = tuple(
        derivative(g, s, order=2) for g, s in zip(gradient, symbols, strict=True)
    )
    return Derivatives(value, gradient, hessian)


def derivative(value: Expr, symbol: Expr, order: int = 1) -> Expr:
    """Return d value / d symbol; `order` says which derivative this is, for the rule at kinks."""
    zero, one = value.trace.constant(0), value.trace.constant(1)
    slopes: dict[int, Expr | None] = {symbol.serial: one}
    for node in reachable([value]):
        if node.serial not in slopes:
            changes = tuple(slopes[a.serial] for a in node.args)
            if node.op == "indicator" and depends(node, [symbol]):
                raise Unsupported(
                    "a step has no derivative: this loss can be read but not trained with; train "
                    "with a surrogate such as hinge or logistic_margin"
                )
            slope = _slope(node, changes, symbol, order) if _any_change(changes) else None
            slopes[node.serial] = None if slope is None or constant_of(slope) == 0 else slope
    result = slopes[value.serial]
    return zero if result is None else result


def _any_change(changes: tuple[Expr | None, ...]) -> bool:
    """Say whether any operand changes."""
    return any(c is not None for c in changes)


def _slope(
    node: Expr, changes: tuple[Expr | None, ...], symbol: Expr, order: int
) -> Expr | None:
    if node.op in ("lt", "le", "gt", "ge", "eq", "and", "or", "not"):
        return None
    if node.op == "where":
        return _where_slope(node, changes, symbol, order)
    if node.op in ("maximum", "minimum", "positive_part"):
        return _extreme_slope(node, changes, order)
    tangent = PRIMITIVES[node.op].tangent
    if tangent is None:
        raise Unsupported(f"{node.op} has no further derivative")
    slope = tangent(node.args, changes, node)
    if order == 2 and node.op == slope.op == "signed" and depends(slope.args[1], [symbol]):
        return where(apply("eq", slope.args[1], 0), -abs(slope.args[0]), slope)
    return slope


def _where_slope(
    node: Expr, changes: tuple[Expr | None, ...], symbol: Expr, order: int
) -> Expr:
    condition = node.args[0]
    a, b = (node.trace.constant(0) if c is None else c for c in changes[1:])
    if order == 1 or a is b or not depends(condition, [symbol]):
        return where(condition, a, b)
    ca, cb = constant_of(a), constant_of(b)
    strict = {"le": "lt", "ge": "gt", "lt": "le", "gt": "ge"}
    if ca is not None and cb is not None and condition.op in strict:
        takes_a = condition.op in ("le", "ge")
        wants_a = ca < cb
        op = condition.op if takes_a == wants_a else strict[condition.op]
        return where(apply(op, *condition.args), a, b)
    tie = _tie(condition)
    chosen = where(condition, a, b)
    return chosen if tie is None else where(tie, apply("minimum", a, b), chosen)


def _tie(condition: Expr) -> Expr | None:
    """Where `condition` is about to change: an operand of a comparison equals the other."""
    if condition.op in ("lt", "le", "gt", "ge"):
        return apply("eq", *condition.args)
    ties = [t for t in map(_tie, condition.args) if t is not None]
    return None if not ties else ties[0] if len(ties) == 1 else apply("or", *ties)


def _extreme_slope(node: Expr, changes: tuple[Expr | None, ...], order: int) -> Expr:
    zero = node.trace.constant(0)
    a = node.args[0]
    b = node.args[1] if len(node.args) == 2 else zero
    da = zero if changes[0] is None else changes[0]
    db = zero if len(changes) < 2 or changes[1] is None else changes[1]
    if node.op == "minimum":
        a, b = b, a  # a slope counts where its operand is the smaller
    if order == 1 and constant_of(db) == 0:  # the tie is then 0 as well: minmod(x, 0)
        return where(a > b, da, db)
    if order == 1 and constant_of(da) == 0:
        return where(b > a, db, da)
    tie = apply("minmod" if order == 1 else "minimum", da, db)
    return where(a > b, da, where(a < b, db, tie))
