"""NumPy's results for rows against the oracle, on ordinary and on extreme scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mpmath import mp

import losskit
from laws import rows_cases
from laws.rows_cases import Data, draw
from laws.rows_derivatives import exists
from losskit.backends.mpmath_rows import row_function

EXTREMES = (0.0, 1e-8, -1e-8, 1.0, -1.0, 20.0, -20.0, 40.0, -40.0, 700.0, -700.0, 800.0, -800.0)
TINY = (1e-300, -1e-300)
# Units in the last place of the largest term: a sum over the axis rounds once for each element.
BUDGET = 24.0
# Losses that need more, and why.
EXCEPTIONS: dict[str, float] = {
    # (p − margin)⁴ multiplies the rounding of p by 4·p/(p − margin), which the drawn scores bound
    # by about a hundred.
    "multilabel_asymmetric": 128.0,
}
_EXPONENTIAL = {
    "exp", "expm1", "softmax", "softmax_rest", "surprise", "logsumexp", "softplus", "sigmoid",
    "mul_exp", "pow", "log1mexp",
}  # fmt: skip


def law_accuracy(
    loss: losskit.Loss, data: Data, dtype: Any = np.float64, wanted: Sequence[str] = ()
) -> None:
    """Value, gradient, Hessian and product are the oracle's to a few units in the last place."""
    data = data.each_trained(lambda a: a.astype(dtype))
    unit = np.finfo(dtype).eps
    for name in wanted or ("value", "gradient", "hessian"):
        if name != "value" and not exists(loss, name):
            continue
        got = _rows(data, name)
        truth, scale = (row_function(loss, name, scale=s, digits=25) for s in (False, True))
        for i, found in enumerate(got):
            row = data.row(i)
            budget = EXCEPTIONS.get(loss.name, BUDGET) + _reach(data, row, dtype)
            wants, sizes = (_flat(f(*row)) for f in (truth, scale))
            for k, (g, w, s) in enumerate(zip(found, wants, sizes, strict=True)):
                assert _near(float(g), w, s, budget * unit, np.finfo(dtype)), (
                    f"{loss!r}: {name}[{k}] in {np.dtype(dtype)} at {row} is {float(g)!r}, truly "
                    f"{mp.nstr(w, 17)}: {_ulps(float(g), w, s, unit):.3g} ulp"
                )


def _near(got: float, want: Any, size: Any, tolerance: float, info: Any) -> bool:
    if np.isnan(got):
        return False
    largest = mp.mpf(float(info.max))
    if abs(want) > largest / 8 or abs(size) > largest / 8:
        # Powers of two move outwards, so that what overflows may do so a little earlier.
        return abs(want) <= largest / 8 or np.sign(got) == mp.sign(want)
    smallest = 64 * mp.mpf(float(info.tiny))
    return bool(abs(mp.mpf(got) - want) <= tolerance * max(abs(want), abs(size)) + smallest)


def _reach(data: Data, row: list[Any], dtype: Any) -> float:
    """Return what rounding of an exponent x costs: |x|/2 ulp, until eˣ is beyond the range."""
    loss = data.loss
    if not _EXPONENTIAL & rows_cases.ops(loss):
        return 0.0
    numbers = [v for v in loss.params.values() if isinstance(v, float) and v]
    factor = max([1.0, *map(abs, numbers), *(1 / abs(v) for v in numbers)])
    size = max(float(np.max(np.abs(row[j]))) for j in data.trained)
    return min(factor * size, -float(np.log(np.finfo(dtype).tiny)))


def _ulps(got: float, want: Any, size: Any, unit: float) -> float:
    if not np.isfinite(got):
        return float("inf")
    return float(abs(mp.mpf(got) - want) / (max(abs(want), abs(size), mp.mpf(1e-300)) * unit))


def _rows(data: Data, name: str) -> list[list[Any]]:
    """Return what each row has of a result, in the oracle's order."""
    if name == "value":
        return [[v] for v in data.call(reduction="none", tier="numpy")]
    made = data.derivatives(name, reduction="none", tier="numpy")
    return [[x for g in made for x in np.ravel(g[data.places([i])])] for i in range(data.size)]


def _flat(made: Any) -> list[Any]:
    if isinstance(made, (list, tuple)):
        return [x for part in made for x in _flat(part)]
    return [made]


def extreme(loss: losskit.Loss, rows: int = 26, seed: int = 0, columns: int = 4) -> Data:
    """Return rows of which each has an element of an extreme size, or several."""
    rng = np.random.default_rng(seed)
    data = draw(loss, rows, columns, seed=seed)

    def change(a: Any) -> Any:
        a = np.array(a)
        flat = a.reshape(len(a), -1)
        for i in range(len(flat)):
            k = rng.integers(0, flat.shape[1])
            flat[i, k] = EXTREMES[i % len(EXTREMES)]
            if i >= len(EXTREMES) and flat.shape[1] > 1:
                other = (k + 1) % flat.shape[1]
                flat[i, other] = rng.choice(EXTREMES)
        return flat.reshape(a.shape)

    return data.each_trained(change)


def law_never_nan(loss: losskit.Loss, seed: int = 0, rows: int = 200) -> None:
    """Nothing is ever NaN, whatever finite scores come together; excluded classes too."""
    rng = np.random.default_rng(seed)
    pool = np.array([*EXTREMES, *TINY, 5e-324, 1e4, -1e4, 1e300, -1e300])
    if not rows_cases.by_softmax(loss) and rows_cases.class_input(loss) is None:
        # Of distances: squares of more are infinite, and so are slopes by the direction of less.
        pool = pool[(abs(pool) < 1e100) & ((pool == 0) | (abs(pool) > 1e-100))]
    data = draw(loss, rows, 4, seed=seed)
    for name, changed in {
        "extreme": data.each_trained(lambda a: rng.choice(pool, a.shape)),
        "equal": data.each_trained(lambda a: np.full(a.shape, 700.0)),
        "zero": data.each_trained(np.zeros_like),
        **_excluded(loss, data, rng),
    }.items():
        for wanted in ("__call__", "gradient", "hessian", "product"):
            for made in _made(loss, changed, wanted):
                where = np.flatnonzero(np.isnan(np.ravel(made)))
                width = np.size(made) // len(made) if np.ndim(made) else 1
                assert not where.size, (
                    f"{loss!r}: {wanted} of {name} scores is NaN, as at "
                    f"{_shown(changed, int(where[0]) // width, np.size(made))}"
                )


def _excluded(loss: losskit.Loss, data: Data, rng: np.random.Generator) -> dict[str, Data]:
    if not rows_cases.by_softmax(loss):
        return {}
    f = data.trained[0]
    masked = np.where(rng.random(data.arrays[f].shape) < 0.4, -np.inf, data.arrays[f])
    target = next(j for j, one in enumerate(data.kinds) if one.classes)
    y = data.arrays[target]
    masked[np.arange(len(y)), y.astype(int)] = data.arrays[f][np.arange(len(y)), y.astype(int)]
    against = masked.copy()
    against[0, int(y[0])] = -np.inf
    against[0, (int(y[0]) + 1) % against.shape[1]] = 0.0
    certain = data.arrays[f].copy()
    certain[:, 0] = np.inf
    both = certain.copy()
    both[::2, 1] = np.inf
    both[:, 2] = -np.inf
    return {
        "excluded": data.with_(f, masked), "impossible": data.with_(f, against),
        "+inf": data.with_(f, certain), "mixed infinite": data.with_(f, both),
    }  # fmt: skip


def _made(loss: losskit.Loss, data: Data, wanted: str) -> list[Any]:
    if wanted == "__call__":
        return [data.call(reduction="none")]
    if not exists(loss, wanted):
        return []
    if wanted != "product":
        return data.derivatives(wanted, reduction="none")
    v = [np.ones(data.arrays[j].shape) for j in data.trained]
    options = {}
    if exists(loss, "hessian") and data.query is None:
        # Where a curvature is infinite, a vector may add up ∞ − ∞, which is refused.
        curvatures = data.derivatives("hessian", reduction="none")
        finite = [
            all(np.isfinite(h[data.places([i])]).all() for h in curvatures)
            for i in range(data.size)
        ]
        options["mask"] = np.array(finite)
        if not any(finite):
            return []
    return data.derivatives(
        "hessian_vector_product", tuple(v) if len(v) > 1 else v[0], reduction="none", **options
    )


def _shown(data: Data, i: int, size: int) -> Any:
    if data.query is not None and size != data.size:
        i = data.groups.index(data.query.tolist()[i])
    return [a.tolist() if isinstance(a, np.ndarray) else a for a in data.row(i)]


def law_tiers_agree(loss: losskit.Loss, dtype: Any = np.float64) -> None:
    """The compiled tier gives what NumPy gives, for every spelling of targets and weights."""
    unit = 64 * float(np.finfo(dtype).eps)
    rng = np.random.default_rng(8)
    for soft, columns in ((False, 3), (True, 5), (False, 40)):
        if soft and not rows_cases.mixed(loss):
            continue
        data = draw(loss, 30, columns, soft=soft, dtype=dtype, size=8.0)
        w = rng.uniform(0, 2, 30) * (rng.random(30) < 0.8)
        for options in ({}, {"sample_weight": w}, {"mask": w > 0}):
            for reduction in ("mean", "sum", "none"):
                given = {"reduction": reduction, **options}
                (a, g), (b, h) = (
                    data.call("value_and_gradient", tier=tier, **given)
                    for tier in ("numba", "numpy")
                )
                np.testing.assert_allclose(a, b, rtol=unit, atol=unit, err_msg=repr(loss))
                np.testing.assert_allclose(g, h, rtol=unit, atol=unit, err_msg=repr(loss))
                assert np.asarray(a).dtype == np.asarray(b).dtype
                assert g.dtype == h.dtype == dtype


def law_limits(loss: losskit.Loss) -> None:
    """An infinite logit gives what ever larger ones tend to."""
    if not rows_cases.by_softmax(loss):
        return
    data = draw(loss, 10, 4, seed=2)
    f = data.trained[0]
    for sign in (1, -1):
        large, infinite = data.arrays[f].copy(), data.arrays[f].copy()
        large[:, 1], infinite[:, 1] = sign * 1e200, sign * np.inf
        a, b = (replace(data, arrays=data.with_(f, x).arrays) for x in (large, infinite))
        values, limits = (d.call(reduction="none") for d in (a, b))
        far = np.where(abs(values) > 1e30, np.copysign(np.inf, values), values)
        if "uniform" in rows_cases.ops(loss) and sign < 0:
            continue  # an excluded class gets no share of smoothing: no limit of finite scores
        np.testing.assert_allclose(limits, far, rtol=1e-12, err_msg=repr(loss))
        slopes, ends = (d.derivatives(reduction="none")[0] for d in (a, b))
        modest = abs(slopes) < 1e30
        np.testing.assert_allclose(
            ends[modest], slopes[modest], rtol=1e-12, atol=1e-15, err_msg=repr(loss)
        )
