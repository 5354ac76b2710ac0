"""Faults in the language of an axis, in what runs it, and in the frame of written losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import losskit
from laws import (
    rows_accuracy,
    rows_cases,
    rows_derivatives,
    rows_reductions,
    rows_values,
)
from losskit import catalogue, lists
from losskit.backends.axes import Axis
from losskit.formula import adjoint
from losskit.formula.axis import AXIS_PRIMITIVES, mean_, softmax, sum_
from losskit.lists import Lists
from losskit.rows import call, compute
from mutants.ways import Fault, attribute

# --- ways to break -----------------------------------------------------------------------


def along_axis(op: str, **changes: Any) -> Any:
    """Change one entry of the table of operations along an axis."""

    def breaks(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(AXIS_PRIMITIVES, op, replace(AXIS_PRIMITIVES[op], **changes))

    return breaks


def without_weights(array: Any, factor: Any, divisor: float) -> Any:
    return array / divisor


def not_compensated(self: Axis, x: Any) -> Any:
    top, _, _, others = self._parts(x)
    return (self.spread(top) - x) + self.spread(np.log(1 + others))


def never_shifted(self: Axis, x: Any) -> Any:
    e = np.exp(x)
    first = np.zeros(x.shape, bool)
    return np.zeros(self.sum(e).shape), first, e, self.sum(e) - 1


def in_order_of_lists(self: Lists, items: Any) -> Any:
    return items.reshape(self.shape)


def divisor_of_sums(self: Any, *known: Any) -> Any:
    return _divisor(self, *known)[0], 1.0


def at_defaults(frozen: Any, _: Any) -> losskit.Loss:
    return losskit.Loss(frozen, tuple((p.name, p.default) for p in frozen.parameters))


_divisor = call.RowCall._divisor

# --- the laws, called as one-argument functions --------------------------------------------


def differences(loss: losskit.Loss) -> None:
    """Gradient and Hessian are those of the value, the product that of the gradient."""
    data = rows_cases.draw(loss, 3, 4, seed=1)
    rows_derivatives.law_differences(loss, data, range(2))
    rows_derivatives.law_product_is_the_change_of_the_gradient(loss, data, [2])


def accuracy(loss: losskit.Loss) -> None:
    """NumPy's results are the truth."""
    rows_accuracy.law_accuracy(loss, rows_accuracy.extreme(loss, 26), wanted=("value", "gradient"))


def accuracy_at_ties(loss: losskit.Loss) -> None:
    """NumPy's results are the truth where elements tie."""
    rows_accuracy.law_accuracy(loss, rows_derivatives.at_kinks(loss), wanted=("gradient",))


def numbers(loss: losskit.Loss) -> None:
    """A call's value changes as its gradient says."""
    data = rows_derivatives.smooth(loss, 14)
    rows_derivatives.law_numbers_change_as_the_gradient_says(loss, data)


def products(loss: losskit.Loss) -> None:
    """The Hessian is symmetric, and its diagonal the product with unit vectors."""
    data = rows_derivatives.smooth(loss, 14)
    rows_derivatives.law_hessian_is_the_diagonal(loss, data)
    rows_derivatives.law_product_is_symmetric(loss, data)


ROWS_FAULTS = (
    # derivatives
    Fault(
        "a row's part is the mean over the axis",
        attribute(adjoint, "sum_", mean_),
        differences,
        "weston_watkins",
    ),
    Fault(
        "softmax' without its sum",
        along_axis("softmax", adjoint=lambda x, a: softmax(x) * a),
        differences,
        "categorical_brier",
    ),
    Fault(
        "surprise' forgets the target",
        along_axis("surprise", adjoint=lambda x, a: softmax(x) * sum_(a)),
        differences,
        "cross_entropy",
    ),
    Fault(
        "logsumexp changes by the plain sum",
        along_axis("logsumexp", tangent=lambda x, v: sum_(v)),
        differences,
        "cross_entropy",
        (("z_loss", 2.5),),
    ),
    Fault(
        "softmax's diagonal is p",
        along_axis("softmax", diagonal=softmax),
        products,
        "cross_entropy",
        (("z_loss", 2.5),),
    ),
    Fault(
        "the Hessian leaves out what rows share",
        attribute(adjoint, "gradients", lambda node, by: [node.trace.constant(0)] * len(by)),
        products,
        "cross_entropy",
        (("z_loss", 2.5),),
    ),
    # arithmetic
    Fault(
        "log1p of the others as log(1 + …)",
        attribute(Axis, "surprise", not_compensated),
        accuracy,
        "cross_entropy",
    ),
    Fault(
        "1 − p by subtraction",
        attribute(Axis, "softmax_rest", lambda self, x: 1 - self.softmax(x)),
        accuracy,
        "cross_entropy",
    ),
    Fault(
        "exponentials are not shifted",
        attribute(Axis, "_parts", never_shifted),
        rows_accuracy.law_never_nan,
        "cross_entropy",
    ),
    Fault(
        "all that tie are the maximum",
        attribute(Axis, "max_share", lambda self, x: 1.0 * (x == self.spread(self.max(x)))),
        accuracy_at_ties,
        "multiclass_perceptron",
    ),
    Fault(
        "infinite scores stay infinite",
        attribute(call, "limits_of", lambda form, batch, infinite: replace(
            batch,
            values={k: v[np.flatnonzero(infinite)] for k, v in batch.values.items()},
            shape=(int(infinite.sum()),), weight=None,
        )),
        rows_accuracy.law_never_nan,
        "cross_entropy",
    ),
    # weights
    Fault(
        "weights of rows are dropped",
        attribute(compute, "_times", without_weights),
        rows_reductions.law_weights_multiply,
        "categorical_brier",
    ),
    Fault(
        "class weights do not count",
        attribute(call, "class_weights", lambda name, batch, params: batch.weight),
        rows_reductions.law_ignored_and_weighted_classes,
        "cross_entropy",
    ),
    Fault(
        "the mean of rows is not divided",
        attribute(call.RowCall, "_divisor", divisor_of_sums),
        numbers,
        "sparsemax",
    ),
    Fault(
        "lists have no weights",
        attribute(lists, "_weight", lambda *_: None),
        rows_reductions.law_integer_weights_are_repeated_rows,
        "list_mle",
    ),
    Fault(
        "items stay in the order of lists",
        attribute(Lists, "scatter", in_order_of_lists),
        numbers,
        "softmax_ranking",
    ),
    # scales and values
    Fault(
        "a travelled loss is at its defaults",
        attribute(catalogue, "thaw", at_defaults),
        rows_values.law_travels_as_a_graph,
        "tversky",
        (("alpha", 0.25),),
    ),
)  # fmt: skip
