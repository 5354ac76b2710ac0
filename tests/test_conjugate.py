"""Conjugates of losses: never below the supremum, and sharp, over the registry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp

import losskit
from laws import cases, samples
from losskit.backends.mpmath import loss_to
from losskit.fit.objective.conjugate import at_shrunk_slopes, conjugate
from losskit.fit.objective.smoothing import needs_smoothing, smoothed
from losskit.formula import POSITIVE, Positive, log

_EPS = np.finfo(float).eps


def _convex() -> list[losskit.Loss]:
    """Every convex loss of one number at up to four settings, those with corners smoothed."""
    found = [one for name in cases.names() for one in cases.settings(name)[:4]]
    found = [one for one in found if cases.has_gradient(one) and len(one.outputs) == 1]
    found = [
        smoothed(one, 0.25) if needs_smoothing(one) else one
        for one in found
        if one.properties.convex
    ]
    return list(dict.fromkeys(found))


def _supremum(loss: losskit.Loss, y: float, z: float, near: float) -> tuple[float, float]:
    """Return sup z·f − ℓ by 40 digits from scores near the maximiser, and the largest term."""
    value, slope = loss_to(loss, 0), loss_to(loss, 1)

    def lacking(f):
        return slope(y, f) - mp.mpf(z)

    with mp.workdps(40):
        low = high = mp.mpf(near)
        step = mp.mpf(1e-9) * (1 + abs(low))
        for _ in range(60):
            if lacking(low) <= 0 <= lacking(high):
                break
            low, high, step = low - step, high + step, 2 * step
        else:
            raise AssertionError(f"{loss!r}: no maximiser near {near} for y={y}, z={z}")
        best = mp.findroot(lacking, (low, high), solver="anderson", verify=False)
        for _ in range(140 if abs(lacking(best)) > 1e-25 * (1 + abs(z)) else 0):  # a flat part
            middle = (low + high) / 2
            low, high = (low, middle) if lacking(middle) > 0 else (middle, high)
            best = high
        at = value(y, best)
        return float(mp.mpf(z) * best - at), float(max(abs(mp.mpf(z) * best), abs(at)))


@pytest.mark.parametrize("loss", _convex(), ids=repr)
def test_a_conjugate_is_an_upper_bound_and_sharp(loss: losskit.Loss) -> None:
    rng = np.random.default_rng(3)
    y, f = samples.sample(loss, 12, 4)
    domain = loss.prediction_domain(raw=True)
    slope = loss.gradient(y, f, raw=True, reduction="none")
    share = np.resize([0.999, 0.3, 0.9, 1.0, 1 - 1e-9], y.size)
    start = np.where(domain.contains(f + 1), f + rng.normal(0, 1, y.size) * (share < 0.99), f)
    start = np.where(domain.contains(start), start, f)
    z = share * slope
    bound = conjugate(loss, y, z, start)
    gained = bound - (z * start - loss(y, start, raw=True, reduction="none"))
    scale = max(1.0, float(np.abs(z).max()))
    for i in range(y.size):
        if share[i] == 1.0 or z[i] == 0:  # z is the slope at f: Fenchel's equality
            best = z[i] * f[i] - loss(y[i : i + 1], f[i : i + 1], raw=True)
            assert bound[i] == pytest.approx(best, rel=1e-9, abs=1e-12 * scale)
            continue
        best, term = _supremum(loss, float(y[i]), float(z[i]), float(f[i]))
        noise = 40 * _EPS * (term + abs(f[i]) * (1 + abs(slope[i])))
        assert best - noise <= bound[i] <= best + noise + 2e-9 * abs(gained[i]), (
            y[i],
            z[i],
            f[i],
            bound[i] - best,
        )


def _entropy(p):
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0)


def test_conjugates_that_are_known() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    z = rng.uniform(-0.99, 0.99, 50)
    start = rng.normal(0, 10, 50)

    def close(found, wanted):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)
        assert (found >= wanted - 4 * _EPS * (1 + abs(wanted))).all()

    close(conjugate(losskit.squared_error, y, 5 * z, start), (5 * z) ** 2 / 4 + y * 5 * z)
    close(conjugate(losskit.huber, y, z, start), z * z / 2 + y * z)
    label = (y > 0).astype(float)
    p = z * 0.5 + 0.5  # in (0, 1)
    close(conjugate(losskit.logistic, label, p - label, start), _entropy(p) + _entropy(1 - p))
    count = rng.poisson(3.0, 50).astype(float)
    mean = 1 + 5 * p
    close(conjugate(losskit.poisson, count, mean - count, start / 5), mean * np.log(mean) - mean)
    sign = np.sign(y)
    close(conjugate(losskit.exponential, sign, -sign * p, start), p * (np.log(p) - 1))
    close(conjugate(losskit.squared_hinge, sign, -sign * p, start), p * p / 4 - p)


def test_a_slope_that_no_score_has_gives_infinity() -> None:
    for loss, y, z in (
        (losskit.logistic, 1.0, 0.5),
        (losskit.logistic, 0.0, -1e-9),
        (losskit.huber, 0.0, 1 + 1e-9),
        (losskit.poisson, 2.0, -2 - 1e-9),
        (losskit.squared_hinge, 1.0, 0.1),
    ):
        assert conjugate(loss, [y], [z], [0.5]).tolist() == [math.inf]


def test_the_end_of_the_range_of_slopes_is_reached_up_to_rounding() -> None:
    np.testing.assert_allclose(
        conjugate(losskit.logistic, [0.0, 1.0], [1.0, -1.0], [0.0, 0.0]), 0.0, atol=1e-12
    )
    assert conjugate(losskit.huber, [2.0], [1.0], [70.0])[0] == pytest.approx(2.5, rel=1e-12)
    assert conjugate(losskit.squared_hinge, [1.0], [0.0], [50.0]).tolist() == [0.0]


def test_far_starts_arrive() -> None:
    y = np.array([0.0, 1.0, 0.5])
    start = np.array([1e6, -1e6, 1e3])
    z = np.array([0.25, -0.75, 0.125])
    p = y + z
    np.testing.assert_allclose(
        conjugate(losskit.logistic, y, z, start), _entropy(p) + _entropy(1 - p), rtol=1e-12
    )
    found = conjugate(losskit.poisson, [3.0, 0.0], [1e200, 1e-200], [0.0, 50.0])
    mean = np.array([1e200, 1e-200])
    np.testing.assert_allclose(found, mean * np.log(mean) - mean, rtol=1e-12)


def test_units_do_not_matter() -> None:
    for scale in (1e-6, 1.0, 1e6):
        y = np.array([1.0, -2.0]) * scale
        z = np.array([0.5, -0.25]) * scale
        found = conjugate(losskit.huber(delta=scale), y, z, np.zeros(2))
        np.testing.assert_allclose(found, z * z / 2 + y * z, rtol=1e-13)


def test_scores_of_a_narrow_domain() -> None:
    @losskit.loss(target=POSITIVE, prediction=POSITIVE)
    def barrier(y, f, a: Positive = 1.0):
        """Burg's entropy, of positive predictions alone."""
        return a * (f / y - log(f))

    y, z = np.array([2.0, 0.5, 1.0]), np.array([0.25, -3.0, -1e6])
    wanted = -1 - np.log(1 / y - z)
    found = conjugate(barrier, y, z, np.array([1.0, 1e-9, 1e9]))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert conjugate(barrier, [1.0], [1.0 + 1e-9], [1.0])[0] == math.inf


def test_shrunk_slopes_give_gaps_that_hold() -> None:
    rng = np.random.default_rng(5)
    y = (rng.random(400) < 0.3).astype(float)
    f = rng.normal(0, 3, 400)
    loss = losskit.logistic
    for c in (1.0, 1 - 1e-6, 0.7, 0.0):
        found = at_shrunk_slopes(loss, y, f, np.array(c))
        slope = loss.gradient(y, f, raw=True, reduction="none")
        p = y + c * slope
        np.testing.assert_allclose(found, _entropy(p) + _entropy(1 - p), atol=1e-13)
        # Fenchel's inequality, at the scores themselves: equality at c = 1.
        gap = loss(y, f, raw=True, reduction="none") + found - c * slope * f
        assert (gap >= 0).all()
        assert gap.max() <= (4 * _EPS * 30 if c == 1.0 else np.inf)


def test_a_large_batch_is_the_same_row_by_row() -> None:
    rng = np.random.default_rng(6)
    y = rng.poisson(2.0, 5_000).astype(float)
    f = rng.normal(0, 2, 5_000)
    found = at_shrunk_slopes(losskit.poisson, y, f, 0.9)
    some = np.arange(0, 5_000, 997)
    single = at_shrunk_slopes(losskit.poisson, y[some], f[some], 0.9)
    np.testing.assert_allclose(found[some], single, rtol=1e-13, atol=1e-13)


def test_shapes_and_errors() -> None:
    grid = conjugate(losskit.squared_error, np.zeros((2, 3)), np.ones((2, 3)), np.zeros((2, 3)))
    assert grid.shape == (2, 3)
    assert conjugate(losskit.squared_error, np.zeros(0), np.zeros(0), np.zeros(0)).shape == (0,)
    with pytest.raises(ValueError, match=r"shapes \(1,\), \(2,\) and \(1,\)"):
        conjugate(losskit.huber, [0.0], [0.0, 1.0], [0.0])
    with pytest.raises(ValueError, match="start of row 1 is nan"):
        conjugate(losskit.huber, [0.0, 0.0], [0.0, 0.0], [0.0, math.nan])
    with pytest.raises(losskit.Unsupported, match="cauchy is not convex"):
        conjugate(losskit.cauchy, [0.0], [0.1], [0.0])
    with pytest.raises(losskit.Unsupported, match="hinge is not without corners"):
        conjugate(losskit.hinge, [1.0], [-0.5], [0.0])
    with pytest.raises(losskit.Unsupported, match="one number"):
        conjugate(losskit.cross_entropy, [0], [0.1], [0.0])
