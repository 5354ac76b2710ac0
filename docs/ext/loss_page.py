"""The page of one loss, written from what the loss says of itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import row_page
from numbers_of import badge, numbers_of, shape_words

# Titles of the parts of the catalogue, in its order; what has none is called by its name.
from losskit.cli.list import TITLES

# Front matter that gives a page the room of the contents at its right.
WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---"
TOO_LONG_FOR_A_LINE = 190  # from which on the meaning of letters stands below
TOO_LONG_TO_READ = 600  # characters of LaTeX; what is longer is folded away
TOO_LONG_TO_SHOW = 2400
SAMPLES = {
    "regression": ("[3.0, -0.5, 2.0, 7.0]", "[2.5, 0.0, 2.0, 8.0]"),
    "counts": ("[2.0, 1.0, 5.0]", "[2.5, 1.0, 3.0]"),
    "probability": ("[1.0, 0.0, 1.0, 0.0]", "[0.9, 0.05, 0.1, 0.6]"),
    "margin": ("[1.0, -1.0, 1.0]", "[2.0, 0.5, -0.3]"),
    "mean and sd": ("[3.0, -0.5]", "[[2.5, 1.0], [0.5, 2.0]]"),
}


def page(loss: Any, drawn: bool) -> str:
    """Return the MyST text of the page of `loss`, whose figure may be `drawn`."""
    return "\n\n".join(part for part in _parts(loss, drawn) if part) + "\n"


def title_of(task: str) -> str:
    """Return the title of a part of the catalogue."""
    return TITLES.get(task, task.capitalize())


def _parts(loss: Any, drawn: bool) -> Iterator[str]:
    name = loss.name
    yield WIDE
    yield f"# {name}"
    yield f":::{{div}} loss-sentence\n{loss.summary}\n:::"
    yield tags(loss)
    if drawn:
        yield from figure(name, f"{name} beside its derivative")
    for paragraph in loss.doc.split("\n\n")[1:]:
        code = paragraph.startswith(">>>")
        yield f"```pycon\n{paragraph}\n```" if code else paragraph
    if loss.kind != "written":
        yield "## Formula"
        yield from _formulas(loss)
    yield "## Facts"
    yield _facts(loss)
    if loss.kind == "pointwise":
        yield "## Numbers"
        yield numbers_table(loss)
    yield "## Use"
    yield f"```pycon\n{session(use(loss) if loss.kind == 'pointwise' else row_page.use(loss))}\n```"
    yield _signature(loss)
    if loss.same_as:
        yield "## In other libraries"
        yield _same_as(loss)
    if loss.kind != "written":
        yield "## Generated text"
        yield _sources(loss)
    if loss.cite:
        yield "## Reference"
        yield loss.cite


def tags(loss: Any) -> str:
    """Return the loss's properties in a few words each."""
    words = [title_of(loss.task)]
    if loss.kind == "pointwise":
        words += shape_words(loss)
    else:
        words.append("an algorithm" if loss.kind == "written" else "a formula")
    spans = "".join(f'<span class="tag">{word}</span>' for word in words)
    return f'```{{raw}} html\n<p class="loss-tags">{spans}</p>\n```'


def figure(stem: str, alt: str, small: bool = False) -> Iterator[str]:
    """Yield the two images of which a page shows the one for its theme."""
    for theme in ("light", "dark"):
        file = f"{stem}-small-{theme}.svg" if small else f"{stem}-{theme}.svg"
        yield (f"```{{image}} figures/{file}\n:alt: {alt}\n:class: only-{theme} loss-figure\n```")


def _formulas(loss: Any) -> Iterator[str]:
    yield _notation(loss)
    if loss.kind == "pointwise":
        yield from _formula(loss, 0, "Loss")
    elif row_page.lacks_terms(loss):
        yield from _formula(loss, 0, "Loss")
        yield from _formula(row_page.general(loss), 0, "With all of its terms")
    else:
        yield from _formula(row_page.general(loss), 0, "Loss")
    for order, title in ((1, "Gradient"), (2, "Curvature")):
        yield from _formula(loss, order, title)


def _notation(loss: Any) -> str:
    if loss.kind == "rows":
        return row_page.notation(loss)
    if len(loss.outputs) > 1:
        return f"Written on the raw scale of {' and '.join(f'`{o}`' for o in loss.outputs)}."
    score = "the score" if loss.task == "binary" else "the prediction"
    meaning = {"log": "the logarithm of the predicted mean", "logit": "the predicted log-odds"}
    return f"Written on the raw scale: $f$ is {meaning.get(loss.link.name, score)}."


def _formula(loss: Any, order: int, title: str) -> Iterator[str]:
    from losskit import Unsupported

    try:
        latex = loss.latex(order)
    except Unsupported as reason:
        yield f"**{title}**: {reason}."
        return
    shown, apart, legend = latex.partition(r" \quad ")
    if apart and loss.kind == "rows" and len(latex) > TOO_LONG_FOR_A_LINE:
        latex = rf"\begin{{gathered}} {shown} \\ {legend} \end{{gathered}}"
    formula = f"$$\n{latex}\n$$"
    if len(latex) > TOO_LONG_TO_SHOW:
        yield f"**{title}**: too long to be read; `losskit.{loss.name}.latex({order})` prints it."
    elif len(latex) > TOO_LONG_TO_READ:
        yield f":::{{dropdown}} {title}, which is long\n{formula}\n:::"
    else:
        yield f"**{title}**"
        yield formula


def _facts(loss: Any) -> str:
    rows = [("estimates", loss.elicits)] if loss.elicits else []
    if loss.kind == "pointwise":
        rows += [
            ("targets", f"{loss.target_domain}"),
            ("predictions", _by_output(loss, loss.form(raw=False).predictions)),
            ("link", _by_output(loss, loss.definition.links)),
        ]
    else:
        rows += row_page.facts(loss)
    if loss.aliases:
        rows.append(("also called", ", ".join(f"`{alias}`" for alias in loss.aliases)))
    for parameter in loss.definition.parameters:
        values = row_page.may_be(parameter.domain, loss.definition)
        text = f"{values}, default {_default(parameter.default)}"
        rows.append((f"parameter `{parameter.name}`", text))
    body = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"{{.loss-facts}}\n| fact | value |\n|---|---|\n{body}"


def _default(value: Any) -> str:
    if value is None:
        return "none"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:g}" if number else f"`{value!r}`"


def _by_output(loss: Any, things: Sequence[Any]) -> str:
    if len(things) == 1:
        return str(things[0])
    return ", ".join(f"{o}: {thing}" for o, thing in zip(loss.outputs, things, strict=True))


def numbers_table(loss: Any) -> str:
    """Return the table of numbers, each with how it is known."""
    body = "\n".join(
        f"| {row.name} | {row.text} | {badge(row.known)} |" for row in numbers_of(loss)
    )
    return (
        f"For {_defaults(loss)}, by the raw score.\n\n"
        f"| number | value | known by |\n|---|---|---|\n{body}"
    )


def _defaults(loss: Any) -> str:
    given = ", ".join(
        f"`{name}={value:g}`" for name, value in loss.params.items() if value is not None
    )
    return given or "every target"


def use(loss: Any) -> list[str]:
    """Return a few lines that use `loss`, for a session."""
    from losskit import Unsupported

    y, p = SAMPLES[_sample(loss)]
    settings = ", ".join(f"{k}={v!r}" for k, v in loss.params.items() if v is not None)
    call = f"losskit.{loss.name}({settings})" if settings else f"losskit.{loss.name}"
    lines = ["import losskit", f"y, p = {y}, {p}", f"loss = {call}", "loss(y, p)"]
    for line in ('loss.gradient(y, p, reduction="none")', "loss.optimal_constant(y)"):
        with contextlib.suppress(Unsupported):
            session([*lines, line])
            lines.append(line)
    return lines


def _sample(loss: Any) -> str:
    if len(loss.outputs) == 2:
        return "mean and sd"
    if loss.task == "binary":
        return "margin" if loss.target_domain.contains(-1.0) else "probability"
    return str(loss.task)


def session(lines: list[str]) -> str:
    """Run `lines` as an interactive session would, and return it with what it printed."""
    space: dict[str, Any] = {}
    shown = []
    for line in lines:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(line, "<page>", "single"), space)
        shown.append(f">>> {line}\n{out.getvalue()}".rstrip())
    return "\n".join(shown)


def _signature(loss: Any) -> str:
    parameters = ", ".join(f"{p.name}={p.default!r}" for p in loss.definition.parameters)
    data = ", ".join(loss.inputs)
    return (
        f"```{{eval-rst}}\n.. py:function:: losskit.{loss.name}({parameters})\n"
        f"   :no-contents-entry:\n\n"
        f"   With data, ``losskit.{loss.name}({data})`` is the mean; with parameters, "
        f"another :py:class:`losskit.Loss`.\n```"
    )


def _same_as(loss: Any) -> str:
    rows = "\n".join(
        f"| `{theirs}` | {'the same' if factor == 1 else f'losskit is {factor:g} times theirs'} |"
        for theirs, factor in loss.same_as.items()
    )
    return f"| function | factor |\n|---|---|\n{rows}"


def _sources(loss: Any) -> str:
    from losskit import Unsupported

    tabs = []
    backends = [("numpy", "python"), ("sql", "sql"), ("latex", "latex")]
    if loss.kind == "rows":  # of which SQL has none, and says nothing else
        backends.remove(("sql", "sql"))
    for backend, language in backends:
        try:
            text = loss.source(backend).strip()
        except Unsupported as reason:
            text, language = f"{reason}", "text"
        tabs.append(f":::{{tab-item}} {backend}\n```{language}\n{text}\n```\n:::")
    return "::::{tab-set}\n" + "\n".join(tabs) + "\n::::"
