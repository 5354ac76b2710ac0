"""Losses whose corners are rounded from below, over every registered loss and users' own."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from mpmath import mp

import losskit
from laws import cases, samples
from losskit.backends.mpmath import loss_to
from losskit.fit.objective.smoothing import needs_smoothing, smoothed, smoothing_error
from losskit.formula import (
    BINARY,
    SIGN,
    Positive,
    Probability,
    abs_pow,
    maximum,
    minimum,
    positive_part,
    softplus,
    sqrt,
    where,
)

WIDTHS = (1e-6, 0.01, 1.0, 40.0)


def _settings() -> list[losskit.Loss]:
    return [one for one in cases.differentiable() if len(one.outputs) == 1]


CORNERED = [one for one in _settings() if needs_smoothing(one) and one.properties.convex]


# --- users' own, each with corners made differently; the last number bounds ℓ − ℓ_μ for μ = 1


@losskit.loss
def check(y, f, q: Probability = 0.25):
    """A pinball loss by where."""
    r = f - y
    return where(r > 0, (1 - q) * r, -q * r)


@losskit.loss
def tube(y, f, width: Positive = 0.5):
    """An insensitive zone by where and abs."""
    r = f - y
    return where(abs(r) <= width, 0, abs(r) - width)


@losskit.loss
def bent(y, f, a: Positive = 2.0):
    """A corner between two parabolas, which is no maximum of them."""
    r = f - y
    return where(r > 0, a * r + r * r, r * r / 2)


@losskit.loss(target=SIGN)
def capped(y, f):
    """A hinge by minimum, which enters decreasingly."""
    return 1 - minimum(y * f, 1)


@losskit.loss
def mixed(y, f, d: Positive = 1.0):
    """Huber's loss, whose abs makes no corner, beside one that does."""
    r = f - y
    return where(abs(r) <= d, r * r / 2, d * (abs(r) - d / 2)) + abs(f)


@losskit.loss(target=BINARY)
def two_classes(y, f):
    """Corners that depend on the class."""
    return y * positive_part(1 - f) + (1 - y) * positive_part(1 + f)


@losskit.loss(target=SIGN)
def three_pieces(y, f):
    """A maximum within a maximum."""
    m = y * f
    return maximum(maximum(0 * m, 1 - m), 2 - 3 * m)


@losskit.loss(target=SIGN)
def sparse_logistic(y, f):
    """A smooth loss and a corner elsewhere."""
    return softplus(-y * f) + abs(f) / 8


@losskit.loss
def squared_and_not(y, f):
    """The same abs with and without a corner."""
    r = abs(f - y)
    return r * r + maximum(r, 2 * r - 1)


OWN = {check: 0.5, tube: 1.5, bent: None, capped: 0.5, mixed: 1.0, two_classes: 0.5,
       three_pieces: 1.0, sparse_logistic: 0.125, squared_and_not: None}  # fmt: skip
EVERY = [*CORNERED, *OWN]


@cache
def _kinks(loss: losskit.Loss) -> np.ndarray:
    """Return corners as distances from the target."""
    found = loss.properties
    return np.array([k.position - found.at for k in found.kinks])


def _data(loss: losskit.Loss, width: float, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Targets and scores, many of these within a few widths of a corner."""
    y, f = samples.sample(loss, n, 7)
    rng = np.random.default_rng(1)
    near = y[: n // 2] + rng.choice(_kinks(loss), n // 2)
    f[: n // 2] = near + rng.normal(0, 3 * width, n // 2)
    return y, f


def test_losses_with_corners_are_found_without_being_told() -> None:
    for loss in map(losskit.get, cases.names()):
        if cases.has_gradient(loss):
            assert needs_smoothing(loss) == bool(loss.properties.kinks), loss
    # For one class only: `properties` looks at the other.
    assert needs_smoothing(losskit.asymmetric_focal(gamma_neg=0.0))
    assert len(CORNERED) > 15


@pytest.mark.parametrize("loss", OWN, ids=lambda loss: loss.name)
def test_own_losses_have_corners(loss: losskit.Loss) -> None:
    assert needs_smoothing(loss)
    assert not needs_smoothing(smoothed(loss))


def test_losses_without_corners_are_left_as_they_are() -> None:
    for loss in (losskit.huber, losskit.fair, losskit.squared_hinge, losskit.log_cosh):
        assert smoothed(loss, 0.1) is loss
        assert (smoothing_error(loss, 0.1, np.ones(3)) == 0).all()


@pytest.mark.parametrize("loss", EVERY, ids=repr)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_lies_below_and_not_far(loss: losskit.Loss, width: float) -> None:
    made = smoothed(loss, width)
    y, f = _data(loss, width)
    exact, below = (one(y, f, raw=True, reduction="none") for one in (loss, made))
    rounding = 1e-15 * (1 + width + abs(exact) + abs(f))
    assert (below <= exact + rounding).all()
    bound = smoothing_error(loss, width, y)
    assert (exact - below <= bound + rounding).all()
    largest = OWN.get(loss)
    if largest is not None:
        assert bound.max() == pytest.approx(largest * width)
        assert (exact - below).max() > 0.5 * bound.max()  # and is not generous
    elif loss in OWN:
        assert np.isinf(bound).all()
    else:
        assert np.isfinite(bound).all()


@pytest.mark.parametrize("loss", EVERY, ids=repr)
def test_it_is_convex_and_curves_everywhere(loss: losskit.Loss) -> None:
    made = smoothed(loss, 0.25)
    assert made.properties.convex
    assert made.properties.differentiable
    y, f = _data(loss, 0.25)
    assert (made.hessian(y, f, raw=True, reduction="none") > 0).all()


@pytest.mark.parametrize("loss", EVERY, ids=repr)
def test_derivatives_are_those_of_the_value(loss: losskit.Loss) -> None:
    made = smoothed(loss, 0.25)
    y, f = _data(loss, 0.25, 24)
    found = (
        made.gradient(y, f, raw=True, reduction="none"),
        made.hessian(y, f, raw=True, reduction="none"),
    )
    value = loss_to(made, 0)
    with mp.workdps(50):
        step = mp.mpf(10) ** -15
        for i in range(0, 24, 2):
            low, middle, high = (value(y[i], mp.mpf(f[i]) + s * step) for s in (-1, 0, 1))
            slope, bend = (high - low) / (2 * step), (high - 2 * middle + low) / step**2
            assert abs(found[0][i] - slope) <= 1e-13 * (1 + abs(slope))
            assert abs(found[1][i] - bend) <= 1e-11 * (1 + abs(bend))


@pytest.mark.parametrize("loss", EVERY, ids=repr)
def test_a_narrow_width_comes_to_the_loss(loss: losskit.Loss) -> None:
    y, f = _data(loss, 0.1)
    exact = loss(y, f, raw=True)
    gaps = [exact - smoothed(loss, width)(y, f, raw=True) for width in (1e-2, 1e-4, 1e-6)]
    assert gaps[0] > gaps[1] > gaps[2] > -1e-14
    assert gaps[2] <= 1e-5 * (1 + 1 / abs(y[y != 0]).min())
    # The slope too, but at corners; those of OWN are at 0 and ±1, of f or of f − y.
    away = (abs((f - y)[:, None] - _kinks(loss)).min(axis=1) > 0.01) & (abs(f) > 0.01)
    away &= (abs(abs(f) - 1) > 0.01) & (abs(abs(f - y) - 1) > 0.01)
    slope, limit = (
        one.gradient(y[away], f[away], raw=True, reduction="none")
        for one in (loss, smoothed(loss, 1e-8))
    )
    np.testing.assert_allclose(limit, slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("loss", [losskit.quantile(q=0.25), losskit.epsilon_insensitive, bent])
def test_compiled_kernels_agree(loss: losskit.Loss) -> None:
    made = smoothed(loss, 1e-3)
    y, f = _data(loss, 1e-3, 500)
    f[:3] = y[:3] + np.array([0.0, 1e-300, -1e200])
    for wanted in (made.value_and_gradient, made.gradient_and_hessian):
        few, many = (wanted(y, f, raw=True, reduction="none", tier=t) for t in ("numpy", "numba"))
        for a, b in zip(few, many, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_another_width_compiles_nothing() -> None:
    made = smoothed(losskit.quantile(q=0.25), 0.1)
    wider = made(smoothing=0.2)
    assert made.source("numba") == wider.source("numba")
    assert made.form(raw=True).graph is wider.form(raw=True).graph
    assert smoothed(losskit.quantile(q=0.25), 0.3).definition is made.definition


def test_a_width_is_its_absolute_value_moved() -> None:
    f = np.array([-3.0, 0.0, 4.0])
    found = smoothed(losskit.absolute_error, 4.0)(np.zeros(3), f, reduction="none")
    np.testing.assert_allclose(found, [1.0, 0.0, np.sqrt(32) - 4], rtol=1e-15)
    tiny = smoothed(losskit.absolute_error, 1e-9)
    assert tiny([0.0], [1e9]) == pytest.approx(1e9, rel=1e-15)
    # x²/(2μ) near 0: no cancellation in √(x² + μ²) − μ
    assert smoothed(losskit.absolute_error, 1e6)([0.0], [1e-6]) == pytest.approx(5e-19, rel=1e-14)


def test_far_from_its_corners_it_keeps_its_precision() -> None:
    made = smoothed(losskit.hinge, 0.5)
    f = np.array([np.inf, 1e20, 1e8, 1.0, -1e20])
    found = made(np.ones(5), f, reduction="none")
    np.testing.assert_allclose(found, [-0.25, -0.25, -0.25, 0.0, 1e20], rtol=1e-8)
    slope = made.gradient(np.ones(5), f, reduction="none")
    np.testing.assert_allclose(
        slope, [0, -0.0625e-40, -0.0625e-16, -0.5, -1.0], rtol=1e-7, atol=1e-300
    )
    bend = made.hessian(np.ones(1), np.ones(1), reduction="none")
    np.testing.assert_allclose(bend, 1.0)


def test_widths_are_of_the_raw_score_and_relative_to_its_size() -> None:
    bound = smoothing_error(losskit.mape, 0.5, np.array([0.5, -2.0]))
    np.testing.assert_allclose(bound, [1.0, 0.25])
    np.testing.assert_allclose(smoothing_error(losskit.quantile, 0.5, np.zeros(2)), 0.25)


@pytest.mark.parametrize("loss", EVERY, ids=repr)
def test_its_infimum_is_found_for_many_targets_at_once(loss: losskit.Loss) -> None:
    made = smoothed(loss, 0.5)
    y, _ = samples.sample(loss, 3000, 3)
    found = made.infimum(y)
    exact = loss.infimum(y[:20]) if loss in OWN else loss.infimum(y)
    bound = smoothing_error(loss, 0.5, y)
    assert (found[: exact.size] <= exact + 1e-12).all()
    assert (found[: exact.size] >= exact - bound[: exact.size] - 1e-12).all()
    steps = np.concatenate([-np.geomspace(1e-6, 1e6, 200), [0.0], np.geomspace(1e-6, 1e6, 200)])
    for i in range(5):
        f = y[i] * (not loss.target_domain.values) + steps
        values = made(np.full(f.size, y[i]), f, raw=True, reduction="none")
        assert found[i] <= values.min() + 1e-12
        assert found[i] >= values.min() - 1e-2


def test_it_is_a_loss_like_any_other() -> None:
    made = smoothed(losskit.quantile(q=0.25), 0.125)
    assert repr(made) == "quantile_smoothed(q=0.25, smoothing=0.125)"
    assert made.params == {"q": 0.25, "smoothing": 0.125}
    assert pickle.loads(pickle.dumps(made)) == made
    y, f = np.array([1.0, np.nan]), np.array([2.0, 0.0])
    assert made(y, f, mask=[True, False]) == made(y[:1], f[:1])
    assert "smoothing" in made.latex()
    with pytest.raises(ValueError, match="smoothing=0"):
        made(smoothing=0.0)


def test_absolute_powers_have_a_corner_only_at_one() -> None:
    assert not needs_smoothing(losskit.lp(p=1.5))
    made = smoothed(losskit.lp(p=1.0), 0.1)
    f = np.linspace(-2, 2, 11)
    np.testing.assert_allclose(
        made(np.zeros(11), f, reduction="none"),
        smoothed(losskit.absolute_error, 0.1)(np.zeros(11), f, reduction="none"),
        rtol=1e-14,
    )


def test_losses_over_classes_are_searched_along_lines() -> None:
    found = {n: needs_smoothing(losskit.get(n)) for n in (
        "cross_entropy", "categorical_brier", "sparsemax", "multilabel_cross_entropy",
        "crammer_singer", "weston_watkins", "multiclass_perceptron", "gaussian_nll",
    )}  # fmt: skip
    assert [n for n, cornered in found.items() if cornered] == [
        "crammer_singer", "weston_watkins", "multiclass_perceptron",
    ]  # fmt: skip


def test_what_cannot_be_smoothed_says_why() -> None:
    for loss, message in (
        (losskit.crammer_singer, "crammer_singer sees more than one number"),
        (losskit.gaussian_nll, "gaussian_nll sees several raw outputs"),
        (losskit.zero_one, "zero_one is made of steps"),
        (losskit.smape, "smape: its where"),
        (losskit.triplet, "triplet sees more than one number"),
    ):
        with pytest.raises(losskit.Unsupported, match=message):
            smoothed(loss, 0.1)
    for loss in (losskit.zero_one, losskit.triplet, losskit.ordinal):
        with pytest.raises(losskit.Unsupported, match=loss.name):
            needs_smoothing(loss)


def test_own_losses_that_cannot_be_smoothed_say_why() -> None:
    @losskit.loss
    def jump(y, f):
        """Not continuous."""
        return where(f > y, f - y + 1, y - f)

    @losskit.loss(target=SIGN)
    def either(y, f):
        """Grows with its corner for one class and falls for the other."""
        return y * abs(f - 1)

    @losskit.loss
    def taken(y, f, smoothing: Positive = 1.0):
        """Its parameter's name is taken."""
        return smoothing * abs(f - y)

    @losskit.loss
    def compound(y, f):
        """A choice by two comparisons, with a corner that is neither maximum nor minimum."""
        r = f - y
        return where((r > 0) & (r < 10), r * r / 10, abs(r))

    for loss, message in (
        (jump, "jump jumps"),
        (either, "either grows with a corner of its abs here"),
        (taken, "a parameter called 'smoothing'"),
        (compound, "write its corners"),
    ):
        with pytest.raises(losskit.Unsupported, match=message):
            smoothed(loss)


def test_a_loss_that_is_not_convex_is_smoothed_from_below_too() -> None:
    @losskit.loss
    def root(y, f):
        """A concave function of the absolute error."""
        return sqrt(1 + abs(f - y)) - 1

    @losskit.loss
    def hill(y, f):
        """The negative of an absolute value."""
        return 8 - abs_pow(f - y, 1)

    for loss in (root, hill):
        made = smoothed(loss, 0.1)
        f = np.linspace(-3, 3, 601)
        y = np.zeros(601)
        exact, below = (one(y, f, reduction="none") for one in (loss, made))
        assert (below <= exact + 1e-15).all()
        assert (exact - below).max() <= 0.1 + 1e-15
