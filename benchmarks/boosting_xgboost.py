"""Time of training in XGBoost with losskit's objective, over that with XGBoost's own.

    python benchmarks/boosting_xgboost.py [rows] [rounds] [turns]

Both train the same model on the same matrix in one process, turn by turn, so that what else the
machine does falls on both; the ratio is that of the medians. Kernels are compiled first.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import numpy as np
import xgboost as xgb

import losskit

FEATURES, THREADS = 10, 2
SETTINGS = {"nthread": THREADS, "max_depth": 6, "tree_method": "hist"}


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


def main(rows: int = 1_000_000, rounds: int = 50, turns: int = 5) -> None:
    """Print one row for each loss."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    print(f"n = {rows:,}, {FEATURES} features, {rounds} rounds, {turns} turns, {THREADS} threads, "
          f"XGBoost {xgb.__version__}, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"{'loss':26} {'XGBoost s':>10} {'ours s':>8} {'ratio':>6} {'of turns':>15}")
    for name, (loss, y) in tasks(rows).items():
        matrix = xgb.QuantileDMatrix(features, y)
        ours = loss.to("xgboost")
        own = {**SETTINGS, **ours.params(matrix)}
        ours.train(SETTINGS, matrix, 2)  # compiles
        xgb.train(own, matrix, 2)
        pairs = [
            (
                seconds(lambda m=matrix, p=own: xgb.train(p, m, rounds)),
                seconds(lambda m=matrix, o=ours: o.train(SETTINGS, m, rounds)),
            )
            for _ in range(turns)
        ]
        host, our = (statistics.median(column) for column in zip(*pairs, strict=True))
        each = sorted(b / a for a, b in pairs)
        print(
            f"{name:26} {host:10.2f} {our:8.2f} {our / host:6.2f} {each[0]:7.2f}–{each[-1]:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
