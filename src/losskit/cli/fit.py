"""`losskit fit`: a linear model of a column of a table."""

from __future__ import annotations

import click

from losskit.cli.codes import INTERRUPTED
from losskit.cli.progress import Progress
from losskit.cli.reading import reads_table
from losskit.cli.words import between_commas


@click.command(short_help="Fit a linear model to a table.")
@click.argument("table")
@click.option("--target", required=True, metavar="COL", help="Column to predict.")
@click.option(
    "--loss", default="auto", show_default=True, metavar="NAME[:PARAM=VALUE]",
    help="Loss to fit, as in huber:delta=1.5; auto goes by the target's type.",
)  # fmt: skip
@click.option(
    "--penalty", type=click.Choice(["l1", "l2", "elasticnet"]), default="l2", show_default=True,
    help="What keeps coefficients small; l1 and elasticnet make some of them 0.",
)  # fmt: skip
@click.option(
    "--alpha", default="cv", show_default=True, metavar="cv|VALUE",
    help="The penalty's strength: chosen by cross-validation, or a number.",
)  # fmt: skip
@click.option(
    "--l1-ratio", type=float, default=0.5, show_default=True,
    help="L1's share of the elastic net.",
)  # fmt: skip
@click.option(
    "--features", multiple=True, metavar="A,B,...",
    help="Columns to use; repeatable. Default: all others.",
)  # fmt: skip
@click.option("--exclude", multiple=True, metavar="A,B,...", help="Columns not to use; repeatable.")
@click.option("--weight", metavar="COL", help="Column of weights; rows of weight 0 do not count.")
@click.option(
    "--test-size", type=float, default=0.2, show_default=True,
    help="Share of rows to test the model on; 0 fits all rows.",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws the test rows and the folds."
)
@click.option("--folds", type=int, default=5, show_default=True, help="Of the cross-validation.")
@click.option(
    "--rule", type=click.Choice(["min", "1se"]), default="min", show_default=True,
    help="Take the alpha of the least mean loss, or the strongest within a standard error of it.",
)  # fmt: skip
@click.option(
    "--solver", default="auto", show_default=True, metavar="NAME", help="How to minimise."
)
@click.option(
    "--tol", type=float, default=1e-4, show_default=True,
    help="How near the minimum, as a share of what the best constant is above it.",
)  # fmt: skip
@click.option("--max-iter", type=int, default=1000, show_default=True, help="Iterations at most.")
@click.option("--drop-missing-target", is_flag=True, help="Leave out rows without a target.")
@click.option("-o", "--output", required=True, metavar="MODEL", help="File to write the model to.")
@reads_table
def fit(
    table: str,
    target: str,
    loss: str,
    penalty: str,
    alpha: str,
    l1_ratio: float,
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    weight: str | None,
    test_size: float,
    seed: int,
    folds: int,
    rule: str,
    solver: str,
    tol: float,
    max_iter: int,
    drop_missing_target: bool,
    output: str,
    input_format: str | None,
    database_table: str | None,
    glob: bool,
    delimiter: str | None,
) -> None:
    """Fit a linear model of a column of TABLE to its other columns.

    TABLE is a CSV, TSV, Parquet or JSON-lines file (also with .gz), - for standard input, or a
    DuckDB database with --table. Numbers are standardised, a missing one becomes the mean; each
    level of a column of text gets a coefficient. Text, true/false and two whole numbers in the
    target make a model of classes, whole numbers from 0 up one of counts, all others one of means.

    The model is fitted to the rows that are not drawn for the test, and compared on those with the
    best constant. `losskit predict` applies it; in Python it is losskit.load(MODEL).

    Exit code 0 means fitted, 2 bad input. Ctrl-C while it fits writes the best model so far, says
    so, and exits with 130. MODEL is written at once when it is complete, never in part.

    \b
    Examples:
      losskit fit patients.csv --target diagnosis -o model.losskit
      losskit fit visits.parquet --target visits --loss negative_binomial --penalty l1 -o m.losskit
      losskit fit rents.csv --target rent --loss quantile:q=.9 --exclude id,name -o m.losskit
    """
    from losskit.cli.fit_report import print_fit
    from losskit.tabular import fit_table

    with Progress() as progress:
        found = fit_table(
            table,
            target=target,
            loss=loss,
            penalty=penalty,
            alpha=_strength(alpha),
            l1_ratio=l1_ratio,
            features=_columns("--features", features) or None,
            exclude=_columns("--exclude", exclude),
            weight=weight,
            test_size=test_size,
            seed=seed,
            folds=folds,
            rule=rule,
            solver=solver,
            tol=tol,
            max_iter=max_iter,
            drop_missing_target=drop_missing_target,
            output=output,
            input_format=input_format,
            database_table=database_table,
            glob=glob,
            delimiter=delimiter,
            reading=progress.rows,
            progress=progress.fit,
        )
    print_fit(found, "standard input" if table == "-" else table, output)
    if found.interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _strength(text: str) -> float | str:
    if text == "cv":
        return text
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(
            f"--alpha {text!r} is not understood; write a number of at least 0, or cv"
        ) from None


def _columns(option: str, given: tuple[str, ...]) -> list[str]:
    return [name for text in given for name in between_commas(option, text)]
