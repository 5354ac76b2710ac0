"""How losskit is broken, and the laws as functions of a loss alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import losskit
from laws import derivatives, prediction_scale
from laws.test_accuracy import law_accuracy
from laws.written import fresh
from losskit.backends import numba as numba_backend
from losskit.formula import fold, where
from losskit.formula.primitives import PRIMITIVES, apply

Law = Callable[[losskit.Loss], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A way to break losskit, a loss to look at, and the law that sees it."""

    name: str
    breaks: Callable[[pytest.MonkeyPatch], None]
    law: Law
    loss: str
    parameters: tuple[tuple[str, float], ...] = ()

    def fresh(self) -> losskit.Loss:
        """Return the loss with nothing remembered from before the fault."""
        loss = losskit.get(self.loss, **dict(self.parameters))
        return loss if loss.kind == "written" else fresh(loss)


# --- ways to break -----------------------------------------------------------------------


def primitive(op: str, **changes: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Change one entry of the table of primitives."""

    def breaks(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(PRIMITIVES, op, dataclasses.replace(PRIMITIVES[op], **changes))

    return breaks


def item(table: Any, key: Any, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Change one entry of a table."""
    return lambda patch: patch.setitem(table, key, value)


def attribute(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Change a function."""
    return lambda patch: patch.setattr(owner, name, value)


def first_term_only(args: Any, changes: Any, node: Any) -> Any:
    return apply(node.op, changes[0], args[1])


def product_of_changes(args: Any, changes: Any, node: Any) -> Any:
    return apply(node.op, changes[0], args[1]) - apply(node.op, args[0], changes[1])


def closed_tie(a: Any, b: Any, da: Any, db: Any, order: int) -> Any:
    return where(a >= b, da, db)


def multiplied(array: Any, weight: Any, scale: float) -> Any:
    if weight is None:
        return array * scale
    return array * (weight if array.ndim == 1 else weight[:, None]) * scale


def unweighted(array: Any, weight: Any, scale: float) -> Any:
    return array * scale


def plain_total(data: Any, *_: Any, **__: Any) -> Any:
    return float(np.add.accumulate(np.asarray(data, float))[-1]) if np.size(data) else 0.0, 0.0


def count_only(numerator: Any, denominator: Any) -> float:
    return sum(numerator) / math.ceil(sum(denominator))


def last_of_the_trail(first: Any, second: Any, third: Any) -> Any:
    return third


_run = numba_backend.run


def run_without_weights(*args: Any, **options: Any) -> Any:
    return _run(*args, **{**options, "weight": None})


def run_unscaled(*args: Any, **options: Any) -> Any:
    return _run(*args, **{**options, "scale": 1.0})


def joined_high(pairs: Any) -> Any:
    return math.fsum(high for high, _ in pairs), 0.0


def without_values(frozen: Any, stored: Any) -> losskit.Loss:
    definition = frozen.thaw()
    return losskit.Loss(definition, tuple((p.name, p.default) for p in definition.parameters))


def sum_of_equals(a: Any, b: Any) -> Any:
    return a if a is b else fold._add(a, b)


def wrong_neg(a: Any) -> Any:
    return a if a.op == "sub" else fold._neg(a)


def halved_clip(self: Any, clip: float) -> tuple[float, ...]:
    return (*self.values, 0.0, 1.0) if self.clips else self.values


# --- the laws, called as one-argument functions ------------------------------------------


def differences(loss: losskit.Loss) -> None:
    """Derivatives are those of the value."""
    derivatives.law_gradient_and_hessian(loss, derivatives.points(loss, 6))


def accuracy(loss: losskit.Loss) -> None:
    """NumPy's results are the truth."""
    law_accuracy(loss, kernels=())


def kernels(loss: losskit.Loss) -> None:
    """The compiled results are the truth."""
    law_accuracy(loss, kernels=(np.float64,), most=2, count=5)


def predictions(loss: losskit.Loss) -> None:
    """The prediction scale is the raw scale by the chain rule."""
    prediction_scale.law_prediction_scale(loss, ["numpy"], [np.float64])


def compiled(law: Callable[..., None]) -> Law:
    """Return a law for the compiled tier."""
    return lambda loss: law(loss, "numba")
