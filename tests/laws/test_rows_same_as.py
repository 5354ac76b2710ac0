"""What a loss over an axis says it equals in other libraries, it equals, times the factor."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
from laws import peers, rows_cases, rows_peers
from laws.rows_cases import Data, draw
from losskit.boosting.hosts import HOSTS

CLAIMS = [
    (loss, entry, factor)
    for loss in rows_cases.every_setting()
    for entry, factor in loss.same_as.items()
    if rows_peers.readable(entry)
]


def data(loss: losskit.Loss) -> Data:
    """Return data for both; lists as the rows of a matrix, of which all items count."""
    drawn = draw(loss, 12, seed=6)
    if drawn.query is None:
        return drawn
    rng = np.random.default_rng(6)
    f = rng.normal(size=(6, 5))
    y = rng.integers(0, 4, (6, 5)).astype(float)
    y[:, 0], y[:, 1] = 1, 0
    return Data(loss, tuple(f if one.trained else y for one in drawn.kinds))


@cache
def theirs(library: str) -> dict[tuple[str, str], Any]:
    """Return every claimed loss of one library, from one process of its own."""
    claims = [(loss, e) for loss, e, _ in CLAIMS if peers.library(e) == library]
    requests = []
    for loss, entry in claims:
        made = data(loss)
        pairs = list(zip(made.kinds, made.arrays, strict=True))
        trained = [a.tolist() for one, a in pairs if one.trained]
        requests.append([entry, trained, [a.tolist() for one, a in pairs if not one.trained]])
    answer = subprocess.run(
        [sys.executable, "-m", "laws.rows_peers"],
        input=json.dumps(requests), capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[1], timeout=300,
    )  # fmt: skip
    if answer.returncode:  # remembered, so that not every test runs it again
        return {(repr(k), e): answer.stderr[-500:] for k, e in claims}
    made = json.loads(answer.stdout)
    return {(repr(k), e): v for (k, e), v in zip(claims, made, strict=True)}


@pytest.mark.parametrize(("loss", "entry", "factor"), CLAIMS, ids=lambda x: str(x))
def test_the_loss_is_the_other_librarys(loss: losskit.Loss, entry: str, factor: float) -> None:
    library = peers.library(entry)
    assert library in rows_peers.LIBRARIES, f"{entry}: rows_peers does not know how to call it"
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    other = theirs(library)[repr(loss), entry]
    assert not isinstance(other, str), other
    made = data(loss)
    ours = made.call(reduction="none") if np.ndim(other) else made.call()
    np.testing.assert_allclose(ours, factor * np.array(other), rtol=1e-12, atol=1e-13)


def test_there_are_claims_for_each_library() -> None:
    assert {peers.library(entry) for _, entry, _ in CLAIMS} >= {"torch", "optax", "sklearn"}


def test_claims_in_words_are_those_known() -> None:
    """What names no function of a call is compared in test_losses_embedding, or is a paper's."""
    described = {
        (loss.name, entry.split()[0])
        for loss in map(losskit.get, rows_cases.names())
        for entry in loss.same_as
        if entry.partition(".")[0] not in HOSTS
        if not rows_peers.readable(entry)
    }
    assert described <= {
        ("contrastive", "Hadsell"),
        ("nt_xent", "pytorch_metric_learning"),
        ("supervised_contrastive", "pytorch_metric_learning"),
        ("multi_similarity", "pytorch_metric_learning"),
    }
