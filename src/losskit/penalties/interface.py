"""Penalties as values: what users and solvers call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from losskit.arrays import Array, numeric
from losskit.backends import suggest
from losskit.definition import Parameter
from losskit.formula.domain import NONNEGATIVE
from losskit.penalties import derived
from losskit.penalties.blocks import Blocks
from losskit.penalties.formulas import Definition, function


@dataclass(frozen=True, repr=False)
class Penalty:
    """What a model pays for its weights: change its parameters by calling it.

    Weights w are (d,), or (d, K) for K outputs; everything is computed in float64. `alpha` ≥ 0 is
    the strength. NaN and infinity are a ValueError that names the first.

    >>> from losskit.penalties import ElasticNet
    >>> ElasticNet(l1_ratio=0.25)
    losskit.penalties.ElasticNet(l1_ratio=0.25)
    >>> ElasticNet.value([1.0, -2.0], alpha=2.0)
    5.5
    """

    definition: Definition
    numbers: tuple[float, ...]
    groups: tuple[int | str, ...] | None = None

    def __post_init__(self) -> None:
        said = ", ".join(f"{name}={number!r}" for name, number in self.params.items()) or "none"
        object.__setattr__(self, "__doc__", f"{self.doc}\n\nParameters: {said}.")  # for help()

    def __call__(self, *numbers: float, **changes: float) -> Penalty:
        """Return the penalty with other parameters, given in order or by name."""
        symbols = self.definition.symbols
        if len(numbers) > len(symbols):
            has = f"({', '.join(symbols)})" if symbols else "none"
            raise TypeError(
                f"{self.name} was given {len(numbers)} parameters and has {has}; of weights call "
                f"{self.name}.value(w, alpha)"
            )
        given = dict(zip(symbols, numbers, strict=False))
        for name in given.keys() & changes.keys():
            raise TypeError(f"{self.name}: {name} is given twice")
        values = {**self.params, **given, **changes}
        return replace(self, numbers=self.definition.check(values))

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={number!r}" for name, number in self.params.items())
        home = "losskit.penalties." if self.definition.own else ""
        single = f"{home}{self.name}" + (f"({said})" if said else "")
        if self.groups is None:
            return single
        labels = repr(self.groups)
        if len(self.groups) > 20:
            labels = f"{labels[:40].rpartition(',')[0]}, … {len(self.groups)} in all)"
        if replace(self, groups=None) == _KNOWN["l1"]:
            return f"losskit.penalties.GroupLasso({labels})"
        return f"losskit.penalties.grouped({single}, {labels})"

    # --- what it says of itself

    @property
    def name(self) -> str:
        """Its name, that of the formula's function."""
        return self.definition.name

    @property
    def params(self) -> dict[str, float]:
        """Parameter values by name."""
        return dict(zip(self.definition.symbols, self.numbers, strict=True))

    @property
    def doc(self) -> str:
        """What it does, as its author wrote it."""
        return self.definition.doc

    @property
    def cite(self) -> str:
        """Where it comes from."""
        return self.definition.cite

    @property
    def separable(self) -> bool:
        """Whether it is a sum over single weights."""
        return self.groups is None

    @property
    def convex(self) -> bool:
        """Whether it is convex, found from its slopes on a grid from 1e-12 to 1e100."""
        return derived.is_convex(self.definition, self.numbers)

    @property
    def scaled(self) -> bool:
        """Whether its strength has an effect, as it has not on bounds."""
        return self.definition.scaled

    def elastic(self, alpha: float) -> tuple[float, float] | None:
        """Return (l1, l2) if the penalty is Σ l1·|w| + l2/2·w², else None."""
        if self.groups is not None or "l1" not in dict(self.definition.formulas):
            return None
        l1, l2 = function(self.definition, "strengths")(self._alpha(alpha), *self.numbers)
        return float(l1), float(l2)

    # --- the two formulas

    def value(self, w: Any, alpha: float) -> float:
        """Return what the weights cost, infinite where they are not allowed."""
        alpha, w = self._alpha(alpha), self._weights("w", w)
        with np.errstate(all="ignore"):
            sizes = w if self.groups is None else self._blocks(w).norms(w)
            (costs,) = function(self.definition, "value")(sizes, alpha, *self.numbers)
            return float(np.broadcast_to(costs, sizes.shape).sum())

    def prox(self, v: Any, step: Any, alpha: float) -> Array:
        """Return the w that make |w − v|²/(2·step) + value(w, alpha) least.

        They are the least everywhere, also where that sum has several dips. `step` > 0 is a number,
        or an array that broadcasts over v (of v's own number of axes) and is constant in a block.
        """
        alpha, v = self._alpha(alpha), self._weights("v", v)
        steps = self._steps(step, v)
        apply = function(self.definition, "prox")
        with np.errstate(all="ignore"):
            if self.groups is None:
                (made,) = apply(v, steps, alpha, *self.numbers)
                return np.array(np.broadcast_to(made, v.shape))
            blocks = self._blocks(v)
            norms = blocks.norms(v)
            if isinstance(steps, np.ndarray):
                steps = blocks.constant(self.name, "step", np.broadcast_to(steps, v.shape))
            (wanted,) = apply(norms, steps, alpha, *self.numbers)
            return blocks.scaled(v, norms, wanted)

    # --- what follows from them

    def conjugate(self, z: Any, alpha: float) -> float:
        """Return the largest z·w − value(w, alpha) over all w, which may be infinite."""
        alpha, z = self._alpha(alpha), self._weights("z", z)
        sizes = z if self.groups is None else self._blocks(z).norms(z)
        return derived.conjugate(self.definition, self.numbers, sizes, alpha)

    def distance(self, w: Any, g: Any, alpha: float) -> Array:
        """Return how far −g is from the slopes that the penalty has at w, of w's shape.

        It is 0 where w stays put as the slope of the mean loss is g: with −g a subgradient. Blocks
        give one distance for each block, (blocks,). Where w is not allowed it is infinite.
        """
        alpha, w, g = self._alpha(alpha), self._weights("w", w), self._weights("g", g)
        if w.shape != g.shape:
            raise ValueError(
                f"{self.name}: w has shape {w.shape} and g {g.shape}; needed are equal"
            )
        if self.groups is None:
            return derived.distance(self.definition, self.numbers, w, g, alpha)
        blocks = self._blocks(w)
        norms = blocks.norms(w)
        along = blocks.sums(blocks.scaled(w, norms, np.ones_like(norms)) * g)
        pull = np.where(norms > 0, along, blocks.norms(g))
        slopes = derived.nearest(self.definition, self.numbers, norms, -pull, alpha)
        rest = blocks.norms(g + blocks.scaled(w, norms, slopes))
        return np.where(norms > 0, rest, np.abs(pull + slopes))

    def alpha_max(self, g: Any) -> float:
        """Return the least alpha with which w = 0 stays put as the slope of the mean loss is g.

        It is exact: the float below does not do. Infinite where no strength keeps w at 0, as L2's.
        """
        g = self._weights("g", g)
        if self.groups is None:
            ends = np.array([g.min(), g.max()]) if g.size else np.zeros(0)
        else:
            ends = -self._blocks(g).norms(g)
        return derived.alpha_max(self.definition, self.numbers, ends)

    # --- what solvers need

    def blocks(self, d: int) -> Array:
        """Return the block that each of d weights belongs to, (d,), counted from 0."""
        if self.groups is None:
            return np.arange(d)
        self._check_length(d)
        return self._all_blocks.ids

    def at(self, columns: Any) -> Penalty:
        """Return the penalty of some of the weights, which are whole blocks."""
        if self.groups is None:
            return self
        return replace(self, groups=tuple(self.groups[i] for i in columns))

    def scalar(self, backend: str, wanted: str = "prox") -> str:
        """Return the text of a function of one number, for the inside of other generated code.

        `prox(v, step, alpha, *parameters)` or `value(w, alpha, *parameters)`, in plain Python after
        `import math` ("numba": straight-line, and compilable) or of arrays ("numpy", which returns
        a tuple of one). Of a penalty of blocks it is the function of a block's length.
        """
        return self.definition.text(backend, wanted)

    # --- reading arguments

    @cached_property
    def _all_blocks(self) -> Blocks:
        return Blocks.of(self.groups or ())

    def _blocks(self, w: Array) -> Blocks:
        self._check_length(w.shape[0])
        return self._all_blocks

    def _check_length(self, d: int) -> None:
        if self.groups is not None and len(self.groups) != d:
            raise ValueError(
                f"{self!r} has {len(self.groups)} group labels and there are {d} weights; needed "
                "is one label for each weight"
            )

    def _alpha(self, alpha: Any) -> float:
        return float(_ALPHA.check(self.name, alpha))

    def _weights(self, what: str, given: Any) -> Array:
        array = numeric(f"{self.name}: {what}", given).astype(np.float64, copy=False)
        if array.ndim not in (1, 2):
            raise ValueError(
                f"{self.name}: {what} has shape {array.shape}; needed is (d,), or (d, K) for K "
                "outputs"
            )
        finite = np.isfinite(array)
        if not finite.all():
            place = np.argwhere(~finite)[0].tolist()
            raise ValueError(
                f"{self.name}: {what}{place} = {array[tuple(place)]}; needed are finite numbers"
            )
        return array

    def _steps(self, step: Any, v: Array) -> Array | float:
        steps = numeric(f"{self.name}: step", step).astype(np.float64, copy=False)
        fits = steps.ndim in (0, v.ndim)
        if not fits or any(s not in (1, n) for s, n in zip(steps.shape, v.shape, strict=False)):
            raise ValueError(
                f"{self.name}: step has shape {steps.shape}; needed is a number, or an array that "
                f"broadcasts over v's {v.shape}"
            )
        usable = (steps > 0) & np.isfinite(steps)
        if not usable.all():
            place = np.argwhere(~usable)[0].tolist()
            raise ValueError(
                f"{self.name}: step{place or ''} = {steps[tuple(place)]}; needed is a finite "
                "number above 0"
            )
        return steps if steps.ndim else float(steps)


def grouped(penalty: Penalty, groups: Iterable[Any]) -> Penalty:
    """Return `penalty` applied to the length of each block of weights, instead of to each weight.

    `groups` has one label for each weight, a whole number or a string; equal labels make a block.
    All outputs (columns of w) of a block's weights belong to it. The penalty must charge w and −w
    alike. No factor stands for the size of a block: see the guide.

    >>> from losskit.penalties import MCP, grouped
    >>> grouped(MCP(gamma=2.0), [0, 0, 1]).value([3.0, 4.0, 0.0], alpha=1.0)
    1.0
    """
    if not isinstance(penalty, Penalty) or penalty.groups is not None:
        raise TypeError(f"grouped needs a penalty of single weights, not {penalty!r:.60}")
    if not derived.is_even(penalty.definition, penalty.numbers):
        raise ValueError(
            f"{penalty!r} does not charge w and -w alike, so it has no form for blocks"
        )
    given = groups.tolist() if isinstance(groups, np.ndarray) else groups
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"groups={given!r:.40}; needed is one label for each weight")
    labels = [x.item() if isinstance(x, np.generic) else x for x in given]
    for i, label in enumerate(labels):
        if type(label) not in (int, str) or type(label) is not type(labels[0]):
            raise TypeError(
                f"groups[{i}]={label!r:.40}; needed are whole numbers, or strings for all"
            )
    return replace(penalty, groups=tuple(labels))


def GroupLasso(groups: Iterable[Any]) -> Penalty:
    """Charges each block of weights its length, which sets whole blocks to 0 together.

    `groups` has one label for each weight: see `grouped`.

    >>> from losskit.penalties import GroupLasso
    >>> GroupLasso([0, 0, 1]).prox([3.0, 4.0, 0.5], step=1.0, alpha=1.0)
    array([2.4, 3.2, 0. ])
    """
    return grouped(_KNOWN["l1"], groups)


def get(penalty: Any, l1_ratio: float = 0.5) -> Penalty | None:
    """Return a penalty by name ("l1", "l2", "elasticnet", …), a penalty itself, or None for None.

    `l1_ratio` is used by "elasticnet" alone.
    """
    if penalty is None or isinstance(penalty, Penalty):
        return penalty
    if not isinstance(penalty, str):
        needed = "needed is a name, a losskit.penalties.Penalty or None"
        if callable(penalty):
            needed = f"call it with its arguments, or {needed}"
        raise TypeError(f"penalty={penalty!r:.60}; {needed}")
    if penalty == "grouplasso":
        raise ValueError(
            "penalty='grouplasso' needs its groups: penalty=losskit.penalties.GroupLasso(groups)"
        )
    if penalty not in _KNOWN:
        raise ValueError(
            f"there is no penalty called {penalty!r:.40}{suggest(penalty, _KNOWN)}; there are "
            f"{', '.join(_KNOWN)}"
        )
    return _KNOWN[penalty](l1_ratio=l1_ratio) if penalty == "elasticnet" else _KNOWN[penalty]


def names() -> list[str]:
    """Return the names that `get` knows."""
    return list(_KNOWN)


def enrol(penalty: Penalty) -> Penalty:
    """Make `penalty` known by its name if it is losskit's own, and return it."""
    if penalty.definition.own:
        _KNOWN[penalty.name.lower()] = penalty
    return penalty


_ALPHA = Parameter("alpha", 1.0, NONNEGATIVE)
_KNOWN: dict[str, Penalty] = {}
