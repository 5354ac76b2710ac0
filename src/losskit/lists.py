"""Lists of unequal length, as of the items of queries: what ranking losses and metrics see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array, grouped, missing, weights


@dataclass(frozen=True, eq=False)
class Lists:
    """Where the items of each list are: flat data taken in `order` is list after list.

    Lists come in the order of their first item; items that are masked are in none, and neither are
    lists without an item. `places` says which of the lists that users see each is: of the rows of a
    matrix some may hold no item.
    """

    order: Array  # (items,) places in the flat data
    starts: Array  # (lists,) into `order`
    names: Array  # (lists,) the queries
    weight: Array | None  # (lists,)
    shape: tuple[int, ...]  # of the data
    places: Array  # (lists,) rising
    size: int  # number of lists that users see

    @property
    def lengths(self) -> Array:
        """Number of items of each list."""
        return np.diff(np.append(self.starts, len(self.order)))

    def take(self, array: Array) -> Array:
        """Return the items of an array of the data's shape, list after list."""
        return np.ascontiguousarray(array.reshape(-1)[self.order])

    def per_list(self, values: Array) -> Array:
        """Return an array (size,) from values of the lists, 0 for those without an item."""
        whole = np.zeros(self.size, values.dtype)
        whole[self.places] = values
        return whole

    def scatter(self, items: Array) -> Array:
        """Return an array of the data's shape from values of the items, 0 for masked ones."""
        whole = np.zeros(int(np.prod(self.shape, dtype=np.int64)), items.dtype)
        whole[self.order] = items
        return whole.reshape(self.shape)


def lists_of(name: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> Lists:
    """Return the lists of a call: groups of equal `query`, rows of a matrix, or all as one list.

    `sample_weight` has one number for each item, equal within a list, or one for each row of a
    matrix; `mask` one for each item. An item of weight 0 in a list of others is left out of it, as
    one that is masked.
    """
    query = options["query"]
    if len(shape) not in (1, 2):
        raise ValueError(
            f"{name}: data of shape {shape}; needed is (items,) with query=, or (lists, items)"
        )
    counted = weights(None, options["mask"], shape)
    if query is None:
        size, length = shape if len(shape) == 2 else (min(shape[0], 1), shape[0])
        items = np.arange(size * length) if counted is None else np.flatnonzero(counted)
        lengths = np.bincount(items // max(length, 1), minlength=size)
        places = names = np.flatnonzero(lengths)
        lengths, order = lengths[places], items
    else:
        query = np.asarray(query)
        if len(shape) != 1 or query.shape != shape:
            raise ValueError(
                f"{name}: query has shape {query.shape} and the data {shape}; needed are one axis "
                "and one query for each item"
            )
        items = np.arange(query.size) if counted is None else np.flatnonzero(counted)
        nameless = np.flatnonzero(missing(query[items]))
        if nameless.size:
            raise ValueError(
                f"{name}: query[{items[nameless[0]]}] is missing; needed is the query of each item"
            )
        first, list_of = grouped(f"{name}: query", query[items])
        names, order = query[items[first]], items[np.argsort(list_of, kind="stable")]
        lengths, places = np.bincount(list_of, minlength=len(first)), np.arange(len(first))
        size = len(first)
    starts = np.cumsum(lengths) - lengths
    of_all = weights(options["sample_weight"], None, shape)
    if of_all is None or not len(starts):
        return Lists(order, starts, names, None, shape, places, size)
    of_item = of_all[order]
    alone = (of_item == 0) & (np.repeat(np.maximum.reduceat(of_item, starts), lengths) > 0)
    if alone.any():
        counted = np.ones(of_all.size, bool) if counted is None else counted != 0
        counted[order[alone]] = False
        return lists_of(name, shape, {**options, "mask": counted.reshape(shape)})
    weight = _weight(name, of_item, starts, lengths, names)
    return Lists(order, starts, names, weight, shape, places, size)


def _weight(name: str, of_item: Array, starts: Array, lengths: Array, names: Array) -> Array:
    """Return the weight of each list, which all of its items have."""
    of_list = of_item[starts]
    first = np.repeat(of_list, lengths)
    differs = np.flatnonzero((of_item != first) & ~(np.isnan(of_item) & np.isnan(first)))
    if differs.size:
        query = names[np.searchsorted(starts, differs[0], side="right") - 1]
        raise ValueError(
            f"{name}: sample_weight differs within query {query}; a list has one weight, repeated "
            "for each of its items"
        )
    return of_list
