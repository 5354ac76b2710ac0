"""Losses without corners, made of losses with corners by rewriting their formulas.

An absolute value becomes √(u² + μ²) − μ, which lies below |u|, never by more than μ, and curves
everywhere; maximum, minimum, positive part and a `where` with a corner are absolute
values too (Nesterov 2005, "Smooth minimization of non-smooth functions", smooths the same way). A
loss in which they enter increasingly, as they do in a convex one, so has ℓ_μ ≤ ℓ, and what ℓ_μ
attains bounds the minimum of ℓ from below. Gradient and curvature come from the table of
derivatives, and μ is a parameter like any other: another μ compiles nothing.

Which operations make the corners is found by numbers: one does where the loss's slope jumps as that
operation changes its choice. The others (the |r| of `huber`) are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.backends import numpy as numpy_backend
from losskit.definition import Graph, Parameter
from losskit.fit.objective.conjugate import minimisers
from losskit.fit.objective.corners import CHOICES, Corner, along_lines, corners, linear_edge, tables
from losskit.formula.diff import CONDITIONS, derivative
from losskit.formula.domain import POSITIVE
from losskit.formula.expr import Expr, Trace, Unsupported, depends, rebuild, rows
from losskit.formula.primitives import apply, boxcox_square, hypot1, maximum, pow_, where
from losskit.interface import Loss

Array = np.ndarray[Any, np.dtype[Any]]
PARAMETER = "smoothing"
_SUFFIX = "_smoothed"
_WIDTHS = (1e-3, 1.0, 1e3, 1e6)  # at which no corner may be left
_SLACK = 1e-12
_ADVICE = "write its corners with abs, maximum, minimum or positive_part"


def needs_smoothing(loss: Any) -> bool:
    """Say whether a loss has corners, at which solvers that follow slopes get stuck.

    Of a loss of one number its formula is searched, of one over classes or labels the slopes along
    random lines. Raises Unsupported for a loss without derivative, and where neither applies.

    >>> import losskit
    >>> from losskit.fit.objective.smoothing import needs_smoothing
    >>> needs_smoothing(losskit.quantile), needs_smoothing(losskit.huber)
    (True, False)
    """
    if loss.kind == "pointwise" and len(loss.outputs) == 1:
        return bool(_corners_of(loss))
    return along_lines(loss)


def smoothed(loss: Any, smoothing: float = 1.0) -> Loss:
    """Return a loss without corners for solvers that need curvature: ℓ_μ ≤ ℓ, with μ `smoothing`.

    The loss itself where it has no corners. Change other parameters before smoothing; `smoothing`,
    in the units of the raw score, may be changed at any time: `made(smoothing=1e-3)`. Raises
    Unsupported for losses over classes or of several outputs, and where a corner stays.

    >>> import losskit
    >>> from losskit.fit.objective.smoothing import smoothed
    >>> smoothed(losskit.absolute_error, 4.0)([0.0], [3.0])
    1.0
    """
    _check_kind(loss)
    if not _corners_of(loss):
        return loss
    return _built(loss).loss(smoothing=smoothing)


def is_smoothed(loss: Any) -> bool:
    """Say whether a loss is one that `smoothed` has made."""
    return loss.definition.name.endswith(_SUFFIX) and PARAMETER in loss.params


def smoothing_error(loss: Any, smoothing: float, y_true: Any) -> Array:
    """Return for each target a bound on ℓ − ℓ_μ over all predictions, infinite where none is known.

    It is derived from the formula: each rounded corner costs at most μ (an absolute value) or μ/2
    (a maximum), times the factors that stand before it. At given predictions the difference itself,
    `loss(y, f) - smoothed(loss, mu)(y, f)`, is nearer, and all that a certificate needs: ℓ_μ ≤ ℓ
    makes F(w) − min F ≤ F(w) − F_μ(w) + (F_μ(w) − min F_μ).
    """
    _check_kind(loss)
    y = np.asarray(y_true, dtype=np.float64)
    if not _corners_of(loss):
        return np.zeros(y.shape)
    made = _built(loss)
    if made.error is None:
        return np.full(y.shape, np.inf)
    graph = made.error
    function = numpy_backend.compiled(numpy_backend.source("bound", graph.symbols, [graph.value]))
    values = made.loss(smoothing=smoothing).form(raw=True).values
    with np.errstate(all="ignore"):
        (bound,) = function(y, np.zeros(y.shape), *values)
    return np.array(np.broadcast_to(bound, y.shape), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Built:
    """A smoothed loss, and the bound on what smoothing takes off as an expression of the target."""

    loss: Loss
    error: Graph | None


def _check_kind(loss: Any) -> None:
    if loss.kind != "pointwise" or len(loss.outputs) != 1:
        what = "several raw outputs" if loss.kind == "pointwise" else "more than one number"
        raise Unsupported(
            f"{loss.name} sees {what}; corners are rounded for losses of one target and one score"
        )


@lru_cache(maxsize=256)
def _corners_of(loss: Any) -> tuple[Corner, ...]:
    graph = loss.form(raw=True).graph
    if "gradient" not in graph.orders:
        raise Unsupported(f"{loss.name} is made of steps: it has no slope to follow")
    made = _Rewritten(graph, {})
    return corners(loss, made.value, graph.symbols, made.choices, [loss.form(raw=True).values])


@lru_cache(maxsize=256)
def _built(loss: Any) -> _Built:
    """Round corners until none is left: rounding an outer one may uncover one inside it."""
    graph = loss.form(raw=True).graph
    if PARAMETER in loss.params:
        raise Unsupported(f"{loss.name} has a parameter called {PARAMETER!r} already: rename it")
    values = [(*loss.form(raw=True).values, width) for width in _WIDTHS]
    rounded: dict[int, str] = {}
    found: Sequence[Corner] = _corners_of(loss)
    while found:
        for corner in found:
            if corner.direction == 0:
                raise Unsupported(
                    f"{loss.name} grows with a corner of its {corner.op} here, falls there, so "
                    "that cannot be rounded from below; use a convex loss"
                )
            rounded[corner.place] = _manner(loss, graph, corner)
        made = _Rewritten(graph, rounded)
        found = corners(loss, made.value, made.symbols, made.choices, values)
    built = _Built(_loss_of(loss, made), made.error_graph)
    _verify(loss, built.loss, values)
    return built


def _manner(loss: Any, graph: Graph, corner: Corner) -> str:
    """Return how a corner is rounded: "below" or "above" it, for `where` by what it is."""
    if corner.op != "where":
        return "below" if corner.direction > 0 else "above"
    node = _Rewritten(graph, {}).nodes[corner.place]
    first, second = node.args[1:]
    nodes = [node, maximum(first, second), apply("minimum", first, second)]
    values = tables(loss, nodes, graph.symbols, loss.form(raw=True).values)
    chosen, larger, smaller = np.concatenate(values, axis=1)
    known = np.isfinite(larger) & np.isfinite(smaller)
    slack = _SLACK * (1 + np.abs(chosen[known]))
    for name, other in (("maximum", larger), ("minimum", smaller)):
        if (np.abs(chosen - other)[known] <= slack).all():
            return f"{name} {'below' if corner.direction > 0 else 'above'}"
    if corner.direction > 0 and linear_edge(node, graph.outputs[0]):
        return "bend"
    raise Unsupported(
        f"{loss.name}: its where(…) has a corner but is no maximum or minimum; {_ADVICE}"
    )


class _Rewritten:
    """A formula with some operations rounded, beside itself: conditions see the one as it was.

    `rounded` says by place in the table of nodes how; `nodes` are the new nodes by place, `choices`
    those of them that may still make corners.
    """

    def __init__(self, graph: Graph, rounded: dict[int, str]) -> None:
        table = rows(graph.value)
        self.symbols = (*graph.symbols, PARAMETER) if rounded else graph.symbols
        self.trace = Trace(self.symbols)
        self.width = self.trace.symbols.get(PARAMETER)
        self.output = self.trace.symbols[str(graph.outputs[0].value)]
        exact = rebuild(table, self.trace, lambda op, args: self.trace.node(op, *args))
        self.nodes: list[Expr] = []
        self.errors: list[Expr | None] = []  # bounds on what rounding changes; None: unknown
        for place, (op, args, _) in enumerate(table):
            operands = [self.nodes[i] for i in args]
            errors = [self.errors[i] for i in args]
            if op == "where":
                operands[0] = exact[args[0]]
            node: Expr = exact[place]
            error: Expr | None = self._number(0)
            if op not in CONDITIONS and args:
                node, error = self._made(op, operands, errors, rounded.get(place), node)
            self.nodes.append(node)
            self.errors.append(error)
        self.value = self.nodes[-1]
        used = _in_values(table)
        self.choices = {
            place: self.nodes[place]
            for place, (op, _, _) in enumerate(table)
            if op in CHOICES and place in used and place not in rounded
        }

    @property
    def error_graph(self) -> Graph | None:
        """What smoothing takes off at most, None where it is unknown."""
        error = self.errors[-1]
        if error is None or depends(error, [self.output]):
            return None
        return Graph("bound", self.symbols, (self.output,), error)

    def _number(self, value: float) -> Expr:
        return self.trace.constant(value)

    def _made(
        self, op: str, args: list[Expr], errors: list[Expr | None], manner: str | None, exact: Expr
    ) -> tuple[Expr, Expr | None]:
        carried = self._carried(op, args, errors)
        if manner is None:
            return self.trace.node(op, *args), carried
        assert self.width is not None
        node, error = _round(op, args, manner, exact, self.width, self.output)
        return node, None if carried is None else carried + error

    def _carried(self, op: str, args: list[Expr], errors: list[Expr | None]) -> Expr | None:
        """Return the bound on the change of an operation whose operands change by `errors`."""
        if op == "where":
            args, errors = args[1:], errors[1:]
        known = [e for e in errors if e is not None]
        if len(known) < len(errors):
            return None
        moving = [i for i, e in enumerate(known) if e.value != 0]
        if not moving:
            return self._number(0)
        if op in ("neg", "abs", "positive_part"):
            return known[0]
        if op in ("add", "sub"):
            return known[0] + known[1]
        if op in ("maximum", "minimum", "where"):
            return maximum(known[0], known[1])
        if op in ("mul", "xmul", "div") and len(moving) == 1 and (op != "div" or moving == [0]):
            factor = args[1 - moving[0]]
            return apply("div" if op == "div" else "mul", known[moving[0]], abs(factor))
        return None


def _round(
    op: str, args: list[Expr], manner: str, exact: Expr, width: Expr, output: Expr
) -> tuple[Expr, Expr]:
    """Return an operation without its corner, and how far it lies from the one with it at most."""
    name, _, side = manner.rpartition(" ")
    if op == "abs":
        made = 0.5 * width * boxcox_square(args[0] / width, 0.5)
        return (made + width if side == "above" else made), width
    if op == "abs_pow":  # to the power 1, at which alone it has a corner; convex from 1 to 2
        size, half = pow_(width, args[1]), 0.5 * args[1]
        made = size * half * boxcox_square(args[0] / width, half)
        return (made + size if side == "above" else made), size
    if manner == "bend":
        return _bent(args, exact, width, output)
    a, b = args[0] if op == "positive_part" else args[-2], args[-1]
    if op == "positive_part":
        b = width.trace.constant(0)
    if (name or op) == "minimum":
        made = -_larger(-a, -b, width)
        return (made - 0.5 * width if side == "below" else made), 0.5 * width
    made = _larger(a, b, width)
    return (made + 0.5 * width if side == "above" else made), 0.5 * width


def _larger(a: Expr, b: Expr, width: Expr) -> Expr:
    """Return (a + b + √((a − b)² + μ²) − μ)/2 ≤ max(a, b), exact far from the corner too.

    On either side it is the larger one plus μ/2·(√(1 + t²) − |t| − 1), with no difference of large
    numbers; both sides continue each other with all derivatives.
    """
    t = (a - b) / width
    size = hypot1(t)
    return where(
        a > b,
        a + 0.5 * width * (1 / (size + t) - 1),
        b + 0.5 * width * (1 / (size - t) - 1),
    )


def _bent(args: list[Expr], exact: Expr, width: Expr, output: Expr) -> tuple[Expr, Expr]:
    """Return a `where` on the sign of u as one without corner, plus the jump times max(u, 0)."""
    condition, first, second = args
    u = condition.args[0] - condition.args[1]
    low = condition.op in ("lt", "le")  # the first branch is that of u < 0
    before, after = exact.args[1:] if low else exact.args[:0:-1]
    slope = derivative(u, output)
    jump = _at(derivative(after - before, output) / slope, output, output - u / slope)
    straight = jump * u
    first, second = (first, second - straight) if low else (first - straight, second)
    bend = jump * _larger(u, u.trace.constant(0), width)
    return where(condition, first, second) + bend, abs(jump) * (0.5 * width)


def _at(expr: Expr, symbol: Expr, point: Expr) -> Expr:
    """Return `expr` with `point` for `symbol`."""
    trace = expr.trace
    replaced = {str(symbol.value): point}
    return rebuild(rows(expr), trace, lambda op, args: trace.node(op, *args), replaced)[-1]


def _in_values(table: Sequence[Any]) -> set[int]:
    """Return the places of nodes that count otherwise than inside a condition."""
    used = {len(table) - 1}
    for place in range(len(table) - 1, -1, -1):
        op, args, _ = table[place]
        if place in used and op not in CONDITIONS:
            used |= set(args[1:] if op == "where" else args)
    return used


def _loss_of(loss: Any, made: _Rewritten) -> Loss:
    old = loss.definition
    kept = [p for p in old.parameters if loss.params[p.name] is not None]
    parameters = (
        *(replace(p, domain=_never_none(p.domain)) for p in kept),
        Parameter(PARAMETER, 1.0, POSITIVE),
    )
    definition = replace(
        old,
        name=f"{old.name}{_SUFFIX}",
        doc=f"{old.doc}\n\nIts corners are rounded over a width `{PARAMETER}`, from below.",
        task="user",
        formula=(((), rows(made.value)),),
        parameters=parameters,
        target=loss.target_domain,
        optimum="",
        perfect=None,
        aliases=(),
        same_as=(),
        _graphs={},
    )
    if loss.properties.convex and loss.link.name == "identity" and not loss.target_domain.values:
        definition = replace(definition, perfect=_perfect(definition))
    values = {p.name: loss.params[p.name] for p in kept} | {PARAMETER: 1.0}
    return Loss(definition, tuple(values.items()))


def _perfect(definition: Any) -> Any:
    """Return the predictions with the least loss as a function of targets, all at once.

    Without it `Loss.infimum`, which certificates need, would search for each target alone.
    """

    def perfect(y: Array, **params: Any) -> Array:
        return minimisers(Loss(definition, tuple(params.items())), y, y)

    return perfect


def _never_none(domain: Any) -> Any:
    return replace(domain, none=False) if getattr(domain, "none", False) else domain


def _verify(loss: Any, made: Loss, values: Sequence[tuple[float, ...]]) -> None:
    """Raise Unsupported unless the rounded loss lies below and is convex where the loss is."""
    convex = loss.properties.convex
    sharp, round_ = loss.form(raw=True).graph, made.form(raw=True).graph
    for numbers in values:
        before = tables(loss, [sharp.value], sharp.symbols, numbers[:-1])
        after = tables(loss, [round_.value, *round_.gradient], round_.symbols, numbers)
        for (exact,), (value, slope) in zip(before, after, strict=True):
            known = np.isfinite(exact) & np.isfinite(value) & np.isfinite(slope)
            exact, value, slope = exact[known], value[known], slope[known]
            above = value - exact > 1e-9 * (1 + np.abs(exact))
            bent = np.diff(slope) < -1e-9 * (1 + np.abs(slope[1:]))
            if above.any() or (convex and bent.any()):
                fault = "above the loss" if above.any() else "no longer convex"
                raise Unsupported(f"{loss.name}: with its corners rounded it is {fault}; {_ADVICE}")
    if made.properties.kinks:
        raise Unsupported(f"{loss.name}: a corner stays when others are rounded; {_ADVICE}")
