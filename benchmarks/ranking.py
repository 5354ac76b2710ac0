"""Ranking losses, value and gradient, against Rax under JAX's jit, in one run.

    python benchmarks/ranking.py          10,000 lists of 100 items, 100 of 1,000, 1 of 20,000

All take the same grades and scores as a matrix; rounds are interleaved and medians compared. Rax
makes an array of all pairs of a list; where that does not fit in `--memory` it is left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from kernels import THREADS, machine, medians

SIZES = ((10_000, 100), (100, 1_000), (1, 20_000))
LOSSES = {
    "pairwise_hinge": "pairwise_hinge_loss",
    "pairwise_squared_hinge": None,
    "pairwise_exponential": None,
    "pairwise_logistic": "pairwise_logistic_loss",
    "lambda_rank": "lambda",
    "softmax_ranking": "softmax_loss",
    "list_mle": "listmle_loss",
    "approx_ndcg": None,
}


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, default=2e9, help="bytes of one array of pairs")
    parser.add_argument("--grades", type=int, default=5)
    parser.add_argument("--losses", nargs="*", default=list(LOSSES))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/ranking.json"))
    options = parser.parse_args()
    import losskit

    losskit.set_num_threads(THREADS)
    results: dict[str, object] = {"machine": machine(), "tables": []}
    for lists, items in SIZES:
        rng = np.random.default_rng(0)
        y = rng.integers(0, options.grades, (lists, items)).astype(float)
        f = rng.normal(size=y.shape)
        print(f"{lists:,} lists of {items:,} items, {THREADS} threads: milliseconds")
        for name in options.losses:
            made: dict[str, Callable[[], object]] = {"losskit": _ours(name, y, f)}
            peer = LOSSES[name]
            pairs = peer is not None and ("pair" in peer or peer == "lambda")
            if peer is not None and not (pairs and 8.0 * lists * items**2 > options.memory):
                made["rax"] = _rax(peer, y, f)
            seconds = medians(made, options.rounds)
            results["tables"].append(  # type: ignore[attr-defined]
                {"lists": lists, "items": items, "loss": name, "seconds": seconds}
            )
            said = "  ".join(f"{k} {v * 1e3:.1f}" for k, v in seconds.items())
            ratio = f"  ({seconds['rax'] / seconds['losskit']:.1f}x)" if "rax" in seconds else ""
            print(f"  {name:<24}{said}{ratio}", flush=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written to {options.json}")


def _ours(name: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    import losskit

    loss = losskit.get(name)
    return lambda: loss.value_and_gradient(y, f)


def _rax(peer: str, y: np.ndarray, f: np.ndarray) -> Callable[[], object]:
    from functools import partial

    import jax
    import rax

    jax.config.update("jax_enable_x64", True)
    if peer == "lambda":
        weights = partial(rax.dcg_lambdaweight, normalize=True)
        loss = partial(rax.pairwise_logistic_loss, lambdaweight_fn=weights)
    else:
        loss = getattr(rax, peer)
    run = jax.jit(jax.value_and_grad(loss))
    scores, labels = jax.device_put(f), jax.device_put(y)
    return lambda: jax.block_until_ready(run(scores, labels))


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    main()
