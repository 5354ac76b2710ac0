"""What a check is, and how one is run against an implementation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.audit.implementation import Implementation
from losskit.audit.table import Row
from losskit.formula.expr import Unsupported

# Relative to a number, or where that is small to the largest of the result (but to no more than 1).
# float64 and float32 look for wrong formulas, not for last digits; half types may round four times.
TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 4 * 2.0**-10, "bfloat16": 4 * 2.0**-7}

# What is right where losskit's own answer is no number; the words stand in the table.
SAME_PAIRS, NAN, ZERO = "the same pairs or an error", "NaN or an error", "0 or an error"


@dataclass(frozen=True, eq=False)
class Check:
    """One question to an implementation, whose answer losskit's own loss knows in float64.

    Without `reduction` it asks for "none" where there is one, else for what the function does by
    itself. With `gradient` it asks for the derivative, under an upstream gradient that is not
    uniform. `right` is one of the words above, or the least and the greatest derivative of each
    element where several are right; None leaves the answer to the loss. `one_hot` passes labels as
    rows; `soft` says that targets are shares.
    """

    name: str
    why: str
    y: Array
    f: Array
    options: Mapping[str, Any] = field(default_factory=dict)
    reduction: str | None = None
    gradient: bool = False
    dtype: str = "float64"
    right: str | tuple[Array, Array] | None = None
    one_hot: bool = False
    soft: bool = False

    @property
    def kind(self) -> str:
        """What targets a function has to take for it."""
        if self.f.ndim == 3:
            return "sequences"
        return "soft targets" if self.soft or self.one_hot else "plain targets"


@dataclass(frozen=True)
class Reference:
    """losskit's own loss, whose numbers are the expected ones, and the scale of its predictions."""

    loss: Any
    raw: bool

    def answer(self, check: Check, reduction: str) -> Array:
        """Return its value, or the derivative by each element under an upstream of ones."""
        options: dict[str, Any] = {"raw": self.raw, "reduction": reduction}
        parameters: dict[str, Any] = {}
        for name, value in check.options.items():
            place = parameters if name in self.loss.params else options
            place[name] = tuple(value) if place is parameters and np.ndim(value) else value
        loss = self.loss(**parameters)
        ask = loss.gradient if check.gradient else loss
        return np.asarray(ask(check.y, check.f, **options), np.float64)


@dataclass(frozen=True)
class Abilities:
    """What an implementation takes and gives, found by calling it on ordinary data."""

    reductions: tuple[str, ...]
    refused: Mapping[str, str]  # kinds of check → what it said to them

    @property
    def labels_as_rows(self) -> bool:
        """Whether class labels have to be passed as one-hot rows."""
        return "plain targets" in self.refused and "soft targets" not in self.refused


def run(
    checks: Sequence[Check], implementation: Implementation, reference: Reference
) -> Iterator[Row]:
    """Yield one row a check; the first of each kind also shows whether the function takes it."""
    abilities = _abilities(checks, implementation, reference)
    for check in checks:
        missing = _missing(check, implementation, abilities)
        if missing and check is not checks[0]:
            yield Row(check.name, "not applicable", "", "", None, (), missing)
        else:
            yield _judge(check, implementation, abilities, reference)


def _abilities(
    checks: Sequence[Check], implementation: Implementation, reference: Reference
) -> Abilities:
    refused: dict[str, str] = {}
    reductions: tuple[str, ...] = ()
    for kind in ("plain targets", "soft targets", "sequences"):
        check = next((c for c in checks if c.kind == kind), None)
        if check is None:
            continue
        y = _target(check, Abilities((), refused))
        try:
            value = implementation.value(y, check.f, check.dtype, {})
        except Exception as error:  # whatever it raises is its answer
            refused[kind] = _message(error)
            continue
        if value.shape not in ((), check.f.shape[: value.ndim]):
            refused[kind] = f"returned shape {value.shape}"
        elif not reductions:
            reductions = _reductions(value, check, implementation, reference)
    return Abilities(reductions or ("mean",), refused)


def _reductions(
    value: Array, check: Check, implementation: Implementation, reference: Reference
) -> tuple[str, ...]:
    if "reduction" in implementation.options:
        return "none", "mean", "sum"
    if value.ndim:
        return ("none",)
    mean, total = (reference.answer(check, r) for r in ("mean", "sum"))
    return ("sum",) if abs(value - total) < abs(value - mean) else ("mean",)


def _missing(check: Check, implementation: Implementation, abilities: Abilities) -> str:
    """Say why a check does not apply, or nothing."""
    for option in check.options:
        if option not in implementation.options:
            return f"it has no {option}"
    if check.reduction and check.reduction not in abilities.reductions:
        return f"it has no reduction={check.reduction!r}"
    if check.gradient and not implementation.differentiable:
        return "its gradient is not known: pass gradient="
    if check.dtype not in implementation.framework.floats:
        return f"{implementation.framework.name} has no {check.dtype}"
    if abilities.labels_as_rows and check.y.dtype.kind in "iu":
        within = (check.y >= 0) & (check.y < check.f.shape[-1])
        if not within.all():
            return "it takes targets as rows, and a label that is no class has none"
        if check.kind == "plain targets":
            return ""
    if check.kind in abilities.refused:
        return f"it does not take {check.kind}: {abilities.refused[check.kind]}"
    return ""


def _judge(
    check: Check, implementation: Implementation, abilities: Abilities, reference: Reference
) -> Row:
    def row(status: str, given: Any, expected: Any, difference: Any = None, at: Any = ()) -> Row:
        return Row(check.name, status, given, expected, difference, at, check.why)

    reduction = check.reduction or abilities.reductions[0]
    upstream = _upstream(check, reduction)
    try:
        low, high = _expected(check, reference, reduction, upstream)
    except (ValueError, Unsupported) as error:
        reason = f"{reference.loss!r} itself has no answer: {error}"
        return Row(check.name, "not applicable", "", "", None, (), reason)
    options = dict(check.options)
    if "reduction" in implementation.options:
        options["reduction"] = reduction
    data = (_target(check, abilities), check.f, check.dtype, options)
    try:
        if check.gradient:
            given = implementation.gradient(*data, upstream)
        else:
            given = implementation.value(*data)
    except Exception as error:  # whatever it raises is its answer
        wanted = isinstance(check.right, str)
        return row("pass" if wanted else "error", _message(error), _told(check, low))
    if check.right == SAME_PAIRS:
        right = _pairs(check, reference, given)
        return row("pass" if right else "fail", f"shape {given.shape}", SAME_PAIRS)
    if check.right == NAN:
        if not given.size:
            return row("fail", f"shape {given.shape}", NAN)
        found = np.isnan(given).any()
        return row("pass" if found else "fail", math.nan if found else float(given.flat[0]), NAN)
    if given.shape != low.shape:
        return row("fail", f"shape {given.shape}", f"shape {low.shape}")
    distance, excess = _differences(given, low, high, TOLERANCE[check.dtype])
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    return row(
        "pass" if excess[at] <= 1 else "fail",
        float(given[at]) + 0.0,  # −0 is 0
        check.right if isinstance(check.right, str) else _nearest(given[at], low[at], high[at]),
        float(distance[at]),
        at,
    )


def _differences(given: Array, low: Array, high: Array, tolerance: float) -> tuple[Array, Array]:
    """Return how far each number is from the interval, and how many times what is allowed."""
    size = np.maximum(np.abs(low), np.abs(high))
    finite = np.isfinite(size)
    largest = float(size[finite].max(initial=0.0)) or 1.0
    inside = (given >= low) & (given <= high)
    with np.errstate(invalid="ignore"):
        outside = np.where(given < low, low - given, given - high)
    distance = np.where(inside, 0.0, outside)
    allowed = tolerance * np.maximum(np.where(finite, size, 0.0), min(largest, 1.0))
    return distance, np.where(np.isnan(distance), math.inf, distance / allowed)


def _expected(
    check: Check, reference: Reference, reduction: str, upstream: Array
) -> tuple[Array, Array]:
    """Return the least and the greatest right answer, which are mostly the same."""
    if isinstance(check.right, str):
        zero = np.zeros(check.f.shape if check.gradient else upstream.shape)
        return zero, zero
    if check.right is not None:
        share = 1 / check.y.size if reduction == "mean" else 1.0
        ends = [np.asarray(end, np.float64) * share * upstream for end in check.right]
        return np.minimum(*ends), np.maximum(*ends)
    answer = reference.answer(check, reduction)
    if check.gradient:
        answer = answer * upstream.reshape(upstream.shape + (1,) * (answer.ndim - upstream.ndim))
    return answer, answer


def _pairs(check: Check, reference: Reference, given: Array) -> bool:
    """Say whether a result is that of predictions without their last axis of one."""
    paired = replace(check, f=check.f[:, 0], right=None)
    answers = (reference.answer(paired, r).reshape(-1) for r in ("none", "mean", "sum"))
    flat = given.reshape(-1)
    return any(a.shape == flat.shape and np.allclose(a, flat) for a in answers)


def _upstream(check: Check, reduction: str) -> Array:
    """Return what arrives from above: −1.5, 0.5, 2.5, −0.5, 1.5, … or one number."""
    if reduction != "none":
        return np.array(3.0)
    in_rows = check.y.ndim == check.f.ndim > 1
    shape = check.y.shape[:-1] if in_rows else check.y.shape
    return (np.arange(math.prod(shape)) * 2 % 5 - 1.5).reshape(shape)


def _target(check: Check, abilities: Abilities) -> Array:
    labels = check.y.dtype.kind in "iu"
    if labels and (check.one_hot or abilities.labels_as_rows):
        return np.eye(check.f.shape[-1])[check.y]
    return check.y


def _nearest(given: float, low: float, high: float) -> float:
    return float(min(max(given, low), high) if low < high else low) + 0.0


def _told(check: Check, low: Array) -> float | str:
    if isinstance(check.right, str):
        return check.right
    return float(low) if low.ndim == 0 else f"{low.size} numbers"


def _message(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]
