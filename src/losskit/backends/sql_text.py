"""The words of DuckDB: how formulas, conditions, names and numbers are written in its SQL.

Checked with DuckDB 2.0: exp(1000) is inf, ln(0) is -inf, x/0 is ±inf or NaN, and none of them
raises. A comparison with NULL takes the ELSE branch, and NaN is ordered above every number, so that
conditions are written to hold for what is good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from losskit.formula.expr import Expr, reachable

# DuckDB has no log1p and expm1, but atanh, sinh and tanh that are accurate near 0:
# log(1 + x) = 2·atanh(x/(2 + x)) and e^x − 1 = 2·e^(x/2)·sinh(x/2).
# Numbers carry an exponent because DuckDB takes 0.1 for a DECIMAL.
TABLE = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "neg": "(-{0})",
    "abs": "abs({0})",
    "sqrt": "sqrt({0})",
    "pow": "pow({0}, {1})",
    "exp": "exp({0})",
    "log": "ln({0})",
    "log1p": "CASE WHEN abs({0}) < 0.5e0 THEN 2e0 * atanh({0} / (2e0 + {0}))"
    " ELSE ln(1e0 + {0}) END",
    "expm1": "CASE WHEN {0} < -50e0 THEN -1e0 ELSE 2e0 * exp({0} / 2e0) * sinh({0} / 2e0) END",
    "tanh": "tanh({0})",
    "signed": "({0} * sign({1}))",
    # With e = exp(-|x|), log(1 + e) = 2·atanh(e/(2 + e)), here with the fraction turned over.
    "softplus": "(greatest({0}, 0e0) + 2e0 * atanh(1e0 / (1e0 + 2e0 * exp(abs({0})))))",
    "sigmoid": "(1e0 / (1e0 + exp(-{0})))",
    "sigmoid_scaled": "(1e0 / (1e0 + exp(-{0}) / {1}))",
    # log cosh x = log(1 + 2·sinh²(x/2)) = 2·atanh(tanh²(x/2))
    "log_cosh": "CASE WHEN abs({0}) < 1e0 THEN 2e0 * atanh(pow(tanh({0} / 2e0), 2e0))"
    " ELSE abs({0}) - 0.6931471805599453e0"
    " + 2e0 * atanh(1e0 / (1e0 + 2e0 * exp(2e0 * abs({0})))) END",
    # GREATEST skips NULL, which the guard has ruled out, and returns NaN, the largest of DuckDB's
    # order; LEAST would lose a NaN that arises on the way.
    "maximum": "greatest({0}, {1})",
    "minimum": "(-greatest(-{0}, -{1}))",
    "positive_part": "greatest({0}, 0e0)",
    "where": "CASE WHEN {0} THEN {1} ELSE {2} END",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} = {1}",
    "and": "({0} AND {1})",
    "or": "({0} OR {1})",
    "not": "NOT ({0})",
}


def formula(lowered: Expr, columns: Mapping[str, str]) -> str:
    """Return the text of a formula in the operations of `TABLE`, its symbols as `columns` say."""
    text: dict[int, str] = {}
    for node in reachable([lowered]):
        if node.op == "symbol":
            text[node.serial] = columns[str(node.value)]
        elif node.op == "constant":
            text[node.serial] = number(float(str(node.value)))
        else:
            text[node.serial] = TABLE[node.op].format(*(text[a.serial] for a in node.args))
    return text[lowered.serial]


def quote(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def number(value: float) -> str:
    """Return `value` as a DOUBLE literal that reads back as the same float64."""
    if not isfinite(value):
        return f"'{value}'::DOUBLE"
    digits, _, exponent = repr(abs(value)).partition("e")
    text = f"{digits.removesuffix('.0')}e{int(exponent or 0)}"
    return f"(-{text})" if value < 0 else text


def _infix(sign: str) -> Any:
    def method(self: Text, other: Text | float) -> Text:
        right = other if isinstance(other, Text) else Text(number(float(other)))
        parts = (t.bare if t.sign == sign in ("AND", "OR") else t.text for t in (self, right))
        return Text(f" {sign} ".join(parts), sign)

    return method


class Text:
    """A piece of SQL, a number or a condition, that knows the operators `sql_plan` uses."""

    __slots__ = ("bare", "sign")
    __hash__ = object.__hash__

    def __init__(self, bare: str, sign: str = "") -> None:
        self.bare, self.sign = bare, sign

    @property
    def text(self) -> str:
        """The piece, in parentheses where it is not one by itself."""
        return f"({self.bare})" if self.sign else self.bare

    def __invert__(self) -> Text:
        return Text(f"NOT {self.text}", "NOT")

    __and__, __or__ = _infix("AND"), _infix("OR")
    __lt__, __le__, __gt__, __ge__ = _infix("<"), _infix("<="), _infix(">"), _infix(">=")
    __eq__, __ne__ = _infix("="), _infix("<>")
    __add__, __sub__, __mul__, __truediv__ = _infix("+"), _infix("-"), _infix("*"), _infix("/")


class Words:
    """What DuckDB calls the words of `sql_plan.Writer`."""

    def finite(self, x: Text) -> Text:
        """Say that a number is neither infinite nor NaN."""
        return Text(f"isfinite({x.text})")

    def nan(self, x: Text) -> Text:
        """Say that a number is NaN."""
        return Text(f"isnan({x.text})")

    def null(self, x: Text) -> Text:
        """Say that nothing is there."""
        return Text(f"{x.text} IS NULL", "IS")

    def one_of(self, x: Text, values: Sequence[float]) -> Text:
        """Say that a number is one of a few."""
        return Text(f"{x.text} IN ({', '.join(map(number, values))})", "IN")

    def choose(self, cases: Sequence[tuple[Text, Text]], otherwise: Text) -> Text:
        """Return the first value whose condition holds."""
        branches = " ".join(f"WHEN {c.bare} THEN {v.bare}" for c, v in cases)
        return Text(f"CASE {branches} ELSE {otherwise.bare} END")

    def number(self, value: float | None) -> Text:
        """Return a number, or NULL."""
        return Text("NULL" if value is None else number(value))

    def truth(self) -> Text:
        """Return the condition that always holds."""
        return Text("TRUE")

    def true_unless_false(self, condition: Text) -> Text:
        """Say that a condition holds or is NULL."""
        return Text(f"{condition.text} IS NOT FALSE", "IS")

    def count(self, condition: Text) -> Text:
        """Count the rows for which a condition holds."""
        return Text(f"count(*) FILTER (WHERE {condition.bare})")

    def rows(self) -> Text:
        """Count all rows."""
        return Text("count(*)")

    def total(self, x: Text) -> Text:
        """Return the sum over rows, 0 of none."""
        return Text(f"coalesce(sum({x.bare}), 0e0)")
