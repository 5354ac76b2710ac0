"""Lists of unequal length, as of the items of queries: what ranking losses and metrics see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.arrays import Array, spread, weights


@dataclass(frozen=True, eq=False)
class Lists:
    """Where the items of each list are: flat data taken in `order` is list after list.

    Lists come in the order of their first item; items that are masked are in none, and neither are
    lists without an item.
    """

    order: Array  # (items,) places in the flat data
    starts: Array  # (lists,) into `order`
    names: Array  # (lists,) the queries
    weight: Array | None  # (lists,)
    shape: tuple[int, ...]  # of the data

    @property
    def lengths(self) -> Array:
        """Number of items of each list."""
        return np.diff(np.append(self.starts, len(self.order)))

    def take(self, array: Array) -> Array:
        """Return the items of an array of the data's shape, list after list."""
        return np.ascontiguousarray(array.reshape(-1)[self.order])

    def scatter(self, items: Array) -> Array:
        """Return an array of the data's shape from values of the items, 0 for masked ones."""
        whole = np.zeros(int(np.prod(self.shape, dtype=np.int64)), items.dtype)
        whole[self.order] = items
        return whole.reshape(self.shape)


def lists_of(name: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> Lists:
    """Return the lists of a call: groups of equal `query`, rows of a matrix, or all as one list.

    `sample_weight` has one number for each item, equal within a list, or one for each row of a
    matrix; `mask` one for each item.
    """
    query, mask = options["query"], options["mask"]
    if len(shape) not in (1, 2):
        raise ValueError(
            f"{name}: data of shape {shape}; needed is (items,) with query=, or (lists, items)"
        )
    if query is not None:
        query = np.asarray(query)
        if len(shape) != 1 or query.shape != shape:
            raise ValueError(
                f"{name}: query has shape {query.shape} and the data {shape}; needed are one axis "
                "and one query for each item"
            )
        if query.dtype.kind == "f" and np.isnan(query).any():
            place = int(np.flatnonzero(np.isnan(query))[0])
            raise ValueError(f"{name}: query[{place}] is NaN; needed is the query of each item")
    elif len(shape) == 2:
        query = np.repeat(np.arange(shape[0]), shape[1])
    else:
        query = np.zeros(shape, np.int64)
    counted = weights(None, mask, shape)
    counts = np.arange(query.size) if counted is None else np.flatnonzero(counted)
    names, first, inverse = np.unique(query[counts], return_index=True, return_inverse=True)
    appearance = np.argsort(first, kind="stable")
    rank = np.empty(len(names), np.int64)
    rank[appearance] = np.arange(len(names))
    of_item = rank[inverse.reshape(-1)]
    order = counts[np.argsort(of_item, kind="stable")]
    lengths = np.bincount(of_item, minlength=len(names))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(names) else np.empty(0, np.int64)
    weight = _weight(name, options["sample_weight"], shape, order, starts, names[appearance])
    return Lists(order, starts, names[appearance], weight, shape)


def _weight(
    name: str, given: Any, shape: tuple[int, ...], order: Array, starts: Array, names: Array
) -> Array | None:
    if given is None:
        return None
    of_item = spread("sample_weight", np.asarray(given, np.float64), shape)[order]
    of_list = of_item[starts] if len(starts) else of_item
    lengths = np.diff(np.append(starts, len(order)))
    differs = np.flatnonzero(~(of_item == np.repeat(of_list, lengths)))
    if differs.size and not np.isnan(of_item[differs[0]]):
        query = names[np.searchsorted(starts, differs[0], side="right") - 1]
        raise ValueError(
            f"{name}: sample_weight differs within query {query}; a list has one weight, repeated "
            "for each of its items"
        )
    return of_list
