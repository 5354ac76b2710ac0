"""Checks of what a caller asks for, before a table is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from losskit.fit.fitting import Options
from losskit.tables import TableError

CROSS_VALIDATED = "cv"


def check_options(
    *,
    alpha: Any,
    l1_ratio: float,
    test_size: float,
    seed: int,
    folds: int,
    rule: str,
    tol: float,
    max_iter: int,
) -> None:
    """Raise TableError for the first option of a fit that is no such thing."""
    if not (isinstance(alpha, str) and alpha == CROSS_VALIDATED) and not _number(alpha, 0, np.inf):
        raise TableError(f"alpha is {alpha!r}; needed is 'cv' or a number of at least 0")
    if not _number(l1_ratio, 0, 1):
        raise TableError(f"l1_ratio is {l1_ratio!r}; needed is a number from 0 (L2) to 1 (L1)")
    if not _number(test_size, 0, 1) or test_size == 1:
        raise TableError(
            f"test_size is {test_size!r}; needed is a share of the rows, from 0 to below 1"
        )
    for name, value, least, most in (("seed", seed, 0, 2**32 - 1), ("folds", folds, 2, 2**32)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not least <= value <= most:
            raise TableError(
                f"{name} is {value!r}; needed is a whole number from {least} to {most}"
            )
    if rule not in ("min", "1se"):
        raise TableError(f"rule is {rule!r}; needed is 'min' or '1se'")
    try:
        Options(tol=tol, max_iter=max_iter)
    except ValueError as error:
        raise TableError(str(error)) from None


def check_output(output: str | os.PathLike[str], *inputs: str | os.PathLike[str]) -> None:
    """Raise TableError where a file cannot be written, or is one of those that are read."""
    path = Path(output)
    if not os.fspath(output):
        raise TableError("the name of the file to write is empty")
    if os.fspath(output) == "-":
        raise TableError("a model cannot be written to standard output; name a file")
    if path.is_dir():
        raise TableError(f"{os.fspath(output)!r} is a directory; name a file in it")
    if not path.parent.is_dir():
        raise TableError(f"{os.fspath(output)!r} cannot be written: there is no folder for it")
    if not os.access(path.parent, os.W_OK):
        raise TableError(f"{os.fspath(output)!r} cannot be written: its folder is read-only")
    for other in inputs:
        if path.exists() and os.path.exists(other) and os.path.samefile(path, other):
            raise TableError(f"{os.fspath(output)!r} is what is read; write to another file")


def _number(value: Any, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    return bool(np.isfinite(value) and low <= value <= high)
