"""Which losses scikit-learn's trees can be grown by, and what these divide by."""

from __future__ import annotations

import math

import numpy as np

from losskit.boosting.curvature import is_straight, policy_for
from losskit.boosting.starts import has_jump
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.sklearn.host import Peer
from losskit.sklearn.leaves import of_residual, properties
from losskit.sklearn.responses import axis_of, levels

# What it is called in `losskit.boosting`, where no loss says that it is an objective of this host:
# scikit-learn's are classes, and `host.peer` finds them.
HOST = "scikit-learn"


def refuse_unfit(loss: Loss, n_classes: int | None) -> None:
    """Raise Unsupported where trees of scikit-learn's cannot be grown by a loss, and say why."""
    where = "scikit-learn's histogram gradient boosting"
    axis = axis_of(loss)
    if loss.inputs != ("y_true", "y_pred") or axis not in ("", "class"):
        raise Unsupported(
            f"{where} fits one number a row, or one class; {loss.name} sees "
            f"{f'an axis of {axis}s' if axis else ', '.join(loss.inputs)}"
        )
    if loss.kind == "pointwise" and len(loss.outputs) > 1:
        raise Unsupported(
            f"{where} fits one number a row; {loss.name} has the outputs {', '.join(loss.outputs)}"
        )
    if levels(loss):
        raise Unsupported(
            f"{where} grows a tree for each class; {loss.name} has one score fewer, which have to "
            "fall: fit cross_entropy, or a losskit.Classifier"
        )
    if "gradient" not in loss.form(raw=True).graph.orders:
        raise Unsupported(f"{loss.name} has no derivative: it is to be read, not trained with")
    if axis == "class" and n_classes is None:
        raise Unsupported(f"{loss.name} is a loss of classes: fit a HistClassifier, or n_classes=")
    raw = loss.prediction_domain(raw=True)
    if not (math.isinf(raw.lower) and math.isinf(raw.upper)):
        raise Unsupported(
            f"{loss.name} takes predictions in {raw} only, and steps of trees do not keep to it: "
            "transform the target, as sklearn.compose.TransformedTargetRegressor does"
        )


def policy(loss: Loss, asked: str, own: Peer | None) -> tuple[str, str]:
    """Return the policy and why it was chosen."""
    if asked == "host" and own is None:
        raise Unsupported(f"curvature='host': scikit-learn has no loss of its own like {loss!r}")
    if asked not in ("auto", "host"):
        return asked, "as asked for"
    if own is not None:
        exact = own.make(3).differentiable
        return "exact" if exact else "constant", f"scikit-learn has this loss as {own.name}"
    return policy_for(loss, HOST)


def refuse_policy(loss: Loss, policy: str) -> None:
    """Raise where trees that divide by this curvature would not lower the loss, and say why."""
    said = f"curvature={policy!r}: {loss.name}"
    if loss.kind != "pointwise":
        if policy in ("fisher", "majorizer"):
            raise Unsupported(f"{said} sees a whole row; choose 'auto', 'exact' or 'constant'")
        straight = policy == "exact" and _rows_are_straight(loss)
    else:
        straight = policy == "exact" and is_straight(loss)
    if straight:
        raise ValueError(
            f"{said} is straight where it does not bend, and trees divide by its curvature, 0; "
            "choose 'auto' or 'constant'"
        )
    if loss.kind != "pointwise":
        return
    if policy == "majorizer" and is_straight(loss) and not loss.target_domain.values:
        raise ValueError(
            f"{said} has a corner where a target is met, above which a parabola has no bound on "
            "its curvature; choose 'auto' or 'constant'"
        )
    if policy == "constant" and not has_jump(loss):
        raise Unsupported(
            f"{said} is not straight far from the target on both sides with a turn between, so no "
            "curvature is typical of it; "
            + ("trees cannot find where it is least" if is_straight(loss) else "choose 'auto'")
        )


def _rows_are_straight(loss: Loss) -> bool:
    """Whether the second derivative of a loss over classes is 0 where no two scores agree."""
    count = max((len(v) for v in loss.params.values() if isinstance(v, tuple)), default=3)
    scores = np.linspace(-0.9, 1.7, count * count).reshape(count, count)
    return not loss.hessian(np.arange(count), scores, raw=True, reduction="sum").any()


def is_renewed(loss: Loss, own: Peer | None) -> bool:
    """Whether leaves get the best constant of their residuals: of a loss that they determine, and
    whose slope jumps.
    """
    if own is not None:
        return not own.make(3).differentiable
    return of_residual(loss) and not properties(loss).differentiable


def is_one(loss: Loss, factor: float, curvature: str) -> bool:
    """Whether the curvature that is handed over is 1 everywhere."""
    exact = curvature == "exact" and loss.kind == "pointwise" and loss.link.name == "identity"
    return exact and properties(loss).curvature == (factor, factor)
