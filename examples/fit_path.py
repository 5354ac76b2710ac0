"""From the best constant to no penalty at all: a path of counts, and both of its ends."""

from pathlib import Path

import numpy as np

import losskit

DATA = Path(__file__).with_name("data") / "doctor_visits.csv"
table = np.genfromtxt(DATA, delimiter=",", names=True, dtype=None, encoding="utf-8")
X = {name: table[name] for name in table.dtype.names if name != "visits"}  # one column is text
visits = table["visits"]

model = losskit.Regressor(loss="poisson", penalty="l1", standardize=True, tol=1e-9)
model.path(X, visits, alphas=60)
free = losskit.Regressor(loss="poisson", penalty=None, standardize=True, tol=1e-9).fit(X, visits)

print(f"{'alpha':>9}   mean loss + penalty   columns in the model")
entered: list[str] = []
for fit in model.path_:
    inside = np.flatnonzero(fit.coef[:, 0])
    new = [model.preprocessing_.names[j] for j in inside]
    new = [name for name in new if name not in entered]
    entered += new
    if new or fit is model.path_[0]:
        print(f"{fit.alpha:9.5f}   {fit.objective:19.5f}   {len(inside)}  {' '.join(new)}")
print(f"{0.0:9.5f}   {free.objective_:19.5f}   no penalty")

first, last = model.path_[0], model.path_[-1]
assert not first.coef.any()
assert np.isclose(np.exp(first.intercept[0]), visits.mean(), rtol=1e-12)  # the best constant
# No more than what the penalty charges the free model, which is one of those to choose from.
assert free.objective_ <= last.objective <= free.objective_ + last.alpha * np.abs(free.coef_).sum()
print(f"the first end predicts {np.exp(first.intercept[0]):.4f} visits for everybody, the mean")
print(f"the last is {last.objective - free.objective_:.1e} above the unpenalised minimum")
