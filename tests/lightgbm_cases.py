"""Data and settings of the tests of losses in LightGBM."""

import numpy as np
from sklearn.datasets import load_diabetes

QUIET = {"verbosity": -1, "num_threads": 1, "seed": 0}


def diabetes():
    """Return features and progression of 442 patients."""
    return load_diabetes(return_X_y=True)


def visits():
    """Return features and counts of visits to a doctor, every fifth of the table."""
    table = np.genfromtxt(
        "examples/data/doctor_visits.csv", delimiter=",", skip_header=1, usecols=range(7)
    )[::5]
    return table[:, 1:], table[:, 0]


def weights(rows):
    return np.random.default_rng(4).uniform(0.1, 3.0, rows).astype(np.float32)


def example(loss, rows=300):
    """Return features and targets that they tell something of."""
    rng = np.random.default_rng(7)
    domain = loss.target_domain if loss.kind == "pointwise" else None
    if domain is None:
        y = rng.integers(0, 3, rows).astype(float)
    elif domain.values or domain.upper == 1:
        y = rng.choice(domain.values or (0.0, 1.0), rows)
    else:
        y = rng.normal(0, 1.5, rows) if domain.lower < -1 else rng.gamma(2, 2, rows) + 0.5
    noise = rng.normal(size=(rows, 3))
    return np.column_stack([y + 0.3 * noise[:, 0], noise[:, 1:]]), y
