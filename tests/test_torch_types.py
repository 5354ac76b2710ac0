"""What types of numbers do in PyTorch: half precision, integers, autocast, inputs' memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import losskit
import losskit.torch
from losskit.torch import functional

TWO = torch.tensor([1.0, 4.0])


def module(name: str, **options) -> losskit.torch.Loss:
    return losskit.torch.Loss(name, **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    f, y = torch.tensor([300.0, -1.0]).to(dtype).requires_grad_(), torch.zeros(2)
    made = module("squared_error", reduction="sum")(f, y)
    assert made.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    each = module("squared_error", reduction="none")(f, y)
    assert each.dtype == dtype
    assert made.item() == pytest.approx(300**2 + 1)  # which float16 cannot hold
    made.backward()
    assert f.grad.dtype == dtype
    assert f.grad.tolist() == [600.0, -2.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_slopes_of_half_precision_meet_what_comes_from_above_in_float32(dtype, reduction):
    """`GradScaler` multiplies by 65536, which float16 cannot hold, nor 1/n of a large batch."""
    n = 100_000
    f = torch.zeros(n, dtype=dtype, requires_grad=True)
    weight = torch.ones(n)
    weight[1] = 1e-3
    made = functional.binary_cross_entropy(
        f, torch.ones(n), sample_weight=weight, reduction=reduction
    )
    scale = 2.0**16 if reduction == "mean" else 1 / 1024
    (made.sum() * scale).backward()
    share = scale / weight.sum().item() if reduction == "mean" else scale
    assert f.grad.dtype == dtype
    wanted = torch.tensor([-0.5 * share, -0.5e-3 * share])
    torch.testing.assert_close(f.grad[:2].float(), wanted, rtol=torch.finfo(dtype).eps, atol=1e-7)


def test_unnormalised_slopes_of_half_precision_do_not_overflow():
    f = torch.full((2,), 40000.0, dtype=torch.float16, requires_grad=True)
    numerator, denominator = module("squared_error").parts(f, torch.zeros(2))
    (numerator / denominator / 100).backward()
    assert f.grad.tolist() == [400.0, 400.0]


def test_bfloat16_probabilities_of_classes_add_up_as_they_can():
    p = torch.softmax(torch.arange(20.0).reshape(2, 10).sin() * 2, 1).bfloat16()
    assert ((p.double().sum(1) - 1).abs() > 1e-3).any()
    made = module("cross_entropy", raw=False)(p, torch.tensor([0, 3]))
    assert made.item() == pytest.approx(-p[[0, 1], [0, 3]].double().log().mean().item(), rel=1e-6)
    with pytest.raises(ValueError, match="sums to"):
        module("cross_entropy", raw=False)(p * 2, torch.tensor([0, 3]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("predicted", [torch.float32, torch.bfloat16])
def test_soft_targets_of_half_precision_add_up_as_they_can(dtype, predicted):
    torch.manual_seed(0)
    target = torch.softmax(torch.randn(50, 10), 1).to(dtype)
    assert (target.double().sum(1) - 1).abs().max() > 1e-5
    f = torch.randn(50, 10).to(predicted)
    made = module("cross_entropy")(f, target).item()
    right = -(torch.log_softmax(f.double(), 1) * target.double()).sum(1).mean().item()
    assert made == pytest.approx(right, rel=1e-5)


def test_lists_and_arrays_keep_their_digits():
    f = torch.tensor([0.5, 0.25], dtype=torch.float64)
    y, w = [0.1, 0.3], [0.1, 0.7]
    wanted = losskit.huber(y, f.numpy(), sample_weight=w)
    assert losskit.torch.apply("huber", y, f, sample_weight=w).item() == wanted
    backward = np.array(y[::-1])[::-1]
    backward.flags.writeable = False
    assert losskit.torch.apply("huber", backward, f, sample_weight=np.array(w)).item() == wanted
    assert losskit.torch.apply("huber", y, f.numpy(), sample_weight=w).item() == wanted


def test_a_target_of_the_graph_serves_where_no_gradient_is_taken():
    y = TWO.clone().requires_grad_()
    with torch.no_grad():
        assert module("huber")(TWO, y).item() == 0


def test_integers():
    made = module("squared_error")(torch.tensor([1, 2]), torch.tensor([0, 0]))
    assert made.dtype == torch.float64
    assert made.item() == 2.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_computes_in_float32(dtype):
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    with torch.autocast("cpu", dtype=dtype):
        logits = layer(x)
        made = module("cross_entropy", reduction="none")(logits, torch.tensor([0, 1, 1, 0]))
    assert logits.dtype == dtype
    assert made.dtype == torch.float32
    made.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    logits = logits.detach().float().numpy()
    wanted = losskit.cross_entropy([0, 1, 1, 0], logits, raw=True, reduction="none")
    np.testing.assert_allclose(made.detach(), wanted, rtol=1e-6)


def test_bfloat16_probabilities_keep_their_own_distance_from_0():
    p = torch.tensor([0.0, 1.0], dtype=torch.bfloat16)
    made = module("binary_cross_entropy", raw=False)(p, torch.tensor([1.0, 1.0]))
    eps = torch.finfo(torch.bfloat16).eps
    assert made.item() == pytest.approx(-(np.log(eps) + np.log1p(-eps)) / 2, rel=1e-6)


def test_probabilities_keep_the_distance_from_0_that_is_asked_for():
    y, f = np.array([0.0, 1.0]), np.array([1.0, 0.5])
    for clip in (0.0, 0.01):
        made = losskit.torch.apply("binary_cross_entropy", y, f, raw=False, clip=clip)
        assert made.item() == losskit.binary_cross_entropy(y, f, clip=clip)
    with pytest.raises(ValueError, match=r"clip=0\.5; needed is"):
        losskit.torch.apply("binary_cross_entropy", y, f, raw=False, clip=0.5)


def test_no_copy_of_contiguous_inputs():
    from losskit.torch.cpu import to_array

    for tensor in (torch.randn(5), torch.randn(5, dtype=torch.float64), torch.arange(4)):
        assert to_array(tensor).__array_interface__["data"][0] == tensor.data_ptr()
    assert to_array(torch.randn(4, 3).T).strides == (4, 12)


def test_a_gradient_can_be_changed_without_harm():
    """What `backward` hands on is the user's: a second pass finds its own."""
    f, y = torch.tensor([1.0, 4.0], requires_grad=True), torch.zeros(2)
    made = module("squared_error")(f, y)
    for times in (1, 2, 3):
        made.backward(retain_graph=True)
        assert f.grad.tolist() == [times * 1.0, times * 4.0]
        assert not f.grad.requires_grad
    f.grad = None
    made.backward()
    f.grad.zero_()
    assert module("squared_error")(f, y).item() == 8.5
