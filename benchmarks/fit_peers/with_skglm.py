"""skglm: prox-Newton (logistic) and coordinate descent (squared) on working sets, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skglm import ElasticNet, SparseLogisticRegression

PACKAGES = ["skglm", "numba", "numpy"]
LAYOUT = "F"


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit that starts each alpha at the one before."""
    alphas = np.array(task["alphas"])
    ratio = task["l1_ratio"]
    if ratio == 0:
        raise NotImplementedError("its L-BFGS fails in 0.5: no attribute 'fit_intercept'")
    if task["loss"] == "squared":

        def path(tol: float) -> Any:
            model = ElasticNet(l1_ratio=ratio, tol=tol, fit_intercept=False, warm_start=True)
            return model.path(x, y, alphas)[1].T

        return path
    labels = y.astype(int)

    def fit(tol: float) -> Any:
        model = SparseLogisticRegression(
            l1_ratio=ratio, tol=tol, fit_intercept=False, warm_start=True
        )
        found = []
        for alpha in alphas:
            found.append(model.set_params(alpha=alpha).fit(x, labels).coef_.ravel().copy())
        return np.array(found)

    return fit
