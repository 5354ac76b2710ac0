"""A loss as a metric: its weighted mean over all batches of an epoch."""

from __future__ import annotations

from typing import Any

import keras

from losskit.keras.batch import ratio
from losskit.keras.chosen import chosen, flag, from_config, to_config
from losskit.keras.samples import Samples
from losskit.keras.unpublished import mask_of


@keras.saving.register_keras_serializable(package="losskit")
class Metric(keras.metrics.Metric):
    """Σwℓ/Σw of a loss over everything seen since `reset_state`, for `compile(metrics=[…])`.

    Takes what `losskit.keras.Loss` takes, and losses without a derivative too. Keras passes
    `sample_weight` to `weighted_metrics` only; masks count in both. Batches weigh by their size:
    a `Loss` given as a metric would average the batches' means instead.

    >>> import losskit.keras
    >>> metric = losskit.keras.Metric("zero_one")
    >>> metric.update_state([[1.0], [-1.0], [1.0], [1.0]], [[0.2], [0.3], [1.0], [2.0]])
    >>> float(metric.result())
    0.25
    """

    def __init__(
        self,
        loss: Any,
        *,
        from_logits: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **params: Any,
    ) -> None:
        made = chosen(loss, params)
        super().__init__(name=name or made.name, dtype=dtype)
        self._samples = Samples(made, flag("from_logits", from_logits), trained=False)
        self._direction = "down"  # what Keras's tuners and callbacks ask metrics for
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        batch = self._samples.batch(
            y_true, y_pred, self.dtype, sample_weight=sample_weight, mask=mask_of(y_pred)
        )
        total, weight = batch.sums()
        self.total.assign_add(total)
        self.count.assign_add(weight)

    def result(self) -> Any:
        """Return the mean so far, 0 before the first batch."""
        return ratio(self.total.value, self.count.value)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same metric from."""
        config = to_config(self._samples.loss)
        return {**super().get_config(), "loss": config, "from_logits": self._samples.raw}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Return the metric that `get_config` described."""
        return cls(**{**config, "loss": from_config(config["loss"])})
