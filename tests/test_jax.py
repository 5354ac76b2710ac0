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
import jax_common

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
        return dict.fromkeys(jax_behaviour.CHECKS, answer.stderr[-1500:])
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", [n for n in jax_behaviour.CHECKS if n not in jax_common.SLOW])
def test_promise(name: str) -> None:
    pytest.importorskip("jax")
    assert failures("fast")[name] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(jax_common.SLOW))
def test_slow_promise(name: str) -> None:
    pytest.importorskip("jax")
    assert failures("slow")[name] == ""


@pytest.mark.slow
def test_single_precision_is_the_default() -> None:
    pytest.importorskip("jax")
    answer = python("-c", _SINGLE)
    assert answer.stdout.split() == ["float32", "float32", "True"], answer.stderr


@pytest.mark.slow
def test_numbers_beyond_single_precision_are_kept_or_refused() -> None:
    pytest.importorskip("jax")
    answer = python("-c", _BEYOND)
    assert answer.stdout.split() == ["0.0", "1.0", "class", "NaN"], answer.stderr


_SINGLE = """
import jax, numpy as np, losskit, losskit.jax
y, f = np.random.default_rng(0).normal(size=(2, 1000))
loss = losskit.jax.function("log_cosh")
value, slope = jax.jit(jax.value_and_grad(loss, 1))(y, f)
ours, slopes = losskit.log_cosh.value_and_gradient(y, f)
print(value.dtype, slope.dtype, abs(value - ours) < 1e-6 and abs(slope - slopes).max() < 1e-9)
"""

_BEYOND = """
import numpy as np, losskit, losskit.jax
y, squared = np.array([2**32 + 1, 2**31 + 5]), losskit.jax.function("squared_error")
print(squared(y, y.astype(float)))  # JAX would take them as 1 and −2147483643
print(squared([1.0, 2.0], [2.0, 4.0], sample_weight=y * np.array([1, 0])))
try:
    losskit.jax.function("cross_entropy")(np.array([2**32 + 1, 2]), np.eye(2, 4), raw=True)
except ValueError as why:
    print("class" * ("class index" in str(why)))
try:
    squared([1.0, 2.0], [2.0, 4.0], sample_weight=[1e-50, 1e-50])
except ValueError as why:
    print("NaN" * ("is NaN, though NumPy can score" in str(why)))
"""
