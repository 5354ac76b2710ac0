"""One peer in one long-lived process: `python worker.py MODULE VARIANT`, JSON lines in and out.

Runs in the peer's own environment, so it needs the standard library, NumPy and SciPy only.  A
module `with_PEER.py` beside this file says in `LAYOUT` which memory layout the peer likes ("C" or
"F"; CSR or CSC for sparse data), and in `fitter(variant, task, x, y)` how it fits: a function of
the peer's own tolerance that returns coefficients (n_alphas, d).  What `fitter` itself does is not
timed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

Message = dict[str, Any]
_SPARSE = ("data", "indices", "indptr")


def main() -> None:
    """Answer requests until standard input ends."""
    name, variant = sys.argv[1:3]
    # Peers print; the protocol's line must stay the only thing on the pipe.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # each low rung of a ladder warns of no convergence
    peer = importlib.import_module(name)
    fit: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "load":
                fit = prepared(peer, variant, request["task"])
                reply: Message = {"versions": versions(peer.PACKAGES)}
            else:
                reply = timed(fit, request)
        except NotImplementedError as error:
            reply = {"unsupported": str(error)}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(reply), file=answers)


def prepared(peer: Any, variant: str, task: Message) -> Any:
    """Return the peer's fit of the task, after it compiled and warmed up on a small slice."""
    x, y = load(Path(task["data"]), peer.LAYOUT)
    sparse = not isinstance(x, np.ndarray)
    few = x[:600, : 200 if sparse else 20]
    if not sparse:
        few = np.asarray(few, order=peer.LAYOUT)
    labels = y[:600]
    centre = 0.5 if task["loss"] == "logistic" else 0.0
    slope = np.abs(few.T @ (labels - centre)).max() / len(labels)  # alpha_max for l1_ratio 1
    alphas = [a * slope / max(task["l1_ratio"], 0.1) for a in (0.5, 0.3, 0.2)]
    small = {**task, "alphas": alphas if len(task["alphas"]) > 1 else alphas[:1]}
    peer.fitter(variant, small, few, labels)(1e-4)
    return peer.fitter(variant, task, x, y)


def load(folder: Path, layout: str) -> tuple[Any, np.ndarray]:
    """Return matrix and target; sparse data were saved as CSR."""
    y = np.load(folder / "y.npy")
    if (folder / "X.npy").exists():
        return np.asarray(np.load(folder / "X.npy"), order=layout), y  # type: ignore[call-overload]
    from scipy.sparse import csr_matrix

    parts = tuple(np.load(folder / f"X_{part}.npy") for part in _SPARSE)
    shape = tuple(np.load(folder / "X_shape.npy").tolist())
    x = csr_matrix(parts, shape=shape)
    return (x if layout == "C" else x.tocsc()), y


def timed(fit: Any, request: Message) -> Message:
    """Fit `repeat` times; the seconds of each, and the last coefficients as a file."""
    seconds = []
    for _ in range(request.get("repeat", 1)):
        start = time.perf_counter()
        coefficients = fit(request["tol"])
        seconds.append(time.perf_counter() - start)
    np.save(request["out"], np.atleast_2d(np.asarray(coefficients, dtype=np.float64)))
    return {"seconds": seconds}


def versions(packages: list[str]) -> dict[str, str]:
    """Return the installed version of each package."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}


if __name__ == "__main__":
    main()
