"""Weighted means kept as numerator and denominator, so that parts add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import frexp, fsum, isfinite
from typing import Any

import numpy as np

Pair = tuple[float, float]
REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class Accumulation:
    """Σwℓ and Σw of some data as compensated pairs; `a + b` is that of both together.

    `gradient`, if it was asked for, holds the unnormalised derivatives w·ℓ′ of each element, and
    adding accumulations joins them along the first axis.
    """

    numerator: Pair = (0.0, 0.0)
    denominator: Pair = (0.0, 0.0)
    gradient: Any = None
    loss: Any = None

    @property
    def value(self) -> float:
        """The weighted mean loss of everything accumulated so far."""
        return ratio(self.numerator, self.denominator)

    def __add__(self, other: Accumulation) -> Accumulation:
        if not isinstance(other, Accumulation):
            return NotImplemented
        if self.loss is not None and other.loss is not None and self.loss != other.loss:
            raise ValueError(f"accumulations of {self.loss} and {other.loss} have no common mean")
        empty = 0.0 in (self.denominator[0], other.denominator[0])
        if (self.gradient is None) != (other.gradient is None) and not empty:
            raise ValueError("only one of the accumulations holds a gradient: ask both for it")
        joined = [g for g in (self.gradient, other.gradient) if g is not None]
        return Accumulation(
            join([self.numerator, other.numerator]),
            join([self.denominator, other.denominator]),
            _joined(joined) if joined else None,
            other.loss if self.loss is None else self.loss,
        )

    def __radd__(self, other: Any) -> Accumulation:
        return self if other == 0 else NotImplemented  # so that sum() works


def _joined(gradients: list[Any]) -> Any:
    """Put the parts' gradients one after another, for each input where there are several."""
    if isinstance(gradients[0], tuple):
        return tuple(_joined(list(parts)) for parts in zip(*gradients, strict=True))
    return np.concatenate([np.atleast_1d(g) for g in gradients])


def join(pairs: Iterable[Pair]) -> Pair:
    """Return the sum of double-double pairs, correctly rounded to a pair."""
    return _fold([part for pair in pairs for part in pair])


def ratio(numerator: Pair, denominator: Pair) -> float:
    """Return numerator/denominator, or raise if nothing was weighed."""
    total = denominator[0] + denominator[1]
    if not total > 0:
        raise ValueError(
            "the weights sum to zero (or every element is masked), so there is no mean; "
            "give some element a positive weight"
        )
    return (numerator[0] + numerator[1]) / total


def total(values: Any, pair: bool = True) -> Pair:
    """Return the sum of an array in float64, exact to twice the working precision.

    Without `pair` only the first float of the pair is wanted: the rounded sum.
    """
    data = np.asarray(values, dtype=np.float64)
    errors: list[float] = []
    if data.size <= 512:
        return _fold(data.tolist(), pair)
    with np.errstate(all="ignore"):
        while data.size > 512:  # fsum is exact but walks a list: halve with error-free sums first
            half = data.size // 2
            a, b = data[:half], data[half : 2 * half]
            s = a + b
            bb = s - a
            errors.append(float(np.sum((a - (s - bb)) + (b - bb))))
            data = np.concatenate((s, data[2 * half :])) if data.size % 2 else s
        if not all(map(isfinite, errors)):  # something is infinite, or overflows
            return float(np.sum(values, dtype=np.float64)), 0.0
    return _fold(data.tolist() + errors, pair)


def weight_exponent(weight: Any) -> int:
    """Return the power of two to take out of weights whose sum is far from 1, so that none of their
    products or sums leaves the range of the type computed in; mostly 0.
    """
    if weight is None:
        return 0
    with np.errstate(over="ignore"):
        summed = float(np.sum(weight))
    if 2.0**-40 < summed < 2.0**40 or not summed > 0 or np.isinf(weight).any():
        return 0
    return frexp(float(weight.max()))[1]


def scaled(pair: Pair, exponent: int) -> Pair:
    """Return a pair times a power of two."""
    with np.errstate(over="ignore"):
        return float(np.ldexp(pair[0], exponent)), float(np.ldexp(pair[1], exponent))


def _fold(parts: list[float], pair: bool = True) -> Pair:
    try:
        high = fsum(parts)
        return (high, fsum([*parts, -high])) if pair and isfinite(high) else (high, 0.0)
    except (OverflowError, ValueError):  # beyond the range, or ∞ − ∞
        with np.errstate(all="ignore"):
            return float(np.sum(parts)), 0.0
