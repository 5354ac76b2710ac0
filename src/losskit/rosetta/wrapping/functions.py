"""Optax: a function of JAX arrays that gives the values of theirs, and our gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import losskit.jax
from losskit.rosetta.differences import accepted
from losskit.rosetta.facts import SIGNS, ZERO_ONE
from losskit.rosetta.wrapping.recognising import Recognised, unheeded


@dataclass(frozen=True)
class Values:
    """`(predictions, targets)` to a loss for each element or row, as Optax has them."""

    loss: Any
    factor: float = 1.0
    shift: float = 0.0
    zero_one: bool = False
    _function: Any = field(default=None, repr=False, compare=False)

    def __call__(self, predictions: Any, targets: Any) -> Any:
        """Return (ours − shift)/factor of each element or row."""
        y = 2 * targets - 1 if self.zero_one else targets
        data = (y, predictions) if self.loss.inputs == ("y_true", "y_pred") else (predictions, y)
        made = self._function(*data, raw=True, reduction="none")
        return (made - self.shift) / self.factor


def differing(found: Recognised) -> list[str]:
    """Return why a function of Optax gives other numbers."""
    entry, said = found.entry, found.settings
    reasons = []
    if entry.key.endswith("kl_divergence"):
        reasons.append("it takes log-probabilities, and its gradient by them is not that by logits")
    if entry.key.endswith("dice_loss"):
        reasons.append("what it sums over and averages depends on its axes")
    if found.loss is not None and (found.loss.kind == "written" or len(found.loss.inputs) != 2):
        reasons.append(
            f"it is no function of (predictions, targets); use losskit.{found.loss.name}"
        )
    if found.loss is not None and getattr(found.loss.definition, "axis", "") == "item":
        reasons.append("it averages lists")
    reasons += [
        f"{name}={said[name]!r} is not of ours"
        for name, usual in {"axis": -1, "where": None, "epsilon": 0.0}.items()
        if name in said and name not in entry.parameters and said[name] not in (usual, None)
    ]
    return reasons + unheeded(found, ("axis", "where", "epsilon"))


def made(found: Recognised) -> Values:
    """Return a function of ours for a function of Optax."""
    entry = found.entry
    recoded = entry.name.labels == (ZERO_ONE,) and accepted(found.loss) == (SIGNS,)
    return Values(
        found.loss, entry.factor, entry.name.shift, recoded, losskit.jax.function(found.loss)
    )
