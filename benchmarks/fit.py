"""Time our fits against other libraries' on the same objective, each to the same suboptimality.

`python benchmarks/fit.py` prints one table for each problem and one of the bounds we set
ourselves, and writes JSON.  Every contender is a process of its own, in an environment of its own
where it needs one (`fit_peers/`), that holds the same data in the memory layout it likes best;
only the fit is timed.  Each climbs the ladder of its own tolerance, 1e-2, 1e-3, … 1e-12, to the
first rung with F − F* ≤ 1e-6 (the worst alpha's, on a path), F being computed here by one
function; that rung is then timed in rounds that go A, B, C, A, B, C, …  F* is the best value
anybody reached, bounded by a duality gap.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fit_peers.objective import duality_gap, objective
from fit_peers.problems import PROBLEMS, Problem, write
from fit_peers.process import THREADS, TimedOut, Unsupported, Worker, environment
from fit_peers.worker import load
from rich.console import Console
from rich.table import Table

GOAL = 1e-6
RUNGS = tuple(10.0**-k for k in range(2, 13))
BUSY = 0.5  # load average above which others used the cores
FIRST_FIT_BOUND = 1.5  # seconds, of the whole process
# label -> environment (None: this one), module, variant
CONTENDERS: dict[str, tuple[str | None, str, str]] = {
    "losskit": (None, "with_losskit", "rows"),  # the C order that NumPy makes
    "losskit-columns": (None, "with_losskit", "columns"),  # F order or CSC, as the peers get
    "losskit-core": (None, "with_losskit", "core columns"),  # without the estimator
    "adelie": ("adelie", "with_adelie", ""),
    "python-glmnet": ("python-glmnet", "with_python_glmnet", ""),
    "celer": ("celer", "with_celer", ""),
    "skglm": ("skglm", "with_skglm", ""),
    **{
        solver: (None, "with_sklearn", solver)
        for solver in ("liblinear", "saga", "lbfgs", "newton-cholesky", "enet_path")
    },
}
DEFAULT = [name for name in CONTENDERS if name != "losskit-core"]
# Those that can go to machine precision in the time of a reference run.
PRECISE = ("adelie", "celer", "python-glmnet", "newton-cholesky", "enet_path")
FIRST_FIT = """
import sys, time
start = time.perf_counter()
import numpy as np
import losskit
x, y = np.load(sys.argv[1] + "/X.npy"), np.load(sys.argv[1] + "/y.npy").astype(int)
ready = time.perf_counter()
losskit.Classifier(loss="logistic", penalty="l1", alpha=float(sys.argv[2])).fit(x, y)
print(ready - start, time.perf_counter() - ready)
"""


@dataclass
class Row:
    """What one contender did in one problem."""

    note: str = ""
    ladder: list[dict[str, float]] = field(default_factory=list)
    tol: float | None = None
    excess: float | None = None
    rounds: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--contenders", nargs="*", default=DEFAULT, choices=CONTENDERS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cap", type=float, default=60, help="seconds that one fit may take")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/fit.json"))
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": _processor(),
        "threads": THREADS,
        "load_before": os.getloadavg()[0],
        "goal": GOAL,
        "problems": {},
    }
    with tempfile.TemporaryDirectory(prefix="losskit-bench-fit-") as place:
        folder = Path(place)
        for name in options.problems:
            problem = PROBLEMS[name]
            if not (folder / problem.data).exists():
                write(problem.data, folder)
            found = run(problem, folder, options)
            result["problems"][name] = found
            console.print(table(problem, found))
            for label, row in found["contenders"].items():
                if row["note"]:
                    console.print(f"  {label}: {row['note']}", markup=False, highlight=False)
        if "losskit" in options.contenders:
            result["first_fit"] = first_fit(folder, options.rounds)
        result["load_after"] = os.getloadavg()[0]
        console.print(bounds(result))
        if result["load_before"] > BUSY:
            console.print(f"load {result['load_before']:.1f} at the start: these times are noise")
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {options.json}")


def run(problem: Problem, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Find F*, climb every ladder, time the rounds."""
    x, y = load(folder / problem.data, "C")
    task = problem.task(folder, x, y)
    names = [name for name in problem.contenders if name in options.contenders]
    rows = {name: Row() for name in names}
    workers = {name: Worker(name, *CONTENDERS[name], folder) for name in names}
    try:
        for name in names:
            _try(rows[name], lambda w=workers[name]: w.load(task))
            rows[name].versions = workers[name].versions
        able = [name for name in names if not rows[name].note]
        best, gap = reference({n: workers[n] for n in able}, task, x, y, 2 * options.cap)
        for name in able:
            _try(rows[name], lambda n=name: climb(rows[n], workers[n], task, x, y, best, options))
        time_rounds(rows, workers, options)
    finally:
        for worker in workers.values():
            worker.end()
    return {
        "title": problem.title,
        "shape": list(x.shape),
        "alphas": [task["alphas"][0], task["alphas"][-1], len(task["alphas"])],
        "best": best.tolist(),
        "certified_gap": float(gap.max()),
        "contenders": {name: vars(row) for name, row in rows.items()},
    }


def reference(
    workers: dict[str, Worker], task: dict[str, Any], x: Any, y: np.ndarray, cap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least F that anybody reaches at each alpha, and a bound on F − F* there."""
    best = np.full(len(task["alphas"]), np.inf)
    gap = best.copy()
    for name, worker in workers.items():
        if name not in PRECISE and not name.startswith("losskit"):
            continue
        try:
            w = worker.fit(1e-12, cap)[1]
        except (TimedOut, RuntimeError):
            continue
        best = np.minimum(best, objective(task, x, y, w))
        gap = np.minimum(gap, duality_gap(task, x, y, w))
    if not np.isfinite(best).all():
        raise SystemExit(f"no reference for F*: ask for one of losskit, {', '.join(PRECISE)}")
    return best, gap


def climb(
    row: Row,
    worker: Worker,
    task: dict[str, Any],
    x: Any,
    y: np.ndarray,
    best: np.ndarray,
    options: argparse.Namespace,
) -> None:
    """Find the first rung that passes; the best value is lowered where a rung beats it."""
    for tol in RUNGS:
        seconds, w = worker.fit(tol, options.cap)
        values = objective(task, x, y, w)
        excess = float((values - best).max())
        np.minimum(best, values, out=best)
        row.ladder.append({"tol": tol, "seconds": seconds[0], "excess": excess})
        if excess <= GOAL:
            row.tol, row.excess = tol, excess
            return
    row.note = "no rung reaches the goal"


def time_rounds(
    rows: dict[str, Row], workers: dict[str, Worker], options: argparse.Namespace
) -> None:
    """Time the passing rungs, interleaved; who is 30 times slower than the best runs twice only."""
    once = {name: row.ladder[-1]["seconds"] for name, row in rows.items() if row.tol}
    for k in range(options.rounds):
        for name, seconds in once.items():
            tol = rows[name].tol
            assert tol
            if k >= 2 and seconds > max(2, 30 * min(once.values())):
                continue
            repeat = int(np.clip(0.1 / seconds, 1, 20))
            taken = workers[name].fit(tol, max(options.cap, 2 * seconds), repeat)[0]
            rows[name].rounds.append(statistics.median(taken))


def first_fit(folder: Path, rounds: int) -> dict[str, Any]:
    """Time a fit by a fresh interpreter whose kernels an earlier one compiled."""
    problem = PROBLEMS["cancer"]
    if not (folder / problem.data).exists():
        write(problem.data, folder)
    x, y = load(folder / problem.data, "C")
    alpha = problem.task(folder, x, y)["alphas"][0]
    command = [sys.executable, "-c", FIRST_FIT, str(folder / problem.data), repr(alpha)]
    found: dict[str, Any] = {"process": [], "import": [], "fit": []}
    for k in range(rounds + 1):
        start = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment(foreign=False)
        )
        wall = time.perf_counter() - start
        if done.returncode:
            return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
        if k:  # the first one may compile
            importing, fitting = map(float, done.stdout.split())
            for key, value in (("process", wall), ("import", importing), ("fit", fitting)):
                found[key].append(value)
    return found


def table(problem: Problem, found: dict[str, Any]) -> Table:
    """Return the problem's table, fastest first."""
    caption = f"certified F* to {found['certified_gap']:.0e}; alpha {found['alphas'][0]:.4g}"
    shown = Table(title=problem.title, caption=caption, title_justify="left")
    for head in ("", "tol", "F − F*", "min s", "median s", "× best peer", "runs"):
        shown.add_column(head, justify="right" if head else "left", no_wrap=True)
    rows = found["contenders"]
    theirs = [row["rounds"] for name, row in rows.items() if not name.startswith("losskit")]
    peers = [min(rounds) for rounds in theirs if rounds]
    for name, row in sorted(rows.items(), key=lambda item: min(item[1]["rounds"], default=np.inf)):
        if not row["rounds"]:
            continue
        best = min(row["rounds"])
        shown.add_row(
            name,
            f"{row['tol']:.0e}",
            f"{row['excess']:.0e}",
            f"{best:.4f}",
            f"{statistics.median(row['rounds']):.4f}",
            f"{best / min(peers):.2f}" if peers else "",
            str(len(row["rounds"])),
        )
    return shown


def bounds(result: dict[str, Any]) -> Table:
    """Return our bounds and whether this run kept them: ratios of the least times."""
    shown = Table(title="Bounds", title_justify="left")
    for head in ("problem", "against", "ours / theirs, min", "median", "bound", ""):
        shown.add_column(head)
    for name, found in result["problems"].items():
        rows = found["contenders"]
        ours = rows.get("losskit", {}).get("rounds")
        for peer, bound in PROBLEMS[name].targets:
            theirs = rows.get(peer, {}).get("rounds")
            if not ours or not theirs:
                shown.add_row(name, peer, "", "", f"{bound:g}", "not run")
                continue
            ratio = min(ours) / min(theirs)
            middle = statistics.median(ours) / statistics.median(theirs)
            kept = "kept" if ratio <= bound else "MISSED"
            shown.add_row(name, peer, f"{ratio:.2f}", f"{middle:.2f}", f"{bound:g}", kept)
    first = result.get("first_fit", {})
    if "process" in first:
        process, fit = min(first["process"]), min(first["fit"])
        kept = "kept" if process <= FIRST_FIT_BOUND else "MISSED"
        text = f"{process:.2f} s, of which fit {fit:.2f} s"
        middle = f"{statistics.median(first['process']):.2f} s"
        shown.add_row("first fit in a process", "", text, middle, f"{FIRST_FIT_BOUND} s", kept)
    elif first:
        shown.add_row("first fit in a process", "", first["error"], "", "", "not run")
    return shown


def _try(row: Row, act: Any) -> None:
    """Note what kept a contender from going on; the others do."""
    try:
        act()
    except Unsupported as error:
        row.note = f"left out: {error}"
    except TimedOut as error:
        row.note = f"not reached: {error} for one fit"
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        row.note = f"failed: {error}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
