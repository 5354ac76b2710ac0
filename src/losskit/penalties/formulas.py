"""How a penalty is written: two formulas of one number, traced once, printed for each backend."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from losskit.backends import suggest
from losskit.backends.kernel_source import TABLE
from losskit.backends.numpy import PRINTER as NUMPY
from losskit.backends.numpy import compiled, source
from losskit.definition import Parameter, signature_of
from losskit.formula.diff import derivative
from losskit.formula.emit import Printer, emit
from losskit.formula.expr import (
    Expr,
    FormulaError,
    Row,
    Trace,
    Unsupported,
    depends,
    rebuild,
    rows,
)
from losskit.formula.lower import lower
from losskit.formula.primitives import maximum, minimum

ARGUMENTS = ("w", "v", "step", "alpha")


class Formulas(NamedTuple):
    """What the function of a penalty returns: its value of w, its proximal step from v, and, where
    the value is l1·|w| + l2/2·w², the two strengths.
    """

    value: Any
    prox: Any
    l1: Any = None
    l2: Any = None


def soft(v: Expr, threshold: Expr | float) -> Expr:
    """Return v brought nearer to 0 by the threshold, and 0 where it is no farther than that."""
    return v - minimum(maximum(v, -threshold), threshold)


def elastic(w: Expr, v: Expr, step: Expr, l1: Expr | float, l2: Expr | float) -> Formulas:
    """Return the formulas of the penalty l1·|w| + l2/2·w²."""
    near = v if not isinstance(l1, Expr) and l1 == 0 else soft(v, step * l1)
    return Formulas(l1 * abs(w) + l2 * (w * w) / 2, near / (1 + step * l2), l1, l2)


@dataclass(frozen=True)
class Definition:
    """A penalty's formulas as plain data, which can be compared, pickled and copied."""

    name: str
    doc: str
    cite: str
    parameters: tuple[Parameter, ...]
    ordered: tuple[str, ...]
    formulas: tuple[tuple[str, tuple[Row, ...]], ...]
    own: bool  # one of losskit's

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(p.name for p in self.parameters)

    @property
    def scaled(self) -> bool:
        """Whether alpha stands in any formula."""
        traces = {wanted: Trace(self.arguments(wanted)) for wanted in ("value", "prox")}
        return any(
            depends(self._node(wanted, trace), [trace.symbols["alpha"]])
            for wanted, trace in traces.items()
        )

    def check(self, values: dict[str, Any]) -> tuple[float, ...]:
        """Return the parameters' values in order, or raise TypeError or ValueError."""
        for name in values:
            if name not in self.symbols:
                has = f"it has {', '.join(self.symbols)}" if self.symbols else "it has none"
                raise TypeError(
                    f"{self.name} has no parameter {name!r}{suggest(name, self.symbols)}; {has}"
                )
        numbers = tuple(
            float(p.check(self.name, values.get(p.name, p.default))) for p in self.parameters
        )
        given = dict(zip(self.symbols, numbers, strict=True))
        for less, more in zip(self.ordered, self.ordered[1:], strict=False):
            if given[less] > given[more]:
                raise ValueError(
                    f"{self.name}: {less}={given[less]:g}, {more}={given[more]:g}; needed is "
                    f"{less} ≤ {more}"
                )
        return numbers

    def text(self, backend: str, wanted: str) -> str:
        """Return the text of a scalar function: see `Penalty.scalar`."""
        known = ("prox", "value")
        if wanted not in known:
            raise ValueError(f"{self.name}: no {wanted!r}; needed is one of {', '.join(known)}")
        if backend == "numpy":
            return _numpy_text(self, wanted)
        if backend != "numba":
            raise Unsupported(f"penalties are printed for 'numpy' and 'numba', not {backend!r:.40}")
        symbols = self.arguments(wanted)
        program = emit(self.nodes(Trace(symbols), wanted), _SCALAR)
        lines = ["import math", "", "", f"def {wanted}({', '.join(symbols)}):"]
        lines += [f"    {target} = {text}" for target, text in program.statements]
        return "\n".join([*lines, f"    return {program.results[0]}"]) + "\n"

    def arguments(self, wanted: str) -> tuple[str, ...]:
        """Return the names of what a function takes."""
        return (*_TAKES[wanted], "alpha", *self.symbols)

    def nodes(self, trace: Trace, wanted: str) -> list[Expr]:
        """Return the nodes of a function's results, made in `trace`."""
        if wanted == "slopes":
            return _one_sided(self._node("value", Trace(self.arguments("value"))), trace)
        parts = ("l1", "l2") if wanted == "strengths" else (wanted,)
        return [self._node(part, trace) for part in parts]

    def _node(self, part: str, trace: Trace) -> Expr:
        table = dict(self.formulas)[part]
        return rebuild(table, trace, _building(trace))[-1]


def penalty(
    function: Callable[..., Any] | None = None, *, cite: str = "", ordered: tuple[str, ...] = ()
) -> Any:
    """Make a penalty of two formulas: `@losskit.penalties.penalty` above a function of (w, v, step,
    alpha) and parameters with defaults, annotated with their domains as those of a loss.

    It returns the value of a weight w at strength alpha, and the proximal step from v: the w that
    makes (w − v)²/(2·step) + value(w) least. What it returns for the value may be infinite where w
    is not allowed. `elastic` gives both where the value is l1·|w| + l2/2·w². `ordered` names
    parameters that may not decrease in this order.

    >>> from math import inf
    >>> from losskit.formula import positive_part, where
    >>> from losskit.penalties import penalty
    >>> @penalty
    ... def positive_l1(w, v, step, alpha):
    ...     "Charges weights their size and allows none below 0."
    ...     return where(w < 0, inf, alpha * w), positive_part(v - step * alpha)
    >>> positive_l1.prox([1.0, -2.0], step=0.5, alpha=1.0)
    array([0.5, 0. ])
    >>> positive_l1.alpha_max([-3.0, 5.0])
    3.0
    """
    from losskit.penalties.interface import Penalty, enrol  # which stands on this module

    if function is None:
        return partial(penalty, cite=cite, ordered=ordered)
    if not callable(function):
        raise TypeError(f"penalty makes a penalty of a function, not of {function!r:.40}")
    made = _define(function, cite, tuple(ordered))
    return enrol(Penalty(made, made.check({})))


def _define(function: Callable[..., Any], cite: str, ordered: tuple[str, ...]) -> Definition:
    name = function.__name__
    if not name.isidentifier():
        raise ValueError(f"a penalty needs a name: define its formulas by def, not as {name}")
    data, parameters = signature_of(function)
    first = tuple(inspect.signature(function).parameters)[: 1 + len(data)]
    if first != ARGUMENTS:
        raise ValueError(
            f"{name}: a penalty takes ({', '.join(ARGUMENTS)}) and parameters with defaults, not "
            f"({', '.join(first)})"
        )
    symbols = tuple(p.name for p in parameters)
    for p in parameters:
        if not isinstance(p.default, float) or p.name == "math":
            raise ValueError(f"{name}: {p.name}={p.default!r}; a penalty's parameters are numbers")
    if not set(ordered) <= set(symbols):
        raise ValueError(f"{name}: ordered={ordered}; needed are names among {symbols}")
    trace = Trace((*ARGUMENTS, *symbols))
    given = function(
        *(trace.symbols[s] for s in ARGUMENTS), **{s: trace.symbols[s] for s in symbols}
    )
    if not isinstance(given, tuple) or len(given) not in (2, 4):
        raise FormulaError(
            f"{name}: a penalty returns two formulas, value and prox, not {given!r:.60}"
        )
    tables = []
    for part, node in Formulas(*given)._asdict().items():
        if node is None:
            continue
        if isinstance(node, (int, float)):
            node = trace.constant(node)
        if not isinstance(node, Expr):
            raise FormulaError(f"{name}: the formula of {part} is {node!r:.40}, no expression")
        for other in {*ARGUMENTS[:3]} - {*_TAKES.get(part, ())}:
            if depends(node, [trace.symbols[other]]):
                raise FormulaError(f"{name}: the formula of {part} may not depend on {other}")
        tables.append((part, rows(node)))
    doc = inspect.cleandoc(function.__doc__ or "")
    own = function.__module__ == "losskit.penalties.separable"
    return Definition(name, doc, cite, parameters, ordered, tuple(tables), own)


# What each function takes before alpha and the parameters; `slopes` gives the one-sided slopes at w
# and the values at w and at its neighbours left and right.
_TAKES = {
    "value": ("w",), "prox": ("v", "step"), "slopes": ("w", "left", "right"), "strengths": (),
}  # fmt: skip

# One number in plain Python, for the inside of a loop over coordinates that Numba compiles.
_SCALAR = Printer(
    "numba",
    {
        **{op: text for op, text in TABLE.items() if op != "log1p_unit"},
        **{op: f"math.{op}({{0}})" for op in ("sqrt", "exp", "expm1", "log", "log1p")},
        "pow": "math.pow({0}, {1})",
        "maximum": "({0} if {0} > {1} else {1})",
        "minimum": "({0} if {0} < {1} else {1})",
        "where": "({1} if {0} else {2})",
    },
    lambda x: repr(x) if math.isfinite(x) else f"float('{x}')",
    every_step=True,
)


@lru_cache(maxsize=256)
def function(definition: Definition, wanted: str) -> Callable[..., Any]:
    """Return the NumPy function of value, prox, slopes or strengths, which returns a tuple."""
    return compiled(_numpy_text(definition, wanted))


def _numpy_text(definition: Definition, wanted: str) -> str:
    symbols = definition.arguments(wanted)
    return source(wanted, symbols, definition.nodes(Trace(symbols), wanted))


def _one_sided(value: Expr, trace: Trace) -> list[Expr]:
    """Return the slopes of `value` left and right of w, and the values at w, left and right."""
    slope = derivative(value, value.trace.symbols["w"])
    table = rows(lower([slope], NUMPY.table, NUMPY.name)[0])
    slopes = [_beside(table, trace, trace.symbols[side]) for side in ("left", "right")]
    places = [{"w": trace.symbols[place]} for place in ("w", "left", "right")]
    return slopes + [rebuild(rows(value), trace, _building(trace), place)[-1] for place in places]


def _beside(table: tuple[Row, ...], trace: Trace, neighbour: Expr) -> Expr:
    """Return a slope's formula with conditions and signs taken at the neighbour of w, everything
    else at w, which is exactly the slope on that side.
    """
    there = rebuild(table, trace, _building(trace), {"w": neighbour})
    here: list[Expr] = []
    for (op, args, value), moved in zip(table, there, strict=True):
        if op in ("symbol", "constant"):
            here.append(trace.symbols[str(value)] if op == "symbol" else moved)
            continue
        aside = {"where": 0, "signed": 1}.get(op)
        here.append(
            trace.node(op, *(there[i] if k == aside else here[i] for k, i in enumerate(args)))
        )
    return here[-1]


def _building(trace: Trace) -> Callable[[str, tuple[Expr, ...]], Expr]:
    return lambda op, args: trace.node(op, *args)
