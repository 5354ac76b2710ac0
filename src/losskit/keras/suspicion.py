"""Telling probabilities where `from_logits=True` asks for raw scores: it cannot be proved."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from losskit.arrays import look_like_probabilities
from losskit.keras.unpublished import only_shapes_count

_SEEN = 1 << 10  # rows looked at


def looked_at(loss: Any, y_pred: Any) -> bool:
    """Warn where raw scores look like probabilities, and say whether they could be looked at.

    In eager PyTorch code alone: compiled code holds no numbers, and losskit's JAX functions warn.
    """
    if keras.backend.backend() != "torch" or only_shapes_count() or _is_compiling():
        return False
    if not math.prod(np.shape(y_pred)):
        return False
    link = next((one.name for one in _links(loss) if one.clips), None)
    f = np.asarray(ops.convert_to_numpy(y_pred[:_SEEN]), dtype=np.float64)
    if link is not None and look_like_probabilities(f, link == "softmax"):
        last = "softmax" if link == "softmax" else "sigmoid"
        warnings.warn(
            f"{loss.name}: from_logits=True says that predictions are raw scores, and these "
            f"look like probabilities: leave out the {last}, or pass from_logits=False",
            stacklevel=4,
        )
    return True


def _links(loss: Any) -> Any:
    links = getattr(getattr(loss, "definition", None), "links", ())
    return links if len(links) == 1 else ()


def _is_compiling() -> bool:
    import torch

    return bool(torch.compiler.is_compiling())
