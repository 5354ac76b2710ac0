"""Which losses scikit-learn's trees can be grown by, and what these divide by."""

from __future__ import annotations

import math

from losskit.boosting.curvature import policy_for
from losskit.fit.inputs.targets import Coding
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


def refuse_flat(loss: Loss, coding: Coding) -> None:
    """Raise Unsupported for a loss of two classes that has no slope at the score of the other
    class: no tree could set right what is wrong.
    """
    if coding.layout != "one":
        return
    slopes = loss.gradient([1.0, coding.negative], [-1.0, 1.0], raw=True, reduction="sum")
    if slopes[0] >= 0 or slopes[1] <= 0:
        raise Unsupported(
            f"{loss.name} is flat where a score is that of the other class, so no tree could set "
            "it right: fit a loss of classes, such as binary_cross_entropy or hinge"
        )


def policy(loss: Loss, asked: str, own: Peer | None, n_classes: int | None) -> tuple[str, str]:
    """Return the policy and why it was chosen."""
    if asked == "host" and (own is None or (n_classes and not own.of_classes)):
        kind = "class" if own is None else "classifier"
        raise Unsupported(f"curvature='host': scikit-learn has no {kind} of its own for {loss!r}")
    if asked not in ("auto", "host"):
        return asked, "as asked for"
    if own is not None:
        exact = own.make(3).differentiable
        return "exact" if exact else "constant", f"scikit-learn has this loss as {own.name}"
    return policy_for(loss, HOST)


def is_renewed(loss: Loss, own: Peer | None, n_classes: int | None) -> bool:
    """Whether leaves get the best constant of their residuals: of a loss that they determine, and
    whose slope jumps. Of classes scikit-learn's residuals are those of places among them, which
    are no targets of the loss.
    """
    if n_classes is not None:
        return False
    if own is not None:
        return not own.make(3).differentiable
    return of_residual(loss) and not properties(loss).differentiable


def is_one(loss: Loss, factor: float, curvature: str) -> bool:
    """Whether the curvature that is handed over is 1 everywhere."""
    exact = curvature == "exact" and loss.kind == "pointwise" and loss.link.name == "identity"
    return exact and properties(loss).curvature == (factor, factor)
