"""What a loss states of its shape is not falsified."""

from __future__ import annotations

import pytest

import losskit
from laws import cases, shape


@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_shape(loss: losskit.Loss) -> None:
    shape.law_properties_are_not_falsified(loss)
    shape.law_a_convex_loss_lies_below_its_chords(loss)
