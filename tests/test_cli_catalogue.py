"""`losskit --help`, `list` and `show`."""

import math
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import losskit
from losskit.cli.main import main
from losskit.cli.readable import written
from losskit.formula.expr import Unsupported

COMMAND = [sys.executable, "-m", "losskit"]


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


# --- help, list, show


def test_help_is_fast_and_loads_nothing_heavy():
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
        best = min(best, time.perf_counter() - start)
    assert best <= 0.25
    assert "evaluate" in done.stdout
    code = "import sys, losskit.cli.main; print([m for m in %r if m in sys.modules])"
    heavy = ["numpy", "numba", "duckdb", "rich", "nanoarrow"]
    done = subprocess.run(
        [sys.executable, "-c", code % heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_help_and_version(run):
    code, out, _ = run("evaluate", "--help")
    assert code == 0
    for option in ("--target", "--prediction", "--loss", "--weight", "--by", "--raw", "--invalid",
                   "--format", "--input-format", "--table", "--glob"):  # fmt: skip
        assert option in out
    assert run("--version") == (0, f"losskit {losskit.__version__}\n", "")
    code, out, _ = run()
    assert (code, "Usage" in out) == (2, True)


def test_list_has_every_loss_once(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    for name in losskit.names():
        loss = losskit.get(name)
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
        assert loss.summary in line
        assert all(alias in line for alias in loss.aliases)


def test_show(run):
    code, out, err = run("show", "huber", "--delta", "1.5")
    assert (code, err) == (0, "")
    lines = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in out.splitlines() if line]
    card = {line[0]: line[1] for line in lines if len(line) == 2}
    assert lines[0] == ["huber(delta=1.5)"]
    assert card["formula"] == "[0.5·r² if |r| ≤ delta, else delta·(|r| − 0.5·delta)]"
    assert card["gradient"] == "[r if |r| ≤ delta, else delta·sign(r)]"
    assert card["curvature"] == "[1 if |r| < delta, else 0]"
    assert card["steepest slope"] == "1.5"
    assert card["parameters"].startswith("delta = 1.5 ((0, ∞); default 1")
    assert "Huber, P. J. (1964)" in card["source"]
    assert run("show", "huber", "--delta=1.5") == (0, out, "")


def test_show_factor_to_other_libraries_and_aliases(run):
    _, out, _ = run("show", "mse")
    assert out.startswith("squared_error\n")
    assert re.search(r"also called +mse, l2", out)
    assert "2 × sklearn._loss.HalfSquaredError" in out


def test_show_every_output_of_a_loss(run):
    _, out, _ = run("show", "gaussian_nll")
    assert "mean: a finite number, log_sd: (0, ∞) (the sd itself; its log is the raw score)" in out
    assert "differentiable" in out


def test_lines_wrap_to_a_terminal(run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "70")
    for arguments in (["list"], ["show", "huber"]):
        code, out, _ = run(*arguments)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
        assert (code, max(map(len, lines)) <= 70) == (0, True)


@pytest.mark.parametrize("name", losskit.names())
def test_show_every_loss(run, name):
    code, out, err = run("show", name)
    assert (code, err) == (0, "")
    labels = ("formula", "gradient", "curvature", "link", "target y", "values", "source")
    for label in labels if losskit.get(name).kind == "pointwise" else ():
        assert re.search(rf"^{label}", out, re.MULTILINE), label


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hubr"], "did you mean 'huber'?"),
        (["huber", "--delt", "1"], "did you mean 'delta'?"),
        (["huber", "--delta", "x"], "parameter --delta is 'x'; it must be a number or none"),
        (["huber:delta=2"], "losskit show huber --delta 2"),
        (["huber", "--delta"], "parameter --delta has no value"),
        (["huber", "1.5"], "'1.5' is not understood; give parameters as --name value"),
        (["huber", "--delta", "-1"], "delta=-1.0"),
        (["huber", "--delta", "1", "--delta", "2"], "given twice"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_show_mistakes(run, arguments, message):
    code, out, err = run("show", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_show_help(run):
    code, out, _ = run("show", "--help")
    assert (code, "losskit show huber --delta 1.5" in out) == (0, True)
    assert run("show", "huber", "--help")[0] == 0


@pytest.mark.parametrize("wanted", ["value", "gradient", "hessian"])
@pytest.mark.parametrize("name", losskit.names("pointwise"))
def test_readable_formulas_are_the_formulas(name, wanted):
    """Read back as mathematics, the text on the card has the values of the loss."""
    loss = losskit.get(name)
    params = {key: value for key, value in loss.params.items() if value is not None}
    absent = frozenset(loss.params) - frozenset(params)
    graph = loss.definition.graph(absent)
    try:
        parts, results = written(graph.select((wanted,)))
    except Unsupported:
        return
    rng = np.random.default_rng(3)
    for _ in range(20):
        y = {"counts": 3.0, "binary": float(loss.target_domain.upper)}.get(loss.task, 0.7)
        scores = rng.uniform(0.1, 2.5, len(loss.outputs))
        raw = dict(zip(loss.definition.symbols, scores.tolist(), strict=True))
        space = {**_FUNCTIONS, **params, "y": y, **raw}
        for part, text in parts:
            space[part] = eval(_python(text), space)
        method = {"value": loss, "gradient": loss.gradient, "hessian": loss.hessian}[wanted]
        row = scores[None] if len(scores) > 1 else scores
        truth = np.ravel(method(np.array([y]), row, raw=True, reduction="none"))
        found = [eval(_python(text), space) for text in results]
        assert found == pytest.approx(truth.tolist(), rel=1e-6, abs=1e-9), (parts, results)


_FUNCTIONS = {
    **{name: getattr(math, name) for name in "exp log log1p expm1 sqrt tanh inf".split()},
    "softplus": lambda x: math.log1p(math.exp(x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "sign": lambda x: (x > 0) - (x < 0),
    "logcosh": lambda x: math.log(math.cosh(x)),
}


def _python(text):
    for mark, spelling in (
        ("log cosh", "logcosh"), ("·", "*"), ("−", "-"), ("²", "**2"), ("³", "**3"), ("^", "**"),
        ("√", "sqrt"), ("≤", "<="), ("≥", ">="), (" = ", " == "), ("∞", "inf"), ("[", "("),
        ("]", ")"), (", else", " else"),
    ):  # fmt: skip
        text = text.replace(mark, spelling)
    while "|" in text:
        text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text, count=1)
    return text
