"""What of a formula consists of numbers only, computed before the rest is printed for a database.

Parameters are numbers in SQL text. Engines compute with their literals as decimals, some with six
digits after a division, so everything that has no column in it is computed here, in float64 as
NumPy's form does, and branches that such a condition never takes are dropped.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from losskit.formula.expr import Expr, Trace, reachable, rebuild, rows
from losskit.formula.fold import constant_of
from losskit.formula.lower import lower

_COMPUTED: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1,
    "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "maximum": np.maximum,
    "minimum": np.minimum,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq,
}  # fmt: skip


def ready(
    outputs: Sequence[Expr], numbers: Mapping[str, float], native: Collection[str], backend: str
) -> list[Expr]:
    """Return `outputs` with numbers for some symbols, in the operations `native`, as short as is
    exact: what consists of numbers is one.
    """
    symbols = [str(n.value) for n in reachable(outputs) if n.op == "symbol"]
    trace = Trace(s for s in dict.fromkeys(symbols) if s not in numbers)
    fixed = {name: trace.constant(value) for name, value in numbers.items()}
    made = [
        rebuild(rows(o), trace, lambda op, args: trace.node(op, *args), fixed)[-1] for o in outputs
    ]
    return _computed(lower(_computed(made), native, backend))


def _computed(outputs: list[Expr]) -> list[Expr]:
    known: dict[int, Any] = {}
    for node in reachable(outputs):
        args = [known[a.serial] for a in node.args]
        known[node.serial] = _step(node, args)
    return [known[o.serial] for o in outputs]


def _step(node: Expr, args: list[Any]) -> Any:
    """Return the node for these operands, which are nodes, or bool for a condition of numbers."""
    if not args:
        return node
    if node.op == "where" and isinstance(args[0], bool):
        return args[1] if args[0] else args[2]
    if node.op in ("and", "or"):
        return _joined(node, args[0], args[1])
    if node.op == "not" and isinstance(args[0], bool):
        return not args[0]
    args = [_condition(node, a) if isinstance(a, bool) else a for a in args]
    numbers = [constant_of(a) for a in args]
    if None in numbers or node.op not in _COMPUTED:
        return node.trace.node(node.op, *args)
    with np.errstate(all="ignore"):
        result = _COMPUTED[node.op](*(np.float64(n) for n in numbers if n is not None))
    if isinstance(result, (bool, np.bool_)):
        return bool(result)
    return node.trace.constant(float(result))


def _joined(node: Expr, a: Any, b: Any) -> Any:
    decides = node.op == "or"  # True decides an "or", False an "and"
    for one, other in ((a, b), (b, a)):
        if isinstance(one, bool):
            return one if one is decides else other
    return node.trace.node(node.op, a, b)


def _condition(node: Expr, holds: bool) -> Expr:
    """Return a condition as a node, for an operation that is lowered later."""
    one, zero = node.trace.constant(1), node.trace.constant(0)
    return node.trace.node("gt", one, zero) if holds else node.trace.node("lt", one, zero)
