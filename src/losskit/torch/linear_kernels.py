"""What the operators of `losskit.torch.linear` compute, on the CPU and elsewhere."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from losskit.linear import solve
from losskit.linear_data import MEMORY, NAME, Options, problem_of
from losskit.losses.classes import cross_entropy
from losskit.torch.cpu import from_array, to_array
from losskit.torch.formulas import formula_of
from losskit.torch.messages import advice_of_torch
from losskit.torch.plans import plan_of
from losskit.torch.programs import leading, scored
from losskit.torch.shapes import HALVES, wide_type

Results = tuple[Tensor, Tensor, list[Tensor]]


@advice_of_torch(named=True)
def on_cpu(options: str, tensors: Any, upstream: Tensor | None, slopes: bool) -> Results:
    """Return what NumPy's `losskit.linear_cross_entropy` gives, and the weight of all tokens."""
    said = Options.of(json.loads(options))
    hidden, weight, target, bias, sample_weight, mask = (
        None if x is None else to_array(x) for x in tensors
    )
    problem = problem_of((target, hidden, weight), bias, sample_weight, mask, said)
    value, gradients = solve(problem, None if upstream is None else to_array(upstream), slopes)
    if not slopes:
        gradients = ()
    weighed = float(np.ldexp(problem.weight_sum, problem.exponent))
    dtypes = [x.dtype for x in (tensors[0], tensors[1], tensors[3]) if x is not None]
    own = dtypes[0] if dtypes[0].is_floating_point else torch.float64
    return (
        from_array(value, own if said.reduction == "none" else wide_type(own)),
        from_array(weighed, torch.float64),
        [from_array(g, wide_type(d)) for g, d in zip(gradients, dtypes, strict=False)],
    )


def on_device(options: str, tensors: Any, upstream: Tensor | None, slopes: bool) -> Results:
    """Return the same from blocks of logits on the tensors' device."""
    said = Options.of(json.loads(options))
    hidden, weight, target, bias, sample_weight, mask = tensors
    check(hidden, weight, target, bias)
    compute = torch.promote_types(hidden.dtype, weight.dtype)
    compute = torch.float32 if compute in HALVES else compute
    h, w, y = hidden.reshape(-1, hidden.shape[-1]), weight.to(compute), target.reshape(-1)
    factor = _each_token(sample_weight, mask, target, said.ignore_index, compute)
    rows = max(1, (said.memory or MEMORY) // (len(w) * compute.itemsize))
    values, weighed = [], torch.zeros((), dtype=torch.float64, device=h.device)
    by_hidden = torch.empty(h.shape, dtype=compute, device=h.device)
    by_weight, by_bias = torch.zeros_like(w), torch.zeros(len(w), dtype=compute, device=h.device)
    above = None if upstream is None else upstream.reshape(-1).to(compute)
    for first in range(0, len(h), rows):
        part = slice(first, first + rows)
        block = torch.where(factor[part, None] != 0, h[part].to(compute), 0.0)
        logits = block @ w.T if bias is None else torch.addmm(bias.to(compute), block, w.T)
        value, own, slope = _block(said, logits, y[part], factor[part], slopes)
        values.append(value)
        weighed = weighed + own
        if slopes:
            slope = slope if above is None else slope * above[part, None]
            by_hidden[part] = slope @ w
            by_weight.addmm_(slope.T, block)
            by_bias += slope.sum(0)
    dtype = hidden.dtype if hidden.is_floating_point() else torch.float64
    whole = torch.cat(values) if values else h.new_zeros(0, dtype=compute)
    divisor = weighed if said.reduction == "mean" else None
    if divisor is not None and said.empty == "zero":
        divisor = torch.where(weighed == 0, 1.0, weighed)
    if said.reduction == "none":
        reduced = whole.reshape(target.shape).to(dtype)
    else:
        reduced = whole.sum(dtype=torch.float64)
        reduced = (reduced if divisor is None else reduced / divisor).to(wide_type(dtype))
    made = [by_hidden.reshape(hidden.shape), by_weight, *([] if bias is None else [by_bias])]
    made = made if divisor is None else [g / divisor.to(compute) for g in made]
    typed = zip(made, (x for x in (hidden, weight, bias) if x is not None), strict=True)
    return reduced, weighed, [g.to(wide_type(x.dtype)) for g, x in typed] if slopes else []


def _each_token(
    sample_weight: Tensor | None,
    mask: Tensor | None,
    target: Tensor,
    ignored: int | None,
    compute: torch.dtype,
) -> Tensor:
    """Return each token's weight, 0 where it does not count."""
    shape = tuple(target.shape)
    made = torch.ones(target.numel(), dtype=compute, device=target.device)
    if sample_weight is not None:
        made = leading(sample_weight, shape).to(compute)
    if mask is not None:
        made = torch.where(leading(mask, shape), made, 0.0)
    if ignored is not None:
        made = torch.where(target.reshape(-1) == ignored, 0.0, made)
    return made


def _block(
    said: Options, logits: Tensor, y: Tensor, factor: Tensor, slopes: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each token's w·ℓ, Σw, and the derivatives of Σwℓ by the layer's own logits."""
    names = cross_entropy.params
    loss = cross_entropy(**{name: getattr(said, name) for name in names})
    plan = plan_of(loss, True, "none", False)
    cap = said.softcap
    bent = torch.tanh(logits / cap) if cap else None
    scores = logits if bent is None or cap is None else cap * bent
    wanted = ("value", "gradient") if slopes else ("value",)
    formula = formula_of(plan, wanted, scores.dtype)
    value, weighed, gradients, _ = scored(formula, 0, [y, scores], [], factor, None, None)
    if not slopes:
        return value, weighed, value
    (slope,) = gradients
    return value, weighed, slope if bent is None else slope * (1 - bent * bent)


def check(hidden: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None) -> None:
    """Raise TypeError or ValueError where shapes or the labels' type do not fit."""
    h, w, y = tuple(hidden.shape), tuple(weight.shape), tuple(target.shape)
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise TypeError(f"{NAME}: target has dtype {target.dtype}; needed are integer labels")
    if len(w) != 2 or len(h) != len(y) + 1 or h != (*y, w[1]):
        raise ValueError(
            f"{NAME}: hidden has shape {h}, weight {w} and target {y}; needed are (..., width), "
            "(classes, width) as in nn.Linear, and (...)"
        )
    if bias is not None and tuple(bias.shape) != w[:1]:
        raise ValueError(f"{NAME}: bias has shape {tuple(bias.shape)}; needed is {w[:1]}")
