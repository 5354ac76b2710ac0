"""Losses as users type them: `huber:delta=1.5`, `cross_entropy:class_weight=1/2/5`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from losskit.by_rank import ByRank
from losskit.formula.inputs import Choice, Integer, PerElement
from losskit.tables import TableError


def parse_loss(text: str, rank: int = 1, metrics: Sequence[str] = ()) -> Any:
    """Return the loss that `NAME[:param=value[,param=value]]` names.

    A value is a number, none, a word where the parameter is a choice (`true`, `cosine`), or numbers
    with slashes between them where it takes one for each class (`1/2/5`). `rank` is that of the
    predictions, by which `log_loss` is one loss or another; `metrics` may be named like losses.

    Raises:
        TableError: the text cannot be read, or names an unknown loss or parameter.

    >>> from losskit.evaluation import parse_loss
    >>> parse_loss("huber:delta=1.5")
    losskit.huber(delta=1.5)
    >>> parse_loss("cross_entropy:class_weight=1/2/5")
    losskit.cross_entropy(class_weight=(1.0, 2.0, 5.0))
    """
    name, colon, tail = text.partition(":")
    params: dict[str, str] = {}
    for item in tail.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or not key:
            raise TableError(f"loss {text!r} has {item!r} where param=value is needed")
        if key in params:
            raise TableError(f"loss {text!r} gives {key!r} twice")
        params[key] = value
    named = {key: f"parameter {key!r} of loss {text!r}" for key in params}
    return make_loss(name.strip(), params, named, rank, metrics)


def make_loss(
    name: str,
    params: Mapping[str, str],
    named: Mapping[str, str],
    rank: int = 1,
    metrics: Sequence[str] = (),
) -> Any:
    """Return the loss (or one of `metrics`) with parameters as typed.

    `named` is what messages call each. What is wrong becomes a TableError.
    """
    import losskit

    hint = "; `losskit list` shows all"
    try:
        if metrics and (found := _metric(name, metrics)) is not None:
            hint = ""
            return found(**{key: _plain(value) for key, value in params.items()})
        if name in losskit.metrics.names():
            read = f"; the metrics read here are {', '.join(metrics)}" if metrics else ""
            hint = f" is a metric: from Python it is losskit.metrics.{name}{read}"
            raise TableError(f"{name!r}{hint}")
        found = losskit.get(name)
        hint = ""
        if isinstance(found, ByRank):
            found = found.of_rank(rank)
        domains = {p.name: p.domain for p in found.definition.parameters}
        return found(**{k: _read(v, named[k], domains.get(k)) for k, v in params.items()})
    except (ValueError, TypeError) as error:
        if isinstance(error, TableError):
            raise
        if metrics and "there is no loss called" in str(error):
            hint += f"; metrics here are {', '.join(metrics)}"
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
    if hasattr(loss, "definition"):
        defaults = {p.name: p.default for p in loss.definition.parameters}
    else:
        from losskit.metrics import get

        defaults = get(loss.name).params
    given = [
        f"{name}={_spelled_value(value)}"
        for name, value in loss.params.items()
        if value != defaults[name]
    ]
    return f"{loss.name}:{','.join(given)}" if given else str(loss.name)


def gather(given: Any, rank: int = 1, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """Return the losses of one or several names or losses, by their spelling, each once."""
    items = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not items:
        raise TableError("no loss was given; leave it out to have one chosen")
    losses = []
    for item in items:
        if isinstance(item, str):
            losses.append(parse_loss(item, rank, metrics))
        else:
            losses.append(item.of_rank(rank) if isinstance(item, ByRank) else item)
    return {spelled(loss): loss for loss in losses}


def _metric(name: str, metrics: Sequence[str]) -> Any:
    """Return the metric of this name or alias, if it is one of `metrics`; else None."""
    from losskit.metrics import get

    try:
        found = get(name)
    except ValueError:
        return None
    return found if found.name in metrics else None


def _read(text: str, what: str, domain: Any) -> Any:
    if isinstance(domain, Choice):
        for value in domain.values:
            if text == value or (not isinstance(value, str) and text.lower() == str(value).lower()):
                return value
        choices = ", ".join(_spelled_value(value) for value in domain.values)
        raise TableError(f"{what} is {text!r}; it must be one of {choices}")
    if isinstance(domain, PerElement) and "/" in text:
        numbers = [parse_value(piece, what) for piece in text.split("/")]
        if None in numbers:
            raise TableError(f"{what} is {text!r}; it must be numbers, as in 1/2/5")
        return tuple(numbers)
    value = parse_value(text, what)
    if isinstance(domain, Integer) and value is not None and value.is_integer():
        return int(value)
    return value


def _plain(text: str) -> Any:
    """Return what a parameter of a metric is meant to be, which the metric itself will check."""
    word = text.lower()
    if word in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word]
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _spelled_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_spelled_value, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value).removesuffix(".0")
