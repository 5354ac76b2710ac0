"""Progress on the terminal: a line on stderr that comes after a second and leaves no trace."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from losskit.fit.fitting import Progress as FitProgress

_PATIENCE = 1.0  # seconds before which nothing is shown
_WIDE = 120  # columns of a terminal that has room for a bar


class Progress:
    """A bar on the terminal's stderr, from the second second on; nothing elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._state: dict[str, Any] = {"what": "reading", "text": ""}
        self._lock = threading.Lock()
        self._timer = threading.Timer(_PATIENCE, self._start)
        self._timer.daemon = True

    def __enter__(self) -> Progress:
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:  # a bar that is just starting starts first
            if self._bar is not None:
                self._bar.stop()
            self._timer.finished.set()

    def rows(self, done: int, total: int | None) -> None:
        """Tell how many rows have been read, of how many (None where unknown)."""
        self._show(what="reading", completed=done, total=total, text=f"{done:,} rows read")

    def fit(self, step: FitProgress) -> None:
        """Tell where a fit is on its path, and how far it has come there."""
        last, place = step.step, step.index + 1
        said = [f"λ {place}/{step.count}"] if step.count > 1 else [f"iteration {last.iteration}"]
        said += [
            f"objective {last.objective:.5g}", f"gap {last.certificate:.1e}",
            f"{last.nonzeros} non-zero", f"{_short(step.rows_per_second)} rows/s",
        ]  # fmt: skip
        if step.index:  # the first may still be reading or compiling
            said.append(f"{_time(step.seconds / step.index * (step.count - step.index))} left")
        total = step.count if step.count > 1 else None
        self._show(what="fitting", completed=step.index, total=total, text=", ".join(said))

    def _show(self, **state: Any) -> None:
        self._state = state
        if self._bar is not None:
            self._bar.update(self._task, **state)

    def _start(self) -> None:
        from rich import progress
        from rich.console import Console

        with self._lock:
            if self._timer.finished.is_set():
                return
            console = Console(stderr=True)
            columns: list[progress.ProgressColumn]
            columns = [progress.TextColumn("{task.fields[text]}", markup=False)]
            if console.width >= _WIDE:
                what = progress.TextColumn("{task.fields[what]}")
                columns = [what, progress.TimeElapsedColumn(), progress.BarColumn(20), *columns]
            bar = progress.Progress(*columns, console=console, transient=True)
            self._task = bar.add_task("", **{"completed": 0, "total": None, **self._state})
            bar.start()
            self._bar = bar


def _short(number: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.0f}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
