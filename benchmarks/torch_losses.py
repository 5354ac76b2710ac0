"""PyTorch on the CPU: our modules against its own losses, eager and compiled, in one run.

Forward and backward of the mean over n float32 numbers. Everything is compiled and run once before;
rounds are interleaved, so that a busy machine slows all alike, and medians are compared. Prints a
table of ratios and writes JSON: `python benchmarks/torch_losses.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

THREADS = 2
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "LOSSKIT_NUM_THREADS"), str(THREADS)))

import torch  # noqa: E402 - after its threads are set

import losskit.torch  # noqa: E402

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def log_cosh(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What people write, stably: |r| + log(1 + e^(−2|r|)) − log 2."""
    r = (f - y).abs()
    return (r + torch.nn.functional.softplus(-2 * r) - math.log(2)).mean()


def quantile(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What people write: the larger of q·(y − f) and (q − 1)·(y − f)."""
    r = y - f
    return torch.maximum(0.9 * r, (0.9 - 1) * r).mean()


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "binary_cross_entropy": (
        losskit.torch.Loss("binary_cross_entropy"), torch.nn.BCEWithLogitsLoss()
    ),
    "log_cosh": (losskit.torch.Loss("log_cosh"), log_cosh),
    "quantile": (losskit.torch.Loss("quantile", q=0.9), quantile),
    "huber": (losskit.torch.Loss("huber"), torch.nn.HuberLoss()),
}  # fmt: skip


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/torch_losses.json"))
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = {name: measured(name, options.n, options.rounds) for name in LOSSES}
    print(f"\nn = {options.n:,} float32, forward and backward, {THREADS} threads, medians\n")
    print("| loss | ours, ms | torch eager | torch.compile | ours compiled | spread of ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        ours, eager, compiled, own = (row[key]["median"] for key in ROUNDS)
        spread = row["ours"]["least"], row["ours"]["most"]
        print(
            f"| {name} | {ours * 1e3:.1f} | {eager / ours:.1f}× | {compiled / ours:.1f}× "
            f"| {own / ours:.1f}× | {spread[0] * 1e3:.1f} to {spread[1] * 1e3:.1f} ms |"
        )
    said = {"n": options.n, "threads": THREADS, "torch": torch.__version__, "rows": rows}
    options.json.write_text(json.dumps(said, indent=1) + "\n")


ROUNDS = ("ours", "torch eager", "torch.compile", "ours compiled")


def measured(name: str, n: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return times in seconds of each contender."""
    ours, theirs = LOSSES[name]
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(n, generator=generator)
    y = (y > 0.5).float() if name == "binary_cross_entropy" else y * 4 - 2
    f = torch.randn(n, generator=generator).requires_grad_()
    contenders = dict(
        zip(ROUNDS, (ours, theirs, torch.compile(theirs), torch.compile(ours)), strict=True)
    )
    slopes = {key: step(one, f, y) for key, one in contenders.items()}
    for key, slope in slopes.items():  # they compute the same, or there is nothing to compare
        torch.testing.assert_close(slope, slopes["ours"], rtol=1e-4, atol=1e-12, msg=key)
    del slopes
    times: dict[str, list[float]] = {key: [] for key in contenders}
    for _ in range(rounds):
        for key, one in contenders.items():
            begin = time.perf_counter()
            step(one, f, y)
            times[key].append(time.perf_counter() - begin)
    return {
        key: {"median": statistics.median(t), "least": min(t), "most": max(t)}
        for key, t in times.items()
    }


def step(loss: Loss, f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a training step's loss."""
    f.grad = None
    loss(f, y).backward()
    assert f.grad is not None
    return f.grad


if __name__ == "__main__":
    main()
