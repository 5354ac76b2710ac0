"""Throw-away environments of peers that cannot share one with us: adelie needs NumPy 1.26."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = {
    "adelie": ["adelie", "numpy<2"],
    "celer": ["celer"],
    "skglm": ["skglm"],
    "python-glmnet": ["python-glmnet"],
}


def folder() -> Path:
    """Return where the environments lie: BENCH_ENVS, else the user's cache."""
    if given := os.environ.get("BENCH_ENVS"):
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("losskit") / "bench-envs"


def interpreter(peer: str | None) -> Path:
    """Return the Python that has the peer, made if it lacks; None means this one."""
    if peer is None:
        return Path(sys.executable)
    python = folder() / peer / "bin" / "python"
    if not _has(python, peer):
        print(f"making an environment for {peer} in {python.parent.parent}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *REQUIREMENTS[peer]], check=True)
    return python


def _has(python: Path, package: str) -> bool:
    if not python.exists():
        return False
    code = f"import importlib.metadata as m; m.version({package!r})"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
