"""The language over an axis: ranks, operations, derivatives, and errors that teach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pytest

import losskit
from losskit.backends import numpy as numpy_backend
from losskit.backends.axes import Axis
from losskit.formula import axis, exp, log1p, where
from losskit.formula.adjoint import along, diagonal, gradients
from losskit.formula.axis import AXIS_PRIMITIVES, count, dot, max_, mean_, norm, position, sum_
from losskit.formula.expr import Expr, FormulaError, Trace, Unsupported

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(6, 4))
LENGTHS = (3, 1, 5, 2)
STARTS = np.array([0, 3, 4, 9])
FLAT = RNG.normal(size=11)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max())
    return e / e.sum()


def nearest_on_simplex(x: Any) -> Any:
    """Bisection on the threshold: no sorting."""
    low, high = x.min() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


def potential(x: Any) -> Any:
    p = nearest_on_simplex(x)
    return p @ x - p @ p / 2


MEANINGS: dict[str, Callable[[Any], Any]] = {
    "sum": np.sum,
    "max": np.max,
    "norm": np.linalg.norm,
    "max_share": lambda x: (x == x.max()) / (x == x.max()).sum(),
    "uniform": lambda x: np.full(len(x), 1 / len(x)),
    "logsumexp": lambda x: np.log(np.exp(x).sum()),
    "softmax": softmax,
    "softmax_rest": lambda x: 1 - softmax(x),
    "surprise": lambda x: -np.log(softmax(x)),
    "entropy": lambda x: -(softmax(x) * np.log(softmax(x))).sum(),
    "sparsemax": nearest_on_simplex,
    "sparsemax_surprise": lambda x: potential(x) - x + 0.5,
}
OF_CLASSES = {"sparsemax", "sparsemax_surprise"}  # which lists of unequal length do not have


def trace_of(**ranks: int) -> Trace:
    return Trace(ranks, ranks)


def run(node: Expr, over: Axis, **values: Any) -> Any:
    text = numpy_backend.source("f", ("axis", *values), [node])
    with np.errstate(all="ignore"):
        return numpy_backend.compiled(text)(over, *values.values())[0]


def lists(x: Any) -> list[Any]:
    return np.split(x, STARTS[1:])


# --- operations --------------------------------------------------------------------------


def test_every_operation_is_tested_here() -> None:
    assert set(MEANINGS) == set(AXIS_PRIMITIVES)


@pytest.mark.parametrize("op", MEANINGS)
def test_an_operation_is_its_definition_on_rows(op: str) -> None:
    x = trace_of(x=2).symbols["x"]
    got = run(x.trace.node(op, x), Axis(4), x=MATRIX)
    np.testing.assert_allclose(got, [MEANINGS[op](row) for row in MATRIX], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("op", sorted(set(MEANINGS) - OF_CLASSES))
def test_an_operation_is_its_definition_on_lists(op: str) -> None:
    x = trace_of(x=2).symbols["x"]
    got = run(x.trace.node(op, x), Axis(0, STARTS, 11), x=FLAT)
    wanted = np.concatenate([np.atleast_1d(MEANINGS[op](part)) for part in lists(FLAT)])
    np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-15)


def test_sparsemax_of_lists_is_refused() -> None:
    with pytest.raises(Unsupported, match="lists of unequal length"):
        Axis(0, STARTS, 11).sparsemax(FLAT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operations_keep_the_type(dtype: type) -> None:
    x = trace_of(x=2).symbols["x"]
    for op in MEANINGS:
        assert run(x.trace.node(op, x), Axis(4), x=MATRIX.astype(dtype)).dtype == dtype, op


@pytest.mark.parametrize("row", [
    [800.0, -800.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [-np.inf, 1.0, 2.0, -np.inf],
    [1e300, -1e300, 0.0, 1e300], [5e-324, 0.0, 0.0, 0.0], [-1e4, -1e4, -1e4 - 40, -1e4],
])  # fmt: skip
def test_operations_are_never_nan_where_a_class_is_left(row: list[float]) -> None:
    x = np.array([row])
    over = Axis(4)
    for op in ("softmax", "softmax_rest", "surprise", "logsumexp", "max_share", "uniform"):
        assert not np.isnan(getattr(over, op)(x)).any(), op
    p = Axis(4).softmax(x)
    assert p.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(p + Axis(4).softmax_rest(x), 1, atol=1e-15)


def test_a_confident_row_keeps_relative_precision() -> None:
    x = np.array([[50.0, 0.0, -3.0]])
    others = 1.9287498479639178e-22 * (1 + np.exp(-3.0))
    assert Axis(3).surprise(x)[0, 0] == pytest.approx(others, rel=1e-14)
    assert Axis(3).softmax_rest(x)[0, 0] == pytest.approx(others, rel=1e-14)


def test_excluded_classes_have_no_share() -> None:
    x = np.array([[-np.inf, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(Axis(4).uniform(x), [[0, 1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(Axis(4).softmax(x), [[0, 1 / 3, 1 / 3, 1 / 3]])


def test_count_position_and_index() -> None:
    trace = trace_of(x=2, i=1)
    x, i = trace.symbols["x"], trace.symbols["i"]
    assert run(count(x) * x, Axis(4), x=MATRIX) == pytest.approx(4 * MATRIX)
    got = run(count(x) + position(x) + 0 * x, Axis(0, STARTS, 11), x=FLAT)
    places = np.concatenate([np.arange(n) + n for n in LENGTHS])
    np.testing.assert_array_equal(got, places)
    index = np.array([0, 3, 2, 1, 1, 0])
    np.testing.assert_array_equal(
        run(x[i], Axis(4), x=MATRIX, i=index), MATRIX[np.arange(6), index]
    )


def test_lengths_and_products() -> None:
    trace = trace_of(x=2, y=2)
    x, y = trace.symbols["x"], trace.symbols["y"]
    other = RNG.normal(size=(6, 4))
    np.testing.assert_allclose(
        run(dot(x, y), Axis(4), x=MATRIX, y=other), (MATRIX * other).sum(axis=1)
    )
    np.testing.assert_allclose(run(norm(x), Axis(4), x=MATRIX), np.linalg.norm(MATRIX, axis=1))
    np.testing.assert_allclose(run(mean_(x), Axis(4), x=MATRIX), MATRIX.mean(axis=1))
    zero = np.zeros((6, 4))
    assert (run(axis.normalized(x), Axis(4), x=zero) == 0).all()
    assert (run(gradients(norm(x), [x])[0], Axis(4), x=zero) == 0).all()


# --- ranks -------------------------------------------------------------------------------


def test_ranks() -> None:
    trace = trace_of(x=2, r=1, a=0)
    x, r, a = (trace.symbols[name] for name in "xra")
    ranks = {x: 2, r: 1, a: 0, x + r: 2, r * a: 1, sum_(x): 1, exp(a): 0, x - sum_(x): 2,
             count(x): 1, position(x): 2, where(x > r, 1, 0): 2, x[r]: 1}  # fmt: skip
    assert {node: node.rank for node in ranks} == ranks


def test_the_sum_of_what_does_not_vary_repeats_it() -> None:
    r = trace_of(r=1, x=2).symbols["r"]
    got = run(sum_(r), Axis(4), r=np.arange(6.0), x=MATRIX)
    np.testing.assert_array_equal(got, 4 * np.arange(6.0))


def test_a_row_is_repeated_along_lists() -> None:
    trace = trace_of(x=2)
    x = trace.symbols["x"]
    got = run(x - max_(x), Axis(0, STARTS, 11), x=FLAT)
    np.testing.assert_array_equal(got, np.concatenate([p - p.max() for p in lists(FLAT)]))


# --- derivatives -------------------------------------------------------------------------

FORMULAS: dict[str, Callable[[Expr, Expr], Expr]] = {
    "sum of products": lambda x, r: sum_(x * x * r),
    "logsumexp": lambda x, r: axis.logsumexp(x * r),
    "square of logsumexp": lambda x, r: axis.logsumexp(x) * axis.logsumexp(r * x),
    "softmax": lambda x, r: sum_(axis.softmax(x) * axis.softmax(x)) * r,
    "rest": lambda x, r: sum_(x * axis.softmax_rest(x * r)),
    "surprise": lambda x, r: sum_(log1p(axis.surprise(x)) * position(x)) + r,
    "entropy": lambda x, r: axis.entropy(x * r),
    "max": lambda x, r: max_(x - r * x * x),
    "sparsemax": lambda x, r: sum_(axis.sparsemax(x) * axis.sparsemax(x)) * r,
    "sparsemax surprise": lambda x, r: sum_(axis.sparsemax_surprise(r * x) * position(x)),
    "norm": lambda x, r: norm(x - r) * norm(x),
    "centred": lambda x, r: sum_(where(x > mean_(x), x - mean_(x), 0)) * r,
    "index": lambda x, r: exp(x[where(r > 0, 1, 2)]) * r,
}
_H = 1e-5


@pytest.fixture(params=FORMULAS)
def formula(request: pytest.FixtureRequest) -> tuple[Expr, Expr, Expr]:
    trace = trace_of(x=2, r=1, v=2, s=1)
    x, r = trace.symbols["x"], trace.symbols["r"]
    return FORMULAS[request.param](x, r), x, r


R = RNG.normal(size=6)


def at(node: Expr, x: Any = MATRIX, r: Any = R, **more: Any) -> Any:
    made = run(node, Axis(4), x=x, r=r, **more)
    return np.broadcast_to(made, x.shape if node.rank == 2 else r.shape)


def along_rows(node: Expr, **more: Any) -> Any:
    """Return one number for each element, repeated where a row has only one."""
    made = at(node, **more)
    return made if made.ndim == 2 else np.repeat(made[:, None], 4, axis=1)


def test_gradients_are_differences(formula: tuple[Expr, Expr, Expr]) -> None:
    value, x, r = formula
    by_x, by_r = gradients(value, [x, r])
    assert by_r.rank <= 1
    for k in range(4):
        h = _H * np.eye(4)[k]
        slope = (at(value, MATRIX + h) - at(value, MATRIX - h)) / (2 * _H)
        np.testing.assert_allclose(along_rows(by_x)[:, k], slope, rtol=1e-7, atol=1e-8)
    slope = (at(value, r=R + _H) - at(value, r=R - _H)) / (2 * _H)
    np.testing.assert_allclose(at(by_r), slope, rtol=1e-7, atol=1e-8)


def test_changes_along_a_direction(formula: tuple[Expr, Expr, Expr]) -> None:
    value, x, r = formula
    v, s = x.trace.symbols["v"], x.trace.symbols["s"]
    dx, dr = RNG.normal(size=(6, 4)), RNG.normal(size=6)
    for node in (value, gradients(value, [x])[0]):
        change = at(along(node, {x: v, r: s}), v=dx, s=dr)
        ends = [at(node, MATRIX + t * dx, R + t * dr) for t in (_H, -_H)]
        np.testing.assert_allclose(change, (ends[0] - ends[1]) / (2 * _H), rtol=1e-6, atol=1e-7)


def test_the_diagonal_is_that_of_all_second_derivatives(formula: tuple[Expr, Expr, Expr]) -> None:
    value, x, _ = formula
    slope = gradients(value, [x])[0]
    found = along_rows(diagonal(slope, x))
    for k in range(4):
        h = _H * np.eye(4)[k]
        ends = [along_rows(slope, x=MATRIX + s * h)[:, k] for s in (1, -1)]
        second = (ends[0] - ends[1]) / (2 * _H)
        np.testing.assert_allclose(found[:, k], second, rtol=1e-6, atol=1e-7)


def test_a_nested_mixture_has_no_diagonal() -> None:
    x = trace_of(x=2).symbols["x"]
    value = sum_(axis.softmax(axis.softmax(x)) * position(x))
    with pytest.raises(Unsupported, match="no diagonal"):
        diagonal(gradients(value, [x])[0], x)


def test_what_does_not_depend_has_no_gradient() -> None:
    trace = trace_of(x=2, r=1)
    x, r = trace.symbols["x"], trace.symbols["r"]
    assert [g.value for g in gradients(sum_(x), [r])] == [0.0]
    jumps = gradients(sum_(axis._max_share(x)), [x])[0]
    assert jumps.value == 0.0


# --- errors that teach -------------------------------------------------------------------

Row = Annotated[Any, losskit.formula.Vector.__metadata__[0]]
MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "no reduction": (lambda y, f: f - y, "varies along the class axis"),
    "a number": (lambda y, f: 1.0, "one value for a row"),
    "sum()": (lambda y, f: sum(f), "sees one number at a time, or a whole axis"),
    "f[0]": (lambda y, f: sum_(f) + f[0], "picks at the index of a row's class"),
    "index by a row": (lambda y, f: sum_(f)[f], "picks at the index"),
    "max()": (lambda y, f: max(f, y), "maximum"),
    "np.sum": (lambda y, f: np.sum(f), "NumPy's functions cannot be traced|losskit.formula"),
    "softmax of a row": (lambda y, f: sum_(axis.softmax(sum_(f))), "takes what varies along"),
    "max of a number": (lambda y, f: max_(2.0), "takes what varies along the axis"),
    "==": (lambda y, f: sum_(where(f == y, 1, 0)), "equal"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(mistake: str) -> None:
    body, cure = MISTAKES[mistake]

    def wrong(y: losskit.formula.OneOf, f: Row) -> Any:
        return body(y, f)

    with pytest.raises(FormulaError, match=cure) as caught:
        losskit.loss(wrong, axis="class")
    assert len(str(caught.value)) < 400


def test_wrong_declarations_are_refused() -> None:
    def fine(y: losskit.formula.OneOf, f: Row) -> Any:
        return sum_(y * f)

    def untrained(y: losskit.formula.OneOf) -> Any:
        return sum_(y)

    def starred(y: losskit.formula.OneOf, f: Row, *more: Any) -> Any:
        return sum_(f)

    def taken(y: losskit.formula.OneOf, f: Row, raw: float = 1.0) -> Any:
        return sum_(f)

    for function, options, message in (
        (fine, {"axis": "classes"}, "axis='classes'; needed is one of class"),
        (fine, {"axis": "class", "link": "soft"}, "link='soft'"),
        (fine, {"axis": "class", "aliases": "a"}, "tuple of names"),
        (untrained, {"axis": "class"}, "no argument is trained"),
        (starred, {"axis": "class"}, r"no \*args"),
        (taken, {"axis": "class"}, "'raw', which is reserved"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            losskit.loss(function, **options)
