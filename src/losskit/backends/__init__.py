"""The other forms of a loss, one file each, found by name and imported when asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from losskit.extras import how_to_install
from losskit.formula.expr import Unsupported

_TEXTS = ("numpy", "numba", "latex", "sql", "sympy", "mpmath")
# The module that serves `Loss.to` for each name, by `loss_to`: the one upward reference.
TO = {
    **{name: f"losskit.backends.{name}" for name in _TEXTS},
    "torch": "losskit.torch.modules",
    "jax": "losskit.jax.functions",
    "keras": "losskit.keras.adapter",
    "sklearn": "losskit.sklearn.scorers",
    "xgboost": "losskit.xgboost.adapter",
    "lightgbm": "losskit.lightgbm.adapter",
    "catboost": "losskit.catboost.adapter",
}
# The module that serves `Loss.source`, by `loss_source`.
SOURCE = {name: f"losskit.backends.{name}" for name in (*_TEXTS, "torch", "jax")}
_OF_ONE_NUMBER = ("sql", "sympy")
# Quantiles side by side.
_OF_SEVERAL = (
    "numpy", "numba", "torch", "jax", "keras", "sklearn", "xgboost", "lightgbm", "catboost",
)  # fmt: skip


def through(name: str, role: str, loss: Any, **options: Any) -> Any:
    """Return what backend `name` makes of `loss` in the role "to" or "source"."""
    serving = TO if role == "to" else SOURCE
    if name not in serving:
        raise Unsupported(
            f"there is no backend {name!r}{suggest(name, serving)}; there are {', '.join(serving)}"
        )
    if loss.kind == "several" and (role == "source" or name not in _OF_SEVERAL):
        raise Unsupported(f"{loss!r} is several losses, and {name} takes one: each of its members")
    if name in _TEXTS and (
        loss.kind == "written" or (loss.kind == "rows" and name in _OF_ONE_NUMBER)
    ):
        why = "is an algorithm" if loss.kind == "written" else "sees a whole axis"
        raise Unsupported(f"the {name} backend prints formulas of one number; {loss.name} {why}")
    try:
        return getattr(import_module(serving[name]), f"loss_{role}")(loss, **options)
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        raise Unsupported(
            f"the {name} backend needs {package}: {how_to_install(package)}"
        ) from None


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a clause that names the nearest of `known`, or nothing."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
