"""JAX differentiates the generated text of losses over an axis: a second opinion on our rules.

Run as `python -m laws.rows_jax` it writes what differs, by loss: JAX's settings and threads belong
to a whole process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import losskit
from laws import rows_cases
from laws.rows_cases import Data, draw
from laws.rows_derivatives import exists

_CLOSE = 1e-9


class JaxAxis:
    """What the axis of a formula is in JAX, by its own functions or plain definitions."""

    def __init__(self, columns: int, ids: Any = None) -> None:
        import jax

        self.jax, self.np, self.columns = jax, jax.numpy, columns
        self.ids = ids
        self.rows = None if ids is None else int(ids.max()) + 1

    @property
    def count(self) -> Any:
        """Number of elements of a row."""
        return self.np.array([self.columns]) if self.columns else self.np.bincount(self.ids)

    @property
    def position(self) -> Any:
        """Place of each element in its row."""
        if self.columns:
            return self.np.arange(self.columns)
        starts = np.searchsorted(self.ids, np.arange(self.rows))
        return self.np.arange(len(self.ids)) - starts[self.ids]

    def spread(self, x: Any) -> Any:
        """Repeat what a row has once along it."""
        return x[:, None] if self.columns else x[self.ids]

    def sum(self, x: Any) -> Any:
        """Add up each row."""
        if self.columns:
            return x.sum(axis=1)
        return self.jax.ops.segment_sum(x, self.ids, self.rows)

    def max(self, x: Any) -> Any:
        """Return the largest of each row."""
        if self.columns:
            return x.max(axis=1)
        return self.jax.ops.segment_max(x, self.ids, self.rows)

    def norm(self, x: Any) -> Any:
        """Return the length, whose slope at 0 is 0."""
        squares = self.sum(x * x)
        some = squares > 0
        return self.np.where(some, self.np.sqrt(self.np.where(some, squares, 1)), 0)

    def logsumexp(self, x: Any) -> Any:
        """Return log Σ eˣ."""
        top = self.jax.lax.stop_gradient(self.max(x))
        return top + self.np.log(self.sum(self.np.exp(x - self.spread(top))))

    def surprise(self, x: Any) -> Any:
        """Return −log softmax(x)."""
        return self.spread(self.logsumexp(x)) - x

    def softmax(self, x: Any) -> Any:
        """Return eˣ/Σeˣ."""
        return self.np.exp(-self.surprise(x))

    def softmax_rest(self, x: Any) -> Any:
        """Return 1 − softmax(x)."""
        return 1 - self.softmax(x)

    def uniform(self, x: Any) -> Any:
        """Return 1/count."""
        return self.np.ones_like(x) / self.spread(self.count)

    def max_share(self, x: Any) -> Any:
        """Return 1 at the maximum, divided among those that tie."""
        top = (x == self.spread(self.max(x))) * 1.0
        return top / self.spread(self.sum(top))

    def sparsemax(self, x: Any) -> Any:
        """Return the nearest point of the simplex."""
        ordered = -self.np.sort(-x, axis=1)
        excess = self.np.cumsum(ordered, axis=1) - 1
        k = self.np.arange(1, self.columns + 1)
        last = (ordered * k > excess).sum(axis=1) - 1
        threshold = self.np.take_along_axis(excess, last[:, None], axis=1) / (last + 1)[:, None]
        return self.np.maximum(x - threshold, 0)

    def sparsemax_surprise(self, x: Any) -> Any:
        """Return max of p·x − |p|²/2 over the simplex, − x + 1/2."""
        p = self.sparsemax(x)
        return self.spread(self.sum(p * x - p * p / 2)) - x + 0.5

    def entropy(self, x: Any) -> Any:
        """Return −Σ p·log p."""
        return self.sum(self.softmax(x) * self.surprise(x))


def differences(loss: losskit.Loss) -> Iterator[str]:
    """Yield where value, gradient or Hessian–vector product differ from JAX's."""
    import jax

    for seed, soft in ((11, False), (12, True)):
        data = draw(loss, 9, seed=seed, soft=soft)
        function, f = _in_jax(data)
        yield from _unlike("value", function(f), [data.call(reduction="none")])
        slope = jax.grad(lambda x, g=function: g(x)[0].sum())
        mine = _ordered(data, data.derivatives(reduction="none"))
        yield from _unlike("gradient", slope(f), mine)
        if exists(loss, "product"):
            rng = np.random.default_rng(seed)
            v = [rng.normal(size=data.arrays[i].shape) for i in data.trained]
            product = jax.jvp(slope, (f,), (tuple(map(jax.numpy.asarray, _ordered(data, v))),))[1]
            mine = data.derivatives(
                "hessian_vector_product", tuple(v) if len(v) > 1 else v[0], reduction="none"
            )
            yield from _unlike("product", product, _ordered(data, mine))


def _in_jax(data: Data) -> tuple[Any, tuple[Any, ...]]:
    """Return the loss as JAX's function of its trained inputs, and these."""
    import jax.numpy as jnp

    form = data.loss.form(raw=True)
    space: dict[str, Any] = {"np": jnp}
    exec(form.source(("value",)), space)
    text = space[form.graph.name]
    arrays = list(_ordered(data, data.arrays))
    columns, ids = 0, None
    if data.query is None:
        columns = next((a.shape[1] for a in (arrays[i] for i in data.trained) if a.ndim == 2), 1)
    else:
        ids = np.repeat(np.arange(data.size), [len(data.places([i])) for i in range(data.size)])
    for i, one in enumerate(data.kinds):
        if one.classes and one.rank == 2 and arrays[i].ndim == 1 and columns:
            arrays[i] = np.eye(columns)[arrays[i]]
        arrays[i] = arrays[i].astype(float)
    more = form.arguments(columns, np.dtype(float), 0.0)
    axis = JaxAxis(columns, ids)

    def function(f: tuple[Any, ...]) -> tuple[Any, ...]:
        given: list[Any] = list(map(jnp.asarray, arrays))
        for place, one in zip(data.trained, f, strict=True):
            given[place] = one
        return text(axis, *given, *more)

    return function, tuple(jnp.asarray(arrays[i]) for i in data.trained)


def _ordered(data: Data, arrays: Any) -> Any:
    """Return items list after list; rows as they are."""
    order = slice(None) if data.query is None else data.places(range(data.size))
    return tuple(a[order] for a in arrays)


def _unlike(name: str, theirs: Any, mine: Any) -> Iterator[str]:
    for a, b in zip(theirs, mine, strict=True):
        a = np.broadcast_to(np.asarray(a), np.shape(b))
        wrong = ~(abs(a - b) <= _CLOSE * (1 + abs(b)))
        if wrong.any():
            i = tuple(int(x) for x in np.argwhere(wrong)[0])
            yield f"{name}{list(i)} is {b[i]!r}, by JAX {float(a[i])!r} ({wrong.sum()} differ)"


def main(names: list[str]) -> dict[str, list[str]]:
    """Return what differs for each loss at its defaults, or without names for every setting."""
    import jax

    jax.config.update("jax_enable_x64", True)
    losses = map(losskit.get, names) if names else rows_cases.every_setting("rows")
    return {repr(loss): _told(loss) for loss in losses}


def _told(loss: losskit.Loss) -> list[str]:
    try:
        return list(differences(loss))
    except Exception as error:  # an operation that is missing above, say
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    json.dump(main(sys.argv[1:]), sys.stdout)
