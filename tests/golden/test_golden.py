"""The generated texts are those that were reviewed."""

from __future__ import annotations

from functools import cache

import pytest

import losskit
from golden.update import HERE, texts

CURE = "if the change is wanted, run `make golden` and review the diff"


@cache
def made() -> dict[str, str]:
    """Return all texts as they are generated now."""
    return dict(texts())


@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_the_text_is_the_reviewed_one(name: str) -> None:
    for backend in ("numpy", "numba", "sql", "latex"):
        is_reviewed(f"{name}.{backend}.txt")


@pytest.mark.parametrize("name", losskit.names("rows"))
def test_the_text_of_rows_is_the_reviewed_one(name: str) -> None:
    is_reviewed(f"{name}.numpy.txt")


def is_reviewed(name: str) -> None:
    file = HERE / name
    assert file.exists(), f"{name} is missing: {CURE}"
    assert made()[name] == file.read_text("utf-8"), f"{name} differs: {CURE}"


def test_no_text_is_left_over() -> None:
    assert {path.name for path in HERE.glob("*.txt")} == set(made())
