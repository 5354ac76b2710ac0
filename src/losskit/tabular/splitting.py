"""Which rows a model is tested on."""

from __future__ import annotations

import numpy as np

from losskit.arrays import Array


def split_rows(rows: int, share: float, seed: int, classes: Array | None) -> tuple[Array, Array]:
    """Return the rows to fit and the rows to test, each in order, drawn by `seed`.

    `classes` (n,) of 0, 1, … have the same share in both; of each, a row at least is fitted.

    >>> fitted, tested = split_rows(10, 0.3, 0, np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]))
    >>> len(fitted), len(tested)
    (7, 3)
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows)
    groups = np.zeros(rows, np.intp) if classes is None else classes
    tested = np.zeros(rows, bool)
    for code, count in enumerate(_counts(np.bincount(groups), share)):
        tested[order[groups[order] == code][:count]] = True
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def _counts(sizes: Array, share: float) -> list[int]:
    """Return how many of each class to test: the largest remainders are rounded up."""
    wanted = sizes * share
    counts = np.floor(wanted).astype(int)
    left = round(float(wanted.sum())) - int(counts.sum())
    for code in np.argsort(counts - wanted, kind="stable")[:left]:
        counts[code] += 1
    return np.minimum(counts, np.maximum(sizes - 1, 0)).tolist()
