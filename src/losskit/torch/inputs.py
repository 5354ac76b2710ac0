"""The data of a call as flat rows of one type: what the inputs of generated text hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from losskit.torch.formulas import Formula, Held


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the items of lists are: as `losskit.lists.Lists`, on the data's device."""

    order: Tensor
    row: Tensor  # of each item
    lengths: Tensor
    places: Tensor
    weight: Tensor | None
    size: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Values (rows, columns) or (rows,), and rows that are bad or had an infinite score."""

    values: list[Tensor]
    bad: Tensor
    infinite: Tensor
    index: Tensor | None  # of the class, where that was given


def columns_of(formula: Formula, data: list[Tensor]) -> int:
    """Return the number of columns of a trained row, 0 where it has none."""
    first = formula.trained[0]
    wide = formula.outputs > 1 or (formula.columns[first] and not formula.lists)
    return data[first].shape[-1] if wide else 0


def inputs_of(
    formula: Formula,
    data: list[Tensor],
    shape: tuple[Any, ...],
    columns: int,
    layout: Layout | None,
) -> Inputs:
    """Return the inputs as the formula takes them, for rows of this shape or the lists' items."""
    index = None
    bad = infinite = torch.zeros(1, dtype=torch.bool, device=data[0].device)
    if formula.pointwise:
        y, f = data
        data = [y, *(f.reshape(-1, columns).unbind(-1) if columns else (f,))]
    values = []
    for x, held in zip(data, formula.inputs, strict=True):
        if layout is not None:
            x = x.reshape(-1)[layout.order]
        elif held.classes and (held.rank == 1 or x.ndim == len(shape)):
            x = x.reshape(-1)
            index = x.to(torch.int64)
            count = columns + (held.classes == "level")
            bad = bad | (x != index) | (index < 0) | (index >= count)
            if held.rank == 2:
                x = index[:, None] == torch.arange(columns, device=x.device)
            values.append(x.to(formula.compute))
            continue
        elif held.rank == 2:
            x = x.reshape(-1, columns)
        elif x.ndim < len(shape) and not formula.pointwise:  # of the leading axes
            x = x.reshape(*x.shape, *(1,) * (len(shape) - x.ndim)).expand(shape).reshape(-1)
        else:
            x = x.reshape(-1)
        wrong, ends = _unusable(held, x)
        bad, infinite = bad | _by_row(wrong, layout), infinite | _by_row(ends, layout)
        x = x.to(formula.compute)
        if held.falling:
            bad = bad | (x[:, 1:] > x[:, :-1]).any(-1)
        values.append(torch.where(ends, _huge(x), x))
    return Inputs(values, bad, infinite, index)


def row_weight(
    formula: Formula,
    inputs: Inputs,
    weight: Tensor | None,
    mask: Tensor | None,
    shape: tuple[Any, ...],
) -> Tensor | None:
    """Return the weight of each row: 0 where masked or ignored, times its class's weight."""
    compute = formula.compute
    made = None if weight is None else _leading(weight, shape).to(compute)
    if mask is not None:
        counts = _leading(mask, shape)
        made = counts.to(compute) if made is None else torch.where(counts, made, 0.0)
    if formula.ignored is not None and inputs.index is not None:
        own = torch.ones_like(inputs.index, dtype=compute) if made is None else made
        made = torch.where(inputs.index == formula.ignored, 0.0, own)
    elif formula.ignored is not None and formula.ignored >= 0:
        raise ValueError(
            f"{formula.name}: ignore_index={formula.ignored} is for class indexes; mask= for rows"
        )
    if formula.per_class is None:
        return made
    own = _class_weight(formula, inputs)
    return own if made is None else torch.where(made != 0, made * own, 0.0)


def _class_weight(formula: Formula, inputs: Inputs) -> Tensor:
    key, held = next((i, one) for i, one in enumerate(formula.inputs) if one.classes)
    classes = inputs.values[formula.trained[0]].shape[1] + (held.classes == "level")
    table = torch.tensor(formula.per_class, dtype=formula.compute, device=inputs.bad.device)
    table = table.expand(classes)
    if inputs.index is None:
        return inputs.values[key] @ table
    return table[inputs.index.clamp(0, classes - 1)]


def _unusable(held: Held, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return which numbers are not admitted, and which infinite scores need their limit."""
    outside = ~held.domain.contains(x)
    if held.limits == "none":
        return outside, torch.zeros_like(outside)
    if held.limits == "both":
        ends = torch.isinf(x)
        return outside & ~ends, ends
    ends = x == torch.inf
    if held.classes or held.rank == 2:
        return outside & ~torch.isinf(x), ends  # −∞ excludes a class
    return outside & ~ends, ends


def _huge(x: Tensor) -> Tensor:
    """Return infinite scores as huge ones, at which a formula shows its limit."""
    huge = torch.finfo(x.dtype).max / 4
    return torch.clamp(x, -huge, huge)


def _by_row(wrong: Tensor, layout: Layout | None) -> Tensor:
    if layout is None:
        return wrong.any(-1) if wrong.ndim == 2 else wrong
    found = torch.zeros_like(layout.lengths)
    return found.index_add(0, layout.row, wrong.to(found.dtype)) > 0


def _leading(x: Tensor, shape: tuple[Any, ...]) -> Tensor:
    return x.reshape(*x.shape, *(1,) * (len(shape) - x.ndim)).expand(shape).reshape(-1)
