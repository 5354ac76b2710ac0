"""Running solvers: several fits in lock step over one source, with their histories kept.

A solver is a generator that yields what it asks of the data. Fits that run together (folds of a
cross-validation) are asked in rounds; equal kernels are stacked, so that one pass serves all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.source import Source
from losskit.fit.objective.baseline import Ask, Asking
from losskit.fit.objective.certificate import Certificate, certify
from losskit.fit.objective.problem import Problem


@dataclass(frozen=True)
class Step:
    """One line of a fit's history."""

    iteration: int
    objective: float
    certificate: float
    nonzeros: int
    seconds: float


@dataclass
class Recorder:
    """What one fit has come to: its history, and the best point so far."""

    problem: Problem
    watch: Callable[[Step], None] | None = None
    memory: dict[str, Any] = field(default_factory=dict)  # a solver's own, kept along a path
    history: list[Step] = field(default_factory=list)
    best: Array | None = None
    objective: float = np.inf
    certificate: Certificate | None = None
    trace: list[Array] | None = None  # a solver may ask for all points to be kept
    started: float = field(default_factory=time.perf_counter)

    def record(
        self, u: Array, value: float, gradient: Array, matrix: Array | None = None
    ) -> Asking:
        """Keep a point that a solver has come to; return whether it is good enough."""
        certificate = yield from certify(self.problem, u, value, gradient, matrix)
        self.keep(u, value, certificate)
        return certificate.reached

    def stalled(self) -> bool:
        """Say whether the last step neither fell nor came nearer by its certificate."""
        if len(self.history) < 2:
            return False
        last, before = self.history[-1], self.history[-2]
        return last.objective >= before.objective and last.certificate >= before.certificate

    def keep(self, u: Array, value: float, certificate: Certificate) -> None:
        """Keep a point with the certificate it has."""
        objective = value + self.problem.penalty_value(u)
        step = Step(
            iteration=len(self.history),
            objective=objective,
            certificate=certificate.value,
            nonzeros=int(np.count_nonzero(u[:-1].any(axis=1))),
            seconds=time.perf_counter() - self.started,
        )
        self.history.append(step)
        if self.trace is not None:
            self.trace.append(u.copy())
        better = self.certificate is None or certificate.value <= self.certificate.value
        if objective <= self.objective or (certificate.reached and better):
            self.best, self.objective, self.certificate = u.copy(), objective, certificate
        if self.watch is not None:
            self.watch(step)


@dataclass
class Meter:
    """Counts passes over the data."""

    passes: int = 0


def drive(source: Source, fits: Sequence[Asking], meter: Meter | None = None) -> list[Any]:
    """Run generators in lock step over a source and return what they return."""
    meter = Meter() if meter is None else meter
    results: list[Any] = [None] * len(fits)
    waiting: dict[int, Ask] = {}

    def resume(i: int, answer: Any) -> None:
        try:
            waiting[i] = fits[i].send(answer)
        except StopIteration as stop:
            results[i] = stop.value

    for i in range(len(fits)):
        resume(i, None)
    while waiting:
        groups: dict[Any, list[int]] = {}
        for i, ask in waiting.items():
            groups.setdefault((ask.kernel, tuple(p.shape for p in ask.params)), []).append(i)
        asked, waiting = waiting, {}
        for members in groups.values():
            kernel = asked[members[0]].kernel
            stacked = tuple(
                np.stack(parts) for parts in zip(*(asked[i].params for i in members), strict=True)
            )
            answers = source.reduce(kernel, stacked)
            meter.passes += 1
            for place, i in enumerate(members):
                resume(i, tuple(answer[place] for answer in answers))
    return results
