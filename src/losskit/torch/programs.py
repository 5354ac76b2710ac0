"""A loss on the devices: inputs, generated formula and weights in one function, for a compiler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from losskit.backends.torch_axes import Axis
from losskit.torch.formulas import Formula
from losskit.torch.inputs import Inputs, Layout, columns_of, inputs_of, row_weight
from losskit.torch.shapes import scalar_type


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
    columns = columns_of(formula, data)
    first = tuple(data[formula.trained[0]].shape)
    shape = first[:-1] if columns else first
    if layout is not None:
        shape = tuple(layout.lengths.shape)
    frame = _Frame(formula, shape, columns, lead, layout, data[0].device)
    inputs = inputs_of(formula, data, shape, columns, layout)
    weights = row_weight(formula, inputs, weight, mask, shape)
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
        own = x.to(self.formula.compute).reshape(*x.shape, *ones)
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
        return made.to(scalar_type(formula.dtype))

    def back(self, derivative: Tensor) -> Tensor:
        """Return a derivative in the shape of its input."""
        made = derivative.to(self.formula.dtype)
        if self.layout is None:
            return made.reshape(*self.shape, *made.shape[1:])
        whole = made.new_zeros(math.prod(self.layout.shape))
        return whole.index_copy(0, self.layout.order, made).reshape(self.layout.shape)


def _of_elements(
    frame: _Frame, inputs: Inputs, vectors: list[Tensor]
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


def _of_rows(frame: _Frame, inputs: Inputs, vectors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
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
