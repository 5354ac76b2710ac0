r"""A formula as mathematics that a statistician would write, in LaTeX or as plain text.

The graph is first put into elementary terms (softplus as log(1 + e^x)), then split into cases where
a choice stands inside other terms, then printed: sums by sign, products with one coefficient and one
fraction. What is printed means the same as the formula but is not meant to be computed with.

MathJax reads all of it. Matplotlib's mathtext has neither `cases` nor `\tfrac`: write
`text.replace(r"\tfrac", r"\frac")`, and use `plain` where the formula has cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from losskit.backends.notation import LATEX, PLAIN, Style, write
from losskit.formula.expr import Expr

_NONE: Mapping[str, str] = MappingProxyType({})
_MOST_CASES = 8  # beyond this a choice is printed where it stands


def latex(output: Expr, names: Mapping[str, str] = _NONE, legend: bool = True) -> str:
    r"""Return `output` in LaTeX (without dollar signs), for documents and notebooks.

    Args:
        output: An expression of a formula, as traced or differentiated (not lowered).
        names: LaTeX for symbols that should not have their own name, as {"f": r"\hat{y}"}.
        legend: Whether the text ends with what r and m stand for, where it uses them.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> y, f, delta = Trace(["y", "f", "delta"]).symbols.values()
        >>> print(latex(delta * abs(f - y) / 2))
        \tfrac{1}{2} \delta |r| \quad r = f - y

    """
    return _text(output, LATEX, names, legend)


def plain(output: Expr, names: Mapping[str, str] = _NONE, legend: bool = False) -> str:
    """Return `output` as one line of Unicode text, for terminals: `½r² if |r| ≤ δ else …`."""
    return _text(output, PLAIN, names, legend)


def of_loss(loss: Any, order: int = 0) -> str:
    """Return a loss (order 0), its gradient (1) or its curvature (2) in LaTeX, on the raw scale.

    With several raw outputs the derivatives are a list in their order.
    """
    graph = loss.form(raw=True).graph
    nodes = graph.select((("value", "gradient", "hessian")[order],))
    names = {}
    if len(graph.outputs) > 1:
        symbols = (str(o.value) for o in graph.outputs)
        names = {s: LATEX.symbol(name) for s, name in zip(symbols, loss.outputs, strict=True)}
    return ",\\quad ".join(latex(node, names) for node in nodes)


def loss_to(loss: Any, order: int = 0) -> str:
    """Return what `of_loss` does: `loss.to("latex", order=1)` is the gradient."""
    return of_loss(loss, order)


def loss_source(loss: Any) -> str:
    """Return the loss's formula in LaTeX."""
    return of_loss(loss)


# --- from the graph to what is printed ---------------------------------------------------------


def _text(output: Expr, style: Style, names: Mapping[str, str], legend: bool) -> str:
    shown, meanings = _elementary(output, names)
    style = replace(style, names={**names, **dict.fromkeys(meanings, "")} if False else names)
    text = style.cases([(c, write(v, style)) for c, v in ((None, shown),)])
    return text
