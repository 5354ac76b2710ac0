"""Every loss that Keras can train with is NumPy's, to 1e-12."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from keras import ops

import losskit
import losskit.keras
from keras_common import (
    BACKEND,
    WARNINGS,
    Loss,
    derivative,
    fed,
)
from laws import cases, rows_cases

pytestmark = WARNINGS


# --- the registry


def examples(loss: losskit.Loss) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Yield scale, targets and predictions as losskit takes them."""
    rng = np.random.default_rng(5)
    if loss.kind == "pointwise":
        points = np.array([p for p in cases.grid(loss, None) if np.isfinite(p).all()])
        # XLA takes numbers below the normal ones for 0, and 1e-300 times little is one.
        points = points[(points[:, 0] == 0) | (abs(points[:, 0]) > 1e-200)]
        y, f = points[:, 0], points[:, 1:]
        yield True, y, f if len(loss.outputs) > 1 else f[:, 0]
        links = loss.definition.links
        inside = {"logit": lambda x: 1 / (1 + np.exp(-x)), "log": np.exp, "identity": np.asarray}
        near = np.abs(f).max(axis=1) < 30
        p = np.stack([inside[k.name](f[near, i]) for i, k in enumerate(links)], axis=-1)
        yield False, y[near], p if len(links) > 1 else p[:, 0]
    elif loss.definition.axis == "item":
        relevance = rng.integers(0, 3, (5, 4)).astype(float)
        relevance[:, 0], relevance[:, 1] = 1, 0
        yield True, relevance, rng.normal(size=(5, 4))
    else:
        for soft in (False, True):
            drawn = rows_cases.draw(loss, 9, soft=soft)
            yield True, *drawn.arrays
            yield False, *rows_cases.probabilities(drawn).arrays


@pytest.mark.slow
@pytest.mark.parametrize("name", fed())
def test_value_and_gradient_are_numpys(name: str) -> None:
    rng = np.random.default_rng(5)
    close = {"rtol": 1e-12, "atol": 1e-12}
    settings = (cases if name in cases.names() else rows_cases).settings(name)
    for loss in settings[: 1 if BACKEND == "jax" else None]:  # each is compiled again
        for raw, y, f in examples(loss):
            ours = Loss(loss, from_logits=raw, reduction=None, dtype="float64")
            value, slope = loss.value_and_gradient(y, f, raw=raw, reduction="none")
            wide = f[:, None] if f.ndim == 1 else f
            np.testing.assert_allclose(ops.convert_to_numpy(ours(y, wide)), value, **close)
            np.testing.assert_allclose(derivative(ours, y, wide).reshape(f.shape), slope, **close)
            tame = np.abs(value) < 1e6
            y, f, wide, weight = y[tame], f[tame], wide[tame], rng.random(tame.sum())
            mean = Loss(loss, from_logits=raw, reduction="mean_with_sample_weight", dtype="float64")
            known = loss.value_and_gradient(y, f, raw=raw, sample_weight=weight)
            assert float(mean(y, wide, sample_weight=weight)) == pytest.approx(known[0], rel=1e-12)
            slope = derivative(mean, y, wide, sample_weight=weight)
            np.testing.assert_allclose(slope.reshape(f.shape), known[1], **close)
