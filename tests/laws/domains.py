"""Targets outside a loss's declared domain are refused, by name, place, value and cure."""

from __future__ import annotations

import math

import pytest

import losskit
from laws.samples import sample

OUTSIDE = (0.0, -1.0, -0.5, 0.5, 2.0, -3.0, math.inf, -math.inf)


def law_targets_outside_are_refused(loss: losskit.Loss, tier: str = "numpy") -> None:
    """The error names the argument, the first index, the value and how many there are."""
    for value in (v for v in OUTSIDE if not loss.target_domain.contains(v)):
        y, f = sample(loss, 9)
        y[5] = y[7] = value
        with pytest.raises(ValueError, match=r"y_true\[5\] = ") as caught:
            loss(y, f, raw=True, tier=tier)
        text = str(caught.value)
        assert f"{value:g}" in text
        assert loss.name in text
        assert "2 such values" in text
        assert "\n" not in text
        y[5] = y[7] = 1.0
        assert math.isfinite(loss(y, f, raw=True, tier=tier))
