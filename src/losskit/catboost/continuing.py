"""Training on from a model, whose raw scores have to mean to the loss what they meant before."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import catboost
import numpy as np

from losskit.boosting.estimators import Fitted
from losskit.boosting.hosts import counterpart
from losskit.several import Several

METADATA = "losskit"  # of a model, where its loss is kept: saved with it


def begun(init_model: Any) -> catboost.CatBoost | None:
    """Return a copy of a model (an estimator, CatBoost's, or its file) to train on from.

    Of a model trained on the same rows CatBoost (1.2.10) would look up the scores that it had in
    training, and forget the bias; a copy has none of that training.
    """
    if init_model is None:
        return None
    model = getattr(init_model, "model_", init_model)
    if isinstance(model, str | os.PathLike):
        return catboost.CatBoost().load_model(os.fspath(model))
    if not isinstance(model, catboost.CatBoost):
        raise TypeError(
            f"init_model is a {type(init_model).__name__}; needed is a CatBoost model, an "
            "estimator, or the path of a model's file"
        )
    return model.copy()


def told(model: catboost.CatBoost) -> Fitted | None:
    """Return what a model tells of its loss and classes, None if it has no loss of losskit's."""
    text = dict(model.get_metadata()).get(METADATA)
    return None if text is None else Fitted.from_text(text)


def check_scores(model: catboost.CatBoost, loss: Any, outputs: int) -> None:
    """Raise ValueError where a model has other scores a row, or another way back from them."""
    count = np.size(model.get_scale_and_bias()[1])
    if count != outputs:
        raise ValueError(
            f"init_model gives {count} scores a row, {loss!r} needs {outputs} of these targets"
        )
    known = told(model)
    if known is not None:
        before, name = _links(known.loss), repr(known.loss)
    else:
        name = str(model.get_all_params().get("loss_function"))
        before = _links_of_hosts().get(name.partition(":")[0], "")
    if before and before != _links(loss):
        raise ValueError(
            f"init_model was trained with {name}, which has another link than {loss!r}: raw scores "
            "of one are not those of the other; go on with its own"
        )


def _links(loss: Any) -> str:
    one = loss.members[0] if isinstance(loss, Several) else loss
    return str(one.link)


@cache
def _links_of_hosts() -> dict[str, str]:
    """Return the links of CatBoost's own objectives that a loss is equal to."""
    from losskit.catalogue import get, names

    found = {}
    for name in names():
        loss = get(name)
        own = counterpart(loss, "catboost")
        if own is not None:
            found[own.objective.partition(":")[0]] = _links(loss)
    return found
