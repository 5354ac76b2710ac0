"""The points of the accuracy laws: the grid, kinks and seams to the last ulp, random ones."""

from __future__ import annotations

import numpy as np

import losskit
from laws import cases, kinks


def points(
    loss: losskit.Loss, most: int | None, count: int, seed: int
) -> tuple[tuple[float, ...], ...]:
    """Return (target, raw scores…) for up to `most` usual targets and `count` random places."""
    found = cases.grid(loss, most)
    if len(loss.outputs) == 1:
        domain = loss.form(raw=True).predictions[0]
        for y in cases.targets(loss, most):
            for f in kinks.crossings(loss, y, lowered=True):
                near = [v for dtype in (np.float64, np.float32) for v in kinks.around(f, dtype)]
                found += [(y, v) for v in near if domain.contains(v)]
    return tuple(dict.fromkeys([*found, *cases.random_points(loss, count, seed)]))
