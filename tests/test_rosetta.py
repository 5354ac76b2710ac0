"""The table of names: every cell is what the installed library computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laws import rows_cases
from losskit.rosetta.facts import (
    BY_CLASS_WEIGHT,
    BY_COUNT,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    STEPWISE,
    SUMMED,
    ZERO_ONE,
)
from rosetta_cells import Cell, Numbers, cells, numbers, request


def ask(library: str, requests: list[Any]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "rosetta_peers", library],
        input=json.dumps(requests), capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent, timeout=300, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@cache
def answers(library: str) -> dict[Any, Any]:
    """Return all that is asked of a library, from one process: values, weighted means, labels."""
    requests: dict[Any, Any] = {}
    for cell in (c for c in CELLS if c.entry.library.name == library):
        requests |= {(cell, seed): request(cell, numbers(cell, seed)) for seed in (5, 6)}
    for cell in (c for c in weighed() if c.entry.library.name == library):
        requests["weighed", cell.entry.key] = weighed_request(cell)
    for cell, code in ((c, code) for c, code in LABELLED if c.entry.library.name == library):
        made = coded_data(cell, code)
        assert made is not None
        requests[cell.entry.key, code] = labelled_request(cell, code, made)
    return dict(zip(requests, ask(library, list(requests.values())), strict=True))


CELLS = cells()
# Whose process takes long to start.
SLOW = ("keras", "optax", "scipy", "sklearn", "statsmodels")


def marked(cells: list[Any]) -> list[Any]:
    """Return cells (or tuples that begin with one) as parameters, those of slow libraries so."""
    found = []
    for one in cells:
        several = one if isinstance(one, tuple) else (one,)
        slow = several[0].entry.library.name in SLOW
        found.append(pytest.param(*several, marks=[pytest.mark.slow] if slow else []))
    return found


@pytest.mark.parametrize("cell", marked(CELLS), ids=str)
def test_ours_is_theirs_times_the_factor(cell: Cell) -> None:
    library = cell.entry.library.name
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    pairs = []
    for seed in (5, 6):
        theirs = answers(library)[cell, seed]
        assert not isinstance(theirs, str), theirs
        ours = numbers(cell, seed).ours(cell.raw)
        ours = ours if np.ndim(theirs) else numbers(cell, seed).mean(cell.raw)
        pairs.append((ours, scale(cell) * np.array(theirs) + cell.entry.name.shift))
    if cell.entry.name.target_only:
        (a, b), (c, d) = pairs
        pairs = [(a - c, b - d)]
    for ours, theirs in pairs:
        rtol = _ROUNDED.get(library, 1e-10)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol / 10)


# Keras takes means in float32, whatever the type of its inputs (keras.ops.mean).
_ROUNDED = {"keras": 5e-7}


def scale(cell: Cell) -> float:
    named = {"classes": rows_cases.COLUMNS, "1/classes": 1 / rows_cases.COLUMNS}
    return named.get(cell.entry.factor, cell.entry.factor)


# --- denominators -----------------------------------------------------------------------------


def weighed() -> list[Cell]:
    """Return the names that take a weight for each row, or for its class."""
    found = {cell.entry.key: cell for cell in reversed(CELLS) if not cell.flag or cell.raw}
    # Deviances differ by a constant of each target; test_wrap compares their weighted means.
    return [
        c
        for c in found.values()
        if c.entry.weighted in _DIVIDED
        and c.entry.key not in _OTHER
        and not c.entry.name.target_only
    ]


_WEIGHT = np.array([1.0, 3.0])
_DIVIDED = {
    BY_WEIGHT: lambda values: values @ _WEIGHT / 4,
    BY_COUNT: lambda values: values @ _WEIGHT / 2,
    BY_CLASS_WEIGHT: lambda values: values @ _WEIGHT / 4,
    SUMMED: lambda values: values @ _WEIGHT,
}
# Its weights are those of labels, within a row.
_OTHER = {"torch.nn.functional.multilabel_soft_margin_loss"}


def two_rows(cell: Cell) -> Numbers:
    """Return a row of class 0 or of a no, and one of class 1 or of a yes."""
    made = numbers(cell)
    y = made.targets()[0] if made.targets() else np.zeros((1, 1))
    if y.ndim == 2:
        rows = [0, 1]
    else:
        rows = [int(np.flatnonzero(y == v)[0]) for v in sorted(set(y))[:2]]
    return Numbers(made.loss, tuple(np.ascontiguousarray(a[rows]) for a in made.arrays))


def weighed_request(cell: Cell) -> list[Any]:
    asked = request(cell, two_rows(cell), _WEIGHT.tolist())
    if cell.entry.name.more.get("weight") or cell.entry.key.endswith("multi_margin_loss"):
        asked[2]["weight"] = [*_WEIGHT, 1.0, 1.0]
    return asked


@pytest.mark.parametrize("cell", marked(weighed()), ids=str)
def test_a_weighted_mean_is_divided_by_what_the_table_says(cell: Cell) -> None:
    library = cell.entry.library.name
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    theirs = answers(library)["weighed", cell.entry.key]
    assert not isinstance(theirs, str), theirs
    made = two_rows(cell)
    ours = (made.ours(cell.raw) - cell.entry.name.shift) / scale(cell)
    expected = _DIVIDED[cell.entry.weighted](ours)
    np.testing.assert_allclose(theirs, expected, rtol=_ROUNDED.get(library, 1e-10))


# --- labels -----------------------------------------------------------------------------------

CODES = {
    ZERO_ONE: np.array([0.0, 1.0, 1.0]), FRACTION: np.array([0.25, 1.0, 0.0]),
    SIGNS: np.array([-1.0, 1.0, 1.0]), INDEX: np.array([0, 2, 1]), ONE_HOT: np.eye(4)[[0, 2, 1]],
    MIXTURE: np.array([[0.5, 0.25, 0.25, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]]),
}  # fmt: skip
OF_ONE, OF_CLASSES = (ZERO_ONE, FRACTION, SIGNS), (INDEX, ONE_HOT, MIXTURE)


def labelled() -> list[Cell]:
    """Return the names that take a yes or no, or a class, for each row."""
    found = {cell.entry.key: cell for cell in reversed(CELLS) if not cell.flag or cell.raw}
    return [
        cell for cell in found.values()
        if cell.entry.name.labels and cell.entry.weighted != STEPWISE
        and cell.loss.inputs != cell.loss.outputs
        and getattr(cell.loss.definition, "axis", "") != "label"
    ]  # fmt: skip


def coded_data(cell: Cell, code: str) -> Numbers | None:
    """Return three rows whose targets have this code in our terms; None where it is no such."""
    rng = np.random.default_rng(2)
    loss, y = cell.loss, CODES[code]
    if len(loss.inputs) == 3:  # of two vectors, or two scores, of a kind or not
        if code not in OF_ONE:
            return None
        two = rng.normal(size=(2, 3) if loss.name == "margin_ranking" else (2, 3, 4))
        said = iter(two)
        return Numbers(loss, tuple(next(said) if n in loss.outputs else y for n in loss.inputs))
    if (code in OF_ONE) != (loss.kind == "pointwise"):
        return None
    if loss.kind != "pointwise":
        f = rng.normal(size=(3, 4))
        return Numbers(loss, (y, abs(f) if cell.entry.key.endswith("Hinge") else f))
    f = np.array([0.5, -1.0, 2.0])
    if cell.entry.key.endswith("brier_score_loss"):
        f = 1 / (1 + np.exp(-f))
    signs = -1 in loss.target_domain.values
    meant = {SIGNS: y if signs else (y + 1) / 2, ZERO_ONE: 2 * y - 1 if signs else y}
    return Numbers(loss, (meant.get(code, y), f))


def labelled_request(cell: Cell, code: str, made: Numbers) -> list[Any]:
    given = dict((*cell.given, *cell.flag))
    trained = [a.tolist() for a in made.trained(cell.raw)]
    return [cell.spelling, cell.entry.call.title, given, trained, [CODES[code].tolist()], None]


LABELLED = [(c, code) for c in labelled() for code in CODES if coded_data(c, code) is not None]


@pytest.mark.parametrize(("cell", "code"), marked(LABELLED), ids=str)
def test_a_name_takes_the_labels_that_the_table_says(cell: Cell, code: str) -> None:
    library = cell.entry.library.name
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    theirs, made = answers(library)[cell.entry.key, code], coded_data(cell, code)
    assert made is not None
    if code not in cell.entry.name.labels:
        refused = isinstance(theirs, str) or not np.isfinite(theirs).all()
        assert refused == (code not in cell.entry.name.silent), theirs
        return
    assert not isinstance(theirs, str), theirs
    if cell.entry.name.target_only:
        return
    ours = made.ours(cell.raw)
    rtol = _ROUNDED.get(library, 1e-10)
    theirs = scale(cell) * np.array(theirs) + cell.entry.name.shift
    np.testing.assert_allclose(theirs, ours, rtol=rtol, atol=rtol / 10)
