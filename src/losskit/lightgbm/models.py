"""Estimators that hand any loss to LightGBM's own: its start, metric and way back come along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from losskit.arrays import Array
from losskit.boosting.decided import DECIDED, refuse_decided
from losskit.boosting.estimators import (
    Fitted,
    OfProbabilities,
    Task,
    task_of_classes,
    task_of_numbers,
)
from losskit.boosting.objective import FLOOR
from losskit.lightgbm.adapter import (
    AS_HOST,
    LightGBMLoss,
    check_kind,
    keep_objective,
)
from losskit.lightgbm.finishing import finish, told_loss, with_loss
from losskit.lightgbm.starting import begun, check_scores, fitted_of, repeated

_OWN = ("loss", "curvature", "floor")
_METRICS = ("metric", "metrics", "metric_types")  # its names for metrics beside ours


class Model(BaseEstimator):
    """What both estimators are: LightGBM's parameters, and after `fit` all that its estimator has.

    `host_` is the `lightgbm.LGBMRegressor` that was trained, to raw scores, and `booster_` its
    model, complete with start and way back.
    """

    def __init__(
        self, loss: Any = "auto", *, curvature: str = "auto", floor: float = FLOOR, **params: Any
    ) -> None:
        self.loss = loss
        self.curvature = curvature
        self.floor = floor
        self._params = params  # LightGBM's

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters by name, LightGBM's among them."""
        host = lgb.LGBMRegressor(**self._params).get_params(deep)
        del host["objective"]
        return {**host, **{name: getattr(self, name) for name in _OWN}}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, LightGBM's aliases too."""
        for name in _OWN:
            if name in params:
                setattr(self, name, params.pop(name))
        self._params = {**self._params, **params}
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # as scikit-learn calls it
        defaults = {"loss": "auto", "curvature": "auto", "floor": FLOOR}
        own = {name: value for name, value in _asked(self).items() if value != defaults[name]}
        said = ", ".join(f"{name}={value!r}" for name, value in {**own, **self._params}.items())
        return f"losskit.lightgbm.{type(self).__name__}({said})"[:N_CHAR_MAX]

    def __getattr__(self, name: str) -> Any:
        """Return what LightGBM's estimator has after `fit`, or one of its parameters."""
        if not name.startswith("_"):
            if "host_" in vars(self) and name.endswith("_"):
                return getattr(self.host_, name)
            if "_params" in vars(self) and name in (params := self.get_params()):
                return params[name]
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # which raises again, and says why
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def save_model(self, path: str | os.PathLike[str]) -> None:
        """Write LightGBM's model file, with a line that tells the loss.

        `lightgbm.Booster(model_file=path)` reads it too. Raises ValueError for a loss that is made
        of Python functions.
        """
        check_is_fitted(self, "booster_")
        text = with_loss(self.booster_.model_to_string(), self.fitted_.to_text())
        Path(path).write_text(text, encoding="utf-8", newline="\n")

    def load_model(self, path: str | os.PathLike[str]) -> Any:
        """Read what `save_model` wrote, and return the estimator.

        Raises ValueError if it has no loss, or is of a Classifier where this is a Regressor.
        """
        text = Path(path).read_text(encoding="utf-8")
        told = told_loss(text)
        if told is None:
            raise ValueError(
                f"{os.fspath(path)} tells no loss: it was not written by save_model of losskit's "
                "estimators; load it by lightgbm.Booster"
            )
        try:
            self.fitted_ = Fitted.from_text(told, classifier=isinstance(self, ClassifierMixin))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None
        if "host_" in vars(self):
            del self.host_
        self.booster_ = lgb.Booster(model_str=text)
        self.n_features_in_ = self.booster_.num_feature()
        self.loss_ = self.fitted_.loss
        if self.fitted_.classes is not None:
            self.classes_ = self.fitted_.classes
        return self

    def _fit(
        self, task: Task, X: Any, label: Any, held_out: list[Any], options: dict[str, Any]
    ) -> Any:
        """Train LightGBM's estimator from the loss's start, and keep what predictions need."""
        ours = LightGBMLoss(task.objective)
        start = None
        check_kind(self._params)
        if (given := options.get("init_model")) is not None:
            options["init_model"] = begun(given)
            task.check_begun(fitted_of(given), "init_model")
            check_scores(options["init_model"], task.loss, task.outputs)
        elif options.get("init_score") is None:
            start = task.objective.start(_kept(task.target), _kept(task.weight))
            options["init_score"] = repeated(start, len(task.target))
            options["eval_init_score"] = _begun(start, held_out, options.get("eval_init_score"))
        if held_out:
            options["eval_X"], options["eval_y"], weights = zip(*held_out, strict=True)
            options["eval_sample_weight"] = list(weights)
        others = options.pop("eval_metric", None)
        others = others if isinstance(others, list) else [] if others is None else [others]
        host = lgb.LGBMRegressor(**self._settings(task), objective=ours.in_turns())
        host.fit(
            X,
            label,
            sample_weight=task.weight,
            eval_metric=[ours.metric, *others],
            callbacks=[keep_objective, *(options.pop("callbacks", None) or ())],
            **options,
        )
        host.set_params(objective=ours.objective)
        finish(host.booster_, task.loss, start)
        self.host_, self.booster_ = host, host.booster_
        self.fitted_, self.start_, self.n_features_in_ = task.fitted, start, host.n_features_in_
        self.loss_, self.loss_why_ = task.loss, task.why
        self.curvature_, self.curvature_why_ = task.objective.curvature, task.objective.why
        return self

    def _settings(self, task: Task) -> dict[str, Any]:
        """Return LightGBM's parameters; the loss is the only metric where none is named."""
        refuse_decided("lightgbm", self._params)
        own = {"class_weight", *DECIDED["lightgbm"]}
        said = {name: value for name, value in self._params.items() if name not in own}
        if not any(name in said for name in _METRICS):
            said["metric"] = "none"
        return {**said, "num_class": task.outputs} if task.outputs > 1 else said

    def _predicted(self, X: Any, options: dict[str, Any], what: str) -> Any:
        check_is_fitted(self, "booster_")
        model = self.host_ if "host_" in vars(self) else self.booster_  # read from a file
        if any(options.get(name) for name in AS_HOST):
            return model.predict(X, **options)
        return getattr(self.fitted_, what)(model.predict(X, **{**options, "raw_score": True}))


class Regressor(RegressorMixin, Model):
    """LightGBM with any loss of numbers.

    Parameters:
        loss: "auto" (`poisson` for counts, else `squared_error`), a name, or a `losskit.Loss`;
            `losskit.quantile(q=(.1, .5, .9))` fits several that do not cross.
        curvature: what is handed over as second derivative, and floor its least value: see
            `losskit.boosting.objective.objective`; "host" is LightGBM's own rule.
        params: those of `lightgbm.LGBMRegressor`, but `objective`.

    Attributes, beside those of LightGBM's estimator, such as `booster_` and `best_iteration_`:
        loss_: what was fitted, and loss_why_ why.
        curvature_: the policy that was used, and curvature_why_ why.
        start_: the raw score where training began, which the booster's first tree holds.

    >>> import losskit.lightgbm
    >>> X = [[float(i)] for i in range(60)]
    >>> y = [float(i) for i in range(60)]
    >>> band = losskit.quantile(q=(0.1, 0.5, 0.9))
    >>> model = losskit.lightgbm.Regressor(band, n_estimators=9, verbosity=-1, n_jobs=1).fit(X, y)
    >>> low, middle, high = model.predict([[30.0]])[0]
    >>> bool(low < middle < high)
    True
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        eval_X: Any = None,
        eval_y: Any = None,
        eval_sample_weight: Any = None,
        **options: Any,
    ) -> Regressor:
        """Fit to X and targets y (n,); rows of weight 0 may hold any target.

        Held-out data, `eval_set=[(X, y), …]` or `eval_X=` and `eval_y=`, are scored by the loss
        after each round, and end training early as `early_stopping_round=` or LightGBM's callback
        says. Other options are those of `LGBMRegressor.fit`. Raises ValueError that names the first
        bad row, before training.
        """
        task = task_of_numbers("lightgbm", y, _rows(X), sample_weight, **_asked(self))
        if task.target.ndim > 1:
            raise ValueError(
                f"y has {task.target.shape[1]} columns; LightGBM takes one target, y of shape (n,)"
            )
        held_out = _held_out(task, eval_set, eval_X, eval_y, eval_sample_weight)
        everything = task.weight is None or bool(task.weight.all())
        self._fit(task, X, y if everything else task.target, held_out, options)
        return self

    def predict(self, X: Any, **options: Any) -> Any:
        """Return predictions (n,) on the scale of the target, or (n, outputs); several quantiles
        are sorted. Options are those of `LGBMRegressor.predict`.
        """
        return self._predicted(X, options, "numbers")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² of predictions that have the target's shape; else the share of the mean loss of
        the best constant, above the least possible, that the model saves.
        """
        scores = self._predicted(X, {"raw_score": True}, "numbers")
        return self.fitted_.score(scores, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        return lgb.LGBMRegressor().__sklearn_tags__()


class Classifier(ClassifierMixin, Model):
    """LightGBM with any loss of classes.

    Classes are of any type that sorts. A loss of one number is fitted for each of more than two
    classes against the rest. What is not said here is as in `Regressor`.

    Parameters:
        loss: "auto" (`binary_cross_entropy` for two classes, else `cross_entropy`), a name, or a
            `losskit.Loss`.
        params: those of `lightgbm.LGBMClassifier`, but `objective`.

    >>> import losskit.lightgbm
    >>> X = [[float(i)] for i in range(60)]
    >>> y = ["low"] * 30 + ["high"] * 30
    >>> model = losskit.lightgbm.Classifier(n_estimators=9, verbosity=-1, n_jobs=1).fit(X, y)
    >>> model.predict([[3.0]]).tolist(), model.predict_proba([[3.0]]).sum().tolist()
    (['low'], 1.0)
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        eval_X: Any = None,
        eval_y: Any = None,
        eval_sample_weight: Any = None,
        **options: Any,
    ) -> Classifier:
        """Fit to X and classes y (n,); everything else is as in `Regressor.fit`."""
        weight = _with_class_weight(self, y, sample_weight)
        task = task_of_classes("lightgbm", y, _rows(X), weight, **_asked(self))
        if task.fitted.multilabel:
            raise ValueError(
                f"y has {task.target.shape[1]} columns of labels; LightGBM takes one class a row"
            )
        held_out = _held_out(task, eval_set, eval_X, eval_y, eval_sample_weight)
        self._fit(task, X, _label(task.target), held_out, options)
        self.classes_: Any = task.fitted.classes
        return self

    def predict(self, X: Any, **options: Any) -> Any:
        """Return classes (n,). Options are those of `LGBMClassifier.predict`."""
        return self._predicted(X, options, "labels")

    @OfProbabilities
    def predict_proba(self, X: Any, **options: Any) -> Any:
        """Return probabilities (n, classes) whose rows sum to 1, of a loss that tells them."""
        return self._predicted(X, options, "probabilities")

    def decision_function(self, X: Any, **options: Any) -> Any:
        """Return raw scores: (n,) of the second of two classes, else (n, classes)."""
        return self._predicted(X, options, "decision")

    def __sklearn_tags__(self) -> Any:
        return lgb.LGBMClassifier().__sklearn_tags__()


def _asked(model: Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in _OWN}


def _rows(X: Any) -> int:
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    return int(shape[0]) if shape else 0


def _with_class_weight(model: Model, y: Any, sample_weight: Any) -> Any:
    """Return weights times those of the rows' classes."""
    said = model._params.get("class_weight")
    if said is None or y is None:
        return sample_weight
    of_classes = compute_sample_weight(said, y)
    return of_classes if sample_weight is None else np.multiply(sample_weight, of_classes)


def _held_out(
    task: Task, eval_set: Any, eval_X: Any, eval_y: Any, weights: Any
) -> list[tuple[Any, Array, Any]]:
    """Return features, targets as LightGBM keeps them, and weights of each held-out set."""
    if (eval_X is None) != (eval_y is None) or (eval_set is not None and eval_X is not None):
        raise ValueError("held-out data are eval_set=, or eval_X= and eval_y=")
    if eval_X is not None:
        alone = not isinstance(eval_X, tuple)
        eval_set = [(eval_X, eval_y)] if alone else list(zip(eval_X, eval_y, strict=True))
    where = "eval_set" if eval_X is None else "eval_y"
    pairs = [eval_set] if isinstance(eval_set, tuple) else list(eval_set or ())
    made = []
    for i, (X, y) in enumerate(pairs):
        given = None if weights is None else weights[i]
        target, weight = task.evaluation(f"{where}[{i}]", y, _rows(X), given)
        made.append((X, _label(target), weight))
    return made


def _begun(start: Any, held_out: list[Any], offsets: Any) -> list[Array]:
    """Return where held-out sets begin: at the start, beyond offsets of their own."""
    made = [repeated(start, len(y)) for _, y, _ in held_out]
    for place, offset in zip(made, offsets or (), strict=False):
        place += 0.0 if offset is None else np.reshape(offset, place.shape, order="F")
    return made


def _label(target: Array) -> Array:
    """Return targets as LightGBM keeps them, one number a row: codes where there are columns."""
    return target if target.ndim == 1 else target.argmax(axis=1)


def _kept(values: Array | None) -> Array | None:
    """Return targets or weights as LightGBM keeps them."""
    return None if values is None else values.astype(np.float32)
