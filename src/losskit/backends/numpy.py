"""NumPy: the readable form of every loss, and what small arrays run."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from losskit.formula.axis import AXIS_PRIMITIVES
from losskit.formula.emit import Printer, emit
from losskit.formula.expr import Expr


def _constant(value: float) -> str:
    return repr(value) if np.isfinite(value) else f"float('{value}')"


PRINTER = Printer(
    "numpy",
    {
        "add": "({0} + {1})",
        "sub": "({0} - {1})",
        "mul": "({0} * {1})",
        "div": "({0} / {1})",
        "neg": "-{0}",
        "abs": "np.abs({0})",
        "sqrt": "np.sqrt({0})",
        "exp": "np.exp({0})",
        "expm1": "np.expm1({0})",
        "log": "np.log({0})",
        "log1p": "np.log1p({0})",
        "tanh": "np.tanh({0})",
        "pow": "np.power({0}, {1})",
        "signed": "({0} * np.sign({1}))",
        "maximum": "np.maximum({0}, {1})",
        "minimum": "np.minimum({0}, {1})",
        "where": "np.where({0}, {1}, {2})",
        "lt": "({0} < {1})",
        "le": "({0} <= {1})",
        "gt": "({0} > {1})",
        "ge": "({0} >= {1})",
        "eq": "({0} == {1})",
        "and": "({0} & {1})",
        "or": "({0} | {1})",
        "not": "~{0}",
        "count": "axis.count",
        "position": "axis.position",
        **{op: f"axis.{op}({{0}})" for op in AXIS_PRIMITIVES},
    },
    _constant,
    spread="axis.spread({0})",
)


def source(name: str, symbols: tuple[str, ...], outputs: list[Expr]) -> str:
    """Return the text of a NumPy function of `symbols` that returns `outputs` as a tuple."""
    program = emit(outputs, PRINTER)
    lines = [f"def {name}({', '.join(symbols)}):"]
    lines += [f"    {target} = {text}" for target, text in program.statements]
    return "\n".join([*lines, f"    return {', '.join(program.results)},"]) + "\n"


@lru_cache(maxsize=512)
def compiled(text: str) -> Callable[..., Any]:
    """Return the function that `source` wrote."""
    made: dict[str, Callable[..., Any]] = {}
    # The text is our own: operations from the table, numbers by repr, names that Python's
    # grammar or `definition.define` admitted as identifiers.
    exec(compile(text, "<losskit numpy>", "exec"), {"np": np}, made)
    (function,) = made.values()
    return function


def loss_source(loss: Any) -> str:
    """Return the NumPy text of a loss's value, gradient and Hessian on the raw scale."""
    graph = loss.form(raw=True).graph
    if loss.kind == "rows":
        return str(loss.form(raw=True).source(graph.orders))
    return source(graph.name, graph.symbols, graph.select(graph.orders))


def loss_to(loss: Any) -> Callable[..., Any]:
    """Return the loss as a function of (y_true, y_pred) that always runs this backend."""
    return partial(loss, tier="numpy")
