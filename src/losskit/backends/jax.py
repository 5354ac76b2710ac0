"""JAX: the text of every loss in `jax.numpy`, to be compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from losskit.backends import numpy as numpy_backend
from losskit.formula.emit import emit
from losskit.formula.expr import Expr, Unsupported, depends, reachable
from losskit.formula.lower import lower
from losskit.formula.primitives import where

# NumPy's text, as `np` is `jax.numpy` in it, but for what JAX has no operator of.
PRINTER = replace(
    numpy_backend.PRINTER,
    name="jax",
    table={
        **numpy_backend.PRINTER.table,
        "not": "np.logical_not({0})",
        # What `transposable` writes; rewrites would move the condition of a "times" outwards again.
        "finite": "np.where(np.isinf({0}), 0.0, {0})",
        "times": "({0} * {1})",
    },
)


def source(name: str, symbols: Sequence[str], outputs: Sequence[Expr]) -> str:
    """Return the text of a JAX function of `symbols` that returns `outputs` as a tuple.

    In the text `np` is `jax.numpy`.
    """
    program = emit(_kept_apart(lower(outputs, PRINTER.table, PRINTER.name)), PRINTER)
    lines = [f"def {name}({', '.join(symbols)}):"]
    lines += [f"    {target} = {text}" for target, text in program.statements]
    return "\n".join([*lines, f"    return {', '.join(program.results)},"]) + "\n"


@lru_cache(maxsize=1024)
def compiled(text: str) -> Callable[..., Any]:
    """Return the function that `source` wrote."""
    import jax.numpy as jnp

    made: dict[str, Callable[..., Any]] = {}
    # The text is our own, as in `backends.numpy.compiled`.
    exec(compile(text, "<losskit jax>", "exec"), {"np": jnp}, made)
    (function,) = made.values()
    return function


def loss_source(loss: Any) -> str:
    """Return the JAX text of a loss's value, gradient and Hessian on the raw scale."""
    if loss.kind == "written":
        raise Unsupported(f"the jax backend prints formulas; {loss.name} is an algorithm")
    graph = loss.form(raw=True).graph
    symbols = ("axis", *graph.symbols) if loss.kind == "rows" else graph.symbols
    return source(graph.name, symbols, graph.select(graph.orders))


def transposable(node: Expr, directions: Sequence[str]) -> Expr:
    """Return `node`, linear in the symbols `directions`, written so that JAX can transpose it.

    `xmul(v, b)` asks whether v = 0, which is no linear operation; it becomes v·b with 0 for an
    infinite b, since that is what its condition is for. And `where(c, v·b, 0)` becomes
    v·where(c, b, 0): transposed, the 0 that comes back would meet a b that c keeps out.
    """
    trace = node.trace
    moving = [n for n in reachable([node]) if n.op == "symbol" and n.value in directions]

    def rewritten(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
        moves = [depends(a, moving) for a in n.args]
        if n.op == "xmul" and any(moves):
            v, other = args if moves[0] else args[::-1]
            return v * (other if all(moves) else trace.add("finite", (other,)))
        if n.op == "mul_exp" and moves == [True, False]:
            half = trace.add("finite", (trace.node("exp", 0.5 * args[1]),))
            return args[0] * half * half
        if n.op == "where" and any(moves):
            return only(args[0], args[1]) + only(~args[0], args[2])
        return None

    def only(condition: Expr, x: Expr) -> Expr:
        """Return x where the condition holds, else 0, also in what v is multiplied by."""
        moves = [depends(a, moving) for a in x.args]
        if x.op in ("add", "sub", "neg"):
            return trace.node(x.op, *(only(condition, a) for a in x.args))
        if x.op in ("mul", "times") and moves[0] != moves[1]:
            v, other = x.args if moves[0] else x.args[::-1]
            return trace.add("times", (only(condition, v), where(condition, other, 0)))
        if x.op in ("div", "signed") and moves == [True, False]:
            v, other = x.args
            return trace.add(x.op, (only(condition, v), where(condition, other, 1)))
        return where(condition, x, 0)

    return _mapped([node], rewritten)[0]


def _kept_apart(outputs: Sequence[Expr]) -> list[Expr]:
    """Write a/b/c as (a/b)·(1/c), for XLA makes it a/(b·c), which leaves the range of numbers."""

    def rewritten(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if n.op != "div" or args[0].op != "div":
            return None
        return n.trace.add("mul", (args[0], n.trace.add("div", (n.trace.constant(1), args[1]))))

    return _mapped(outputs, rewritten)


def _mapped(
    outputs: Sequence[Expr], rewritten: Callable[[Expr, tuple[Expr, ...]], Expr | None]
) -> list[Expr]:
    """Return `outputs` with each node as `rewritten` has it, or as it is where that is None."""
    made: dict[int, Expr] = {}
    for n in reachable(outputs):
        args = tuple(made[a.serial] for a in n.args)
        new = rewritten(n, args)
        made[n.serial] = n.trace.add(n.op, args, n.value) if new is None else new
    return [made[o.serial] for o in outputs]
