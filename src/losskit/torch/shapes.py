"""What can be said of a call from shapes and types alone, which is all that tracing knows.

NumPy's side says the same of arrays; here sizes may be symbols of a traced graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from losskit.arrays import shape_message
from losskit.torch.plans import Plan

Shape = tuple[Any, ...]
HALVES = (torch.float16, torch.bfloat16)


def result_type(plan: Plan, data: list[Tensor]) -> torch.dtype:
    """Return the type of values for each row: float64 where one of the predictions is no float."""
    dtypes = [data[i].dtype for i in plan.trained]
    if not all(d.is_floating_point for d in dtypes):
        return torch.float64
    made = dtypes[0]
    for d in dtypes[1:]:
        made = torch.promote_types(made, d)
    return made


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type of means, sums and gradients, which half-precision numbers could not hold.

    Autograd brings a gradient to its input's type after it has met what comes from above: 1/n of a
    large batch would be 0 in float16 before, and the 65536 of `torch.amp.GradScaler` infinite.
    """
    return torch.float32 if dtype in HALVES else dtype


def check(
    plan: Plan,
    data: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    query: Tensor | None,
    lead: int,
) -> Shape:
    """Return the rows' shape; raise TypeError or ValueError where data do not fit the loss.

    `lead` leading axes hold calls of their own, and are no part of any shape here.
    """
    name = plan.loss.name
    for key, x in zip(plan.inputs, data, strict=True):
        if x.dtype.is_complex or x.is_quantized:
            raise TypeError(f"{name}: {key} has dtype {x.dtype}; needed are real numbers")
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(
            f"{name}: mask has dtype {mask.dtype}; needed are booleans, True where an element "
            "counts"
        )
    if query is not None and not plan.lists:
        raise TypeError(f"{name}: query= groups the items of lists, which this loss does not see")
    shapes = [tuple(x.shape)[lead:] for x in data]
    rows = _rows(plan, shapes)
    whole = shapes[0] if plan.lists else rows
    if query is not None and (len(whole) != 1 or tuple(query.shape)[lead:] != whole):
        raise ValueError(
            f"{name}: query has shape {tuple(query.shape)[lead:]} and the data {whole}; needed are "
            "one axis and one query for each item"
        )
    for key, one in (("sample_weight", weight), ("mask", mask)):
        own = None if one is None else tuple(one.shape)[lead:]
        if own is not None and own != whole[: len(own)]:
            raise ValueError(
                f"{key} has shape {own}, which does not match the leading axes of {whole}, the "
                "shape of the examples"
            )
    return rows


def values_shape(plan: Plan, rows: Shape, query: Tensor | None) -> Shape | None:
    """Return the shape of `reduction="none"`, or None where it depends on the data."""
    if plan.by_row:
        return rows
    if plan.lists and query is None:
        return rows[:1] if len(rows) == 2 else (1,)
    return None


def _rows(plan: Plan, shapes: list[Shape]) -> Shape:
    if plan.loss.kind == "pointwise":
        return _elements(plan, *shapes)
    if plan.lists:
        return _items(plan, shapes)
    if plan.loss.kind == "written":
        return _batch(plan, shapes)
    return _along_an_axis(plan, shapes)


def _elements(plan: Plan, y: Shape, f: Shape) -> Shape:
    wanted = y if plan.outputs == 1 else (*y, plan.outputs)
    if f != wanted:
        raise ValueError(f"{plan.loss.name}: {shape_message(y, f, wanted, plan.outputs)}")
    return y


def _items(plan: Plan, shapes: list[Shape]) -> Shape:
    if any(s != shapes[0] for s in shapes) or len(shapes[0]) not in (1, 2):
        said = " and ".join(f"{key} {s}" for key, s in zip(plan.inputs, shapes, strict=True))
        raise ValueError(
            f"{plan.loss.name}: data of shapes {said}; needed is one number for each item, in "
            "(items,) with query=, or (lists, items)"
        )
    return shapes[0]


def _batch(plan: Plan, shapes: list[Shape]) -> Shape:
    n = shapes[0][:1]
    for key, s, wide in zip(plan.inputs, shapes, plan.columns, strict=True):
        if len(s) != 1 + wide or s[:1] != n:
            raise ValueError(
                f"{plan.loss.name}: {key} has shape {s}; needed is "
                f"({'rows, features' if wide else 'rows,'}) with as many rows as {plan.inputs[0]}, "
                f"{n}"
            )
    return n


def _along_an_axis(plan: Plan, shapes: list[Shape]) -> Shape:
    name, first = plan.loss.name, plan.trained[0]
    whole = shapes[first]
    if not plan.columns[first]:
        rows, columns = whole, None
    elif not whole or whole[-1] == 0:
        raise ValueError(
            f"{name}: {plan.inputs[first]} has shape {whole}; needed is an axis of at least one "
            f"{plan.axis}"
        )
    else:
        rows, columns = whole[:-1], whole[-1]
    kinds = [one for _, one in plan.loss.definition.inputs]
    for i, (key, s, one) in enumerate(zip(plan.inputs, shapes, kinds, strict=True)):
        wide = (*rows, columns) if one.rank == 2 else rows
        fits = s == wide or (bool(one.classes) and s == rows)
        if one.rank == 1 and not one.classes and i not in plan.trained:
            fits = s == rows[: len(s)]
        if not fits:
            indexes = f"{rows} of class indexes, or " if one.classes and one.rank == 2 else ""
            raise ValueError(
                f"{name}: {key} has shape {s} and {plan.inputs[first]} {whole}; needed is "
                f"{indexes}{wide} ({plan.axis} axis last), as nothing is broadcast"
            )
    return rows
