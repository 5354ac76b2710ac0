"""What is refused in Keras, and how it is said."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import losskit
import losskit.keras
from keras_common import (
    BACKEND,
    WARNINGS,
    Loss,
    costly,
    data,
    linear_model,
)

pytestmark = WARNINGS


# --- mistakes


@pytest.mark.parametrize(
    ("loss", "y", "f", "message"),
    [
        ("hinge", [[1.0], [0.0]], [[0.3], [0.2]], r"y_true.*1.*= 0"),
        ("cross_entropy", [0, 3], [[0.5, 0.3, 0.2]] * 2, "class index 0 … 2.*sample_weight 0 or"),
        (
            "cross_entropy",
            [0, 2**32],
            [[0.5, 0.5]] * 2,
            "row 1 is 4.29.*needed is a class",
        ),
        (
            "quantile",
            [[1.0], [2.0]],
            [[0.5], [np.nan]],
            "y_pred.*1.*not a number.*sample_weight",
        ),
        ("quantile", np.zeros((0, 1)), np.zeros((0, 1)), "the batch is empty"),
        ("binary_cross_entropy", [[1.0]], [[3.0]], "pass from_logits=True"),
        ("cross_entropy", [0, 1], [[0.5], [0.5]], "one class; needed are two"),
    ],
    ids=["encoding", "class", "wide_class", "nan", "empty", "logits", "one_class"],
)
def test_values_are_checked_in_eager_code(loss: str, y: Any, f: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Loss(loss)(np.asarray(y), np.asarray(f, "float32"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_logits": "no"}, "from_logits has to be True or False, not a str"),
        ({"validate": 1}, "validate has to be True or False"),
        ({"raw": True}, "predictions are raw with from_logits=True"),
    ],
)
def test_options_that_would_mean_something_else(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Loss("binary_cross_entropy", **options)


def test_a_loss_that_is_not_keras_s_yet() -> None:
    x, y = data()
    model = linear_model()
    model.compile("sgd", loss=losskit.huber)
    with pytest.raises(TypeError, match=r"in Keras loss\.to\('keras'\)"):
        model.fit(x, y, verbose=0)


@costly
def test_validate_checks_values_in_training_that_is_compiled() -> None:
    x, y = data()
    model = linear_model()
    model.compile("sgd", loss=Loss("hinge", validate=True))
    with pytest.raises(Exception, match=r"y_true.*= 0"):
        model.fit(x, (y > 0).astype(int), verbose=0)


@pytest.mark.parametrize(
    ("loss", "y", "f", "message"),
    [
        ("huber", (4, 2), (4, 3), r"y_true has shape \(4, 2\) and y_pred \(4, 3\)"),
        ("huber", (4,), (4, 4), "nothing is broadcast"),
        ("huber", (1, 1), (4, 1), "nothing is broadcast"),
        ("cross_entropy", (5,), (4, 3), r"needed is y_true \(4,\) or \(4, 3\)"),
        ("cross_entropy", (4,), (4,), "the last axis being the class"),
        ("gaussian_nll", (4, 1), (4, 1), "a last axis of 2"),
        ("softmax_ranking", (4,), (4,), "the last axis being the list"),
        ("softmax_ranking", (4, 1), (4, 1), "lists of one item"),
        ("huber", (), (), "needed is a batch"),
        ("huber", (4, 0), (4, 0), "a last axis of one or more"),
    ],
    ids=lambda v: str(v) if isinstance(v, (str, tuple)) and len(v) < 20 else "",
)
def test_shapes_are_checked_while_tracing(loss: str, y: Any, f: Any, message: str) -> None:
    made = Loss(loss, from_logits=True)
    with pytest.raises(ValueError, match=message):
        made(np.zeros(y), np.zeros(f, "float32"))
    if BACKEND == "jax":
        import jax

        with pytest.raises(ValueError, match=message):
            jax.jit(made)(np.zeros(y), np.zeros(f, "float32"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ma.masked_array([[1.0], [2.0]], [[True], [False]]), "sample_weight=~y_true.mask"),
        (np.array([[1j], [2.0]]), "y_true has dtype complex128; needed are real numbers"),
        (np.array([["a"], ["b"]]), "encode them as numbers"),
        ([[1.0], [1.0, 2.0]], "y_true is a list that NumPy cannot read"),
    ],
    ids=["masked", "complex", "text", "ragged"],
)
def test_what_holds_no_numbers_is_refused(y: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Loss("huber")(y, np.zeros((2, 1), "float32"))
    with pytest.raises(TypeError, match="complex64; needed are real"):
        Loss("huber")(np.zeros((2, 1)), ops.convert_to_tensor(np.zeros((2, 1), "complex64")))


@costly
@pytest.mark.parametrize(("name", "columns"), [("binary_cross_entropy", 1), ("cross_entropy", 4)])
def test_probabilities_for_raw_scores_raise_a_suspicion(name: str, columns: int) -> None:
    p = np.random.default_rng(0).random((32, columns), "float32")
    p = p if columns == 1 else p / p.sum(axis=1, keepdims=True)
    y = np.zeros((32, 1), int)
    loss = Loss(name, from_logits=True)
    with pytest.warns(UserWarning, match="look like probabilities"):
        loss(y, ops.convert_to_tensor(p))
    loss(y, p - 2)
    Loss(name)(y, p)


def test_weights_have_leading_axes() -> None:
    y = np.zeros((4, 3, 1))
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\); needed are leading"):
        Loss("huber")(y, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="sample_weight"):
        Loss("huber")(y, y, sample_weight=-np.ones(4))


def test_what_keras_cannot_feed_is_refused_with_the_reason() -> None:
    with pytest.raises(losskit.Unsupported, match=r"takes \(anchor, positive, negative\)"):
        Loss("triplet")
    with pytest.raises(losskit.Unsupported, match="an algorithm"):
        Loss("lambda_rank")
    with pytest.raises(losskit.Unsupported, match=r"losskit.keras.Metric\('zero_one'\)"):
        Loss("zero_one")
    with pytest.raises(TypeError, match="takes a loss or its name"):
        Loss(keras.losses.huber)
    with pytest.raises(ValueError, match="did you mean 'huber'"):
        Loss("hubber")
    with pytest.raises(TypeError, match=r"model\.compile"):
        Loss("huber")(np.zeros((4, 1)), keras.KerasTensor((4, 1)))


def test_the_doctests_of_this_package() -> None:
    import losskit.keras as package

    names = [m.name for m in pkgutil.iter_modules(package.__path__, "losskit.keras.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(r.failed for r in results) == 0
    assert sum(r.attempted for r in results) >= 6
