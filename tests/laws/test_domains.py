"""What lies outside a loss's declared domain is an error that says what, where and what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

import losskit
from laws import cases
from laws.domains import law_targets_outside_are_refused
from laws.samples import sample
from losskit.formula.domain import BINARY, SIGN, UNIT

TIERS = ("numpy", "numba")
IN_BOTH_TIERS = [
    pytest.param(*name.values, tier, marks=name.marks if tier == "numba" else ())
    for name in cases.stratified()
    for tier in TIERS
]


@pytest.mark.parametrize(("name", "tier"), IN_BOTH_TIERS)
def test_targets_outside_are_refused(name: str, tier: str) -> None:
    law_targets_outside_are_refused(losskit.get(name), tier)


@pytest.mark.parametrize(("name", "tier"), IN_BOTH_TIERS)
def test_predictions_outside_are_refused(name: str, tier: str) -> None:
    loss = losskit.get(name)
    domain = loss.prediction_domain()
    for value in (1.2, -0.1, -1.0, -2.0):
        if domain.contains(value):
            continue
        y, f = sample(loss, 9)
        p = np.full(f.shape, 0.5)
        p.reshape(9, -1)[4, -1 if len(loss.outputs) > 1 else 0] = value
        with pytest.raises(ValueError, match=r"y_pred\[4\] = ") as caught:
            loss(y, p, tier=tier)
        assert f"{value:g}" in str(caught.value)
        if loss.link != "identity" and name != "msle":
            assert "raw=True" in str(caught.value)


@pytest.mark.parametrize(("name", "tier"), IN_BOTH_TIERS)
def test_nan_is_refused_where_it_stands(name: str, tier: str) -> None:
    loss = losskit.get(name)
    y, f = sample(loss, 9)
    y[3] = np.nan
    with pytest.raises(ValueError, match=r"y_true\[3\] = nan .*nan='omit'"):
        loss(y, f, raw=True, tier=tier)
    y, f = sample(loss, 9)
    f[8] = np.nan
    with pytest.raises(ValueError, match=r"y_pred\[8(, 0)?\] = nan .*nan='omit'"):
        loss(y, f, raw=True, tier=tier)


@pytest.mark.parametrize("name", cases.names())
def test_the_other_label_encoding_is_refused(name: str) -> None:
    loss = losskit.get(name)
    domain = loss.target_domain
    if domain == SIGN:
        labels, cure = np.array([0, 1, 1, 0]), r"2\*y - 1"
    elif domain in (BINARY, UNIT):
        labels, cure = np.array([-1, 1, 1, -1]), r"\(y \+ 1\)/2"
    else:
        return
    with pytest.raises(ValueError, match=cure):
        loss(labels, np.zeros(4), raw=True)
    with pytest.raises(ValueError, match=cure):
        loss(labels.astype(float), np.zeros(4), raw=True)


@pytest.mark.parametrize("name", cases.names())
def test_booleans_are_zero_and_one(name: str) -> None:
    loss = losskit.get(name)
    if loss.target_domain in (BINARY, UNIT):
        y = np.array([True, False, True])
        assert loss(y, np.zeros(3), raw=True) == loss(y.astype(float), np.zeros(3), raw=True)


@pytest.mark.parametrize("name", cases.names())
def test_parameters_outside_are_refused(name: str) -> None:
    loss = losskit.get(name)
    for parameter in loss.definition.parameters:
        for value in (-1.0, 0.0, 1.0, 1.5, -math.inf, math.inf, math.nan):
            if not parameter.domain.contains(value):
                with pytest.raises(ValueError, match=rf"{name}: {parameter.name}="):
                    loss(**{parameter.name: value})
        for wrong in ("1", True, [1.0], 1j):
            with pytest.raises(ValueError, match=rf"{name}: {parameter.name}="):
                loss(**{parameter.name: wrong})
