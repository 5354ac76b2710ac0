"""Properties of a loss as numbers, computed from its formula on the raw scale.

Every number is a search on a grid that reaches from 1e-300 to 1e100 on both sides, refined where
the extreme is found; "unbounded" is what still grows at the end. A property that a test proves with
SymPy is named in `tests/laws`; here nothing is typed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.backends import numpy as numpy_backend
from losskit.formula.diff import derivative
from losskit.formula.domain import SIGN
from losskit.formula.expr import Expr, Unsupported, depends, reachable

# Distances from the target: dense where losses bend, sparse out to where only growth shows.
_NEAR = np.concatenate([np.linspace(1e-3, 40, 4001), np.logspace(-8, 3, 551)])
_FAR = np.array([1e-300, 1e-100, 1e-30, 1e-15, 1e5, 1e8, 1e12, 1e25, 1e50, 1e100])
# Pairs of targets, and scores of the other outputs: does an extreme grow with them?
_RESTS = (-20.0, 20.0)
_PROBES = ((1e4, 1e8), (-1e4, -1e8), (1e-4, 1e-8), (-1e-4, -1e-8))


@dataclass(frozen=True)
class Kink:
    """Where the slope of a loss jumps, and the slopes on both sides (target as `Properties.at`)."""

    position: float
    left: float
    right: float


@dataclass(frozen=True)
class Properties:
    """What the shape of a loss is, in numbers; slopes and curvatures are by the raw score."""

    lipschitz: float
    curvature: tuple[float, float]
    kinks: tuple[Kink, ...]
    at: float
    range: tuple[float, float]
    symmetric: bool

    @property
    def differentiable(self) -> bool:
        """Whether the slope never jumps."""
        return not self.kinks

    @property
    def convex(self) -> bool:
        """Whether a straight line between two points never runs below the loss."""
        return self.curvature[0] >= 0 and all(k.right >= k.left for k in self.kinks)

    @property
    def strongly_convex(self) -> bool:
        """Whether the curvature stays above a positive number."""
        return self.convex and self.curvature[0] > 0

    @property
    def smooth(self) -> bool:
        """Whether the slope changes at a bounded rate (it is Lipschitz itself)."""
        return self.differentiable and math.isfinite(max(map(abs, self.curvature)))

    @property
    def robust(self) -> bool:
        """Whether the pull of one observation is bounded."""
        return math.isfinite(self.lipschitz)

    @property
    def bounded(self) -> bool:
        """Whether the loss itself is bounded."""
        return all(map(math.isfinite, self.range))


def properties(loss: Any) -> Properties:
    """Compute the properties of `loss`.

    With several raw outputs, slopes are lengths of the gradient and curvatures eigenvalues of the
    Hessian, over scores of the first output and a few of the others; kinks are the first's.
    """
    if loss.kind != "pointwise":
        raise Unsupported(
            f"{loss.name}: properties are computed for losses of one number; this one sees more"
        )
    shape = _Shape(loss)
    value = shape.extremes("value")
    try:
        slope, curvature = shape.extremes("gradient"), shape.extremes("hessian")
        kinks = shape.kinks()
    except Unsupported:
        slope = curvature = (math.nan, math.nan)
        kinks = ()
    if kinks:
        slopes = [s for k in kinks for s in (k.left, k.right)]
        slope = min(slope[0], *slopes), max(slope[1], *slopes)
    return Properties(
        lipschitz=max(abs(slope[0]), abs(slope[1])),
        curvature=curvature,
        kinks=kinks,
        at=shape.at,
        range=value,
        symmetric=shape.symmetric(),
    )


class _Shape:
    """The loss as a function of distance, for a few representative targets."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.form = loss.form(raw=True)
        self.targets = _representatives(loss)
        self.predictions = self.form.predictions[0]

    @cached_property
    def at(self) -> float:
        """The target that kinks are given for: 0, where only distances from the target matter."""
        steps = _NEAR[::100]
        if len(self.targets) > 1 and self.targets[0] == 0:
            if not np.allclose(self.call("value", 0, steps), self.call("value", 1, 1 + steps)):
                return float(self.targets[1])
        return float(self.targets[0])

    def call(self, wanted: str, y: float, f: Array, rest: float = 0.0) -> Array:
        """Return value, gradient or Hessian by the first output at scores f, the others at rest."""
        return self._run((wanted,), y, f, rest)[0]

    def _run(self, wanted: tuple[str, ...], y: float, f: Array, rest: float) -> list[Array]:
        outputs = [f] + [np.full_like(f, rest)] * (len(self.loss.outputs) - 1)
        with np.errstate(all="ignore"):
            made = self.form.numpy(wanted)(np.full_like(f, y), *outputs, *self.form.arguments(0.0))
        return [np.broadcast_to(np.asarray(m, dtype=float), f.shape) for m in made]

    def _size(self, wanted: str, sign: float, y: float, rest: float, f: Array) -> Array:
        """Return what the supremum is taken of, for infima with a negative sign."""
        if wanted == "value" or len(self.loss.outputs) == 1:
            return sign * self.call(wanted, y, f, rest)
        parts = self._run((wanted,), y, f, rest)
        if wanted == "gradient":
            with np.errstate(over="ignore"):
                return sign * np.sqrt(sum(p * p for p in parts))
        k = len(parts)
        full = np.zeros((*f.shape, k, k))
        cross = iter(self._cross(y, f, rest))
        for i in range(k):
            full[:, i, i] = parts[i]
            for j in range(i + 1, k):
                full[:, i, j] = full[:, j, i] = next(cross)
        finite = np.isfinite(full).all(axis=(1, 2))
        eigenvalues = np.full((*f.shape, k), np.nan)
        eigenvalues[finite] = np.linalg.eigvalsh(full[finite])
        return np.max(sign * eigenvalues, axis=1)

    def _cross(self, y: float, f: Array, rest: float) -> list[Array]:
        graph = self.form.graph
        mixed = [
            derivative(graph.gradient[i], graph.outputs[j], order=2)
            for i in range(len(graph.outputs))
            for j in range(i + 1, len(graph.outputs))
        ]
        function = numpy_backend.compiled(numpy_backend.source(graph.name, graph.symbols, mixed))
        outputs = [f] + [np.full_like(f, rest)] * (len(graph.outputs) - 1)
        with np.errstate(all="ignore"):
            made = function(np.full_like(f, y), *outputs, *self.form.arguments(0.0))
        return [np.broadcast_to(np.asarray(m, dtype=float), f.shape) for m in made]

    def grid(self, y: float) -> Array:
        """Return scores at all distances from the target, and from 0."""
        steps = np.concatenate([-_FAR, -_NEAR, [0.0], _NEAR, _FAR])
        edge = [self.predictions.lower] if math.isfinite(self.predictions.lower) else []
        f = np.unique(np.concatenate([centre + steps for centre in (y, 0.0, *edge)]))
        return f[np.asarray(self.predictions.contains(f))]

    def extremes(self, wanted: str) -> tuple[float, float]:
        """Return infimum and supremum over scores and targets."""
        return 0.0 - self._over_targets(wanted, -1.0), self._over_targets(wanted, 1.0)

    def _over_targets(self, wanted: str, sign: float) -> float:
        def supremum(y: float, rest: float = 0.0) -> float:
            return self._supremum(partial(self._size, wanted, sign, y, rest), y)

        several = len(self.loss.outputs) > 1
        rests = (-2.0, 0.0, 2.0) if several else (0.0,)
        top = max(supremum(float(y), rest) for y in self.targets for rest in rests)
        first = float(self.targets[0])
        probes = [(supremum(first, far), supremum(first, 2 * far)) for far in _RESTS if several]
        probes += [
            (supremum(far), supremum(further))
            for far, further in (*_PROBES, *self._edge_probes())
            if self.loss.target_domain.contains(further)
        ]
        grows = any(second > max(near, top) + 0.01 * abs(near) for near, second in probes)
        return math.inf if grows else top

    def _edge_probes(self) -> list[tuple[float, float]]:
        domain = self.loss.target_domain
        edges = ((domain.lower, 1), (domain.upper, -1))
        return [(e + s * 1e-2, e + s * 1e-4) for e, s in edges if math.isfinite(e) and e != 0]

    def _supremum(self, function: Callable[[Array], Array], y: float) -> float:
        f = self.grid(y)
        values = function(f)
        known = ~np.isnan(values)
        f, values = f[known], values[known]
        best = int(np.argmax(values))
        top = float(values[best])
        if math.isinf(top) or _still_growing(self, f, values, y):
            return math.inf
        left, right = f[max(best - 1, 0)], f[min(best + 1, f.size - 1)]
        for _ in range(12):  # zoom in: a maximum between two grid points
            fine = np.linspace(left, right, 65)
            v = np.nan_to_num(function(fine), nan=-np.inf)
            i = int(np.argmax(v))
            top = max(top, float(v[i]))
            left, right = fine[max(i - 1, 0)], fine[min(i + 1, 64)]
        return _tidy(top)

    def kinks(self) -> tuple[Kink, ...]:
        """Return where the slope jumps, for the first representative target."""
        y, found = self.at, []
        for position in self._ties(y):
            steps = np.array([-1e-12, 1e-12, -1e-6, 1e-6]) * max(1.0, abs(position))
            left, right, wide_left, wide_right = self.call("gradient", y, position + steps)
            jump, wide = abs(right - left), abs(wide_right - wide_left)
            # A jump keeps its size when looked at more closely; a steep slope does not.
            if jump > max(0.9 * wide, 1e-9 * max(abs(left), abs(right))):
                slopes = (_endless(left, wide_left), _endless(right, wide_right))
                found.append(Kink(_tidy(position), *map(_tidy, slopes)))
        return tuple(found)

    def _ties(self, y: float) -> list[float]:
        """Return the scores at which some choice of the formula changes."""
        graph = self.form.graph
        edges = [e for n in reachable([graph.value]) for e in _edges(n, graph.outputs)]
        if not edges:
            return []
        text = numpy_backend.source(graph.name, graph.symbols, edges)
        function = numpy_backend.compiled(text)
        rest = self.form.arguments(0.0)

        def differences(f: Array) -> list[Array]:
            others = [np.zeros_like(f)] * (len(self.loss.outputs) - 1)
            with np.errstate(all="ignore"):
                return [np.broadcast_to(d, f.shape) for d in function(y, f, *others, *rest)]

        def edge(i: int, f: Array) -> Array:
            return differences(f)[i]

        f = self.grid(y)
        ties: list[float] = []
        for i, d in enumerate(differences(f)):
            ties += [float(x) for x in f[d == 0]] if (d == 0).sum() < 4 else []
            for j in np.flatnonzero(np.sign(d[:-1]) * np.sign(d[1:]) < 0):
                ties.append(_bisect(partial(edge, i), f[j], f[j + 1]))
        distinct: list[float] = []
        for tie in sorted(ties):
            if not distinct or tie - distinct[-1] > 1e-9 * max(1.0, abs(tie)):
                distinct.append(tie)
        return distinct

    def symmetric(self) -> bool:
        """Whether errors to both sides cost the same (for two classes: whether classes do)."""
        steps = np.concatenate([_NEAR[::50], [1e5]])
        return all(
            np.allclose(
                self.call("value", y, a), self.call("value", z, b), rtol=1e-9, atol=1e-12,
                equal_nan=True,
            )
            for y in self.targets
            for z, a, b in [self._mirror(float(y), steps)]
        )  # fmt: skip

    def _mirror(self, y: float, steps: Array) -> tuple[float, Array, Array]:
        if self.loss.target_domain == SIGN:
            return -y, steps, -steps
        if self.loss.clips:
            return 1 - y, steps, -steps
        return y, y + steps, y - steps


def _representatives(loss: Any) -> Array:
    domain = loss.target_domain
    if domain.values:
        return np.array(sorted(domain.values, reverse=True))
    candidates = np.array([0.0, 1.0, 0.25, 3.0, -2.0, 10.0])
    return candidates[np.asarray(domain.contains(candidates))]


def _edges(node: Expr, outputs: tuple[Expr, ...]) -> list[Expr]:
    """Return expressions that change sign where `node` changes its choice."""
    if node.op in ("abs", "positive_part"):
        edges = [node.args[0]]
    elif node.op in ("lt", "le", "gt", "ge", "maximum", "minimum"):
        edges = [node.args[0] - node.args[1]]
    elif node.op in ("signed", "abs_pow"):
        edges = [node.args[-1] if node.op == "signed" else node.args[0]]
    else:
        edges = []
    return [e for e in edges if depends(e, outputs)]


def _still_growing(shape: _Shape, f: Array, values: Array, y: float) -> bool:
    """Say whether the largest value is found only at the outermost or the innermost points."""
    ordinary = (np.abs(f) < 1e50) & ((f == y) | (np.abs(f - y) > 1e-20))
    ordinary &= f - shape.predictions.lower > 1e-6
    inner = float(values[ordinary].max())
    return bool(values.max() > inner + 1e-3 * abs(inner) + 1e-12)


def _bisect(function: Callable[[Array], Array], left: float, right: float) -> float:
    sign = np.sign(function(np.array([left]))[0])
    for _ in range(200):
        middle = left + (right - left) / 2
        if middle in (left, right):
            break
        if np.sign(function(np.array([middle]))[0]) == sign:
            left = middle
        else:
            right = middle
    return float(right)


def _endless(near: float, wide: float) -> float:
    """Return a one-sided slope: infinite where it still grows a million times nearer."""
    return math.copysign(math.inf, near) if abs(near) > 10 * abs(wide) + 1e-6 else near


def _tidy(x: float) -> float:
    """Return the round number within 1e-9 of x that the search came close to, else x."""
    if math.isinf(x):
        return x
    if abs(x) < 1e-9:
        return 0.0
    rounded = float(f"{x:.9g}")
    return (rounded + 0.0) if abs(x - rounded) <= 1e-9 * max(1.0, abs(x)) else float(x)
