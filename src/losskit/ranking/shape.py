"""Margin losses whose sums over pairs need no pairs: found by reading the loss's own graph.

With polynomials in place of numbers, a graph such as hinge's gives "1 − m below m = 1, else 0".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.formula.expr import Expr, reachable


@dataclass(frozen=True)
class Shape:
    """A function of the margin: (Σ cₙ·mⁿ)·exp(rate·m) up to `corner`, and 0 beyond.

    At the corner itself it has the polynomial's value if `closed`.
    """

    coefficients: tuple[float, ...]
    rate: float = 0.0
    corner: float = math.inf
    closed: bool = False

    @property
    def zero(self) -> bool:
        """Whether it is 0 everywhere."""
        return not any(self.coefficients)

    @property
    def slope(self) -> Shape:
        """The derivative of a shape that is not exponential."""
        c = self.coefficients
        lowered = tuple(n * c[n] for n in range(1, len(c))) or (0.0,)
        return Shape(lowered, 0.0, self.corner, self.closed)

    def of_lack(self) -> tuple[float, ...]:
        """Return the coefficients of the powers of the lack, corner − m."""
        m = np.polynomial.Polynomial([self.corner, -1.0])
        return tuple(np.polynomial.Polynomial(list(self.coefficients))(m).coef)


def shape_of(loss: Any) -> Shape | None:
    """Return what a margin loss is at y = 1, if its sums over pairs need no pairs; else None.

    That is a polynomial up to a corner and 0 beyond, or a multiple of an exponential.
    """
    graph = loss.form(raw=True).graph
    symbols = {k: Shape((float(v),)) for k, v in loss.params.items() if v is not None}
    symbols |= {"y": Shape((1.0,)), "f": Shape((0.0, 1.0))}
    found = _read(graph.value, symbols)
    if not isinstance(found, Shape):
        return None
    tail = not found.rate and math.isfinite(found.corner) and len(found.coefficients) <= 3
    exponential = found.rate and found.corner == math.inf and len(found.coefficients) == 1
    return found if tail or exponential else None


@dataclass(frozen=True)
class _Below:
    """A condition: the margin is below the corner; `inverse`, that it is not."""

    corner: float
    closed: bool
    inverse: bool


_Read = Shape | _Below | None


def _read(value: Expr, symbols: Mapping[str, Shape]) -> _Read:
    """Return what a graph computes, None for what is neither shape nor condition."""
    known: dict[int, _Read] = {}
    for node in reachable([value]):
        if node.op == "symbol":
            known[node.serial] = symbols.get(str(node.value))
        elif node.op == "constant":
            known[node.serial] = Shape((float(str(node.value)),))
        elif node.op in _RULES:
            args = [known[a.serial] for a in node.args]
            known[node.serial] = None if None in args else _RULES[node.op](*args)
        else:
            known[node.serial] = None
    return known[value.serial]


def _add(a: Any, b: Any) -> _Read:
    if a.zero or b.zero:
        return b if a.zero else a
    if (a.rate, a.corner, a.closed) != (b.rate, b.corner, b.closed):
        return None
    size = max(len(a.coefficients), len(b.coefficients))
    pad = [np.pad(s.coefficients, (0, size - len(s.coefficients))) for s in (a, b)]
    return Shape(_trimmed(pad[0] + pad[1]), a.rate, a.corner, a.closed)


def _mul(a: Any, b: Any) -> _Read:
    corner = min(a.corner, b.corner)
    closed = all(s.closed for s in (a, b) if s.corner == corner)
    product = _trimmed(np.convolve(a.coefficients, b.coefficients))
    return Shape(product, a.rate + b.rate, corner, closed)


def _div(a: Any, b: Any) -> _Read:
    constant = len(b.coefficients) == 1 and not b.zero and not b.rate and b.corner == math.inf
    return _mul(a, Shape((1 / b.coefficients[0],))) if constant else None


def _exp(a: Any) -> _Read:
    if a.rate or a.corner < math.inf or len(a.coefficients) > 2:
        return None
    constant, rate = (*a.coefficients, 0.0)[:2]
    return Shape((math.exp(constant),), rate) if constant < 700 else None


def _positive_part(a: Any) -> _Read:
    below = _compared(Shape((0.0,)), a, closed=False)
    if not isinstance(below, _Below) or below.inverse:
        return None
    return Shape(a.coefficients, 0.0, below.corner, False)


def _compared(a: Any, b: Any, closed: bool) -> _Read:
    """Return where a < b, or a ≤ b."""
    d = _add(a, _mul(b, Shape((-1.0,))))
    if not isinstance(d, Shape) or d.rate or d.corner < math.inf or len(d.coefficients) != 2:
        return None
    corner = -d.coefficients[0] / d.coefficients[1]
    if d.coefficients[1] > 0:
        return _Below(corner, closed, inverse=False)
    return _Below(corner, not closed, inverse=True)


def _where(condition: Any, a: Any, b: Any) -> _Read:
    inside, outside = (b, a) if condition.inverse else (a, b)
    if not outside.zero or inside.corner < math.inf:
        return None
    return Shape(inside.coefficients, inside.rate, condition.corner, condition.closed)


def _trimmed(c: Any) -> tuple[float, ...]:
    kept = np.trim_zeros(np.asarray(c, float), "b")
    return tuple(float(v) for v in kept) or (0.0,)


_RULES: dict[str, Any] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _mul(b, Shape((-1.0,)))),
    "neg": lambda a: _mul(a, Shape((-1.0,))),
    "mul": _mul,
    "div": _div,
    "exp": _exp,
    "positive_part": _positive_part,
    "lt": lambda a, b: _compared(a, b, closed=False),
    "le": lambda a, b: _compared(a, b, closed=True),
    "gt": lambda a, b: _compared(b, a, closed=False),
    "ge": lambda a, b: _compared(b, a, closed=True),
    "where": _where,
    "indicator": lambda a: _where(a, Shape((1.0,)), Shape((0.0,))),
}
