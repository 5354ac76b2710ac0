"""What must not matter does not; and losses over an axis are values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import losskit
from laws import rows_cases, rows_values
from laws import rows_symmetries as laws

EVERYWHERE = (
    laws.law_order_of_rows,
    laws.law_order_of_classes,
    laws.law_shift,
    laws.law_prediction_scale,
    laws.law_certain_predictions,
    laws.law_index_is_one_hot,
    rows_values.law_a_loss_is_a_value,
    rows_values.law_travels_as_a_graph,
)
ONCE = (
    laws.law_dtypes,
    laws.law_results_do_not_alias_or_change_data,
    laws.law_layout,
    rows_values.law_describes_itself,
    rows_values.law_text_does_not_depend_on_the_past,
    rows_values.law_wrong_data_is_refused,
)


@pytest.mark.parametrize("law", EVERYWHERE, ids=lambda law: law.__name__)
@pytest.mark.parametrize("loss", rows_cases.every_setting(), ids=repr)
def test_at_every_setting(loss: losskit.Loss, law: Callable[[losskit.Loss], None]) -> None:
    law(loss)


@pytest.mark.parametrize("law", ONCE, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", rows_cases.names())
def test_once(name: str, law: Callable[[losskit.Loss], None]) -> None:
    law(losskit.get(name))
