"""Losses of one class out of several: against autodiff, other libraries, and at the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import losskit
from class_peers import CLASS_WEIGHT, CLASSES, OF_LABELS, SETTINGS, data, directions
from losses_peers import found_by
from losskit.backends.mpmath_rows import row_function
from losskit.formula.expr import Trace
from losskit.formula.primitives import log1mexp, softplus_gap

INF = math.inf
OF_CLASSES = [case for case in SETTINGS if case not in OF_LABELS]
SOFTMAX = [
    "cross_entropy", "categorical_focal", "generalized_cross_entropy", "kl_divergence",
    "js_divergence", "categorical_brier", "poly1",
]  # fmt: skip
MARGINS = ["crammer_singer", "weston_watkins", "multiclass_perceptron"]
RIGHT = [800.0, 0.0, 3.0, 5.0]  # for class 0 confidently right
EXCLUDED = [5.0, -INF, 2.0, 0.3]


def setting(case: str) -> Any:
    name, parameters = SETTINGS[case]
    return losskit.get(name, **parameters)


@pytest.mark.parametrize("case", OF_CLASSES)
def test_value_and_derivatives_are_jaxs(case):
    loss, given = setting(case), data(case)
    value, gradient, diagonal, product = map(np.array, found_by("jax")[case])
    options = {"raw": True, "reduction": "none"}
    near = {"rtol": 1e-10, "atol": 1e-13}
    np.testing.assert_allclose(loss(*given, **options), value, **near)
    keep = slice(1, None) if "hinge" in loss.aliases or case in MARGINS else slice(None)
    found = loss.gradient_and_hessian(*given, **options)  # JAX takes other sides of a tie
    np.testing.assert_allclose(found[0][keep], gradient[keep], **near)
    np.testing.assert_allclose(found[1][keep], diagonal[keep], **near)
    found = loss.hessian_vector_product(*given, directions(), **options)
    np.testing.assert_allclose(found[keep], product[keep], **near)


@pytest.mark.parametrize(
    ("library", "key", "case", "factor"),
    [
        ("torch", "soft", "cross_entropy", 1),
        ("torch", "kl_divergence", "kl_divergence", 1),
        ("torch", "multi_margin", "weston_watkins", CLASSES),
        ("optax", "soft", "cross_entropy", 1),
        ("optax", "kl_divergence", "kl_divergence", 1),
        ("optax", "poly1", "poly1", 1),
        ("optax", "multiclass_perceptron", "multiclass_perceptron", 1),
        ("keras", "kl_divergence", "kl_divergence", 1),
        ("keras", "categorical_focal", "categorical_focal", 1),
    ],
)
def test_values_are_the_other_librarys(library, key, case, factor):
    ours = setting(case)(*data(case), raw=True, reduction="none")
    theirs = factor * np.array(found_by(library)[key])
    if library == "keras":  # which clips probabilities, here at 1e-14
        ours, theirs = np.delete(ours, [1, 2]), np.delete(theirs, [1, 2])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_index_targets_are_the_other_librarys():
    index, f = data("crammer_singer")
    options = {"raw": True, "reduction": "none"}

    def compare(ours: Any, library: str, key: str) -> None:
        np.testing.assert_allclose(ours, found_by(library)[key], rtol=1e-12, atol=1e-12)

    ce = losskit.cross_entropy
    for library in ("torch", "optax", "sklearn"):
        compare(ce(index, f, **options), library, "index")
    compare(ce(label_smoothing=0.1)(index, f, **options), "torch", "smoothed")
    p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
    compare(ce(index, p), "sklearn", "log_loss")  # both clip p
    weighted = ce(class_weight=CLASS_WEIGHT)
    compare(weighted(index, f, raw=True), "torch", "class_weight")
    ignored = index.copy()
    ignored[::3] = -100
    compare(ce(ignore_index=-100)(ignored, f, raw=True), "torch", "ignored")
    compare(weighted(ignore_index=-100)(ignored, f, raw=True), "torch", "weighted, ignored")
    compare(losskit.token_cross_entropy(ignored, f, raw=True), "torch", "ignored")
    compare(losskit.crammer_singer(index, f, raw=True, reduction="none"), "optax", "crammer_singer")
    compare(losskit.crammer_singer(index, f), "sklearn", "crammer_singer")
    compare(losskit.sparsemax(index, f, reduction="none"), "optax", "sparsemax")
    compare(losskit.categorical_brier(index, f, raw=True), "sklearn", "categorical_brier")
    # Keras has p = softmax(f) only, in which row 2 is 0 to its clip.
    gce = np.delete(losskit.generalized_cross_entropy(index, f, **options), [1, 2])
    theirs = np.delete(found_by("keras")["generalized_cross_entropy"], [1, 2])
    np.testing.assert_allclose(gce, theirs, rtol=1e-9)
    # Its hinge lets the true class compete with score 0, which no score here is below.
    hinge = losskit.crammer_singer(index, abs(f), reduction="none")
    compare(hinge, "keras", "crammer_singer")


@pytest.mark.parametrize("name", SOFTMAX)
def test_a_confident_row_keeps_its_relative_precision(name):
    loss = losskit.get(name)
    for order in ("gradient", "hessian"):
        found = getattr(loss, order)([0], [[40.0, 0.0, 3.0, 5.0]], raw=True)[0]
        true = [float(x) for x in row_function(loss, order)(0, [40.0, 0.0, 3.0, 5.0])]
        scale = [float(x) for x in row_function(loss, order, scale=True)(0, [40.0, 0.0, 3.0, 5.0])]
        assert max(map(abs, true)) < 1e-13
        np.testing.assert_allclose(found, true, rtol=1e-13, atol=1e-15 * max(scale))
        if order == "gradient":
            np.testing.assert_allclose(found, true, rtol=1e-13)
    far = loss.gradient([0], [RIGHT], raw=True)
    np.testing.assert_allclose(far, [list(map(float, row_function(loss, "gradient")(0, RIGHT)))],
                               rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize("name", [*SOFTMAX, *MARGINS, "sparsemax"])
def test_an_excluded_class_is_as_if_it_were_not_there(name):
    loss = losskit.get(name)
    without = loss.value_and_gradient([0], [[5.0, 2.0, 0.3]], raw=True)
    value, gradient = loss.value_and_gradient([0], [EXCLUDED], raw=True)
    np.testing.assert_allclose(value, without[0], rtol=1e-13)
    np.testing.assert_allclose(np.delete(gradient, 1, axis=1), without[1], rtol=1e-13)
    assert gradient[0, 1] == 0


@pytest.mark.parametrize("name", [*SOFTMAX, *MARGINS, "sparsemax"])
@pytest.mark.parametrize("scores", [EXCLUDED, [INF, -INF, 0, 1], [INF, INF, 0, 1], [3, INF, 0, 1]])
def test_infinite_scores_give_limits_and_never_nan(name, scores):
    loss = losskit.get(name)
    bounded = {
        "generalized_cross_entropy": 2.0, "js_divergence": math.log(2), "categorical_brier": 2.0,
    }  # fmt: skip
    for y in range(4):
        value, gradient = loss.value_and_gradient([y], [scores], raw=True, reduction="none")
        assert not np.isnan(value).any()
        assert not np.isnan(gradient).any()
        assert not np.isnan(loss.hessian([y], [scores], raw=True, reduction="none")).any()
        assert value[0] <= bounded.get(name, INF)
    if scores is EXCLUDED:
        assert loss([1], [scores], raw=True) == pytest.approx(bounded.get(name, INF), rel=0.06)


@pytest.mark.parametrize("name", SOFTMAX)
def test_both_scales_agree(name):
    loss, (index, f) = losskit.get(name), data("crammer_singer")
    f = f[3:]
    p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
    value, by_p = loss.value_and_gradient(index[3:], p, reduction="none")
    np.testing.assert_allclose(value, loss(index[3:], f, raw=True, reduction="none"), rtol=1e-9)
    chain = p * (by_p - (by_p * p).sum(1, keepdims=True))
    raw = loss.gradient(index[3:], f, raw=True, reduction="none")
    np.testing.assert_allclose(chain, raw, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", [*SOFTMAX, *MARGINS, "sparsemax"])
def test_float32_is_computed_in_float32(name):
    loss, (index, f) = losskit.get(name), data("crammer_singer")
    f = f[3:].astype(np.float32)
    value, gradient = loss.value_and_gradient(index[3:], f, raw=True, reduction="none")
    true = loss.value_and_gradient(index[3:], f.astype(float), raw=True, reduction="none")
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(value, true[0], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, true[1], rtol=2e-5, atol=1e-6)


def test_divergences_of_equal_distributions_are_0_and_not_noise():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    for loss in (losskit.kl_divergence, losskit.js_divergence):
        values = loss(p, np.log(p), raw=True, reduction="none")
        assert abs(values).max() < 1e-30
        near = np.log(p) + 1e-9 * np.arange(6)
        assert (loss(p, near, raw=True, reduction="none") > 0).all()
    y, q = np.array([[0.2, 0.8, 0.0]]), np.array([[0.5, 0.25, 0.25]])
    m = (y + q) / 2
    js = sum(x * math.log(x / z) for x, z in zip([*y[0], *q[0]], [*m[0]] * 2, strict=True) if x)
    assert losskit.js_divergence(y, q) == pytest.approx(js / 2, rel=1e-14)
    assert losskit.js_divergence([0], [[0.0, 1.0, 0.0]], clip=0) == pytest.approx(math.log(2))


def test_what_the_parameters_turn_into():
    index, f = data("crammer_singer")
    ce = losskit.cross_entropy(index, f, raw=True)
    assert losskit.categorical_focal(gamma=0)(index, f, raw=True) == pytest.approx(ce, rel=1e-13)
    assert losskit.generalized_cross_entropy(q=0)(index, f, raw=True) == pytest.approx(
        ce, rel=1e-13
    )
    assert losskit.poly1(epsilon=0)(index, f, raw=True) == pytest.approx(ce, rel=1e-13)
    p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])[np.arange(len(f)), index]
    error = losskit.generalized_cross_entropy(q=1)(index, f, raw=True)
    assert error == pytest.approx((1 - p).mean(), rel=1e-13)


def test_two_classes_are_the_binary_losses():
    """On two classes the margin f₁ − f₀ is the logit."""
    f, y = np.array([[0.3, 1.0], [-2.0, 3.0], [4.0, 1.0]]), np.array([1, 0, 0])
    margin = f[:, 1] - f[:, 0]
    for ours, binary, target in [
        (losskit.categorical_focal, losskit.focal, y),
        (losskit.cross_entropy, losskit.binary_cross_entropy, y),
        (losskit.crammer_singer, losskit.hinge, 2 * y - 1),
        (losskit.weston_watkins, losskit.hinge, 2 * y - 1),
        (losskit.multiclass_perceptron, losskit.perceptron, 2 * y - 1),
    ]:
        assert ours(y, f, raw=True) == pytest.approx(binary(target, margin, raw=True), rel=1e-13)


def test_hinges_are_content_at_the_margin_and_a_perceptron_starts_at_0():
    zero = np.zeros((1, 4))
    for name in ("crammer_singer", "weston_watkins"):
        at_margin = losskit.get(name).gradient([0], [[1.0, 0.0, 0.0, -3.0]])
        assert not at_margin.any()
    start = losskit.multiclass_perceptron.gradient([0], zero)
    np.testing.assert_allclose(start, [[-0.75, 0.25, 0.25, 0.25]])


def test_sparsemax_trains_sparse_probabilities():
    f = np.array([[0.5, 0.2, -3.0, 0.1]])
    p = np.array([[1.7 / 3 - 2 / 15, 0.8 / 3, 0.0, 0.5 / 3 + 2 / 15]])  # 0.5, 0.2, 0.1 less −1/15
    p = np.maximum(f + 1 / 15, 0)
    assert p.sum() == pytest.approx(1)
    y = np.array([[1.0, 0, 0, 0]])
    np.testing.assert_allclose(losskit.sparsemax.gradient(y, f), p - y, atol=1e-15)
    assert losskit.sparsemax(p, f) == pytest.approx(0, abs=1e-16)
    assert losskit.sparsemax([0], [[900.0, 898.9, 0, 0]]) == 0
    assert losskit.sparsemax([1], [[900.0, 0.0, 0, 0]]) == 900


def test_ordinal_is_a_difference_of_cumulative_probabilities():
    p = np.array([0.9, 0.6, 0.2])
    found = losskit.ordinal([0, 1, 2, 3], np.tile(p, (4, 1)), reduction="none")
    np.testing.assert_allclose(found, -np.log([0.1, 0.3, 0.4, 0.2]), rtol=1e-13)
    assert losskit.ordinal([1], [[800.0, -800.0]], raw=True) == 0
    assert losskit.ordinal([1], [[0.0, -1e-12]], raw=True) == pytest.approx(-math.log(0.25e-12))
    assert losskit.ordinal([1], [[INF, -INF]], raw=True) == 0
    with pytest.raises(ValueError, match="0 … 2"):
        losskit.ordinal([3], [[0.0, -1.0]], raw=True)
    with pytest.raises(ValueError, match="row 1"):
        losskit.ordinal([1, 1], [[1.0, 0.0], [0.0, 1.0]], raw=True)
    weighted = losskit.ordinal(class_weight=[1, 2, 3, 4])
    assert weighted([3, 0], [p, p]) == pytest.approx(-(4 * math.log(0.2) + math.log(0.1)) / 5)


def test_new_primitives_keep_their_precision():
    from losskit.backends import mpmath, numpy

    for function in (softplus_gap, log1mexp):
        trace = Trace(["x"])
        node = function(trace.symbols["x"])
        run = numpy.compiled(numpy.source("run", ("x",), [node]))
        for x in (1e-300, 1e-9, 0.3, 0.6874, 0.6876, 1.0, 30.0, 700.0):
            for at in (x, -x) if function is softplus_gap else (x,):
                true = float(mpmath.evaluate([node], {"x": at})[0])
                with np.errstate(all="ignore"):
                    found = float(run(np.float64(at))[0])
                assert found == pytest.approx(true, rel=4e-16), at


def test_targets_and_parameters_are_checked():
    with pytest.raises(ValueError, match="one-hot"):
        losskit.categorical_focal([[0.5, 0.5]], [[0.0, 0.0]], raw=True)
    with pytest.raises(ValueError, match=r"alpha.*2 numbers"):
        losskit.categorical_focal(alpha=(1, 2))([0], [[0.0, 0.0, 0.0]], raw=True)
    with pytest.raises(ValueError, match=r"q=1\.5"):
        losskit.generalized_cross_entropy(q=1.5)
    with pytest.raises(ValueError, match="row 0 sums to 2"):
        losskit.kl_divergence([[1.0, 1.0]], [[0.0, 0.0]], raw=True)
