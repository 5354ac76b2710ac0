"""Lists of items: rows of a matrix of which some items are masked, or flat items with a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from losskit.arrays import grouped, missing
from losskit.catalogue import get, names
from losskit.jax.inputs import Inputs, weights
from losskit.jax.rows import Places

Array = Any


def losses_of_lists() -> list[str]:
    """Return the names of the losses of lists that are formulas, which JAX functions are made of.

    >>> "list_net" in losses_of_lists(), "lambda_rank" in losses_of_lists()
    (True, False)
    """
    return [name for name in names("rows") if get(name).definition.axis == "item"]


def numbered(name: str, query: Any, lists: int | None) -> tuple[Any, int]:
    """Return the number of each item's list, and how many lists there are.

    With `lists` the query holds these numbers, as it has to where it is traced.
    """
    traced = isinstance(query, jax.core.Tracer)
    if lists is None and traced:
        raise TypeError(
            f"{name}: a traced query holds the numbers 0, 1, … of lists; say how many there are by "
            "num_lists="
        )
    if lists is None:
        names = np.asarray(query)
        nameless = np.argwhere(missing(names))
        if nameless.size:
            raise ValueError(
                f"{name}: query[{nameless[0][0]}] is missing; needed is the query of each item"
            )
        first, ids = grouped(f"{name}: query", names.reshape(-1))
        return ids.reshape(names.shape).astype(np.int32), len(first)
    if not isinstance(lists, (int, np.integer)) or isinstance(lists, bool) or lists < 1:
        raise TypeError(f"{name}: num_lists={lists!r}; needed is the number of lists, such as 3")
    query = query if isinstance(query, jax.Array) else np.asarray(query)
    if query.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: query has dtype {query.dtype}; with num_lists= needed are the numbers "
            "0, 1, … of lists (without it, and outside of jit, it may hold any names)"
        )
    if not traced:
        ids = np.asarray(query).reshape(-1)
        wrong = np.flatnonzero((ids < 0) | (ids >= lists))
        if wrong.size:
            raise ValueError(
                f"{name}: query[{wrong[0]}] = {ids[wrong[0]]}; with num_lists={lists} needed are "
                f"the numbers 0 … {lists - 1} of lists"
            )
    return query, int(lists)


def list_inputs(
    loss: Any, given: Mapping[str, Array], compute: Any, lists: int | None
) -> Inputs | None:
    """Return the inputs of a loss of lists, None where they do not fit."""
    data = [given[key].astype(compute) for key in loss.inputs]
    shape, query = data[0].shape, given.get("query")
    weighed = weights(given, shape, compute)
    if len({a.shape for a in data}) > 1 or weighed is None or len(shape) not in (1, 2):
        return None
    if query is None:
        if not shape[-1]:
            return None
        data = [jnp.atleast_2d(a) for a in data]
        weight, valid = (None if a is None else jnp.atleast_2d(a) for a in weighed)
        return _weighed(data, weight, valid, Places(shape[-1]), data[0].shape[:1], None)
    if query.shape != shape or len(shape) != 1 or lists is None:
        return None
    # What is in no list is shown in the first, where it is NaN, and not lost.
    known = (query >= 0) & (query < lists)
    data = [jnp.where(known, a, jnp.nan) for a in data]
    ids = jnp.where(known, query, 0).astype(jnp.int32)
    return _weighed(data, *weighed, Places(0, lists), (lists,), ids)


def _weighed(
    data: list[Any], weight: Any, valid: Any, places: Places, shape: tuple[int, ...], ids: Any
) -> Inputs:
    """Return lists with the weight that all of their items have; those without items count not."""
    if weight is not None:
        heaviest = places.axis((ids, valid)).max(jax.lax.stop_gradient(weight))
        # An item of weight 0 in a list of others is left out of it, as one that is masked.
        alone = (weight == 0) & (places.axis((ids, valid)).spread(heaviest) > 0)
        valid = ~alone if valid is None else valid & ~alone
    axis = places.axis((ids, valid))
    counts: Any = None
    if valid is not None or ids is not None:
        counts = jnp.broadcast_to(axis.count, shape) > 0
    if weight is not None:
        top, mean = axis.max(jax.lax.stop_gradient(weight)), axis.sum(weight) / axis.count
        alike = ~axis.any(weight != axis.spread(top))
        # Of a change of the list's weight each of its items has its share.
        weight = jnp.where(counts, top + (mean - jax.lax.stop_gradient(mean)), 0)
        weight = jnp.where(alike | ~counts, weight, jnp.nan)
    return Inputs(tuple(data), weight, counts, shape, places, (ids, valid))
