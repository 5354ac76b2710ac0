"""Every fault is found: a law that never turns red proves nothing."""

from __future__ import annotations

import re

import pytest

from laws.truth import truth
from mutants import faults
from mutants.rows_faults import ROWS_FAULTS
from mutants.ways import Fault

FAULTS = (*faults.FAULTS, *ROWS_FAULTS)
RED = (AssertionError, pytest.fail.Exception)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    truth.cache_clear()
    yield
    truth.cache_clear()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_the_fault_is_found(fault: Fault) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fault.breaks(patch)
        with pytest.raises((*RED, ValueError)) as caught:
            fault.law(fault.fresh())
    if isinstance(caught.value, ValueError):  # a call itself notices that a result is NaN
        assert re.search("has no (value|derivative)", str(caught.value))


@pytest.mark.parametrize(
    "fault", list({(f.law, f.loss): f for f in FAULTS}.values()), ids=lambda f: f.name
)
def test_without_the_fault_the_law_holds(fault: Fault) -> None:
    fault.law(fault.fresh())


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 15
    assert len({f.law for f in FAULTS}) >= 12
