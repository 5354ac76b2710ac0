"""How far results are from the truth, in ulps, and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import losskit
from laws.truth import Truth, arrays, representable

ULPS = 8
ABSOLUTE = {np.float64: 1e-300, np.float32: 1e-37}

# (loss, output) -> (ulps allowed, reason); an entry without need fails its own test.
EXCEPTIONS: dict[tuple[str, str], tuple[float, str]] = {}


@dataclass(frozen=True)
class Deviation:
    """One result that is off: by how many ulps of the truth (or of its largest term)."""

    point: dict[str, float]
    output: str
    got: float
    true: float
    ulps: float

    def __str__(self) -> str:
        return f"{self.output} at {self.point}: got {self.got!r}, true {self.true!r} ({self.ulps:.3g} ulp)"


def results(loss: losskit.Loss, y: Any, f: Any, tier: str, wanted: tuple[str, ...], **options: Any) -> list[Any]:
    """Return value, gradient and Hessian columns of one call without reduction."""
    options = {"reduction": "none", "raw": True, "tier": tier, **options}
    columns: list[Any] = []
    if "hessian" in wanted:
        value, gradient = loss.value_and_gradient(y, f, **options)
        hessian = loss.hessian(y, f, **options)
        parts = [value, gradient, hessian]
    elif "gradient" in wanted:
        parts = list(loss.value_and_gradient(y, f, **options))
    else:
        parts = [loss(y, f, **options)]
    for i, part in enumerate(parts):
        columns += [part] if part.ndim == 1 or i == 0 else list(part.T)
    return columns


def deviations(
    loss: losskit.Loss, exact: Truth, dtype: Any, tier: str, wanted: tuple[str, ...],
    allowed: float = ULPS,
) -> list[Deviation]:
    """Return every result of `loss` that is more than `allowed` ulps of `dtype` from the truth."""
    places = representable(exact.points, dtype)
    if not places:
        return []
    y, f = arrays(tuple(exact.points[i] for i in places), dtype)
    columns = results(loss, y, f, tier, wanted)
    found = []
    for j, column in enumerate(columns):
        bound = allowance(loss, exact.labels[j], allowed)
        for i, got in zip(places, column, strict=True):
            ulps = distance(got, exact, i, j, dtype, bound)
            if ulps > bound:
                true = float(exact.values[i][j])
                found.append(Deviation(exact.at(i), exact.labels[j], float(got), true, ulps))
    return found


def allowance(loss: losskit.Loss, output: str, usual: float) -> float:
    """Return how many ulps one output of a loss may be off."""
    return EXCEPTIONS.get((loss.name, output.partition("[")[0]), (usual, ""))[0]


def distance(got: Any, exact: Truth, i: int, j: int, dtype: Any, bound: float) -> float:
    """Return the error of `got` in ulps of the truth, or of its largest term if that is needed."""
    true = exact.values[i][j]
    error = apart(float(got), true, dtype)
    if error == 0 or error <= bound * ulp(true, dtype):
        return 0.0 if error == 0 else error / ulp(true, dtype)
    if error <= ABSOLUTE[dtype]:
        return 0.0
    scale = exact.largest_term(i, j)
    return error / max(ulp(true, dtype), ulp(scale, dtype))


def apart(got: float, true: Any, dtype: Any) -> float:
    """Return |got − true|; 0 where both are infinite or the truth rounds to infinity."""
    from mpmath import mp

    if np.isnan(got):
        return np.inf
    largest = float(np.finfo(dtype).max)
    if np.isinf(got):
        beyond = mp.isinf(true) or abs(true) > largest
        return 0.0 if beyond and (true > 0) == (got > 0) else np.inf
    if mp.isinf(true):
        return np.inf
    return float(abs(mp.mpf(got) - true))


def ulp(x: Any, dtype: Any) -> float:
    """Return the spacing of `dtype` at `x`."""
    size = min(float(abs(x)), float(np.finfo(dtype).max))
    return float(np.spacing(dtype(size)))
