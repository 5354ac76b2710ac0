"""Metrics to read beside losses: what is judged by, but has no gradient to train with.

>>> import losskit.metrics
>>> losskit.metrics.accuracy([0, 1, 1], [0, 1, 0])
0.6666666666666666
>>> losskit.metrics.ndcg(k=10)
losskit.metrics.ndcg(k=10)
"""

from typing import Any

from losskit.metrics.classification import (
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    f1,
    precision,
    recall,
)
from losskit.metrics.definition import Metric, get, names
from losskit.metrics.probability import (
    brier,
    expected_calibration_error,
    perplexity,
    perplexity_of_tokens,
)
from losskit.metrics.ranking import mean_average_precision, mean_reciprocal_rank, ndcg
from losskit.metrics.regression import d2, explained_variance, r2
from losskit.metrics.translation import bleu

__all__ = [
    "Metric",
    "accuracy",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "bleu",
    "brier",
    "d2",
    "expected_calibration_error",
    "explained_variance",
    "f1",
    "get",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "names",
    "ndcg",
    "perplexity",
    "perplexity_of_tokens",
    "precision",
    "r2",
    "recall",
]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return get(name)  # aliases
    except ValueError as error:
        raise AttributeError(
            f"module 'losskit.metrics' has no attribute {name!r}: {error}"
        ) from None
