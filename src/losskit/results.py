"""From sums and arrays to what a call returns, where examples are rows, pairs or lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.reduction import Accumulation, Pair, ratio, scaled


@dataclass(frozen=True, eq=False)
class Computed:
    """Σwℓ, Σw, the weighted values, and derivatives by each trained input, in users' shapes."""

    name: str
    numerator: Pair
    denominator: Pair
    values: Array
    derivatives: Mapping[str, tuple[Array, ...]]


def weight_sum(name: str, what: str, weights: float, options: Mapping[str, Any]) -> float:
    """Return Σw, or 1 for the zero that `empty="zero"` asks for where nothing counts."""
    if weights > 0:
        return weights
    if options["empty"] == "zero" or options["reduction"] == "none":
        return 1.0
    raise ValueError(
        f"{name}: no {what} counts (the batch is empty, or all are masked, ignored or of weight "
        "0), so there is no mean; pass empty='zero' to get 0, or use accumulate()"
    )


def unscaled(made: Computed, exponent: int, options: Mapping[str, Any]) -> Computed:
    """Undo the division of the weights by a power of two; a mean has not changed by it."""
    if options["reduction"] == "mean":
        return made
    with np.errstate(over="ignore"):
        derivatives = {
            order: tuple(np.ldexp(array, exponent) for array in arrays)
            for order, arrays in made.derivatives.items()
        }
        values = np.ldexp(made.values, exponent)
    pairs = scaled(made.numerator, exponent), scaled(made.denominator, exponent)
    return Computed(made.name, *pairs, values, derivatives)


def results(made: Computed, wanted: tuple[str, ...], options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the user asked for, in that order."""
    made = _received(made, wanted, options)
    return tuple(
        _value(made, options) if name == "value" else _unpacked(made.derivatives[name])
        for name in wanted
    )


def accumulation(made: Computed, loss: Any, gradient: bool) -> Accumulation:
    """Return the sums as a part that adds up."""
    if not isfinite(sum(made.denominator)):
        raise ValueError(f"{made.name}: the sum of sample_weight overflows; divide by a constant")
    slope = _unpacked(made.derivatives["gradient"]) if gradient else None
    return Accumulation(made.numerator, made.denominator, slope, loss)


def _value(made: Computed, options: Mapping[str, Any]) -> Any:
    if options["reduction"] == "none":
        return made.values
    if options["reduction"] == "sum":
        return sum(made.numerator)
    if options["empty"] == "zero" and not sum(made.denominator) > 0:
        return 0.0
    return ratio(made.numerator, made.denominator)


def _unpacked(arrays: tuple[Array, ...]) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays


def _received(made: Computed, wanted: tuple[str, ...], options: Mapping[str, Any]) -> Computed:
    """Copy derivatives to `out` and values to `value_out` where these are given, and use those."""
    orders = [name for name in wanted if name != "value"]
    own = {
        "out": [array for name in orders for array in made.derivatives[name]],
        "value_out": [made.values],
    }
    given = {k: _flat(options[k]) for k in own if options[k] is not None}
    for option, outs in given.items():
        if not own[option]:
            raise ValueError(f"{made.name}: out= receives derivatives, and none is asked for here")
        if len(outs) != len(own[option]):
            raise ValueError(
                f"{made.name}: {option}= holds {len(outs)} arrays; needed is one for each of the "
                f"{len(own[option])} results"
            )
        for out, array in zip(outs, own[option], strict=True):
            _check_fits(made.name, option, out, array)
    for first, second in combinations([out for outs in given.values() for out in outs], 2):
        if np.may_share_memory(first, second):
            raise ValueError(f"{made.name}: two results cannot share one array of out=")
    for option, outs in given.items():
        for out, array in zip(outs, own[option], strict=True):
            if not np.may_share_memory(out, array):  # else a kernel has filled it
                out[...] = array
    flat = iter(given.get("out", own["out"]))
    derivatives = {name: tuple(next(flat) for _ in made.derivatives[name]) for name in orders}
    (values,) = given.get("value_out", own["value_out"])
    return replace(made, values=values, derivatives=derivatives)


def _flat(given: Any) -> list[Any]:
    if isinstance(given, (tuple, list)):
        return [array for one in given for array in _flat(one)]
    return [given]


def _check_fits(name: str, option: str, out: Any, array: Array) -> None:
    fits = isinstance(out, np.ndarray) and out.shape == array.shape and out.dtype == array.dtype
    if not fits or not out.flags.writeable:
        given = f"shape {out.shape}, dtype {out.dtype}" if hasattr(out, "dtype") else type(out)
        raise ValueError(
            f"{name}: {option}= has to be a writeable NumPy array of shape {array.shape} and dtype "
            f"{array.dtype}, not {given}"
        )
