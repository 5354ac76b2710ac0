"""Sums of products multiplied out: in a derivative over an axis most terms cancel only then."""

from __future__ import annotations

from fractions import Fraction

from losskit.backends.latex_products import Factor, product_terms
from losskit.formula.expr import Expr
from losskit.formula.primitives import apply

Monomial = dict[int, Factor]  # base^power by the base's serial
_MOST_TERMS = 40
_MOST_POWERS = 3

Summands = list[tuple[Fraction, Monomial]]


def expanded(node: Expr) -> Summands | None:
    """Return `node` as a sum of coefficient · Π base^power, or None where it would be too long."""
    found: dict[frozenset[tuple[int, Fraction]], tuple[Fraction, Monomial]] = {}
    for product in product_terms(node):
        parts: Summands = [(product.coefficient, {})]
        for base, power in product.factors.values():
            opened = _opened(base, power)
            if opened is None:
                return None
            parts = [_times(a, b) for a in parts for b in opened]
            if len(parts) > _MOST_TERMS:
                return None
        for coefficient, monomial in parts:
            key = frozenset((s, power) for s, (_, power) in monomial.items())
            known = found.get(key, (Fraction(0), monomial))[0]
            found[key] = (known + coefficient, monomial)
    return [(c, m) for c, m in found.values() if c]


def gathered(terms: Summands, node: Expr) -> Expr:
    """Return the sum of `terms` in the trace of `node`, factors that all share taken out."""
    if not terms:
        return node.trace.constant(0)
    shared: Monomial = {
        serial: (base, min(m[serial][1] for _, m in terms))
        for serial, (base, _) in terms[0][1].items()
        if all(serial in m for _, m in terms)
    }
    size = abs(terms[0][0]) if len({abs(c) for c, _ in terms}) == 1 < len(terms) else Fraction(1)
    rest = [(c / size, _times((c, m), (Fraction(1), _inverse(shared)))[1]) for c, m in terms]
    total = node.trace.constant(0)
    for coefficient, monomial in rest:
        total = total + product_of(coefficient, monomial, node)
    return product_of(size, shared, node) * total


def product_of(coefficient: Fraction | int, monomial: Monomial, node: Expr) -> Expr:
    """Return coefficient · Π base^power in the trace of `node`."""
    above, below = node.trace.constant(1), node.trace.constant(1)
    for base, power in monomial.values():
        size = abs(power)
        part = base if size == 1 else apply("pow", base, float(size))
        above, below = (above * part, below) if power > 0 else (above, below * part)
    return float(coefficient) * above / below


def _opened(base: Expr, power: Fraction) -> Summands | None:
    if base.op not in ("add", "sub", "neg") or power not in range(1, _MOST_POWERS + 1):
        return [(Fraction(1), {base.serial: (base, power)})]
    once = expanded(base)
    if once is None:
        return None
    parts: Summands = [(Fraction(1), {})]
    for _ in range(int(power)):
        parts = [_times(a, b) for a in parts for b in once]
        if len(parts) > _MOST_TERMS:
            return None
    return parts


def _times(a: tuple[Fraction, Monomial], b: tuple[Fraction, Monomial]) -> tuple[Fraction, Monomial]:
    powers = {s: p for s, (_, p) in a[1].items()}
    for serial, (_, power) in b[1].items():
        powers[serial] = powers.get(serial, Fraction(0)) + power
    bases = {s: base for s, (base, _) in (a[1] | b[1]).items()}
    return a[0] * b[0], {s: (bases[s], p) for s, p in powers.items() if p}


def _inverse(monomial: Monomial) -> Monomial:
    return {s: (base, -power) for s, (base, power) in monomial.items()}
