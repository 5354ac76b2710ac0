"""Small data that a loss over classes, lists or vectors takes, made from what its inputs hold."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

_POINTS = (
    "[[1.0, 0.0], [0.8, 0.3], [0.0, 1.0], [0.2, 0.9]]",
    "[[0.9, 0.1], [0.5, 0.6], [0.1, 0.8], [0.4, 1.0]]",
    "[[0.6, 0.4], [0.1, 0.9], [0.7, 0.2], [0.8, 0.1]]",
)
_SCORES = ("[1.5, 0.2, 0.7, -0.3]", "[0.4, 0.9, 0.1, -1.0]")
_CODES = {"soft": "[2, 0, 1]", "hard": "[2, 0, 1]", "level": "[0, 2, 1]", "index": "[2, 0, 1]"}
_CLASSES = {
    "softmax": "[[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1]]",
    "logit": "[[0.4, 0.1], [0.9, 0.7], [0.8, 0.3]]",
    "identity": "[[0.1, 0.4, 1.9], [1.2, 0.8, -0.3], [1.0, 0.6, -0.5]]",
}


def assignments(loss: Any) -> dict[str, str]:
    """Return the text of a value for each input, and for `query` where items form lists."""
    definition = loss.definition
    found: dict[str, str] = {}
    trained = 0
    links = iter(definition.links)
    for name, one in definition.inputs:
        link = next(links, None) if one.trained else None
        found[name] = _text(loss, one, trained, getattr(link, "name", "identity"))
        trained += one.trained
    if definition.axis == "item":
        found["query"] = '["a", "a", "a", "b", "b"]'
    return found


def call(loss: Any, method: str = "") -> str:
    """Return the text of a call of `loss` on `assignments`."""
    data = ", ".join(loss.inputs)
    query = ", query=query" if loss.definition.axis == "item" else ""
    return f"losskit.{loss.name}{method}({data}{query})"


@cache
def derivatives(loss: Any) -> tuple[str, ...]:
    """Return which of gradient, hessian and hessian_vector_product the loss has."""
    import losskit

    space: dict[str, Any] = {"losskit": losskit}
    for name, text in assignments(loss).items():
        space[name] = eval(text)
    found = []
    for method in ("gradient", "hessian"):
        with contextlib.suppress(losskit.Unsupported):
            eval(call(loss, f".{method}"), space)
            found.append(method)
    if found == ["gradient", "hessian"] and loss.kind == "rows":
        found.append("hessian_vector_product")
    return tuple(found)


def _text(loss: Any, one: Any, trained: int, link: str) -> str:
    axis = loss.definition.axis
    if one.classes == "key":
        return '["cat", "cat", "dog", "dog"]'
    if axis == "item":
        return "[1.2, 0.3, 0.5, -0.1, 0.4]" if one.trained else "[2, 0, 1, 1, 0]"
    if axis == "label":
        return "[[0.9, 0.2, 0.6], [0.1, 0.3, 0.8]]" if one.trained else "[[1, 0, 1], [0, 0, 1]]"
    if axis == "class" and one.classes:
        ignored = loss.params.get("ignore_index")
        return _CODES[one.classes].replace("1]", f"{ignored}]" if ignored is not None else "1]")
    if axis == "class":
        return _CLASSES[link] if one.trained else "[1.0, -0.5, 2.0]"
    if one.rank == 2:
        return _POINTS[trained % len(_POINTS)]
    if one.trained:
        return _SCORES[trained % len(_SCORES)]
    return {(0.0, 1.0): "[1, 0, 1, 0]"}.get(tuple(sorted(one.domain.values)), "[1, -1, 1, -1]")
