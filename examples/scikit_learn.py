"""One question, one loss, all of scikit-learn: choose, boost and judge a 90 % quantile."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from threadpoolctl import threadpool_limits

import losskit
from losskit.sklearn import HistRegressor, scorer

threadpool_limits(1)  # trees of so few rows are grown in less time than it takes threads to meet

rng = np.random.default_rng(0)
hour = rng.uniform(0, 24, size=(1200, 1))
level = 20 + 10 * np.sin(hour[:, 0] / 24 * 2 * np.pi)
demand = level + rng.gamma(2.0, 1 + hour[:, 0] / 6)  # later in the day it varies more
known, new, known_demand, new_demand = train_test_split(hour, demand, random_state=0)

pinball = losskit.quantile(q=0.9)
judge = scorer(pinball)  # minus the mean loss: greater is better

models = {
    "trees of the mean": HistGradientBoostingRegressor(max_iter=60),
    "trees of the quantile": HistRegressor(pinball, max_iter=60),
    "linear, splines": GridSearchCV(
        make_pipeline(SplineTransformer(), losskit.Regressor(pinball)),
        {"splinetransformer__n_knots": [2, 4, 7]},
        scoring=judge,
        cv=3,
    ),
}
print(f"{'on new days':24}{'pinball loss':>14}{'demand met':>13}")
for name, model in models.items():
    model.fit(known, known_demand)
    met = np.mean(new_demand <= model.predict(new))
    print(f"{name:24}{-judge(model, new, new_demand):14.3f}{met:13.1%}", flush=True)
print("knots chosen:", models["linear, splines"].best_params_["splinetransformer__n_knots"])
