"""Where a name of another library differs from the loss of ours that it is, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from losskit.boosting.hosts import HOSTS, RULES
from losskit.rosetta.facts import (
    AT_BEST,
    BY_CLASS_WEIGHT,
    BY_COUNT,
    FRACTION,
    INDEX,
    LEFT_TO_USER,
    MIXTURE,
    ONE_HOT,
    SIGNS,
    STEPWISE,
    SUMMED,
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
_DIVIDED = {
    BY_COUNT: "a weighted mean is divided by the number of elements; ours by the sum of weights",
    BY_CLASS_WEIGHT: f"a weighted mean is divided by {BY_CLASS_WEIGHT}; ours by the sum of weights",
    SUMMED: "sums values; ours are averaged",
    STEPWISE: "a weight multiplies a step of the training; ours are a weighted mean",
    LEFT_TO_USER: "returns values that are not averaged; ours are, unless reduction='none'",
}
_MEANS = ("mean", "sum_over_batch_size")  # a reduction that is ours


def differences(entry: Entry, loss: Any, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs, the weightiest first; `given` are parameters that were named."""
    return (
        *_broken(entry, given),
        *_related(entry),
        *_scale(entry, loss, given),
        *_labels(entry, loss),
        *_divided(entry),
        *notes(entry, given),
    )


def notes(entry: Entry, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs beyond factor, scale, labels and denominator, which have columns."""
    return tuple(_notes(entry, given))


def predictions(entry: Entry, loss: Any, given: Mapping[str, Any] | None = None) -> str:
    """Return what a name takes as predictions, in words; `given` parameters may say."""
    if entry.name.takes:
        return entry.name.takes
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
    if getattr(loss.definition, "axis", "") == "label":
        return (ZERO_ONE, FRACTION)
    return (SIGNS,) if any(-1 in one.domain.values for _, one in loss.definition.inputs) else ()


def _broken(entry: Entry, given: Mapping[str, Any]) -> Iterator[str]:
    for constant in entry.allows(given):
        its = constant.partition("=")[0]
        at = given.get(its, entry.name.defaults.get(its))
        yield f"equal only at {constant}; here {its} is {at!r}"
    for name, value in entry.unheeded(given).items():
        if name != "reduction":
            yield f"{name}={value!r} is no parameter of ours, and left out"
        elif value not in _MEANS:
            yield f"reduction={value!r} is of the call: ours averages unless it is told so too"


def _related(entry: Entry) -> Iterator[str]:
    name = entry.name
    if name.factor != 1 or name.shift:
        yield equation(name.factor, name.shift)
    if name.target_only:
        yield "equal up to a constant that the target alone decides: gradients agree, values do not"


def _divided(entry: Entry) -> Iterator[str]:
    if entry.weighted in _DIVIDED:
        yield _DIVIDED[entry.weighted]


def _notes(entry: Entry, given: Mapping[str, Any]) -> Iterator[str]:
    name = entry.name
    if name.clip and not given.get(name.raw_if, False):
        yield name.clip
    if entry.start and entry.start != AT_BEST:
        yield f"training starts at {entry.start}; with ours at {AT_BEST}"
    yield from _curvature(entry)
    yield from name.differs


def equation(factor: Any, shift: float, target_only: bool = False) -> str:
    """Return how a value of ours comes from theirs.

    >>> equation(2, 0.0), equation(-1.0, 1.0), equation("1/classes", 0.0)
    ('ours = 2 · theirs', 'ours = 1 − theirs', 'ours = theirs / number of classes')
    >>> equation(0.5, 0.0, target_only=True)
    'ours = 0.5 · theirs + a term of the target'
    """
    if target_only:
        return f"{equation(factor, shift)} + a term of the target"
    if factor == "classes":
        return "ours = number of classes · theirs"
    if factor == "1/classes":
        return "ours = theirs / number of classes"
    if shift:
        return f"ours = {shift:g} {'−' if factor < 0 else '+'} theirs"
    return "ours = theirs" if factor == 1 else f"ours = {factor:g} · theirs"


def _scale(entry: Entry, loss: Any, given: Mapping[str, Any]) -> Iterator[str]:
    raw, plain = _SCALES[_link(loss)]
    if entry.name.takes:
        several = len({link.name for link in loss.definition.links}) > 1
        ours = "" if several else f"; ours {plain}, or with raw=True {raw}"
        yield f"takes {entry.name.takes}{ours}"
        return
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
        ours = f", ours as {' or '.join(own)}" if own else ""
        yield f"takes labels as {' or '.join(theirs)}{ours}{otherwise}"


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
