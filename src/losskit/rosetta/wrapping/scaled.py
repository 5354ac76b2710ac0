"""A loss of ours at another's scale: of scikit-learn's losses and metrics, and of objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.rosetta.differences import accepted
from losskit.rosetta.facts import SIGNS, ZERO_ONE
from losskit.rosetta.wrapping.recognising import Recognised, unheeded


@dataclass(frozen=True, repr=False)
class Scaled:
    """A loss of `(y_true, y_pred, sample_weight)` whose mean is (ours − shift)/factor.

    `raw` predictions are raw scores. With `above_infimum` it is what ours exceeds its least value
    for each target by: a deviance. `zero_one` takes labels 0 and 1 where ours takes −1 and 1.

    >>> import losskit
    >>> half = losskit.wrap("reg:squarederror")
    >>> half
    Scaled(losskit.squared_error, factor=2, raw=True)
    >>> half([1.0, 2.0], [1.0, 4.0]), half.gradient([1.0, 2.0], [1.0, 4.0])
    (1.0, array([0., 1.]))
    """

    loss: Any
    factor: float = 1.0
    shift: float = 0.0
    raw: bool = False
    above_infimum: bool = False
    zero_one: bool = False

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return the weighted mean: Σwℓ/Σw."""
        y = self._targets(y_true)
        value = self.loss(y, y_pred, sample_weight=sample_weight, raw=self.raw)
        if self.above_infimum:
            value -= float(np.average(self.loss.infimum(y), weights=sample_weight))
        return (value - self.shift) / self.factor

    def gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the derivative of what a call returns by `y_pred`."""
        y = self._targets(y_true)
        made = self.loss.gradient(y, y_pred, sample_weight=sample_weight, raw=self.raw)
        return made / self.factor

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row."""
        y = self._targets(y_true)
        made = self.loss(y, y_pred, raw=self.raw, reduction="none")
        if self.above_infimum:
            made = made - self.loss.infimum(y)
        return (made - self.shift) / self.factor

    def __repr__(self) -> str:
        said = {
            "factor": self.factor, "shift": self.shift, "raw": self.raw,
            "above_infimum": self.above_infimum, "zero_one": self.zero_one,
        }  # fmt: skip
        usual = {"factor": 1.0}
        changed = [f"{n}={v!r}" for n, v in said.items() if v != usual.get(n, 0)]
        return f"Scaled({', '.join([repr(self.loss), *changed])})"

    def _targets(self, y_true: Any) -> Any:
        if not self.zero_one:
            return y_true
        y = np.asarray(y_true)
        wrong = np.flatnonzero(~np.isin(y, (0, 1)).ravel())
        if wrong.size:
            raise ValueError(
                f"y_true[{wrong[0]}] is {y.ravel()[wrong[0]]}; needed are labels 0 and 1"
            )
        return 2.0 * y - 1.0


def differing(found: Recognised) -> list[str]:
    """Return why an object of scikit-learn gives other numbers."""
    entry, reasons = found.entry, []
    if not entry.key.startswith(("sklearn._loss", "sklearn.metrics")):
        return ["it is an estimator; losskit.translate tells its loss"]
    if entry.name.target_only and not _is_deviance(found):
        reasons.append("values differ by a constant of the target, gradients do not")
    if entry.key.endswith(("hinge_loss", "brier_score_loss")):
        reasons.append("it takes any two labels, and which is a yes follows from their order")
    options = {
        "multioutput": "uniform_average", "normalize": True, "labels": None, "pos_label": None,
    }  # fmt: skip
    handled = (*options, "sample_weight", "n_classes")
    return [*reasons, *unheeded(found, handled)] + [
        f"{name}={found.settings[name]!r} is not of ours"
        for name, usual in options.items()
        if name in found.settings and found.settings[name] != usual
    ]


def made(found: Recognised) -> Scaled:
    """Return ours at the scale of a loss or metric of scikit-learn."""
    entry, loss = found.entry, found.loss
    if entry.key.endswith("log_loss"):
        from losskit.by_rank import BY_RANK

        loss = BY_RANK["log_loss"]  # of a probability, or of a column for each class
    recoded = entry.name.labels == (ZERO_ONE,) and accepted(found.loss) == (SIGNS,)
    linked = any(link.name != "identity" for link in found.loss.definition.links)
    return Scaled(
        loss, entry.factor, entry.name.shift, found.raw and linked, _is_deviance(found), recoded
    )


def _is_deviance(found: Recognised) -> bool:
    return found.entry.name.target_only and "deviance" in found.entry.key
