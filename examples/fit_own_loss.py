"""A cost of your own, fitted to a stated accuracy, saved without pickle and loaded again."""

import tempfile
from pathlib import Path

import numpy as np

import losskit
from losskit.formula import REAL, Positive, where


@losskit.loss(target=REAL)
def stock_cost(y, f, shortage: Positive = 9.0):
    """Costs the square of what is left over, and `shortage` times that of what is missing."""
    r = f - y
    return where(r < 0, shortage * r * r, r * r)


rng = np.random.default_rng(0)
X = rng.uniform(size=(3000, 2))  # temperature and holidays, say
demand = 20 + 30 * X[:, 0] + rng.gamma(2.0, 2.0 + 6.0 * X[:, 1])
train = np.arange(3000) < 2000

print("slope, by the formula:", stock_cost.gradient([20.0, 20.0], [18.0, 22.0], reduction="none"))
print("convex, with curvature in", stock_cost.properties.curvature)

costs = {}
for loss in (losskit.squared_error, stock_cost):
    model = losskit.Regressor(loss, tol=1e-10).fit(X[train], demand[train])
    ordered = model.predict(X[~train])
    costs[loss.name] = stock_cost(demand[~train], ordered)
    print(f"\nfitted with {loss.name}: weights {model.coef_.round(1)}")
    print(f"  sold out on {np.mean(demand[~train] > ordered):.0%} of unseen days", end=", ")
    print(f"cost {costs[loss.name]:.1f} a day")
    print(f"  {model.certificate_} by {model.solver_}")

assert costs["stock_cost"] < costs["squared_error"]

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "stock.losskit"
    model.save(file)
    loaded = losskit.load(file)  # by whoever has the file: the loss travels as its formula
    print(f"\n{file.name}: {file.stat().st_size} bytes, {loaded.loss_!r}")
    assert (loaded.predict(X) == model.predict(X)).all()
    assert loaded.loss_(demand, loaded.predict(X)) == stock_cost(demand, model.predict(X))
