"""What `losskit fit` prints for people: what was chosen and why, how good it is, what is odd."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from losskit.cli.report import plain_table, printable

if TYPE_CHECKING:
    from losskit.tabular import Coefficient, Score, TableFit

_TOP = 15  # coefficients shown
_POINTS = 9  # of the curve, evenly; beside them stand the ends and what was chosen
_PLOT = 32  # characters at most
_BESIDE_PLOT = 52  # characters of the columns beside it, without that of non-zeros
_CLEAR = 2.0  # standard errors, below which a difference may be noise
_MOST_CLASSES = 10
_MOST_OUTPUTS = 5
_NAMES = {
    "auc": "AUC", "r2": "R² (variance explained)", "absolute_error": "mean absolute error",
    "balanced_accuracy": "balanced accuracy", "d2": "D² (loss saved)",
}  # fmt: skip
_SHARES = ("accuracy", "auc", "balanced_accuracy", "d2", "r2")
_PENALTIES = {"l1": "L1", "l2": "L2", "elasticnet": "elastic net"}


def print_fit(found: TableFit, name: str, output: str) -> None:
    """Print the fit of the table called `name`, whose model was written to `output`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)  # never cut what goes to a file
    with console.capture() as captured:
        for block in _blocks(found, name, output, console.width):
            console.print(block)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _blocks(found: TableFit, name: str, output: str, width: int) -> Iterable[Any]:
    yield from map(_text, _data(found, name))
    yield ""
    if found.interrupted:
        yield _text(
            f"Interrupted {found.interrupted}: this is the best model until then", "bold yellow"
        )
        yield ""
    yield _choices(found)
    curve = getattr(found.model, "cv_", None)
    if curve is not None:
        yield ""
        yield _text(f"Cross-validated {found.loss} (mean ± standard error)", "bold")
        yield _curve(curve, found.model.alpha_, width)
    if found.scores:
        yield ""
        yield _scores(found)
    yield ""
    yield _text(_heading(found), "bold")
    yield _coefficients(found)
    yield from _listed("Notes", found.notes, "")
    yield from _listed("Warnings", found.warnings, "yellow")
    yield ""
    yield _text(f"Model written to {output}; losskit predict {output} TABLE -o OUT applies it")


def _text(line: str, style: str = "") -> Text:
    return Text(printable(line), style=style)


def _data(found: TableFit, name: str) -> list[str]:
    rows = found.rows
    said = f"{name}: {rows.read:,} rows"
    said += "".join(f", {count:,} left out ({why})" for why, count in rows.dropped)
    target = f"target {found.target!r}"
    if found.classes:
        shown = [f"{label} {count:,}" for label, count in found.classes[:_MOST_CLASSES]]
        more = [f"… {len(found.classes)} classes"] * (len(found.classes) > _MOST_CLASSES)
        target += f" ({', '.join(shown + more)})"
    columns = f"{len(found.columns)} column{'s' * (len(found.columns) != 1)}"
    lines = [said, f"{target}, predicted from {columns}"]
    if rows.tested:
        how = "of each class alike, " if found.classes else ""
        lines.append(
            f"{rows.fitted:,} rows fitted, {rows.tested:,} tested ({how}drawn by seed {found.seed})"
        )
    else:
        lines.append(f"all {rows.fitted:,} rows fitted, none tested (seed {found.seed})")
    return lines


def _choices(found: TableFit) -> Table:
    model = found.model
    table = plain_table(show_header=False)
    table.add_row("loss", _text(f"{found.loss}: {found.why}"))
    table.add_row("penalty", _text(_penalty(model)))
    iterations = f"{model.n_iter_} iteration{'s' * (model.n_iter_ != 1)}"
    said = f"{model.solver_} ({model.solver_why_}): {iterations}, {found.seconds:.2g} s in all"
    table.add_row("solver", _text(said))
    table.add_row("certificate", _text(str(model.certificate_)))
    return table


def _penalty(model: Any) -> str:
    given = model.penalty
    name = _PENALTIES.get(given, repr(given)) if isinstance(given, str) else repr(given)
    if given == "elasticnet":
        name += f" (L1's share {model.l1_ratio:g})"
    said = f"{name}, alpha {model.alpha_:.4g}"
    if not hasattr(model, "cv_"):
        return f"{said}, as asked for"
    folds = int((model.cv_.weights > 0).sum())
    how = "the least mean loss" if model.rule == "min" else "the strongest within a standard error"
    return f"{said}: {how} of {len(model.cv_.alphas)} in {folds}-fold cross-validation"


def _curve(curve: Any, chosen: float, width: int) -> Table:
    mean, error = curve.mean, np.nan_to_num(curve.error)
    places = np.unique(
        [*np.linspace(0, len(mean) - 1, _POINTS).round().astype(int), curve.best, curve.best_1se]
    )
    places = places[np.isfinite(mean[places])]
    if not places.size:
        return plain_table(show_header=False)
    low, high = (mean - error)[places].min(), (mean + error)[places].max()
    sparse = len({one.nonzeros for one in curve.path}) > 1
    table = plain_table()
    table.add_column("alpha", justify="right")
    table.add_column("mean ± error", justify="right")
    if sparse:
        table.add_column("non-zero", justify="right")
    room = min(_PLOT, max(width - _BESIDE_PLOT - 11 * sparse, 10))
    table.add_column(Text(f"{low:.4g}".ljust(room - 6) + f"{high:.4g}".rjust(6)), no_wrap=True)
    table.add_column("")
    for i in places.tolist():
        marks = ["min"] * (i == curve.best) + ["1se"] * (i == curve.best_1se)
        taken = bool(curve.alphas[i] == chosen)
        table.add_row(
            f"{curve.alphas[i]:.4g}",
            f"{mean[i]:.5g}{_error(curve.error[i])}",
            *[f"{curve.path[i].nonzeros}"] * sparse,
            _bar((mean[i] - error[i], mean[i], mean[i] + error[i]), low, high, room),
            ", ".join(marks) + " ← chosen" * taken,
            style="bold" if taken else "",
        )
    return table


def _bar(interval: Sequence[float], low: float, high: float, room: int) -> str:
    """Return a line with a dot at the mean and a stroke as long as two errors."""
    if not high > low:
        return "●"
    start, middle, end = (round((x - low) / (high - low) * (room - 1)) for x in interval)
    line = [" "] * start + ["─"] * (end - start + 1)
    line[middle] = "●"
    return "".join(line)


def _scores(found: TableFit) -> Table:
    table = plain_table()
    table.add_column(Text(f"On the {found.rows.tested:,} test rows"))
    table.add_column("model", justify="right")
    table.add_column("best constant", justify="right")
    table.add_column("")
    for score in found.scores:
        digits = ".4f" if score.name in _SHARES else ".4g"
        table.add_row(
            _text(_NAMES.get(score.name, score.name)),
            f"{score.value:z{digits}}{_error(score.error)}",
            f"{score.baseline:z{digits}}",
            _verdict(score),
        )
    return table


def _verdict(score: Score) -> str:
    """Compare the loss with the constant's, row by row."""
    if math.isnan(score.saved_error):
        return ""
    said = (
        f"{abs(score.saved):.4g}{_error(score.saved_error)} {'less' if score.saved > 0 else 'more'}"
    )
    if score.saved_error > 0:
        distance = abs(score.saved) / score.saved_error
        said += f" ({distance:.1f} standard errors)" if distance < _CLEAR else ""
    return said


def _error(error: float) -> str:
    return "" if math.isnan(error) else f" ± {Decimal(f'{error:.2g}'):f}"


def _heading(found: TableFit) -> str:
    every = len(found.coefficients)
    zeros = sum(one.size == 0 for one in found.coefficients)
    shown = min(_TOP, every - zeros)
    said = f"Coefficients by size, {shown} of {every}" if shown < every else "Coefficients by size"
    if zeros:
        said += f" ({zeros} {'is' if zeros == 1 else 'are'} 0)"
    towards = f", towards {found.outputs[0]!r}" if found.classes and len(found.outputs) == 1 else ""
    return f"{said}: what one standard deviation adds to the raw score{towards}"


def _coefficients(found: TableFit) -> Table:
    table = plain_table()
    table.add_column("feature")
    single = len(found.outputs) == 1
    outputs = found.outputs if len(found.outputs) <= _MOST_OUTPUTS else ("largest", "of")
    for name in ("coefficient", "per unit") if single else outputs:
        table.add_column(_text(name), justify="right")
    shown = [one for one in found.coefficients if one.size > 0][:_TOP]
    for one in shown:
        table.add_row(_text(one.feature), *map(_text, _cells(one, found.outputs)))
    intercepts = [f"{value:.4g}" for value in np.atleast_1d(found.model.intercept_)]
    if len(found.outputs) <= _MOST_OUTPUTS:
        table.add_row("(intercept)", *intercepts, style="dim")
    return table


def _cells(one: Coefficient, outputs: Sequence[str]) -> list[str]:
    if len(outputs) == 1:
        return [_signed(one.values[0]), _signed(one.per_unit[0])]
    if len(outputs) <= _MOST_OUTPUTS:
        return list(map(_signed, one.values))
    k = int(np.argmax(np.abs(one.values)))
    return [_signed(one.values[k]), outputs[k]]


def _signed(value: float) -> str:
    return f"{value:+.4g}" if value else "0"


def _listed(title: str, lines: Sequence[str], style: str) -> Iterable[Text | str]:
    if lines:
        yield ""
        yield _text(title, f"bold {style}".strip())
        yield from (_text(f"- {line}") for line in lines)
