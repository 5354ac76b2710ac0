"""The page of everything that may stand in a formula, written from `losskit.formula`."""

from __future__ import annotations

import inspect
from typing import Any

import row_page


def page() -> str:
    """Return the MyST text of the page of the language."""
    import losskit
    from losskit import formula
    from losskit.formula.inputs import Input

    functions, along, domains, annotations, classes, inputs = [], [], [], [], [], []
    for name in formula.__all__:
        thing: Any = getattr(formula, name)
        if isinstance(thing, formula.Domain):
            domains.append((name, str(thing)))
        elif hasattr(thing, "__metadata__") and isinstance(thing.__metadata__[0], Input):
            inputs.append((name, _holds(thing.__metadata__[0])))
        elif hasattr(thing, "__metadata__"):
            annotations.append((name, row_page.may_be(thing.__metadata__[0])))
        elif inspect.isclass(thing):
            if name not in losskit._PUBLIC:  # else the reference has it
                classes.append(name)
        elif thing.__module__ == "losskit.formula.axis":
            along.append(name)
        else:
            functions.append(name)
    return "\n\n".join(
        [
            "# The language of formulas",
            inspect.getdoc(formula) or "",
            "```{eval-rst}\n.. py:module:: losskit.formula\n   :no-contents-entry:\n```",
            "## Functions",
            _rst(f".. autofunction:: losskit.formula.{name}" for name in functions),
            "## Functions along an axis",
            "For formulas over classes, labels, features or items: `losskit.loss(axis=…)`.",
            _rst(f".. autofunction:: losskit.formula.{name}" for name in along),
            "## Domains of targets and predictions",
            "For `target=` and `prediction=` of [`losskit.loss`](../reference.md).",
            _rst(_data(name, text) for name, text in domains),
            "## Domains of parameters",
            "For the annotations of parameters: `delta: Positive = 1.0`.",
            _rst(_data(name, text) for name, text in annotations),
            "## What the arguments of a formula over an axis hold",
            "For the annotations of arguments without a default: `y: Mixture`, `f: Vector`.",
            _rst(_data(name, text) for name, text in inputs),
            "## Types",
            _rst(f".. autoclass:: losskit.formula.{name}()" for name in classes),
            "",
        ]
    )


def _holds(one: Any) -> str:
    if one.classes:
        return row_page.CODES[one.classes].capitalize()
    many = "one for each element of the axis" if one.rank == 2 else "one for each row"
    trained = "; gradients are taken by it" if one.trained else ""
    return f"{str(one.domain).capitalize()}, {many}{trained}"


def _data(name: str, text: str) -> str:
    return f".. py:data:: {name}\n\n   {text}"


def _rst(directives: Any) -> str:
    return "```{eval-rst}\n" + "\n\n".join(directives) + "\n```"
