"""A loss as Keras has them: weighed, reduced, named, saved and loaded."""

from __future__ import annotations

from typing import Any

import keras

from losskit.formula.expr import Unsupported
from losskit.keras.chosen import chosen, flag, from_config, to_config
from losskit.keras.samples import Samples
from losskit.keras.suspicion import looked_at
from losskit.keras.unpublished import mask_of

_LOOKS = 3  # calls of which predictions are looked at: one may be an accident, more cost time


@keras.saving.register_keras_serializable(package="losskit")
class Loss(keras.losses.Loss):
    """A loss of losskit, or your own formula, for `model.compile(loss=…)`.

    `loss` is a loss or its name; its parameters go by name. Targets and predictions are Keras's
    `(y_true, y_pred)`, batch first and classes last; a sample's loss is the mean over the last axis
    of `y_pred`, as in Keras. `from_logits=True` says that predictions are raw scores (logits,
    logarithms of means); it changes nothing for a loss without a link. `reduction`, `name` and
    `dtype` are Keras's; half precision computes in float32. Targets that name classes keep their
    integers. Samples that are masked or have weight 0 give exactly 0 and may hold anything.

    Raises Unsupported for a loss that Keras's two arguments cannot feed, TypeError for what holds
    no numbers, ValueError for shapes that do not match, and on CPUs for values outside the loss's
    domain. Compiled JAX code and GPUs give NaN for these, and with `validate=True` look for them as
    they run, which costs time.

    >>> import losskit.keras
    >>> losskit.keras.Loss("huber", delta=1.5)
    losskit.keras.Loss(losskit.huber(delta=1.5))
    >>> float(losskit.keras.Loss("quantile", q=0.75)([[1.0], [5.0]], [[2.0], [1.0]]))
    1.625
    """

    def __init__(
        self,
        loss: Any,
        *,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        validate: bool = False,
        **params: Any,
    ) -> None:
        made = chosen(loss, params)
        _check_trainable(made)
        super().__init__(name=name or made.name, reduction=reduction, dtype=dtype)
        self._given_dtype = None if dtype is None else self._dtype_policy.name
        self._samples = Samples(
            made, flag("from_logits", from_logits), validate=flag("validate", validate)
        )
        self._looks = _LOOKS if from_logits else 0

    @property
    def loss(self) -> Any:
        """The loss as a value of losskit."""
        return self._samples.loss

    @property
    def from_logits(self) -> bool:
        """Whether predictions are raw scores."""
        return self._samples.raw

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss of a batch, weighed by `sample_weight` and the mask of `y_pred`.

        Keras's own `__call__` would cast class indexes to floats, and multiply what is masked by 0
        after it was computed: NaN stays NaN.
        """
        with keras.name_scope(self.name):
            batch = self._samples.batch(
                y_true, y_pred, self.dtype, sample_weight=sample_weight, mask=mask_of(y_pred)
            )
            if self._looks and looked_at(self.loss, y_pred):
                self._looks -= 1
            return batch.reduced(self.reduction, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample, of `y_pred`'s shape without its last axis."""
        return self._samples.batch(y_true, y_pred, self.dtype).reduced(None, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same loss from: a user's formula as a graph."""
        return {
            **super().get_config(),
            "loss": to_config(self.loss),
            "from_logits": self.from_logits,
            "dtype": self._given_dtype,
            "validate": self._samples.validate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Return the loss that `get_config` described."""
        return cls(**{**config, "loss": from_config(config["loss"])})

    def __repr__(self) -> str:
        said = [repr(self.loss), *(["from_logits=True"] if self.from_logits else [])]
        return f"losskit.keras.Loss({', '.join(said)})"


def loss_to(loss: Any, **options: Any) -> Loss:
    """Return `loss` as a `keras.losses.Loss`: see `losskit.keras.Loss`."""
    return Loss(loss, **options)


def _check_trainable(loss: Any) -> None:
    for one in getattr(loss, "members", (loss,)):
        graph = getattr(one, "form", lambda raw: None)(True)
        if graph is not None and "gradient" not in graph.graph.orders:
            raise Unsupported(
                f"{one.name} has no derivative to train with; as a metric it is "
                f"losskit.keras.Metric({one.name!r})"
            )
