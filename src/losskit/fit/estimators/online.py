"""Learning from one batch of rows after another: the steps of `partial_fit`.

Stochastic proximal gradient steps with AdaGrad's lengths (Duchi, Hazan & Singer 2011), in features
that are standardised by what was seen so far (Ross, Mineiro & Langford 2013), so that units do not
matter and sparse data stay sparse. Lengths are in units of raw scores: the spread of the first
rows' targets under an identity link, else 1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from losskit import penalties
from losskit.arrays import Array
from losskit.fit.data.kernels import Gradient, Value
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Fit
from losskit.fit.objective.baseline import known_constant
from losskit.fit.objective.certificate import Certificate
from losskit.fit.solvers.run import Step
from losskit.several import Several

STOCHASTIC = "none: stochastic steps have no certificate"
_BATCH = 32  # rows of one step


@dataclass
class Learned:
    """What the rows of earlier calls have left behind."""

    unit: float  # the length of a first step, in raw scores
    weight: float = 0.0
    counts: float = 1.0  # how often the loss counts a row
    steps: int = 0
    mean: Any = 0.0  # of each column
    spread: Any = 0.0  # Σw(x − mean)² of each column
    squares: Any = 0.0  # of all gradients so far, (features + 1, outputs)
    history: list[Step] = field(default_factory=list)
    baseline: float = np.nan

    def see(self, source: MemorySource) -> None:
        """Update means and spreads of columns (Chan, Golub & LeVeque 1983)."""
        matrix, own = source.matrix, source.weights
        w = np.ones(matrix.shape[0]) if own is None else own
        total = float(w.sum())
        zeros = np.zeros(matrix.shape[1])
        first, _ = matrix.moments(w, zeros)
        mean = first / total
        _, around = matrix.moments(w, mean)
        both, apart = self.weight + total, mean - self.mean
        self.spread = self.spread + around + apart * apart * self.weight * total / both
        self.mean = self.mean + apart * total / both
        self.weight = both

    @property
    def scale(self) -> Array:
        """The standard deviation of each column, 1 where there is none."""
        found = np.sqrt(np.maximum(self.spread / self.weight, 0.0))
        size = np.sqrt(found * found + np.square(self.mean))
        return np.where(found > 1e-7 * size, found, 1.0)


def step(model: Any, task: Any) -> Any:
    """Take stochastic steps through a task's rows in random order, each row once; return the model.

    A model that has not been fitted starts from the best constant of these rows.
    """
    from sklearn.utils import check_random_state

    source: MemorySource = task.source()
    d, outputs = source.matrix.shape[1], task.outputs
    penalty = penalties.get(model.penalty, l1_ratio=model.l1_ratio)
    learned: Learned | None = getattr(model, "_learned", None)
    if learned is None or not hasattr(model, "coef_"):
        # All features move at once, so that scores move by about the unit.
        learned = Learned(_unit(task) / np.sqrt(d + 1))
    if hasattr(model, "coef_"):
        theta = np.vstack([np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)])
    else:
        theta = np.zeros((d + 1, outputs))
        if model.fit_intercept:
            known = known_constant(task.loss, task.target, task.weight, outputs)
            theta[-1] = 0.0 if known is None else known
            learned.baseline, _ = _totals(task, source, theta)
    began = time.perf_counter()
    before, learned.counts = _totals(task, source, theta)
    learned.see(source)
    order = check_random_state(model.random_state).permutation(source.matrix.shape[0])
    for start in range(0, order.size, _BATCH):
        batch = source.rows(order[start : start + _BATCH])
        theta = _stepped(model, task, penalty, learned, batch, theta)
    paid = 0.0 if penalty is None else float(penalty.value(theta[:-1], model.alpha))
    learned.history.append(
        Step(
            iteration=len(learned.history),
            objective=before + paid,
            certificate=np.inf,
            nonzeros=int(np.count_nonzero(theta[:-1].any(axis=1))),
            seconds=time.perf_counter() - began,
        )
    )
    fit = Fit(
        theta[:-1],
        theta[-1],
        float(model.alpha),
        before + paid,
        Certificate(STOCHASTIC, np.inf, 0.0, False, "fit() goes on to the minimum"),
        tuple(learned.history),
        "adagrad",
        "partial_fit sees rows once",
        learned.baseline,
    )
    model._keep(task, [fit], 0)
    model.n_iter_ = learned.steps
    model._learned = learned
    return model


def _stepped(
    model: Any, task: Any, penalty: Any, learned: Learned, batch: MemorySource, theta: Array
) -> Array:
    w = batch.weights
    total = float(batch.matrix.shape[0]) if w is None else float(w.sum())
    if total <= 0:
        return theta
    values, gradients = batch.reduce(Gradient(task.loss), (theta[None], np.array([-1])))
    members = len(task.loss.members) if isinstance(task.loss, Several) else 1
    slope = gradients[0] * members / (total * learned.counts)
    if not (np.isfinite(values[0]) and np.isfinite(slope).all()):
        learned.unit /= 2  # the last steps led beyond what the loss can bear
        return theta
    scale, mean = learned.scale[:, None], np.broadcast_to(learned.mean, (len(theta) - 1,))
    slope[:-1] = (slope[:-1] - mean[:, None] * slope[-1]) / scale
    if not model.fit_intercept:
        slope[-1] = 0.0
    learned.squares = learned.squares + slope * slope
    learned.steps += 1
    lengths = learned.unit / np.sqrt(np.where(learned.squares > 0, learned.squares, 1))
    u = theta.copy()
    u[:-1] *= scale
    u[-1] += mean @ theta[:-1]
    u -= lengths * slope
    made = np.empty_like(u)
    made[:-1] = u[:-1] / scale
    if penalty is not None and model.alpha > 0:
        made[:-1] = penalty.prox(
            made[:-1], _constant_in_blocks(penalty, lengths[:-1] / scale**2), model.alpha
        )
    made[-1] = u[-1] - mean @ made[:-1] if model.fit_intercept else 0.0
    return made


def _constant_in_blocks(penalty: Any, steps: Array) -> Array:
    """Return steps that are alike within a block of the penalty: the shortest there."""
    if penalty.separable:
        return steps
    blocks = penalty.blocks(len(steps))
    least = np.full(blocks.max() + 1, np.inf)
    np.minimum.at(least, blocks, steps.min(axis=1))
    return np.broadcast_to(least[blocks][:, None], steps.shape)


def _unit(task: Any) -> float:
    loss = task.loss.members[0] if isinstance(task.loss, Several) else task.loss
    links = loss.link if isinstance(loss.link, tuple) else (loss.link,)
    if task.classes is not None or any(link.name != "identity" for link in links):
        return 1.0
    return float(np.std(task.target)) or 1.0


def _totals(task: Any, source: MemorySource, theta: Array) -> tuple[float, float]:
    """Return the mean loss, and how often the loss counts a row: once for each element in it."""
    rows = float(source.matrix.shape[0]) if source.weights is None else float(source.weights.sum())
    held = np.array([-1])
    if isinstance(task.loss, Several):
        values, _ = source.reduce(Gradient(task.loss), (theta[None], held))
        return float(values[0]) / rows, 1.0
    values, counts = source.reduce(Value(task.loss, inside=False), (theta[None], held))
    return float(values[0] / counts[0]), float(counts[0]) / rows
