"""What the author wrote against what the graph became: no rewriting, the formula's own text."""

from __future__ import annotations

from dataclasses import replace

from mpmath import mp

import losskit
from laws import cases
from laws.samples import sample
from losskit.backends.mpmath import evaluate
from losskit.formula.expr import Expr, FormulaError, Trace


class PlainTrace(Trace):
    """A trace that rewrites nothing."""

    def node(self, op: str, *operands: Expr | float) -> Expr:
        """Return the operation as it was written."""
        made = [o if isinstance(o, Expr) else self.constant(o) for o in operands]
        if any(o.trace is not self for o in made):
            raise FormulaError("two traces")
        return self.add(op, tuple(made))


def law_rewriting_changes_nothing(loss: losskit.Loss, count: int = 25) -> None:
    """The value's graph is the formula as it is written, evaluated without rewriting."""
    definition, form = loss.definition, loss.form(raw=True)
    graph = replace(definition, _graphs={}).graph(
        frozenset(k for k, v in loss.params.items() if v is None)
    )
    trace = PlainTrace(graph.symbols)
    nodes = trace.symbols
    written = definition.formula(
        nodes["y"],
        *(nodes[s] for s in definition.symbols),
        **{p.name: nodes.get(p.name) for p in definition.parameters},
    )
    grid = cases.grid(loss, 3)
    points = [*cases.random_points(loss, count, seed=2), *grid[:: max(1, len(grid) // count)]]
    for point in points:
        at = dict(zip(graph.symbols, (*point, *form.values), strict=True))
        with mp.workdps(40):
            (wanted,), (got,) = evaluate([written], at), evaluate([graph.value], at)
            assert wanted == got or abs(wanted - got) <= mp.mpf(10) ** -30 * abs(wanted), (
                f"{loss!r} at {at}: the formula gives {mp.nstr(wanted, 20)}, its graph "
                f"{mp.nstr(got, 20)}"
            )


def law_text_does_not_depend_on_the_past(loss: losskit.Loss) -> None:
    """The generated text, by which kernels are cached, is the same whatever came before."""
    untouched, used = fresh(loss), fresh(loss)
    y, f = sample(loss, 5)
    used(y, f, raw=True)
    if cases.has_gradient(loss):
        used.hessian(y, f, raw=True)
        used.gradient(y, f, raw=True)
    assert used.properties
    for backend in ("latex", "sql", "numba", "numpy"):
        assert used.source(backend) == untouched.source(backend)


def fresh(loss: losskit.Loss) -> losskit.Loss:
    """Return the same loss with nothing remembered."""
    return replace(loss, definition=replace(loss.definition, _graphs={}), _forms={})
