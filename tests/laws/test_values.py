"""A loss is a value and describes itself."""

from __future__ import annotations

import pytest

import losskit
from laws import cases, values


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_a_loss_is_a_value(loss: losskit.Loss) -> None:
    values.law_a_loss_is_a_value(loss)


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_a_loss_travels_as_a_graph(loss: losskit.Loss) -> None:
    values.law_travels_as_a_graph(loss)


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_a_loss_describes_itself(loss: losskit.Loss) -> None:
    values.law_describes_itself(loss)
