"""The true value, gradient and Hessian of a loss at points, by mpmath on the un-lowered graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

import losskit
from losskit.backends.mpmath import evaluate, term_scale

Points = tuple[tuple[float, ...], ...]
WANTED = ("value", "gradient", "hessian")


@dataclass(frozen=True, eq=False)
class Truth:
    """What `outputs` are at `points`, as mpf; `largest_term` tells what cancels, on demand."""

    symbols: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[float, ...]
    points: Points
    nodes: Sequence[Any]
    labels: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    _scales: dict[tuple[int, int], Any] = field(default_factory=dict)

    def at(self, point: int) -> dict[str, float]:
        """Return the point's coordinates and parameters by symbol."""
        return dict(zip(self.symbols, (*self.points[point], *self.parameters), strict=True))

    def largest_term(self, point: int, node: int) -> Any:
        """Return the magnitude of the largest term of one output."""
        if (point, node) not in self._scales:
            self._scales[point, node] = term_scale(self.nodes[node], self.at(point))
        return self._scales[point, node]


@lru_cache(maxsize=256)
def truth(loss: losskit.Loss, points: Points, wanted: tuple[str, ...] = WANTED) -> Truth:
    """Return the truth about `loss` on the raw scale at `points` of (y, raw scores…)."""
    form = loss.form(raw=True)
    nodes = form.graph.select(wanted)
    k = len(form.graph.outputs)
    labels = tuple(
        name if name == "value" or k == 1 else f"{name}[{i}]"
        for name in wanted
        for i in range(1 if name == "value" else k)
    )
    outputs = tuple(str(o.value) for o in form.graph.outputs)
    made = Truth(form.graph.symbols, outputs, form.values, points, nodes, labels, ())
    rows = tuple(tuple(evaluate(nodes, made.at(i))) for i in range(len(points)))
    return replace(made, values=rows)


def arrays(points: Points, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return points as y_true and y_pred of `dtype`."""
    data = np.array(points, dtype=np.float64)
    y, f = data[:, 0].astype(dtype), data[:, 1:].astype(dtype)
    return y, np.ascontiguousarray(f[:, 0] if f.shape[1] == 1 else f)


def representable(points: Points, dtype: Any) -> list[int]:
    """Return which points are exact in `dtype`."""
    data = np.array(points, dtype=np.float64)
    with np.errstate(over="ignore"):
        same = (data.astype(dtype).astype(np.float64) == data).all(axis=1)
    return [int(i) for i in np.flatnonzero(same)]
