"""PyTorch modules and functions: order, axes, scales, weights, errors, files."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings

import numpy as np
import pytest
import torch

import losskit
import losskit.torch
from losskit.torch import functional

TWO = torch.tensor([1.0, 4.0])


def module(name: str, **options) -> losskit.torch.Loss:
    return losskit.torch.Loss(name, **options)


# --- what is computed


def test_the_slope_of_the_logistic_loss_at_0():
    f = torch.zeros(1, requires_grad=True)
    module("binary_cross_entropy")(f, torch.ones(1)).backward()
    assert f.grad.item() == -0.5


def test_input_comes_before_target():
    f, y = torch.tensor([2.0, 3.0]), torch.tensor([1.0, 1.0])
    wanted = losskit.quantile(q=0.9)(y.numpy(), f.numpy())
    assert module("quantile", q=0.9)(f, y).item() == pytest.approx(wanted)
    assert module("quantile", q=0.9)(target=y, input=f).item() == pytest.approx(wanted)
    assert functional.quantile(f, y, q=0.9).item() == pytest.approx(wanted)
    assert losskit.quantile(q=0.9).to("torch")(f, y).item() == pytest.approx(wanted)
    assert losskit.torch.apply(losskit.quantile(q=0.9), y, f).item() == pytest.approx(wanted)


def test_other_data_keep_their_order_and_names():
    a, b, c = (torch.randn(3, 4) for _ in range(3))
    made = module("triplet")(a, b, c)
    assert made.item() == pytest.approx(losskit.triplet(a.numpy(), b.numpy(), c.numpy()), rel=1e-6)
    assert module("triplet")(negative=c, anchor=a, positive=b) == made


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 3, 2), (4,)])
def test_the_class_axis_is_1(shape):
    logits = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = torch.randint(0, 4, rows)
    theirs = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    ours = module("cross_entropy", label_smoothing=0.1)(logits, target)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    slopes = [torch.autograd.grad(one, logits)[0] for one in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("name", ["cross_entropy", "multilabel_cross_entropy", "dice"])
def test_targets_with_an_axis_of_classes(name):
    logits, target = torch.randn(2, 4, 3), torch.softmax(torch.randn(2, 4, 3), 1)
    moved = [x.movedim(1, -1).numpy() for x in (target, logits)]
    ours = module(name, reduction="none")(logits, target)
    assert ours.shape == (2, 3)
    np.testing.assert_allclose(ours, losskit.get(name)(*moved, raw=True, reduction="none"))


def test_several_outputs_lie_along_the_last_axis():
    out, y = torch.randn(6, 2), torch.randn(6)
    wanted = losskit.gaussian_nll(y.numpy(), out.numpy(), raw=True)
    assert module("gaussian_nll")(out, y).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_several_losses_have_columns(compiled):
    band = losskit.quantile(q=(0.1, 0.5, 0.9))
    y, f, w = torch.randn(7), torch.randn(7, 3, requires_grad=True), torch.rand(7)
    one = band.to("torch")
    run = torch.compile(one, fullgraph=True, backend="aot_eager") if compiled else one
    made = run(f, y, sample_weight=w)
    made.backward()
    data = y.numpy(), f.detach().numpy()
    assert made.item() == pytest.approx(band(*data, sample_weight=w.numpy()), rel=1e-6)
    np.testing.assert_allclose(f.grad, band.gradient(*data, sample_weight=w.numpy()), atol=1e-7)
    numerator, denominator = one.parts(f, y, sample_weight=w)
    assert (numerator / denominator).item() == pytest.approx(made.item(), rel=1e-6)


def test_predictions_instead_of_scores():
    p, y = torch.tensor([0.2, 0.9]), torch.tensor([0.0, 1.0])
    made = module("binary_cross_entropy", raw=False)(p, y)
    assert made.item() == pytest.approx(torch.nn.functional.binary_cross_entropy(p, y).item())


def test_lists():
    f, y = torch.randn(6, dtype=torch.float64), torch.tensor([1.0, 0, 2, 0, 1, 0])
    query = torch.tensor([7, 7, 7, 3, 3, 3])
    for name in ("list_net", "lambda_rank"):
        for reduction in ("mean", "sum", "none"):
            wanted = losskit.get(name)(
                y.numpy(), f.numpy(), query=query.numpy(), reduction=reduction
            )
            made = module(name, reduction=reduction)(f, y, query=query)
            np.testing.assert_allclose(made, wanted, rtol=1e-14)
            matrix = module(name, reduction=reduction)(f.reshape(2, 3), y.reshape(2, 3))
            np.testing.assert_allclose(matrix, wanted, rtol=1e-14)


@pytest.mark.parametrize(
    "name", ["list_net", "list_mle", "approx_ndcg", "triplet_mined", "nt_xent"]
)
def test_what_comes_from_above_reaches_each_example(name):
    """The values of "none" are not rows here: each has its own factor on the way back."""
    loss = losskit.get(name)
    lists = loss.definition.axis == "item"
    keys = torch.tensor([0, 0, 1, 1, 2, 2])
    f = torch.randn((6,) if lists else (6, 3), dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 0, 1, 0, 2, 0])
    data, more = ((y, f), {"query": keys}) if lists else ((f, keys), {})
    values = losskit.torch.apply(loss, *data, reduction="none", **more)
    upstream = torch.randn_like(values)
    made = torch.autograd.grad((values * upstream).sum(), f)[0]
    found = torch.zeros_like(f)
    for i, factor in enumerate(upstream):
        one = torch.zeros_like(upstream)
        one[i] = 1
        values = losskit.torch.apply(loss, *data, reduction="none", **more)
        found += factor * torch.autograd.grad(values, f, one)[0]
    torch.testing.assert_close(made, found, rtol=1e-12, atol=1e-14)
    step = 1e-6 * torch.randn_like(f)
    ends = []
    for moved in (f.detach() + step, f.detach() - step):
        other = tuple(moved if x is f else x for x in data)
        ends.append((losskit.torch.apply(loss, *other, reduction="none", **more) * upstream).sum())
    if name not in ("triplet_mined",):
        torch.testing.assert_close(
            ends[0] - ends[1], 2 * (made * step).sum(), rtol=1e-5, atol=1e-10
        )


# --- weights and masks


def test_weights_and_masks():
    f = torch.tensor([1.0, 5.0, float("nan"), 2.0], requires_grad=True)
    y, w = torch.zeros(4), torch.tensor([1.0, 3.0, 0.0, 9.0])
    mask = torch.tensor([True, True, True, False])
    made = module("absolute_error")(f, y, sample_weight=w, mask=mask)
    assert made.item() == (1 + 3 * 5) / 4
    made.backward()
    assert f.grad.tolist() == [0.25, 0.75, 0.0, 0.0]


def test_parts_add_up_to_the_whole():
    f, y, w = torch.randn(9, dtype=torch.float64), torch.randn(9), torch.rand(9)
    f.requires_grad_()
    one = module("huber")
    whole = torch.autograd.grad(one(f, y, sample_weight=w), f)[0]
    numerators, denominators = zip(
        *(one.parts(f[s], y[s], sample_weight=w[s]) for s in (slice(4), slice(4, 4), slice(4, 9))),
        strict=True,
    )
    made = torch.autograd.grad(sum(numerators) / sum(denominators), f)[0]
    torch.testing.assert_close(made, whole, rtol=1e-13, atol=0)
    assert denominators[1] == 0


def test_accumulation_in_one_process():
    """Backward on each numerator, then one division: the gradient of the mean over everything."""
    layer = torch.nn.Linear(3, 1, dtype=torch.float64)
    x, y, w = torch.randn(10, 3, dtype=torch.float64), torch.randn(10), torch.rand(10)
    one = module("log_cosh")
    one(layer(x)[:, 0], y, sample_weight=w).backward()
    whole = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    weight = torch.zeros((), dtype=torch.float64)
    for part in (slice(1), slice(1, 7), slice(7, 10)):
        numerator, denominator = one.parts(layer(x[part])[:, 0], y[part], sample_weight=w[part])
        numerator.backward()
        weight += denominator
    losskit.torch.divide_gradients(layer.parameters(), weight)
    for p, wanted in zip(layer.parameters(), whole, strict=True):
        torch.testing.assert_close(p.grad, wanted, rtol=1e-13, atol=1e-16)


# --- what is refused


_SIGNED = torch.tensor([0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: module("hinge")(TWO, _SIGNED), ValueError, r"target\[0\] = 0 lies outside"),
        (lambda: module("cross_entropy")(torch.randn(2, 3), torch.tensor([0, 3])), ValueError,
         "row 1 is 3; needed is a class index 0 … 2"),
        (lambda: module("huber")(TWO * float("nan"), TWO), ValueError, r"input\[0\] = nan"),
        (lambda: module("huber")(TWO[:0], TWO[:0]), ValueError, "the batch is empty"),
        (lambda: module("huber")(TWO, TWO[:, None]), ValueError, "nothing is broadcast"),
        (lambda: module("huber")(TWO, TWO, sample_weight=torch.ones(3)), ValueError, "leading"),
        (lambda: module("huber")(TWO, TWO, mask=torch.ones(2)), TypeError, "needed are booleans"),
        (lambda: module("huber")(TWO.to(torch.complex64), TWO), TypeError, "real numbers"),
        (lambda: module("huber")(TWO.to_sparse(), TWO), TypeError, r"dense tensor \(\.to_dense"),
        (lambda: module("huber")(TWO.to(torch.float8_e4m3fn), TWO), TypeError, "16 bits or more"),
        (lambda: module("quantile", q=(0.1, 0.9))(TWO, TWO), ValueError, r"needed is \(2, 2\)"),
        (lambda: functional.quantile(TWO, TWO, q=(0.1, 0.9)), losskit.Unsupported, "several"),
        (lambda: module("log_loss"), losskit.Unsupported, "by the rank of y_pred"),
        (lambda: functional.log_loss, AttributeError, "by the rank of y_pred"),
        (lambda: module("cross_entropy")(torch.zeros(2, 3, 4), torch.zeros(2, 4, 3)), ValueError,
         r"target has shape \(2, 4, 3\); needed is \(2, 4\) of class indexes, or \(2, 3, 4\)"),
        (lambda: module("dice")(torch.zeros(2, 3, 4), torch.zeros(2, 4)), ValueError,
         r"target has shape \(2, 4\); needed is \(2, 3, 4\), as the axis of the label is 1"),
        (lambda: module("huber")(TWO), TypeError, r"takes data as \(input, target\)"),
        (lambda: module("huber")(TWO, TWO, delta=2), TypeError, "parameters of the loss are set"),
        (lambda: module("huber")(TWO, TWO.requires_grad_()), ValueError, "pass target.detach()"),
        (lambda: module("huber", reduction="average"), ValueError, "needed is one of 'mean'"),
        (lambda: module("hubert"), ValueError, "did you mean 'huber'"),
        (lambda: module("huber", gamma=1), TypeError, "has no parameter 'gamma'"),
        (lambda: functional.hubert, AttributeError, "did you mean 'huber'"),
        (lambda: module("poisson", raw=False)(torch.tensor([0.0]), torch.tensor([3.0])), ValueError,
         "lies outside"),
        (lambda: losskit.torch.global_mean(torch.zeros(()), torch.zeros(())), ValueError,
         "nothing counts on any worker"),
        (lambda: losskit.torch.divide_gradients([], [torch.ones(()), torch.ones(())]), TypeError,
         "denominator is a list; needed is one tensor.* the sum"),
        (lambda: losskit.torch.divide_gradients([], torch.ones(2)), ValueError, "needed is one n"),
        (lambda: module("huber", reducton="sum"), TypeError, "'reducton'.*reduction .*options"),
        (lambda: functional.huber(TWO, TWO, reducton="sum"), TypeError, "reduction .*options"),
        (lambda: module("cross_entropy")(torch.zeros(2, 3), ["a", "b"]), TypeError,
         "target holds <U1; needed are numbers"),
    ],
)  # fmt: skip
def test_errors(call, error, said):
    with pytest.raises(error, match=said):
        call()
    TWO.requires_grad_(False)


def test_a_loss_without_a_gradient_has_a_value():
    f = torch.tensor([0.3, -2.0], requires_grad=True)
    made = module("zero_one")(f, torch.tensor([1.0, 1.0]))
    assert made.item() == 0.5
    assert not made.requires_grad


# --- probabilities where scores are wanted


@pytest.mark.parametrize(
    ("name", "given", "target"),
    [
        ("binary_cross_entropy", torch.rand(30), torch.ones(30)),
        ("cross_entropy", torch.softmax(torch.randn(8, 5), 1), torch.zeros(8, dtype=torch.long)),
        ("dice", torch.rand(4, 5), torch.ones(4, 5)),
    ],
)
def test_probabilities_for_scores_are_told_once(name, given, target):
    one = module(name)
    with pytest.warns(UserWarning, match="look like probabilities") as told:
        one(given, target)
    assert [w.filename for w in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one(given, target)


@pytest.mark.parametrize(
    ("name", "options", "given"),
    [
        ("binary_cross_entropy", {}, torch.zeros(30)),  # of a layer that starts at 0
        ("binary_cross_entropy", {}, torch.randn(30)),
        ("binary_cross_entropy", {}, torch.rand(8)),  # by chance
        ("binary_cross_entropy", {"raw": False}, torch.rand(30)),
        ("huber", {}, torch.rand(30)),
    ],
)
def test_scores_are_no_probabilities(name, options, given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(name, **options)(given, torch.ones(len(given)))


# --- as modules and functions


def test_every_loss_is_a_function():
    assert set(losskit.names()) <= set(dir(functional))
    for name in losskit.names():
        assert set(losskit.get(name).params) <= set(
            inspect.signature(getattr(functional, name)).parameters
        )
    assert functional.huber.__doc__.startswith(losskit.huber.doc)


def test_modules_travel():
    model = torch.nn.ModuleDict({"layer": torch.nn.Linear(2, 1), "loss": module("huber", delta=2)})
    assert repr(model["loss"]) == "Loss(losskit.huber(delta=2.0))"
    assert "loss" not in {key.partition(".")[0] for key in model.state_dict()}
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))
    f, y = torch.randn(4), torch.randn(4)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
    ):
        assert other["loss"].loss == model["loss"].loss
        assert other["loss"](f, y) == model["loss"](f, y)


def test_a_users_own_loss():
    @losskit.loss
    def cubic(y, f, scale: losskit.formula.Positive = 1.0):
        """Cares little for small errors and much for large ones."""
        r = (f - y) / scale
        return abs(r) * r * r

    f, y = torch.tensor([1.0, 3.0], requires_grad=True), torch.zeros(2)
    one = losskit.torch.Loss(cubic, scale=2.0)
    one(f, y).backward()
    np.testing.assert_allclose(f.grad, cubic(scale=2.0).gradient(y.numpy(), f.detach().numpy()))
    assert pickle.loads(pickle.dumps(one))(f, y) == one(f, y)


def test_plans_are_found_in_another_process():
    """The text that operators get is all that a cached graph keeps."""
    from losskit.torch import plans

    for loss in (losskit.huber(delta=2.5), losskit.cross_entropy(class_weight=[1, 2])):
        plan = plans.plan_of(loss, True, "sum", False)
        again = plans._from_text(plan.text)
        assert again.loss == loss
        assert again.text == plan.text
