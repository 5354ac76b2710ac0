"""A formula's graph as a list of JSON: `["symbol", "y"]`, `["constant", 2.0]`, `["mul", [0, 1]]`.

Reading accepts what the language has and nothing else: known operations of exactly their number of
operands, each of which stands earlier in the list, and symbols that were announced. So a table can
only compute; it cannot loop, and no text of it reaches Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from losskit.formula.axis import AXIS_PRIMITIVES
from losskit.formula.diff import CONDITIONS
from losskit.formula.expr import RANKS, Row
from losskit.formula.primitives import PRIMITIVES
from losskit.portable.schema import NUMBER, refuse, shown

MOST_NODES = 500  # the catalogue's longest formula has 38
_LEAVES = ("count", "position")  # of an axis: operations without operands
_JOINED = ("and", "or", "not")
# Two bounds on the work of a short table. The derivative at a tie follows every way through a
# condition's operands; and a product with a `where` or a sign moves inwards (`formula.fold`), so
# that a product of two such chains is a chain as long as both.
_MOST_WAYS = 1000
_MOST_MADE = 5000
_CHAINED = ("where", "signed")
_MULTIPLIED = ("mul", "xmul", "div")
_PASSED = ("neg", "add", "sub", "abs")


def write_table(table: Sequence[Row]) -> list[Any]:
    """Return a formula's rows as JSON."""
    made: list[Any] = []
    for op, args, value in table:
        if op == "constant":
            made.append([op, NUMBER.write(value)])
        else:
            made.append([op, value if op == "symbol" else list(args)])
    return made


def read_table(
    where: str,
    value: Any,
    ranks: Mapping[str, int],
    along_axis: bool = False,
    most: int = MOST_NODES,
) -> tuple[Row, ...]:
    """Return the rows of a formula over the symbols that `ranks` names, or raise ValueError.

    `ranks` says how each symbol varies (see `losskit.formula.axis`); without `along_axis` the
    operations along an axis are refused.
    """
    if type(value) is not list:
        raise refuse(where, value, "a list of operations")
    if not 1 <= len(value) <= most:
        raise ValueError(f"{where} has {len(value)} operations; allowed are 1 to {most}")
    table: list[Row] = []
    known: list[int] = []  # each node's rank
    for i, node in enumerate(value):
        place = f"{where}[{i}]"
        op, args, content = row = _row(place, node, i, ranks, along_axis)
        if op in AXIS_PRIMITIVES and known[args[0]] < 2:
            raise ValueError(f"{place}: {op} takes what varies along the axis")
        conditions = args if op in _JOINED else args[:1] if op == "indicator" else ()
        if any(table[a][0] not in CONDITIONS for a in conditions):
            raise ValueError(f"{place}: {op} takes conditions such as a < b")
        rank = RANKS.get(op, max((known[a] for a in args), default=0))
        known.append(ranks[str(content)] if op == "symbol" else rank)
        table.append(row)
    if table[-1][0] in CONDITIONS or known[-1] > 1:
        raise ValueError(f"{where} ends in {table[-1][0]}, not in one number")
    _check_work(where, table)
    return tuple(table)


def _check_work(where: str, table: Sequence[Row]) -> None:
    """Raise where few operations would make many."""
    ways: list[int] = []
    lengths: list[int] = []
    made = 0
    for op, args, _ in table:
        ways.append(1 + (sum(ways[a] for a in args) if op in _JOINED else 0))
        longest = max((lengths[a] for a in args), default=0)
        if op in _MULTIPLIED:
            longest = sum(lengths[a] for a in args)
        elif op not in _PASSED:
            longest = 1 + longest if op in _CHAINED else 0
        lengths.append(longest)
        made += 1 + longest
        if ways[-1] > _MOST_WAYS or made > _MOST_MADE:
            raise ValueError(f"{where} joins or multiplies conditions so that they are too many")


def _row(place: str, node: Any, i: int, ranks: Mapping[str, int], along_axis: bool) -> Row:
    if type(node) is not list or len(node) != 2 or type(node[0]) is not str:
        raise refuse(place, node, "an operation and its operands")
    op, content = node
    if op == "symbol":
        if type(content) is not str or content not in ranks:
            raise ValueError(f"{place} is the symbol {shown(content)}, which the loss has not")
        return op, (), content
    if op == "constant":
        return op, (), NUMBER.read(place, content)
    if op in PRIMITIVES:
        arity = PRIMITIVES[op].arity
    elif along_axis and (op in AXIS_PRIMITIVES or op in _LEAVES):
        arity = 0 if op in _LEAVES else 1
    else:
        raise ValueError(f"{place} is {shown(op)}, which is no operation of the loss language")
    if type(content) is not list or len(content) != arity:
        raise ValueError(f"{place}: {op} takes {arity} operand{'s' * (arity != 1)}")
    for a in content:
        if type(a) is not int or not 0 <= a < i:
            raise ValueError(f"{place}: {shown(a)} is no operation before this one, 0 to {i - 1}")
    return op, tuple(content), None
