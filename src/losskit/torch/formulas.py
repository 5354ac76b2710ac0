"""What a device has to know of a loss, gathered before a compiler traces what computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from losskit.backends import torch as backend
from losskit.definition import copies
from losskit.formula.diff import derivative
from losskit.formula.domain import Domain
from losskit.formula.expr import Trace
from losskit.torch.plans import Plan, clip_of
from losskit.torch.shapes import HALVES


@dataclass(frozen=True, eq=False)
class Held:
    """What one input holds: its domain, how it varies, and which infinite scores have a limit."""

    domain: Domain
    trained: bool = False
    rank: int = 1
    classes: str = ""
    falling: bool = False
    limits: str = "none"  # "both", or "+" where −∞ excludes a class


@dataclass(frozen=True, eq=False)
class Formula:
    """A loss with its parameters on one scale, as text for a type of numbers."""

    name: str
    pointwise: bool
    outputs: int
    trained: tuple[int, ...]
    columns: tuple[bool, ...]
    lists: bool
    reduction: str
    inputs: tuple[Held, ...]
    function: Callable[..., Any]  # value, then derivatives
    numbers: tuple[Any, ...]  # that follow the inputs
    ignored: int | None
    per_class: Any
    zero: bool  # whether rows without a value count as 0
    dtype: torch.dtype
    compute: torch.dtype


@lru_cache(maxsize=512)
def formula_of(plan: Plan, wanted: tuple[str, ...], dtype: torch.dtype) -> Formula:
    """Return what computes a plan's value and the derivatives in `wanted`."""
    loss = plan.loss
    form, pointwise = loss.form(plan.raw), loss.kind == "pointwise"
    compute = torch.float32 if dtype in HALVES else dtype
    clip = clip_of(plan, dtype)
    if pointwise:
        inputs, numbers = _elements(form), form.arguments(clip)
    else:
        several = (len(v) for v in loss.params.values() if isinstance(v, tuple))
        numpy_type = np.dtype(str(compute).removeprefix("torch."))
        inputs = _rows(plan)
        numbers = form.arguments(max(several, default=1), numpy_type, clip)
    return Formula(
        loss.name, pointwise, plan.outputs, plan.trained, plan.columns, plan.lists, plan.reduction,
        inputs,
        _function(loss, plan.raw, wanted, compute),
        tuple(np.asarray(n).tolist() for n in numbers),
        loss.params.get("ignore_index"),
        loss.params.get("class_weight"),
        zero=not pointwise and form.may_be_empty and plan.reduction == "parts",
        dtype=dtype,
        compute=compute,
    )  # fmt: skip


def _elements(form: Any) -> tuple[Held, ...]:
    scores = []
    for domain in form.predictions:
        # A score, whose infinite ends are limits: as `losskit.invalid` has it.
        endless = np.isinf(domain.upper) and domain.lower != 0
        limits = "none" if not endless else "both" if np.isinf(domain.lower) else "+"
        scores.append(Held(domain, True, limits=limits))
    return (Held(form.target), *scores)


def _rows(plan: Plan) -> tuple[Held, ...]:
    kinds = [one for _, one in plan.loss.definition.inputs]
    classes = any(one.classes for one in kinds)
    links = dict(zip(plan.trained, plan.loss.definition.links, strict=True))
    held = []
    for i, one in enumerate(kinds):
        domain, limits = one.domain, "none"
        link = links.get(i)
        if link is not None and not plan.raw and link.name != "identity":
            domain = link.domain
        elif link is not None:
            excludes = classes and link.name != "logit" and one.rank == 2
            score = link.name != "identity" or excludes
            domain = Domain()
            limits = "+" if excludes else "both" if score else "none"
        held.append(Held(domain, one.trained, one.rank, one.classes, one.falling, limits))
    return tuple(held)


def _function(
    loss: Any, raw: bool, wanted: tuple[str, ...], compute: torch.dtype
) -> Callable[..., Any]:
    graph = loss.form(raw).graph
    orders = ("value", *(name for name in wanted if name != "value"))
    if loss.kind == "rows":
        symbols = loss.form(raw).symbols(orders)
        text = backend.source(graph.name, symbols, graph.select(orders))
    elif "product" in wanted:
        pairs = [(g, by) for g in graph.gradient for by in graph.outputs]
        second = [derivative(g, by, order=2) for g, by in pairs]
        nodes = copies([graph.value, *second], Trace(graph.symbols))
        text = backend.source(graph.name, graph.symbols, nodes)
    else:
        text = backend.source(graph.name, graph.symbols, graph.select(orders))
    return backend.compiled(text, compute)
