"""Cross-entropy of a linear layer's logits as a module, without ever holding all of the logits."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.autograd.function import Function

from losskit.formula.expr import Unsupported
from losskit.linear_data import NAME, Options
from losskit.torch.internals import is_plain_one
from losskit.torch.linear_kernels import check, on_cpu, on_device
from losskit.torch.shapes import wide_type

_DATA = 6  # tensors of a call: hidden, weight, target, bias, sample_weight, mask


class LinearCrossEntropy(nn.Module):
    """The last layer of a language model and its cross-entropy in one: no logits are kept.

    `LinearCrossEntropy()(hidden, weight, target)` is the cross-entropy of ``hidden @ weight.T``,
    with `hidden` (..., D), `weight` (V, D) as in `nn.Linear` and `target` (...) of labels; `bias`
    (V,), `sample_weight` and `mask` go by name. `options` are those of
    `losskit.linear_cross_entropy`: `ignore_index` (PyTorch's own default is −100, here none),
    `label_smoothing`, `z_loss`, `softcap`, `temperature`, `class_weight`, `reduction`, `empty` and
    `memory`, the bytes for one block of logits. Raises as that does; second derivatives are not
    computed.

    >>> import torch
    >>> import losskit.torch
    >>> hidden = torch.tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> losskit.torch.LinearCrossEntropy()(hidden, torch.eye(2), torch.tensor([0, 1]))
    tensor(0.2201, grad_fn=<_EvaluatedBackward>)
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = Options.of(options)

    def forward(
        self,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        *,
        bias: Tensor | None = None,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, or with `reduction="none"` one number for each token."""
        tensors = (hidden, weight, target, bias, sample_weight, mask)
        return self._called(tensors, parts=False)[0]

    def parts(
        self,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        *,
        bias: Tensor | None = None,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return Σwℓ, which can be differentiated, and Σw: see `losskit.torch.Loss.parts`."""
        tensors = (hidden, weight, target, bias, sample_weight, mask)
        return self._called(tensors, parts=True)

    def extra_repr(self) -> str:
        """Return the options that are not at their defaults."""
        return self.options.changed.removeprefix(", ")

    def _called(self, tensors: tuple[Tensor | None, ...], parts: bool) -> tuple[Tensor, Tensor]:
        if tensors[4] is not None and tensors[4].requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{NAME}: sample_weight requires a gradient, which is not computed; pass it "
                "detached, or multiply the values of reduction='none'"
            )
        text = _text(self.options, parts)
        known = parts or self.options.reduction != "none"  # which needs to know what comes back
        trained = (*tensors[:2], tensors[3])
        slopes = known and torch.is_grad_enabled()
        slopes = slopes and any(x is not None and x.requires_grad for x in trained)
        if torch.compiler.is_compiling():
            value, weighed, _ = evaluate(text, *tensors, slopes)
            return value, weighed
        made = _Evaluated.apply(text, slopes, *tensors)
        return made[0], made[1]


@torch.compiler.assume_constant_result
def _text(options: Options, parts: bool) -> str:
    said = asdict(options) | ({"reduction": "sum", "empty": "zero"} if parts else {})
    return json.dumps(said, sort_keys=True)


# --- operators


@torch.library.custom_op("losskit::linear_cross_entropy", mutates_args=(), device_types="cpu")
def evaluate(
    options: str,
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    slopes: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the loss, the weight of its tokens, and with `slopes` the gradients by hidden states,
    weight and bias.
    """
    return on_cpu(options, (hidden, weight, target, bias, sample_weight, mask), None, slopes)


@torch.library.custom_op("losskit::linear_pullback", mutates_args=(), device_types="cpu")
def pullback(
    options: str,
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    upstream: Tensor,
) -> list[Tensor]:
    """Return the gradients of Σ upstream·value over the values of `reduction="none"`."""
    return on_cpu(options, (hidden, weight, target, bias, sample_weight, mask), upstream, True)[2]


@evaluate.register_kernel(("cuda", "xpu", "mps"))
def _(options: str, *arguments: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
    return on_device(options, arguments[:_DATA], None, arguments[_DATA])


@pullback.register_kernel(("cuda", "xpu", "mps"))
def _(options: str, *arguments: Any) -> list[Tensor]:
    return on_device(options, arguments[:_DATA], arguments[_DATA], True)[2]


@evaluate.register_fake
def _(
    options: str,
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    slopes: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    check(hidden, weight, target, bias)
    dtype = hidden.dtype if hidden.is_floating_point() else torch.float64
    if json.loads(options)["reduction"] == "none":
        value = hidden.new_empty(target.shape, dtype=dtype)
    else:
        value = hidden.new_empty((), dtype=wide_type(dtype))
    made = _like_gradients(options, hidden, weight, target, bias) if slopes else []
    return value, hidden.new_empty((), dtype=torch.float64), made


@pullback.register_fake
def _like_gradients(options: str, *tensors: Any) -> list[Tensor]:
    trained = [x for x in (*tensors[:2], tensors[3]) if x is not None]
    return [x.new_empty(x.shape, dtype=wide_type(x.dtype)) for x in trained]


# --- derivatives


class _Evaluated(Function):
    """`evaluate` as eager code calls it: also in `torch.func`."""

    @staticmethod
    def forward(options: str, slopes: bool, *tensors: Any) -> tuple[Tensor, ...]:
        value, weighed, gradients = evaluate(options, *tensors, slopes)
        return value, weighed, *gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        options, _, *tensors = inputs
        _keep(ctx, options, tensors, output[1], output[2:])

    @staticmethod
    def backward(ctx: Any, value: Any, _: Any, *gradients: Any) -> Any:
        return None, None, *_backward(ctx, value, gradients)

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        _refuse_second()

    @staticmethod
    def vmap(info: Any, in_dims: Any, options: str, slopes: bool, *tensors: Any) -> Any:
        made = [
            _Evaluated.apply(
                options, slopes, *(_taken(x, d, i) for x, d in _with(tensors, in_dims))
            )
            for i in range(info.batch_size)
        ]
        whole = tuple(torch.stack(own) for own in zip(*made, strict=True))
        return whole, (0,) * len(whole)


def _keep(ctx: Any, options: str, tensors: Any, weighed: Tensor, gradients: Any) -> None:
    ctx.options = options
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *gradients)
    ctx.mark_non_differentiable(weighed)


def _backward(ctx: Any, value: Any, gradients: Any) -> tuple[Tensor | None, ...]:
    if any(g is not None for g in gradients or ()):
        _refuse_second()
    if value is None:
        return (None,) * _DATA
    tensors, made = ctx.saved_tensors[:_DATA], ctx.saved_tensors[_DATA:]
    if json.loads(ctx.options)["reduction"] == "none":
        made = pullback(ctx.options, *tensors, value)
    elif not made:  # the call did not know that it would be differentiated
        made = _Evaluated.apply(ctx.options, True, *tensors)[2:]
    if json.loads(ctx.options)["reduction"] != "none":
        one = is_plain_one(value)
        made = [g.detach() if one else g * value.to(g.dtype) for g in made]
    by_hidden, by_weight, *by_bias = made
    return by_hidden, by_weight, None, *(by_bias or [None]), None, None


def _operator_setup(ctx: Any, inputs: Any, output: Any) -> None:
    options, *tensors, _ = inputs
    _keep(ctx, options, tensors, output[1], output[2])


def _operator_backward(ctx: Any, value: Any, _: Any, gradients: Any) -> Any:
    return None, *_backward(ctx, value, gradients), None


def _refuse_second() -> NoReturn:
    raise Unsupported(
        f"{NAME}: second derivatives and forward mode are not computed; use "
        "losskit.torch.Loss('cross_entropy') of the logits"
    )


def _with(tensors: Any, in_dims: Any) -> list[tuple[Any, Any]]:
    return list(zip(tensors, in_dims[2:], strict=True))


def _taken(x: Any, dim: int | None, i: int) -> Any:
    return x if dim is None or x is None else x.select(dim, i)


evaluate.register_autograd(_operator_backward, setup_context=_operator_setup)
for _op in (evaluate, pullback):
    for _device in ("cpu", "cuda"):
        _op.register_autocast(_device, torch.float32)
