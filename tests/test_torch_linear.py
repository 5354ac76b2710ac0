"""The fused last layer as a module: the same numbers as the library's function, and its slopes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch._dynamo.exc import TorchRuntimeError

import losskit
import losskit.torch
from losskit.torch.linear import _text
from losskit.torch.linear_kernels import on_cpu, on_device

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
OPTIONS = (
    {},
    {"label_smoothing": 0.1, "z_loss": 0.01, "softcap": 2.0, "temperature": 1.5},
    {"reduction": "sum", "class_weight": [1.0, 2.0] * 5 + [0.5]},
    {"reduction": "none"},
)


def data(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, dtype=dtype, generator=generator).requires_grad_()

    target = torch.randint(0, 11, (3, 4), generator=generator)
    target[0, 0] = -100
    weight, mask = torch.rand(3, 4, generator=generator), torch.arange(12).reshape(3, 4) % 5 > 0
    return (
        (normal(3, 4, 5), normal(11, 5), target),
        normal(11),
        {"sample_weight": weight, "mask": mask},
    )


def module(**options):
    return losskit.torch.LinearCrossEntropy(ignore_index=-100, **options)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(o, marks=(pytest.mark.slow,) * (i in (0, 2)), id=str(o))
        for i, o in enumerate(OPTIONS)
    ],
)
def test_as_the_function(options):
    (hidden, weight, target), bias, more = data()
    made = module(**options)(hidden, weight, target, bias=bias, **more)
    arrays = [x.detach().numpy() for x in (target, hidden, weight)]
    said = {"bias": bias.detach().numpy(), **{k: v.numpy() for k, v in more.items()}}
    wanted = losskit.linear_cross_entropy(*arrays, ignore_index=-100, **said, **options)
    np.testing.assert_allclose(made.detach(), wanted, rtol=1e-15)
    assert torch.autograd.gradcheck(
        lambda h, w, b: module(**options)(h, w, target, bias=b, **more), (hidden, weight, bias)
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_on_devices(options):
    """In blocks of a few tokens, the same as on the CPU."""
    (hidden, weight, target), bias, more = data()
    text = _text(module(memory=500, **options).options, False)
    for b in (None, bias.detach()):
        tensors = (hidden.detach(), weight.detach(), target, b, more["sample_weight"], more["mask"])
        upstream = torch.randn(3, 4) if options.get("reduction") == "none" else None
        made = [
            (value, weighed, *slopes)
            for value, weighed, slopes in (
                compute(text, tensors, upstream, True) for compute in (on_cpu, on_device)
            )
        ]
        for one, other in zip(*made, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("ignore_index", [None, 1])
def test_tokens_that_do_not_count_may_hold_nan_on_devices(ignore_index):
    hidden, weight = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    target, counts = torch.arange(4), torch.tensor([True, False, True, True])
    hidden[1] = torch.nan
    one = losskit.torch.LinearCrossEntropy(ignore_index=ignore_index)
    for own, mask in (
        (None, counts),
        (torch.tensor([1.0, 0, 2, 1]), None),
        (torch.tensor([1.0, torch.nan, 2, 1]), counts),
    ):
        tensors = (hidden, weight, target, None, own, mask)
        made = [f(_text(one.options, False), tensors, None, True) for f in (on_cpu, on_device)]
        torch.testing.assert_close(*made, rtol=1e-12, atol=1e-14)
    if ignore_index is not None:
        tensors = (hidden, weight, target, None, None, None)
        made = [f(_text(one.options, False), tensors, None, True) for f in (on_cpu, on_device)]
        torch.testing.assert_close(*made, rtol=1e-12, atol=1e-14)


def test_nothing_that_counts_on_devices():
    hidden, weight = torch.randn(2, 3), torch.randn(5, 3)
    tensors = (hidden, weight, torch.zeros(2, dtype=torch.long), None, torch.zeros(2), None)
    text = _text(losskit.torch.LinearCrossEntropy(empty="zero").options, False)
    for compute in (on_cpu, on_device):
        value, _, slopes = compute(text, tensors, None, True)
        assert value == 0
        assert not any(s.any() for s in slopes)
    text = _text(losskit.torch.LinearCrossEntropy().options, False)
    assert on_device(text, tensors, None, False)[0].isnan()
    with pytest.raises(ValueError, match="needed are"):
        on_device(text, (hidden, weight[:, :2], *tensors[2:]), None, False)


def test_parts():
    (hidden, weight, target), bias, more = data()
    numerator, denominator = module().parts(hidden, weight, target, bias=bias, **more)
    whole = module()(hidden, weight, target, bias=bias, **more)
    torch.testing.assert_close(numerator / denominator, whole, rtol=1e-14, atol=0)
    nothing = module().parts(hidden, weight, torch.full_like(target, -100))
    assert [x.item() for x in nothing] == [0, 0]


def test_transforms():
    (hidden, weight, target), bias, _ = data()
    one = module()
    slope = torch.func.grad(lambda h: one(h, weight.detach(), target))(hidden.detach())
    (wanted,) = torch.autograd.grad(one(hidden, weight, target), hidden)
    assert torch.equal(slope, wanted)
    each = torch.func.vmap(one, in_dims=(0, None, 0))(hidden.detach(), weight.detach(), target)
    wanted = torch.stack([one(h, weight, t) for h, t in zip(hidden, target, strict=True)])
    torch.testing.assert_close(each, wanted.detach())
    torch._dynamo.reset()
    compiled = torch.compile(one, fullgraph=True, backend="aot_eager")
    made = compiled(hidden, weight, target, bias=bias)
    inputs = (hidden, weight, bias)
    for got, want in zip(
        torch.autograd.grad(made, inputs),
        torch.autograd.grad(one(hidden, weight, target, bias=bias), inputs),
        strict=True,
    ):
        assert torch.equal(got, want)
    with pytest.raises(TorchRuntimeError, match="needed are"):
        compiled(hidden, weight.detach()[:, :3], target)
    with pytest.raises(losskit.Unsupported, match="second derivatives"):
        torch.func.hessian(lambda h: one(h, weight.detach(), target))(hidden.detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    (hidden, weight, target), _, _ = data(dtype)
    made = module()(hidden, weight, target)
    assert made.dtype == torch.float32
    made.backward()
    assert hidden.grad.dtype == weight.grad.dtype == dtype
    hidden.grad = weight.grad = None
    (module()(hidden, weight, target) * 2.0**16).backward()  # as GradScaler does
    exact = [x.detach().float().requires_grad_() for x in (hidden, weight)]
    wanted = torch.autograd.grad(module()(*exact, target) * 2.0**16, exact)
    for got, want in zip((hidden.grad, weight.grad), wanted, strict=True):
        torch.testing.assert_close(got, want.to(dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(reduction="none")(hidden, weight, target).dtype == torch.float32


def test_a_module():
    one = module(softcap=30.0)
    assert repr(one) == "LinearCrossEntropy(ignore_index=-100, softcap=30.0)"
    assert not one.state_dict()
    assert pickle.loads(pickle.dumps(one)).options == copy.deepcopy(one).options == one.options
    with pytest.raises(TypeError, match="did you mean 'softcap'"):
        module(soft_cap=1.0)
    (hidden, weight, target), _, _ = data()
    with pytest.raises(ValueError, match="sample_weight requires a gradient"):
        one(hidden, weight, target, sample_weight=torch.ones(3, 4, requires_grad=True))
    with pytest.raises(ValueError, match="is no class"):
        losskit.torch.LinearCrossEntropy()(hidden, weight, target)
