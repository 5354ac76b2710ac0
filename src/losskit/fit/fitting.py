"""Fits: one, a path of penalties, several in lock step."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.source import Source
from losskit.fit.objective.baseline import Asking, start
from losskit.fit.objective.certificate import Certificate, not_convex
from losskit.fit.objective.problem import Problem
from losskit.fit.objective.shape import shape_of
from losskit.fit.solvers.auto import solver_for
from losskit.fit.solvers.run import Meter, Recorder, Step, drive

ALPHAS = 100  # of a path, where nobody says how many


class NotConverged(UserWarning):
    """A fit stopped before its certificate reached what `tol` asks for."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted linear model: coefficients (d, K), intercepts (K,), and how they were found."""

    coef: Array
    intercept: Array
    alpha: float
    objective: float
    certificate: Certificate
    history: tuple[Step, ...]
    solver: str
    why: str
    baseline: float  # the objective of the best constant model
    trace: tuple[tuple[Array, Array], ...] = ()  # coefficients and intercepts of each step, if kept
    interrupted: bool = False  # whether Ctrl-C ended it

    @property
    def n_iter(self) -> int:
        """The number of iterations."""
        return max(len(self.history) - 1, 1)

    @property
    def nonzeros(self) -> int:
        """The number of columns with a coefficient other than 0."""
        return int(np.count_nonzero(self.coef.any(axis=1)))


@dataclass(frozen=True)
class Progress:
    """What a fit tells while it runs: where it is on its path, and its last step."""

    alpha: float
    index: int  # of alpha on the path, from 0
    count: int
    step: Step
    rows_per_second: float
    seconds: float


@dataclass(frozen=True)
class Options:
    """How to fit: what `fit`, `fit_path` and the estimators take beside data, loss and penalty."""

    intercept: bool = True
    solver: Any = "auto"
    tol: float = 1e-4
    max_iter: int = 1000
    certificate: str = "auto"
    progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if self.certificate not in ("auto", "gap"):
            raise ValueError(f"certificate={self.certificate!r}; needed is 'auto' or 'gap'")
        if not _is_number(self.tol) or not 0 < self.tol < np.inf:
            raise ValueError(f"tol={self.tol!r}; needed is a finite number above 0")
        count: Any = self.max_iter
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
            raise ValueError(f"max_iter={self.max_iter!r}; needed is a whole number of at least 1")


def fit(
    source: Source,
    loss: Any,
    penalty: Any = None,
    alpha: float = 0.0,
    *,
    outputs: int = 1,
    begin: tuple[Any, Any] | None = None,
    **options: Any,
) -> Fit:
    """Return the linear model with the least mean loss + alpha·penalty.

    `outputs` is the number of raw outputs, `begin` coefficients (d, K) and intercepts (K,) to start
    from; options are those of `Options`. Warns (`NotConverged`) with the certificate reached where
    it is above tol·(objective of the best constant − mean infimum).
    """
    return fit_path(source, loss, penalty, [alpha], outputs=outputs, begin=begin, **options)[0]


def fit_path(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Sequence[float],
    *,
    outputs: int = 1,
    begin: tuple[Any, Any] | None = None,
    **options: Any,
) -> tuple[Fit, ...]:
    """Return a fit for each alpha, each started from the one before."""
    return along(Lanes(source, loss, penalty, (-1,), outputs, Options(**options), begin), alphas)


def along(lanes: Any, alphas: Sequence[float]) -> tuple[Fit, ...]:
    """Return the fits of one lane (see `Lanes`) for each alpha; Ctrl-C ends them."""
    made: list[Fit] = []
    for i, alpha in enumerate(strengths(alphas)):
        try:
            made += lanes.at(alpha, i, len(alphas))
        except KeyboardInterrupt:
            if not made:
                raise
            made[-1] = stopped(made[-1])
        if made[-1].interrupted:
            break
    return tuple(made)


def stopped(fit: Fit) -> Fit:
    """Return a fit as one that Ctrl-C ended."""
    said = replace(fit.certificate, reached=False, note=STOPPED)
    return replace(fit, certificate=said, interrupted=True)


def strengths(alphas: Sequence[float]) -> list[float]:
    """Return strengths of a penalty; what is none is a ValueError."""
    for alpha in alphas:
        if not _is_number(alpha) or not 0 <= alpha < np.inf:
            choose = "; RegressorCV and ClassifierCV choose one" * isinstance(alpha, str)
            raise ValueError(f"alpha={alpha!r}; needed is a finite number of at least 0{choose}")
    return [float(alpha) for alpha in alphas]


def default_alphas(
    source: Source,
    loss: Any,
    penalty: Any,
    *,
    outputs: int = 1,
    count: int = ALPHAS,
    ratio: float | None = None,
    **options: Any,
) -> Array:
    """Return alphas from the least that gives the best constant model down to `ratio` of it.

    `ratio` is 1e-2 where there are fewer rows than columns, else 1e-3. A penalty under which no
    finite alpha gives a constant (L2) starts where its pull equals that of L1 at a thousandth.
    """
    lanes = Lanes(source, loss, penalty, (-1,), outputs, Options(**options), None)
    top = lanes.alpha_max()
    if top == 0:
        return np.ones(1)  # any alpha gives it
    if ratio is None:
        ratio = 1e-2 if source.describe().rows < source.describe().columns else 1e-3
    return np.geomspace(top, top * ratio, count)


STOPPED = "interrupted; the best point so far"


class Lanes:
    """Fits of the same problem without different folds, solved side by side for one alpha after
    another, each from where it stands.
    """

    def __init__(
        self,
        source: Source,
        loss: Any,
        penalty: Any,
        held: Sequence[int],
        outputs: int,
        options: Options,
        begin: tuple[Any, Any] | None,
    ) -> None:
        shape = shape_of(loss)
        self.meter = Meter()
        self.source, self.options, self.began = source, options, time.perf_counter()
        data = source.describe()
        baselines = drive(
            source, [start(loss, source, outputs, k, options.intercept) for k in held]
        )
        self.problems = [
            Problem(
                loss, penalty, 0.0, data, baseline, intercept=options.intercept, held=k,
                tol=options.tol, max_iter=options.max_iter, certificate=options.certificate,
            )
            for k, baseline in zip(held, baselines, strict=True)
        ]  # fmt: skip
        if options.certificate == "gap":
            if not (shape.convex and (penalty is None or penalty.convex)):
                raise ValueError(not_convex(self.problems[0]))
            if penalty is None:
                raise ValueError(
                    "without a penalty there is no duality gap, only an estimate of what is left; "
                    "certificate='auto' reports that"
                )
        # Where each lane stands, and the problem whose coordinates that is in.
        self.points = [
            (p, p.origin() if begin is None else p.at(*_begin(begin, p))) for p in self.problems
        ]
        self.memories: list[dict[str, Any]] = [{} for _ in held]

    def alpha_max(self) -> float:
        """Return the least alpha at which all lanes give the best constant model."""
        problems = [replace(p, alpha=1.0) for p in self.problems]
        gradients = drive(self.source, [_slope_of_constant(p) for p in problems])
        tops = []
        for problem, gradient in zip(problems, gradients, strict=True):
            slope = gradient[:-1] * problem.scale[:, None]
            top = problem.penalty.alpha_max(slope)
            if not np.isfinite(top):
                top = 1e3 * float(np.abs(slope).max())
            tops.append(top)
        return max(tops)

    def at(self, alpha: float, index: int = 0, count: int = 1) -> list[Fit]:
        """Return the fits for one alpha."""
        (alpha,) = strengths([alpha])
        problems = [replace(p, alpha=alpha) for p in self.problems]
        solver, why = solver_for(self.options.solver, problems[0], self.source)
        recorders = [
            Recorder(p, self._watch(alpha, index, count) if i == 0 else None, memory=memory)
            for i, (p, memory) in enumerate(zip(problems, self.memories, strict=True))
        ]
        starts = [_moved(*point, p) for point, p in zip(self.points, problems, strict=True)]
        points = zip(problems, recorders, starts, strict=True)
        ended = False
        try:
            drive(self.source, [solver.solve(p, r, u) for p, r, u in points], self.meter)
        except KeyboardInterrupt:
            ended = True
        fits = [_result(p, r, solver, why, ended) for p, r in zip(problems, recorders, strict=True)]
        self.points = [
            (p, u if r.best is None else r.best)
            for p, r, u in zip(problems, recorders, starts, strict=True)
        ]
        return fits

    def _watch(self, alpha: float, index: int, count: int) -> Callable[[Step], None] | None:
        progress = self.options.progress
        if progress is None:
            return None
        rows = self.source.describe().rows

        def watch(step: Step) -> None:
            seconds = time.perf_counter() - self.began
            rate = rows * self.meter.passes / max(seconds, 1e-9)
            progress(Progress(alpha, index, count, step, rate, seconds))

        return watch


def _moved(old: Problem, u: Array, new: Problem) -> Array:
    """Return u of one problem in the coordinates of another: scales depend on the penalty."""
    return u if np.array_equal(old.scale, new.scale) else new.at(*old.coefficients(u))


def _slope_of_constant(problem: Problem) -> Asking:
    """Return the derivative by u at the best constant model."""
    if problem.shape.differentiable or not problem.shape.convex:
        return (yield from problem.gradient(problem.origin()))[1]
    from losskit.fit.solvers.smoothing import dual_slope

    return (yield from dual_slope(problem))


def _begin(begin: tuple[Any, Any], problem: Problem) -> tuple[Array, Array]:
    coef = np.asarray(begin[0], dtype=np.float64)
    intercept = np.asarray(begin[1], dtype=np.float64)
    needed = (problem.data.columns, problem.outputs)
    if coef.shape != needed or intercept.shape != needed[1:]:
        raise ValueError(
            f"coefficients to start from have shape {coef.shape} and intercepts {intercept.shape}; "
            f"needed are {needed} and {needed[1:]}"
        )
    return coef, intercept


def _result(problem: Problem, recorder: Recorder, solver: Any, why: str, ended: bool) -> Fit:
    if recorder.best is None or recorder.certificate is None:
        raise KeyboardInterrupt  # nothing was found yet
    certificate = recorder.certificate
    if not (ended or certificate.reached):
        iterations = len(recorder.history) - 1
        early = "" if iterations >= problem.max_iter else ", which found no further step"
        warnings.warn(
            f"{problem.loss!r} with {problem.penalty!r}, alpha={problem.alpha:g}: {certificate}; "
            f"after {iterations} iterations of {solver.name!r}{early} "
            f"(max_iter={problem.max_iter})",
            NotConverged,
            stacklevel=callers_level(),
        )
    coef, intercept = problem.coefficients(recorder.best)
    made = Fit(
        coef, intercept, problem.alpha, recorder.objective, certificate, tuple(recorder.history),
        solver.name, why, problem.baseline.value,
        tuple(problem.coefficients(u) for u in recorder.trace or ()),
    )  # fmt: skip
    return stopped(made) if ended else made


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def callers_level() -> int:
    """Return how many frames up the first line is that is not losskit's."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("losskit."):
        frame, level = frame.f_back, level + 1
    return level
