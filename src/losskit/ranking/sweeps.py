"""Sums over the pairs of a list in O(m log m) for those margin losses that allow it.

A loss that is 0 beyond a corner: pairs of items whose grades' ranks first differ in one bit form
groups, better items against worse, so there are log₂(grades) rounds. In each, one sort by score
says which pairs are below the corner, and running sums of powers of the scores add these up. The
sums count scores from the end at which pairs lack most, so that no larger numbers cancel.

An exponential: e^(f_j − f_i) is a product, so sums over j come before those over i.
"""

from __future__ import annotations

from math import comb

import numpy as np

from losskit.arrays import Array
from losskit.ranking.pairs import Pairs
from losskit.ranking.program import LARGEST
from losskit.ranking.segments import lengths_of, running, starts_of
from losskit.ranking.shape import Shape


def over_sorted(pairs: Pairs, f: Array, shape: Shape, wanted: tuple[str, ...]) -> dict[str, Array]:
    """Return for each item the sums of a margin loss over its pairs, as `over_pairs` does."""
    if shape.rate:
        return _exponential(pairs, f, shape, wanted)
    made = {name: np.zeros(len(f)) for name in wanted}
    grade = _grade(pairs)
    for bit in range(int(grade.max(initial=0)).bit_length()):
        _round(pairs, f, shape, grade, bit, made)
    return made


def _grade(pairs: Pairs) -> Array:
    """Return each item's rank among the grades of its list: 0 for the best."""
    ties = np.zeros(len(pairs.first), np.int64)
    ties[starts_of(pairs.list_of, pairs.first)] = 1
    of_all = np.cumsum(ties)
    return of_all - of_all[pairs.starts][pairs.list_of]


def _round(
    pairs: Pairs, f: Array, shape: Shape, grade: Array, bit: int, made: dict[str, Array]
) -> None:
    """Add the pairs of items whose grades first differ in `bit`."""
    size = len(f)
    worse = (grade >> bit) & 1 == 1
    starts = starts_of(pairs.list_of, grade >> (bit + 1))
    group = np.repeat(np.arange(len(starts)), lengths_of(starts, size))
    # In this order the worse items after a better one are those with a margin below the corner.
    key = np.where(worse, f, f - shape.corner)
    order = np.lexsort((worse if shape.closed else ~worse, key, group))
    worse, f = worse[order], f[order]
    lengths = lengths_of(starts, size)
    top = _extreme(np.maximum, np.where(worse, f, -np.inf), starts)[group]
    bottom = _extreme(np.minimum, np.where(worse, np.inf, f), starts)[group]
    sides = {"better": (~worse, top, shape.corner - f + top, worse),
             "worse": (worse, bottom, shape.corner + f - bottom, ~worse)}  # fmt: skip
    derived = {"value": shape, "gradient": shape.slope, "hessian": shape.slope.slope}
    degree = len(derived[next(iter(made))].coefficients) - 1
    for side, (own, origin, lack, others) in sides.items():
        if side == "worse" and {*made} == {"value"}:
            continue
        x = np.where(others, f - origin, 0.0) * (1 if side == "better" else -1)
        moments = [
            running(np.add, others * x**power, starts, lengths, reverse=side == "better")[own]
            for power in range(degree + 1)
        ]
        for name, sums in made.items():
            if name == "value" and side == "worse":
                continue
            total = _polynomial(derived[name].of_lack(), lack[own], moments)
            sums[order[own]] += -total if (name, side) == ("gradient", "worse") else total


def _extreme(ufunc: np.ufunc, x: Array, starts: Array) -> Array:
    found = ufunc.reduceat(x, starts)
    return np.where(np.isfinite(found), found, 0.0)  # a group of one side has no pair


def _polynomial(coefficients: tuple[float, ...], lack: Array, moments: list[Array]) -> Array:
    """Return Σⱼ Σₙ cₙ·(lack + xⱼ)ⁿ from the sums of the powers of x."""
    total = np.zeros_like(lack)
    for n, c in enumerate(coefficients):
        for power in range(n + 1 if c else 0):
            total += c * comb(n, power) * lack ** (n - power) * moments[power]
    return total


def _exponential(pairs: Pairs, f: Array, shape: Shape, wanted: tuple[str, ...]) -> dict[str, Array]:
    lengths = lengths_of(pairs.starts, len(f))
    middle = (np.maximum.reduceat(f, pairs.starts) + np.minimum.reduceat(f, pairs.starts)) / 2
    f = shape.rate * (f - middle[pairs.list_of])
    worse, better = np.full(len(f), -np.inf), np.full(len(f), -np.inf)
    sums = running(np.logaddexp, -f, pairs.starts, lengths, reverse=True)
    has = pairs.counts > 0
    worse[has] = sums[pairs.first[has]]
    sums = running(np.logaddexp, f, pairs.starts, lengths)
    ties = starts_of(pairs.list_of, pairs.first)
    tie = np.repeat(ties, lengths_of(ties, len(f)))
    beats = tie > pairs.starts[pairs.list_of]
    better[beats] = sums[tie[beats] - 1]
    scale = shape.coefficients[0]
    ahead, behind = scale * np.exp(f + worse), scale * np.exp(better - f)
    made = {"value": ahead}
    ahead, behind = (np.clip(x, -LARGEST, LARGEST) for x in (ahead, behind))
    made["gradient"] = shape.rate * (ahead - behind)
    made["hessian"] = shape.rate**2 * (ahead + behind)
    return {name: made[name] for name in wanted}
