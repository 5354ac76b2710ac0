"""Derivatives of a formula, taken on its graph before anything is lowered.

Kinks. At a tie of `maximum`, `minimum`, `abs` the gradient is 0 where the one-sided derivatives
differ in sign, else the smaller in magnitude; a `where` takes the branch its condition selects. The
curvature at any kink is the smaller one-sided value.
"""

from __future__ import annotations

from collections.abc import Sequence

from losskit.formula.expr import Expr, Unsupported, depends, reachable
from losskit.formula.fold import constant_of
from losskit.formula.primitives import PRIMITIVES, apply, equal, minimum, minmod, where

CONDITIONS = ("lt", "le", "gt", "ge", "eq", "and", "or", "not")
_STRICT = {"le": "lt", "ge": "gt", "lt": "le", "gt": "ge"}


def derivative(value: Expr, symbol: Expr, order: int = 1) -> Expr:
    """Return d value / d symbol; `order` says which derivative this is, for the rule at kinks."""
    zero, one = value.trace.constant(0), value.trace.constant(1)
    slopes: dict[int, Expr] = {symbol.serial: one}
    for node in reachable([value]):
        if node.op == "indicator" and depends(node, [symbol]):
            raise Unsupported(
                "a step has no derivative: this loss can be read but not trained with; train with "
                "a surrogate such as hinge or logistic_margin"
            )
        changes = tuple(slopes.get(a.serial, zero) for a in node.args)
        if node.op not in CONDITIONS and any(c is not zero for c in changes):
            slopes.setdefault(node.serial, local_change(node, changes, [symbol], order))
    return slopes.get(value.serial, zero)


def local_change(
    node: Expr, changes: tuple[Expr, ...], symbols: Sequence[Expr], order: int
) -> Expr:
    """Return the change of `node` when its operands change so; `symbols` are what varies."""
    if node.op == "where":
        return _where_slope(node.args[0], changes[1], changes[2], symbols, order)
    if node.op in ("maximum", "minimum", "positive_part"):
        zero = node.trace.constant(0)
        (a, b), (da, db) = (*node.args, zero)[:2], (*changes, zero)[:2]
        return _larger_slope(*((b, a) if node.op == "minimum" else (a, b)), da, db, order)
    tangent = PRIMITIVES[node.op].tangent
    if tangent is None:
        raise Unsupported(f"{node.op} has no further derivative")
    slope = tangent(node.args, changes, node)
    if order == 2 and node.op == slope.op == "signed" and depends(slope.args[1], symbols):
        return where(equal(slope.args[1], 0), -abs(slope.args[0]), slope)
    return slope


def _where_slope(condition: Expr, a: Expr, b: Expr, symbols: Sequence[Expr], order: int) -> Expr:
    tie = _tie(condition, symbols) if order == 2 else None
    if tie is None or a is b:
        return where(condition, a, b)
    low, high = constant_of(a), constant_of(b)
    if low is not None and high is not None and condition.op in _STRICT:
        takes_a_at_tie = condition.op in ("le", "ge")
        op = condition.op if takes_a_at_tie == (low < high) else _STRICT[condition.op]
        return where(apply(op, *condition.args), a, b)
    return where(tie, minimum(a, b), where(condition, a, b))


def _tie(condition: Expr, symbols: Sequence[Expr]) -> Expr | None:
    """Where `symbols` are about to change `condition`: the operands of a comparison are equal."""
    if condition.op in _STRICT:
        return equal(*condition.args) if depends(condition, symbols) else None
    args = zip(condition.args, condition.args[::-1], strict=True)
    found = [(_tie(c, symbols), other) for c, other in args]  # of "and", where the other holds
    ties = [t & other if condition.op == "and" else t for t, other in found if t is not None]
    return None if not ties else ties[0] if len(ties) == 1 else apply("or", *ties)


def _larger_slope(a: Expr, b: Expr, da: Expr, db: Expr, order: int) -> Expr:
    """Slope of what is a where a > b: the larger of both, or of a minimum with a, b exchanged."""
    if order == 1 and constant_of(db) == 0:  # the tie is then 0 as well: minmod(x, 0)
        return where(a > b, da, db)
    if order == 1 and constant_of(da) == 0:
        return where(b > a, db, da)
    tie = minmod(da, db) if order == 1 else minimum(da, db)
    return where(a > b, da, where(a < b, db, tie))
