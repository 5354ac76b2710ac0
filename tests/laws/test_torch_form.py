"""What runs on CUDA gives what NumPy gives, and PyTorch's operators what their loss gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import losskit
from laws import cases, rows_cases, torch_form
from laws.rows_cases import draw
from laws.rows_derivatives import exists
from laws.samples import sample
from losskit.torch import apply

# What PyTorch itself loads for forward mode uses what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
ROWS = rows_cases.names("rows")


@pytest.mark.parametrize("name", cases.names())
def test_elements(name: str) -> None:
    torch_form.law_torch(losskit.get(name), 3, 10)
    torch_form.law_torch_limits(losskit.get(name))


@pytest.mark.slow
@pytest.mark.parametrize("loss", cases.every_setting(), ids=repr)
def test_elements_at_every_setting(loss: losskit.Loss) -> None:
    torch_form.law_torch(loss)
    torch_form.law_torch_limits(loss)


@pytest.mark.parametrize("name", [n for n in ROWS if n in rows_cases.STRATUM])
def test_rows(name: str) -> None:
    torch_form.law_torch_rows(losskit.get(name))


@pytest.mark.slow
@pytest.mark.parametrize("loss", rows_cases.every_setting("rows"), ids=repr)
def test_rows_at_every_setting(loss: losskit.Loss) -> None:
    torch_form.law_torch_rows(loss)


@pytest.mark.parametrize("name", losskit.names())
def test_operators_give_what_numpy_gives(name: str) -> None:
    """Value and gradient by autograd, of every loss of any kind, weighted, to the last bit."""
    loss = losskit.get(name)
    if loss.kind == "pointwise":
        arrays, places, query, count = sample(loss, 20), [1], None, 20
    else:
        data = draw(loss, 12, seed=5)
        arrays, places = data.arrays, data.trained
        query = None if data.query is None else np.unique(data.query, return_inverse=True)[1]
        count = len(arrays[0]) if query is None else int(query.max()) + 1
    weight = np.random.default_rng(0).integers(0, 4, count).astype(float)
    weight = weight if query is None else weight[query]
    tensors = [torch.from_numpy(np.array(a)) for a in arrays]
    differentiable = loss.kind != "pointwise" or cases.has_gradient(loss)
    for place in places:
        tensors[place].requires_grad_(differentiable)
    for reduction in ("mean", "sum"):
        options = {"sample_weight": weight, "query": query, "reduction": reduction}
        made = apply(loss, *tensors, **options)
        mine = loss(*arrays, raw=True, **options)
        assert made.item() == pytest.approx(mine, rel=1e-15)
        assert made.requires_grad == differentiable
        if not differentiable:
            continue
        slopes = loss.gradient(*arrays, raw=True, **options)
        slopes = slopes if isinstance(slopes, tuple) else (slopes,)
        for got, want in zip(
            torch.autograd.grad(made, [tensors[i] for i in places]), slopes, strict=True
        ):
            np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("name", cases.stratified())
def test_derivatives_of_elements(name: str) -> None:
    """gradcheck and gradgradcheck, and forward mode."""
    loss = losskit.get(name)
    if not cases.has_gradient(loss):
        assert not apply(loss, *map(torch.from_numpy, sample(loss, 5))).requires_grad
        return
    y, f = (torch.from_numpy(a) for a in sample(loss, 5, seed=2))
    f.requires_grad_()
    for reduction in ("mean", "none"):
        _check_derivatives(lambda x, r=reduction: apply(loss, y, x, reduction=r), (f,))


@pytest.mark.parametrize("name", rows_cases.stratified())
def test_derivatives_of_rows(name: str) -> None:
    loss = losskit.get(name)
    data = draw(loss, 3, columns=3, seed=8)
    tensors = [torch.from_numpy(a) for a in data.arrays]
    query = None
    if data.query is not None:
        query = torch.from_numpy(np.unique(data.query, return_inverse=True)[1])
    trained = [tensors[i].requires_grad_() for i in data.trained]

    def function(*given: torch.Tensor) -> torch.Tensor:
        every = list(tensors)
        for place, one in zip(data.trained, given, strict=True):
            every[place] = one
        return apply(loss, *every, query=query)

    _check_derivatives(function, tuple(trained), second=exists(loss, "product"))


def _check_derivatives(function, given, second: bool = True) -> None:
    forward = {"check_forward_ad": second}
    assert torch.autograd.gradcheck(function, given, rtol=1e-4, atol=1e-6, **forward)
    if second:
        assert torch.autograd.gradgradcheck(function, given, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [*cases.names(), *ROWS])
def test_source(name: str) -> None:
    text = losskit.get(name).source("torch")
    assert text.startswith(f"def {name}(")
    assert losskit.get(name).source("torch") == text
