"""The `silent-failures` directive: the table that `tests/test_silent_failures.py` runs."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from silent.rows import PLACES, ROWS, Row

_DIGITS = 5


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("silent-failures", SilentFailures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class SilentFailures(Directive):
    """`{silent-failures}` shows all rows, by library."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Return a table for each library."""
        text = StringList("\n".join(page()).splitlines(), source=__file__)
        holder = nodes.Element()
        self.state.nested_parse(text, self.content_offset, holder, match_titles=True)
        return list(holder.children)


def page() -> Iterator[str]:
    """Yield the MyST text of the tables."""
    for place, (title, packages) in PLACES.items():
        rows = [row for row in ROWS if row.by == place]
        if not rows:
            continue
        versions = ", ".join(f"{p} {_version(p)}" for p in packages)
        yield f"\n**{title}**" + (f" ({versions})" if versions else "") + "\n"
        yield "| call | gives | losskit gives | because |"
        yield "|---|---|---|---|"
        yield from map(_line, rows)


def _line(row: Row) -> str:
    name = re.match(r"\w+", row.ours)
    assert name is not None
    ours = f"`{row.ours}`"
    if (Path(__file__).parents[1] / "losses" / f"{name[0]}.md").exists():
        ours = f"[{ours}](../losses/{name[0]}.md)"
    gives = f"an error: “{row.right}”" if isinstance(row.right, str) else _shown(row.right)
    words = re.match(r"[\w()=.]+", row.what)
    assert words is not None
    what = f"`{words[0]}`{row.what[words.end() :]}" if "_" in words[0] else row.what
    data = ", ".join(f"{key} = {_text(value)}" for key, value in row.data.items())
    given = f"{_short(data)}, {row.dtype}"
    cells = (f"{what}<br>{given}", _shown(row.does), f"{ours}<br>{gives}", row.why)
    return f"| {' | '.join(cells)} |"


def _shown(numbers: Any) -> str:
    return ", ".join(f"{what} {_text(value)}" for what, value in numbers.items())


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inside = [_text(one) for one in value]
        return inside[0] if len(inside) == 1 else f"[{', '.join(inside)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:.{_DIGITS}g}".replace("-", "−")


def _short(data: str) -> str:
    return data if len(data) < 60 else f"{data[:24]}…"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed here"
