"""What a loss says it equals in other libraries, it equals, times the factor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
from laws import cases, peers
from laws.samples import sample
from losskit.boosting.hosts import HOSTS

# Boosting libraries have no function to call: their objectives are held to ours by the models that
# both train, in tests/test_xgboost_hosts.py, test_lightgbm.py and test_catboost.py.
CLAIMS = [
    (loss, entry, factor)
    for loss in cases.every_setting()
    for entry, factor in loss.same_as.items()
    if peers.library(entry) not in HOSTS
]


@cache
def theirs(library: str) -> dict[tuple[str, str], Any]:
    """Return every claimed loss of one library, from one process of its own."""
    claims = [(loss, e) for loss, e, _ in CLAIMS if peers.library(e) == library]
    requests = [[e, *(a.tolist() for a in data(loss))] for loss, e in claims]
    answer = subprocess.run(
        [sys.executable, "-m", "laws.peers"],
        input=json.dumps(requests), capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[1], timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    made = json.loads(answer.stdout)
    return {(repr(k), e): np.array(v) for (k, e), v in zip(claims, made, strict=True)}


def data(loss: losskit.Loss) -> tuple[Any, Any]:
    """Return targets and raw scores; modest, as torch's Gaussian clamps small variances."""
    y, f = sample(loss, 60, seed=5)
    return y, np.clip(f, -5, 5) if f.ndim == 2 else f


@pytest.mark.parametrize(("loss", "entry", "factor"), CLAIMS, ids=lambda x: str(x))
def test_the_loss_is_the_other_librarys(loss: losskit.Loss, entry: str, factor: float) -> None:
    if not peers.installed(entry):
        pytest.skip(f"{peers.library(entry)} is not installed")
    y, f = data(loss)
    ours = loss(y, f, raw=True, reduction="none")
    np.testing.assert_allclose(
        ours, factor * theirs(peers.library(entry))[repr(loss), entry], rtol=1e-10, atol=1e-12
    )


def test_there_are_claims_for_each_library() -> None:
    found = defaultdict(int)
    for _, entry, _ in CLAIMS:
        found[peers.library(entry)] += 1
    assert set(found) >= {"torch", "sklearn"}
