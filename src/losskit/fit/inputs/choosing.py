"""Which loss a model is fitted with: the one that was named, or that the target's type asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.fit.inputs.targets import Classes
from losskit.fit.objective.shape import shape_of
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.several import Several

AUTO = "auto"
_ASKED = "as asked for"


def loss_of_numbers(given: Any, y: Array) -> tuple[Any, str]:
    """Return a regressor's loss (or `Several`) for targets (n,) or (n, m), and why this one.

    "auto" is `poisson` for counts, whole numbers from 0 up with a 0 and more than 0 and 1 among
    them, and `squared_error` for all others.
    """
    if not _is_auto(given):
        return _usable(given, "a Regressor"), _ASKED
    if (y >= 0).all() and y.min() == 0 and y.max() > 1 and (y == np.floor(y)).all():
        return get("poisson"), "the target holds counts: whole numbers from 0 up"
    return get("squared_error"), "the target holds numbers"


def loss_of_classes(given: Any, classes: Classes) -> tuple[Any, str]:
    """Return a classifier's loss, and why this one.

    "auto" is `binary_cross_entropy` for two classes, or for each of several labels, and
    `cross_entropy` for more classes; "log_loss" is one of these as well.
    """
    flat = classes.columns or len(classes.labels) == 2
    if not _is_auto(given):
        named = _named(given)
        if isinstance(named, ByRank):
            named = named.of_rank(1 if flat else 2)
        return _usable(named, "a Classifier"), _ASKED
    if classes.columns:
        return get("binary_cross_entropy"), "the target holds labels, of which a row has any number"
    if flat:
        return get("binary_cross_entropy"), "the target holds two classes"
    return get("cross_entropy"), f"the target holds {len(classes.labels)} classes"


def _is_auto(given: Any) -> bool:
    return isinstance(given, str) and given == AUTO


def _usable(given: Any, model: str) -> Any:
    """Return the loss, after `shape_of` has seen whether a linear model can be fitted to it."""
    loss = _named(given)
    if isinstance(loss, ByRank):
        raise ValueError(
            f"{loss!r} is a loss of classes, which {model} is not fitted to; a losskit.Classifier "
            "is"
        )
    for one in loss.members if isinstance(loss, Several) else (loss,):
        inputs = () if one.kind == "pointwise" else one.definition.inputs
        if any(data.falling for _, data in inputs):
            raise Unsupported(
                f"{one.name} needs scores that fall from level to level, which scores with "
                "coefficients of their own do not; fit cross_entropy"
            )
        shape_of(one)
    return loss


def _named(given: Any) -> Any:
    if isinstance(given, Loss | ByRank | Several):
        return given
    metric = _metric(given)
    if metric is not None:
        raise TypeError(
            f"loss={given!r} is a metric, to be read and not trained with: losskit.metrics."
            f"{metric.name}; the usual loss to train with is {metric.surrogate}"
        )
    if not isinstance(given, str):
        raise TypeError(
            f"loss={given!r:.60}; needed is 'auto', a name such as 'huber', or a losskit.Loss"
        )
    return get(given)


def _metric(given: Any) -> Any:
    from losskit import metrics

    if isinstance(given, metrics.Metric) or not isinstance(given, str):
        return given if isinstance(given, metrics.Metric) else None
    try:
        return metrics.get(given)
    except ValueError:  # a loss, or nothing
        return None
