"""Stochastic gradient descent on mini-batches, and its relatives whose rates adapt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.gradient_descent import check_positive, check_share
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder
from losskit.fit.solvers.schedules import Cosine, Schedule
from losskit.fit.solvers.walking import Walk, Watch

Update = Callable[[Array, float], tuple[Array, Array | float]]


@dataclass(frozen=True)
class SGD:
    """Steps against the gradient of a few rows at a time (Robbins & Monro 1951).

    Each of the `epochs` goes through all rows in an order drawn anew from `random_state`,
    `batch_size` at a time. `learning_rate` is by default 1/L for the curvature L that a batch is
    expected to have. `schedule`, a function of the number of passes, is by default a cosine that
    falls to 0 over the epochs: without one, the walk ends up trembling around the optimum.
    `momentum` keeps a share of the last move. A penalty with corners takes its proximal step, and a
    loss with corners any of its slopes there. Coordinates are those of the data unless
    `standardized`. `trace` keeps the coefficients after every epoch.
    """

    learning_rate: float | None = None
    batch_size: int = 32
    epochs: int = 100
    momentum: float = 0.0
    schedule: Schedule | None = None
    random_state: int | None = None
    standardized: bool = False
    trace: bool = True

    name = "sgd"
    needs = Needs(source=("rows",))

    def __post_init__(self) -> None:
        _check(self)
        check_share(self, "momentum", self.momentum)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk through batches from u until the certificate is good, or the epochs are over."""
        last = np.zeros(problem.size)

        def update(slope: Array, rate: float) -> tuple[Array, float]:
            last[:] = self.momentum * last - rate * slope
            return last, rate

        yield from _walk(problem, recorder, u, self, update)


@dataclass(frozen=True)
class AdaGrad:
    """Divides each coefficient's rate by the root of the sum of its squared slopes (Duchi, Hazan &
    Singer 2011).

    `learning_rate` is about how far a coefficient goes in the first step, in its own units; other
    options are those of `SGD`.
    """

    learning_rate: float = 0.1
    batch_size: int = 32
    epochs: int = 100
    schedule: Schedule | None = None
    random_state: int | None = None
    standardized: bool = False
    trace: bool = True
    epsilon: float = 1e-8

    name = "adagrad"
    needs = Needs(penalty="separable", source=("rows",))

    def __post_init__(self) -> None:
        _check(self)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk through batches from u until the certificate is good, or the epochs are over."""
        squares = np.zeros(problem.size)

        def update(slope: Array, rate: float) -> tuple[Array, Array]:
            squares[:] += slope * slope
            steps = rate / (np.sqrt(squares) + self.epsilon)
            return -steps * slope, steps

        yield from _walk(problem, recorder, u, self, update)


@dataclass(frozen=True)
class RMSProp:
    """Divides each coefficient's rate by the root of a running mean, with memory `decay`, of its
    squared slopes (Tieleman & Hinton 2012).

    `learning_rate` is about how far a coefficient goes in each step, in its own units; other
    options are those of `SGD`.
    """

    learning_rate: float = 0.01
    decay: float = 0.9
    batch_size: int = 32
    epochs: int = 100
    schedule: Schedule | None = None
    random_state: int | None = None
    standardized: bool = False
    trace: bool = True
    epsilon: float = 1e-8

    name = "rmsprop"
    needs = Needs(penalty="separable", source=("rows",))

    def __post_init__(self) -> None:
        _check(self)
        check_share(self, "decay", self.decay)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk through batches from u until the certificate is good, or the epochs are over."""
        squares = np.zeros(problem.size)

        def update(slope: Array, rate: float) -> tuple[Array, Array]:
            squares[:] = self.decay * squares + (1 - self.decay) * slope * slope
            steps = rate / (np.sqrt(squares) + self.epsilon)
            return -steps * slope, steps

        yield from _walk(problem, recorder, u, self, update)


@dataclass(frozen=True)
class Adam:
    """Momentum with the rates of RMSProp, both corrected for their start at 0 (Kingma & Ba 2015).

    `learning_rate` is about how far a coefficient goes in each step, in its own units; other
    options are those of `SGD`.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    decay: float = 0.999
    batch_size: int = 32
    epochs: int = 100
    schedule: Schedule | None = None
    random_state: int | None = None
    standardized: bool = False
    trace: bool = True
    epsilon: float = 1e-8

    name = "adam"
    needs = Needs(penalty="separable", source=("rows",))

    def __post_init__(self) -> None:
        _check(self)
        check_share(self, "momentum", self.momentum)
        check_share(self, "decay", self.decay)

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Walk through batches from u until the certificate is good, or the epochs are over."""
        mean, squares = np.zeros(problem.size), np.zeros(problem.size)
        count = 0

        def update(slope: Array, rate: float) -> tuple[Array, Array]:
            nonlocal count
            count += 1
            mean[:] = self.momentum * mean + (1 - self.momentum) * slope
            squares[:] = self.decay * squares + (1 - self.decay) * slope * slope
            size = np.sqrt(squares / (1 - self.decay**count)) + self.epsilon
            steps = rate / size
            return -steps * mean / (1 - self.momentum**count), steps

        yield from _walk(problem, recorder, u, self, update)


def _check(solver: Any) -> None:
    check_positive(solver, "learning_rate", solver.learning_rate)
    for name in ("batch_size", "epochs"):
        value = getattr(solver, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{solver.name}: {name} is {value!r}; needed is a whole number of at least 1"
            )


def _walk(problem: Problem, recorder: Recorder, u: Array, solver: Any, update: Update) -> Asking:
    """Go through the rows in batches; `update` makes a move, and the step of it, of a slope."""
    walk = Walk(problem, solver.standardized)
    inside, rows = walk.inside, problem.data.rows
    batch, epochs = min(solver.batch_size, rows), min(solver.epochs, problem.max_iter)
    schedule = Cosine(epochs) if solver.schedule is None else solver.schedule
    rate = solver.learning_rate
    if rate is None:
        rate = yield from walk.safe_rate(batch)
    rng = np.random.default_rng(solver.random_state)
    recorder.trace = [] if solver.trace else None
    x = walk.into(u)
    value, gradient = yield from inside.gradient(x)
    advice = "take a smaller one, larger batches, or standardized=True"
    objective = walk.objective(x, value)
    watch = Watch(walk, objective, rate, advice)
    for epoch in range(epochs):
        if (yield from walk.record(recorder, x, value, gradient)):
            return
        order = rng.permutation(rows)
        for first in range(0, rows, batch):
            index = order[first : first + batch]
            slope = walk.slope(x, (yield from inside.batch_gradient(x, index)))
            now = rate * schedule(epoch + first / rows)
            with np.errstate(all="ignore"):
                move, step = update(slope, now)
                x = walk.settle(x + move, step)
            if not np.isfinite(x).all():
                return watch.close(recorder, np.inf)
        value, gradient = yield from inside.gradient(x)
        objective = walk.objective(x, value)
        if watch.lost(objective, x):
            return watch.close(recorder, np.inf)
    yield from walk.record(recorder, x, value, gradient)
    watch.close(recorder, objective)
