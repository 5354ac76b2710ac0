"""The other forms of a loss, one file each, found by name and imported when asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from losskit.formula.expr import Unsupported

# The module that serves `Loss.to` and `Loss.source` for each backend.
BACKENDS = {
    name: f"losskit.backends.{name}"
    for name in ("numpy", "numba", "latex", "sql", "sympy", "mpmath")
}


def through(name: str, role: str, loss: Any, **options: Any) -> Any:
    """Return what backend `name` makes of `loss` in the role "to" or "source"."""
    if name not in BACKENDS:
        raise Unsupported(
            f"there is no backend {name!r}{suggest(name, BACKENDS)}; there are "
            f"{', '.join(BACKENDS)}"
        )
    try:
        return getattr(import_module(BACKENDS[name]), f"loss_{role}")(loss, **options)
    except ModuleNotFoundError as missing:
        raise Unsupported(
            f"the {name} backend needs {missing.name}: pip install {missing.name}"
        ) from None


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a clause that names the nearest of `known`, or nothing."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
