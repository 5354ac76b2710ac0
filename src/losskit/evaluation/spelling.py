"""Losses as users type them: `huber:delta=1.5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from losskit.tables import TableError


def parse_loss(text: str) -> Any:
    """Return the loss that `NAME[:param=value[,param=value]]` names.

    Raises:
        TableError: the text cannot be read, or names an unknown loss or parameter.

    >>> from losskit.evaluation import parse_loss
    >>> parse_loss("huber:delta=1.5")
    losskit.huber(delta=1.5)
    """
    name, colon, tail = text.partition(":")
    params: dict[str, float | None] = {}
    for item in tail.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or not key:
            raise TableError(f"loss {text!r} has {item!r} where param=value is needed")
        if key in params:
            raise TableError(f"loss {text!r} gives {key!r} twice")
        params[key] = parse_value(value, f"parameter {key!r} of loss {text!r}")
    return make_loss(name.strip(), params)


def make_loss(name: str, params: Mapping[str, float | None]) -> Any:
    """Return `losskit.get(name, **params)`; what is wrong with them becomes a TableError."""
    import losskit

    try:
        return losskit.get(name)(**params)
    except (ValueError, TypeError) as error:
        hint = "; `losskit list` shows all" if name not in losskit.names() else ""
        raise TableError(f"{error}{hint}") from None


def parse_value(text: str, what: str) -> float | None:
    """Return the number (or None for `none`) that a user wrote for a parameter."""
    if text.strip().lower() == "none":
        return None
    try:
        # float() takes 1_000 too, which is Python's spelling and not a number's.
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise TableError(f"{what} is {text!r}; it must be a number or none")


def spelled(loss: Any) -> str:
    """Return the text that `parse_loss` reads back as `loss`; defaults are left out."""
    defaults = {parameter.name: parameter.default for parameter in loss.definition.parameters}
    given = [
        f"{name}={'none' if value is None else repr(value).removesuffix('.0')}"
        for name, value in loss.params.items()
        if value != defaults[name]
    ]
    return f"{loss.name}:{','.join(given)}" if given else str(loss.name)


def gather(given: Any) -> dict[str, Any]:
    """Return the losses of one or several names or losses, by their spelling, each once."""
    items = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not items:
        raise TableError("no loss was given; leave it out to have one chosen")
    losses = [parse_loss(item) if isinstance(item, str) else item for item in items]
    for loss in losses:
        if len(loss.outputs) != 1:
            raise TableError(
                f"{loss.name} needs {len(loss.outputs)} numbers per prediction "
                f"({', '.join(loss.outputs)}), but a prediction here is one column; "
                "call it from Python"
            )
    return {spelled(loss): loss for loss in losses}
