"""Names that mean one loss for a probability and another for the probabilities of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.definition import REGISTRY

_WITH_DATA = (
    "value_and_gradient", "gradient", "hessian", "gradient_and_hessian", "hessian_vector_product",
    "accumulate",
)  # fmt: skip


@dataclass(frozen=True)
class ByRank:
    """`log_loss(y_true, y_pred)`: one loss where `y_pred` has one axis, another where it has more.

    >>> import losskit
    >>> round(losskit.log_loss([1, 0], [0.9, 0.2]), 6)
    0.164252
    >>> round(losskit.log_loss([0, 2], [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), 6)
    0.289909
    """

    name: str
    flat: str  # the loss of one probability
    rows: str  # the loss of a row of probabilities

    def of_rank(self, rank: int) -> Any:
        """Return the loss for predictions with this number of axes."""
        return REGISTRY[self.flat if rank < 2 else self.rows]

    def __call__(self, *data: Any, **options: Any) -> Any:
        """With data, return the mean loss; with parameters, the loss that has them."""
        if data:
            return self._chosen(data)(*data, **options)
        if not options:
            return self
        for loss in (self.of_rank(1), self.of_rank(2)):
            if {*options} <= {*loss.params}:
                return loss(**options)
        return self.of_rank(2)(**options)  # which says what is wrong

    def __getattr__(self, name: str) -> Any:
        if name in _WITH_DATA:
            return lambda *data, **options: getattr(self._chosen(data), name)(*data, **options)
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self.name} is {self.flat} or {self.rows} by the rank of y_pred: ask one of them for "
            f"{name}"
        )

    def __repr__(self) -> str:
        return f"losskit.{self.name}"

    def _chosen(self, data: tuple[Any, ...]) -> Any:
        return self.of_rank(np.ndim(data[1]) if len(data) > 1 else 1)


BY_RANK = {
    name: ByRank(name, "binary_cross_entropy", "cross_entropy") for name in ("log_loss", "nll")
}
