"""PyTorch: a module of ours that takes the arguments of theirs, and gives its number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from losskit.rosetta.facts import BY_CLASS_WEIGHT
from losskit.rosetta.wrapping.recognising import Recognised, clips, scales, unheeded
from losskit.torch import Loss
from losskit.torch.plans import plan_of

_HANDLED = ("reduction", "weight", "pos_weight")  # below
_LOG_PROBABILITIES = ("torch.nn.functional.nll_loss", "torch.nn.functional.kl_div")


class Same(Loss):
    """A `losskit.torch.Loss` that takes what a loss of `torch.nn` takes, in its order.

    Where that divides by the number of classes so does this; and where it has class weights the
    targets are indexes, as with probabilities it divides by another number.
    """

    def __init__(self, loss: Any, reduction: str, raw: bool, *, per_class: bool, indexes: bool):
        super().__init__(loss, reduction=reduction, raw=raw)
        self.per_class, self.indexes = per_class, indexes

    def forward(self, *data: Tensor, **options: Any) -> Tensor:
        """Return the loss of the inputs and the target, in PyTorch's order.

        Takes the options of `losskit.torch.Loss`, as `sample_weight`.
        """
        if self.indexes and data[-1].is_floating_point():
            raise ValueError(
                "torch divides the mean of class weights and probability targets by their number, "
                "ours by Σw: give indexes, or use losskit.torch.Loss and mean it"
            )
        names = _order(self._plans(self.reduction)[0])
        if len(names) != len(data):
            raise TypeError(f"{self.loss.name} takes ({', '.join(names)}), not {len(data)} tensors")
        if self.loss.inputs == ("y_true", "y_pred"):
            value = super().forward(*data, **options)
        else:
            value = super().forward(**dict(zip(names, data, strict=True)), **options)
        return value / data[0].shape[1 if data[0].ndim > 1 else 0] if self.per_class else value


def _order(plan: Any) -> list[str]:
    """Return the names of the data as torch has them: inputs first, then the target."""
    names = list(enumerate(plan.inputs))
    return [n for i, n in names if i in plan.trained] + [
        n for i, n in names if i not in plan.trained
    ]


def differing(found: Recognised) -> list[str]:
    """Return why a module of PyTorch gives other numbers."""
    entry, said = found.entry, found.settings
    reasons = [*clips(found), *unheeded(found, _HANDLED)]
    if entry.factor != "classes":
        reasons += scales(entry)
    if entry.key in _LOG_PROBABILITIES:
        reasons.append(
            "it takes log-probabilities, and its gradient by them is not that by logits: leave the "
            "log_softmax out"
        )
    if entry.key.endswith("gaussian_nll_loss"):
        reasons.append("it takes the variance as a third argument, ours mean and deviation in one")
    if entry.key.endswith("kl_div") and said.get("reduction") == "mean":
        reasons.append("its mean is over all elements; 'batchmean' is that of ours")
    if said.get("weight") is not None and entry.weighted != BY_CLASS_WEIGHT:
        reasons.append(
            "with weight= its mean is divided by the number of elements; ours takes "
            "sample_weight= and divides by its sum"
        )
    if said.get("weight") is not None and said.get("label_smoothing"):
        reasons.append("with label_smoothing its class weights weigh the smoothed classes too")
    if torch.is_tensor(said.get("pos_weight")) and said["pos_weight"].numel() > 1:
        reasons.append(
            "pos_weight of several labels is losskit.multilabel_cross_entropy(pos_weight=…)"
        )
    return reasons


def made(found: Recognised) -> Same:
    """Return a module of ours for a module or function of PyTorch."""
    said = found.settings
    reduction = {"batchmean": "mean"}.get(said["reduction"], said["reduction"])
    plan_of(found.loss, found.raw, reduction, False)
    return Same(
        found.loss,
        reduction,
        found.raw,
        per_class=found.entry.factor == "classes",
        indexes=said.get("weight") is not None,
    )
