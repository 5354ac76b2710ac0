"""Gradient, Hessian diagonal and Hessian–vector product of losses over an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import mp

import losskit
from laws import rows_cases
from laws.rows_cases import Data, draw
from losskit.backends.mpmath_rows import row_differences, row_function

_AGREE = mp.mpf(10) ** -12
_STEP = 2.0**-10


def law_differences(loss: losskit.Loss, data: Data, rows: Sequence[int]) -> None:
    """The graphs of gradient and Hessian diagonal are differences of the value's graph."""
    for wanted in ("gradient", "hessian"):
        if not exists(loss, wanted):
            continue
        stated, differences = row_function(loss, wanted), row_differences(loss, wanted)
        for i in rows:
            row = data.row(i)
            for a, b in zip(_flat(stated(*row)), _flat(differences(*row)), strict=True):
                assert abs(a - b) <= _AGREE * (1 + abs(b)), (
                    f"{loss!r}: {wanted} at {row} is {mp.nstr(a, 15)}, differences give "
                    f"{mp.nstr(b, 15)}"
                )


def law_product_is_the_change_of_the_gradient(
    loss: losskit.Loss, data: Data, rows: Sequence[int], seed: int = 3
) -> None:
    """The graph of the Hessian–vector product is the difference of the gradient's graph."""
    if not exists(loss, "product"):
        return
    rng = np.random.default_rng(seed)
    gradient, product = row_function(loss, "gradient"), row_function(loss, "product")
    for i in rows:
        row = data.row(i)
        trained = data.trained
        v = [_like(row[j], rng) for j in trained]
        found = _flat(product(*row, *v))
        with mp.workdps(80):
            step = mp.mpf(10) ** -20
            ends = []
            for sign in (1, -1):
                moved = list(row)
                for j, direction in zip(trained, v, strict=True):
                    moved[j] = _moved(row[j], direction, sign * step)
                ends.append(_flat(gradient(*moved)))
            wanted = [(a - b) / (2 * step) for a, b in zip(*ends, strict=True)]
        for a, b in zip(found, wanted, strict=True):
            assert abs(a - b) <= _AGREE * (1 + abs(b)), (
                f"{loss!r}: Hessian times {v} at {row} is {mp.nstr(a, 15)}, the gradient changes "
                f"by {mp.nstr(b, 15)}"
            )


def law_gradient_at_kinks(loss: losskit.Loss, data: Data, rows: Sequence[int]) -> None:
    """At ties and other kinks each slope lies between those on both sides."""
    if not exists(loss, "gradient") or rows_cases.has_levels(loss):
        return  # levels that tie are the edge of the domain, where the loss is infinite
    value, gradient = row_function(loss, "value"), row_function(loss, "gradient")
    for i in rows:
        row = data.row(i)
        stated = _flat(gradient(*row))
        k = 0
        for j in data.trained:
            for place in range(len(row[j])) if isinstance(row[j], list) else [None]:
                left, right = (_one_sided(value, row, j, place, s) for s in (-1, 1))
                low, high = min(left, right), max(left, right)
                slack = mp.mpf(10) ** -9 * (1 + abs(low) + abs(high))
                assert low - slack <= stated[k] <= high + slack, (
                    f"{loss!r}: at {row} the slope by element {place} of input {j} is "
                    f"{mp.nstr(stated[k], 12)}, on both sides {mp.nstr(left, 12)} and "
                    f"{mp.nstr(right, 12)}"
                )
                k += 1


def law_product_is_symmetric(loss: losskit.Loss, data: Data, seed: int = 4) -> None:
    """uᵀHv = vᵀHu in every row."""
    if not exists(loss, "product"):
        return
    rng = np.random.default_rng(seed)
    u, v = ([rng.normal(size=data.arrays[j].shape) for j in data.trained] for _ in range(2))
    hu, hv = (_product(data, w) for w in (u, v))
    uhv, vhu = (_inner(data, a, b) for a, b in ((u, hv), (v, hu)))
    size = _inner(data, [abs(a) for a in u], [abs(b) for b in hv])
    np.testing.assert_array_less(abs(uhv - vhu), 1e-12 * (1 + size), err_msg=repr(loss))


def law_hessian_is_the_diagonal(loss: losskit.Loss, data: Data) -> None:
    """The Hessian's diagonal is what its product with unit vectors gives."""
    if not exists(loss, "product") or not exists(loss, "hessian"):
        return
    stated = data.derivatives("hessian", reduction="none")
    for j, (place, diagonal) in enumerate(zip(data.trained, stated, strict=True)):
        found = np.zeros_like(diagonal)
        for unit in _units(data, place):
            v = [np.zeros(data.arrays[p].shape) for p in data.trained]
            v[j] = unit
            found += np.where(unit == 1, _product(data, v)[j], 0)
        np.testing.assert_allclose(
            found, diagonal, rtol=1e-11, atol=1e-13 * (1 + abs(diagonal).max()), err_msg=repr(loss)
        )


def law_numbers_change_as_the_gradient_says(loss: losskit.Loss, data: Data, seed: int = 5) -> None:
    """A call's value changes along a direction as its gradient says: for every kind of loss."""
    rng = np.random.default_rng(seed)
    for reduction in ("mean", "sum"):
        gradient = data.derivatives("gradient", reduction=reduction)
        for _ in range(3):
            v = [rng.normal(size=g.shape) for g in gradient]
            slope = sum(float((g * d).sum()) for g, d in zip(gradient, v, strict=True))
            found = [_along(data, v, step, reduction=reduction) for step in (_STEP, _STEP / 2)]
            best = (4 * found[1] - found[0]) / 3  # Richardson's: what is left is of the 4th order
            slack = 1e-7 * (1 + abs(slope)) + 0.1 * abs(found[1] - found[0])
            assert abs(best - slope) <= slack, (
                f"{loss!r}: {reduction} changes by {best!r} along a direction, its gradient says "
                f"{slope!r}"
            )


def law_curvature_of_numbers(loss: losskit.Loss, data: Data) -> None:
    """A written loss's Hessian is the diagonal of its gradient's differences."""
    if not exists(loss, "hessian"):
        return
    stated = data.derivatives("hessian", reduction="sum")
    step = 2.0**-14
    for j, (place, h) in enumerate(zip(data.trained, stated, strict=True)):
        for flat in range(min(h.size, 12)):
            ends = []
            for sign in (1, -1):
                moved = data.arrays[place].copy()
                moved.flat[flat] += sign * step
                ends.append(
                    data.with_(place, moved).derivatives("gradient", reduction="sum")[j].flat[flat]
                )
            found = (ends[0] - ends[1]) / (2 * step)
            assert abs(found - h.flat[flat]) <= 1e-4 * (1 + abs(found)), (
                f"{loss!r}: second derivative by element {flat} is {h.flat[flat]!r}, differences "
                f"give {found!r}"
            )


def exists(loss: losskit.Loss, wanted: str) -> bool:
    """Say whether a loss has this derivative."""
    method = {"product": "hessian_vector_product"}.get(wanted, wanted)
    data = draw(loss, 3)
    v = [np.ones(data.arrays[j].shape) for j in data.trained]
    more = (tuple(v) if len(v) > 1 else v[0],) if wanted == "product" else ()
    try:
        data.call(method, *more)
    except losskit.Unsupported:
        return False
    return True


# --- kinks ---------------------------------------------------------------------------------


def at_kinks(loss: losskit.Loss, rows: int = 8, seed: int = 9) -> Data:
    """Return data where elements tie, inputs coincide and margins are met exactly."""
    rng = np.random.default_rng(seed)
    data = draw(loss, rows, 4, seed=seed)
    choices = np.array([0.0, 1.0, 0.5, -1.0])
    return data.each_trained(lambda a: rng.choice(choices, a.shape))


# --- inside --------------------------------------------------------------------------------


def _one_sided(value: Callable[..., Any], row: list[Any], j: int, place: Any, side: int) -> Any:
    with mp.workdps(80):
        step = side * mp.mpf(10) ** -25
        moved = list(row)
        if place is None:
            moved[j] = mp.mpf(row[j]) + step
        else:
            moved[j] = [mp.mpf(x) + (step if i == place else 0) for i, x in enumerate(row[j])]
        return (value(*moved) - value(*row)) / step


def _flat(made: Any) -> list[Any]:
    if isinstance(made, (list, tuple)):
        return [x for part in made for x in _flat(part)]
    return [made]


def _like(x: Any, rng: np.random.Generator) -> Any:
    return rng.normal(size=len(x)).tolist() if isinstance(x, list) else float(rng.normal())


def _moved(x: Any, direction: Any, step: Any) -> Any:
    if isinstance(x, list):
        return [mp.mpf(a) + mp.mpf(d) * step for a, d in zip(x, direction, strict=True)]
    return mp.mpf(x) + mp.mpf(direction) * step


def _product(data: Data, v: list[Any]) -> list[Any]:
    return data.derivatives(
        "hessian_vector_product", tuple(v) if len(v) > 1 else v[0], reduction="none"
    )


def _inner(data: Data, a: list[Any], b: list[Any]) -> Any:
    """Return the inner product of two directions within each row."""
    rows = np.zeros(data.size)
    for x, y in zip(a, b, strict=True):
        each = x * y
        for i in range(data.size):
            rows[i] += each[data.places([i])].sum()
    return rows


def _units(data: Data, place: int) -> list[Any]:
    """Return arrays that are 1 at one element of each row: together they cover all elements."""
    a = data.arrays[place]
    if data.query is None:
        if a.ndim == 1:
            return [np.ones_like(a)]
        return [np.broadcast_to(np.eye(a.shape[1])[k], a.shape).copy() for k in range(a.shape[1])]
    ranks = np.zeros(len(a), int)
    for i in range(data.size):
        where = data.places([i])
        ranks[where] = np.arange(len(where))
    return [(ranks == k).astype(float) for k in range(ranks.max() + 1)]


def _along(data: Data, v: list[Any], step: float, **options: Any) -> float:
    ends = []
    for sign in (1, -1):
        moved = data
        for place, direction in zip(data.trained, v, strict=True):
            moved = moved.with_(place, data.arrays[place] + sign * step * direction)
        ends.append(moved.call(**options))
    return float((ends[0] - ends[1]) / (2 * step))


def smooth(loss: losskit.Loss, rows: int, seed: int = 0) -> Data:
    """Return random data, at which kinks are met with probability 0."""
    return draw(loss, rows, rows_cases.COLUMNS, seed=seed)
