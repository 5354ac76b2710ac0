"""Your own loss in LightGBM: too little costs four times as much as too much, and is fitted so."""

import lightgbm as lgb
import numpy as np
from sklearn.datasets import load_diabetes

import losskit
import losskit.lightgbm
from losskit.formula import REAL, maximum


@losskit.loss(target=REAL, optimum="the 80 % quantile")
def shortage(y, f):
    """Charges 4 for each unit predicted too low and 1 for each too high."""
    r = f - y
    return maximum(-4 * r, r)


X, y = load_diabetes(return_X_y=True)
test = np.random.default_rng(0).permutation(len(y)) < 142
settings = {
    "n_estimators": 80,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "verbosity": -1,
    "n_jobs": 1,
}

# One line.
model = losskit.lightgbm.Regressor(shortage, **settings).fit(X[~test], y[~test])


# As LightGBM's documentation shows it: no start, and of a straight loss no curvature.
def by_hand(y_true, y_pred):
    """Return slopes, and ones for a curvature."""
    return np.where(y_pred < y_true, -4.0, 1.0), np.ones_like(y_pred)


written = lgb.LGBMRegressor(objective=by_hand, **settings).fit(X[~test], y[~test])
usual = lgb.LGBMRegressor(**settings).fit(X[~test], y[~test])

print(f"{'cost for a patient that the model has not seen':48}{'too low':>10}")
costs = {}
for name, one in (
    ("losskit.lightgbm.Regressor(shortage)", model),
    ("LightGBM, squared error", usual),
    ("LightGBM, the same loss written by hand", written),
):
    predicted = one.predict(X[test])
    costs[name] = shortage(y[test], predicted)
    print(f"{name:41}{costs[name]:7.1f}{np.mean(predicted < y[test]):10.0%}")
assert min(costs, key=costs.get).startswith("losskit")

print(f"training began at {model.start_:.0f}, the best constant; by hand it began at 0")
print(f"curvature: {model.curvature_}, as {model.curvature_why_}")

# LightGBM alone reads the file, and predicts the same.
booster = lgb.Booster(model_str=model.booster_.model_to_string())
assert np.array_equal(booster.predict(X[test]), model.predict(X[test]))

# LightGBM's own interface.
ours = losskit.poisson.to("lightgbm", curvature="host")
params = {"verbosity": -1, "num_threads": 1}
one = ours.train(params, lgb.Dataset(X, y), num_boost_round=30)
own = lgb.train({**params, "objective": "poisson"}, lgb.Dataset(X, y), num_boost_round=30)
print(f"Poisson, ours and LightGBM's own: {np.abs(one.predict(X) / own.predict(X) - 1).max():.0e}")
