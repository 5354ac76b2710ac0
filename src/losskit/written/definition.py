"""What a written loss is, and what its algorithm returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from losskit.arrays import Array
from losskit.definition import Parameter, check_declared, task_of
from losskit.formula.domain import Domain
from losskit.formula.inputs import Input
from losskit.rows.definition import signature_of

Backward = Callable[[Array], tuple[Array, ...]]


@dataclass(frozen=True, eq=False)
class Examples:
    """What a written loss makes of a batch.

    `values` and `weights` are (examples,): ℓ and w, so that the mean is Σwℓ/Σw. `backward(u)` gives
    Σ uᵢ·∂ℓᵢ for each trained input in its shape, `curvature(u)` likewise Σ uᵢ·∂²ℓᵢ, the diagonal.
    `rows` says that there is one example for each row, so that `reduction="none"` keeps their
    places, `lacking` what a batch lacks where all `weights` are 0.
    """

    values: Array
    weights: Array
    backward: Backward
    curvature: Backward | None = None
    rows: bool = False
    lacking: str = ""


class Refused(ValueError):
    """What an algorithm raises for data that it cannot take.

    `index` is the row (axis "row") or item ("item") of `key`, in the order in which it came.
    """

    def __init__(self, key: str, index: int, what: str) -> None:
        super().__init__(f"{key}[{index}] {what}")
        self.key, self.index, self.what = key, int(index), what


@dataclass(frozen=True)
class WrittenDefinition:
    """Everything its author said about a written loss, once."""

    name: str
    doc: str
    task: str
    function: Callable[..., Examples]
    axis: str
    inputs: tuple[tuple[str, Input], ...]
    parameters: tuple[Parameter, ...]
    optimum: str
    cite: str
    aliases: tuple[str, ...]
    same_as: tuple[tuple[str, float], ...]

    kind = "written"
    links = ()
    fixed = root = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the inputs that gradients are taken by."""
        return tuple(name for name, one in self.inputs if one.trained)

    @property
    def target(self) -> Domain:
        """Where targets may lie."""
        return next((one.domain for _, one in self.inputs if not one.trained), Domain())

    @property
    def predictions(self) -> tuple[Domain, ...]:
        """Where each trained input may lie."""
        return tuple(one.domain for _, one in self.inputs if one.trained)

    def frozen(self, params: Mapping[str, Any]) -> WrittenDefinition:
        """Return what is pickled: itself, whose function has to be importable."""
        return self


def written(function: Callable[..., Examples] | None = None, **declared: Any) -> Any:
    """Make a loss of an algorithm: `@written(axis="row")` above a function of the data inputs, then
    `weight` (axis "row": one for each row, or None) or `lists` (axis "item"), then parameters.

    `declared` are `axis`, `optimum`, `cite`, `aliases`, `same_as`, as for `losskit.loss`.
    """
    from losskit.catalogue import made_of

    if function is None:
        return lambda f: written(f, **declared)
    return made_of(_define(function, **declared))


def _define(
    function: Callable[..., Examples],
    *,
    axis: str,
    optimum: str = "",
    cite: str = "",
    aliases: tuple[str, ...] = (),
    same_as: Mapping[str, float] | None = None,
) -> WrittenDefinition:
    name = function.__name__
    check_declared(name, aliases)
    inputs, parameters = signature_of(function, frame=("weight", "lists"))
    return WrittenDefinition(
        name, inspect.cleandoc(function.__doc__ or ""), task_of(function), function, axis,
        inputs, parameters, optimum, cite, tuple(aliases),
        tuple((same_as or {}).items()),
    )  # fmt: skip
