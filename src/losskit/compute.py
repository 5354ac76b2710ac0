"""One call of a loss on arrays: check, run the kernel that fits the size, treat what is not finite.

Small arrays run the generated NumPy form, large ones the compiled kernel; both report bad or
infinite values by a flag, and only then are the arrays searched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from losskit.arrays import Array, Batch, eps
from losskit.backends import numpy as numpy_backend
from losskit.definition import Graph
from losskit.formula.domain import REAL, Domain
from losskit.invalid import Invalid, inspect
from losskit.reduction import Pair, join, total, weight_exponent

# Below this a call of the NumPy form takes about a tenth of a millisecond (benchmarks/RESULTS.md),
# for which nobody should wait a second for a compiler.
CROSSOVER = 8192


@dataclass(frozen=True, eq=False)
class Form:
    """A loss with its parameters on one scale: its graph, parameter values and domains."""

    graph: Graph
    values: tuple[float, ...]
    target: Domain
    predictions: tuple[Domain, ...]
    clips: bool
    raw_hint: bool  # a raw score may have been passed where a prediction is wanted
    _functions: dict[Any, Any] = field(default_factory=dict, repr=False)

    def numpy(self, wanted: tuple[str, ...]) -> Any:
        """Return the generated NumPy function for 'value', 'gradient', 'hessian' as wanted."""
        if wanted not in self._functions:
            text = numpy_backend.source(
                self.graph.name, self.graph.symbols, self.graph.select(wanted)
            )
            self._functions[wanted] = numpy_backend.compiled(text)
        return self._functions[wanted]

    def compiled(self, wanted: tuple[str, ...], dtype: np.dtype[Any]) -> Any:
        """Return the compiled kernel for 'value', 'gradient', 'hessian' as wanted."""
        key = (wanted, dtype.char)
        if key not in self._functions:
            from losskit.backends import numba as numba_backend

            self._functions[key] = numba_backend.kernel_of(
                self.graph.name, self.graph.symbols, self.graph.select(wanted), wanted, dtype
            )
        return self._functions[key]

    @cached_property
    def bounds(self) -> Any:
        """The domains as the closed intervals that compiled kernels check."""
        from losskit.backends.numba import Bounds

        lower, upper = _closed(self.target)
        hole = math.nan if self.target.hole is None else self.target.hole
        raw = tuple(_closed(domain) for domain in self.predictions)
        return Bounds(lower, upper, bool(self.target.values), hole, raw)

    @cached_property
    def many(self) -> bool:
        """Whether targets are a list of more than two values, which kernels do not check."""
        return bool(self.target.values) and {*self.target.values} != {*_closed(self.target)}

    def arguments(self, clip: float) -> tuple[float, ...]:
        """Return the numbers that follow y and f in the generated functions."""
        return (*self.values, clip, 1.0 - clip) if self.clips else self.values


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one pass over the data gives; arrays are flat and exist where they were wanted."""

    numerator: Pair
    denominator: Pair
    arrays: dict[str, Array]
    flag: bool = False


@dataclass(frozen=True)
class Request:
    """What a call wants: which arrays, from which a sum is taken, and how to treat bad values."""

    wanted: tuple[str, ...]
    mean: bool  # derivatives are those of the mean, so they are divided by the sum of weights
    value_array: bool = False
    nan: str = "raise"
    clip: float | None = None
    tier: str | None = None
    out: Mapping[str, Array] = field(default_factory=dict)

    def space(self, name: str, batch: Batch, shape: tuple[int, ...]) -> Array:
        """Return the flat array that receives `name`: the user's own where a kernel can fill it."""
        out = self.out.get(name)
        if out is not None and out.flags.c_contiguous and out.flags.aligned:
            inputs = [a for a in (batch.y, batch.f, batch.weight) if a is not None]
            if out.dtype == batch.f.dtype and not any(np.may_share_memory(out, a) for a in inputs):
                return out.reshape(shape)
        return np.empty(shape, batch.f.dtype)


def compute(form: Form, batch: Batch, request: Request) -> Outcome:
    """Return sums and derivatives over `batch`; raise ValueError where a value is invalid."""
    exponent = weight_exponent(batch.weight)
    if exponent and batch.weight is not None:
        scaled = replace(batch, weight=np.ldexp(batch.weight, -exponent))
        return _unscaled(compute(form, scaled, request), exponent, request)
    clip = eps(batch.dtype) if request.clip is None else request.clip
    arguments = form.arguments(float(clip))
    outcome = _pass(form, batch, request, arguments, _scale(batch, request))
    if not outcome.flag and math.isfinite(outcome.denominator[0]):  # else a weight is infinite
        if math.isnan(outcome.numerator[0]):
            _check_defined(form, batch, arguments)
        return outcome
    invalid = inspect(
        form.graph.name, batch, form.target, form.predictions, form.raw_hint, request.nan
    )
    return _careful_pass(form, batch, request, arguments, invalid)


def _unscaled(outcome: Outcome, exponent: int, request: Request) -> Outcome:
    with np.errstate(over="ignore"):
        pairs = [
            (float(np.ldexp(high, exponent)), float(np.ldexp(low, exponent)))
            for high, low in (outcome.numerator, outcome.denominator)
        ]
        for name, array in outcome.arrays.items():
            if name == "value" or not request.mean:
                np.ldexp(array, exponent, out=array)
    if request.mean:  # the ratio is what is wanted, and it has not changed
        return outcome
    return Outcome(pairs[0], pairs[1], outcome.arrays)


def _pass(
    form: Form, batch: Batch, request: Request, arguments: tuple[float, ...], scale: float
) -> Outcome:
    large = batch.size >= CROSSOVER if request.tier is None else request.tier == "numba"
    if large and _compiler():
        return _compiled_pass(form, batch, request, arguments, scale)
    flag = _suspicious(form, batch)
    with np.errstate(all="ignore"):
        arrays = _numpy_arrays(form, batch, request.wanted, arguments, scale)
        numerator = (0.0, 0.0)
        if "value" in arrays:
            numerator = total(arrays["value"], pair=not request.mean)
    return Outcome(numerator, _weight_sum(batch), arrays, flag)


def _compiler() -> bool:
    from losskit.backends.numba import available

    return available()


def _compiled_pass(
    form: Form, batch: Batch, request: Request, arguments: tuple[float, ...], scale: float
) -> Outcome:
    from losskit.backends import numba as numba_backend

    arrays = {}
    for name in request.wanted:
        if name != "value":
            arrays[name] = request.space(name, batch, batch.f.shape)
        elif request.value_array:
            arrays[name] = request.space(name, batch, batch.y.shape)
    sums = numba_backend.run(
        form.compiled(request.wanted, batch.f.dtype),
        batch.y,
        batch.f,
        arguments,
        weight=batch.weight,
        scale=scale,
        bounds=form.bounds,
        **arrays,
    )
    flag = bool(sums.flag) or (form.many and not _inside(form.target, batch.y))
    numerator = (sums.value_high, sums.value_low)
    return Outcome(numerator, (sums.weight_high, sums.weight_low), arrays, flag)


def _closed(domain: Domain) -> tuple[float, float]:
    if domain.values:
        return min(domain.values), max(domain.values)
    lower = math.nextafter(domain.lower, math.inf) if domain.open_lower else domain.lower
    upper = math.nextafter(domain.upper, -math.inf) if domain.open_upper else domain.upper
    return lower, upper


def _weight_sum(batch: Batch) -> Pair:
    return (float(batch.size), 0.0) if batch.weight is None else total(batch.weight)


def _scale(batch: Batch, request: Request) -> float:
    """Return what derivatives are multiplied by: 1/Σw for those of the mean."""
    if not request.mean or request.wanted == ("value",):
        return 1.0
    if batch.weight is None:
        return 1.0 / batch.size if batch.size else 1.0
    with np.errstate(over="ignore"):
        summed = float(np.sum(batch.weight))
    return 1.0 / summed if summed > 0 else 1.0


def _check_defined(form: Form, batch: Batch, arguments: tuple[float, ...]) -> None:
    """Raise ValueError at the first valid element for which a formula gives no number."""
    with np.errstate(all="ignore"):
        value = _numpy_arrays(form, batch, ("value",), arguments, 1.0)["value"]
    undefined = np.flatnonzero(np.isnan(value))
    if undefined.size:
        i = int(undefined[0])
        raise ValueError(
            f"{form.graph.name}: the formula has no value for y_true = {batch.y[i]:g}, y_pred = "
            f"{batch.f[i]} (element {i}); declare narrower domains, or guard it by where()"
        )


def _suspicious(form: Form, batch: Batch) -> bool:
    good = _inside(form.target, batch.y)
    for domain, column in zip(form.predictions, _columns(batch), strict=True):
        good = good and _inside(domain, column)
    if batch.weight is not None:
        if bool((batch.weight >= 0).all()):
            if not good:  # values that do not count may be anything
                counts = batch.weight != 0
                active = replace(batch, y=batch.y[counts], f=batch.f[counts], weight=None)
                return _suspicious(form, active)
        else:
            return True
    return not good


def _inside(domain: Domain, values: Array) -> bool:
    inside = np.isfinite(values) if domain is REAL else domain.contains(values)
    return bool(inside.all())


def _columns(batch: Batch) -> Sequence[Array]:
    if batch.outputs == 1:
        return (batch.f,)
    return [batch.f[:, i] for i in range(batch.outputs)]


def _numpy_arrays(
    form: Form,
    batch: Batch,
    wanted: tuple[str, ...],
    arguments: tuple[float, ...],
    scale: float,
) -> dict[str, Array]:
    y = batch.y if batch.y.dtype == batch.f.dtype else batch.y.astype(batch.f.dtype)
    results = iter(form.numpy(wanted)(y, *_columns(batch), *arguments))
    arrays: dict[str, Array] = {}
    for name in wanted:
        if name == "value" or batch.outputs == 1:
            array = np.asarray(next(results), dtype=batch.f.dtype)
            if array.shape != y.shape:  # a constant derivative
                array = np.full(y.shape, array)
            elif array is y or array is batch.f:
                array = array.copy()  # the formula is an argument itself
        else:
            array = np.empty(batch.f.shape, batch.f.dtype)
            for i in range(batch.outputs):
                array[:, i] = next(results)
        arrays[name] = _weighted(array, batch.weight, 1.0 if name == "value" else scale)
    return arrays


def _weighted(array: Array, weight: Array | None, scale: float) -> Array:
    if weight is None:
        return array if scale == 1.0 else array * array.dtype.type(scale)
    factor = weight * scale
    counts = weight != 0
    if array.ndim == 2:
        factor, counts = factor[:, None], counts[:, None]
    return np.where(counts, array * factor, 0.0).astype(array.dtype, copy=False)


def _careful_pass(
    form: Form,
    batch: Batch,
    request: Request,
    arguments: tuple[float, ...],
    invalid: Invalid,
) -> Outcome:
    """Run the finite elements as usual; give infinite scores their limit and NaN its policy."""
    left_out = invalid.infinite | invalid.nan
    weight = np.ones(batch.size) if batch.weight is None else batch.weight
    counted = np.where(invalid.nan, 0.0, weight) if request.nan == "omit" else weight
    if invalid.nan.any() and not counted.any():
        raise ValueError(f"{form.graph.name}: every element that counts is NaN; none is left")
    scale = _scale(replace(batch, weight=counted), request)
    value_wanted = "value" in request.wanted
    finite = replace(batch, weight=np.where(left_out, 0.0, weight))
    everything = replace(request, value_array=value_wanted)
    outcome = _pass(form, finite, everything, arguments, scale)
    arrays = outcome.arrays
    where = np.flatnonzero(invalid.infinite)
    numerators = [outcome.numerator]
    if where.size:
        limits = _limits(form, batch, where, request.wanted, arguments)
        for name, limit in limits.items():
            factor = weight[where] * (1.0 if name == "value" else scale)
            if limit.ndim == 2:
                factor = factor[:, None]
            arrays[name][where] = limit * factor
        if value_wanted:
            numerators.append(total(arrays["value"][where]))
    if request.nan == "propagate" and invalid.nan.any():
        for array in arrays.values():
            array[invalid.nan] = np.nan
        numerators.append((float("nan"), 0.0))
    return Outcome(join(numerators), total(counted), arrays)


def _limits(
    form: Form,
    batch: Batch,
    where: Array,
    wanted: tuple[str, ...],
    arguments: tuple[float, ...],
) -> dict[str, Array]:
    """Return the limits of value and derivatives at the infinite scores of elements `where`.

    Two points far out tell a limit from divergence, which one point (the largest finite number)
    cannot: log(1 + f²) is still 1419 there. A formula that overflows at the largest number, as
    ∞/∞, is taken at the next two.
    """
    largest = float(np.finfo(batch.f.dtype).max)
    trail = []
    for distance in (largest**0.25, largest**0.5, largest):
        f = batch.f[where].copy()
        infinite = np.isinf(f)
        f[infinite] = np.copysign(distance, f[infinite])
        part = replace(batch, y=batch.y[where], f=f, weight=None)
        with np.errstate(all="ignore"):
            trail.append(_numpy_arrays(form, part, wanted, arguments, 1.0))
    return {name: _limit(*(step[name] for step in trail)) for name in wanted}


def _limit(first: Array, second: Array, third: Array) -> Array:
    with np.errstate(all="ignore"):
        # Steps over distances whose logarithms double: a logarithm's step doubles as well, what
        # converges takes smaller ones.
        step, further = np.abs(second - first), np.abs(third - second)
        grows = (further > 0.9 * step) & (further > 1e-12 * np.abs(third)) | np.isinf(third)
        shrinks = np.abs(third) < 0.5 * np.abs(second)
        limit = np.where(grows, np.copysign(np.inf, third), np.where(shrinks, 0.0, third))
        near = np.where(np.abs(second) > 1.001 * np.abs(first), np.copysign(np.inf, second), second)
        return np.where(np.isnan(third), near, limit)
