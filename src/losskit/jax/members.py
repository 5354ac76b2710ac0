"""What the inputs of a formula over an axis may hold, judged row by row while a program runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from losskit.arrays import sum_tolerance
from losskit.backends.jax_axes import Axis
from losskit.formula.inputs import Input
from losskit.jax.pointwise import inside
from losskit.links import Link
from losskit.rows.compute import RowForm

Array = Any


@dataclass(frozen=True)
class Member:
    """One input: what it holds, and if it is trained its link and scale."""

    one: Input
    link: Link | None
    raw: bool  # a score, also where the link is the identity
    excludes: bool  # −∞ leaves an element out
    tolerance: float  # of sums of probabilities

    def held(self, x: Array) -> Array:
        """Return `x` as the formula takes it: infinite scores that have a limit are huge."""
        if not self._limited:
            return x
        huge = float(jnp.finfo(x.dtype).max) / 4
        return jnp.where(jnp.isnan(x), x, jnp.clip(x, -math.inf if self._below else -huge, huge))

    def infinite(self, axis: Axis, x: Array) -> Array | None:
        """Return the rows whose value is a limit, None where there are none."""
        if not self._limited:
            return None
        return self._any(axis, x == math.inf if self._below else jnp.isinf(x))

    def good(self, axis: Axis, x: Array) -> Array:
        """Return the rows that can be scored."""
        good = ~self._any(axis, ~self._inside(x))
        summed = self.link is not None and not self.raw and self.link.name == "softmax"
        if (summed or (self.link is None and self.one.classes)) and self.one.rank == 2:
            good = good & (jnp.abs(axis.sum(x) - 1) <= self.tolerance)
        if self.one.falling:
            good = good & (x[..., 1:] <= x[..., :-1]).all(axis=-1)
        return good

    @property
    def _limited(self) -> bool:
        return self.link is not None and self.raw and (self.excludes or not self._plain)

    @property
    def _plain(self) -> bool:
        return self.link is not None and self.link.name == "identity"

    @property
    def _below(self) -> bool:
        return self.excludes and self.one.rank == 2

    def _inside(self, x: Array) -> Array:
        if self._limited:
            return ~jnp.isnan(x)
        if self.link is not None:
            return inside(self.one.domain if self._plain else self.link.domain, x)
        if self.one.classes == "hard" and self.one.rank == 2:
            return (x == 0) | (x == 1)
        return inside(self.one.domain, x)

    def _any(self, axis: Axis, wrong: Array) -> Array:
        return axis.any(wrong) if self.one.rank == 2 else wrong


def members_of(form: RowForm, dtype: Any) -> tuple[Member, ...]:
    """Return the inputs of a loss on one scale, for predictions of type `dtype`."""
    definition = form.definition
    links = dict(zip(definition.outputs, definition.links, strict=True))
    classes = any(one.classes for _, one in definition.inputs)
    tolerance = sum_tolerance(np.dtype(dtype))
    return tuple(
        Member(
            one,
            link := links.get(name),
            form.raw or (link is not None and link.name == "identity"),
            classes and link is not None and link.name != "logit",
            tolerance,
        )
        for name, one in definition.inputs
    )
