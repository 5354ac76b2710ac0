"""Infimum, infinite scores and best constants of every loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

import losskit
from laws import bounds, cases


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_infimum(loss: losskit.Loss) -> None:
    bounds.law_never_below_its_infimum(loss)
    bounds.law_infimum_is_reached(loss)


@pytest.mark.parametrize("name", cases.names())
def test_infinite_scores(name: str) -> None:
    bounds.law_infinite_scores_give_the_limit(losskit.get(name), "numpy")


@pytest.mark.parametrize("name", cases.stratified())
def test_infinite_scores_of_kernels(name: str) -> None:
    bounds.law_infinite_scores_give_the_limit(losskit.get(name), "numba")


@pytest.mark.slow
@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_infinite_scores_for_all_settings(loss: losskit.Loss) -> None:
    bounds.law_infinite_scores_give_the_limit(loss)


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_best_constant(loss: losskit.Loss) -> None:
    bounds.law_best_constant(loss)


@pytest.mark.parametrize(
    ("loss", "y", "best"),
    [
        (losskit.squared_error, [1, 2, 6], 3.0),
        (losskit.absolute_error, [1, 2, 3, 4], 2.5),
        (losskit.absolute_error, [1, 2, 30], 2.0),
        (losskit.quantile(q=0.25), [1, 2, 3, 4], 1.5),
        (losskit.quantile(q=0.9), [0, 1, 2, 3, 4], 4.0),
        (losskit.epsilon_insensitive(epsilon=1.0), [0, 1], 0.5),
        (losskit.huber, [0, 0, 0, 100], 1 / 3),
        (losskit.poisson, [0, 0, 0], 0.0),
        (losskit.poisson, [1, 2, 6], 3.0),
        (losskit.gamma, [1.0, 2.0, 6.0], 3.0),
        (losskit.tweedie, [0, 2, 4], 2.0),
        (losskit.negative_binomial, [0, 2, 4], 2.0),
        (losskit.inverse_gaussian, [1.0, 2.0, 6.0], 3.0),
        (losskit.binary_cross_entropy, [0, 0], 0.0),
        (losskit.binary_cross_entropy, [1, 1], 1.0),
        (losskit.binary_cross_entropy, [0, 1, 1, 1], 0.75),
        (losskit.binary_cross_entropy(pos_weight=3.0), [0, 1], 0.75),
        (losskit.logistic_margin, [-1, 1, 1, 1], math.log(3)),
        (losskit.exponential, [-1, 1, 1, 1], math.log(3) / 2),
        (losskit.expectile(q=0.5), [1, 2, 6], 3.0),
        (losskit.asymmetric_squared(alpha=1.0), [1, 2, 6], 3.0),
        (losskit.linex, [0, 0], 0.0),
        (losskit.mape, [1, 2, 4], 1.0),
        (losskit.msle, [0, math.e - 1], math.exp(0.5) - 1),
        (losskit.lp(p=2.0), [1, 2, 6], 3.0),
    ],
    ids=str,
)
def test_known_constants(loss: losskit.Loss, y: list[float], best: float) -> None:
    """Means, medians, quantiles: the middle where several are best, edges exactly."""
    found = loss.optimal_constant(np.array(y, float))
    assert found == (best if best in (0, 1) else pytest.approx(best, rel=1e-9))


def test_a_constant_of_two_outputs() -> None:
    mean, sd = losskit.gaussian_nll.optimal_constant([1.0, 2.0, 6.0])
    assert mean == pytest.approx(3.0, rel=1e-9)
    assert sd == pytest.approx(np.std([1, 2, 6]), rel=1e-7)


def test_training_starts_inside_the_domain() -> None:
    eps = np.finfo(np.float64).eps
    assert losskit.poisson.start_score([0, 0]) == pytest.approx(math.log(10 * eps))
    for y, end in (([0, 0], 10 * eps), ([1, 1], 1 - 10 * eps)):
        start = losskit.binary_cross_entropy.start_score(y)
        assert math.isfinite(start)
        assert 1 / (1 + math.exp(-start)) == pytest.approx(end)
    assert losskit.squared_error.start_score([1, 3]) == 2
    assert math.isfinite(losskit.logistic_margin.start_score([1, 1]))


def test_weights_move_the_constant() -> None:
    y = [1.0, 2.0, 9.0]
    assert losskit.squared_error.optimal_constant(y, [1, 1, 0]) == 1.5
    assert losskit.absolute_error.optimal_constant(y, [1, 1, 3]) == 9
    assert losskit.absolute_error.optimal_constant([math.nan, 2.0], [0, 1]) == 2
    with pytest.raises(ValueError, match="positive weight"):
        losskit.squared_error.optimal_constant(y, [0, 0, 0])
