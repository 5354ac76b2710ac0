"""python-glmnet: Friedman's Fortran, under the GPL: only ever in this process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from glmnet import LogitNet

PACKAGES = ["python-glmnet", "numpy"]
LAYOUT = "F"


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit; its tolerance is relative to the null deviance."""
    if task["loss"] != "logistic":
        raise NotImplementedError("another problem: it standardises y, so the L2 part too")
    alphas, labels = np.array(task["alphas"]), y.astype(int)

    def fit(tol: float) -> Any:
        model = LogitNet(
            alpha=task["l1_ratio"],
            lambda_path=alphas,
            n_splits=0,
            standardize=False,
            fit_intercept=False,
            tol=tol,
            max_iter=10_000_000,
        )
        return model.fit(x, labels).coef_path_[0].T

    return fit
