"""Losses of embeddings: what they charge, against definitions written out and other libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import losskit
import losskit.losses.embedding
from embedding_definitions import (
    LABELS,
    WEIGHT,
    D,
    N,
    P,
    Q,
    X,
    naive_mined,
    naive_multi,
    naive_nt_xent,
    naive_supcon,
)
from losskit.mining import tables

Array = np.ndarray[Any, np.dtype[Any]]


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
