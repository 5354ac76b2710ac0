"""Keras 3: the checks of `keras_*.py` on each back end that we serve; others are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BACKENDS = ("torch", "jax")
CHECKS = ("keras_values.py", "keras_training.py", "keras_mistakes.py", "keras_registry.py")
pytestmark = pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=TESTS,
        env={**os.environ, **environment}, timeout=1800,
    )  # fmt: skip


def run_checks(backend: str, which: str, **environment: str) -> None:
    words = ("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", which)
    done = python(*words, *CHECKS, KERAS_BACKEND=backend, **environment)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_on(backend: str) -> None:
    run_checks(backend, "not slow")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_loss_in_float64_on(backend: str) -> None:
    run_checks(backend, "slow", JAX_ENABLE_X64="1")


_REFUSED = """
import losskit
try:
    losskit.huber.to("keras")
except losskit.Unsupported as error:
    print(error)
"""


@pytest.mark.parametrize("backend", [pytest.param("numpy", marks=pytest.mark.slow), "tensorflow"])
def test_other_back_ends_are_refused(backend: str) -> None:
    done = python("-c", _REFUSED, KERAS_BACKEND=backend)
    assert backend in done.stdout, done.stderr
    assert "set the environment variable KERAS_BACKEND to torch or jax" in done.stdout


_IMPORTED = """
import keras, sys
before = {*sys.modules}
import losskit.keras
print(*{name.partition(".")[0] for name in {*sys.modules} - before})
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_importing_it_imports_no_framework_but_keras(backend: str) -> None:
    done = python("-c", _IMPORTED, KERAS_BACKEND=backend)
    assert "losskit" in done.stdout.split(), done.stderr
    assert not {"torch", "jax", "xgboost", "lightgbm", "catboost"} & {*done.stdout.split()}
