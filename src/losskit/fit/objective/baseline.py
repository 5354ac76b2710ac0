"""The best constant model, with which every objective is compared, and what is asked of data."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import Curvature, Gradient, Kernel, Totals
from losskit.fit.objective.shape import shape_of


@dataclass(frozen=True)
class Ask:
    """A kernel, and the parameters of one fit (without the axis that counts fits)."""

    kernel: Kernel
    params: tuple[Array, ...]


Asking = Generator[Ask, tuple[Array, ...], Any]


@dataclass(frozen=True, eq=False)
class Baseline:
    """The best constant model, which every objective is compared with."""

    weight: float  # the sum of weights as the loss counts it
    constant: Array  # (K,) raw scores
    value: float  # the mean loss there
    infimum: float  # the mean of each row's lower bound; −inf where it is not known
    rounding: float  # what the last digits of the constant do to the mean loss


def start(loss: Any, source: Any, outputs: int, held: int, intercept: bool) -> Asking:
    """Return the baseline: the best constant scores beside the offsets, their mean loss, bounds."""
    constant = np.zeros(outputs)
    if intercept:
        constant = yield from _best_constant(loss, source, outputs, held)
    ask = Ask(Totals(loss), (constant, np.array(held)))
    weight, numerator, infimum = yield ask
    if not weight > 0:
        raise ValueError(
            f"{loss.name}: no row counts"
            + (f" outside fold {held}" if held >= 0 else "")
            + "; needed is a row with a positive weight"
        )
    total = float(weight)
    value = float(numerator) / total
    beside = constant + 8 * np.spacing(np.abs(constant))
    _, moved, _ = yield Ask(Totals(loss), (beside, np.array(held)))
    rounding = abs(float(moved) / total - value)
    return Baseline(total, constant, value, float(infimum) / total, rounding)


def _best_constant(loss: Any, source: Any, outputs: int, held: int) -> Asking:
    in_memory = "rows" in source.offers
    guess = _guess(loss, source, outputs, held) if in_memory else None
    if guess is not None and not source.describe().offset:
        return guess
    u = np.zeros((1, outputs)) if guess is None else guess[None].copy()
    if not shape_of(loss).differentiable and not shape_of(loss).coupled:
        return (yield from _bisected_constant(loss, u, held))
    return (yield from _newton_constant(loss, u, held))


def _guess(loss: Any, source: Any, outputs: int, held: int) -> Array | None:
    """Return the optimal constant that the loss knows of targets in memory."""
    y = source.y
    weight = np.ones(len(y)) if source.weights is None else source.weights
    counts = weight > 0 if source.fold is None or held < 0 else (weight > 0) & (source.fold != held)
    if not counts.any():
        raise ValueError(f"fold {held} holds every row that counts; needed are rows outside it")
    return known_constant(loss, y[counts], weight[counts], outputs)


def known_constant(loss: Any, y: Array, weight: Array | None, outputs: int) -> Array | None:
    """Return the raw scores (outputs,) of the best constant, None where the loss knows none."""
    from losskit.formula.expr import Unsupported

    try:
        if getattr(loss, "kind", "") == "pointwise" and y.ndim == 2:
            return np.array([loss.start_score(column, weight) for column in y.T])
        found = np.atleast_1d(loss.start_score(_full(loss, y, outputs), weight))
        return found.astype(np.float64)
    except Unsupported:
        return None


def _full(loss: Any, y: Array, outputs: int) -> Array:
    """Return class indexes as columns: a class that a fold does not hold is not forgotten."""
    if getattr(loss, "kind", "") != "rows" or y.ndim == 2:
        return y
    return np.eye(outputs)[y.astype(np.intp)]


def _bisected_constant(loss: Any, u: Array, held: int) -> Asking:
    """Minimise over the intercepts alone: the middle of where the slope is 0 or changes sign."""
    ends = []
    for sign in (-1.0, 1.0):
        ends.append((yield from _first_rise(loss, u, held, sign)))
    return ((ends[0] + ends[1]) / 2)[0]


def _first_rise(loss: Any, u: Array, held: int, sign: float) -> Asking:
    """Return the least intercepts whose slope is above 0, or above −0 for a negative sign."""
    kernel, fold = Gradient(loss, ()), np.array(held)

    def rises(at: Array) -> Asking:
        value, slope = yield Ask(kernel, (at, fold))
        return slope > sign * 1e-13 * abs(float(value))  # sums of slopes that cancel are rounded

    reach = np.maximum(np.abs(u), 1.0)
    low, high = u - reach, u + reach
    for _ in range(1000):
        below, above = (yield from rises(low)), (yield from rises(high))
        if above.all() and not below.any():
            break
        reach = 2 * reach
        low, high = np.where(below, u - reach, low), np.where(above, high, u + reach)
        if not np.isfinite(reach).all():
            break
    for _ in range(200):
        middle = low + (high - low) / 2
        if ((middle == low) | (middle == high)).all():
            break
        above = yield from rises(middle)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high


def _newton_constant(loss: Any, u: Array, held: int) -> Asking:
    """Minimise over the intercepts alone, by Newton steps that are halved until they descend."""
    kernel = Gradient(loss, ())
    fold = np.array(held)
    value, slope = yield Ask(kernel, (u, fold))
    for _ in range(100):
        try:
            (matrix,) = yield Ask(Curvature(loss, ()), (u, fold))
            h = matrix.reshape(u.size, u.size)
        except NotImplementedError:
            h = np.eye(u.size) * max(abs(float(value)), 1.0)
        move = -np.linalg.lstsq(h + 1e-14 * np.eye(u.size), slope.ravel(), rcond=None)[0]
        step = 1.0
        while step > 1e-12:
            tried = u + step * move.reshape(u.shape)
            new_value, new_slope = yield Ask(kernel, (tried, fold))
            if new_value < value:
                break
            step /= 2
        else:
            break
        gain = float(value - new_value)
        u, value, slope = tried, new_value, new_slope
        if gain <= 1e-15 * abs(float(value)):
            break
    return u[0]
