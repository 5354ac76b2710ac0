"""`losskit predict`: what a fitted model says of each row of a table."""

from __future__ import annotations

import click

from losskit.cli.progress import Progress
from losskit.cli.reading import reads_table


@click.command(short_help="Predict the rows of a table by a fitted model.")
@click.argument("model")
@click.argument("table")
@click.option(
    "-o", "--output", required=True, metavar="OUT",
    help="File to write: CSV, TSV or Parquet by its name; - is standard output.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Write the columns of TABLE before the predictions.")
@click.option(
    "--unknown", type=click.Choice(["error", "ignore"]), default="error", show_default=True,
    help="A category that the model was not fitted with is an error, or no level.",
)  # fmt: skip
@reads_table
def predict(
    model: str,
    table: str,
    output: str,
    keep: bool,
    unknown: str,
    input_format: str | None,
    database_table: str | None,
    glob: bool,
    delimiter: str | None,
) -> None:
    """Predict each row of TABLE by MODEL, a file that `losskit fit` or `save` in Python wrote.

    The output has a row for each of TABLE's, in the same order: `prediction`, a class or a number
    in the target's units, then `probability_CLASS` for each class. Columns are found by name;
    others, such as the target, are ignored. A missing number is taken as the mean of the rows that
    the model was fitted to.

    Exit code 0 means predicted, 2 bad input. OUT is written at once when it is complete.

    \b
    Examples:
      losskit predict model.losskit patients.csv -o predictions.csv
      losskit predict model.losskit new.parquet --keep -o new_with_predictions.parquet
      cat new.csv | losskit predict model.losskit - -o - | head
    """
    from losskit.tabular import predict_table

    with Progress() as progress:
        found = predict_table(
            model,
            table,
            keep=keep,
            unknown=unknown,
            output=output,
            input_format=input_format,
            database_table=database_table,
            glob=glob,
            delimiter=delimiter,
            reading=progress.rows,
        )
    for note in found.notes:
        click.echo(f"losskit: {note}", err=True)
    if output != "-":
        click.echo(f"{output}: {found.rows:,} row{'s' * (found.rows != 1)} predicted")
