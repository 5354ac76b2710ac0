"""Huber's loss in CatBoost: its start, its curvature and its file, without a line by hand."""

import tempfile
from pathlib import Path

import catboost
import numpy as np
from sklearn.datasets import load_diabetes

import losskit
import losskit.catboost

X, y = load_diabetes(return_X_y=True)
test = np.random.default_rng(0).permutation(len(y)) < 142
y = np.where(np.arange(len(y)) % 20 == 0, 40 * y, y)  # every twentieth record in other units
settings = {"iterations": 60, "depth": 3, "learning_rate": 0.1, "thread_count": 1}

huber = losskit.huber(delta=30.0)
model = losskit.catboost.Regressor(huber, **settings).fit(X[~test], y[~test])


class ByHand:
    """The same loss as CatBoost's documentation shows it: derivatives of what is maximised."""

    def calc_ders_range(self, approxes, targets, weights):
        """Return both derivatives of each row."""
        made = []
        for i in range(len(targets)):
            made.append((min(max(targets[i] - approxes[i], -30.0), 30.0), -1.0))
        return made


quiet = {**settings, "logging_level": "Silent", "allow_writing_files": False}
written = catboost.CatBoost({**quiet, "loss_function": ByHand(), "eval_metric": "RMSE"})
written.fit(X[~test], y[~test])
usual = catboost.CatBoost({**quiet, "loss_function": "RMSE"}).fit(X[~test], y[~test])

right = test & (np.arange(len(y)) % 20 != 0)
print(f"{'mean absolute error on records in the right units':52}")
errors = {}
for name, one in (
    ("losskit.catboost.Regressor(huber(delta=30))", model),
    ("CatBoost, squared error", usual),
    ("CatBoost, the same loss written by hand", written),
):
    errors[name] = losskit.absolute_error(y[right], np.asarray(one.predict(X[right])))
    print(f"{name:45}{errors[name]:7.1f}")
assert min(errors, key=errors.get).startswith("losskit")
print(f"training began at {model.start_:.0f}, the best constant; by hand it began at 0")
print(f"curvature: {model.curvature_}, as {model.curvature_why_}")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.cbm"
    model.save_model(path)
    again = losskit.catboost.Regressor().load_model(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    print("read from its file:", again.loss_)
