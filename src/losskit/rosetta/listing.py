"""All names as entries: each library's facts joined with what losses say by `same_as`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from losskit.rosetta.facts import TITLES, Call, Library, Name, parse
from losskit.rosetta.libraries import LIBRARIES


@dataclass(frozen=True, eq=False)
class Entry:
    """One name of a library, complete: what it equals, how it is written and how it is read."""

    library: Library
    name: Name
    call: Call

    @property
    def key(self) -> str:
        """What tells it from other names: path, and the objective where a trainer has several."""
        return self.call.key

    @property
    def factor(self) -> Any:
        """Ours = factor · theirs + `name.shift`."""
        return self.name.factor

    @property
    def raw(self) -> bool:
        """Whether its predictions are raw scores, at its defaults."""
        if self.name.raw_if:
            return bool(self.name.defaults[self.name.raw_if])
        return self.library.raw if self.name.raw is None else self.name.raw

    @property
    def weighted(self) -> str:
        """What the library divides its weighted mean by."""
        return self.name.weighted or self.library.weighted

    @property
    def start(self) -> str:
        """Where its training starts, if it is a booster's."""
        return self.name.start or self.library.start

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """Our parameter by theirs."""
        return {**self.call.parameters, **self.name.more}

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every way to name it: paths, or what stands for the objective."""
        said = self.call.title
        if self.library.objective:
            return (said, *self.name.also)
        paths = (self.call.path, *self.name.also)
        return tuple(f"{path} {said}".strip() for path in paths)

    @property
    def path(self) -> str:
        """The path that people write: a class where there is one."""
        return self.name.also[0] if self.library.classes and self.name.also else self.call.path

    @property
    def title(self) -> str:
        """The name alone, as people write it."""
        title = self.call.title
        if self.library.objective:
            return title
        return f"{self.path} {title}".strip()

    def allows(self, given: Mapping[str, Any]) -> list[str]:
        """Return the constants that `given` and the defaults contradict, as "p=1"."""
        values = {**self.name.defaults, **given}
        return [
            f"{name}={value!r}"
            for name, value in self.call.constants.items()
            if name in values and values[name] != value
        ]

    def unknown(self, given: Mapping[str, Any]) -> list[str]:
        """Return the parameters among `given` that this name does not have."""
        own = {*self.parameters, *self.name.defaults, *self.call.constants}
        return [name for name in given if name not in own | {*self.library.options}]

    def unheeded(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was `given`, is not at its default and has no part in ours."""
        heeded = {*self.parameters, *self.call.constants, self.name.raw_if, *self.name.idle}
        defaults = self.name.defaults
        return {
            name: value
            for name, value in given.items()
            if name not in heeded and value != defaults.get(name)
        }

    def read(self, given: Mapping[str, Any]) -> Any:
        """Return the loss of ours for their parameters; those not given are at their defaults."""
        import losskit

        values = {**self.name.defaults, **given}
        ours = dict(self.name.ours)
        for theirs, name in self.parameters.items():
            if values.get(theirs) is not None:
                ours[name] = values[theirs]
        return losskit.get(self.name.loss, **ours)

    def serves(self, loss: Any) -> bool:
        """Whether this name has a loss at its parameters."""
        if loss.name != self.name.loss:
            return False
        own = {**loss.params, **self.name.ours}
        named = {*self.parameters.values(), *self.name.ours}
        changed = {p.name for p in loss.definition.parameters if loss.params[p.name] != p.default}
        missing = {
            name for theirs, name in self.call.parameters.items()
            if loss.params[name] is None and self.name.defaults.get(theirs, name) is not None
        }  # fmt: skip
        return changed <= named and own == loss.params and not missing

    def write(self, loss: Any, given: Mapping[str, Any] | None = None) -> str:
        """Return their text that equals a loss of ours, or the text with what was `given`."""
        asked, defaults, given = given is not None, self.name.defaults, dict(given or {})
        said = {
            name: given.get(name, value)
            for name, value in self.call.constants.items()
            if name in TITLES
            or (
                (name in given or not asked)
                and given.get(name, value) != defaults.get(name, _MISSING)
            )
        }
        usual = {
            p.name: p.default for p in getattr(loss, "members", (loss,))[0].definition.parameters
        }
        for theirs, ours in self.parameters.items():
            value, default = loss.params[ours], defaults.get(theirs, _MISSING)
            optional = default is None or (theirs in self.name.more and default is _MISSING)
            if value != usual[ours] or not (optional or value == default):
                said[theirs] = value
        said |= {name: value for name, value in given.items() if name not in self.parameters}
        if self.library.inside:
            said = _inside(said, self.library.objective)
        listed = ", ".join(f"{name}={value!r}" for name, value in said.items())
        if self.library.objective:
            return listed
        return f"{self.path}({listed})" if listed else self.path


_MISSING = object()


def _inside(said: dict[str, Any], objective: str) -> dict[str, Any]:
    """Put parameters into the objective's text: loss_function='Huber:delta=2.0'."""
    apart = {objective, "scale_pos_weight"}
    options = ";".join(f"{name}={value!r}" for name, value in said.items() if name not in apart)
    title = f"{said[objective]}:{options}" if options else said[objective]
    return {objective: title, **{n: v for n, v in said.items() if n in apart - {objective}}}


def entries() -> tuple[Entry, ...]:
    """Return every name of every library, those that only `same_as` knows too."""
    import losskit

    # Users register losses too, which may replace others.
    return _entries(tuple(losskit.get(name).definition for name in losskit.names()))


@lru_cache(maxsize=2)
def _entries(definitions: tuple[Any, ...]) -> tuple[Entry, ...]:
    found: list[Entry] = []
    known = dict(_said_by_losses(definitions))
    for library in LIBRARIES:
        own = _sharing_defaults([_completed(library, name, known) for name in library.names])
        keys = {entry.key for entry in own}
        rest = [
            Entry(library, name, call)
            for key, (name, call) in known.items()
            if _library_of(key) == library.name and key not in keys
        ]
        found += [*own, *rest]
    return tuple(found)


def library_named(name: str) -> Library | None:
    """Return the library of this name or alias, in any case."""
    wanted = name.lower()
    for library in LIBRARIES:
        if wanted in (library.name.lower(), library.title.lower(), *library.aliases):
            return library
    return None


def _completed(library: Library, name: Name, known: Mapping[str, tuple[Name, Call]]) -> Entry:
    call = parse(name.text)
    if name.loss or name.without:
        return Entry(library, name, call)
    if name.text not in known:
        raise ValueError(f"{name.text}: no loss says by same_as that it equals this; name one")
    said, call = known[name.text]
    return Entry(library, replace(name, text=said.text, loss=said.loss, factor=said.factor), call)


def _sharing_defaults(made: list[Entry]) -> list[Entry]:
    """Return the entries, each with all that is said of its path's defaults."""
    defaults: dict[str, dict[str, Any]] = {}
    for entry in made:
        if not entry.library.objective:
            defaults.setdefault(entry.key, {}).update(entry.name.defaults)
    return [
        replace(e, name=replace(e.name, defaults={**e.name.defaults, **defaults.get(e.key, {})}))
        for e in made
    ]


def _said_by_losses(definitions: Iterable[Any]) -> Iterator[tuple[str, tuple[Name, Call]]]:
    libraries = {library.name for library in LIBRARIES}
    for definition in definitions:
        for text, factor in definition.same_as:
            if _library_of(text) in libraries:
                call = parse(text)
                yield call.key, (Name(text, definition.name, factor), call)


def _library_of(text: str) -> str:
    return text.partition(" ")[0].partition(".")[0].partition("(")[0]
