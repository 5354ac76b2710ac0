"""How learning works: seven ways down the same slope, with every step kept."""

import warnings

import numpy as np

import losskit
from losskit.fit.fitting import NotConverged
from losskit.fit.solvers.gradient_descent import GradientDescent, Momentum, Nesterov
from losskit.fit.solvers.stochastic import SGD, AdaGrad, Adam, RMSProp

rng = np.random.default_rng(0)
X = rng.normal(size=(1000, 8)) @ np.diag(np.geomspace(1.0, 0.1, 8))  # a long narrow valley
y = rng.random(1000) < 1 / (1 + np.exp(-X @ np.full(8, 3.0)))

best = losskit.Classifier(alpha=1e-4, tol=1e-10).fit(X, y)
print(f"the minimum is {best.objective_:.6f}, by {best.solver_} in {best.n_iter_} iterations")

rounds = (0, 1, 3, 10, 30, 100)  # a round is a step, or of the last four an epoch of batches
print(f"\n{'above it in':18}", *(f"{f'round {p}':>10}" for p in rounds))
left = {}
for solver in (
    GradientDescent(),
    Momentum(),
    Nesterov(),
    SGD(random_state=0),
    AdaGrad(random_state=0),
    RMSProp(random_state=0),
    Adam(random_state=0),
):
    model = losskit.Classifier(alpha=1e-4, solver=solver, tol=1e-9, max_iter=100)
    with warnings.catch_warnings(action="ignore", category=NotConverged):
        model.fit(X, y)
    left[solver.name] = [step.objective - best.objective_ for step in model.history_]
    print(f"{solver.name:18}", *(f"{left[solver.name][p]:10.1e}" for p in rounds))

assert all(above[100] >= -1e-12 for above in left.values())  # nobody gets below a minimum
assert left["nesterov"][100] < left["gradient_descent"][100] / 10
