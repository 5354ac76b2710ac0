"""What a formula looks like before it is printed: elementary terms, split into cases.

A choice that stands inside other terms, as derivatives have many, becomes a choice between whole
terms. Conditions are compared as relations of two quantities, so that what an earlier case settled
is not asked again, and a tie whose value is that of one side joins that side.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from losskit.formula.domain import REAL, Domain
from losskit.formula.expr import Expr, Trace, reachable, rebuild, rows

LESS, EQUAL, GREATER = "<", "=", ">"
Relations = frozenset[str]
ALL: Relations = frozenset((LESS, EQUAL, GREATER))
_OF: dict[str, Relations] = {
    "lt": frozenset(LESS),
    "le": frozenset((LESS, EQUAL)),
    "gt": frozenset(GREATER),
    "ge": frozenset((GREATER, EQUAL)),
    "eq": frozenset(EQUAL),
}
_MOST_CASES = 6  # beyond this a choice is left where it stands
_DATA = ("y", "r", "m")


@dataclass(frozen=True, eq=False)
class Relation:
    """That `left` stands in one of `signs` to `right`."""

    left: Expr
    signs: Relations
    right: Expr

    @property
    def pair(self) -> tuple[int, int]:
        """What tells two relations of the same quantities."""
        return self.left.serial, self.right.serial


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
Known = Mapping[tuple[int, int], Relations]


def elementary(
    output: Expr, symbols: tuple[str, ...], replaced: Mapping[tuple[str, str, str], str]
) -> Expr:
    """Return `output` in a trace of its own, composites written out, and with short names.

    `replaced` maps (operation, symbol, symbol) to the name it gets, as ("sub", "f", "y"): "r".
    """
    trace = Trace(dict.fromkeys((*symbols, *replaced.values())))

    def build(op: str, args: tuple[Expr, ...]) -> Expr:
        if op in ("sub", "mul") and all(a.op == "symbol" for a in args):
            names = tuple(str(a.value) for a in args)
            for left, right in (names, names[::-1]):
                if (op, left, right) in replaced:
                    short = trace.symbols[replaced[op, left, right]]
                    return -short if op == "sub" and (left, right) != names else short
        return _ELEMENTARY[op](*args) if op in _ELEMENTARY else trace.node(op, *args)

    return rebuild(rows(output), trace, build)[-1]


def cases(expr: Expr, domains: Mapping[str, Domain]) -> Cases:
    """Return `expr` as a tree of choices between terms, or as it is where they would be too many."""
    found = _joined(_split(expr, {}), domains)
    return found if len(list(leaves(found))) <= _MOST_CASES else expr


def leaves(tree: Cases) -> list[Expr]:
    """Return the terms between which `tree` chooses."""
    if isinstance(tree, Choice):
        return leaves(tree.first) + leaves(tree.second)
    return [tree]


def negated(condition: Condition) -> Condition:
    """Return the condition that holds where `condition` does not."""
    if isinstance(condition, Joined):
        word = "or" if condition.word == "and" else "and"
        return Joined(word, negated(condition.left), negated(condition.right))
    return Relation(condition.left, ALL - condition.signs, condition.right)


def condition_of(node: Expr) -> Condition:
    """Return a node of the language as a condition in its readable form: m < 1, not 1 − m > 0."""
    if node.op == "not":
        return negated(condition_of(node.args[0]))
    if node.op in ("and", "or"):
        return Joined(node.op, *map(condition_of, node.args))
    (a, b), signs = node.args, _OF[node.op]
    if _is_zero(a):
        a, b, signs = b, a, _turned(signs)
    if _is_zero(b):
        if a.op == "abs" and signs == _OF["gt"]:  # |x| > 0
            a, signs = a.args[0], frozenset((LESS, GREATER))
        if a.op == "neg":
            a, signs = a.args[0], _turned(signs)
        if a.op == "sub":
            a, b = a.args
    if (a.op == "constant" and b.op != "constant") or (_has_data(b) and not _has_data(a)):
        a, b, signs = b, a, _turned(signs)
    return Relation(a, signs, b)


# --- splitting ---------------------------------------------------------------------------------


def _split(expr: Expr, known: Known) -> Cases:
    expr = _resolved(expr, known)
    choices = [n for n in reachable([expr]) if n.op == "where"]
    if not choices or len(known) > _MOST_CASES:
        return expr
    condition = condition_of(choices[-1].args[0])
    yes, no = _learnt(known, condition), _learnt(known, negated(condition))
    return Choice(
        condition,
        _split(_chosen(expr, choices[-1], 1), yes),
        _split(_chosen(expr, choices[-1], 2), no),
    )
