"""The parts of a loss's page that differ where the loss sees more than one number at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import samples

_ROWS = {
    "class": "(…, K), a score for each class",
    "label": "(…, L), a score for each label",
    "feature": "(rows, features), a vector in each row",
    "item": "(lists, items), or (items,) with `query=`: a score for each item",
    "row": "(rows, features), a vector in each row",
}
_LINKED = {
    ("class", "softmax"): "(…, K), the probability of each class; logits with `raw=True`",
    ("class", "logit"): "(…, K), the probability of exceeding each level; logits with `raw=True`",
    ("label", "logit"): "(…, L), the probability of each label; logits with `raw=True`",
}
CODES = {
    "soft": "a class: its index, one-hot, or the probability of each class",
    "hard": "a class: its index or one-hot",
    "index": "a class: its index",
    "level": "an ordered level 0 … K: its number",
    "key": "labels of any type, equal or not",
}


def facts(loss: Any) -> Iterator[tuple[str, str]]:
    """Yield what each input holds, whose the weights are, and which derivatives there are."""
    definition = loss.definition
    links = dict(zip(loss.outputs, definition.links, strict=False))
    for name, one in definition.inputs:
        yield f"`{name}`", _holds(definition.axis, one, links.get(name))
    yield "weights", f"one for each {'list' if definition.axis == 'item' else 'row'}"
    yield "derivatives", _derivatives(loss)


def may_be(domain: Any, definition: Any = None) -> str:
    """Return what values a parameter takes."""
    from losskit.formula.inputs import Choice, Integer, PerElement

    if isinstance(domain, Choice):
        return "one of " + ", ".join(f"`{value!r}`" for value in domain.values)
    if isinstance(domain, Integer):
        least = f" of at least {domain.lower:g}" if math.isfinite(domain.lower) else ""
        return f"a whole number{least}" + (", or none" if domain.none else "")
    if isinstance(domain, PerElement):
        return f"{domain.domain}, a number or one for each {getattr(definition, 'axis', 'element')}"
    return str(domain)


def notation(loss: Any) -> str:
    """Return the sentence above the formulas."""
    words = {
        "class": "$k$ counts the classes, of which $y$ or $y_k$ is the target's",
        "label": "$k$ counts the labels",
        "feature": "$i$ counts the features",
        "item": "$i$ counts the items of a list",
    }
    links = [link.name for link in loss.definition.links]
    raw = "Written on the raw scale: " if {*links} != {"identity"} else "Here "
    return f"{raw}{words[loss.definition.axis]}."


def use(loss: Any) -> list[str]:
    """Return a few lines that use `loss`, for a session."""
    lines = ["import losskit"]
    lines += [f"{name} = {text}" for name, text in samples.assignments(loss).items()]
    lines.append(samples.call(loss))
    if "gradient" in samples.derivatives(loss):
        if len(loss.outputs) == 1:
            lines.append(samples.call(loss, ".gradient"))
        else:
            names = [f"by_{name}" for name in loss.outputs]
            lines += [f"{', '.join(names)} = {samples.call(loss, '.gradient')}", names[0]]
    return lines


def lacks_terms(loss: Any) -> bool:
    """Say whether a number of its formula is 0, so that a term of it is not there."""
    numbers = [loss.params[p.name] for p in loss.definition.formula_parameters]
    return any(x == 0 and not isinstance(x, bool) for x in numbers)


def general(loss: Any) -> Any:
    """Return the loss with every number of its formula at a value that leaves its term in it."""
    from losskit.formula import Domain

    changed = {}
    for parameter in loss.definition.formula_parameters:
        domain = parameter.domain
        if isinstance(domain, Domain) and loss.params[parameter.name] in (0, 1):
            changed[parameter.name] = next(x for x in (0.5, 2.0, -0.5) if domain.contains(x))
    return loss(**changed)


def _holds(axis: str, one: Any, link: Any) -> str:
    if one.classes:
        return CODES[one.classes]
    if one.trained:
        if one.rank == 1:
            return "(rows,), a score"
        return _LINKED.get((axis, getattr(link, "name", "")), _ROWS[axis])
    what = {"label": "for each label, yes or no or its probability", "item": "for each item"}
    return f"{what.get(axis, 'for each row')}, {one.domain}"


def _derivatives(loss: Any) -> str:
    found = [f"`{name}`" for name in samples.derivatives(loss)]
    if not found:
        return "none"
    names = ", ".join(f"`{name}`" for name in loss.outputs)
    by = f"by {names}" + (", a tuple in this order" if len(loss.outputs) > 1 else "")
    diagonal = "; `hessian` is the diagonal" if "`hessian`" in found else ""
    return f"{', '.join(found)} {by}{diagonal}"
