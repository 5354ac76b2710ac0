"""The numbers that a loss states of its shape, against what is found on points."""

from __future__ import annotations

import math

import numpy as np

import losskit
from laws import cases
from laws.samples import sample

_SLACK = 1e-6


def law_properties_are_not_falsified(loss: losskit.Loss) -> None:
    """No value, slope or curvature exceeds what `properties` states; kinks jump, others do not."""
    stated = loss.properties
    y, f = _points(loss)
    value = loss(y, f, raw=True, reduction="none", tier="numpy")
    _inside(loss, "value", value, stated.range)
    if not cases.has_gradient(loss):
        assert math.isnan(stated.lipschitz)
        return
    slope, bend = loss.gradient_and_hessian(y, f, raw=True, reduction="sum", tier="numpy")
    slope, bend = (d if d.ndim == 1 else d[:, 0] for d in (slope, bend))
    _inside(loss, "slope", slope, (-stated.lipschitz, stated.lipschitz))
    _inside(loss, "curvature", bend, stated.curvature)
    if stated.convex:
        assert bend.min() >= -_SLACK * abs(bend).max()
    assert stated.robust == math.isfinite(stated.lipschitz)
    for kink in stated.kinks:
        assert kink.left != kink.right
        at = np.full(2, stated.at)
        step = 1e-7 * max(1.0, abs(kink.position))
        sides = np.array([kink.position - step, kink.position + step])
        found = loss.gradient(at, sides, raw=True, reduction="sum")
        for got, side in zip(found, (kink.left, kink.right), strict=True):
            if math.isinf(side):
                assert got * side > 0
                assert abs(got) > 100
            else:
                assert abs(got - side) <= 1e-4 * (1 + abs(side))


def law_a_convex_loss_lies_below_its_chords(loss: losskit.Loss) -> None:
    """`convex` is stated if and only if no chord is found below the loss."""
    if not cases.has_gradient(loss) or len(loss.outputs) > 1:
        return
    rng = np.random.default_rng(8)
    y, _ = sample(loss, 4000, 6)
    domain = loss.form(raw=True).predictions[0]
    a, b = (rng.normal(0, 3, 4000) + np.where(rng.random(4000) < 0.7, y, 0) for _ in "ab")
    inside = domain.contains(a) & domain.contains(b) & (abs(y) < 30)
    y, a, b = y[inside], a[inside], b[inside]
    low, high, middle = (
        loss(y, f, raw=True, reduction="none", tier="numpy") for f in (a, b, (a + b) / 2)
    )
    gap = middle - (low + high) / 2
    above = gap > 1e-9 * (1 + abs(low) + abs(high))
    assert loss.properties.convex == (not above.any()), (
        f"{loss!r}: stated convex={loss.properties.convex}, chords above in {above.sum()} of "
        f"{above.size}"
    )


def _points(loss: losskit.Loss) -> tuple[np.ndarray, np.ndarray]:
    drawn = [sample(loss, 500, seed) for seed in (1, 2)]
    y = np.concatenate([d[0] for d in drawn])
    f = np.concatenate([d[1] for d in drawn])
    tame = [p for p in cases.grid(loss, 5) if all(abs(x) < 50 for x in p)]
    more = np.array([p for p in tame if p[0] == 0 or abs(p[0]) > 1e-3])
    extra = more[:, 1] if f.ndim == 1 else more[:, 1:]
    return np.concatenate([y, more[:, 0]]), np.concatenate([f, extra])


def _inside(loss: losskit.Loss, what: str, found: np.ndarray, stated: tuple[float, float]) -> None:
    low, high = stated
    size = 1 + max((abs(x) for x in stated if math.isfinite(x)), default=0)
    assert found.min() >= low - _SLACK * size, f"{loss!r}: {what} {found.min()} < {low}"
    assert found.max() <= high + _SLACK * size, f"{loss!r}: {what} {found.max()} > {high}"
