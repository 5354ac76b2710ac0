"""Where a name of another library differs from the loss of ours that it is, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from losskit.boosting.hosts import HOSTS, RULES
from losskit.rosetta.facts import (
    AT_BEST,
    BY_COUNT,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    ZERO_ONE,
)
from losskit.rosetta.listing import Entry

# What a raw score and a prediction are called, by our link.
_SCALES = {
    "identity": ("predictions", "predictions"),
    "log": ("logarithms of means", "means"),
    "logit": ("logits", "probabilities"),
    "softmax": ("logits", "probabilities"),
}


def differences(entry: Entry, loss: Any, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs, the weightiest first; `given` are parameters that were named."""
    return tuple(_differences(entry, loss, given))


def predictions(entry: Entry, loss: Any, given: Mapping[str, Any] | None = None) -> str:
    """Return what a name takes as predictions, in words; `given` parameters may say."""
    raw, plain = _SCALES[_link(loss)]
    if entry.name.raw_if in (given or {}):
        return raw if (given or {})[entry.name.raw_if] else plain
    usual = raw if entry.raw else plain
    if not entry.name.raw_if or raw == plain:
        return usual
    other = plain if entry.raw else raw
    return f"{usual}, or with {entry.name.raw_if}={not entry.raw} {other}"


def accepted(loss: Any) -> tuple[str, ...]:
    """Return the codes of the target that our loss takes; none where it is a number."""
    loss = getattr(loss, "members", (loss,))[0]
    if loss.kind == "pointwise":
        domain = loss.target_domain
        if domain.values:
            return (SIGNS,) if -1 in domain.values else (ZERO_ONE,)
        return (ZERO_ONE, FRACTION) if domain.upper == 1 else ()
    kinds = {one.classes for _, one in loss.definition.inputs}
    if "soft" in kinds:
        return (INDEX, ONE_HOT, MIXTURE)
    if "hard" in kinds:
        return (INDEX, ONE_HOT)
    return (ZERO_ONE, FRACTION) if getattr(loss.definition, "axis", "") == "label" else ()


def _differences(entry: Entry, loss: Any, given: Mapping[str, Any]) -> Iterator[str]:
    name = entry.name
    for constant in entry.allows(given):
        its = constant.partition("=")[0]
        at = given.get(its, name.defaults.get(its))
        yield f"equal only at {constant}; here {its} is {at!r}"
    if name.factor != 1 or name.shift:
        yield equation(name.factor, name.shift)
    if name.target_only:
        yield "equal up to a constant that the target alone decides: gradients agree, values do not"
    yield from _scale(entry, loss, given)
    yield from _labels(entry, loss)
    if entry.weighted != BY_WEIGHT and entry.weighted.startswith(("n", "Σ")):
        by = "the number of elements" if entry.weighted == BY_COUNT else entry.weighted
        yield f"a weighted mean is divided by {by}; ours by the sum of the weights"
    if name.clip and not given.get(name.raw_if, False):
        yield name.clip
    if entry.start and entry.start != AT_BEST:
        yield f"training starts at {entry.start}; with ours at {AT_BEST}"
    yield from _curvature(entry)
    yield from name.differs


def equation(factor: Any, shift: float) -> str:
    """Return how a value of ours comes from theirs.

    >>> equation(2, 0.0), equation(-1.0, 1.0), equation("1/classes", 0.0)
    ('ours = 2 · theirs', 'ours = 1 − theirs', 'ours = theirs / number of classes')
    """
    if factor == "classes":
        return "ours = number of classes · theirs"
    if factor == "1/classes":
        return "ours = theirs / number of classes"
    if shift:
        return f"ours = {shift:g} {'−' if factor < 0 else '+'} theirs"
    return "ours = theirs" if factor == 1 else f"ours = {factor:g} · theirs"


def _scale(entry: Entry, loss: Any, given: Mapping[str, Any]) -> Iterator[str]:
    raw, plain = _SCALES[_link(loss)]
    if raw == plain or entry.library.objective:
        return
    theirs = predictions(entry, loss, given)
    if theirs != plain:
        yield f"takes {theirs}; ours {plain}, or with raw=True {raw}"


def _labels(entry: Entry, loss: Any) -> Iterator[str]:
    own, theirs = accepted(loss), entry.name.labels
    if theirs and set(own) != set(theirs):
        silent = " or ".join(entry.name.silent)
        otherwise = f"; {silent} gives it a number and no error" if silent else ""
        yield f"takes labels as {' or '.join(theirs)}, ours as {' or '.join(own)}{otherwise}"


def _curvature(entry: Entry) -> Iterator[str]:
    if entry.library.name not in HOSTS:
        return
    rules = [
        rule for rule in RULES if (rule.host, rule.objective) == (entry.library.name, entry.title)
    ]
    for rule in rules:
        since = f" from version {'.'.join(map(str, rule.since))} on" if any(rule.since) else ""
        yield f"takes {rule.formula} for the curvature{since}" + (
            ", and sets leaves to the best constant of their rows" if rule.renews else ""
        )


def _link(loss: Any) -> str:
    links = getattr(loss, "members", (loss,))[0].definition.links
    return next((link.name for link in links if link.name != "identity"), "identity")
