"""The operators that PyTorch sees: one for all losses, its second derivative, and a pullback.

They are opaque, so that a compiler cannot differentiate what is inside; what they do on real
tensors is in `cpu` and `devices`, how they are differentiated in `derivatives`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from losskit.torch import cpu, devices
from losskit.torch.plans import planned
from losskit.torch.shapes import check, result_type, values_shape, wide_type

# Where the generated text runs; elsewhere PyTorch says that there is no kernel.
DEVICES = ("cuda", "xpu", "mps")


@torch.library.custom_op("losskit::evaluate", mutates_args=(), device_types="cpu")
def evaluate(
    plan: str,
    data: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    slopes: bool,
    lead: int,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the value of a call, its weight where "parts" are asked for, and with `slopes` its
    gradients by the trained inputs. The first `lead` axes of all tensors hold calls of their own.
    """
    return cpu.evaluate(planned(plan), data, weight, mask, query, slopes, lead)


@torch.library.custom_op("losskit::product", mutates_args=(), device_types="cpu")
def product(
    plan: str,
    data: list[Tensor],
    vectors: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    lead: int,
) -> list[Tensor]:
    """Return the second derivative of a call times vectors that are like its gradients."""
    return cpu.product(planned(plan), data, vectors, weight, mask, query, lead)


@torch.library.custom_op("losskit::pullback", mutates_args=(), device_types="cpu")
def pullback(
    plan: str,
    data: list[Tensor],
    upstream: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    lead: int,
) -> list[Tensor]:
    """Return the gradients of Σ upstream·value, for values that are not one for each row."""
    return cpu.pullback(planned(plan), data, upstream, weight, mask, query, lead)


def _on_devices(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return lambda plan, *arguments: kernel(planned(plan), *arguments)


@evaluate.register_fake
def _(
    plan: str,
    data: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    slopes: bool,
    lead: int,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Say what shapes a call gives, or raise where its data cannot be of the loss."""
    made = planned(plan)
    rows = check(made, data, weight, mask, query, lead)
    leading, dtype = tuple(data[0].shape[:lead]), result_type(made, data)
    if made.reduction == "none":
        shape = values_shape(made, rows, query)
        if shape is None:
            shape = (torch.library.get_ctx().new_dynamic_size(),)
        value = data[0].new_empty((*leading, *shape), dtype=dtype)
    else:
        value = data[0].new_empty(leading, dtype=wide_type(dtype))
    weighed = data[0].new_empty(leading, dtype=torch.float64)
    return value, weighed, _like_gradients(plan, data) if slopes else []


def _like_gradients(plan: str, data: list[Tensor], *_: Any) -> list[Tensor]:
    made = planned(plan)
    dtype = wide_type(result_type(made, data))
    return [data[i].new_empty(data[i].shape, dtype=dtype) for i in made.trained]


product.register_fake(_like_gradients)
pullback.register_fake(_like_gradients)
for _op, _kernel in (
    (evaluate, devices.evaluate),
    (product, devices.product),
    (pullback, devices.pullback),
):
    _op.register_kernel(DEVICES)(_on_devices(_kernel))
    for _device in ("cpu", "cuda"):
        _op.register_autocast(_device, torch.float32)
