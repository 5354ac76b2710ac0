"""Single samples, whose tensors have no axis: per-sample gradients of torch.func."""

from __future__ import annotations

import pytest
import torch
from torch.func import grad, hessian, jvp, vmap

import losskit.torch
from losskit.torch.formulas import formula_of
from losskit.torch.operators import evaluate
from losskit.torch.plans import plan_of
from losskit.torch.programs import scored

# What PyTorch itself loads for forward mode uses what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["huber", "squared_error", "quantile", "binary_cross_entropy"])
def test_gradients_of_single_samples(name, reduction):
    """A prediction without axes, as in per-sample gradients, is differentiated like others."""
    y, f = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.5, -2.0, 3.0])
    one = losskit.torch.Loss(name, reduction=reduction)
    every = losskit.torch.Loss(name, reduction="sum")
    first = vmap(grad(one))(f, y)
    torch.testing.assert_close(first, grad(every)(f, y))
    assert grad(one)(f[1], y[1]) == first[1]
    assert jvp(lambda q: one(q, y[1]), (f[1],), (torch.tensor(2.0),))[1] == 2 * first[1]
    second = vmap(hessian(one))(f, y)
    torch.testing.assert_close(second, hessian(every)(f, y).diagonal())
    net = {"weight": torch.tensor([2.0])}
    found = vmap(grad(lambda p, x, t: one((p["weight"] * x)[0], t)), (None, 0, 0))(net, f, y)
    wanted = grad(every)(2 * f, y) * f
    torch.testing.assert_close(found["weight"][:, 0], wanted)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_single_samples_in_the_generated_formula(reduction):
    plan = plan_of("huber", True, reduction, False)
    y, f, w = torch.tensor(0.0), torch.tensor(0.5), torch.tensor(2.0)
    formula = formula_of(plan, ("value", "gradient"), f.dtype)
    for weight in (None, w):
        made = scored(formula, 0, [y, f], [], weight, None, None)
        wanted = evaluate(plan.text, [y, f], weight, None, None, True, 0)
        assert made[0] == wanted[0]
        assert made[2][0].shape == ()
        assert made[2][0] == wanted[2][0]
