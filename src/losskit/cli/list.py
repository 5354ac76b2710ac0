"""`losskit list`: the catalogue."""

from __future__ import annotations

import click

_TITLES = {"regression": "Regression", "counts": "Counts and amounts", "binary": "Yes or no"}


@click.command("list", short_help="List the losses by task.")
def list_losses() -> None:
    """List all losses by task: name, other names, and what each does."""
    import losskit

    losses = [losskit.get(name) for name in losskit.names()]
    width = max(len(loss.name) for loss in losses) + 2
    for task in dict.fromkeys([*_TITLES, *(loss.task for loss in losses)]):
        click.secho(_TITLES.get(task, task.capitalize()), bold=True)
        for loss in losses:
            if loss.task == task:
                names = f" Also {', '.join(loss.aliases)}." if loss.aliases else ""
                click.echo(f"  {loss.name:<{width}}{loss.summary}{names}")
        click.echo()
    click.echo("`losskit show NAME` prints one of them: formula, derivatives, numbers, references.")
