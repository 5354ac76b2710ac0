"""Values, gradients, weights, masks and types of losses in Keras."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import losskit
import losskit.keras
from keras_common import (
    REDUCTIONS,
    WARNINGS,
    Loss,
    Metric,
    costly,
    derivative,
    masked,
)

pytestmark = WARNINGS


# --- values and gradients


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions (batch, time, features)."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))


@costly
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (losskit.squared_error, keras.losses.MeanSquaredError),
        (losskit.huber, keras.losses.Huber),
        (losskit.log_cosh, keras.losses.LogCosh),
        (losskit.absolute_error, keras.losses.MeanAbsoluteError),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
def test_reductions_are_kerass(mine: Any, theirs: Any, reduction: Any) -> None:
    rng = np.random.default_rng(5)
    y, f = (a.astype("float32") for a in numbers())
    mask = rng.random((4, 3)) < 0.6
    for weight, m in product((None, rng.random((4, 3)), rng.random((4, 3, 1))), (None, mask)):
        ours = mine.to("keras", reduction=reduction)(y, masked(f, m), sample_weight=weight)
        known = theirs(reduction=reduction)(y, masked(f, m), sample_weight=weight)
        np.testing.assert_allclose(ops.convert_to_numpy(ours), known, rtol=2e-5, atol=1e-6)


@costly
@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
def test_reductions_of_classes_are_kerass(reduction: Any) -> None:
    rng = np.random.default_rng(5)
    y, f = rng.integers(0, 5, (4, 3)), rng.normal(size=(4, 3, 5)).astype("float32")
    mask, weights = rng.random((4, 3)) < 0.6, (None, rng.random((4, 3)))
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    ours = Loss("cross_entropy", from_logits=True, reduction=reduction)
    for weight, m in product(weights, (None, mask)):
        known = theirs(y, masked(f, m), sample_weight=weight)
        for target in (y, np.eye(5)[y], y[..., None]):
            got = ours(target, masked(f, m), sample_weight=weight)
            np.testing.assert_allclose(ops.convert_to_numpy(got), known, rtol=2e-5, atol=1e-6)


@costly
def test_where_weights_of_the_batch_meet_steps_ours_is_a_mean_and_keras_is_not() -> None:
    y, f, weight = np.zeros((2, 3, 1)), np.full((2, 3, 1), 2.0), np.array([[1.0], [3.0]])
    options = {"reduction": "mean_with_sample_weight"}
    assert float(Loss("squared_error", **options)(y, f, weight)) == 4
    assert float(Loss("squared_error", **options)(y, f, weight[:, 0])) == 4
    assert float(keras.losses.MeanSquaredError(**options)(y, f, weight)) == 12  # times the steps


@costly
def test_weights_of_the_batch_are_not_taken_for_weights_of_the_steps() -> None:
    y, weight = np.zeros((3, 3, 1)), np.array([1.0, 0.0, 0.0])
    f = np.repeat([[1.0], [2.0], [3.0]], 3, axis=1)[..., None]  # the samples' predictions
    assert float(Loss("squared_error", reduction="sum")(y, f, weight)) == 3
    assert float(keras.losses.MeanSquaredError(reduction="sum")(y, f, weight)) == 14


@costly
def test_steps_without_a_last_axis_keep_their_mask() -> None:
    y, f = np.zeros((2, 3)), np.array([[1.0, 2, 3], [4, 5, 6]])[..., None]
    mask = np.array([[True, False, True], [False, False, True]])
    assert float(Loss("squared_error")(y, masked(f, mask))) == pytest.approx((1 + 9 + 36) / 3)
    assert float(Loss("squared_error", reduction="sum")(y, f)) == pytest.approx(91)


@costly
def test_one_axis_is_one_sample_each() -> None:
    y, f, weight = np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 2.0])
    assert ops.convert_to_numpy(Loss("squared_error").call(y, f)).tolist() == [1, 4, 9]
    assert float(Loss("squared_error")(y, f, weight)) == pytest.approx((1 + 18) / 3)


@pytest.mark.parametrize(("y_shape", "f_shape"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 1))])
def test_nothing_becomes_n_by_n(y_shape: Any, f_shape: Any) -> None:
    y, f = np.arange(4.0), np.array([0.0, 1.5, 2.0, 1.0])
    value = Loss("squared_error")(y.reshape(y_shape), f.reshape(f_shape))
    assert float(value) == pytest.approx((0.25 + 4) / 4)


def test_the_logistic_gradient_is_ours() -> None:
    loss = Loss("binary_cross_entropy", from_logits=True, reduction="sum")
    f = np.float32([[0.0], [800.0], [-800.0]])
    assert derivative(loss, np.ones((3, 1)), f).tolist() == [[-0.5], [0.0], [-1.0]]


@costly
def test_perfect_predictions_have_gradient_0() -> None:
    for name in ("absolute_error", "quantile", "huber", "mape"):
        assert derivative(Loss(name), [[3.0]], np.float32([[3.0]])).tolist() == [[0.0]]


@costly
def test_log_cosh_and_focal_keep_their_digits() -> None:
    assert float(Loss("log_cosh")([[0.0]], [[1e-4]])) == pytest.approx(5e-9, rel=1e-6)
    assert float(keras.losses.LogCosh()([[0.0]], [[1e-4]])) != pytest.approx(5e-9, rel=1e-1)
    focal = Loss("focal", gamma=0.5, from_logits=True)
    assert abs(derivative(focal, [[1.0]], np.float32([[40.0]]))).max() < 1e-16


@costly
def test_several_quantiles_have_a_column_each() -> None:
    rng = np.random.default_rng(5)
    band = losskit.quantile(q=(0.1, 0.5, 0.9))
    y, f = rng.normal(size=6), rng.normal(size=(6, 3)).astype("float32")
    for target in (y, y[:, None]):
        assert float(Loss(band)(target, f)) == pytest.approx(band(y, f), rel=1e-6)
        np.testing.assert_allclose(derivative(Loss(band), target, f), band.gradient(y, f), 1e-5)
    assert Loss("quantile", q=(0.1, 0.5, 0.9)).loss == band


@costly
def test_log_loss_is_of_one_column_or_of_classes() -> None:
    loss = Loss("log_loss")
    p = np.float32([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    assert float(loss([[1], [0]], np.float32([[0.9], [0.2]]))) == pytest.approx(0.164252, rel=1e-5)
    assert float(loss([0, 2], p)) == pytest.approx(0.289909, rel=1e-5)


# --- weights, masks, types


@costly
def test_what_does_not_count_may_hold_anything() -> None:
    y, f = np.array([[1.0], [np.nan], [7.0]]), np.float32([[0.9], [0.5], [np.nan]])
    for loss in (Loss("binary_cross_entropy"), Loss("binary_cross_entropy", reduction="sum")):
        alone = loss(y[:1], f[:1], sample_weight=[2.0])
        whole = loss(y, f, sample_weight=[2.0, 0.0, 0.0])
        assert float(whole) == pytest.approx(float(alone) / (3 if loss.reduction != "sum" else 1))
        slope = derivative(loss, y, f, sample_weight=[2.0, 0.0, 0.0])
        assert slope[1:].tolist() == [[0.0], [0.0]]
        assert slope[0, 0] < 0
    kept = Loss("binary_cross_entropy")(y, masked(f, [True, False, False]))
    assert float(kept) == pytest.approx(float(Loss("binary_cross_entropy")(y[:1], f[:1])))


@costly
def test_a_batch_in_which_nothing_counts_is_0_as_in_keras() -> None:
    y, f = np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])
    for reduction in REDUCTIONS[:-1]:
        ours, theirs = Loss("huber", reduction=reduction), keras.losses.Huber(reduction=reduction)
        nothing = masked(f, [False, False])
        assert float(ours(y, nothing)) == float(theirs(y, nothing)) == 0


@costly
def test_class_indexes_stay_integers() -> None:
    f = np.zeros((1, 3000), "float16")
    f[0, 2049] = 9
    ours = Loss("cross_entropy", from_logits=True, dtype="float16")
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float16")
    assert float(ours([2049], f)) == pytest.approx(0.311, abs=0.01)
    assert float(theirs(np.array([2049]), f)) > 8  # float16 made it class 2048


def test_integers_beyond_32_bits_are_no_others() -> None:
    y = np.array([[2**40]])
    assert float(Loss("absolute_error")(y, np.float32([[2.0**40]]))) == 0


@costly
def test_half_precision_computes_in_float32() -> None:
    y, f = np.array([[600.0]]), np.float16([[0.0]])
    assert float(Loss("squared_error", dtype="mixed_float16", reduction="sum")(y / 4, f)) == 22496
    assert float(Loss("squared_error")(y, f)) == 360_000
    p = np.float16([[0.7, 0.2, 0.1]] * 4) * np.float16(1.001)
    assert float(Loss("cross_entropy")([0, 0, 0, 0], p)) == pytest.approx(0.3567, rel=1e-3)


# --- probabilities in another type than they are computed in

CLIPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


@costly
@pytest.mark.parametrize("dtype", CLIPS)
@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy"])
def test_half_probabilities_clip_at_their_own_eps(name: str, dtype: str) -> None:
    y, weight = np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 0.0, 0.5])
    p = np.array([[1.0], [0.0], [0.875], [0.25]])
    options = {"sample_weight": weight, "reduction": "none", "clip": CLIPS[dtype]}
    if name == "cross_entropy":
        p, loss = np.concatenate([1 - p, p], axis=1), losskit.cross_entropy
        known, slope = loss.value_and_gradient(y, p, **options)
        # Rows are divided by their sums, which are 1 here: their derivative adds -Σ p ∂ℓ/∂p.
        slope -= (p * slope).sum(axis=1, keepdims=True)
    else:
        loss = losskit.binary_cross_entropy
        known, slope = loss.value_and_gradient(y, p[:, 0], **options)
    half, total = ops.convert_to_tensor(p, dtype=dtype), known.sum()
    means = {"sum": total, "mean_with_sample_weight": total / 3.5, None: known}
    for reduction in REDUCTIONS:
        found = Loss(name, reduction=reduction)(y, half, sample_weight=weight)
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), means.get(reduction, total / 4), rtol=1e-6
        )
    metric = Metric(name)
    metric.update_state(y, half, sample_weight=weight)
    assert float(metric.result()) == pytest.approx(total / 3.5, rel=1e-6)
    found = derivative(Loss(name, reduction="sum"), y, half, sample_weight=weight)
    np.testing.assert_allclose(found.reshape(slope.shape).astype(float), slope, rtol=CLIPS[dtype])


@pytest.mark.parametrize("dtype", CLIPS)
def test_half_rows_that_do_not_count_have_gradient_0(dtype: str) -> None:
    p = ops.convert_to_tensor([[0.5, 0.5], [0.0, 0.0], [np.nan, 1.0]], dtype=dtype)
    loss = Loss("cross_entropy", reduction="sum")
    slope = derivative(loss, np.array([0, 1, 1]), p, sample_weight=[1.0, 0.0, 0.0])
    assert slope.astype(float).tolist() == [[-1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("dtype", CLIPS)
def test_half_raw_scores_are_not_made_probabilities(dtype: str) -> None:
    scores = ops.convert_to_tensor([[1.0, 2.0, 0.5], [3.0, 1.0, 2.0]], dtype=dtype)
    with pytest.raises(ValueError, match="pass from_logits=True"):
        Loss("cross_entropy")(np.array([0, 1]), scores)


@costly
def test_probabilities_of_float32_are_so_in_float64_too() -> None:
    rng = np.random.default_rng(5)
    p = ops.softmax(ops.convert_to_tensor(rng.normal(size=(9, 200)), dtype="float32"))
    y, share = rng.integers(0, 200, 9), ops.convert_to_numpy(p)
    loss = Loss("cross_entropy", dtype="float64")
    assert float(loss(y, p)) == pytest.approx(losskit.cross_entropy(y, share), rel=1e-6)
    kept = Loss("kl_divergence", dtype="float64")(share, p)  # and targets
    assert float(kept) == pytest.approx(0, abs=1e-12)
    sure, known = np.float32([[1.0]]), losskit.binary_cross_entropy([0.0], np.float32([1.0]))
    found = Loss("binary_cross_entropy", dtype="float64")([[0.0]], sure)
    assert float(found) == pytest.approx(known, rel=1e-6)


# --- what counts


@costly
def test_ignored_classes_are_masked_and_class_weights_are_weights() -> None:
    rng = np.random.default_rng(5)
    y, f = np.array([0, -1, 2, 1]), np.float32(rng.normal(size=(4, 3)))
    class_weight, weight = (1.0, 2.0, 3.0), np.array([1.0, 1.0, 0.5, 2.0])
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    ignoring = losskit.cross_entropy(ignore_index=-1)
    assert float(Loss(ignoring, from_logits=True)(y, f)) == pytest.approx(float(theirs(y, f)))
    weighed = ignoring(class_weight=class_weight)
    mean = Loss(weighed, from_logits=True, reduction="mean_with_sample_weight")
    metric = Metric(weighed, from_logits=True)
    metric.update_state(y, f, sample_weight=weight)
    known = weighed(y, f, raw=True, sample_weight=weight)
    assert float(mean(y, f, sample_weight=weight)) == pytest.approx(known, rel=1e-6)
    assert float(metric.result()) == pytest.approx(known, rel=1e-6)
    one_hot = np.eye(3)[[0, 2, 1]]
    known = weighed(one_hot, f[:3], raw=True)
    assert float(mean(one_hot, f[:3])) == pytest.approx(known, rel=1e-6)


@costly
def test_lists_are_rows_whose_items_may_be_masked() -> None:
    rng = np.random.default_rng(5)
    y = np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 3, 0]])
    f, weight = np.float32(rng.normal(size=(3, 4))), np.array([1.0, 3.0, 0.5])
    mask = np.array([[True, True, False, True], [True, True, True, False], [False] * 4])
    loss = Loss("softmax_ranking", reduction="mean_with_sample_weight")
    known = losskit.softmax_ranking(y, f, sample_weight=weight, mask=mask)
    assert float(loss(y, masked(f, mask), sample_weight=weight)) == pytest.approx(known, rel=1e-6)
    plain = losskit.softmax_ranking(y, f, mask=mask)
    assert float(Loss("softmax_ranking")(y, masked(f, mask))) == pytest.approx(plain, rel=1e-6)


@costly
def test_two_ordered_classes_need_one_column() -> None:
    y, f = np.array([[0], [1], [1]]), np.float32([[0.3], [-0.2], [2.0]])
    known = losskit.ordinal(y[:, 0], f, raw=True)
    assert float(Loss("ordinal", from_logits=True)(y, f)) == pytest.approx(known, rel=1e-6)


@costly
def test_a_mask_of_lists_counts_lists() -> None:
    y, f = np.array([[1.0, 0, 2], [0, 1, 0], [2, 0, 0]]), np.float32(np.eye(3))
    known = losskit.softmax_ranking(y[[0, 2]], f[[0, 2]])
    found = Loss("softmax_ranking")(y, masked(f, [True, False, True]))
    assert float(found) == pytest.approx(known, rel=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", ">i4", "float32"])
def test_class_indexes_of_any_type_are_classes(dtype: str) -> None:
    y, f = np.array([0, 1, 2, 1]), np.float32(np.eye(4)[:, :3])
    found = Loss("cross_entropy", from_logits=True)(y.astype(dtype), f)
    assert float(found) == pytest.approx(losskit.cross_entropy(y, f, raw=True), rel=1e-6)


def test_arrays_of_any_layout_are_read() -> None:
    y, f = np.arange(12.0).reshape(6, 2), np.arange(12, dtype="float32")[::-1].reshape(6, 2)
    known, loss = losskit.huber(y, f), Loss("huber")
    for change in (np.asfortranarray, lambda x: x.astype(">f4"), lambda x: x[::-1][:, ::-1]):
        assert float(loss(change(y), change(f))) == pytest.approx(known, rel=1e-6)
