"""One loss at several values of a parameter, side by side: `losskit.quantile(q=(.1, .5, .9))`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from losskit.arrays import Array, numeric
from losskit.backends import through


@dataclass(frozen=True, repr=False)
class Several:
    """Several members of a family of losses, each with a column of predictions of one target.

    Made by giving a loss a tuple where it takes a number. Called on targets (n,) and predictions
    (n, members) it is the mean of the members' losses; derivatives have the predictions' shape.
    Call options are those of a loss.

    >>> import losskit
    >>> band = losskit.quantile(q=(0.1, 0.9))
    >>> band
    losskit.quantile(q=(0.1, 0.9))
    >>> round(band([3.0], [[1.0, 4.0]]), 6), band.gradient([3.0], [[1.0, 4.0]]).round(6).tolist()
    (0.15, [[-0.05, 0.05]])
    """

    parameter: str
    members: tuple[Any, ...]

    kind = "several"

    @property
    def name(self) -> str:
        """The name of the members' loss."""
        return str(self.members[0].name)

    @property
    def params(self) -> dict[str, Any]:
        """Parameter values by name; that of `parameter` is the tuple of the members' values."""
        values = tuple(m.params[self.parameter] for m in self.members)
        return {**self.members[0].params, self.parameter: values}

    def __repr__(self) -> str:
        head = repr(self.members[0]).partition("(")[0]
        defaults = {p.name: p.default for p in self.members[0].definition.parameters}
        said = [f"{k}={v!r}" for k, v in self.params.items() if v != defaults[k]]
        return f"{head}({', '.join(said)})"

    def __call__(self, *data: Any, **options: Any) -> Any:
        """With data `(y_true, y_pred)`, return the mean of the members' losses; without, the same
        losses with other parameters.
        """
        if not data:
            return self.members[0](**{**self.params, **options})
        return self._run("__call__", data, options)

    def gradient(self, *data: Any, **options: Any) -> Any:
        """Return the derivative by `y_pred` (n, members) of what the same call returns."""
        return self._run("gradient", data, options)

    def value_and_gradient(self, *data: Any, **options: Any) -> Any:
        """Return what a call returns and its derivative by `y_pred`."""
        return self._run("value_and_gradient", data, options)

    def hessian(self, *data: Any, **options: Any) -> Any:
        """Return the second derivative, by each element of `y_pred`, of what a call returns."""
        return self._run("hessian", data, options)

    def gradient_and_hessian(self, *data: Any, **options: Any) -> Any:
        """Return first and second derivative from one pass."""
        return self._run("gradient_and_hessian", data, options)

    def optimal_constant(self, y_true: Any, sample_weight: Any = None, *, raw: bool = False) -> Any:
        """Return each member's constant prediction with the least mean loss, (members,)."""
        found = [m.optimal_constant(y_true, sample_weight, raw=raw) for m in self.members]
        return np.array(found)

    def start_score(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return each member's raw score to start training from, (members,)."""
        return np.array([m.start_score(y_true, sample_weight) for m in self.members])

    def to(self, backend: str, **options: Any) -> Any:
        """Return these losses as functions of "numpy" or "numba", as one loss for "keras", or as an
        objective for "xgboost", "lightgbm", "catboost".
        """
        return through(backend, "to", self, **options)

    def infimum(self, y_true: Any) -> Any:
        """Return, for each target, the mean of the members' greatest lower bounds."""
        return sum(m.infimum(y_true) for m in self.members) / len(self.members)

    def ordered(self, y_true: Any) -> tuple[int, ...] | None:
        """Return the order in which the members' best predictions rise, None if there is none.

        They do where the slope of each at every target and prediction is at least that of the
        next: then so is the slope of any mean, and minimisers of convex losses follow. Judged
        among the targets given, and at predictions between and beside them.
        """
        y = np.unique(np.asarray(y_true, dtype=np.float64))
        if y.size > 32:
            y = np.quantile(y, np.linspace(0, 1, 32))
        between = np.concatenate([y - 1, y, (y[1:] + y[:-1]) / 2, y + 1])
        at = np.tile(between, y.size)
        targets = np.repeat(y, between.size)
        slopes = [m.gradient(targets, at, raw=True, reduction="none") for m in self.members]
        order = sorted(range(len(slopes)), key=lambda i: -float(np.sum(slopes[i])))
        falls = all((slopes[i] >= slopes[j]).all() for i, j in pairwise(order))
        return tuple(order) if falls else None

    def _run(self, method: str, data: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        if len(data) != 2:
            raise TypeError(f"{self!r} takes data as (y_true, y_pred), not {len(data)} of them")
        for name in ("out", "value_out"):
            if name in options:
                raise TypeError(f"{self!r} takes no {name}=")
        y_true, y_pred = data
        f, k = numeric("y_pred", y_pred), len(self.members)
        if f.ndim != np.ndim(y_true) + 1 or f.shape[-1] != k:
            raise ValueError(
                f"{self!r}: y_pred has shape {f.shape} and y_true {np.shape(y_true)}; needed is a "
                f"last axis more, with a column for each of the {k} values of {self.parameter}"
            )
        made = [
            getattr(m, method)(y_true, np.asarray(f[..., i], order="C"), **options)
            for i, m in enumerate(self.members)
        ]
        if method == "__call__":
            return _mean(made)
        if method == "value_and_gradient":
            return _mean([v for v, _ in made]), _stacked([g for _, g in made])
        if method == "gradient_and_hessian":
            return _stacked([g for g, _ in made]), _stacked([h for _, h in made])
        return _stacked(made)


def wide(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are given several values: a tuple or list of two or more."""
    return {n: v for n, v in changes.items() if isinstance(v, tuple | list) and len(v) > 1}


def several(loss: Any, changes: Mapping[str, Any]) -> Several:
    """Return the losses that `loss` is with a tuple for one of its parameters."""
    given = wide(changes)
    if len(given) > 1:
        raise ValueError(
            f"{loss.name}: {' and '.join(given)} are given several values each; give them to one "
            "parameter"
        )
    ((name, values),) = given.items()
    if len(loss.outputs) > 1:
        raise ValueError(f"{loss.name} has several outputs; {name} takes one value")
    return Several(name, tuple(loss(**{**changes, name: value}) for value in values))


def _mean(values: Sequence[Any]) -> Any:
    return sum(values) / len(values)


def _stacked(parts: Sequence[Array]) -> Array:
    return np.stack(parts, axis=-1) / len(parts)
