"""JAX's own derivatives of the generated text are ours."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import losskit
from laws import rows_cases

STRATUM = tuple(name for name in rows_cases.names("rows") if name in rows_cases.STRATUM)


@cache
def differing(*names: str) -> dict[str, list[str]]:
    """Return what differs by loss, from a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-m", "laws.rows_jax", *names], capture_output=True, text=True,
        check=False, cwd=Path(__file__).parents[1], timeout=900,
    )  # fmt: skip
    if answer.returncode:  # remembered, so that not every test runs it again
        return {repr(loss): [answer.stderr[-500:]] for loss in rows_cases.every_setting("rows")}
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", STRATUM)
def test_jax_agrees(name: str) -> None:
    pytest.importorskip("jax")
    assert differing(*STRATUM)[repr(losskit.get(name))] == []


@pytest.mark.slow
@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_jax_agrees_at_every_setting(loss: losskit.Loss) -> None:
    pytest.importorskip("jax")
    assert differing()[repr(loss)] == []
