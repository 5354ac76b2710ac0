"""Losses over an axis, and written ones, at several settings; and data drawn from their inputs.

What an input holds is what its marker says, so that a new loss needs no line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import losskit
from laws import cases
from losskit.formula.domain import Domain
from losskit.formula.inputs import Choice, Input, Integer, PerElement

Array = np.ndarray[Any, np.dtype[Any]]
COLUMNS = 4
_PER_ELEMENT = (0.5, 2.0, 1.0, 0.25)  # exact in float32
# One of each kind of target, axis and link: what is slow runs for these in every test run, and for
# the others in `make test-all`.
STRATUM = (
    "bpr", "categorical_focal", "cross_entropy", "ordinal", "softmax_ranking", "triplet", "tversky",
)  # fmt: skip
# Of rows: their parameters set class weights, which laws of their own try.
_OF_WEIGHTS = ("class_weight", "ignore_index")


def names(*kinds: str) -> list[str]:
    """Return the losses of these kinds, by default of both, by name."""
    return [name for kind in kinds or ("rows", "written") for name in losskit.names(kind)]


def stratified() -> list[Any]:
    """Return names of losses of rows as pytest parameters, those outside the stratum slow."""
    marks = {n: () if n in STRATUM else (pytest.mark.slow,) for n in names("rows")}
    return [pytest.param(n, marks=m) for n, m in marks.items()]


@cache
def settings(name: str) -> tuple[losskit.Loss, ...]:
    """Return the loss `name` at its defaults, then with one parameter changed at a time."""
    loss = losskit.get(name)
    found = [loss]
    for parameter in loss.definition.parameters:
        if parameter.name not in _OF_WEIGHTS:
            found += [loss(**{parameter.name: v}) for v in _values(parameter.domain)]
    return tuple(dict.fromkeys(found))


def every_setting(*kinds: str) -> list[losskit.Loss]:
    """Return every loss of these kinds at every setting."""
    return [loss for name in names(*kinds) for loss in settings(name)]


def _values(domain: Any) -> tuple[Any, ...]:
    if isinstance(domain, Choice):
        return domain.values
    if isinstance(domain, Integer):
        return (3, *([None] if domain.none else []))
    if isinstance(domain, PerElement):
        several = _PER_ELEMENT
        return (several, 0.5, *([None] if domain.domain.none else []))
    numbers = map(cases.exact, cases.generated(domain))  # one truth for both dtypes
    return (*numbers, *([None] if domain.none else []))


def target_of(loss: losskit.Loss) -> Input | None:
    """Return what the first input that is not trained holds."""
    return next((one for _, one in loss.definition.inputs if not one.trained), None)


def class_input(loss: losskit.Loss) -> Input | None:
    """Return what the input that names a class holds, if there is one."""
    found = (one for _, one in loss.definition.inputs if one.classes not in ("", "key"))
    return next(found, None)


def mixed(loss: losskit.Loss) -> bool:
    """Say whether its target may be class probabilities."""
    one = class_input(loss)
    return one is not None and one.classes == "soft"


def of_classes(loss: losskit.Loss) -> bool:
    """Say whether class weights and an ignored index apply."""
    return "class_weight" in loss.params


def by_softmax(loss: losskit.Loss) -> bool:
    """Say whether its trained input becomes class probabilities."""
    return any(link.name == "softmax" for link in loss.definition.links)


def has_levels(loss: losskit.Loss) -> bool:
    """Say whether its classes have an order."""
    return any(one.classes == "level" for _, one in loss.definition.inputs)


def ragged(loss: losskit.Loss) -> bool:
    """Say whether its examples are lists of items, grouped by query."""
    return loss.definition.axis == "item"


def ops(loss: losskit.Loss) -> set[str]:
    """Return the operations of its formula."""
    from losskit.formula.expr import reachable

    return {node.op for node in reachable([loss.form(raw=True).graph.value])}


# --- data --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Arguments of a loss: rows, or items with the query that each belongs to."""

    loss: losskit.Loss
    arrays: tuple[Array, ...]
    query: Array | None = None

    @property
    def groups(self) -> list[Any]:
        """The queries in order of their first item."""
        return list(dict.fromkeys([] if self.query is None else self.query.tolist()))

    @property
    def size(self) -> int:
        """Number of rows or lists."""
        return len(self.arrays[0]) if self.query is None else len(self.groups)

    @property
    def kinds(self) -> tuple[Input, ...]:
        """What each array holds."""
        return tuple(one for _, one in self.loss.definition.inputs)

    @property
    def trained(self) -> list[int]:
        """Places of the arrays that gradients are taken by."""
        return [i for i, one in enumerate(self.kinds) if one.trained]

    def call(self, method: str = "__call__", *more: Any, **options: Any) -> Any:
        """Return what a method of the loss gives on raw scores."""
        if self.query is not None:
            options = {"query": self.query, **options}
        return getattr(self.loss, method)(*self.arrays, *more, **{"raw": True, **options})

    def derivatives(self, method: str = "gradient", *more: Any, **options: Any) -> list[Array]:
        """Return a method's arrays, as a list even where one input is trained."""
        made = self.call(method, *more, **options)
        return list(made) if isinstance(made, tuple) else [made]

    def places(self, rows: Any) -> Array:
        """Return where in the arrays these rows, or the items of these lists, are."""
        if self.query is None:
            return np.arange(len(self.arrays[0]))[rows]
        names = np.array(self.groups, object)[rows]
        found = [np.flatnonzero(self.query == name) for name in np.atleast_1d(names)]
        return np.concatenate([np.zeros(0, int), *found])

    def take(self, rows: Any) -> Data:
        """Return some of the rows or lists, possibly more than once."""
        if self.query is None:
            return replace(self, arrays=tuple(a[rows] for a in self.arrays))
        chosen = np.atleast_1d(np.arange(self.size)[rows])
        parts = [self.places([i]) for i in chosen]
        query = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
        where = np.concatenate(parts) if parts else np.zeros(0, int)
        return replace(self, arrays=tuple(a[where] for a in self.arrays), query=query)

    def with_(self, place: int, array: Array) -> Data:
        """Return the same with another array."""
        arrays = tuple(array if i == place else a for i, a in enumerate(self.arrays))
        return replace(self, arrays=arrays)

    def each_trained(self, change: Callable[[Array], Array]) -> Data:
        """Return the same with the trained arrays changed, what has to decrease being sorted."""
        return replace(self, arrays=tuple(
            _falling(self.loss, change(a)) if one.trained else a
            for a, one in zip(self.arrays, self.kinds, strict=True)
        ))  # fmt: skip

    def of(self, loss: losskit.Loss) -> Data:
        """Return the same data for another loss."""
        return replace(self, loss=loss)

    def row(self, i: int) -> list[Any]:
        """Return one row's inputs as the oracle takes them."""
        where = self.places([i])
        return [_plain(a[where] if self.query is not None else a[where[0]]) for a in self.arrays]

    def weights_of(self, rows: Array) -> Array:
        """Return weights of rows as the call takes them: lists repeat theirs for each item."""
        if self.query is None:
            return rows
        return rows[[self.groups.index(name) for name in self.query.tolist()]]


def _falling(loss: losskit.Loss, a: Array) -> Array:
    """Sort the chances of exceeding ever higher levels, which cannot grow."""
    return -np.sort(-a, axis=-1) if has_levels(loss) else a


def _plain(x: Any) -> Any:
    made = x.tolist()
    return int(made) if isinstance(made, (int, bool)) else made


def draw(
    loss: losskit.Loss,
    rows: int = 12,
    columns: int = COLUMNS,
    *,
    seed: int = 0,
    size: float = 1.5,
    soft: bool | None = None,
    dtype: Any = np.float64,
) -> Data:
    """Return valid data: `soft` asks for class probabilities, its default mixes what may be."""
    rng = np.random.default_rng(seed)
    query = None
    if ragged(loss):
        lengths = rng.integers(2, columns + 2, rows)
        query = np.repeat(np.arange(rows), lengths)[rng.permutation(lengths.sum())]
        columns = 0
    count = rows if query is None else len(query)
    made = []
    for _, one in loss.definition.inputs:
        array = _one(one, rng, count, columns, size, bool(soft))
        if query is not None and not one.trained:
            array = _with_relevant(array, query)
        made.append(array.astype(dtype) if one.trained else array)
    if query is not None:
        query = np.array([f"q{j}" for j in query])
    return Data(loss, tuple(made), query).each_trained(lambda a: a)


def _one(
    one: Input, rng: np.random.Generator, n: int, columns: int, size: float, soft: bool
) -> Array:
    shape: tuple[int, ...] = (n, columns) if one.rank == 2 and columns else (n,)
    if one.trained:
        return np.float32(rng.normal(0, size, shape)).astype(float)
    if one.classes == "key":
        return rng.integers(0, max(2, n // 3), n)
    if one.classes:
        if soft and one.classes == "soft" and columns:
            weights = rng.integers(0, 4, shape) + np.eye(columns)[rng.integers(0, columns, n)]
            return weights / weights.sum(axis=1, keepdims=True)
        if not columns:
            return rng.integers(0, 2, n)
        return rng.integers(0, columns + (one.classes == "level"), n)
    return _numbers(one.domain, rng, shape)


def _numbers(domain: Domain, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    if domain.values:
        return rng.choice(domain.values, shape).astype(float)
    if domain.upper == 1:
        return rng.choice([0.0, 1.0, 1.0, 0.25], shape)
    if domain.lower >= 0:
        return rng.integers(0, 4, shape).astype(float)
    return np.float32(rng.normal(0, 1.5, shape)).astype(float)


def _with_relevant(array: Array, query: Array) -> Array:
    """Return targets of items of which each list has a relevant and an irrelevant one."""
    array = array.copy()
    for name in np.unique(query):
        places = np.flatnonzero(query == name)
        array[places[0]], array[places[-1]] = 1, 0
    return array


def probabilities(data: Data) -> Data:
    """Return the same data with predictions instead of raw scores."""
    links = data.loss.definition.links
    arrays = list(data.arrays)
    for place, link in zip(data.trained, links, strict=True):
        f = arrays[place]
        if link.name == "softmax":
            e = np.exp(f - f.max(axis=-1, keepdims=True))
            arrays[place] = e / e.sum(axis=-1, keepdims=True)
        elif link.name == "logit":
            arrays[place] = 1 / (1 + np.exp(-f))
        elif link.name == "log":
            arrays[place] = np.exp(f)
    return replace(data, arrays=tuple(arrays))


def spoiled(data: Data, rows: Iterable[int]) -> Data:
    """Return the same with NaN, or a class that does not exist, in these rows or lists."""
    where = data.places(list(rows))
    made = []
    for one, a in zip(data.kinds, data.arrays, strict=True):
        bad = a.copy()
        if a.dtype.kind == "f":
            bad[where] = np.nan
        elif one.classes and one.classes != "key":
            bad[where] = 10**6
        made.append(bad)
    return replace(data, arrays=tuple(made))
