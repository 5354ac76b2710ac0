"""scikit-learn: the logistic solvers and `enet_path`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, enet_path

PACKAGES = ["scikit-learn", "numpy"]
LAYOUT = "C"


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit by the solver that `variant` names."""
    ratio, alphas = task["l1_ratio"], np.array(task["alphas"])
    if variant == "enet_path":
        x = np.asfortranarray(x)

        def path(tol: float) -> Any:
            found = enet_path(
                x, y, l1_ratio=ratio, alphas=alphas, tol=tol, precompute=True, max_iter=100_000
            )
            return found[1].T

        return path
    labels = y.astype(int)
    if not isinstance(x, np.ndarray):
        x.indices, x.indptr = x.indices.astype(np.int32), x.indptr.astype(np.int32)

    def fit(tol: float) -> Any:
        model = LogisticRegression(
            l1_ratio=ratio,
            solver=variant,
            tol=tol,
            fit_intercept=False,
            warm_start=len(alphas) > 1,
            max_iter=100_000,
            random_state=0,
        )
        found = []
        for alpha in alphas:
            model.set_params(C=1 / (alpha * len(labels))).fit(x, labels)
            found.append(model.coef_.ravel().copy())
        return np.array(found)

    return fit
