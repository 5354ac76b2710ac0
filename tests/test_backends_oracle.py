"""The table of primitives against their definitions in mpmath and SymPy, and the oracle itself.

Arithmetic and tangents are held against definitions that were written independently of them.
"""

from __future__ import annotations

import math
import operator
import random
from itertools import product

import duckdb
import mpmath as mp
import pytest
import sympy

import losskit
from losskit.backends import latex, sql
from losskit.backends import mpmath as oracle
from losskit.backends import sympy as second_opinion
from losskit.formula import diff
from losskit.formula.expr import Expr, Trace, Unsupported, reachable
from losskit.formula.lower import lower
from losskit.formula.primitives import PRIMITIVES, apply

CONDITIONS = ("lt", "le", "gt", "ge", "eq", "and", "or", "not")
ELEMENTARY = [op for op, p in PRIMITIVES.items() if p.lower is None]
COMPOSITE = [op for op in PRIMITIVES if op not in ELEMENTARY]

RNG = random.Random(0)
MAGNITUDES = [
    5e-324, 1e-310, 1e-300, 1e-160, 1e-20, 1e-8, 1e-4, 0.1, 0.3, 0.5, 0.9, 0.99, 1.0, 1.01, 1.1,
    1.5, 2.0, 3.7, 10.0, 20.0, 36.7, 37.0, 40.0, 80.0, 80.5, 300.0, 700.0, 709.7, 745.0, 800.0,
    1e5, 134217728.0, 134217729.0, 1e20, 1e150, 1e160, 1e300,
]  # fmt: skip
MAGNITUDES += [math.exp(RNG.uniform(-8, 8)) for _ in range(25)]
MAGNITUDES += [math.exp(RNG.uniform(-100, 100)) for _ in range(8)]
REALS = [0.0, *MAGNITUDES, *(-m for m in MAGNITUDES)]
NONNEGATIVE = [0.0, *MAGNITUDES]
FEW = [0.0, 1e-300, 1e-8, 0.3, 1.0, 1.7, 20.0, 40.0, 700.0, 800.0, 1e300]
SIGNED_FEW = FEW + [-x for x in FEW[1:]]
CLOSE = [(x, x * (1 + k * 2.0**-52)) for x in (1e-300, 1e-8, 0.3, 1.0, 700.0, 1e10) for k in (1, 3)]
SCALES = [0.01, 0.5, 1.0, 2.0, 100.0]

# Where each composite is used: (operands), within its documented domain.
CASES: dict[str, list[tuple[float, ...]]] = {
    "positive_part": [(x,) for x in REALS],
    "minmod": list(product(SIGNED_FEW, SIGNED_FEW)),
    "signed": list(product(SIGNED_FEW, SIGNED_FEW)),
    "expm1_gap": [(x,) for x in REALS if x < 709],
    "expm1_over": [
        (x, a) for x in REALS for a in (0.0, 1e-300, 1e-9, -1e-9, 0.5, -0.5, -1.0, 2.0)
        if a * x < 709
    ],
    "boxcox": [
        (x, a)
        for x in [*MAGNITUDES, *(1 + k * 1e-5 for k in range(-3, 4))]
        for a in (0.0, 1e-300, 1e-9, 0.5, -0.5, 1.0, 2.0)
        if abs(a * math.log(x)) < 700
    ],
    "log1p_gap": [(x,) for x in NONNEGATIVE],
    "ratio1p": [(x,) for x in NONNEGATIVE],
    "log1p_ratio": [*product(FEW, FEW), *CLOSE, (-0.5, -0.6), (-0.999, 5.0), (-0.5, -0.5 - 1e-12)],
    "logit": [(p,) for p in (1e-300, 1e-20, 0.01, 0.3, 0.49, 0.5, 0.51, 0.7, 0.99, 1 - 2.0**-53)],
    "indicator": [],
    "mul_expm1_over": [
        (y, x, a)
        for y in (1e-300, 1.0, 2.5, 1e10)
        for x in (-800.0, -700.0, -20.0, -1e-8, 0.0, 1e-300, 0.3, 20.0, 40.0, 700.0, 800.0)
        for a in (-2.0, -1.0, -0.5, 0.0, 1e-9, 0.5)
    ],
    "mul_exp": [(x, s) for x in SIGNED_FEW for s in (0.0, 1e-5, -1.0, 20.0, 700.0, -745.0, 800.0)],
    "xmul": list(product(SIGNED_FEW, SIGNED_FEW)),
    "softplus": [(x,) for x in REALS],
    "sigmoid": [(x,) for x in REALS],
    "softplus_scaled": [(x, s) for x in REALS for s in SCALES],
    "sigmoid_scaled": [(x, s) for x in REALS for s in SCALES],
    "tanh": [(x,) for x in REALS],
    "log_cosh": [(x,) for x in REALS],
    "hypot1": [(x,) for x in REALS],
    "boxcox_square": [
        (x, k) for x in REALS for k in (-2.0, -1.0, -0.5, -1e-9, 0.0, 1e-300, 1e-9, 0.25, 0.5, 1.0)
    ],
    "tapered": [(x, k) for x in REALS for k in (-2.0, -1.5, -1.0, -0.5, -0.1, 0.0, 0.25)],
    "tapered_slope": [(x, k) for x in REALS for k in (-2.0, -1.5, -1.0, -0.5, -0.1, 0.0, 0.25)],
    "abs_pow": [(x, p) for x in REALS for p in (0.5, 1.0, 1.5, 2.0, 3.0)],
    "signed_pow": [(x, p) for x in REALS for p in (0.0, 0.5, 1.0, 1.5, 2.0)],
    "contrast": [*product(FEW, FEW), *CLOSE],
    "held": [(x,) for x in REALS],
    "softplus_gap": [(x,) for x in REALS],
    "log1mexp": [(x,) for x in MAGNITUDES],
}  # fmt: skip


def _guarded(function, overflow=math.inf):
    def run(*args):
        try:
            return function(*args)
        except OverflowError:
            return overflow
        except (ValueError, ZeroDivisionError):
            return math.nan

    return run


def _divide(a, b):
    return a / b if b else a * math.inf if a else math.nan


def _log(x):
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


FLOATS = {
    "add": operator.add, "sub": operator.sub, "neg": operator.neg, "mul": operator.mul,
    "div": _divide, "pow": _guarded(math.pow), "sqrt": _guarded(math.sqrt), "abs": abs,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": operator.not_,
    "where": lambda c, a, b: a if c else b, "maximum": max, "minimum": min,
    "exp": _guarded(math.exp), "expm1": _guarded(math.expm1), "log": _log,
    "log1p": lambda x: math.log1p(x) if x > -1 else -math.inf if x == -1 else math.nan,
}  # fmt: skip


def run_lowered(lowered: Expr, values: dict[str, float]) -> float:
    """Run the arithmetic that a backend would print, in Python floats."""
    known = {}
    for node in reachable([lowered]):
        if node.op == "symbol":
            known[node.serial] = float(values[node.value])
        elif node.op == "constant":
            known[node.serial] = node.value
        else:
            known[node.serial] = FLOATS[node.op](*(known[a.serial] for a in node.args))
    return known[lowered.serial]


def ulps(got: float, true) -> float:
    """How far `got` is from `true`, in units of the last place of `true`."""
    nearest = float(true)
    if math.isinf(nearest):
        return 0.0 if got == nearest or abs(got) > 1e308 else math.inf
    if not math.isfinite(got):
        return math.inf if abs(nearest) < 1.79e308 else 0.0
    with mp.workdps(60):
        return float(abs(mp.mpf(got) - true) / mp.mpf(math.ulp(nearest)))


# Points where a composite's arithmetic misses its definition by more than BOUND ulp, and why.
BOUND = 4.0
HARMLESS = {
    "expm1_over": lambda x, a: 0 < abs(a * x) < 1e-300 or 0 < abs(a) < 1e-290,  # a·x underflows
    "mul_expm1_over": lambda y, x, a: 0 < abs(a * x) < 1e-300,
    "boxcox_square": lambda x, k: 0 < abs(k) < 1e-290,  # no parameter is so small
    "tapered": lambda x, k: abs(x) > 1e140,  # (1 + x²)^k underflows before x multiplies
    "tapered_slope": lambda x, k: True,  # a sum with a zero: judged by its terms, below
}


def application(op: str, *constants: float) -> tuple[Expr, list[str]]:
    """Return `op` of symbols, the last operands being constants, and the symbols' names."""
    names = ["x", "a", "b"][: PRIMITIVES[op].arity - len(constants)]
    trace = Trace(names)
    operands = [trace.symbols[n] for n in names]
    if op in ("and", "or", "not"):
        operands = [x > 0 for x in operands]
    if op in ("where", "indicator"):
        operands[0] = operands[0] > 0
    return apply(op, *operands, *constants), names


def sample(cases: list[tuple[float, ...]], size: int) -> list[tuple[float, ...]]:
    return cases if len(cases) <= size else random.Random(1).sample(cases, size)


# --- every primitive is defined everywhere --------------------------------------------------------


@pytest.mark.parametrize("op", PRIMITIVES)
def test_every_primitive_has_a_definition_in_mpmath_and_sympy_and_a_form_in_sql_and_latex(op):
    output, names = application(op)
    point = dict(zip(names, (0.7, 0.4, 1.3), strict=False))
    (truth,) = oracle.evaluate([output], point)
    (expression,) = second_opinion.expression([output])
    value = expression.subs({sympy.Symbol(n, real=True): sympy.Float(point[n], 40) for n in names})
    if op in CONDITIONS:
        assert bool(value) is truth
        return
    with mp.workdps(40):
        assert abs(mp.mpf(str(sympy.N(value, 30))) - truth) <= 1e-14 * abs(truth)
    text = sql.expression(output, point)
    with duckdb.connect() as connection:  # the module's own connection is other tests' too
        (found,) = connection.execute(f"SELECT {text}").fetchone()
    assert found == pytest.approx(float(truth), rel=1e-14)
    assert latex.latex(output)
    assert latex.plain(output)


# --- the table against the definitions ------------------------------------------------------------


@pytest.mark.parametrize("op", COMPOSITE)
def test_arithmetic_of_a_composite_agrees_with_its_definition(op):
    cases = sample(CASES[op], 250)
    output, names = application(op)
    forms = {(): lower([output], FLOATS, "test")[0]}
    worst = (0.0, ())
    for args in cases:
        point = dict(zip(names, args, strict=True))
        truth = oracle.evaluate([output], point)[0]
        if HARMLESS.get(op, lambda *_: False)(*args) and op != "tapered_slope":
            continue
        constants = args[-1:] if len(args) == 2 and op != "signed" else ()
        if constants not in forms:
            forms[constants] = lower([application(op, *constants)[0]], FLOATS, "test")[0]
        for form in (forms[()], forms[constants]):
            got = run_lowered(form, point)
            error = 0.0 if max(abs(got), abs(truth)) < 1e-300 else ulps(got, truth)
            if op == "tapered_slope":
                scale = max(abs(truth), oracle.term_scale(output, point), mp.mpf(1e-300))
                error = float(abs(mp.mpf(got) - truth) / scale) * 2.0**52
            worst = max(worst, (error, args))
    assert worst[0] <= BOUND, f"{op}{worst[1]}: {worst[0]:.3g} ulp from the definition"


DIFFERENTIABLE = [
    op
    for op in PRIMITIVES
    if op not in (*CONDITIONS, "where", "indicator", "minmod", "tapered_slope")
]
NATIVE_CASES = {
    **{op: list(product(SIGNED_FEW, SIGNED_FEW)) for op in ("add", "sub", "mul")},
    **{op: list(product(SIGNED_FEW, SIGNED_FEW)) for op in ("maximum", "minimum")},
    **{op: [(x,) for x in SIGNED_FEW] for op in ("neg", "abs", "exp", "expm1")},
    **{op: [(x,) for x in FEW[1:]] for op in ("sqrt", "log", "log1p")},
    "div": [(x, a) for x in SIGNED_FEW for a in SIGNED_FEW if a],
    "pow": [(x, p) for x in FEW[1:] for p in (-1.0, 0.5, 1.7, 2.0, 3.0)],
}


def difference(output: Expr, point: dict[str, float], name: str):
    """The derivative by a central difference with a step 10⁻⁴⁰⁰ of the operand."""
    with mp.workdps(1300):
        x = mp.mpf(point[name])
        h = abs(x) * mp.mpf(10) ** -400
        above, below = (
            oracle.evaluate([output], {**point, name: x + d}, digits=850)[0] for d in (h, -h)
        )
        return (above - below) / (2 * h)


def smooth(op: str, args: tuple[float, ...], place: int) -> bool:
    """Say whether `op` has one derivative there, by a step in proportion to the operand."""
    kink = op in ("maximum", "minimum") and args[0] == args[1]
    return args[place] != 0 and not kink and not (op == "signed" and place == 1)


def derivatives_of(op: str):
    output, names = application(op)
    for place, name in enumerate(names):
        try:
            yield output, names, place, diff.derivative(output, output.trace.symbols[name])
        except Unsupported:
            assert PRIMITIVES[op].arity > 1


HELD = {"held"}  # a constant of derivatives, by what it is for


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if op not in HELD])
def test_tangent_is_the_derivative_of_the_definition(op):
    cases = sample(CASES.get(op) or NATIVE_CASES[op], 24)
    checked = 0
    for output, names, place, slope in derivatives_of(op):
        for args in cases:
            if not smooth(op, args, place):
                continue
            point = dict(zip(names, args, strict=True))
            truth, got = difference(output, point, names[place]), oracle.evaluate([slope], point)[0]
            with mp.workdps(60):
                assert abs(truth - got) <= mp.mpf("1e-35") * abs(truth) + mp.mpf("1e-1000"), args
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if op not in HELD])
def test_tangent_is_what_sympy_derives(op):
    for output, names, place, slope in derivatives_of(op):
        (expression,) = second_opinion.expression([output])
        symbols = [sympy.Symbol(n, real=True) for n in names]
        derived = sympy.diff(expression, symbols[place])
        for args in ((0.75, 0.5, 1.25), (0.25, 1.5, 0.5)):
            point = dict(zip(names, args, strict=False))
            exact = {s: sympy.Rational(point[s.name]) for s in symbols}
            with mp.workdps(40):
                truth = mp.mpf(str(sympy.N(derived.subs(exact), 40)))
                got = oracle.evaluate([slope], point)[0]
                assert abs(truth - got) <= mp.mpf("1e-30") * (1 + abs(truth)), (derived, args)


# --- mpmath ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "args", "definition"),
    [
        ("softplus", (-800.0,), lambda x: mp.log(1 + mp.exp(x))),
        ("softplus", (800.0,), lambda x: mp.log(1 + mp.exp(x))),
        ("log_cosh", (1e-300,), lambda x: mp.log(mp.cosh(x))),
        ("log1p_gap", (1e-300,), lambda x: x - mp.log(1 + x)),
        ("expm1_gap", (-1e-300,), lambda x: mp.exp(x) - 1 - x),
        ("boxcox_square", (1e-150, 1e-300), lambda x, k: ((1 + x * x) ** k - 1) / k),
        ("log1p_ratio", (1e-300, 1.5e-300), lambda a, b: mp.log((1 + a) / (1 + b))),
    ],
)
def test_precision_rises_where_a_definition_cancels(op, args, definition):
    output, names = application(op)
    got = oracle.evaluate([output], dict(zip(names, args, strict=True)))[0]
    with mp.workdps(3000):
        truth = definition(*map(mp.mpf, args))
        assert abs(got - truth) <= abs(truth) * mp.mpf("1e-55")


def test_precision_rises_where_a_formula_cancels():
    f = Trace(["f"]).symbols["f"]
    got = oracle.evaluate([(1 - apply("sigmoid", f)) * apply("exp", f), (f + 1) - 1], {"f": 800.0})
    assert abs(got[0] - 1) < mp.mpf("1e-300")
    assert got[1] == 800
    assert oracle.evaluate([(f + 1) - 1], {"f": 1e-300}) == [mp.mpf(1e-300)]


def test_only_the_chosen_branch_is_evaluated():
    x = Trace(["x"]).symbols["x"]
    safe = apply("where", x > 0, apply("log", x), apply("sqrt", -x))
    assert oracle.evaluate([safe], {"x": -4})[0] == 2


def test_what_has_no_real_value_is_an_error_that_names_it():
    x = Trace(["x"]).symbols["x"]
    with pytest.raises(ValueError, match=r"log\(-2.0\) is not a real number"):
        oracle.evaluate([apply("log", x)], {"x": -2.0})
    with pytest.raises(ValueError, match="no value for 'x'"):
        oracle.evaluate([x + 1], {"y": 1})


def test_infinite_parameters_are_supported():
    loss = losskit.barron(alpha=-math.inf)
    form = loss.form(raw=True)
    values = dict(zip(form.graph.symbols, (0.0, 2.0, *form.values), strict=True))
    with mp.workdps(50):
        assert abs(oracle.evaluate([form.graph.value], values)[0] - (1 - mp.exp(-2))) < 1e-45


@pytest.mark.parametrize(
    ("formula", "scale"),
    [
        (lambda a, b: a - b, 3.0),
        (lambda a, b: (a - b) * 2, 6.0),
        (lambda a, b: 1 / (a - b), 3.0),
        (lambda a, b: apply("exp", a - b), 1.0),
        (lambda a, b: -abs(a - b), 3.0),
        (lambda a, b: apply("where", a > 0, a - b, a), 3.0),
        (lambda a, b: apply("maximum", a - b, -7), 3.0),
        (lambda a, b: apply("signed", a - b, a), 3.0),
    ],
)
def test_term_scale_is_the_size_of_the_largest_term(formula, scale):
    symbols = Trace(["a", "b"]).symbols
    found = oracle.term_scale(formula(symbols["a"], symbols["b"]), {"a": 3.0, "b": 2.0})
    assert float(found) == pytest.approx(scale * (math.e if scale == 1.0 else 1.0))


def test_sympy_takes_assumptions_and_exact_constants():
    trace = Trace(["f", "c"])
    f, c = trace.symbols.values()
    output = apply("sqrt", c * c) + 0.1 * f
    (expression,) = second_opinion.expression([output], {"c": {"positive": True}})
    assert expression == sympy.Symbol("c", positive=True, real=True) + sympy.Rational(
        *(0.1).as_integer_ratio()
    ) * sympy.Symbol("f", real=True)
    assert str(losskit.huber.to("sympy")).startswith("Piecewise")


def test_a_loss_becomes_a_function_of_exact_numbers():
    surprise = losskit.binary_cross_entropy.to("mpmath", raw=False)
    assert float(surprise(1, 1e-30)) == pytest.approx(30 * math.log(10), rel=1e-15)
    slope = losskit.binary_cross_entropy.to("mpmath", order=1)
    assert mp.nstr(slope(0, -800), 12) == "3.66787458418e-348"
    assert len(losskit.gaussian_nll.to("mpmath", order=2)(1, (2, 0.5))) == 2
