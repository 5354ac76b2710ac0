"""What all estimators share: reading data, keeping a fit in scikit-learn's shapes, predicting.

scikit-learn asks for classes with attributes. What computes is in functions, of this module and of
those it imports; the classes of `estimators` add parameters and `fit`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from losskit import penalties
from losskit.arrays import Array
from losskit.fit.crossvalidation import CrossValidation, cross_validate, fold_ids
from losskit.fit.data.source import MemorySource
from losskit.fit.estimators import measures
from losskit.fit.estimators.members import path_of
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.fitting import Fit, callers_level
from losskit.fit.inputs.choosing import loss_of_classes, loss_of_numbers
from losskit.fit.inputs.reading import Given, read, read_matrix, read_offset
from losskit.fit.inputs.targets import Classes, Coding, class_factors, coding, numbers, read_classes
from losskit.fit.solvers.auto import named
from losskit.optimum import inverse
from losskit.several import Several


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be fitted: a loss with its targets, and what tells predictions from scores."""

    given: Given
    loss: Any
    why: str
    target: Array
    outputs: int
    weight: Array | None
    offset: Array | None
    classes: Classes | None = None
    coding: Coding | None = None

    def source(self, fold: Array | None = None) -> MemorySource:
        """Return the data as solvers see them."""
        return MemorySource(
            self.given.matrix, self.target, weight=self.weight, offset=self.offset, fold=fold
        )


class LinearModel(BaseEstimator):
    """A linear model of raw scores; `coef_` (outputs, features) or (features,) of one output."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a file that `losskit.load` reads: numbers and text, no code.

        It is replaced at once when all is written. `progress`, a splitter as `cv` and a
        `random_state` that is no number are left out. Raises ValueError for a loss made of Python
        functions.
        """
        from losskit.fit.files.archive import save

        check_is_fitted(self)
        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _raw(self, X: Any, offset: Any = None) -> Array:
        """Return raw scores (n, outputs) of new data."""
        check_is_fitted(self)
        matrix = read_matrix(self, X)
        scores = np.asarray(matrix @ np.atleast_2d(self.coef_).T, dtype=np.float64)
        scores = scores + np.atleast_1d(self.intercept_)
        if offset is None and getattr(self, "offset_in_fit_", False):
            warnings.warn(
                "the model was fitted with offset=, and predicts without: its raw scores lack "
                "what was added there, such as the logarithm of an exposure; pass offset=, of "
                "zeros where that is meant",
                UserWarning,
                stacklevel=callers_level(),
            )
        added = read_offset(offset, len(scores), scores.shape[1])
        if added is not None:
            scores += added.reshape(len(scores), -1)
        return scores

    def _options(self) -> dict[str, Any]:
        return {
            "intercept": self.fit_intercept, "solver": _solver(self), "tol": self.tol,
            "max_iter": self.max_iter, "certificate": self.certificate, "progress": self.progress,
        }  # fmt: skip

    def _fit_path(self, task: Task, alphas: Sequence[float], begin: Any) -> tuple[Fit, ...]:
        """Fit to each alpha and keep the last as the model."""
        penalty = penalties.get(self.penalty, l1_ratio=self.l1_ratio)
        fits = path_of(
            task.source(), task.loss, penalty, alphas, outputs=task.outputs, begin=begin,
            **self._options(),
        )  # fmt: skip
        self._keep(task, fits, len(fits) - 1)
        return fits

    def _fit_folds(self, task: Task, groups: Any) -> None:
        """Cross-validate, for each l1_ratio, and keep the best model of all data."""
        if self.rule not in ("min", "1se"):
            raise ValueError(f"rule={self.rule!r}; needed is 'min' or '1se'")
        fold, count = _folds(self, task, groups)
        source, figures = task.source(fold), self._measures(task)
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64))
        found: list[tuple[float, CrossValidation]] = []
        for ratio in ratios.tolist():
            penalty = penalties.get(self.penalty, l1_ratio=ratio)
            made = cross_validate(
                source, task.loss, penalty, self.alphas, folds=count, outputs=task.outputs,
                metrics=figures, **self._options(),
            )  # fmt: skip
            found.append((ratio, made))
            if made.interrupted:
                break
        self.l1_ratio_, self.cv_ = min(found, key=lambda one: float(one[1].mean[one[1].best]))
        place = self.cv_.best if self.rule == "min" else self.cv_.best_1se
        self._keep(task, self.cv_.path, place)

    def _keep(self, task: Task, fits: Sequence[Fit], place: int) -> None:
        """Set the attributes of a fitted model, which is one of a path."""
        fit = fits[place]
        flat = self._flat(task)
        shaped = [(f.coef[:, 0] if flat else f.coef.T) for f in fits]
        self.coef_path_ = np.array(shaped)
        self.intercept_path_ = np.array([f.intercept[0] if flat else f.intercept for f in fits])
        self.alphas_ = np.array([f.alpha for f in fits])
        self.coef_ = self.coef_path_[place].copy()
        intercept = self.intercept_path_[place]
        self.intercept_ = float(intercept) if flat else intercept.copy()
        self.alpha_, self.objective_, self.baseline_ = fit.alpha, fit.objective, fit.baseline
        self.history_, self.certificate_ = fit.history, fit.certificate
        self.n_iter_ = fit.n_iter
        self.interrupted_ = any(one.interrupted for one in fits)
        self.offset_in_fit_ = task.offset is not None
        self.loss_, self.loss_why_ = task.loss, task.why
        self.solver_, self.solver_why_ = fit.solver, fit.why
        self._remember(task)

    def _remember(self, task: Task) -> None:
        """Set what does not come from a fit."""
        step = task.given.preprocessing
        if step is not None:
            self.preprocessing_ = step
        elif hasattr(self, "preprocessing_"):
            del self.preprocessing_

    def _begin(self, task: Task) -> tuple[Array, Array] | None:
        """Return where a warm start begins: the last coefficients, if they have the shape."""
        if not getattr(self, "warm_start", False) or not hasattr(self, "coef_"):
            return None
        coef, intercept = np.atleast_2d(self.coef_).T, np.atleast_1d(self.intercept_)
        if coef.shape != (task.given.matrix.shape[1], task.outputs):
            return None
        return coef, intercept


class LinearRegressor(RegressorMixin, LinearModel):
    """A model of numbers."""

    def predict(self, X: Any, offset: Any = None) -> Array:
        """Return predictions (n,) on the scale of the target, such as means exp(f) of counts.

        They are (n, m) for m targets, or for a loss of several outputs such as `gaussian_nll`, and
        (n, members) for `losskit.quantile(q=(.1, .5, .9))`: these are sorted, so that no two cross
        (rearranged: Chernozhukov, Fernández-Val & Galichon, 2010).
        """
        return self._predicted(self._raw(X, offset))

    def score(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> float:
        """Return R² of predictions that have the target's shape; else the share of the mean loss of
        the best constant, above the least possible, that the model saves.
        """
        scores = self._raw(X, offset)
        predictions = self._predicted(scores)
        target = numbers(y, len(scores))
        if predictions.shape == target.shape:
            from sklearn.metrics import r2_score

            return float(r2_score(target, predictions, sample_weight=sample_weight))
        loss = self.loss_
        own = loss(target, scores, raw=True, sample_weight=sample_weight)
        constant = np.asarray(loss.optimal_constant(target, sample_weight, raw=True))
        base = loss(
            target, np.broadcast_to(constant, scores.shape), raw=True, sample_weight=sample_weight
        )
        least = float(np.average(loss.infimum(target), weights=sample_weight))
        room = base - (least if np.isfinite(least) else 0.0)
        return float((base - own) / room)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _task(self, X: Any, y: Any, sample_weight: Any, offset: Any, first: bool = True) -> Task:
        given = read(self, X, y, sample_weight, first=first)
        target = numbers(given.y, given.rows, given.kept)
        loss, why = loss_of_numbers(self.loss, target)
        outputs = _outputs(loss, target)
        # Several losses are fitted one by one, with the same offset.
        wide = 1 if isinstance(loss, Several) else outputs
        added = read_offset(offset, given.every, wide, given.kept)
        return Task(given, loss, why, _column(target), outputs, given.weight, added)

    def _flat(self, task: Task) -> bool:
        return task.outputs == 1 and np.asarray(task.given.y).ndim == 1

    def _remember(self, task: Task) -> None:
        super()._remember(task)
        loss = task.loss
        self.order_ = loss.ordered(task.target) if isinstance(loss, Several) else None

    def _predicted(self, scores: Array) -> Array:
        loss = self.loss_
        if isinstance(loss, Several):
            made = inverse(loss.members[0].link, scores)
            if self.order_ is not None:
                made[:, list(self.order_)] = np.sort(made, axis=1)
            return made
        links = loss.link if isinstance(loss.link, tuple) else (loss.link,) * scores.shape[1]
        made = np.column_stack([inverse(k, f) for k, f in zip(links, scores.T, strict=True)])
        return made[:, 0] if self.coef_.ndim == 1 else made

    def _measures(self, task: Task) -> dict[str, Any] | None:
        if task.outputs > 1:
            return None
        return measures.of_numbers(self.metrics, lambda f: inverse(task.loss.link, f[:, 0]))


def _tells_probabilities(model: Any) -> bool:
    """Whether the loss is proper: its minimum tells the probabilities of classes."""
    if hasattr(model, "coding_"):
        loss, how = model.loss_, model.coding_
    else:
        two = Classes(np.arange(2), np.arange(2))
        loss, _ = loss_of_classes(model.loss, two)
        labels = getattr(loss.definition, "axis", None) == "label"
        how = coding(loss, Classes(two.labels, np.eye(2, dtype=int)) if labels else two)
    if estimator_of(loss, how) is None:
        raise AttributeError(
            f"{loss!r} tells no probabilities; use decision_function, or a loss that does, such as "
            "binary_cross_entropy"
        )
    return True


class LinearClassifier(ClassifierMixin, LinearModel):
    """A model of classes."""

    def decision_function(self, X: Any, offset: Any = None) -> Array:
        """Return raw scores: (n,) of the second of two classes, else (n, K) of all or of labels."""
        scores = self._raw(X, offset)
        return self.coding_.decision(scores)

    def predict(self, X: Any, offset: Any = None) -> Array:
        """Return classes (n,), or 0 and 1 for each label (n, labels)."""
        decision = self.decision_function(X, offset)
        return self.classes_[self.coding_.codes(decision, self._columns)]

    @available_if(_tells_probabilities)
    def predict_proba(self, X: Any, offset: Any = None) -> Array:
        """Return probabilities (n, K) of classes, or (n, labels); of a loss that is proper only.

        Classes that were each fitted against the rest have theirs divided by the sum.
        """
        scores = self._raw(X, offset)
        return probabilities(self.loss_, self.coding_, scores, self._columns)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _columns(self) -> bool:
        return bool(self.multilabel_)

    def _task(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, first: bool = True,
        known: Array | None = None,
    ) -> Task:  # fmt: skip
        given = read(self, X, y, sample_weight, first=first)
        classes = read_classes(given.y, given.rows, given.kept, known)
        loss, why = loss_of_classes(self.loss, classes)
        how = coding(loss, classes)
        factors = class_factors(self.class_weight, classes, given.weight)
        weight = given.weight
        if factors is not None:
            weight = factors if weight is None else weight * factors
        added = read_offset(offset, given.every, how.outputs, given.kept)
        if how.layout == "index" and added is not None and added.ndim == 1:
            raise ValueError(
                f"offset has shape ({given.every},), and {loss!r} only sees differences between "
                f"classes, which one number for all of them does not change; needed is "
                f"({given.every}, {how.outputs})"
            )
        target = how.target(classes)
        return Task(given, loss, why, target, how.outputs, weight, added, classes, how)

    def _flat(self, task: Task) -> bool:
        return False

    def _remember(self, task: Task) -> None:
        super()._remember(task)
        assert task.classes is not None
        assert task.coding is not None
        self.classes_, self.multilabel_ = task.classes.labels, task.classes.columns
        self.coding_ = task.coding

    def _measures(self, task: Task) -> dict[str, Any] | None:
        assert task.classes is not None
        assert task.coding is not None
        if task.classes.columns:
            return None
        return measures.of_classes(self.metrics, task.loss, task.coding)


def _solver(model: Any) -> Any:
    """Return the solver that was asked for, with the model's random state if it draws rows."""
    solver = model.solver
    if isinstance(solver, str) and solver != "auto":
        solver = named(solver)
        if hasattr(solver, "random_state"):
            solver = replace(solver, random_state=model.random_state)
    return solver


def _outputs(loss: Any, target: Array) -> int:
    """Return the number of raw outputs of a regressor."""
    several = isinstance(loss, Several)
    own = len(loss.members) if several else len(loss.outputs)
    if not several and loss.kind != "pointwise":
        raise ValueError(
            f"{loss!r} is a loss over the {loss.definition.axis} axis; fit a losskit.Classifier, "
            "or a loss of one number"
        )
    if own > 1 and target.ndim == 2 and target.shape[1] > 1:
        raise ValueError(
            f"{loss!r} gives {own} predictions of one target; y has {target.shape[1]}: fit them "
            "one by one"
        )
    return own if own > 1 or target.ndim == 1 else target.shape[1]


def _column(target: Array) -> Array:
    """Return a single column as (n,), as losses of one output take it."""
    return target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target


def _folds(model: Any, task: Task, groups: Any) -> tuple[Array, int]:
    """Return the fold of each row that counts, and the number of folds."""
    given, classes = task.given, task.classes
    if model.cv is None or isinstance(model.cv, int | np.integer):
        codes = classes.codes if classes is not None and not classes.columns else None
        return fold_ids(model.cv, given.rows, classes=codes, seed=model.random_state)
    every = given.every
    y = np.zeros(every) if given.kept is not None or classes is None else classes.codes
    ids, count = fold_ids(
        model.cv, every, splits=lambda cv: cv.split(np.zeros((every, 1)), y, groups)
    )
    return (ids if given.kept is None else ids[given.kept]), count
