"""The operators on other devices: the generated text of a loss, compiled where the device is CUDA.

Values that the loss does not admit give NaN here, or with `validate=True` an asynchronous
assertion: reading them would wait for the device. Lists are laid out, and algorithms ("written"
losses) computed, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from losskit.lists import lists_of
from losskit.rows.checks import check_weight
from losskit.torch import cpu
from losskit.torch.formulas import Formula, formula_of
from losskit.torch.plans import Plan
from losskit.torch.programs import Layout, scored
from losskit.torch.shapes import check, result_type

Results = tuple[Tensor, Tensor, list[Tensor]]
Extra: TypeAlias = Tensor | None


def evaluate(
    plan: Plan,
    data: list[Tensor],
    weight: Extra,
    mask: Extra,
    query: Extra,
    slopes: bool,
    lead: int,
) -> Results:
    """Return what `cpu.evaluate` does."""
    check(plan, data, weight, mask, query, lead)
    if plan.loss.kind == "written":
        return _on_cpu(cpu.evaluate, plan, data, weight, mask, query, slopes, lead)
    wanted = ("value", "gradient") if slopes else ("value",)
    return _run(plan, wanted, data, [], (weight, mask, query), lead)


def product(
    plan: Plan,
    data: list[Tensor],
    vectors: list[Tensor],
    weight: Extra,
    mask: Extra,
    query: Extra,
    lead: int,
) -> list[Tensor]:
    """Return what `cpu.product` does."""
    check(plan, data, weight, mask, query, lead)
    if plan.loss.kind == "written":
        return _on_cpu(cpu.product, plan, data, vectors, weight, mask, query, lead)
    return _run(plan, ("product",), data, vectors, (weight, mask, query), lead)[2]


def pullback(
    plan: Plan,
    data: list[Tensor],
    upstream: Tensor,
    weight: Extra,
    mask: Extra,
    query: Extra,
    lead: int,
) -> list[Tensor]:
    """Return what `cpu.pullback` does, computed there."""
    return _on_cpu(cpu.pullback, plan, data, upstream, weight, mask, query, lead)


def _run(
    plan: Plan,
    wanted: tuple[str, ...],
    data: list[Tensor],
    vectors: list[Tensor],
    extras: tuple[Extra, Extra, Extra],
    lead: int,
) -> Results:
    if plan.lists and lead:  # one call after another
        parts = [
            _run(plan, wanted, [x[i] for x in data], [v[i] for v in vectors],
                 tuple(None if e is None else e[i] for e in extras), lead - 1)  # type: ignore[arg-type]
            for i in range(len(data[0]))
        ]  # fmt: skip
        value, weighed = (torch.stack([part[i] for part in parts]) for i in (0, 1))
        return value, weighed, [torch.stack(d) for d in zip(*(p[2] for p in parts), strict=True)]
    weight, mask, _ = extras
    layout = None
    if plan.lists:
        layout = _layout(plan, data[0], extras)
        weight, mask = layout.weight, None
    compiled = data[0].device.type == "cuda" and layout is None
    formula = formula_of(plan, wanted, result_type(plan, data))
    score = _compiled(formula, lead) if compiled else partial(scored, formula, lead)
    value, weighed, derivatives, admitted = score(data, vectors, weight, mask, layout)
    if plan.validate:
        torch._assert_async(
            admitted,
            f"{plan.loss.name}: a value lies outside the loss's domain, or a weight is negative; "
            "the same call on the CPU says which",
        )
    return value, weighed, derivatives


@lru_cache(maxsize=512)
def _compiled(formula: Formula, lead: int) -> Callable[..., Any]:
    return torch.compile(partial(scored, formula, lead), dynamic=True)


def _layout(plan: Plan, like: Tensor, extras: tuple[Extra, Extra, Extra]) -> Layout:
    """Return where the items of each list are."""
    names = ("sample_weight", "mask", "query")
    options = {
        name: None if one is None else one.detach().cpu().numpy()
        for name, one in zip(names, extras, strict=True)
    }
    lists = lists_of(plan.loss.name, tuple(like.shape), options)
    if lists.weight is not None:
        check_weight(plan.loss.name, lists.weight, lambda i: f"query {lists.names[i]}")

    def on_device(array: Any) -> Tensor:
        return torch.as_tensor(array, device=like.device)

    return Layout(
        on_device(lists.order),
        torch.repeat_interleave(on_device(lists.lengths)),
        on_device(lists.lengths),
        on_device(lists.places),
        None if lists.weight is None else on_device(lists.weight),
        lists.size,
        tuple(like.shape),
    )


def _on_cpu(function: Callable[..., Any], plan: Plan, *arguments: Any) -> Any:
    """Return what the CPU's kernel makes of these, on their device."""
    device = arguments[0][0].device

    def moved(x: Any, to: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(moved(one, to) for one in x)
        return x.to(to) if isinstance(x, Tensor) else x

    return moved(function(plan, *(moved(a, "cpu") for a in arguments)), device)
