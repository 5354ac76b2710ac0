"""A formula over an axis in elementary terms: its sums, maxima and lengths become symbols.

A symbol of rank 1 or 2 with an `Operator` stands for it; the writer of texts asks what it is. A
class that is one of several makes a sum the term of that class, shares that add up to one vanish
from sums, and guards of what no one would write (infinities, vectors of length 0) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from losskit.backends.latex_axis_rules import (
    HUGE,
    apart,
    distance,
    exponential,
    included,
    indicated,
    is_linear,
    known,
    negation,
    number_of,
    shorter,
    truth_of,
    unshifted,
)
from losskit.backends.latex_elementary import ELEMENTARY, elementary, is_constant
from losskit.backends.latex_expand import Summands, expanded, gathered, product_of
from losskit.backends.latex_products import OPEN, product_terms
from losskit.formula.domain import UNIT, Domain
from losskit.formula.expr import Expr, Trace, reachable, rebuild, rows
from losskit.formula.primitives import apply, where

PLACE = "#"  # the symbol of the place along the axis, written as the index


@dataclass(frozen=True)
class Operator:
    """What a symbol stands for: `kind` of `body` over the axis, where `condition` holds.

    Of kind "at NAME" it is NAME at the place `body`.
    """

    kind: str
    body: Expr
    condition: Expr | None = None


@dataclass
class Terms:
    """The symbols of one formula, and elementary terms in them."""

    trace: Trace
    length: bool  # whether a sum of squares is read as the square of a length
    one_hot: frozenset[str]  # inputs that are 1 at one place and 0 elsewhere
    shares: set[str]  # what adds up to one along the axis
    levels: frozenset[str]  # places that may lie one beyond the axis
    domains: dict[str, Domain]
    operators: dict[str, Operator] = field(default_factory=dict)
    _known: dict[Any, Expr] = field(default_factory=dict)

    def of(self, node: Expr) -> Expr:
        """Return `node` in the trace of these terms."""
        table = rows(elementary(node, {}))
        return rebuild(table, self.trace, self._build, self._data())[-1]

    # --- operations along the axis

    def size(self) -> Expr:
        """Return the number of places along the axis."""
        return self._operator("count", self.trace.constant(0), 1)

    def vector(self, kind: str, x: Expr) -> Expr:
        """Return a letter for what softmax or sparsemax makes of `x`."""
        body, excluded = included(x)
        if kind == "softmax":
            rest = unshifted(body)[0]
            x = rest if excluded is None else where(excluded, -math.inf, rest)
        symbol = self._operator(kind, x, 2)
        self.shares.add(str(symbol.value))
        return symbol

    def highest(self, kind: str, x: Expr, rank: int = 1) -> Expr:
        """Return the maximum or its place over what is not excluded."""
        body, excluded = included(x)
        return self._operator(kind, body, rank, None if excluded is None else negation(excluded))

    def logsumexp(self, x: Expr) -> Expr:
        """Return log Σ eˣ over what is not excluded."""
        body, excluded = included(x)
        condition = None if excluded is None else negation(excluded)
        rest, shift = unshifted(body)
        return shift + apply("log", self._operator("sum", apply("exp", rest), 1, condition))

    def total(self, x: Expr) -> Expr:
        """Return the sum over the axis, what does not vary taken out of it."""
        if x.rank < 2:
            return x * self.size()
        if x.op == "where":
            return self._total_where(x)
        terms = expanded(x)
        if terms is None:
            return self._operator("sum", x, 1)
        outside, rest = self.trace.constant(0), []
        for coefficient, monomial in terms:
            fixed, varying = apart(monomial)
            number = product_of(coefficient, fixed, x)
            alone = [base for base, power in varying.values() if power == 1]
            choice = next((base for base in alone if base.op == "where"), None)
            if not varying:
                outside = outside + number * self.size()
            elif len(varying) == 1 and alone and str(alone[0].value) in self.shares:
                outside = outside + number
            elif choice is not None:
                other = {s: f for s, f in varying.items() if f[0] is not choice}
                factor, (condition, a, b) = product_of(1, other, x), choice.args
                outside = outside + number * self.total(where(condition, a * factor, b * factor))
            else:
                rest.append((coefficient, monomial))
        if not rest:
            return outside
        return outside + self._plain(x if len(rest) == len(terms) else gathered(rest, x))

    def joined(self, terms: Summands, node: Expr) -> Expr:
        """Return a sum of `terms`, those that are sums over the axis times the same made one."""
        outside, inside = node.trace.constant(0), dict[Any, list[Any]]()
        for coefficient, monomial in terms:
            sums = [
                (serial, operator)
                for serial, (base, power) in monomial.items()
                if (operator := self.operators.get(str(base.value)))
                and (operator.kind, power) == ("sum", 1)
            ]
            if len(sums) != 1:
                outside = outside + product_of(coefficient, monomial, node)
                continue
            rest = {s: f for s, f in monomial.items() if s != sums[0][0]}
            key = frozenset((s, power) for s, (_, power) in rest.items())
            inside.setdefault(key, []).append((float(coefficient), rest, sums[0][1]))
        for group in inside.values():
            parts = [(number, one.body, one.condition) for number, _, one in group]
            outside = outside + product_of(1, group[0][1], node) * self._union(parts, node)
        return outside

    def at(self, x: Expr, place: Expr) -> Expr:
        """Return `x` at one place of the axis."""
        made: dict[int, Expr] = {}
        for node in reachable([x]):
            args = tuple(made[a.serial] for a in node.args)
            if node.op == "symbol":
                made[node.serial] = self._there(node, place)
            elif node.op == "eq" and distance(*args) is not None:
                made[node.serial] = self._fact(distance(*args) == 0)
            elif node.op == "where" and known(args[0]) is not None:
                made[node.serial] = args[1 if known(args[0]) else 2]
            else:
                made[node.serial] = self.trace.node(node.op, *args) if args else node
        return made[x.serial]

    def limit(self, x: Expr) -> Expr:
        """Leave out a choice at y = 0 of what the other side is there, y·log y being 0."""
        if x.op != "where" or x.args[0].op != "gt" or not is_constant(x.args[0].args[1], 0):
            return x
        y, gap = x.args[0].args[0], expanded(x.args[1] - x.args[2])
        if y.op != "symbol" or y.rank < 2 or gap is None:
            return x
        return x.args[1] if all(m.get(y.serial, (y, 0))[1] > 0 for _, m in gap) else x

    # --- one node

    def _data(self) -> dict[str, Expr]:
        place, one = self.trace.symbols[PLACE], self.trace.constant(1)
        names = sorted(self.one_hot)
        return {n: where(self.trace.add("eq", (place, self._symbol(n, 1))), one, 0) for n in names}

    def _build(self, op: str, args: tuple[Expr, ...]) -> Expr:
        if op in _AXIS:
            return _AXIS[op](self, *args)
        truth = truth_of(op, args)
        if truth is not None:
            return self._fact(truth)
        if op in ("gt", "le") and is_constant(args[1], 0):
            condition = indicated(args[0])
            if condition is not None:
                return condition if op == "gt" else negation(condition)
        if op in ("and", "or"):
            return self._joined(op, *args)
        if op == "where":
            return self._where(*args)
        if op in ("maximum", "minimum"):
            finite = [a for a in args if not (a.op == "constant" and abs(number_of(a)) > HUGE)]
            return finite[0] if len(finite) == 1 else self.trace.node(op, *args)
        if op == "sqrt":
            return self.root(args[0])
        if op == "exp":
            return exponential(args[0])
        if op in ("sigmoid", "log"):
            return self._probability(op, args[0])
        made = ELEMENTARY[op](*args) if op in ELEMENTARY else self.trace.node(op, *args)
        return shorter(made) if op in ("add", "sub") else made

    def root(self, x: Expr) -> Expr:
        """Return the square root, which of a sum of squares is a length."""
        squared = x.op == "mul" and x.args[0] is x.args[1] and self._is_length(x.args[0])
        return x.args[0] if squared else apply("sqrt", x)

    def _probability(self, op: str, x: Expr) -> Expr:
        """Write σ(f) as a letter p with an index, and log(1 + e^{−f}) as −log p."""
        if op == "log":
            if x.op != "add" or not is_constant(x.args[0], 1) or x.args[1].op != "exp":
                return apply("log", x)
            f = x.args[1].args[0]
            p = self._probability("sigmoid", -f)
            return -apply("log", p) if p.op != "sigmoid" else apply("log", x)
        if x.op == "neg":
            return 1 - self._probability(op, x.args[0])
        if x.op == "symbol" and x.rank == 2:
            return self._operator("sigmoid", x, 2)
        return apply("sigmoid", x)

    def _where(self, condition: Expr, a: Expr, b: Expr) -> Expr:
        truth = known(condition)
        if truth is not None:
            return a if truth else b
        if condition.op == "eq" and is_constant(condition.args[0], 0):
            x = condition.args[1]
            if self._is_length(x) or (x.op == "mul" and self._is_length(x.args[0])):
                return b
        if condition.op == "not":
            condition, a, b = condition.args[0], b, a
        a, b = self._given(a, condition, True), self._given(b, condition, False)
        return self.limit(where(condition, a, b))

    def _given(self, x: Expr, condition: Expr, truth: bool) -> Expr:
        """Return `x` with the choices made that `condition` settles."""
        nodes = reachable([x])
        if not any(n.op == "where" and n.args[0] is condition for n in nodes):
            return x
        made: dict[int, Expr] = {}
        for node in nodes:
            args = tuple(made[a.serial] for a in node.args)
            if node.op == "where" and node.args[0] is condition:
                made[node.serial] = args[1 if truth else 2]
            else:
                made[node.serial] = self._build(node.op, args) if args else node
        return made[x.serial]

    def _joined(self, op: str, first: Expr, second: Expr) -> Expr:
        for a, b in ((first, second), (second, first)):
            truth = known(a)
            if truth is not None:
                return b if truth == (op == "and") else a
        return self.trace.node(op, first, second)

    def _is_length(self, node: Expr) -> bool:
        operator = self.operators.get(str(node.value)) if node.op == "symbol" else None
        return operator is not None and operator.kind == "norm"

    def _fact(self, truth: bool) -> Expr:
        zero = self.trace.constant(0)
        return self.trace.add("eq", (zero, zero if truth else self.trace.constant(1)))

    # --- symbols

    def _symbol(self, name: str, rank: int) -> Expr:
        self.trace.ranks = {**self.trace.ranks, name: rank}
        return self.trace.add("symbol", (), name)

    def _operator(self, kind: str, body: Expr, rank: int, condition: Expr | None = None) -> Expr:
        key = (kind, body.serial, None if condition is None else condition.serial)
        if key not in self._known:
            ends = kind in ("norm", "count") or kind.startswith("at ") or rank == 2
            name = f"{'' if ends else OPEN}@{len(self._known)}"
            self.operators[name] = Operator(kind, body, condition)
            self.domains[name] = UNIT if rank == 2 else Domain(0) if kind == "norm" else Domain()
            self._known[key] = self._symbol(name, rank)
        return self._known[key]

    def _there(self, node: Expr, place: Expr) -> Expr:
        if node.value == PLACE or node.rank < 2:
            return place if node.value == PLACE else node
        return self._operator(f"at {node.value}", place, 1)

    # --- sums

    def _union(self, parts: list[tuple[float, Expr, Expr | None]], node: Expr) -> Expr:
        """Return numbers times sums as one sum for each condition and its opposite."""
        zero = node.trace.constant(0)
        bodies: dict[int | None, list[Any]] = {}
        for number, body, condition in parts:
            opposite = condition is not None and condition.op == "not"
            asked = negation(condition) if opposite and condition is not None else condition
            held = bodies.setdefault(None if asked is None else asked.serial, [asked, zero, zero])
            held[2 if opposite else 1] += number * body
        found = zero
        for asked, first, second in bodies.values():
            first, second = shorter(first), shorter(second)
            whole = first if asked is None else self._where(asked, first, second)
            found = found + self.total(whole)
        return found

    def _plain(self, body: Expr) -> Expr:
        """Return the sum of what has no choice in it and no share that stands alone."""
        terms = expanded(body)
        whole = body if terms is None else gathered(terms, body)
        products = product_terms(body)
        if len(products) > 1 and len(product_terms(whole)) == 1:
            return self._of_product(whole, None)
        if len(products) > 1:
            minus = all(p.coefficient < 0 for p in products)
            return -self._operator("sum", -body, 1) if minus else self._operator("sum", body, 1)
        return self._of_product(body, None)

    def _of_product(self, body: Expr, condition: Expr | None) -> Expr:
        (product,) = product_terms(body)
        fixed, varying = apart(product.factors)
        number, inner = product_of(product.coefficient, fixed, body), product_of(1, varying, body)
        if self.length and condition is None and len(varying) == 1:
            ((base, power),) = varying.values()
            if power == 2 and is_linear(base):
                length = self._operator("norm", base, 1)
                return number * (length * length)
        return number * self._operator("sum", inner, 1, condition)

    def _total_where(self, x: Expr) -> Expr:
        condition, a, b = x.args
        if condition.rank < 2:
            return where(condition, self.total(a), self.total(b))
        place = self._single(condition)
        if place is not None:
            there = self._existing(self.at(a, place), place)
            return there + self._total_of(b, negation(condition))
        if is_constant(b, 0):
            return self._total_of(a, condition)
        if is_constant(a, 0):
            return self._total_of(b, negation(condition))
        return self._operator("sum", x, 1)

    def _total_of(self, x: Expr, condition: Expr) -> Expr:
        if is_constant(x, 0):
            return x
        place = self._single(x.args[0]) if x.op == "where" else None
        if place is not None and is_constant(x.args[2], 0):
            there = self._existing(self.at(x.args[1], place), place)
            return self._where(self.at(condition, place), there, x.args[2])
        if x.op != "where" and len(product_terms(x)) == 1:
            return self._of_product(x, condition)
        return self._operator("sum", x, 1, condition)

    def _single(self, condition: Expr) -> Expr | None:
        """Return the place at which alone `condition` holds."""
        place = self.trace.symbols[PLACE]
        if condition.op == "eq" and any(a is place for a in condition.args):
            return next(a for a in condition.args if a is not place)
        return None

    def _existing(self, there: Expr, place: Expr) -> Expr:
        """Return 0 in place of `there` where a level lies one beyond an end of the axis."""
        if not any(str(n.value) in self.levels for n in reachable([place])):
            return there
        return where(place < self.size() if place.op == "symbol" else place >= 0, there, 0)


def _entropy(terms: Terms, x: Expr) -> Expr:
    p = terms.vector("softmax", x)
    return -terms.total(p * apply("log", p))


def _sparse_surprise(terms: Terms, x: Expr) -> Expr:
    p = terms.vector("sparsemax", x)
    return terms.total(p * x) - terms.total(p * p) / 2 - x + 0.5


_AXIS: Mapping[str, Callable[..., Expr]] = {
    "sum": Terms.total,
    "max": lambda terms, x: terms.highest("max", x),
    "logsumexp": Terms.logsumexp,
    "max_share": lambda terms, x: terms.highest("argmax", x, 2),
    "norm": lambda terms, x: terms.root(terms.total(x * x)),
    "count": Terms.size,
    "position": lambda terms: terms.trace.symbols[PLACE],
    "uniform": lambda terms, x: 1 / terms.size(),
    "softmax": lambda terms, x: terms.vector("softmax", x),
    "softmax_rest": lambda terms, x: 1 - terms.vector("softmax", x),
    "surprise": lambda terms, x: -apply("log", terms.vector("softmax", x)),
    "entropy": _entropy,
    "sparsemax": lambda terms, x: terms.vector("sparsemax", x),
    "sparsemax_surprise": _sparse_surprise,
}
