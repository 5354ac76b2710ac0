"""What the project promises about itself: its set-up commands, its layers, its names, its files."""

import ast
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "losskit"


def set_up_commands() -> list[str]:
    section = (ROOT / "README.md").read_text().split("\n## Set up\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_readme_has_the_two_commands_that_ci_runs_literally():
    run = (ROOT / ".ci" / "run").read_text()
    executed = re.findall(r"^in_fresh_environment '(.*)'$", run, flags=re.MULTILINE)
    assert len(executed) == 2
    assert set_up_commands() == executed
    newcomer, contributor = executed
    assert newcomer.startswith("pip install . && losskit fit examples/data/")
    assert contributor == 'pip install -e ".[dev]" && make test'


def test_ci_is_executable_and_stops_at_the_first_failure():
    path = ROOT / ".ci" / "run"
    assert path.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


def test_the_table_that_readme_fits_has_the_column_it_names():
    words = set_up_commands()[0].split()
    header = (ROOT / words[words.index("fit") + 1]).read_text().splitlines()[0].split(",")
    assert words[words.index("--target") + 1] in header


def test_make_help_lists_every_verb():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[1].split()
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[1] for line in shown.splitlines()] == phony


def test_the_run_time_dependencies_are_those_agreed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[A-Za-z0-9_-]+", each)[0] for each in project["dependencies"]}
    computing, tables = {"numpy", "numba", "scipy", "scikit-learn"}, {"duckdb", "nanoarrow"}
    assert names == computing | tables | {"narwhals", "click", "rich", "platformdirs"}


def imports_of(path: Path) -> list[tuple[str, int]]:
    package = ("losskit", *path.relative_to(SOURCE).parts[:-1])
    found = []
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            found.append((".".join(filter(None, (*base, node.module))), node.lineno))
    return found


def test_the_formula_language_imports_the_standard_library_only():
    files = sorted((SOURCE / "formula").glob("**/*.py"))
    assert files
    outside = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files
        for name, line in imports_of(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("losskit.formula")
    ]
    assert outside == []


def test_the_formula_language_stays_small():
    """design.md's 900 lines are those for losses of one number; an axis takes these more: its
    operations, backward derivatives, and what arguments hold.
    """
    lines = {p.name: len(p.read_text().splitlines()) for p in (SOURCE / "formula").glob("*.py")}
    axis = sum(lines.pop(name) for name in ("axis.py", "adjoint.py", "inputs.py"))
    assert sum(lines.values()) <= 960, lines
    assert axis <= 420


@pytest.mark.parametrize("name", ["src", "docs", "examples", "benchmarks"])
def test_no_file_is_longer_than_400_lines(name):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / name).glob("**/*.py")
    }
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_no_pickle_and_no_eval_in_the_package():
    # Numba's own cache index is the one declared exception (design.md §4).
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(SOURCE.glob("**/*.py"))
        if path.name != "kernel_cache.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Name) and node.id == "eval")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "pickle.loads")
    ]
    assert offenders == []


# Run by a fresh interpreter: what other tests imported would hide a module that rebinds a name.
REBINDING = """
import importlib, pkgutil, types
import losskit
modules = {module.name for module in pkgutil.walk_packages(losskit.__path__, "losskit.")}
loaded = {name: importlib.import_module(name) for name in modules - {"losskit.__main__"}}
silent = [name for name, module in loaded.items() if not (module.__doc__ or "").strip()]
assert not silent, silent
children = {name.split(".")[1] for name in modules}
public = {*losskit._PUBLIC, *losskit.names()}
assert len(public) > 36
assert not children & public, children & public
for name in public:
    assert not isinstance(getattr(losskit, name), types.ModuleType), name
"""


def test_every_submodule_can_be_imported_says_what_it_is_and_bears_no_public_name():
    # Keras wants to be told its back end; the others' settings stay in that process.
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", REBINDING], check=True, env=environment)


def test_a_newcomer_gets_the_types():
    assert (SOURCE / "py.typed").exists()
