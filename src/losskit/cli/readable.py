"""Formulas as a person writes them on a line, from the graph before it is lowered.

Composites keep their names (`softplus`, `softmax`), `sum` and `max` of one thing run over an axis,
the residual f - y is called r, and long parts that occur twice get a letter and a line of their
own. At a kink the graph says which one-sided value is taken; that clause is left out here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from losskit.formula.expr import Expr

_ATOM = 9
_POWER = 8
_PRODUCT = 6
_NEGATIVE = 5.5
_SUM = 5

# Operation → (text, how tightly it binds, how tightly each operand must bind to need no brackets).
_FORMS: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "or": ("{0} or {1}", 1, (1, 1)),
    "and": ("{0} and {1}", 2, (2, 2)),
    "not": ("not {0}", 3, (3,)),
    "lt": ("{0} < {1}", 4, (_SUM, _SUM)),
    "le": ("{0} ≤ {1}", 4, (_SUM, _SUM)),
    "gt": ("{0} > {1}", 4, (_SUM, _SUM)),
    "ge": ("{0} ≥ {1}", 4, (_SUM, _SUM)),
    "eq": ("{0} = {1}", 4, (_SUM, _SUM)),
    "add": ("{0} + {1}", _SUM, (_SUM, _SUM)),
    "sub": ("{0} − {1}", _SUM, (_SUM, _PRODUCT)),
    "mul": ("{0}·{1}", _PRODUCT, (_NEGATIVE, _PRODUCT)),
    "xmul": ("{0}·{1}", _PRODUCT, (_NEGATIVE, _PRODUCT)),
    "div": ("{0}/{1}", _PRODUCT, (_NEGATIVE, _POWER)),
    "neg": ("−{0}", _NEGATIVE, (_PRODUCT,)),
    "mul_exp": ("{0}·exp({1})", _PRODUCT, (_NEGATIVE, 0)),
    "pow": ("{0}^{1}", _POWER, (_ATOM, _ATOM)),
    "abs_pow": ("|{0}|^{1}", _POWER, (0, _ATOM)),
    "signed_pow": ("sign({0})·|{0}|^{1}", _PRODUCT, (0, _ATOM)),
    "abs": ("|{0}|", _ATOM, (0,)),
    "signed": ("{0}·sign({1})", _PRODUCT, (_NEGATIVE, 0)),
    "sqrt": ("√({0})", _ATOM, (0,)),
    "positive_part": ("max({0}, 0)", _ATOM, (0,)),
    "maximum": ("max({0}, {1})", _ATOM, (0, 0)),
    "minimum": ("min({0}, {1})", _ATOM, (0, 0)),
    "where": ("[{1} if {0}, else {2}]", _ATOM, (0, 0, 0)),
    "indicator": ("[1 if {0}, else 0]", _ATOM, (0,)),
    "log_cosh": ("log cosh({0})", _ATOM, (0,)),
    "softplus_scaled": ("log1p({1}·exp({0}))", _ATOM, (0, _PRODUCT)),
    "sigmoid_scaled": ("sigmoid({0} + log({1}))", _ATOM, (_SUM, 0)),
    "expm1_gap": ("(exp({0}) − 1 − {0})", _ATOM, (_PRODUCT,)),
    "mul_expm1_over": ("{0}·(exp({2}·{1}) − 1)/{2}", _PRODUCT, (_PRODUCT, _PRODUCT, _POWER)),
    "expm1_over": ("(exp({1}·{0}) − 1)/{1}", _PRODUCT, (_PRODUCT, _POWER)),
    "boxcox": ("({0}^{1} − 1)/{1}", _PRODUCT, (_ATOM, _ATOM)),
    "boxcox_square": ("((1 + {0}²)^{1} − 1)/{1}", _PRODUCT, (_ATOM, _ATOM)),
    "log1p_gap": ("({0} − log1p({0}))", _ATOM, (_PRODUCT,)),
    "ratio1p": ("{0}/(1 + {0})", _PRODUCT, (_PRODUCT,)),
    "log1p_ratio": ("log((1 + {0})/(1 + {1}))", _ATOM, (_SUM, _SUM)),
    "hypot1": ("√(1 + {0}²)", _ATOM, (_ATOM,)),
    "tapered": ("{0}·(1 + {0}²)^{1}", _PRODUCT, (_ATOM, _ATOM)),
    "tapered_slope": ("(1 + {0}²)^({1} − 1)·(1 + (1 + 2·{1})·{0}²)", _PRODUCT, (_ATOM, _PRODUCT)),
    "contrast": ("({0} − {1})/({0} + {1})", _PRODUCT, (_PRODUCT, _PRODUCT)),
    "minmod": ("minmod({0}, {1})", _ATOM, (0, 0)),
    # Along an axis.
    "norm": ("‖{0}‖", _ATOM, (0,)),
    "pick": ("{0}[{1}]", _ATOM, (_ATOM, 0)),
    "surprise": ("−log softmax({0})", _NEGATIVE, (0,)),
    "softmax_rest": ("(1 − softmax({0}))", _ATOM, (0,)),
    "max_share": ("argmax({0})", _ATOM, (0,)),
    "uniform": ("1/count", _PRODUCT, ()),
    "count": ("count", _ATOM, ()),
    "position": ("position", _ATOM, ()),
}
# The same where the exponent is a constant with a shorter form.
_SPECIAL: dict[tuple[str, float], tuple[str, float, tuple[float, ...]]] = {
    ("boxcox_square", 0): ("log1p({0}²)", _ATOM, (_ATOM,)),
    ("boxcox_square", 0.5): ("2·(√(1 + {0}²) − 1)", _PRODUCT, (_ATOM,)),
    ("tapered", -0.5): ("{0}/√(1 + {0}²)", _PRODUCT, (_ATOM,)),
    ("tapered", -1): ("{0}/(1 + {0}²)", _PRODUCT, (_ATOM,)),
    ("tapered_slope", -0.5): ("1/√(1 + {0}²)³", _PRODUCT, (_ATOM,)),
    ("tapered_slope", -1): ("(1 − {0}²)/(1 + {0}²)²", _PRODUCT, (_ATOM,)),
    ("signed", 1): ("sign({0})", _ATOM, (0,)),
    ("mul_exp", 1): ("exp({0})", _ATOM, (0,)),
}
_LONG = 24  # shared parts of at least this length get a letter
_LETTERS = "abcdeghijk"


def written(outputs: Sequence[Expr]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the named parts as (name, text) in order, then the text of each output."""
    roots = [_settled(output) for output in outputs]
    nodes = _needed(roots)
    uses = Counter(operand.serial for node in nodes for operand in _operands(node))
    texts: dict[int, tuple[str, float]] = {}
    named: list[tuple[str, str]] = []
    letters = iter(_LETTERS)
    for node in nodes:
        text, binding = _text(node, texts)
        name = None
        if node.op == "sub" and [argument.value for argument in node.args] == ["f", "y"]:
            name = "r"
        elif uses[node.serial] > 1 and len(text) >= _LONG:
            name = next(letters, None)
        if name is not None:
            named.append((name, text))
            text, binding = name, _ATOM
        texts[node.serial] = text, binding
    return named, [texts[root.serial][0] for root in roots]


def _needed(roots: Sequence[Expr]) -> list[Expr]:
    found: dict[int, Expr] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.serial not in found:
            found[node.serial] = node
            stack.extend(_operands(node))
    return [found[serial] for serial in sorted(found)]  # operands are older than their users


def _operands(node: Expr) -> tuple[Expr, ...]:
    op = _operation(node)
    operands = node.args
    if op == "pick":
        condition, picked, _ = operands[0].args
        index = [side for side in condition.args if side.op != "position"]
        return _settled(picked), _settled(index[0])
    if op == "uniform":
        return ()
    if node.op == "where":
        other = operands[2]
        if other.op == "where" and other.args[2].op in ("minimum", "minmod"):
            operands = (*operands[:2], other.args[1])  # a > b, a < b, and the value at a = b
    return tuple(map(_settled, operands))


def _operation(node: Expr) -> str:
    """Return what a node does, some compositions being known by a name of their own."""
    inner = node.args[0] if node.args else node
    if node.op == "sum" and inner.op == "where" and inner.args[0].op == "eq":
        at = [side.op == "position" for side in inner.args[0].args]
        if sum(at) == 1 and _is(inner.args[2], 0) and inner.args[1].op != "constant":
            return "pick"
    return node.op


def _settled(node: Expr) -> Expr:
    """Return what stands beside the clause for a kink, or is held, if `node` is one of these."""
    while node.op == "held" or (node.op == "where" and node.args[0].op in ("eq", "or")):
        if node.op == "held":
            node = node.args[0]
            continue
        if node.args[1].op != "minimum" and node.args[2].op != "signed":
            break
        node = node.args[2]
    return node


def _text(node: Expr, texts: dict[int, tuple[str, float]]) -> tuple[str, float]:
    if node.op == "symbol":
        return str(node.value), _ATOM
    if node.op == "constant":
        return _constant(float(node.value or 0))
    operands = _operands(node)
    if node.op == "mul" and operands[0].serial == operands[1].serial:
        return f"{_bracketed(operands[0], texts, _ATOM)}²", _POWER
    if node.op in ("mul", "signed") and _is(operands[0], -1):
        text, binding, needed = _text_forms(node, operands)
        rest = text.split("·", 1)[1].format("", _bracketed(operands[1], texts, needed[1]))
        return f"−{rest}", _NEGATIVE
    text, binding, needed = _text_forms(node, operands)
    parts = [
        _bracketed(operand, texts, least)
        for operand, least in zip(operands, (*needed, *[0.0] * len(operands)), strict=False)
    ]
    if node.op == "abs" and "|" in parts[0]:  # bars within bars cannot be told apart
        return f"abs({parts[0]})", _ATOM
    if node.op == "add" and parts[1].startswith("−"):
        return f"{parts[0]} − {parts[1][1:]}", binding
    return text.format(*parts), binding


def _text_forms(node: Expr, operands: Sequence[Expr]) -> tuple[str, float, tuple[float, ...]]:
    first = node.op in ("signed", "mul_exp")  # the constant is the first operand
    constant = operands[0 if first else -1] if operands else None
    if constant is not None and constant.op == "constant" and (node.op, constant.value) in _SPECIAL:
        text, binding, needed = _SPECIAL[node.op, float(constant.value or 0)]
        if first:
            return text.replace("{0}", "{1}"), binding, (0, *needed)
        return text, binding, needed
    named = f"{node.op}({', '.join(f'{{{i}}}' for i in range(len(operands)))})"
    return _FORMS.get(_operation(node), (named, _ATOM, ()))


def _bracketed(node: Expr, texts: dict[int, tuple[str, float]], least: float) -> str:
    text, binding = texts[node.serial]
    return text if binding >= least else f"({text})"


def _is(node: Expr, value: float) -> bool:
    return node.op == "constant" and node.value == value


def _constant(value: float) -> tuple[str, float]:
    if math.isinf(value):
        text = "∞"
    elif value == int(value) and abs(value) < 1e15:
        text = str(abs(int(value)))
    else:
        text = f"{abs(value):.6g}"
    return (text, _ATOM) if value >= 0 else (f"−{text}", _NEGATIVE)
