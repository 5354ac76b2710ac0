"""Formulas as a person writes them on one line: `½`-free infix text with few brackets.

The graph of the language is printed as it stands, before it is lowered, so composites keep their
names (`softplus`, `sigmoid`); shared parts that are long get a name and a line of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from losskit.formula.expr import Expr, reachable

# Operation → (text, how tightly it binds, how tightly each operand must bind at least).
_INFIX: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "or": ("{0} or {1}", 1, (1, 1)),
    "and": ("{0} and {1}", 2, (2, 2)),
    "not": ("not {0}", 3, (3,)),
    "lt": ("{0} < {1}", 4, (5, 5)),
    "le": ("{0} ≤ {1}", 4, (5, 5)),
    "gt": ("{0} > {1}", 4, (5, 5)),
    "ge": ("{0} ≥ {1}", 4, (5, 5)),
    "eq": ("{0} = {1}", 4, (5, 5)),
    "add": ("{0} + {1}", 5, (5, 5)),
    "sub": ("{0} − {1}", 5, (5, 6)),
    "mul": ("{0}·{1}", 6, (6, 6)),
    "xmul": ("{0}·{1}", 6, (6, 6)),
    "div": ("{0}/{1}", 6, (6, 7)),
    "neg": ("−{0}", 6, (6,)),
    "mul_exp": ("{0}·exp({1})", 6, (6, 0)),
    "pow": ("{0}^{1}", 8, (9, 9)),
    "abs_pow": ("|{0}|^{1}", 8, (0, 9)),
    "signed_pow": ("sign({0})·|{0}|^{1}", 6, (0, 9)),
    "abs": ("|{0}|", 9, (0,)),
    "signed": ("{0}·sign({1})", 6, (6, 0)),
    "sqrt": ("√({0})", 9, (0,)),
    "positive_part": ("max({0}, 0)", 9, (0,)),
    "maximum": ("max({0}, {1})", 9, (0, 0)),
    "minimum": ("min({0}, {1})", 9, (0, 0)),
    "where": ("[{1} if {0}, else {2}]", 9, (0, 0, 0)),
    "indicator": ("[1 if {0}, else 0]", 9, (0,)),
    "log_cosh": ("log cosh({0})", 9, (0,)),
    "softplus_scaled": ("log1p({1}·exp({0}))", 9, (0, 6)),
    "sigmoid_scaled": ("sigmoid({0} + log({1}))", 9, (5, 0)),
    "expm1_gap": ("(exp({0}) − 1 − {0})", 9, (5,)),
    "expm1_over": ("(exp({1}·{0}) − 1)/{1}", 6, (6, 7)),
    "boxcox": ("({0}^{1} − 1)/{1}", 6, (9, 9)),
    "boxcox_square": ("((1 + ({0})²)^{1} − 1)/{1}", 6, (0, 9)),
    "log1p_gap": ("({0} − log1p({0}))", 9, (6,)),
    "ratio1p": ("{0}/(1 + {0})", 6, (6,)),
    "log1p_ratio": ("log((1 + {0})/(1 + {1}))", 9, (5, 5)),
    "hypot1": ("√(1 + ({0})²)", 9, (0,)),
    "tapered": ("{0}·(1 + ({0})²)^{1}", 6, (6, 9)),
    "tapered_slope": ("(1 + ({0})²)^{1}·(1 + 2·{1}·({0})²/(1 + ({0})²))", 6, (0, 9)),
    "contrast": ("({0} − {1})/({0} + {1})", 6, (6, 6)),
    "minmod": ("minmod({0}, {1})", 9, (0, 0)),
}
# A shared part at least this long is written once, under a name.
_LONG = 24


def written(outputs: Sequence[Expr]) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns the named parts as (name, text) in order, then the text of each output.

    The residual f − y is always called r, as the catalogue does.
    """
    nodes = reachable(outputs)
    uses = Counter(argument.serial for node in nodes for argument in node.args)
    texts: dict[int, tuple[str, int]] = {}
    named: list[tuple[str, str]] = []
    for node in nodes:
        text, binding = _text(node, texts)
        if node.op == "sub" and [_name(argument) for argument in node.args] == ["f", "y"]:
            named.append(("r", text))
            text, binding = "r", 9
        elif uses[node.serial] > 1 and len(text) >= _LONG and node.op not in ("symbol", "constant"):
            name = "abcdeghijk"[sum(n != "r" for n, _ in named) % 10]
            named.append((name, text))
            text, binding = name, 9
        texts[node.serial] = text, binding
    return named, [texts[output.serial][0] for output in outputs]


def _text(node: Expr, texts: dict[int, tuple[str, int]]) -> tuple[str, int]:
    if node.op == "symbol":
        return str(node.value), 9
    if node.op == "constant":
        return _constant(node.value)
    if node.op == "mul" and node.args[0].serial == node.args[1].serial:
        inner, binding = texts[node.args[0].serial]
        return (f"{inner}²" if binding >= 9 else f"({inner})²"), 8
    template, binding, needed = _INFIX.get(
        node.op, (f"{node.op}({', '.join('{%d}' % i for i in range(len(node.args)))})", 9, ())
    )
    operands = []
    for position, argument in enumerate(node.args):
        inner, inner_binding = texts[argument.serial]
        least = needed[position] if position < len(needed) else 0
        operands.append(inner if inner_binding >= least else f"({inner})")
    return template.format(*operands), binding


def _constant(value: Any) -> tuple[str, int]:
    number = float(value)
    text = repr(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"
    return (text, 9) if number >= 0 else (text.replace("-", "−"), 6)


def _name(node: Expr) -> str:
    return str(node.value) if node.op == "symbol" else ""
