"""Matrices in memory, dense or sparse, behind the few products that fits are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LARGEST = 1e150  # of numbers: their squares, and sums of them, have to be finite
_SPARE = 1 << 28  # bytes that a store of columns may ask for beforehand
_BLOCK = 1 << 18  # elements that are worked on at once, so that temporaries stay in the cache


class Design(Protocol):
    """A matrix X of n rows and d columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of its products."""

    @property
    def shift(self) -> Array:
        """What was subtracted from each column."""

    def times(self, coef: Array) -> Array:
        """Return X @ coef for (d, k) coefficients."""

    def back(self, residual: Array) -> Array:
        """Return Xᵀ @ residual for (n, k) residuals."""

    def gram(self, weight: Array, rough: bool) -> Array:
        """Return Xᵀ diag(weight) X for weights of at least 0; `rough` in single precision."""

    def cross(self, weight: Array, other: Design) -> Array:
        """Return Xᵀ diag(weight) [Z, 1]."""

    def moments(self, weight: Array, shift: Array) -> tuple[Array, Array]:
        """Return Σ w(x − shift) and Σ w(x − shift)² of each column."""

    def columns(self, index: Array) -> Design:
        """Return some columns, copied so that products with them are fast."""

    def rows(self, index: Array) -> Design:
        """Return some rows."""

    def store(self) -> Store:
        """Return a store that copies columns as they are asked for."""

    def by_columns(self) -> Any:
        """Return the matrix stored by columns: Fortran order or CSC, copied once if need be."""


class Store(Protocol):
    """Copies of columns in an order that only grows, for products with a growing set of them."""

    order: list[int]

    def design(self, columns: tuple[int, ...]) -> Design:
        """Return these columns, which continue `order`."""

    def run(self, columns: tuple[int, ...]) -> Design | None:
        """Return these columns if they lie side by side here."""


def design(X: Any) -> Design:
    """Return a matrix of floats as a design: a NumPy array of either order, or a SciPy CSR or CSC.

    float32 stays float32; other numbers become float64.
    """
    from scipy import sparse

    if sparse.issparse(X):
        matrix = X if X.format in ("csr", "csc") else X.tocsr()
        return Sparse(matrix.astype(_width(matrix.dtype), copy=False))
    array = np.asarray(X)
    if array.ndim != 2:
        raise ValueError(
            f"X has shape {array.shape}; needed is a table of (rows, columns)"
            + (", e.g. X.reshape(-1, 1) for one column" if array.ndim == 1 else "")
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X holds {array.dtype}; needed are numbers (a frame may hold categories)")
    array = array.astype(_width(array.dtype), copy=False)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = np.ascontiguousarray(array)
    return Dense(array)


def _width(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype == np.float32 else np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Dense:
    """A NumPy matrix, contiguous by rows or by columns."""

    array: Array
    offset: Array | None = None  # what was subtracted from each column

    @property
    def shift(self) -> Array:
        """What was subtracted from each column."""
        return np.zeros(self.shape[1]) if self.offset is None else self.offset

    def shifted(self, offset: Array) -> Dense:
        """Return a copy from whose columns a multiple of ones is subtracted."""
        moved = self.array - offset.astype(self.dtype)
        return Dense(moved, offset.astype(self.dtype).astype(np.float64))

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of its products."""
        return self.array.dtype

    def times(self, coef: Array) -> Array:
        """Return X @ coef for (d, k) coefficients."""
        return np.asarray(self.array @ _matching(coef, self.dtype))

    def back(self, residual: Array) -> Array:
        """Return Xᵀ @ residual for (n, k) residuals."""
        return np.asarray(self.array.T @ _matching(residual, self.dtype), dtype=np.float64)

    def gram(self, weight: Array, rough: bool) -> Array:
        """Return Xᵀ diag(weight) X for weights of at least 0; `rough` in single precision."""
        width = np.dtype(np.float32) if rough else self.dtype
        root = np.sqrt(weight).astype(width, copy=False)
        d = self.shape[1]
        made = np.zeros((d, d))
        step = max(256, 4 * _BLOCK // max(d, 1))
        for start in range(0, weight.size, step):
            rows = slice(start, start + step)
            scaled = np.multiply(self.array[rows], root[rows, None], dtype=width)
            made += scaled.T @ scaled  # of a matrix with itself: half the work
        return made

    def cross(self, weight: Array, other: Design) -> Array:
        """Return Xᵀ diag(weight) [Z, 1]."""
        assert isinstance(other, Dense)
        weight = _matching(weight, self.dtype)
        bordered = np.empty((weight.size, other.shape[1] + 1), self.dtype, order="F")
        np.multiply(other.array, weight[:, None], out=bordered[:, :-1])
        bordered[:, -1] = weight
        return np.asarray(self.array.T @ bordered, dtype=np.float64)

    def moments(self, weight: Array, shift: Array) -> tuple[Array, Array]:
        """Return Σ w(x − shift) and Σ w(x − shift)² of each column."""
        n, d = self.shape
        first, second = np.zeros(d), np.zeros(d)
        if self.array.flags.c_contiguous:
            step = max(1, _BLOCK // max(d, 1))
            for start in range(0, n, step):
                w = weight[start : start + step]
                centred = self.array[start : start + step] - shift
                first += w @ centred
                second += w @ np.square(centred, out=centred)
        else:
            step = max(1, _BLOCK // max(n, 1))
            for start in range(0, d, step):
                block = slice(start, start + step)
                centred = self.array[:, block] - shift[block]
                first[block] = weight @ centred
                second[block] = weight @ np.square(centred, out=centred)
        return first, second

    def columns(self, index: Array) -> Design:
        """Return some columns, copied contiguous by columns."""
        return Dense(np.asfortranarray(self.array[:, index]))

    def rows(self, index: Array) -> Design:
        """Return some rows."""
        return Dense(np.ascontiguousarray(self.array[index]), self.offset)

    def store(self) -> Store:
        """Return a store that copies columns as they are asked for."""
        return DenseStore(self.array)

    def by_columns(self) -> Any:
        """Return the matrix stored by columns: Fortran order, copied once if need be."""
        return self._by_columns

    @cached_property
    def _by_columns(self) -> Array:
        return np.asfortranarray(self.array)


@dataclass(eq=False)
class DenseStore:
    """Columns side by side in memory, so that any first few of them are one contiguous matrix."""

    source: Array
    order: list[int] = field(default_factory=list)
    _buffer: Array | None = None

    def design(self, columns: tuple[int, ...]) -> Design:
        """Return these columns, which continue `order`."""
        known = len(self.order)
        if len(columns) > known:
            if self._buffer is None or self._buffer.shape[1] < len(columns):
                # Memory that is not touched costs nothing, a copy into more of it does.
                spare = _SPARE // max(self.source.shape[0] * self.source.itemsize, 1)
                room = min(max(2 * len(columns), spare), self.source.shape[1])
                grown = np.empty((self.source.shape[0], room), self.source.dtype, order="F")
                if self._buffer is not None:
                    grown[:, :known] = self._buffer[:, :known]
                self._buffer = grown
            self._buffer[:, known : len(columns)] = self.source[:, columns[known:]]
            self.order.extend(columns[known:])
        assert self._buffer is not None
        return Dense(self._buffer[:, : len(columns)])

    def run(self, columns: tuple[int, ...]) -> Design | None:
        """Return these columns if they lie side by side here."""
        if self._buffer is None or columns[0] not in self.order:
            return None
        place = slice(self.order.index(columns[0]), None)
        if tuple(self.order[place][: len(columns)]) != columns:
            return None
        return Dense(self._buffer[:, place.start : place.start + len(columns)])


@dataclass(frozen=True, eq=False)
class Sparse:
    """A SciPy matrix in CSR or CSC form; nothing here makes it dense but `gram` of few columns."""

    matrix: Any

    @property
    def shift(self) -> Array:
        """What was subtracted from each column: nothing, or it would not be sparse."""
        return np.zeros(self.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.matrix.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of its products."""
        return self.matrix.dtype

    def times(self, coef: Array) -> Array:
        """Return X @ coef for (d, k) coefficients."""
        return np.asarray(self.matrix @ _matching(coef, self.dtype))

    def back(self, residual: Array) -> Array:
        """Return Xᵀ @ residual for (n, k) residuals."""
        product = self.matrix.T @ _matching(residual, self.dtype)
        return np.asarray(product, dtype=np.float64)

    def gram(self, weight: Array, rough: bool) -> Array:
        """Return Xᵀ diag(weight) X for weights of at least 0; `rough` changes nothing here."""
        from scipy import sparse

        scaled = sparse.diags_array(weight) @ self.matrix
        return np.asarray((self.matrix.T @ scaled).toarray(), dtype=np.float64)

    def cross(self, weight: Array, other: Design) -> Array:
        """Return Xᵀ diag(weight) [Z, 1]."""
        from scipy import sparse

        assert isinstance(other, Sparse)
        scaled = sparse.diags_array(weight) @ other.matrix
        made = np.empty((self.shape[1], other.shape[1] + 1))
        made[:, :-1] = (self.matrix.T @ scaled).toarray()
        made[:, -1] = self.matrix.T @ weight
        return made

    def moments(self, weight: Array, shift: Array) -> tuple[Array, Array]:
        """Return Σ w(x − shift) and Σ w(x − shift)² of each column."""
        total = float(weight.sum())
        plain = self.matrix.T @ weight
        squares = self.matrix.multiply(self.matrix).T @ weight
        first = plain - shift * total
        return first, squares - 2 * shift * plain + shift * shift * total

    def columns(self, index: Array) -> Design:
        """Return some columns, in CSC form."""
        return Sparse(self._by_columns[:, index])

    def rows(self, index: Array) -> Design:
        """Return some rows."""
        return Sparse(self._by_rows[index])

    def store(self) -> Store:
        """Return a store that slices columns as they are asked for."""
        return SparseStore(self)

    def by_columns(self) -> Any:
        """Return the matrix stored by columns: CSC, converted once if need be."""
        return self._by_columns

    @cached_property
    def _by_rows(self) -> Any:
        return self.matrix.tocsr()

    @cached_property
    def _by_columns(self) -> Any:
        made = self.matrix.tocsc()
        if not made.has_canonical_format:
            made = made.copy()
            made.sum_duplicates()
        return made


@dataclass(eq=False)
class SparseStore:
    """The columns asked for last."""

    source: Sparse
    order: list[int] = field(default_factory=list)
    _last: Design | None = None

    def design(self, columns: tuple[int, ...]) -> Design:
        """Return these columns."""
        if self._last is None or list(columns) != self.order:
            self.order = list(columns)
            self._last = self.source.columns(np.array(columns, dtype=np.intp))
        return self._last

    def run(self, columns: tuple[int, ...]) -> Design | None:
        """Return these columns if they are the ones asked for last."""
        return self._last if list(columns) == self.order else None


def _matching(array: Array, dtype: np.dtype[Any]) -> Array:
    return array.astype(dtype, copy=False)
