"""A loss's numbers as the pages show them, each with how it is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from proofs import proved

COLUMNS = ("loss", "target", "hardest pull", "curvature", "kinks", "convex", "symmetric")
SMOOTHNESS = (
    "smooth: the slope changes at a bounded rate",
    "differentiable, with unbounded curvature",
    "has corners",
    "has steps",
)


@dataclass(frozen=True)
class Row:
    """One number: what it is called, its value as text, and how it is known."""

    name: str
    text: str
    known: str


@cache
def properties(loss: Any) -> Any:
    """Return `loss.properties`, computed once a build."""
    return loss.properties


def numbers_of(loss: Any) -> list[Row]:
    """Return the rows of the table of numbers of `loss`."""
    p = properties(loss)
    by_sympy = proved(loss)

    def row(name: str, text: str, key: str) -> Row:
        return Row(name, text, "proved" if key in by_sympy else "checked")

    low, high = p.range
    rows = [row("range of the loss", f"{_number(low)} to {_number(high)}", "range")]
    if value_only(loss):
        return [*rows, row("symmetric", _yes(p.symmetric), "symmetric")]
    rows += [
        row("Lipschitz constant (hardest pull of one point)", _number(p.lipschitz), "lipschitz"),
        row("curvature", f"{_number(p.curvature[0])} to {_number(p.curvature[1])}", "curvature"),
        row("convex", _yes(p.convex), "convex"),
        row("kinks", _kinks(p), "kinks"),
        row("symmetric", _yes(p.symmetric), "symmetric"),
    ]
    return rows


def badge(known: str) -> str:
    """Return the mark that says how a number is known."""
    how = {
        "proved": "proved by SymPy, in a test",
        "checked": "searched on a grid from 1e-300 to 1e100 around the target, not proved",
    }
    return f'<span class="{known}" title="{how[known]}">{known}</span>'


def cells(loss: Any) -> tuple[str, ...]:
    """Return the cells under `COLUMNS`, less the first two."""
    p = properties(loss)
    return (
        _number(p.lipschitz),
        f"{_number(p.curvature[0])} to {_number(p.curvature[1])}",
        str(len(p.kinks)),
        _yes(p.convex),
        _yes(p.symmetric),
    )


def shape_words(loss: Any) -> list[str]:
    """Return what the shape is, in a few words each."""
    p = properties(loss)
    if value_only(loss):
        return ["a step: value only"]
    pull = "pull fades" if _fades(loss) else "bounded pull" if p.robust else "unbounded pull"
    corner = "smooth" if p.smooth else "differentiable" if p.differentiable else "has corners"
    return ["convex" if p.convex else "not convex", corner, pull]


def smoothness(loss: Any) -> str:
    """Return the entry of `SMOOTHNESS` that fits."""
    p = properties(loss)
    if value_only(loss):
        return SMOOTHNESS[3]
    return SMOOTHNESS[0 if p.smooth else 1 if p.differentiable else 2]


def value_only(loss: Any) -> bool:
    """Say whether the loss has no derivative."""
    return math.isnan(properties(loss).lipschitz)


def _fades(loss: Any) -> bool:
    """Whether points far on both sides of the target pull less than a thousandth of the hardest."""
    p = properties(loss)
    if value_only(loss) or not p.robust or len(loss.outputs) > 1:
        return False
    y = np.full(2, p.at)
    far = loss.gradient(y, y + np.array([-1e6, 1e6]), raw=True, reduction="none")
    return bool(np.abs(far).max() < 1e-3 * p.lipschitz)


def _bounded(loss: Any) -> bool:
    return bool(properties(loss).robust) and not _fades(loss) and not value_only(loss)


def _unbounded(loss: Any) -> bool:
    return not value_only(loss) and not properties(loss).robust


PULLS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    (
        "The pull fades",
        "A point far away hardly counts, so gross outliers cannot move the fit; such a loss is not "
        "convex, and where training starts can matter.",
        _fades,
    ),
    (
        "The pull is bounded",
        "A point far away pulls as hard as one merely wrong, and no harder.",
        _bounded,
    ),
    (
        "The pull grows without bound",
        "The further a point is off, the harder it pulls: efficient where errors are well-behaved, "
        "led astray by outliers where not.",
        _unbounded,
    ),
    (
        "No pull at all",
        "Steps have no slope; such a loss is to be read, not trained with.",
        value_only,
    ),
)


def _number(x: float) -> str:
    if math.isnan(x):
        return "–"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    return f"{x:.6g}".replace("-", "−")


def _yes(x: bool) -> str:
    return "yes" if x else "no"


def _kinks(p: Any) -> str:
    if not p.kinks:
        return "none"
    shown = "; ".join(
        f"f = {_number(k.position)}, slope {_number(k.left)} to {_number(k.right)}" for k in p.kinks
    )
    return f"{shown} (at the target {_number(p.at)})"
