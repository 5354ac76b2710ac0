"""CatBoost's contracts: objects that it asks for derivatives, of blocks of rows, and for a metric.

Derivatives are those of what is maximised, so both are negated (catboost#1370). Rows come in blocks
of a thousand, or those of a leaf, or one by one where there are several scores; so what depends on
all rows, a typical distance and the unit of curvatures, is kept in a `Scale` and renewed when the
metric sees all of them, once in each iteration.
"""

from __future__ import annotations

from typing import Any

import catboost
import numpy as np

from losskit.arrays import Array
from losskit.backends.axes import Axis
from losskit.boosting.hosts import rule
from losskit.boosting.objective import Objective
from losskit.boosting.units import has_unit
from losskit.formula.expr import Unsupported


class Scale:
    """What one training knows of all its rows, and where it starts.

    `offset` is the start of several scores a row, for which CatBoost (1.2.10) takes no baseline.
    """

    def __init__(self, core: Objective) -> None:
        self.core = core
        self.offset: Any = 0.0
        self.known: Any = None  # what tells the rows trained on from others: see `_mark`
        self.distance: Any = None
        self.unit: Any = 1.0

    def __deepcopy__(self, memo: Any) -> Scale:
        return self  # CatBoost copies its parameters; objective and metric go on sharing this

    def look(self, y: Array, f: Array, w: Array | None) -> None:
        """Take in all rows: of a training's start, or of an iteration."""
        self.known = _mark(y)
        self.distance = self.core.typical_distance(y, f, w)
        if has_unit(self.core):
            hessian = self.core.gradient_and_hessian(y, f, w, self.distance)[1]
            total = len(y) if w is None else np.sum(w)
            self.unit = hessian.sum(axis=0) / total

    def derivatives(self, y: Array, f: Array, w: Array | None) -> tuple[Array, Array]:
        """Return gradient and curvature of some rows."""
        if self.known is None:  # nobody trained by `train`: the first block has to do
            self.look(y, f, w)
        gradient, hessian = self.core.gradient_and_hessian(y, f, w, self.distance)
        return gradient / self.unit, hessian / self.unit


class OfOne:
    """The objective of one score a row."""

    no_jit = True  # CatBoost would have Numba compile the method, warn, and run it as it is

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        """Return (−gradient, −curvature) of each row, weights multiplied in."""
        f, y = np.asarray(approxes, np.float64), np.asarray(targets)
        gradient, hessian = self.scale.derivatives(y, f, _weights(weights))
        return -np.stack([gradient, hessian], axis=1)


class OfSeveral(catboost.MultiTargetCustomObjective):
    """The objective of several scores a row, which CatBoost asks for row by row."""

    no_jit = True

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.full = _FullHessian.of(scale.core)

    def __reduce__(self) -> Any:
        return OfSeveral, (self.scale,)  # what `full` has compiled does not travel

    def calc_ders_multi(self, approxes: Any, targets: Any, weight: Any) -> Any:
        """Return −gradient and −the matrix of second derivatives of one row."""
        f, y = np.asarray(approxes) + self.scale.offset, np.asarray(targets, np.float64)
        w = 1.0 if weight is None else float(weight)
        if self.full is not None:
            gradient, matrix = self.full(y, f)
            return [-w * gradient, -w * matrix]
        rows = _target(self.scale.core, y[None])
        gradient, hessian = self.scale.derivatives(rows, f[None], None)
        return [-w * gradient[0], -w * np.diag(hessian[0])]


class _Metric:
    """The mean loss at losskit's own scale; of the rows trained on it renews their scale."""

    no_jit = True

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def is_max_optimal(self) -> bool:
        """Say that less is better."""
        return False

    def get_final_error(self, error: float, weight: float) -> float:
        """Return Σwℓ/Σw."""
        return error / weight if weight else 0.0

    def _sums(self, y: Array, f: Array, weight: Any) -> tuple[float, float]:
        w = _weights(weight)
        if _mark(y) == self.scale.known:
            self.scale.look(y, f, w)
        total = float(len(y) if w is None else np.sum(w))
        return self.scale.core.metric(y, f, w) * total, total


class MetricOfOne(_Metric):
    """The metric of one score a row."""

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """Return Σwℓ and Σw."""
        return self._sums(np.asarray(target), np.asarray(approxes[0], np.float64), weight)


class MetricOfSeveral(_Metric, catboost.MultiTargetCustomMetric):
    """The metric of several scores a row."""

    def evaluate(self, approxes: Any, targets: Any, weight: Any) -> tuple[float, float]:
        """Return Σwℓ and Σw."""
        y = _target(self.scale.core, np.array(targets).T)
        f = np.array(approxes).T + self.scale.offset
        return self._sums(y, np.ascontiguousarray(f), weight)


class _FullHessian:
    """Gradient and whole Hessian (K, K) of one row of a loss over classes, without further checks.

    The metric has checked all rows; a call of the loss for each row would cost ten times as much.
    """

    def __init__(self, loss: Any) -> None:
        self.form = loss.form(raw=True)
        self.function = self.form.numpy(("gradient", "product"))

    @staticmethod
    def of(core: Objective) -> _FullHessian | None:
        """Return it where the policy is the second derivative, and the loss has all of it."""
        exact = core.curvature == "exact" or (
            core.curvature == "host" and core.own is not None and rule(core.own) is None
        )
        if not exact or getattr(core.loss, "kind", "") != "rows":
            return None
        if any(core.loss.params.get(name) is not None for name in ("class_weight", "ignore_index")):
            return None  # which act on weights, outside the formula
        try:
            return _FullHessian(core.loss)
        except Unsupported:
            return None

    def __call__(self, y: Array, f: Array) -> tuple[Array, Array]:
        """Return both for a target (K,) of shares of classes and scores (K,)."""
        count = len(f)
        arguments = self.form.arguments(count, f.dtype, 0.0)
        rows = (np.tile(one, (count, 1)) for one in (y, f))
        with np.errstate(all="ignore"):
            made = self.function(Axis(count), *rows, *arguments, np.eye(count))
        gradient, matrix = (np.broadcast_to(one, (count, count)) for one in made)
        return gradient[0], matrix


def _target(core: Objective, columns: Array) -> Array:
    """Return targets as the loss takes them, of columns (n, K) as CatBoost keeps them.

    Of a loss of several outputs, or several quantiles, all columns hold the one target.
    """
    loss = core.loss
    one = getattr(loss, "kind", "") == "several" or len(getattr(loss, "outputs", ())) > 1
    return np.ascontiguousarray(columns[:, 0] if one else columns)


def _mark(y: Array) -> tuple[float, ...]:
    """Return what tells these targets from those of held-out rows, which may be as many."""
    return len(y), float(y.flat[0]), float(y.flat[-1]), float(y.sum(dtype=np.float64))


def _weights(weights: Any) -> Array | None:
    return None if weights is None else np.asarray(weights, np.float64)
