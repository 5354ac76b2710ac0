"""The table of primitives against definitions, and the backends that write text.

The mpmath and SymPy rows define each primitive; lowered forms, tangents and generated text are held
against them. Points beyond the ones of the laws are drawn once, by a seeded generator.
"""

from __future__ import annotations

import math
import operator
import random
from itertools import product

import mpmath as mp
import pytest

from losskit.backends import mpmath as oracle
from losskit.formula import diff
from losskit.formula.expr import Expr, Trace, Unsupported, reachable
from losskit.formula.lower import lower
from losskit.formula.primitives import PRIMITIVES, apply

CONDITIONS = ("lt", "le", "gt", "ge", "eq", "and", "or", "not")
ELEMENTARY = [op for op, p in PRIMITIVES.items() if p.lower is None and op != "tapered_slope"]
COMPOSITE = [op for op in PRIMITIVES if op not in ELEMENTARY]

RNG = random.Random(0)
MAGNITUDES = [
    5e-324, 1e-310, 1e-300, 1e-160, 1e-20, 1e-8, 1e-4, 0.1, 0.3, 0.5, 0.9, 0.99, 1.0, 1.01, 1.1,
    1.5, 2.0, 3.7, 10.0, 20.0, 36.7, 37.0, 40.0, 80.0, 80.5, 300.0, 700.0, 709.7, 745.0, 800.0,
    1e5, 134217728.0, 134217729.0, 1e20, 1e150, 1e160, 1e300,
]  # fmt: skip
MAGNITUDES += [math.exp(RNG.uniform(-8, 8)) for _ in range(60)]
MAGNITUDES += [math.exp(RNG.uniform(-100, 100)) for _ in range(20)]
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
    "mul_exp": [(x, s) for x in SIGNED_FEW for s in (0.0, 1e-5, -1.0, 20.0, 700.0, -700.0, -745.0, 800.0)],
    "xmul": list(product(SIGNED_FEW, SIGNED_FEW)),
    "softplus": [(x,) for x in REALS],
    "sigmoid": [(x,) for x in REALS],
    "softplus_scaled": [(x, s) for x in REALS for s in SCALES],
    "sigmoid_scaled": [(x, s) for x in REALS for s in SCALES],
    "tanh": [(x,) for x in REALS],
    "log_cosh": [(x,) for x in REALS],
    "hypot1": [(x,) for x in REALS],
    "boxcox_square": [(x, k) for x in REALS for k in (-2.0, -1.0, -0.5, -1e-9, 0.0, 1e-300, 1e-9, 0.25, 0.5, 1.0)],
    "tapered": [(x, k) for x in REALS for k in (-2.0, -1.5, -1.0, -0.5, -0.1, 0.0, 0.25)],
    "tapered_slope": [(x, k) for x in REALS for k in (-2.0, -1.5, -1.0, -0.5, -0.1, 0.0, 0.25)],
    "abs_pow": [(x, p) for x in REALS for p in (0.5, 1.0, 1.5, 2.0, 3.0)],
    "signed_pow": [(x, p) for x in REALS for p in (0.0, 0.5, 1.0, 1.5, 2.0)],
    "contrast": [*product(FEW, FEW), *CLOSE],
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


def run_lowered(output: Expr, values: dict[str, float]) -> float:
    """Run the arithmetic that a backend would print, in Python floats."""
    (lowered,) = lower([output], FLOATS, "test")
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


def application(op: str) -> tuple[Expr, list[str]]:
    names = ["x", "a", "b"][: PRIMITIVES[op].arity]
    trace = Trace(names)
    return apply(op, *(trace.symbols[n] for n in names)), names
