"""Telling probabilities where raw scores are wanted: a suspicion, as it cannot be proved."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from losskit.torch.internals import is_plain
from losskit.torch.plans import Plan

_FEWEST = 16  # fewer numbers lie in [0, 1] by chance
_NEAR_ONE = 1e-3  # sums of half-precision probabilities


def probabilities_given(plan: Plan, data: tuple[Any, ...]) -> bool:
    """Warn where what should be raw scores looks like probabilities, and say so."""
    if not plan.raw or plan.loss.kind == "written" or plan.outputs > 1:
        return False
    for place, link in zip(plan.trained, plan.loss.definition.links, strict=True):
        x = data[place]
        if link.clips and isinstance(x, Tensor) and is_plain(x) and _alike(x.detach(), link.name):
            warnings.warn(
                f"{plan.loss.name}: all {x.numel()} inputs look like probabilities ("
                + ("they lie in [0, 1]" if link.name == "logit" else "each row sums to 1")
                + "), and raw scores are wanted: leave out the "
                + ("sigmoid" if link.name == "logit" else "softmax")
                + ", or pass raw=False",
                stacklevel=6,
            )
            return True
    return False


def _alike(x: Tensor, link: str) -> bool:
    if x.numel() < _FEWEST or not x.is_floating_point():
        return False
    low, high = torch.aminmax(x)
    if not (low >= 0 and high <= 1 and low < high):
        return False
    if link == "logit":
        return True
    return bool(((x.sum(-1, dtype=torch.float32) - 1).abs() < _NEAR_ONE).all())
