"""Where a formula changes branch: found on the graph, to the last ulp."""

from __future__ import annotations

import math

import numpy as np

import losskit
from losskit.backends.numpy import PRINTER, compiled, source
from losskit.formula.expr import Expr, depends, reachable
from losskit.formula.lower import lower

COMPARISONS = ("lt", "le", "gt", "ge", "eq")
_SCAN = np.unique(
    np.concatenate([
        np.linspace(-8, 8, 1601),
        *(s * np.geomspace(1e-9, 1e9, 400) for s in (1, -1)),
        [0.0],
    ])
)  # fmt: skip


def ties(outputs: list[Expr], symbol: Expr) -> list[Expr]:
    """Return the differences that are 0 where a node of `outputs` changes branch along `symbol`."""
    found: dict[int, Expr] = {}
    for node in reachable(outputs):
        if node.op in (*COMPARISONS, "maximum", "minimum"):
            tie = node.args[0] - node.args[1]
        elif node.op in ("abs", "positive_part", "abs_pow", "signed_pow"):
            tie = node.args[0]
        elif node.op == "signed":
            tie = node.args[1]
        else:
            continue
        if depends(tie, [symbol]):
            found[tie.serial] = tie
    return list(found.values())


def crossings(loss: losskit.Loss, y: float, lowered: bool = False) -> list[float]:
    """Return the raw scores at which the loss changes branch for target `y`, one output.

    With `lowered`, also the seams of the arithmetic: where a stable form takes over from another.
    """
    form = loss.form(raw=True)
    graph = form.graph
    nodes = graph.select(("value",))
    if lowered:
        nodes = [*nodes, *lower(nodes, PRINTER.table, "kinks")]
    made = ties(nodes, graph.outputs[0])
    if not made:
        return []
    function = compiled(source("ties", graph.symbols, made))
    domain = form.predictions[0]
    scan = np.unique(np.concatenate([_SCAN, y + _SCAN]))
    scan = scan[domain.contains(scan)]

    def evaluate(f: np.ndarray) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            results = function(np.full(f.shape, y), f, *form.values)
        return [np.broadcast_to(np.asarray(r, float), f.shape) for r in results]

    found: set[float] = set()
    for i, tie in enumerate(evaluate(scan)):
        found.update(scan[tie == 0].tolist() if (tie == 0).sum() < 8 else ())
        sign = np.sign(tie)
        for k in np.flatnonzero(sign[:-1] * sign[1:] < 0):
            found.add(
                _bisect(lambda f, i=i: float(evaluate(np.array([f]))[i][0]), scan[k], scan[k + 1])
            )
    return sorted(found)


def around(f: float, dtype: type[np.floating] = np.float64) -> list[float]:
    """Return `f` rounded to `dtype` and its neighbours there."""
    middle = dtype(f)
    return [float(np.nextafter(middle, -dtype(math.inf))), float(middle),
            float(np.nextafter(middle, dtype(math.inf)))]  # fmt: skip


def _bisect(tie, low: float, high: float) -> float:
    sign = math.copysign(1, tie(low))
    while True:
        middle = low + (high - low) / 2
        if middle in (low, high):
            return high
        value = tie(middle)
        if value == 0:
            return middle
        low, high = (middle, high) if value * sign > 0 else (low, middle)
