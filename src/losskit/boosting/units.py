"""Derivatives in a unit of which a booster's own parameters make sense."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.objective import Objective
from losskit.several import Several


def per_row(
    core: Objective, gradient: Array, hessian: Array, sample_weight: Any
) -> tuple[Array, Array]:
    """Divide both derivatives, in place, by the mean curvature, where it has the target's units.

    λ and the least weight of a child are compared with sums of curvatures. A host's own objectives
    have the scale that its documentation means, and losses of classes have no unit. But curvatures
    of other losses may be 1e-5, as those of a Huber loss or an absolute error of prices are, which
    any λ would swallow. Divided by their mean both derivatives give the same steps, and a row
    counts for 1, as it does for the squared error.
    """
    if not has_unit(core):
        return gradient, hessian
    total = len(hessian) if sample_weight is None else np.sum(sample_weight, dtype=np.float64)
    unit = (hessian.sum(axis=0, dtype=np.float64) / total).astype(hessian.dtype)
    gradient /= unit
    hessian /= unit
    return gradient, hessian


def has_unit(core: Objective) -> bool:
    """Whether the curvature is in units of the target, and of no objective of the host's."""
    if core.curvature == "constant":
        return True
    loss = core.loss.members[0] if isinstance(core.loss, Several) else core.loss
    if core.own is not None or loss.kind != "pointwise":
        return False
    domain = loss.target_domain
    return not domain.values and math.isinf(max(-domain.lower, domain.upper))
