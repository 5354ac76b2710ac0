"""Expressions: what a loss's formula becomes when it is traced.

A formula is called once with symbols instead of numbers and returns a node of a small graph, in
which equal nodes exist once. Nodes are ordered by creation within their trace (target, raw outputs,
parameters first), so the text generated from them depends on nothing but the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

Row = tuple[str, tuple[int, ...], float | str | None]
RANKS: dict[str, int] = {}  # of operations whose result's rank is not the largest operand's


class FormulaError(TypeError):
    """A formula uses something that cannot be traced; the message names what to write instead."""


class Unsupported(NotImplementedError):
    """What was asked for does not exist for this loss or backend; the message says why."""


def _binary(op: str, swapped: bool = False) -> Callable[[Expr, Expr | float], Expr]:
    def method(self: Expr, other: Expr | float) -> Expr:
        return self.trace.node(op, *((other, self) if swapped else (self, other)))

    return method


def _unary(op: str) -> Callable[[Expr], Expr]:
    return lambda self: self.trace.node(op, self)


def _refuse(advice: str) -> Any:
    def method(*_: Any, **__: Any) -> NoReturn:
        raise FormulaError(f"a formula is traced with symbols; {advice}")

    return method


class Expr:
    """One node of a formula: an operation on earlier nodes, a symbol or a constant."""

    __slots__ = ("args", "op", "rank", "serial", "trace", "value")
    __hash__ = object.__hash__

    def __init__(
        self, trace: Trace, op: str, args: tuple[Expr, ...], value: float | str | None, rank: int
    ) -> None:
        self.trace, self.op, self.args, self.value, self.rank = trace, op, args, value, rank
        self.serial = len(trace.nodes)

    def __repr__(self) -> str:
        if self.op in ("symbol", "constant"):
            return str(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"

    __add__, __radd__ = _binary("add"), _binary("add", swapped=True)
    __sub__, __rsub__ = _binary("sub"), _binary("sub", swapped=True)
    __mul__, __rmul__ = _binary("mul"), _binary("mul", swapped=True)
    __truediv__, __rtruediv__ = _binary("div"), _binary("div", swapped=True)
    __pow__, __rpow__ = _binary("pow"), _binary("pow", swapped=True)
    __lt__, __le__, __gt__, __ge__ = _binary("lt"), _binary("le"), _binary("gt"), _binary("ge")
    __and__, __or__ = _binary("and"), _binary("or")
    __neg__, __abs__, __invert__ = _unary("neg"), _unary("abs"), _unary("not")

    __eq__ = _refuse("'==' compares objects: write equal(a, b)")
    __ne__ = _refuse("'!=' compares objects: write ~equal(a, b)")
    __bool__ = _refuse(
        "'if', 'and', 'or', a < b < c, max() and min() ask for a truth value: write "
        "where(condition, a, b), join conditions by & and |, and use maximum(a, b), minimum(a, b)"
    )
    __float__ = __int__ = __index__ = __complex__ = _refuse(
        "math.exp, float() and the like ask for a number: use exp, log, sqrt, … of losskit.formula"
    )
    __iter__ = __mod__ = __floordiv__ = _refuse(
        "a formula sees one number at a time, or a whole axis, without index, iteration, % or //"
    )

    __len__ = __matmul__ = __rmatmul__ = _refuse(
        "along an axis write count(x) for its length and dot(x, y) for a product"
    )

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"a traced value has no {name!r}: write sum_(x), mean_(x), exp(x), … of losskit.formula"
        )

    def __getitem__(self, index: Expr) -> Expr:
        from losskit.formula.axis import pick

        if self.rank == 2 and isinstance(index, Expr):
            return pick(self, index)
        raise FormulaError("x[y] picks at the index of a row's class (y: Index), and nothing else")

    __array_ufunc__ = __array_function__ = _refuse(
        "NumPy's functions cannot be traced: use exp, log, where, maximum, … of losskit.formula"
    )


class Trace:
    """The nodes of one formula in order of creation; equal nodes exist once.

    `ranks` says which symbols a row has once (1) and which vary along the axis (2), see `axis`.
    """

    def __init__(self, symbols: Iterable[str], ranks: Mapping[str, int] | None = None) -> None:
        self.nodes: list[Expr] = []
        self._known: dict[Row, Expr] = {}
        self.ranks = {} if ranks is None else ranks
        self.symbols = {name: self.add("symbol", (), name) for name in symbols}

    def constant(self, value: float) -> Expr:
        """Return the node of a number."""
        return self.add("constant", (), float(value))

    def node(self, op: str, *operands: Expr | float) -> Expr:
        """Return `op` applied to `operands`, rewritten where that is exact."""
        from losskit.formula.fold import fold

        args = tuple(self._operand(op, a) for a in operands)
        simpler = fold(op, args)
        return self.add(op, args) if simpler is None else simpler

    def _operand(self, op: str, operand: Expr | float) -> Expr:
        if isinstance(operand, Expr):
            if operand.trace is not self:
                raise FormulaError(f"{op} mixes symbols of two different formulas")
            return operand
        if isinstance(operand, (int, float)) and not isinstance(operand, bool):
            return self.constant(operand)
        raise FormulaError(f"{op} takes traced values and plain numbers, not {operand!r:.60}")

    def add(self, op: str, args: tuple[Expr, ...], value: float | str | None = None) -> Expr:
        """Return the node without rewriting."""
        key: Row = (op, tuple(a.serial for a in args), repr(value) if op == "constant" else value)
        if key not in self._known:
            rank = self.ranks.get(str(value), 0) if op == "symbol" else RANKS.get(op)
            if rank is None:
                rank = max((a.rank for a in args), default=0)
            self._known[key] = Expr(self, op, args, value, rank)
            self.nodes.append(self._known[key])
        return self._known[key]


def rows(value: Expr) -> tuple[Row, ...]:
    """Return the nodes that `value` needs, itself last, as plain data for pickles and files."""
    order = reachable([value])
    place = {node.serial: i for i, node in enumerate(order)}
    return tuple((n.op, tuple(place[a.serial] for a in n.args), n.value) for n in order)


def rebuild(
    table: Iterable[Row],
    trace: Trace,
    build: Callable[[str, tuple[Expr, ...]], Expr],
    replaced: Mapping[str, Expr] | None = None,
) -> list[Expr]:
    """Return `table`'s nodes made anew in `trace`: operations by `build`, symbols as `replaced`."""
    symbols = {**trace.symbols, **(replaced or {})}
    made: list[Expr] = []
    for op, args, value in table:
        if op == "symbol":
            made.append(symbols[str(value)])
        elif op == "constant":
            made.append(trace.constant(float(str(value))))
        else:
            made.append(build(op, tuple(made[i] for i in args)))
    return made


def reachable(outputs: Iterable[Expr]) -> list[Expr]:
    """Return the nodes that `outputs` need, arguments before their users."""
    seen: dict[int, Expr] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.serial not in seen:
            seen[node.serial] = node
            stack.extend(node.args)
    return [seen[serial] for serial in sorted(seen)]


def depends(expr: Expr, symbols: Iterable[Expr]) -> bool:
    """Say whether `expr` contains any of `symbols`."""
    wanted = {s.serial for s in symbols}
    return any(node.serial in wanted for node in reachable([expr]))
