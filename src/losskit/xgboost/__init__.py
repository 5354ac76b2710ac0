"""Any loss in XGBoost: objective, metric, start and predictions, and estimators of one line.

>>> import losskit.xgboost
>>> X = [[float(i)] for i in range(40)]
>>> model = losskit.xgboost.Regressor("huber", n_estimators=50).fit(X, [3.0 * x[0] for x in X])
>>> bool(abs(model.predict([[20.0]])[0] - 60) < 3)
True

`adapter` has what `loss.to("xgboost")` gives, `declared` what XGBoost is told beside a custom
objective, `models` the estimators.
"""

from losskit.extras import require

require("xgboost")

from losskit.xgboost.adapter import XGBoostLoss, loss_to
from losskit.xgboost.models import Classifier, Regressor

__all__ = ["Classifier", "Regressor", "XGBoostLoss", "loss_to"]
