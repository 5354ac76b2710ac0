"""Learning-rate schedules: how the rate shrinks as passes over the data go by.

A schedule is a value that is called with the number of passes made so far, a fraction where steps
take a part of the rows each, and gives the factor by which the learning rate is multiplied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol


class Schedule(Protocol):
    """Any function of the number of passes; the classes here can also be compared and saved."""

    def __call__(self, passes: float) -> float:
        """Return the factor for the learning rate after so many passes."""


@dataclass(frozen=True)
class Constant:
    """Keeps the learning rate as it is.

    >>> from losskit.fit.solvers.schedules import Constant
    >>> Constant()(17.0)
    1.0
    """

    def __call__(self, passes: float) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """Multiplies the learning rate by `factor` after every `every` passes.

    >>> from losskit.fit.solvers.schedules import StepDecay
    >>> [StepDecay(every=10, factor=0.5)(p) for p in (0, 9.9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """

    every: float = 30.0
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, "every", self.every)
        _share(self, "factor", self.factor)

    def __call__(self, passes: float) -> float:
        """Return the factor after so many passes."""
        return float(self.factor ** math.floor(passes / self.every))


@dataclass(frozen=True)
class Inverse:
    """Divides the learning rate by (1 + rate·passes) to a power (Robbins & Monro 1951).

    >>> from losskit.fit.solvers.schedules import Inverse
    >>> Inverse(rate=0.5)(2)
    0.5
    """

    rate: float = 1.0
    power: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "rate", self.rate)
        _positive(self, "power", self.power)

    def __call__(self, passes: float) -> float:
        """Return the factor after so many passes."""
        return float((1 + self.rate * passes) ** -self.power)


@dataclass(frozen=True)
class Cosine:
    """Lets the learning rate fall along half a cosine, in `length` passes, to `floor` times what it
    was (Loshchilov & Hutter 2017), where it stays.

    >>> from losskit.fit.solvers.schedules import Cosine
    >>> [round(Cosine(length=10)(p), 3) for p in (0, 5, 10, 12)]
    [1.0, 0.5, 0.0, 0.0]
    """

    length: float = 100.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "length", self.length)
        _share(self, "floor", self.floor)

    def __call__(self, passes: float) -> float:
        """Return the factor after so many passes."""
        turn = math.cos(math.pi * min(passes / self.length, 1.0))
        return self.floor + (1 - self.floor) * (1 + turn) / 2


@dataclass(frozen=True)
class WarmUp:
    """Raises the learning rate evenly from `start` times what it is to all of it, in `length`
    passes, and then follows another schedule.

    >>> from losskit.fit.solvers.schedules import StepDecay, WarmUp
    >>> [WarmUp(length=4, start=0.5, then=StepDecay(2, 0.5))(p) for p in (0, 2, 4, 6)]
    [0.5, 0.75, 1.0, 0.5]
    """

    length: float = 5.0
    start: float = 0.1
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _positive(self, "length", self.length)
        _share(self, "start", self.start)

    def __call__(self, passes: float) -> float:
        """Return the factor after so many passes."""
        if passes < self.length:
            return self.start + (1 - self.start) * passes / self.length
        return self.then(passes - self.length)


def _positive(schedule: object, name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{schedule!r}: {name} is {value!r}; needed is a positive number")


def _share(schedule: object, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{schedule!r}: {name} is {value!r}; needed is a number from 0 to 1")
