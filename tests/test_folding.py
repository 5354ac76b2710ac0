"""Rewriting while a graph is built: what is folded, what is not, and that no bit changes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losskit.formula import Expr, exp, log1p, sign, where
from losskit.formula.expr import Trace, reachable
from losskit.formula.primitives import apply


@pytest.fixture
def trace() -> Trace:
    return Trace(["y", "f"])


NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 4.0, 3.0, -0.3, 0.1, 7.0])
_DIRECT: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "maximum": max,
    "minimum": min,
    "signed": lambda x, u: math.copysign(1, u) * x,
    "where": lambda c, a, b: a if c > 0 else b,
}


_BINARY = [op for op in _DIRECT if op not in ("neg", "abs", "where")]


def trees(depth: int) -> st.SearchStrategy[object]:
    """Random expressions over y, f and constants as nested tuples."""
    leaves = st.one_of(st.sampled_from(["y", "f"]), NUMBERS)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(_BINARY), inner, inner),
            st.tuples(st.sampled_from(["neg", "abs"]), inner),
            st.tuples(st.just("where"), inner, inner, inner),
        ),
        max_leaves=depth,
    )  # fmt: skip


def build(tree: object, trace: Trace) -> Expr | float:
    """Trace a tree."""
    if isinstance(tree, str):
        return trace.symbols[tree]
    if isinstance(tree, float):
        return trace.constant(tree)
    op, *args = tree  # type: ignore[misc]
    made = [build(a, trace) for a in args]
    return where(made[0] > 0, *made[1:]) if op == "where" else apply(op, *made)


def direct(tree: object, y: float, f: float) -> float:
    """Compute a tree as written; ArithmeticError where no rewriting has to hold."""
    if isinstance(tree, str):
        return {"y": y, "f": f}[tree]
    if isinstance(tree, float):
        return tree
    op, *args = tree  # type: ignore[misc]
    numbers = [direct(a, y, f) for a in args]
    if op == "signed" and numbers[1] == 0:
        raise ArithmeticError("at a kink sign·sign is 1 by design")
    result = _DIRECT[op](*numbers)
    if not math.isfinite(result) or (result != 0 and not 1e-200 < abs(result) < 1e200):
        raise ArithmeticError("out of range")
    return result


def run(node: Expr, y: float, f: float) -> float:
    """Run a rewritten graph in floats."""
    done: dict[int, float] = {}
    for n in reachable([node]):
        args = [done[a.serial] for a in n.args]
        if n.op in ("symbol", "constant"):
            done[n.serial] = {"y": y, "f": f}[str(n.value)] if n.op == "symbol" else float(n.value)  # type: ignore[arg-type]
        elif n.op == "gt":
            done[n.serial] = float(args[0] > args[1])
        else:
            try:
                done[n.serial] = _DIRECT[n.op](*args)
            except ZeroDivisionError:
                done[n.serial] = math.nan
    return done[node.serial]


@settings(max_examples=600)
@given(
    trees(12), st.sampled_from([0.3, -1.7, 3.0, 1e-3, -5.0]), st.sampled_from([0.7, -0.1, 2.0, 1e3])
)
def test_rewriting_changes_no_bit(tree: object, y: float, f: float) -> None:
    trace = Trace(["y", "f"])
    try:
        expected = direct(tree, y, f)
    except ArithmeticError:
        return
    node = build(tree, trace)
    assert isinstance(node, Expr)
    assert run(node, y, f) == expected


FOLDED = {
    "x + 0": (lambda f, y: f + 0, "f"),
    "0 + x": (lambda f, y: 0 + f, "f"),
    "x - 0": (lambda f, y: f - 0, "f"),
    "0 - x": (lambda f, y: 0 - f, "neg(f)"),
    "x·1": (lambda f, y: f * 1, "f"),
    "x·0": (lambda f, y: f * 0, "0.0"),
    "x - x": (lambda f, y: f - f, "0.0"),
    "x/1": (lambda f, y: f / 1, "f"),
    "−(−x)": (lambda f, y: operator.neg(-f), "f"),
    "-(a - b)": (lambda f, y: -(f - y), "sub(y, f)"),
    "2·(x/2)": (lambda f, y: 2 * (f / 2), "f"),
    "x + x": (lambda f, y: f + f, "mul(2.0, f)"),
    "sign·sign": (lambda f, y: sign(f) * sign(f), "1.0"),
    "|−x|": (lambda f, y: abs(-f), "abs(f)"),
    "||x||": (lambda f, y: abs(abs(f)), "abs(f)"),
    "x·sign(x)": (lambda f, y: f * sign(f), "abs(f)"),
    "x**1": (lambda f, y: f**1, "f"),
    "x**2": (lambda f, y: f**2, "mul(f, f)"),
    "where same": (lambda f, y: where(f > y, f, f), "f"),
    "1 + 2": (lambda f, y: f + (f.trace.constant(1) + 2), "add(3.0, f)"),
}
NOT_FOLDED = {
    "3·(x/3)": lambda f, y: 3 * (f / 3),
    "(x + y) - y": lambda f, y: (f + y) - y,
    "x/y·y": lambda f, y: f / y * y,
    "x + 1 - 1": lambda f, y: f + 1 - 1,
    "0.1·(0.2·x)": lambda f, y: 0.1 * (0.2 * f),
    "exp(log1p)": lambda f, y: exp(log1p(f)),
    "0.1 + 0.2": lambda f, y: f + (f.trace.constant(0.1) + 0.2),
}


@pytest.mark.parametrize("case", FOLDED)
def test_what_is_folded(case: str, trace: Trace) -> None:
    make, wanted = FOLDED[case]
    assert repr(make(trace.symbols["f"], trace.symbols["y"])) == wanted


@pytest.mark.parametrize("case", NOT_FOLDED)
def test_what_would_change_a_rounding_is_not_folded(case: str, trace: Trace) -> None:
    make = NOT_FOLDED[case]
    node = make(trace.symbols["f"], trace.symbols["y"])
    assert len(reachable([node])) >= 3, repr(node)
