"""The operators on CPU tensors: NumPy sees their memory, and the library's kernels compute.

No input is copied that is contiguous and of one of NumPy's types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from losskit.arrays import Array, weights
from losskit.lists import lists_of
from losskit.torch.messages import advice_of_torch
from losskit.torch.plans import Plan, clip_of
from losskit.torch.shapes import HALVES, result_type, wide_type

Results = tuple[Tensor, Tensor, list[Tensor]]


@advice_of_torch()
def evaluate(
    plan: Plan,
    data: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    slopes: bool,
    lead: int,
) -> Results:
    """Return what a call gives, its weight (of "parts" alone) and its gradients."""
    call = _call(plan, data, weight, mask, query)
    if not lead:
        value, weighed, gradients = _evaluate(plan, call, slopes)
    elif _at_once(plan, call):
        value, weighed, gradients = _evaluate_rows(plan, call, slopes, lead)
    else:
        parts = [_evaluate(plan, one, slopes) for one in call.split(lead)]
        value, weighed = (_stack([part[i] for part in parts], call, lead) for i in (0, 1))
        gradients = _stacked([part[2] for part in parts], call, lead)
    dtype = result_type(plan, data)
    wide = wide_type(dtype)
    return (
        from_array(value, dtype if plan.reduction == "none" else wide),
        from_array(weighed, torch.float64),
        [from_array(g, wide) for g in gradients],
    )


@advice_of_torch()
def product(
    plan: Plan,
    data: list[Tensor],
    vectors: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    lead: int,
) -> list[Tensor]:
    """Return the second derivative of what `evaluate` gives times a vector for each gradient."""
    call = _call(plan, [*data, *vectors], weight, mask, query)
    if not lead:
        products = _product(plan, call)
    elif _at_once(plan, call):
        products = _scaled(plan, call, _product(_each(plan), call), lead)
    else:
        products = _stacked([_product(plan, one) for one in call.split(lead)], call, lead)
    return [from_array(p, wide_type(result_type(plan, data))) for p in products]


@advice_of_torch()
def pullback(
    plan: Plan,
    data: list[Tensor],
    upstream: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    lead: int,
) -> list[Tensor]:
    """Return the gradients of Σ upstream·value over the values of `reduction="none"`."""
    call = _call(plan, [*data, upstream], weight, mask, query)
    if not lead:
        gradients = _pullback(plan, call)
    else:
        gradients = _stacked([_pullback(plan, one) for one in call.split(lead)], call, lead)
    return [from_array(g, wide_type(result_type(plan, data))) for g in gradients]


@dataclass(frozen=True, eq=False)
class _Call:
    """Arrays of one call, and its options."""

    arrays: tuple[Array, ...]
    options: dict[str, Any]

    @property
    def size(self) -> int:
        """Number of elements of the smallest array."""
        return min(a.size for a in self.arrays)

    def split(self, lead: int) -> list[_Call]:
        """Return the calls that the leading axes hold."""
        return [
            _Call(
                tuple(a[place] for a in self.arrays),
                {k: v[place] if isinstance(v, np.ndarray) else v for k, v in self.options.items()},
            )
            for place in np.ndindex(self.leading(lead))
        ]

    def leading(self, lead: int) -> tuple[int, ...]:
        """Return the shape of the leading axes."""
        return self.arrays[0].shape[:lead]


def _call(
    plan: Plan,
    data: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
) -> _Call:
    options: dict[str, Any] = {"raw": plan.raw}
    given = {"sample_weight": weight, "mask": mask, "query": query}
    options |= {name: to_array(one) for name, one in given.items() if one is not None}
    dtype = result_type(plan, data)
    if not plan.raw and plan.loss.clips and (plan.clip is not None or dtype in HALVES):
        options["clip"] = clip_of(plan, dtype)  # of half precision NumPy sees another type
    shares = (*plan.shares, *(False,) * (len(data) - len(plan.shares)))
    return _Call(tuple(map(to_array, data, shares)), options)


def to_array(tensor: Tensor, shares: bool = False) -> Array:
    """Return a tensor as an array: its own memory, or of half precision a copy in float32.

    Probabilities of classes (`shares`) are float16 then: NumPy's side sees by it how near
    to 1 their sums can come, and bfloat16 has fewer digits.
    """
    tensor = tensor.detach()
    if tensor.dtype in HALVES:
        tensor = tensor.half() if shares else tensor.float()
    return tensor.numpy(force=True)


def from_array(made: Any, dtype: torch.dtype) -> Tensor:
    """Return an array or number as a tensor of this type."""
    if not isinstance(made, np.ndarray):
        return torch.tensor(made, dtype=dtype)
    return torch.from_numpy(made).to(dtype)


# --- one call


def _evaluate(plan: Plan, call: _Call, slopes: bool) -> tuple[Any, Any, list[Array]]:
    if plan.reduction == "parts":
        made = plan.loss.accumulate(*call.arrays, gradient=slopes, **call.options)
        slope = _listed(made.gradient) if slopes else []
        return sum(made.numerator), sum(made.denominator), slope
    options = {**call.options, "reduction": plan.reduction}
    if not slopes:
        return plan.loss(*call.arrays, **options), 0.0, []
    value, gradient = plan.loss.value_and_gradient(*call.arrays, **options)
    return value, 0.0, _listed(gradient)


def _product(plan: Plan, call: _Call) -> list[Array]:
    if plan.outputs > 1:
        return _product_of_outputs(plan, call)
    count = len(plan.inputs)
    data, vectors = call.arrays[:count], call.arrays[count:]
    vector = vectors[0] if len(vectors) == 1 else vectors
    options = {**call.options, "reduction": _reduction(plan)}
    if plan.reduction == "parts":
        options["empty"] = "zero"
    return _listed(plan.loss.hessian_vector_product(*data, vector, **options))


def _product_of_outputs(plan: Plan, call: _Call) -> list[Array]:
    from losskit.torch.devices import product as generated

    count = len(plan.inputs)
    tensors = [torch.from_numpy(np.array(a)) for a in call.arrays]
    given = [call.options.get(name) for name in ("sample_weight", "mask")]
    weight, mask = (None if g is None else torch.from_numpy(np.array(g)) for g in given)
    return [
        p.numpy() for p in generated(plan, tensors[:count], tensors[count:], weight, mask, None, 0)
    ]


def _pullback(plan: Plan, call: _Call) -> list[Array]:
    *data, upstream = call.arrays
    options = {**call.options, "reduction": "none"}
    if plan.lists:
        gradients = _listed(plan.loss.gradient(*data, **options))
        shape = gradients[0].shape
        own = {"query": None, "mask": None, "sample_weight": None, **call.options}
        lists = lists_of(plan.loss.name, shape, own)
        factor = lists.scatter(np.repeat(upstream[lists.places], lists.lengths))
        return [g * factor.astype(g.dtype, copy=False) for g in gradients]
    prepared = plan.loss._prepared(("gradient",), tuple(data), options)
    frame = prepared.frame
    made = frame.examples(plan.loss)
    factor = np.zeros(len(made.weights))
    factor[:] = upstream[frame.places] if made.rows else upstream
    with np.errstate(all="ignore"):
        back = made.backward(np.ldexp(made.weights, frame.exponent) * factor)
    return [frame.whole(array) for array in back]


def _reduction(plan: Plan) -> str:
    return "sum" if plan.reduction == "parts" else plan.reduction


def _listed(made: Any) -> list[Array]:
    return list(made) if isinstance(made, tuple) else [made]


# --- many calls, in the leading axes


def _at_once(plan: Plan, call: _Call) -> bool:
    """Whether one call serves all: each row is scored alone, and has the weight it is given."""
    params = plan.loss.params
    given = all(params.get(name) is None for name in ("class_weight", "ignore_index"))
    return plan.by_row and given and call.size > 0


def _each(plan: Plan) -> Plan:
    return replace(plan, reduction="none")


def _evaluate_rows(
    plan: Plan, call: _Call, slopes: bool, lead: int
) -> tuple[Array, Array, list[Array]]:
    values, _, gradients = _evaluate(_each(plan), call, slopes)
    if plan.reduction == "none":
        return values, np.zeros(call.leading(lead)), gradients
    value = values.reshape(*call.leading(lead), -1).sum(axis=-1, dtype=np.float64)
    weighed = _weighed(plan, call, lead)
    if plan.reduction == "mean":
        value = value / weighed
    return value, weighed, _scaled(plan, call, gradients, lead)


def _scaled(plan: Plan, call: _Call, derivatives: list[Array], lead: int) -> list[Array]:
    """Return derivatives of each call's reduction, from those of each row."""
    if plan.reduction != "mean":
        return derivatives
    scale = 1.0 / _weighed(plan, call, lead)
    return [
        d * scale.reshape(scale.shape + (1,) * (d.ndim - lead)).astype(d.dtype, copy=False)
        for d in derivatives
    ]


def _weighed(plan: Plan, call: _Call, lead: int) -> Array:
    """Return the weight of each call."""
    first = plan.trained[0]
    shape = call.arrays[first].shape
    if plan.columns[first] or plan.outputs > 1:
        shape = shape[:-1]
    weight = weights(call.options.get("sample_weight"), call.options.get("mask"), shape)
    count = np.ones(shape) if weight is None else weight
    weighed = count.reshape(*call.leading(lead), -1).sum(axis=-1)
    if plan.reduction == "mean" and not (weighed > 0).all():
        raise ValueError(
            f"{plan.loss.name}: in one of the calls that vmap makes nothing counts (all is masked "
            "or of weight 0), so it has no mean; use reduction='sum'"
        )
    return np.asarray(weighed)


def _stacked(parts: list[list[Array]], call: _Call, lead: int) -> list[Array]:
    return [_stack(list(own), call, lead) for own in zip(*parts, strict=True)]


def _stack(parts: list[Any], call: _Call, lead: int) -> Array:
    if not parts:
        raise ValueError("vmap over an axis of length 0, which holds no call to evaluate")
    made = [np.asarray(part) for part in parts]
    if len({one.shape for one in made}) > 1:
        raise ValueError(
            "vmap over calls whose results differ in shape; reduce them by 'mean' or 'sum'"
        )
    return np.stack(made).reshape(call.leading(lead) + made[0].shape)
