"""What the arguments of a formula hold: data along an axis, and parameters that are no number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any

from losskit.formula.domain import BINARY, NONNEGATIVE, POSITIVE, REAL, SIGN, UNIT, Domain


@dataclass(frozen=True)
class Choice:
    """One of a few values that decide how a formula is traced: names, or True and False."""

    values: tuple[Any, ...]

    def read(self, name: str, value: Any) -> Any:
        """Return `value`, or raise ValueError if it is none of the choices."""
        if not any(value is v or (value == v and isinstance(value, str)) for v in self.values):
            raise ValueError(f"{name}={value!r:.40}; needed is one of {str(self.values)[1:-1]}")
        return value


@dataclass(frozen=True)
class Integer:
    """A whole number, or None where `none`."""

    lower: float = -math.inf
    none: bool = False

    def read(self, name: str, value: Any) -> int | None:
        """Return `value` as an int, or raise ValueError."""
        if value is None and self.none:
            return None
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < self.lower:
            least = f" of at least {self.lower:g}" if math.isfinite(self.lower) else ""
            raise ValueError(f"{name}={value!r:.40}; needed is a whole number{least}")
        return int(value)


@dataclass(frozen=True)
class PerElement:
    """One number for every element of the axis, or a sequence of one for each of them."""

    domain: Domain

    def read(self, name: str, value: Any) -> float | tuple[float, ...] | None:
        """Return a float or a tuple of floats, or raise ValueError."""
        if value is None and self.domain.none:
            return None
        single = isinstance(value, Real) and not isinstance(value, bool)
        if hasattr(value, "index") and hasattr(value, "to_dict"):
            value = value.to_dict()  # a pandas Series, whose labels are the elements
        given = value
        if isinstance(value, Mapping) and sorted(value) == list(range(len(value))):
            given = [value[i] for i in range(len(value))]  # {0: 1.0, 1: 2.0}
        try:
            if isinstance(given, (str, bytes, Mapping, Set)):
                raise TypeError
            numbers = [float(v) for v in ([given] if single else given)]
        except (TypeError, ValueError):
            numbers = []
        if not numbers:
            raise ValueError(
                f"{name}={value!r:.40}; needed is a number, or one for each element in order (a "
                "mapping has the keys 0, 1, 2, …)"
            )
        for i, number in enumerate(numbers):
            if not self.domain.contains(number):
                where = "" if single else f"[{i}]"
                raise ValueError(f"{name}{where}={number:g}; needed is a number in {self.domain}")
        return numbers[0] if single else tuple(numbers)


@dataclass(frozen=True)
class Input:
    """What a data argument of a formula over an axis holds.

    `rank` is 2 for what varies along the axis and 1 for what a row has once; `trained` inputs are
    what gradients are taken by. `classes` says which codes of a class are accepted: "hard" (an
    index or one-hot), "soft" (also probabilities), "index" (the formula gets the index), "level"
    (an index up to the number of elements, as there is one more level than steps between them).
    What is `falling` may not grow along the axis.
    """

    domain: Domain
    rank: int = 2
    trained: bool = False
    classes: str = ""
    falling: bool = False


OneOf = Annotated[Any, Input(UNIT, classes="hard")]
Mixture = Annotated[Any, Input(UNIT, classes="soft")]
Index = Annotated[Any, Input(NONNEGATIVE, rank=1, classes="index")]
Level = Annotated[Any, Input(NONNEGATIVE, rank=1, classes="level")]
Labels = Annotated[Any, Input(UNIT)]
Relevance = Annotated[Any, Input(NONNEGATIVE)]
Vector = Annotated[Any, Input(REAL, trained=True)]
Falling = Annotated[Any, Input(REAL, trained=True, falling=True)]
Score = Annotated[Any, Input(REAL, rank=1, trained=True)]
Number = Annotated[Any, Input(REAL, rank=1)]
Key = Annotated[Any, Input(REAL, rank=1, classes="key")]  # labels of any type: equal or not
YesNo = Annotated[Any, Input(BINARY, rank=1)]
Sign = Annotated[Any, Input(SIGN, rank=1)]
Fraction = Annotated[float, Domain(0, 1, open_lower=False)]
ClassWeight = Annotated[Any, PerElement(Domain(lower=0, open_lower=False, none=True))]
Weights = Annotated[Any, PerElement(POSITIVE)]
IgnoredIndex = Annotated[Any, Integer(none=True)]
Switch = Annotated[bool, Choice((False, True))]
