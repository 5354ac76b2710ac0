"""Errors of losses in PyTorch: in its names of the data, with advice that can be followed there."""

from __future__ import annotations

import pytest
import torch

import losskit.torch
from losskit.torch import Loss, functional

PAIR = torch.tensor([1.0, 2.0])
EMPTY = torch.zeros(0)
linear = losskit.torch.LinearCrossEntropy()
NAN = torch.full((2,), float("nan"))


@pytest.mark.parametrize(
    ("call", "named", "advised"),
    [
        (lambda: Loss("huber")(NAN, PAIR), r"input\[0\]", "mask="),
        (lambda: functional.huber(PAIR, NAN), r"target\[0\]", "mask="),
        (lambda: losskit.torch.apply("huber", NAN, PAIR), r"y_true\[0\]", "mask="),
        (lambda: Loss("cross_entropy")(NAN[None], torch.tensor([0])), "input", "mask="),
        (lambda: Loss("nt_xent")(NAN[:, None], torch.zeros(2)), "embeddings", "mask="),
        (lambda: Loss("huber")(EMPTY, EMPTY), "huber", r"parts\(\)"),
        (lambda: Loss("cross_entropy")(EMPTY.reshape(0, 2), EMPTY), "no row", r"parts\(\)"),
        (lambda: Loss("nt_xent")(EMPTY.reshape(0, 2), EMPTY), "no example", r"parts\(\)"),
        (lambda: Loss("nt_xent")(torch.randn(2, 2), torch.arange(2)), "nt_xent", r"parts\(\)"),
        (lambda: functional.list_net(EMPTY, EMPTY, query=EMPTY), "no list", r"parts\(\)"),
        (lambda: Loss("huber")(PAIR, PAIR[:1]), r"target has shape \(1,\) and input", "broadcast"),
        (lambda: linear(torch.zeros(0, 2), torch.ones(3, 2), torch.zeros(0).long()), "no token",
         r"parts\(\) of losskit.torch.LinearCrossEntropy"),
        (lambda: linear(torch.ones(1, 2), torch.ones(3, 2), torch.ones(1)), "target has dtype",
         r"\.long\(\)"),
    ],
)  # fmt: skip
def test_errors_name_and_advise_what_pytorch_has(call, named, advised):
    with pytest.raises((TypeError, ValueError), match=f"{named}.*{advised}") as told:
        call()
    for foreign in ("omit", "empty=", "accumulate", "astype"):
        assert foreign not in str(told.value)


@pytest.mark.parametrize("name", ["huber", "cross_entropy", "nt_xent", "list_net"])
def test_parts_of_nothing_are_0_as_errors_advise(name):
    f = torch.zeros((0, 2) if name in ("cross_entropy", "nt_xent") else 0)
    query = {"query": EMPTY} if name == "list_net" else {}
    assert [x.item() for x in Loss(name).parts(f, EMPTY, **query)] == [0, 0]


def test_queries_may_be_names():
    f, y = torch.randn(4), torch.tensor([0.0, 1.0, 1.0, 0.0])
    one = Loss("lambda_rank")
    assert one(f, y, query=list("baba")) == one(f, y, query=torch.tensor([1, 0, 1, 0]))
