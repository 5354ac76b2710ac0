"""The oracle for losses over an axis: one row's value and derivatives in high precision.

`row_function` runs a loss's graph, or the graphs of its derivatives, by the definitions of their
operations; `row_differences` differentiates without any rule, by differences of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from losskit.backends.mpmath import evaluate, term_scale
from losskit.formula.expr import Expr


def row_function(
    loss: Any,
    wanted: str = "value",
    *,
    raw: bool = True,
    digits: int = 60,
    clip: float = 0.0,
    scale: bool = False,
) -> Callable[..., Any]:
    """Return 'value', 'gradient', 'hessian' or 'product' of a row loss as a function of one row.

    The function takes the loss's inputs in the order of `loss.inputs`: a list of numbers (floats or
    mpf, taken exactly) for what varies along the axis, a number for what a row has once, and for a
    class its index or its list of probabilities; for 'product' then a direction like it for each
    trained input. It returns an mpf for the value, else for the one trained input (or as a tuple
    for each of several) a list of mpf or an mpf. Row weights, class weights and an ignored index
    have no part.

    With `scale=True` it returns instead the magnitude of the largest term of each of those numbers:
    what rounding in one term may be magnified by (see `term_scale`). On the prediction scale
    (`raw=False`) probabilities are clipped at `clip`, which is 0 unless given.

    >>> import losskit
    >>> surprise = row_function(losskit.cross_entropy, "value")
    >>> print(surprise(0, [800.0, 0.0]))
    3.66787458417769e-348
    >>> slopes = row_function(losskit.cross_entropy, "gradient")
    >>> print(slopes([0.5, 0.5], [1.0, 1.0]))
    [mpf('0.0'), mpf('0.0')]
    """
    nodes, symbols = _nodes(loss, wanted, raw)

    def function(*data: Any) -> Any:
        values = _values(loss, symbols, data, raw, clip)
        if scale:
            found = [term_scale(node, values, digits) for node in nodes]
        else:
            found = evaluate(nodes, values, digits)
        columns = _columns(data)
        shaped = [
            [one] * columns if _varies(loss, wanted, i) and not isinstance(one, list) else one
            for i, one in enumerate(found)
        ]
        return shaped[0] if len(shaped) == 1 else tuple(shaped)

    return function


def row_differences(
    loss: Any, wanted: str = "gradient", *, raw: bool = True, digits: int = 40
) -> Callable[..., Any]:
    """Return 'gradient' or 'hessian' (its diagonal) as `row_function` does, by central differences.

    No rule of differentiation is used, so it judges them; it is right to `digits`/2 digits or so
    wherever the loss has derivatives, and the mean of both sides at a corner.
    """
    value = row_function(loss, "value", raw=raw, digits=3 * digits)
    trained = [i for i, (_, one) in enumerate(loss.definition.inputs) if one.trained]

    def function(*data: Any) -> Any:
        found = [_differences(value, data, i, wanted, digits) for i in trained]
        return found[0] if len(found) == 1 else tuple(found)

    return function


def _differences(
    value: Callable[..., Any], data: Sequence[Any], i: int, wanted: str, digits: int
) -> Any:
    from mpmath import mp

    with mp.workdps(8 * digits + 700):
        step = mp.mpf(10) ** -(digits // 2)
        given = data[i]

        def at(place: int | None, moved: Any) -> Any:
            if place is None:
                return value(*data[:i], mp.mpf(given) + moved, *data[i + 1 :])
            row = [mp.mpf(x) + (moved if j == place else 0) for j, x in enumerate(given)]
            return value(*data[:i], row, *data[i + 1 :])

        def slope(place: int | None) -> Any:
            up, down = at(place, step), at(place, -step)
            if wanted == "gradient":
                return (up - down) / (2 * step)
            return (up - 2 * at(place, 0) + down) / (step * step)

        return [slope(j) for j in range(len(given))] if _is_row(given) else slope(None)


def _nodes(loss: Any, wanted: str, raw: bool) -> tuple[list[Expr], tuple[str, ...]]:
    graph = loss.form(raw).graph
    directions = tuple(f"v{i}" for i in range(len(graph.outputs)))
    symbols = (*graph.symbols, *(directions if wanted == "product" else ()))
    return graph.select((wanted,)), symbols


def _values(
    loss: Any, symbols: Sequence[str], data: Sequence[Any], raw: bool, clip: float
) -> dict[str, Any]:
    import numpy as np

    columns, inputs = _columns(data), [one for _, one in loss.definition.inputs]
    given = [
        [float(k == x) for k in range(columns)]
        if one.classes and one.rank == 2 and not _is_row(x)
        else list(x)
        if _is_row(x)
        else x
        for one, x in zip(inputs, data, strict=False)
    ]
    parameters = [
        p[0].tolist() if isinstance(p, np.ndarray) else p
        for p in loss.form(raw).arguments(columns, np.dtype(np.float64), clip)
    ]
    return dict(zip(symbols, (*given, *parameters, *data[len(inputs) :]), strict=True))


def _varies(loss: Any, wanted: str, i: int) -> bool:
    trained = [one for _, one in loss.definition.inputs if one.trained]
    return wanted != "value" and trained[i].rank == 2


def _columns(data: Sequence[Any]) -> int:
    return next((len(x) for x in data if _is_row(x)), 0)


def _is_row(x: Any) -> bool:
    return hasattr(x, "__len__")
