"""Metrics of ranked lists against means over the orders of ties, scikit-learn and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from losskit import metrics

RNG = np.random.default_rng(7)
SIZES = [1, 5, 3, 7, 2]
QUERY = np.repeat([30, 10, 20, 50, 40], SIZES)
RELEVANCE = RNG.integers(0, 4, QUERY.size)
RELEVANCE[np.cumsum(SIZES) - 1] = 1  # something relevant in each
SCORES = RNG.integers(0, 3, QUERY.size).astype(float)  # many ties
CUTS = [None, 1, 2, 4]


def over_orders(value):
    """The mean over lists of the mean of `value(relevances)` over all orders of tied items."""
    means = []
    for query in np.unique(QUERY):
        y, s = RELEVANCE[query == QUERY], SCORES[query == QUERY]
        ties = [y[s == score] for score in sorted(set(s), reverse=True)]
        orders = itertools.product(*(itertools.permutations(tie) for tie in ties))
        means.append(np.mean([value(list(itertools.chain(*order))) for order in orders]))
    return np.mean(means)


def dcg(relevances, k, gain):
    return sum(gain(y) / math.log2(r + 2) for r, y in enumerate(relevances[:k]))


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize(
    ("name", "gain"), [("linear", float), ("exponential", lambda y: 2.0**y - 1)]
)
def test_ndcg_is_the_mean_over_orders_of_ties(k, name, gain):
    expected = over_orders(lambda y: dcg(y, k, gain) / dcg(sorted(y, reverse=True), k, gain))
    found = metrics.ndcg(k=k, gain=name)(RELEVANCE, SCORES, query=QUERY)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("relevant", [1, 2])
def test_average_precision_of_lists_is_the_mean_over_orders_of_ties(k, relevant):
    def value(y):
        hits = [rank for rank, each in enumerate(y, 1) if each >= relevant]
        best = min(len(hits), k or len(y))
        seen = [(i + 1) / rank for i, rank in enumerate(hits) if rank <= (k or len(y))]
        return sum(seen) / best if best else 0.0

    metric = metrics.mean_average_precision(k=k, relevant=relevant, empty="zero")
    assert metric(RELEVANCE, SCORES, query=QUERY) == pytest.approx(over_orders(value), rel=1e-12)


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("relevant", [1, 2])
def test_reciprocal_rank_is_the_mean_over_orders_of_ties(k, relevant):
    def value(y):
        ranks = [rank for rank, each in enumerate(y[:k], 1) if each >= relevant]
        return 1 / ranks[0] if ranks else 0.0

    metric = metrics.mrr(k=k, relevant=relevant, empty="zero")
    assert metric(RELEVANCE, SCORES, query=QUERY) == pytest.approx(over_orders(value), rel=1e-12)


@pytest.mark.parametrize("k", [None, 3])
def test_ndcg_equals_scikit_learn(k):
    y, s = RNG.integers(0, 4, (20, 8)), RNG.integers(0, 5, (20, 8)).astype(float)
    w = RNG.integers(1, 4, 20)
    linear = metrics.ndcg(k=k, gain="linear")
    assert linear(y, s) == pytest.approx(sk.ndcg_score(y, s, k=k))
    weighted = linear(y, s, sample_weight=w)
    assert weighted == pytest.approx(sk.ndcg_score(y, s, k=k, sample_weight=w))
    assert metrics.ndcg(k=k)(y, s) == pytest.approx(sk.ndcg_score(2**y - 1, s, k=k))


def test_map_without_ties_is_the_mean_of_average_precisions():
    s = RNG.permutation(QUERY.size).astype(float)
    expected = np.mean([
        sk.average_precision_score(RELEVANCE[q == QUERY] >= 1, s[q == QUERY])
        for q in np.unique(QUERY)
    ])  # fmt: skip
    assert metrics.map(RELEVANCE, s, query=QUERY) == pytest.approx(expected)


RANKING = [metrics.ndcg, metrics.ndcg(k=2), metrics.map, metrics.map(k=2), metrics.mrr]


@pytest.mark.parametrize("metric", RANKING, ids=repr)
def test_lists_by_id_by_row_and_in_any_order_are_the_same(metric):
    value = metric(RELEVANCE, SCORES, query=QUERY)
    order = RNG.permutation(QUERY.size)
    names = np.array([f"q{q}" for q in QUERY])
    shuffled = metric(RELEVANCE[order], SCORES[order], query=names[order])
    assert shuffled == pytest.approx(value, rel=1e-12)
    mask = np.arange(max(SIZES)) < np.array(SIZES)[:, None]
    y, s = np.full(mask.shape, np.nan), np.full(mask.shape, np.nan)
    y[mask], s[mask] = RELEVANCE, SCORES
    assert metric(y, s, mask=mask) == pytest.approx(value, rel=1e-12)
    extra = np.zeros((1, max(SIZES)))
    padded = metric(np.r_[y, extra], np.r_[s, extra], mask=np.r_[mask, extra > 0])
    assert padded == pytest.approx(value, rel=1e-12)
    monotone = metric(RELEVANCE, np.exp(SCORES) - 9, query=QUERY)
    assert monotone == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("metric", RANKING, ids=repr)
def test_the_best_order_scores_one_and_weights_are_of_lists(metric):
    assert metric(RELEVANCE, RELEVANCE, query=QUERY) == pytest.approx(1, rel=1e-15)
    assert metric(RELEVANCE, RELEVANCE, query=QUERY) <= 1
    y, s = [[0, 1, 0], [1, 0, 0]], [[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]
    first, second = (metric([y[i]], [s[i]]) for i in (0, 1))
    assert first < second
    weighted = metric(y, s, sample_weight=[3, 1])
    assert weighted == pytest.approx((3 * first + second) / 4, rel=1e-12)
    assert metric(y, s, sample_weight=[0, 1]) == pytest.approx(second)
    with pytest.raises(ValueError, match="sample_weight differs within query a"):
        metric([1, 0], [2.0, 1.0], query=["a", "a"], sample_weight=[1, 2])


@pytest.mark.parametrize("metric", RANKING, ids=repr)
def test_lists_without_a_relevant_item(metric):
    y, s, query = [1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3], ["a", "a", "b", "b"]
    with pytest.raises(ValueError, match=r"query 'b' has no relevant item; .*empty='skip'"):
        metric(y, s, query=query)
    assert metric(empty="zero")(y, s, query=query) == 0.5
    assert metric(empty="skip")(y, s, query=query) == 1
    with pytest.raises(ValueError, match="no query has a relevant item"):
        metric(empty="skip")(y[2:], s[2:], query=query[2:])
    with pytest.raises(ValueError, match=r"y_true\[1\] = -1 is no relevance"):
        metric([1, -1], [1.0, 2.0])


def test_misgrouped_lists():
    with pytest.raises(ValueError, match=r"query has shape \(1,\)"):
        metrics.ndcg([1, 0], [1.0, 2.0], query=[1])
    with pytest.raises(ValueError, match=r"query\[1\] is missing"):
        metrics.ndcg([1, 0], [1.0, 2.0], query=[1.0, np.nan])
    with pytest.raises(ValueError, match="query has shape"):
        metrics.ndcg([[1, 0]], [[1.0, 2.0]], query=[[1, 1]])
    frame = pd.DataFrame({"y": [1, 0], "q": [1, 1]})
    with pytest.raises(ValueError, match="same labels in another order"):
        metrics.ndcg(frame["y"], [1.0, 2.0], query=frame["q"][::-1])
    with pytest.raises(ValueError, match=r"y_true\[0\] = 2000 is too large a relevance"):
        metrics.ndcg([2000], [1.0])
