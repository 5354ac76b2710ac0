"""What `losskit evaluate` prints for people: models side by side, then their differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from losskit.evaluation import Difference, Evaluation, Result

_CLEAR = 2.0  # standard errors beyond which a difference is no longer called noise


def print_report(found: Evaluation, name: str, by: str | None) -> None:
    """Print the evaluation of the table called `name`, with groups if there was a column `by`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)  # never cut what goes to a file
    skipped = sum(found.invalid.values())
    console.print(Text(f"{name}: {_rows(found.rows)}" + (f", {skipped:,} skipped" * bool(skipped))))
    for kind, where in found.first_invalid.items():
        console.print(Text(f"  skipped {_rows(found.invalid[kind])} ({kind}), first {where}"))
    if found.chosen:
        console.print(Text(found.chosen[0].upper() + found.chosen[1:]))
    console.print()
    console.print(_scores(found, by))
    for result in found.results:
        if result.clipped and result.group is None:
            name = f"{result.prediction} for {result.loss}"
            clipped = f"{result.clipped:,} value{'s' * (result.clipped != 1)} of {name} clipped"
            console.print(Text(f"{clipped}: probabilities stay one eps away from 0 and 1"))
    if found.differences:
        console.print()
        console.print(Text("Differences, row by row (value ± standard error)", style="bold"))
        console.print(_comparison(found))


def _scores(found: Evaluation, by: str | None) -> Table:
    predictions = list(dict.fromkeys(result.prediction for result in found.results))
    rows: dict[tuple[str | None, str], list[Result]] = {}
    for result in found.results:
        rows.setdefault((result.group, result.loss), []).append(result)
    table = _plain_table()
    if by is not None:
        table.add_column(Text(by))
    table.add_column("loss")
    for prediction in predictions:
        table.add_column(Text(prediction), justify="right")
    previous = None
    for (group, loss), results in rows.items():
        shown = "all" if group is None else group or "(blank)"
        table.add_row(
            *([Text(shown if shown != previous else "")] if by is not None else []),
            Text(loss),
            *(_cell(result, results) for result in results),
        )
        previous = shown
        if any(result.root is not None for result in results):
            blank = [Text("")] if by is not None else []
            table.add_row(*blank, Text("  its root (RMSE)"), *map(_root, results))
    return table


def _comparison(found: Evaluation) -> Table:
    table = _plain_table(show_header=False)
    for item in found.differences:
        value = f"{item.value:.6g}{_error(item.standard_error)}"
        pair = f"{item.a} − {item.b}"
        table.add_row(*map(Text, (pair, item.loss, value, _verdict(item))))
    return table


def _plain_table(show_header: bool = True) -> Table:
    return Table(
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        header_style="bold",
        show_header=show_header,
    )


def _cell(result: Result, rivals: list[Result]) -> Text:
    best = len(rivals) > 1 and result.value == min(rival.value for rival in rivals)
    text = f"{result.value:.6g}{_error(result.standard_error)}"
    return Text(text, style="bold green" if best else "")


def _root(result: Result) -> Text:
    # Padded so that it stands under the value and not under the standard error.
    pad = " " * len(_error(result.standard_error))
    return Text("" if result.root is None else f"{result.root:.6g}{pad}")


def _error(standard_error: float) -> str:
    return "" if math.isnan(standard_error) else f" ± {standard_error:.2g}"


def _verdict(item: Difference) -> str:
    if not math.isfinite(item.value):
        return ""
    if item.value == 0:
        return "no difference"
    better = item.a if item.value < 0 else item.b
    if not item.standard_error > 0:
        return f"{better} is lower"
    distance = abs(item.value) / item.standard_error
    if distance < _CLEAR:
        return f"within noise ({distance:.1f} standard errors)"
    return f"{better} is lower by {distance:.1f} standard errors"


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)
