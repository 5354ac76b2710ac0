"""The page of everything that may stand in a formula, written from `losskit.formula`."""

from __future__ import annotations

import inspect
from typing import Any


def page() -> str:
    """Return the MyST text of the page of the language."""
    import losskit
    from losskit import formula

    functions, domains, annotations, classes = [], [], [], []
    for name in formula.__all__:
        thing: Any = getattr(formula, name)
        if isinstance(thing, formula.Domain):
            domains.append((name, str(thing)))
        elif hasattr(thing, "__metadata__"):
            annotations.append((name, str(thing.__metadata__[0])))
        elif inspect.isclass(thing):
            if name not in losskit._PUBLIC:  # else the reference has it
                classes.append(name)
        else:
            functions.append(name)
    return "\n\n".join(
        [
            "# The language of formulas",
            inspect.getdoc(formula) or "",
            "```{eval-rst}\n.. py:module:: losskit.formula\n   :no-contents-entry:\n```",
            "## Functions",
            _rst(f".. autofunction:: losskit.formula.{name}" for name in functions),
            "## Domains of targets and predictions",
            "For `target=` and `prediction=` of [`losskit.loss`](../reference.md).",
            _rst(_data(name, text) for name, text in domains),
            "## Domains of parameters",
            "For the annotations of parameters: `delta: Positive = 1.0`.",
            _rst(_data(name, text) for name, text in annotations),
            "## Types",
            _rst(f".. autoclass:: losskit.formula.{name}()" for name in classes),
            "",
        ]
    )


def _data(name: str, text: str) -> str:
    return f".. py:data:: {name}\n\n   {text}"


def _rst(directives: Any) -> str:
    return "```{eval-rst}\n" + "\n\n".join(directives) + "\n```"
