"""Fits of a loss, or of several losses of one target side by side, each with its own output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import Value
from losskit.fit.data.source import Source
from losskit.fit.fitting import STOPPED, Fit, Lanes, Options, along
from losskit.fit.objective.certificate import GAP, Certificate
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.run import Step
from losskit.several import Several

Start = tuple[Array, Array]


def path_of(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Sequence[float],
    *,
    outputs: int,
    begin: Start | None = None,
    **options: Any,
) -> tuple[Fit, ...]:
    """Return `fit_path` of a loss, or of `Several` with one output for each."""
    settings = Options(**options)
    return along(lanes_of(source, loss, penalty, (-1,), outputs, settings, begin), alphas)


def lanes_of(
    source: Source,
    loss: Any,
    penalty: Any,
    held: Sequence[int],
    outputs: int,
    options: Options,
    begin: Start | None = None,
) -> Lanes | Members:
    """Return `Lanes` of a loss, or of all members of `Several`."""
    if isinstance(loss, Several):
        return Members(source, loss, penalty, held, options, begin)
    return Lanes(source, loss, penalty, held, outputs, options, begin)


def held_losses(source: Source, loss: Any, theta: Array) -> tuple[Array, Array]:
    """Return Σwℓ and Σw (folds,) of the rows that each fold leaves out.

    theta (folds, d + 1, outputs) holds each fold's coefficients and intercepts.
    """
    held = np.arange(len(theta))
    if not isinstance(loss, Several):
        sums, weights = source.reduce(Value(loss, inside=True), (theta, held))
        return sums, weights
    made = [
        source.reduce(Value(one, inside=True), (theta[:, :, k : k + 1], held))
        for k, one in enumerate(loss.members)
    ]
    return np.mean([sums for sums, _ in made], axis=0), made[0][1]


class Members:
    """`Lanes` of several losses, of which each strength is fitted to all before the next.

    Ctrl-C leaves a member that has no model yet with its best constant, if it is the first alpha;
    later it ends the path at the alpha that all have finished.
    """

    def __init__(
        self,
        source: Source,
        loss: Several,
        penalty: Any,
        held: Sequence[int],
        options: Options,
        begin: Start | None,
    ) -> None:
        self.lanes = []
        for k, one in enumerate(loss.members):
            own = None if begin is None else (begin[0][:, k : k + 1], begin[1][k : k + 1])
            self.lanes.append(Lanes(source, one, penalty, held, 1, options, own))
        self.first = True

    def at(self, alpha: float, index: int = 0, count: int = 1) -> list[Fit]:
        """Return the fits for one alpha, one for each fold."""
        found: list[list[Fit]] = []
        for lanes in self.lanes:
            if not (found and found[-1][0].interrupted):
                try:
                    found.append(lanes.at(alpha, index, count))
                    continue
                except KeyboardInterrupt:
                    if not found:
                        raise
            if not self.first:
                raise KeyboardInterrupt  # the last alpha has a model of each
            found.append([_constant(replace(p, alpha=alpha)) for p in lanes.problems])
        self.first = False
        return [_joined(fits) for fits in zip(*found, strict=True)]


def _constant(problem: Problem) -> Fit:
    """Return the best constant as the model of a fit that did not begin."""
    if not np.isfinite(problem.penalty_value(problem.origin())):
        raise KeyboardInterrupt  # bounds do not allow it
    coef, intercept = problem.coefficients(problem.origin())
    best = problem.baseline
    # Nothing is further below the best constant than the least that the loss can be.
    gap = best.value - best.infimum
    said = Certificate(GAP, float(gap), problem.target, reached=False, note=STOPPED)
    step = Step(0, best.value, float(gap), 0, 0.0)
    why = "it was interrupted before it began"
    return Fit(
        coef, intercept, problem.alpha, best.value, said, (step,), "none", why, best.value,
        interrupted=True,
    )  # fmt: skip


def _joined(fits: Sequence[Fit]) -> Fit:
    """Return fits of several losses as one: its certificate is the largest, of those that are not
    reached if there are such; objectives are means.
    """
    first = fits[0]
    worst = max(fits, key=lambda one: (not one.certificate.reached, one.certificate.value))
    return Fit(
        np.hstack([one.coef for one in fits]),
        np.concatenate([one.intercept for one in fits]),
        first.alpha,
        float(np.mean([one.objective for one in fits])),
        worst.certificate,
        _history([one.history for one in fits]),
        first.solver,
        first.why,
        float(np.mean([one.baseline for one in fits])),
        interrupted=any(one.interrupted for one in fits),
    )


def _history(every: Sequence[Sequence[Step]]) -> tuple[Step, ...]:
    """Return one history of several, as if each had waited at its end for the longest."""
    made = []
    for i in range(max(map(len, every))):
        steps = [one[min(i, len(one) - 1)] for one in every]
        made.append(
            Step(
                i,
                float(np.mean([step.objective for step in steps])),
                max(step.certificate for step in steps),
                max(step.nonzeros for step in steps),
                sum(step.seconds for step in steps),
            )
        )
    return tuple(made)
