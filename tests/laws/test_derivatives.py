"""Derivatives against differences of the value, the rule at kinks, and SymPy."""

from __future__ import annotations

import pytest

import losskit
from laws import cases, derivatives, symbolic

WITH_GRADIENT = cases.differentiable()


@pytest.mark.parametrize("loss", WITH_GRADIENT, ids=repr)
def test_derivatives_are_those_of_the_value(loss: losskit.Loss) -> None:
    derivatives.law_gradient_and_hessian(loss, derivatives.points(loss, 8))


@pytest.mark.slow
@pytest.mark.parametrize("loss", WITH_GRADIENT, ids=repr)
def test_derivatives_are_those_of_the_value_everywhere(loss: losskit.Loss) -> None:
    derivatives.law_gradient_and_hessian(loss, derivatives.points(loss, 80, seed=7))


@pytest.mark.parametrize("name", [n for n in cases.names() if cases.has_gradient(losskit.get(n))])
def test_sympy_agrees(name: str) -> None:
    symbolic.law_sympy(losskit.get(name))


def test_a_step_has_no_derivative() -> None:
    y, f = [1.0, -1.0], [0.5, 0.5]
    assert losskit.zero_one(y, f) == 0.5
    for method in ("gradient", "hessian", "value_and_gradient", "gradient_and_hessian"):
        with pytest.raises(losskit.Unsupported, match="surrogate such as hinge"):
            getattr(losskit.zero_one, method)(y, f)


def test_the_perceptron_starts() -> None:
    """At margin 0 its gradient is −y, the one stated exception from the rule at kinks."""
    assert losskit.perceptron.gradient([1.0, -1.0], [0.0, 0.0], reduction="sum").tolist() == [-1, 1]


@pytest.mark.parametrize("name", cases.names())
def test_a_perfect_prediction_pulls_nowhere(name: str) -> None:
    """Where the loss of a real target is least at f = y, the gradient there is exactly 0."""
    loss = losskit.get(name)
    if loss.task != "regression" or len(loss.outputs) > 1:
        return
    y = [v for v in cases.targets(loss) if abs(v) > 1e-200 or v == 0]
    assert loss.gradient(y, y, raw=True, reduction="sum").tolist() == [0.0] * len(y)
