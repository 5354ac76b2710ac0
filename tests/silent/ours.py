"""losskit's side of a row: the loss, its data, and NumPy's results."""

from __future__ import annotations

from typing import Any

import numpy as np

import losskit
from losskit.formula import UNIT, expm1, log, softplus
from silent.rows import Row


@losskit.loss(target=UNIT)
def cross_entropy_lambda(y, f, w=2.0):
    """Scores how probable it is that something happened at least once, of an intensity w·λ."""
    intensity = w * softplus(f)
    return (1 - y) * intensity - y * log(-expm1(-intensity))


def loss_of(row: Row) -> Any:
    """Return the loss that the row names."""
    if row.ours == "cross_entropy_lambda":
        return cross_entropy_lambda
    return eval(f"losskit.{row.ours}", {"losskit": losskit})


def arrays(row: Row) -> dict[str, Any]:
    """Return the row's data as NumPy arrays: floats of its type, and class indexes."""
    made = {name: np.asarray(values) for name, values in row.data.items()}
    return {k: v.astype(row.dtype) if v.dtype.kind == "f" else v for k, v in made.items()}


def arguments(row: Row) -> tuple[Any, ...]:
    """Return the data of losskit's call."""
    return tuple(eval(f"({row.args},)", {"np": np}, arrays(row)))


def numpys(row: Row, options: Any = None) -> dict[str, float] | str:
    """Return what losskit gives by NumPy, or its error's message."""
    loss, data = loss_of(row), arguments(row)
    options = {"raw": row.raw, **(row.options if options is None else options)}
    try:
        value, gradient = loss.value_and_gradient(*data, **options)
        first = gradient[0] if isinstance(gradient, tuple) else gradient
        found = {"value": float(value), "gradient": float(np.ravel(first)[row.at])}
        if isinstance(row.right, dict) and "hessian" in row.right:
            found["hessian"] = float(np.ravel(loss.hessian(*data, **options))[row.at])
    except ValueError as error:
        return str(error)
    return found


def formulas(row: Row) -> dict[str, float]:
    """Return what a row's formulas give in NumPy."""
    assert not isinstance(row.theirs, str)
    space = arrays(row)
    with np.errstate(all="ignore"):
        if "c" in row.theirs:
            space["c"] = eval(row.theirs["c"], {"np": np}, space)
        return {
            name: float(np.ravel(eval(code, {"np": np}, space))[0])
            for name, code in row.theirs.items() if name != "c"
        }  # fmt: skip
