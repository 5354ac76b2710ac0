"""A sum as products, like terms added up: each one coefficient and factors with their powers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

from losskit.backends.latex_elementary import is_constant
from losskit.formula.expr import Expr, reachable
from losskit.formula.primitives import apply

OPEN = "Σ"  # begins the names of symbols whose text, as of a sum, has no end of its own
Factor = tuple[Expr, Fraction]


@dataclass
class Product:
    """coefficient · Π base^power, bases in order of appearance."""

    coefficient: Fraction = Fraction(1)
    factors: dict[int, Factor] = field(default_factory=dict)

    def multiply(self, node: Expr, power: Fraction = Fraction(1)) -> None:
        """Multiply by node^power, cancelling what can be."""
        whole = power.denominator == 1
        if node.op == "constant" and isfinite(float(str(node.value))) and whole:
            value = fraction(float(str(node.value)))
            if value or power > 0:
                self.coefficient *= value ** int(power)
                return
        if node.op in ("mul", "div") and whole:
            self.multiply(node.args[0], power)
            self.multiply(node.args[1], power if node.op == "mul" else -power)
        elif node.op == "pow" and node.args[1].op == "constant" and whole:
            self.multiply(node.args[0], power * fraction(float(str(node.args[1].value))))
        elif node.op == "sqrt" and whole:
            self.multiply(node.args[0], power / 2)
        elif node.op == "signed" and node.args[0] is abs(node.args[1]) and whole:
            self.multiply(node.args[1], power)
        elif node.op == "signed" and not is_constant(node.args[0], 1) and whole:
            self.multiply(node.args[0], power)
            self.multiply(apply("signed", 1, node.args[1]), power)
        elif node.op in ("add", "sub", "neg") and whole and len(terms := product_terms(node)) == 1:
            self.coefficient *= terms[0].coefficient ** int(power)
            for base, own in terms[0].factors.values():
                self._count(base, own * power)
        else:
            self._count(node, power)

    def ordered(self) -> list[Factor]:
        """Return the factors as one writes them: parameters, data, sums, functions, signs."""
        for sign, power in list(self.factors.values()):
            size = abs(sign.args[1]) if sign.op == "signed" else sign
            if (
                sign.op == "signed"
                and power == 1
                and self.factors.get(size.serial, (size, 0))[1] > 0
            ):
                self._count(sign, Fraction(-1))
                self._count(size, Fraction(-1))
                self.multiply(sign.args[1])
        return sorted(self.factors.values(), key=lambda factor: _place(factor[0]))

    def _count(self, base: Expr, power: Fraction) -> None:
        total = self.factors.get(base.serial, (base, Fraction(0)))[1] + power
        self.factors[base.serial] = (base, total)
        if not total:
            del self.factors[base.serial]


def product_terms(node: Expr) -> list[Product]:
    """Return the terms of a sum, like terms added up."""
    found: dict[frozenset[tuple[int, Fraction]], Product] = {}

    def add(part: Expr, times: Fraction) -> None:
        number = part.op == "mul" and part.args[0].op == "constant"
        if part.op in ("add", "sub"):
            add(part.args[0], times)
            add(part.args[1], times if part.op == "add" else -times)
        elif part.op == "neg":
            add(part.args[0], -times)
        elif number and part.args[1].op in ("add", "sub") and _opens(node, part):
            add(part.args[1], times * fraction(float(str(part.args[0].value))))
        else:
            product = Product(times)
            product.multiply(part)
            key = frozenset((s, power) for s, (_, power) in product.factors.items())
            if key in found:
                found[key].coefficient += product.coefficient
            else:
                found[key] = product

    add(node, Fraction(1))
    return [p for p in found.values() if p.coefficient]


def _opens(whole: Expr, part: Expr) -> bool:
    """Say whether number·(sum) is better multiplied out: inside a sum, or if fractions vanish."""
    number = fraction(float(str(part.args[0].value)))
    terms = product_terms(part.args[1])
    whole_numbers = all((t.coefficient * number).denominator == 1 for t in terms)
    return whole_numbers and (whole is not part or number.denominator > 1)


def _place(base: Expr) -> float:
    names = [str(n.value) for n in reachable([base]) if n.op == "symbol"]
    if any(n.startswith(OPEN) for n in names):
        return 8.0
    data = any(n in ("r", "m") or re.fullmatch(r"f\d*|@.*", n) for n in names)
    about = 2 if data else 1 if "y" in names else 0
    kind = {"symbol": 0.0, "abs": 0.1, "add": 0.3, "sub": 0.3, "exp": 3, "pow": 3}
    last = {"signed": 9, "where": 10}
    return last.get(base.op, about + kind.get(base.op, 5))


def fraction(value: float) -> Fraction:
    """Return the number that a float stands for: 1/3 for 0.3333333333333333."""
    near = Fraction(value).limit_denominator(1000)
    return near if float(near) == value else Fraction(repr(value))
