"""Class probabilities out of raw scores, for the losses whose minimum tells them: the proper ones.

A loss of two classes with slopes ℓ′₋ and ℓ′₊ at a score f is least in the mean, where the second
class has probability p, where (1 − p)·ℓ′₋(f) + p·ℓ′₊(f) = 0. So its slopes say which probability a
score stands for, p = ℓ′₋/(ℓ′₋ − ℓ′₊), and whether another score would stand for it as well, as
every score between −1 and 1 does for the hinge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.fit.inputs.targets import Coding
from losskit.formula.expr import Unsupported
from losskit.optimum import inverse

_PROBES = (0.03, 0.2, 0.5, 0.9)
_SHARES = ((0.7, 0.2, 0.1), (0.15, 0.25, 0.6))


def probabilities(loss: Any, coding: Coding, scores: Array, columns: bool) -> Array:
    """Return probabilities (n, K) of classes, or (n, L) of labels, from raw scores (n, outputs).

    Of classes that were each fitted against the rest they are divided by their sum.
    """
    one = estimator_of(loss, coding)
    assert one is not None
    made = one(scores)
    if columns or coding.layout == "index":
        return made
    if coding.layout == "one":
        return np.column_stack([1 - made[:, 0], made[:, 0]])
    sums = made.sum(axis=1, keepdims=True)
    return np.where(sums > 0, made / np.where(sums > 0, sums, 1.0), 1 / made.shape[1])


@lru_cache(maxsize=256)
def estimator_of(loss: Any, coding: Coding) -> Callable[[Array], Array] | None:
    """Return the function from raw scores to probabilities, None where the loss has none."""
    if coding.layout == "index":
        return _over_classes(loss)
    if coding.layout == "labels":
        return _sigmoid if _labels_are_proper(loss) else None
    if loss.link.name == "logit" and coding.negative == 0.0:
        return _sigmoid if _logits_are_proper(loss) else None
    return _by_slopes(loss, coding.negative)


def softmax(scores: Array) -> Array:
    """Return the softmax of each row."""
    from scipy import special

    return np.asarray(special.softmax(scores, axis=1))


def _sigmoid(scores: Array) -> Array:
    from losskit.links import LINKS

    return inverse(LINKS["logit"], scores)


def _logits_are_proper(loss: Any) -> bool:
    """Whether the sigmoid of the best constant score is the probability that the target has."""
    p = np.array(_PROBES)
    f = np.log(p) - np.log1p(-p)
    up = p * loss.gradient(np.ones_like(p), f, raw=True, reduction="none")
    down = (1 - p) * loss.gradient(np.zeros_like(p), f, raw=True, reduction="none")
    return _cancel(up, down)


def _labels_are_proper(loss: Any) -> bool:
    """As `_logits_are_proper`, for two labels that do not depend on each other."""
    y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for p in ((0.2, 0.7), (0.5, 0.05)):
        f = np.tile(np.log(p) - np.log1p(-np.array(p)), (4, 1))
        chance = np.prod(np.where(y == 1, p, 1 - np.array(p)), axis=1)
        slopes = loss.gradient(y, f, raw=True, reduction="sum", sample_weight=chance)
        for column, on in zip(slopes.T, (y == 1).T, strict=True):
            if not _cancel(column[on].sum(), column[~on].sum()):
                return False
    return loss.link.name == "logit"


def _over_classes(loss: Any) -> Callable[[Array], Array] | None:
    """Softmax, or what else the loss's own slope shows to be its estimate."""
    slopes = _slopes_of_first if loss.link.name == "identity" else softmax
    for shares in _SHARES:
        p = np.array(shares)
        f = np.tile(np.log(p) if slopes is softmax else p, (p.size, 1))
        moved = loss.gradient(np.arange(p.size), f, raw=True, reduction="sum", sample_weight=p)
        for k, column in enumerate(moved.T):
            if not _cancel(column[k], np.delete(column, k).sum()):
                return None
    if slopes is softmax:
        return softmax
    return lambda scores: _slopes_of_first(loss, scores)


def _slopes_of_first(loss: Any, scores: Array) -> Array:
    """Return p where the slopes of a loss are p − e_y, as those of every Fenchel–Young loss are."""
    made = loss.gradient(np.zeros(len(scores), np.intp), scores, raw=True, reduction="none")
    made[:, 0] += 1.0
    return np.clip(made, 0.0, 1.0)


def _by_slopes(loss: Any, negative: float) -> Callable[[Array], Array] | None:
    def one(scores: Array) -> Array:
        flat = np.clip(scores, -300.0, 300.0)  # beyond, a slope may be 0 or infinite on both sides
        down = loss.gradient(np.full_like(flat, negative), flat, raw=True, reduction="none")
        up = loss.gradient(np.ones_like(flat), flat, raw=True, reduction="none")
        with np.errstate(all="ignore"):
            p = down / (down - up)
        return np.where(np.isfinite(p), np.clip(p, 0.0, 1.0), flat > 0)

    try:
        p = one(np.linspace(-3.0, 3.0, 241))
    except Unsupported:
        return None
    inside = (p > 0) & (p < 1)
    steps = np.diff(p)
    rises = (steps > 0) | ~(inside[1:] | inside[:-1])
    # A step from 0 to 1 tells classes and no probabilities.
    return one if rises.all() and steps.max() < 0.2 and p[0] < 0.1 and p[-1] > 0.9 else None


def _cancel(one: Any, other: Any) -> bool:
    size = np.abs(one) + np.abs(other)
    return bool((np.abs(one + other) <= 1e-9 * size).all() and np.all(size > 0))
