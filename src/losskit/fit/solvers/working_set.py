"""Proximal Newton on a working set of columns, with coordinate descent inside.

The curvature of the loss is computed for the columns in play only, and used again, along the inner
steps and along a path of penalties, for as long as steps with it shrink what is left by enough: a
pass for curvature costs as much as tens of gradients. Whatever the model of curvature is, gradients
are exact, and so is what the steps lead to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from losskit.backends.descent import quadratic
from losskit.fit.data.designs import Array
from losskit.fit.objective.baseline import Asking
from losskit.fit.objective.certificate import certify
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.quadratics import lasso, prox_of
from losskit.fit.solvers.needs import Needs
from losskit.fit.solvers.run import Recorder

_EPS = 4 * float(np.finfo(np.float64).eps)
_CHEAP = 32  # columns whose curvature costs about a gradient
_NOISE = 1e-11  # of an objective, which columns far from 0 may hide
_SHORT = 0.25  # a step that says the model knows too little: a Huber loss is flat far out
_EASE = 0.1  # what damping is multiplied by after a full step


@dataclass(frozen=True)
class WorkingSet:
    """Working-set proximal Newton (Friedman, Hastie and Tibshirani 2010; Massias et al. 2018).

    `growth` is how many columns may join the set at once for each that is in it; `patience` by what
    factor a step has to shrink what is left for its curvature to be used once more. `rough`
    computes curvature in single precision: enough unless rows curve very differently.
    """

    growth: float = 1.0
    patience: float = 0.3
    rough: bool = True

    name = "working_set"
    needs = Needs(loss=("differentiable", "curved"), penalty="separable")

    def solve(self, problem: Problem, recorder: Recorder, u: Array) -> Asking:
        """Grow a set of columns until no other column belongs to it, solving on it each time."""
        memory = _Memory(np.empty(0, dtype=np.intp), self.rough)
        memory = recorder.memory.setdefault(self.name, memory)
        value, gradient = yield from memory.gradient(problem, u)
        for _ in range(problem.max_iter):
            if (yield from recorder.record(u, value, gradient)):
                return
            wanted = self._wanted(problem, u, gradient, memory.columns)
            if not wanted.size and recorder.stalled():
                return  # rounding decides now
            memory.add(wanted)
            part = problem.restricted(memory.columns)
            place = np.append(memory.columns, problem.data.columns)
            certificate = recorder.history[-1].certificate
            aim = min(0.5 * problem.target, max(0.1 * certificate, 0.05 * problem.target))
            moved = u.copy()
            moved[place] = yield from self._inner(
                part, u[place], value, gradient[place], aim, memory
            )
            u = moved
            value, gradient = yield from problem.gradient(u)
            memory.known = (u, value, gradient)
        yield from recorder.record(u, value, gradient)

    def _wanted(self, problem: Problem, u: Array, gradient: Array, known: Array) -> Array:
        """Return the columns outside the set that have to join, the most wanted of them."""
        step = np.abs(problem.prox(u - gradient, 1.0) - u)[:-1].max(axis=1)
        step[u[:-1].any(axis=1)] = np.inf  # a start from elsewhere
        step[known] = 0.0
        others = np.flatnonzero(step)
        room = max(64, int(self.growth * known.size), int(np.isinf(step).sum()))
        if others.size > room:
            others = others[np.argpartition(-step[others], room)[:room]]
        return others

    def _inner(
        self, part: Problem, u: Array, value: float, gradient: Array, aim: float, memory: _Memory
    ) -> Asking:
        """Return the solution on a set of columns, to a certificate of `aim`."""
        matrix = yield from memory.curvature(part, u)
        fresh = memory.is_at(u)
        before = np.inf
        for _ in range(100):
            left = (yield from certify(part, u, value, gradient, sharp=False)).value
            if left <= max(aim, part.precision(value)):
                return u
            slow = left > self.patience * before or part.data.columns <= _CHEAP
            if slow and not fresh:
                matrix, fresh = (yield from memory.renew(part, u)), True
            before = left
            with np.errstate(over="ignore", invalid="ignore"):
                direction, fall = _newton_step(part, matrix, u, gradient, aim, memory.damping)
            if not np.isfinite(fall):  # the model has no minimum
                if not memory.damp(matrix, gradient, u):
                    return u
                continue
            if fresh and float(np.abs(direction).max()) <= _EPS * float(np.abs(u).max()):
                if memory.damping or not memory.flat(matrix):
                    return u  # there is nowhere left to go: rounding
                memory.damp(matrix, gradient, u)  # the loss rises, and does not curve
                continue
            found = yield from descend(part, u, value, direction, fall)
            if found is not None:
                (u, value, gradient, step), fresh = found, False
                if step < _SHORT:
                    memory.damp(matrix, gradient, u)
                elif step == 1.0:
                    memory.damping *= _EASE
            elif not fresh:
                matrix, fresh = (yield from memory.renew(part, u)), True
            elif not memory.damp(matrix, gradient, u):
                return u  # no step descends any more: rounding
        return u


@dataclass(eq=False)
class _Memory:
    """What is known from the penalties before: columns, their curvature where it was computed, and
    the gradient at the last end.
    """

    columns: Array
    rough: bool
    known: tuple[Array, float, Array] | None = None
    computed: Problem | None = None  # restricted to the columns that `matrix` has
    point: Array | None = None  # where it was computed
    matrix: Array | None = None
    damping: float = 0.0  # is added to the diagonal, where the loss curves less than it rises

    def damp(self, matrix: Array, gradient: Array, u: Array) -> bool:
        """Raise the damping; return whether that still makes a difference."""
        size = u.size
        top = float(matrix.reshape(size, size).diagonal().max())
        rise = float(np.abs(gradient).max()) / max(1.0, float(np.abs(u).max()))
        top = max(top, rise)
        self.damping = max(8 * self.damping, 1e-3 * top)
        return self.damping < 1e9 * top

    def flat(self, matrix: Array) -> bool:
        """Say whether the loss does not curve at all along some column."""
        size = int(np.sqrt(matrix.size))
        return bool(matrix.reshape(size, size).diagonal().min() <= 0)

    def add(self, columns: Array) -> None:
        """Put columns after those that are there, whose copies in memory stay as they are."""
        self.columns = np.append(self.columns, columns)

    def gradient(self, problem: Problem, u: Array) -> Asking:
        """Return the mean loss and its derivative at u, without a pass where they are known."""
        if self.known is None or not np.array_equal(self.known[0], u):
            self.known = (u, *(yield from problem.gradient(u)))
        return self.known[1:]

    def is_at(self, u: Array) -> bool:
        """Say whether the curvature is that at u."""
        return self.point is not None and np.array_equal(self.point, u)

    def renew(self, part: Problem, u: Array) -> Asking:
        """Compute the curvature at u."""
        self.matrix = yield from part.curvature(u, rough=self.rough)
        self.computed, self.point = part, u
        return self.matrix

    def curvature(self, part: Problem, u: Array) -> Asking:
        """Return the curvature, at the old point, to which columns that are new are added."""
        old, matrix = self.computed, self.matrix
        known = old is not None and matrix is not None and old.data.columns and self.rough
        if not known or old is None or matrix is None or self.point is None:
            return (yield from self.renew(part, u))
        count = old.data.columns
        added = part.data.columns - count
        if not added:
            return matrix
        assert part.columns is not None
        # Among the new ones, and with those before them, at the point of the others: the whole is
        # the curvature at one point, and so semidefinite.
        at = np.concatenate([self.point[:-1], np.zeros((added, part.outputs)), self.point[-1:]])
        new = part.narrowed(np.array(part.columns[count:], dtype=np.intp))
        cross = yield from part.cross_curvature(at, new)
        size = part.data.columns + 1
        grown = np.empty((size, part.outputs, size, part.outputs))
        keep = np.append(np.arange(count), size - 1)
        every = np.arange(part.outputs)
        grown[np.ix_(keep, every, keep, every)] = matrix
        grown[:, :, count:-1] = cross[:, :, :-1]
        grown[count:-1] = np.moveaxis(cross[:, :, :-1], (0, 1), (2, 3))
        self.matrix, self.computed, self.point = grown, part, at
        return grown


def _newton_step(
    part: Problem, matrix: Array, u: Array, gradient: Array, aim: float, damping: float
) -> tuple[Array, float]:
    """Return the step to the minimum of the quadratic model + penalty, and how far that falls."""
    if damping:
        matrix = (matrix.reshape(u.size, -1) + np.eye(u.size) * damping).reshape(matrix.shape)
    # A slope that is off by δ changes the certificate by about δ; a move m leaves one of √h·m√h.
    tol = 1e-2 * min(aim, np.sqrt(aim))
    strengths = part.strengths
    step = _elastic_step if strengths is not None else _separable_step
    direction, change = step(part, matrix, u, gradient, tol)
    fall = float((direction * gradient).sum()) + 0.5 * float((direction * change).sum())
    return direction, fall + part.penalty_value(u + direction) - part.penalty_value(u)


def _elastic_step(
    part: Problem, matrix: Array, u: Array, gradient: Array, tol: float
) -> tuple[Array, Array]:
    """Return the step, and the curvature times it, for Σ l1|u| + l2/2·u²."""
    assert part.strengths is not None
    l1, l2 = (np.repeat(np.append(one, 0.0), part.outputs) for one in part.strengths)
    size = u.size
    model = matrix.reshape(size, size).copy()
    model[np.diag_indices(size)] += l2
    flat = u.ravel()
    found = lasso(model, gradient.ravel() + l2 * flat, flat, l1, tol=tol)
    move = found.weights - flat
    change = found.slope - (gradient.ravel() + l2 * flat) - l2 * move
    return move.reshape(u.shape), change.reshape(u.shape)


def _separable_step(
    part: Problem, matrix: Array, u: Array, gradient: Array, tol: float
) -> tuple[Array, Array]:
    """Return the step, and the curvature times it, for any penalty of single coefficients.

    It is found in the columns' own coordinates, where the penalty is the same for all of them.
    """
    scale = np.repeat(np.append(part.scale, 1.0), part.outputs)
    size = u.size
    model = matrix.reshape(size, size) * scale * scale[:, None]
    free = np.zeros(u.shape, dtype=bool)
    free[-1] = True
    w, slope = u.ravel() / scale, gradient.ravel() * scale
    prox = prox_of(part.penalty)
    found = quadratic(model, slope, w, prox, part.alpha, free=free.ravel(), tol=tol)
    move = (found.weights - w) * scale
    change = (found.slope - slope) / scale
    return move.reshape(u.shape), change.reshape(u.shape)


def descend(part: Problem, u: Array, value: float, direction: Array, fall: float) -> Asking:
    """Return the point, value, gradient and length of a step that descends; None if none does."""
    objective = value + part.penalty_value(u)
    slack = 4 * np.finfo(part.data.dtype).eps * abs(objective)
    if -fall <= _NOISE * abs(objective):  # too little for values to tell; slopes still can
        slack = _NOISE * abs(objective)
    step = 1.0
    while True:
        moved = u + step * direction
        new, gradient = yield from part.gradient(moved)
        if new + part.penalty_value(moved) <= objective + 1e-4 * step * fall + slack:
            return moved, new, gradient, step
        steps = step * 0.5 ** np.arange(1, 9)
        values = yield from part.line(u, direction, steps)
        paid = [part.penalty_value(u + t * direction) for t in steps]
        fine = np.flatnonzero(values + paid <= objective + 1e-4 * steps * fall)
        if not fine.size:
            return None
        step = float(steps[fine[0]])
