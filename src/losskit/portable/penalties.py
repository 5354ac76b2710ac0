"""Penalties as JSON and back: losskit's by name, a user's as the graphs of its formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from losskit.penalties import Formulas, Penalty, get, grouped, names
from losskit.penalties.formulas import Definition, function
from losskit.portable import schema as s
from losskit.portable.parameters import (
    MOST,
    OF_TEXT,
    read_parameters,
    read_values,
    write_parameters,
    write_values,
)
from losskit.portable.tables import read_table, write_table

# What each formula is of, beside alpha and the parameters.
_OF: dict[str, tuple[str, ...]] = {"value": ("w",), "prox": ("v", "step"), "l1": (), "l2": ()}
_TAKEN = {*OF_TEXT, "w", "v", "step", "alpha", "left", "right", "math"}
_MOST_GROUPS = 3_000_000

_SAID = s.struct(
    name=s.name(_TAKEN), doc=s.text(50_000), cite=s.text(2000), ordered=s.many(s.name(), MOST)
)
_GROUPS = s.optional(s.many(s.either(str, int), _MOST_GROUPS))


def penalty_to_json(penalty: Penalty | None) -> dict[str, Any] | None:
    """Return a penalty, or None, as plain JSON values from which `penalty_from_json` makes it.

    >>> from losskit.penalties import MCP
    >>> from losskit.portable import penalty_from_json, penalty_to_json
    >>> penalty_to_json(MCP(gamma=2.0))
    {'kind': 'registered', 'name': 'mcp', 'groups': None, 'parameters': {'gamma': 2.0}}
    >>> penalty_from_json(penalty_to_json(MCP(gamma=2.0)))
    losskit.penalties.MCP(gamma=2.0)
    """
    if penalty is None:
        return None
    if not isinstance(penalty, Penalty):
        raise TypeError(f"what can be saved is a losskit.penalties.Penalty, not {s.shown(penalty)}")
    definition, groups = penalty.definition, _GROUPS.write(penalty.groups)
    values = write_values(definition.parameters, penalty.params)
    name = penalty.name.lower()
    if name in names() and _known(name).definition == definition:
        return {"kind": "registered", "name": name, "groups": groups, "parameters": values}
    made = {
        "kind": "formulas",
        **_SAID.write(vars(definition)),
        "groups": groups,
        "parameters": write_parameters(definition.parameters),
        "values": values,
        "formulas": {part: write_table(table) for part, table in definition.formulas},
    }
    try:
        penalty_from_json(made)
    except ValueError as error:
        raise ValueError(f"{penalty.name} cannot be saved: {error}") from None
    return made


def penalty_from_json(value: Any, where: str = "penalty") -> Penalty | None:
    """Return the penalty that `penalty_to_json` wrote, after checking everything in `value`.

    Raises ValueError that names the place, beginning with `where`, and what is wrong with it.
    """
    if value is None:
        return None
    rest, (kind, groups) = s.parted(where, value, "kind", "groups")
    s.one_of(("registered", "formulas")).read(f"{where}.kind", kind)
    labels = _GROUPS.read(f"{where}.groups", groups)
    with s.usable(where):
        penalty = (_registered if kind == "registered" else _of_formulas)(where, rest)
        return penalty if labels is None else grouped(penalty, labels)


def _registered(where: str, value: Mapping[str, Any]) -> Penalty:
    found = s.members(where, value, ("name", "parameters"))
    penalty = _known(s.one_of(names()).read(f"{where}.name", found["name"]))
    parameters = penalty.definition.parameters
    return penalty(**read_values(f"{where}.parameters", found["parameters"], parameters))


def _known(name: str) -> Penalty:
    penalty = get(name)
    assert penalty is not None
    return penalty


def _of_formulas(where: str, value: Mapping[str, Any]) -> Penalty:
    rest, (listed, given, formulas) = s.parted(where, value, "parameters", "values", "formulas")
    said = _SAID.read(where, rest)
    parameters = read_parameters(f"{where}.parameters", listed, said["name"], "tf", _TAKEN)
    symbols = [p.name for p in parameters]
    if not {*said["ordered"]} <= {*symbols}:
        raise ValueError(f"{where}.ordered names what is no parameter")
    for p in parameters:
        if not isinstance(p.default, float):
            raise ValueError(f"{where}: {p.name} is no number, as a penalty's parameters are")
    parts = list(_OF) if type(formulas) is dict and "l1" in formulas else ["value", "prox"]
    found = s.members(f"{where}.formulas", formulas, parts)
    tables = tuple(
        (
            part,
            read_table(
                f"{where}.formulas.{part}",
                found[part],
                dict.fromkeys((*_OF[part], "alpha", *symbols), 0),
            ),
        )
        for part in Formulas._fields
        if part in parts
    )
    definition = Definition(**said, parameters=parameters, formulas=tables, own=False)
    read = read_values(f"{where}.values", s.members(f"{where}.values", given, symbols), parameters)
    made = Penalty(definition, definition.check(read))
    # Traced, differentiated and printed, so that what cannot be used shows now.
    for wanted in ("value", "prox", "slopes", *(["strengths"] if "l1" in parts else [])):
        function(definition, wanted)
    return made
