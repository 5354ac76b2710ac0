"""What a review found in written losses, lists, mining, rankings and metrics, so that it stays."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import losskit
from losskit import metrics
from losskit.arrays import grouped, missing

RNG = np.random.default_rng(11)
X = RNG.normal(size=(6, 3))
LABELS = np.array([0, 0, 1, 1, 2, 2])
MINED = [losskit.triplet.mined, losskit.nt_xent, losskit.supervised_contrastive]
LISTS = ["pairwise_logistic", "lambda_rank", "list_mle", "approx_ndcg", "softmax_ranking"]

# --- lists


@pytest.mark.parametrize("name", LISTS)
def test_a_row_without_an_item_keeps_its_place(name: str) -> None:
    loss = losskit.get(name)
    y, f = np.array([[2, 0, 1], [1, 0, 0], [0, 1, 2]]), RNG.normal(size=(3, 3))
    mask = np.array([[True] * 3, [False] * 3, [True] * 3])
    values, gradient = loss.value_and_gradient(y, f, mask=mask, reduction="none")
    weighed = loss(y, f, sample_weight=[1, 0, 1], reduction="none")
    assert values.tolist() == weighed.tolist()
    assert values[1] == 0
    assert (values[[0, 2]] > 0).all()
    assert (gradient[1] == 0).all()
    assert loss(y, f, mask=mask) == pytest.approx(loss(y[[0, 2]], f[[0, 2]]), rel=1e-14)


@pytest.mark.parametrize("name", LISTS)
def test_nothing_at_all(name: str) -> None:
    loss = losskit.get(name)
    with pytest.raises(ValueError, match=f"{name}: no list counts"):
        loss([], [])
    assert loss([], [], empty="zero") == 0
    assert loss([], [], reduction="none").shape == (0,)
    assert loss(np.zeros((3, 0)), np.zeros((3, 0)), reduction="none").tolist() == [0, 0, 0]
    part = loss.accumulate([], [], gradient=True) + loss.accumulate([1, 0], [0.2, 0.1])
    assert part.value == loss([1, 0], [0.2, 0.1])


def test_no_rows_to_mine() -> None:
    none = losskit.triplet.mined.gradient(np.zeros((0, 3)), [], reduction="none")
    assert none.shape == (0, 3)
    assert losskit.triplet.mined.accumulate(np.zeros((0, 3)), []).denominator == (0, 0)


QUERIES = [
    [None, "a", "a"],
    np.array(["NaT", "2020-01-01", "2020-01-01"], "M8[D]"),
    pd.array([pd.NA, 1, 1]),
    [math.nan, 1.0, 1.0],
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: type(q).__name__)
def test_a_missing_query_is_named(query: Any) -> None:
    y, f, mask = [1, 0, 1], [0.1, 0.2, 0.3], [False, True, True]
    for score in (losskit.pairwise_logistic, losskit.softmax_ranking, metrics.ndcg):
        with pytest.raises(ValueError, match=rf"{score.name}: query\[0\] is missing"):
            score(y, f, query=query)
        assert score(y, f, query=query, mask=mask) == score(y[1:], f[1:])


def test_queries_and_labels_of_mixed_types() -> None:
    y, f = [1, 0, 2, 0], [0.3, 0.1, 0.2, 0.9]
    query = np.array([1, 1, "a", "a"], object)
    assert losskit.list_mle(y, f, query=query) == losskit.list_mle(y, f, query=[0, 0, 1, 1])
    labels = np.array([1, 1, "a", "a", datetime.date(2020, 1, 1), datetime.date(2020, 1, 1)])
    assert losskit.triplet.mined(X, labels) == losskit.triplet.mined(X, LABELS)
    labels[4] = None
    with pytest.raises(ValueError, match=r"triplet_mined: labels\[4\] is missing"):
        losskit.triplet.mined(X, labels)
    expected = losskit.triplet.mined(np.delete(X, 4, 0), np.delete(LABELS, 4))
    assert losskit.triplet.mined(X, labels, nan="omit") == expected
    labels[4] = ["no", "label"]
    with pytest.raises(TypeError, match="labels: unhashable type: 'list'; needed are numbers"):
        losskit.triplet.mined(X, labels)


def test_groups_come_in_the_order_of_their_first_element() -> None:
    for keys in (np.array([7, 3, 7, 5]), np.array([7, 3, 7, 5], object), np.array(list("gcge"))):
        first, group = grouped("keys", keys)
        assert first.tolist() == [0, 1, 3]
        assert group.tolist() == [0, 1, 0, 2]
    held = [1, None, math.nan, np.datetime64("NaT"), "a", (1, 2)]
    assert missing(np.array([*held, 0], object)).tolist() == [False, True, True, True] + [False] * 3
    assert missing(np.array([1, None, math.nan, pd.NA, "a"], object)).tolist() == [
        False, True, True, True, False,
    ]  # fmt: skip


def test_an_item_of_weight_zero_is_in_no_list() -> None:
    y, f, query, w = [2, math.nan, 1, 0], [0.1, 9.0, 0.3, 0.2], list("aaab"), [3, 0, 3, 1]
    for score in (losskit.list_mle, losskit.softmax_ranking, metrics.ndcg(empty="zero")):
        kept = score([2, 1, 0], [0.1, 0.3, 0.2], query=list("aab"), sample_weight=[3, 3, 1])
        assert score(y, f, query=query, sample_weight=w) == kept
    gradient = losskit.list_mle.gradient(y, f, query=query, sample_weight=w)
    assert gradient[1] == 0
    assert gradient[0] != 0
    with pytest.raises(ValueError, match="list_mle: sample_weight differs within query a"):
        losskit.list_mle([1, 0], [0.1, 0.2], query=["a", "a"], sample_weight=[1, math.nan])
    with pytest.raises(TypeError, match="sample_weight has dtype <U1"):
        losskit.list_mle([1, 0], [0.1, 0.2], sample_weight=["x", "x"])


def test_frames_whose_queries_are_in_another_order() -> None:
    frame = pd.DataFrame({"y": [1, 0, 2], "f": [0.1, 0.2, 0.3], "q": [1, 2, 1]})
    for loss in (losskit.list_mle, losskit.softmax_ranking):
        with pytest.raises(ValueError, match="same labels in another order"):
            loss(frame["y"], frame["f"], query=frame["q"][::-1])


# --- rankings


@pytest.mark.parametrize("shift", [2.0**40, -(2.0**45)])
@pytest.mark.parametrize("name", [*LISTS, "pairwise_hinge", "pairwise_exponential"])
def test_a_shift_of_scores_changes_nothing(name: str, shift: float) -> None:
    loss = losskit.get(name)
    y, f = np.array([2, 0, 1, 0, 3, 1, 0, 2]), RNG.integers(-16, 16, 8) / 8
    value, gradient = loss.value_and_gradient(y, f)
    shifted, slope = loss.value_and_gradient(y, f + shift)
    assert shifted == value
    assert slope.tolist() == gradient.tolist()


def test_plackett_luce_of_scores_far_apart() -> None:
    loss = losskit.list_mle
    assert loss.gradient([2, 0, 1], [0.0, 1e300, -1e300]).tolist() == [-1, 2, -1]
    # The first draw is certain, so what is left is the list of the other two.
    for far in (1e4, 2.0**40, 1e300):
        value, gradient = loss.value_and_gradient([2, 1, 0], [far, 0.0, 0.125])
        rest, slope = loss.value_and_gradient([1, 0], [0.0, 0.125])
        assert value == rest
        assert gradient.tolist() == [0, *slope]
    value, gradient = loss.value_and_gradient([2, 1, 0], [-1.7e308, 1.7e308, -1.7e308])
    assert value == math.inf
    assert gradient.tolist() == [-1, 1, 0]


def test_a_grade_too_large_for_its_gain_is_named() -> None:
    y, f = [[1, 0], [2000, 1]], [[1.0, 2.0], [3.0, 4.0]]
    for name in ("lambda_rank", "approx_ndcg"):
        with pytest.raises(ValueError, match=rf"{name}: y_true\[1, 0\] is 2000, too large"):
            losskit.get(name)(y, f)
        assert math.isfinite(losskit.get(name, gain="linear")(y, f))


def test_listwise_drops_no_parameter() -> None:
    for given in ({"class_weight": (1, 2, 3)}, {"ignore_index": 1}):
        with pytest.raises(ValueError, match=f"{next(iter(given))} is of classes"):
            losskit.listwise(losskit.cross_entropy(**given))


# --- NaN, weights, types


def test_a_nan_that_propagates_shows_in_every_row() -> None:
    hole = X.copy()
    hole[1, 0] = math.nan
    mask = np.arange(6) != 3
    for loss in MINED:
        value, gradient = loss.value_and_gradient(hole, LABELS, mask=mask, nan="propagate")
        assert math.isnan(value)
        assert (np.isnan(gradient).all(axis=1) == mask).all()
        assert (gradient[3] == 0).all()
        values = loss(hole, LABELS, mask=mask, nan="propagate", reduction="none")
        assert (np.isnan(values) == mask).all()
    alone = losskit.nt_xent.value_and_gradient(hole[1:2], [0], nan="propagate")
    assert math.isnan(alone[0])
    assert np.isnan(alone[1]).all()


@pytest.mark.parametrize("weight", [0.01, 100.0])
def test_a_nan_that_propagates_shows_in_its_list(weight: float) -> None:
    y, f = np.array([[1, 0], [0, 1]]), np.array([[math.nan, 0.0], [0.2, 0.5]])
    for name in ("list_mle", "pairwise_logistic"):
        loss = losskit.get(name)
        options = {"nan": "propagate", "sample_weight": [weight, weight]}
        value, gradient = loss.value_and_gradient(y, f, **options)
        assert math.isnan(value)
        assert np.isnan(gradient[0]).all()
        whole = loss.gradient(y, np.nan_to_num(f))
        np.testing.assert_allclose(gradient[1], whole[1], rtol=1e-14)
        values = loss(y, f, reduction="none", **options)
        assert np.isnan(values).tolist() == [True, False]


@pytest.mark.parametrize("weight", [1e308, 1e-310])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_of_any_size(weight: float, dtype: type) -> None:
    embeddings, w = X.astype(dtype), np.full(6, weight)
    expected = losskit.triplet.mined.value_and_gradient(embeddings, LABELS)
    found = losskit.triplet.mined.value_and_gradient(embeddings, LABELS, sample_weight=w)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    y, f = [2, 0, 1, 1, 0, 1], embeddings[:, 0]
    for name in ("list_mle", "pairwise_logistic"):
        expected = losskit.get(name).value_and_gradient(y, f)
        found = losskit.get(name).value_and_gradient(y, f, sample_weight=w)
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    assert metrics.brier([0, 1], [0.0, 0.5], sample_weight=w[:2]) == 0.125
    assert metrics.accuracy([0, 1], [0, 0], sample_weight=w[:2]) == 0.5
    lists = [[1, 0], [0, 1]], [[1.0, 2.0], [1.0, 2.0]]
    assert metrics.ndcg(*lists, sample_weight=w[:2]) == metrics.ndcg(*lists)


def test_sums_are_in_the_weights_own_size() -> None:
    y, f = [1, 0], [0.2, 0.1]
    value, gradient = losskit.list_mle.value_and_gradient(y, f, reduction="sum")
    for weight in (2.0**200, 2.0**-200):
        options = {"sample_weight": [weight] * 2}
        found = losskit.list_mle.value_and_gradient(y, f, reduction="sum", **options)
        assert found[0] == weight * value
        assert found[1].tolist() == (weight * gradient).tolist()
        part = losskit.list_mle.accumulate(y, f, **options)
        assert part.denominator == (weight, 0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_bad_weight_is_named(bad: float) -> None:
    w = [1, 1, 1, bad, 1, 1]
    with pytest.raises(ValueError, match=r"nt_xent: sample_weight of row 3 is .*; needed is fin"):
        losskit.nt_xent(X, LABELS, sample_weight=w)
    with pytest.raises(ValueError, match=r"list_mle: sample_weight of query d is"):
        losskit.list_mle(LABELS, X[:, 0], query=list("abcdef"), sample_weight=w)
    with pytest.raises(ValueError, match=r"accuracy: sample_weight of element \[3\] is"):
        metrics.accuracy(LABELS, LABELS, sample_weight=w)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [(">f4", ">f4", "=f4"), ("f4", "f2", "=f4"), ("f2", "f2", "=f2"), ("f4", "f8", "=f8"),
     ("i4", "f4", "=f8")],
)  # fmt: skip
def test_types_are_those_of_losses_of_rows(first: str, second: str, result: str) -> None:
    a, b = np.ones((2, 3)).astype(first), np.ones((2, 3)).astype(second)
    for loss in (losskit.info_nce, losskit.cosine_distance):
        for gradient in loss.gradient(a, b):
            assert gradient.dtype == np.dtype(result)
            assert gradient.dtype.isnative


# --- mining


def test_similarities_that_overflow_are_the_losses_own_error() -> None:
    plain = losskit.info_nce(normalise=False)
    with pytest.raises(ValueError, match=r"info_nce: queries\[0\] has similarities that overflow"):
        plain(1e200 * X, 1e200 * X)
    with pytest.raises(ValueError, match=r"info_nce: queries\[0\] .* overflow float32"):
        plain((1e19 * X).astype("f4"), (1e19 * X).astype("f4"))
    for loss in (losskit.nt_xent, losskit.supervised_contrastive):
        with pytest.raises(ValueError, match=rf"{loss.name}: embeddings\[0\] .*temperature=1e-310"):
            loss(temperature=1e-310)(X, LABELS)
    # The index is the user's, whatever is masked.
    large, mask = X.copy(), np.arange(6) != 1
    large[3] *= 1e200
    with pytest.raises(ValueError, match=r"info_nce: queries\[3\]"):
        plain(large, 1e200 * X, mask=mask)
    with pytest.raises(ValueError, match=r"triplet_mined: embeddings\[3\] holds .*up to 1e\+150"):
        losskit.triplet.mined(large, LABELS, mask=mask)


def test_the_shape_of_the_first_input() -> None:
    with pytest.raises(ValueError, match=r"embeddings has shape \(6,\); .* \(rows, features\)$"):
        losskit.nt_xent(X[:, 0], LABELS)
    with pytest.raises(ValueError, match=r"labels has shape .* as many rows as embeddings, 6"):
        losskit.nt_xent(X, LABELS[:4])


# --- metrics


def test_variance_of_any_size() -> None:
    for unit in (1e-200, 1e-320, 1e200, 8e307):
        y, f = unit * np.array([1.0, 2.0]), unit * np.array([1.0, 1.5])
        assert metrics.r2(y, f) == pytest.approx(0.5, rel=2e-3)
        assert metrics.explained_variance(y, f) == pytest.approx(0.75, rel=2e-3)
    assert metrics.r2([1e200, -1e200], [0.0, 0.0]) == 0
    assert metrics.r2([1.0, 2.0], [1e200, 2.0]) == -math.inf


def test_positive_goes_with_scores_of_one_class() -> None:
    p = np.full((3, 3), 1 / 3)
    for metric in (metrics.auc, metrics.average_precision, metrics.brier, metrics.ece):
        with pytest.raises(ValueError, match=r"positive=2 goes with the scores of one class"):
            metric(positive=2)([0, 1, 2], p)


def test_labels_that_float64_cannot_tell_apart() -> None:
    with pytest.raises(ValueError, match=r"y_true\[0\] = 9.0072e\+15 is a label"):
        metrics.accuracy([2**53], [2**53 + 1])
    huge = np.array([2**63 + 1], np.uint64)
    with pytest.raises(ValueError, match="pass labels as text"):
        metrics.accuracy(huge, huge)
    assert metrics.accuracy([2**53 - 1, 4], [2**53 - 1, 5]) == 0.5


def test_surrogate_of_reciprocal_rank() -> None:
    assert metrics.mrr.surrogate == "approx_mrr"
