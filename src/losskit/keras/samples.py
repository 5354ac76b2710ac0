"""From what Keras passes to one batch that the back ends compute, by Keras's habits of shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from losskit.arrays import eps
from losskit.by_rank import ByRank
from losskit.keras.batch import Batch
from losskit.keras.shapes import Layout, aligned, fitting, layout, spread

_EPS_OF_HALF = {"float16": eps(np.dtype("float16")), "bfloat16": eps(np.dtype("V2"))}


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
        """Return targets, predictions, weights and mask as tensors that fit, or raise ValueError.

        `dtype` is the type of the result; half precision is computed in float32.
        """
        f = _predictions(y_pred, dtype)
        loss = self.loss.of_rank(_rank(f)) if isinstance(self.loss, ByRank) else self.loss
        plan = layout(loss, tuple(f.shape))
        y = aligned(plan, _targets(y_true, plan, str(keras.backend.standardize_dtype(f.dtype))))
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype=f.dtype)
            sample_weight = fitting("sample_weight", sample_weight, plan.weighed)
        if mask is not None:
            mask = ops.cast(fitting("the mask of y_pred", mask, plan.masked), "bool")
        f = f if self.trained else ops.stop_gradient(f)
        clip = _EPS_OF_HALF.get(str(getattr(y_pred, "dtype", "")).removeprefix("torch."))
        if not self.raw and clip is not None and _of_classes(loss):
            f = f / ops.sum(f, axis=-1, keepdims=True)  # which is off by 1e-3, as Keras's losses do
        mask = _without_ignored(loss, plan, y, mask)
        return Batch(plan, loss, self.raw, y, f, sample_weight, mask, self.validate, clip)


def _predictions(y_pred: Any, dtype: str) -> Any:
    """Return predictions as a tensor of the type that the loss is computed in."""
    if isinstance(y_pred, keras.KerasTensor):
        raise TypeError(
            "y_pred is a symbolic KerasTensor, which holds no numbers: pass the loss to "
            "model.compile(loss=…)"
        )
    return ops.convert_to_tensor(y_pred, dtype="float32" if dtype in _EPS_OF_HALF else dtype)


def _targets(y_true: Any, plan: Layout, dtype: str) -> Any:
    """Return targets as a tensor: class indexes as they are, numbers in the predictions' type.

    Integers are made floats before JAX sees them, which would wrap those beyond 32 bits.
    """
    if not hasattr(y_true, "shape"):
        y_true = np.asarray(y_true)
    if plan.names_classes(tuple(y_true.shape)):
        return ops.convert_to_tensor(y_true)
    if isinstance(y_true, np.ndarray) and y_true.dtype.kind in "iub":
        y_true = y_true.astype(dtype)
    return ops.convert_to_tensor(y_true, dtype=dtype)


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


def _of_classes(loss: Any) -> bool:
    links = getattr(getattr(loss, "definition", None), "links", ())
    return any(link.name == "softmax" for link in links)
