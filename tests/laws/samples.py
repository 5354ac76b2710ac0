"""Valid data of a loss, drawn once from its declared domains."""

from __future__ import annotations

from typing import Any

import numpy as np

import losskit


def sample(loss: losskit.Loss, n: int, seed: int = 0) -> tuple[Any, Any]:
    """Return n targets and n raw scores (a last axis more for several outputs), float64."""
    rng = np.random.default_rng(seed)
    form = loss.form(raw=True)
    y = _targets(form.target, rng, n)
    columns = []
    for i, domain in enumerate(form.predictions):
        near = y + rng.normal(0, 2, n) if i == 0 and not form.target.values else rng.normal(0, 2, n)
        near = np.where(domain.contains(near), near, abs(near))
        columns.append(near)
    f = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    assert domain_holds(loss, y, f)
    return y, f


def domain_holds(loss: losskit.Loss, y: Any, f: Any) -> bool:
    """Say whether all targets and scores lie where they may."""
    form = loss.form(raw=True)
    columns = [f] if f.ndim == 1 else list(f.T)
    inside = [d.contains(c).all() for d, c in zip(form.predictions, columns, strict=True)]
    return bool(form.target.contains(y).all() and all(inside))


def weights(n: int, seed: int = 1) -> Any:
    """Return n positive weights of different sizes."""
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def spoil(array: Any, where: Any) -> Any:
    """Return a copy with NaN where told."""
    spoiled = np.array(array, dtype=float)
    spoiled[where] = np.nan
    return spoiled


def _targets(domain: losskit.Domain, rng: np.random.Generator, n: int) -> Any:
    if domain.values:
        return rng.choice(domain.values, n).astype(float)
    if domain.upper == 1:
        return rng.choice([0.0, 1.0, 0.25, 0.75], n)
    if domain.lower >= -1:
        return np.where(rng.random(n) < 0.2, max(domain.lower, 0.0) + 1e-3, rng.gamma(2, 2, n))
    drawn = rng.normal(0, 3, n)
    return np.where(domain.contains(drawn), drawn, 1.0)
