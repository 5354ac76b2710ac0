"""losskit itself, called as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import losskit

PACKAGES = ["losskit", "numpy"]
LAYOUT = "C"


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit by the estimator, or by `fit_path` where several alphas are wanted."""
    ratio, alphas = task["l1_ratio"], np.array(task["alphas"])
    if "columns" in variant:
        x = np.asfortranarray(x) if isinstance(x, np.ndarray) else x.tocsc()
    if len(alphas) > 1 or "core" in variant:
        from losskit.fit.data.source import MemorySource
        from losskit.fit.fitting import fit_path
        from losskit.penalties import L1, L2, ElasticNet

        # The peers halve the squared error, losskit does not: twice the loss, twice the penalty.
        squared = task["loss"] == "squared"
        loss, twice = (losskit.squared_error, 2) if squared else (losskit.logistic, 1)
        penalty = {0: L2(), 1: L1()}.get(ratio, ElasticNet(l1_ratio=ratio))

        def path(tol: float) -> Any:
            fits = fit_path(
                MemorySource(x, y), loss, penalty, twice * alphas, intercept=False, tol=tol
            )
            return np.array([each.coef.ravel() for each in fits])

        return path
    labels = y.astype(int)

    def fit(tol: float) -> Any:
        model = losskit.Classifier(
            loss="logistic",
            penalty={0: "l2", 1: "l1"}.get(ratio, "elasticnet"),
            alpha=float(alphas[0]),
            l1_ratio=ratio,
            tol=tol,
            fit_intercept=False,
        )
        return model.fit(x, labels).coef_

    return fit
