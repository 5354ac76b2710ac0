"""PyTorch text of a loss: value and derivatives for devices on which no kernel of ours runs.

The derivatives are ours, never autograd's of this text: at 0 that would give the logistic loss a
gradient of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from losskit.formula.axis import AXIS_PRIMITIVES
from losskit.formula.emit import Printer, emit
from losskit.formula.expr import Expr, Unsupported


def _constant(value: float) -> str:
    return repr(value) if math.isfinite(value) else f"float('{value}')"


# Functions of one number: the text calls them by name, so that they take numbers as well.
_UNARY = ("abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh")
_OTHERS = ("pow", "maximum", "minimum")

PRINTER = Printer(
    "torch",
    {
        "add": "({0} + {1})",
        "sub": "({0} - {1})",
        "mul": "({0} * {1})",
        "div": "({0} / {1})",
        "neg": "-{0}",
        **{op: f"{op}({{0}})" for op in _UNARY},
        "pow": "pow({0}, {1})",
        "signed": "({0} * _sign({1}))",
        "maximum": "maximum({0}, {1})",
        "minimum": "minimum({0}, {1})",
        "where": "where({0}, {1}, {2})",
        "lt": "({0} < {1})",
        "le": "({0} <= {1})",
        "gt": "({0} > {1})",
        "ge": "({0} >= {1})",
        "eq": "({0} == {1})",
        "and": "({0} & {1})",
        "or": "({0} | {1})",
        "not": "({0} == False)",
        "count": "axis.count",
        "position": "axis.position",
        **{op: f"axis.{op}({{0}})" for op in AXIS_PRIMITIVES},
    },
    _constant,
    spread="axis.spread({0})",
)


def source(name: str, symbols: tuple[str, ...], outputs: list[Expr]) -> str:
    """Return the text of a PyTorch function of `symbols` that returns `outputs` as a tuple.

    Parameters come as tensors without an axis; `functions` has what the text calls.
    """
    program = emit(outputs, PRINTER)
    name += "_" * (name in (*_UNARY, *_OTHERS, "where"))  # a loss called as what its text calls
    lines = [f"def {name}({', '.join(symbols)}):"]
    lines += [f"    {target} = {text}" for target, text in program.statements]
    return "\n".join([*lines, f"    return {', '.join(program.results)},"]) + "\n"


@lru_cache(maxsize=512)
def compiled(text: str, dtype: Any) -> Callable[..., Any]:
    """Return the function that `source` wrote, computing in `dtype`."""
    made: dict[str, Callable[..., Any]] = {}
    # The text is our own: operations from the table, numbers by repr, names that Python's
    # grammar or `definition.define` admitted as identifiers.
    exec(compile(text, "<losskit torch>", "exec"), functions(dtype), made)
    (function,) = made.values()
    return function


def functions(dtype: Any) -> dict[str, Any]:
    """Return what generated text calls: PyTorch's functions, which here take numbers as well.

    Of numbers alone they would choose a type of their own, and lose digits.
    """
    import torch

    def tensors(*operands: Any) -> list[Any]:
        like = next((x for x in operands if isinstance(x, torch.Tensor)), None)
        device = None if like is None else like.device
        return [
            x if isinstance(x, torch.Tensor) else torch.full((), x, dtype=dtype, device=device)
            for x in operands
        ]

    def on_tensors(name: str) -> Callable[..., Any]:
        function = getattr(torch, name)
        return lambda *operands: function(*tensors(*operands))

    def where(condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, bool):  # of parameters that the formula was traced with
            return a if condition else b
        return torch.where(condition, *tensors(condition, a, b)[1:])

    plain = {name: on_tensors(name) for name in (*_UNARY, *_OTHERS)}
    return {"where": where, "_sign": on_tensors("sign"), **plain}  # no parameter begins with "_"


def loss_source(loss: Any) -> str:
    """Return the PyTorch text of a loss's value, gradient and Hessian on the raw scale."""
    if loss.kind == "written":
        raise Unsupported(f"the torch backend prints formulas; {loss.name} is an algorithm")
    graph = loss.form(raw=True).graph
    symbols = ("axis", *graph.symbols) if loss.kind == "rows" else graph.symbols
    return source(graph.name, symbols, graph.select(graph.orders))
