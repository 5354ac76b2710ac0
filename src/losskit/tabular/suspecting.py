"""What looks wrong with a fitted table, a sentence for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.tabular.suspicions import (
    duplicate_columns,
    edge_of_grid,
    leaking_features,
    rare_classes,
    separable,
)


def suspected(model: Any, matrix: Array, y: Array, weight: Array | None) -> list[str]:
    """Return what a reader of the fit should know before trusting it."""
    names, sources = model.preprocessing_.names, model.preprocessing_.sources
    classes = hasattr(model, "classes_")
    told = []
    if classes:
        raw = matrix @ np.atleast_2d(model.coef_).T + np.atleast_1d(model.intercept_)
        told += rare_classes(y, weight)
        told += separable(model.coding_.decision(raw), y, weight)
    told += leaking_features(matrix, names, y, classes=classes, sources=sources)
    told += duplicate_columns(matrix, names, sources)
    if hasattr(model, "cv_") and not model.cv_.interrupted:
        told += edge_of_grid(model.cv_.alphas, model.cv_.best)
    return told
