"""Small tables to score and the plain arithmetic to compare with."""

import math

import numpy as np

import losskit

EPS = np.finfo(float).eps


def write(folder, name="a.csv", **columns):
    """A table of columns given as lists; text stands as it is, None is blank."""
    path = folder / name
    rows = zip(*columns.values(), strict=True)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    path.write_text("\n".join([",".join(columns), *map(",".join, cells)]) + "\n")
    return path


def score(path, prediction="p", **options):
    return losskit.evaluate(path, target="y", prediction=prediction, **options)


def expected(losses, weights=None):
    """Mean and standard error of a list of losses by exact sums."""
    w = np.ones(len(losses)) if weights is None else np.asarray(weights, float)
    total = math.fsum(w)
    mean = math.fsum(w * losses) / total
    return mean, math.sqrt(math.fsum((w * (losses - mean)) ** 2)) / total


def cross_entropy(y, p):
    p = np.clip(p, EPS, 1 - EPS)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))
