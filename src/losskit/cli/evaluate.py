"""`losskit evaluate`: scores the predictions in a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from losskit.cli.progress import Progress
from losskit.cli.reading import reads_table
from losskit.cli.words import between_commas

if TYPE_CHECKING:
    from losskit.evaluation import Evaluation


@click.command(short_help="Score the predictions in a table.")
@click.argument("table")
@click.option("--target", metavar="COL", help="Column of true values, labels or relevances.")
@click.option(
    "--prediction", "predictions", multiple=True, metavar="COL",
    help="Column of predictions; repeat it to compare models.",
)  # fmt: skip
@click.option(
    "--class-column", "class_columns", multiple=True, metavar="LABEL=COL",
    help="Column of one class's probability; once for each class.",
)  # fmt: skip
@click.option(
    "--classes", metavar="A,B,...",
    help="Predictions are columns of lists: probabilities of these classes.",
)  # fmt: skip
@click.option("--query", metavar="COL", help="Rank the rows of each value of this column.")
@click.option(
    "--log-probability", "log_probabilities", multiple=True, metavar="COL",
    help="Column of log-probabilities of tokens: report perplexity, without a target.",
)  # fmt: skip
@click.option(
    "--loss", "losses", multiple=True, metavar="NAME[:PARAM=VALUE]",
    help="Loss to report, as in huber:delta=1.5; repeatable. Default: by the data.",
)  # fmt: skip
@click.option("--weight", metavar="COL", help="Column of weights; rows of weight 0 do not count.")
@click.option("--by", metavar="COL", help="Report each value of this column as well.")
@click.option("--raw", is_flag=True, help="Predictions are raw scores: logits, log-means.")
@click.option(
    "--invalid", type=click.Choice(["stop", "skip"]), default="stop", show_default=True,
    help="Rows that are missing, NaN, infinite or out of domain.",
)  # fmt: skip
@click.option(
    "--format", "output", type=click.Choice(["table", "json", "csv"]), default="table",
    show_default=True, help="Form of the result on standard output.",
)  # fmt: skip
@reads_table
def evaluate(
    table: str,
    target: str | None,
    predictions: tuple[str, ...],
    class_columns: tuple[str, ...],
    classes: str | None,
    query: str | None,
    log_probabilities: tuple[str, ...],
    losses: tuple[str, ...],
    weight: str | None,
    by: str | None,
    raw: bool,
    invalid: str,
    output: str,
    input_format: str | None,
    database_table: str | None,
    glob: bool,
    delimiter: str | None,
) -> None:
    """Score the predictions in TABLE with one or several losses.

    TABLE is a CSV, TSV, Parquet or JSON-lines file (also with .gz), - for standard input, or a
    DuckDB database with --table. In text a blank cell, NA or null is missing; anything else must
    be a number. Every score comes with its standard error; several predictions are compared row by
    row. Exit code 0 means scored, 2 bad input.

    \b
    Examples:
      losskit evaluate scores.csv --target y --prediction model
      losskit evaluate scores.parquet --target y --prediction old --prediction new \\
          --loss binary_cross_entropy --by country
      zcat scores.csv.gz | losskit evaluate - --target y --prediction p --format json
      losskit evaluate pets.csv --target pet --class-column cat=p_cat --class-column dog=p_dog
      losskit evaluate pets.parquet --target pet --prediction p --classes cat,dog
      losskit evaluate clicks.csv --query session --target clicked --prediction score
      losskit evaluate tokens.csv --log-probability old --log-probability new
    """
    from losskit.evaluation import evaluate as score

    with Progress() as progress:
        found = score(
            table,
            target=target,
            prediction=predictions or None,
            class_columns=_by_label(class_columns),
            classes=None if classes is None else between_commas("--classes", classes),
            query=query,
            log_probability=log_probabilities or None,
            loss=losses or None,
            weight=weight,
            by=by,
            raw=raw,
            invalid=invalid,
            input_format=input_format,
            database_table=database_table,
            glob=glob,
            delimiter=delimiter,
            progress=progress.rows,
        )
    if output == "table":
        from losskit.cli.report import print_report

        print_report(found, "standard input" if table == "-" else table, by)
        return
    _say_notes(found)
    click.echo(_json(found) if output == "json" else _csv(found), nl=output == "json")


def _by_label(given: tuple[str, ...]) -> dict[str, str] | None:
    """Return the columns of classes by label; a label ends at the first equals sign."""
    found: dict[str, str] = {}
    for item in given:
        label, equals, column = item.partition("=")
        if not equals or not column:
            raise click.UsageError(
                f"--class-column {item!r} is not understood; write the label, =, and the column: "
                "cat=p_cat"
            )
        if label in found:
            raise click.UsageError(f"class {label!r} was given twice; name each class once")
        found[label] = column
    return found or None


def _json(found: Evaluation) -> str:
    import json

    return json.dumps(found.to_dict(), indent=2, allow_nan=False)


def _csv(found: Evaluation) -> str:
    """One row per result, then one per difference, whose second prediction stands in `minus`."""
    import csv
    import io

    text = io.StringIO()
    header = ["prediction", "minus", "loss", "value", "root", "standard_error", "clipped", "group"]
    # `kind` tells the whole table from the blank group, whose `group` is empty too.
    header += ["kind", "perplexity", "better"]
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    plain = found.to_dict()
    for result in plain["results"]:
        writer.writerow({**result, "kind": "all rows" if result["group"] is None else "group"})
    for difference in plain["differences"]:
        a, b = difference.pop("a"), difference.pop("b")
        writer.writerow({"prediction": a, "minus": b, **difference, "kind": "difference"})
    return text.getvalue()


def _say_notes(found: Evaluation) -> None:
    """Tell what was decided and left out on stderr, where stdout is for a program."""
    if found.chosen:
        click.echo(f"losskit: {found.chosen}", err=True)
    for note in found.notes:
        click.echo(f"losskit: {note}", err=True)
    for kind, where in found.first_invalid.items():
        click.echo(f"losskit: skipped {found.invalid[kind]} ({kind}), first {where}", err=True)
    for item in found.differences:
        if math.isnan(item.value):
            click.echo(
                f"losskit: {item.a!r} minus {item.b!r} under {item.loss} is unknown: both are "
                "infinite on the same rows",
                err=True,
            )
