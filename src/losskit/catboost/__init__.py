"""Losses in CatBoost: `loss.to("catboost")` for its own interface, and two estimators.

>>> import losskit.catboost
>>> X = [[float(i)] for i in range(90)]
>>> y = [0.0] * 45 + [8.0] * 45
>>> model = losskit.catboost.Regressor("huber", iterations=60, learning_rate=0.3).fit(X, y)
>>> abs(model.predict([[3.0], [80.0]]).round(1)).tolist()
[0.0, 8.0]
"""

from losskit.extras import require

require("catboost")

from losskit.catboost.adapter import CatBoostLoss, loss_to
from losskit.catboost.models import Classifier, Regressor

__all__ = ["CatBoostLoss", "Classifier", "Regressor", "loss_to"]
