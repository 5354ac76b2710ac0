"""`losskit show`: the card of one loss."""

from __future__ import annotations

import click


@click.command(
    short_help="Show one loss: formula, derivatives, numbers.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("name")
@click.argument("params", nargs=-1, type=click.UNPROCESSED, metavar="[--PARAM VALUE]...")
@click.pass_context
def show(context: click.Context, name: str, params: tuple[str, ...]) -> None:
    """Show one loss: what it does, its formula, gradient, curvature and numbers.

    Parameters are options under their own names, as in

    \b
      losskit show huber --delta 1.5
    """
    if {"-h", "--help"} & set(params):
        click.echo(context.get_help())
        context.exit()
    from losskit.by_rank import BY_RANK
    from losskit.cli.card import print_card
    from losskit.evaluation.spelling import make_loss
    from losskit.tables import TableError

    if ":" in name:
        plain, _, tail = name.partition(":")
        pairs = [item.partition("=") for item in tail.split(",") if item]
        options = "".join(f" --{key.strip()} {value.strip()}" for key, _, value in pairs)
        raise TableError(
            f"{name!r} is how `losskit evaluate --loss` has it; write here: "
            f"losskit show {plain}{options}"
        )
    texts = _parsed(params)
    loss = make_loss(name, texts, {key: f"parameter --{key}" for key in texts})
    print_card(loss)
    if name in BY_RANK:
        rows = BY_RANK[name].of_rank(2).name
        click.echo(f"\nOf class probabilities {name} is {rows}; see losskit show {rows}.")


def _parsed(words: tuple[str, ...]) -> dict[str, str]:
    from losskit.tables import TableError

    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise TableError(f"{word!r} is not understood; give parameters as --name value")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise TableError(f"parameter --{key} has no value; give it as --{key} 1.5")
            value = rest.pop(0)
        key = key.replace("-", "_")
        if key in found:
            raise TableError(f"parameter --{key} was given twice")
        found[key] = value
    return found
