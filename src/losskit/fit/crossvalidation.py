"""Cross-validation: folds in lock step, judged by the fitted loss on the rows they leave out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from losskit.fit.data.designs import Array
from losskit.fit.data.kernels import Rows
from losskit.fit.data.source import Source
from losskit.fit.estimators.members import held_losses, lanes_of
from losskit.fit.fitting import (
    ALPHAS,
    Fit,
    NotConverged,
    Options,
    callers_level,
    default_alphas,
    stopped,
)
from losskit.several import Several

#: A figure of held-out rows: targets, raw scores (n,) or (n, K) and weights → a number.
Measure = Callable[[Array, Array, Array], float]

_FEW = 30  # alphas, where a path has no sparse end to be found
_RIDGE_SPAN = 1e-7  # of the strongest alpha, where no finite alpha gives a constant model


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """What cross-validation found, for alphas from the strongest to the weakest.

    `scores` (folds, alphas) is each fold's mean loss on the rows it left out, `mean` and `error`
    (alphas,) their mean over folds and its standard error, folds weighing as their rows do;
    `metrics` holds other figures, shaped as `scores`; `path` the fits to all data.
    """

    alphas: Array
    scores: Array
    weights: Array  # (folds,): Σw of the rows that each left out
    path: tuple[Fit, ...]
    metrics: dict[str, Array] = field(default_factory=dict)

    def __repr__(self) -> str:
        folds, count = self.scores.shape
        return (
            f"CrossValidation({folds} folds, {count} alphas from {self.alphas[0]:.4g} to "
            f"{self.alphas[-1]:.4g}; lambda_min {self.lambda_min:.4g}: {self.mean[self.best]:.5g} "
            f"± {self.error[self.best]:.2g}, lambda_1se {self.lambda_1se:.4g}: "
            f"{self.mean[self.best_1se]:.5g} ± {self.error[self.best_1se]:.2g})"
        )

    @property
    def mean(self) -> Array:
        """The mean held-out loss for each alpha."""
        return self.mean_of(self.scores)

    @property
    def error(self) -> Array:
        """The standard error of `mean`, from how the folds differ; NaN of a single fold."""
        share = self._share
        with np.errstate(invalid="ignore"):
            spread = share @ np.square(self._counted(self.scores) - self.mean)
        return (
            np.sqrt(spread / (share.size - 1)) if share.size > 1 else np.full(spread.shape, np.nan)
        )

    @property
    def best(self) -> int:
        """The place of the alpha with the least mean loss; the strongest of equals."""
        mean = np.where(np.isnan(self.mean), np.inf, self.mean)
        return int(np.argmin(mean))

    @property
    def best_1se(self) -> int:
        """The place of the strongest alpha whose mean loss is within one standard error of that."""
        error = self.error[self.best]
        limit = self.mean[self.best] + (error if np.isfinite(error) else 0.0)
        return int(np.argmax(self.mean <= limit)) if np.isfinite(limit) else self.best

    @property
    def lambda_min(self) -> float:
        """The alpha with the least mean loss."""
        return float(self.alphas[self.best])

    @property
    def lambda_1se(self) -> float:
        """The strongest alpha whose mean loss is within one standard error of the least."""
        return float(self.alphas[self.best_1se])

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it, so that weaker alphas were not tried."""
        return any(fit.interrupted for fit in self.path)

    def mean_of(self, figures: Array) -> Array:
        """Return the mean over folds of `scores` or of one of `metrics`."""
        return self._share @ self._counted(figures)

    @property
    def _share(self) -> Array:
        counts = self.weights[self.weights > 0]
        return counts / counts.sum()

    def _counted(self, figures: Array) -> Array:
        return figures[self.weights > 0]


@dataclass(frozen=True)
class Measured:
    """Σw·measure and Σw of each fold's held-out rows; exact where one batch holds all of them."""

    measure: Measure

    def part(self, rows: Rows, theta: Array, held: Array) -> tuple[Array, ...]:
        """Return numerators and denominators (fits,)."""
        scores = rows.scores(None, theta)
        made = np.zeros((2, len(held)))
        for i, fold in enumerate(held):
            weight = rows.weight(int(fold), True)
            assert weight is not None  # of one fold
            counts = weight > 0
            if counts.any():
                w = weight[counts]
                figure = self.measure(rows.y[counts], scores[i][counts], w)
                made[:, i] = figure * w.sum(), w.sum()
        return made[0], made[1]


def cross_validate(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Iterable[float] | int | None = None,
    *,
    folds: int,
    outputs: int = 1,
    metrics: Mapping[str, Measure] | None = None,
    **options: Any,
) -> CrossValidation:
    """Return the path of fits to all data, and for each alpha the loss of every fold's own path on
    the rows that it left out.

    The source numbers its rows' folds from 0 to folds − 1 (rows of fold −1 are in every fit): see
    `fold_ids`. All paths go down the same alphas side by side, each warm from its own last point,
    and none ends before the others. `alphas` are sorted; a number of them, or None, is
    `alpha_grid`. `metrics` are other figures to report, by name, of a source in memory. Ctrl-C ends
    the path at the last alpha that all folds finished. Of `Several` the mean loss chooses.

    Raises ValueError where a fold leaves no row to fit or to score.
    """
    measures = dict(metrics or {})
    if measures and "rows" not in source.offers:
        raise ValueError(
            f"metrics={list(measures)} need the data in memory, which this source does not offer; "
            "the fitted loss is reported without"
        )
    settings = Options(**options)
    grid = alpha_grid(source, loss, penalty, alphas, outputs=outputs, intercept=settings.intercept)
    held = (-1, *range(folds))
    path: list[Fit] = []
    scores: list[Array] = []
    figures: dict[str, list[Array]] = {name: [] for name in measures}
    weights = np.zeros(folds)
    members = len(loss.members) if isinstance(loss, Several) else 1
    with _gathered_warnings(len(held) * grid.size * members, callers_level()):
        lanes = lanes_of(source, loss, penalty, held, outputs, settings)
        for i, alpha in enumerate(grid):
            try:
                found = lanes.at(float(alpha), i, grid.size)
                ended = found[0].interrupted
                if not (ended and path):
                    theta = np.stack([np.vstack([one.coef, one.intercept]) for one in found[1:]])
                    numerator, weights = held_losses(source, loss, theta)
                    asked = theta, np.arange(folds)
                    row = {
                        n: _ratio(*source.reduce(Measured(m), asked)) for n, m in measures.items()
                    }
            except KeyboardInterrupt:
                if not path:
                    raise
                ended = True
            if ended and path:
                path[-1] = stopped(path[-1])
                break
            path.append(found[0])
            scores.append(_ratio(numerator, weights))
            for name, figure in row.items():
                figures[name].append(figure)
            if ended:
                break
    if not (weights > 0).any():
        raise ValueError(f"none of the {folds} folds leaves out a row that counts")
    return CrossValidation(
        grid[: len(path)], np.array(scores).T, weights, tuple(path),
        {name: np.array(columns).T for name, columns in figures.items()},
    )  # fmt: skip


def alpha_grid(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Iterable[float] | int | None,
    *,
    outputs: int = 1,
    **options: Any,
) -> Array:
    """Return strengths from strong to weak: those given, sorted, or so many chosen.

    Chosen ones begin at the least that gives the best constant model and end at a thousandth of it
    (a hundredth where columns are more than rows), 100 by default, evenly by their logarithms.
    Where none gives it (L2) they begin at 1000 times the steepest slope and end at 1e-7 of that, 30
    by default: coefficients then change smoothly. There is one alpha, 0 or 1, where it has no
    effect: without a penalty, and for bounds (Box, NonNegative). Of `Several` the member that
    begins at the strongest decides.
    """
    if isinstance(loss, Several):
        grids = [alpha_grid(source, m, penalty, alphas, **options) for m in loss.members]
        return max(grids, key=lambda one: float(one[0]))
    if alphas is None or isinstance(alphas, int | np.integer):
        if alphas is not None and alphas < 1:
            raise ValueError(f"alphas={alphas!r}; needed is at least one")
        if penalty is None:
            return np.zeros(1)
        if not penalty.scaled:
            return np.ones(1)
        finite = np.isfinite(penalty.alpha_max(np.ones(source.describe().columns)))
        count = int(alphas) if alphas is not None else ALPHAS if finite else _FEW
        return default_alphas(
            source, loss, penalty, outputs=outputs, count=count,
            ratio=None if finite else _RIDGE_SPAN, **options,
        )  # fmt: skip
    grid = np.asarray(list(alphas), dtype=np.float64)
    if grid.ndim != 1 or not grid.size or not (np.isfinite(grid) & (grid >= 0)).all():
        raise ValueError(f"alphas={alphas!r:.80}; needed are finite numbers of at least 0")
    return np.unique(grid)[::-1]


def fold_ids(
    cv: Any,
    rows: int,
    *,
    classes: Array | None = None,
    seed: Any = None,
    splits: Callable[[Any], Iterable[tuple[Array, Array]]] | None = None,
) -> tuple[Array, int]:
    """Return each row's fold (n,), −1 for one that no fold leaves out, and the number of folds.

    `cv` is a number of folds, whose rows are drawn by `seed` so that `classes` (n,) are spread
    evenly over them; fold ids (n,); splits, pairs of (train, test) indexes; or a scikit-learn
    splitter, which `splits` calls. Folds are disjoint, and a fit sees all rows but its fold's.
    """
    if cv is None:
        cv = 5
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        return _drawn(int(cv), rows, classes, seed), int(cv)
    if hasattr(cv, "split") and splits is not None and not isinstance(cv, str):
        cv = list(splits(cv))
    array = _as_ids(cv, rows)
    if array is None:
        return _of_splits(cv, rows)
    names, ids = np.unique(array, return_inverse=True)
    if names[0] == -1:
        ids, names = ids - 1, names[1:]
    return _checked(ids.reshape(-1), len(names))


def _drawn(count: int, rows: int, classes: Array | None, seed: Any) -> Array:
    if not 2 <= count <= rows:
        said = "one sample" if rows == 1 else f"{rows} rows"
        raise ValueError(f"cv={count} folds of {said}; needed are 2 or more, of one row at least")
    from sklearn.utils import check_random_state

    order = check_random_state(seed).permutation(rows)
    if classes is not None:  # rows of one class go round the folds, from where the last ended
        order = order[np.argsort(classes[order], kind="stable")]
    ids = np.empty(rows, np.int64)
    ids[order] = np.arange(rows) % count
    return ids


def _as_ids(cv: Any, rows: int) -> Array | None:
    try:
        array = np.asarray(cv)
    except ValueError:  # splits of unequal lengths
        return None
    return array if array.shape == (rows,) and array.dtype.kind in "iub" else None


def _of_splits(cv: Any, rows: int) -> tuple[Array, int]:
    ids = np.full(rows, -1, np.int64)
    try:
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in cv]
    except (TypeError, ValueError):
        raise ValueError(
            f"cv={cv!r:.60}; needed is a number of folds, a fold id for each of the {rows} rows, "
            "(train, test) pairs of indexes, or a scikit-learn splitter"
        ) from None
    for k, (_, test) in enumerate(pairs):
        if (ids[test] >= 0).any():
            at = int(test[ids[test] >= 0][0])
            raise ValueError(
                f"cv leaves out row {at} in folds {ids[at]} and {k}; folds that run in lock step "
                "leave out each row at most once: use sklearn.model_selection.GridSearchCV"
            )
        ids[test] = k
    for k, (train, _) in enumerate(pairs):
        if not np.array_equal(np.unique(train), np.flatnonzero(ids != k)):
            raise ValueError(
                f"cv fits fold {k} to {len(train)} rows, not to all {int((ids != k).sum())} that "
                "it does not leave out; folds that run in lock step do: use "
                "sklearn.model_selection.GridSearchCV"
            )
    return _checked(ids, len(pairs))


def _checked(ids: Array, count: int) -> tuple[Array, int]:
    if count < 1:
        raise ValueError("cv leaves out no row; needed is a fold")
    if count == 1 and (ids >= 0).all():
        raise ValueError("cv has one fold, which leaves no row to fit to; needed are two")
    return ids, count


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


@contextmanager
def _gathered_warnings(fits: int, level: int) -> Iterator[None]:
    """Turn the warnings of many fits that did not converge into one, so many frames above."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", NotConverged)
        yield
    stopped = [one for one in found if issubclass(one.category, NotConverged)]
    for one in found:
        if one not in stopped:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if stopped:
        warnings.warn(
            f"{len(stopped)} of {fits} fits, of a path and its folds: {stopped[-1].message}",
            NotConverged,
            stacklevel=level + 2,  # this generator, and what contextlib calls it by
        )
