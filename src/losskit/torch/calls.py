"""Calling a loss on tensors in the library's own order of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from losskit.torch.derivatives import Evaluated
from losskit.torch.operators import evaluate
from losskit.torch.plans import Plan, plan_of

_TOO_NARROW = tuple(
    one
    for one in vars(torch).values()
    if isinstance(one, torch.dtype) and one.is_floating_point and one.itemsize == 1
)


def apply(
    loss: Any,
    *data: Any,
    raw: bool = True,
    reduction: str = "mean",
    sample_weight: Any = None,
    mask: Any = None,
    query: Any = None,
    clip: float | None = None,
    validate: bool = False,
) -> Tensor:
    """Return a loss of tensors, which can be differentiated, for whoever trains in PyTorch.

    `loss` is a `losskit.Loss` or its name, and `data` are `loss.inputs` in their order, y_true
    first and the class axis last, as NumPy's arrays would be; `losskit.torch.Loss` has PyTorch's
    order. Predictions are raw scores unless `raw=False`. Options mean what they mean in
    `losskit.Loss.__call__`; `validate=True` asserts asynchronously on devices, where values are not
    looked at otherwise. The result has the predictions' type, float64 where they are integers; a
    mean or sum of float16 or bfloat16 is float32. Raises TypeError and ValueError as NumPy's call.

    >>> import torch
    >>> import losskit.torch
    >>> f = torch.zeros(2, requires_grad=True)
    >>> losskit.torch.apply("binary_cross_entropy", torch.tensor([0.0, 1.0]), f).backward()
    >>> f.grad
    tensor([ 0.2500, -0.2500])
    """
    return called(
        plan_of(loss, raw, reduction, validate, clip), data, (sample_weight, mask, query)
    )[0]


def called(plan: Plan, data: Any, extras: tuple[Any, Any, Any]) -> tuple[Tensor, Tensor]:
    """Return the value of a planned call and its weight, which is told for "parts" alone."""
    tensors = _tensors(plan, data, extras)
    given, own = tensors[:3], tensors[3:]
    slopes = (
        plan.differentiable
        and (plan.by_row or plan.reduction != "none")
        and torch.is_grad_enabled()
        and any(own[i].requires_grad for i in plan.trained)
    )
    if not plan.differentiable:
        own = [x.detach() for x in own]
    if torch.compiler.is_compiling():
        value, weighed, _ = evaluate(plan.text, own, *given, slopes, 0)
        return value, weighed
    made = Evaluated.apply(plan.text, slopes, 0, *given, *own)
    return made[0], made[1]


def _tensors(plan: Plan, data: Any, extras: Any) -> list[Any]:
    """Return weight, mask, query and the data as tensors on one device."""
    name, inputs = plan.loss.name, plan.inputs
    if len(data) != len(inputs):
        raise TypeError(f"{name} takes data as ({', '.join(inputs)}), not {len(data)} arguments")
    device = next((x.device for x in data if isinstance(x, Tensor)), torch.device("cpu"))
    made: list[Any] = []
    for key, x in zip(("sample_weight", "mask", "query", *inputs), (*extras, *data), strict=True):
        if x is None and key not in inputs:
            made.append(None)
            continue
        if not isinstance(x, Tensor):  # of NumPy's type: PyTorch's own would be float32
            x = torch.as_tensor(_numbers(name, key, np.array(x)), device=device)
        if x.layout != torch.strided or x.dtype in _TOO_NARROW:
            raise TypeError(
                f"{name}: {key} is {x.layout} of {x.dtype}; needed is a dense tensor "
                "(.to_dense()) of 16 bits or more"
            )
        if x.device != device and x.ndim:
            raise ValueError(
                f"{name}: {key} is on {x.device}, and the first of the data on {device}; needed is "
                "one device: .to(device)"
            )
        made.append(x)
    if not torch.is_grad_enabled():
        return made
    for i, key in enumerate(inputs):
        if made[3 + i].requires_grad and i not in plan.trained:
            raise ValueError(
                f"{name}: {key} requires a gradient, which this loss has only by "
                f"{', '.join(inputs[j] for j in plan.trained)}; pass {key}.detach()"
            )
    if made[0] is not None and made[0].requires_grad:
        raise ValueError(
            f"{name}: sample_weight requires a gradient, which is not computed; pass it detached, "
            "or multiply the values of reduction='none'"
        )
    return made


def _numbers(name: str, key: str, given: np.ndarray) -> np.ndarray:
    """Return an array that PyTorch can hold: names of queries become their numbers."""
    if given.dtype.kind in "biufc":
        return given
    if key == "query" and given.dtype.kind in "US":
        return np.unique(given, return_inverse=True)[1]
    raise TypeError(
        f"{name}: {key} holds {given.dtype}; needed are numbers, and for classes or labels their "
        "indexes: numpy.unique(…, return_inverse=True)[1]"
    )
