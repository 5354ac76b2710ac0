"""Ranking losses of pairs and lists against their definitions and other libraries."""

from __future__ import annotations

import math
import pickle
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import losskit
from losskit.losses import ranking
from losskit.ranking.combinators import listwise, pairwise
from losskit.ranking.shape import Shape, shape_of
from ranking_definitions import (
    LISTS,
    MARGINS,
    check,
    lists,
    naive_lists,
    naive_pairs,
    one_less_mrr,
    one_less_ndcg,
)


@pytest.mark.parametrize("grades", [2, 4, None])
@pytest.mark.parametrize("name", MARGINS)
def test_pairs_are_those_of_a_double_loop(name: str, grades: int | None) -> None:
    data = lists(grades=grades)
    check(pairwise(name), data, naive_pairs(MARGINS[name], data[0], data[2]))


@pytest.mark.parametrize("name", MARGINS)
def test_curvature_of_pairs(name: str) -> None:
    y, f, query = lists(1)
    mean = naive_pairs(MARGINS[name], y, query)
    expected = np.diag(jax.jit(jax.hessian(mean))(jnp.asarray(f)))
    found = pairwise(name).hessian(y, f, query=query)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "perceptron", "exponential"])
@pytest.mark.parametrize("grades", [2, 5, None])
def test_sweeps_equal_pairs(name: str, grades: int | None, monkeypatch: Any) -> None:
    """Scores are multiples of 1/2, so that many pairs stand exactly at the corner."""
    y, f, query = lists(2, grades)
    f = np.round(2 * f) / 2
    loss = pairwise(name, name="pairwise_other")(sigma=2.0)
    monkeypatch.setattr("losskit.ranking.combinators._FEW", 0)
    fast = [loss.value_and_gradient(y, f, query=query), loss.hessian(y, f, query=query)]
    monkeypatch.setattr("losskit.ranking.combinators.shape_of", lambda _: None)
    slow = [loss.value_and_gradient(y, f, query=query), loss.hessian(y, f, query=query)]
    assert fast[0][0] == pytest.approx(slow[0][0], rel=1e-13)
    np.testing.assert_allclose(fast[0][1], slow[0][1], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-12, atol=1e-15)


def test_shapes_are_read_from_the_formula() -> None:
    assert shape_of(losskit.hinge) == Shape((1.0, -1.0), 0.0, 1.0, False)
    assert shape_of(losskit.squared_hinge) == Shape((1.0, -2.0, 1.0), 0.0, 1.0, False)
    assert shape_of(losskit.perceptron) == Shape((0.0, -1.0), 0.0, 0.0, True)
    assert shape_of(losskit.zero_one) == Shape((1.0,), 0.0, 0.0, True)
    assert shape_of(losskit.exponential) == Shape((1.0,), -1.0)
    for name in ("logistic_margin", "smoothed_hinge", "modified_huber"):
        assert shape_of(losskit.get(name)) is None


def test_a_users_hinge_is_swept_too() -> None:
    @losskit.loss(target=losskit.formula.SIGN)
    def wide_hinge(y, f, width: losskit.formula.Positive = 2.0):
        "Asks for a wider margin."
        return losskit.formula.where(y * f < width, 3 * (width - y * f), 0)

    loss = pairwise(wide_hinge(width=0.5))
    assert shape_of(wide_hinge(width=0.5)) == Shape((1.5, -3.0), 0.0, 0.5, False)
    assert loss.params == {"width": 0.5, "sigma": 1.0}
    data = lists(3)
    check(loss, data, naive_pairs(lambda m: 3 * jnp.maximum(0.0, 0.5 - m), data[0], data[2]))


def test_pairs_whose_loss_has_no_derivative_have_none() -> None:
    y, f, query = lists(4)
    loss = pairwise("zero_one")
    expected = naive_pairs(lambda m: 1.0 * (m <= 0), y, query)(jnp.asarray(f))
    assert loss(y, f, query=query) == pytest.approx(float(expected), rel=1e-14)
    with pytest.raises(losskit.Unsupported, match="gradient"):
        loss.gradient(y, f, query=query)


def test_sigma_multiplies_the_scores() -> None:
    y, f, query = lists(5)
    for name in ("hinge", "logistic_margin", "exponential"):
        loss = pairwise(name)
        value, gradient = loss(sigma=2.5).value_and_gradient(y, f, query=query)
        scaled, slope = loss.value_and_gradient(y, 2.5 * f, query=query)
        assert value == pytest.approx(scaled, rel=1e-14)
        np.testing.assert_allclose(gradient, 2.5 * slope, rtol=1e-13, atol=1e-16)


def test_an_example_is_a_pair() -> None:
    """Two lists with 2 and 1 pairs: weights count pairs, and "none" sums a list's pairs."""
    y, f = [[1, 0, 0], [1, 0, 1]], [[0.0, 0.0, 1.0], [2.0, 0.0, 0.5]]
    hinge = ranking.pairwise_hinge
    assert hinge(y, f, reduction="none").tolist() == [3.0, 0.5]
    assert hinge(y, f) == pytest.approx(3.5 / 4)
    assert hinge(y, f, reduction="sum") == 3.5
    assert hinge(y, f, sample_weight=[1.0, 3.0]) == pytest.approx((3 + 3 * 0.5) / (2 + 3 * 2))
    mask = [[True, True, False], [True, True, True]]
    assert hinge(y, f, mask=mask) == pytest.approx((1 + 0.5) / 3)


# --- metric weights


def ndcg_change(y: Any, f: Any, k: int | None, gain: str) -> Any:
    """Return |change of NDCG@k| for every swap, by computing NDCG after each swap."""
    worth = 2.0**y - 1 if gain == "exponential" else y

    def dcg(order: Any) -> float:
        return sum(worth[i] / math.log2(2 + r) for r, i in enumerate(order[:k]))

    best = dcg(np.argsort(-y, kind="stable"))
    return by_swaps(f, lambda order: dcg(order) / best if best else 0.0)


def map_change(y: Any, f: Any, k: int | None) -> Any:
    """Return |change of average precision at k| for every swap."""

    def precision(order: Any) -> float:
        hits, total = 0, 0.0
        for r, i in enumerate(order[:k]):
            if y[i] >= 1:
                hits += 1
                total += hits / (r + 1)
        count = int((y >= 1).sum())
        return total / max(min(count, k or count), 1)

    return by_swaps(f, precision)


def by_swaps(f: Any, metric: Any) -> Any:
    order = list(np.argsort(-f, kind="stable"))
    now, n = metric(order), len(f)
    change = np.zeros((n, n))
    for a in range(n):
        for b in range(n):
            swapped = list(order)
            swapped[a], swapped[b] = swapped[b], swapped[a]
            change[order[a], order[b]] = abs(metric(swapped) - now)
    return change


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("metric", ["ndcg", "ndcg linear", "map"])
def test_lambda_rank_weighs_by_the_metric_after_a_swap(metric: str, k: int | None) -> None:
    y, f, query = lists(6, grades=2 if metric == "map" else 4)
    f[:20] = np.round(f[:20])  # ties rank as they stand
    weight = np.zeros((len(y), len(y)))
    for q in np.unique(query):
        own = np.flatnonzero(query == q)
        gain = "linear" if metric.endswith("linear") else "exponential"
        part = (
            map_change(y[own], f[own], k)
            if metric == "map"
            else ndcg_change(y[own], f[own], k, gain)
        )
        weight[np.ix_(own, own)] = part
    loss = ranking.lambda_rank(metric=metric.split()[0], k=k)
    if metric.endswith("linear"):
        loss = loss(gain="linear")
    mean = naive_pairs(MARGINS["logistic_margin"], y, query, weight)
    check(loss, (y, f, query), mean, rtol=1e-11)


def test_lambda_rank_is_lightgbms_gradient() -> None:
    """LightGBM's lambdarank without normalisation: −σ·|ΔNDCG|/(1 + e^(σ·(sᵢ − sⱼ))) per pair."""
    y, s = np.array([2.0, 0.0, 1.0]), np.array([0.1, 0.7, -0.3])
    sigma, delta = 1.5, ndcg_change(y, s, None, "exponential")
    expected = np.zeros(3)
    for i in range(3):
        for j in range(3):
            if y[i] > y[j]:
                push = sigma * delta[i, j] / (1 + math.exp(sigma * (s[i] - s[j])))
                expected[i] -= push
                expected[j] += push
    loss = ranking.lambda_rank(sigma=sigma)
    found = loss.gradient(y, s, reduction="sum")
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_combined_metric_needs_relevances() -> None:
    assert pairwise("hinge", metric="map").params["metric"] == "map"
    with pytest.raises(ValueError, match=r"y_true\[1\] holds -1"):
        ranking.lambda_rank([1, -1], [0.0, 0.0])
    with pytest.raises(ValueError, match="gain='linear'"):
        ranking.lambda_rank([2000, 1], [0.0, 0.0])
    assert ranking.pairwise_hinge([1, -1], [0.0, 0.0]) == 1.0


@pytest.mark.parametrize("name", LISTS)
def test_losses_of_lists_are_their_definitions(name: str) -> None:
    y, f, query = lists(7)
    for q in np.unique(query):
        y[np.flatnonzero(query == q)[0]] = 2.0  # every list has something relevant
    check(getattr(ranking, name), (y, f, query), naive_lists(LISTS[name], y, query))


@pytest.mark.parametrize("name", ["list_mle", "list_net", "softmax_ranking", "poly1_softmax"])
def test_curvature_of_losses_of_lists(name: str) -> None:
    y, f, query = lists(8)
    for q in np.unique(query):
        y[np.flatnonzero(query == q)[0]] = 2.0
    mean = naive_lists(LISTS[name], y, query)
    expected = np.diag(jax.jit(jax.hessian(mean))(jnp.asarray(f)))
    found = getattr(ranking, name).hessian(y, f, query=query)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("temperature", [0.1, 3.0])
def test_temperature_of_smooth_ranks(temperature: float) -> None:
    y, f, query = np.array([0.0, 2, 1, 0, 1]), np.array([0.3, 0.1, -1, 2, 0.2]), np.zeros(5)
    for loss, definition in (
        (ranking.approx_ndcg(temperature=temperature), one_less_ndcg),
        (ranking.approx_mrr(temperature=temperature), one_less_mrr),
    ):
        mean = naive_lists(lambda y, f, d=definition: d(y, f, temperature), y, query)
        check(loss, (y, f, query), mean)


def test_smooth_ranks_become_ranks() -> None:
    y, f = np.array([2.0, 0, 1, 3]), np.array([1.0, 4, 2, 3])
    from losskit.metrics import ndcg

    assert ranking.approx_ndcg(temperature=1e-3)(y, f) == pytest.approx(1 - ndcg(y, f), rel=1e-12)


@pytest.mark.parametrize("target", ["relevance", "share", "softmax"])
def test_listwise_is_the_class_loss_of_the_items(target: str) -> None:
    """On one list the loss is that of one row whose classes are the items."""
    y, f = np.array([2.0, 0, 1, 3]), np.array([1.0, -4, 2, 0.5])
    made = {"relevance": y / 6, "share": y, "softmax": y}[target]
    probabilities = np.exp(y) / np.exp(y).sum() if target == "softmax" else y / 6
    base = losskit.cross_entropy(label_smoothing=0.1, temperature=2.0)
    loss = listwise(base, target=target)
    assert loss.params == {"label_smoothing": 0.1, "z_loss": 0.0, "temperature": 2.0}
    value, gradient = loss.value_and_gradient(made, f)
    expected, slope = base.value_and_gradient([probabilities], [f], raw=True)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient, slope[0], rtol=1e-13)
    assert loss(temperature=1.0) != loss
    assert pickle.loads(pickle.dumps(loss))(made, f) == value


# --- what pairs of items outside lists need


def test_bpr_is_pairwise_logistic_of_pairs_given() -> None:
    positive, negative = np.array([0.3, -2.0, 800.0]), np.array([0.1, 1.0, -800.0])
    value, (up, down) = ranking.bpr.value_and_gradient(positive, negative)
    f, query = np.concatenate((positive, negative)), [0, 1, 2, 0, 1, 2]
    expected, slope = ranking.pairwise_logistic.value_and_gradient(
        [1, 1, 1, 0, 0, 0], f, query=query
    )
    assert value == pytest.approx(expected, rel=1e-15)
    np.testing.assert_allclose(np.concatenate((up, down)), slope, rtol=1e-15)


# --- other libraries


def padded(seed: int = 9) -> Any:
    rng = np.random.default_rng(seed)
    mask = np.arange(9) < rng.integers(2, 10, 6)[:, None]
    y, f = rng.integers(0, 4, mask.shape) * 1.0, rng.normal(size=mask.shape)
    y[:, 0], y[:, 1] = 3.0, 0.0
    return y, f, mask


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("pairwise_hinge", "pairwise_hinge_loss"),
        ("pairwise_logistic", "pairwise_logistic_loss"),
        ("softmax_ranking", "softmax_loss"),
        ("poly1_softmax", "poly1_softmax_loss"),
    ],
)
def test_rax(name: str, peer: str) -> None:
    rax = pytest.importorskip("rax")
    y, f, mask = padded()

    def theirs(f: Any) -> Any:
        return getattr(rax, peer)(f, jnp.asarray(y), where=jnp.asarray(mask))

    value, gradient = getattr(ranking, name).value_and_gradient(y, f, mask=mask)
    expected, slope = jax.jit(jax.value_and_grad(theirs))(jnp.asarray(f))
    assert value == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-15)


def test_rax_list_mle_without_ties() -> None:
    rax = pytest.importorskip("rax")
    y, f, mask = padded()
    y = np.random.default_rng(0).permuted(np.arange(y.size).reshape(y.shape) * 1.0, axis=1)
    theirs = jax.jit(lambda f, y, m: rax.listmle_loss(f, y, where=m))(f, y, mask)
    assert ranking.list_mle(y, f, mask=mask) == pytest.approx(float(theirs), rel=1e-12)


def test_rax_approx_ndcg_is_one_less() -> None:
    rax = pytest.importorskip("rax")
    y, f, mask = padded()
    # As `rax.approx_t12n` does, which needs an older JAX.
    ranks = partial(rax.utils.approx_ranks, step_fn=lambda x: jax.nn.sigmoid(x / 0.5))
    theirs = jax.jit(lambda f, y, m: rax.ndcg_metric(f, y, where=m, rank_fn=ranks))(f, y, mask)
    found = ranking.approx_ndcg(temperature=0.5)(y, f, mask=mask)
    assert found == pytest.approx(1 - float(theirs), rel=1e-12)


def test_rax_lambda_weights_times_the_list_size() -> None:
    rax = pytest.importorskip("rax")
    y, f, _ = padded()
    weights = partial(rax.dcg_lambdaweight, normalize=True, topn=5)
    theirs = jax.jit(partial(rax.pairwise_logistic_loss, lambdaweight_fn=weights))(f, y)
    assert y.shape[1] * ranking.lambda_rank(k=5)(y, f) == pytest.approx(float(theirs), rel=1e-12)


def test_optax_ranking_softmax() -> None:
    optax = pytest.importorskip("optax")
    y, f, mask = padded()
    arrays = (jnp.asarray(a) for a in (f, y, mask))
    expected = jax.jit(lambda f, y, m: optax.losses.ranking_softmax_loss(f, y, where=m))(*arrays)
    assert ranking.softmax_ranking(y, f, mask=mask) == pytest.approx(float(expected), rel=1e-12)
