"""Written losses: algorithms over a whole batch, as mining or sorting, with their own derivatives.

A written loss returns `Examples`: what it charges for each pair, list or anchor that it finds, and
how a change of its inputs reaches them. Weights, masks, reductions and checks are the frame's.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from losskit.arrays import Array, check_index, numeric, weights
from losskit.call import check_options
from losskit.definition import RESERVED, Parameter, check_declared, task_of
from losskit.formula.domain import Domain
from losskit.formula.expr import Unsupported
from losskit.formula.inputs import Input, Vector
from losskit.lists import lists_of
from losskit.reduction import Accumulation, total
from losskit.results import Computed, accumulation, results, weight_sum

Backward = Callable[[Array], tuple[Array, ...]]


@dataclass(frozen=True, eq=False)
class Examples:
    """What a written loss makes of a batch.

    `values` and `weights` are (examples,): ℓ and w, so that the mean is Σwℓ/Σw. `backward(u)` gives
    Σ uᵢ·∂ℓᵢ for each trained input in its shape, `curvature(u)` likewise Σ uᵢ·∂²ℓᵢ, the diagonal.
    `rows` says that there is one example for each row, so that `reduction="none"` keeps their places.
    """

    values: Array
    weights: Array
    backward: Backward
    curvature: Backward | None = None
    rows: bool = False


@dataclass(frozen=True)
class WrittenDefinition:
    """Everything its author said about a written loss, once."""

    name: str
    doc: str
    task: str
    function: Callable[..., Examples]
    axis: str
    inputs: tuple[tuple[str, Input], ...]
    parameters: tuple[Parameter, ...]
    optimum: str
    cite: str
    aliases: tuple[str, ...]
    same_as: tuple[tuple[str, float], ...]
    links: tuple[Any, ...] = ()
    fixed: bool = False
    root: bool = False

    kind = "written"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the inputs that gradients are taken by."""
        return tuple(name for name, one in self.inputs if one.trained)

    @property
    def target(self) -> Domain:
        """Where targets may lie."""
        return next((one.domain for _, one in self.inputs if not one.trained), Domain())

    @property
    def predictions(self) -> tuple[Domain, ...]:
        """Where each trained input may lie."""
        return tuple(one.domain for _, one in self.inputs if one.trained)

    def frozen(self, params: Mapping[str, Any]) -> WrittenDefinition:
        """Return what is pickled: itself, whose function has to be importable."""
        return self


def written(function: Callable[..., Examples] | None = None, **declared: Any) -> Any:
    """Make a loss of an algorithm: `@written(axis="row")` above a function of the data inputs, then
    `weight` (axis "row": one for each row, or None) or `lists` (axis "item"), then parameters.

    `declared` are `axis`, `optimum`, `cite`, `aliases`, `same_as`, as for `losskit.loss`.
    """
    from losskit.catalogue import made_of

    if function is None:
        return lambda f: written(f, **declared)
    return made_of(_define(function, **declared))


def prepare(
    loss: Any,
    wanted: tuple[str, ...],
    data: tuple[Any, ...],
    options: Mapping[str, Any],
    vector: Any = None,
) -> WrittenCall:
    """Return the call of a written loss on its data, checked."""
    check_options(loss.name, options)
    if "product" in wanted:
        raise Unsupported(f"{loss.name}: a written loss has no Hessian–vector product")
    check_index(*data, options["sample_weight"], options["mask"])
    definition = loss.definition
    arrays = {
        name: np.asarray(one) if kind.classes == "key" else numeric(name, one)
        for (name, kind), one in zip(definition.inputs, data, strict=True)
    }
    frame = _Lists if definition.axis == "item" else _Rows
    return WrittenCall(loss, wanted, options, frame(loss, arrays, options))


@dataclass(frozen=True, eq=False)
class WrittenCall:
    """One call's checked data and options."""

    loss: Any
    wanted: tuple[str, ...]
    options: Mapping[str, Any]
    frame: Any

    def results(self) -> tuple[Any, ...]:
        """Return what the user gets, in the order wanted."""
        return results(self._computed(), self.wanted, self.options)

    def accumulation(self, loss: Any, gradient: bool) -> Accumulation:
        """Return Σwℓ and Σw as a part that adds up."""
        call = WrittenCall(self.loss, self.wanted, {**self.options, "empty": "zero"}, self.frame)
        return accumulation(call._computed(), loss, gradient)

    def _computed(self) -> Computed:
        name, frame = self.loss.name, self.frame
        with np.errstate(all="ignore"):
            made = frame.examples(self.loss) if len(frame.data[0]) else _nothing(self.loss, frame)
        summed = total(made.weights)
        divisor = weight_sum(name, frame.example, sum(summed), self.options)
        upstream = made.weights / (divisor if self.options["reduction"] == "mean" else 1.0)
        undefined = np.flatnonzero(np.isnan(made.values) & (made.weights != 0))
        if undefined.size and not frame.propagates and self.options["empty"] == "error":
            raise ValueError(
                f"{name}: {frame.example} {frame.place(int(undefined[0]))} has no value under this "
                "loss; leave it out by mask=, or pass empty='zero' to count it as 0"
            )
        values = np.where(made.weights != 0, made.values * made.weights, 0.0)
        if frame.propagates:
            values = np.full_like(values, np.nan)
        else:
            values = np.nan_to_num(values, copy=False, posinf=np.inf, neginf=-np.inf)
        derivatives = {}
        for order in self.wanted:
            if order != "value":
                pull = made.backward if order == "gradient" else made.curvature
                if pull is None:
                    raise Unsupported(f"{name}: this loss computes no Hessian")
                with np.errstate(all="ignore"):
                    derivatives[order] = tuple(
                        frame.whole(i, array) for i, array in enumerate(pull(upstream))
                    )
        dtype = frame.dtype
        with np.errstate(over="ignore"):  # of float16
            shown = frame.whole(0, values) if made.rows else values.astype(dtype)
        return Computed(name, total(values), summed, shown, derivatives)


class _Rows:
    """Data whose first axis is the batch; rows that do not count are left out."""

    example = "example"

    def __init__(self, loss: Any, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> None:
        if options["query"] is not None:
            raise TypeError(f"{loss.name}: query= groups the items of lists; this loss takes rows")
        kinds = dict(loss.definition.inputs)
        first, n = next((key, len(a) if a.ndim else 0) for key, a in arrays.items())
        for key, a in arrays.items():
            needed = 2 if kinds[key].rank == 2 else 1
            if a.ndim != needed or len(a) != n:
                raise ValueError(
                    f"{loss.name}: {key} has shape {a.shape}; needed is "
                    f"({'rows, features' if needed == 2 else 'rows'}) with as many rows as {first}"
                )
        weight = weights(options["sample_weight"], options["mask"], (n,))
        counts = np.ones(n, bool) if weight is None else ~(weight == 0)
        if weight is not None and not (weight[counts] > 0).all():
            raise ValueError(f"{loss.name}: sample_weight has to be finite and not negative")
        counts, self.propagates = _valid(loss.name, arrays, kinds, counts, options["nan"], str)
        self.places = np.flatnonzero(counts)
        self.weight = None if weight is None else weight[self.places]
        self.n, self.dtype, self.compute = n, *_types(arrays, kinds)
        self.data = [_taken(a[self.places], kinds[key], self.compute) for key, a in arrays.items()]

    def examples(self, loss: Any) -> Examples:
        return loss.definition.function(*self.data, weight=self.weight, **loss.params)

    def place(self, example: int) -> str:
        return str(example)

    def whole(self, i: int, array: Array) -> Array:
        made = np.zeros((self.n, *array.shape[1:]), self.dtype)
        made[self.places] = np.nan if self.propagates else array
        return made


class _Lists:
    """Scores of the items of lists."""

    example = "list"

    def __init__(self, loss: Any, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> None:
        kinds = dict(loss.definition.inputs)
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) > 1:
            said = " and ".join(f"{key} {a.shape}" for key, a in arrays.items())
            raise ValueError(f"{loss.name}: the shapes differ, {said}; needed is one for each item")
        lists = lists_of(loss.name, shapes.pop(), options)
        weight = np.ones(len(lists.starts)) if lists.weight is None else lists.weight
        wrong = np.flatnonzero(~((weight >= 0) & np.isfinite(weight)))
        if wrong.size:
            raise ValueError(
                f"{loss.name}: sample_weight of query {lists.names[wrong[0]]} is "
                f"{weight[wrong[0]]:g}; needed is finite and not negative"
            )
        flat = {key: a.reshape(-1) for key, a in arrays.items()}
        size = int(np.prod(lists.shape, dtype=np.int64))
        counts = np.zeros(size, bool)
        counts[lists.order] = np.repeat(weight != 0, lists.lengths)
        kept, self.propagates = _valid(
            loss.name, flat, kinds, counts, options["nan"],
            lambda i: ", ".join(str(int(j)) for j in np.unravel_index(i, lists.shape)),
        )  # fmt: skip
        # A list with a NaN is left out as a whole, as a row is, or its result is to show it.
        missing = np.zeros(len(lists.starts), bool)
        if (kept != counts).any():
            missing = np.maximum.reduceat(lists.take(counts & ~kept), lists.starts)
        if not self.propagates and missing.any():
            lists = replace(lists, weight=np.where(missing, 0.0, weight))
        self.lists, self.missing = lists, missing & self.propagates
        self.dtype, self.compute = _types(arrays, kinds)
        held = lists.take(kept)
        self.data = [
            np.where(held, lists.take(a), 0).astype(self.compute if kinds[key].trained else float)
            for key, a in arrays.items()
        ]

    def examples(self, loss: Any) -> Examples:
        made = loss.definition.function(*self.data, lists=self.lists, **loss.params)
        if not self.propagates:
            return made
        values = np.where(self.missing, np.nan, made.values)
        weights_ = np.where(self.missing, np.maximum(made.weights, 1.0), made.weights)
        return replace(made, values=values, weights=weights_)

    def place(self, example: int) -> str:
        names = self.lists.names
        return f"of query {names[example]}" if example < len(names) else str(example)

    def whole(self, i: int, array: Array) -> Array:
        hidden = np.repeat(self.missing, self.lists.lengths)
        return self.lists.scatter(np.where(hidden, np.nan, array).astype(self.dtype))


def _nothing(loss: Any, frame: Any) -> Examples:
    """Return what any algorithm makes of no data at all."""
    kinds = (kind for _, kind in loss.definition.inputs)
    trained = tuple(a for a, kind in zip(frame.data, kinds, strict=True) if kind.trained)
    none = np.zeros(0)
    return Examples(none, none, lambda _: trained, lambda _: trained)


def _valid(
    name: str,
    arrays: Mapping[str, Array],
    kinds: Mapping[str, Input],
    counts: Array,
    nan: str,
    place: Callable[[Any], str],
) -> tuple[Array, bool]:
    """Return the rows that count and hold numbers, and whether a NaN is to show in the result."""
    propagates = False
    for key, a in arrays.items():
        key_only = kinds[key].classes == "key"
        if a.dtype.kind not in "fV":
            if not key_only:
                _check_domain(name, key, a, kinds[key], counts, place)
            continue
        missing = np.isnan(a) if a.dtype.kind == "f" else np.isnan(a.astype(np.float32))
        rows = missing.reshape(len(a), -1).any(axis=1) & counts
        if rows.any():
            if nan == "raise":
                raise ValueError(
                    f"{name}: {key}[{place(int(np.flatnonzero(rows)[0]))}] holds NaN; remove it, "
                    "or pass nan='omit' or nan='propagate'"
                )
            propagates |= nan == "propagate"
            counts = counts & ~rows
        if not key_only:
            _check_domain(name, key, a, kinds[key], counts, place)
    return counts, propagates


def _check_domain(
    name: str, key: str, a: Array, kind: Input, counts: Array, place: Callable[[Any], str]
) -> None:
    inside = kind.domain.contains(a.astype(np.float32) if a.dtype.kind == "V" else a)
    wrong = ~inside.reshape(len(a), -1).all(axis=1) & counts
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        value = np.ravel(a[i])[~np.ravel(inside[i])][0]
        raise ValueError(f"{name}: {key}[{place(i)}] holds {value:g}; needed is {kind.domain}")


def _types(
    arrays: Mapping[str, Array], kinds: Mapping[str, Input]
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    trained = [a.dtype for key, a in arrays.items() if kinds[key].trained]
    dtype = trained[0] if trained[0].kind in "fV" and len(set(trained)) == 1 else np.dtype(float)
    return dtype, np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def _taken(a: Array, kind: Input, compute: np.dtype[Any]) -> Array:
    if kind.classes == "key":
        return np.unique(a, return_inverse=True)[1].reshape(a.shape)
    return np.ascontiguousarray(a, compute)


def _define(
    function: Callable[..., Examples],
    *,
    axis: str,
    optimum: str = "",
    cite: str = "",
    aliases: tuple[str, ...] = (),
    same_as: Mapping[str, float] | None = None,
) -> WrittenDefinition:
    name = function.__name__
    check_declared(name, aliases)
    hints = typing.get_type_hints(function, include_extras=True)
    inputs: list[tuple[str, Input]] = []
    parameters: list[Parameter] = []
    for p in inspect.signature(function).parameters.values():
        said = getattr(hints.get(p.name), "__metadata__", ())
        if p.name in ("weight", "lists"):
            continue
        if p.default is p.empty:
            one = next((m for m in said if isinstance(m, Input)), Vector.__metadata__[0])
            inputs.append((p.name, one))
            continue
        if p.name in RESERVED:
            raise ValueError(f"{name}: a parameter cannot be called {p.name!r}, which is reserved")
        domain = next((m for m in said if not isinstance(m, Input)), Domain())
        parameters.append(Parameter(p.name, p.default, domain).checked(name))
    return WrittenDefinition(
        name, inspect.cleandoc(function.__doc__ or ""), task_of(function), function, axis,
        tuple(inputs), tuple(parameters), optimum, cite, tuple(aliases),
        tuple((same_as or {}).items()),
    )  # fmt: skip
