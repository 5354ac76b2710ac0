"""The catalogue: making losses of formulas, and finding them by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from losskit.backends import suggest
from losskit.by_rank import BY_RANK, ByRank
from losskit.definition import REGISTRY, Frozen, define
from losskit.interface import KINDS, Loss
from losskit.several import Several


def loss(
    formula: Callable[..., Any] | None = None,
    *,
    register: bool = False,
    axis: str | None = None,
    **declared: Any,
) -> Any:
    """Make a loss of a formula: `@losskit.loss` above a function of the target, the raw outputs
    and parameters with defaults.

    `declared` are `target` (a `Domain`, or a function of the parameters that gives one), `link`
    ("identity", "log", "logit", or one for each raw output), `prediction` (a `Domain` narrower
    than the link's), `optimum`, `perfect`, `cite`, `aliases`, `same_as`. With `register=True` the
    loss is found by `losskit.get` and `losskit list`.

    With `axis` "class", "label", "feature" or "item" (of a list) the formula sees a whole row: its
    arguments are annotated with what they hold (`Mixture`, `OneOf`, `Labels`, `Relevance`,
    `Vector`, `Score`, … of `losskit.formula`) and it returns one value for the row, by `sum_`,
    `max_`, `logsumexp`, …; `link` is then "identity", "softmax" or "logit", and the other
    declarations are `optimum`, `cite`, `aliases`, `same_as`.

    >>> import losskit
    >>> @losskit.loss
    ... def cubic(y, f, scale: losskit.formula.Positive = 1.0):
    ...     "Cares little for small errors and much for large ones."
    ...     r = (f - y) / scale
    ...     return abs(r) * r * r
    >>> cubic([1.0, 2.0], [1.0, 4.0])
    4.0
    """
    if formula is None:
        return partial(loss, register=register, axis=axis, **declared)
    if not callable(formula):
        raise TypeError(f"losskit.loss makes a loss of a function, not of {formula!r:.40}")
    known = {*signature(define).parameters, "axis", "register", "kernel", "perplexity"} - {
        "function"
    }
    for name in {*declared} - known:
        raise TypeError(f"losskit.loss declares no {name!r}{suggest(name, known)}")
    if register:
        import losskit.losses  # noqa: F401 - whose names are taken
    if axis is None:
        return made_of(define(formula, **declared), register)
    from losskit.rows.definition import define_rows

    return made_of(define_rows(formula, axis=axis, **declared), register)


def made_of(definition: Any, register: bool = False) -> Loss:
    """Return the loss of a definition at its defaults, registered if it is the catalogue's."""
    made = Loss(definition, tuple((p.name, p.default) for p in definition.parameters))
    if register or definition.task != "user":  # the catalogue's own files register themselves
        REGISTRY.add(made)
    return made


def get(name: str, **parameters: Any) -> Any:
    """Return a loss by name or alias: `losskit.get("huber", delta=1.5)`."""
    import losskit.losses  # noqa: F401 - fills the registry

    if isinstance(name, (Loss, ByRank, Several)):
        return name(**parameters)
    if name in BY_RANK:
        return BY_RANK[name](**parameters)
    if not isinstance(name, str):
        raise TypeError(f"a loss is named by a string, or is a losskit.Loss, not {name!r:.40}")
    if name not in REGISTRY.spellings():
        _refuse_metric(name)
        if name == "linear_cross_entropy":
            raise ValueError(f"{name} takes hidden states and weights: call losskit.{name}")
        known = [*REGISTRY.spellings(), *BY_RANK]
        raise ValueError(f"there is no loss called {name!r}{suggest(name, known)}")
    return REGISTRY[name](**parameters)


def _refuse_metric(name: str) -> None:
    metrics = import_module("losskit.metrics")  # which stands on this module
    if name in metrics.names():
        surrogate = metrics.get(name).surrogate
        raise ValueError(
            f"{name!r} is a metric, to be read and not trained with: losskit.metrics.{name}; the "
            f"usual loss to train with is {surrogate}"
        )


def names(kind: str | None = None) -> list[str]:
    """Return the names of all registered losses, or of those of a kind: "pointwise" (formulas of
    one number), "rows" (formulas over classes, labels, features or items), "written".
    """
    import losskit.losses  # noqa: F401 - fills the registry

    if kind not in (None, *KINDS):
        raise ValueError(f"kind={kind!r}; needed is one of {', '.join(KINDS)}")
    return [name for name, one in REGISTRY.items() if kind in (None, one.kind)]


def thaw(frozen: Any, values: tuple[tuple[str, Any], ...]) -> Loss:
    """Return the loss that was pickled as a graph with parameters."""
    return Loss(frozen.thaw() if isinstance(frozen, Frozen) else frozen, values)


def get_registered(name: str, values: tuple[tuple[str, Any], ...]) -> Loss:
    """Return the loss of the catalogue that was pickled by name."""
    return get(name, **dict(values))
