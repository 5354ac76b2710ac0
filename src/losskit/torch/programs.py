"""A loss on the devices: inputs, generated formula and weights in one function, for a compiler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from losskit.backends.torch_axes import Axis
from losskit.torch.formulas import Formula, Held
from losskit.torch.shapes import wide_type


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


def scored(
    formula: Formula,
    lead: int,
    data: list[Tensor],
    vectors: list[Tensor],
    weight: Tensor | None,
    mask: Tensor | None,
    layout: Layout | None,
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Return value, weight, the formula's derivatives, and whether what counts is admitted.

    The first `lead` axes of the rows are calls of their own, with a value each.
    """
    columns = _columns_of(formula, data)
    first = tuple(data[formula.trained[0]].shape)
    shape = first[:-1] if columns else first
    if layout is not None:
        shape = tuple(layout.lengths.shape)
    frame = _Frame(formula, shape, columns, lead, layout, data[0].device)
    inputs = _inputs_of(formula, data, shape, columns, layout)
    weights = _row_weight(formula, inputs, weight, mask, shape)
    weighed = frame.weighed(weights)
    compute = _of_elements if formula.pointwise else _of_rows
    value, derivatives = compute(frame, inputs, [frame.flat(v) for v in vectors])
    bad = inputs.bad
    if weights is not None:
        bad = (bad | ~(weights >= 0)) & (weights != 0)
    value = _times(torch.where(bad, torch.nan, value), weights)
    factor = weights
    if formula.reduction == "mean":
        share = frame.per_row(weighed.reciprocal())
        factor = share if weights is None else weights * share
    made = []
    for d in derivatives:
        own = torch.where(frame.over(bad, d), torch.nan, d)
        made.append(frame.back(own if factor is None else _times(own, frame.over(factor, d))))
    return frame.reduced(value, weighed), weighed, made, ~bad.any()


@dataclass(frozen=True, eq=False)
class _Frame:
    """How a call's rows lie in its data: `shape` of them, of which `lead` axes are calls."""

    formula: Formula
    shape: tuple[Any, ...]
    columns: int
    lead: int
    layout: Layout | None
    device: torch.device

    @property
    def wide(self) -> torch.dtype:
        """The type that sums are taken in."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    @property
    def axis(self) -> Axis:
        """The axis of the formula."""
        if self.layout is None:
            return Axis(self.columns or 1, self.device)
        return Axis(0, self.device, self.layout.row, self.layout.lengths)

    def numbers(self) -> list[Tensor]:
        """Return the parameters as tensors, which do not change the type of a result."""
        compute = self.formula.compute
        return [torch.tensor(n, dtype=compute, device=self.device) for n in self.formula.numbers]

    def weighed(self, weights: Tensor | None) -> Tensor:
        """Return the weight of each call."""
        own = self.shape[: self.lead]
        if weights is None:
            n = math.prod(self.shape[self.lead :])
            return torch.ones(own, dtype=self.wide, device=self.device) * n
        return weights.reshape(*own, -1).sum(-1, dtype=self.wide)

    def per_row(self, x: Tensor) -> Tensor:
        """Repeat what each call has for its rows."""
        ones = (1,) * (len(self.shape) - self.lead)
        own = x.to(self.formula.compute).reshape((*x.shape, *ones))
        return own.expand(self.shape).reshape(-1)

    def over(self, x: Tensor, like: Tensor) -> Tensor:
        """Repeat what each row has in the shape of a derivative."""
        if self.layout is not None:
            return x[self.layout.row]
        return x[:, None] if like.ndim == 2 else x

    def flat(self, vector: Tensor) -> Tensor:
        """Return an array like a trained input as rows."""
        x = vector.to(self.formula.compute)
        if self.layout is not None:
            return x.reshape(-1)[self.layout.order]
        return x.reshape(-1, self.columns) if self.columns else x.reshape(-1)

    def whole(self, made: Any, like: Tensor) -> Tensor:
        """Return a result of the formula, which may be one for all, in the shape of `like`."""
        if not isinstance(made, Tensor):
            return torch.full_like(like, made, dtype=self.formula.compute)
        if made.ndim == 1 and self.layout is not None and len(made) != len(like):
            made = made[self.layout.row]
        elif made.ndim == 1 and like.ndim == 2:
            made = made[:, None]
        return made.to(self.formula.compute).expand_as(like)

    def reduced(self, value: Tensor, weighed: Tensor) -> Tensor:
        """Return the rows' values as the call's reduction has them."""
        formula = self.formula
        if formula.reduction == "none":
            own = value.to(formula.dtype)
            if self.layout is None:
                return own.reshape(self.shape)
            return own.new_zeros(self.layout.size).index_copy(0, self.layout.places, own)
        made = value.reshape(*self.shape[: self.lead], -1).sum(-1, dtype=self.wide)
        if formula.reduction == "mean":
            made = made / weighed
        return made.to(wide_type(formula.dtype))

    def back(self, derivative: Tensor) -> Tensor:
        """Return a derivative in the shape of its input."""
        made = derivative.to(wide_type(self.formula.dtype))
        if self.layout is None:
            return made.reshape((*self.shape, *made.shape[1:]))
        whole = made.new_zeros(math.prod(self.layout.shape))
        return whole.index_copy(0, self.layout.order, made).reshape(self.layout.shape)


def _of_elements(
    frame: _Frame, inputs: _Inputs, vectors: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Return each element's value and derivatives, without weights."""
    outputs, like = frame.formula.outputs, inputs.bad
    value, *made = frame.formula.function(*inputs.values, *frame.numbers())
    derivatives = [frame.whole(d, like) for d in made]
    if vectors:
        derivatives = _along(derivatives, vectors[0], outputs)
    derivatives = [_limit(d, inputs.infinite) for d in derivatives]
    if outputs > 1 and derivatives:
        derivatives = [torch.stack(derivatives, dim=-1)]
    return _limit(frame.whole(value, like), inputs.infinite), derivatives


def _of_rows(frame: _Frame, inputs: _Inputs, vectors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return each row's value and derivatives, without weights."""
    formula = frame.formula
    value, *made = formula.function(frame.axis, *inputs.values, *frame.numbers(), *vectors)
    value = _limit(frame.whole(value, inputs.bad), inputs.infinite)
    trained = [inputs.values[i] for i in formula.trained]
    derivatives = [frame.whole(d, like) for d, like in zip(made, trained, strict=False)]
    if formula.zero:
        value = torch.where(torch.isnan(value), 0.0, value)
        derivatives = [torch.where(torch.isnan(d), 0.0, d) for d in derivatives]
    return value, derivatives


def _along(second: list[Tensor], vector: Tensor, outputs: int) -> list[Tensor]:
    """Return a matrix of second derivatives, given row after row, times a vector."""
    parts = vector.unbind(-1) if outputs > 1 else (vector,)
    made = []
    for i in range(outputs):
        row = second[i * outputs : (i + 1) * outputs]
        # An overflown curvature is not to meet a direction of 0.
        terms = [torch.where(v == 0, 0.0, h * v) for h, v in zip(row, parts, strict=True)]
        made.append(sum(terms[1:], terms[0]))
    return made


def _limit(x: Tensor, infinite: Tensor) -> Tensor:
    """Return ±∞ for what grows without end at an infinite score."""
    endless = infinite & (x.abs() > torch.finfo(x.dtype).max ** 0.2)
    return torch.where(endless, torch.copysign(torch.full_like(x, torch.inf), x), x)


def _times(x: Tensor, factor: Tensor | None) -> Tensor:
    return x if factor is None else torch.where(factor != 0, x * factor, 0.0)


# --- the data of a call as flat rows of one type


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Values (rows, columns) or (rows,), and rows that are bad or had an infinite score."""

    values: list[Tensor]
    bad: Tensor
    infinite: Tensor
    index: Tensor | None  # of the class, where that was given


def _columns_of(formula: Formula, data: list[Tensor]) -> int:
    """Return the number of columns of a trained row, 0 where it has none."""
    first = formula.trained[0]
    wide = formula.outputs > 1 or (formula.columns[first] and not formula.lists)
    return data[first].shape[-1] if wide else 0


def _inputs_of(
    formula: Formula,
    data: list[Tensor],
    shape: tuple[Any, ...],
    columns: int,
    layout: Layout | None,
) -> _Inputs:
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
            x = leading(x, shape)
        else:
            x = x.reshape(-1)
        wrong, ends = _unusable(held, x)
        bad, infinite = bad | _by_row(wrong, layout), infinite | _by_row(ends, layout)
        x = x.to(formula.compute)
        if held.falling:
            bad = bad | (x[:, 1:] > x[:, :-1]).any(-1)
        values.append(torch.where(ends, _huge(x), x))
    return _Inputs(values, bad, infinite, index)


def _row_weight(
    formula: Formula,
    inputs: _Inputs,
    weight: Tensor | None,
    mask: Tensor | None,
    shape: tuple[Any, ...],
) -> Tensor | None:
    """Return the weight of each row: 0 where masked or ignored, times its class's weight."""
    compute = formula.compute
    made = None if weight is None else leading(weight, shape).to(compute)
    if mask is not None:
        counts = leading(mask, shape)
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


def _class_weight(formula: Formula, inputs: _Inputs) -> Tensor:
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


def leading(x: Tensor, shape: tuple[Any, ...]) -> Tensor:
    """Return what leading axes share as one flat value for each row."""
    return x.reshape((*x.shape, *(1,) * (len(shape) - x.ndim))).expand(shape).reshape(-1)
