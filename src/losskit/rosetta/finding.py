"""Which entry, or which loss of ours, a name means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from losskit.backends import suggest
from losskit.rosetta.facts import Library
from losskit.rosetta.listing import Entry, entries
from losskit.rosetta.reading import Asked, squeezed


def found(asked: Asked) -> tuple[Entry | None, Any]:
    """Return the entry that was asked for and the loss of ours; no entry where ours was named.

    Raises ValueError where the name is unknown, means several losses or has no loss of ours.
    """
    named = _candidates(asked.name, asked.library)
    own = _ours(asked)
    if own is not None and (asked.library is None or not named):
        return None, own
    if not named:
        raise ValueError(_unknown(asked))
    fitting = [e for e in named if not e.unknown(asked.parameters)]
    if not fitting:
        raise ValueError(_unfitting(asked, named))
    chosen = sorted(_variants(fitting, asked), key=lambda one: one[0].title != asked.name)
    if len({repr(loss) for _, loss in chosen}) > 1:
        raise ValueError(_several(asked, chosen))
    entry, loss = chosen[0]
    if loss is None:
        raise ValueError(f"{entry.title}: nothing of ours equals it; {entry.name.without}")
    return entry, loss


def _candidates(name: str, library: Library | None) -> list[Entry]:
    """Return the entries that a name fits best."""
    wanted = squeezed(name)
    ranked: list[tuple[int, Entry]] = []
    for entry in entries():
        if library is not None and entry.library is not library:
            continue
        ranks = [rank for form, rank in _forms(entry) if form == wanted]
        if ranks:
            ranked.append((min(ranks), entry))
    best = min((rank for rank, _ in ranked), default=0)
    return [entry for rank, entry in ranked if rank == best]


def _forms(entry: Entry) -> Iterator[tuple[str, int]]:
    """Yield what a name may be written as, squeezed, with how far that is from the name itself."""
    trained = (*entry.spellings, *[entry.key] * bool(entry.library.objective))
    for spelling in trained:
        path, _, title = spelling.partition(" ")
        pieces = path.replace(":", ".").split(".")
        for start in range(len(pieces)):
            form = squeezed("".join(pieces[start:]) + title)
            yield form, 0
            yield form.removesuffix("loss"), 1
        if title:
            yield squeezed(title), 1
    if entry.call.title:
        yield squeezed(entry.call.path.rpartition(".")[2]), 2


def _variants(named: list[Entry], asked: Asked) -> Iterator[tuple[Entry, Any]]:
    """Yield, for each name, the first variant whose constants hold, with the loss of ours."""
    for key in dict.fromkeys(entry.key for entry in named):
        variants = [entry for entry in named if entry.key == key]
        holding = [entry for entry in variants if not entry.allows(asked.parameters)] or variants
        problem: ValueError | None = None
        for entry in holding:
            if entry.name.without:
                yield entry, None
                break
            try:
                yield entry, entry.read(asked.parameters)
                break
            except (ValueError, TypeError) as error:
                problem = problem or ValueError(f"{entry.title}: {error}")
        else:
            assert problem is not None
            raise problem


def _ours(asked: Asked) -> Any:
    """Return our loss of this name, if it has these parameters."""
    import losskit
    from losskit.by_rank import BY_RANK
    from losskit.definition import REGISTRY

    losskit.names()  # fills the registry
    known = {squeezed(name): name for name in [*BY_RANK, *REGISTRY.spellings()]}
    if squeezed(asked.name) not in known:
        return None
    loss = losskit.get(known[squeezed(asked.name)])
    if asked.name in BY_RANK or hasattr(loss, "of_rank"):
        loss = loss.of_rank(1)
    if not set(asked.parameters) <= set(loss.params):
        return None
    return loss(**asked.parameters) if asked.parameters else loss


def _unknown(asked: Asked) -> str:
    import losskit

    named = [entry for entry in entries() if asked.library in (None, entry.library)]
    known = {squeezed(n): n for n in losskit.names()} if asked.library is None else {}
    for entry in named:
        for spelling in entry.spellings:
            known.setdefault(squeezed(spelling.rpartition(".")[2]), spelling)
    near = suggest(squeezed(asked.name), known)
    for form, name in known.items():
        near = near.replace(repr(form), repr(name))
    where = f"{asked.library.title} has" if asked.library else "there is"
    return f"{where} no loss {asked.name!r} that we know{near}; `losskit list` shows ours"


def _unfitting(asked: Asked, named: list[Entry]) -> str:
    entry = named[0]
    name = entry.unknown(asked.parameters)[0]
    own = sorted({*entry.parameters, *entry.name.defaults})
    said = f"it has {', '.join(own)}" if own else "it has none"
    return f"{entry.title} has no parameter {name!r}{suggest(name, own)}; {said}"


def _several(asked: Asked, chosen: list[tuple[Entry, Any]]) -> str:
    listed = [
        f"{entry.library.title}'s {entry.title} is {loss or 'none of ours'}"
        for entry, loss in chosen
    ]
    return f"{asked.text!r} means several: {'; '.join(listed)}; say which"
