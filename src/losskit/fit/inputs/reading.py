"""What users pass to an estimator, as a fit takes it: a finite matrix, weights, offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.fit.data.source import read_weights
from losskit.fit.inputs.frames import is_frame, open_frame
from losskit.fit.inputs.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Given:
    """Rows that count: those of weight 0 are left out, and may hold anything."""

    matrix: Any  # NumPy or SciPy sparse, float32 or float64
    y: Any  # as the user has it
    weight: Array | None
    kept: Array | None  # which of the user's rows these are; None for all
    every: int  # of the user's rows
    preprocessing: Preprocessing | None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.matrix.shape[0])


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame of which the matrix was made already, for estimators that standardise."""

    step: Preprocessing
    matrix: Array


def read(model: Any, X: Any, y: Any, sample_weight: Any, *, first: bool = True) -> Given:
    """Return what an estimator is fitted to, and let it remember the features' number and names.

    A data frame with categories or missing values, or a dict of arrays, becomes a matrix by a
    recorded step, as any dense X does if the estimator standardises; `Prepared` has that behind it.
    `first=False` compares the features with those remembered.
    """
    if y is None:
        raise ValueError(
            f"This {type(model).__name__} estimator requires y to be passed, but the target y is "
            "None."
        )
    _check_parameters(model)
    _check_pairs(X, y)
    step: Preprocessing | None = None
    if isinstance(X, Prepared):
        step, matrix = X.step, X.matrix
        weight = _weights(sample_weight, len(matrix))
        _remember_names(model, [column.name for column in step.columns])
    elif model.standardize or needs_preprocessing(X):
        frame = _as_frame(model, X, reset=first)
        weight = _weights(sample_weight, open_frame(frame).rows)
        step = Preprocessing.learn(frame, standardize=model.standardize, weight=weight)
        if isinstance(X, dict) or is_frame(X):
            _remember_names(model, open_frame(frame).names)
        matrix = step.apply(frame, weight=weight)
    else:
        matrix = _matrix(model, X, reset=first)
        weight = _weights(sample_weight, matrix.shape[0])
    kept = None if weight is None or weight.all() else np.flatnonzero(weight)
    every = int(matrix.shape[0])
    if kept is not None:
        y = y.tocsr() if hasattr(y, "tocsr") else np.asarray(y)
        if y.shape[0] != every:
            raise ValueError(f"y has {y.shape[0]} rows, X has {every}")
        y, weight = y[kept], None if weight is None else weight[kept]
    if step is None:
        check_finite(model, matrix, kept)
    if kept is not None:
        matrix = (matrix.tocsr() if hasattr(matrix, "tocsr") else matrix)[kept]
    if weight is not None and (weight == weight[0]).all() and weight[0] == 1.0:
        weight = None
    return Given(matrix, y, weight, kept, every, step)


def read_matrix(model: Any, X: Any) -> Any:
    """Return the matrix of new data, whose features have to be those the model was fitted with."""
    step = getattr(model, "preprocessing_", None)
    if step is not None:
        return step.apply(_as_frame(model, X, reset=False), unknown=model.unknown)
    if needs_preprocessing(X):
        found = open_frame(X)
        known = getattr(model, "feature_names_in_", None)
        names = found.names if known is None else [n for n in known if n in found.names]
        for name in names:
            column = found.column(name)
            at = 0 if column.is_text else int(np.argmax(np.isnan(column.values)))
            value = column.values[at] if column.values.size else ""
            if column.is_text or value != value:
                raise ValueError(
                    f"column {name!r} has {'NaN' if value != value else repr(value)} at row {at}; "
                    "the model was fitted to numbers, none missing: fill it, or fit the model to a "
                    "frame where some are missing"
                )
        if isinstance(X, dict):
            X = np.column_stack([found.column(name).values for name in names])
    matrix = _matrix(model, X, reset=False)
    check_finite(model, matrix, None)
    return matrix


def needs_preprocessing(X: Any) -> bool:
    """Whether X is a dict, or a data frame with categories or missing values."""
    if isinstance(X, dict):
        return True
    if not is_frame(X):
        return False
    import narwhals as nw

    frame = nw.from_native(X)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError("a lazy frame has no rows yet; pass frame.collect()")
    if not all(kind.is_numeric() or kind == nw.Boolean for kind in frame.schema.values()):
        return not _numeric_objects(frame)
    return any(map(_has_missing, frame.iter_columns()))


def read_offset(offset: Any, rows: int, outputs: int, kept: Array | None = None) -> Array | None:
    """Return offsets, (n,) for all outputs alike or (n, outputs), of the rows that are kept."""
    if offset is None:
        return None
    array = np.asarray(offset, dtype=np.float64)
    if array.shape not in ((rows,), (rows, outputs)):
        each = f", or ({rows}, {outputs}) for each of {outputs} outputs" if outputs > 1 else ""
        raise ValueError(
            f"offset has shape {array.shape}; needed is a raw score for each row, ({rows},){each}"
        )
    array = array[:, 0] if array.ndim == 2 and outputs == 1 else array
    array = array if kept is None else array[kept]
    if not np.isfinite(array).all():
        at = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        raise ValueError(
            f"offset[{at if kept is None else kept[at]}] is not finite; needed is a raw score"
        )
    return array


def check_finite(model: Any, matrix: Any, kept: Array | None) -> None:
    """Raise ValueError at the first value of a row that counts that is NaN or infinite."""
    sparse = hasattr(matrix, "tocoo")
    values = matrix.data if sparse else matrix
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = ~np.isfinite(values)
    if sparse:
        table = matrix.tocoo()
        rows, columns = table.coords
    else:
        rows, columns = np.nonzero(bad)
        values, bad = matrix[rows, columns], np.ones(rows.size, dtype=bool)
    if kept is not None:
        bad &= np.isin(rows, kept)
    if not bad.any():
        return
    at = int(np.argmax(bad))
    value = "NaN" if values[at] != values[at] else f"{values[at]}"
    names = getattr(model, "feature_names_in_", None)
    column = f" (column {names[columns[at]]!r})" if names is not None else ""
    raise ValueError(
        f"X[{rows[at]}, {columns[at]}] is {value}{column}; needed is a finite number: fill it or "
        "drop the row; missing values of a data frame are filled where the model is fitted to it"
    )


def _weights(sample_weight: Any, rows: int) -> Array | None:
    return None if sample_weight is None else read_weights(sample_weight, rows)


def _check_parameters(model: Any) -> None:
    """Raise ValueError at a parameter that no solver would look at."""
    for name in ("fit_intercept", "standardize", "warm_start"):
        value = getattr(model, name, False)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r:.40}; needed is True or False")
    if model.unknown not in ("error", "ignore"):
        raise ValueError(f"unknown={model.unknown!r:.40}; needed is 'error' or 'ignore'")
    for ratio in np.atleast_1d(np.asarray(model.l1_ratio, dtype=object)).tolist():
        if not isinstance(ratio, Real) or not 0 <= float(ratio) <= 1:
            raise ValueError(
                f"l1_ratio={model.l1_ratio!r:.40}; needed is a number from 0 (L2) to 1 (L1)"
            )
    if model.progress is not None and not callable(model.progress):
        raise ValueError(f"progress={model.progress!r:.40}; needed is a function, or None")
    from sklearn.utils import check_random_state

    try:
        check_random_state(model.random_state)
        np.random.RandomState(model.random_state if isinstance(model.random_state, int) else 0)
    except ValueError:
        raise ValueError(
            f"random_state={model.random_state!r:.40}; needed is a whole number from 0 to 2^32 − 1,"
            " a numpy.random.RandomState, or None"
        ) from None


def _check_pairs(X: Any, y: Any) -> None:
    """Raise ValueError where rows of X and y are not paired by their place, or are masked."""
    for name, data in (("X", X), ("y", y)):
        if isinstance(data, np.ma.MaskedArray) and np.ma.getmaskarray(data).any():
            raise ValueError(
                f"{name} is a masked array; leave those rows out, or give them weight 0 and pass "
                f"{name}.filled()"
            )
    left: Any = getattr(X, "index", None)
    right: Any = getattr(y, "index", None)
    if not (hasattr(left, "equals") and hasattr(right, "equals")) or left.equals(right):
        return
    if len(left) == len(right) and left.sort_values().equals(right.sort_values()):
        raise ValueError(
            "X and y have the same labels of rows in another order; rows are paired by their "
            "place: pass y.loc[X.index], or y.to_numpy() if the labels mean nothing"
        )


def _matrix(model: Any, X: Any, *, reset: bool) -> Any:
    from sklearn.utils.validation import validate_data

    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) == 1:
        raise ValueError(
            f"X has shape {shape}; needed is (rows, features). Reshape your data: "
            "X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row"
        )
    return validate_data(
        model, X, accept_sparse=("csr", "csc"), dtype=(np.float64, np.float32),
        ensure_all_finite=False, reset=reset,
    )  # fmt: skip


def _as_frame(model: Any, X: Any, *, reset: bool) -> Any:
    """Return a frame, or a matrix as a dict of columns."""
    if isinstance(X, dict) or is_frame(X):
        return X
    if hasattr(X, "tocsr"):
        raise ValueError(
            "standardize=True makes a sparse X dense; divide its columns by their scale instead, "
            "as sklearn.preprocessing.MaxAbsScaler does"
        )
    matrix = _matrix(model, X, reset=reset)
    check_finite(model, matrix, None)
    return {f"x{j}": matrix[:, j] for j in range(matrix.shape[1])}


def _remember_names(model: Any, names: Sequence[str]) -> None:
    model.feature_names_in_ = np.array(names, dtype=object)
    model.n_features_in_ = len(names)


def _numeric_objects(frame: Any) -> bool:
    """Whether the columns that are not numbers by their type are so by their values."""
    import narwhals as nw

    for column in frame.iter_columns():
        if column.dtype.is_numeric() or column.dtype == nw.Boolean:
            continue
        if column.dtype != nw.Object:
            return False
        values = column.to_list()
        if not all(isinstance(v, int | float | np.number) and v == v for v in values):
            return False
    return True


def _has_missing(column: Any) -> bool:
    if column.is_null().any():
        return True
    return bool(column.dtype.is_float() and column.is_nan().any())
