"""What the checks of `losskit.keras` share. `test_keras.py` runs them for each back end in a
process of its own, because Keras chooses its back end when it is imported:

    KERAS_BACKEND=jax python -m pytest tests/keras_values.py
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import losskit
import losskit.keras
from losskit.formula.domain import Positive
from losskit.keras.chosen import lacking

BACKEND = keras.backend.backend()
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None)
Loss, Metric = losskit.keras.Loss, losskit.keras.Metric
WARNINGS = [
    # NumPy 2 deprecates how Keras reads PyTorch's tensors, PyTorch what its own compiler imports.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]


def costly(test: Any) -> Any:
    """Mark a test that JAX compiles much for: `make test` runs it on PyTorch alone."""
    return pytest.mark.slow(test) if BACKEND == "jax" else test


def derivative(loss: Any, y: Any, f: Any, **options: Any) -> np.ndarray:
    """Return the framework's own gradient of a loss by its predictions."""
    if BACKEND == "torch":
        leaf = ops.convert_to_tensor(f).detach().clone().requires_grad_()
        loss(y, leaf, **options).sum().backward()
        return ops.convert_to_numpy(leaf.grad)
    import jax

    return np.asarray(jax.grad(lambda x: loss(y, x, **options).sum())(jax.numpy.asarray(f)))


def masked(f: Any, mask: Any) -> Any:
    """Return predictions that layers have given a mask."""
    from keras.src.backend import set_keras_mask

    tensor = ops.convert_to_tensor(f)
    set_keras_mask(tensor, None if mask is None else ops.convert_to_tensor(mask))
    return tensor


def linear_model(outputs: int = 1, activation: Any = None) -> Any:
    """Return a small model of three columns."""
    layers = [keras.Input((3,)), keras.layers.Dense(outputs, activation=activation)]
    return keras.Sequential(layers)


def data(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of numbers and a target that depends on it."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 3)).astype("float32")
    return x, (x @ [1.0, -2.0, 0.5] + rng.normal(size=n)).astype("float32")


def own() -> losskit.Loss:
    """Return a user's formula, which registers nothing."""

    @losskit.loss
    def lopsided(y, f, ratio: Positive = 2.0):
        """Squares errors, and counts those below the target more."""
        r = f - y
        return losskit.formula.where(r < 0, ratio * r * r, r * r)

    return lopsided(ratio=3.0)


def fed() -> list[str]:
    """Return the losses that Keras can train with."""
    losses = [losskit.get(n) for kind in ("pointwise", "rows") for n in losskit.names(kind)]
    return [loss.name for loss in losses if not lacking(loss) and loss.name != "zero_one"]
