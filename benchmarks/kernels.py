"""Value and gradient of five losses against what else computes them, in one run: `make bench`.

Every contender computes the mean loss and writes its gradient into memory of its own; rounds are
interleaved, so that a busy machine slows all alike, and medians are compared. The floor is the
squared-error kernel of this library, which is bound by memory; `add` is NumExpr's f − y, an
independent reading of the same floor. Prints tables of ratios and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

THREADS = 2
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS"), str(THREADS)))
os.environ["XLA_FLAGS"] = (
    f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}"
)


LOSSES = ("binary_cross_entropy", "huber", "poisson", "log_cosh", "quantile")
SKLEARN = {
    "binary_cross_entropy": "HalfBinomialLoss",
    "poisson": "HalfPoissonLoss",
    "quantile": "PinballLoss",
    "huber": "HuberLoss",
}
NUMEXPR = {
    "binary_cross_entropy": (
        "sum(where(f > 0, f, 0) - y * f + log1p(exp(-abs(f))))",
        "1 / (1 + exp(-f)) - y",
    ),
    "huber": (
        "sum(where(abs(f - y) <= 1, 0.5 * (f - y) * (f - y), abs(f - y) - 0.5))",
        "where(abs(f - y) <= 1, f - y, where(f > y, 1, -1))",
    ),
    "poisson": ("sum(exp(f) - y * f)", "exp(f) - y"),
    "log_cosh": (
        "sum(abs(f - y) + log1p(exp(-2 * abs(f - y))) - 0.6931471805599453)",
        "tanh(f - y)",
    ),
    "quantile": ("sum(where(f > y, 0.5 * (f - y), 0.5 * (y - f)))", "where(f > y, 0.5, -0.5)"),
}


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/kernels.json"))
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out")
    options = parser.parse_args()
    results = {"machine": machine(), "n": options.n, "threads": THREADS, "tables": []}
    for dtype in (np.float64, np.float32):
        results["tables"].append(large(options.n, dtype, options.rounds, options.without))
    results["overhead"] = overhead(options.without)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {options.json}")


def machine() -> dict[str, str]:
    """Say where the figures were taken."""
    import losskit

    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x),
            cpu,
        )
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "losskit": losskit.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def data(loss: str, n: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and raw scores as such a loss meets them."""
    rng = np.random.default_rng(0)
    f = rng.normal(size=n)
    if loss == "binary_cross_entropy":
        f *= 2
        y = (rng.random(n) < 1 / (1 + np.exp(-f))).astype(float)
    elif loss == "poisson":
        y = rng.poisson(np.exp(f)).astype(float)
    else:
        y = f + rng.standard_t(3, size=n)
    return y.astype(dtype), f.astype(dtype)


def contenders(
    loss: str, y: np.ndarray, f: np.ndarray, without: list[str]
) -> dict[str, Callable[[], object]]:
    """Return what computes value and gradient of `loss`, ready to run."""
    import losskit

    losskit.set_num_threads(THREADS)
    gradient = np.empty_like(f)
    made: dict[str, Callable[[], object]] = {}

    def ours(name: str) -> Callable[[], object]:
        chosen = losskit.get(name)
        return lambda: chosen.value_and_gradient(y, f, raw=True, out=gradient)

    made["floor"] = ours("squared_error")
    made["losskit"] = ours(loss)
    for name, make in (
        ("add", _add),
        ("scikit-learn", _sklearn),
        ("torch", _torch),
        ("torch.compile", _torch_compile),
        ("jax", _jax),
        ("numexpr", _numexpr),
    ):
        run = None if name in without else make(loss, y, f)
        if run is not None:
            made[name] = run
    return made


def _add(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import numexpr

    numexpr.set_num_threads(THREADS)
    out = np.empty_like(f)
    return lambda: numexpr.evaluate("f - y", {"f": f, "y": y}, out=out)


def _sklearn(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object] | None:
    from sklearn import _loss

    if loss not in SKLEARN:
        return None
    parameters = {"HuberLoss": {"delta": 1.0}}.get(SKLEARN[loss], {})
    made = getattr(_loss, SKLEARN[loss], None) or getattr(_loss.loss, SKLEARN[loss])
    instance, value, gradient = made(**parameters), np.empty_like(f), np.empty_like(f)
    return lambda: instance.loss_gradient(
        y, f, loss_out=value, gradient_out=gradient, n_threads=THREADS
    )[0].mean()


def _torch_loss(loss: str) -> Callable[..., object]:
    import torch
    from torch.nn import functional

    return {
        "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
        "huber": functional.huber_loss,
        "poisson": lambda f, y: functional.poisson_nll_loss(f, y),
        "log_cosh": lambda f, y: (
            (f - y).abs() + torch.log1p(torch.exp(-2 * (f - y).abs())) - 0.6931471805599453
        ).mean(),
        "quantile": lambda f, y: torch.maximum(0.5 * (y - f), 0.5 * (f - y)).mean(),
    }[loss]


def _torch(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import torch

    torch.set_num_threads(THREADS)
    return backward(_torch_loss(loss), y, f)


def _torch_compile(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import torch

    torch._dynamo.reset()
    return backward(torch.compile(_torch_loss(loss)), y, f)


def backward(function: Callable[..., object], y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import torch

    target, score = torch.from_numpy(y), torch.from_numpy(f).requires_grad_()

    def run() -> object:
        score.grad = None
        function(score, target).backward()
        return score.grad

    return run


def _jax(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    pointwise = {
        "binary_cross_entropy": lambda f, y: jax.nn.softplus(f) - y * f,
        "huber": lambda f, y: jnp.where(
            jnp.abs(f - y) <= 1, 0.5 * (f - y) ** 2, jnp.abs(f - y) - 0.5
        ),
        "poisson": lambda f, y: jnp.exp(f) - y * f,
        "log_cosh": lambda f, y: jnp.logaddexp(f - y, y - f) - 0.6931471805599453,
        "quantile": lambda f, y: jnp.maximum(0.5 * (y - f), 0.5 * (f - y)),
    }[loss]
    target, score = jnp.asarray(y), jnp.asarray(f)
    function = jax.jit(jax.value_and_grad(lambda f, y: pointwise(f, y).mean()))
    return lambda: jax.block_until_ready(function(score, target))


def _numexpr(loss: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import numexpr

    (value, slope), arrays = NUMEXPR[loss], {"f": f, "y": y}
    out = np.empty_like(f)

    def run() -> object:
        numexpr.evaluate(slope, arrays, out=out, casting="same_kind")
        return numexpr.evaluate(value, arrays)

    return run


def medians(made: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return seconds by contender: the median over interleaved rounds, after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in made}
    for name, run in made.items():
        for _ in range(2):
            run()
        print(f"\r  warm: {name:<20}", end="", file=sys.stderr, flush=True)
    for _ in range(rounds):
        for name, run in made.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    return {name: statistics.median(t) for name, t in times.items()}


def large(n: int, dtype: type, rounds: int, without: list[str]) -> dict[str, object]:
    """Measure big arrays and print times, the share of the floor and ratios to us."""
    name = np.dtype(dtype).name
    print(f"\n{name}, n = {n:,}, {THREADS} threads: value and gradient, milliseconds (ratio to us)")
    table = {}
    for loss in LOSSES:
        seconds = medians(contenders(loss, *data(loss, n, dtype), without), rounds)
        us = seconds["losskit"]
        table[loss] = {"seconds": seconds, "of_floor": seconds["floor"] / us}
        others = "  ".join(
            f"{k} {v * 1e3:.1f} ({v / us:.1f}x)" for k, v in seconds.items()
            if k not in ("floor", "losskit")
        )  # fmt: skip
        print(
            f"  {loss:<21} losskit {us * 1e3:.2f}  floor {seconds['floor'] * 1e3:.2f} "
            f"(we reach {seconds['floor'] / us:.2f})  {others}"
        )
    return {"dtype": name, "losses": table}


def overhead(without: list[str]) -> dict[str, object]:
    """Measure the cost of one call on small arrays, in microseconds."""
    print("\nOne call of value and gradient, float64, microseconds")
    table: dict[str, object] = {}
    for n in (100, 10_000):
        for loss in LOSSES:
            made = contenders(loss, *data(loss, n, np.float64), without)
            del made["floor"]

            def repeated(run: Callable[[], object]) -> Callable[[], object]:
                return lambda: [run() for _ in range(200)]

            seconds = medians({k: repeated(v) for k, v in made.items()}, 7)
            micro = {k: v / 200 * 1e6 for k, v in seconds.items()}
            table[f"{loss}, n={n}"] = micro
            print(f"  {loss:<21} n={n:<6} " + "  ".join(f"{k} {v:.1f}" for k, v in micro.items()))
    return table


if __name__ == "__main__":
    main()
