"""Every example that a reader can see runs: docstrings, README, `examples/` and the site."""

import ast
import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import losskit

ROOT = Path(__file__).parents[1]
# Each framework in a process of its own: settings and OpenMP runtimes belong to a whole process.
FRAMEWORKS = ("torch", "jax", "keras", "sklearn", "ibis", "xgboost", "lightgbm", "catboost")
FILES = [p.relative_to(ROOT / "src").with_suffix("") for p in (ROOT / "src").rglob("*.py")]
NAMES = {".".join(p.parts).removesuffix(".__init__") for p in FILES if p.stem != "__main__"}
MODULES = sorted(name for name in NAMES if not {*name.split(".")[1:2]} & {*FRAMEWORKS})
DOCTESTS = """
import doctest, importlib, pkgutil, sys, losskit
package = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for module in (package, *map(importlib.import_module, names)):
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0, module
"""


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_docstrings_of_a_framework(name):
    done = subprocess.run(
        [sys.executable, "-c", DOCTESTS, f"losskit.{name}"],
        capture_output=True, text=True, check=False, env={**os.environ, "KERAS_BACKEND": "torch"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# Importing these takes longer than what they show.
SLOW = ("keras_training", "jax_optax", "catboost_objective", "lightgbm_objective", "sql")
EXAMPLES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_example_file(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_readme_shows_the_real_source_of_huber():
    shown = ast.unparse(ast.parse(python_blocks()[0]).body[-1].body)
    real = ast.parse(inspect.getsource(losskit.huber.definition.formula)).body[0].body
    assert shown == ast.unparse(real)


def test_readme_code_runs():
    code = "".join(python_blocks()[1:])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 10


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_the_commands_output_in_readme_is_real(command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    readme = (ROOT / "README.md").read_text()
    words = re.search(rf"losskit {command} examples/.*", readme)[0].split()
    section = readme.split(f"\n## {command.capitalize()} a table\n")[1].split("\n## ")[0]
    shown = re.search(r"```text\n(.*?)```", section, re.DOTALL)[1]
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # what it writes goes elsewhere
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    real, place = _without_seconds(done.stdout), 0
    first, *parts = shown.split("…\n")  # which stands for lines left out
    assert real.startswith(_without_seconds(first))
    assert real.endswith(_without_seconds([first, *parts][-1]))
    for part in (first, *parts):
        assert _without_seconds(part) in real[place:]
        place = real.index(_without_seconds(part), place)


def _without_seconds(text: str) -> str:
    return re.sub(r"\S+ s in all", "", " ".join(text.split()))


@pytest.fixture
def site(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "ext")
    import coverage_of_names

    return coverage_of_names


def test_an_undocumented_public_name_fails_the_build(site, monkeypatch):
    described = {f"{module}.{name}" for module, name in site.public_names()}
    described |= {qualified for qualified, _ in site.public_members()}
    assert list(site.missing(described)) == []
    for name in (
        "losskit.huber",
        "losskit.triplet_mined",
        "losskit.log_loss",
        "losskit.Loss.gradient",
        "losskit.formula.where",
        "losskit.metrics.ndcg",
        "losskit.penalties.SCAD",
        "losskit.Classifier.decision_function",
        "losskit.fit.solvers.working_set.WorkingSet",
    ):
        message = f"{name} is public but has no place in the site"
        assert list(site.missing(described - {name})) == [message]
    monkeypatch.setattr(losskit.Loss.gradient, "__doc__", None)
    assert list(site.missing(described)) == ["losskit.Loss.gradient is public but has no docstring"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_describes_every_loss(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in losskit.names():
        assert (tmp_path / "losses" / f"{name}.html").exists(), name
