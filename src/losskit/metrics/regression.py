"""Metrics of predicted numbers: the share of the target's spread that is explained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from losskit.arrays import Array, batch
from losskit.formula.expr import Unsupported
from losskit.metrics.definition import Needs, metric
from losskit.metrics.rows import Data, Rows, class_index, numbers, read
from losskit.reduction import ratio, total

LossOrName = Annotated[
    Any,
    Needs("a loss or its name", lambda v: isinstance(v, str) or hasattr(v, "optimal_constant")),
]


_FAR = 2.0**900  # finite, but its square is not


@metric(better="higher", takes="numbers", surrogate="squared_error")
def r2(data: Data) -> float:
    """The share of the target's variance that predictions explain: 1 is perfect, 0 what the mean
    does, and worse is negative.

    `y_true` and `y_pred` have shape (n,). A constant `y_true` has no variance: ValueError.

    >>> import losskit.metrics
    >>> losskit.metrics.r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    from sklearn.metrics import r2_score

    return _of_variance(r2_score, numbers(data))


@metric(better="higher", takes="numbers", surrogate="squared_error")
def explained_variance(data: Data) -> float:
    """The share of the target's variance that is not in the residuals' variance: R² that forgives
    a constant offset.

    `y_true` and `y_pred` have shape (n,). A constant `y_true` has no variance: ValueError.

    >>> import losskit.metrics
    >>> losskit.metrics.explained_variance([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    1.0
    """
    from sklearn.metrics import explained_variance_score

    return _of_variance(explained_variance_score, numbers(data))


@metric(
    better="higher",
    takes="numbers",
    surrogate="{loss}",
    options=("sample_weight", "mask", "raw"),
)
def d2(data: Data, *, loss: LossOrName = "squared_error") -> float:
    """The share of a loss that predictions save against the best constant: R² for any loss.

    1 is the least loss possible, 0 what `loss.optimal_constant(y_true)` does. Data are those of
    `loss`. D² of "squared_error" is R², of "poisson", "gamma" and "tweedie" the share of deviance,
    of "quantile" and "absolute_error" scikit-learn's `d2_pinball_score` and
    `d2_absolute_error_score`, of "log_loss" its `d2_log_loss_score`, also with class indexes and a
    last axis of class probabilities. A constant `y_true` leaves nothing to explain: ValueError.

    >>> import losskit.metrics
    >>> losskit.metrics.d2(loss="absolute_error")([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    # scikit-learn has five of these; one definition serves every loss, and the tests compare them.
    from losskit.catalogue import get

    made = get(loss)
    if hasattr(made, "of_rank"):
        made = made.of_rank(np.ndim(data.y_pred))
    if made.kind == "rows" and made.definition.axis == "class":
        y, weight, shape = _classes(made, data)
    elif made.kind == "pointwise":
        y, weight, shape = _numbers(made, data)
    else:
        raise Unsupported(f"d2: {made!r} has no optimal constant to compare with")
    value = made(data.y_true, data.y_pred, raw=data.raw, sample_weight=data.sample_weight,
                 mask=data.mask)  # fmt: skip
    if (y == y[0]).all():
        raise ValueError(f"d2: y_true is constant ({_shown(y[0])}): there is nothing to explain")
    best = np.broadcast_to(made.optimal_constant(y, weight), shape)
    reference = made(y, np.array(best, np.float64), sample_weight=weight)
    least = ratio(total(weight * made.infimum(y)), total(weight))
    if not np.isfinite(least):
        raise ValueError(f"d2: {made!r} has no least value, so no share of it can be explained")
    if not reference > least:
        raise ValueError("d2: the best constant is perfect on this y_true: nothing to explain")
    return (reference - value) / (reference - least)


def _numbers(made: Any, data: Data) -> tuple[Array, Array, tuple[int, ...]]:
    """Return the targets that count, their weights, and the shape of predictions of them."""
    given = batch(data.y_true, data.y_pred, len(made.outputs), data.sample_weight, data.mask)
    weight = np.ones(given.size) if given.weight is None else given.weight.astype(np.float64)
    y, weight = given.y[weight != 0].astype(np.float64), weight[weight != 0]
    return y, weight, (y.size, given.outputs) if given.outputs > 1 else y.shape


def _classes(made: Any, data: Data) -> tuple[Array, Array, tuple[int, ...]]:
    """Return the same of classes, as one-hot rows with a column for each class of `y_pred`."""
    for name in ("class_weight", "ignore_index"):
        if made.params.get(name) is not None:
            raise Unsupported(f"d2: {name}= of {made!r}; pass sample_weight= or mask= instead")
    rows = read(data)
    if rows.f.ndim != 2:
        raise ValueError(f"d2: y_pred has shape {rows.shape}; {made!r} needs a column per class")
    return np.eye(rows.f.shape[1])[class_index(rows)], rows.weight, rows.f.shape


def _shown(target: Any) -> str:
    return f"class {target.argmax()}" if np.ndim(target) else f"{target:g}"


def _of_variance(score: Callable[..., float], rows: Rows) -> float:
    """Return a score of targets that vary."""
    if rows.y.min() == rows.y.max():
        raise ValueError(
            f"{rows.metric}: y_true is constant ({rows.y[0]:g} in {rows.y.size} elements), so "
            "there is no variance to explain"
        )
    # In a unit in which y varies by about 1, its squares neither overflow nor vanish.
    with np.errstate(over="ignore"):  # of predictions so far off that no float says how far: −∞
        spread = float(rows.y.max() - rows.y.min())
        unit = math.frexp(spread)[1] if math.isfinite(spread) else 1024
        y, f = np.ldexp(rows.y, -unit), np.clip(np.ldexp(rows.f, -unit), -_FAR, _FAR)
        return score(y, f, sample_weight=rows.weight)
