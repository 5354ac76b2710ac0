"""One question, one loss, all of scikit-learn: choose, judge and boost a 90 % quantile."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

import losskit
from losskit.sklearn import HistRegressor, scorer

rng = np.random.default_rng(0)
hour = rng.uniform(0, 24, size=(1500, 1))
level = 20 + 10 * np.sin(hour[:, 0] / 24 * 2 * np.pi)
demand = level + rng.gamma(2.0, 1 + hour[:, 0] / 6)  # later in the day it varies more

pinball = losskit.quantile(q=0.9)
judge = scorer(pinball)  # minus the mean loss: greater is better

models = {
    "trees of the mean": HistGradientBoostingRegressor(max_iter=60),
    "trees of the quantile": HistRegressor(pinball, max_iter=60),
    "linear, splines": GridSearchCV(
        make_pipeline(SplineTransformer(), losskit.Regressor(pinball)),
        {"splinetransformer__n_knots": [4, 7, 10]},
        scoring=judge,
        cv=3,
    ),
}
print(f"{'':24}{'pinball loss':>14}{'demand met':>13}")
for name, model in models.items():
    loss = -cross_val_score(model, hour, demand, scoring=judge, cv=3).mean()
    met = np.mean(demand <= model.fit(hour, demand).predict(hour))
    print(f"{name:24}{loss:14.3f}{met:13.1%}")
