"""What a conformance run found: one row a check, as a table, a dictionary or HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from typing import Any, Literal

STATUSES = ("pass", "fail", "error", "not applicable")


@dataclass(frozen=True)
class Row:
    """One check: its name, how it ended, and the numbers where the two differ most.

    `given` and `expected` are texts where no number was given or needed; `at` is the index of the
    numbers in the result; `why` tells what the check is for, or why it does not apply.
    """

    check: str
    status: str
    given: float | str
    expected: float | str
    difference: float | None
    at: tuple[int, ...]
    why: str


@dataclass(frozen=True, repr=False)
class Conformance:
    """How an implementation did in every check of `losskit.conformance`; print it to read it."""

    name: str
    like: str
    framework: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether some check applies, and every one that does is passed."""
        return not self.failed and any(row.status == "pass" for row in self.rows)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that it failed or stopped with an error."""
        return tuple(row.check for row in self.rows if row.status in ("fail", "error"))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, numbers that are not finite as text."""
        rows = [{k: _plain(v) for k, v in asdict(row).items()} for row in self.rows]
        head = {"name": self.name, "like": self.like, "framework": self.framework}
        return {**head, "passed": self.passed, "rows": rows}

    def __repr__(self) -> str:
        return f"<Conformance {self._summary()}>"

    def __str__(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        side: Literal["left", "right"]
        for name in _COLUMNS:
            side = "left" if name in ("check", "status") else "right"
            table.add_column(name, no_wrap=True, justify=side, max_width=_WIDEST)
        for row in self.rows:
            table.add_row(*map(Text, _cells(row)))
        text = StringIO()
        Console(file=text, width=5 * _WIDEST, color_system=None, legacy_windows=False).print(table)
        drawn = (line.rstrip() for line in text.getvalue().splitlines())
        return "\n".join([self._summary(), *drawn, *self._reasons()]).rstrip()

    def _repr_html_(self) -> str:
        def line(cells: Iterable[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(line((*_cells(row), row.why), "td") for row in self.rows)
        head = line((*_COLUMNS, "why"), "th")
        caption = f"<caption>{escape(self._summary())}</caption>"
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def _summary(self) -> str:
        counts = [sum(row.status == status for row in self.rows) for status in STATUSES]
        told = ", ".join(f"{n} {s}" for n, s in zip(counts, STATUSES, strict=True) if n)
        return f"{self.name} ({self.framework}) like {self.like}: {told}"

    def _reasons(self) -> list[str]:
        return [
            f"{row.check}: {row.why}" + (f" ({row.given})" if row.status == "error" else "")
            for row in self.rows
            if row.check in self.failed
        ]


_COLUMNS = ("check", "status", "given", "expected", "difference")
_WIDEST = 44


def _cells(row: Row) -> tuple[str, ...]:
    difference = "" if row.difference is None else f"{row.difference:.2g}"
    return row.check, row.status, _cell(row.given), _cell(row.expected), difference


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.7g}"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
