"""What training by our objective costs beside LightGBM's own, n = 10⁶, 50 rounds.

    python benchmarks/boosting_lightgbm.py --threads 1

Three boosters take turns round by round, so that other work on the machine hits them alike: its
own objective, ours, and one that is handed the derivatives which ours just computed, which is what
LightGBM itself makes any objective from Python cost. "once" is what ours does before the first
round and after the last: the best constant, and the model's text. The ratio is of all of it, by the
clock and in seconds of the processor; the medians are those of the rounds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np

import losskit
from losskit.lightgbm.finishing import finish
from losskit.lightgbm.starting import repeated

CASES: dict[str, tuple[Any, str, str]] = {
    "squared error": (losskit.squared_error, "regression", "host"),
    "logistic": (losskit.binary_cross_entropy, "binary", "host"),
    "Poisson": (losskit.poisson, "poisson", "host"),
    "absolute error": (losskit.absolute_error, "regression_l1", "auto"),
}


def main() -> None:
    """Print a line for each loss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    losskit.set_num_threads(asked.threads)
    params = {"verbosity": -1, "num_threads": asked.threads}
    rng = np.random.default_rng(0)
    X = rng.normal(size=(asked.rows, 10)).astype(np.float32)
    signal = X[:, 0] + X[:, 1] * X[:, 2] + np.abs(X[:, 3])
    print(f"lightgbm {lgb.__version__}, {asked.rows} rows x 10, {asked.rounds} rounds, "
          f"{asked.threads} threads, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"{'loss':16}{'built-in':>10}{'ours':>9}{'once':>8}"
          f"{'ratio':>8}{'processor':>11}{'median':>8}{'handed over':>13}")  # fmt: skip
    for name, (loss, own, curvature) in CASES.items():
        data = lgb.Dataset(X, target(name, signal, rng), params=params).construct()
        ours = loss.to("lightgbm", curvature=curvature)
        theirs, mine, handed, once = raced(ours, own, data, params, asked.rounds)
        clock, processor = ((mine[:, k].sum() + once[k]) / theirs[:, k].sum() for k in (0, 1))
        median, floor = (np.median(one[:, 0] / theirs[:, 0]) for one in (mine, handed))
        print(f"{name:16}{theirs[:, 0].sum():9.2f}s{mine[:, 0].sum():8.2f}s{once[0]:7.2f}s"
              f"{clock:8.2f}{processor:11.2f}{median:8.2f}{floor:13.2f}", flush=True)  # fmt: skip


def raced(
    ours: Any, own: str, data: lgb.Dataset, params: dict[str, Any], rounds: int
) -> tuple[Any, Any, Any, Any]:
    """Return seconds of each round of theirs, ours and what is handed over, (rounds, 2), and of
    what is done once.
    """
    label = data.get_label()
    warm = ours.in_turns()
    for _ in range(2):  # compiles the kernels of the first round and of the others
        warm(label, np.full(len(label), ours.start(label)))
    built_in = lgb.Booster({**params, "objective": own}, data)
    starts: list[float] = []

    def begin() -> None:
        starts.append(ours.start(label))
        data.set_init_score(repeated(starts[0], len(label)))

    once = np.array(timed(begin))
    custom = lgb.Booster({**params, "objective": "none"}, data)
    bare = lgb.Booster({**params, "objective": "none"}, data)
    objective, last = ours.in_turns(), []

    def kept(f: Any, dataset: Any) -> Any:
        last[:] = objective(f, dataset)
        return last

    turns = [
        (
            timed(built_in.update),
            timed(lambda: custom.update(fobj=kept)),
            timed(lambda: bare.update(fobj=lambda f, dataset: last)),
        )
        for _ in range(rounds)
    ]
    once += timed(lambda: finish(custom, ours.loss, starts[0]))
    return *np.array(turns).transpose(1, 0, 2), once


def target(name: str, signal: Any, rng: Any) -> Any:
    """Return targets that a loss takes."""
    if name == "logistic":
        return (signal + rng.logistic(size=len(signal)) > 1).astype(np.float32)
    if name == "Poisson":
        return rng.poisson(np.exp(np.clip(0.4 * signal, -3, 3))).astype(np.float32)
    return (signal + rng.normal(size=len(signal))).astype(np.float32)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds of a run, by the clock and of the processor."""
    begin = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


if __name__ == "__main__":
    main()
