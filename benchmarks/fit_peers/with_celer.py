"""celer: working sets with a duality gap; has no intercept and no elastic net for logistic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from celer import celer_path

PACKAGES = ["celer", "numpy"]
LAYOUT = "F"


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit by `celer_path`, whose estimators add a copy of the matrix."""
    alphas = np.array(task["alphas"])
    logistic = task["loss"] == "logistic"
    if logistic:
        if task["l1_ratio"] != 1:
            raise NotImplementedError("L1 only for logistic")
        y, alphas = 2 * y - 1, alphas * len(y)  # its logistic loss is a sum

    def fit(tol: float) -> Any:
        name = "logreg" if logistic else "lasso"
        more = {"use_PN": True} if logistic else {"l1_ratio": task["l1_ratio"]}
        _, coefficients, _ = celer_path(x, y, name, alphas=alphas, tol=tol, max_iter=100, **more)
        return coefficients.T

    return fit
