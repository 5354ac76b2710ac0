"""What other libraries find for `class_peers`' data, from one process of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


@cache
def found_by(library: str) -> dict[str, Any]:
    """Return a library's losses by case; skips the test where it is not installed."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "class_peers", library],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))
