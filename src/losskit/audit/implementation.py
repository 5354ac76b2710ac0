"""Anybody's loss function behind one interface: targets, predictions and options of losskit's."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.audit.frameworks import Framework, detect, framework
from losskit.interface import Loss

# What other libraries call losskit's options. "weight" means class weights to a loss over classes
# and sample weights to any other.
_SHARED = {"reduction": ("reduction",), "raw": ("raw", "from_logits")}
_OF_CLASSES = {
    **_SHARED,
    "label_smoothing": ("label_smoothing",),
    "ignore_index": ("ignore_index", "ignore_class"),
    "class_weight": ("class_weight", "weight"),
}
_OF_NUMBERS = {**_SHARED, "sample_weight": ("sample_weight", "weight")}

_TARGETS = {"y_true", "target", "targets", "label", "labels", "y", "t"}
_PREDICTIONS = {
    *("y_pred", "pred", "preds", "prediction", "predictions", "output", "outputs"),
    *("input", "inputs", "logits", "logit", "scores", "score", "f", "x"),
}


@dataclass(frozen=True, eq=False)
class Implementation:
    """A loss function of whatever library, called with losskit's order and names.

    `options` maps losskit's names of the options it has to its own; those in `at_construction` go
    to its class, the others to the call. `class_axis` is None where predictions have none.
    """

    name: str
    function: Callable[..., Any]
    framework: Framework
    true_first: bool
    class_axis: int | None
    raw: bool
    options: Mapping[str, str]
    at_construction: frozenset[str] = frozenset()
    own_gradient: Callable[..., Any] | None = None

    @property
    def differentiable(self) -> bool:
        """Whether there is a gradient to look at."""
        return self.own_gradient is not None or self.framework.pull_back is not None

    def value(self, y: Array, f: Array, dtype: str, options: Mapping[str, Any]) -> Array:
        """Return what the function returns, as float64."""
        with self._prepared(y, f, dtype) as (target, prediction):
            result = self._call(self.function, target, prediction, dtype, options)
            return self.framework.numbers(result)

    def gradient(
        self, y: Array, f: Array, dtype: str, options: Mapping[str, Any], upstream: Array
    ) -> Array:
        """Return the gradient by `f` of Σ upstream·value, in the shape of `f`."""
        with self._prepared(y, f, dtype) as (target, prediction):
            if self.own_gradient is not None:
                slope = self._call(self.own_gradient, target, prediction, dtype, options)
                found = self._move(self.framework.numbers(slope), back=True)
                return found * upstream.reshape(upstream.shape + (1,) * (f.ndim - upstream.ndim))
            if self.framework.pull_back is None:
                raise TypeError(f"{self.name} has no gradient: pass gradient=")
            slope = self.framework.pull_back(
                lambda x: self._call(self.function, target, x, dtype, options), prediction, upstream
            )
            return self._move(self.framework.numbers(slope), back=True)

    @contextmanager
    def _prepared(self, y: Array, f: Array, dtype: str) -> Iterator[tuple[Any, Any]]:
        """Make the arrays of a call in a context where a warning is no failure."""
        with warnings.catch_warnings(action="ignore"), self.framework.context():
            labels = y.dtype.kind in "iu"
            target = self._move(y) if y.ndim == f.ndim else y
            make = self.framework.array
            yield make(target, None if labels else dtype), make(self._move(f), dtype)

    def _move(self, array: Array, back: bool = False) -> Array:
        """Move the class axis from the end to where the function has it, or back."""
        if self.class_axis is None or array.ndim < 2:
            return array
        places = (self.class_axis, -1) if back else (-1, self.class_axis)
        return np.ascontiguousarray(np.moveaxis(array, *places))

    def _call(
        self, function: Callable[..., Any], y: Any, f: Any, dtype: str, options: Mapping[str, Any]
    ) -> Any:
        given = {"raw": self.raw, **options}
        theirs = {
            name: self.framework.array(given[ours], dtype)
            if isinstance(given[ours], np.ndarray)
            else given[ours]
            for ours, name in self.options.items()
            if ours in given
        }
        made = {name: theirs.pop(name) for name in self.at_construction & set(theirs)}
        if isinstance(function, type):
            function = function(**made)
        elif isinstance(function, partial) and isinstance(function.func, type):
            function = function(**made)
        return function(*((y, f) if self.true_first else (f, y)), **theirs)


def implementation(
    function: Callable[..., Any],
    *,
    over_classes: bool,
    library: str | None,
    order: str | None,
    class_axis: int | None,
    raw: bool,
    supports: Mapping[str, str | None],
    gradient: Callable[..., Any] | None,
    device: str | None,
) -> Implementation:
    """Return `function` as an `Implementation`, finding out what the caller did not say."""
    name = _name(function)
    spellings = _OF_CLASSES if over_classes else _OF_NUMBERS
    if unknown := set(supports) - set(spellings):
        raise ValueError(
            f"supports= has {sorted(unknown)[0]!r}; needed are some of {', '.join(spellings)}"
        )
    if isinstance(function, Loss):
        library, order = "numpy", "true_first"
        supports = {**_own_options(function, spellings), **supports}
        loss = function
        function, gradient = _own(loss), gradient or _own(loss, "gradient")
    inner = inspect.unwrap(function.func if isinstance(function, partial) else function)
    library = library or detect(inner)
    call, construction = _parameters(inner)
    known = [*call, *construction]
    found = {
        ours: next((theirs for theirs in names if theirs in known), None)
        for ours, names in spellings.items()
    }
    options = {ours: theirs for ours, theirs in {**found, **supports}.items() if theirs}
    axis = class_axis if class_axis is not None else 1 if library == "torch" else -1
    return Implementation(
        name,
        function,
        framework(library, device),
        _true_first(name, order, call),
        axis if over_classes else None,
        raw,
        options,
        frozenset(construction) & set(options.values()),
        gradient,
    )


def _name(function: Any) -> str:
    if isinstance(function, Loss):
        return repr(function)
    inner = function.func if isinstance(function, partial) else function
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    return f"{inner.__module__}.{inner.__qualname__}".replace(".<locals>", "")


def _parameters(function: Any) -> tuple[list[str], list[str]]:
    """Return the names of the parameters of a call, and of the construction of a class."""
    is_class = isinstance(function, type)
    kind = function if is_class else type(function)
    # A torch module's call hides the parameters of its forward.
    method = getattr(kind, "forward", kind.__call__) if is_class else function
    if not is_class and hasattr(kind, "forward"):
        method = function.forward
    call = _names(method)
    return (call[1:], _names(function)) if is_class else (call, [])


def _names(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a function of C's without a signature
        return []


def _true_first(name: str, order: str | None, parameters: list[str]) -> bool:
    if order not in (None, "true_first", "pred_first"):
        raise ValueError(f"order={order!r}; needed is 'true_first' or 'pred_first'")
    first = parameters[0] if parameters else ""
    if order is None and first not in _TARGETS | _PREDICTIONS:
        raise ValueError(
            f"cannot tell what the first argument of {name} is; pass order='true_first' or "
            "order='pred_first'"
        )
    return order == "true_first" if order else first in _TARGETS


def _own(loss: Loss, method: str = "__call__") -> Callable[..., Any]:
    """Return a method of one of losskit's losses with its parameters among the options."""

    def call(y_true: Any, y_pred: Any, **options: Any) -> Any:
        changed = {name: options.pop(name) for name in list(options) if name in loss.params}
        changed = {n: tuple(v) if isinstance(v, np.ndarray) else v for n, v in changed.items()}
        return getattr(loss(**changed), method)(y_true, y_pred, **options)

    return call


def _own_options(loss: Loss, spellings: Mapping[str, Any]) -> dict[str, str]:
    always = {"reduction", "raw", "sample_weight"}
    return {name: name for name in spellings if name in always or name in loss.params}
