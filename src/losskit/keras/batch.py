"""One batch: its loss by Keras's five reductions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

from losskit.keras import engine
from losskit.keras.shapes import Layout
from losskit.keras.unpublished import only_shapes_count
from losskit.several import Several


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors that fit each other, and the loss that they are for.

    Examples are what has a loss of its own: numbers, rows of classes or labels, lists. Samples are
    what Keras counts: where each prediction has a loss, a sample is the last axis of `y_pred`.
    """

    plan: Layout
    loss: Any
    raw: bool
    y_true: Any
    y_pred: Any
    weight: Any  # of leading axes of the examples, or None
    mask: Any
    validate: bool
    clip: float | None  # of probabilities, where they came in a coarser type

    def reduced(self, reduction: str | None, dtype: str) -> Any:
        """Return what Keras calls this reduction."""
        if reduction in (None, "none"):
            return ops.cast(self._of_samples(), dtype)
        if 0 in self.plan.predictions:
            raise ValueError(
                f"{self.loss.name}: the batch is empty, so it has no loss; use reduction=None"
            )
        if reduction != "sum" and self._counts_all_alike():
            return ops.cast(self._plain_mean(), dtype)
        total, weight = self.sums()
        if reduction == "sum":
            made = total / self.plan.members
        else:
            made = ratio(total, weight if reduction == "mean_with_sample_weight" else self._count())
        return ops.cast(made, dtype)

    def sums(self) -> tuple[Any, Any]:
        """Return Σwℓ and Σw of the examples."""
        if only_shapes_count():
            nothing = ops.sum(ops.zeros_like(self.y_pred))
            return nothing, nothing
        found = self._computed(engine.sums)
        total = sum(one for one, _ in found[1:]) + found[0][0]
        return total / len(found), ops.cast(found[0][1], total.dtype)

    def _plain_mean(self) -> Any:
        """Return the mean, which the engine divides itself: nothing is left to its gradient."""
        found = self._computed(engine.mean)
        return (sum(found[1:]) + found[0]) / len(found) if len(found) > 1 else found[0]

    def _counts_all_alike(self) -> bool:
        counted = (self.weight, self.mask, self.loss.params.get("class_weight"))
        return not only_shapes_count() and all(x is None for x in counted)

    def _of_samples(self) -> Any:
        f, plan = self.y_pred, self.plan
        if only_shapes_count():
            values = ops.zeros_like(f if plan.elementwise else f[..., 0])
        else:
            found = self._computed(engine.each)
            values = (sum(found[1:]) + found[0]) / len(found)
        if plan.elementwise and len(plan.predictions) > 1:
            # Keras's own `mean` takes float64 through float32 on PyTorch.
            values = ops.sum(values, axis=-1) / plan.members
        return values

    def _computed(self, engine: Any) -> list[Any]:
        """Return what the engine makes of the loss, or of each of several and its column."""
        y, f = self.y_true, self.y_pred
        counting = {"sample_weight": self.weight, "mask": self.mask}
        options = {"raw": self.raw, "validate": self.validate, "clip": self.clip, **counting}
        if not isinstance(self.loss, Several):
            return [engine(self.loss, y, f, **options)]
        members = enumerate(self.loss.members)
        return [engine(one, y, f[..., i], **options) for i, one in members]

    def _count(self) -> Any:
        """Return the number of examples that count."""
        size, mask = math.prod(self.plan.weighed), self.mask
        if mask is None:
            return size
        if self.plan.lists and len(mask.shape) == len(self.plan.predictions):
            mask = ops.any(mask, axis=-1)
        each = size // max(1, math.prod(mask.shape))  # a mask of leading axes counts for the others
        return ops.sum(ops.cast(mask, self.y_pred.dtype)) * each


def ratio(total: Any, count: Any) -> Any:
    """Return a mean, 0 where nothing counted.

    Keras's own `divide_no_nan` takes float64 through float32 on PyTorch.
    """
    if isinstance(count, int):
        return total / count
    some = count > 0
    return ops.where(some, total / ops.where(some, count, 1), 0)
