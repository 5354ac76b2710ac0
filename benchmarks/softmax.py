"""Softmax cross-entropy, value and gradient, against what else computes it, in one run.

    python benchmarks/softmax.py                  K = 10 and 1000, all contenders
    python benchmarks/softmax.py --sweep          ours and the floor alone, over many K, both ways

Every contender takes the same logits and class indices, computes the mean loss and writes the
gradient into memory of its own; rounds are interleaved, so that a busy machine slows all alike, and
medians are compared.  The floor is a compiled loop on our threads that reads the logits and writes
the gradient; `copyto` is NumPy's copy on the same threads, which may bypass the caches.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from kernels import THREADS, backward, machine, medians

CLASSES = (10, 1000)
SWEEP = (2, 3, 5, 8, 10, 16, 24, 32, 48, 64, 96, 128, 200, 500, 1000, 2000, 32000, 200000)


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=int, default=20_000_000)
    parser.add_argument("--classes", type=int, nargs="*", default=list(CLASSES))
    parser.add_argument("--dtypes", nargs="*", default=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/softmax.json"))
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out")
    parser.add_argument("--sweep", action="store_true")
    options = parser.parse_args()
    import losskit

    losskit.set_num_threads(THREADS)
    if options.sweep:
        sweep(options.logits, options.dtypes, options.rounds)
        return
    results: dict[str, object] = {"machine": machine(), "logits": options.logits, "tables": []}
    print(f"{options.logits:,} logits, {THREADS} threads: milliseconds (ratio to us)")
    for dtype in options.dtypes:
        for k in options.classes:
            f, y = data(options.logits, k, dtype)
            seconds = medians(contenders(f, y, options.without), options.rounds)
            results["tables"].append({"dtype": dtype, "classes": k, "seconds": seconds})
            show(f"{dtype} K={k}", seconds)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written to {options.json}")


def show(name: str, seconds: dict[str, float]) -> None:
    """Print one line: our time, our share of the floor, the others and their ratios to us."""
    us = seconds["losskit"]
    peers = {k: v for k, v in seconds.items() if k not in ("losskit", "floor", "copyto")}
    others = "  ".join(
        f"{k} {v * 1e3:.1f} ({v / us:.1f}x)" for k, v in seconds.items() if k in peers
    )
    best = f"  best peer {min(peers.values()) / us:.2f}x" if peers else ""
    print(
        f"  {name:<15} losskit {us * 1e3:.2f}  floor {seconds['floor'] * 1e3:.2f} (we reach "
        f"{seconds['floor'] / us:.2f})  copyto {seconds['copyto'] * 1e3:.2f}  {others}{best}",
        flush=True,
    )


def sweep(logits: int, dtypes: list[str], rounds: int) -> None:
    """Print our share of the floor over numbers of classes, transposed and not."""
    from losskit.backends import softmax

    for dtype in dtypes:
        for k in SWEEP:
            f, y = data(logits, k, dtype)
            gradient = np.empty_like(f)

            def ours(few: int, f=f, y=y, gradient=gradient) -> Callable[[], object]:
                def run() -> object:
                    softmax._FEW_CLASSES = few
                    return softmax.run(f, y, gradient=gradient)

                return run

            made = {"floor": _floor(f), "by classes": ours(0)}
            if k <= 256:
                made["by rows"] = ours(k)
            seconds = medians(made, rounds)
            print(
                f"  {dtype} K={k:<7}"
                + "".join(f"  {name} {s * 1e3:6.2f}" for name, s in seconds.items()),
                flush=True,
            )


def data(logits: int, k: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and class indices."""
    rng = np.random.default_rng(0)
    f = rng.standard_normal((max(1, logits // k), k), np.float32).astype(dtype)
    f *= 2
    return f, rng.integers(0, k, len(f))


def contenders(f: np.ndarray, y: np.ndarray, without: list[str]) -> dict[str, Callable[[], object]]:
    """Return what computes value and gradient, ready to run."""
    from losskit.backends import softmax

    gradient = np.empty_like(f)
    scale = 1.0 / len(f)
    made: dict[str, Callable[[], object]] = {
        "floor": _floor(f),
        "copyto": _copyto(f),
        "losskit": lambda: softmax.run(f, y, gradient=gradient, scale=scale).value_high * scale,
    }
    for name, make in (
        ("scikit-learn", _sklearn),
        ("torch", _torch),
        ("torch.compile", _torch_compile),
        ("jax", _jax),
    ):
        if name not in without:
            made[name] = make(f, y)
    return made


def _floor(f: np.ndarray) -> Callable[[], object]:
    from numba import njit

    from losskit.backends.simd_intrinsics import view
    from losskit.backends.threads import over_ranges

    @njit(nogil=True)
    def part(x, out):
        for i in range(x.shape[0]):
            out[i] = -x[i]

    @njit(nogil=True)
    def floor(x, out, first, last):
        for block in range(first, last):
            m = min(4096, x.shape[0] - block * 4096)
            part(view(x, block * 4096, m), view(out, block * 4096, m))

    x, out = f.reshape(-1), np.empty(f.size, f.dtype)
    return lambda: over_ranges(lambda a, b: floor(x, out, a, b), -(-x.size // 4096))


def _copyto(f: np.ndarray) -> Callable[[], object]:
    from losskit.backends.threads import over_ranges

    x, out = f.reshape(-1), np.empty(f.size, f.dtype)
    return lambda: over_ranges(
        lambda a, b: np.copyto(out[a * 4096 : b * 4096], x[a * 4096 : b * 4096]),
        -(-x.size // 4096),
    )


def _sklearn(f: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    from sklearn._loss import HalfMultinomialLoss

    instance, target = HalfMultinomialLoss(n_classes=f.shape[1]), y.astype(f.dtype)
    value, gradient = np.empty(len(f), f.dtype), np.empty_like(f)
    return lambda: instance.loss_gradient(
        target, f, loss_out=value, gradient_out=gradient, n_threads=THREADS
    )[0].mean()


def _torch(f: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    import torch
    from torch.nn import functional

    torch.set_num_threads(THREADS)
    return backward(functional.cross_entropy, y, f)


def _torch_compile(f: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    import torch
    from torch.nn import functional

    torch._dynamo.reset()
    return backward(torch.compile(lambda x, t: functional.cross_entropy(x, t)), y, f)


def _jax(f: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    target, score = jnp.asarray(y), jnp.asarray(f)

    def mean(x, t):
        at = jnp.take_along_axis(x, t[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(x, axis=1) - at).mean()

    function = jax.jit(jax.value_and_grad(mean))
    return lambda: jax.block_until_ready(function(score, target))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    main()
