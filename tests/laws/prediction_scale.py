"""The prediction-scale form, which is derived, against the raw truth and the chain rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

import losskit
from laws import cases, kinks
from laws.accuracy import ABSOLUTE, EXCEPTIONS, apart, backward, results, ulp
from laws.truth import WANTED
from losskit.backends.mpmath import evaluate, term_scale

ULPS = 32
_PROBABILITIES = (
    1e-300,
    1e-60,
    1e-8,
    0.25,
    0.5,
    0.75,
    0.3,
    0.9,
    1 - 2.0**-24,
    1 - 2.0**-53,
    2.0**-24,
)
_AMOUNTS = (1e-300, 1e-60, 1e-30, 1e-8, 0.5, 1.0, 3.0, 40.0, 800.0, 0.3, 0.7, 1.1, 1e30)


@dataclass(frozen=True)
class Chain:
    """A link restated: f of p, and its first and second derivative."""

    score: Callable[[Any], Any]
    first: Callable[[Any], Any]
    second: Callable[[Any], Any]


CHAINS = {
    "identity": Chain(lambda p: p, lambda p: mp.mpf(1), lambda p: mp.mpf(0)),
    "log": Chain(mp.log, lambda p: 1 / p, lambda p: -1 / p**2),
    "logit": Chain(
        lambda p: mp.log(p / (1 - p)),
        lambda p: 1 / (p * (1 - p)),
        lambda p: (2 * p - 1) / (p * (1 - p)) ** 2,
    ),
}


def law_prediction_scale(
    loss: losskit.Loss, tiers: Sequence[str], dtypes: Sequence[Any], most: int = 6
) -> None:
    """Without clipping, results on the prediction scale are the raw truth by the chain rule."""
    links = loss.definition.links
    if all(link.name == "identity" for link in links):
        assert loss.form(raw=False).graph is loss.form(raw=True).graph
        return
    rows = [row for row in _points(loss, most) if not _at_a_kink(loss, row)]
    truths = [_truth(loss, row) for row in rows]
    k = len(links)
    labels = ["value", *["gradient"] * k, *["hessian"] * k]
    found: list[str] = []
    for dtype in dtypes:
        if not cases.exact_in(loss, dtype):
            continue
        data = np.array(rows)
        with np.errstate(over="ignore"):
            kept = np.flatnonzero((data.astype(dtype) == data).all(axis=1))
        y, p = data[kept, 0].astype(dtype), data[kept, 1:].astype(dtype)
        p = np.ascontiguousarray(p[:, 0] if k == 1 else p)
        for tier in tiers:
            columns = results(loss, y, p, tier, WANTED, raw=False)
            for j, column in enumerate(columns):
                for i, got in zip(kept, column.tolist(), strict=True):
                    if j and _extreme(rows[i]):
                        continue
                    text = _compare(loss, rows[i], truths[i][j], j, labels[j], got, dtype)
                    found += (
                        [f"{labels[j]} ({tier}, {np.dtype(dtype).name}) {text}"] if text else []
                    )
    assert not found, f"{loss!r}: {len(found)} results are off:\n" + "\n".join(found[:8])


def _points(loss: losskit.Loss, most: int) -> list[tuple[float, ...]]:
    usual = {"identity": (0.0, 1.5, -20.0), "log": _AMOUNTS, "logit": _PROBABILITIES}
    rows: list[tuple[float, ...]] = [(y,) for y in cases.targets(loss, most)]
    for link in loss.definition.links:
        rows = [(*row, p) for row in rows for p in usual[link.name]]
    return rows


def _truth(loss: losskit.Loss, row: tuple[float, ...]) -> list[Any]:
    """Return value, gradient and Hessian by the predictions, from the raw graph."""
    form = loss.form(raw=True)
    graph, k = form.graph, len(form.graph.outputs)
    with mp.workdps(700):
        p = [mp.mpf(x) for x in row[1:]]
        chains = [CHAINS[link.name] for link in loss.definition.links]
        scores = [c.score(x) for c, x in zip(chains, p, strict=True)]
        at = dict(zip(graph.symbols, (row[0], *scores, *form.values), strict=True))
        made = evaluate(graph.select(WANTED), at, 400)
        slopes = [made[1 + i] * chains[i].first(p[i]) for i in range(k)]
        bends = [
            made[1 + k + i] * chains[i].first(p[i]) ** 2 + made[1 + i] * chains[i].second(p[i])
            for i in range(k)
        ]
        return [made[0], *slopes, *bends]


def _at_a_kink(loss: losskit.Loss, row: tuple[float, ...]) -> bool:
    """Say whether the point is a kink: the raw score, being irrational, lies on one side of it."""
    form = loss.form(raw=False)
    at = dict(zip(form.graph.symbols, (*row, *form.arguments(0.0)), strict=True))
    made = [t for s in form.graph.outputs for t in kinks.ties([form.graph.value], s)]
    return any(t == 0 for t in evaluate(made, at))


def _extreme(row: tuple[float, ...]) -> bool:
    """Say whether a target or prediction is so small that 1/p² is not a number: derivatives by
    predictions, which hold it, are then not judged."""
    return any(0 < abs(x) < 1e-100 for x in row)


def _compare(
    loss: losskit.Loss, row: tuple[float, ...], true: Any, j: int, label: str, got: float, dtype: Any
) -> str:  # fmt: skip
    """Return what is wrong with a result, or nothing."""
    error = apart(got, true, dtype)
    if error <= max(ULPS * ulp(true, dtype), ABSOLUTE[dtype]):
        return ""
    form = loss.form(raw=False)
    at = dict(zip(form.graph.symbols, (*row, *form.arguments(0.0)), strict=True))
    node = form.graph.select(WANTED)[j]
    if error <= ULPS * ulp(max(term_scale(node, at), abs(true)), dtype):
        return ""
    entry = EXCEPTIONS.get((loss.name, label))
    if entry and backward(got, node, at, true, dtype, entry[0]):
        return ""
    return (
        f"at y={row[0]!r}, predictions {row[1:]}: got {got!r}, true {float(true)!r} "
        f"({error / ulp(true, dtype):.3g} ulp)"
    )
