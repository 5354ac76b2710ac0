r"""A formula as mathematics that a statistician would write, in LaTeX or as plain text.

What is printed means the same as the formula but is not meant to be computed with: softplus is
log(1 + e^x), factors cancel, and choices stand outermost. MathJax reads all of it. Matplotlib's
mathtext has no `cases` and no `\tfrac`: write `text.replace(r"\tfrac", r"\frac")`, and take `plain`
where the formula has cases.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from losskit.backends.latex_cases import CONDITIONS, cases
from losskit.backends.latex_elementary import elementary
from losskit.backends.latex_writer import Writer, symbol_text
from losskit.formula.domain import Domain
from losskit.formula.expr import Expr, Trace, Unsupported, reachable

_NONE: Mapping[str, Any] = MappingProxyType({})


def latex(
    output: Expr,
    names: Mapping[str, str] = _NONE,
    legend: bool = True,
    domains: Mapping[str, Domain] = _NONE,
) -> str:
    r"""Return `output` in LaTeX (without dollar signs), for documents and notebooks.

    Args:
        output: An expression of a formula, as traced or differentiated (not lowered).
        names: LaTeX for symbols that should not have their own name, as {"f": r"\hat{y}"}.
        legend: Whether the text ends with what r and m mean, where it uses them.
        domains: Where symbols lie, which lets ties be merged: min(0, 1/β) is 0 for β > 0.

    Example:
        >>> from losskit.formula.expr import Trace
        >>> y, f, delta = Trace(["y", "f", "delta"]).symbols.values()
        >>> print(latex(delta * abs(f - y) / 2))
        \tfrac{1}{2} \delta |r| \quad r = f - y

    """
    text, parts, meanings = _written(output, Writer(True, names), domains)
    return r" \quad ".join([text, *parts, *(meanings if legend else [])])


def plain(
    output: Expr,
    names: Mapping[str, str] = _NONE,
    legend: bool = False,
    domains: Mapping[str, Domain] = _NONE,
) -> str:
    """Return `output` as one line of Unicode text, for terminals: `½r² if |r| ≤ δ else …`."""
    text, parts, meanings = _written(output, Writer(False, names), domains)
    return ", ".join([text, *parts, *(meanings if legend else [])])


def of_loss(loss: Any, order: int = 0) -> str:
    """Return a loss (order 0), its gradient (1) or its curvature (2) in LaTeX, on the raw scale.

    With several raw outputs the derivatives are a list in their order. What varies along an axis
    has an index: k counts classes, j those of a sum that is part of a derivative by f_k.
    """
    if loss.kind == "written":
        raise Unsupported(f"{loss.name} is an algorithm, which has no formula: read loss.doc")
    if loss.kind == "rows":
        from losskit.backends.latex_axis import of_rows

        return of_rows(loss, order)
    form = loss.form(raw=True)
    symbols = form.graph.symbols
    domains = {p.name: p.domain for p in loss.definition.parameters}
    domains |= dict(zip(symbols, (form.target, *form.predictions), strict=False))
    names: dict[str, str] = {}
    if len(loss.outputs) > 1:
        named = zip(symbols[1:], loss.outputs, strict=False)
        names = {symbol: symbol_text(name, tex=True) for symbol, name in named}
    nodes = form.graph.select((("value", "gradient", "hessian")[order],))
    texts = [_written(node, Writer(True, names), domains) for node in nodes]
    meanings = dict.fromkeys(m for text in texts for m in text[2])
    lines = [r" \quad ".join([text, *parts]) for text, parts, _ in texts]
    return r" \quad ".join([r",\; ".join(lines), *meanings])


def loss_to(loss: Any, order: int = 0) -> str:
    """Return the loss (order 0), its gradient (1) or its curvature (2) in LaTeX."""
    return of_loss(loss, order)


def loss_source(loss: Any) -> str:
    """Return the loss's formula in LaTeX."""
    return of_loss(loss)


# --- short names -------------------------------------------------------------------------------

_LONG = 240  # a text beyond this gets names for the parts that it repeats
_PART = 12  # which are at least this long
_LETTERS = "uvwstkh"


def _written(
    output: Expr, writer: Writer, domains: Mapping[str, Domain]
) -> tuple[str, list[str], list[str]]:
    """Return the text of `output`, then what the letters for its parts and what r and m mean."""
    short = _short(output)
    shown = elementary(output, short)
    # A short name that would stand once, as a term of its own, is no help.
    short = {key: name for key, name in short.items() if _helps(shown, name)}
    shown = elementary(output, short)
    text, parts = writer.cases(cases(shown, domains)), list[str]()
    if len(text) > _LONG:
        named, parts = _with_parts_named(shown, writer, domains)
        shorter = writer.cases(cases(named, domains))
        if len(shorter) + sum(map(len, parts)) < len(text):
            text = shorter
        else:
            parts = []
    used = {str(n.value) for n in reachable([shown]) if n.op == "symbol"}
    between = {"sub": writer.minus, "mul": writer.times}
    meanings = [
        f"{name} = {writer.name(a)}{between[op]}{writer.name(b)}"
        for (op, a, b), name in short.items()
        if name in used
    ]
    return text, parts, meanings


def _with_parts_named(
    shown: Expr, writer: Writer, domains: Mapping[str, Domain]
) -> tuple[Expr, list[str]]:
    """Return `shown` with a letter for each long part that stands twice, and their meanings."""
    nodes = reachable([shown])
    symbols = [str(n.value) for n in nodes if n.op == "symbol"]
    letters = [c for c in _LETTERS if c not in symbols]
    trace = Trace([*symbols, *letters])
    uses = Counter(a.serial for n in nodes for a in n.args)
    made: dict[int, Expr] = {}
    meanings: list[str] = []
    for node in nodes:
        if node.op == "symbol":
            made[node.serial] = trace.symbols[str(node.value)]
        elif node.op == "constant":
            made[node.serial] = trace.constant(float(str(node.value)))
        else:
            part = trace.node(node.op, *(made[a.serial] for a in node.args))
            made[node.serial] = part
            if uses[node.serial] > 1 and node.op not in CONDITIONS and len(meanings) < len(letters):
                text = writer.cases(cases(part, domains))
                if len(text) >= _PART:
                    letter = letters[len(meanings)]
                    meanings.append(f"{letter} = {text}")
                    made[node.serial] = trace.symbols[letter]
    return made[shown.serial], meanings[::-1]


def _short(output: Expr) -> dict[tuple[str, str, str], str]:
    """Return the short names that `output` has room for: r = f − y and m = y·f."""
    symbols = [str(n.value) for n in reachable([output]) if n.op == "symbol"]
    raw = [s for s in symbols if re.fullmatch(r"f\d*", s)]
    found: dict[tuple[str, str, str], str] = {}
    if "y" in symbols and raw:
        if "r" not in symbols:
            found["sub", raw[0], "y"] = "r"
        if "m" not in symbols:
            found["mul", "y", raw[0]] = "m"
    return found


def _helps(shown: Expr, name: str) -> bool:
    """Say whether `name` stands more than once, or deeper than in a term of the whole sum."""
    nodes = reachable([shown])
    users = [n for n in nodes for a in n.args if a.op == "symbol" and a.value == name]
    if len(users) != 1:
        return bool(users)
    terms = {shown.serial}
    for node in reversed(nodes):
        if node.serial in terms and _is_sum_of(node):
            terms |= {a.serial for a in node.args}
    return users[0].serial not in terms or not _is_sum_of(users[0])


def _is_sum_of(node: Expr) -> bool:
    return node.op in ("add", "sub", "neg") or (node.op == "mul" and node.args[0].op == "constant")
