"""Parameters, defaults and clips in the table of names are those of the installed libraries."""

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

from rosetta_cells import compared

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
