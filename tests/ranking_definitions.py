"""Ranking losses written out in double loops for JAX to differentiate, and data."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

jax.config.update("jax_enable_x64", True)

MARGINS = {
    "hinge": lambda m: jnp.maximum(0.0, 1 - m),
    "squared_hinge": lambda m: jnp.maximum(0.0, 1 - m) ** 2,
    "perceptron": lambda m: jnp.maximum(0.0, -m),
    "exponential": lambda m: jnp.exp(-m),
    "logistic_margin": lambda m: jnp.logaddexp(0.0, -m),
    "smoothed_hinge": lambda m: jnp.where(
        m >= 1, 0.0, jnp.where(m >= 0, (1 - m) ** 2 / 2, 0.5 - m)
    ),
    "modified_huber": lambda m: jnp.where(m >= -1, jnp.maximum(0.0, 1 - m) ** 2, -4 * m),
}
LENGTHS = (5, 1, 13, 2, 8)


def lists(seed: int = 0, grades: int | None = 4, spread: float = 1.5) -> Any:
    """Return relevances, scores and shuffled query ids of several lists."""
    rng = np.random.default_rng(seed)
    query = rng.permutation(np.repeat([f"q{i}" for i in range(len(LENGTHS))], LENGTHS))
    n = len(query)
    y = rng.normal(size=n) ** 2 if grades is None else rng.integers(0, grades, n).astype(float)
    return y, spread * rng.normal(size=n), query


def naive_pairs(phi: Any, y: Any, query: Any, weight: Any = None) -> Any:
    """Return the mean over pairs as a function of the scores, by masking all n² of them."""
    y, query = np.asarray(y), np.asarray(query)
    counts = (query[:, None] == query) & (y[:, None] > y)
    weight = jnp.ones(counts.shape) if weight is None else weight

    def mean(f: Any) -> Any:
        m = jnp.where(counts, f[:, None] - f[None, :], 0.0)
        return jnp.sum(jnp.where(counts, weight * phi(m), 0.0)) / counts.sum()

    return mean


def check(loss: Any, data: Any, mean: Any, rtol: float = 1e-12) -> None:
    """Compare value, gradient and diagonal Hessian with a function that JAX differentiates."""
    y, f, query = data
    value, gradient = loss.value_and_gradient(y, f, query=query)
    expected_value, expected = jax.jit(jax.value_and_grad(mean))(jnp.asarray(f))
    assert value == pytest.approx(float(expected_value), rel=rtol)
    np.testing.assert_allclose(gradient, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def naive_lists(of_list: Any, y: Any, query: Any) -> Any:
    groups = [np.flatnonzero(query == q) for q in np.unique(query)]

    def mean(f: Any) -> Any:
        return sum(of_list(jnp.asarray(y[g]), f[g]) for g in groups) / len(groups)

    return mean


def smooth_rank(f: Any, temperature: float) -> Any:
    return 0.5 + jnp.sum(jax.nn.sigmoid((f[None, :] - f[:, None]) / temperature), axis=1)


def one_less_ndcg(y: Any, f: Any, temperature: float) -> Any:
    worth = 2.0**y - 1
    best = jnp.sum(-jnp.sort(-worth) / jnp.log2(2.0 + jnp.arange(len(y))))
    return 1 - jnp.sum(worth / jnp.log2(1 + smooth_rank(f, temperature))) / best


def one_less_mrr(y: Any, f: Any, temperature: float) -> Any:
    hit = 1.0 * (y >= 1)
    return 1 - jnp.sum(hit / smooth_rank(f, temperature)) / jnp.sum(hit)


def drawn_in_order(y: Any, f: Any) -> Any:
    f = f[jnp.argsort(-y)]  # which is stable
    left = jnp.where(jnp.tril(jnp.ones((len(f), len(f)), bool)).T, f, -jnp.inf)
    return jnp.sum(jax.nn.logsumexp(left, axis=1) - f)


LISTS = {
    "softmax_ranking": lambda y, f: -jnp.sum(y * jax.nn.log_softmax(f)),
    "list_net": lambda y, f: -jnp.sum(jax.nn.softmax(y) * jax.nn.log_softmax(f)),
    "poly1_softmax": lambda y, f: (
        -jnp.sum(y * jax.nn.log_softmax(f)) + 1 - jnp.sum(y * jax.nn.softmax(f)) / jnp.sum(y)
    ),
    "list_mle": drawn_in_order,
    "approx_ndcg": lambda y, f: one_less_ndcg(y, f, 1.0),
    "approx_mrr": lambda y, f: one_less_mrr(y, f, 1.0),
}


ALL = [
    "pairwise_hinge", "pairwise_squared_hinge", "pairwise_logistic", "pairwise_exponential",
    "lambda_rank", "softmax_ranking", "list_net", "poly1_softmax", "list_mle", "approx_ndcg",
    "approx_mrr",
]  # fmt: skip


def relevant(seed: int) -> Any:
    y, f, query = lists(seed)
    for q in np.unique(query):
        y[np.flatnonzero(query == q)[0]] = 2.0
    return y, f, query
