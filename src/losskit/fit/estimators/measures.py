"""Figures beside the fitted loss that cross-validation reports: metrics of held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.fit.crossvalidation import Measure
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.inputs.targets import Coding


def of_numbers(metrics: Any, predict: Callable[[Array], Array]) -> dict[str, Measure]:
    """Return measures of a regressor; `predict` turns raw scores (n, 1) into predictions (n,)."""

    def measure(metric: Any) -> Measure:
        if metric.takes != "numbers":
            raise ValueError(f"{metric!r} takes {metric.takes}; a regressor gives numbers")
        return lambda y, f, w: _figure(metric, y, predict(f.reshape(len(y), -1)), w)

    return {_name(m): measure(m) for m in _named(metrics, "r2")}


def of_classes(metrics: Any, loss: Any, coding: Coding) -> dict[str, Measure]:
    """Return measures of a classifier of one class in each row."""

    def classes(y: Array) -> Array:
        if coding.layout == "index":
            return y
        return y.argmax(axis=1) if coding.layout == "each" else (y > 0).astype(int)

    def predicted(takes: str, scores: Array) -> Array:
        if takes == "labels":
            return coding.codes(coding.decision(scores), columns=False)
        if takes == "probabilities":
            return probabilities(loss, coding, scores, columns=False)
        return coding.decision(scores)

    def measure(metric: Any) -> Measure:
        if metric.takes not in ("labels", "probabilities", "scores"):
            raise ValueError(
                f"{metric!r} takes {metric.takes}; a classifier gives labels, probabilities and "
                "scores"
            )
        if metric.takes == "probabilities" and estimator_of(loss, coding) is None:
            raise ValueError(f"{metric!r} needs probabilities, which {loss!r} does not tell")
        return lambda y, f, w: _figure(
            metric, classes(y), predicted(metric.takes, f.reshape(len(y), -1)), w
        )

    return {_name(m): measure(m) for m in _named(metrics, "accuracy")}


def _figure(metric: Any, y: Array, predictions: Array, weight: Array) -> float:
    """Return a metric, NaN where it is undefined, as on a fold that lacks a class."""
    plain = _PLAIN.get(repr(metric))
    if plain is not None:
        return plain(y, predictions, weight)
    try:
        return float(metric(y, predictions, sample_weight=weight))
    except ValueError:
        return float("nan")


def _accuracy(y: Array, predictions: Array, weight: Array) -> float:
    return float(weight[y == predictions].sum() / weight.sum())


def _r2(y: Array, predictions: Array, weight: Array) -> float:
    spread = float(weight @ np.square(y - np.average(y, weights=weight)))
    missed = float(weight @ np.square(y - predictions))
    return 1 - missed / spread if spread > 0 else float("nan")


# What is reported by default, hundreds of times in a cross-validation, without the checks of data
# from outside that cost a millisecond each; a test compares them with the metrics.
_PLAIN = {"losskit.metrics.accuracy": _accuracy, "losskit.metrics.r2": _r2}


def _name(metric: Any) -> str:
    return repr(metric).removeprefix("losskit.metrics.")


def _named(metrics: Any, default: str) -> list[Any]:
    from losskit import metrics as known

    if metrics is None:
        metrics = (default,)
    if isinstance(metrics, str | known.Metric) or not isinstance(metrics, Iterable):
        metrics = (metrics,)
    return [one if isinstance(one, known.Metric) else known.get(one) for one in metrics]
