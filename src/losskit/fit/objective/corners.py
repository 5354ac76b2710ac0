"""Which operations of a formula make corners: places where the slope of the loss jumps.

An operation that chooses (an absolute value, a maximum, `where`) makes a corner where the loss
depends on it and its own slope jumps as its choice changes. Both are looked up by numbers just
beside every place where a choice changes, for a few targets; in a jump, unlike in a steep slope,
coming a million times closer changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from losskit.backends import numpy as numpy_backend
from losskit.formula.diff import CONDITIONS, derivative
from losskit.formula.expr import Expr, Unsupported, depends

Array = np.ndarray[Any, np.dtype[Any]]
Values = Sequence[tuple[float, ...]]  # of the parameters
CHOICES = ("abs", "abs_pow", "maximum", "minimum", "positive_part", "where")

_SIZES = np.concatenate([np.logspace(-9, 12, 421), np.linspace(0.05, 40, 800)])
_STEPS = np.concatenate([-_SIZES, [0.0], _SIZES])
_NEAR, _WIDE = 1e-12, 1e-6
_LINES, _POINTS, _HALVINGS, _OUTPUTS = 32, 201, 25, 4


@dataclass(frozen=True)
class Corner:
    """An operation that makes a corner, by its place in the table of nodes.

    `direction` is 1 where the loss grows with it, −1 where it falls, 0 where it does either.
    """

    place: int
    op: str
    direction: int


def corners(
    loss: Any,
    value: Expr,
    symbols: tuple[str, ...],
    choices: Mapping[int, Expr],
    values: Values,
) -> tuple[Corner, ...]:
    """Return which of `choices` make corners of `value`, at any of `values` of the parameters.

    `value` is the formula of a loss of one raw output, or one made from it, over `symbols`.
    """
    output = value.trace.symbols[symbols[1]]
    found = []
    for place, node in choices.items():
        if node.op in CHOICES and depends(node, [output]):
            parts = [node, derivative(node, output), derivative(value, node)]
            signs = _signs(loss, node, parts, symbols, values)
            if signs:
                found.append(Corner(place, node.op, signs.pop() if len(signs) == 1 else 0))
    return tuple(found)


def tables(
    loss: Any, nodes: Sequence[Expr], symbols: tuple[str, ...], values: tuple[float, ...]
) -> list[list[Array]]:
    """Return for each of a few targets the values of `nodes` on an increasing grid of scores."""
    function = _Evaluator(nodes, symbols)
    return [function(y, _grid(loss, y), values) for y in _targets(loss)]


def linear_edge(node: Expr, output: Expr) -> bool:
    """Say whether the condition of a `where` is one comparison that is linear in the output."""
    condition = node.args[0]
    if condition.op not in ("lt", "le", "gt", "ge"):
        return False
    slope = derivative(condition.args[0] - condition.args[1], node.trace.symbols[str(output.value)])
    return slope.value != 0 and not depends(slope, [node.trace.symbols[str(output.value)]])


def along_lines(loss: Any) -> bool:
    """Say whether the slope of a loss over classes or labels jumps along random lines."""
    rng = np.random.default_rng(0)
    shape = (_LINES, _outputs(loss))
    y, start, way = _labels(loss, rng, shape), *(rng.normal(size=(2, *shape)))

    def slope(line: Array, t: Array) -> Array:
        scores = start[line] + t[:, None] * way[line]
        found = loss.gradient(y[line], scores, raw=True, reduction="none")
        return np.asarray((found * way[line]).sum(axis=1))

    t = np.linspace(-4, 4, _POINTS)
    line = np.repeat(np.arange(_LINES), _POINTS - 1)
    left, right = np.tile(t[:-1], _LINES), np.tile(t[1:], _LINES)
    low, high = slope(line, left), slope(line, right)
    steep = np.argsort(-np.abs(high - low))[: 4 * _LINES]
    line = line[steep]
    left, right, low, high = np.stack([left, right, low, high])[:, steep]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        found = slope(line, middle)
        first = np.abs(found - low) > np.abs(high - found)
        left, low = np.where(first, (left, low), (middle, found))
        right, high = np.where(first, (middle, found), (right, high))
    return bool((np.abs(high - low) > 1e-5 * (1 + np.abs(low))).any())


class _Evaluator:
    """Nodes as a function of the target, scores and values of the parameters."""

    def __init__(self, nodes: Sequence[Expr], symbols: tuple[str, ...]) -> None:
        text = numpy_backend.source("parts", symbols, list(nodes))
        self.function = numpy_backend.compiled(text)

    def __call__(self, y: float, f: Array, values: tuple[float, ...]) -> list[Array]:
        with np.errstate(all="ignore"):
            made = self.function(np.full(f.shape, y), f, *values)
        return [np.broadcast_to(np.asarray(m, dtype=np.float64), f.shape) for m in made]


def _signs(
    loss: Any, node: Expr, parts: list[Expr], symbols: tuple[str, ...], values: Values
) -> set[int]:
    """Return with which signs a loss depends on `node` where that has its corners."""
    edge, function = _Evaluator(edges(node), symbols), _Evaluator(parts, symbols)
    signs = set()
    for y, numbers in product(_targets(loss), values):
        places = _ties(partial(edge, y, values=numbers), _grid(loss, y))
        scale = np.maximum(1.0, np.abs(places))
        sizes = []
        for distance in (_NEAR, _WIDE):
            below, above = (function(y, places + s * distance * scale, numbers) for s in (-1, 1))
            gap, jump = above[0] - below[0], above[1] - below[1]
            weight = np.where(np.abs(above[2]) > np.abs(below[2]), above[2], below[2])
            sizes.append((np.abs(gap * weight), np.abs(jump * weight), np.sign(weight)))
        (gap, jump, sign), (wide_gap, wide_jump, _) = sizes
        if ((gap > 0.9 * wide_gap) & (gap > 1e-9)).any():
            raise Unsupported(f"{loss.name} jumps: a step has no slope to follow")
        signs |= {int(s) for s in sign[(jump > 0.9 * wide_jump) & (jump > 1e-9)]}
    return signs


def edges(node: Expr) -> list[Expr]:
    """Return expressions that change sign where an operation changes its choice."""
    if node.op in ("abs", "positive_part", "abs_pow"):
        return [node.args[0]]
    if node.op in ("and", "or", "not", "where"):
        return [e for a in node.args if a.op in CONDITIONS for e in edges(a)]
    return [node.args[0] - node.args[1]]


def _targets(loss: Any) -> list[float]:
    domain = loss.target_domain
    candidates = sorted(domain.values) or (0.0, 1.0, 0.25, 3.0, -2.0, 10.0)
    return [float(y) for y in candidates if domain.contains(y)]


def _grid(loss: Any, y: float) -> Array:
    domain = loss.form(raw=True).predictions[0]
    ends = [e for e in (domain.lower, domain.upper) if np.isfinite(e)]
    f = np.unique(np.concatenate([centre + _STEPS for centre in (0.0, y, *ends)]))
    return f[np.asarray(domain.contains(f))]


def _ties(function: Callable[[Array], list[Array]], f: Array) -> Array:
    """Return the scores at which one of the function's values changes sign or touches zero."""
    found = []
    for i, edge in enumerate(function(f)):
        sign = np.sign(edge)
        zeros = f[sign == 0]
        found.append(zeros if zeros.size < 8 else zeros[:0])
        change = np.flatnonzero(sign[:-1] * sign[1:] < 0)
        left, right, before = f[change], f[change + 1], sign[change]
        for _ in range(80):
            middle = left + (right - left) / 2
            same = np.sign(function(middle)[i]) == before
            left, right = np.where(same, middle, left), np.where(same, right, middle)
        found.append(right)
    return np.unique(np.concatenate(found)) if found else np.empty(0)


def _outputs(loss: Any) -> int:
    if loss.kind == "pointwise":
        return len(loss.outputs)
    weights = loss.params.get("class_weight")
    return len(weights) if isinstance(weights, tuple) else _OUTPUTS


def _labels(loss: Any, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    if loss.kind == "pointwise":
        return np.asarray(rng.choice(_targets(loss), shape[0]))
    if loss.kind == "rows" and loss.inputs == ("y_true", "y_pred"):
        if loss.definition.axis == "label":
            return rng.integers(2, size=shape)
        falling = any(one.falling for _, one in loss.definition.inputs)
        if loss.definition.axis == "class" and not falling:
            return rng.integers(shape[1], size=shape[0])
    raise Unsupported(f"{loss.name} is not searched for corners: its examples are not rows")
