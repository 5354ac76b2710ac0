"""What we need of Keras and it has no public function for. `names` uses a table of its own."""

from __future__ import annotations

from typing import Any

from keras.src.backend import get_keras_mask
from keras.src.backend.common.symbolic_scope import in_symbolic_scope


def mask_of(tensor: Any) -> Any:
    """Return the mask that layers gave to `tensor`, True where it counts, or None."""
    return get_keras_mask(tensor)


def only_shapes_count() -> bool:
    """Whether Keras asks for shapes, with tensors that hold nothing, or ones: no data to judge."""
    return bool(in_symbolic_scope())
