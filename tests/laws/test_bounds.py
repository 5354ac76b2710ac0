"""Infimum, infinite scores and best constants of every loss."""

from __future__ import annotations

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
