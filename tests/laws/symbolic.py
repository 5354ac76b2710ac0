"""SymPy's derivative of the formula against ours: a second opinion that shares nothing."""

from __future__ import annotations

from typing import Any

from mpmath import mp

import losskit
from laws import cases, kinks
from losskit.backends.mpmath import evaluate


def law_sympy(loss: losskit.Loss, count: int = 6) -> None:
    """SymPy differentiates the value to the numbers of our gradient and Hessian."""
    import sympy

    from losskit.backends.sympy import expression

    form = loss.form(raw=True)
    graph = form.graph
    (value,) = expression([graph.value])
    named = {s.name: s for s in value.free_symbols}
    nodes = graph.select(("gradient", "hessian"))
    k = len(graph.outputs)
    symbols = [named.get(name, sympy.Symbol(name)) for name in graph.symbols]
    for i, output in enumerate(graph.outputs):
        f = named[str(output.value)]
        first = value.diff(f)
        functions = [_function(symbols, e) for e in (first, first.diff(f))]
        for point in _smooth_points(loss, count):
            at = dict(zip(graph.symbols, (*point, *form.values), strict=True))
            with mp.workdps(80):
                ours = evaluate([nodes[i], nodes[k + i]], at)
                numbers = [mp.mpf(v) for v in at.values()]
                for name, mine, function in zip(
                    ("gradient", "Hessian"), ours, functions, strict=True
                ):
                    theirs = mp.mpf(function(*numbers))
                    assert abs(theirs - mine) <= mp.mpf(10) ** -30 * (
                        abs(mine) + mp.mpf(10) ** -20
                    ), (
                        f"{loss!r}: {name} at {at} is {mp.nstr(mine, 20)}, SymPy has "
                        f"{mp.nstr(theirs, 20)}"
                    )


def _function(symbols: list[Any], expression: Any) -> Any:
    """Return a function of numbers; no point lies on a kink, where δ, sign′ and 1/0 would stand."""
    import sympy

    never = sympy.Symbol("never")
    steps_only = {d: 0 for d in expression.atoms(sympy.Derivative) if d.expr.func is sympy.sign}
    expression = expression.xreplace(steps_only)
    steps = {"DiracDelta": lambda *x: mp.mpf(0), "Heaviside": lambda x, *_: mp.mpf(x > 0)}
    made = sympy.lambdify(
        [never, *symbols], expression.xreplace({sympy.zoo: never}), modules=[steps, "mpmath"]
    )
    return lambda *numbers: made(mp.nan, *numbers)


def _smooth_points(loss: losskit.Loss, count: int) -> list[tuple[float, ...]]:
    """Return points that lie on no kink, modest in size, as SymPy's text is not made stable."""
    form = loss.form(raw=True)
    graph = form.graph
    made: list[Any] = []
    for point in cases.random_points(loss, 40 * count, seed=11):
        if any(abs(x) > 30 for x in point):
            continue
        at = dict(zip(graph.symbols, (*point, *form.values), strict=True))
        ties = [t for s in graph.outputs for t in kinks.ties([graph.value], s)]
        if all(t != 0 for t in evaluate(ties, at)):
            made.append(point)
    assert len(made) >= count
    return made[:count]
