"""Results for rows against the oracle; never NaN, limits, both tiers."""

from __future__ import annotations

import numpy as np
import pytest

import losskit
from laws import rows_accuracy as laws
from laws import rows_cases

ROWS = rows_cases.names("rows")
COMPILED = [loss for loss in rows_cases.every_setting("rows") if loss.definition.kernel]
FAST = 13  # one row for each extreme score


@pytest.mark.parametrize("name", ROWS)
def test_float64_is_the_truth(name: str) -> None:
    loss = losskit.get(name)
    laws.law_accuracy(loss, laws.extreme(loss, FAST), wanted=("value", "gradient"))


@pytest.mark.parametrize("name", rows_cases.stratified())
def test_float32_is_the_truth(name: str) -> None:
    loss = losskit.get(name)
    laws.law_accuracy(loss, laws.extreme(loss, FAST), np.float32, ("value", "gradient"))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_every_setting_is_the_truth(loss: losskit.Loss, dtype: type) -> None:
    laws.law_accuracy(loss, laws.extreme(loss, 26), dtype)
    laws.law_accuracy(loss, laws.draw(loss, 6, seed=1, size=30.0, soft=True), dtype)


@pytest.mark.parametrize("loss", rows_cases.every_setting(), ids=repr)
def test_never_nan(loss: losskit.Loss) -> None:
    laws.law_never_nan(loss, rows=60)


@pytest.mark.slow
@pytest.mark.parametrize("loss", rows_cases.every_setting(), ids=repr)
def test_never_nan_in_thousands_of_rows(loss: losskit.Loss) -> None:
    laws.law_never_nan(loss, seed=7, rows=2000 if loss.kind == "rows" else 100)


@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_infinite_scores_give_the_limit(loss: losskit.Loss) -> None:
    laws.law_limits(loss)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", COMPILED, ids=repr)
def test_the_compiled_tier_agrees(loss: losskit.Loss, dtype: type) -> None:
    laws.law_tiers_agree(loss, dtype)


def test_cross_entropy_is_compiled() -> None:
    assert "cross_entropy" in {loss.name for loss in COMPILED}
