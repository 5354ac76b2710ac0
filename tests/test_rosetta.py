"""The table of names: every cell is what the installed library computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
from laws import rows_cases
from laws.samples import sample
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
from losskit.rosetta.listing import Entry, entries

BOOSTERS = ("xgboost", "lightgbm", "catboost")
ROWS = 24


@dataclass(frozen=True)
class Cell:
    """A name at some parameters of its library's, by one of its spellings."""

    entry: Entry
    spelling: str
    given: tuple[tuple[str, Any], ...]
    flag: tuple[tuple[str, bool], ...] = ()

    def __str__(self) -> str:
        said = ", ".join(f"{n}={v}" for n, v in (*self.given, *self.flag))
        return f"{self.spelling} {self.entry.call.title}({said})"

    @property
    def loss(self) -> losskit.Loss:
        return self.entry.read(dict(self.given))

    @property
    def raw(self) -> bool:
        return dict(self.flag).get(self.entry.name.raw_if, self.entry.raw)


def compared() -> list[Entry]:
    return [e for e in entries() if e.library.tested and not e.name.without]


def cells() -> list[Cell]:
    """Return every name at its defaults and at others, once by each of its spellings."""
    found = []
    for entry in compared():
        if entry.library.name in BOOSTERS or entry.library.name in _ELSEWHERE:
            continue
        for i, given in enumerate(settings(entry)):
            for spelling in entry.spellings if i == 0 else entry.spellings[:1]:
                said = given if spelling == entry.spellings[0] else (*given, *asked(entry, given))
                for flag in flags(entry):
                    found.append(Cell(entry, spelling.partition(" ")[0], said, flag))
    return found


def asked(entry: Entry, given: tuple[tuple[str, Any], ...]) -> list[tuple[str, Any]]:
    """Return the defaults of parameters, which a function may have none for."""
    defaults = entry.name.defaults
    names = {*entry.call.parameters} - {name for name, _ in given}
    return [(name, defaults[name]) for name in sorted(names) if defaults.get(name) is not None]


# Names that stand in the table by `same_as` alone, which is tested where they are.
_ELSEWHERE = {
    "rax": "laws/test_rows_same_as.py", "pytorch_metric_learning": "test_losses_embedding.py",
}  # fmt: skip


# Values that ours takes and theirs does not.
_REFUSED = {
    ("torch.nn.functional.triplet_margin_loss", "margin", 0.0),
    ("keras.losses.CategoricalGeneralizedCrossEntropy", "q", 0.0),
}


def flags(entry: Entry) -> list[tuple[tuple[str, bool], ...]]:
    flag = entry.name.raw_if
    return [((flag, True),), ((flag, False),)] if flag else [()]


def settings(entry: Entry) -> list[tuple[tuple[str, Any], ...]]:
    """Return parameters of theirs: the constants alone, then with one parameter set at a time."""
    fixed = {n: v for n, v in entry.call.constants.items() if n != "loss"}
    loss = losskit.get(entry.name.loss)
    domains = {p.name: p.domain for p in loss.definition.parameters}
    needed = {
        theirs: losskit.get(entry.name.loss).params[ours]
        for theirs, ours in entry.call.parameters.items()
        if theirs not in entry.name.defaults and loss.params[ours] is not None
    }
    if "Tweedie" in entry.key or "tweedie" in entry.key:
        values: dict[str, tuple[Any, ...]] = {"power": (1.25, 1.75)}
    else:
        values = {
            ours: rows_cases._values(domains[ours])[:3]
            for ours in entry.parameters.values()
            if ours not in ("class_weight", "ignore_index")
        }
    found = [{**fixed, **needed}]
    for theirs, ours in entry.parameters.items():
        for value in values.get(ours, ()):
            if value is None or isinstance(value, tuple) or (entry.key, theirs, value) in _REFUSED:
                continue
            found.append({**fixed, **needed, theirs: value})
    return [tuple(one.items()) for one in found if _readable(entry, one)]


def _readable(entry: Entry, given: dict[str, Any]) -> bool:
    """Whether this variant has these: sklearn's deviance of power 0, its default, is another's."""
    try:
        entry.read(given)
    except ValueError:
        return False
    return not entry.allows(given)


@dataclass(frozen=True)
class Numbers:
    """Data in our terms: raw scores and targets; and ours of it."""

    loss: losskit.Loss
    arrays: tuple[Any, ...]

    def ours(self, raw: bool) -> Any:
        arrays = [self._scaled(i, a) if not raw else a for i, a in enumerate(self.arrays)]
        return self.loss(*arrays, raw=raw, reduction="none", **({} if raw else {"clip": 0}))

    def mean(self, raw: bool) -> Any:
        arrays = [self._scaled(i, a) if not raw else a for i, a in enumerate(self.arrays)]
        return self.loss(*arrays, raw=raw)

    def trained(self, raw: bool) -> list[Any]:
        return [
            a if raw else self._scaled(i, a)
            for i, a in enumerate(self.arrays) if self.loss.inputs[i] in _trained(self.loss)
        ]  # fmt: skip

    def targets(self) -> list[Any]:
        pairs = zip(self.loss.inputs, self.arrays, strict=True)
        return [a for name, a in pairs if name not in _trained(self.loss)]

    def _scaled(self, place: int, array: Any) -> Any:
        if self.loss.inputs[place] not in _trained(self.loss):
            return array
        links = [link.name for link in self.loss.definition.links]
        if self.loss.kind == "pointwise" and len(links) > 1:
            return np.stack([_INVERSE[k](a) for k, a in zip(links, array.T, strict=True)], axis=1)
        return _INVERSE[links[0]](array)


_INVERSE = {
    "identity": lambda f: f,
    "log": np.exp,
    "logit": lambda f: 1 / (1 + np.exp(-f)),
    "softmax": lambda f: np.exp(f) / np.exp(f).sum(-1, keepdims=True),
}


def _trained(loss: losskit.Loss) -> tuple[str, ...]:
    return ("y_pred",) if loss.kind == "pointwise" else loss.outputs


def numbers(cell: Cell, seed: int = 5) -> Numbers:
    loss = cell.loss
    if loss.kind == "pointwise":
        y, f = sample(loss, ROWS, seed=3)
        f = np.clip(f if seed == 5 else f[::-1], -5, 5)
        if loss.link != "identity" and loss.name == "msle":
            f = abs(f)
        return Numbers(loss, _modest(cell, y, f))
    drawn = rows_cases.draw(loss, ROWS, seed=seed)
    return Numbers(loss, _positive(cell, tuple(drawn.arrays)))


def _modest(cell: Cell, y: Any, f: Any) -> tuple[Any, Any]:
    """Return data that the other library takes: none below 0 in a logarithm, and hard labels."""
    if cell.loss.name == "msle":
        return abs(y), abs(f)
    labels = cell.entry.name.labels
    if cell.entry.key.endswith("brier_score_loss"):  # a squared error of probabilities
        return (y > 0).astype(float), 1 / (1 + np.exp(-f))
    if ZERO_ONE in labels and FRACTION not in labels:
        return np.round(y), f
    return y, f


def _positive(cell: Cell, made: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keras's categorical hinge takes the best other score as 0 where it is below."""
    if cell.entry.key != "keras.losses.CategoricalHinge":
        return made
    return (made[0], abs(made[1]))


def request(cell: Cell, made: Numbers, weight: Any = None) -> list[Any]:
    targets = [coded(cell, a) for a in made.targets()]
    given = dict((*cell.given, *cell.flag))
    if not cell.raw and "eps" in cell.entry.name.defaults:
        given["eps"] = 0.0  # which is added to means: see the test of clips
    trained = [a.tolist() for a in made.trained(cell.raw)]
    return [
        cell.spelling,
        cell.entry.call.title,
        given,
        trained,
        [a.tolist() for a in targets],
        weight,
    ]


def coded(cell: Cell, y: Any) -> Any:
    """Return targets in a code that the other library takes."""
    if "Boosting" in cell.entry.key and -1 in y:  # what its estimator makes of two labels
        return (y + 1) / 2
    labels = cell.entry.name.labels
    loss = cell.loss
    if (
        loss.kind == "pointwise"
        and labels
        and SIGNS not in labels
        and -1 in loss.target_domain.values
    ):
        return (y + 1) / 2
    if INDEX not in labels and (ONE_HOT in labels or MIXTURE in labels) and np.ndim(y) == 1:
        return np.eye(rows_cases.COLUMNS)[y.astype(int)]
    return y


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


# --- defaults and clips -----------------------------------------------------------------------


SIGNATURES = """
import inspect, json, sys
from rosetta_peers import resolve
found = {}
for path in json.load(sys.stdin):
    parameters = inspect.signature(resolve(path)).parameters.values()
    found[path] = {
        p.name: None if p.default is p.empty or not isinstance(p.default, (int, float, str))
        else p.default
        for p in parameters
    }
    found[path]["(required)"] = [p.name for p in parameters if p.default is p.empty]
json.dump(found, sys.stdout)
"""


@cache
def signatures(library: str) -> dict[str, dict[str, Any]]:
    own = [e for e in compared() if e.library.name == library]
    paths = sorted({s.partition(" ")[0] for e in own for s in e.spellings if "." in s})
    done = subprocess.run(
        [sys.executable, "-c", SIGNATURES], input=json.dumps(paths), cwd=Path(__file__).parent,
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


CALLED = ("torch", "keras", "optax", "sklearn", "statsmodels", "scipy", "pytorch_metric_learning")


@pytest.mark.slow
@pytest.mark.parametrize("library", CALLED)
def test_parameters_and_defaults_are_those_of_the_installed_signature(library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    said = signatures(library)
    checked = 0
    for entry in compared():
        if entry.library.name != library:
            continue
        for path in {s.partition(" ")[0] for s in entry.spellings if "." in s}:
            held = said[path]
            for name in {*entry.parameters, *entry.call.constants} - {"loss"}:
                assert name in held, (path, name)
            for name, value in entry.name.defaults.items():
                if name not in held["(required)"] and (path, name) not in _SET_WITHIN:
                    assert held.get(name) == value, (path, name, held.get(name))
                    checked += 1
    assert checked


# Given by None in the signature.
_SET_WITHIN = {("statsmodels.api.families.NegativeBinomial", "alpha")}


# What a name does at the ends of a range, by library: a program's expressions and what they are.
CLIPS = {
    "torch": {
        "F.binary_cross_entropy(t(0.0), t(1.0))": 100.0,
        "F.binary_cross_entropy(t(1e-50), t(1.0))": 100.0,
        "F.poisson_nll_loss(t(0.0), t(3.0), log_input=False)": -3 * np.log(1e-8),
        "F.gaussian_nll_loss(t(1.0), t(0.0), t(1e-9))": (np.log(1e-6) + 1e6) / 2,
    },
    "keras": {
        "L.binary_crossentropy(t(1.0), t(0.0))": -np.log(1e-7),
        "L.categorical_crossentropy(t(1.0, 0.0), t(0.0, 1.0))": -np.log(1e-7),
        "L.sparse_categorical_crossentropy(np.array([0]), t(0.0, 1.0))": -np.log(1e-7),
        "L.binary_focal_crossentropy(t(1.0), t(0.0))": -np.log(1e-7),
        "L.poisson(t(3.0), t(0.0))": -3 * np.log(1e-7),
        "L.mean_absolute_percentage_error(t(0.0), t(1.0))": 1e9,
        "L.mean_squared_logarithmic_error(t(-0.5), t(1.0))": np.log(2) ** 2,
        "L.kl_divergence(t(1.0, 0.0), t(0.0, 1.0))": np.log(1e7) + 1e-7 * np.log(1e-7),
        "L.categorical_hinge(t(1.0, 0.0), t(-1.0, -2.0))": 2.0,
        "L.hinge(t(0.0), t(0.5))": 1.5,
    },
}
PROGRAMS = {
    "torch": "import torch, torch.nn.functional as F\n"
    "t = lambda *x: torch.tensor(x, dtype=torch.float64)",
    "keras": "import keras, numpy as np\nL = keras.losses\nt = lambda *x: np.array([x])",
}


@pytest.mark.slow
@pytest.mark.parametrize("library", CLIPS)
def test_clips_are_as_the_table_says(library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    asked = ", ".join(f"float({text}.reshape(()))" for text in CLIPS[library])
    if library == "keras":
        asked = ", ".join(f"float(np.ravel({text})[0])" for text in CLIPS[library])
    program = f"{PROGRAMS[library]}\nimport json\nprint(json.dumps([{asked}]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(found, list(CLIPS[library].values()), rtol=1e-6)
