"""Training on from a model, whose raw scores have to mean to the loss what they meant before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost as xgb

from losskit.arrays import Array


def begun(xgb_model: Any) -> xgb.Booster:
    """Return a copy of a model (an estimator, a booster, its file or bytes) to train on from.

    Without the best iteration of its own early stopping: it would stay that of the longer model,
    and predictions would end there.
    """
    if hasattr(xgb_model, "get_booster"):
        xgb_model = xgb_model.get_booster()
    if isinstance(xgb_model, xgb.Booster):
        model = xgb_model.copy()
    elif isinstance(xgb_model, str | os.PathLike | bytes | bytearray):
        data = bytearray(xgb_model) if isinstance(xgb_model, bytes) else xgb_model
        model = xgb.Booster(model_file=data)
    else:
        raise TypeError(
            f"xgb_model is a {type(xgb_model).__name__}; needed is a Booster, an estimator, the "
            "path of a model's file, or its bytes"
        )
    model.set_attr(best_iteration=None, best_score=None)
    return model


def check_scores(model: xgb.Booster, params: Mapping[str, Any], loss: Any, outputs: int) -> None:
    """Raise ValueError where a model has other scores a row, or others under these parameters.

    XGBoost keeps `base_score` behind the link of what was declared, and reads it by the link of
    what is declared now.
    """
    scores = _scores_of_nothing(model)
    if scores.size != outputs:
        raise ValueError(
            f"xgb_model gives {scores.size} scores a row, {loss!r} needs {outputs} of these targets"
        )
    seen = _scores_of_nothing(xgb.Booster(dict(params), model_file=model))
    if not np.allclose(seen, scores, rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"xgb_model was trained with another link than that of {loss!r}: of missing features "
            f"its raw score is {scores[0]:.6g}, and with this {seen[0]:.6g}; go on with its own"
        )


def _scores_of_nothing(model: xgb.Booster) -> Array:
    """Return the raw scores (outputs,) of a row whose features are all missing."""
    row = xgb.DMatrix(np.full((1, model.num_features()), np.nan))
    return model.predict(row, output_margin=True, validate_features=False).reshape(-1)
