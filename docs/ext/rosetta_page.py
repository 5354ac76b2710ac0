"""The page of names: our losses by library, then each library's names, written from the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def page() -> str:
    """Return the MyST text of the page of names."""
    from losskit.rosetta import table

    rows = table()
    tested = "every cell of the libraries that are not marked is compared with the installed one"
    return "\n\n".join(
        [
            "---\nhtml_theme.sidebar_secondary.remove: true\n---",
            "# What others call them",
            "Every name is a loss of ours at some factor: ours = factor · theirs, which stands "
            "before the name where it is not 1; c(y) is a term of the target alone, which moves no "
            f"derivative. In the tests {tested}. "
            "[The guide](../guide/names.md) shows how to ask for one of them.",
            _matrix(rows),
            *(_library(name, rows) for name in dict.fromkeys(row.library for row in rows)),
        ]
    )


def _matrix(rows: Sequence[Any]) -> str:
    libraries = list(dict.fromkeys(row.library for row in rows))
    found = {row.loss for row in rows if row.loss}
    import losskit

    lines = [f"| loss | {' | '.join(libraries)} |", "|---" * (len(libraries) + 1) + "|"]
    for loss in (name for name in losskit.names() if name in found):
        cells = [
            "<br>".join(
                dict.fromkeys(_named(r) for r in rows if (r.library, r.loss) == (library, loss))
            )
            for library in libraries
        ]
        lines.append(f"| [`{loss}`]({loss}.md) | {' | '.join(cells)} |")
    return "{.matrix}\n" + "\n".join(lines)


def _named(row: Any) -> str:
    """Return the last piece of a name, with what it is multiplied by."""
    from losskit.rosetta.differences import equation

    relation = equation(row.factor, row.shift, row.target_only).removeprefix("ours = ")
    relation = relation.replace("a term of the target", "c(y)")
    short = f"`{row.title.rpartition('.')[2]}`"
    return short if relation == "theirs" else relation.replace("theirs", short)


def _library(name: str, rows: Sequence[Any]) -> str:
    own = [row for row in rows if row.library == name]
    first = own[0]
    untested = "" if first.tested else " Not installed where this was tested."
    order = f" Takes {first.order}." if first.order else ""
    axis = f" The class axis is {first.class_axis}." if first.class_axis != "last" else ""
    lines = ["| name | ours | parameters | labels | mean over | differs |", "|---" * 6 + "|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in own]
    return f"## {name}\n\n{(order + axis + untested).strip()}\n\n{{.matrix}}\n" + "\n".join(lines)


def _cells(row: Any) -> Iterator[str]:
    yield f"`{row.title}`" + (f" ({', '.join(row.also)})" if row.also else "")
    yield f"[`{row.loss}`]({row.loss}.md)" if row.loss else "none"
    said = [f"{t} = {_value(row.defaults[t])}" for t in row.parameters if t in row.defaults]
    said += [t for t in row.parameters if t not in row.defaults]
    yield ", ".join(f"`{one}`" for one in said)
    yield " or ".join(row.labels)
    yield row.weighted if row.loss else ""
    yield "; ".join(text.replace("|", "\\|") for text in row.differences)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
