"""A loss's parameters as JSON and back: names, what values they may take, and their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from losskit.definition import RESERVED, Parameter
from losskit.formula.domain import Domain
from losskit.formula.inputs import Choice, Integer, PerElement
from losskit.portable import schema as s

MOST = 64  # parameters, raw outputs, aliases and the like
OF_TEXT = ("np", "axis", "float", "clip_lower", "clip_upper")  # what generated text calls its own
_MOST_ELEMENTS = 1_000_000  # of a parameter that has one number for each element of the axis

DOMAIN = s.record(
    Domain, lower=s.NUMBER, upper=s.NUMBER, open_lower=s.FLAG, open_upper=s.FLAG,
    hole=s.optional(s.NUMBER), values=s.many(s.NUMBER, MOST), none=s.FLAG,
)  # fmt: skip


def _read_choice(where: str, value: Any) -> Any:
    if type(value) is str:
        return s.text(s.LONGEST_NAME).read(where, value)
    return value if type(value) in (bool, int) else s.NUMBER.read(where, value)


_CHOICE = s.Codec(
    lambda value: value if isinstance(value, (str, bool, int)) else s.NUMBER.write(value),
    _read_choice,
)
_ALLOWED = s.union({
    "number": (Domain, DOMAIN),
    "choice": (Choice, s.record(Choice, values=s.many(_CHOICE, MOST, 1))),
    "whole number": (Integer, s.record(Integer, lower=s.NUMBER, none=s.FLAG)),
    "per element": (PerElement, s.record(PerElement, domain=DOMAIN)),
})  # fmt: skip


def write_values(parameters: Iterable[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameter values by name."""
    return {p.name: _value_of(p.domain).write(values[p.name]) for p in parameters}


def read_values(where: str, value: Any, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return parameter values by name, of known parameters; not all of them have to be there."""
    if type(value) is not dict:
        raise s.refuse(where, value, "an object")
    known = {p.name: p for p in parameters}
    s.members(where, value, [key for key in known if key in value])
    return {key: _value_of(known[key].domain).read(f"{where}.{key}", v) for key, v in value.items()}


def write_parameters(parameters: Iterable[Parameter]) -> list[Any]:
    """Return what parameters a loss has."""
    return [
        {
            "name": p.name,
            "domain": _ALLOWED.write(p.domain),
            "default": _value_of(p.domain).write(p.default),
        }
        for p in parameters
    ]


def read_parameters(
    where: str, value: Any, loss: str, indexed: str, taken: Iterable[str] = OF_TEXT
) -> tuple[Parameter, ...]:
    """Return the parameters of a loss called `loss`, in whose generated text the names `taken` have
    another meaning, and the letters `indexed` followed by digits.
    """
    names = s.name({*RESERVED, *taken}, re.compile(rf"[{indexed}]\d+"))

    def read_one(place: str, one: Any) -> Parameter:
        found = s.members(place, one, ("name", "domain", "default"))
        name = names.read(f"{place}.name", found["name"])
        domain = _ALLOWED.read(f"{place}.domain", found["domain"])
        default = _value_of(domain).read(f"{place}.default", found["default"])
        return Parameter(name, default, domain).checked(loss)

    parameters = s.many(s.Codec(dict, read_one), MOST).read(where, value)
    distinct(where, [p.name for p in parameters])
    return parameters


def distinct(where: str, names: Sequence[str]) -> None:
    """Raise ValueError where a name stands twice."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"{where} has {s.shown(name)} twice")


def _value_of(domain: Any) -> s.Codec:
    """Return the codec of a parameter's values; whether it allows them it says itself."""
    if isinstance(domain, Choice):
        return s.one_of(domain.values)
    if isinstance(domain, Integer):
        return s.optional(s.whole())
    if not isinstance(domain, PerElement):
        return s.optional(s.NUMBER)
    each = s.many(s.NUMBER, _MOST_ELEMENTS, 1)
    return s.optional(
        s.Codec(
            lambda value: (each if isinstance(value, tuple) else s.NUMBER).write(value),
            lambda where, value: (each if type(value) is list else s.NUMBER).read(where, value),
        )
    )
