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
_OF_ONE_NUMBER = ("sql", "sympy")


def through(name: str, role: str, loss: Any, **options: Any) -> Any:
    """Return what backend `name` makes of `loss` in the role "to" or "source"."""
    if name not in BACKENDS:
        raise Unsupported(
            f"there is no backend {name!r}{suggest(name, BACKENDS)}; there are "
            f"{', '.join(BACKENDS)}"
        )
    if loss.kind == "written" or (loss.kind == "rows" and name in _OF_ONE_NUMBER):
        why = "is an algorithm" if loss.kind == "written" else "sees a whole axis"
        raise Unsupported(f"the {name} backend prints formulas of one number; {loss.name} {why}")
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
