"""What all ranking losses have in common."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import losskit
from losskit.losses import ranking
from losskit.ranking import pairs as pairs_module
from losskit.ranking.combinators import listwise, pairwise
from losskit.ranking.segments import running
from ranking_definitions import (
    ALL,
    lists,
    relevant,
)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_data_does_not_matter(name: str) -> None:
    y, f, query = relevant(10)
    if name == "list_mle":  # whose ties are drawn as they stand
        y = y + np.linspace(0, 0.5, len(y))
    loss = losskit.get(name)
    value, gradient = loss.value_and_gradient(y, f, query=query)
    order = np.random.default_rng(1).permutation(len(y))
    moved, slope = loss.value_and_gradient(y[order], f[order], query=query[order])
    assert moved == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope, gradient[order], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", ALL)
def test_masked_items_and_weightless_lists_may_hold_anything(name: str) -> None:
    y, f, query = relevant(11)
    loss, out = losskit.get(name), query == "q4"
    weight = np.where(query == "q2", 3.0, 1.0)
    rest = [a[~out] for a in (y, f, query, weight)]
    expected = loss.value_and_gradient(*rest[:2], query=rest[2], sample_weight=rest[3])
    y[out], f[out] = np.nan, np.inf
    for options in ({"mask": ~out, "sample_weight": weight}, {"sample_weight": weight * ~out}):
        value, gradient = loss.value_and_gradient(y, f, query=query, **options)
        assert value == pytest.approx(expected[0], rel=1e-14)
        np.testing.assert_allclose(gradient[~out], expected[1], rtol=1e-13, atol=1e-16)
        assert (gradient[out] == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_integer_weights_are_repeated_lists(name: str) -> None:
    y, f, query = relevant(12)
    loss, twice = losskit.get(name), query == "q2"
    value = loss(y, f, query=query, sample_weight=np.where(twice, 2.0, 1.0))
    again = [np.concatenate((a, a[twice])) for a in (y, f)]
    ids = np.concatenate((query, np.full(twice.sum(), "again")))
    assert loss(*again, query=ids) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [0.0, 1e-300, 40.0, 700.0, 1e4, 1e300])
def test_extreme_scores_are_never_nan(name: str, size: float) -> None:
    y, _, query = relevant(13)
    rng = np.random.default_rng(2)
    f = size * rng.choice([-1.0, 0.0, 1.0], len(y))
    loss = losskit.get(name)
    value, gradient = loss.value_and_gradient(y, f, query=query)
    assert not math.isnan(value)
    assert value >= 0
    assert not np.isnan(gradient).any()
    if name not in ("approx_ndcg", "approx_mrr"):
        assert not np.isnan(loss.hessian(y, f, query=query)).any()


@pytest.mark.parametrize("name", ALL)
def test_float32_and_float16(name: str) -> None:
    y, f, query = relevant(14)
    loss = losskit.get(name)
    f = f.astype(np.float16)
    value, gradient = loss.value_and_gradient(y, f.astype(np.float64), query=query)
    for dtype, rtol in ((np.float32, 2e-5), (np.float16, 2e-3)):
        near, slope = loss.value_and_gradient(y, f.astype(dtype), query=query)
        assert slope.dtype == dtype
        assert near == pytest.approx(value, rel=1e-5)
        np.testing.assert_allclose(slope, gradient, rtol=rtol, atol=rtol * np.abs(gradient).max())


@pytest.mark.parametrize("name", ALL)
def test_parts_add_up_to_the_whole(name: str) -> None:
    y, f, query = relevant(15)
    loss, part = losskit.get(name), np.isin(query, ["q0", "q3"])
    a, b = (loss.accumulate(y[c], f[c], query=query[c]) for c in (part, ~part))
    assert (a + b).value == pytest.approx(loss(y, f, query=query), rel=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_a_loss_is_a_value(name: str) -> None:
    loss = losskit.get(name)
    copy = pickle.loads(pickle.dumps(loss))
    assert copy == loss
    assert repr(loss) == f"losskit.{name}"
    assert hash(copy) == hash(loss)


def test_a_users_pairwise_loss_travels() -> None:
    loss = pairwise(losskit.smoothed_hinge(gamma=0.5))(sigma=2.0)
    copy = pickle.loads(pickle.dumps(loss))
    y, f, query = lists(16)
    assert copy(y, f, query=query) == loss(y, f, query=query)
    assert copy == loss
    assert loss.name not in losskit.names()


@pytest.mark.parametrize("name", [n for n in ALL if "pairwise" in n or n == "lambda_rank"])
def test_lists_without_pairs_count_for_nothing(name: str) -> None:
    loss = losskit.get(name)
    alone = loss([1, 0], [0.2, 0.1])
    assert loss([1, 0, 1, 1], [0.2, 0.1, 5.0, 6.0], query=list("aabb")) == alone
    with pytest.raises(ValueError, match="no list has items of different grades"):
        loss([1, 1], [0.0, 1.0])
    value, gradient = loss.value_and_gradient([1, 1], [0.0, 1.0], empty="zero")
    assert value == 0
    assert gradient.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["approx_ndcg", "approx_mrr", "poly1_softmax"])
def test_lists_without_relevant_items_have_no_value(name: str) -> None:
    loss, query = losskit.get(name), list("aabb")
    y, f = [1, 0, 0, 0], [0.2, 0.1, 0.0, 1.0]
    with pytest.raises(ValueError, match="query b has no value"):
        loss(y, f, query=query)
    value, gradient = loss.value_and_gradient(y, f, query=query, empty="zero")
    assert value == pytest.approx(loss(y[:2], f[:2]) / 2, rel=1e-15)
    assert gradient[2:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ALL)
def test_nan_is_an_error_or_as_asked(name: str) -> None:
    loss = losskit.get(name)
    y, f, query = np.array([1.0, 0, 2, 2, 0]), np.array([0.1, 0.3, np.nan, 0.2, 1]), list("aabbb")
    with pytest.raises(ValueError, match=r"y_pred\[2\]"):
        loss(y, f, query=query)
    expected = loss(y[:2], f[:2])  # the other list is left out as a whole
    assert loss(y, f, query=query, nan="omit") == pytest.approx(expected, rel=1e-14)
    value, gradient = loss.value_and_gradient(y, f, query=query, nan="propagate")
    assert math.isnan(value)
    assert np.isnan(gradient[2:]).all()
    assert not np.isnan(gradient[:2]).any()


def test_large_integer_grades_stay_apart_from_one_another() -> None:
    y = np.array([2**40 + 1, 2**40])
    assert ranking.pairwise_hinge(y, np.zeros(2, np.float32)) == 1.0


def test_pairs_of_many_blocks(monkeypatch: Any) -> None:
    y, f, query = lists(17)
    whole = ranking.pairwise_logistic.value_and_gradient(y, f, query=query)
    monkeypatch.setattr(pairs_module, "BLOCK", 5)
    parts = ranking.pairwise_logistic.value_and_gradient(y, f, query=query)
    assert parts[0] == pytest.approx(whole[0], rel=1e-14)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-12, atol=1e-16)


def test_twenty_thousand_items_in_one_list_need_no_matrix() -> None:
    import tracemalloc

    rng = np.random.default_rng(3)
    y, f = rng.normal(size=20_000), rng.normal(size=20_000)
    ranking.pairwise_hinge.gradient(y[:10], f[:10])
    tracemalloc.start()
    value, gradient = ranking.pairwise_hinge.value_and_gradient(y, f)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # a matrix of its pairs has 3.2e9 bytes
    some = rng.choice(20_000, 50)
    m = f[some, None] - f[None, :]
    own = np.where((y[some, None] > y) & (m < 1), -1, 0).sum(1)
    other = np.where((y[some, None] < y) & (-m < 1), 1, 0).sum(1)
    np.testing.assert_allclose(gradient[some] * (20_000 * 19_999 / 2), own + other, rtol=1e-9)
    assert value > 0


def test_a_wide_list_does_not_blur_a_narrow_one() -> None:
    """Sums of one list hold no digits of another's, as one running sum over all would."""
    y, f = np.array([1.0, 0, 1, 0]), np.array([0.3, 0.1, 1e9, -1e9])
    slope = ranking.pairwise_squared_hinge.gradient(y, f, query=[0, 0, 1, 1], reduction="sum")
    np.testing.assert_allclose(slope, [-1.6, 1.6, 0, 0], rtol=1e-15)


@pytest.mark.parametrize("reverse", [False, True])
def test_running_sums_of_segments(reverse: bool) -> None:
    rng = np.random.default_rng(4)
    lengths = np.array([3, 1, 0, 8, 5])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    x = rng.normal(size=lengths.sum())
    parts = np.split(x, starts[1:])
    step = -1 if reverse else 1
    expected = np.concatenate([np.cumsum(p[::step])[::step] for p in parts])
    np.testing.assert_allclose(
        running(np.add, x, starts, lengths, reverse=reverse), expected, rtol=1e-15
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pairwise("squared_error"), r"target is in \{-1, 1\}"),
        (lambda: pairwise("cross_entropy"), "loss of margins"),
        (lambda: listwise("hinge"), "soft targets"),
    ],
)
def test_combinators_say_what_they_take(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_combinators_refuse_unknown_words() -> None:
    with pytest.raises(ValueError, match="'ndcg', 'map' or None"):
        pairwise("hinge", metric="mrr")
    with pytest.raises(ValueError, match="relevance, share, softmax"):
        listwise("cross_entropy", target="sum")
    with pytest.raises(TypeError, match="no citation="):
        pairwise("hinge", citation="x")


@pytest.mark.parametrize("size", [1.0, 700.0, 1e300])
@pytest.mark.parametrize(
    "loss",
    [
        ranking.pairwise_logistic(sigma=0.7),
        ranking.pairwise_squared_hinge,
        pairwise(losskit.smoothed_hinge(gamma=0.5)),
        ranking.lambda_rank(k=3),
        ranking.lambda_rank(metric="map", k=4),
        ranking.approx_ndcg(temperature=0.5),
    ],
    ids=repr,
)
def test_compiled_pairs_equal_numpy(loss: Any, size: float, monkeypatch: Any) -> None:
    y, f, query = relevant(18)
    f *= size
    smooth = loss.name == "approx_ndcg"  # which has no Hessian

    def results() -> list[Any]:
        made = loss.value_and_gradient(y, f, query=query)
        return [*made] if smooth else [*made, loss.hessian(y, f, query=query)]

    plain = results()
    monkeypatch.setattr(pairs_module, "MANY", 1)
    for one, other in zip(plain, results(), strict=True):
        scale = np.abs(one).max() if np.isfinite(one).all() else 0
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-13 * scale)


def test_threads_do_not_change_results(monkeypatch: Any) -> None:
    y, f, query = relevant(19)
    monkeypatch.setattr(pairs_module, "MANY", 1)
    made = []
    for threads in (1, 3):
        losskit.set_num_threads(threads)
        made.append(ranking.lambda_rank.value_and_gradient(y, f, query=query))
    losskit.set_num_threads(None)
    assert made[0][0] == made[1][0]
    assert (made[0][1] == made[1][1]).all()
