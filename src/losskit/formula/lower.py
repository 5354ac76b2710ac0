"""From stable composites to arithmetic: the last step before a backend prints a formula."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from losskit.formula.expr import Expr, Unsupported, reachable
from losskit.formula.primitives import PRIMITIVES


def lower(outputs: Sequence[Expr], native: Collection[str], backend: str) -> list[Expr]:
    """Return `outputs` written with the operations in `native` only, sharing subexpressions."""
    done: dict[int, Expr] = {}

    def lowered(expr: Expr) -> Expr:
        for node in reachable([expr]):
            if node.serial not in done:
                done[node.serial] = step(node, *(done[a.serial] for a in node.args))
        return done[expr.serial]

    def step(node: Expr, *args: Expr) -> Expr:
        if node.op in ("symbol", "constant"):
            return node
        if not args:
            if node.op in native:
                return node
            raise Unsupported(f"the {backend} backend has no {node.op!r}")
        if node.op in native:  # folding may bring in another operation, to be lowered too
            made = node.trace.node(node.op, *args)
            return made if made.op in native or not made.args else lowered(made)
        rule = PRIMITIVES[node.op].lower if node.op in PRIMITIVES else None
        if rule is None:
            raise Unsupported(f"the {backend} backend has no {node.op!r}")
        return lowered(rule(*args))

    return [lowered(output) for output in outputs]
