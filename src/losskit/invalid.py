"""Finding what is wrong with the numbers of a call, once a kernel has flagged that something is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from losskit.arrays import Array, Batch
from losskit.formula.domain import BINARY, REAL, SIGN, UNIT, Domain

NAN_POLICIES = ("raise", "propagate", "omit")


@dataclass(frozen=True, eq=False)
class Invalid:
    """Which elements hold a NaN, and which an infinite raw score; everything else is valid."""

    nan: Array
    infinite: Array


def inspect(
    name: str,
    batch: Batch,
    target: Domain,
    predictions: Sequence[Domain],
    raw_hint: bool,
    nan: str,
) -> Invalid:
    """Return the elements that need care; raise ValueError at the first that cannot be scored."""
    counts = _counting(name, batch)
    columns = [batch.f] if batch.outputs == 1 else list(batch.f.T)
    y_nan = np.isnan(batch.y)
    f_nan = [np.isnan(c) for c in columns]
    if nan == "raise":
        _reject(name, "y_true", batch, y_nan & counts, batch.y, _NAN_ADVICE)
        for i, missing in enumerate(f_nan):
            _reject(name, "y_pred", batch, missing & counts, columns[i], _NAN_ADVICE, i)
    outside = counts & ~target.contains(batch.y) & ~y_nan
    _reject(name, "y_true", batch, outside, batch.y, _target_advice(target, batch.y[counts]))
    infinite = np.zeros(batch.size, bool)
    for i, (domain, column) in enumerate(zip(predictions, columns, strict=True)):
        bad = counts & ~domain.contains(column) & ~f_nan[i]
        if np.isinf(domain.upper) and domain.lower != 0:  # a score, whose infinite ends are limits
            ends = bad & np.isinf(column) & ((column > 0) | np.isinf(domain.lower))
            infinite |= ends
            bad &= ~ends
        _reject(name, "y_pred", batch, bad, column, _prediction_advice(domain, raw_hint), i)
    missing = (y_nan | np.any(f_nan, axis=0)) & counts
    return Invalid(missing, infinite & ~missing)


_NAN_ADVICE = "is not a number; remove it, or pass nan='omit' or nan='propagate'"


def _counting(name: str, batch: Batch) -> Array:
    if batch.weight is None:
        return np.ones(batch.size, bool)
    negative = ~(batch.weight >= 0) | np.isinf(batch.weight)
    _reject(name, "sample_weight", batch, negative, batch.weight, "must be finite and not negative")
    with np.errstate(over="ignore"):
        if not np.isfinite(batch.weight.sum()):
            raise ValueError(
                f"{name}: the sum of sample_weight overflows; divide all by a constant"
            )
    return batch.weight != 0


def _outside(domain: Domain, what: str) -> str:
    if domain == REAL:
        return "is not finite"
    return f"lies outside {domain}, where this loss has its {what}"


def _target_advice(target: Domain, values: Array) -> str:
    advice = _outside(target, "targets")
    if target == SIGN and bool(np.isin(values, (0, 1)).all()):
        return f"{advice}; labels 0 and 1 become -1 and 1 by 2*y - 1"
    if target in (BINARY, UNIT) and bool(np.isin(values, (-1, 1)).all()):
        return f"{advice}; labels -1 and 1 become 0 and 1 by (y + 1)/2"
    return advice


def _prediction_advice(domain: Domain, raw_hint: bool) -> str:
    advice = _outside(domain, "predictions")
    return f"{advice}; for raw scores (logits, log-means) pass raw=True" if raw_hint else advice


def _reject(
    name: str,
    argument: str,
    batch: Batch,
    bad: Array,
    values: Array,
    advice: str,
    output: int | None = None,
) -> None:
    places = np.flatnonzero(bad)
    if places.size:
        _raise(name, argument, batch, int(places[0]), values, advice, output, places.size)


def _raise(
    name: str,
    argument: str,
    batch: Batch,
    first: int,
    values: Array,
    advice: str,
    output: int | None,
    count: int,
) -> NoReturn:
    place: list[Any] = [int(i) for i in np.unravel_index(first, batch.shape)] if batch.shape else []
    if batch.outputs > 1 and argument == "y_pred":
        place.append(output)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    more = f" ({count} such values)" if count > 1 else ""
    raise ValueError(f"{name}: {argument}{where} = {values[first]:g} {advice}{more}")
