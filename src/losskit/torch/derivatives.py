"""How the operators are differentiated: by the gradients that they give, and our second derivative.

In eager code `Evaluated` does it, which forward mode and `torch.func` need; in compiled code the
operator's own registration, as Dynamo traces no Function with a `jvp`. Both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd.function import Function

from losskit.formula.expr import Unsupported
from losskit.torch.internals import is_plain_one, nested_forward
from losskit.torch.operators import evaluate, product, pullback
from losskit.torch.plans import Plan, planned
from losskit.torch.shapes import result_type

Gradients = list[Tensor | None]
_EXTRAS = 3  # weight, mask and query come before the data in what is saved


class Evaluated(Function):
    """`evaluate` on tensors one by one, as Functions take them."""

    @staticmethod
    def forward(plan: str, slopes: bool, lead: int, *tensors: Any) -> tuple[Tensor, ...]:
        """Return the value, its weight, then the gradients."""
        value, weighed, gradients = evaluate(
            plan, list(tensors[_EXTRAS:]), *tensors[:_EXTRAS], slopes, lead
        )
        return value, weighed, *gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the data, and the gradients for the way back."""
        plan, _, lead, *tensors = inputs
        _, weighed, *gradients = output
        _keep(ctx, plan, lead, [*tensors, *gradients])
        ctx.save_for_forward(*tensors, *gradients)
        ctx.mark_non_differentiable(weighed)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        """Return the gradients times what comes from above, and the second derivatives."""
        value, _, *gradients = upstream
        back = _backward(ctx, value, gradients)
        return None, None, None, *(None,) * _EXTRAS, *back

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        """Return the change of all outputs along a change of the trained inputs."""
        plan = planned(ctx.plan)
        if nested_forward():
            raise Unsupported(
                f"{plan.loss.name}: in forward mode inside forward mode PyTorch loses derivatives "
                "of custom functions; use torch.func.hessian, or jacrev for one of the two"
            )
        tensors = list(ctx.saved_tensors)
        count = _EXTRAS + len(plan.inputs)
        extras, data, gradients = tensors[:_EXTRAS], tensors[_EXTRAS:count], tensors[count:]
        own = changes[-len(plan.inputs) :]
        directions = [torch.zeros_like(data[i]) if own[i] is None else own[i] for i in plan.trained]
        if not gradients:
            gradients = Evaluated.apply(ctx.plan, True, ctx.lead, *extras, *data)[2:]
        if plan.reduction == "none" and not plan.by_row:
            raise Unsupported(
                f"{plan.loss.name}: forward mode of reduction='none' is not computed; use 'sum'"
            )
        terms = [
            _summed(plan, g * v, ctx.lead, i)
            for i, g, v in zip(plan.trained, gradients, directions, strict=True)
        ]
        change = sum(terms[1:], terms[0])
        if plan.reduction == "none":
            change = change.to(result_type(plan, data))
        if len(tensors) == count:
            return change, None
        return change, None, *_product(ctx.plan, data, directions, extras, ctx.lead)

    @staticmethod
    def vmap(info: Any, in_dims: Any, plan: str, slopes: bool, lead: int, *tensors: Any) -> Any:
        """Evaluate the calls of a further leading axis."""
        moved = _moved(info, in_dims[3:], tensors)
        made = Evaluated.apply(plan, slopes, lead + 1, *moved)
        return made, (0,) * len(made)


class Product(Function):
    """`product` on tensors one by one: the data, then the vectors."""

    @staticmethod
    def forward(plan: str, lead: int, *tensors: Any) -> tuple[Tensor, ...]:
        """Return a product for each gradient."""
        count = _EXTRAS + len(planned(plan).inputs)
        data, vectors = list(tensors[_EXTRAS:count]), list(tensors[count:])
        return tuple(product(plan, data, vectors, *tensors[:_EXTRAS], lead))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the data."""
        plan, lead, *tensors = inputs
        _keep(ctx, plan, lead, tensors[: _EXTRAS + len(planned(plan).inputs)])

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        """Return the product with what comes from above, as the second derivative is symmetric."""
        plan = planned(ctx.plan)
        count = 2 + _EXTRAS + len(plan.inputs)
        if any(ctx.needs_input_grad[2 + _EXTRAS + i] for i in plan.trained):
            _refuse_third(plan)
        extras, data = ctx.saved_tensors[:_EXTRAS], list(ctx.saved_tensors[_EXTRAS:])
        return (None,) * count + tuple(_product(ctx.plan, data, upstream, extras, ctx.lead))

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        """Refuse: this is the change of a second derivative."""
        _refuse_third(planned(ctx.plan))

    @staticmethod
    def vmap(info: Any, in_dims: Any, plan: str, lead: int, *tensors: Any) -> Any:
        """Multiply in the calls of a further leading axis."""
        made = Product.apply(plan, lead + 1, *_moved(info, in_dims[2:], tensors))
        return made, (0,) * len(made)


class Pulled(Function):
    """`pullback` on tensors one by one: what comes from above, then the data."""

    @staticmethod
    def forward(plan: str, lead: int, upstream: Tensor, *tensors: Any) -> tuple[Tensor, ...]:
        """Return the gradients."""
        data, extras = list(tensors[_EXTRAS:]), tensors[:_EXTRAS]
        return tuple(pullback(plan, data, upstream, *extras, lead))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the name."""
        ctx.plan = inputs[0]

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        """Refuse: values are not one for each row, and only sums have second derivatives."""
        raise Unsupported(
            f"{planned(ctx.plan).loss.name}: second derivatives of reduction='none' are not "
            "computed; use 'sum' or 'mean'"
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, plan: str, lead: int, *tensors: Any) -> Any:
        """Pull back in the calls of a further leading axis."""
        made = Pulled.apply(plan, lead + 1, *_moved(info, in_dims[2:], tensors))
        return made, (0,) * len(made)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    plan, data, weight, mask, query, _, lead = inputs
    _, weighed, gradients = output
    _keep(ctx, plan, lead, [weight, mask, query, *data, *gradients])
    ctx.mark_non_differentiable(weighed)


def _operator_backward(ctx: Any, value: Any, _: Any, gradients: Any) -> Any:
    back = _backward(ctx, value, gradients or [])
    return None, back, None, None, None, None, None


def _keep(ctx: Any, plan: str, lead: int, tensors: Sequence[Tensor | None]) -> None:
    ctx.plan, ctx.lead = plan, lead
    ctx.set_materialize_grads(False)  # a gradient of zeros would be as large as the data
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, value: Tensor | None, gradients: Sequence[Tensor | None]) -> Gradients:
    """Return the derivative by each input, from that by the value and those by the gradients."""
    plan = planned(ctx.plan)
    count = _EXTRAS + len(plan.inputs)
    tensors = ctx.saved_tensors
    extras, data, slopes = tensors[:_EXTRAS], list(tensors[_EXTRAS:count]), tensors[count:]
    made: Gradients = [None] * len(data)
    if value is not None:
        if plan.reduction == "none" and not plan.by_row:
            own = Pulled.apply(ctx.plan, ctx.lead, value, *extras, *data)
        else:
            if not slopes:  # the call did not know that it would be differentiated
                slopes = Evaluated.apply(ctx.plan, True, ctx.lead, *extras, *data)[2:]
            own = [_scaled(slope, value) for slope in slopes]
        for i, one in zip(plan.trained, own, strict=True):
            made[i] = one
    if any(g is not None for g in gradients):
        vectors = [
            torch.zeros_like(data[i]) if g is None else g
            for i, g in zip(plan.trained, gradients, strict=True)
        ]
        products = _product(ctx.plan, data, vectors, extras, ctx.lead)
        for i, one in zip(plan.trained, products, strict=True):
            known = made[i]
            made[i] = one if known is None else known + one
    return made


def _scaled(slope: Tensor, value: Tensor) -> Tensor:
    """Return a gradient times the derivative by the value, or itself where that is simply 1."""
    if is_plain_one(value):
        return slope.detach()
    factor = value.reshape((*value.shape, *(1,) * (slope.ndim - value.ndim)))
    return slope * factor.to(slope.dtype)


def _product(
    plan: str, data: Sequence[Tensor], vectors: Any, extras: Sequence[Tensor | None], lead: int
) -> tuple[Tensor, ...]:
    zeros = zip(planned(plan).trained, vectors, strict=True)
    whole = [torch.zeros_like(data[i]) if v is None else v for i, v in zeros]
    return Product.apply(plan, lead, *extras, *data, *whole)


def _summed(plan: Plan, terms: Tensor, lead: int, place: int) -> Tensor:
    """Return the change of the value from the changes of each element."""
    if plan.reduction != "none":
        return terms.reshape(*terms.shape[:lead], -1).sum(-1)
    return terms.sum(-1) if plan.columns[place] or plan.outputs > 1 else terms


def _moved(info: Any, dims: Sequence[int | None], tensors: Sequence[Any]) -> list[Tensor | None]:
    """Return tensors whose first axis is that of `vmap`, shared ones repeated along it."""
    made: list[Tensor | None] = []
    for dim, one in zip(dims, tensors, strict=True):
        if one is None:
            made.append(None)
        elif dim is None:
            made.append(one.expand(info.batch_size, *one.shape))
        else:
            made.append(one.movedim(dim, 0))
    return made


def _refuse_third(plan: Plan) -> NoReturn:
    raise Unsupported(f"{plan.loss.name}: third derivatives are not computed")


evaluate.register_autograd(_operator_backward, setup_context=_setup)


@evaluate.register_vmap
def _(
    info: Any, in_dims: Any, plan: str, data: list[Tensor], weight: Any, mask: Any, query: Any,
    slopes: bool, lead: int,
) -> Any:  # fmt: skip
    data, extras = _moved_call(info, in_dims[1:5], data, (weight, mask, query))
    made = evaluate(plan, data, *extras, slopes, lead + 1)
    return made, (0, 0, [0] * len(made[2]))


@product.register_vmap
def _(
    info: Any, in_dims: Any, plan: str, data: list[Tensor], vectors: list[Tensor], weight: Any,
    mask: Any, query: Any, lead: int,
) -> Any:  # fmt: skip
    dims = (in_dims[1], *in_dims[3:6])
    moved, extras = _moved_call(info, dims, data, (weight, mask, query))
    made = product(plan, moved, _moved(info, in_dims[2], vectors), *extras, lead + 1)
    return made, [0] * len(made)


@pullback.register_vmap
def _(
    info: Any, in_dims: Any, plan: str, data: list[Tensor], upstream: Tensor, weight: Any,
    mask: Any, query: Any, lead: int,
) -> Any:  # fmt: skip
    dims = (in_dims[1], *in_dims[3:6])
    moved, extras = _moved_call(info, dims, data, (weight, mask, query))
    made = pullback(plan, moved, *_moved(info, in_dims[2:3], [upstream]), *extras, lead + 1)
    return made, [0] * len(made)


def _moved_call(info: Any, dims: Any, data: list[Tensor], extras: Any) -> tuple[Any, Any]:
    return _moved(info, dims[0], data), _moved(info, dims[1:], extras)
