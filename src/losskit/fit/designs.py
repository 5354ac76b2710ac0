"""Matrices in memory, dense or sparse, behind the few products that fits are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 1 << 18  # elements that are worked on at once, so that temporaries stay in the cache


class Design(Protocol):
    """A matrix X of n rows and d columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of its products."""

    def times(self, coef: Array) -> Array:
        """Return X @ coef for (d, k) coefficients."""

    def back(self, residual: Array) -> Array:
        """Return Xᵀ @ residual for (n, k) residuals."""

    def gram(self, weight: Array) -> Array:
        """Return Xᵀ diag(weight) X."""

    def moments(self, weight: Array, shift: Array) -> tuple[Array, Array]:
        """Return Σ w(x − shift) and Σ w(x − shift)² of each column."""

    def columns(self, index: Array) -> Design:
        """Return some columns, copied so that products with them are fast."""

    def rows(self, index: Array) -> Design:
        """Return some rows."""


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

    def gram(self, weight: Array) -> Array:
        """Return Xᵀ diag(weight) X."""
        root = np.sqrt(weight).astype(self.dtype, copy=False)
        scaled = self.array * root[:, None]
        return np.asarray(scaled.T @ scaled, dtype=np.float64)

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
        return Dense(np.ascontiguousarray(self.array[index]))


@dataclass(frozen=True, eq=False)
class Sparse:
    """A SciPy matrix in CSR or CSC form; nothing here makes it dense but `gram` of few columns."""

    matrix: Any

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

    def gram(self, weight: Array) -> Array:
        """Return Xᵀ diag(weight) X."""
        from scipy import sparse

        scaled = sparse.diags_array(np.sqrt(weight)) @ self.matrix
        return np.asarray((scaled.T @ scaled).toarray(), dtype=np.float64)

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
        return Sparse(self.matrix.tocsr()[index])

    @property
    def _by_columns(self) -> Any:
        made = self.__dict__.get("_csc")
        if made is None:
            made = self.matrix.tocsc()
            object.__setattr__(self, "_csc", made)
        return made


def _matching(array: Array, dtype: np.dtype[Any]) -> Array:
    return array.astype(dtype, copy=False)
