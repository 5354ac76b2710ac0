"""Every number of articles.md §4 that concerns losses, by its number there.

The misprints of the articles are asserted against where the table names one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import losskit
from losskit import absolute_error as mae
from losskit import binary_cross_entropy as bce
from losskit import cross_entropy as ce
from losskit import hinge
from losskit import squared_error as mse
from losskit.penalties import L1, L2, from_c, from_sum_of_squares


def near(value: float, digits: int = 6) -> object:
    """Compare with a number printed with so many decimals."""
    return pytest.approx(value, abs=0.5000001 * 10.0**-digits, rel=0)


def test_1_rents() -> None:
    y, p = [1200, 850, 2000, 950, 1500], [1150, 900, 1700, 940, 1520]
    assert mse(y, p, reduction="none").tolist() == [2500, 2500, 90000, 100, 400]
    assert mse(y, p) == 19100
    assert math.sqrt(mse(y, p)) == near(138.2027, 4)
    w = np.array([0.5, -0.3, 1.2, 0.8])
    assert mse(y, p) + 0.01 * np.sum(w * w) == near(19100.0242, 4)
    assert mse(y, p) + 0.01 * np.abs(w).sum() == near(19100.0280, 4)
    assert mse(y, p) + L2.value(w, from_sum_of_squares(0.01)) == near(19100.0242, 4)
    assert mse(y, p) + L1.value(w, 0.01) == near(19100.0280, 4)


def test_2_four_probabilities() -> None:
    y, p = [1, 0, 1, 0], [0.9, 0.05, 0.1, 0.6]
    assert bce(y, p, reduction="none") == near([0.105361, 0.051293, 2.302585, 0.916291])
    assert bce(y, p) == near(0.843882)


def test_3_five_predictions() -> None:
    y, p = [3, 5, 2.5, 7, 4.5], [2.8, 5.2, 2.6, 6.8, 4.0]
    assert mse(y, p) == pytest.approx(0.076, rel=1e-12)
    assert math.sqrt(mse(y, p)) == near(0.275681)


def test_4_five_probabilities() -> None:
    assert bce([1, 0, 1, 1, 0], [0.9, 0.1, 0.8, 0.7, 0.3]) == near(0.229443)


def test_5_surprise_of_a_probability() -> None:
    p = [0.99, 0.9, 0.7, 0.5, 0.3, 0.1, 0.01]
    found = bce(np.ones(7), p, reduction="none")
    assert found == near([0.010, 0.105, 0.357, 0.693, 1.204, 2.303, 4.605], 3)


def test_6_one_large_error() -> None:
    assert mse([300_000], [799_000]) == 2.49001e11


def test_7_wrong_and_right() -> None:
    assert bce([1, 1], [0.2, 0.95], reduction="none") == near([1.609, 0.051], 3)


def test_8_softmax_of_four_logits() -> None:
    logits = np.array([1.2, 0.5, 3.1, 0.8])
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert softmax == near([0.1130, 0.0561, 0.7552, 0.0757], 4)
    for target in ([2], [[0, 0, 1, 0]]):
        assert ce(target, logits[None], raw=True) == near(0.280734)
        assert ce(target, softmax[None]) == near(0.280734)
    slope = ce.gradient([2], logits[None], raw=True)[0]
    assert slope == pytest.approx(softmax - np.eye(4)[2], abs=1e-15)
    assert abs(ce([2], logits[None], raw=True) - 0.198) > 0.08


def test_9_houses() -> None:
    value = mse([250_000, 460_000, 180_000], [300_000, 450_000, 200_000])
    assert value == 1e9
    assert value != 1_033_333_333


def test_10_four_predictions() -> None:
    y, p = [3, 5, 2.5, 7], [2.5, 5, 3, 8]
    assert mse(y, p) == 0.375
    assert mae(y, p) == 0.5
    assert math.sqrt(mse(y, p)) == near(0.612372)
    assert mse(y, p) != 0.3125


def test_11_not_as_printed() -> None:
    value = bce([1, 0, 1, 1], [0.9, 0.1, 0.8, 0.4])
    assert value == near(0.337539)
    assert abs(value - 0.3711) > 0.03


def test_12_the_documentations_example() -> None:
    y, p = [3, -0.5, 2, 7], [2.5, 0, 2, 8]
    assert mse(y, p) == 0.375
    assert mae(y, p) == 0.5


def test_13_two_rows_of_class_probabilities() -> None:
    p = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]
    found = ce([0, 0], p, reduction="none")
    assert found == near([0.356675, 2.302585])
    assert np.exp(found) == near([1.428571, 10])
    tokens = losskit.token_cross_entropy([[0, 0]], [p], reduction="none")
    assert tokens.shape == (1, 2)
    assert tokens[0] == near([0.356675, 2.302585])


def test_14_hinge_by_margin() -> None:
    assert hinge([1, 1, 1, 1], [2, 1, 0.5, -1], reduction="none").tolist() == [0, 0, 0.5, 2]
    assert hinge([-1, -1, -1, -1], [-2, -1, -0.5, 1], reduction="none").tolist() == [0, 0, 0.5, 2]


def test_15_the_surface_of_one_point_has_a_line_of_minima() -> None:
    """Model w·x + b at x = 1, y = 2: (2 − w − b)² is 0 on w + b = 2, with no pull there."""
    w, b = np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-3, 3, 25))
    surface = mse(np.full(w.shape, 2.0), w + b, reduction="none")
    np.testing.assert_allclose(surface, (2 - w - b) ** 2, rtol=1e-12)
    line = w + b == 2
    assert line.sum() == 17
    assert (surface[line] == 0).all()
    assert (surface[~line] > 0).all()
    pull = mse.gradient(np.full(w.shape, 2.0), w + b, reduction="sum")
    assert (pull[line] == 0).all()


@pytest.mark.parametrize(
    ("penalty", "zeros", "accuracy", "log_loss"),
    [("l2", 0, 0.9737, 0.0601), ("l1", 15, 0.9649, 0.0710)],
)
def test_16_breast_cancer(penalty: str, zeros: int, accuracy: float, log_loss: float) -> None:
    """C = 1 of scikit-learn; its liblinear penalises the intercept and has .9737, .0684."""
    table = load_breast_cancer()
    parts = train_test_split(table.data, table.target, test_size=0.2, random_state=42)
    train, test, y_train, y_test = parts
    scaler = StandardScaler().fit(train)
    model = losskit.Classifier(penalty=penalty, alpha=from_c(1.0, n=len(y_train)), tol=1e-11)
    model.fit(scaler.transform(train), y_train)
    assert model.certificate_.value <= 1e-10
    assert int((model.coef_ == 0).sum()) == zeros
    assert model.score(scaler.transform(test), y_test) == near(accuracy, 4)
    p = model.predict_proba(scaler.transform(test))[:, 1]
    assert bce(y_test, p) == near(log_loss, 4)


def test_gradients_that_the_articles_state() -> None:
    r = np.linspace(-3, 3, 61)
    y, f = np.zeros(61), r
    assert mse.gradient(y, f, reduction="sum") == pytest.approx(2 * r)
    assert mae.gradient(y, f, reduction="sum") == pytest.approx(np.sign(r))
    for delta in (0.5, 1.0, 2.0):
        slope = losskit.huber(delta=delta).gradient(y, f, reduction="sum")
        assert slope == pytest.approx(np.clip(r, -delta, delta))
    assert losskit.log_cosh.gradient(y, f, reduction="sum") == pytest.approx(np.tanh(r))
    label = (np.arange(61) % 2).astype(float)
    slope = bce.gradient(label, f, raw=True, reduction="sum")
    assert slope == pytest.approx(1 / (1 + np.exp(-f)) - label, abs=1e-15)


def test_probabilities_of_0_and_1_occur_in_floating_point() -> None:
    """Networks do output exactly 0 or 1; what is charged then is finite, by the clip at eps."""
    eps = np.finfo(np.float64).eps
    assert bce([1, 0], [0.0, 1.0]) == pytest.approx(-math.log(eps))
    assert bce([1, 0], [1.0, 0.0]) == pytest.approx(-math.log1p(-eps))
    assert bce([1, 0], [0.0, 1.0], clip=0) == math.inf


def test_scale_conventions() -> None:
    """r² without a half; Huber with a half inside; alpha and 2 when predicted too low."""
    assert mse([0.0], [3.0]) == 9
    assert losskit.huber([0.0], [1.0]) == 0.5
    assert losskit.asymmetric_absolute([3.0, 0.0], [0.0, 3.0], reduction="none").tolist() == [6, 3]
    assert losskit.asymmetric_squared([3.0, 0.0], [0.0, 3.0], reduction="none").tolist() == [18, 9]
    assert losskit.mape([2.0], [1.0]) == 0.5
