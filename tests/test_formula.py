"""The language of losses: tracing, teaching errors, exact rewriting, kinks, lowering, printing."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import losskit
from laws.derivatives import law_gradient_and_hessian
from losskit.backends.mpmath import evaluate
from losskit.backends.numpy import PRINTER, source
from losskit.formula import (
    Expr,
    FormulaError,
    Unsupported,
    abs_pow,
    exp,
    indicator,
    maximum,
    minimum,
    positive_part,
    sigmoid,
    softplus,
    sqrt,
    where,
)
from losskit.formula.diff import derivative
from losskit.formula.domain import BINARY, NONZERO, POSITIVE, REAL, SIGN, UNIT, Domain
from losskit.formula.emit import Printer, emit
from losskit.formula.expr import Trace, reachable, rebuild, rows
from losskit.formula.lower import lower
from losskit.formula.primitives import PRIMITIVES


@pytest.fixture
def trace() -> Trace:
    return Trace(["y", "f", "delta"])


def named(body: Callable[[Expr, Expr], object]) -> Callable[[Expr, Expr], object]:
    """Return a formula with a name, which a loss needs."""

    def formula(y, f):
        """Stands for a loss."""
        return body(y, f)

    return formula


def at(node: Expr, **values: float) -> float:
    """Evaluate a node as mathematics defines it."""
    return float(evaluate([node], values)[0])


# --- errors that teach -------------------------------------------------------------------

TEACHING: dict[str, tuple[Callable[[Expr, Expr], object], str]] = {
    "if": (lambda y, f: 1 if f > y else 2, "where"),
    "and": (lambda y, f: where((f > y) and (f > 0), 1, 2), "where"),
    "or": (lambda y, f: where((f > y) or (f > 0), 1, 2), "&"),
    "not": (lambda y, f: where(not f > y, 1, 2), "where"),
    "chained": (lambda y, f: where(0 < f < y, 1, 2), "where"),
    "max": (lambda y, f: max(f, y), "maximum"),
    "min": (lambda y, f: min(f, y), "minimum"),
    "==": (lambda y, f: where(f == y, 1, 2), "equal"),
    "!=": (lambda y, f: where(f != y, 1, 2), "~equal"),
    "math.exp": (lambda y, f: math.exp(f), "exp"),
    "math.log": (lambda y, f: math.log(f), "log"),
    "float": (lambda y, f: float(f), "losskit.formula"),
    "int": (lambda y, f: int(f), "losskit.formula"),
    "round": (lambda y, f: math.floor(f), "losskit.formula"),
    "np.exp": (lambda y, f: np.exp(f), "NumPy's functions cannot be traced.* exp"),
    "np.maximum": (lambda y, f: np.maximum(f, y), "NumPy's functions.* maximum"),
    "np.where": (lambda y, f: np.where(f > y, f, y), "where"),
    "np.sum": (lambda y, f: np.sum(f), "losskit.formula|one number"),
    "np.float64 * f": (lambda y, f: np.float64(2) * f, "losskit.formula"),
    "iteration": (lambda y, f: sum(f), "one number at a time"),
    "index": (lambda y, f: f[0], "picks at the index of a row's class"),
    "string": (lambda y, f: f + "1", "plain numbers"),
    "array": (lambda y, f: f + np.ones(2), "plain numbers"),
    "list": (lambda y, f: exp(f) * [1.0], "plain numbers"),
    "no trace": (lambda y, f: exp(1.0), "math module"),
}


@pytest.mark.parametrize("mistake", TEACHING)
def test_a_mistake_in_a_formula_is_explained(mistake: str) -> None:
    body, cure = TEACHING[mistake]

    with pytest.raises(FormulaError, match=cure) as caught:
        losskit.loss(named(body))
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("result", [None, 3.0, (1, 2)])
def test_a_formula_must_return_an_expression(result: object) -> None:
    with pytest.raises(FormulaError, match="return"):
        losskit.loss(named(lambda y, f: result))


def test_symbols_of_two_formulas_do_not_mix(trace: Trace) -> None:
    other = Trace(["f"])
    with pytest.raises(FormulaError, match="two different formulas"):
        trace.symbols["f"] + other.symbols["f"]


def test_a_step_has_no_derivative(trace: Trace) -> None:
    f = trace.symbols["f"]
    with pytest.raises(Unsupported, match="surrogate"):
        derivative(indicator(f > 0) * f, f)


def test_an_operand_without_derivative_says_so(trace: Trace) -> None:
    f, y = trace.symbols["f"], trace.symbols["y"]
    with pytest.raises(Unsupported, match="first operand"):
        derivative(abs_pow(y, f), f)


# --- tracing -----------------------------------------------------------------------------


def test_equal_nodes_exist_once(trace: Trace) -> None:
    f, y = trace.symbols["f"], trace.symbols["y"]
    assert (f - y) is (f - y)
    assert exp(f) * 2 is 2 * exp(f)
    assert (f + y) is (y + f)
    assert (f < y) is not (y < f)


def test_constants_are_told_apart_by_their_digits(trace: Trace) -> None:
    assert trace.constant(0.1) is trace.constant(0.1)
    assert trace.constant(0.1) is not trace.constant(math.nextafter(0.1, 1))
    assert trace.constant(0.0) is not trace.constant(-0.0)
    assert trace.constant(math.inf) is trace.constant(math.inf)


def test_order_is_that_of_the_formula_and_of_nothing_else() -> None:
    """Text does not depend on what was traced before, nor on addresses."""

    def text() -> str:
        symbols = Trace(["y", "f"])
        y, f = symbols.symbols["y"], symbols.symbols["f"]
        return source("g", ("y", "f"), [softplus(f - y) * sigmoid(f - y)])

    first = text()
    _ = [Trace(["a", "b"]).symbols["a"] + 1 for _ in range(1000)]
    assert text() == first


def test_generated_text_is_the_same_in_another_process_and_order() -> None:
    script = (
        "import sys, losskit; names = losskit.names('pointwise'); "
        "[losskit.get(n).source('numpy') for n in (names[::-1] if sys.argv[1] == '1' else [])]; "
        "print(losskit.focal.source('numpy'), losskit.barron.source('numpy'))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script, order], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(losskit.__file__).parents[1])},
        ).stdout
        for order, seed in (("0", "1"), ("1", "2"))
    }  # fmt: skip
    assert len(texts) == 1


def test_a_graph_travels_as_rows(trace: Trace) -> None:
    y, f, delta = trace.symbols.values()
    r = f - y
    value = where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2))
    table = rows(value)
    assert all(isinstance(op, str) for op, _, _ in table)
    other = Trace(["y", "f", "delta"])
    again = rebuild(table, other, lambda op, args: other.node(op, *args))[-1]
    for point in ({"y": 0, "f": 0.5}, {"y": 0, "f": 3}, {"y": 1, "f": -7}):
        assert at(again, delta=1, **point) == at(value, delta=1, **point)
    assert repr(again) == repr(value)


# --- kinks -------------------------------------------------------------------------------

KINKS = {  # formula, gradient and Hessian by f at f = 0
    "|f|": (lambda f: abs(f), 0, 0),
    "max(f, 0)": (lambda f: maximum(f, 0), 0, 0),
    "max(0, f)": (lambda f: maximum(0, f), 0, 0),
    "min(f, 0)": (lambda f: minimum(f, 0), 0, 0),
    "f⁺": (lambda f: positive_part(f), 0, 0),
    "(f⁺)²": (lambda f: positive_part(f) * positive_part(f), 0, 0),
    "max(f, 3f)": (lambda f: maximum(f, 3 * f), 1, 0),
    "min(-f, -3f)": (lambda f: minimum(-f, -3 * f), -1, 0),
    "max(-f, 2f)": (lambda f: maximum(-f, 2 * f), 0, 0),
    "where(f ≥ 0, f², 2f²)": (lambda f: where(f >= 0, f * f, 2 * f * f), 0, 2),
    "where(f > 0, 3f², f²)": (lambda f: where(f > 0, 3 * f * f, f * f), 0, 2),
    "|f|³": (lambda f: abs_pow(f, 3), 0, 0),
    "√(1+f²)": (lambda f: sqrt(1 + f * f), 0, 1),
}


@pytest.mark.parametrize("case", KINKS)
def test_the_rule_at_kinks(case: str, trace: Trace) -> None:
    """The smaller slope, or 0 where they differ in sign; the smaller curvature."""
    make, gradient, hessian = KINKS[case]
    f = trace.symbols["f"]
    first = derivative(make(f), f)
    assert at(first, f=0.0) == gradient
    assert at(derivative(first, f, order=2), f=0.0) == hessian


NOT_COMPOSED = {  # the rule holds at each operation but not for their sum or product
    "slopes 2 and 4": lambda y, f: abs(f) + 3 * f,
    "curvatures 2 and −2": lambda y, f: abs(f) * f,
    "curvatures 0 and −2": lambda y, f: -(positive_part(f) * positive_part(f)),
}


@pytest.mark.parametrize("case", NOT_COMPOSED)
def test_a_formula_for_which_the_rule_does_not_compose_is_rejected_by_the_law(case: str) -> None:
    with pytest.raises(AssertionError, match="at a kink"):
        law_gradient_and_hessian(losskit.loss(named(NOT_COMPOSED[case])), [(0.0, 0.0)])


def test_no_kink_where_the_condition_does_not_move(trace: Trace) -> None:
    f, y = trace.symbols["f"], trace.symbols["y"]
    value = where(y > 0, f * f, 2 * f * f)
    assert at(derivative(derivative(value, f), f, order=2), f=1.0, y=0.0) == 4
    assert at(derivative(value, y), f=1.0, y=0.0) == 0


# --- lowering and printing ---------------------------------------------------------------


def test_lowering_shares_what_composites_share(trace: Trace) -> None:
    f = trace.symbols["f"]
    native = set(PRINTER.table)
    made = lower([softplus(f), sigmoid(f), softplus(-f)], native, "test")
    exponentials = [n for n in reachable(made) if n.op == "exp"]
    assert len(exponentials) == 1


def test_a_missing_operation_is_unsupported(trace: Trace) -> None:
    with pytest.raises(Unsupported, match="poor backend has no 'exp'"):
        lower([exp(trace.symbols["f"])], {"add"}, "poor")


def test_printing_names_what_is_used_twice(trace: Trace) -> None:
    y, f, _ = trace.symbols.values()
    printer = Printer("test", {"sub": "({0} - {1})", "mul": "{0}*{1}"})
    program = emit([(f - y) * (f - y)], printer)
    assert program.statements == (("t1", "(f - y)"),)
    assert program.results == ("t1*t1",)
    assert emit([f - y], printer).statements == ()


def test_every_primitive_has_a_derivative_or_says_why() -> None:
    known_without = {
        "lt", "le", "gt", "ge", "eq", "and", "or", "not",  # conditions
        "where", "maximum", "minimum", "positive_part",  # kinks: `diff` knows them
        "indicator", "minmod", "tapered_slope",  # refused
    }  # fmt: skip
    assert {op for op, p in PRIMITIVES.items() if p.tangent is None} == known_without


# --- domains -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (REAL, [0, -1e300, 5e-324], [math.inf, -math.inf, math.nan]),
        (POSITIVE, [5e-324, 1e300], [0, -1, math.inf, math.nan]),
        (UNIT, [0, 1, 0.5], [-1e-9, math.nextafter(1, 2), math.nan]),
        (BINARY, [0, 1], [0.5, -1, 2, math.nan]),
        (SIGN, [-1, 1], [0, 0.5, math.nan]),
        (NONZERO, [-1, 1e-300], [0, -0.0, math.nan]),
        (Domain(2, 3), [2.5], [2, 3]),
        (Domain(2, 3, False, False), [2, 3], [1.9, 3.1]),
    ],
)
def test_domains(domain: Domain, inside: list[float], outside: list[float]) -> None:
    assert [bool(domain.contains(x)) for x in inside] == [True] * len(inside)
    assert [bool(domain.contains(x)) for x in outside] == [False] * len(outside)
    both = np.array([*inside, *outside], dtype=float)
    assert domain.contains(both).tolist() == [True] * len(inside) + [False] * len(outside)
    assert str(domain)


# --- definitions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def bad(y): return y", "at least one raw output"),
        ("def bad(y, f, *rest): return f", "names its arguments"),
        ("def bad(y, f, **rest): return f", "names its arguments"),
        ("def bad(y, f, mask=1.0): return f * mask", "'mask', which is reserved"),
        ("def bad(y, f, sample_weight=1.0): return f", "reserved"),
        ("def bad(y, f, exp=1.0): return f", "reserved"),
        ("def bad(y, f, t1=1.0): return f", "reserved"),
        ("def bad(y, f, f0=1.0): return f", "reserved"),
    ],
)
def test_signatures_that_are_refused(text: str, message: str) -> None:
    space: dict[str, Callable[..., Expr]] = {}
    exec(text, space)
    with pytest.raises(ValueError, match=message):
        losskit.loss(space["bad"])


def test_links_that_are_refused() -> None:
    with pytest.raises(ValueError, match="identity, log, logit"):
        losskit.loss(link="probit")(named(lambda y, f: f - y))
    with pytest.raises(ValueError, match="raw outputs"):
        losskit.loss(link=("log", "log"))(named(lambda y, f: f - y))


def test_a_loss_needs_a_name() -> None:
    with pytest.raises(ValueError, match="define its formula by def"):
        losskit.loss(lambda y, f: f - y)
