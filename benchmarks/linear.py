"""Fused linear cross-entropy against torch, whole and chunked: time and peak memory.

`python benchmarks/linear.py` prints one table and writes JSON.  Times are best and median of rounds
that are interleaved in one process; a threaded product stalls whenever another process wants
its core, so on a shared machine only the best says much.  Memory is the peak of a fresh process for
each contender, above what that held after imports, a warm-up on little data and making the inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = 2
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(THREADS)  # before NumPy is imported

import numpy as np  # noqa: E402

Run = Callable[[], tuple[float, np.ndarray, np.ndarray]]


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=[], help="MiB, further budgets")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/linear.json"))
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = options.tokens, options.width, options.classes
    if options.peak_of:
        print(json.dumps(peak(options.peak_of, shape)))
        return
    names = ["losskit", *(f"losskit {m} MiB" for m in options.memory)]
    names += ["torch", "torch chunked"]
    seconds, errors = timed(names, shape, options.rounds)
    rows = {}
    print(f"N, D, V = {shape}, float32, {THREADS} threads, value and both gradients")
    for name in names:
        megabytes = peak_in_fresh_process(name, options) / 1e6
        row = {"rounds": seconds[name], "peak_megabytes": megabytes, "errors": errors[name]}
        rows[name] = row
        print(
            f"  {name:<16} best {min(seconds[name]):6.3f} s "
            f"({min(seconds[name]) / min(seconds['torch']):.2f} of torch)  "
            f"median {statistics.median(seconds[name]):6.3f} s  peak {megabytes:7.1f} MB  "
            "largest error / largest gradient: " + ", ".join(f"{e:.1e}" for e in errors[name])
        )
    result = {"shape": shape, "threads": THREADS, "dtype": "float32", "contenders": rows}
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {options.json}")


def inputs(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, hidden and weight that give logits of a few units, as after some training."""
    tokens, width, classes = shape
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((tokens, width), dtype=np.float32)
    weight = rng.standard_normal((classes, width), dtype=np.float32)
    weight *= np.float32(2 / np.sqrt(width))
    return rng.integers(0, classes, tokens), hidden, weight


def contender(name: str, y: np.ndarray, hidden: np.ndarray, weight: np.ndarray) -> Run:
    """Return what computes value and both gradients."""
    if name.startswith("losskit"):
        from losskit.linear import linear_cross_entropy

        memory = int(name.split()[1]) << 20 if " " in name else None

        def ours() -> tuple[float, np.ndarray, np.ndarray]:
            value, both = linear_cross_entropy.value_and_gradient(y, hidden, weight, memory=memory)
            return value, both[0], both[1]

        return ours
    import torch

    torch.set_num_threads(THREADS)
    target = torch.from_numpy(y)
    h, w = (torch.from_numpy(a).requires_grad_() for a in (hidden, weight))

    def theirs() -> tuple[float, np.ndarray, np.ndarray]:
        h.grad = w.grad = None
        if name == "torch":
            loss = torch.nn.functional.cross_entropy(h @ w.T, target)
        else:  # its own fused form, with the options it chooses itself
            options = torch.nn.LinearCrossEntropyOptions()
            loss = torch.nn.functional.linear_cross_entropy(h, w, target, options=options)
        loss.backward()
        return loss.item(), h.grad.numpy(), w.grad.numpy()

    return theirs


def timed(
    names: list[str], shape: tuple[int, int, int], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the seconds of each round, and errors against float64, by contender."""
    data = inputs(shape)
    runs = {name: contender(name, *data) for name in names}
    exact = reference(*data)
    errors = {}
    for name, run in runs.items():
        _, *both = run()
        errors[name] = [
            float(np.abs(one - good).max() / np.abs(good).max())
            for one, good in zip(both, exact, strict=True)
        ]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times, errors


def reference(y: np.ndarray, hidden: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Return both gradients in float64, by NumPy alone, 256 tokens at a time."""
    h, w = hidden.astype(np.float64), weight.astype(np.float64)
    by_hidden, by_weight = np.empty_like(h), np.zeros_like(w)
    for a in range(0, len(y), 256):
        part = slice(a, a + 256)
        p = h[part] @ w.T
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(p)), y[part]] -= 1
        p /= len(y)
        by_hidden[part] = p @ w
        by_weight += p.T @ h[part]
    return [by_hidden, by_weight]


def peak_in_fresh_process(name: str, options: argparse.Namespace) -> float:
    """Return the bytes that one call adds to a process that has nothing but the inputs."""
    size = [f"--{k}={getattr(options, k)}" for k in ("tokens", "width", "classes")]
    command = [sys.executable, __file__, "--peak-of", name, *size]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def peak(name: str, shape: tuple[int, int, int]) -> int:
    """Measure in this process; Linux only."""
    contender(name, *inputs((64, 32, 2000)))()
    run = contender(name, *inputs(shape))
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(key + ":")))


if __name__ == "__main__":
    main()
