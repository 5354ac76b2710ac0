"""Options that take several words in one."""

from __future__ import annotations

import csv

import click


def between_commas(option: str, text: str) -> list[str]:
    """Return the names between commas; one that holds a comma is quoted as in CSV."""
    try:
        return [name.strip() for name in next(csv.reader([text], strict=True), [""])]
    except csv.Error as error:
        raise click.UsageError(f"{option} {text!r} is not understood: {error}") from None
