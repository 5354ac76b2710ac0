"""A formula over an axis as a JAX function that differentiates by losskit's rules.

The value's derivative is the gradient's text, and that of the gradient the text of a product of the
Hessian and a vector, and so on; JAX multiplies and adds them and transposes what is linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import and_, or_
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from losskit.backends.jax import compiled, source, transposable
from losskit.backends.jax_axes import Axis
from losskit.definition import copies
from losskit.formula.adjoint import along, gradients
from losskit.formula.expr import Expr, Trace, Unsupported
from losskit.jax.members import Member, members_of
from losskit.rows.compute import RowForm

Array = Any


@dataclass(frozen=True)
class Places:
    """Which row each element is of: of `columns` in every row, or of lists (see `Axis`)."""

    columns: int
    lists: int = 0

    def axis(self, arrays: tuple[Array, Array]) -> Axis:
        """Return the axis with its arrays: the ids and the validity of items, or None."""
        ids, valid = arrays
        return Axis(self.columns, ids, self.lists, valid)


@dataclass(frozen=True, eq=False)
class Rows:
    """A loss with its parameters over rows of one shape."""

    form: RowForm
    places: Places
    dtype: Any  # of the predictions
    clip: float
    empty: bool  # whether a row without a value counts as 0

    @property
    def weighted_loss(self) -> RowTerm:
        """The function (weight, counts, inputs, (), (ids, valid)) → w·ℓ, row by row.

        `weight` (rows) and `counts` (which rows count) may be None. What does not count, and what
        has weight 0, gives 0 whatever it holds; an invalid row gives NaN.
        """
        return RowTerm(self, self.form.graph.value)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """What each input may hold."""
        return members_of(self.form, self.dtype)

    @cached_property
    def arguments(self) -> tuple[Any, ...]:
        """The numbers that follow the inputs in generated functions."""
        made = self.form.arguments(self.places.columns, jnp.dtype(self.compute), self.clip)
        return tuple(x if isinstance(x, float) else x[0] for x in made)

    @property
    def compute(self) -> Any:
        """The type computed in."""
        return jnp.float32 if jnp.dtype(self.dtype).itemsize == 2 else self.dtype

    def variable(self, place: int) -> Expr:
        """Return the node of input number `place` that derivatives are taken by."""
        graph, number = self.form.graph, self._number_trained(place)
        if number is not None:
            return graph.outputs[number]
        return graph.value.trace.symbols[self.form.definition.symbols[place]]

    def slope(self, place: int) -> Expr:
        """Return the derivative of a row's value by input number `place`."""
        graph, number = self.form.graph, self._number_trained(place)
        if number is not None:
            return graph.gradient[number]
        try:
            return gradients(graph.value, [self.variable(place)])[0]
        except Unsupported as why:
            key = self.form.definition.inputs[place][0]
            raise Unsupported(
                f"{graph.name}: the derivative by {key} is not known: {why}"
            ) from None

    def _number_trained(self, place: int) -> int | None:
        trained = [i for i, member in enumerate(self.members) if member.one.trained]
        return trained.index(place) if place in trained else None


@dataclass(frozen=True, eq=False)
class RowTerm:
    """One node of a graph, times weights: a function that knows its derivatives.

    `directions` names the vectors that derivatives along them have brought in; `rank` says whether
    there is one result for a row (1) or for each element (2).
    """

    rows: Rows
    node: Expr
    rank: int = 1
    directions: tuple[str, ...] = ()
    _terms: dict[Any, RowTerm] = field(default_factory=dict, repr=False)

    def __call__(self, *arguments: Any) -> Array:
        """Return the node's values; see `Rows.weighted_loss` for the arguments."""
        return self._function(*arguments)

    @cached_property
    def _function(self) -> Callable[..., Array]:
        function = jax.custom_jvp(self._evaluated)

        def change(primals: Any, tangents: Any) -> tuple[Array, Array]:
            value = function(*primals)
            return value, sum(self._changes(primals, tangents), jnp.zeros_like(value))

        function.defjvp(change, symbolic_zeros=True)
        return function

    # --- derivatives

    def _changes(self, primals: Any, tangents: Any) -> list[Array]:
        """Return the changes of the result that those of weight, inputs and directions bring."""
        weight, counts, inputs, directions, arrays = primals
        by_weight, _, by_input, by_direction, _ = tangents
        axis = self.rows.places.axis(arrays)
        found = []
        if not (by_weight is None or isinstance(by_weight, SymbolicZero)):
            bare = self(None, counts, inputs, directions, arrays)
            found.append(bare * (axis.spread(by_weight) if self.rank == 2 else by_weight))
        for i, moved in enumerate(by_direction):
            if not isinstance(moved, SymbolicZero):
                others = (*directions[:i], moved, *directions[i + 1 :])
                found.append(self(weight, counts, inputs, others, arrays))
        moving = [i for i, moved in enumerate(by_input) if not isinstance(moved, SymbolicZero)]
        if self.node is self.rows.form.graph.value:
            for i in moving:
                change = self._slope(i)(weight, counts, inputs, (), arrays) * by_input[i]
                found.append(axis.sum(change) if self._rank_of(i) == 2 else change)
        elif moving:
            more = tuple(by_input[i] for i in moving)
            along_them = self._along(tuple(moving))
            found.append(along_them(weight, counts, inputs, (*directions, *more), arrays))
        return found

    def _slope(self, place: int) -> RowTerm:
        if place not in self._terms:
            node = self.rows.slope(place)
            self._terms[place] = RowTerm(self.rows, node, self._rank_of(place))
        return self._terms[place]

    def _along(self, places: tuple[int, ...]) -> RowTerm:
        """Return the change of this node along one new direction for each of these inputs."""
        if places not in self._terms:
            trace, order = self.node.trace, len(self.directions)
            names = tuple(f"_{order}_{i}" for i in places)
            ranks = {n: self._rank_of(i) for n, i in zip(names, places, strict=True)}
            trace.ranks = {**trace.ranks, **ranks}
            moves = [(self.rows.variable(i), trace.add("symbol", (), n))
                     for n, i in zip(names, places, strict=True)]  # fmt: skip
            node = along(self.node, dict(moves))
            directions = (*self.directions, *names)
            self._terms[places] = replace(self, node=node, directions=directions, _terms={})
        return self._terms[places]

    def _rank_of(self, place: int) -> int:
        return self.rows.members[place].one.rank

    # --- evaluation

    def _evaluated(
        self, weight: Array, counts: Array, inputs: Any, directions: Any, arrays: Any
    ) -> Array:
        rows, axis = self.rows, self.rows.places.axis(arrays)
        members = list(zip(rows.members, inputs, strict=True))
        # What does not count may hold NaN, which times the 0 of a transposed change is NaN.
        ranks = [self.node.trace.ranks[name] for name in self.directions]
        moves = [_only(axis, v, weight, counts, r) for v, r in zip(directions, ranks, strict=True)]
        held = [member.held(x) for member, x in members]
        result, *value = self._text(axis, *held, *rows.arguments, *moves)
        of_row, of_element = _shapes(rows, members)
        if self.node.rank == 1 < self.rank:
            result = axis.spread(jnp.broadcast_to(result, of_row))
        result = jnp.broadcast_to(result, of_element if self.rank == 2 else of_row)
        result = result.astype(rows.compute)
        if self.node is rows.form.graph.value:
            result = _with_limits(axis, result, members)
        spread = axis.spread if self.rank == 2 else lambda x: x
        if value:  # asked for, to see which rows have none
            result = jnp.where(spread(jnp.isnan(jnp.broadcast_to(value[0], of_row))), 0, result)
        good = reduce(and_, [member.good(axis, x) for member, x in members])
        result = jnp.where(spread(good), result, jnp.nan)
        if weight is not None:
            result = result * spread(weight)
        return _only(axis, result, weight, counts, self.rank)

    @cached_property
    def _text(self) -> Callable[..., Any]:
        graph = self.rows.form.graph
        nodes = [transposable(self.node, self.directions)]
        if self.rows.empty:
            nodes.append(graph.value)
        symbols = (*graph.symbols, *self.directions)
        ranks = {**graph.ranks, **{d: self.node.trace.ranks[d] for d in self.directions}}
        copied = copies(nodes, Trace(symbols, ranks))
        return compiled(source(graph.name, ("axis", *symbols), copied))


def _with_limits(axis: Axis, value: Array, members: list[tuple[Member, Array]]) -> Array:
    """Return the values of rows, infinite where a huge one stands for an infinite score."""
    found = [member.infinite(axis, x) for member, x in members]
    limits = [infinite for infinite in found if infinite is not None]
    if not limits:
        return value
    endless = reduce(or_, limits) & (jnp.abs(value) > float(jnp.finfo(value.dtype).max) ** 0.5)
    return jnp.where(endless, jnp.copysign(jnp.inf, value), value)


def _only(axis: Axis, x: Array, weight: Array, counts: Array, rank: int) -> Array:
    """Return `x` with 0 for rows and elements that do not count."""
    for live in (None if weight is None else weight != 0, counts):
        if live is not None:
            x = jnp.where(axis.spread(live) if rank == 2 else live, x, 0)
    return x if axis.valid is None or rank == 1 else jnp.where(axis.valid, x, 0)


def _shapes(rows: Rows, members: list[tuple[Member, Array]]) -> tuple[Any, Any]:
    """Return the shapes of what a row has once, and of what each element has."""
    wide = [x.shape for member, x in members if member.one.rank == 2]
    if rows.places.lists:
        return (rows.places.lists,), wide[0]
    return (wide[0][:-1] if wide else members[0][1].shape), (wide[0] if wide else None)
