"""Running the generated form of a loss over rows, in blocks, so that temporaries stay small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.backends import numpy as numpy_backend
from losskit.backends.axes import Axis
from losskit.formula.inputs import PerElement
from losskit.reduction import Pair, join, total
from losskit.rows.batch import RowBatch
from losskit.rows.definition import RowDefinition, RowGraph

BLOCK = 1 << 17  # elements of a block: a few of its arrays stay in the second-level cache


@dataclass(frozen=True, eq=False)
class RowForm:
    """A loss with its parameters on one scale."""

    definition: RowDefinition
    params: Mapping[str, Any]
    raw: bool
    _functions: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def may_be_empty(self) -> bool:
        """Whether rows can hold nothing to score, as lists and label sets without a member."""
        return self.definition.axis in ("item", "label")

    @property
    def graph(self) -> RowGraph:
        """The traced formula."""
        return self.definition.graph(self.definition.statics(self.params), self.raw)

    def source(self, wanted: tuple[str, ...]) -> str:
        """Return the NumPy text of 'value', 'gradient', 'hessian', 'product' as wanted."""
        graph = self.graph
        return numpy_backend.source(graph.name, self.symbols(wanted), graph.select(wanted))

    def numpy(self, wanted: tuple[str, ...]) -> Any:
        """Return the function that `source` writes."""
        if wanted not in self._functions:
            self._functions[wanted] = numpy_backend.compiled(self.source(wanted))
        return self._functions[wanted]

    def symbols(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arguments of the function that `source` writes."""
        vectors = (f"v{i}" for i in range(len(self.graph.outputs)))
        return ("axis", *self.graph.symbols, *(vectors if "product" in wanted else ()))

    def arguments(self, columns: int, dtype: np.dtype[Any], clip: float) -> tuple[Any, ...]:
        """Return what follows the inputs: parameters, as rows where they vary, and clip ends."""
        definition, name = self.definition, self.definition.name
        statics = dict(definition.statics(self.params))
        made: list[Any] = []
        for p in definition.formula_parameters:
            value = self.params[p.name]
            if p.name in statics:
                continue
            if not isinstance(p.domain, PerElement):
                made.append(value)
            elif isinstance(value, tuple) and len(value) != columns:
                raise ValueError(
                    f"{name}: {p.name} holds {len(value)} numbers; needed is one for each of the "
                    f"{columns} columns"
                )
            else:
                made.append(np.broadcast_to(np.asarray(value, dtype), (1, columns)))
        clips = any(s == "clip_lower" for s in self.graph.symbols)
        return (*made, clip, 1.0 - clip) if clips else tuple(made)


@dataclass(frozen=True, eq=False)
class RowOutcome:
    """Weighted values (rows,) and derivatives by each trained input, flat as the batch has them."""

    numerator: Pair
    values: Array
    derivatives: dict[str, list[Array]]


def compute_rows(
    form: RowForm,
    batch: RowBatch,
    wanted: tuple[str, ...],
    *,
    weight: Array | None,
    divisor: float,
    clip: float,
    undefined: str,
    vectors: tuple[Array, ...] = (),
) -> RowOutcome:
    """Return Σwℓ, w·ℓ, and w/divisor times the derivatives; rows of weight 0 give exactly 0."""
    orders = [name for name in wanted if name != "value"]
    trained = [key for key, one in batch.inputs.items() if one.trained]
    made = {o: [np.zeros(batch.values[k].shape, batch.compute) for k in trained] for o in orders}
    values = np.zeros(batch.rows, batch.compute)
    arguments = form.arguments(batch.columns, batch.compute, clip)
    function = form.numpy(("value", *orders))
    numerators: list[Pair] = []
    for rows, elements, axis in _blocks(batch):
        counts = None if weight is None else weight[rows] != 0
        inputs = [_block(batch, key, rows, elements, counts, axis) for key in batch.inputs]
        directions = [v[_part(v, batch, rows, elements)] for v in vectors]
        with np.errstate(all="ignore"):
            value, *results = function(axis, *inputs, *arguments, *directions)
        value = np.broadcast_to(value, (rows.stop - rows.start,)).astype(batch.compute)
        factor = None if weight is None else weight[rows]
        unknown = np.isnan(value)
        if undefined == "error":
            _refuse(form, batch, rows, unknown, factor, "value")
        else:
            value = np.where(unknown, 0, value)
        values[rows] = _times(value, factor, 1.0)
        numerators.append(total(values[rows]))
        for i, result in enumerate(results):
            target = made[orders[i // len(trained)]][i % len(trained)]
            part = _part(target, batch, rows, elements)
            repeated = factor
            if factor is not None and (target.ndim == 2 or len(target) != batch.rows):
                repeated = axis.spread(factor)
            alike = np.ndim(result) == 1 and len(result) == len(value)
            if alike and (target.ndim == 2 or len(value) < len(target[part])):
                result = axis.spread(result)  # the same for all of a row, as a constant curvature
            result = np.broadcast_to(result, target[part].shape)
            missing = np.isnan(result)
            if missing.any():
                by_row = (
                    axis.any(missing) if len(missing) != len(value) or missing.ndim > 1 else missing
                )
                _refuse(form, batch, rows, by_row & ~unknown, factor, "derivative")
                # What is left missing is of a row that counts as zero, or not at all.
                result = np.where(missing, 0, result)
            target[part] = _times(result, repeated, divisor) + 0.0  # which turns −0 into 0
    return RowOutcome(join(numerators), values, made)


def limits_of(form: RowForm, batch: RowBatch, infinite: Array) -> RowBatch:
    """Return the rows with infinite scores alone, what has no limit as it stands made huge."""
    places = np.flatnonzero(infinite)
    values = {key: one[places] for key, one in batch.values.items()}
    huge = np.finfo(batch.compute).max / 4
    for key, link in zip(form.definition.outputs, form.definition.links, strict=True):
        x = values[key].astype(batch.compute)
        lowest = -np.inf if batch.excludes(link) and x.ndim == 2 else -huge
        values[key] = np.clip(x, lowest, huge)
    return replace(batch, values=values, shape=(len(places),), weight=None)


def _blocks(batch: RowBatch) -> Iterator[tuple[slice, slice, Axis]]:
    """Yield ranges of rows, the flat elements that they hold, and their axis."""
    if batch.lists is None:
        step = max(1, BLOCK // max(1, batch.columns))
        for first in range(0, batch.rows, step):
            rows = slice(first, min(first + step, batch.rows))
            yield rows, rows, Axis(batch.columns)
        return
    edges = np.append(batch.lists.starts, len(batch.lists.order))
    first = 0
    while first < batch.rows:
        last = int(np.searchsorted(edges, edges[first] + BLOCK, side="right")) - 1
        last = min(max(last, first + 1), batch.rows)
        elements = slice(int(edges[first]), int(edges[last]))
        starts = edges[first:last] - edges[first]
        yield slice(first, last), elements, Axis(0, starts, elements.stop - elements.start)
        first = last


def _part(array: Array, batch: RowBatch, rows: slice, elements: slice) -> slice:
    return elements if batch.lists is not None and len(array) != batch.rows else rows


def _block(
    batch: RowBatch, key: str, rows: slice, elements: slice, counts: Array | None, axis: Axis
) -> Array:
    """Return one input of a block as the formula takes it; rows that do not count hold 0."""
    one, whole = batch.inputs[key], batch.values[key]
    x = whole[elements if batch.lists is not None and one.rank == 2 else rows]
    if one.classes and one.rank == 2 and x.ndim == 1:
        made = np.zeros((len(x), batch.columns), batch.compute)
        index = x.astype(np.int64) if counts is None else np.where(counts, x, 0).astype(np.int64)
        made[np.arange(len(x)), index] = 1
        return made
    if counts is not None:
        kept = counts if x.ndim == 1 and one.rank == 1 else axis.spread(counts)
        x = np.where(kept, x, np.zeros((), x.dtype))
    return x.astype(batch.compute, copy=False)


def _times(array: Array, factor: Array | None, divisor: float) -> Array:
    if factor is None:
        return array if divisor == 1.0 else array / divisor
    return np.where(factor != 0, array * (factor / divisor), 0)


def _refuse(
    form: RowForm, batch: RowBatch, rows: slice, bad: Array, factor: Array | None, what: str
) -> None:
    """Raise ValueError at the first row that counts and is bad."""
    wrong = np.flatnonzero(bad if factor is None else bad & (factor != 0))
    if wrong.size:
        zero = form.may_be_empty and what == "value"
        place = batch.place(rows.start + int(wrong[0]))
        raise ValueError(
            f"{form.definition.name}: {place} has no {what} under this loss; leave it out"
            + (", or pass empty='zero' to count it as 0" if zero else "")
        )
