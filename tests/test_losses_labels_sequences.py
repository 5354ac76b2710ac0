"""Losses of several labels and of sequences: against autodiff, other libraries, at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

import losskit
from class_peers import OF_LABELS, POS_WEIGHT, SETTINGS, data, directions
from losses_peers import found_by

INF = math.inf
LABEL_LOSSES = [SETTINGS[case][0] for case in OF_LABELS]


def setting(case):
    name, parameters = SETTINGS[case]
    return losskit.get(name, **parameters)


@pytest.mark.parametrize("case", OF_LABELS)
def test_value_and_derivatives_are_jaxs(case):
    loss, given = setting(case), data(case)
    value, gradient, diagonal, product = map(np.array, found_by("jax")[case])
    options = {"raw": True, "reduction": "none"}
    # JAX's 1 − overlap loses what is below 1e-16.
    near = {"rtol": 1e-10, "atol": 1e-13}
    np.testing.assert_allclose(loss(*given, **options), value, **near)
    found = loss.gradient_and_hessian(*given, **options)
    np.testing.assert_allclose(found[0], gradient, **near)
    np.testing.assert_allclose(found[1], diagonal, **near)
    found = loss.hessian_vector_product(*given, directions(), **options)
    np.testing.assert_allclose(found, product, **near)


def test_values_are_the_other_librarys():
    labels, f = data("multilabel_cross_entropy")
    options = {"raw": True, "reduction": "none"}
    near = {"rtol": 1e-12, "atol": 1e-12}
    plain = losskit.multilabel_cross_entropy(labels, f, **options)
    np.testing.assert_allclose(plain, found_by("torch")["multilabel"], **near)
    weighted = losskit.multilabel_cross_entropy(pos_weight=POS_WEIGHT)(labels, f, **options)
    np.testing.assert_allclose(weighted, found_by("torch")["pos_weight"], **near)
    dice = losskit.dice(smooth=0.5)(labels, f, **options)
    np.testing.assert_allclose(dice, found_by("optax")["dice"], **near)
    tversky = losskit.tversky(alpha=0.3, beta=0.7)(labels, f, **options)
    np.testing.assert_allclose(tversky, found_by("optax")["tversky"], **near)
    # Keras has no smooth but an epsilon of 1e-14, here beside sums of 1e-3 and more; its Tversky
    # multiplies what it calls false positives, Σy(1 − p), by alpha: the two are exchanged.
    some = labels.any(axis=1)
    for name, loss in (
        ("dice", losskit.dice(smooth=0)),
        ("tversky", losskit.tversky(alpha=0.7, beta=0.3, smooth=0)),
    ):
        ours = loss(labels, f, **options)[some]
        theirs = np.array(found_by("keras")[name])[some]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_multilabel_losses_are_means_of_the_binary_ones():
    labels, f = data("multilabel_cross_entropy")
    hard, options = (labels > 0.5).astype(float), {"raw": True, "reduction": "none"}
    for ours, binary in (
        (
            losskit.multilabel_cross_entropy(pos_weight=2.0),
            losskit.binary_cross_entropy(pos_weight=2),
        ),
        (losskit.multilabel_asymmetric, losskit.asymmetric_focal),
        (losskit.multilabel_asymmetric(margin=0.0), losskit.asymmetric_focal(margin=0.0)),
    ):
        each = binary(hard, f, **options)
        np.testing.assert_allclose(ours(hard, f, **options), each.mean(axis=1), rtol=1e-13)
        gradient = binary.gradient(hard, f, **options) / f.shape[1]
        np.testing.assert_allclose(ours.gradient(hard, f, **options), gradient, rtol=1e-12)


def test_overlap_losses_are_what_their_docstrings_say():
    y, p = np.array([[1.0, 0.0, 1.0]]), np.array([[0.8, 0.3, 0.4]])
    overlap, fp, fn = 0.8 + 0.4, 0.3, 0.2 + 0.6
    assert losskit.dice(y, p) == pytest.approx(1 - (2 * overlap + 1) / (2 + 1.5 + 1))
    assert losskit.dice(smooth=3)(y, p) == pytest.approx(losskit.tversky(smooth=1.5)(y, p))
    tversky = losskit.tversky(alpha=0.2, beta=0.9, smooth=0)(y, p)
    assert tversky == pytest.approx(1 - overlap / (overlap + 0.2 * fp + 0.9 * fn))
    assert losskit.jaccard(smooth=0)(y, p) == pytest.approx(1 - overlap / (overlap + fp + fn))


@pytest.mark.parametrize("name", ["dice", "tversky", "jaccard"])
def test_an_almost_perfect_overlap_keeps_its_relative_precision(name):
    loss = losskit.get(name)
    y, f = np.array([[1.0, 0.0]]), np.array([[400.0, -700.0]])
    lack = math.exp(-400) * (1 if name == "jaccard" else 0.5)
    whole = 1.5 if name == "dice" else 2.0
    assert loss(y, f, raw=True) == pytest.approx(lack / whole, rel=1e-13)
    slope = loss.gradient(y, f, raw=True)[0, 0]
    assert slope == pytest.approx(-lack / whole, rel=1e-13)


def test_nothing_there_and_nothing_predicted():
    y, f = np.zeros((1, 3)), np.full((1, 3), -INF)
    assert losskit.dice(y, f, raw=True) == 0
    with pytest.raises(ValueError, match="row 0 has no value"):
        losskit.dice(smooth=0)(y, f, raw=True)
    made = losskit.dice(smooth=0).value_and_gradient(y, f, raw=True, empty="zero")
    assert made[0] == 0
    assert not made[1].any()


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_infinite_scores_give_limits_and_both_scales_agree(name):
    loss = losskit.get(name)
    y = np.array([[1.0, 0.0, 1.0, 0.0]])
    right, wrong = np.array([[INF, -INF, INF, -INF]]), np.array([[-INF, INF, 0.0, 1.0]])
    assert loss(y, right, raw=True) == 0
    for f in (right, wrong):
        value, gradient = loss.value_and_gradient(y, f, raw=True)
        assert not np.isnan(value)
        assert not np.isnan(gradient).any()
    f = np.array([[0.3, -2.0, 4.0, 1.5]])
    p = 1 / (1 + np.exp(-f))
    value, by_p = loss.value_and_gradient(y, p)
    assert value == pytest.approx(loss(y, f, raw=True), rel=1e-12)
    np.testing.assert_allclose(by_p * p * (1 - p), loss.gradient(y, f, raw=True), rtol=1e-10)


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_labels_in_float32_and_masked_rows(name):
    loss, (y, f) = losskit.get(name), data("multilabel_cross_entropy")
    y, f = y[2:9], f[2:9]
    small = loss.gradient(y, f.astype(np.float32), raw=True)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, loss.gradient(y, f, raw=True), rtol=2e-4, atol=1e-7)
    broken, mask = f.copy(), np.arange(7) != 3
    broken[3] = math.nan
    gradient = loss.gradient(y, broken, raw=True, mask=mask)
    assert not gradient[3].any()
    np.testing.assert_allclose(gradient[mask], loss.gradient(y[mask], f[mask], raw=True))


# --- sequences


def test_token_cross_entropy_is_cross_entropy_that_ignores_padding():
    rng = np.random.default_rng(0)
    f, y = rng.normal(size=(3, 6, 5)), rng.integers(0, 5, (3, 6))
    y[0, 4:] = y[2, 1:] = -100
    f[0, 4:] = math.nan
    ours = losskit.token_cross_entropy(label_smoothing=0.1, z_loss=0.01, temperature=2.0)
    same = losskit.cross_entropy(
        label_smoothing=0.1, z_loss=0.01, temperature=2.0, ignore_index=-100
    )
    assert ours(y, f, raw=True) == same(y, f, raw=True)
    counts = y != -100
    assert ours(y, f, raw=True) == pytest.approx(
        losskit.cross_entropy(label_smoothing=0.1, z_loss=0.01, temperature=2.0)(
            y[counts], f[counts], raw=True
        )
    )
    each = ours(y, f, raw=True, reduction="none")
    assert each.shape == (3, 6)
    assert not each[~counts].any()
    gradient = ours.gradient(y, f, raw=True)
    assert gradient.shape == f.shape
    assert not gradient[~counts].any()
    np.testing.assert_allclose(gradient, same.gradient(y, f, raw=True))


def test_nothing_but_padding_is_an_error_or_0():
    y, f = np.full((2, 3), -100), np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match="no row counts"):
        losskit.token_cross_entropy(y, f, raw=True)
    assert losskit.token_cross_entropy(y, f, raw=True, empty="zero") == 0
    padded = losskit.token_cross_entropy(ignore_index=0)
    assert padded([[0, 2]], np.zeros((1, 2, 4)), raw=True) == pytest.approx(math.log(4))
    with pytest.raises(ValueError, match="-100"):
        losskit.cross_entropy(y, f, raw=True)


def test_reinforce_is_jaxs_and_its_gradient_is_the_policy_gradient():
    action, f, reward = data("reinforce")
    loss, options = setting("reinforce"), {"raw": True, "reduction": "none"}
    value, gradient, _, _ = map(np.array, found_by("jax")["reinforce"])
    np.testing.assert_allclose(loss(action, f, reward, **options), value, rtol=1e-11, atol=1e-13)
    found = loss.gradient(action, f, reward, **options)
    np.testing.assert_allclose(found, gradient, rtol=1e-10, atol=1e-13)
    p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
    plain = losskit.reinforce(baseline=0.5).gradient(action, f, reward, **options)
    advantage = (reward - 0.5)[:, None]
    np.testing.assert_allclose(plain, advantage * (p - np.eye(5)[action]), rtol=1e-9, atol=1e-14)
    assert loss.inputs == ("action", "y_pred", "reward")
    assert loss.gradient(action, f, reward, raw=True).shape == f.shape


def test_the_entropy_bonus_pulls_towards_uniform_and_keeps_its_precision():
    bonus = losskit.reinforce(entropy_bonus=1.0)
    f, none = np.array([[40.0, 0.0, 3.0, 5.0]]), [0.0]  # no reward: the bonus alone
    p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
    entropy = (p[0, 1:] * (40 - f[0, 1:])).sum() + p[0, 1:].sum()
    assert bonus([0], f, none, raw=True) == pytest.approx(-entropy, rel=1e-12)
    slope = bonus.gradient([0], f, none, raw=True)[0]
    np.testing.assert_allclose(slope[1:], -p[0, 1:] * (40 - f[0, 1:]), rtol=1e-12)
    assert slope.sum() == pytest.approx(0, abs=1e-12 * abs(slope).max())
    allowed = bonus.value_and_gradient([0], [[0.0, -INF, 0.0]], none, raw=True)
    assert allowed[0] == pytest.approx(-math.log(2))
    assert allowed[1].tolist() == [[0, 0, 0]]
    uniform = bonus([1], [[0.25] * 4], none)
    assert uniform == pytest.approx(-math.log(4))


def test_reinforce_learns_the_best_arm():
    """Expected gradient over actions drawn from the policy, three arms that pay 1, 2 and 4."""
    pays, f = np.array([1.0, 2.0, 4.0]), np.zeros((1, 3))
    for _ in range(200):
        p = np.exp(f - np.logaddexp.reduce(f, axis=1))
        loss = losskit.reinforce(baseline=float(pays @ p[0]))
        g = loss.gradient([0, 1, 2], np.repeat(f, 3, axis=0), pays, raw=True, sample_weight=p[0])
        f = f - g.sum(axis=0, keepdims=True)
    assert p[0, 2] > 0.99


def test_actions_may_be_a_sequence_and_rewards_one_for_each():
    f, action = np.zeros((2, 3, 4)), np.zeros((2, 3), int)
    loss = losskit.reinforce(action, f, np.ones((2, 3)), raw=True, reduction="none")
    assert loss.shape == (2, 3)
    assert loss[0, 0] == pytest.approx(math.log(4))
    with pytest.raises(ValueError, match="reward"):
        losskit.reinforce(action, f, [[1.0, math.nan, 1.0]] * 2, raw=True)
