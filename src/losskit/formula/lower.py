"""From stable composites to arithmetic: the last step before a backend prints a formula."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from losskit.formula.expr import Expr, Unsupported, reachable
from losskit.formula.primitives import PRIMITIVES


def lower(outputs: Sequence[Expr], native: Collection[str], backend: str) -> list[Expr]:
    """Return `outputs` written with the operations in `native` only, sharing subexpressions.

    Raises `Unsupported` for an operation that `backend` neither has nor can be given.
    """
    done: dict[int, Expr] = {}

    def lowered(expr: Expr) -> Expr:
        for node in reachable([expr]):
            if node.serial in done:
                continue
            args = tuple(done[a.serial] for a in node.args)
            if node.op in ("symbol", "constant"):
                done[node.serial] = node
            elif node.op in native:
                made = node.trace.node(node.op, *args)
                # Folding may have brought in another operation, which must be lowered too.
                done[node.serial] = made if made.op in native or not made.args else lowered(made)
            else:
                rule = PRIMITIVES[node.op].lower
                if rule is None:
                    raise Unsupported(f"the {backend} backend has no {node.op!r}")
                done[node.serial] = lowered(rule(*args))
        return done[expr.serial]

    return [lowered(output) for output in outputs]
