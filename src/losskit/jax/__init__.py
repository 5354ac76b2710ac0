"""Losses as pure JAX functions, with losskit's own derivatives."""

from losskit.extras import require

require("jax")

from losskit.jax.functions import LossFunction, function

__all__ = ["LossFunction", "function"]
