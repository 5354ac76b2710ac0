"""What `losskit evaluate` prints for people: models side by side, then their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from losskit.evaluation import Difference, Evaluation, Result

_CLEAR = 2.0  # standard errors beyond which a difference is no longer called noise
_FEW_ROWS = 30  # below, the standard error itself is too rough to judge by
_SIDE_BY_SIDE = 4  # more predictions stand one below the other, compared with the best alone
_WHOLE = "(all rows)"


def print_report(found: Evaluation, name: str, by: str | None) -> None:
    """Print the evaluation of the table called `name`, with groups if there was a column `by`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)  # never cut what goes to a file
    with console.capture() as captured:
        _print(console, found, name, by)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def printable(text: str) -> str:
    """Return `text` with newlines, escapes and the like spelled out, so that a line stays one."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)


def _print(console: Console, found: Evaluation, name: str, by: str | None) -> None:
    skipped = f", {sum(found.invalid.values()):,} skipped" * any(found.invalid.values())
    console.print(Text(f"{printable(name)}: {_rows(found.rows)}{skipped}"))
    for kind, where in found.first_invalid.items():
        console.print(Text(f"  skipped {_rows(found.invalid[kind])} ({kind}), first {where}"))
    if found.chosen:
        console.print(Text(found.chosen[0].upper() + found.chosen[1:]))
    console.print()
    console.print(_scores(found, by))
    for result in found.results:
        if result.clipped and result.group is None:
            name = f"{printable(result.prediction)} for {result.loss}"
            clipped = f"{result.clipped:,} value{'s' * (result.clipped != 1)} of {name} clipped"
            console.print(Text(f"{clipped}: probabilities stay one eps away from 0 and 1"))
    if found.differences:
        console.print()
        many = len(_predictions(found)) > _SIDE_BY_SIDE
        title = f"Differences{' from the best' * many}, row by row (value ± standard error)"
        console.print(Text(title, style="bold"))
        console.print(_comparison(found, _from_best(found) if many else found.differences))
        if many:
            console.print(Text("Of so many comparisons some pass 2 standard errors by chance."))


def _predictions(found: Evaluation) -> list[str]:
    return list(dict.fromkeys(result.prediction for result in found.results))


def _scores(found: Evaluation, by: str | None) -> Table:
    predictions = _predictions(found)
    if len(predictions) > _SIDE_BY_SIDE:
        return _long_scores(found, by)
    rows: dict[tuple[str | None, str], list[Result]] = {}
    for result in found.results:
        rows.setdefault((result.group, result.loss), []).append(result)
    table = _plain_table()
    _add_group_columns(table, by)
    table.add_column("loss")
    for prediction in predictions:
        table.add_column(Text(printable(prediction)), justify="right")
    last: list[Text] | None = None
    for (group, loss), results in rows.items():
        shown = _group_cells(found, by, group)
        table.add_row(
            *(shown if shown != last else [""] * len(shown)),
            Text(loss),
            *(_cell(result, results) for result in results),
        )
        last = shown
        if any(result.root is not None for result in results):
            blank = [""] * len(shown)
            table.add_row(*blank, Text("  its root (RMSE)"), *map(_root, results))
    return table


def _long_scores(found: Evaluation, by: str | None) -> Table:
    table = _plain_table()
    _add_group_columns(table, by)
    for column in ("loss", "prediction"):
        table.add_column(column)
    table.add_column("value", justify="right")
    rooted = any(result.root is not None for result in found.results)
    if rooted:
        table.add_column("root (RMSE)", justify="right")
    rivals: dict[tuple[str | None, str], list[Result]] = {}
    for result in found.results:
        rivals.setdefault((result.group, result.loss), []).append(result)
    last: object = None
    for result in found.results:
        key = result.group, result.loss
        shown = [*_group_cells(found, by, result.group), Text(result.loss)]
        root = [Text("" if result.root is None else f"{result.root:.6g}")] if rooted else []
        table.add_row(
            *(shown if key != last else [""] * len(shown)),
            Text(printable(result.prediction)),
            _cell(result, rivals[key]),
            *root,
        )
        last = key
    return table


def _add_group_columns(table: Table, by: str | None) -> None:
    if by is not None:
        table.add_column(Text(printable(by)))
        table.add_column("rows", justify="right")


def _group_cells(found: Evaluation, by: str | None, group: str | None) -> list[Text]:
    if by is None:
        return []
    name = _WHOLE if group is None else printable(group) or "(blank)"
    return [Text(name), Text(f"{found.scored.get(group, 0):,}")]


def _from_best(found: Evaluation) -> list[Difference]:
    """Return, for each loss, every other prediction minus the one that is lowest over all rows."""
    whole = [result for result in found.results if result.group is None]
    best: dict[str, Result] = {}
    for result in whole:
        if result.loss not in best or result.value < best[result.loss].value:
            best[result.loss] = result
    kept = []
    for item in found.differences:
        name = best[item.loss].prediction
        if item.b == name:
            kept.append(item)
        elif item.a == name:
            kept.append(replace(item, a=item.b, b=item.a, value=-item.value))
    return kept


def _comparison(found: Evaluation, differences: Sequence[Difference]) -> Table:
    table = _plain_table(show_header=False)
    few = found.scored.get(None, found.rows)
    for item in differences:
        value = _number(item.value, item.standard_error) + _error(item)
        if math.isnan(item.value):
            value = "∞ − ∞"
        pair = f"{printable(item.a)} − {printable(item.b)}"
        table.add_row(*map(Text, (pair, item.loss, value, _verdict(item, few))))
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
    text = _number(result.value, result.standard_error) + _error(result)
    return Text(text, style="bold green" if best else "")


def _root(result: Result) -> Text:
    # Padded so that it stands under the value and not under the standard error.
    pad = " " * len(_error(result))
    return Text("" if result.root is None else f"{result.root:.6g}{pad}")


def _number(value: float, error: float) -> str:
    return f"{value:.5e}" if _in_powers(value, error) else f"{value:.6g}"


def _error(item: Result | Difference) -> str:
    """Return the error to two digits in the notation of its value; nothing where it is unknown."""
    error = item.standard_error
    if math.isnan(error):
        return ""
    if _in_powers(item.value, error):
        return f" ± {error:.1e}"
    return f" ± {Decimal(f'{error:.2g}'):f}"


def _in_powers(value: float, error: float) -> bool:
    """Whether a value and its error are written with powers of ten, both or neither."""
    return "e" in f"{value:.6g}" or (error > 0 and not 1e-9 < error < 1e6)


def _verdict(item: Difference, rows: int) -> str:
    if math.isnan(item.value):
        return "unknown: both are infinite on the same rows"
    if math.isinf(item.value):
        return f"{printable(item.b if item.value > 0 else item.a)} is lower: the other is infinite"
    if item.value == 0 and item.standard_error == 0:
        return "no difference"
    if rows < _FEW_ROWS:
        return f"too few rows to judge ({rows})"
    if item.value == 0:
        return "within noise (0.0 standard errors)"
    better = printable(item.a if item.value < 0 else item.b)
    if not item.standard_error > 0:
        return f"{better} is lower"
    distance = abs(item.value) / item.standard_error
    if distance < _CLEAR:
        return f"within noise ({distance:.1f} standard errors)"
    return f"{better} is lower by {distance:.1f} standard errors"


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)
