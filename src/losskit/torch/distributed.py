"""Means over workers and micro-batches whose parts are unequal, with the gradient of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import Function


def global_mean(numerator: Tensor, denominator: Tensor, group: Any = None) -> Tensor:
    """Return the mean over all workers, whose gradient gives `DistributedDataParallel` the whole
    batch's.

    `numerator` and `denominator` are what `losskit.torch.Loss.parts` returned for this worker's
    part of the batch, however large. DDP (and FSDP) average workers' gradients, so the gradient
    here is as many times as large as there are workers in `group`. Without a process group it is
    `numerator / denominator`. Raises ValueError where nothing counts on any worker.

    >>> import torch
    >>> import losskit.torch
    >>> losskit.torch.global_mean(torch.tensor(6.0), torch.tensor(4.0))
    tensor(1.5000)
    """
    total, weight, workers = numerator.detach().double(), _weight(denominator), 1
    if distributed.is_available() and distributed.is_initialized():
        both = torch.stack([total, weight])
        distributed.all_reduce(both, group=group)
        (total, weight), workers = both, distributed.get_world_size(group)
    _check(weight)
    return _WithGradient.apply(
        numerator, (total / weight).to(numerator.dtype), (workers / weight).to(numerator.dtype)
    )


def divide_gradients(parameters: Iterable[Tensor], denominator: Tensor, group: Any = None) -> None:
    """Divide accumulated gradients of numerators by the weight of all micro-batches, in place.

    For accumulation where the whole weight is known only at the end: call `backward` on each
    numerator of `losskit.torch.Loss.parts`, add up the denominators, and call this with their sum
    before the optimiser's step. With a process group, denominators of all workers count, and
    gradients are those that DDP averaged over them. Raises TypeError for a list of denominators,
    ValueError where nothing counts.

    >>> import torch
    >>> import losskit.torch
    >>> w = torch.tensor([2.0], requires_grad=True)
    >>> (3 * w).sum().backward()
    >>> losskit.torch.divide_gradients([w], torch.tensor(4.0))
    >>> w.grad
    tensor([0.7500])
    """
    weight, workers = _weight(denominator).clone(), 1
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(weight, group=group)
        workers = distributed.get_world_size(group)
    _check(weight)
    for one in parameters:
        if one.grad is not None:
            one.grad.mul_((workers / weight).to(one.grad.dtype))


class _WithGradient(Function):
    """A value that is known, whose derivative by the numerator is a given factor."""

    @staticmethod
    def forward(numerator: Tensor, value: Tensor, factor: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> Any:
        (factor,) = ctx.saved_tensors
        return upstream * factor, None, None


def _weight(denominator: Any) -> Tensor:
    """Return the weight of all micro-batches of this worker as one number in float64."""
    if not isinstance(denominator, Tensor):
        raise TypeError(
            f"the denominator is a {type(denominator).__name__}; needed is one tensor: what "
            "parts() gave, or of several micro-batches the sum"
        )
    if denominator.ndim:
        raise ValueError(
            f"the denominator has shape {tuple(denominator.shape)}; needed is one number: what "
            "parts() gave, or of several micro-batches the sum"
        )
    return denominator.detach().double()


def _check(weight: Tensor) -> None:
    if weight.device.type == "cpu" and not float(weight) > 0:
        raise ValueError(
            "nothing counts on any worker (all weights are 0, or all is masked), so there is no "
            "mean; skip this step"
        )
