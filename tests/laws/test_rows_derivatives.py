"""Derivatives of losses over an axis, and of written ones, against differences of their values."""

from __future__ import annotations

import pytest

import losskit
from laws import rows_cases
from laws import rows_derivatives as laws

ROWS = rows_cases.names("rows")
NAMES = rows_cases.names()


@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_derivatives_are_differences(loss: losskit.Loss) -> None:
    data = laws.draw(loss, 3, seed=1)
    laws.law_differences(loss, data, [0])
    laws.law_product_is_the_change_of_the_gradient(loss, data, [2])


@pytest.mark.slow
@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_derivatives_are_differences_everywhere(loss: losskit.Loss) -> None:
    for seed, size, soft in ((2, 0.3, False), (3, 3.0, True), (4, 20.0, False)):
        data = laws.draw(loss, 4, seed=seed, size=size, soft=soft)
        laws.law_differences(loss, data, range(4))
        laws.law_product_is_the_change_of_the_gradient(loss, data, range(4))


@pytest.mark.parametrize("name", ROWS)
def test_gradient_at_kinks(name: str) -> None:
    loss = losskit.get(name)
    laws.law_gradient_at_kinks(loss, laws.at_kinks(loss, 6), range(6))


@pytest.mark.slow
@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_gradient_at_many_kinks(loss: losskit.Loss) -> None:
    for seed in range(2):
        laws.law_gradient_at_kinks(loss, laws.at_kinks(loss, 8, seed), range(8))


@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_hessian(loss: losskit.Loss) -> None:
    data = laws.smooth(loss, 20)
    laws.law_hessian_is_the_diagonal(loss, data)
    laws.law_product_is_symmetric(loss, data)


@pytest.mark.parametrize("loss", rows_cases.every_setting(), ids=repr)
def test_numbers_change_as_the_gradient_says(loss: losskit.Loss) -> None:
    laws.law_numbers_change_as_the_gradient_says(loss, laws.smooth(loss, 14))


@pytest.mark.parametrize("loss", rows_cases.every_setting("written"), ids=repr)
def test_curvature_of_written_losses(loss: losskit.Loss) -> None:
    laws.law_curvature_of_numbers(loss, laws.smooth(loss, 8))
