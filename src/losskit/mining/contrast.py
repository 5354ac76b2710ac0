"""Contrasts of a batch: an anchor's positives have to be more similar to it than the others are."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.mining.tables import Rule, anchored, relations, similarities
from losskit.written import Examples, Refused

_LACKING = "no two rows share a label"


def batch_contrast(
    queries: Array,
    keys: Array,
    weight: Array | None,
    loss: Any,
    normalise: bool,
    symmetric: bool,
) -> Examples:
    """Return `loss`, a cross-entropy, of each query's similarities, where its own key is right."""
    if queries.shape[1] != keys.shape[1]:
        raise ValueError(
            f"info_nce: queries have {queries.shape[1]} features and keys {keys.shape[1]}; needed "
            "are as many"
        )
    table = similarities(queries, keys, normalise)
    cure = "take a larger one" if normalise else "pass normalise=True, or smaller vectors"
    made = anchored(table, _own_key(loss, cure), weight)
    if not symmetric:
        return made
    other = anchored(table.swapped, _own_key(loss, cure), weight)

    def backward(upstream: Array) -> tuple[Array, ...]:
        pairs = zip(made.backward(upstream / 2), other.backward(upstream / 2)[::-1], strict=True)
        return tuple(a + b for a, b in pairs)

    return Examples((made.values + other.values) / 2, made.weights, backward, rows=True)


def label_contrast(embeddings: Array, labels: Array, weight: Array | None, loss: Any) -> Examples:
    """Return `loss`, a cross-entropy, of each anchor's similarities, spread over its positives."""
    return anchored(similarities(embeddings), _all_positives(labels, loss), weight, _LACKING)


def pairwise_contrast(
    embeddings: Array, labels: Array, weight: Array | None, temperature: float
) -> Examples:
    """Return NT-Xent: each positive pair against the anchor's negatives alone."""

    def rule(s: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        same, others = relations(labels, rows)
        _check_range("embeddings", s, rows, temperature)
        z = s / temperature
        rival, shares = _logsumexp(z, others)
        gap = np.where(same, rival[:, None] - z, -np.inf)
        decay = np.exp(-np.abs(gap))
        sums = (np.maximum(gap, 0) + np.log1p(decay)).sum(axis=1)
        if not slopes:
            return sums, same.sum(axis=1), None
        doubt = np.where(gap < 0, decay, 1) / (1 + decay)  # of a positive: 1 − its probability
        by_z = shares * doubt.sum(axis=1, keepdims=True) - doubt
        return sums, same.sum(axis=1), by_z / temperature

    return anchored(similarities(embeddings), rule, weight, _LACKING)


def similarity_excess(
    embeddings: Array, labels: Array, weight: Array | None, alpha: float, beta: float, base: float
) -> Examples:
    """Return the multi-similarity loss: positives below `base` and negatives above, softly."""

    def rule(s: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        same, others = relations(labels, rows)
        sums, by_s = np.zeros(len(s)), np.zeros_like(s) if slopes else None
        for chosen, sharpness in ((same, -alpha), (others, beta)):
            total, shares = _logsumexp(sharpness * (s - base), chosen)
            decay = np.exp(-np.abs(total))
            sums += (np.maximum(total, 0) + np.log1p(decay)) / abs(sharpness)
            if by_s is not None:
                excess = np.where(total < 0, decay, 1) / (1 + decay)
                by_s += np.sign(sharpness) * shares * excess[:, None]
        return sums, np.ones(len(s)), by_s

    return anchored(similarities(embeddings), rule, weight)


def _own_key(loss: Any, cure: str) -> Rule:
    def rule(s: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        _check_range("queries", s, rows, loss.params["temperature"], cure)
        own = np.arange(rows.start, rows.stop)
        values, gradient = _charged(loss, own, s, slopes)
        return values, np.ones(len(s)), gradient

    return rule


def _all_positives(labels: Array, loss: Any) -> Rule:
    """Khosla et al. (2020), L_out: the mean over positives lies outside the logarithm.

    That is the cross-entropy of the anchor's others with a target that is uniform over positives.
    """

    def rule(s: Array, rows: slice, slopes: bool) -> tuple[Array, Array, Array | None]:
        same, _ = relations(labels, rows)
        _check_range("embeddings", s, rows, loss.params["temperature"])
        there = np.ones_like(same)  # all but the anchor itself
        there[np.arange(len(s)), np.arange(rows.start, rows.stop)] = False
        count = same.sum(axis=1)
        counts, made = count > 0, np.zeros_like(s) if slopes else None
        values = np.zeros(len(s))
        if counts.any():
            apart = there & counts[:, None]
            target = (same / np.maximum(count, 1)[:, None])[apart].reshape(counts.sum(), -1)
            logits = s[apart].reshape(target.shape)
            values[counts], gradient = _charged(loss, target, logits, slopes)
            if made is not None:
                made[apart] = gradient.ravel()
        return values, counts.astype(float), made

    return rule


def _check_range(
    key: str, s: Array, rows: slice, temperature: float, cure: str = "take a larger one"
) -> None:
    """Raise Refused where similarities over the temperature, or their differences, overflow."""
    largest = float(np.finfo(s.dtype).max) / 4 * min(1.0, temperature)
    if not np.abs(s).max(initial=0) <= largest:
        row = np.flatnonzero(~(np.abs(s) <= largest).all(axis=1))[0]
        what = f"similarities that overflow {s.dtype} when divided by temperature={temperature:g}"
        raise Refused(key, rows.start + row, f"has {what}; {cure}")


def _charged(loss: Any, target: Array, logits: Array, slopes: bool) -> tuple[Array, Any]:
    if slopes:
        return loss.value_and_gradient(target, logits, raw=True, reduction="none")
    return loss(target, logits, raw=True, reduction="none"), None


def _logsumexp(z: Array, chosen: Array) -> tuple[Array, Array]:
    """Return log Σ eᶻ over those chosen, −∞ where none is, and the share of each in the sum."""
    top = np.where(chosen, z, -np.inf).max(axis=1, keepdims=True)
    finite = np.where(np.isfinite(top), top, 0)
    e = np.where(chosen, np.exp(np.minimum(z - finite, 0)), 0)
    sums = e.sum(axis=1, keepdims=True)
    total = np.where(sums > 0, finite + np.log(np.where(sums > 0, sums, 1)), -np.inf)
    return total[:, 0], e / np.where(sums > 0, sums, 1)
