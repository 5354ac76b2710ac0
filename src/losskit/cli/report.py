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
# What may stand beside a mean, by the name that a result has for it.
_BESIDE = {"root": "root (RMSE)", "perplexity": "perplexity"}


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


def plain_table(show_header: bool = True) -> Table:
    """Return a table without lines, its columns three spaces apart."""
    return Table(
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        header_style="bold",
        show_header=show_header,
    )


def _print(console: Console, found: Evaluation, name: str, by: str | None) -> None:
    skipped = f", {sum(found.invalid.values()):,} skipped" * any(found.invalid.values())
    lists = "" if found.queries is None else f", {_counted(found.queries, 'query')} scored"
    console.print(Text(f"{printable(name)}: {_rows(found.rows)}{skipped}{lists}"))
    for kind, where in found.first_invalid.items():
        console.print(Text(f"  skipped {_rows(found.invalid[kind])} ({kind}), first {where}"))
    if found.chosen:
        console.print(Text(found.chosen[0].upper() + found.chosen[1:]))
    for note in found.notes:
        console.print(Text(note))
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
        title = f"Differences{' from the best' * many}, {_unit(found)} by {_unit(found)} "
        title += "(value ± standard error)"
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
    table = plain_table()
    _add_group_columns(table, found, by)
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
        for beside, said in _BESIDE.items():
            if any(getattr(result, beside) is not None for result in results):
                cells = (_beside(result, beside) for result in results)
                table.add_row(*[""] * len(shown), Text(f"  its {said}"), *cells)
    return table


def _long_scores(found: Evaluation, by: str | None) -> Table:
    table = plain_table()
    _add_group_columns(table, found, by)
    for column in ("loss", "prediction"):
        table.add_column(column)
    table.add_column("value", justify="right")
    shown_beside = [
        name for name in _BESIDE if any(getattr(r, name) is not None for r in found.results)
    ]
    for name in shown_beside:
        table.add_column(_BESIDE[name], justify="right")
    rivals: dict[tuple[str | None, str], list[Result]] = {}
    for result in found.results:
        rivals.setdefault((result.group, result.loss), []).append(result)
    last: object = None
    for result in found.results:
        key = result.group, result.loss
        shown = [*_group_cells(found, by, result.group), Text(result.loss)]
        beside = [_beside(result, name, pad=False) for name in shown_beside]
        table.add_row(
            *(shown if key != last else [""] * len(shown)),
            Text(printable(result.prediction)),
            _cell(result, rivals[key]),
            *beside,
        )
        last = key
    return table


def _add_group_columns(table: Table, found: Evaluation, by: str | None) -> None:
    if by is not None:
        table.add_column(Text(printable(by)))
        table.add_column("rows" if found.queries is None else "queries", justify="right")


def _group_cells(found: Evaluation, by: str | None, group: str | None) -> list[Text]:
    if by is None:
        return []
    whole = _WHOLE if found.queries is None else _WHOLE.replace("rows", "queries")
    name = whole if group is None else printable(group) or "(blank)"
    return [Text(name), Text(f"{found.scored.get(group, 0):,}")]


def _from_best(found: Evaluation) -> list[Difference]:
    """Return, for each loss, every other prediction minus the one that is best over all rows."""
    whole = [result for result in found.results if result.group is None]
    best: dict[str, Result] = {}
    for result in whole:
        if result.loss not in best or _ahead(result.value, best[result.loss].value, result.better):
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
    table = plain_table(show_header=False)
    few = found.scored.get(None, found.rows)
    for item in differences:
        value = _number(item.value, item.standard_error) + _error(item)
        if math.isnan(item.value):
            value = "∞ − ∞"
        pair = f"{printable(item.a)} − {printable(item.b)}"
        table.add_row(*map(Text, (pair, item.loss, value, _verdict(item, few, _unit(found)))))
    return table


def _cell(result: Result, rivals: list[Result]) -> Text:
    if math.isnan(result.value):
        return Text("—")  # nothing to score here
    others = [rival.value for rival in rivals if rival is not result]
    best = others and not any(_ahead(other, result.value, result.better) for other in others)
    text = _number(result.value, result.standard_error) + _error(result)
    return Text(text, style="bold green" if best else "")


def _beside(result: Result, name: str, pad: bool = True) -> Text:
    value = getattr(result, name)
    # Padded so that it stands under the value and not under the standard error.
    space = " " * len(_error(result)) if pad else ""
    return Text("" if value is None else f"{value:.6g}{space}")


def _ahead(a: float, b: float, better: str) -> bool:
    return a > b if better == "higher" else a < b


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


def _verdict(item: Difference, count: int, unit: str) -> str:
    if math.isnan(item.value):
        return f"unknown: both are infinite on the same {_several(unit)}"
    if math.isinf(item.value):
        return f"{printable(item.b if item.value > 0 else item.a)} is lower: the other is infinite"
    if item.value == 0 and item.standard_error == 0:
        return "no difference"
    if count < _FEW_ROWS:
        return f"too few {_several(unit)} to judge ({count})"
    if item.value == 0:
        return "within noise (0.0 standard errors)"
    better = printable(item.a if _ahead(item.value, 0, item.better) else item.b)
    if not item.standard_error > 0:
        return f"{better} is {item.better}"
    distance = abs(item.value) / item.standard_error
    if distance < _CLEAR:
        return f"within noise ({distance:.1f} standard errors)"
    return f"{better} is {item.better} by {distance:.1f} standard errors"


def _unit(found: Evaluation) -> str:
    return "row" if found.queries is None else "query"


def _several(unit: str) -> str:
    return "queries" if unit == "query" else f"{unit}s"


def _rows(count: int) -> str:
    return _counted(count, "row")


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit if count == 1 else _several(unit)}"
