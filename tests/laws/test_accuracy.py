"""Value, gradient and Hessian are those of the formula, to the last few ulps, in both tiers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import losskit
from laws import accuracy, cases, prediction_scale, written
from laws.accuracy import EXCEPTIONS
from laws.points import points
from laws.truth import WANTED, truth

TIERS = ("numpy", "numba")
DTYPES = (np.float64, np.float32)


def law_accuracy(
    loss: losskit.Loss,
    kernels: tuple[Any, ...] = DTYPES,
    most: int | None = 6,
    count: int = 25,
    seed: int = 1,
) -> None:
    """Results are within 8 ulp of the truth, or of the largest term where terms cancel.

    By NumPy in both dtypes, and by the compiled kernels for the dtypes in `kernels`.
    """
    wanted = WANTED if cases.has_gradient(loss) else ("value",)
    exact = truth(loss, points(loss, most, count, seed), wanted)
    found = [
        d
        for dtype in DTYPES
        for tier in TIERS
        if tier == "numpy" or dtype in kernels
        for d in accuracy.deviations(loss, exact, dtype, tier, wanted)
    ]
    assert not found, accuracy.report(found)


@pytest.mark.parametrize("name", cases.names())
def test_results_are_the_truth(name: str) -> None:
    # A kernel takes a second or two to compile: single precision for some of them is enough here.
    kernels = DTYPES if name in cases.STRATUM else (np.float64,)
    for loss in cases.settings(name):
        law_accuracy(loss, kernels)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_results_are_the_truth_everywhere(loss: losskit.Loss, seed: int) -> None:
    law_accuracy(loss, most=None, count=400, seed=seed)


@pytest.mark.parametrize("name", cases.names())
def test_predictions_are_scored_as_their_raw_scores(name: str) -> None:
    for loss in cases.settings(name):
        if cases.has_gradient(loss):
            prediction_scale.law_prediction_scale(loss, ["numpy"], DTYPES)


@pytest.mark.parametrize("name", cases.stratified())
def test_compiled_predictions_are_scored_as_their_raw_scores(name: str) -> None:
    for loss in cases.settings(name):
        if cases.has_gradient(loss):
            prediction_scale.law_prediction_scale(loss, ["numba"], [np.float64])


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_ends_of_probabilities(loss: losskit.Loss) -> None:
    prediction_scale.law_edges(loss)
    prediction_scale.law_clipping(loss)


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_the_graph_is_the_formula(loss: losskit.Loss) -> None:
    written.law_rewriting_changes_nothing(loss)


@pytest.mark.parametrize("name", ["binary_cross_entropy", "huber", "poisson", "quantile"])
def test_the_four_have_no_exception(name: str) -> None:
    assert not [key for key in EXCEPTIONS if key[0] == name]


@cache
def _needs_exception(name: str) -> set[str]:
    needed: set[str] = set()
    for loss in cases.settings(name):
        exact = truth(loss, points(loss, 6, 60, 1), WANTED)
        for dtype in DTYPES:
            needed |= _off(loss, exact, dtype)
    return needed


def _off(loss: losskit.Loss, exact: Any, dtype: Any) -> set[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accuracy, "EXCEPTIONS", {})
        return {
            d.output.partition("[")[0]
            for d in accuracy.deviations(loss, exact, dtype, "numpy", WANTED)
        }


@pytest.mark.parametrize(("name", "output"), list(EXCEPTIONS), ids="-".join)
def test_every_exception_is_needed(name: str, output: str) -> None:
    assert output in _needs_exception(name)
