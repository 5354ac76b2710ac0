"""Gradient and Hessian against differences of the value, at kinks and elsewhere.

Nothing here uses the table of derivatives: the value graph is evaluated with mpmath at points so
near to each other that a difference quotient has some 30 right digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp

import losskit
from laws import cases, kinks
from losskit.backends.mpmath import evaluate
from losskit.formula.expr import Expr

_NEAR = 40  # digits by which a step is smaller than the distance to whatever bends the loss
_AGREE = mp.mpf(10) ** -25
_NOTHING = mp.mpf(10) ** -330  # below every float64
# The gradient at a kink where the rule of design.md §3 does not hold, by its own declaration.
KINK_EXCEPTIONS: dict[str, Callable[[dict[str, float]], float]] = {
    "perceptron": lambda at: -at["y"],
}


@dataclass(frozen=True)
class Place:
    """A loss at a point, along one raw output."""

    loss: losskit.Loss
    at: dict[str, float]
    output: int

    def __str__(self) -> str:
        return f"{self.loss!r}, output {self.output}, at {self.at}"


def law_gradient_and_hessian(loss: losskit.Loss, points: Sequence[tuple[float, ...]]) -> None:
    """The graphs of gradient and Hessian are the derivatives of the value's graph."""
    form = loss.form(raw=True)
    graph = form.graph
    k = len(graph.outputs)
    nodes = graph.select(("value", "gradient", "hessian"))
    for point in points:
        at = dict(zip(graph.symbols, (*point, *form.values), strict=True))
        for i, symbol in enumerate(graph.outputs):
            place = Place(loss, at, i)
            gap, on_kink = _distance(loss, nodes[0], symbol, at)
            first, second = nodes[1 + i], nodes[1 + k + i]
            if on_kink:
                _at_a_kink(place, nodes[0], first, second, str(symbol.value), gap)
            else:
                _elsewhere(place, nodes[0], first, second, str(symbol.value), gap)


def _elsewhere(place: Place, value: Expr, first: Expr, second: Expr, f: str, gap: Any) -> None:
    with mp.workdps(60):
        for output, derivative, name in ((value, first, "gradient"), (first, second, "Hessian")):
            sides = [_slope(output, place.at, f, gap, side)[1] for side in (1, -1)]
            (stated,) = evaluate([derivative], place.at)
            size = max(map(abs, (*sides, stated)))
            # A slope of 0 is met as step times curvature only.
            slack = _NOTHING + _AGREE * size + mp.mpf(10) ** -(_NEAR - 5) * _curvature(sides, gap)
            assert abs(sum(sides) / 2 - stated) <= slack, (
                f"{place}: {name} is {mp.nstr(stated, 20)}, differences give "
                f"{mp.nstr(sides[0], 20)} and {mp.nstr(sides[1], 20)}"
            )


def _curvature(sides: Sequence[Any], gap: Any) -> Any:
    return abs(sides[0] - sides[1]) * mp.mpf(10) ** _NEAR


def _at_a_kink(place: Place, value: Expr, first: Expr, second: Expr, f: str, gap: Any) -> None:
    with mp.workdps(60):
        gradient, hessian = evaluate([first, second], place.at)
        right, left = (_limit(*_slope(value, place.at, f, gap, side)) for side in (1, -1))
        wanted = mp.mpf(0) if right * left <= 0 else min(right, left, key=abs)
        if place.loss.name in KINK_EXCEPTIONS:
            wanted = mp.mpf(KINK_EXCEPTIONS[place.loss.name](place.at))
        assert _near(gradient, wanted), (
            f"{place}: at a kink with slopes {mp.nstr(left)} and {mp.nstr(right)} the gradient "
            f"must be {mp.nstr(wanted)}, not {mp.nstr(gradient)}"
        )
        curved = [_limit(*_bend(first, place.at, f, gap, side)) for side in (1, -1)]
        wanted = min(curved)
        assert _near(hessian, wanted), (
            f"{place}: at a kink with curvatures {mp.nstr(curved[1])} and {mp.nstr(curved[0])} "
            f"the Hessian must be {mp.nstr(wanted)}, not {mp.nstr(hessian)}"
        )


def _near(a: Any, b: Any) -> bool:
    if mp.isinf(a) or mp.isinf(b):
        return bool(a == b)
    return bool(abs(a - b) <= mp.mpf(10) ** -9 * max(abs(a), abs(b)) + mp.mpf(10) ** -30)


def _distance(
    loss: losskit.Loss, value: Expr, symbol: Expr, at: dict[str, float]
) -> tuple[Any, bool]:
    """Return how far the nearest change of branch is, and whether the point lies on one."""
    made = kinks.ties([value], symbol)
    gaps = [abs(t) for t in evaluate(made, at, 30)] if made else []
    domain = loss.form(raw=True).predictions[0]
    f = mp.mpf(at[str(symbol.value)])
    edges = [abs(f - e) for e in (domain.lower, domain.upper) if math.isfinite(e)]
    apart = [g for g in (*gaps, *edges, abs(f)) if g > 0 and mp.isfinite(g)]
    # A tie that moves by 0 with f is counted as distance 0 too, but has no kink: see _at_a_kink,
    # which asks for limits only and holds there as well.
    return min([mp.mpf(1), *apart]), any(g == 0 for g in gaps)


def _slope(output: Expr, at: dict[str, float], f: str, gap: Any, side: int) -> list[Any]:
    """Return one-sided difference quotients of `output` at two ever smaller steps."""
    made = []
    for digits in (_NEAR // 2, _NEAR):
        step = side * gap * mp.mpf(10) ** -digits
        made.append(_quotient(output, at, f, mp.mpf(at[f]), step, digits))
    return made


def _bend(first: Expr, at: dict[str, float], f: str, gap: Any, side: int) -> list[Any]:
    """Return the slope of the gradient on one side of a kink, at two distances from it."""
    made = []
    for digits in (_NEAR // 2, _NEAR):
        step = side * gap * mp.mpf(10) ** -digits
        start = mp.mpf(at[f]) + step
        made.append(_quotient(first, at, f, start, step * mp.mpf(10) ** -_NEAR, 2 * digits))
    return made


def _quotient(
    output: Expr, at: dict[str, float], f: str, start: Any, step: Any, digits: int
) -> Any:
    reach = digits + max(0, -int(mp.log10(abs(step)))) + 60
    with mp.workdps(2 * reach):
        (a,) = evaluate([output], {**at, f: +start}, 2 * reach)
        (b,) = evaluate([output], {**at, f: start + step}, 2 * reach)
        return (b - a) / step


def _limit(first: Any, second: Any) -> Any:
    """Return what two quotients at steps 10^20 apart tend to: 0, a number or infinity."""
    if abs(second) > 1000 * abs(first) and abs(second) > 1e6:
        return mp.inf * mp.sign(second)
    return mp.mpf(0) if 1000 * abs(second) < abs(first) or abs(second) < 1e-30 else second


def points(loss: losskit.Loss, count: int, seed: int = 0) -> list[tuple[float, ...]]:
    """Return points for these laws: kinks and their neighbours, and some of the others."""
    found = cases.random_points(loss, count, seed)
    grid = cases.grid(loss, 4)
    found += grid[:: max(1, len(grid) // count)]
    if len(loss.outputs) == 1:
        domain = loss.form(raw=True).predictions[0]
        for y in cases.targets(loss, 3):
            for f in kinks.crossings(loss, y):
                found += [(y, v) for v in kinks.around(f) if domain.contains(v)]
    return list(dict.fromkeys(found))
