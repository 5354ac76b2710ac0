"""What reviewers and a first user found wrong in losses of rows, each as it was found."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import losskit
from losskit.formula import FormulaError, Mixture, NonNegative, Switch, Vector, sum_, surprise, xmul

CE = losskit.cross_entropy
RNG = np.random.default_rng(3)
F = RNG.normal(size=(6, 4))
Y = np.array([0, 1, 2, 3, 0, 1])


@losskit.loss(axis="class")
def scaled(y: Mixture, f: Vector, gamma: NonNegative = 2.0, squared: Switch = False):
    """A user's loss."""
    return gamma * sum_(xmul(y, surprise(f))) + (sum_(f * f) if squared else 0)


@pytest.mark.parametrize("target", ["i8", ">i8", "u1", "f8", "?"])
@pytest.mark.parametrize("logits", ["f4", "f8", ">f8", "f2"])
@pytest.mark.parametrize("tier", ["numpy", "numba"])
def test_every_type_is_taken_by_both_tiers(target: str, logits: str, tier: str) -> None:
    y = (Y % 2).astype(target)
    hot = np.eye(4)[Y].astype(target)
    f = F.astype(logits)
    for given, plain in ((y, Y % 2), (hot, Y)):
        value = CE(given, f, raw=True, tier=tier)
        assert value == pytest.approx(CE(plain, F, raw=True), rel=2e-3)


@pytest.mark.parametrize("size", [1e-320, 1e-50, 1e50, 1e308])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mean_does_not_depend_on_the_size_of_weights(size: float, dtype: Any) -> None:
    f, w = F.astype(dtype), np.full(6, size)
    value, slope = CE.value_and_gradient(Y, f, raw=True, sample_weight=w)
    expected, slopes = CE.value_and_gradient(Y, f, raw=True)
    assert value == pytest.approx(expected, rel=1e-4 if size < 1e-300 else 1e-6)
    np.testing.assert_allclose(slope, slopes, rtol=1e-4)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([[np.nan, 0.5], [0.5, 0.5]], None, r"y_true\[0, 0\] = nan"),
        ([[3, 0.5], [0.5, 0.5]], None, r"y_true\[0, 0\] = 3 lies outside"),
        ([0, 1], [-1, 3], "sample_weight of row 0 is -1"),
        ([0, np.nan], None, r"y_true\[1\] = nan"),
    ],
)
def test_constants_check_their_targets(y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CE.optimal_constant(y, sample_weight=weight)


@pytest.mark.parametrize(
    "loss",
    [
        CE, losskit.crammer_singer, losskit.poly1, losskit.sparsemax, losskit.categorical_focal,
        losskit.multilabel_cross_entropy, losskit.dice(smooth=0.5), losskit.tversky,
    ],
    ids=repr,
)  # fmt: skip
def test_the_bound_is_below_every_loss(loss: losskit.Loss) -> None:
    hot = np.eye(4)[Y]
    bound = loss.infimum(hot)
    for seed in range(20):
        f = 5 * np.random.default_rng(seed).normal(size=hot.shape)
        assert (bound <= loss(hot, f, raw=True, reduction="none") + 1e-12).all()
    assert bound == pytest.approx(0, abs=1e-9)


def test_a_bound_that_needs_the_number_of_classes_says_so() -> None:
    with pytest.raises(ValueError, match="pass y_true one-hot"):
        CE(label_smoothing=0.1).infimum([0, 1])


def test_parts_of_several_inputs_add_up() -> None:
    a, b, c = RNG.normal(size=(3, 5, 4))
    parts = [
        losskit.triplet.accumulate(a[s], b[s], c[s], gradient=True) for s in (slice(2), slice(2, 5))
    ]
    assert [g.shape for g in sum(parts).gradient] == [(5, 4)] * 3
    assert sum(parts).value == pytest.approx(losskit.triplet(a, b, c), rel=1e-15)


def test_results_go_into_arrays_of_their_own() -> None:
    a, b, c = RNG.normal(size=(3, 5, 4))
    out = np.empty((5, 4))
    with pytest.raises(ValueError, match="cannot share one array"):
        losskit.triplet.gradient(a, b, c, out=(out, out, out))
    with pytest.raises(ValueError, match="out= receives derivatives"):
        CE(Y, F, raw=True, out=F.copy())
    slope = np.empty_like(F)
    assert CE.gradient(Y, F, raw=True, out=slope) is slope


def test_missing_labels_follow_their_policy_beside_class_weights() -> None:
    y = np.array([0.0, np.nan, 2, 3, 0, 1])
    loss = CE(class_weight=(1, 2, 3, 0.5))
    with pytest.raises(ValueError, match=r"y_true\[1\] = nan is not a number"):
        loss(y, F, raw=True)
    kept = ~np.isnan(y)
    omitted = loss(y, F, raw=True, nan="omit")
    assert omitted == pytest.approx(loss(Y[kept], F[kept], raw=True), rel=1e-15)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_cosines_of_vectors_of_any_length(size: float) -> None:
    made = losskit.cosine_distance([[size, 0]], [[-size, size]])
    assert made == pytest.approx(1 + np.sqrt(0.5), rel=1e-15)


def test_shifted_logits_keep_the_digits_of_the_focal_loss() -> None:
    f = np.array([[0, 1, -1]], np.float32)
    far, near = (losskit.categorical_focal([1], x, raw=True) for x in (f + 10000, f))
    assert far == near


def test_ordinal_predictions_have_to_fall() -> None:
    with pytest.raises(ValueError, match=r"grows from 0\.3 to 0\.6 at level 1"):
        losskit.ordinal([1], [[0.3, 0.6]])
    assert losskit.ordinal([0], [[-np.inf] * 3], raw=True) == 0


def test_class_weights_go_by_their_labels() -> None:
    weights = 1 / pd.Series([0, 0, 0, 1, 2, 2]).value_counts()
    assert CE(class_weight=weights).params["class_weight"] == (1 / 3, 1.0, 0.5)
    assert CE(class_weight={1: 2.0, 0: 1.0}).params["class_weight"] == (1.0, 2.0)
    for wrong in ({1: 1.0, 2: 2.0}, "12", [], {1.0, 2.0}, pd.Series([1, 2], index=["a", "b"])):
        with pytest.raises(ValueError, match="class_weight"):
            CE(class_weight=wrong)


def test_columns_in_another_order_are_a_mistake() -> None:
    p = pd.DataFrame(np.full((2, 3), 1 / 3), columns=list("abc"))
    y = pd.DataFrame(np.eye(3)[:2], columns=list("cab"))
    with pytest.raises(ValueError, match="columns of the inputs hold the same labels"):
        CE(y, p)
    assert CE(y[list("abc")], p) == pytest.approx(np.log(3))


def test_a_travelled_loss_keeps_its_parameters_and_its_choices() -> None:
    there = pickle.loads(pickle.dumps(scaled))
    for gamma in (0.0, 0.5, 1.0, 2.0):
        assert there(gamma=gamma)(Y, F) == scaled(gamma=gamma)(Y, F)
    with pytest.raises(ValueError, match="before it travels"):
        there(squared=True)(Y, F)


def test_mistakes_in_the_decorator_are_explained() -> None:
    def plain(y, f):
        return sum_(y * f)

    with pytest.raises(FormulaError, match="say which"):
        losskit.loss(plain)
    with pytest.raises(TypeError, match="did you mean 'axis'"):
        losskit.loss(axs="class")(plain)
    with pytest.raises(TypeError, match="declares no target="):
        losskit.loss(axis="class", target=None)(plain)


def test_a_variant_takes_its_parameters_or_refuses() -> None:
    assert losskit.triplet(margin=2.0).mined.params["margin"] == 2
    with pytest.raises(ValueError, match="triplet_mined has no parameter 'swap'"):
        losskit.triplet(swap=True).mined  # noqa: B018
    assert not hasattr(losskit.poly1, "softmax")


def test_an_option_of_the_fused_layer_that_there_is_not_is_named() -> None:
    data = [0], np.eye(1), np.eye(1)
    for call in (losskit.linear_cross_entropy, losskit.linear_cross_entropy.value_and_gradient):
        with pytest.raises(TypeError, match=r"unknown option 'soft_cap'; did you mean 'softcap'"):
            call(*data, soft_cap=2.0)


def test_the_best_constant_of_labels_looks_at_rows_that_count():
    y = [[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]]
    found = losskit.multilabel_cross_entropy.optimal_constant(y, [1.0, 3.0, 0.0])
    np.testing.assert_allclose(found, [0.25, 0.75])
