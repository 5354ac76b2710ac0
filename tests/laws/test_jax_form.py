"""Losses in JAX are what they are in NumPy, in value, gradient and Hessian."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import losskit
from laws import jax_form

# A loss with a link, one with a corner, and one of classes: XLA takes a second or two for each.
STRATUM = ("binary_cross_entropy", "cross_entropy", "quantile")


@cache
def differing(*names: str) -> dict[str, list[str]]:
    """Return what differs by loss, from a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-m", "laws.jax_form", *names],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1], timeout=3000,
    )  # fmt: skip
    if answer.returncode:  # remembered, so that not every test runs it again
        return {repr(loss): [answer.stderr[-800:]] for loss in jax_form.every_setting()}
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", STRATUM)
def test_jax_is_numpy(name: str) -> None:
    pytest.importorskip("jax")
    assert differing(*STRATUM)[repr(losskit.get(name))] == []


@pytest.mark.slow
@pytest.mark.parametrize("loss", jax_form.every_setting(), ids=repr)
def test_jax_is_numpy_at_every_setting(loss: losskit.Loss) -> None:
    pytest.importorskip("jax")
    assert differing()[repr(loss)] == []
