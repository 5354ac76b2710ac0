"""Expressions: what a loss's formula becomes when it is traced.

A formula is called once with symbols instead of numbers. What it returns is a node of a small
graph, built through `Trace.node`, which shares equal nodes and applies the rewrites of `fold`.
Nodes are ordered by creation serial within their trace (target, raw outputs, parameters first), so
the text generated from them depends on nothing but the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

Row = tuple[str, tuple[int, ...], float | str | None]
Number = int | float


class FormulaError(TypeError):
    """A formula uses something that cannot be traced; the message names what to write instead."""


class Unsupported(NotImplementedError):  # noqa: N818 - the public name that design.md gives it
    """What was asked for does not exist for this loss or backend; the message says why."""


def _binary(op: str, swapped: bool = False) -> Callable[[Expr, Expr | Number], Expr]:
    def method(self: Expr, other: Expr | Number) -> Expr:
        return self.trace.node(op, *((other, self) if swapped else (self, other)))

    return method


def _unary(op: str) -> Callable[[Expr], Expr]:
    return lambda self: self.trace.node(op, self)


class Expr:
    """One node of a formula: an operation on earlier nodes, a symbol or a constant."""

    __slots__ = ("args", "op", "serial", "trace", "value")
    __hash__ = object.__hash__

    def __init__(
        self, trace: Trace, op: str, args: tuple[Expr, ...], value: float | str | None, serial: int
    ) -> None:
        self.trace, self.op, self.args, self.value, self.serial = trace, op, args, value, serial

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

    def __eq__(self, other: object) -> NoReturn:
        raise FormulaError("'==' in a formula compares objects; write equal(a, b)")

    def __ne__(self, other: object) -> NoReturn:
        raise FormulaError("'!=' in a formula compares objects; write ~equal(a, b)")

    def __bool__(self) -> NoReturn:
        raise FormulaError(
            "a formula is traced with symbols, which have no truth value: instead of 'if', 'and', "
            "'or' or a < b < c write where(condition, a, b) and conditions joined by & and |; "
            "instead of max() and min() write maximum(a, b) and minimum(a, b)"
        )

    def __float__(self) -> NoReturn:
        raise FormulaError(
            "a formula is traced with symbols, which have no number: instead of math.exp, "
            "math.log or float() use exp, log, sqrt, … from losskit.formula"
        )

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self) -> NoReturn:
        raise FormulaError(
            "a pointwise formula sees one number at a time; it cannot be indexed or iterated"
        )

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> NoReturn:
        raise FormulaError(
            f"np.{ufunc.__name__} cannot be traced; use the functions of losskit.formula: "
            "exp, log, sqrt, maximum, where, …"
        )

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        raise FormulaError(
            f"np.{function.__name__} cannot be traced; use the functions of losskit.formula: "
            "where, maximum, minimum, …"
        )


class Trace:
    """The nodes of one formula in order of creation; equal nodes exist once."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.nodes: list[Expr] = []
        self._known: dict[Row, Expr] = {}
        self.symbols = {name: self._add("symbol", (), name) for name in symbols}

    def constant(self, value: Number) -> Expr:
        """Return the node of a number."""
        return self._add("constant", (), float(value))

    def node(self, op: str, *operands: Expr | Number) -> Expr:
        """Return `op` applied to `operands`, rewritten where that is exact."""
        from losskit.formula.fold import fold

        args = tuple(self._operand(op, a) for a in operands)
        simpler = fold(op, args)
        return self._add(op, args, None) if simpler is None else simpler

    def _operand(self, op: str, operand: Expr | Number) -> Expr:
        if isinstance(operand, Expr):
            if operand.trace is not self:
                raise FormulaError(f"{op} mixes symbols of two different formulas")
            return operand
        if isinstance(operand, (int, float)):
            return self.constant(operand)
        raise FormulaError(
            f"{op} in a formula takes traced values and plain numbers, not "
            f"{type(operand).__name__} ({operand!r:.60})"
        )

    def _add(self, op: str, args: tuple[Expr, ...], value: float | str | None) -> Expr:
        key: Row = (op, tuple(a.serial for a in args), repr(value) if op == "constant" else value)
        if key not in self._known:
            self._known[key] = Expr(self, op, args, value, len(self.nodes))
            self.nodes.append(self._known[key])
        return self._known[key]


def rows(outputs: Iterable[Expr]) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """Return the nodes that `outputs` need as plain data, for pickling and for files."""
    outputs = tuple(outputs)
    order = reachable(outputs)
    place = {node.serial: i for i, node in enumerate(order)}
    table = tuple((n.op, tuple(place[a.serial] for a in n.args), n.value) for n in order)
    return table, tuple(place[o.serial] for o in outputs)


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
