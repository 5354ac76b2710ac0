"""Writes `docs/losses/`: a page for each loss of the registry, and the indexes over them."""

from __future__ import annotations

import shutil
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import figures
import language_page
import loss_page
import metric_page
import numbers_of
import rosetta_page
import samples
from sphinx.application import Sphinx
from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(app: Sphinx, config: Config) -> None:
    """Write every page and figure from the registry."""
    import losskit

    losses = list(map(losskit.get, losskit.names()))
    known = dict.fromkeys([*loss_page.TITLES, *(loss.task for loss in losses)])
    tasks = [task for task in known if any(loss.task == task for loss in losses)]
    losses.sort(key=lambda loss: tasks.index(loss.task))
    folder = Path(app.srcdir) / "losses"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    drawn = set()
    for loss in losses:
        plot = figures.plot_of(loss)
        if plot is not None:
            figures.draw(plot, folder / "figures", loss.name)
            drawn.add(loss.name)
        text = loss_page.page(loss, plot is not None)
        (folder / f"{loss.name}.md").write_text(text, encoding="utf-8")
    (folder / "language.md").write_text(language_page.page(), encoding="utf-8")
    (folder / "metrics.md").write_text(metric_page.page(), encoding="utf-8")
    (folder / "names.md").write_text(rosetta_page.page(), encoding="utf-8")
    pages = {
        "index": _by_task(losses, drawn),
        "by-shape": _by_shape([loss for loss in losses if loss.kind == "pointwise"]),
        "backends": _by_backend(losses),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    config.myst_substitutions["counted"] = (
        f"The catalogue holds {len(losses)} losses for {len(tasks)} kinds of task: "
        "[look at them](losses/index.md), or sort those of one number "
        "[by robustness and smoothness](losses/by-shape.md)."
    )


def _by_task(losses: Sequence[Any], drawn: Container[str]) -> str:
    parts = [
        loss_page.WIDE,
        "# Losses",
        "Each loss (teal) beside its derivative (amber), by task. Other orders: "
        "[by robustness and smoothness](by-shape.md), [by backend](backends.md), "
        "[by what other libraries call them](names.md). "
        "What is read and not trained with: [metrics](metrics.md).",
    ]
    tasks = dict.fromkeys(loss.task for loss in losses)
    for task in tasks:
        heading = loss_page.title_of(task)
        cards = "\n".join(_card(loss, loss.name in drawn) for loss in losses if loss.task == task)
        parts.append(
            f"## {heading}\n\n:::::{{grid}} 1 2 3 4\n:gutter: 3\n"
            f":class-container: gallery\n\n{cards}\n:::::"
        )
    parts.append(_contents("Overviews", ["by-shape", "backends", "names", "language", "metrics"]))
    for task in tasks:
        heading = loss_page.title_of(task)
        parts.append(_contents(heading, [loss.name for loss in losses if loss.task == task]))
    return "\n\n".join(parts) + "\n"


def _contents(caption: str, names: Sequence[str]) -> str:
    listed = "\n".join(names)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```"


def _card(loss: Any, drawn: bool) -> str:
    images = "\n".join(loss_page.figure(loss.name, loss.name, small=True)) if drawn else ""
    return (
        f"::::{{grid-item-card}} {loss.name}\n:link: {loss.name}\n:link-type: doc\n\n{images}\n\n"
        f"{loss.summary}\n::::"
    )


def _by_shape(losses: Sequence[Any]) -> str:
    parts = [
        loss_page.WIDE,
        "# By robustness and smoothness",
        "How hard can one point pull, and how easy is the loss to minimise? Numbers are for the "
        "default parameters, by the raw score.",
    ]
    for heading, sentence, belongs in numbers_of.PULLS:
        rows = [_shape_row(loss) for loss in losses if belongs(loss)]
        if rows:
            parts.append(f"## {heading}\n\n{sentence}\n\n" + _table(numbers_of.COLUMNS, rows))
    parts.append(
        "## By smoothness\n\n"
        + _table(
            ("smoothness", "losses"),
            [
                (
                    word,
                    ", ".join(
                        _link(loss) for loss in losses if numbers_of.smoothness(loss) == word
                    ),
                )
                for word in numbers_of.SMOOTHNESS
            ],
            matrix=False,
        )
    )
    return "\n\n".join(parts) + "\n"


def _shape_row(loss: Any) -> tuple[str, ...]:
    return (_link(loss), loss_page.title_of(loss.task), *numbers_of.cells(loss))


def _by_backend(losses: Sequence[Any]) -> str:
    from losskit.backends import SOURCE, TO

    backends = (*TO, *(name for name in SOURCE if name not in TO))
    rows = []
    reasons: dict[str, list[str]] = {}
    for loss in losses:
        cells = []
        for backend in backends:
            reason = _missing(loss, backend)
            cells.append(_mark(not reason))
            if reason:
                general = reason.replace(loss.name, "the loss")
                reasons.setdefault(general, []).append(_link(loss))
        derivatives = _derivatives(loss)
        rows.append((_link(loss), *cells, derivatives))
    notes = "\n".join(
        f"- {reason}: {'every loss' if len(lacking) == len(losses) else ', '.join(lacking)}"
        for reason, lacking in reasons.items()
    )
    return (
        f"{loss_page.WIDE}\n\n# By backend\n\n"
        "What each loss can be turned into, tried while this page was built: "
        '<span class="yes">✓</span> means that `loss.source(backend)` or `loss.to(backend)` gives '
        "it. The last column counts the derivatives that exist.\n\n"
        + _table(("loss", *backends, "derivatives"), rows)
        + (f"\n\n{notes}" if notes else "")
        + "\n"
    )


def _derivatives(loss: Any) -> str:
    if loss.kind == "pointwise":
        return "none" if numbers_of.value_only(loss) else "2"
    found = samples.derivatives(loss)
    return str(len({"gradient", "hessian"} & {*found})) if found else "none"


def _missing(loss: Any, backend: str) -> str:
    """Why `backend` does not have `loss`; empty if it has."""
    from losskit import Unsupported

    if backend == "numba" and loss.kind == "rows" and not loss.definition.kernel:
        return "no compiled kernel yet: NumPy runs it, in blocks of rows"
    reason = ""
    for way in (loss.source, loss.to):
        try:
            way(backend)
        except Unsupported as error:
            reason = str(error)
        else:
            return ""
    return reason


def _mark(there: bool) -> str:
    return '<span class="yes">✓</span>' if there else '<span class="no">–</span>'


def _link(loss: Any) -> str:
    return f"[{loss.name}]({loss.name}.md)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], matrix: bool = True) -> str:
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return ("{.matrix}\n" if matrix else "") + text
