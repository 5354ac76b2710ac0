"""The failures that other libraries have without a word do not happen with losskit.

Each row of `silent.rows` is run in the library, so that the page that shows it stays true, in
losskit by NumPy, and in losskit's adapter for the library.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from silent.ours import formulas, numpys
from silent.rows import PLACES, PROCESSES, ROWS, WITHOUT_ADAPTER, Row

ADAPTED = [i for i, row in enumerate(ROWS) if row.by not in ("formula", *WITHOUT_ADAPTER)]
# Each process imports a library, some of them for seconds.
SLOW = ("keras", "optax", "jax", "keras-numpy", "lightgbm")


def _cases(numbers: Any) -> list[Any]:
    return [
        pytest.param(
            i, id=f"{ROWS[i].by}-{ROWS[i].what}-{i}",
            marks=pytest.mark.slow if ROWS[i].by in SLOW else (),
        )
        for i in numbers
    ]  # fmt: skip


@cache
def outside(*places: str) -> dict[str, Any]:
    """Return what libraries and adapters give by a row's number, from a process of their own."""
    answer = subprocess.run(
        [sys.executable, "-m", "silent.run", *places], capture_output=True, text=True,
        check=False, cwd=Path(__file__).parent, timeout=600,
    )  # fmt: skip
    if answer.returncode:  # remembered, so that not every test runs it again
        return {"failed": answer.stderr[-2000:]}
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def found(number: int) -> dict[str, Any]:
    """Return what a row's library and adapter give."""
    row = ROWS[number]
    for package in PLACES[row.by][1]:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    made = outside(*next(places for places in PROCESSES if row.by in places))
    if "failed" in made:
        pytest.fail(made["failed"])
    return dict(made[str(number)])


@pytest.mark.parametrize("number", _cases(range(len(ROWS))))
def test_the_library_still_does_it(number: int) -> None:
    row = ROWS[number]
    made = formulas(row) if row.by == "formula" else found(number)["theirs"]
    for what, expected in row.does.items():
        assert _same(made[what], expected, 1e-3), (
            f"{row.what}: {what} is {made[what]}, not {expected}; if the library was mended, say "
            "so in the table"
        )


@pytest.mark.parametrize(
    "number", [pytest.param(i, id=f"{r.what}-{i}") for i, r in enumerate(ROWS)]
)
def test_losskit_does_not(number: int) -> None:
    row = ROWS[number]
    assert_right(row, numpys(row), row.right)


@pytest.mark.parametrize("number", _cases(ADAPTED))
def test_nor_does_its_adapter(number: int) -> None:
    row = ROWS[number]
    # Of the options that some rows pass, adapters have not all.
    right = numpys(row, options={}) if row.options else row.right
    assert_right(row, found(number)["adapter"], right)


def test_rows_are_failures() -> None:
    for row in ROWS:
        if isinstance(row.right, str):
            continue
        shared = row.does.keys() & row.right.keys()
        differs = [not _same(row.does[what], row.right[what], 0.01) for what in shared]
        assert any(differs), row.what


def assert_right(row: Row, made: Any, right: Mapping[str, float] | str) -> None:
    """Check numbers, or an error's message."""
    if isinstance(right, str):
        assert isinstance(made, str), f"no error, but {made}"
        assert right in made
        return
    assert not isinstance(made, str), made
    tolerance = 1e-12 if row.dtype == "float64" else 1e-3 if row.dtype == "float16" else 2e-6
    for what, expected in right.items():
        if what in made:
            assert _same(made[what], expected, tolerance), f"{what} is {made[what]}, not {expected}"


def _same(made: float, expected: float, tolerance: float) -> bool:
    if math.isnan(expected):
        return math.isnan(made)
    return made == expected or math.isclose(made, expected, rel_tol=tolerance, abs_tol=1e-300)
