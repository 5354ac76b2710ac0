"""What a pair of items is charged, as one program: a margin loss times a weight of the pair.

Both are formulas, so that one text serves NumPy and the compiled kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from losskit.arrays import Array
from losskit.backends import numpy as numpy_backend
from losskit.definition import copies
from losskit.formula.expr import Expr, Trace
from losskit.formula.primitives import xmul
from losskit.interface import Loss

# A slope beyond this is kept at it: opposite slopes that overflow would leave NaN behind.
LARGEST = 2.0**960


@dataclass(frozen=True, eq=False)
class PairWeight:
    """A formula of the numbers that a pair's first item has in `arrays`, then the second's."""

    formula: Callable[..., Expr]
    arrays: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class PairProgram:
    """Functions of (1, margin, parameters, the first item's numbers, the second's)."""

    name: str
    wanted: tuple[str, ...]
    symbols: tuple[str, ...]
    outputs: tuple[Expr, ...]
    arrays: int
    numbers: tuple[float, ...]  # the parameters

    def numpy(self) -> Callable[..., Any]:
        """Return the NumPy function."""
        text = numpy_backend.source(self.name, self.symbols, list(self.outputs))
        return numpy_backend.compiled(text)

    def kernel(self) -> Callable[..., Any]:
        """Return the compiled kernel."""
        from losskit.backends import pair_kernels

        return pair_kernels.compiled(
            self.name, self.wanted, self.symbols, self.outputs, self.arrays, LARGEST
        )


@lru_cache(maxsize=128)
def program_of(
    loss: Loss, wanted: tuple[str, ...], formula: Callable[..., Expr] | None, arrays: int
) -> PairProgram:
    """Return the program of a margin loss at y = 1, weighed by `formula` of `arrays`."""
    form = loss.form(raw=True)
    # Of the names that parameters cannot have: f, and f with a number.
    numbered = tuple(f"f{k}" for k in range(2 * arrays))
    trace = Trace((*form.graph.symbols, *numbered))
    nodes = copies(form.graph.select(wanted), trace)
    if formula is not None:
        weight = formula(*(trace.symbols[name] for name in numbered))
        nodes = [xmul(weight, node) for node in nodes]
    symbols = (*form.graph.symbols, *numbered)
    return PairProgram(loss.name, wanted, symbols, tuple(nodes), arrays, form.values)
