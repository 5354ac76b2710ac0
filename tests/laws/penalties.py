"""What must hold for every penalty, the catalogue's and a user's own.

Oracles: brute force over all weights, mpmath's run of the value's formula, and scipy's minimiser
for blocks. A law takes a penalty of single weights unless it says otherwise.
"""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace
from functools import lru_cache
from math import inf
from typing import Any

import mpmath
import numpy as np
from scipy.optimize import minimize

from losskit import penalties
from losskit.backends.mpmath import evaluate
from losskit.formula import Positive, minimum, positive_part, where
from losskit.formula.expr import Trace

ALPHAS = (1e-3, 0.5, 3.0)
# Also beyond where the sum that a step minimises is convex: MCP's gamma, SCAD's a − 1.
STEPS = (1e-3, 0.5, 1.0, 1.9, 2.0, 2.7, 3.0, 4.5, 4.8, 1e3)


@penalties.penalty
def positive_l1(w, v, step, alpha):
    """Charges weights their size and allows none below 0."""
    return where(w < 0, inf, alpha * w), positive_part(v - step * alpha)


@penalties.penalty
def capped(w, v, step, alpha, top: Positive = 0.75):
    """Charges weights their size up to a cap: a corner that points up."""
    value = minimum(alpha * abs(w), alpha * top)
    # Two dips: of the absolute value, kept inside the cap, and of the constant.
    drawn = penalties.soft(v, step * alpha)
    inner = minimum(abs(drawn), top)
    first = (inner - abs(v)) * (inner - abs(v)) / (2 * step) + alpha * inner
    outer = where(abs(v) > top, abs(v), top)
    second = (outer - abs(v)) * (outer - abs(v)) / (2 * step) + alpha * top
    kept = where(v < 0, -1, 1) * where(first <= second, inner, outer)
    return value, kept


@penalties.penalty
def rounded(w, v, step, alpha, end: Positive = 1.25):
    """Squares small weights and takes large ones at their size: a penalty without a corner."""
    value = where(abs(w) <= end, alpha * w * w / (2 * end), alpha * (abs(w) - end / 2))
    near = abs(v) <= end + step * alpha
    return value, where(near, v / (1 + step * alpha / end), penalties.soft(v, step * alpha))


@penalties.penalty
def lopsided(w, v, step, alpha, below: Positive = 2.0):
    """Charges weights below 0 more: a corner that a choice makes."""
    drawn = where(v < 0, minimum(v + below * step * alpha, 0), positive_part(v - step * alpha))
    return where(w < 0, -below * alpha * w, alpha * w), drawn


SEPARABLE = (
    penalties.L1,
    penalties.L2,
    penalties.ElasticNet,
    penalties.ElasticNet(l1_ratio=0.0),
    penalties.ElasticNet(l1_ratio=1.0),
    penalties.MCP,
    penalties.MCP(gamma=1.25),
    penalties.SCAD,
    penalties.SCAD(a=2.5),
    penalties.Box,
    penalties.Box(lower=0.5, upper=2.0),
    penalties.Box(lower=-inf, upper=0.25),
    penalties.NonNegative,
    positive_l1,
    capped,
    capped(top=1.0),
    rounded,
    lopsided,
)
CONVEX = tuple(p for p in SEPARABLE if p.name not in ("MCP", "SCAD", "capped"))
BLOCKS = (
    penalties.GroupLasso([0, 0, 1]),
    penalties.GroupLasso(["b", "a", "b"]),
    penalties.grouped(penalties.ElasticNet(l1_ratio=0.25), [0, 0, 1]),
    penalties.grouped(penalties.MCP, [7, 7, 7]),
    penalties.grouped(penalties.SCAD, [1, 0, 1]),
)


def points(alpha: float) -> np.ndarray:
    """Return numbers of both signs around every corner of the penalties at this strength."""
    at = alpha * np.array([0.25, 1.0, 1.25, 2.0, 2.5, 3.0, 3.7, 5.0, 1e3])
    at = np.concatenate([at, [0.25, 0.5, 0.75, 1.0, 2.0, 20.0]])
    around = np.concatenate([at, np.nextafter(at, 0), at * 1.1, at * 0.9])
    return np.unique(np.concatenate([-around, [0.0], around]))


# --- the two formulas


def cost(penalty: Any, w: Any, v: Any, step: float, alpha: float) -> np.ndarray:
    """Return (w − v)²/(2·step) + value(w) for each w, by the value's formula."""
    from losskit.penalties.formulas import function

    with np.errstate(all="ignore"):
        (value,) = function(penalty.definition, "value")(w, alpha, *penalty.numbers)
    return (w - v) ** 2 / (2 * step) + value


def law_prox_is_the_least(penalty: Any, alpha: float, step: float) -> None:
    """No weight does better than the proximal step: a grid, refined around its two best points."""
    v = points(alpha)
    found = penalty.prox(v, step, alpha)
    assert np.isfinite(penalty.value(found, alpha))
    reach, at = np.abs(v)[:, None] + 2.5, v[:, None]
    grid = np.concatenate(
        [np.linspace(-1, 1, 401) * reach, np.tile(points(alpha), (v.size, 1)), at], axis=1
    )
    for zoom in range(7):
        order = np.argsort(cost(penalty, grid, at, step, alpha), axis=1, kind="stable")[:, :2]
        best = np.take_along_axis(grid, order, axis=1)
        around = np.linspace(-1, 1, 41) * reach / 200 / 16**zoom
        grid = np.concatenate([best[:, :1] + around, best[:, 1:] + around, best], axis=1)
    costs = cost(penalty, best, at, step, alpha)
    least, own = costs.min(axis=1), cost(penalty, found, v, step, alpha)
    assert (own <= least + 1e-13 * (np.abs(least) + v * v / step)).all()
    # The place too, where it is the only one: of two dips alike it is the smaller weight.
    other = best[np.arange(v.size), costs.argmin(axis=1)]
    elsewhere = np.abs(found - other) > 1e-4 * (1 + np.abs(v))
    assert (own[elsewhere] <= least[elsewhere] * (1 + 1e-12)).all()
    assert (np.abs(found) <= np.abs(other))[elsewhere].all()


def law_steps_per_weight(penalty: Any, alpha: float) -> None:
    """An array of steps is each weight's own; outputs are weights like any other."""
    v = points(alpha)[:60].reshape(20, 3)
    steps = np.array(STEPS)[np.arange(60) % len(STEPS)].reshape(20, 3)
    each = [penalty.prox([a], s, alpha)[0] for a, s in zip(v.flat, steps.flat, strict=True)]
    assert np.array_equal(penalty.prox(v, steps, alpha).ravel(), each)
    assert np.array_equal(
        penalty.prox(v, steps[:, :1], alpha), penalty.prox(v, np.repeat(steps[:, :1], 3, 1), alpha)
    )
    assert penalty.value(v, alpha) == penalty.value(v.ravel(), alpha)


def law_forms_agree(penalty: Any, alpha: float, compile_: Any) -> None:
    """The text for a loop, in plain Python and compiled, gives NumPy's numbers to the bit."""
    v = points(alpha)[::3]
    cases = {"prox": [(a, s) for a in v for s in STEPS], "value": [(a,) for a in v]}
    for wanted, arguments in cases.items():
        space: dict[str, Any] = {}
        exec(penalty.scalar("numba", wanted), space)
        plain, compiled = space[wanted], compiled_of(penalty.definition, wanted, compile_)
        for given in arguments:
            numbers = tuple(map(float, given))
            if wanted == "prox":
                true = penalty.prox([numbers[0]], numbers[1], alpha)[0]
            else:
                true = penalty.value([numbers[0]], alpha)
            for form in (plain, compiled):
                assert form(*numbers, alpha, *penalty.numbers) == true, (wanted, given)


@lru_cache(maxsize=64)
def compiled_of(definition: Any, wanted: str, compile_: Any) -> Any:
    """Return the compiled text, once for all parameter settings."""
    space: dict[str, Any] = {}
    exec(definition.text("numba", wanted), space)
    return compile_(space[wanted])


def law_types(penalty: Any, alpha: float) -> None:
    """Whatever the numbers' type, float64 is computed and returned."""
    v = points(alpha).astype(np.float32)
    made = penalty.prox(v, np.float32(0.5), alpha)
    assert made.dtype == np.float64
    assert np.array_equal(made, penalty.prox(v.astype(np.float64), 0.5, alpha))
    assert penalty.value(v, alpha) == penalty.value(v.astype(np.float64), alpha)
    assert np.array_equal(penalty.prox([1, -2], 1, alpha), penalty.prox([1.0, -2.0], 1.0, alpha))


# --- what follows from them


@lru_cache(maxsize=4096)
def one_sided(penalty: Any, w: float, alpha: float) -> tuple[float, float, float]:
    """Return value, and slopes to the left and right of w, by difference quotients of 80 digits."""
    symbols = penalty.definition.arguments("value")
    nodes = penalty.definition.nodes(Trace(symbols), "value")
    numbers = dict(zip(symbols[1:], (alpha, *penalty.numbers), strict=True))
    with mpmath.workdps(120):
        h = mpmath.mpf(10) ** -60
        at, left, right = (
            evaluate(nodes, {"w": mpmath.mpf(w) + shift, **numbers}, 110)[0] for shift in (0, -h, h)
        )
        if at == mpmath.inf:
            return inf, math.nan, math.nan
        return float(at), float((at - left) / h), float((right - at) / h)


def law_distance(penalty: Any, alpha: float) -> None:
    """−g is at distance D if the steepest way down from w has slope D: one-sided slopes say so.

    A weight next to a corner, one float away, may be taken for it.
    """
    w = points(alpha)
    for pull in (0.0, 0.5 * alpha, alpha, -alpha, 4.0, -0.3):
        found = penalty.distance(w, np.full_like(w, pull), alpha)
        for at, distance in zip(w.tolist(), found.tolist(), strict=True):
            near = (at, *np.nextafter(at, [-inf, inf]).tolist())
            true = next(true_distance(penalty, x, pull, alpha) for x in near)
            if abs(distance - true) > 1e-12 * (abs(pull) + abs(true) + alpha):
                others = [true_distance(penalty, x, pull, alpha) for x in near[1:]]
                assert min(abs(distance - x) for x in others) <= 1e-12 * (abs(pull) + alpha), at


def true_distance(penalty: Any, w: float, pull: float, alpha: float) -> float:
    """Return the distance by the one-sided slopes of 80 digits."""
    value, left, right = one_sided(penalty, w, alpha)
    if value == inf:
        return inf
    if left <= right:
        return max(-(pull + right), pull + left, 0.0)
    return min(abs(pull + left), abs(pull + right))


def law_fixed_points(penalty: Any, alpha: float, step: float) -> None:
    """The point that a step ends in stays put under the slope that led there."""
    v = points(alpha)
    w = penalty.prox(v, step, alpha)
    found = penalty.distance(w, (w - v) / step, alpha)
    rounding = 4 * np.finfo(float).eps * (np.abs(v) + np.abs(w)) / step + 1e-13 * alpha
    assert (found <= rounding).all()
    at_corner = penalty.prox(1.01 * v, step, alpha) == w  # where pulling harder changes nothing
    assert not found[at_corner].any()


def law_fenchel(penalty: Any, alpha: float, step: float) -> None:
    """Value and conjugate meet where the slope is: P(w) + P*(s) = w·s (convex penalties)."""
    for one in points(alpha)[::7]:
        (w,) = penalty.prox([one], step, alpha)
        s = (one - w) / step
        # Short of the end of what the conjugate allows by what the subtraction rounds.
        s -= math.copysign(4e-16 * (abs(one) + abs(w)) / step, s) if s else 0.0
        both = penalty.value([w], alpha) + penalty.conjugate([s], alpha)
        assert abs(both - w * s) <= 1e-12 * (one * one / step + alpha + abs(w * s)), one


def law_conjugate_bounds(penalty: Any, alpha: float) -> None:
    """The conjugate is the largest z·w − P(w) of a grid, refined around the best (convex ones)."""
    side = np.concatenate([points(alpha), np.linspace(0, 60, 2001), 10.0 ** np.arange(2, 12, 0.1)])
    for z in np.concatenate([points(alpha)[::5], [1e-5, -1e-5]]):
        w, width = np.concatenate([-side, side]), 1.0
        for _ in range(8):
            gains = z * w - cost(penalty, w, 0.0, inf, alpha)
            best, near = w[np.argmax(gains)], float(gains.max())
            w = best + np.append(np.linspace(-width, width, 201) * max(1.0, 0.3 * abs(best)), 0.0)
            width /= 20
        found = penalty.conjugate([z], alpha)
        assert found >= near - 1e-12 * abs(near)
        assert near > 1e4 if found == inf else near >= found - 1e-9 * (abs(found) + 1e-6), z


def law_alpha_max(penalty: Any, g: np.ndarray) -> None:
    """At alpha_max w = 0 stays put, one float below it does not; short steps say the same."""
    found, zero = penalty.alpha_max(g), np.zeros_like(g)
    step = 1e-3 / max(1.0, float(np.abs(g).max()))
    if found < inf:
        assert not penalty.distance(zero, g, found).any()
        assert not penalty.prox(-step * g, step, found * (1 + 1e-12)).any()
        below = found * (1 - 1e-12)
    else:
        below = 1e12
    if found > 0:
        assert penalty.distance(zero, g, min(float(np.nextafter(found, 0)), 1e300)).any()
        assert penalty.prox(-step * g, step, below).any()


def law_convexity(penalty: Any, alpha: float) -> None:
    """It says that it is convex exactly if no chord runs below it."""
    rng = np.random.default_rng(0)
    a, b = rng.choice(points(alpha), (2, 20000))
    share = rng.random(20000)
    with np.errstate(invalid="ignore"):
        chord = share * cost(penalty, a, 0, inf, alpha) + (1 - share) * cost(
            penalty, b, 0, inf, alpha
        )
        above = cost(penalty, share * a + (1 - share) * b, 0, inf, alpha) - chord
    known = np.isfinite(chord)
    assert penalty.convex == bool((above[known] <= 1e-12 * (1 + chord[known])).all())


def law_strengths(penalty: Any, alpha: float) -> None:
    """`elastic` gives the strengths of exactly those penalties that are l1·|w| + l2/2·w²."""
    w = points(alpha)
    found = penalty.elastic(alpha)
    costs = cost(penalty, w, 0, inf, alpha)
    if found is None:
        two = np.linalg.lstsq(
            np.stack([np.abs(w), w * w / 2], 1), np.minimum(costs, 1e6), rcond=None
        )
        fitted = np.stack([np.abs(w), w * w / 2], 1) @ two[0]
        assert not np.allclose(fitted, costs)
    else:
        np.testing.assert_allclose(costs, found[0] * np.abs(w) + found[1] / 2 * w * w, rtol=1e-14)


# --- blocks


def law_block_prox(penalty: Any, alpha: float, step: float) -> None:
    """scipy's minimiser, from several starts, finds no better weights than the proximal step."""
    rng = np.random.default_rng(3)
    for size in (0.3, 1.0, 4.0):
        v = size * alpha * rng.normal(size=3)

        def total(w: np.ndarray, v: np.ndarray = v) -> float:
            return float((w - v) @ (w - v)) / (2 * step) + penalty.value(w, alpha)

        found = penalty.prox(v, step, alpha)
        own = total(found)
        starts = [v, found + 0.1 * alpha * rng.normal(size=3), 0.1 * v]
        least = min(minimize(total, s, method="Nelder-Mead").fun for s in starts)
        assert own <= min(least, total(np.zeros(3))) + 1e-13 * (abs(own) + float(v @ v) / step)


def law_block_distance(penalty: Any, alpha: float) -> None:
    """The steepest way down from w, among many directions in a block, has the distance's slope."""
    rng, h = np.random.default_rng(4), 1e-7
    ids = penalty.blocks(3)
    for w in (np.zeros(3), alpha * np.array([0.5, -1.0, 2.0]), alpha * np.array([0.0, 9.0, 0.0])):
        for g in 1.5 * alpha * rng.normal(size=(4, 3)):
            found = penalty.distance(w, g, alpha)
            assert found.shape == (ids.max() + 1,)
            for block, distance in enumerate(found):
                u = rng.normal(size=(1000, 3)) * (ids == block)
                u /= np.linalg.norm(u, axis=1, keepdims=True)
                start = penalty.value(w, alpha)
                rise = [(penalty.value(w + h * one, alpha) - start) / h for one in u]
                steepest = max(0.0, float((-u @ g - rise).max()))
                assert steepest <= distance + 1e-5 * (1 + alpha)
                assert steepest >= 0.97 * distance - 1e-5 * (1 + alpha)


def law_block_fenchel(penalty: Any, alpha: float, step: float) -> None:
    """As `law_fenchel`, of convex penalties of blocks."""
    for v in np.random.default_rng(5).normal(size=(5, 3)) * 3 * alpha:
        w = penalty.prox(v, step, alpha)
        s = (v - w) / step * (1 - 1e-13)
        both = penalty.value(w, alpha) + penalty.conjugate(s, alpha)
        assert abs(both - w @ s) <= 1e-11 * (float(v @ v) / step + alpha)


def law_outputs_join_blocks(penalty: Any, alpha: float) -> None:
    """Weights of several outputs are as many weights with the block's label."""
    v = np.random.default_rng(6).normal(size=(3, 2)) * 3 * alpha
    flat = penalties.grouped(replace(penalty, groups=None), np.repeat(penalty.blocks(3), 2))
    steps = (1.0 + penalty.blocks(3))[:, None]
    each = flat.prox(v.ravel(), np.repeat(steps, 2), alpha)
    np.testing.assert_allclose(penalty.prox(v, steps, alpha).ravel(), each, rtol=1e-14)
    assert np.isclose(penalty.value(v, alpha), flat.value(v.ravel(), alpha), rtol=1e-14)
    assert np.isclose(penalty.alpha_max(v), flat.alpha_max(v.ravel()), rtol=1e-14)
    np.testing.assert_allclose(
        penalty.distance(v, -v, alpha), flat.distance(v.ravel(), -v.ravel(), alpha), rtol=1e-12
    )


def law_blocks_of_one(penalty: Any, alpha: float) -> None:
    """Blocks of one weight are that weight (even penalties of single weights)."""
    v = points(alpha)
    single = penalties.grouped(penalty, np.arange(v.size))
    # v·(length/|v|) rounds twice
    np.testing.assert_allclose(
        single.prox(v, 0.5, alpha), penalty.prox(v, 0.5, alpha), rtol=3e-16, atol=0
    )
    assert single.value(v, alpha) == penalty.value(v, alpha)
    np.testing.assert_allclose(
        single.distance(v, -v, alpha), penalty.distance(v, -v, alpha), rtol=1e-14, atol=0
    )
    assert single.alpha_max(v) == penalty.alpha_max(v)


# --- as values


def law_travels(penalty: Any) -> None:
    """Copies through pickle are equal, and so is what the text says, of losskit's own."""
    penalty.prox(np.ones(len(penalty.groups or [0])), 1.0, 1.0)  # what is computed once travels too
    for twin in (pickle.loads(pickle.dumps(penalty)), copy.deepcopy(penalty)):
        assert twin == penalty
        assert hash(twin) == hash(penalty)
        w = np.linspace(0.5, 2, len(penalty.groups or [0]))
        assert np.array_equal(twin.prox(w, 0.5, 0.5), penalty.prox(w, 0.5, 0.5))
    if penalty.definition.own and "inf" not in repr(penalty):
        import losskit

        assert eval(repr(penalty), {"losskit": losskit}) == penalty
