"""Where PyTorch's own losses fail in silence, ours give the number or say what is wrong.

Each row runs both: what PyTorch gives is stated too, so that a version which mends it shows here.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as theirs

import losskit.torch
from losskit.torch import functional as ours

INF, NAN = math.inf, math.nan


def both(function, x):
    """Return value and slope at x."""
    x = torch.as_tensor(x).clone().requires_grad_()
    value = function(x).sum()
    value.backward()
    return value.item(), x.grad.flatten().tolist()


def one_class(x, **options):
    return theirs.cross_entropy(x, torch.tensor([0]), **options)


# name, input, theirs, their value and slope, ours, our value and slope
NUMBERS = [
    ("soft margin far off", torch.tensor([-100.0]),
     lambda x: theirs.soft_margin_loss(x, torch.ones(1)), INF, [NAN],
     lambda x: ours.logistic_margin(x, torch.ones(1)), 100.0, [-1.0]),
    ("logits of −∞ that are right", torch.tensor([-INF]),
     lambda x: theirs.binary_cross_entropy_with_logits(x, torch.zeros(1)), NAN, [0.0],
     lambda x: ours.binary_cross_entropy(x, torch.zeros(1)), 0.0, [0.0]),
    ("a soft target of 0 for a class that is masked", torch.tensor([[0.0, -INF]]),
     lambda x: theirs.cross_entropy(x, torch.tensor([[1.0, 0.0]])), NAN, None,
     lambda x: ours.cross_entropy(x, torch.tensor([[1.0, 0.0]])), 0.0, [0.0, 0.0]),
    ("label smoothing over a masked class", torch.tensor([[0.0, 0.0, -INF]]),
     lambda x: one_class(x, label_smoothing=0.3), INF, None,
     lambda x: ours.cross_entropy(x, torch.tensor([0]), label_smoothing=0.3),
     math.log(2), [-0.35, 0.35, 0.0]),
    ("float16 errors beyond 256", torch.tensor([300.0], dtype=torch.float16),
     lambda x: theirs.mse_loss(x, torch.zeros(1, dtype=torch.float16)), INF, None,
     lambda x: ours.squared_error(x, torch.zeros(1)), 90000.0, [600.0]),
    ("a variance below the clamp", torch.tensor([[0.0, math.log(1e-9) / 2]]),
     lambda x: theirs.gaussian_nll_loss(x[:, 0], torch.ones(1), torch.exp(2 * x[:, 1])),
     499993.09, None,
     lambda x: ours.gaussian_nll(x, torch.ones(1)), 5e8 + math.log(1e-9) / 2, None),
    ("focal loss with gamma < 1 of a sure prediction", torch.tensor([20.0]),
     lambda x: (1 - torch.sigmoid(x)) ** 0.5
     * theirs.binary_cross_entropy_with_logits(x, torch.ones(1)), 0.0, [NAN],
     lambda x: ours.focal(x, torch.ones(1), gamma=0.5), math.exp(-30), [-1.5 * math.exp(-30)]),
]  # fmt: skip


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row[0])
def test_numbers(row):
    _, x, their_loss, their_value, their_slope, our_loss, our_value, our_slope = row
    value, slope = both(their_loss, x)
    np.testing.assert_allclose(value, their_value, rtol=1e-5)
    if their_slope is not None:
        np.testing.assert_allclose(slope, their_slope, atol=1e-12)
    value, slope = both(our_loss, x)
    assert value == pytest.approx(our_value, rel=1e-6)
    if our_slope is not None:
        np.testing.assert_allclose(slope, our_slope, rtol=1e-6, atol=1e-30)


ZERO = torch.zeros(1)
# name, theirs and what it gives, ours and what it says
REFUSED = [
    ("soft margin of label 0", lambda: theirs.soft_margin_loss(ZERO + 3, ZERO), math.log(2),
     lambda: ours.logistic_margin(ZERO + 3, ZERO), "labels 0 and 1 become -1 and 1"),
    ("hinge embedding of label 0", lambda: theirs.hinge_embedding_loss(ZERO + 0.3, ZERO), 1.0,
     lambda: ours.hinge(ZERO + 0.3, ZERO), "labels 0 and 1 become -1 and 1"),
    ("cosine embedding of label 0",
     lambda: theirs.cosine_embedding_loss(torch.ones(1, 2), torch.ones(1, 2), ZERO), 0.0,
     lambda: ours.cosine_embedding(ZERO, torch.ones(1, 2), torch.ones(1, 2)), "lies outside"),
    ("Poisson at a mean of 0",
     lambda: theirs.poisson_nll_loss(ZERO, ZERO + 3, log_input=False), 55.262043,
     lambda: ours.poisson(ZERO, ZERO + 3, raw=False), "lies outside"),
    ("cross-entropy with every target ignored",
     lambda: one_class(torch.zeros(1, 2), ignore_index=0), NAN,
     lambda: ours.cross_entropy(torch.zeros(1, 2), torch.tensor([0]), ignore_index=0),
     "no row counts"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_what_is_refused(row):
    _, their_loss, their_value, our_loss, said = row
    np.testing.assert_allclose(their_loss().item(), their_value, rtol=1e-6)
    with pytest.raises(ValueError, match=said):
        our_loss()


def test_certain_and_wrong_probabilities():
    """PyTorch clamps the logarithm at −100 and has a slope of −1e12; ours clip at eps, as told."""
    value, slope = both(lambda p: theirs.binary_cross_entropy(p, torch.ones(1)), torch.zeros(1))
    assert (value, slope) == (100.0, [pytest.approx(-1e12)])
    value, slope = both(lambda p: ours.binary_cross_entropy(p, torch.ones(1), raw=False), ZERO)
    eps = float(np.finfo(np.float32).eps)
    assert value == pytest.approx(-math.log(eps))
    wanted = losskit.binary_cross_entropy.gradient([1.0], np.zeros(1, np.float32))
    np.testing.assert_array_equal(slope, wanted)
