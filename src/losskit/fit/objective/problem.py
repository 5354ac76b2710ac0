"""The problem a solver sees: mean loss + penalty in standardised coordinates.

A solver works on u of shape (d + 1, K): coefficients of columns brought to unit scale, then the
intercepts of centred columns, so that columns of any unit or offset make the same problem. Raw
scores are X·W + b with W = u/scale and b = u[-1] − mean·W; where the fit has no intercept, u[-1]
stays 0 and nothing is centred. That is arithmetic on coefficients: the data stay as they are.

The methods that look at data are generators which yield `Ask`s: see `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import (
    BatchGradient,
    Curvature,
    Gradient,
    Kernel,
    Line,
    Product,
    RowSum,
    Spread,
)
from losskit.fit.data.source import Description
from losskit.fit.objective.baseline import Ask, Asking, Baseline
from losskit.fit.objective.shape import Shape, shape_of

Columns = tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Problem:
    """One fit: a loss, a penalty and its strength, over one source without one fold."""

    loss: Any
    penalty: Any
    alpha: float
    data: Description
    baseline: Baseline
    intercept: bool = True
    held: int = -1
    columns: Columns = None  # of the source, those this problem is restricted to
    tol: float = 1e-4
    max_iter: int = 1000
    certificate: str = "auto"  # "gap" insists on a duality gap

    @property
    def outputs(self) -> int:
        """The number K of raw outputs."""
        return self.baseline.constant.size

    @property
    def size(self) -> tuple[int, int]:
        """The shape of u."""
        return self.data.columns + 1, self.outputs

    @cached_property
    def shape(self) -> Shape:
        """What the loss is: convex, differentiable, …."""
        return shape_of(self.loss)

    @cached_property
    def scale(self) -> Array:
        """What each column is divided by, (d,); alike within a block of the penalty."""
        scale = self.data.scale if self.intercept else self.data.size
        scale = np.where(scale > 0, scale, 1.0)
        if self.penalized and not self.penalty.separable:
            blocks = self.penalty.blocks(self.data.columns)
            sums = np.bincount(blocks, np.log(scale)) / np.maximum(np.bincount(blocks), 1)
            scale = np.exp(sums)[blocks]
        # Powers of two change no digit of a coefficient.
        return np.exp2(np.round(np.log2(scale)))

    @cached_property
    def centre(self) -> Array:
        """What is subtracted from each column, (d,)."""
        return self.data.mean if self.intercept else np.zeros(self.data.columns)

    @cached_property
    def _centre(self) -> Array:
        """What is subtracted from each column as the source has it."""
        return self.centre - self.data.shift

    @cached_property
    def steady(self) -> bool:
        """Whether single precision leaves enough digits of columns after centring them."""
        return bool((np.abs(self._centre) <= 300 * self.scale).all())

    @cached_property
    def penalized(self) -> bool:
        """Whether the penalty does anything at this alpha."""
        if self.penalty is None or self.alpha > 0:
            return self.penalty is not None
        probe = np.full(self.data.columns, 1e9)  # bounds hold at any alpha
        return any((self.penalty.prox(v, 1.0, 0.0) != v).any() for v in (probe, -probe))

    @property
    def room(self) -> float:
        """How much can be gained over the best constant; where no bound is known, its own size."""
        room = self.baseline.value - self.baseline.infimum
        return room if 0 < room < np.inf else abs(self.baseline.value)

    @property
    def target(self) -> float:
        """What a certificate has to reach: tol·(F(best constant) − mean infimum)."""
        return max(self.tol * max(self.room, 1e-300), self.baseline.rounding)

    def precision(self, objective: float) -> float:
        """Return the size below which nothing can be told apart from rounding."""
        return 100 * float(np.finfo(self.data.dtype).eps) * abs(objective)

    # --- coordinates

    def origin(self) -> Array:
        """Return u of the best constant model."""
        u = np.zeros(self.size)
        if self.intercept:
            u[-1] = self.baseline.constant
        return u

    def at(self, coef: Array, intercept: Array) -> Array:
        """Return u of coefficients (d, K) and intercepts (K,)."""
        u = np.empty(self.size)
        u[:-1] = coef * self.scale[:, None]
        u[-1] = intercept + self.centre @ coef if self.intercept else 0.0
        return u

    def coefficients(self, u: Array) -> tuple[Array, Array]:
        """Return coefficients (d, K) and intercepts (K,) of u."""
        coef = u[:-1] / self.scale[:, None]
        return coef, u[-1] - self.centre @ coef

    def theta(self, u: Array) -> Array:
        """Return coefficients and intercepts of the columns as the source has them."""
        theta = np.empty_like(u)
        theta[:-1] = u[:-1] / self.scale[:, None]
        theta[-1] = u[-1] - self._centre @ theta[:-1]
        return theta

    def restricted(self, columns: Array) -> Problem:
        """Return the problem whose other coefficients stay 0."""
        index = np.asarray(columns, dtype=np.intp)
        data = replace(
            self.data,
            columns=index.size,
            mean=self.data.mean[index],
            scale=self.data.scale[index],
            size=self.data.size[index],
            shift=self.data.shift[index],
        )
        return replace(self, data=data, columns=tuple(index.tolist()))

    def narrowed(self, columns: Array) -> Problem:
        """Return the restriction of an already restricted problem to some of its columns."""
        assert self.columns is not None
        place = {column: i for i, column in enumerate(self.columns)}
        made = self.restricted(np.array([place[c] for c in columns.tolist()], dtype=np.intp))
        return replace(made, columns=tuple(columns.tolist()))

    def _slope(self, gradient: Array) -> Array:
        """Return the derivative by u from that by theta."""
        made = gradient / self.baseline.weight
        with np.errstate(invalid="ignore"):  # of a step too far
            made[:-1] = (made[:-1] - self._centre[:, None] * made[-1]) / self.scale[:, None]
        if not self.intercept:
            made[-1] = 0.0
        return made

    # --- what the data say

    def gradient(self, u: Array) -> Asking:
        """Return the mean loss and its derivative by u."""
        values, slope = yield self._ask(Gradient(self.loss, self.columns), self.theta(u))
        return float(values) / self.baseline.weight, self._slope(slope)

    def batch_gradient(self, u: Array, index: Array) -> Asking:
        """Return the derivative of the mean loss by u, as far as some rows tell it."""
        (slope,) = yield self._ask(BatchGradient(self.loss, self.columns), self.theta(u), index)
        return self._slope(slope) * (self.data.rows / index.size)

    def curvature(self, u: Array, *, rough: bool = False) -> Asking:
        """Return the second derivative of the mean loss by u, (d + 1, K, d + 1, K).

        `rough` computes in single precision.
        """
        (matrix,) = yield self._ask(
            Curvature(
                self.loss, self.columns, rough=rough and self.steady, constant=self.shape.quadratic
            ),
            self.theta(u),
        )
        return self._bend(matrix, self, self)

    def intercept_curvature(self, u: Array) -> Asking:
        """Return the second derivative of the mean loss by the intercepts, (K, K)."""
        (matrix,) = yield self._ask(Curvature(self.loss, self.columns, (), ()), self.theta(u))
        return matrix[0, :, 0] / self.baseline.weight

    def cross_curvature(self, u: Array, other: Problem) -> Asking:
        """Return the second derivative by this problem's u and another's; u is this problem's."""
        kernel = Curvature(self.loss, self.columns, right=other.columns)
        (matrix,) = yield self._ask(kernel, self.theta(u))
        return self._bend(matrix, self, other)

    def _bend(self, matrix: Array, left: Problem, right: Problem) -> Array:
        """Bring a second derivative to standardised coordinates."""
        made = matrix / self.baseline.weight
        # Columns are centred by subtracting multiples of the column of ones, on both sides.
        made[:-1] -= left._centre[:, None, None, None] * made[-1:]
        made[:, :, :-1] -= right._centre[None, None, :, None] * made[:, :, -1:]
        made[:-1] /= left.scale[:, None, None, None]
        made[:, :, :-1] /= right.scale[None, None, :, None]
        if not self.intercept:
            made[-1] = made[:, :, -1] = 0.0
        return made

    def product(self, u: Array, direction: Array) -> Asking:
        """Return the second derivative of the mean loss times a direction."""
        kernel = Product(self.loss, self.columns)
        (made,) = yield self._ask(kernel, self.theta(u), self.theta(direction))
        return self._slope(made)

    def spread(self, direction: Array) -> Asking:
        """Return the mean of x·xᵀ times a direction (d + 1, 1), for x = (columns of u, 1)."""
        (made,) = yield self._ask(Spread(self.columns), self.theta(direction))
        return self._slope(made)

    def line(self, u: Array, direction: Array, steps: Any) -> Asking:
        """Return the mean loss at several steps from u along a direction."""
        at = np.asarray(steps, dtype=np.float64)
        kernel = Line(self.loss, self.columns)
        (values,) = yield self._ask(kernel, self.theta(u), self.theta(direction), at)
        return values / self.baseline.weight

    def row_mean(self, function: Callable[..., Array], u: Array, extra: float) -> Asking:
        """Return the mean over rows of function(loss, y, scores, extra)."""
        kernel = RowSum(function, self.loss, self.columns)
        (total,) = yield self._ask(kernel, self.theta(u), np.array(extra))
        return float(total) / self.baseline.weight

    def _ask(self, kernel: Kernel, *params: Array) -> Ask:
        return Ask(kernel, (*params, np.array(self.held)))

    # --- the penalty, of which the data say nothing

    def penalty_value(self, u: Array) -> float:
        """Return the penalty of u; intercepts are free."""
        if not self.penalized:
            return 0.0
        return float(self.penalty.value(u[:-1] / self.scale[:, None], self.alpha))

    def prox(self, u: Array, step: float | Array) -> Array:
        """Return argmin over v of |v − u|²/(2 step) + penalty(v)."""
        made = u.copy()
        if self.penalized:
            scale = self.scale[:, None]
            steps = np.broadcast_to(step, u.shape)[:-1] / (scale * scale)
            made[:-1] = scale * self.penalty.prox(u[:-1] / scale, steps, self.alpha)
        return made

    @cached_property
    def strengths(self) -> tuple[Array, Array] | None:
        """Return l1 and l2 of each column if the penalty is Σ l1|u| + l2/2·u², else None."""
        pair = self.penalty.elastic(self.alpha) if self.penalized else (0.0, 0.0)
        return None if pair is None else (pair[0] / self.scale, pair[1] / self.scale**2)

    @cached_property
    def ridge(self) -> Array:
        """The penalty's second derivative by u where that is one number for each, else 0."""
        made = np.zeros(self.size)
        if self.strengths is not None:
            made[:-1] = self.strengths[1][:, None]
        return made

    def with_loss(self, loss: Any, baseline: Baseline) -> Problem:
        """Return the same problem for another loss, such as a smoothed one."""
        return replace(self, loss=loss, baseline=baseline)
