"""Lower bounds, perfect predictions, infinite scores and best constants."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from mpmath import mp

import losskit
from laws import cases
from laws.samples import sample, weights
from losskit.backends.mpmath import evaluate

ULP = float(np.finfo(np.float64).eps)


def law_never_below_its_infimum(loss: losskit.Loss) -> None:
    """The loss less its infimum is not negative, up to the rounding of its terms."""
    y, f = sample(loss, 400)
    value = loss(y, f, raw=True, reduction="none")
    bound = loss.infimum(y)
    assert bound.shape == y.shape
    assert (bound < np.inf).all()
    slack = 8 * ULP * (abs(value) + np.where(np.isfinite(bound), abs(bound), 0) + 1)
    below = np.flatnonzero(value < bound - slack)
    assert not below.size, (
        f"{loss!r}: {value[below[0]]} at y={y[below[0]]}, f={f[below[0]]} lies below the infimum "
        f"{bound[below[0]]}"
    )


def law_infimum_is_reached(loss: losskit.Loss) -> None:
    """The infimum is the least over a fine grid of scores, or is approached by it."""
    for y in cases.targets(loss, 3):
        if not 1e-3 <= abs(y) <= 100 and y != 0:
            continue
        bound = float(loss.infimum(np.array([y]))[0])
        f = _dense(loss, y)
        least = loss(np.full(len(f), y), f, raw=True, reduction="none", tier="numpy").min()
        reached = least < -500 if bound == -math.inf else least <= bound + 1e-3 * (1 + abs(bound))
        assert reached, f"{loss!r}: the infimum at y={y} is {bound}, the least found is {least}"


def law_infinite_scores_give_the_limit(loss: losskit.Loss, tier: str = "numpy") -> None:
    """At f = ±∞ value and derivatives are limits: a number, ±∞, never NaN."""
    form = loss.form(raw=True)
    graph, k = form.graph, len(form.graph.outputs)
    wanted = ("value", "gradient", "hessian") if cases.has_gradient(loss) else ("value",)
    nodes = graph.select(wanted)
    corners = [
        [e for e in (-math.inf, math.inf) if math.isinf(d.lower) or e > 0] for d in form.predictions
    ]
    others = (0.5,)
    rows = []
    for i in range(k):
        for end in corners[i]:
            rows += [[end if j == i else other for j in range(k)] for other in others]
    for y, row in itertools.product(cases.targets(loss, 4), rows):
        if 0 < abs(y) < 1e-10:
            continue  # near enough to 0 that 10^6 is not yet far out
        f = np.array([row]) if k > 1 else np.array(row)
        options: dict[str, Any] = {"raw": True, "reduction": "none", "tier": tier}
        got = [np.ravel(loss(np.array([y]), f, **options))]
        if len(wanted) > 1:
            got += [np.ravel(m(np.array([y]), f, **options)) for m in (loss.gradient, loss.hessian)]
        for value, node in zip(np.concatenate(got), nodes, strict=True):
            true = _limit(node, graph.symbols, (y, row, form.values))
            near = math.isfinite(true) and abs(value - true) <= 1e-4 * abs(true) + 1e-5
            right = value == true or near
            assert right, f"{loss!r} at y={y}, f={row}: {value}, the limit is {true}"


def law_best_constant(loss: losskit.Loss, n: int = 41, seed: int = 3) -> None:
    """No constant near or far beats the one that `optimal_constant` gives."""
    y, _ = sample(loss, n, seed)
    for w in (None, weights(n, seed)):
        best = loss.optimal_constant(y, w, raw=True)
        least = _cost(loss, y, best, w)
        slack = 1e-13 * (1 + _size(loss, y, best, w))
        assert np.isfinite(least), f"{loss!r}: the mean loss at its best constant {best} is {least}"
        for other in _rivals(loss, y, best):
            cost = _cost(loss, y, other, w)
            assert not cost < least - slack, (
                f"{loss!r}: optimal_constant is {best} with mean loss {least!r}, but {other} has "
                f"{cost!r}"
            )


def _dense(loss: losskit.Loss, y: float) -> Any:
    form = loss.form(raw=True)
    far = np.array([1.0, 100.0, 600.0])
    steps = np.concatenate([np.linspace(-30, 30, 6001), far, -far, [math.log(y) if y > 0 else 0.0]])
    if len(form.predictions) > 1:
        return np.stack([np.full(steps.shape, y), steps], axis=1)
    steps = np.concatenate([steps, steps + y])
    return steps[form.predictions[0].contains(steps)]


def _limit(node: Any, symbols: tuple[str, ...], where: tuple[float, list[float], Any]) -> float:
    """Return the value far out, told from divergence by going much further."""
    y, row, parameters = where
    steps = []
    for far in (1e8, 1e60):
        moved = [math.copysign(far, x) if math.isinf(x) else x for x in row]
        at = dict(zip(symbols, (y, *moved, *parameters), strict=True))
        steps.append(evaluate([node], at)[0])
    near, far_out = steps
    if mp.isinf(far_out) or abs(far_out) > max(1.5 * abs(near), 1):
        return math.copysign(math.inf, far_out)
    return 0.0 if abs(far_out) < 0.5 * abs(near) else float(far_out)


def _cost(loss: losskit.Loss, y: Any, constant: Any, w: Any) -> float:
    return float(loss(y, _everywhere(y, constant), raw=True, sample_weight=w))


def _size(loss: losskit.Loss, y: Any, constant: Any, w: Any) -> float:
    each = loss(y, _everywhere(y, constant), raw=True, reduction="none")
    return float(np.average(np.abs(each), weights=w))


def _everywhere(y: Any, constant: Any) -> Any:
    row = np.atleast_1d(np.asarray(constant, dtype=float))
    return np.full(y.shape, row[0]) if row.size == 1 else np.tile(row, (y.size, 1))


def _rivals(loss: losskit.Loss, y: Any, best: Any) -> list[Any]:
    row = np.atleast_1d(np.asarray(best, dtype=float))
    domains = loss.form(raw=True).predictions
    far = [*np.linspace(-6, 6, 25), *np.unique(y), *np.linspace(y.min(), y.max(), 101)]
    made = []
    for i, domain in enumerate(domains):
        near = [row[i] + s * 10.0**e for e in range(-9, 1) for s in (-1, 1)]
        for value in (*near, *far):
            if np.isfinite(value) and domain.contains(value):
                other = row.copy()
                other[i] = value
                made.append(other)
    return made
