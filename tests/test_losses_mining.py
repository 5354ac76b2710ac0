"""Losses that find their pairs in a batch: order, masks, ties, bad inputs and cost."""

from __future__ import annotations

import doctest
import tracemalloc
from typing import Any

import numpy as np
import pytest

import losskit
import losskit.losses.embedding
from embedding_definitions import LABELS, WEIGHT, D, N, P, Q, X, parts
from losskit.formula import NonNegative, hypot1, positive_part, sum_
from losskit.mining import tables

RNG = np.random.default_rng(21)
ANCHORED = {
    "hard": losskit.get("triplet").mined,
    "semi": losskit.get("triplet").mined(mining="semi_hard"),
    "all": losskit.get("triplet").mined(mining="all"),
    "soft": losskit.get("triplet").mined(mining="all", margin=None),
    "nt_xent": losskit.get("nt_xent"),
    "supcon": losskit.get("supervised_contrastive"),
    "multi": losskit.get("multi_similarity"),
}


@pytest.fixture(params=[(1 << 20, 1 << 18), (0, 50)], ids=["at once", "in blocks"])
def paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches take differences at once; larger ones matrix products, in blocks of anchors."""
    monkeypatch.setattr(tables, "_SMALL", request.param[0])
    monkeypatch.setattr(tables, "BLOCK", request.param[1])


# --- what holds for every loss that finds its pairs


@pytest.mark.parametrize("loss", ANCHORED.values(), ids=ANCHORED)
def test_the_order_of_a_batch_has_no_say(loss: losskit.Loss) -> None:
    order = RNG.permutation(N)
    value, gradient = loss.value_and_gradient(X, LABELS, sample_weight=WEIGHT)
    moved = loss.value_and_gradient(X[order], LABELS[order], sample_weight=WEIGHT[order])
    assert moved[0] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(moved[1], gradient[order], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("loss", ANCHORED.values(), ids=ANCHORED)
def test_masked_rows_are_nobodys_pair(loss: losskit.Loss) -> None:
    x, counts = X.copy(), np.ones(N, bool)
    counts[[2, 11]] = False
    x[[2, 11]] = np.nan
    names = np.array(["a", "b", "c", "d", "lonely"])[np.minimum(LABELS, 4)]
    value, gradient = loss.value_and_gradient(x, names, mask=counts)
    left = loss.value_and_gradient(X[counts], LABELS[counts])
    assert value == left[0]
    assert (gradient[~counts] == 0).all()
    np.testing.assert_array_equal(gradient[counts], left[1])
    zero = loss.value_and_gradient(x, LABELS, sample_weight=counts.astype(float))
    assert zero[0] == value
    single = loss(x, names, mask=counts, reduction="none")
    assert single.shape == (N,)
    assert (single[~counts] == 0).all()
    assert loss(x, names, mask=counts, reduction="sum") == pytest.approx(single.sum(), rel=1e-13)


@pytest.mark.parametrize("loss", ANCHORED.values(), ids=ANCHORED)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_gradient_is_of_what_the_call_returns(loss: losskit.Loss, reduction: str) -> None:
    options = {"sample_weight": WEIGHT, "reduction": reduction}
    along = RNG.normal(size=X.shape)
    h = 1e-6
    ends = [np.sum(loss(X + s * h * along, LABELS, **options)) for s in (1, -1)]
    slope = np.sum(loss.gradient(X, LABELS, **options) * along)
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("loss", ANCHORED.values(), ids=ANCHORED)
def test_small_types(loss: losskit.Loss, dtype: Any) -> None:
    small = X.astype(dtype)
    value, gradient = loss.value_and_gradient(small, LABELS)
    exact = loss.value_and_gradient(small.astype(float), LABELS)
    tolerance = 2e-5 if dtype is np.float32 else 2e-3
    assert gradient.dtype == dtype
    assert value == pytest.approx(exact[0], rel=2e-5)
    np.testing.assert_allclose(gradient, exact[1], atol=tolerance * np.abs(exact[1]).max())


@pytest.mark.parametrize("loss", ANCHORED.values(), ids=ANCHORED)
def test_equal_and_zero_vectors(loss: losskit.Loss) -> None:
    """A batch that has collapsed, and rows of zeros: values and derivatives are numbers."""
    for x in (np.ones((6, 3)) / 3, np.zeros((6, 3)), np.vstack([X[:4, :3], np.zeros((2, 3))])):
        for distance in ("euclidean", "squared", "manhattan", "cosine"):
            one = loss(distance=distance) if "distance" in loss.params else loss
            value, gradient = one.value_and_gradient(x, [0, 0, 1, 1, 2, 2])
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


def test_a_collapsed_batch_is_charged_the_margin() -> None:
    for mining in ("batch_hard", "semi_hard", "all"):
        loss = losskit.triplet(margin=0.4).mined(mining=mining)
        value, gradient = loss.value_and_gradient(np.full((6, 3), 0.1), [0, 0, 1, 1, 2, 2])
        assert value == pytest.approx(0.4, rel=1e-15)
        assert (gradient == 0).all()


@pytest.mark.parametrize("name", ["triplet", "cosine_distance", "cosine_embedding", "contrastive"])
def test_zero_vectors_of_rows(name: str) -> None:
    a, b = np.array([[0.0, 0], [0, 0], [1, 2]]), np.array([[0.0, 0], [3, 4], [0, 0]])
    y = {"cosine_embedding": ([1, 1, 1],), "contrastive": ([0, 0, 0],)}.get(name, ())
    data = (a, b, a[::-1]) if name == "triplet" else (*y, a, b)
    settings = ["euclidean", "squared", "manhattan", "cosine"] if name == "triplet" else [None]
    for setting in settings:
        loss = losskit.get(name, **({"distance": setting} if setting else {}))
        value, gradient = loss.value_and_gradient(*data, reduction="none")
        assert np.isfinite(value).all()
        assert all(np.isfinite(g).all() for g in gradient)
    if name.startswith("cosine"):
        assert value.tolist() == [1, 1, 1]
        assert all(np.abs(g).max() < 1e-16 for g in gradient)


def test_cosines_of_near_parallel_vectors_keep_their_digits() -> None:
    """1 − cos of an angle of 1e-7 is 5e-15; taken as a difference from 1 it has one digit."""
    a, b = np.array([[1.0, 0.0]]), np.array([[np.cos(1e-7), np.sin(1e-7)]])
    assert losskit.cosine_distance(a, b) == pytest.approx(5e-15, rel=1e-8)
    mined = losskit.triplet.mined(distance="cosine", margin=0)
    batch = np.vstack([a, b, [[1.0, 0.0]]])
    charged = mined(batch, [0, 0, 1], mask=[True] * 3, reduction="none")
    assert charged[0] == pytest.approx(5e-15, rel=1e-8)


@pytest.mark.usefixtures("paths")
def test_close_vectors_far_from_the_origin() -> None:
    """Distances of 1e-6 around vectors of length 1e3: a matrix product alone would lose them."""
    x = 1e3 * np.repeat(RNG.normal(size=(5, D)), 2, axis=0)
    x[1::2] += 1e-6 * RNG.normal(size=(5, D))
    labels = np.arange(10) % 2  # each one's twin is a negative
    loss = losskit.triplet.mined(margin=0.0)
    value, gradient = loss.value_and_gradient(x, labels, reduction="sum")
    truth, slopes = 0.0, np.zeros_like(x)
    for i in range(10):
        near, far = parts(labels, i)
        lengths = np.linalg.norm(x[i] - x, axis=1)
        p, n = max(near, key=lambda j: lengths[j]), min(far, key=lambda j: lengths[j])
        truth += lengths[p] - lengths[n]
        for j, sign in ((p, 1), (n, -1)):
            slopes[i] += sign * (x[i] - x[j]) / lengths[j]
            slopes[j] -= sign * (x[i] - x[j]) / lengths[j]
    assert value == pytest.approx(truth, rel=1e-13)
    np.testing.assert_allclose(gradient, slopes, atol=1e-9)


def test_semi_hard_takes_the_nearest_negative_beyond_the_positive() -> None:
    loss = losskit.triplet.mined(mining="semi_hard", margin=1)
    x, labels = np.array([[0.0], [1.0], [0.5], [1.2], [4.0]]), [0, 0, 1, 2, 3]
    assert loss(x, labels, reduction="none")[0] == pytest.approx(1 + 1 - 1.2)
    # From 1: d⁺ = 1, negatives at 0.5, 0.2 and 3; beyond is the one at 3, further than the margin.
    assert loss(x, labels, reduction="none")[1] == 0
    # Without a negative beyond, the farthest of those before: 1 + d⁺ − 0.5.
    assert loss(x[:3], labels[:3], reduction="none")[0] == pytest.approx(1 + 1 - 0.5)


def test_ties_of_the_hardest_share_the_gradient() -> None:
    x = np.array([[0.0], [1.0], [-1.0], [2.0], [-2.0]])
    one = losskit.triplet.mined(margin=3).gradient(
        x, [0, 0, 0, 1, 2], sample_weight=[1, 1e-300, 1e-300, 1e-300, 1e-300], reduction="sum"
    )
    np.testing.assert_allclose(one.ravel(), [0, 0.5, -0.5, -0.5, 0.5], atol=1e-290)


def test_mined_variant_keeps_the_parameters() -> None:
    mined = losskit.triplet(margin=0.2, distance="cosine").mined
    assert repr(mined) == "losskit.triplet_mined(margin=0.2, distance='cosine')"
    assert mined == losskit.get("triplet_mined", margin=0.2, distance="cosine")


def test_two_views_and_labels_agree() -> None:
    """SimCLR's loss: with two views of each, NT-Xent and supervised contrastive are the same."""
    views, number = np.vstack([X, P]), np.tile(np.arange(N), 2)
    expected = losskit.nt_xent(temperature=0.1)(views, number)
    assert losskit.supervised_contrastive(views, number) == pytest.approx(expected, rel=1e-13)


# --- bad inputs


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("triplet_mined", "no row has both a positive"),
        ("nt_xent", "no two rows share a label"),
        ("supervised_contrastive", "no two rows share a label"),
    ],
)
def test_a_batch_without_pairs(name: str, lacking: str) -> None:
    loss = losskit.get(name)
    with pytest.raises(ValueError, match=f"{name}: {lacking}.*empty='zero'"):
        loss(X, np.arange(N))
    value, gradient = loss.value_and_gradient(X, np.arange(N), empty="zero")
    assert value == 0
    assert (gradient == 0).all()
    with pytest.raises(ValueError, match="no example counts"):
        loss(X, LABELS, mask=np.zeros(N, bool))


def test_bad_inputs() -> None:
    hole = X.copy()
    hole[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"nt_xent: embeddings\[4\] holds NaN"):
        losskit.nt_xent(hole, LABELS)
    left = losskit.nt_xent(hole, LABELS, nan="omit")
    assert left == losskit.nt_xent(np.delete(X, 4, 0), np.delete(LABELS, 4))
    with pytest.raises(ValueError, match=r"nt_xent: labels\[3\] holds NaN"):
        losskit.nt_xent(X, np.where(np.arange(N) == 3, np.nan, LABELS))
    with pytest.raises(ValueError, match=r"triplet_mined: embeddings\[4\] holds inf"):
        losskit.triplet.mined(np.where(np.isnan(hole), np.inf, hole), LABELS)
    with pytest.raises(
        ValueError, match=r"embeddings\[0\] holds .*up to 1e\+150.*distance='cosine'"
    ):
        losskit.triplet.mined(1e200 * X, LABELS)
    assert losskit.triplet.mined(distance="cosine")(1e200 * X, LABELS) == pytest.approx(
        losskit.triplet.mined(distance="cosine")(X, LABELS), rel=1e-12
    )
    with pytest.raises(ValueError, match=r"labels has shape \(18,\).*as many rows"):
        losskit.nt_xent(X, LABELS[1:])
    with pytest.raises(ValueError, match="queries have 5 features and keys 4"):
        losskit.info_nce(X, P[:, 1:])
    with pytest.raises(ValueError, match="mining='hardest'; needed is one of 'batch_hard'"):
        losskit.triplet.mined(mining="hardest")
    with pytest.raises(ValueError, match=r"margin=-1; needed is a number in \[0, ∞\)"):
        losskit.triplet(margin=-1)
    with pytest.raises(ValueError, match=r"y_true.*= 0 .*-1, 1"):
        losskit.cosine_embedding([0], [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match=r"positive \(19, 4\)"):
        losskit.triplet(X, P[:, 1:], Q)


# --- cost


def test_memory_is_not_the_square_of_the_batch() -> None:
    n = 2500  # its table of float64 has 50 MB
    x, labels = RNG.normal(size=(n, 8)), np.arange(n) // 4
    for name in ("triplet_mined", "nt_xent"):
        tracemalloc.start()
        losskit.get(name).value_and_gradient(x, labels)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 25e6, name


def test_all_triplets_need_no_list_of_them() -> None:
    """5·10⁷ triplets, by sorted distances, charge what pairs of distances written out charge."""
    n = 600
    x, labels = RNG.normal(size=(n, 3)), np.arange(n) % 2
    single = losskit.triplet.mined(mining="all")(x, labels, reduction="none")
    i = 17
    near, far = parts(labels, i)
    d = np.linalg.norm(x - x[i], axis=1)
    charged = np.maximum(d[near][:, None] - d[far] + 1, 0).sum()
    assert single[i] == pytest.approx(charged, rel=1e-12)


def test_docstrings_run() -> None:
    runner = doctest.DocTestRunner(verbose=False)
    for name in losskit.names("written"):
        if losskit.get(name).task == "embedding":
            doc = losskit.get(name).doc
            made = runner.run(doctest.DocTestParser().get_doctest(doc, {}, name, None, 0))
            assert made.attempted >= 2, name
            assert made.failed == 0, name


def test_any_distance_is_a_formula() -> None:
    """The example of the module's docstring."""

    @losskit.loss(axis="feature")
    def robust_triplet(anchor, positive, negative, margin: NonNegative = 1.0):
        near, far = sum_(hypot1(anchor - positive)), sum_(hypot1(anchor - negative))
        return positive_part(near - far + margin)

    expected = np.sqrt(1 + (X - P) ** 2).sum(1) - np.sqrt(1 + (X - Q) ** 2).sum(1) + 1
    ours = robust_triplet(X, P, Q, reduction="none")
    np.testing.assert_allclose(ours, np.maximum(expected, 0), rtol=1e-12, atol=1e-14)
    assert len(robust_triplet.gradient(X, P, Q)) == 3
