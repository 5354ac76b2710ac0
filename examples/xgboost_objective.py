"""Any loss in XGBoost: claims that are mostly zero, by hand and by losskit."""

import numpy as np
import xgboost as xgb

import losskit
import losskit.xgboost

rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 5))
mean = np.exp(4 + 0.8 * X[:, 0] + 0.5 * X[:, 1] * (X[:, 2] > 0))
claims = rng.poisson(mean / 100) * rng.gamma(2.0, 50.0, size=4000)  # money, 0 for most people
train, test = slice(0, 3000), slice(3000, None)
loss = losskit.tweedie(power=1.5)
print(f"claims: {np.mean(claims == 0):.0%} are 0, the mean is {claims.mean():.0f}")


def by_hand(f, dtrain):
    """The derivatives of the same loss, as the documentation shows custom objectives."""
    y, half = dtrain.get_label(), np.exp(f / 2)
    return half - y / half, half / 2 + y / half / 2


settings = {"max_depth": 3, "eta": 0.05, "nthread": 1}
dtrain, dtest = xgb.DMatrix(X[train], claims[train]), xgb.DMatrix(X[test])
hand = xgb.train(settings, dtrain, 30, obj=by_hand).predict(dtest)

ours = loss.to("xgboost")
booster = ours.train(settings, dtrain, 30)
made = booster.predict(dtest)  # means, from XGBoost's own file too

print(f"by hand: predictions of {hand.mean():.2f} on average, which are logarithms from 0.5 on")
print(f"         the mean of their exponentials is {np.exp(hand).mean():.0f}")
start = np.exp(ours.start(claims[train]))
print(f"losskit: predictions of {made.mean():.0f} on average, from {start:.0f} on")
for name, prediction in (("by hand", np.exp(hand)), ("losskit", made)):
    print(f"{name:8} deviance on people it has not seen {loss(claims[test], prediction):8.2f}")
assert loss(claims[test], made) < loss(claims[test], np.exp(hand))

band = losskit.quantile(q=(0.5, 0.9, 0.99))
model = losskit.xgboost.Regressor(band, n_estimators=60, max_depth=3, n_jobs=1)
model.fit(X[train], claims[train])
predicted = model.predict(X[test])
assert (np.diff(predicted, axis=1) >= 0).all()
for q, column in zip((0.5, 0.9, 0.99), predicted.T, strict=True):
    print(f"{np.mean(claims[test] <= column):6.1%} of claims are at most the {q:.0%} quantile")
