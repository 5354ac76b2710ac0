"""Losses of embeddings: what they charge, against definitions written out and other libraries."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

import losskit
import losskit.losses.embedding
from losskit.formula import NonNegative, hypot1, positive_part, sum_
from losskit.mining import tables

Array = np.ndarray[Any, np.dtype[Any]]
N, D = 19, 5
RNG = np.random.default_rng(20)
X, P, Q = RNG.normal(size=(3, N, D))
LABELS = RNG.integers(0, 4, N)
LABELS[7] = 99  # alone: it has no positive
WEIGHT = RNG.uniform(0.1, 2, N)
ANCHORED = {
    "hard": losskit.get("triplet").mined,
    "semi": losskit.get("triplet").mined(mining="semi_hard"),
    "all": losskit.get("triplet").mined(mining="all"),
    "soft": losskit.get("triplet").mined(mining="all", margin=None),
    "nt_xent": losskit.get("nt_xent"),
    "supcon": losskit.get("supervised_contrastive"),
    "multi": losskit.get("multi_similarity"),
}


# --- definitions, written out in plain sums and differentiated by torch


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


def agrees(loss: losskit.Loss, naive: Any, *inputs: Array, **options: Any) -> None:
    """Check value and gradient against a definition of torch tensors in float64."""
    import torch

    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    truth = naive(*leaves)
    truth.backward()
    value, gradient = loss.value_and_gradient(*options.pop("data", inputs), **options)
    assert value == pytest.approx(truth.item(), rel=1e-12, abs=1e-14)
    for ours, leaf in zip(gradient if len(leaves) > 1 else [gradient], leaves, strict=True):
        scale = np.abs(leaf.grad.numpy()).max()
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12 * scale)


@pytest.fixture(params=[(1 << 20, 1 << 18), (0, 50)], ids=["at once", "in blocks"])
def paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches take differences at once; larger ones matrix products, in blocks of anchors."""
    monkeypatch.setattr(tables, "_SMALL", request.param[0])
    monkeypatch.setattr(tables, "BLOCK", request.param[1])


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard", "all"])
@pytest.mark.parametrize("distance", ["euclidean", "squared", "manhattan", "cosine"])
@pytest.mark.parametrize("margin", [0.3, None])
def test_mined_triplets(mining: str, distance: str, margin: float | None) -> None:
    loss = losskit.triplet(distance=distance).mined(mining=mining, margin=margin)
    agrees(
        loss,
        lambda x: naive_mined(x, LABELS, WEIGHT, margin, distance, mining),
        X,
        data=(X, LABELS),
        sample_weight=WEIGHT,
    )


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize(
    ("name", "naive"), [("nt_xent", naive_nt_xent), ("supervised_contrastive", naive_supcon)]
)
def test_contrasts_of_labels(name: str, naive: Any, temperature: float) -> None:
    loss = losskit.get(name)(temperature=temperature)
    options = {"data": (X, LABELS), "sample_weight": WEIGHT}
    agrees(loss, lambda x: naive(x, LABELS, WEIGHT, temperature), X, **options)


@pytest.mark.usefixtures("paths")
def test_multi_similarity() -> None:
    loss = losskit.multi_similarity(alpha=3, beta=20, base=0.2)
    options = {"data": (X, LABELS), "sample_weight": WEIGHT}
    agrees(loss, lambda x: naive_multi(x, LABELS, WEIGHT, 3, 20, 0.2), X, **options)


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_info_nce(normalise: bool, symmetric: bool) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    def naive(q: Any, k: Any) -> Any:
        if normalise:
            q, k = q / q.norm(dim=1, keepdim=True), k / k.norm(dim=1, keepdim=True)
        s, own, w = q @ k.T / 0.2, torch.arange(N), torch.tensor(WEIGHT)
        values = cross_entropy(s, own, reduction="none")
        if symmetric:
            values = (values + cross_entropy(s.T, own, reduction="none")) / 2
        return (w * values).sum() / w.sum()

    loss = losskit.info_nce(temperature=0.2, normalise=normalise, symmetric=symmetric)
    agrees(loss, naive, X, P, sample_weight=WEIGHT)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("distance", ["euclidean", "squared", "manhattan", "cosine"])
def test_triplets_are_torchs(distance: str, swap: bool) -> None:
    from torch.nn import functional

    apart = {
        "euclidean": lambda a, b: (a - b).norm(dim=1),
        "squared": lambda a, b: ((a - b) ** 2).sum(1),
        "manhattan": lambda a, b: (a - b).abs().sum(1),
        "cosine": lambda a, b: 1 - functional.cosine_similarity(a, b),
    }[distance]

    def theirs(a: Any, p: Any, n: Any) -> Any:
        return functional.triplet_margin_with_distance_loss(
            a, p, n, distance_function=apart, margin=0.7, swap=swap
        )

    agrees(losskit.triplet(distance=distance, swap=swap, margin=0.7), theirs, X, P, Q)


def test_torchs_eps_is_what_differs() -> None:
    """torch adds 1e-6 to every difference, unless told not to; ours is the definition."""
    import torch
    from torch.nn.functional import triplet_margin_loss

    tensors = [torch.tensor(a) for a in (X, P, Q)]
    ours = losskit.triplet(X, P, Q)
    assert ours == pytest.approx(triplet_margin_loss(*tensors, eps=0).item(), rel=1e-14)
    assert 0 < abs(ours - triplet_margin_loss(*tensors).item()) < 1e-6


@pytest.mark.parametrize("margin", [-0.2, 0.0, 0.3])
def test_cosine_embedding_is_torchs(margin: float) -> None:
    """torch adds 1e-12 to each squared length, which a relative 1e-12 of the value allows for."""
    import torch
    from torch.nn.functional import cosine_embedding_loss

    y = np.where(LABELS > 1, 1, -1)
    theirs = cosine_embedding_loss(
        torch.tensor(X), torch.tensor(P), torch.tensor(y), margin=margin, reduction="none"
    )
    ours = losskit.cosine_embedding(margin=margin)(y, X, P, reduction="none")
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_contrastive_is_the_articles() -> None:
    import torch

    y = (LABELS > 1).astype(int)

    def naive(a: Any, b: Any) -> Any:
        d, same = (a - b).norm(dim=1), torch.tensor(y)
        return (same * d**2 + (1 - same) * (4 - d).clamp(min=0) ** 2).mean()

    agrees(losskit.contrastive(margin=4), naive, X, P, data=(y, X, P))
    assert losskit.contrastive([1, 0, 0], [[0, 0]] * 3, [[3, 4], [0.6, 0], [3, 4]]) == (
        pytest.approx((25 + 0.16 + 0) / 3, rel=1e-15)
    )


@pytest.mark.parametrize("setting", [{}, {"distance": "squared"}, {"distance": "cosine"}])
def test_second_derivatives_of_rows(setting: dict[str, Any]) -> None:
    loss, h = losskit.triplet(margin=30, **setting), 1e-5
    hessian = loss.hessian(X, P, Q)
    for i in range(3):
        data = [X, P, Q]
        for k in range(D):
            step = np.zeros_like(X)
            step[:, k] = h
            ends = [
                loss.gradient(*data[:i], data[i] + sign * step, *data[i + 1 :])[i][:, k]
                for sign in (1, -1)
            ]
            np.testing.assert_allclose(
                hessian[i][:, k], (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-8
            )


# --- other libraries that find pairs; each in a process of its own, for its settings

_OPTAX = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
from optax import losses
x, p, n, labels = (jnp.array(a) for a in json.load(sys.stdin))
value, gradient = jax.value_and_grad(lambda e: losses.ntxent(e, labels, 0.3))(x)
print(json.dumps({
    "ntxent": float(value), "gradient": gradient.tolist(),
    "triplet": float(losses.triplet_margin_loss(x, p, n, eps=0).mean()),
    "triplet with eps": float(losses.triplet_margin_loss(x, p, n).mean()),
    "odd": losses.triplet_margin_loss(x, p, n, eps=0, norm_degree=1).tolist(),
    "cosine": losses.cosine_distance(x, p).tolist(),
}))
"""


def answer(program: str) -> Any:
    data = json.dumps([a.tolist() for a in (X, P, Q, LABELS)])
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=data, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    return json.loads(made.stdout)


def test_optax() -> None:
    pytest.importorskip("optax")
    theirs = answer(_OPTAX)
    value, gradient = losskit.nt_xent(temperature=0.3).value_and_gradient(X, LABELS)
    assert value == pytest.approx(theirs["ntxent"], rel=1e-12)
    np.testing.assert_allclose(gradient, theirs["gradient"], atol=1e-14)
    assert losskit.triplet(X, P, Q) == pytest.approx(theirs["triplet"], rel=1e-12)
    # It adds 1e-6 inside the root, and takes odd powers with their sign: a distance below 0.
    assert 0 < abs(losskit.triplet(X, P, Q) - theirs["triplet with eps"]) < 1e-5
    ours = losskit.triplet(distance="manhattan")(X, P, Q, reduction="none")
    assert np.abs(ours - theirs["odd"]).max() > 1
    np.testing.assert_allclose(
        losskit.cosine_distance(X, P, reduction="none"), theirs["cosine"], rtol=1e-12
    )


_METRIC_LEARNING = """
import json, sys
import torch
from pytorch_metric_learning import distances, losses, miners, reducers
torch.set_default_dtype(torch.float64)
x, _, _, labels = (torch.tensor(a) for a in json.load(sys.stdin))
apart = distances.LpDistance(normalize_embeddings=False)
triplet = losses.TripletMarginLoss(margin=1, distance=apart, reducer=reducers.MeanReducer())
hard = miners.BatchHardMiner(distance=apart)
print(json.dumps({
    "nt_xent": losses.NTXentLoss()(x, labels).item(),
    "supervised_contrastive": losses.SupConLoss()(x, labels).item(),
    "multi_similarity": losses.MultiSimilarityLoss()(x, labels).item(),
    "triplet_mined": triplet(x, labels, hard(x, labels)).item(),
    "all": triplet(x, labels).item(),
}))
"""


def test_pytorch_metric_learning() -> None:
    pytest.importorskip("pytorch_metric_learning", exc_type=ImportError)
    theirs = answer(_METRIC_LEARNING)
    every = theirs.pop("all")
    assert losskit.triplet.mined(mining="all")(X, LABELS) == pytest.approx(every, rel=1e-12)
    for name, value in theirs.items():
        assert losskit.get(name)(X, LABELS) == pytest.approx(value, rel=1e-12), name


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


@pytest.mark.parametrize("name", ["triplet_mined", "nt_xent", "supervised_contrastive"])
def test_a_batch_without_pairs(name: str) -> None:
    loss = losskit.get(name)
    with pytest.raises(ValueError, match=f"{name}: no example counts.*empty='zero'"):
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
    with pytest.raises(ValueError, match=r"beyond 1e\+150.*distance='cosine'"):
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
