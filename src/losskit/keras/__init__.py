"""Losses for Keras 3, on its PyTorch and JAX back ends.

`model.compile(loss=losskit.keras.Loss("quantile", q=0.9))`, or by a name that Keras has no loss
for, `model.compile(loss="quantile")`. Importing this module registers both with Keras: do so before
`keras.models.load_model` as well.
"""

from losskit.extras import require

require("keras")

from losskit.keras.engine import check_backend

check_backend()

from losskit.keras.adapter import Loss
from losskit.keras.mean import Metric
from losskit.keras.names import register

register()

__all__ = ["Loss", "Metric"]
