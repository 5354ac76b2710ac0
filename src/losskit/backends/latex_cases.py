"""A formula split into cases before it is printed.

A choice that stands inside other terms, as derivatives have many, becomes a choice between whole
terms. Conditions are compared as relations of two quantities, so that what an earlier case settled
is not asked again, and a tie whose value is that of one side joins that side.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from losskit.backends.latex_elementary import is_constant
from losskit.formula.domain import REAL, Domain
from losskit.formula.expr import Expr, reachable

Signs = frozenset[str]
ALL: Signs = frozenset("<=>")
CONDITIONS = ("lt", "le", "gt", "ge", "eq", "and", "or", "not")
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "="}
_KINKED = ("abs", "signed", "minimum", "maximum", "minmod", "positive_part", "where")
_MOST_CASES = 6  # beyond this a choice is left where it stands


@dataclass(frozen=True, eq=False)
class Relation:
    """That `left` stands in one of `signs` ("<", "=", ">") to `right`."""

    left: Expr
    signs: Signs
    right: Expr


@dataclass(frozen=True, eq=False)
class Joined:
    """Two conditions joined by `word`, "and" or "or"."""

    word: str
    left: Condition
    right: Condition


Condition = Relation | Joined


@dataclass(frozen=True, eq=False)
class Choice:
    """`first` where `condition` holds, else `second`."""

    condition: Condition
    first: Cases
    second: Cases


Cases = Expr | Choice


def cases(expr: Expr, domains: Mapping[str, Domain]) -> Cases:
    """Return `expr` as choices between terms; as it is where they would be too many."""
    tree = _merged(_split(expr, {}, _MOST_CASES), domains)
    return tree if len(leaves(tree)) <= _MOST_CASES else expr


def leaves(tree: Cases) -> list[Expr]:
    """Return the terms between which `tree` chooses."""
    return leaves(tree.first) + leaves(tree.second) if isinstance(tree, Choice) else [tree]


def in_order(tree: Cases) -> list[tuple[Condition | None, Expr]]:
    """Return `tree` as a list to be read from above, the first case that holds being taken."""
    if not isinstance(tree, Choice):
        return [(None, tree)]
    head = [
        (tree.condition if inner is None else Joined("and", tree.condition, inner), value)
        for inner, value in in_order(tree.first)
    ]
    return [*head, *in_order(tree.second)]


def negated(condition: Condition) -> Condition:
    """Return the condition that holds where `condition` does not."""
    if isinstance(condition, Joined):
        word = "or" if condition.word == "and" else "and"
        return Joined(word, negated(condition.left), negated(condition.right))
    return Relation(condition.left, ALL - condition.signs, condition.right)


def condition_of(node: Expr) -> Condition:
    """Return a node of the language in the form one would write: m < 1, not 1 − m > 0."""
    if node.op == "not":
        return negated(condition_of(node.args[0]))
    if node.op in ("and", "or"):
        return Joined(node.op, *map(condition_of, node.args))
    (a, b), signs = node.args, frozenset(_SIGNS[node.op])
    if is_constant(a, 0):
        a, b, signs = b, a, _turned(signs)
    if is_constant(b, 0):
        if a.op == "abs" and signs == {">"}:
            a, signs = a.args[0], frozenset("<>")
        if a.op == "neg":
            a, signs = a.args[0], _turned(signs)
        if a.op == "sub":
            a, b = a.args
    if _rank(b) > _rank(a):
        a, b, signs = b, a, _turned(signs)
    return Relation(a, signs, b)


# --- splitting ---------------------------------------------------------------------------------


def _split(expr: Expr, known: Mapping[Any, Any], depth: int) -> Cases:
    """Split `expr` by its outermost choice; `known` are signs of pairs, truths, and values."""
    expr = _resolved(expr, known)
    choices = [n for n in reachable([expr]) if n.op == "where"]
    if not choices or not depth:
        return expr
    asked = choices[-1].args[0]
    if asked.op in ("and", "or"):  # by a part of it that is asked elsewhere too
        others = [c.args[0] for c in choices]
        asked = next((part for part in asked.args if any(part is o for o in others)), asked)
    return Choice(
        condition_of(asked),
        _split(expr, _learnt(known, asked, True), depth - 1),
        _split(expr, _learnt(known, asked, False), depth - 1),
    )


def _resolved(expr: Expr, known: Mapping[Any, Any]) -> Expr:
    made: dict[int, Expr] = {}
    for node in reachable([expr]):
        if ("value", node.serial) in known:
            made[node.serial] = known["value", node.serial]
            continue
        args = tuple(made[a.serial] for a in node.args)
        truth = _truth(args[0], known) if node.op == "where" else None
        if truth is not None:
            made[node.serial] = args[1 if truth else 2]
        else:
            made[node.serial] = node.trace.node(node.op, *args) if args else node
    return made[expr.serial]


def _truth(node: Expr, known: Mapping[Any, Any]) -> bool | None:
    if node.serial in known:
        return bool(known[node.serial])
    if node.op == "not":
        inner = _truth(node.args[0], known)
        return None if inner is None else not inner
    if node.op in ("and", "or"):
        parts = [_truth(a, known) for a in node.args]
        decisive = node.op == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    pair, signs = _paired(condition_of(node))
    possible = known.get(pair, ALL)
    if all(a.op == "constant" for a in node.args):
        return bool(_FLOATS[node.op](*(a.value for a in node.args)))
    return True if possible <= signs else False if not possible & signs else None


def _learnt(known: Mapping[Any, Any], node: Expr, truth: bool) -> dict[Any, Any]:
    found = {**known, node.serial: truth}
    if node.op == "not":
        return _learnt(found, node.args[0], not truth)
    if node.op in ("and", "or"):
        if truth == (node.op == "and"):
            for part in node.args:
                found = _learnt(found, part, truth)
        return found
    condition = condition_of(node)
    condition = condition if truth else negated(condition)
    if _is_point(condition):
        found["value", condition.left.serial] = condition.right
    pair, signs = _paired(condition)
    return {**found, pair: found.get(pair, ALL) & signs}


def _is_point(condition: Condition) -> TypeGuard[Relation]:
    """Say whether `condition` is that a symbol has a certain value."""
    return (
        isinstance(condition, Relation)
        and condition.signs == {"="}
        and (condition.left.op, condition.right.op) == ("symbol", "constant")
    )


def _paired(condition: Condition) -> tuple[tuple[int, int], Signs]:
    """Return a relation's two quantities in order of creation, and the signs between them."""
    assert isinstance(condition, Relation)
    a, b = condition.left.serial, condition.right.serial
    return ((a, b), condition.signs) if a < b else ((b, a), _turned(condition.signs))


def _turned(signs: Signs) -> Signs:
    return frozenset({"<": ">", ">": "<"}.get(s, s) for s in signs)


def _rank(node: Expr) -> int:
    """Say how much `node` is what a condition is about: data before parameters before numbers."""
    names = [str(n.value) for n in reachable([node]) if n.op == "symbol"]
    return (
        2
        if any(n in ("r", "m", "#") or n.strip("0123456789") == "f" for n in names)
        else bool(names)
    )


# --- merging -----------------------------------------------------------------------------------


def _merged(tree: Cases, domains: Mapping[str, Domain]) -> Cases:
    if not isinstance(tree, Choice):
        return tree.trace.constant(0) if _same(tree, tree.trace.constant(0), domains) else tree
    first, second = _merged(tree.first, domains), _merged(tree.second, domains)
    if not isinstance(first, Choice) and _equal(first, second, domains):
        return first
    condition = tree.condition
    if isinstance(first, Choice) and not isinstance(second, Choice):  # the simple case first
        condition, first, second = negated(condition), second, first
    if isinstance(second, Choice) and not isinstance(first, Choice):
        inner = second.condition
        if _covers(condition, inner, domains):
            return _merged(Choice(condition, first, second.second), domains)
        if isinstance(condition, Relation) and isinstance(inner, Relation):
            same_pair = _paired(condition)[0] == _paired(inner)[0]
            if same_pair and inner.left is not condition.left:
                inner = Relation(inner.right, _turned(inner.signs), inner.left)
            if same_pair and _equal(first, second.first, domains):
                signs = inner.signs | condition.signs
                merged = Choice(Relation(inner.left, signs, inner.right), first, second.second)
                return _merged(merged, domains)
            if same_pair and _equal(first, second.second, domains):
                signs = inner.signs - condition.signs
                merged = Choice(Relation(inner.left, signs, inner.right), second.first, first)
                return _merged(merged, domains)
    return Choice(condition, first, second)


def _covers(outer: Condition, inner: Condition, domains: Mapping[str, Domain]) -> bool:
    """Say whether `outer` holds at the point that `inner` is, so that nothing is left for it."""
    if not isinstance(outer, Relation) or not _is_point(inner):
        return False
    at = {str(inner.left.value): float(str(inner.right.value))}
    for point in _points([outer.left, outer.right], domains):
        a, b = (_at(side, {**point, **at}) for side in (outer.left, outer.right))
        if math.isnan(a + b) or not outer.signs & set("<" if a < b else ">" if a > b else "="):
            return False
    return True


def _equal(a: Cases, b: Cases, domains: Mapping[str, Domain]) -> bool:
    return isinstance(a, Expr) and isinstance(b, Expr) and (a is b or _same(a, b, domains))


def _same(a: Expr, b: Expr, domains: Mapping[str, Domain]) -> bool:
    """Say whether two terms, of which one has a kink, are equal wherever their symbols may lie."""
    if not any(n.op in _KINKED for n in reachable([a, b])):
        return a is b
    agreed = 0
    for point in _points([a, b], domains):
        x, y = _at(a, point), _at(b, point)
        if math.isfinite(x) and math.isfinite(y):
            if abs(x - y) > 1e-12 * max(abs(x), abs(y)):
                return False
            agreed += 1
    return agreed >= 8


def _points(terms: list[Expr], domains: Mapping[str, Domain]) -> Iterator[dict[str, float]]:
    names = [str(n.value) for n in reachable(terms) if n.op == "symbol"]
    drawn = random.Random(0)
    for _ in range(40):
        yield {n: _draw(drawn, domains.get(n, REAL)) for n in names}


def _draw(drawn: random.Random, domain: Domain) -> float:
    if domain.values:
        return drawn.choice(domain.values)
    low, high = max(domain.lower, -3.0), min(domain.upper, 3.0)
    return drawn.uniform(low, high)


def _at(expr: Expr, point: Mapping[str, float]) -> float:
    """Return the value of an elementary term, or NaN where it has none."""
    known: dict[int, Any] = {}
    try:
        for node in reachable([expr]):
            if node.op == "symbol":
                known[node.serial] = point[str(node.value)]
            elif node.op == "constant":
                known[node.serial] = float(str(node.value))
            else:
                known[node.serial] = _FLOATS[node.op](*(known[a.serial] for a in node.args))
    except (ArithmeticError, ValueError):
        return math.nan
    return float(known[expr.serial])


_FLOATS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "neg": operator.neg, "abs": abs, "pow": math.pow, "sqrt": math.sqrt,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "and": operator.and_, "or": operator.or_, "not": operator.not_,
    "where": lambda c, a, b: a if c else b, "maximum": max, "minimum": min,
    "positive_part": lambda x: max(x, 0.0), "exp": math.exp, "log": math.log, "tanh": math.tanh,
    "minmod": lambda a, b: 0.0 if a * b <= 0 else min(a, b, key=abs),
    "signed": lambda x, u: x if u > 0 else -x if u < 0 else 0.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "log_cosh": lambda x: math.log(math.cosh(x)),
}  # fmt: skip
