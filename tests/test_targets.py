"""Targets as users have them and as losses want them; probabilities out of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import losskit
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.inputs.targets import Coding, class_factors, coding, numbers, read_classes

TWO = read_classes(["b", "a", "b"], 3)
THREE = read_classes([3, 1, 2, 1], 4)
LABELS = read_classes([[0, 1], [1, 1], [0, 0]], 3)
PROPER = {
    "binary_cross_entropy", "logistic_margin", "squared_hinge", "smoothed_hinge", "modified_huber",
    "exponential", "cross_entropy", "kl_divergence", "categorical_brier", "sparsemax",
    "multilabel_cross_entropy",
}  # fmt: skip


def test_classes_are_sorted_and_numbered() -> None:
    assert TWO.labels.tolist() == ["a", "b"]
    assert TWO.codes.tolist() == [1, 0, 1]
    assert THREE.labels.tolist() == [1, 2, 3]
    assert LABELS.columns
    assert LABELS.codes.tolist() == [[0, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("loss", "classes", "layout", "target"),
    [
        ("hinge", TWO, "one", [1, -1, 1]),
        ("binary_cross_entropy", TWO, "one", [1, 0, 1]),
        ("focal", TWO, "one", [1, 0, 1]),
        ("cross_entropy", TWO, "index", [1, 0, 1]),
        ("cross_entropy", THREE, "index", [2, 0, 1, 0]),
        ("hinge", THREE, "each", [[-1, -1, 1], [1, -1, -1], [-1, 1, -1], [1, -1, -1]]),
        ("binary_cross_entropy", LABELS, "each", [[0, 1], [1, 1], [0, 0]]),
        ("hinge", LABELS, "each", [[-1, 1], [1, 1], [-1, -1]]),
        ("dice", LABELS, "labels", [[0, 1], [1, 1], [0, 0]]),
        ("squared_error", TWO, "one", [1, -1, 1]),
    ],
)
def test_each_loss_gets_the_targets_it_wants(
    loss: str, classes: Any, layout: str, target: Any
) -> None:
    how = coding(losskit.get(loss), classes)
    assert how.layout == layout
    assert how.target(classes).tolist() == target


def test_a_loss_of_your_own_says_by_its_domain_how_classes_are_told() -> None:
    f = losskit.formula

    @losskit.loss(target=f.BINARY)
    def raw(y, z):
        """A cross-entropy whose link is not declared; 0 is where it turns."""
        return y * f.softplus(-z) + (1 - y) * f.softplus(z)

    @losskit.loss(target=f.BINARY)
    def halves(y, z):
        """Turns at one half."""
        return (z - y) * (z - y)

    assert coding(raw, TWO).negative == 0.0
    with pytest.raises(ValueError, match="no loss of classes: a score above 0 has to stand"):
        coding(halves, TWO)


def test_decisions() -> None:
    scores = np.array([[-1.0], [0.0], [2.0]])
    one = Coding("one", 1)
    assert one.codes(one.decision(scores), columns=False).tolist() == [0, 0, 1]
    two = Coding("index", 2)
    assert two.decision(np.array([[1.0, 3.0]])).tolist() == [2.0]
    many = Coding("each", 3)
    assert many.codes(np.array([[1.0, 3.0, 2.0]]), columns=False).tolist() == [1]
    assert many.codes(np.array([[1.0, -3.0, 2.0]]), columns=True).tolist() == [[1, 0, 1]]


FITTED = [
    name
    for name in losskit.names()
    if losskit.get(name).task in ("binary", "classes", "multilabel") and name != "ordinal"
]


@pytest.mark.parametrize("name", FITTED)
def test_which_losses_tell_probabilities(name: str) -> None:
    loss = losskit.get(name)
    how = coding(loss, LABELS if loss.task == "multilabel" else TWO)
    assert (estimator_of(loss, how) is not None) == (name in PROPER)


@pytest.mark.parametrize("name", sorted(PROPER - {"multilabel_cross_entropy"}))
@pytest.mark.parametrize("p", [0.1, 0.4, 0.5, 0.85])
def test_the_probability_is_that_of_the_best_constant(name: str, p: float) -> None:
    """The score that is best where the second class has probability p tells p."""
    loss = losskit.get(name)
    how = coding(loss, TWO)
    y = how.target(TWO)[:2]  # the second class, then the first
    weight = np.array([p, 1 - p])
    best: Any = np.linspace(-3, 3, 60001)
    if how.layout == "one":
        up, down = (loss(np.full(best.shape, v), best, raw=True, reduction="none") for v in y)
        score = best[np.argmin(p * up + (1 - p) * down)][None, None]
    else:
        rows = np.column_stack([0 * best, best])
        up, down = (
            loss(np.full(len(rows), v, np.intp), rows, raw=True, reduction="none") for v in y
        )
        score = rows[np.argmin(weight[0] * up + weight[1] * down)][None]
    found = probabilities(loss, how, score, columns=False)
    assert found.sum() == pytest.approx(1.0)
    assert found[0, 1] == pytest.approx(p, abs=1e-3)


@pytest.mark.parametrize("name", sorted(PROPER - {"multilabel_cross_entropy"}))
def test_probabilities_of_any_score_are_probabilities(name: str) -> None:
    loss = losskit.get(name)
    how = coding(loss, THREE)
    scores = np.array(
        [[-800.0, 0.0, 800.0], [0.0, 0.0, 0.0], [1e-9, -1e-9, 0.0], [5.0, 2.0, -40.0]]
    )
    found = probabilities(loss, how, scores, columns=False)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    assert found[1] == pytest.approx(np.full(3, 1 / 3))


def test_what_moves_the_optimum_is_no_probability() -> None:
    assert estimator_of(losskit.binary_cross_entropy(pos_weight=3.0), Coding("one", 1)) is None
    smoothed = losskit.cross_entropy(label_smoothing=0.1)
    assert estimator_of(smoothed, Coding("index", 3)) is None


def test_class_factors() -> None:
    weight = np.array([1.0, 2.0, 3.0])
    assert class_factors(None, TWO, weight) is None
    assert class_factors("balanced", TWO, weight) == pytest.approx([6 / 8, 6 / 4, 6 / 8])
    assert class_factors({"a": 5}, TWO, None).tolist() == [1, 5, 1]
    assert class_factors([5, 2], TWO, None).tolist() == [2, 5, 2]
    with pytest.raises(ValueError, match="one class a row"):
        class_factors("balanced", LABELS, None)
    with pytest.raises(ValueError, match="needed is one for each of the 2 classes"):
        class_factors([1, 2, 3], TWO, None)
    with pytest.raises(ValueError, match=r"class_weight of 'b' is -1\.0"):
        class_factors({"b": -1.0}, TWO, None)


def test_places_are_those_of_the_users_rows() -> None:
    kept = np.array([2, 5, 9])
    with pytest.raises(ValueError, match=r"y\[5\] is NaN"):
        numbers([1.0, np.nan, 2.0], 3, kept)
    with pytest.raises(ValueError, match=r"y\[9, 1\] is inf"):
        numbers([[1.0, 2.0], [1.0, 2.0], [1.0, np.inf]], 3, kept)
    with pytest.raises(ValueError, match=r"y\[5\] is missing \(None\)"):
        read_classes(np.array(["a", None, "b"], object), 3, kept)
    with pytest.raises(ValueError, match=r"y\[2, 0\] is 2"):
        read_classes([[2, 1], [0, 1], [1, 1]], 3, kept)
    with pytest.raises(ValueError, match="y has 2 rows, X has 3"):
        numbers([1.0, 2.0], 3)


def test_whole_numbers_in_objects_are_classes() -> None:
    found = read_classes(np.array([3, 1, 3], object), 3)
    assert found.labels.dtype.kind == "i"
    assert found.labels.tolist() == [1, 3]
    known = read_classes(["b"], 1, known=np.array(["a", "b", "c"]))
    assert known.codes.tolist() == [1]
