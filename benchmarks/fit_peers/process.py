"""The main process's end of a worker: starts it in its environment, asks, and waits so long."""

from __future__ import annotations

import json
import os
import select
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from .environments import interpreter

THREADS = 2
HERE = Path(__file__).parent
_THREAD_NAMES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "LOSSKIT")


class TimedOut(Exception):
    """The worker took longer than its cap and was ended."""


class Unsupported(Exception):
    """The peer does not solve this problem, for the reason given."""


def environment(foreign: bool) -> dict[str, str]:
    """Return the variables of a worker: two threads everywhere, none of our import path abroad."""
    found = {**os.environ, **{f"{name}_NUM_THREADS": str(THREADS) for name in _THREAD_NAMES}}
    if foreign:
        found.pop("PYTHONPATH", None)
    return found


@dataclass
class Worker:
    """One contender's process.  It starts when first asked, and again after it had to be ended."""

    label: str
    env: str | None
    module: str
    variant: str
    scratch: Path
    versions: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _task: dict[str, Any] | None = None

    def load(self, task: dict[str, Any], cap: float = 600) -> None:
        """Give it the problem; the warm-up fit, and so all compilation, happens here."""
        self._task = task
        self.versions = self._ask({"do": "load", "task": task}, cap)["versions"]

    def fit(self, tol: float, cap: float, repeat: int = 1) -> tuple[list[float], np.ndarray]:
        """Return the seconds of each of `repeat` fits at tol, and coefficients (n_alphas, d)."""
        if self._process is None and self._task is not None:
            self.load(self._task)
        out = self.scratch / f"{self.label.replace(' ', '-')}.npy"
        request = {"do": "fit", "tol": tol, "out": str(out), "repeat": repeat}
        reply = self._ask(request, cap * repeat)
        return reply["seconds"], np.load(out)

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process = None

    def _ask(self, request: dict[str, Any], cap: float) -> dict[str, Any]:
        process = self._started()
        stdin, stdout = _pipes(process)
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
        if not select.select([stdout], [], [], cap)[0]:
            self.end()
            raise TimedOut(f"more than {cap:.0f} s")
        line = stdout.readline()
        if not line:
            self.end()
            raise RuntimeError(f"{self.label} ended; see {self._log()}")
        reply = json.loads(line)
        if "unsupported" in reply:
            raise Unsupported(reply["unsupported"])
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [str(interpreter(self.env)), "-u", str(HERE / "worker.py")]
            command += [self.module, self.variant]
            with self._log().open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment(foreign=self.env is not None),
                )
        return self._process

    def _log(self) -> Path:
        return self.scratch / f"{self.label.replace(' ', '-')}.log"


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout
