"""`losskit translate`: a loss named as any library names it, in ours and in all others."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click


class _Command(click.Command):
    """A command whose help tells which libraries are known."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from losskit.rosetta.libraries import LIBRARIES

        formatter.write_paragraph()
        formatter.write_text(f"Libraries: {', '.join(one.title for one in LIBRARIES)}.")


@click.command(
    cls=_Command,
    short_help="Translate a loss between libraries.",
    context_settings={"ignore_unknown_options": True},
    options_metavar="[--json]",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="TEXT...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def translate(words: tuple[str, ...], as_json: bool) -> None:
    """Tell what a loss of another library is in ours, how they differ, and its names elsewhere.

    \b
      losskit translate LightGBM huber alpha=0.9
      losskit translate "torch.nn.SmoothL1Loss(beta=0.5)"
      losskit translate quantile q=0.9 to catboost
    """
    from losskit.rosetta import translate as translated

    options = [word for word in words if word.startswith("--")]
    if options:
        raise click.NoSuchOption(
            options[0], possibilities=["--json"], ctx=click.get_current_context()
        )
    found = translated(" ".join(words))
    if as_json:
        click.echo(json.dumps(as_plain(found), ensure_ascii=False, indent=2))
    else:
        _print(found)


def as_plain(found: Any) -> dict[str, Any]:
    """Return a translation as JSON has it."""
    return {
        "asked": found.asked,
        "loss": repr(found.loss),
        "parameters": found.loss.params,
        "given": None if found.given is None else asdict(found.given),
        "names": [asdict(name) for name in found.names],
        "missing": list(found.missing),
    }


def _print(found: Any) -> None:
    from rich.console import Console
    from rich.text import Text

    from losskit.cli.report import plain_table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)  # never cut what goes to a file
    head = plain_table(show_header=False)
    if found.given is not None:
        head.add_row(Text(found.given.library), Text(found.given.text))
    head.add_row(Text("losskit"), Text(repr(found.loss), style="bold"))
    names = plain_table()
    for title in ("library", "name", "ours =", "takes", "labels", "mean over"):
        names.add_column(title)
    for name in found.names:
        names.add_row(*map(Text, _cells(name)))
    with console.capture() as captured:
        console.print(head)
        for difference in found.given.differences if found.given else ():
            console.print(Text(f"  {difference}"))
        if found.names:
            console.print()
            console.print(names)
            notes = _notes(found.names)
            if notes:
                console.print()
            for note, texts in notes.items():
                console.print(Text(f"  {', '.join(texts)}: {note}"))
        if found.missing:
            console.print()
            console.print(Text(f"No name for it: {', '.join(found.missing)}"))
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _cells(name: Any) -> tuple[str, ...]:
    from losskit.rosetta.differences import equation

    library = name.library if name.tested else f"{name.library} (untested)"
    relation = equation(name.factor, name.shift, name.target_only).removeprefix("ours = ")
    return library, name.text, relation, name.predictions, " or ".join(name.labels), name.weighted


def _notes(names: Any) -> dict[str, list[str]]:
    """Return what no column tells, each with the names that it is said of."""
    found: dict[str, list[str]] = {}
    for name in names:
        for note in name.notes:
            found.setdefault(note, []).append(f"{name.library} {name.text}")
    return found
