"""`losskit list`: the catalogue."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

TITLES = {
    "regression": "Regression",
    "counts": "Counts and amounts",
    "binary": "Yes or no",
    "classes": "One class out of several",
    "multilabel": "Several labels at once",
    "ranking": "Ranked lists",
    "embedding": "Embeddings: pairs and neighbours",
    "sequence": "Sequences: tokens and actions",
}


@click.command("list", short_help="List the losses by task.")
def list_losses() -> None:
    """List all losses by task: name, other names, and what each does."""
    import losskit

    losses = [losskit.get(name) for name in losskit.names()]
    width = max(len(loss.name) for loss in losses) + 2
    for task in dict.fromkeys([*TITLES, *(loss.task for loss in losses)]):
        if all(loss.task != task for loss in losses):
            continue
        click.secho(TITLES.get(task, task.capitalize()), bold=True)
        for loss in losses:
            if loss.task == task:
                names = f" Also {', '.join(loss.aliases)}." if loss.aliases else ""
                click.echo(wrapped(f"  {loss.name:<{width}}{loss.summary}{names}", width + 2))
        click.echo()
    last = "`losskit show NAME` prints one of them: formula, derivatives, numbers, references."
    click.echo(wrapped(last, 0))


def wrapped(line: str, indent: int) -> str:
    """Wrap a line to the terminal, its rest indented; what goes to a file or a pipe stays whole."""
    if not sys.stdout.isatty():
        return line
    columns = max(shutil.get_terminal_size().columns, indent + 20)
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
