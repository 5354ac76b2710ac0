"""What a loss has to be told by an estimator: which of its methods gives `y_pred`."""

from __future__ import annotations

from typing import Any

from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.formula.domain import SIGN
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.several import Several

PREDICT, PROBABILITIES, DECISION = "predict", "predict_proba", "decision_function"


def loss_of(loss: Any, parameters: dict[str, Any]) -> Loss:
    """Return the loss that a name, or a loss, and parameters stand for."""
    found = judged(loss, parameters)
    if not isinstance(found, Loss):
        raise Unsupported(f"{found!r} is several losses in one; scikit-learn takes one at a time")
    return found


def judged(loss: Any, parameters: dict[str, Any]) -> Any:
    """Return the same, or several losses, of which predictions have a column each."""
    found = get(loss, **parameters)
    return found.of_rank(2) if isinstance(found, ByRank) else found  # of classes takes two too


def response(loss: Any, raw: bool = False) -> str:
    """Return the method of an estimator that gives what the loss takes, by link and target.

    Losses of classes take probabilities where their link makes these, else decision functions, as
    all of them do under `raw`. Raises Unsupported for losses of vectors, pairs and batches, which
    no estimator predicts.
    """
    if isinstance(loss, Several):
        asked = response(loss.members[0], raw)
        if asked != PREDICT:
            raise Unsupported(f"{loss!r} is several losses in one, and no classifier has a column "
                              "of predictions for each: take one at a time")  # fmt: skip
        return asked
    if loss.inputs != ("y_true", "y_pred") or axis_of(loss) in ("feature", "row"):
        raise Unsupported(
            f"{loss.name} takes ({', '.join(loss.inputs)}); metrics and scorers of scikit-learn "
            "have y_true and what one estimator predicts for it"
        )
    if not is_of_classes(loss):
        if raw:
            raise Unsupported(f"raw=True: {loss.name} is a loss of numbers, which predict gives")
        return PREDICT
    if levels(loss) and raw:
        raise Unsupported(f"raw=True: {loss.name} takes scores of steps, which no estimator has")
    return PROBABILITIES if is_of_probabilities(loss) and not raw else DECISION


def is_of_probabilities(loss: Loss) -> bool:
    """Whether predictions of a loss of classes are probabilities; else they are margins."""
    return bool(loss.clips) if axis_of(loss) else loss.link.name == "logit"


def is_of_classes(loss: Any) -> bool:
    """Whether targets are classes or labels: the loss sees an axis of them, or one of two."""
    if loss.kind == "pointwise":
        two = len(loss.outputs) == 1
        return two and (loss.link.name == "logit" or loss.target_domain == SIGN)
    return axis_of(loss) in ("class", "label")


def axis_of(loss: Any) -> str:
    """Return the axis that the loss sees, "" for a loss of one number, or several."""
    return str(getattr(getattr(loss, "definition", None), "axis", ""))


def levels(loss: Any) -> bool:
    """Whether its outputs are steps between ordered classes, one fewer than there are classes."""
    return axis_of(loss) == "class" and any(i.classes == "level" for _, i in loss.definition.inputs)
