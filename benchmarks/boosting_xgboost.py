"""Time of training in XGBoost with losskit's objective, over that with XGBoost's own.

    python benchmarks/boosting_xgboost.py [rows] [rounds] [threads]

Three boosters train the same model on the same matrix in one process, round by round in turns, so
that what else the machine does falls on all: XGBoost's own objective, ours, and one that is handed
the derivatives which ours just computed, which is what XGBoost itself makes any objective from
Python cost. Printed are the sums over all rounds, their ratio, and the median and quartiles of the
rounds' own ratios. Kernels are compiled first.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import xgboost as xgb

import losskit
from losskit.xgboost.rounds import Rounds

FEATURES = 10
SETTINGS = {"max_depth": 6, "tree_method": "hist"}


def tasks(rows: int) -> dict[str, tuple[object, np.ndarray]]:
    """Return losses that XGBoost has too, with targets."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=rows)
    return {
        "squared_error": (losskit.squared_error, signal + rng.normal(size=rows)),
        "logistic": (losskit.binary_cross_entropy, (signal > rng.normal(size=rows)).astype(float)),
        "poisson": (losskit.poisson, rng.poisson(np.exp(signal / 2)).astype(float)),
        "cross_entropy, 3 classes": (losskit.cross_entropy, rng.integers(0, 3, rows)),
        "absolute_error": (losskit.absolute_error, signal + rng.normal(size=rows)),
    }


def seconds(train: object) -> float:
    """Return how long a function takes."""
    began = time.perf_counter()
    train()
    return time.perf_counter() - began


def rounds_of(loss: object, features: np.ndarray, y: np.ndarray, count: int, threads: int):
    """Return the seconds of each round, (count, 3): XGBoost's own objective, ours, handed over."""
    matrix = xgb.QuantileDMatrix(features, y, nthread=threads)
    ours = loss.to("xgboost")
    params = {**SETTINGS, "nthread": threads, **ours.params(matrix)}
    rounds = Rounds(ours.core, matrix.get_label(), None, None)  # as `ours.train` calls it
    xgb.train(params, matrix, 2, obj=rounds)  # compiles
    own, made, bare = (xgb.Booster(params, [matrix]) for _ in range(3))
    taken, last = np.empty((count, 3)), []

    def kept(f: np.ndarray, dtrain: xgb.DMatrix) -> tuple[np.ndarray, ...]:
        last[:] = rounds(f, dtrain)
        return tuple(last)

    for i in range(count):
        turns = [
            lambda i=i: own.update(matrix, i),
            lambda i=i: made.update(matrix, i, fobj=kept),
            lambda i=i: bare.update(matrix, i, fobj=lambda f, dtrain: tuple(last)),
        ]
        for place in (0, 1, 2) if i % 2 else (1, 2, 0):
            taken[i, place] = seconds(turns[place])
    # Gradients are rounded in another order, which may move a split of equal gain in late rounds.
    far = np.abs(own.predict(matrix) - made.predict(matrix)) > 1e-3 * np.ptp(own.predict(matrix))
    assert far.mean() < 0.01, far.mean()
    return taken


def main(rows: int = 1_000_000, rounds: int = 50, threads: int = 2) -> None:
    """Print one row for each loss."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    print(f"n = {rows:,}, {FEATURES} features, {rounds} rounds, {threads} threads, XGBoost "
          f"{xgb.__version__}, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(
        f"{'loss':26} {'XGBoost s':>10} {'ours s':>8} {'ratio':>6}   rounds' quartiles  handed over"
    )
    for name, (loss, y) in tasks(rows).items():
        taken = rounds_of(loss, features, y, rounds, threads)
        host, our, _ = taken.sum(axis=0)
        floor = np.median(taken[:, 2] / taken[:, 0])
        low, middle, high = np.quantile(taken[:, 1] / taken[:, 0], (0.25, 0.5, 0.75))
        print(f"{name:26} {host:10.2f} {our:8.2f} {our / host:6.2f}   {low:.2f} {middle:.2f} "
              f"{high:.2f}  {floor:16.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
