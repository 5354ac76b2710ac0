"""`losskit.wrap`: what it accepts gives their number, what it refuses it refuses with a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
import wrapped

# How near ours comes; Keras takes means in float32, whatever the type of its inputs.
WITHIN = {"torch": 2e-12, "keras": 2e-6, "optax": 2e-12, "sklearn": 2e-12}
REASONS = {
    "torch": {
        "BCE": "below −100", "BCEWithLogits weight": "number of elements",
        "BCEWithLogits labels": "multilabel_cross_entropy", "PoissonNLL mean": "inside the log",
        "PoissonNLL full": "full=False", "CrossEntropy both": "smoothed classes",
        "NLL": "log-probabilities", "KLDiv": "batchmean", "MultiMargin squared": "p=1",
        "Triplet eps": "eps=0", "GaussianNLL": "third argument", "CTC": "alignments",
        "ReLU": "no loss that losskit.wrap knows", "class": r"losskit.wrap\(HuberLoss",
        "CrossEntropy weight, soft": "divides the mean of class weights",
        "pickled": "Same",
    },
    "keras": {
        "BCE": "1e-7", "BCE smooth": "label_smoothing=0", "Hinge": "zeros and ones",
        "MAPE": r"0\.01 · theirs", "Poisson": "inside the log", "Dice": "whole batch",
        "CosineSimilarity": r"1 \+ theirs", "CategoricalHinge": "counts as 0", "CTC": "alignments",
    },
    "optax": {
        "kl_divergence": "log-probabilities", "dice_loss": "axes", "ntxent": "losskit.nt_xent",
        "ranking_softmax_loss": "averages lists", "triplet_margin_loss": "eps=0",
        "ctc_loss": "alignments", "axis": "axis=0", "positional": "by name",
    },
    "sklearn": {
        "brier_score_loss": "any two labels", "hinge_loss": "any two labels",
        "median_absolute_error": "no mean of losses", "r2_score": "no loss",
        "power below": "power=-1", "not normalized": "normalize=False",
        "HalfTweedieLoss": "constant of the target", "estimator": "estimator",
    },
}  # fmt: skip


@cache
def found(library: str) -> dict[str, Any]:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if library == "torch":  # which other tests have imported by now
        return wrapped.torch()
    done = subprocess.run(
        [sys.executable, "-m", "wrapped", library], cwd=Path(__file__).parent, timeout=400,
        capture_output=True, text=True, check=False, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


LIBRARIES = [
    "torch", pytest.param("sklearn", marks=pytest.mark.slow),
    pytest.param("keras", marks=pytest.mark.slow),
    pytest.param("optax", marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_accepted_gives_their_number_and_gradient(library: str) -> None:
    accepted = {n: one for n, one in found(library).items() if isinstance(one, list)}
    assert len(accepted) >= 14
    far = {n: one for n, one in accepted.items() if max(one) > WITHIN[library]}
    assert far == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_refused_is_refused_with_its_reason(library: str) -> None:
    refused = {n: one for n, one in found(library).items() if not isinstance(one, list)}
    assert {*refused} == {*REASONS[library]}
    for name, reason in REASONS[library].items():
        assert re.search(reason, refused[name]), (name, refused[name])


def test_an_objectives_name_gives_ours_at_its_scale() -> None:
    assert losskit.wrap("reg:pseudohubererror") == losskit.pseudo_huber
    half = losskit.wrap("reg:squarederror")
    y, f = np.array([1.0, 2.0]), np.array([1.5, 4.0])
    np.testing.assert_allclose(half.gradient(y, f), (f - y) / 2)
    assert half(y, f) == losskit.squared_error(y, f) / 2
    np.testing.assert_allclose(half.values(y, f), (f - y) ** 2 / 2)
    with pytest.raises(ValueError, match="number of classes"):
        losskit.wrap("lightgbm multiclassova")


def test_a_root_is_not_taken_for_half_a_mean_square() -> None:
    for name in ("RMSE", "rmse", "lightgbm l2_root", "MultiRMSE"):
        with pytest.raises(ValueError, match=r"reports the root of .* take the root"):
            losskit.wrap(name)
    half = losskit.wrap("RMSE", nearest=True)
    assert half([1.0, 2.0], [1.0, 4.0]) == 1.0


def test_an_objectives_name_gives_its_number_or_none() -> None:
    # RMSEWithUncertainty is ours and a constant; a sigmoid's steepness has no name in ours.
    y, f = np.array([1.0, 2.0]), np.array([[0.5, 0.1], [2.0, -0.3]])
    own = losskit.gaussian_nll(y, f, raw=True)
    value = losskit.wrap("RMSEWithUncertainty")(y, f)
    assert value == pytest.approx(own + np.log(2 * np.pi) / 2, rel=1e-14)
    with pytest.raises(ValueError, match="sigmoid=2 is not of ours"):
        losskit.wrap("lightgbm binary sigmoid=2")
    with pytest.raises(ValueError, match="give wrap the object or function"):
        losskit.wrap("sklearn.metrics.mean_poisson_deviance")


def test_a_loss_of_ours_is_returned_as_it_is() -> None:
    assert losskit.wrap(losskit.huber) is losskit.huber
    half = losskit.wrap("reg:squarederror")
    assert losskit.wrap(half) is half


def test_a_parameter_that_has_no_part_in_ours_is_refused() -> None:
    torch = pytest.importorskip("torch")
    refused = {
        "p=2": torch.nn.TripletMarginLoss(p=1, eps=0),
        "reduce=False is not of ours": partial(torch.nn.functional.mse_loss, reduce=False),
    }
    for reason, theirs in refused.items():
        with pytest.raises(ValueError, match=reason):
            losskit.wrap(theirs)
    assert repr(losskit.wrap(torch.nn.TripletMarginLoss(p=2, eps=0))) == "Same(losskit.triplet)"
