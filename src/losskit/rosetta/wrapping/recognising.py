"""Which loss an object of another library is, read from the object without importing anything."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from losskit.rosetta.differences import equation
from losskit.rosetta.listing import Entry, entries


@dataclass(frozen=True)
class Recognised:
    """An object's name in the table, what it was made with, and what of ours it is."""

    theirs: Any
    entry: Entry
    settings: Mapping[str, Any]  # everything that it was made with
    loss: Any  # None where nothing of ours equals it
    reasons: tuple[str, ...]  # why its numbers are not those of ours

    @property
    def title(self) -> str:
        """Its name, as people write it."""
        return self.entry.title

    @property
    def raw(self) -> bool:
        """Whether it takes raw scores."""
        return bool(self.settings.get(self.entry.name.raw_if, self.entry.raw))

    @property
    def whole(self) -> bool:
        """Whether it is a function of values, and not an object that reduces them."""
        return inspect.isroutine(bare(self.theirs))


def recognised(theirs: Any) -> Recognised:
    """Return what an object is; raise TypeError where it is none that is known."""
    if isinstance(theirs, type):
        raise TypeError(f"give a loss rather than its class: losskit.wrap({theirs.__name__}(…))")
    thing = bare(theirs)
    named = thing if hasattr(thing, "__name__") else type(thing)
    package, name = str(named.__module__).partition(".")[0], named.__name__
    known = [
        entry
        for entry in entries()
        if entry.library.name == package and any(_last(s) == name for s in entry.spellings)
    ]
    if not known:
        raise TypeError(
            f"{named.__module__}.{name} is no loss that losskit.wrap knows; it knows those of "
            "torch, keras, sklearn and optax that losskit.rosetta.table() lists. "
            "losskit.conformance compares any function with a loss"
        )
    settings = _settings(theirs, thing, package)
    entry, loss, reasons = _variant(known, settings)
    return Recognised(theirs, entry, settings, loss, tuple(reasons))


def _last(spelling: str) -> str:
    return spelling.partition(" ")[0].rpartition(".")[2]


def bare(theirs: Any) -> Any:
    """Return the function within partials."""
    while isinstance(theirs, functools.partial):
        theirs = theirs.func
    return theirs


def _variant(known: list[Entry], settings: Mapping[str, Any]) -> tuple[Entry, Any, list[str]]:
    """Return the entry whose constants hold, the loss of ours, and why that is not the same."""
    refused: list[str] = []
    for entry in known:
        given = _given(entry, settings)
        if entry.name.without:
            return entry, None, [f"nothing of ours equals it; {entry.name.without}"]
        if not entry.allows(given):
            try:
                return entry, entry.read(given), []
            except (ValueError, TypeError) as error:
                refused.append(str(error))
    if refused:
        return known[0], None, refused[:1]
    wanted = known[0].allows(_given(known[0], settings))
    own = known[0].read({})
    return known[0], own, [f"ours equals it only at {constant}" for constant in wanted]


def _given(entry: Entry, settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {*entry.parameters, *entry.call.constants}
    return {n: plain(v) for n, v in settings.items() if n in names and v is not None}


def unheeded(found: Recognised, handled: Iterable[str]) -> list[str]:
    """Return what was set, is not `handled`, and has no part in ours."""
    thing = bare(found.theirs)
    made = thing if hasattr(thing, "__name__") else type(thing)
    usual = {n: p.default for n, p in inspect.signature(made).parameters.items()}
    given = {
        n: plain(v)
        for n, v in found.settings.items()
        if n in usual and n not in handled and plain(v) != plain(usual[n])
    }
    return [f"{n}={v!r} is not of ours" for n, v in found.entry.unheeded(given).items()]


def scales(entry: Entry) -> list[str]:
    """Return why a result that can neither be scaled nor shifted would differ."""
    name = entry.name
    found = [equation(name.factor, name.shift)] if name.factor != 1 or name.shift else []
    return found + ["values differ by a constant of the target"] * name.target_only


def clips(found: Recognised) -> list[str]:
    """Return why predictions near the ends of their range would differ."""
    name = found.entry.name
    return [name.clip] if name.clip and not found.raw else []


def plain(value: Any) -> Any:
    """Return a tensor's numbers: one as it is, several as a tuple."""
    if not hasattr(value, "tolist"):
        return value
    numbers = value.tolist()
    if not isinstance(numbers, list):
        return numbers
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _settings(theirs: Any, thing: Any, package: str) -> dict[str, Any]:
    """Return what an object was made with, or a function's keywords and defaults."""
    if not hasattr(thing, "__name__"):
        if hasattr(thing, "get_config"):
            return {**thing.get_config(), **getattr(thing, "_fn_kwargs", {})}
        inner = getattr(thing, "closs", None)  # scikit-learn's, whose numbers are in its kernel
        names = [n for n in inspect.signature(type(thing)).parameters if n != "self"]
        held = {n: getattr(thing, n, getattr(inner, n, None)) for n in names}
        return {n: v for n, v in held.items() if v is not None}
    usual = {
        n: p.default
        for n, p in inspect.signature(thing).parameters.items()
        if p.default is not p.empty
    }
    while isinstance(theirs, functools.partial):
        if theirs.args:
            raise TypeError(f"{package}.{thing.__name__}: give a partial its parameters by name")
        usual = {**usual, **theirs.keywords}
        theirs = theirs.func
    return usual
