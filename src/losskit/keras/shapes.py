"""Which shapes a loss has in Keras: of targets, of weights and masks, and of what it returns.

Keras gives every output a last axis, of one where there is one number, and takes targets with or
without it. Nothing else is broadcast: (n,) against (n, 1) would be n² differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from losskit.several import Several

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The shapes of one call."""

    name: str
    predictions: Shape
    targets: tuple[Shape, ...]  # that the loss takes, class indexes first
    weighed: Shape  # of the examples, of which `sample_weight` has leading axes
    masked: Shape  # of which a mask has leading axes
    elementwise: bool = False  # each prediction has a loss; a sample's is their mean
    classes: bool = False
    lists: bool = False

    @property
    def members(self) -> int:
        """The number of examples that a sample of Keras's is the mean of."""
        return self.predictions[-1] if self.elementwise and len(self.predictions) > 1 else 1

    def names_classes(self, shape: Shape) -> bool:
        """Whether targets of this shape are class indexes."""
        rows = self.targets[0]
        return self.classes and shape in (rows, (*rows, 1)) and shape not in self.targets[1:]


def layout(loss: Any, predictions: Shape) -> Layout:
    """Return the shapes that go with predictions of this shape, or raise ValueError."""
    if not predictions:
        raise ValueError(f"{loss.name}: y_pred has no axis; needed is a batch")
    rows = predictions[:-1]
    if isinstance(loss, Several) or (loss.kind == "pointwise" and len(loss.outputs) > 1):
        return _of_outputs(loss, predictions)
    if loss.kind == "pointwise":
        same = predictions
        if len(same) > 1 and same[-1] == 0:
            raise ValueError(
                f"{loss.name}: y_pred has shape {same}; needed is a last axis of one or more"
            )
        return Layout(loss.name, same, (same,), weighed=same, masked=same, elementwise=True)
    if loss.definition.axis == "item":
        _check_rank(loss, predictions, "list")
        _check_items(loss, predictions)
        return Layout(loss.name, predictions, (predictions,), rows, predictions, lists=True)
    _check_rank(loss, predictions, loss.definition.axis)
    if not loss.definition.has_classes:
        return Layout(loss.name, predictions, (predictions,), rows, rows)
    (target,) = (one for _, one in loss.definition.inputs if one.classes)
    if target.classes != "level":
        _check_columns(loss, predictions)
    targets = (rows, predictions) if target.rank == 2 else (rows,)
    return Layout(loss.name, predictions, targets, rows, rows, classes=True)


def aligned(plan: Layout, y: Any) -> Any:
    """Return targets with the axes that the loss takes, adding or removing a last one of one."""
    given = tuple(y.shape)
    if given in plan.targets:
        return y
    if given[-1:] == (1,) and given[:-1] in plan.targets:
        return ops.squeeze(y, axis=-1)
    if (*given, 1) in plan.targets:
        return ops.expand_dims(y, axis=-1)
    raise ValueError(
        f"{plan.name}: y_true has shape {given} and y_pred {plan.predictions}; needed is y_true "
        f"{' or '.join(map(str, plan.targets))}, as nothing is broadcast"
    )


def fitting(what: str, tensor: Any, shape: Shape) -> Any:
    """Return weights or a mask with leading axes of `shape`, without a last one of one."""
    given = tuple(tensor.shape)
    if not given:
        return ops.broadcast_to(tensor, shape[:1])
    if given == shape[: len(given)]:
        return tensor
    if given[-1] == 1 and given[:-1] == shape[: len(given) - 1]:
        return ops.squeeze(tensor, axis=-1)
    raise ValueError(f"{what} has shape {given}; needed are leading axes of {shape}")


def spread(x: Any, like: Any) -> Any:
    """Return what has leading axes of another tensor with axes of one for the others."""
    return ops.reshape(x, (*x.shape, *(1,) * (len(like.shape) - len(x.shape))))


def _of_outputs(loss: Any, predictions: Shape) -> Layout:
    columns = len(loss.members if isinstance(loss, Several) else loss.outputs)
    rows = predictions[:-1]
    if not rows or predictions[-1] != columns:
        raise ValueError(
            f"{loss.name}: y_pred has shape {predictions}; needed is a last axis of {columns}, one "
            "for each output"
        )
    return Layout(loss.name, predictions, (rows,), rows, rows)


def _check_rank(loss: Any, predictions: Shape, axis: str) -> None:
    if len(predictions) < 2:
        raise ValueError(
            f"{loss.name}: y_pred has shape {predictions}; needed is a batch of rows, the last "
            f"axis being the {axis}"
        )


def _check_items(loss: Any, predictions: Shape) -> None:
    """Refuse lists of one item, whose loss is the same whatever the model says."""
    if predictions[-1] < 2:
        raise ValueError(
            f"{loss.name}: y_pred has shape {predictions}, lists of one item, which have no order; "
            "needed is (batch, items)"
        )


def _check_columns(loss: Any, predictions: Shape) -> None:
    """Refuse a softmax over one class, which is 1 whatever the model says."""
    if predictions[-1] < 2:
        raise ValueError(
            f"{loss.name}: y_pred has shape {predictions}, one class; needed are two columns or "
            "more. One column for yes and no goes with binary_cross_entropy"
        )
