"""Losses as JAX functions: what `jax_behaviour` checks in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import jax_behaviour

_HERE = Path(__file__).parent


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with two devices to shard over, every warning being an error."""
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True, text=True, check=False, cwd=_HERE, timeout=900, env=flags,
    )  # fmt: skip


@cache
def failures(pace: str) -> dict[str, str]:
    """Return what failed, by check."""
    answer = python("jax_behaviour.py", pace)
    if answer.returncode:
        return dict.fromkeys(jax_behaviour.names(), answer.stderr[-1500:])
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", [n for n in jax_behaviour.names() if n not in jax_behaviour.SLOW])
def test_promise(name: str) -> None:
    pytest.importorskip("jax")
    assert failures("fast")[name] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(jax_behaviour.SLOW))
def test_slow_promise(name: str) -> None:
    pytest.importorskip("jax")
    assert failures("slow")[name] == ""


@pytest.mark.slow
def test_single_precision_is_the_default() -> None:
    pytest.importorskip("jax")
    answer = python("-c", _SINGLE)
    assert answer.stdout.split() == ["float32", "float32", "True"], answer.stderr


_SINGLE = """
import jax, numpy as np, losskit, losskit.jax
y, f = np.random.default_rng(0).normal(size=(2, 1000))
loss = losskit.jax.function("log_cosh")
value, slope = jax.jit(jax.value_and_grad(loss, 1))(y, f)
ours, slopes = losskit.log_cosh.value_and_gradient(y, f)
print(value.dtype, slope.dtype, abs(value - ours) < 1e-6 and abs(slope - slopes).max() < 1e-9)
"""
