"""Estimators that train CatBoost with any loss: its start, metric and way back come along."""

from __future__ import annotations

import os
from typing import Any

import catboost
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from losskit.arrays import Array
from losskit.boosting.estimators import (
    Fitted,
    OfProbabilities,
    Task,
    read_weight,
    task_of_classes,
    task_of_numbers,
)
from losskit.boosting.objective import FLOOR
from losskit.catboost.adapter import CatBoostLoss, keep
from losskit.catboost.continuing import begun, told

_OWN = ("loss", "curvature", "floor")


class Model(BaseEstimator):
    """What both estimators share: CatBoost's parameters beside losskit's, training, files."""

    def __init__(self, loss: Any, curvature: str, floor: float, params: dict[str, Any]) -> None:
        self.loss = loss
        self.curvature = curvature
        self.floor = floor
        self.params = params

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return losskit's parameters and those of CatBoost that were given."""
        return {name: getattr(self, name) for name in _OWN} | self.params

    def set_params(self, **params: Any) -> Any:
        """Set parameters of losskit or of CatBoost, and return the estimator."""
        for name, value in params.items():
            if name in _OWN:
                setattr(self, name, value)
            else:
                self.params = {**self.params, name: value}
        return self

    def save_model(self, path: str | os.PathLike[str]) -> None:
        """Write the model to CatBoost's own file, which holds its loss and start too."""
        check_is_fitted(self)
        self.model_.save_model(os.fspath(path))

    def load_model(self, path: str | os.PathLike[str]) -> Any:
        """Read what `save_model` wrote, and return the estimator; ValueError if it has no loss."""
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no file {os.fspath(path)}")
        model = catboost.CatBoost().load_model(os.fspath(path))
        fitted = told(model)
        if fitted is None:
            raise ValueError(
                f"{os.fspath(path)} has no loss of losskit's: it was trained without, or with a "
                "loss that no file keeps; load it by catboost.CatBoost"
            )
        kind = Regressor if fitted.classes is None else Classifier
        if not isinstance(self, kind):
            raise ValueError(
                f"{os.fspath(path)} holds a {kind.__name__}: load it by "
                f"losskit.catboost.{kind.__name__}().load_model"
            )
        self._keep(model, fitted)
        return self

    @property
    def feature_importances_(self) -> Array:
        """CatBoost's importances of features."""
        check_is_fitted(self)
        return np.asarray(self.model_.feature_importances_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _fit(self, task: Task, X: Any, eval_set: Any, options: dict[str, Any]) -> None:
        wide = task.objective.outputs != 1 or task.target.ndim == 2
        ours = CatBoostLoss(task.objective, wide)
        before = begun(options.pop("init_model", None))
        task.check_begun(None if before is None else told(before), "init_model")
        sets = []
        for i, (data, y, *weight) in enumerate(_pairs(eval_set)):
            name = f"eval_set[{i}]"
            target, w = task.evaluation(name, y, len(data), weight[0] if weight else None)
            sets.append(_pool(data, _columns(task, target, wide), w, name))
        pool = _pool(X, _columns(task, task.target, wide), task.weight, "X")
        model = ours.train(self.params, pool, sets or None, init_model=before, **options)
        keep(model, task.fitted)  # with the classes, which the pool did not tell
        self._keep(model, task.fitted)
        self.loss_why_ = task.why
        self.curvature_, self.curvature_why_ = ours.curvature, ours.why
        self.start_ = task.start

    def _keep(self, model: Any, fitted: Fitted) -> None:
        self.model_, self.fitted_, self.loss_ = model, fitted, fitted.loss
        self.n_features_in_ = len(model.feature_names_)

    def _made(self, what: str, X: Any, options: dict[str, Any]) -> Array:
        scores = self._scores(X, options)
        return np.asarray(getattr(self.fitted_, what)(scores))

    def _scores(self, X: Any, options: dict[str, Any]) -> Array:
        check_is_fitted(self)
        data = _features(self, X, reset=False)
        return np.asarray(self.model_.predict(data, prediction_type="RawFormulaVal", **options))


class Regressor(RegressorMixin, Model):
    """CatBoost minimising any loss of numbers: start, weights and predictions are right.

    Parameters:
        loss: "auto" (`poisson` for counts, else `squared_error`), a name, or a `losskit.Loss`;
            `losskit.quantile(q=(.1, .5, .9))` gives three columns of predictions that never cross.
        curvature: what stands for the second derivative: see `losskit.boosting.objective`.
        floor: its least value, > 0.
        params: CatBoost's own, as iterations, depth, learning_rate, thread_count, random_seed. The
            rate is 0.03 and a leaf takes one step unless you say otherwise: CatBoost's automatic
            rate, and its ten steps for classes, are for its own objectives alone.

    Attributes:
        model_: the `catboost.CatBoost`, whose raw scores hold the start.
        loss_: what was fitted, and loss_why_ why; curvature_ and curvature_why_ likewise.
        start_: raw score, or (outputs,) of them, of the best constant.
    """

    def __init__(
        self, loss: Any = "auto", *, curvature: str = "auto", floor: float = FLOOR, **params: Any
    ) -> None:
        super().__init__(loss, curvature, floor, params)

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, **options: Any
    ) -> Regressor:
        """Fit to X (n, features) and y (n,), or (n, m) targets, from the best constant on.

        Rows of weight 0 may hold any target. `eval_set` is (X, y), (X, y, weight), or a list of
        these; `early_stopping_rounds=` among the options looks at the mean loss of the last, and
        `init_model=` is a model to train on from. Raises ValueError that names the first bad row.
        """
        data = _features(self, X, reset=True)
        asked = {name: getattr(self, name) for name in _OWN}
        self._fit(task_of_numbers("catboost", y, len(data), sample_weight, **asked), data,
                  eval_set, options)  # fmt: skip
        return self

    def predict(self, X: Any, **options: Any) -> Array:
        """Return predictions (n,), or (n, outputs), on the target's scale; quantiles are sorted."""
        return self._made("numbers", X, options)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² of predictions that have the target's shape; else the share of the mean loss of
        the best constant, above the least possible, that the model saves.
        """
        scores = self._scores(X, {})
        return self.fitted_.score(scores, y, sample_weight)


class Classifier(ClassifierMixin, Model):
    """CatBoost minimising any loss of classes, which may be of any type that sorts.

    A loss of one number is fitted to each of more than two classes against the rest. What is not
    said here is as in `Regressor`.

    Parameters:
        loss: "auto" (`binary_cross_entropy` for two classes or 0/1 labels (n, L), else
            `cross_entropy`), a name, or a `losskit.Loss`.

    Attributes:
        classes_: the classes in order, which predictions are of; for labels the numbers of columns.
    """

    def __init__(
        self, loss: Any = "auto", *, curvature: str = "auto", floor: float = FLOOR, **params: Any
    ) -> None:
        super().__init__(loss, curvature, floor, params)

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, **options: Any
    ) -> Classifier:
        """Fit to X (n, features) and classes y (n,) or 0/1 labels (n, L): as `Regressor.fit`."""
        data = _features(self, X, reset=True)
        asked = {name: getattr(self, name) for name in _OWN}
        self._fit(task_of_classes("catboost", y, len(data), sample_weight, **asked), data,
                  eval_set, options)  # fmt: skip
        return self

    @property
    def classes_(self) -> Array:
        """The classes in order."""
        check_is_fitted(self)
        classes = self.fitted_.classes
        assert classes is not None
        return classes

    def decision_function(self, X: Any, **options: Any) -> Array:
        """Return raw scores: (n,) of the second of two classes, else (n, K) of all or of labels."""
        return self._made("decision", X, options)

    def predict(self, X: Any, **options: Any) -> Array:
        """Return classes (n,), or 0 and 1 for each label (n, L)."""
        return self._made("labels", X, options)

    @OfProbabilities
    def predict_proba(self, X: Any, **options: Any) -> Array:
        """Return probabilities (n, K) of classes, or (n, L); of a loss that tells them only."""
        return self._made("probabilities", X, options)


def _features(model: Model, X: Any, reset: bool) -> Any:
    """Return features as CatBoost takes them: a data frame as it is, with its categories."""
    if hasattr(X, "columns"):
        return X
    return validate_data(model, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")


def _pairs(eval_set: Any) -> list[Any]:
    if eval_set is None:
        return []
    sets = eval_set if isinstance(eval_set, list) else [eval_set]
    for i, one in enumerate(sets):
        if not isinstance(one, tuple) or len(one) not in (2, 3):
            raise ValueError(
                f"eval_set[{i}] is a {type(one).__name__}; needed is (X, y) or (X, y, weight), or "
                "a list of these"
            )
    return sets


def _columns(task: Task, target: Array, wide: bool) -> Array:
    """Return targets as CatBoost keeps them: one number a row, or one for each score."""
    if not wide or target.ndim == 2:
        return target
    if task.fitted.classes is not None:  # a class is a column of its own
        return (target[:, None] == np.arange(task.outputs)).astype(np.float64)
    return np.tile(target[:, None], (1, task.outputs))


def _pool(X: Any, target: Array, weight: Any, name: str) -> catboost.Pool:
    if len(X) != len(target):
        raise ValueError(f"{name} has {len(X)} rows, its targets {len(target)}")
    rows = None if weight is None else read_weight(weight, len(target))[0]
    frame = hasattr(X, "columns")
    categories = [c for c in X.columns if str(X[c].dtype) in _CATEGORIES] if frame else None
    return catboost.Pool(X, target, weight=rows, cat_features=categories)


_CATEGORIES = ("object", "category", "string", "str")
