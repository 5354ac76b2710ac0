"""The loss of evaluation sets after each round, unrounded.

XGBoost writes what `custom_metric` returns with six decimals and reads it back, so that a loss of
1e-8, of targets about 1e-4, is 0 from the first round on and stops early there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import xgboost as xgb


class Evaluation(xgb.callback.TrainingCallback):
    """Adds the metric of each evaluation set to the log, before other callbacks read it."""

    def __init__(
        self,
        metric: Callable[[Any, Any], tuple[str, float]],
        evals: Sequence[tuple[xgb.DMatrix, str]],
    ) -> None:
        super().__init__()
        self._metric = metric
        self._evals = list(evals)

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict[str, Any]) -> bool:
        """Evaluate all sets; never stops the training."""
        for data, where in self._evals:
            scores = model.predict(data, output_margin=True)
            name, value = self._metric(scores, data)
            evals_log.setdefault(where, {}).setdefault(name, []).append(value)
        return False
