"""Losses under what transforms programs: torch.func, torch.compile, tracing without data."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch._dynamo.exc import TorchRuntimeError
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import losskit
import losskit.torch
from laws import rows_cases
from laws.rows_cases import draw
from laws.samples import sample
from losskit.torch import apply, functional
from losskit.torch.formulas import formula_of
from losskit.torch.operators import evaluate, product, pullback
from losskit.torch.plans import plan_of
from losskit.torch.programs import scored

# What PyTorch itself loads for forward mode and for compiling uses what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")

# One of each kind, and what is particular: several outputs, several trained inputs, lists.
NAMES = ("binary_cross_entropy", "gaussian_nll", "cross_entropy", "triplet", "list_net")


def case(name: str, batch: int | None = None):
    """Return a function of the first trained input, and this; `batch` puts an axis before it."""
    loss = losskit.get(name)
    rng = np.random.default_rng(3)
    calls = []
    for seed in range(batch or 1):
        if loss.kind == "pointwise":
            outputs = len(loss.outputs)
            f = rng.normal(size=(4, 2) if outputs > 1 else 4)
            arrays, place = (rng.integers(0, 2, 4).astype(float), f), 1
        elif rows_cases.ragged(loss):
            arrays, place = (rng.integers(0, 2, (2, 3)).astype(float), rng.normal(size=(2, 3))), 1
        else:
            data = draw(loss, 3, columns=3, seed=seed)
            arrays, place = data.arrays, data.trained[0]
        calls.append([torch.from_numpy(np.array(a)) for a in arrays])
    own = [torch.stack(x) for x in zip(*calls, strict=True)] if batch else calls[0]

    def function(*tensors: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        return apply(loss, *tensors, reduction=reduction)

    return function, own, place


# --- torch.func


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian(name):
    function, data, place = case(name)
    free = [x.clone() for x in data]
    free[place].requires_grad_()
    wanted = torch.autograd.grad(function(*free), free[place])[0]
    assert torch.equal(grad(function, argnums=place)(*data), wanted)
    products = [
        second(function, argnums=place)(*data)
        for second in (
            hessian,
            lambda f, argnums: jacrev(jacrev(f, argnums=argnums), argnums=argnums),
            lambda f, argnums: jacrev(jacfwd(f, argnums=argnums), argnums=argnums),
        )
    ]
    size = data[place].numel()
    loss, arrays = losskit.get(name), [x.numpy() for x in data]
    for found in products:
        matrix = found.reshape(size, size)
        torch.testing.assert_close(matrix, matrix.T, rtol=1e-12, atol=1e-15)
        if name == "gaussian_nll":
            truth = torch.func.hessian(_gaussian)(data[1], data[0]).reshape(size, size)
            torch.testing.assert_close(matrix, truth, rtol=1e-12, atol=1e-15)
        else:
            diagonal = loss.hessian(*arrays, raw=True)
            diagonal = diagonal[0] if isinstance(diagonal, tuple) else diagonal
            np.testing.assert_allclose(matrix.diagonal(), diagonal.ravel(), atol=1e-14)


def _gaussian(out, y):
    mean, log_sd = out.unbind(-1)
    return (log_sd + (y - mean) ** 2 * torch.exp(-2 * log_sd) / 2).mean()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_vmap(name, reduction):
    """Calls in a batch give what they give one after another; gradients too, in any order."""
    function, data, place = case(name, batch=3)
    function = partial(function, reduction=reduction)
    wanted = torch.stack([function(*one) for one in zip(*data, strict=True)])
    torch.testing.assert_close(vmap(function)(*data), wanted, rtol=1e-14, atol=1e-16)
    summed = lambda *one: function(*one).sum()  # noqa: E731
    slope = grad(summed, argnums=place)
    wanted = torch.stack([slope(*one) for one in zip(*data, strict=True)])
    torch.testing.assert_close(vmap(slope)(*data), wanted, rtol=1e-14, atol=1e-16)
    outside = grad(lambda *every: vmap(summed)(*every).sum(), argnums=place)(*data)
    torch.testing.assert_close(outside, wanted, rtol=1e-14, atol=1e-16)
    if reduction != "none":
        second = hessian(summed, argnums=place)
        wanted = torch.stack([second(*one) for one in zip(*data, strict=True)])
        torch.testing.assert_close(vmap(second)(*data), wanted, rtol=1e-13, atol=1e-15)


def test_vmap_of_algorithms_and_of_weights():
    embeddings, labels = torch.randn(3, 6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    one = lambda x: apply("nt_xent", x, labels)  # noqa: E731
    wanted = torch.stack([grad(one)(x) for x in embeddings])
    torch.testing.assert_close(vmap(grad(one))(embeddings), wanted)
    y, f, w = torch.randn(3, 5), torch.randn(3, 5), torch.rand(3, 5)
    weighed = lambda y, f, w: apply("huber", y, f, sample_weight=w)  # noqa: E731
    wanted = torch.stack([weighed(*one) for one in zip(y, f, w, strict=True)])
    torch.testing.assert_close(vmap(weighed)(y, f, w), wanted)
    torch.testing.assert_close(
        vmap(weighed, (0, 0, None))(y, f, w[0])[0], weighed(y[0], f[0], w[0])
    )
    classes = lambda y, f: apply(losskit.cross_entropy(class_weight=[1, 2, 3]), y, f)  # noqa: E731
    y, f = torch.randint(0, 3, (3, 5)), torch.randn(3, 5, 3)
    wanted = torch.stack([classes(*one) for one in zip(y, f, strict=True)])
    torch.testing.assert_close(vmap(classes)(y, f), wanted)
    with pytest.raises(ValueError, match="an axis of length 0"):
        vmap(classes)(y[:0], f[:0])
    with pytest.raises(ValueError, match="nothing counts"):
        vmap(weighed)(torch.ones(2, 3), torch.ones(2, 3), torch.zeros(2, 3))


def test_forward_mode():
    f, y, v = torch.randn(5, dtype=torch.float64), torch.randn(5), torch.randn(5)
    v = v.double()
    value, change = jvp(lambda x: functional.huber(x, y), (f,), (v,))
    assert value == functional.huber(f, y)
    slope = losskit.huber.gradient(y.numpy(), f.numpy())
    assert change.item() == pytest.approx((slope * v.numpy()).sum(), rel=1e-13)
    each = partial(functional.huber, target=y, reduction="none")
    _, change = jvp(lambda x: each(x), (f.half(),), (v.half(),))
    assert change.dtype == torch.float16


def test_what_pytorch_would_get_wrong_in_silence_is_refused():
    """Forward mode in itself loses the derivatives of custom functions; a third is not ours."""
    function = lambda f: functional.poisson(f, torch.ones(2))  # noqa: E731
    with pytest.raises(losskit.Unsupported, match="jacrev for one of the two"):
        jacfwd(jacfwd(function))(torch.zeros(2))
    with pytest.raises(losskit.Unsupported, match="third derivatives"):
        jacrev(jacrev(jacrev(function)))(torch.zeros(2))
    f = torch.zeros(3, 2, requires_grad=True)
    made = apply("nt_xent", f, torch.tensor([0, 0, 1]))
    slope = torch.autograd.grad(made, f, create_graph=True)[0]
    with pytest.raises(losskit.Unsupported, match="no Hessian–vector product"):
        slope.sum().backward()


# --- torch.compile


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=(pytest.mark.slow,) * (n in NAMES[:3])) for n in NAMES],
)
def test_compiled_without_a_break(name):
    function, data, place = case(name)
    torch._dynamo.reset()
    compiled = torch.compile(lambda *x: function(*x) * 2, fullgraph=True, backend="aot_eager")
    data[place].requires_grad_()
    for made in (compiled(*data), 2 * function(*data)):
        slope = torch.autograd.grad(made, data[place])[0]
        assert made.item() == 2 * function(*data).item()
        assert torch.equal(slope, 2 * torch.autograd.grad(function(*data), data[place])[0])


@pytest.mark.slow
def test_modules_and_functions_compile():
    torch._dynamo.reset()
    one, weight = losskit.torch.Loss("huber", delta=2.0), torch.rand(4)

    def train(f, y):
        both = one(f, y, sample_weight=weight) + functional.quantile(f, y, q=0.9)
        numerator, denominator = one.parts(f, y)
        return both + numerator / denominator

    f, y = torch.randn(4, requires_grad=True), torch.randn(4)
    made = torch.compile(train, fullgraph=True, backend="aot_eager")(f, y)
    torch.testing.assert_close(made, train(f, y), rtol=1e-6, atol=0)
    slopes = [torch.autograd.grad(x, f)[0] for x in (made, train(f, y))]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-9)


def test_compiled_calls_keep_the_slope_at_0_and_the_errors():
    torch._dynamo.reset()
    one = torch.compile(
        losskit.torch.Loss("binary_cross_entropy"), fullgraph=True, backend="aot_eager"
    )
    f = torch.zeros(2, requires_grad=True)
    one(f, torch.ones(2)).backward()
    assert f.grad.tolist() == [-0.25, -0.25]
    with pytest.raises(ValueError, match=r"y_true\[1\] = 2 lies outside"):
        one(f, torch.tensor([0.0, 2.0]))
    with pytest.raises(TorchRuntimeError, match="nothing is broadcast"):
        one(f, torch.ones(3))
    with pytest.raises(TorchRuntimeError, match="needed are real numbers"):
        one(f, torch.ones(2, dtype=torch.complex64))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_compiled_by_inductor(name):
    function, data, place = case(name)
    torch._dynamo.reset()
    compiled = torch.compile(lambda *x: function(*x) * 2, fullgraph=True)
    data[place].requires_grad_()
    slope = torch.autograd.grad(compiled(*data), data[place])[0]
    wanted = 2 * torch.autograd.grad(function(*data), data[place])[0]
    torch.testing.assert_close(slope, wanted, rtol=1e-14, atol=0)


_OF_FORMULAS = [n for n in losskit.names() if plan_of(n, True, "mean", False).by_row]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "backend"),
    [*((n, "inductor") for n in NAMES[:3]), *((n, "eager") for n in _OF_FORMULAS)],
)
def test_the_form_of_devices_is_one_graph(name, backend):
    """What CUDA gets is compiled whole: here for the CPU, by the same compiler."""
    loss = losskit.get(name)
    slopes = name != "zero_one"
    wanted = ("value", "gradient") if slopes else ("value",)
    arrays = sample(loss, 6) if loss.kind == "pointwise" else draw(loss, 6, seed=4).arrays
    formula = formula_of(plan_of(name, True, "mean", False), wanted, torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(
        partial(scored, formula, 0), dynamic=True, fullgraph=True, backend=backend
    )
    weight = torch.rand(6, dtype=torch.float64)
    data = [torch.from_numpy(np.array(a)) for a in arrays]
    value, _, made, admitted = compiled(data, [], weight, None, None)
    assert admitted
    options = {"raw": True, "sample_weight": weight.numpy()}
    assert value.item() == pytest.approx(loss(*arrays, **options), rel=1e-13)
    gradients = loss.gradient(*arrays, **options) if slopes else ()
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for got, mine in zip(made, gradients, strict=True):
        np.testing.assert_allclose(got, mine, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_another_loss_is_not_taken_for_the_compiled_one():
    torch._dynamo.reset()
    f, y = torch.randn(4), torch.zeros(4)
    compiled = torch.compile(lambda m, f, y: m(f, y), fullgraph=True, backend="aot_eager")
    one = losskit.torch.Loss("huber")
    for made in (one, losskit.torch.Loss("huber", delta=3.0), losskit.torch.Loss("log_cosh")):
        assert compiled(made, f, y) == made(f, y)
    one.loss, one.reduction = losskit.squared_error, "sum"
    assert compiled(one, f, y) == one(f, y) == functional.squared_error(f, y, reduction="sum")


@pytest.mark.slow
def test_a_parameter_and_sizes_may_change_between_compiled_calls():
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda f, y, d: functional.huber(f, y, delta=d), fullgraph=True, backend="aot_eager"
    )
    for n, delta in ((5, 1.0), (7, 2.0), (3, 0.5)):
        f, y = torch.randn(n) * 3, torch.zeros(n)
        assert compiled(f, y, delta) == functional.huber(f, y, delta=delta)


@pytest.mark.slow
def test_values_whose_number_depends_on_the_data_compile():
    torch._dynamo.reset()
    query, keys = torch.tensor([0, 0, 1, 1, 1, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    f, e = torch.randn(6, requires_grad=True), torch.randn(6, 3, requires_grad=True)
    for x, function in (
        (f, lambda x: apply("list_net", torch.ones(6), x, query=query, reduction="none")),
        (e, lambda x: apply("triplet_mined", x, keys, reduction="none")),
    ):
        squares = lambda x, g=function: (g(x) ** 2).sum()  # noqa: E731
        made = torch.compile(squares, fullgraph=True, backend="aot_eager")(x)
        slopes = [torch.autograd.grad(one, x)[0] for one in (made, squares(x))]
        torch.testing.assert_close(*slopes)


def test_exported():
    f, y = torch.randn(4), torch.randn(4)
    program = torch.export.export(losskit.torch.Loss("huber", delta=2.0), (f, y))
    assert program.module()(f, y) == functional.huber(f, y, delta=2.0)


@pytest.mark.slow
def test_pytorch_finds_nothing_wrong_with_the_operators():
    y, f = torch.rand(5), torch.randn(5, requires_grad=True)
    text = plan_of("binary_cross_entropy", True, "mean", False).text
    weight, mask = torch.rand(5), torch.ones(5, dtype=torch.bool)
    torch.library.opcheck(evaluate, (text, [y, f], weight, mask, None, True, 0))
    torch.library.opcheck(evaluate, (text, [y, f.detach()], None, None, None, False, 0))
    vector = torch.rand(5)
    torch.library.opcheck(product, (text, [y, f.detach()], [vector], weight, None, None, 0))
    text = plan_of("list_net", True, "none", False).text
    data, query = [torch.ones(4), torch.randn(4)], torch.tensor([0, 0, 1, 1])
    torch.library.opcheck(pullback, (text, data, torch.rand(2), None, None, query, 0))


# --- without data


@pytest.mark.parametrize("name", losskit.names())
def test_traced_without_data(name):
    """Shapes and types are known without numbers."""
    loss = losskit.get(name)
    if loss.kind == "pointwise":
        arrays = [np.zeros(6), np.zeros((6, 2) if len(loss.outputs) > 1 else 6)]
        trained, query = [1], None
    else:
        drawn = draw(loss, 6, seed=1)
        arrays, trained = drawn.arrays, drawn.trained
        query = None if drawn.query is None else np.zeros(len(arrays[0]), int)
    data = [_empty(a, "meta") for a in arrays]
    group = None if query is None else _empty(query, "meta")
    for i in trained:
        data[i].requires_grad_()
    made = apply(loss, *data, query=group)
    assert made.shape == ()
    if name != "zero_one":
        slopes = torch.autograd.grad(made, [data[i] for i in trained])
        assert [s.shape for s in slopes] == [data[i].shape for i in trained]
    with FakeTensorMode():  # without autograd, which wants a device
        data = [_empty(a, "cuda") for a in arrays]
        group = None if query is None else _empty(query, "cuda")
        text = plan_of(loss, True, "mean", False).text
        made, _, slopes = evaluate(text, data, None, None, group, True, 0)
        assert made.shape == ()
        assert made.device.type == "cuda"
        assert [s.shape for s in slopes] == [data[i].shape for i in trained]


def _empty(array, device):
    dtype = torch.from_numpy(array[:0]).dtype
    return torch.empty(array.shape, dtype=dtype, device=device)


def test_shapes_are_checked_without_data():
    f = torch.empty(3, 4, device="meta")
    for bad, said in (
        (torch.empty(4, dtype=torch.int64, device="meta"), "needed is"),
        (torch.empty(3, 5, device="meta"), "needed is"),
    ):
        with pytest.raises(ValueError, match=said):
            apply("cross_entropy", bad, f)
    with pytest.raises(ValueError, match="one device"):
        apply("huber", torch.zeros(3), torch.empty(3, device="meta"))


# --- values on devices


def test_what_is_not_admitted_is_nan_on_devices():
    from losskit.torch import devices

    y, f = torch.tensor([0.0, 1.0, -1.0]), torch.randn(3)
    plan = plan_of("hinge", True, "none", False)
    value, _, (slope,) = devices.evaluate(plan, [y, f], None, None, None, True, 0)
    assert value.isnan().tolist() == slope.isnan().tolist() == [True, False, False]
    index, scores = torch.tensor([0, 3, -1]), torch.randn(3, 3)
    plan = plan_of("cross_entropy", True, "none", False)
    value, _, (slope,) = devices.evaluate(plan, [index, scores], None, None, None, True, 0)
    assert value.isnan().tolist() == slope.isnan().all(1).tolist() == [False, True, True]
    kept = torch.tensor([True, False, False])
    value, _, (slope,) = devices.evaluate(plan, [index, scores], None, kept, None, True, 0)
    assert not value.isnan().any()
    assert not slope.isnan().any()
    plan = plan_of("hinge", True, "none", True)
    with pytest.raises(RuntimeError, match="outside the loss's domain"):
        devices.evaluate(plan, [y, f], None, None, None, True, 0)
