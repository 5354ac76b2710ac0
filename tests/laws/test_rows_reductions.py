"""Weights, masks, reductions and parts of every loss over an axis and every written one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import losskit
from laws import rows_cases
from laws import rows_reductions as laws

LAWS = (
    laws.law_reductions,
    laws.law_weights_multiply,
    laws.law_integer_weights_are_repeated_rows,
    laws.law_left_out_means_left_out,
    laws.law_masked_items_are_left_out,
    laws.law_nothing_counts,
    laws.law_parts_add_up,
    laws.law_ignored_and_weighted_classes,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", rows_cases.names())
def test_reductions(name: str, law: Callable[[losskit.Loss], None]) -> None:
    law(losskit.get(name))


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("loss", rows_cases.every_setting(), ids=repr)
def test_reductions_at_every_setting(
    loss: losskit.Loss, law: Callable[[losskit.Loss], None]
) -> None:
    law(loss)
