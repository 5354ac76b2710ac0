"""Terms as text: sums by sign, products with one coefficient and one fraction, few brackets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from losskit.backends.latex_cases import (
    Cases,
    Condition,
    Joined,
    condition_of,
    in_order,
)
from losskit.backends.latex_products import OPEN, Factor, Product, product_terms
from losskit.formula.expr import Expr
from losskit.formula.primitives import apply

_SUM, _PRODUCT, _FUNCTION, _POWER, _ATOM = range(5)  # how tightly a text holds together
Text = tuple[str, int]

_GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi "
        "psi omega".split(),
        "αβγδεζηθκλμνξρστφχψω",
        strict=True,
    )
)
_FUNCTIONS = {"log": "log", "tanh": "tanh", "log_cosh": "log cosh"}
_DELIMITED = {"sigmoid": "σ", "maximum": "max", "minimum": "min", "minmod": "minmod"}
_SIGNS = {"<": "<", "<=": "≤", "=": "=", ">": ">", "=>": "≥", "<>": "≠", "<=>": "=", "": "≠"}
_TEX = {
    "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "σ": r"\sigma", "log": r"\log", "tanh": r"\tanh",
    "log cosh": r"\log \cosh", "max": r"\max", "min": r"\min", "∞": r"\infty",
    "minmod": r"\operatorname{minmod}", "sign": r"\operatorname{sign}",
}  # fmt: skip
_VULGAR = {
    Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔", Fraction(1, 4): "¼",
    Fraction(3, 4): "¾", Fraction(1, 8): "⅛",
}  # fmt: skip
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Writer:
    """Writes terms in LaTeX or plain text, symbols by `names` where they are given."""

    tex: bool
    names: Mapping[str, str]

    def name(self, symbol: str) -> str:
        """Return a symbol's text."""
        return self.names.get(symbol) or symbol_text(symbol, self.tex)

    def cases(self, tree: Cases) -> str:
        """Return a term, or a choice between terms."""
        rows = in_order(tree)
        if len(rows) == 1:
            return self.term(rows[0][1])[0]
        if not self.tex:
            *some, (_, last) = rows
            chosen = [f"{self.term(v)[0]} if {self.condition(c)}" for c, v in some if c]
            return " else ".join([*chosen, self.term(last)[0]])
        lines = [
            rf"{self.term(v)[0]} & \text{{if }} {self.condition(c)}"
            if c
            else rf"{self.term(v)[0]} & \text{{otherwise}}"
            for c, v in rows
        ]
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def condition(self, condition: Condition) -> str:
        """Return a condition's text."""
        if isinstance(condition, Joined):
            word = rf" \text{{ {condition.word} }} " if self.tex else f" {condition.word} "
            return word.join(
                self._bracketed(self.condition(part))
                if isinstance(part, Joined) and part.word != condition.word
                else self.condition(part)
                for part in (condition.left, condition.right)
            )
        sign = self._word(_SIGNS["".join(sorted(condition.signs))])
        return f"{self.term(condition.left)[0]} {sign} {self.term(condition.right)[0]}"

    def term(self, node: Expr) -> Text:
        """Return a term's text and how tightly it holds together."""
        products = product_terms(node)
        if len(products) == 1:
            text, level = self._product(products[0])
            return (f"{self._minus}{text}", _SUM) if products[0].coefficient < 0 else (text, level)
        if products and products[0].coefficient < 0:  # a − b rather than −b + a
            first = next((p for p in products if p.coefficient > 0), products[0])
            products = [first, *(p for p in products if p is not first)]
        text = ""
        for product in products:
            sign = self._minus if product.coefficient < 0 else "+"
            lead = f" {sign} " if text else sign * (product.coefficient < 0)
            text += lead + self._product(product)[0]
        return text or "0", _SUM if text else _ATOM

    # --- products

    def _product(self, product: Product) -> Text:
        """Return a product's text without its sign."""
        size = abs(product.coefficient)
        above = [f for f in product.ordered() if f[1] > 0]
        below = [(base, -power) for base, power in product.ordered() if power < 0]
        if not below:
            if size == 1 and len(above) == 1:
                return self._factor(*above[0])
            number = "" if size == 1 and above else self._number(size)
            level = _ATOM if not above and size.denominator == 1 else _PRODUCT
            return self._side_by_side(number, self._factors(above)), level
        far = [f for f in above if f[1] == 1 and str(f[0].value).startswith(OPEN)]
        if far and self.tex:  # a sum stands beside the fraction, not on it
            apart = {b.serial for b, _ in far}
            kept = {s: f for s, f in product.factors.items() if s not in apart}
            near = self._product(Product(size, kept))[0]
            return self._side_by_side(near, self._factors(far)), _PRODUCT
        decimal = size.denominator > 1 and not _is_vulgar(size)
        over = size if decimal else Fraction(size.numerator)
        under = Fraction(1) if decimal else Fraction(size.denominator)
        top, bottom = self._row(over, above), self._row(under, below)
        if self.tex:
            return rf"\frac{{{top[0]}}}{{{bottom[0]}}}", _PRODUCT
        upper = self._bracketed(top[0]) if top[1] == _SUM else top[0]
        return (
            f"{upper}/{bottom[0] if bottom[1] >= _POWER else self._bracketed(bottom[0])}",
            _PRODUCT,
        )

    def _row(self, number: Fraction, factors: Sequence[Factor]) -> Text:
        """Return one side of a fraction."""
        if number == 1 and len(factors) == 1:
            return self._factor(*factors[0])
        shown = "" if number == 1 and factors else self._number(number)
        level = _PRODUCT if (shown and factors) or factors[1:] else _ATOM
        return self._side_by_side(shown, self._factors(factors)), level

    def _factors(self, factors: Sequence[Factor]) -> list[str]:
        found = []
        for place, factor in enumerate(factors):
            text, level = self._factor(*factor)
            bare = level == _FUNCTION and place < len(factors) - 1 and not text.endswith(")")
            found.append(self._bracketed(text) if level <= _PRODUCT or bare else text)
        return found

    def _side_by_side(self, number: str, texts: Sequence[str]) -> str:
        joined = number
        for place, text in enumerate(texts):
            if not joined:
                joined = text
            elif self.tex:
                upright = r"\math" in text[:5] or (r"\math" in joined and joined.endswith("}"))
                joined += (r" \, " if upright else " ") + text
            else:
                word = len(text) > 1 and text[:2].isalpha()
                close = text[0] in "(|√" or (place == 0 and not word)
                joined += text if close else "·" + text
        return joined

    def _factor(self, base: Expr, power: Fraction) -> Text:
        if power == 1:
            return self._base(base)
        if base.op == "exp":
            return self._base(apply("exp", float(power) * base.args[0]))
        if power == Fraction(1, 2):
            inner = self.term(base)[0]
            return (rf"\sqrt{{{inner}}}" if self.tex else f"√({inner})"), _ATOM
        return self._raised(self._base(base), str(power), power.denominator == 1)

    def _raised(self, base: Text, exponent: str, whole: bool = False) -> Text:
        body = base[0] if base[1] == _ATOM else self._bracketed(base[0])
        if self.tex:
            return f"{body}^{exponent if len(exponent) == 1 else f'{{{exponent}}}'}", _POWER
        if whole:
            return f"{body}{exponent.translate(_RAISED)}", _POWER
        return f"{body}^{exponent if len(exponent) == 1 else f'({exponent})'}", _POWER

    # --- what is no sum and no product

    def _base(self, node: Expr) -> Text:
        op, args = node.op, node.args
        if op == "symbol":
            name = str(node.value)
            return self.name(name), _FUNCTION if name.startswith(OPEN) else _ATOM
        if op == "constant":  # only infinities come here
            return self._minus * (str(node.value) == "-inf") + self._word("∞"), _ATOM
        if op in ("add", "sub"):
            return self.term(node)
        if op == "abs":
            inner, level = self.term(args[0])
            wide = self.tex and level < _ATOM
            return (rf"\left|{inner}\right|" if wide else f"|{inner}|"), _ATOM
        if op == "exp":
            inner = self.term(args[0])[0]
            return (f"e^{{{inner}}}", _POWER) if self.tex else (f"exp({inner})", _ATOM)
        if op == "pow":
            return self._raised(self.term(args[0]), self.term(args[1])[0])
        if op == "positive_part":
            return self._word("max") + self._bracketed(f"0, {self.term(args[0])[0]}"), _ATOM
        if op == "signed":
            return self._word("sign") + self._bracketed(self.term(args[1])[0]), _ATOM
        if op in _DELIMITED:
            inner = ", ".join(self.term(a)[0] for a in args)
            return self._word(_DELIMITED[op]) + self._bracketed(inner), _ATOM
        if op in _FUNCTIONS:
            inner, level = self.term(args[0])
            bare = level == _ATOM or str(args[0].value).startswith(OPEN)
            text = f" {inner}" if bare and self.tex else self._bracketed(inner)
            return self._word(_FUNCTIONS[op]) + text, _FUNCTION
        if op == "where":
            return self._choice(node), _ATOM
        raise ValueError(f"LaTeX has no way to write {op!r}: add it to latex_writer or latex_cases")

    def _choice(self, node: Expr) -> str:
        """Write a choice where it stands: 1{condition}, or in full."""
        condition = condition_of(node.args[0])
        if all(
            a.op == "constant" and a.value == v for a, v in zip(node.args[1:], (1, 0), strict=True)
        ):
            text = self.condition(condition)
            return rf"\mathbf{{1}}\{{{text}\}}" if self.tex else f"[{text}]"
        a, b = (self.term(x)[0] for x in node.args[1:])
        if not self.tex:
            return f"({a} if {self.condition(condition)} else {b})"
        rows = rf"{a} & \text{{if }} {self.condition(condition)} \\ {b} & \text{{otherwise}}"
        return rf"\left\{{\begin{{array}}{{ll}} {rows} \end{{array}}\right\}}"

    # --- words

    @property
    def minus(self) -> str:
        """Between two terms."""
        return f" {self._minus} "

    @property
    def times(self) -> str:
        """Between two factors."""
        return " " if self.tex else "·"

    @property
    def _minus(self) -> str:
        return "-" if self.tex else "−"

    def _word(self, word: str) -> str:
        return _TEX.get(word, word) if self.tex else word

    def _bracketed(self, text: str) -> str:
        high = self.tex and (r"\frac" in text or r"\begin" in text)
        return rf"\left({text}\right)" if high else f"({text})"

    def _number(self, value: Fraction) -> str:
        if value.denominator == 1 and value < 10**15:
            return str(value)
        if _is_vulgar(value):
            if self.tex:
                return rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"
            return _VULGAR.get(value, f"({value})")
        digits, _, exponent = repr(float(value)).partition("e")
        if not exponent:
            return digits
        power = str(int(exponent))
        if self.tex:
            return rf"{digits} \times 10^{{{power}}}" if digits != "1" else f"10^{{{power}}}"
        return f"{digits}e{power}"


def symbol_text(name: str, tex: bool) -> str:
    """Return a name as mathematics writes it: gamma_pos as γ with an index, f0 as f with one."""
    head, _, index = name.partition("_")
    if head in _GREEK:
        if not tex:
            return _GREEK[head] + f"_{index}" * bool(index)
        return f"\\{head}" + rf"_{{\mathrm{{{index}}}}}" * bool(index)
    if match := re.fullmatch(r"([A-Za-z])(\d+)", name):
        return rf"{match[1]}_{{{match[2]}}}" if tex else name
    if len(name) == 1 or not tex:
        return name
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _is_vulgar(value: Fraction) -> bool:
    """Say whether a number is read better as a fraction than as a decimal."""
    rest = value.denominator
    while rest % 5 == 0 or rest % 2 == 0:
        rest //= 5 if rest % 5 == 0 else 2
    return value.denominator in (2, 4, 8, 16) or (rest > 1 and value.denominator <= 1000)
