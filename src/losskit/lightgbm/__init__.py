"""Losses in LightGBM: `loss.to("lightgbm")` for its own interfaces, and two estimators.

>>> import losskit.lightgbm
>>> X = [[float(i)] for i in range(90)]
>>> y = [0.0] * 45 + [8.0] * 45
>>> model = losskit.lightgbm.Regressor("huber", n_estimators=60, verbosity=-1, n_jobs=1).fit(X, y)
>>> model.predict([[3.0], [80.0]]).round(1).tolist()
[0.0, 8.0]
"""

from losskit.extras import require

require("lightgbm")

from losskit.lightgbm.adapter import LightGBMLoss, loss_to
from losskit.lightgbm.models import Classifier, Regressor

__all__ = ["Classifier", "LightGBMLoss", "Regressor", "loss_to"]
