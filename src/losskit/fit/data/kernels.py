"""What one pass over the data computes: sums over rows, which add up over batches and machines.

A kernel is a frozen, picklable value. Its `part(rows, *params)` takes one batch and parameter
arrays whose first axis counts the fits that are served together (folds in lock step); it returns
arrays with the same first axis, which are added over batches. Everything is a sum, nothing a mean.

`theta` is (fits, A + 1, K): coefficients of the kernel's columns (all by default), then intercepts,
for K raw outputs. `held` is (fits,): the fold that a fit leaves out, −1 for none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from losskit.fit.data.designs import Array, Design

OWN = "own"  # the columns that scores are made of


class Rows(Protocol):
    """A batch of data as kernels see it; sources make them, and may remember what was computed."""

    y: Array

    def design(self, columns: tuple[int, ...] | None) -> Design:
        """Return the matrix of these columns."""

    def scores(self, columns: tuple[int, ...] | None, theta: Array) -> Array:
        """Return raw scores (fits, n) or (fits, n, K) of coefficients, with the offset."""

    def subset(self, index: Array) -> Rows:
        """Return some of the rows; only where the source offers "rows"."""

    def folds(self) -> dict[int, Array]:
        """Return the rows of each fold; nothing where there are no folds."""

    def weight(self, held: int, inside: bool = False) -> Array | None:
        """Return the weights of the rows outside, or inside, a fold; 0 for the others.

        None says that every row counts once.
        """


class Kernel(Protocol):
    """A sum over rows."""

    @property
    def part(self) -> Callable[..., tuple[Array, ...]]:
        """The sums of one batch, of (rows, *params)."""


@dataclass(frozen=True)
class Totals:
    """Σw as the loss counts it, Σwℓ at constant scores, Σw·infimum: params constants (fits, K)."""

    loss: Any

    def part(self, rows: Rows, constants: Array, held: Array) -> tuple[Array, ...]:
        """Return three sums for each fit."""
        made = np.zeros((len(held), 3))
        for i, (constant, fold) in enumerate(zip(constants, held, strict=True)):
            weight = rows.weight(int(fold))
            scores = np.zeros((1, 1, constant.size))
            scores[0, 0] = constant
            f = rows.scores((), scores)[0]
            sums = self.loss.accumulate(rows.y, f, sample_weight=weight, raw=True)
            denominator, numerator = sum(sums.denominator), sum(sums.numerator)
            made[i] = denominator, numerator, _infimum(self.loss, rows, int(fold))
        return made[:, 0], made[:, 1], made[:, 2]


def _infimum(loss: Any, rows: Rows, fold: int) -> float:
    from losskit.formula.expr import Unsupported

    y, weight = rows.y, _numbers(rows, fold)
    counts = weight > 0
    try:
        least = np.asarray(loss.infimum(y[counts]))
        w = weight[counts] if least.ndim == 1 else weight[counts, None]
        return float((w * least).sum())
    except (Unsupported, ValueError):
        return -np.inf


@dataclass(frozen=True)
class Gradient:
    """Σwℓ and its derivative by theta."""

    loss: Any
    columns: tuple[int, ...] | None = None

    def part(self, rows: Rows, theta: Array, held: Array) -> tuple[Array, ...]:
        """Return values (fits,) and gradients (fits, A + 1, K)."""
        scores = rows.scores(self.columns, theta)
        values, slopes = np.empty(len(held)), np.empty(scores.shape)
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold))
            values[i], slopes[i] = self.loss.value_and_gradient(
                rows.y, scores[i], raw=True, sample_weight=weight, reduction="sum"
            )
        return values, _back(rows.design(self.columns), slopes)


@dataclass(frozen=True)
class BatchGradient:
    """Σwℓ's derivative by theta over some rows: params theta, rows (fits, b), held."""

    loss: Any
    columns: tuple[int, ...] | None = None

    def part(self, rows: Rows, theta: Array, index: Array, held: Array) -> tuple[Array, ...]:
        """Return gradients (fits, A + 1, K)."""
        slopes = np.zeros(theta.shape)
        for i, fold in enumerate(held):
            batch = rows.subset(index[i])
            weight = batch.weight(int(fold))
            if weight is None or weight.any():
                kernel = Gradient(self.loss, self.columns)
                slopes[i] = kernel.part(batch, theta[i : i + 1], held[i : i + 1])[1][0]
        return (slopes,)


@dataclass(frozen=True)
class Value:
    """Σwℓ of the rows inside (or outside) the fold that is held out, and Σw as the loss counts."""

    loss: Any
    inside: bool = True

    def part(self, rows: Rows, theta: Array, held: Array) -> tuple[Array, ...]:
        """Return numerators and denominators (fits,)."""
        scores = rows.scores(None, theta)
        made = np.zeros((2, len(held)))
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold), self.inside)
            if weight is None or weight.any():
                sums = self.loss.accumulate(rows.y, scores[i], sample_weight=weight, raw=True)
                made[:, i] = sum(sums.numerator), sum(sums.denominator)
        return made[0], made[1]


@dataclass(frozen=True)
class Curvature:
    """The second derivative of Σwℓ by coefficients of `left` columns and `right` ones (by default
    the kernel's own), each followed by the intercepts.

    Where a loss curves downwards 0 is taken, so that the matrix is no worse than semidefinite.
    `rough` computes in single precision: enough for a model whose gradient is exact. `constant`
    says that a row's curvature is one number everywhere, so that it serves all fits alike.
    """

    loss: Any
    columns: tuple[int, ...] | None = None
    left: Any = OWN
    right: Any = OWN
    rough: bool = False
    constant: bool = False

    def part(self, rows: Rows, theta: Array, held: Array) -> tuple[Array, ...]:
        """Return matrices (fits, A + 1, K, B + 1, K)."""
        scores = rows.scores(self.columns, theta)
        left = rows.design(self.columns if self.left == OWN else self.left)
        right = left if self.right == self.left else rows.design(self.right)
        outputs = theta.shape[2]
        if self.constant and len(held) > 1 and outputs == 1 and left is right:
            return (self._by_folds(rows, scores[0], held, left)[:, :, None, :, None],)
        sizes = left.shape[1] + 1, right.shape[1] + 1
        made = np.zeros((len(held), sizes[0], outputs, sizes[1], outputs))
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold))
            for (k, m), h in second_derivatives(self.loss, rows.y, scores[i], weight).items():
                made[i, :, k, :, m] = _bordered(left, right, h, k == m, self.rough)
                if k != m:
                    made[i, :, m, :, k] = made[i, :, k, :, m]
        return (made,)

    def _by_folds(self, rows: Rows, scores: Array, held: Array, matrix: Design) -> Array:
        """Return the matrices of a squared loss, each fold's rows being multiplied once."""
        h = second_derivatives(self.loss, rows.y, scores, rows.weight(-1))[0, 0]
        parts = {
            fold: _positive(some, some, h[index], self.rough)
            for fold, index in rows.folds().items()
            for some in [matrix.rows(index)]
        }
        return np.stack([sum(part for k, part in parts.items() if k != fold) for fold in held])


@dataclass(frozen=True)
class Product:
    """The second derivative of Σwℓ times a direction: params theta, direction, held."""

    loss: Any
    columns: tuple[int, ...] | None = None

    def part(self, rows: Rows, theta: Array, direction: Array, held: Array) -> tuple[Array, ...]:
        """Return products (fits, A + 1, K)."""
        scores = rows.scores(self.columns, theta)
        moves = scores_of(rows.design(self.columns), direction)
        slopes = np.empty(scores.shape)
        for i, fold in enumerate(held):
            slopes[i] = self.loss.hessian_vector_product(
                rows.y, scores[i], moves[i], raw=True, reduction="sum",
                sample_weight=rows.weight(int(fold)),
            )  # fmt: skip
        return (_back(rows.design(self.columns), slopes),)


@dataclass(frozen=True)
class Spread:
    """Σw·x·(xᵀδ) with x = (columns, 1): the second derivative of Σw·f²/2 times a direction δ."""

    columns: tuple[int, ...] | None = None

    def part(self, rows: Rows, direction: Array, held: Array) -> tuple[Array, ...]:
        """Return products (fits, A + 1, 1) of directions of that shape."""
        matrix = rows.design(self.columns)
        moves = scores_of(matrix, direction)
        for i, fold in enumerate(held):
            moves[i] *= _numbers(rows, int(fold))
        return (_back(matrix, moves),)


@dataclass(frozen=True)
class Line:
    """Σwℓ at several steps along a direction: params theta, direction, steps (fits, S), held."""

    loss: Any
    columns: tuple[int, ...] | None = None

    def part(
        self, rows: Rows, theta: Array, direction: Array, steps: Array, held: Array
    ) -> tuple[Array, ...]:
        """Return values (fits, S)."""
        scores = rows.scores(self.columns, theta)
        moves = scores_of(rows.design(self.columns), direction)
        values = np.empty(steps.shape)
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold))
            for j, step in enumerate(steps[i]):
                values[i, j] = self.loss(
                    rows.y, scores[i] + step * moves[i], raw=True, sample_weight=weight,
                    reduction="sum",
                )  # fmt: skip
        return (values,)


@dataclass(frozen=True)
class Moments:
    """Σw, Σw(x − shift) and Σw(x − shift)² of each column: params shift (1, d)."""

    def part(self, rows: Rows, shift: Array) -> tuple[Array, ...]:
        """Return arrays of first axis 1."""
        weight = _numbers(rows, -1)
        first, second = rows.design(None).moments(weight, shift[0])
        return np.array([weight.sum()]), first[None], second[None]


@dataclass(frozen=True)
class RowSum:
    """Σw·function(loss, y, scores) for a function of rows, such as a conjugate."""

    function: Callable[..., Array]
    loss: Any
    columns: tuple[int, ...] | None = None

    def part(self, rows: Rows, theta: Array, extra: Array, held: Array) -> tuple[Array, ...]:
        """Return sums (fits,); `extra` (fits, …) goes to the function."""
        scores = rows.scores(self.columns, theta)
        values = np.zeros(len(held))
        for i, fold in enumerate(held):
            weight = _numbers(rows, int(fold))
            counts = weight > 0
            found = self.function(self.loss, rows.y[counts], scores[i][counts], extra[i])
            values[i] = float(weight[counts] @ found)
        return (values,)


def _numbers(rows: Rows, fold: int) -> Array:
    weight = rows.weight(fold)
    return np.ones(len(rows.y)) if weight is None else weight


def scores_of(matrix: Design, theta: Array) -> Array:
    """Return raw scores (fits, n), or (fits, n, K) for K > 1, without offset."""
    fits, size, outputs = theta.shape
    if size == 1:
        made = np.broadcast_to(theta[:, :1], (fits, matrix.shape[0], outputs))
    else:
        # All fits in one product: the matrix is read once.
        stacked = np.moveaxis(theta[:, :-1], 0, 1).reshape(size - 1, fits * outputs)
        if fits * outputs == 1:
            product = matrix.times(stacked[:, 0])[:, None]
        else:
            product = matrix.times(stacked)
        made = product.reshape(-1, fits, outputs).transpose(1, 0, 2) + theta[:, -1:]
    flat = made[..., 0] if outputs == 1 else made
    return np.array(flat, dtype=np.float64, order="C")  # its own: offsets are added in place


def second_derivatives(
    loss: Any, y: Array, scores: Array, weight: Array | None
) -> dict[tuple[int, int], Array]:
    """Return w·∂²ℓ/∂f_k∂f_m of each row for the pairs k ≤ m where it is not always 0."""
    options = {"raw": True, "sample_weight": weight, "reduction": "sum"}
    if loss.kind == "pointwise":  # several columns are several elements
        h = loss.hessian(y, scores, **options)
        return {(0, 0): h} if h.ndim == 1 else {(k, k): h[:, k] for k in range(h.shape[1])}
    outputs = scores.shape[1]
    made = {}
    for m in range(outputs):
        direction = np.zeros_like(scores)
        direction[:, m] = 1.0
        column = loss.hessian_vector_product(y, scores, direction, **options)
        for k in range(m + 1):
            made[k, m] = np.ascontiguousarray(column[:, k])
    return made


def _back(matrix: Design, slopes: Array) -> Array:
    """Return the derivative by theta (fits, A + 1, K) from that by scores (fits, n[, K])."""
    fits, n = slopes.shape[:2]
    outputs = slopes.shape[2] if slopes.ndim == 3 else 1
    d = matrix.shape[1]
    made = np.empty((fits, d + 1, outputs))
    with np.errstate(invalid="ignore", over="ignore"):  # a step too far has infinite slopes
        made[:, -1] = slopes.sum(axis=1).reshape(fits, outputs)
        if d and fits * outputs == 1:
            made[0, :-1, 0] = matrix.back(slopes.reshape(n))
        elif d:
            stacked = np.moveaxis(slopes.reshape(fits, n, outputs), 0, 1).reshape(n, -1)
            made[:, :-1] = np.moveaxis(matrix.back(stacked).reshape(d, fits, outputs), 1, 0)
    return made


def _bordered(left: Design, right: Design, h: Array, clamp: bool, rough: bool) -> Array:
    """Return [X, 1]ᵀ diag(h) [Z, 1]."""
    if clamp:
        return _positive(left, right, np.maximum(h, 0.0), rough)
    # Between outputs curvature has any sign.
    above, below = np.maximum(h, 0.0), np.maximum(-h, 0.0)
    return _positive(left, right, above, rough) - _positive(left, right, below, rough)


def _positive(left: Design, right: Design, h: Array, rough: bool) -> Array:
    made = np.empty((left.shape[1] + 1, right.shape[1] + 1))
    made[-1, -1] = h.sum()
    if left is right:
        made[:-1, -1] = made[-1, :-1] = left.back(h[:, None])[:, 0]
        if left.shape[1]:
            made[:-1, :-1] = left.gram(h, rough)
    else:
        made[-1, :-1] = right.back(h[:, None])[:, 0]
        made[:-1] = left.cross(h, right)
    return made
