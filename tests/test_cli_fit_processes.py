"""`losskit fit` interrupted, killed and watched: what it leaves, and what a terminal shows."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

import losskit
from fit_tables import columns, write


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "a.csv", columns())


def child(code, *arguments):
    """Start a process that runs `code`, then the command."""
    run = f"import os, signal, sys, time\n{code}\nfrom losskit.cli.main import main\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{run}main(sys.argv[1:])", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


INTERRUPT = """
from losskit.cli import progress
def told(self, step):
    if step.index == {index}:
        os.kill(os.getpid(), signal.SIGINT)
progress.Progress.{method} = told
"""


def test_interrupting_keeps_the_best_model_so_far(table, tmp_path):
    model = tmp_path / "m"
    code = INTERRUPT.format(index=4, method="fit")
    out, err = (process := child(code, "fit", table, "--target", "y", "-o", model)).communicate(
        timeout=120
    )
    assert (process.returncode, err) == (130, b"")
    assert b"Interrupted after " in out
    assert b"this is the best model until then" in out
    assert b"Model written to" in out
    found = losskit.load(model)
    assert 1 <= len(found.cv_.alphas) <= 5
    assert found.cv_.interrupted
    assert found.predict({"x": [1.0], "z": [0.0], "city": ["Oslo"]})[0] in ("yes", "no")


def test_interrupting_a_fit_of_one_alpha(table, tmp_path):
    code = """
from losskit.cli import progress
def told(self, step):
    if step.step.iteration == 2:
        os.kill(os.getpid(), signal.SIGINT)
progress.Progress.fit = told
"""
    model = tmp_path / "m"
    asked = ["fit", table, "--target", "y", "--alpha", "1e-6", "--solver", "lbfgs", "-o", model]
    out, err = (process := child(code, *asked)).communicate(timeout=120)
    assert (process.returncode, err) == (130, b"")
    assert b"Interrupted after " in out
    assert losskit.load(model).certificate_.reached is False


def test_interrupting_before_there_is_a_model(table, tmp_path):
    code = """
from losskit.cli import progress
progress.Progress.rows = lambda self, done, total: os.kill(os.getpid(), signal.SIGINT)
"""
    model = tmp_path / "m"
    out, err = (process := child(code, "fit", table, "--target", "y", "-o", model)).communicate(
        timeout=120
    )
    assert (process.returncode, out, err) == (130, b"", b"losskit: error: interrupted\n")
    assert not model.exists()


@pytest.mark.parametrize("before", [None, b"what was there"])
def test_a_killed_run_leaves_no_half_file(table, tmp_path, before):
    """The process is killed when all is written and nothing has its name yet."""
    model = tmp_path / "m.losskit"
    if before is not None:
        model.write_bytes(before)
    code = "os.fsync = lambda handle: time.sleep(120)"
    process = child(code, "fit", table, "--target", "y", "--alpha", "1", "-o", model)
    try:
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size for part in tmp_path.glob(".*.part")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (model.read_bytes() if model.exists() else None) == before
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == (
        {"a.csv"} if before is None else {"a.csv", "m.losskit"}
    )


def test_progress_on_a_terminal(table, tmp_path):
    """After a second the terminal shows where the fit is; stdout has the summary alone."""
    ours, theirs = pty.openpty()
    code = """
from losskit.cli import progress
progress._PATIENCE = 0.0
from losskit.fit.solvers import run
import losskit.fit.fitting as fits
at = fits.Lanes.at
fits.Lanes.at = lambda *given: (time.sleep(0.1), at(*given))[1]
"""
    run = f"import time, sys\n{code}\nfrom losskit.cli.main import main\nmain(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "fit", table, "--target", "y", "-o", str(tmp_path / "m")],
        stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"COLUMNS": "150"},
    )  # fmt: skip
    os.close(theirs)
    text = b""
    try:
        while block := os.read(ours, 65536):
            text += block
    except OSError:  # Linux ends a terminal that nobody holds with EIO
        pass
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    for said in ("λ ", "objective", "gap", "non-zero", "rows/s", " left"):
        assert said.encode() in text
    assert b"rows/s" not in out
    assert out.startswith(table.encode())
