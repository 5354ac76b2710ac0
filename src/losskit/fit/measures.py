"""Figures beside the fitted loss that cross-validation reports: metrics of held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from losskit.arrays import Array
from losskit.fit.crossvalidation import Measure
from losskit.fit.probability import estimator_of, probabilities
from losskit.fit.targets import Coding


def of_numbers(metrics: Any, predict: Callable[[Array], Array]) -> dict[str, Measure]:
    """Return measures of a regressor; `predict` turns raw scores (n, 1) into predictions (n,)."""

    def measure(metric: Any) -> Measure:
        if metric.takes != "numbers":
            raise ValueError(f"{metric!r} takes {metric.takes}; a regressor gives numbers")
        return lambda y, f, w: _figure(metric, y, predict(f.reshape(len(y), -1)), w)

    return {repr(m).rpartition(".")[2]: measure(m) for m in _named(metrics, "r2")}


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

    return {repr(m).rpartition(".")[2]: measure(m) for m in _named(metrics, "accuracy")}


def _figure(metric: Any, y: Array, predictions: Array, weight: Array) -> float:
    """Return a metric, NaN where it is undefined, as on a fold that lacks a class."""
    try:
        return float(metric(y, predictions, sample_weight=weight))
    except ValueError:
        return float("nan")


def _named(metrics: Any, default: str) -> list[Any]:
    from losskit import metrics as known

    if metrics is None:
        metrics = (default,)
    if isinstance(metrics, str | known.Metric) or not isinstance(metrics, Iterable):
        metrics = (metrics,)
    return [one if isinstance(one, known.Metric) else known.get(one) for one in metrics]
