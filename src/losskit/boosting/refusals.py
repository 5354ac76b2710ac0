"""Which curvatures are refused of which losses, as trees that divide by them lower no loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.boosting.curvature import hosted, is_flat, is_straight
from losskit.boosting.starts import has_jump
from losskit.formula.expr import Unsupported

# XGBoost's own, of its logistic curvature: kRtEps of src/objective/regression_loss.h. It keeps a
# division from failing; a step by it has no bound.
FLOOR = 1e-16


def refuse_policy(loss: Any, policy: str, host: str, floor: float = FLOOR) -> None:
    """Raise Unsupported where trees that divide by this curvature would not lower the loss.

    Where the curvature is 0 a `floor` above the default is one that the user chose to divide by.
    """
    said = f"curvature={policy!r}: {loss.name}"
    if loss.kind != "pointwise" and policy in ("fisher", "majorizer"):
        raise Unsupported(f"{said} sees a whole row; choose 'auto', 'exact' or 'constant'")
    if policy == "exact" and floor <= FLOOR and _has_no_curvature(loss):
        raise Unsupported(
            f"{said} is straight where it does not bend, and trees divide by its curvature, 0; "
            "choose 'auto' or 'constant'"
        )
    if policy == "majorizer" and floor <= FLOOR and _bound_is_0(loss, host):
        raise Unsupported(
            f"{said} has a corner, above which a parabola has no bound on its curvature, and 0 "
            "beside it; choose 'auto' or 'constant'"
        )
    if policy == "constant" and loss.kind == "pointwise" and not has_jump(loss):
        raise Unsupported(
            f"{said} is not straight far from the target on both sides with a turn between, so no "
            "curvature is typical of it; "
            + ("trees cannot find where it is least" if is_straight(loss) else "choose 'auto'")
        )


def _has_no_curvature(loss: Any) -> bool:
    """Whether the second derivative is 0 wherever there is one."""
    if loss.kind == "pointwise":
        return is_straight(loss)
    # No two scores agree, and none is a whole number from another, where margins of 1 end.
    count = max((len(v) for v in loss.params.values() if isinstance(v, tuple)), default=3)
    scores = np.linspace(-0.9, 1.7, count * count).reshape(count, count)
    targets = np.eye(count) if loss.definition.axis == "label" else np.arange(count)
    return not loss.hessian(targets, scores, raw=True, reduction="sum").any()


def _bound_is_0(loss: Any, host: str) -> bool:
    """Whether the majorizer is the upper bound of a curvature that is 0 where there is one.

    Of symmetric losses such as the absolute error it is slope/distance, by which trees do learn.
    """
    if not is_straight(loss):
        return False
    return is_flat(hosted(loss, host, "majorizer", FLOOR))
