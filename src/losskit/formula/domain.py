"""Sets of allowed numbers: of targets, of predictions and of parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any


@dataclass(frozen=True)
class Domain:
    """An interval, possibly open, possibly without one point, or a few allowed values."""

    lower: float = -math.inf
    upper: float = math.inf
    open_lower: bool = True
    open_upper: bool = True
    hole: float | None = None
    values: tuple[float, ...] = ()
    none: bool = False  # a parameter that may be left out

    def contains(self, x: Any) -> Any:
        """Say whether `x`, a number or an array of numbers, lies inside (NaN never does)."""
        if x is None:
            return self.none
        above = x > self.lower if self.open_lower else x >= self.lower
        below = x < self.upper if self.open_upper else x <= self.upper
        inside = above & below
        if self.hole is not None:
            inside = inside & (x != self.hole)
        if self.values:
            inside = inside & reduce(or_, (x == value for value in self.values))
        return inside

    def __str__(self) -> str:
        if self.values:
            return "{" + ", ".join(f"{v:g}" for v in self.values) + "}"
        if self == REAL:
            return "a finite number"
        left, right = "(" if self.open_lower else "[", ")" if self.open_upper else "]"
        text = f"{left}{self.lower:g}, {self.upper:g}{right}".replace("inf", "∞")
        return text + (f" without {self.hole:g}" if self.hole is not None else "")


REAL = Domain()
NONZERO = Domain(hole=0)
POSITIVE = Domain(lower=0)
NONNEGATIVE = Domain(lower=0, open_lower=False)
UNIT = Domain(0, 1, False, False)
BINARY = Domain(0, 1, False, False, values=(0, 1))
SIGN = Domain(-1, 1, False, False, values=(-1, 1))
ABOVE_MINUS_ONE = Domain(lower=-1)

Extended = Annotated[float, Domain(open_lower=False)]  # a number or −∞
Nonzero = Annotated[float, NONZERO]
Positive = Annotated[float, POSITIVE]
NonNegative = Annotated[float, NONNEGATIVE]
Probability = Annotated[float, Domain(0, 1)]
OptionalProbability = Annotated[float | None, Domain(0, 1, none=True)]
