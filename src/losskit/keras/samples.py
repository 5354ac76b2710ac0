"""From what Keras passes to one batch that the back ends compute, by Keras's habits of shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from losskit.by_rank import ByRank
from losskit.keras.batch import Batch
from losskit.keras.shapes import Layout, aligned, fitting, layout, spread
from losskit.keras.tensors import (
    HALVES,
    coarseness,
    given,
    indexes,
    numbers,
    summing_to_one,
    type_name,
)


@dataclass(frozen=True)
class Samples:
    """A loss, or several of a family, on one scale of predictions."""

    loss: Any
    raw: bool
    trained: bool = True  # whether a gradient may be asked for
    validate: bool = False  # whether compiled code looks at values too

    def batch(
        self, y_true: Any, y_pred: Any, dtype: str, *, sample_weight: Any = None, mask: Any = None
    ) -> Batch:
        """Return targets, predictions, weights and mask as tensors that fit, or raise an error.

        `dtype` is the type of the result; half precision is computed in float32.
        """
        y_true, y_pred = given("y_true", y_true), given("y_pred", y_pred)
        f = numbers(y_pred, "float32" if dtype in HALVES else dtype)
        compute = type_name(f)  # float32 where JAX has no float64
        loss = self.loss.of_rank(_rank(f)) if isinstance(self.loss, ByRank) else self.loss
        plan = layout(loss, tuple(f.shape))
        hard = plan.names_classes(tuple(y_true.shape))
        y = aligned(plan, indexes(y_true) if hard else numbers(y_true, compute))
        if sample_weight is not None:
            sample_weight = numbers(given("sample_weight", sample_weight), compute)
            sample_weight = fitting("sample_weight", sample_weight, plan.weighed)
        if mask is not None:
            mask = ops.cast(fitting("the mask of y_pred", mask, plan.masked), "bool")
        f = f if self.trained else ops.stop_gradient(f)
        clip = None if self.raw else coarseness(y_pred, f)
        if clip is not None and _of_shares(loss):
            f = summing_to_one(f, y_pred)
        if plan.classes and not hard and coarseness(y_true, y) is not None:
            y = summing_to_one(y, y_true)
        mask = _without_ignored(loss, plan, y, mask)
        return Batch(plan, loss, self.raw, y, f, sample_weight, mask, self.validate, clip)


def _without_ignored(loss: Any, plan: Layout, y: Any, mask: Any) -> Any:
    """Return the mask without rows of the ignored class, which Keras counts as masked too."""
    ignored = loss.params.get("ignore_index") if plan.classes else None
    if ignored is None or tuple(y.shape) != plan.targets[0]:
        return mask
    counts = ops.not_equal(y, ignored)
    return counts if mask is None else ops.logical_and(spread(mask, counts), counts)


def _rank(f: Any) -> int:
    """Return the number of axes without a last one of one column, which is Keras's habit."""
    return len(f.shape) - (len(f.shape) > 1 and f.shape[-1] == 1)


def _of_shares(loss: Any) -> bool:
    """Whether predictions are probabilities of classes, of which each row sums to 1."""
    links = getattr(getattr(loss, "definition", None), "links", ())
    return any(link.name == "softmax" for link in links)
