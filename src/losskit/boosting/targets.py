"""Targets as the boosting libraries keep them, and errors that say in whose targets they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from losskit.arrays import Array

_LARGEST = float(np.finfo(np.float32).max)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Let a ValueError begin with the name of the data it is about, as `eval_set[1]`."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def check_single(y: Array, kept: Array | None = None, name: str = "y") -> None:
    """Raise ValueError at the first target that float32, in which all hosts keep them, lacks.

    `kept` says which rows of the user's these are, if not all.
    """
    beyond = np.isfinite(y) & (np.abs(y) > _LARGEST)
    if beyond.any():
        row, *column = (int(place[0]) for place in np.nonzero(beyond))
        value = y[row, column[0]] if column else y[row]
        at = [row if kept is None else int(kept[row]), *column]
        raise ValueError(
            f"{name}{at} is {value:g}, beyond ±{_LARGEST:.2g}: boosting libraries keep targets in "
            "float32; choose other units"
        )
