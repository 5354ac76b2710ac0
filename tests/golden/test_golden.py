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


@pytest.mark.parametrize("name", losskit.names())
def test_the_text_is_the_reviewed_one(name: str) -> None:
    for backend in ("numpy", "numba", "sql", "latex"):
        file = HERE / f"{name}.{backend}.txt"
        assert file.exists(), f"{file.name} is missing: {CURE}"
        assert made()[file.name] == file.read_text("utf-8"), f"{file.name} differs: {CURE}"


def test_no_text_is_left_over() -> None:
    assert {path.name for path in HERE.glob("*.txt")} == set(made())
