"""Losses as pure JAX functions: what users call."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from inspect import Parameter, signature
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from losskit.arrays import check_index, eps
from losskit.backends import suggest
from losskit.by_rank import ByRank
from losskit.call import DEFAULTS, check_options
from losskit.catalogue import get
from losskit.formula.expr import Unsupported
from losskit.jax.checks import judge, refuse
from losskit.jax.inputs import (
    Inputs,
    as_array,
    computed_in,
    pointwise_inputs,
    result_type,
    row_inputs,
    trained,
)
from losskit.jax.lists import list_inputs, losses_of_lists, numbered
from losskit.jax.pointwise import weighted_loss
from losskit.jax.rows import Rows
from losskit.several import Several

Array = Any
_SUMS = "the two sums"  # the reduction of sums()


def function(loss: Any, **params: Any) -> LossFunction | ColumnsFunction:
    """Return the loss of this name, alias or value, with these parameters, as a JAX function.

    >>> import losskit.jax
    >>> import jax.numpy as jnp
    >>> huber = losskit.jax.function("huber", delta=2.0)
    >>> float(huber(jnp.array([1.0, 9.0]), jnp.array([2.0, 4.0])))
    4.25
    """
    for key, value in params.items():
        if isinstance(value, jax.Array) and (isinstance(value, jax.core.Tracer) or not value.ndim):
            raise TypeError(
                f"losskit.jax.function: {key} is a JAX array; parameters are numbers, fixed when a "
                "function is made, and no derivative is taken by them: outside of jit and grad "
                f"pass {key}=float(…), or a tuple of them"
            )
    return loss_to(get(loss, **params))


def loss_to(loss: Any, **unknown: Any) -> LossFunction | ColumnsFunction:
    """Return the loss as a JAX function, or raise Unsupported if it is an algorithm."""
    for key in unknown:
        raise TypeError(
            f"to('jax') takes no {key}=: options go into the function's calls, and parameters into "
            f"losskit.{loss.name}(…)"
        )
    if isinstance(loss, Several):
        return ColumnsFunction(loss)
    if isinstance(loss, ByRank):
        one, rows = (loss.of_rank(rank).name for rank in (1, 2))
        raise Unsupported(f"{loss.name} is {one} or {rows}, by the rank of y_pred: ask for one")
    if loss.kind == "written":
        others = ""
        if loss.definition.axis == "item":
            others = (
                f"; losses of lists that run are {', '.join(losses_of_lists())} and those that "
                "losskit.listwise(…) makes"
            )
        raise Unsupported(
            f"the jax backend runs formulas; {loss.name} is an algorithm: call it with NumPy "
            f"arrays{others}"
        )
    return _function_of(loss)


@lru_cache(maxsize=512)
def _function_of(loss: Any) -> LossFunction:
    """Return the one function of this loss, which keeps its compiled programs."""
    return LossFunction(loss)


@dataclass(frozen=True)
class Static:
    """What a program is compiled for, beside shapes and types."""

    reduction: str
    raw: bool
    clip: float | None
    empty: str
    num_lists: int | None
    axis_name: Hashable


@dataclass(frozen=True, eq=False)
class LossFunction:
    """A loss as a pure function of JAX arrays, with losskit's derivatives of every order.

    Works under `jit`, `grad`, `value_and_grad`, `jvp`, `hessian`, `vmap`, `scan` and `shard_map`.
    Call options, as keywords: `sample_weight`, `mask` (True counts), `reduction` ("mean", "sum",
    "none"), `raw` (predictions are raw scores), `clip`, `empty` and `query` are those of a losskit
    loss; `num_lists` is the number of lists where `query` holds their numbers; `axis_name` names
    mapped axes over which the two sums of the mean are added, so that it is that of all shards;
    `validate=True` has compiled programs check values too.
    """

    loss: Any
    _terms: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __call__(
        self,
        *data: Any,
        sample_weight: Any = None,
        mask: Any = None,
        reduction: str = "mean",
        raw: bool = False,
        clip: float | None = None,
        empty: str = "error",
        query: Any = None,
        num_lists: int | None = None,
        axis_name: Hashable = None,
        validate: bool | None = None,
        **unknown: Any,
    ) -> Array:
        """Return the weighted mean loss of `(y_true, y_pred)`, or of what `loss.inputs` names.

        Shapes are those of the losskit loss: nothing is broadcast, classes are the last axis. The
        result has the predictions' type, a scalar or for `reduction="none"` one for each example.

        Raises ValueError or TypeError for shapes and types, also while it is traced. For values it
        raises ValueError where arrays are on a CPU and not traced; a compiled program gives NaN
        there, and with `validate=True` raises as it runs.
        """
        name, static = self.loss.name, Static(reduction, raw, clip, empty, num_lists, axis_name)
        self._check(data, static, query, validate, unknown)
        check_index(*data, sample_weight, mask)
        if query is not None:
            query, num_lists = numbered(name, query, num_lists)
            static = replace(static, num_lists=num_lists)
        keys = (*self.loss.inputs, "sample_weight", "mask", "query")
        given = dict(zip(keys, (*data, sample_weight, mask, query), strict=True))
        arrays = {
            k: as_array(name, k, x)
            for k, x in given.items()
            if x is not None or k in self.loss.inputs
        }
        made = self._program(arrays, static=static)
        options = {"reduction": reduction, "raw": raw, "clip": clip, "empty": empty}
        over_parts = axis_name is not None and reduction != "none"
        own = replace(static, axis_name=None, reduction=_SUMS)
        sums = partial(self._program, arrays, static=own) if over_parts else None
        return judge(self.loss, made, given, options, validate, axis_name, sums)

    def sums(self, *data: Any, **options: Any) -> tuple[Array, Array]:
        """Return Σwℓ and Σw, which add up over parts of a batch: their ratio is the mean.

        Options are those of a call, but for `reduction`.

        >>> import losskit.jax
        >>> import jax.numpy as jnp
        >>> squared = losskit.jax.function("squared_error")
        >>> parts = [([1.0, 2.0], [1.0, 3.0]), ([5.0], [2.0])]
        >>> above, below = (sum(s) for s in zip(*(squared.sums(*part) for part in parts)))
        >>> round(float(above / below), 6)
        3.333333
        """
        _no_reduction(self.loss, options)
        return self(*data, reduction=_SUMS, **options)

    @property
    def __name__(self) -> str:
        return self.loss.name

    def __repr__(self) -> str:
        return f"losskit.jax.function({self.loss!r})"

    def __reduce__(self) -> Any:
        return loss_to, (self.loss,)

    # --- inside

    def _check(
        self,
        data: tuple[Any, ...],
        static: Static,
        query: Any,
        validate: Any,
        unknown: Mapping[str, Any],
    ) -> None:
        if unknown:
            key, name = next(iter(unknown)), self.loss.name
            raise TypeError(
                f"{name}: a JAX function takes no {key}={suggest(key, _OPTIONS)}; data go by "
                f"position, as ({', '.join(self.loss.inputs)}), and parameters into "
                f"losskit.jax.function({name!r}, …)"
            )
        if len(data) != len(self.loss.inputs):
            raise TypeError(
                f"{self.loss.name} takes data as ({', '.join(self.loss.inputs)}), not "
                f"{len(data)} positional arguments; weights go by name, sample_weight="
            )
        if validate not in (None, True, False):
            raise TypeError(
                f"{self.loss.name}: validate has to be True, False or None, not {validate!r:.40}"
            )
        reduction = "none" if static.reduction == _SUMS else static.reduction
        if static.num_lists is not None and query is None:
            raise TypeError(f"{self.loss.name}: num_lists= says how many lists query= numbers")
        options = {"reduction": reduction, "raw": static.raw, "clip": static.clip}
        check_options(self.loss.name, {**DEFAULTS, **options, "empty": static.empty})

    @cached_property
    def _program(self) -> Callable[..., Any]:
        return jax.jit(self._computed, static_argnames="static", inline=True)

    def _computed(self, arrays: dict[str, Array], *, static: Static) -> Any:
        dtype = result_type([arrays[key] for key in trained(self.loss)])
        inputs = self._inputs(arrays, computed_in(dtype), static.num_lists)
        needed = static.empty == "error" and static.reduction in ("mean", "sum")
        if inputs is None or (needed and 0 in inputs.shape):
            refuse(self.loss, arrays, static)
        values = self._values(inputs, dtype, static)
        if static.reduction == "none":
            return values.astype(dtype)
        return _reduced(values, inputs, dtype, static)

    def _inputs(self, arrays: dict[str, Array], compute: Any, lists: int | None) -> Inputs | None:
        if self.loss.kind == "rows" and self.loss.definition.axis == "item":
            return list_inputs(self.loss, arrays, compute, lists)
        if "query" in arrays:
            return None
        read = pointwise_inputs if self.loss.kind == "pointwise" else row_inputs
        return read(self.loss, arrays, compute)

    def _values(self, inputs: Inputs, dtype: Any, static: Static) -> Array:
        """Return w·ℓ of each example."""
        form, clip = self.loss.form(static.raw), static.clip
        clip = eps(np.dtype(dtype)) if clip is None else float(clip)
        key = (static.raw, clip, static.empty, inputs.places, dtype)
        pointwise = self.loss.kind == "pointwise"
        if key not in self._terms:
            empty = static.empty == "zero" and not pointwise and form.may_be_empty
            self._terms[key] = (
                weighted_loss(form, clip)
                if pointwise
                else Rows(form, inputs.places, dtype, clip, empty).weighted_loss
            )
        term, (first, *others) = self._terms[key], inputs.arrays
        if pointwise:
            return term(inputs.weight, inputs.counts, first, tuple(others))
        return term(inputs.weight, inputs.counts, inputs.arrays, (), inputs.of_items)


_OPTIONS = [
    name
    for name, parameter in signature(LossFunction.__call__).parameters.items()
    if parameter.kind is Parameter.KEYWORD_ONLY
]


@dataclass(frozen=True, eq=False)
class ColumnsFunction:
    """The mean of a loss at several values of a parameter, each with a column of predictions.

    >>> import losskit.jax
    >>> import jax.numpy as jnp
    >>> band = losskit.jax.function("quantile", q=(0.1, 0.9))
    >>> round(float(band(jnp.array([3.0]), jnp.array([[1.0, 4.0]]))), 6)
    0.15
    """

    loss: Any

    def __call__(self, y_true: Any, y_pred: Any, **options: Any) -> Array:
        """Return the mean of the members' losses of `(y_true, y_pred)`; options as theirs."""
        made = self._of_members("__call__", y_true, y_pred, options)
        return sum(made[1:], made[0]) / len(made)

    def sums(self, y_true: Any, y_pred: Any, **options: Any) -> tuple[Array, Array]:
        """Return Σwℓ and Σw of the mean of the members, as `LossFunction.sums`."""
        _no_reduction(self.loss, options)
        made = self._of_members("sums", y_true, y_pred, options)
        return sum(above for above, _ in made) / len(made), made[0][1]

    def _of_members(self, method: str, y_true: Any, y_pred: Any, options: Any) -> list[Any]:
        members = self.loss.members
        check_index(y_true, y_pred, options.get("sample_weight"), options.get("mask"))
        y_pred = as_array(self.loss.name, "y_pred", y_pred)
        if y_pred.shape != (*np.shape(y_true), len(members)):
            raise ValueError(
                f"{self.loss!r}: y_pred has shape {y_pred.shape} and y_true {np.shape(y_true)}; "
                f"needed is a last axis more, with a column for each of the "
                f"{len(members)} values of {self.loss.parameter}"
            )
        return [
            getattr(f, method)(y_true, y_pred[..., i], **options)
            for i, f in enumerate(self._functions)
        ]

    @property
    def __name__(self) -> str:
        return self.loss.name

    def __repr__(self) -> str:
        return f"losskit.jax.function({self.loss!r})"

    def __reduce__(self) -> Any:
        return loss_to, (self.loss,)

    @cached_property
    def _functions(self) -> tuple[LossFunction, ...]:
        return tuple(map(_function_of, self.loss.members))


def _no_reduction(loss: Any, options: Mapping[str, Any]) -> None:
    if "reduction" in options:
        raise TypeError(f"{loss.name}: sums() takes no reduction=")


def _reduced(values: Array, inputs: Inputs, dtype: Any, static: Static) -> Any:
    """Return the mean, the sum, or both sums, over `static.axis_name` too."""
    # In float64 where JAX has it, as elsewhere in losskit.
    wide = jnp.promote_types(values.dtype, jax.dtypes.canonicalize_dtype(np.float64))
    above, below = values.sum(dtype=wide), _weight_sum(inputs, wide)
    if static.axis_name is not None:
        try:
            above, below = jax.lax.psum((above, below), static.axis_name)
        except NameError:
            raise NameError(
                f"axis_name={static.axis_name!r} is no mapped axis here; needed is one of the "
                "shard_map, vmap or pmap that this call runs in"
            ) from None
    if static.reduction == _SUMS:
        return above, below
    nothing = 0.0 if static.empty == "zero" else math.nan
    none = below == 0
    whole = above / jnp.where(none, 1, below) if static.reduction == "mean" else above
    return jnp.where(none, nothing, whole).astype(dtype)


def _weight_sum(inputs: Inputs, dtype: Any) -> Array:
    weight, counts = inputs.weight, inputs.counts
    if weight is not None:
        counted = weight if counts is None else jnp.where(counts, weight, 0)
        return counted.sum(dtype=dtype)
    counted = math.prod(inputs.shape) if counts is None else counts.sum()
    return jnp.asarray(counted, dtype)
