"""Metrics against scikit-learn, sacreBLEU, slow definitions and cases worked by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

import losskit
from losskit import metrics

RNG = np.random.default_rng(7)
N, K = 60, 4
LABELS = RNG.integers(0, K, N)
GUESSES = RNG.integers(0, K, N)
BINARY = RNG.integers(0, 2, N)
P = RNG.uniform(size=N).round(1)  # with ties
ROWS = RNG.dirichlet(np.ones(K), N)
Y = RNG.gamma(2.0, size=N)
F = RNG.gamma(2.0, size=N)
W = RNG.integers(0, 4, N)  # with zeros

AVERAGES = ("macro", "weighted", "micro")
# metric, y_true, y_pred, scikit-learn's value as a function of (y_true, y_pred, sample_weight)
AGAINST_SKLEARN = [
    (metrics.accuracy, LABELS, GUESSES, sk.accuracy_score),
    (metrics.balanced_accuracy, LABELS, GUESSES, sk.balanced_accuracy_score),
    *[
        (ours(average=a), LABELS, GUESSES, lambda y, p, sample_weight, f=theirs, a=a: f(
            y, p, average=a, sample_weight=sample_weight))
        for ours, theirs in (
            (metrics.precision, sk.precision_score),
            (metrics.recall, sk.recall_score),
            (metrics.f1, sk.f1_score),
        )
        for a in AVERAGES
    ],
    (metrics.f1, BINARY, P > 0.5, sk.f1_score),
    (metrics.precision(positive=0), BINARY, P > 0.5,
     lambda y, p, sample_weight: sk.precision_score(
         y, p, pos_label=0, sample_weight=sample_weight)),
    (metrics.auc, BINARY, P, sk.roc_auc_score),
    (metrics.auc, LABELS, ROWS, lambda y, p, sample_weight: sk.roc_auc_score(
        y, p, multi_class="ovr", sample_weight=sample_weight)),
    (metrics.auc(average="weighted"), LABELS, ROWS, lambda y, p, sample_weight: sk.roc_auc_score(
        y, p, multi_class="ovr", average="weighted", sample_weight=sample_weight)),
    (metrics.average_precision, BINARY, P, sk.average_precision_score),
    (metrics.average_precision, LABELS, ROWS, sk.average_precision_score),
    (metrics.brier, BINARY, P, sk.brier_score_loss),
    (metrics.brier, LABELS, ROWS, sk.brier_score_loss),
    (metrics.perplexity, LABELS, ROWS, lambda y, p, sample_weight: math.exp(
        sk.log_loss(y, p, sample_weight=sample_weight))),
    (metrics.r2, Y, F, sk.r2_score),
    (metrics.explained_variance, Y, F, sk.explained_variance_score),
    (metrics.d2, Y, F, sk.r2_score),
    (metrics.d2(loss="absolute_error"), Y, F, sk.d2_absolute_error_score),
    (metrics.d2(loss=losskit.quantile(q=0.3)), Y, F, lambda y, f, sample_weight: (
        sk.d2_pinball_score(y, f, alpha=0.3, sample_weight=sample_weight))),
    *[
        (metrics.d2(loss=loss), Y, F, lambda y, f, sample_weight, power=power: (
            sk.d2_tweedie_score(y, f, power=power, sample_weight=sample_weight)))
        for loss, power in (("poisson", 1), ("gamma", 2), (losskit.tweedie(power=1.3), 1.3))
    ],
    (metrics.d2(loss="log_loss"), BINARY, np.clip(P, 0.1, 0.9), sk.d2_log_loss_score),
    (metrics.d2(loss="log_loss"), LABELS, ROWS, sk.d2_log_loss_score),
]  # fmt: skip
SKLEARN_IDS = [f"{case[0]!r}-{np.ndim(case[2])}" for case in AGAINST_SKLEARN]


@pytest.mark.parametrize(("metric", "y", "p", "theirs"), AGAINST_SKLEARN, ids=SKLEARN_IDS)
def test_equals_scikit_learn_with_and_without_weights(metric, y, p, theirs):
    assert metric(y, p) == pytest.approx(theirs(y, p, sample_weight=None), rel=1e-12)
    expected = theirs(y, p, sample_weight=W)
    assert metric(y, p, sample_weight=W) == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(theirs(y, p, sample_weight=None))


@pytest.mark.parametrize(("metric", "y", "p", "_"), AGAINST_SKLEARN, ids=SKLEARN_IDS)
def test_weights_repeat_rows_and_order_does_not_matter(metric, y, p, _):
    value = metric(y, p, sample_weight=W)
    assert metric(np.repeat(y, W), np.repeat(p, W, axis=0)) == pytest.approx(value, rel=1e-12)
    order = RNG.permutation(N)
    shuffled = metric(y[order], p[order], sample_weight=W[order])
    assert shuffled == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("metric", "y", "p", "_"), AGAINST_SKLEARN, ids=SKLEARN_IDS)
def test_masked_rows_and_rows_of_weight_zero_may_hold_anything(metric, y, p, _):
    spoiled_y, spoiled_p = y.astype(float), p.astype(float)
    spoiled_y[W == 0] = np.nan
    spoiled_p[W == 0] = np.nan
    value = metric(y, p, sample_weight=W)
    assert metric(spoiled_y, spoiled_p, sample_weight=W) == pytest.approx(value, rel=1e-12)
    masked = metric(spoiled_y, spoiled_p, mask=W != 0)
    assert masked == pytest.approx(metric(y[W != 0], p[W != 0]), rel=1e-12)
    with pytest.raises(ValueError, match=rf"y_(true|pred)\[{np.flatnonzero(W == 0)[0]}"):
        metric(spoiled_y, spoiled_p)


# --- by hand


def test_articles_example_13():
    assert metrics.perplexity([0], [[0.7, 0.2, 0.1]]) == pytest.approx(1.428571, abs=5e-7)
    assert metrics.perplexity([0], [[0.1, 0.2, 0.7]]) == pytest.approx(10)
    assert metrics.perplexity_of_tokens([math.log(0.7)]) == pytest.approx(1.428571, abs=5e-7)


def test_perplexity_of_tokens_counts_what_is_not_masked():
    tokens = np.log([[0.5, 0.125], [0.25, 1.0]])
    assert metrics.perplexity_of_tokens(tokens[0]) == pytest.approx(4)
    mask = [[True, True], [True, False]]
    assert metrics.perplexity_of_tokens(tokens, mask=mask) == pytest.approx(4)
    weighted = metrics.perplexity_of_tokens(tokens[0], sample_weight=[3, 1])
    assert weighted == pytest.approx(2 ** ((3 + 3) / 4))
    assert metrics.perplexity_of_tokens([-math.inf, -1.0]) == math.inf
    with pytest.raises(ValueError, match=r"y_pred\[1\] = 0.2 is no logarithm of a probability"):
        metrics.perplexity_of_tokens([-0.2, 0.2])
    with pytest.raises(ValueError, match=r"y_pred\[0\] = nan"):
        metrics.perplexity_of_tokens([math.nan, -1.0])


def test_logits_of_any_size():
    logits = np.log(ROWS)
    for metric in (metrics.perplexity, metrics.brier, metrics.auc, metrics.accuracy):
        expected = metric(LABELS, ROWS)
        assert metric(LABELS, logits + 1e4, raw=True) == pytest.approx(expected, rel=1e-9)
    assert metrics.brier([1, 0], [math.inf, 0.0], raw=True) == 0.125
    assert metrics.perplexity([0, 1], [[5.0, -math.inf], [0.0, 0.0]], raw=True) == pytest.approx(
        math.sqrt(2)
    )
    assert metrics.perplexity([0], [[math.inf, math.inf]], raw=True) == pytest.approx(2)
    assert metrics.perplexity([1], [[0.0, -math.inf]], raw=True) == math.inf
    with pytest.raises(ValueError, match=r"y_pred\[1\] are -inf: no class is allowed"):
        metrics.brier([0, 0], [[0.0, 1.0], [-math.inf] * 2], raw=True)


def test_probabilities_become_labels_by_threshold_or_largest():
    assert metrics.accuracy([0, 1, 1], [0.2, 0.7, 0.4]) == pytest.approx(2 / 3)
    assert metrics.accuracy(threshold=0.3)([0, 1, 1], [0.2, 0.7, 0.4]) == 1
    assert metrics.accuracy([0], [0.5]) == metrics.accuracy([0], [[0.5, 0.5]]) == 1
    assert metrics.accuracy([0, 1], [-0.1, 0.1], raw=True) == 1
    assert metrics.accuracy(threshold=0.9)([0, 1], [2.0, 2.5], raw=True) == 1
    tagged = np.array([[0, 1], [2, -100]])
    p = np.eye(3)[[[0, 1], [0, 0]]]
    assert metrics.accuracy(tagged, p, mask=tagged != -100) == pytest.approx(2 / 3)


def test_text_labels():
    y = pd.Series(["spam", "ham", "spam", None])
    guess = ["spam", "spam", "ham", "ham"]
    mask = [True, True, True, False]
    assert metrics.accuracy(y, guess, mask=mask) == pytest.approx(1 / 3)
    assert metrics.recall(positive="spam")(y, guess, mask=mask) == 0.5
    assert metrics.auc(positive="spam")(y[:3], [0.9, 0.2, 0.1]) == 0.5
    assert metrics.brier(positive="spam")(y[:3], [1.0, 0.0, 0.5]) == pytest.approx(0.25 / 3)
    with pytest.raises(ValueError, match=r"y_true\[3\] = (None|nan) is no text"):
        metrics.accuracy(y, guess)
    with pytest.raises(ValueError, match="same labels in another order"):
        metrics.accuracy(y[:3], pd.Series(guess[:3], index=[2, 1, 0]))


def test_undefined_classes_are_errors_or_zero():
    y, guess = [0, 1, 1], [0, 0, 2]
    with pytest.raises(ValueError, match=r"recall of class 2 .* never in y_true"):
        metrics.recall(average="macro")(y, guess)
    with pytest.raises(ValueError, match=r"precision of class 1 .* never predicted.*empty='zero'"):
        metrics.precision(average="macro")(y, guess)
    zero = metrics.recall(average="macro", empty="zero")(y, guess)
    assert zero == pytest.approx(sk.recall_score(y, guess, average="macro", zero_division=0))
    assert metrics.recall(average="weighted")(y, guess) == pytest.approx(1 / 3)
    assert metrics.f1(average="macro")(y, guess) == pytest.approx((2 / 3) / 3)
    assert metrics.balanced_accuracy(y, guess) == 0.5


def test_auc_and_average_precision_take_infinite_scores():
    assert metrics.auc([0, 1, 1], [-math.inf, 0.0, math.inf]) == 1
    assert metrics.average_precision([1, 0], [0.0, math.inf]) == 0.5
    assert metrics.average_precision([1, 1], [0.1, 0.2]) == 1


def test_calibration_error_by_hand():
    # (0, .5]: none; (.5, 1]: confidences .6 (right), .8 (wrong), .9 (right)
    y, p = [1, 1, 0], [0.6, 0.2, 0.1]
    one = abs(2 / 3 - (0.6 + 0.8 + 0.9) / 3)
    assert metrics.ece(bins=2)(y, p) == pytest.approx(one)
    # ten bins: (.5, .6], (.7, .8], (.8, .9]
    ten = (abs(1 - 0.6) + abs(0 - 0.8) + abs(1 - 0.9)) / 3
    assert metrics.ece(bins=10)(y, p) == pytest.approx(ten)
    assert metrics.ece(bins=10)(y, np.stack([1 - np.array(p), p], 1)) == pytest.approx(ten)
    weighted = (2 * 0.4 + 0.8 + 0.1) / 4
    assert metrics.ece(bins=10)(y, p, sample_weight=[2, 1, 1]) == pytest.approx(weighted)
    # one half lies in the lower bin (0, .5]: right there, and sure and wrong above it
    assert metrics.ece(bins=2)([0, 1], [0.5, 0.0]) == 0.75
    sure = np.where(BINARY == 1, 1.0, 0.0)
    assert metrics.ece(BINARY, sure) == 0
    assert metrics.ece(1 - BINARY, sure) == 1


def test_calibration_error_agrees_with_calibration_curve():
    from sklearn.calibration import calibration_curve

    p = RNG.uniform(0.5, 1, N)
    share, confidence = calibration_curve(BINARY, p, n_bins=10)
    counts = np.bincount((p * 10).astype(int), minlength=10)
    expected = (counts[counts > 0] * abs(share - confidence)).sum() / N
    assert metrics.ece(bins=10)(BINARY, p) == pytest.approx(expected)


def test_float32_and_float16_probabilities():
    for dtype in (np.float32, np.float16):
        rows = ROWS.astype(dtype)
        expected = metrics.brier(LABELS, ROWS)
        assert metrics.brier(LABELS, rows) == pytest.approx(
            expected, rel=4 * float(np.finfo(dtype).eps)
        )


# --- text


def test_bleu_by_hand_and_by_sacrebleu():
    import sacrebleu

    reference, translation = "the cat sat on a mat", "the cat sat on the mat"
    # shared n-grams of 6, 5, 4, 3: words 5, pairs 3, triples 2, fours 1; equal lengths
    by_hand = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert metrics.bleu([reference], [translation]) == pytest.approx(by_hand)
    short = "the cat sat on"  # all shared; brevity exp(1 - 6/4)
    assert metrics.bleu([reference], [short]) == pytest.approx(100 * math.exp(-0.5))
    several = [[reference, translation], ["Hello there you all"]]
    guesses = [translation, "hello there you all"]
    streams = [[reference, "Hello there you all"], [translation, None]]
    expected = sacrebleu.corpus_bleu(guesses, streams).score
    assert metrics.bleu(several, guesses) == pytest.approx(expected)
    assert metrics.bleu(lowercase=True)(several, guesses) == pytest.approx(100)
    assert metrics.bleu(several, [translation, 3], mask=[True, False]) == pytest.approx(100)


@pytest.mark.parametrize(
    ("y", "p", "options", "error", "message"),
    [
        ("a b", ["a b"], {}, TypeError, "y_true is a str; needed is a list of text"),
        (["a"], ["a", "b"], {}, ValueError, "1 sentences and y_pred 2"),
        (["a", ["b", 2]], ["a", "b"], {}, TypeError, r"y_true\[1\]\[1\] is a int"),
        (["a"], [None], {}, TypeError, r"y_pred\[0\] is a NoneType"),
        ([[]], ["a"], {}, ValueError, r"y_true\[0\] holds no reference"),
        (["a"], ["a"], {"mask": [False]}, ValueError, "no sentence that counts"),
        (["a"], ["a"], {"mask": [1]}, TypeError, "mask has to be 1 booleans"),
        (["a"], ["a"], {"sample_weight": [1]}, TypeError, "takes no sample_weight="),
    ],
)
def test_bleu_refuses(y, p, options, error, message):
    with pytest.raises(error, match=message):
        metrics.bleu(y, p, **options)


# --- what is refused


@pytest.mark.parametrize(
    ("metric", "y", "p", "message"),
    [
        (metrics.accuracy, [0, 1], [0.3, 1.2], r"y_pred\[1\] = 1.2 is no probability.*raw=True"),
        (metrics.accuracy, [0, 1], [-2.0, 3.0], r"y_pred\[0\] = -2 is no probability.*raw=True"),
        (metrics.accuracy, [0, 2], [0.3, 2.0], r"y_pred\[0\] = 0.3 is no label.*last axis"),
        (metrics.accuracy, [0.5, 1], [0, 1], r"y_true\[0\] = 0.5 is no label.*see r2"),
        (metrics.accuracy, [0, 3], [[0.5, 0.5]] * 2, r"y_true\[1\] = 3 is no class index.*0 to 1"),
        (metrics.accuracy, [[1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8]], r"one-hot.*argmax"),
        (metrics.accuracy, [0, 1], [0], "shape"),
        (metrics.accuracy(threshold=0.4), [0, 1], [[0.5, 0.5]] * 2, "threshold= goes with prob"),
        (metrics.accuracy, [], [], "the batch is empty"),
        (metrics.precision, [0, 1, 2], [0, 1, 2], r"positive=2\), or average over classes"),
        (metrics.precision(average="macro", positive=1), [0, 1], [0, 1], "goes with average="),
        (metrics.auc(positive="a"), [0, 1], [0.1, 0.2], "positive='a', but a label is 0"),
        (metrics.auc, [1, 2], [0.1, 0.2], r"labels are 1, 2; .*positive=2.*axis of classes"),
        (metrics.auc, [1, 1], [0.1, 0.2], "y_true holds no others"),
        (metrics.auc, [0, 1], [[0.2, 0.3, 0.5]] * 2, "elements of class 2 and others; .* none"),
        (metrics.average_precision, [0, 0], [0.1, 0.2], "elements of the positive class; .* none"),
        (metrics.brier, [0, 1], [[0.5, 0.5], [0.3, 0.8]], r"y_pred\[1\] sum to 1.1, not 1"),
        (metrics.brier, [0, 1], [[0.5, 0.5], [-0.5, 1.5]], r"y_pred\[1, 0\] = -0.5 is no prob"),
        (metrics.r2, [1.0, 1.0], [1.0, 2.0], r"constant \(1 in 2 elements\)"),
        (metrics.r2, [1.0, np.inf], [1.0, 2.0], r"y_true\[1\] = inf is not finite"),
        (metrics.r2, [[1.0, 2.0]], [[1.0, 2.0]], "one output at a time"),
        (metrics.d2, [0.1, 0.1, 0.1], [1.0, 2.0, 3.0], "constant"),
        (metrics.d2(loss="gaussian_nll"), [1.0, 2.0], [[1.0, 1.0]] * 2, "no least value"),
        (metrics.d2(loss="poisson"), [1.0, -2.0], [1.0, 1.0], r"y_true\[1\] = -2"),
    ],
)
def test_values_are_refused_with_what_to_pass_instead(metric, y, p, message):
    with pytest.raises(ValueError, match=message):
        metric(y, p)


@pytest.mark.parametrize(
    ("metric", "y", "p", "message"),
    [
        (metrics.accuracy, ["a", "b"], [0, 1], "one of y_true and y_pred holds text"),
        (metrics.accuracy, ["a", "b"], [[0.5, 0.5]] * 2, "holds text"),
        (partial(metrics.accuracy, raw=True), ["a", "b"], ["a", "b"], "text is no logit"),
        (metrics.auc, ["a", "b"], [[0.5, 0.5]] * 2, "pass the column's number as y_true"),
        (metrics.auc, [0, 1], ["a", "b"], "y_pred holds text; needed are probabilities or scores"),
        (metrics.r2, ["a", "b"], [0.0, 1.0], "real numbers"),
        (metrics.ndcg, ["a", "b"], [0.0, 1.0], "real numbers"),
    ],
)
def test_kinds_are_refused_with_what_to_pass_instead(metric, y, p, message):
    with pytest.raises(TypeError, match=message):
        metric(y, p)


def test_d2_needs_a_constant_to_compare_with():
    with pytest.raises(losskit.Unsupported, match="pairwise_hinge has no optimal constant"):
        metrics.d2(loss="pairwise_hinge")(LABELS, P)
    with pytest.raises(losskit.Unsupported, match="categorical_focal: the best constant"):
        metrics.d2(loss="categorical_focal")(LABELS, ROWS)
    with pytest.raises(losskit.Unsupported, match="class_weight= of"):
        metrics.d2(loss=losskit.cross_entropy(class_weight=(1, 2, 3, 4)))(LABELS, ROWS)
    with pytest.raises(ValueError, match="a column per class"):
        metrics.d2(loss="cross_entropy")(BINARY, P)


def test_weights_are_checked():
    with pytest.raises(ValueError, match=r"sample_weight of element \[1\] is -1"):
        metrics.accuracy([0, 1], [0, 1], sample_weight=[1, -1])
    for options in ({"sample_weight": [0, 0]}, {"mask": [False, False]}):
        with pytest.raises(ValueError, match="weights sum to zero"):
            metrics.accuracy([0, 1], [0, 1], **options)
