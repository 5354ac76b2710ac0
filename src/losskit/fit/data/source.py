"""Where the data of a fit is: the protocol every source has, and the source for data in memory.

A source has `describe()` and `reduce(kernel, params)`, the only access to its rows. A source in
memory also offers `rows(index)` and `columns(index)`; a solver that needs those declares it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from losskit.fit.data.designs import LARGEST, Array, Dense, Design, Sparse, Store, design
from losskit.fit.data.kernels import Kernel, Moments, scores_of


@dataclass(frozen=True, eq=False)
class Description:
    """What a fit has to know of the data before it starts."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    weight: float  # Σw
    mean: Array  # of each column, weighted
    scale: Array  # standard deviation of each column, 0 for a constant one
    size: Array  # root mean square of each column
    offset: bool  # whether rows have offsets
    shift: Array  # what the source subtracts from each column: `mean` and `size` are without it


class Source(Protocol):
    """Data that can be summed over."""

    offers: tuple[str, ...]  # some of "rows", "columns"

    def describe(self) -> Description:
        """Return counts, means and scales, from a first pass that also refuses NaN."""

    def reduce(self, kernel: Kernel, params: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return a kernel's sums over all rows."""


class MemorySource:
    """Data in memory: a matrix (NumPy or SciPy sparse), targets, and per row weight, offset, fold.

    Arrays are not copied: they must not be changed while the source is used. `y` is encoded as the
    loss wants it. `fold` numbers the rows' folds from 0; a fit with
    `held=k` leaves out the rows of fold k.
    """

    offers: tuple[str, ...] = ("rows", "columns")

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        weight: Any = None,
        offset: Any = None,
        fold: Any = None,
    ) -> None:
        self.matrix = X if isinstance(X, Dense | Sparse) else design(X)
        n = self.matrix.shape[0]
        self.y = _per_row("y", y, n)
        self.offset = None if offset is None else _finite("offset", offset, n)
        self.fold = None if fold is None else _per_row("fold", fold, n).astype(np.int64)
        self.weights = None if weight is None else read_weights(weight, n)
        self._batch = _Batch(self)
        self._described: Description | None = None

    def describe(self) -> Description:
        """Return counts, means and scales, from a first pass that also refuses NaN."""
        if self._described is None:
            self._described = _described(self)
        return self._described

    def reduce(self, kernel: Kernel, params: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return a kernel's sums over all rows."""
        return kernel.part(self._batch, *params)

    def forget(self) -> None:
        """Drop what was computed of the matrix, which has changed."""
        self._batch = _Batch(self)

    def rows(self, index: Array) -> MemorySource:
        """Return the source of some rows."""
        return MemorySource(
            self.matrix.rows(index),
            self.y[index],
            weight=None if self.weights is None else self.weights[index],
            offset=None if self.offset is None else self.offset[index],
            fold=None if self.fold is None else self.fold[index],
        )

    def columns(self, index: Array) -> Design:
        """Return some columns, for solvers that go through them one after the other."""
        return self.matrix.columns(index)


_KEPT = 1 << 28  # bytes


class _Recent:
    """The last few results of a function, by key."""

    def __init__(self, size: int) -> None:
        self.size, self.kept = size, OrderedDict[Hashable, Any]()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under `key`, made now if need be."""
        if key not in self.kept:
            self.put(key, make())
        self.kept.move_to_end(key)
        return self.kept[key]

    def put(self, key: Hashable, made: Array) -> None:
        """Keep a result, and forget those that were used least recently, down to two."""
        self.kept[key] = made
        while len(self.kept) > self.size or (
            len(self.kept) > 2 and len(self.kept) * made.nbytes > _KEPT
        ):
            self.kept.popitem(last=False)


@dataclass(eq=False)
class _Batch:
    """All rows as one batch, which remembers columns that were copied and scores that were made."""

    source: MemorySource
    # One for each fit that runs in lock step; the oldest gives way.
    _stores: deque[Store] = field(default_factory=lambda: deque(maxlen=16))
    _scores: _Recent = field(default_factory=lambda: _Recent(16))
    _weights: _Recent = field(default_factory=lambda: _Recent(64))

    @property
    def y(self) -> Array:
        return self.source.y

    def design(self, columns: tuple[int, ...] | None) -> Design:
        if columns is None:
            return self.source.matrix
        if not columns:
            return self.source.matrix.columns(np.empty(0, dtype=np.intp))
        for store in self._stores:
            found = store.run(columns)
            if found is not None:
                return found
        for store in self._stores:
            if store.order == list(columns[: len(store.order)]):
                return store.design(columns)
        self._stores.append(self.source.matrix.store())
        return self._stores[-1].design(columns)

    def scores(self, columns: tuple[int, ...] | None, theta: Array) -> Array:
        # Equal coefficients have equal scores, whatever set of columns they are written in.
        keys = [_support(columns, one) for one in theta]
        known = {key: self._scores.kept[key] for key in keys if key in self._scores.kept}
        missing = [i for i, key in enumerate(keys) if key not in known]
        if missing:
            matrix, some = self._narrowed(columns, theta[missing])
            made = scores_of(matrix, some)
            offset = self.source.offset
            if offset is not None:
                made += offset if offset.ndim == made.ndim - 1 else offset[:, None]
            for i, part in zip(missing, made, strict=True):
                known[keys[i]] = part
                self._scores.put(keys[i], part)
        parts = [known[key] for key in keys]
        return parts[0][None] if len(parts) == 1 else np.stack(parts)

    def weight(self, held: int, inside: bool = False) -> Array | None:
        source = self.source
        if held < 0:
            return source.weights
        weights = 1.0 if source.weights is None else source.weights
        return self._weights.get(
            (held, inside), lambda: np.where((source.fold == held) == inside, weights, 0.0)
        )

    def subset(self, index: Array) -> _Batch:
        return self.source.rows(index)._batch

    def folds(self) -> dict[int, Array]:
        fold = self.source.fold
        return {} if fold is None else {int(k): np.flatnonzero(fold == k) for k in np.unique(fold)}

    def _narrowed(self, columns: tuple[int, ...] | None, theta: Array) -> tuple[Design, Array]:
        """Use columns that were copied for an active set where they are all that is not 0."""
        if columns is None:
            support = np.flatnonzero(theta[:, :-1].any(axis=(0, 2)))
            for store in self._stores:
                index = store.order
                if 2 * len(index) < theta.shape[1] and np.isin(support, index).all():
                    return store.design(tuple(index)), theta[:, (*index, -1)]
        return self.design(columns), theta


def _support(columns: tuple[int, ...] | None, theta: Array) -> Hashable:
    place = np.flatnonzero(theta[:-1].any(axis=1))
    index = place if columns is None else np.array(columns, dtype=np.intp)[place]
    return index.tobytes(), theta[place].tobytes(), theta[-1].tobytes()


_FAR = 100.0  # means of so many standard deviations cost more digits than a copy does memory


def _described(source: MemorySource) -> Description:
    """Look through the data, and bring columns nearer to 0 where their means hide what varies."""
    found = _moments(source)
    far = (np.abs(found.mean - found.shift) > _FAR * found.scale) & (found.scale > 0)
    if far.any() and isinstance(source.matrix, Dense) and not found.shift.any():
        source.matrix = source.matrix.shifted(np.where(far, found.mean, 0.0))
        source.forget()
        return _moments(source)
    return found


def _moments(source: MemorySource) -> Description:
    n, d = source.matrix.shape
    if not n:
        raise ValueError("X has no rows; needed is one")
    first = source.matrix.rows(np.arange(min(n, 64)))
    shift = first.back(np.ones((first.shape[0], 1)))[:, 0] / first.shape[0]
    with np.errstate(all="ignore"):
        weight, sums, squares = source.reduce(Moments(), (np.nan_to_num(shift)[None],))
    total = float(weight[0])
    offset = sums[0] / total
    moved = source.matrix.shift  # what the matrix is without
    mean, second = np.nan_to_num(shift) + offset + moved, squares[0] / total
    if not (np.isfinite(mean).all() and np.isfinite(second).all()):
        _refuse_not_finite(source.matrix)
    variance = second - offset * offset
    # Rounding leaves a little variance in a constant column.
    constant = variance <= 1e-14 * second
    return Description(
        rows=n,
        columns=d,
        dtype=source.matrix.dtype,
        weight=total,
        mean=mean,
        scale=np.where(constant, 0.0, np.sqrt(np.maximum(variance, 0.0))),
        size=np.sqrt(np.maximum(variance + mean * mean, 0.0)),
        offset=source.offset is not None,
        shift=moved,
    )


def _refuse_not_finite(matrix: Any) -> None:
    """Raise at the first value that is NaN or infinite, or too large to be squared."""
    array: Any = matrix.array if isinstance(matrix, Dense) else matrix.matrix.tocoo()
    values: Array = array if isinstance(matrix, Dense) else array.data
    for bad, said in (
        (~np.isfinite(values), "needed is a finite number: fill it, drop the row, or pass a frame"),
        (np.abs(values) > LARGEST, "its square overflows: choose other units"),
    ):
        if bad.any():
            at = np.unravel_index(int(np.argmax(bad)), values.shape)
            i, j = at if len(at) == 2 else (array.row[at[0]], array.col[at[0]])
            raise ValueError(f"X[{i}, {j}] is {values[at]}; {said}")
    raise ValueError("weighted sums of X's squares overflow: choose smaller weights or other units")


def _per_row(name: str, values: Any, n: int) -> Array:
    array = np.asarray(values)
    if array.ndim == 0 or len(array) != n:
        raise ValueError(f"{name} has shape {array.shape}; X has {n} rows")
    return array


def _finite(name: str, values: Any, n: int) -> Array:
    array = _per_row(name, values, n).astype(np.float64)
    if not np.isfinite(array).all():
        at = int(np.argmax(~np.isfinite(array).reshape(n, -1).all(axis=1)))
        raise ValueError(f"{name}[{at}] is {array[at]}; needed is a finite number")
    return array


def read_weights(sample_weight: Any, rows: int) -> Array:
    """Return weights (n,), finite, of at least 0, and not all 0; else raise ValueError."""
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,):
        raise ValueError(f"sample_weight has shape {weight.shape}; needed is ({rows},)")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"sample_weight[{at}] is {weight[at]}; needed is a number of at least 0")
    if not weight.any():
        # "zero" is a word that scikit-learn asks for.
        raise ValueError("sample_weight is zero in every row; needed is a row that counts")
    return weight
