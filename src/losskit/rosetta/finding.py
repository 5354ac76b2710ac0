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
    ranked = _ranked(asked.name, asked.library)
    named = [entry for entry, rank in ranked if rank == min(rank for _, rank in ranked)]
    own = _ours(asked)
    heeds = own is not None and set(asked.parameters) <= set(own.params)
    if heeds and (asked.library is None or not named):
        return None, own(**asked.parameters) if asked.parameters else own
    if not named:
        raise ValueError(_unknown(asked))
    # By its parameters alone a name may be anyone's: huber with alpha is LightGBM's or sklearn's.
    anyones = asked.library is None and asked.parameters
    fitting = [
        entry
        for entry in ([entry for entry, _ in ranked] if anyones else named)
        if not entry.unknown(asked.parameters)
    ]
    if not fitting and all(entry.name.without for entry in named):
        fitting = named
    if not fitting and own is not None and asked.library is None:
        own(**asked.parameters)  # raises: it knows its parameters best
    if not fitting:
        raise ValueError(_unfitting(asked, named))
    chosen = _public(sorted(_variants(fitting, asked), key=lambda one: one[0].title != asked.name))
    if len({repr(loss) for _, loss in chosen}) > 1:
        raise ValueError(_several(asked, chosen))
    entry, loss = chosen[0]
    if loss is None:
        raise ValueError(f"{entry.title}: nothing of ours equals it; {entry.name.without}")
    return entry, loss


def _ranked(name: str, library: Library | None) -> list[tuple[Entry, int]]:
    """Return the entries that a name fits, each with how far it is from their own."""
    wanted = squeezed(name)
    ranked: list[tuple[Entry, int]] = []
    for entry in entries():
        if library is not None and entry.library is not library:
            continue
        ranks = [rank for form, rank in _forms(entry) if form == wanted]
        if ranks:
            ranked.append((entry, min(ranks)))
    return ranked


def _public(chosen: list[tuple[Entry, Any]]) -> list[tuple[Entry, Any]]:
    """Leave out what is private to its library, sklearn._loss.HuberLoss, where others remain."""
    return [one for one in chosen if "._" not in one[0].title] or chosen


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
    """Return our loss of this name."""
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
    return loss


def _unknown(asked: Asked) -> str:
    import losskit

    name, _, last = asked.name.rpartition(" ")
    of_it = {p for entry, _ in _ranked(name, asked.library) for p in entry.parameters}
    if last in of_it:
        return f"{asked.text!r}: {last} needs a value, as in {last}=0.9"
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
