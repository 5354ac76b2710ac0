"""Derivatives of a formula over an axis: gradient, its diagonal and its change along a direction.

The gradient goes backwards through the graph, so one sweep serves all inputs and all elements; the
rules of single operations are those of `diff` and `axis`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from losskit.formula.axis import AXIS_PRIMITIVES, sum_
from losskit.formula.diff import CONDITIONS, derivative, local_change
from losskit.formula.expr import Expr, Unsupported, depends, reachable
from losskit.formula.primitives import equal, where, xmul


def gradients(value: Expr, inputs: Sequence[Expr]) -> tuple[Expr, ...]:
    """Return the derivatives of a row's value by each of its inputs, of the input's rank."""
    zero = value.trace.constant(0)
    slopes: dict[int, Expr] = {value.serial: value.trace.constant(1)}
    leaves = {i.serial for i in inputs}
    for node in reversed(reachable([value])):
        slope = slopes.get(node.serial)
        if slope is None or node.serial in leaves or not depends(node, inputs):
            continue
        own = _switched_by(node, inputs)
        if own is not None:  # as one, for at the switch its branches are not to be parted
            changed: Sequence[tuple[Expr, Expr | None]] = [(own, slope * derivative(node, own))]
        else:
            changed = list(zip(node.args, _adjoints(node, slope, inputs), strict=True))
        for arg, change in changed:
            if change is not None:
                known = slopes.get(arg.serial)
                slopes[arg.serial] = change if known is None else known + change
    return tuple(slopes.get(i.serial, zero) for i in inputs)


def _switched_by(node: Expr, inputs: Sequence[Expr]) -> Expr | None:
    """Return the input of which a `where` is a function, element by element, or None."""
    if node.op != "where" or not depends(node.args[0], inputs):
        return None
    known = reachable([node])
    found = [i for i in inputs if depends(node, [i])]
    mixed = any(n.op in AXIS_PRIMITIVES and depends(n, inputs) for n in known)
    alone = len(found) == 1 and found[0].rank == node.rank and not mixed
    return found[0] if alone else None


def _adjoints(node: Expr, slope: Expr, inputs: Sequence[Expr]) -> list[Expr | None]:
    """Return the derivative by each operand, None for those that do not depend on the inputs."""
    if node.op in AXIS_PRIMITIVES:
        adjoint = AXIS_PRIMITIVES[node.op].adjoint
        return [None if adjoint is None else adjoint(node.args[0], slope)]
    zero, one = node.trace.constant(0), node.trace.constant(1)
    found: list[Expr | None] = []
    for i, arg in enumerate(node.args):
        if node.op in CONDITIONS or (node.op == "where" and i == 0) or not depends(arg, inputs):
            found.append(None)
            continue
        if node.op in ("maximum", "minimum") and all(depends(a, inputs) for a in node.args):
            change = slope * _share(node, i)
        else:
            changes = tuple(one if j == i else zero for j in range(len(node.args)))
            local = local_change(node, changes, inputs, 1)
            # At log 0 the slope of a class that is not the target is 0, not 0·∞.
            change = xmul(slope, local) if node.op == "log" else slope * local
        found.append(sum_(change) if arg.rank < node.rank else change)
    return found


def _share(node: Expr, i: int) -> Expr:
    """Return what an operand has of a maximum: half of a tie, as each alone would get nothing."""
    mine, other = node.args[i], node.args[1 - i]
    wins = mine > other if node.op == "maximum" else mine < other
    return where(wins, 1, where(equal(mine, other), 0.5, 0))


def along(value: Expr, directions: Mapping[Expr, Expr]) -> Expr:
    """Return the change of `value` along a change of inputs: input → its direction."""
    zero = value.trace.constant(0)
    inputs = list(directions)
    changes: dict[int, Expr] = {i.serial: v for i, v in directions.items()}
    for node in reachable([value]):
        of_args = tuple(changes.get(a.serial, zero) for a in node.args)
        if node.op in CONDITIONS or node.serial in changes or all(c is zero for c in of_args):
            continue
        if node.op in AXIS_PRIMITIVES:
            tangent = AXIS_PRIMITIVES[node.op].tangent
            changes[node.serial] = zero if tangent is None else tangent(node.args[0], of_args[0])
        else:
            changes[node.serial] = local_change(node, of_args, inputs, 1)
    return changes.get(value.serial, zero)


def diagonal(slope: Expr, by: Expr) -> Expr:
    """Return how each element of `slope` changes with the same element of the input `by`."""
    zero, one = slope.trace.constant(0), slope.trace.constant(1)
    if by.rank < 2:
        return along(slope, {by: one})
    changes: dict[int, Expr] = {by.serial: one}
    for node in reachable([slope]):
        if node.op in CONDITIONS or node.serial in changes or not depends(node, [by]):
            continue
        if node.rank < by.rank:  # one for the whole row: its gradient says how each element counts
            changes[node.serial] = gradients(node, [by])[0]
        elif node.op in AXIS_PRIMITIVES:
            changes[node.serial] = _own_change(node, by, changes)
        else:
            of_args = tuple(changes.get(a.serial, zero) for a in node.args)
            changes[node.serial] = local_change(node, of_args, [by], 2)
    return changes.get(slope.serial, zero)


def _own_change(node: Expr, by: Expr, changes: Mapping[int, Expr]) -> Expr:
    own = AXIS_PRIMITIVES[node.op].diagonal
    if own is None:
        return node.trace.constant(0)
    return own(node.args[0]) * _unshifted(node.args[0], by, changes)


def _unshifted(x: Expr, by: Expr, changes: Mapping[int, Expr]) -> Expr:
    """Return the change of each element of `x`, without what it has in common with all others:
    the operations of `axis` that have a diagonal do not see a shift.
    """
    zero = x.trace.constant(0)
    if x.rank < 2 or not depends(x, [by]):
        return zero
    if x.op in ("add", "sub", "neg", "where"):
        of_args = [zero if a.op in CONDITIONS else _unshifted(a, by, changes) for a in x.args]
        return local_change(x, tuple(of_args), [by], 2)
    if any(n.op in AXIS_PRIMITIVES for n in reachable([x]) if depends(n, [by])):
        raise Unsupported(f"{x.op} of what mixes a row's elements has no diagonal here")
    return changes[x.serial]
