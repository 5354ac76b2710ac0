"""Printing a lowered graph through one table of a backend: operation → text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from losskit.formula.expr import Expr, reachable
from losskit.formula.lower import lower


@dataclass(frozen=True)
class Printer:
    """How one backend writes a formula: a format per operation, and constants by a function."""

    name: str
    table: Mapping[str, str]
    constant: Callable[[float], str] = repr
    every_step: bool = False  # give every operation a name, not only the shared ones
    spread: str = "{0}"  # how a row's value is repeated along the axis


@dataclass(frozen=True)
class Program:
    """Straight-line text: `statements` of (name, expression), then the `results`' texts."""

    statements: tuple[tuple[str, str], ...]
    results: tuple[str, ...]


def emit(outputs: Sequence[Expr], printer: Printer) -> Program:
    """Write `outputs` with `printer`, naming what is used more than once `t1, t2, …`."""
    lowered = lower(outputs, printer.table, printer.name)
    nodes, depth = reachable(lowered), Counter[int]()  # Python's parser nests some 90 deep
    uses = Counter(a.serial for n in nodes for a in n.args)
    text: dict[int, str] = {}
    statements: list[tuple[str, str]] = []
    for node in nodes:
        if node.op == "symbol":
            text[node.serial] = str(node.value)
        elif node.op == "constant":
            text[node.serial] = printer.constant(float(node.value))  # type: ignore[arg-type]
        else:
            spread = (printer.spread if a.rank == 1 < node.rank else "{0}" for a in node.args)
            args = (s.format(text[a.serial]) for s, a in zip(spread, node.args, strict=True))
            written = printer.table[node.op].format(*args)
            depth[node.serial] = 1 + max((depth[a.serial] for a in node.args), default=0)
            if printer.every_step or uses[node.serial] > 1 or depth[node.serial] > 80:
                depth[node.serial] = 0
                statements.append((f"t{len(statements) + 1}", written))
                written = statements[-1][0]
            text[node.serial] = written
    return Program(tuple(statements), tuple(text[o.serial] for o in lowered))
