"""The options of every command that reads a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--input-format",
        type=click.Choice(["csv", "tsv", "parquet", "jsonl", "duckdb"]),
        help="Format of TABLE. Default: by its name or first bytes.",
    ),
    click.option(
        "--table", "database_table", metavar="NAME", help="Table or view of a DuckDB database."
    ),
    click.option(
        "--glob", is_flag=True, help="TABLE is a pattern: read all files that match, by name."
    ),
    click.option("--delimiter", metavar="CHAR", help="What separates the fields of a CSV file."),
)


def reads_table(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how TABLE is read, after those above."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
