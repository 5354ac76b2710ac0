"""How far results are from the truth, in ulps, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

import losskit
from laws import cases, kinks
from laws.truth import Truth, arrays, representable
from losskit.arrays import batch
from losskit.backends.mpmath import evaluate, term_scale
from losskit.compute import Request, compute
from losskit.formula.expr import Expr

ULPS = 8
# Below the smallest normal number results lose digits by nature; products of halves a few more.
ABSOLUTE = {np.float64: 1e-300, np.float32: 1e-37}

# (loss, output) → (k, reason). The result must then be within ULPS of the truth at inputs and
# parameters that are off by at most k ulps each: the error is one that rounding the input makes.
# An entry that nothing needs fails `test_every_exception_is_needed`.
_EXPONENT = "the exponent of an exponential is rounded, so errors grow as |exponent|·ulp: "
EXCEPTIONS: dict[tuple[str, str], tuple[float, str]] = {
    ("linex", "value"): (1, _EXPONENT + "a·r"),
    ("linex", "gradient"): (1, _EXPONENT + "a·r"),
    ("linex", "hessian"): (1, _EXPONENT + "a·r"),
    ("log_cosh", "hessian"): (1, _EXPONENT + "r = f − y in 1/cosh²r"),
    ("barron", "gradient"): (2, _EXPONENT + "r²/c² at alpha = −∞"),
    ("barron", "hessian"): (2, _EXPONENT + "r²/c² at alpha = −∞"),
    ("tweedie", "value"): (1, _EXPONENT + "(2 − p)·f, (1 − p)·f"),
    ("tweedie", "gradient"): (1, _EXPONENT + "(2 − p)·f, (1 − p)·f"),
    ("tweedie", "hessian"): (1, _EXPONENT + "(2 − p)·f, (1 − p)·f"),
    ("focal", "value"): (1, _EXPONENT + "γ·softplus(f)"),
    ("focal", "gradient"): (1, _EXPONENT + "γ·softplus(f)"),
    ("focal", "hessian"): (1, _EXPONENT + "γ·softplus(f)"),
    ("asymmetric_focal", "value"): (2, "σ(f) − margin cancels near the margin, then is raised"),
    ("asymmetric_focal", "gradient"): (2, "σ(f) − margin cancels near the margin, then is raised"),
    ("asymmetric_focal", "hessian"): (2, "σ(f) − margin cancels near the margin, then is raised"),
}

# (loss, output) → (what, reason): not judged where `what` is smaller than a normal number.
_YU = "y·e^-f is divided by y later on, and has lost digits where it is below the normal numbers"
_RR = "r·r, which underflows for |r| below 1e-154, is multiplied by e^(−2·log_sd)"
UNDERFLOWS: dict[tuple[str, str], tuple[Callable[[dict[str, float]], Any], str]] = {
    **{
        ("inverse_gaussian", output): (lambda at: at["y"] * mp.exp(-at["f"]), _YU)
        for output in ("gradient", "hessian")
    },
    **{
        ("gaussian_nll", output): (lambda at: (mp.mpf(at["f0"]) - at["y"]) ** 2, _RR)
        for output in ("value", "gradient", "hessian")
    },
}


@dataclass(frozen=True)
class Deviation:
    """One result that is off, by how many ulps of the truth or of its largest term."""

    loss: str
    point: dict[str, float]
    output: str
    got: float
    true: float
    ulps: float

    def __str__(self) -> str:
        return (
            f"{self.loss} {self.output} at {self.point}: got {self.got!r}, true {self.true!r} "
            f"({self.ulps:.3g} ulp)"
        )


def results(
    loss: losskit.Loss, y: Any, f: Any, tier: str, wanted: tuple[str, ...], raw: bool = True,
    clip: float = 0.0,
) -> list[Any]:  # fmt: skip
    """Return the columns of what is wanted, without reduction.

    One pass gives all, where public calls make two, so that one kernel is compiled and not three.
    """
    data = batch(y, f, len(loss.outputs))
    request = Request(wanted, mean=False, value_array=True, clip=clip, tier=tier)
    arrays = compute(loss.form(raw), data, request).arrays
    parts = [arrays[name] for name in wanted]
    return [c for part in parts for c in ([part] if part.ndim == 1 else part.T)]


def deviations(
    loss: losskit.Loss, exact: Truth, dtype: Any, tier: str, wanted: tuple[str, ...]
) -> list[Deviation]:
    """Return every result of `loss` in `dtype` that is further from the truth than allowed."""
    if not cases.exact_in(loss, dtype):
        return []
    places = representable(exact.points, dtype)
    y, f = arrays(tuple(exact.points[i] for i in places), dtype)
    columns = results(loss, y, f, tier, wanted)
    found = []
    for j, column in enumerate(columns):
        for i, got in zip(places, column.tolist(), strict=True):
            ulps = distance(got, exact, i, j, dtype)
            if ulps > ULPS and not excused(loss, got, exact, i, j, dtype):
                true = float(exact.values[i][j])
                found.append(Deviation(repr(loss), exact.at(i), exact.labels[j], got, true, ulps))
    return found


def distance(got: float, exact: Truth, i: int, j: int, dtype: Any) -> float:
    """Return the error of `got` in ulps of the truth, or of its largest term where that helps."""
    true = exact.values[i][j]
    error = apart(got, true, dtype)
    if np.isinf(error):
        return error
    if error <= max(ULPS * ulp(true, dtype), ABSOLUTE[dtype]):
        return error / ulp(true, dtype) if error > ABSOLUTE[dtype] else 0.0
    return error / max(ulp(true, dtype), ulp(exact.largest_term(i, j), dtype))


def apart(got: float, true: Any, dtype: Any) -> float:
    """Return |got − true|, where what exceeds the largest number counts as infinite.

    Powers of two stand outermost in a formula, so results may overflow a factor of 4 too early.
    """
    if np.isnan(got) or mp.isnan(true):
        return np.inf
    largest = float(np.finfo(dtype).max)
    if np.isinf(got) or mp.isinf(true):
        beyond = min(abs(true), abs(got)) > largest / 4
        return 0.0 if beyond and (true > 0) == (got > 0) else np.inf
    return float(abs(mp.mpf(got) - true))


def ulp(x: Any, dtype: Any) -> float:
    """Return the spacing of `dtype` at `x`."""
    size = min(float(abs(x)), float(np.finfo(dtype).max) / 2)
    return float(np.spacing(dtype(size)))


# --- what is excused ---------------------------------------------------------------------


def excused(loss: losskit.Loss, got: float, exact: Truth, i: int, j: int, dtype: Any) -> bool:
    """Say whether a result is off for a reason that no arithmetic in `dtype` can avoid."""
    if beside_a_kink(got, exact, i, j, dtype):
        return True
    value, true = exact.values[i][0], exact.values[i][j]
    if np.isinf(got) and abs(value) > float(np.finfo(dtype).max) / 4:
        # A derivative may overflow where the loss itself does: a²·e^(ar) where e^(ar) − … is ∞.
        return bool((true > 0) == (got > 0))
    key = (loss.name, exact.labels[j].partition("[")[0])
    if key in UNDERFLOWS and 0 < UNDERFLOWS[key][0](exact.at(i)) < float(np.finfo(dtype).tiny):
        return True
    entry = EXCEPTIONS.get(key)
    if entry is None:
        return False
    return backward(got, exact.nodes[j], exact.at(i), exact.values[i][j], dtype, entry[0])


def beside_a_kink(got: float, exact: Truth, i: int, j: int, dtype: Any) -> bool:
    """Say whether the point is so near a kink that f − y rounds across it, and `got` is what holds
    there: one of the one-sided values, or for a gradient that changes sign 0."""
    at, node = exact.at(i), exact.nodes[j]
    symbols = [s for s in node.trace.symbols.values() if s.value in exact.outputs]
    for symbol in symbols:
        for tie in kinks.ties(exact.nodes, symbol):
            gap, size = evaluate([tie], at)[0], term_scale(tie, at)
            if not 0 < abs(gap) <= 2 * ulp(size, dtype):
                continue
            f = mp.mpf(at[symbol.value])
            step = 8 * max(ulp(size, dtype), ulp(f, dtype), ulp(at["y"], dtype))
            sides = [evaluate([node], {**at, symbol.value: f + s})[0] for s in (-step, step)]
            if exact.labels[j].startswith("gradient") and sides[0] * sides[1] <= 0:
                sides.append(mp.mpf(0))
            if any(_within(got, s, max(abs(s), 1e-3 * size), dtype) for s in sides):
                return True
    return False


def backward(
    got: float, node: Expr, at: dict[str, float], true: Any, dtype: Any, ulps: float
) -> bool:
    """Say whether `got` is right for inputs and parameters that are off by at most `ulps` each."""
    eps = float(np.finfo(dtype).eps)
    found = [true]
    for name, number in at.items():
        if np.isfinite(number) and number != 0:
            for sign in (-1, 1):
                moved = mp.mpf(number) * (1 + sign * ulps * eps)
                found.append(evaluate([node], {**at, name: moved})[0])
    low, high = min(found), max(found)
    reach = high - low  # all inputs may be off at once: twice the reach of one
    slack = ULPS * max(ulp(low, dtype), ulp(high, dtype))
    return bool(low - reach - slack <= got <= high + reach + slack)


def _within(got: float, true: Any, size: Any, dtype: Any) -> bool:
    return apart(got, true, dtype) <= 64 * ulp(size, dtype)


def report(found: Sequence[Deviation], most: int = 6) -> str:
    """Return the worst few deviations as text."""
    worst = sorted(found, key=lambda d: -d.ulps)[:most]
    return f"{len(found)} results are off:\n" + "\n".join(map(str, worst))
