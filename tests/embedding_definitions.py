"""Embedding losses written out in plain sums for torch to differentiate, and data."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
N, D = 19, 5
_RNG = np.random.default_rng(20)
X, P, Q = _RNG.normal(size=(3, N, D))
LABELS = _RNG.integers(0, 4, N)
LABELS[7] = 99  # alone: it has no positive
WEIGHT = _RNG.uniform(0.1, 2, N)


def distance_table(x: Any, kind: str) -> Any:
    import torch

    r = x[:, None] - x[None]
    if kind == "manhattan":
        return r.abs().sum(-1)
    if kind == "cosine":
        unit = x / x.norm(dim=1, keepdim=True)
        return 1 - unit @ unit.T
    squares = (r * r).sum(-1)
    if kind == "squared":
        return squares
    own = torch.eye(len(x), dtype=torch.bool)
    return torch.where(own, 0, torch.sqrt(torch.where(own, 1, squares)))


def cosines(x: Any) -> Any:
    unit = x / x.norm(dim=1, keepdim=True)
    return unit @ unit.T


def parts(labels: Array, i: int) -> tuple[list[int], list[int]]:
    same = [j for j in range(len(labels)) if labels[j] == labels[i] and j != i]
    return same, [j for j in range(len(labels)) if labels[j] != labels[i]]


def naive_mined(x: Any, labels: Array, w: Array, margin: Any, distance: str, mining: str) -> Any:
    import torch

    def charge(gap: Any) -> Any:
        return torch.logaddexp(gap, 0 * gap) if margin is None else (gap + margin).clamp(min=0)

    d, numerator, denominator = distance_table(x, distance), 0.0, 0.0
    for i in range(len(labels)):
        near, far = parts(labels, i)
        if not near or not far:
            continue
        if mining == "batch_hard":
            found = [charge(d[i, near].max() - d[i, far].min())]
        elif mining == "semi_hard":
            beyond = [[k for k in far if d[i, k] > d[i, p]] for p in near]
            chosen = [d[i, b].min() if b else d[i, far].max() for b in beyond]
            found = [charge(d[i, p] - c) for p, c in zip(near, chosen, strict=True)]
        else:
            found = [charge(d[i, p] - d[i, k]) for p in near for k in far]
        numerator, denominator = numerator + w[i] * sum(found), denominator + w[i] * len(found)
    return numerator / denominator


def naive_nt_xent(x: Any, labels: Array, w: Array, temperature: float) -> Any:
    s, numerator, denominator = cosines(x) / temperature, 0.0, 0.0
    for i in range(len(labels)):
        near, far = parts(labels, i)
        for p in near:
            numerator = numerator + w[i] * (s[i, [p, *far]].logsumexp(0) - s[i, p])
            denominator += w[i]
    return numerator / denominator


def naive_supcon(x: Any, labels: Array, w: Array, temperature: float) -> Any:
    s, numerator, denominator = cosines(x) / temperature, 0.0, 0.0
    for i in range(len(labels)):
        near, far = parts(labels, i)
        if near:
            numerator = numerator + w[i] * (s[i, near + far].logsumexp(0) - s[i, near].mean())
            denominator += w[i]
    return numerator / denominator


def naive_multi(x: Any, labels: Array, w: Array, alpha: float, beta: float, base: float) -> Any:
    s, numerator = cosines(x), 0.0
    for i in range(len(labels)):
        near, far = parts(labels, i)
        pull = (-alpha * (s[i, near] - base)).exp().sum().log1p() / alpha
        push = (beta * (s[i, far] - base)).exp().sum().log1p() / beta
        numerator = numerator + w[i] * (pull + push)
    return numerator / w.sum()
