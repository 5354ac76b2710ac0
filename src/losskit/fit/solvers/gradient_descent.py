"""Gradient descent, plain and with momentum, as textbooks have it: for learning and comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder
from losskit.fit.solvers.schedules import Constant, Schedule
from losskit.fit.solvers.walking import Walk, Watch


@dataclass(frozen=True)
class GradientDescent:
    """Steps against the gradient of the whole objective: x ← x − rate·gradient (Cauchy 1847).

    `learning_rate` is 1/L by default, with L the largest curvature; where a loss has none (Poisson,
    exponential), it is that at the start, and the rate is halved when a step does not descend. A
    rate that is given is used as it is. `schedule` changes it as iterations go by. A penalty with
    corners takes its proximal step. Coordinates are those of the data unless `standardized`.
    `trace` keeps the coefficients of every iteration, in the fit's `trace`.
    """

    learning_rate: float | None = None
    schedule: Schedule | None = None
    standardized: bool = False
    trace: bool = True

    name = "gradient_descent"
    needs = Needs(loss=("differentiable",))

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate", self.learning_rate)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk down from u until the certificate is good."""
        yield from _walk(problem, recorder, u, self, 0.0, ahead=False)


@dataclass(frozen=True)
class Momentum:
    """Gradient descent that keeps a share of its last move: the heavy ball (Polyak 1964).

    x ← x + momentum·(last move) − rate·gradient; other options are those of `GradientDescent`.
    """

    learning_rate: float | None = None
    momentum: float = 0.9
    schedule: Schedule | None = None
    standardized: bool = False
    trace: bool = True

    name = "momentum"
    needs = Needs(loss=("differentiable",))

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate", self.learning_rate)
        check_share(self, "momentum", self.momentum)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk down from u until the certificate is good."""
        yield from _walk(problem, recorder, u, self, self.momentum, ahead=False)


@dataclass(frozen=True)
class Nesterov:
    """Momentum that looks at the gradient where its last move would lead (Nesterov 1983).

    y = x + momentum·(last move), x ← y − rate·gradient(y); other options are those of
    `GradientDescent`. `solver="fista"` does the same with a momentum and a rate that adapt.
    """

    learning_rate: float | None = None
    momentum: float = 0.9
    schedule: Schedule | None = None
    standardized: bool = False
    trace: bool = True

    name = "nesterov"
    needs = Needs(loss=("differentiable",))

    def __post_init__(self) -> None:
        check_positive(self, "learning_rate", self.learning_rate)
        check_share(self, "momentum", self.momentum)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk down from u until the certificate is good."""
        yield from _walk(problem, recorder, u, self, self.momentum, ahead=True)


def check_positive(solver: Any, name: str, value: float | None) -> None:
    """Raise ValueError for an option that is neither None nor a positive number."""
    if value is not None and not 0 < value < np.inf:
        raise ValueError(f"{solver.name}: {name} is {value!r}; needed is a positive number")


def check_share(solver: Any, name: str, value: float) -> None:
    """Raise ValueError for an option outside [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{solver.name}: {name} is {value!r}; needed is a number in [0, 1)")


def _walk(
    problem: Problem, recorder: Recorder, u: Array, solver: Any, momentum: float, ahead: bool
) -> Asking:
    """Follow the gradient; `ahead` takes it at the end of the last move, continued."""
    walk, schedule = Walk(problem, solver.standardized), solver.schedule or Constant()
    inside, given = walk.inside, solver.learning_rate is not None
    safe = yield from walk.safe_rate()
    rate = solver.learning_rate if given else safe
    x = walk.into(u)
    move = np.zeros_like(x)
    value, gradient = yield from inside.gradient(x)
    start = objective = walk.objective(x, value)
    advice = f"take a smaller one; 1/curvature is about {safe:.2g}"
    watch = Watch(walk, start, rate, advice)
    slack = 4 * float(np.finfo(problem.data.dtype).eps)
    recorder.trace = [] if solver.trace else None
    if (yield from walk.record(recorder, x, value, gradient)):
        return
    for step in range(problem.max_iter):
        now = rate * schedule(float(step))
        there, slope = x + momentum * move, walk.slope(x, gradient)
        if ahead and move.any():
            slope = walk.slope(there, (yield from inside.gradient(there))[1])
        with np.errstate(all="ignore"):
            new = walk.settle(there - now * slope, now)
            found = yield from inside.gradient(new)
            reached = walk.objective(new, found[0])
        rises = reached > objective + slack * abs(objective) and momentum == 0
        if not given and (rises or not reached <= max(start, objective) + slack * abs(start)):
            rate, move = rate / 2, np.zeros_like(x)
            if rate < 1e-12 * safe:
                return  # nothing descends: rounding
            continue
        if watch.lost(reached, new):
            return watch.close(recorder, np.inf)
        still = np.array_equal(new, x) and not move.any()
        move, x, objective = new - x, new, reached
        value, gradient = found
        if (yield from walk.record(recorder, x, value, gradient)) or still:
            return
    watch.close(recorder, objective)
