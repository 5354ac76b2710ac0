"""Operations along an axis: of a row's classes, labels, features or items.

A formula's values have a rank: 0 for numbers and parameters, 1 for what a row has once, 2 for what
varies along the axis. A value of lower rank stands for its repetition. Each operation states how it
changes along a change of its operand (`tangent`), how a row's derivative by its result becomes one
by its operand (`adjoint`) and, if its result has rank 2, how each element of the result changes
with the same element of the operand (`diagonal`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from losskit.formula.expr import RANKS, Expr, FormulaError
from losskit.formula.primitives import equal, where, xmul


@dataclass(frozen=True)
class AxisPrimitive:
    """One operation along the axis; without derivatives it is constant between its jumps."""

    tangent: Callable[[Expr, Expr], Expr] | None = None  # operand, its change
    adjoint: Callable[[Expr, Expr], Expr] | None = None  # operand, derivative by the result
    diagonal: Callable[[Expr], Expr] | None = None


AXIS_PRIMITIVES: dict[str, AxisPrimitive] = {}


def _enter(
    op: str,
    rank: int,
    doc: str,
    tangent: Callable[[Expr, Expr], Expr] | None = None,
    adjoint: Callable[[Expr, Expr], Expr] | None = None,
    diagonal: Callable[[Expr], Expr] | None = None,
) -> Callable[[Expr], Expr]:
    AXIS_PRIMITIVES[op], RANKS[op] = AxisPrimitive(tangent, adjoint, diagonal), rank

    def function(x: Expr) -> Expr:
        if not isinstance(x, Expr) or x.rank < 2:
            raise FormulaError(f"{op} takes what varies along the axis, not {x!r:.40}")
        return x.trace.node(op, x)

    function.__name__, function.__doc__ = op, doc
    return function


def sum_(x: Expr) -> Expr:
    """Return the sum along the axis; what does not vary is repeated."""
    return x.trace.node("sum", x) if x.rank == 2 else x * count(x)


def mean_(x: Expr) -> Expr:
    """Return the mean along the axis."""
    return sum_(x) / count(x)


def count(x: Expr) -> Expr:
    """Return the number of elements along the axis."""
    return x.trace.add("count", ())


def position(x: Expr) -> Expr:
    """Return 0, 1, 2, … along the axis."""
    return x.trace.add("position", ())


def pick(x: Expr, index: Expr) -> Expr:
    """Return the element of `x` at a row's `index`: what `x[index]` writes."""
    return sum_(where(equal(position(x), index), x, 0))


def dot(x: Expr, y: Expr) -> Expr:
    """Return the inner product along the axis."""
    return sum_(x * y)


def normalized(x: Expr) -> Expr:
    """Return x divided by its Euclidean length; 0 stays 0."""
    length = norm(x)
    return x / where(equal(length, 0), 1, length)


RANKS.update(count=1, position=2)
_enter("sum", 1, "", lambda x, v: sum_(v), lambda x, a: a)
norm: Callable[[Expr], Expr] = _enter(
    "norm", 1, "Return the Euclidean length along the axis; its derivative at 0 is 0.",
    lambda x, v: sum_(normalized(x) * v), lambda x, a: a * normalized(x),
)  # fmt: skip
_max_share: Callable[[Expr], Expr] = _enter(
    "max_share", 2, "Return 1 at the maximum, divided among those that tie."
)
max_ = _enter(
    "max", 1, "Return the maximum along the axis; its derivative is shared by those that tie.",
    lambda x, v: sum_(_max_share(x) * v), lambda x, a: a * _max_share(x),
)  # fmt: skip
uniform = _enter("uniform", 2, "Return 1/count, or among several where some are −∞: excluded.")
logsumexp = _enter(
    "logsumexp", 1, "Return log Σ eˣ along the axis.",
    lambda x, v: sum_(softmax(x) * v), lambda x, a: a * softmax(x),
)  # fmt: skip


def _softmax_change(x: Expr, v: Expr) -> Expr:
    # p·(v − Σpv) with its own element taken out of the sum, whose p·v would cancel, so that a
    # confident row keeps its precision; what is excluded (p = 0) does not change whatever v is.
    own = xmul(softmax(x), v)
    return xmul(softmax(x), softmax_rest(x) * v - (sum_(own) - own))


def _surprise_adjoint(x: Expr, a: Expr) -> Expr:
    # p·Σa − a without a difference that cancels: a confident row's gradient keeps its precision.
    return softmax(x) * (sum_(a) - a) - a * softmax_rest(x)


softmax: Callable[[Expr], Expr] = _enter(
    "softmax", 2, "Return eˣ/Σeˣ along the axis: the probabilities of scores.",
    _softmax_change, _softmax_change, lambda x: softmax(x) * softmax_rest(x),
)  # fmt: skip
softmax_rest: Callable[[Expr], Expr] = _enter(
    "softmax_rest", 2, "Return 1 − softmax(x), with full relative precision.",
    lambda x, v: -_softmax_change(x, v), lambda x, a: -_softmax_change(x, a),
    lambda x: -softmax(x) * softmax_rest(x),
)  # fmt: skip
surprise: Callable[[Expr], Expr] = _enter(
    "surprise", 2, "Return −log softmax(x), with full relative precision.",
    lambda x, v: sum_(softmax(x) * v) - v, _surprise_adjoint, lambda x: -softmax_rest(x),
)  # fmt: skip


def _entropy_slope(x: Expr) -> Expr:
    return xmul(softmax(x), surprise(x) - entropy(x))


entropy: Callable[[Expr], Expr] = _enter(
    "entropy", 1, "Return −Σ p·log p of p = softmax(x).",
    lambda x, v: sum_(_entropy_slope(x) * v), lambda x, a: a * _entropy_slope(x),
)  # fmt: skip


def _support(x: Expr) -> Expr:
    return where(sparsemax(x) > 0, 1, 0)


def _sparsemax_change(x: Expr, v: Expr) -> Expr:
    support = _support(x)
    return support * (v - sum_(support * v) / sum_(support))


sparsemax: Callable[[Expr], Expr] = _enter(
    "sparsemax", 2, "Return the point of the simplex nearest to x (Martins & Astudillo, 2016).",
    _sparsemax_change, _sparsemax_change, lambda x: _support(x) * (1 - 1 / sum_(_support(x))),
)  # fmt: skip
sparsemax_surprise = _enter(
    "sparsemax_surprise", 2,
    "Return max of p·x − |p|²/2 over the simplex, − x + 1/2: 0 where sparsemax(x) is 1.",
    lambda x, v: sum_(sparsemax(x) * v) - v, lambda x, a: sparsemax(x) * sum_(a) - a,
    lambda x: sparsemax(x) - 1,
)  # fmt: skip
