"""Losses as JSON and back: the catalogue's by name, a user's as its graph of known operations."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import combinations
from typing import Any

from losskit.backends import numpy as numpy_backend
from losskit.by_rank import BY_RANK, ByRank
from losskit.definition import REGISTRY, Frozen, Parameter, freeze
from losskit.formula.axis import AXIS_PRIMITIVES
from losskit.formula.domain import Domain
from losskit.formula.expr import reachable
from losskit.formula.inputs import ClassWeight, IgnoredIndex, Input, PerElement
from losskit.interface import Loss
from losskit.links import LINKS
from losskit.portable import schema as s
from losskit.portable.parameters import (
    DOMAIN,
    MOST,
    OF_TEXT,
    distinct,
    read_parameters,
    read_values,
    write_parameters,
    write_values,
)
from losskit.portable.tables import MOST_NODES, read_table, write_table
from losskit.rows.definition import AXES, RowDefinition

_MOST_DERIVED = 1000  # operations of a formula times its derivatives: a few seconds' work
_MOST_OPTIONAL = 6  # parameters that may be None: each doubles the number of tables

_TEXT, _LONG_TEXT, _NAME = s.text(2000), s.text(50_000), s.name()
_INPUT = s.record(
    Input, domain=DOMAIN, rank=s.one_of((1, 2)), trained=s.FLAG,
    classes=s.one_of(("", "hard", "soft", "index", "level", "key")), falling=s.FLAG,
)  # fmt: skip
_SAID = {
    "name": s.name(OF_TEXT), "doc": _LONG_TEXT, "optimum": _TEXT, "cite": _TEXT,
    "aliases": s.many(_NAME, MOST), "same_as": s.many(s.pair(_TEXT, s.NUMBER), MOST),
}  # fmt: skip
_POINTWISE = s.struct(
    **_SAID, outputs=s.many(_NAME, MOST, 1), target=DOMAIN,
    links=s.many(s.one_of([name for name in LINKS if name != "softmax"]), MOST, 1),
    predictions=s.many(DOMAIN, MOST, 1), root=s.FLAG, fixed=s.FLAG,
)  # fmt: skip
_ROWS = s.struct(
    **_SAID, axis=s.one_of(AXES), symbols=s.many(s.name(OF_TEXT, re.compile(r"t\d+")), MOST, 1),
    inputs=s.many(s.pair(_NAME, _INPUT), MOST, 1), links=s.many(s.one_of(LINKS), MOST, 1),
    perplexity=s.FLAG,
)  # fmt: skip


def loss_to_json(loss: Any) -> dict[str, Any]:
    """Return a loss as plain JSON values, for a file from which `loss_from_json` makes it again.

    A loss of the catalogue is its name and parameters. Your own is its expression graph with what
    its decorator declared, so that whoever loads it needs no import of your module; of a target
    domain that is a function of the parameters the domain for these parameters is kept, and the
    parameters are then fixed. Raises ValueError for a loss that is an algorithm (Python functions)
    and not a formula, and for what `loss_from_json` would not accept.

    >>> import losskit
    >>> from losskit.portable import loss_from_json, loss_to_json
    >>> loss_to_json(losskit.huber(delta=1.5))
    {'kind': 'registered', 'name': 'huber', 'parameters': {'delta': 1.5}}
    >>> loss_from_json(loss_to_json(losskit.huber(delta=1.5)))
    losskit.huber(delta=1.5)
    """
    if isinstance(loss, ByRank):
        return {"kind": "registered", "name": loss.name, "parameters": {}}
    if not isinstance(loss, Loss):
        raise TypeError(f"what can be saved is a loss, as losskit.huber, not {s.shown(loss)}")
    definition = loss.definition
    values = write_values(definition.parameters, loss.params)
    registered = REGISTRY.get(loss.name)
    if registered is not None and registered.definition is definition and loss.task != "user":
        return {"kind": "registered", "name": loss.name, "parameters": values}
    if loss.kind == "written":
        raise ValueError(
            f"{loss.name} cannot be saved: it is an algorithm, whose Python functions no file "
            "keeps; save a loss that is a formula (@losskit.loss) or one of the catalogue"
        )
    try:
        made = _pointwise_to_json(loss) if loss.kind == "pointwise" else _rows_to_json(loss)
        made |= {"parameters": write_parameters(definition.parameters), "values": values}
        loss_from_json(made)
    except ValueError as error:
        raise ValueError(f"{loss.name} cannot be saved: {error}") from None
    return made


def loss_from_json(value: Any, where: str = "loss") -> Any:
    """Return the loss that `loss_to_json` wrote, after checking everything in `value`.

    Raises ValueError that names the place, beginning with `where`, and what is wrong with it:
    unknown operations, names that could not stand in generated text, sizes beyond any formula, and
    graphs that cannot be traced.
    """
    rest, (kind,) = s.parted(where, value, "kind")
    s.one_of(("registered", "pointwise", "rows")).read(f"{where}.kind", kind)
    if kind == "registered":
        return _registered(where, rest)
    make = _pointwise_from_json if kind == "pointwise" else _rows_from_json
    with s.usable(where):
        loss = make(where, rest)
        _rehearse(loss)
        return loss


def _registered(where: str, value: Mapping[str, Any]) -> Any:
    import losskit.losses  # noqa: F401 - fills the registry

    found = s.members(where, value, ("name", "parameters"))
    name = _NAME.read(f"{where}.name", found["name"])
    if name in BY_RANK and found["parameters"] == {}:
        return BY_RANK[name]
    loss = REGISTRY.get(name)
    if loss is None or loss.task == "user":
        raise ValueError(
            f"{where}.name is {s.shown(name)}, which is no loss of this version's catalogue"
        )
    # What a file of an older version does not have is at its default.
    values = read_values(f"{where}.parameters", found["parameters"], loss.definition.parameters)
    with s.usable(f"{where}.parameters"):
        return loss(**values)


# --- pointwise losses


def _pointwise_to_json(loss: Loss) -> dict[str, Any]:
    _optional(loss.definition.parameters)
    frozen = freeze(loss.definition, loss.params)
    tables = [[list(absent), write_table(table)] for absent, table in frozen.formula]
    return {"kind": "pointwise", **_POINTWISE.write(dict(frozen.fields)), "tables": tables}


def _pointwise_from_json(where: str, value: Mapping[str, Any]) -> Loss:
    rest, (listed, given, tables) = s.parted(where, value, "parameters", "values", "tables")
    said = _POINTWISE.read(where, rest)
    parameters, values = _parameters(where, said, listed, given, "tf")
    for p in parameters:
        if not isinstance(p.domain, Domain):
            raise ValueError(f"{where}: {p.name} is no number, as it is in a pointwise formula")
    count = len(said["outputs"])
    distinct(f"{where}.outputs", said["outputs"])
    for key in ("links", "predictions"):
        if len(said[key]) != count:
            raise ValueError(f"{where}.{key} has {len(said[key])} items for {count} outputs")
    optional = _optional(parameters)
    absences = [c for n in range(len(optional) + 1) for c in combinations(optional, n)]
    if type(tables) is not list or len(tables) != len(absences):
        raise s.refuse(f"{where}.tables", tables, f"a list of {len(absences)} tables")
    symbols = ("y", "f") if count == 1 else ("y", *(f"f{i}" for i in range(count)))
    formula = []
    for i, (absent, item) in enumerate(zip(absences, tables, strict=True)):
        place = f"{where}.tables[{i}]"
        if type(item) is not list or len(item) != 2 or item[0] != list(absent):
            raise ValueError(f"{place} is not the formula without {list(absent)}")
        present = (p.name for p in parameters if p.name not in absent)
        ranks = dict.fromkeys((*symbols, *present), 0)
        formula.append((absent, read_table(place, item[1], ranks, most=_most(count))))
    own = {"task": "user", "parameters": parameters, "perfect": None}
    definition = Frozen(tuple((said | own).items()), tuple(formula)).thaw()
    return Loss(definition, tuple(values.items()))


def _optional(parameters: Sequence[Parameter]) -> list[str]:
    names = sorted(p.name for p in parameters if p.domain.none)
    if len(names) > _MOST_OPTIONAL:
        raise ValueError(f"{len(names)} parameters may be None; {_MOST_OPTIONAL} can be kept")
    return names


# --- losses over an axis


def _rows_to_json(loss: Loss) -> dict[str, Any]:
    frozen: RowDefinition = loss.definition.frozen(loss.params)
    declared = {f.name: getattr(frozen, f.name) for f in fields(frozen)}
    said = _ROWS.write(declared | {"links": [link.name for link in frozen.links]})
    assert isinstance(frozen.formula, tuple)
    return {"kind": "rows", **said, "table": write_table(frozen.formula[0][1])}


def _rows_from_json(where: str, value: Mapping[str, Any]) -> Loss:
    rest, (listed, given, table) = s.parted(where, value, "parameters", "values", "table")
    said = _ROWS.read(where, rest)
    parameters, values = _parameters(where, said, listed, given, "t")
    symbols, inputs = said["symbols"], said["inputs"]
    distinct(where, [*symbols, *(p.name for p in parameters)])
    distinct(f"{where}.inputs", [name for name, _ in inputs])
    if len(inputs) != len(symbols):
        raise ValueError(f"{where}.inputs has {len(inputs)} items for {len(symbols)} symbols")
    for i, (_, one) in enumerate(inputs):
        _check_input(f"{where}.inputs[{i}]", one)
    trained = sum(one.trained for _, one in inputs)
    if not trained or len(said["links"]) != trained:
        raise ValueError(f"{where}.links has {len(said['links'])} items for {trained} outputs")
    said |= {
        "task": "user", "parameters": parameters,
        "links": tuple(LINKS[name] for name in said["links"]),
    }  # fmt: skip
    bare = RowDefinition(**said, formula=())
    if bare.has_classes:
        _check_class_parameters(where, parameters)
    # As `RowDefinition.frozen` has it: what decides how a formula is traced names its table, and
    # numbers are put in afterwards.
    decided = tuple((n, v) for n, v in bare.statics(values) if type(v) not in (int, float))
    ranks = {symbol: one.rank for symbol, (_, one) in zip(symbols, inputs, strict=True)}
    for p in bare.formula_parameters:
        if p.name not in dict(decided):
            ranks[p.name] = 2 if isinstance(p.domain, PerElement) else 0
    rows = read_table(f"{where}.table", table, ranks, along_axis=True, most=_most(trained))
    return Loss(RowDefinition(**said, formula=((decided, rows),)), tuple(values.items()))


def _check_input(where: str, one: Input) -> None:
    rank = {"": one.rank, "hard": 2, "soft": 2}.get(one.classes, 1)
    if one.rank != rank or (one.classes and one.trained):
        raise ValueError(f"{where}: {s.shown(one.classes)} goes with rank {rank}, not trained")
    if one.falling and not (one.trained and one.rank == 2):
        raise ValueError(f"{where}: what falls along the axis is trained, of rank 2")


def _check_class_parameters(where: str, parameters: Sequence[Parameter]) -> None:
    known = {p.name: p.domain for p in parameters}
    for name, annotated in (("class_weight", ClassWeight), ("ignore_index", IgnoredIndex)):
        if known.get(name) != annotated.__metadata__[0]:
            raise ValueError(f"{where}.parameters lacks the {name} of every loss of classes")


# --- both


def _most(outputs: int) -> int:
    return min(MOST_NODES, _MOST_DERIVED // outputs)


def _parameters(
    where: str, said: Mapping[str, Any], listed: Any, given: Any, indexed: str
) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
    """Return a loss's parameters and their values."""
    parameters = read_parameters(f"{where}.parameters", listed, said["name"], indexed)
    names = [p.name for p in parameters]
    found = s.members(f"{where}.values", given, names)
    read = read_values(f"{where}.values", found, parameters)
    _check_braces(f"{where}.optimum", said["optimum"], names)
    for i, (text, _) in enumerate(said["same_as"]):
        _check_braces(f"{where}.same_as[{i}]", text, names)
    return parameters, {p.name: p.check(said["name"], read[p.name]) for p in parameters}


def _check_braces(where: str, text: str, names: Sequence[str]) -> None:
    """Raise where `{…}` is no parameter: `str.format` follows attributes, and pads to any width."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    for _, field, form, conversion in parts:
        plain = not conversion and re.fullmatch(r"(\.\d)?[efg]?", form or "")
        if field is not None and not (field in names and plain):
            raise ValueError(f"{where} has braces around {s.shown(field)}, which is no parameter")


def _rehearse(loss: Loss) -> None:
    """Trace, differentiate and print the formula, so that what cannot be used shows now."""
    form = loss.form(raw=True)
    graph = form.graph
    if loss.kind == "rows":
        for node in reachable([graph.value]):
            if node.op in AXIS_PRIMITIVES and node.args[0].rank < 2:
                raise ValueError(f"{node.op} is of a constant, not of what varies along the axis")
        text = form.source(graph.orders)
    else:
        text = numpy_backend.source(graph.name, graph.symbols, graph.select(graph.orders))
    numpy_backend.compiled(text)
