"""adelie: coordinate descent inside IRLS along a path; minimises mean loss + λ·penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import adelie as ad
import numpy as np

PACKAGES = ["adelie", "numpy"]
LAYOUT = "F"
THREADS = 2


def fitter(variant: str, task: dict[str, Any], x: Any, y: np.ndarray) -> Callable[[float], Any]:
    """Return a fit whose tolerance is that of the coordinate descent and of IRLS at once."""
    kind = ad.matrix.dense if isinstance(x, np.ndarray) else ad.matrix.sparse
    threads = 1 if "one thread" in variant else THREADS
    matrix = kind(x, method="naive", n_threads=threads)
    family = ad.glm.binomial if task["loss"] == "logistic" else ad.glm.gaussian
    alphas = np.array(task["alphas"])

    def fit(tol: float) -> Any:
        state = ad.grpnet(
            matrix,
            family(y),
            alpha=task["l1_ratio"],
            lmda_path=alphas,
            intercept=False,
            tol=tol,
            irls_tol=tol,
            early_exit=False,  # the default stops at 90 % of the deviance
            n_threads=threads,
            progress_bar=False,
        )
        return state.betas.toarray()

    return fit
