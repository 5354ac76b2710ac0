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
                    if _extremes(rows[i]) > (1 if j == 0 else 0):
                        continue
                    text = _compare(loss, rows[i], truths[i][j], j, labels[j], got, dtype)
                    found += (
                        [f"{labels[j]} ({tier}, {np.dtype(dtype).name}) {text}"] if text else []
                    )
    assert not found, f"{loss!r}: {len(found)} results are off:\n" + "\n".join(found[:8])


def law_edges(loss: losskit.Loss, tier: str = "numpy") -> None:
    """Without clipping, the ends 0 and 1 of probabilities are scored by their limits, never NaN."""
    if not loss.clips:
        return
    y = np.array([t for t in cases.targets(loss, 3) for _ in (0, 1)])
    p = np.tile([0.0, 1.0], y.size // 2)
    found = results(loss, y, p, tier, ("value",), raw=False)[0]
    for target, end, got in zip(y, p, found.tolist(), strict=True):
        with mp.workdps(700):
            steps = [(1 - 2 * end) * mp.mpf(10) ** -digits for digits in (100, 200)]
            near, nearer = (_truth(loss, (target, end + step))[0] for step in steps)
        true = np.inf if nearer > 1.5 * near else 0.0 if nearer < near / 2 else float(near)
        near_it = np.isfinite(true) and abs(got - true) <= 1e-12 * true
        assert got == true or near_it, (
            f"{loss!r} at y={target}, p={end}: got {got}, the limit is {true}"
        )


def law_clipping(loss: losskit.Loss, tier: str = "numpy") -> None:
    """By default probabilities are kept one eps of their dtype away from 0 and 1."""
    if not loss.clips:
        return
    for dtype in (np.float64, np.float32):
        eps = np.finfo(dtype).eps
        y = np.array([t for t in (0.0, 1.0) for _ in range(4)])
        p = np.tile(np.array([0, eps / 4, 1, 1 - eps / 2], dtype), 2)
        kept = np.clip(p, eps, dtype(1) - eps)
        options: dict[str, Any] = {"reduction": "none", "tier": tier}
        exact = loss(y, kept, clip=0, **options)
        np.testing.assert_array_equal(loss(y, p, **options), exact, err_msg=repr(loss))
        np.testing.assert_array_equal(loss(y, p, clip=float(eps), **options), exact)
        slope = loss.gradient(y, p, **options)
        np.testing.assert_array_equal(slope, loss.gradient(y, kept, clip=0, **options))


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


def _extremes(row: tuple[float, ...]) -> int:
    """Count the targets and predictions that are so small that 1/p² is no float64.

    With one, derivatives by predictions are not judged, as they hold 1/p²; with two, nothing is.
    """
    return sum(0 < abs(x) < 1e-100 for x in row)


def _compare(
    loss: losskit.Loss,
    row: tuple[float, ...],
    true: Any,
    j: int,
    label: str,
    got: float,
    dtype: Any,
) -> str:
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
