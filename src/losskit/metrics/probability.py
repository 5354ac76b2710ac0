"""Metrics of predicted probabilities: Brier score, calibration, perplexity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from losskit.arrays import Array, numeric
from losskit.metrics.definition import Count, Label, metric
from losskit.metrics.rows import Data, probabilities, read
from losskit.reduction import ratio, total


@metric(better="lower", takes="probabilities", surrogate="cross_entropy")
def brier(data: Data, *, positive: Label = None) -> float:
    """The mean squared distance of probabilities from what happened.

    `y_pred` holds probabilities of the `positive` class (1 where labels are 0 and 1, or −1 and 1),
    scored (p − y)² in [0, 1]; or has a last axis of classes, whose indices `y_true` holds, scored
    Σ(p − y)² in [0, 2]. Two columns are scored as one, as in scikit-learn's `brier_score_loss`.

    >>> import losskit.metrics
    >>> losskit.metrics.brier([0, 1], [0.5, 1.0])
    0.125
    """
    # scikit-learn's judges row sums by the type passed and warns for float16 and float32 here.
    rows = probabilities(data, positive)
    happened = rows.y[:, None] == np.arange(rows.f.shape[1])
    each = ((rows.f - happened) ** 2).sum(axis=1)
    return _mean(each if rows.f.shape[1] > 2 else each / 2, rows.weight)


@metric(better="lower", takes="probabilities", surrogate="cross_entropy", aliases=("ece",))
def expected_calibration_error(data: Data, *, bins: Count = 15, positive: Label = None) -> float:
    """How far confidence is from accuracy, on average over bins of equal width.

    The confidence is the probability of the predicted class, so at least one half of two; a bin
    holds (lower, upper]. Data are passed as to `brier`. Guo et al. 2017, On calibration of modern
    neural networks.

    >>> import losskit.metrics
    >>> losskit.metrics.expected_calibration_error([1, 1, 0, 1], [0.75, 0.75, 0.75, 0.75])
    0.0
    """
    rows = probabilities(data, positive)
    confidence = rows.f.max(axis=1)
    right = rows.f.argmax(axis=1) == rows.y
    inner = np.arange(1, bins) / bins
    place = np.digitize(confidence, inner, right=True)
    # In each bin Σw·|accuracy − confidence| = |Σw(right − confidence)|.
    gaps = np.bincount(place, weights=rows.weight * (right - confidence))
    return ratio(total(np.abs(gaps)), total(rows.weight))


@metric(better="lower", takes="probabilities", surrogate="cross_entropy")
def perplexity(data: Data) -> float:
    """Among how many equally likely classes the model in effect chooses: exp of the mean
    cross-entropy in nats.

    Data are those of `losskit.log_loss`: class indices and a last axis of class probabilities (or
    with `raw=True` logits); mask padding. Probabilities are clipped as there: one of 0 where the
    class occurs counts as eps. Of token log-probabilities see `perplexity_of_tokens`.

    >>> import losskit.metrics
    >>> round(losskit.metrics.perplexity([0], [[0.7, 0.2, 0.1]]), 6)
    1.428571
    """
    from losskit.catalogue import get

    options = {"sample_weight": data.sample_weight, "mask": data.mask, "raw": data.raw}
    return _exp(get("log_loss")(data.y_true, data.y_pred, **options))


def perplexity_of_tokens(y_pred: Any, *, sample_weight: Any = None, mask: Any = None) -> float:
    """Return the perplexity of text from the log-probabilities of the tokens that occurred.

    `y_pred` holds them in any shape, in nats (natural logarithms, ≤ 0); −inf gives infinity.
    Masked tokens (mask False) and those of weight 0 do not count. Raises ValueError for NaN and for
    values above 0, with the first index.

    >>> import losskit.metrics, math
    >>> round(losskit.metrics.perplexity_of_tokens([math.log(0.5), math.log(0.125)]), 6)
    4.0
    """
    shape = numeric("y_pred", y_pred).shape
    data = Data("perplexity_of_tokens", np.zeros(shape), y_pred, sample_weight, mask)
    rows = read(data, classes=False, text=False)
    # A sum over classes rounds to a little above 1, so its logarithm to a little above 0.
    rows.refuse("y_pred", rows.f > math.sqrt(rows.eps), "is no logarithm of a probability")
    return _exp(-_mean(rows.f, rows.weight))


def _mean(values: Array, weight: Array) -> float:
    return ratio(total(weight * values), total(weight))


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
