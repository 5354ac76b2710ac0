"""XGBoost's estimators with any loss: `Regressor` and `Classifier`.

They are XGBoost's own, and take all of its parameters but those that the loss decides; what
differs is how they are trained and what raw scores become.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xgboost as xgb

from losskit.arrays import Array
from losskit.boosting.decided import refuse_decided
from losskit.boosting.estimators import (
    Fitted,
    OfProbabilities,
    Task,
    task_of_classes,
    task_of_numbers,
)
from losskit.boosting.objective import FLOOR
from losskit.xgboost.adapter import ATTRIBUTE, keep, trained_with
from losskit.xgboost.continuing import begun

_OF_HOST = ("loss", "curvature", "floor")  # parameters that XGBoost does not know


class Regressor(xgb.XGBRegressor):
    """`xgboost.XGBRegressor` that minimises any loss: start, weights and predictions are right.

    Parameters:
        loss: "auto" (`poisson` for counts, else `squared_error`), a name, or a `losskit.Loss`;
            `losskit.quantile(q=(.1, .5, .9))` gives three columns of predictions that never cross.
        curvature: what stands for the second derivative: see `losskit.boosting.objective`.
        floor: its least value, > 0.
        kwargs: XGBoost's own, as n_estimators, max_depth, learning_rate, n_jobs,
            early_stopping_rounds; `eval_metric` takes names of metrics to report beside the loss.

    Attributes:
        loss_: what was fitted, and loss_why_ why.
        curvature_: the policy that was used, and curvature_why_ why.
        start_: raw score, or (outputs,) of them, of the best constant, which the booster has too.
    """

    def __init__(
        self, loss: Any = "auto", *, curvature: str = "auto", floor: float = FLOOR, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.loss = loss
        self.curvature = curvature
        self.floor = floor

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, without `objective`, which the loss is."""
        return _parameters(super().get_params(deep))

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters that XGBoost knows."""
        return _hosts_parameters(super().get_xgb_params())

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        base_margin: Any = None,
        eval_set: Sequence[tuple[Any, Any]] | None = None,
        verbose: bool | int = True,
        xgb_model: Any = None,
        sample_weight_eval_set: Sequence[Any] | None = None,
        base_margin_eval_set: Sequence[Any] | None = None,
    ) -> Regressor:
        """Fit to X (n, features) and y (n,), or (n, m) targets, from the best constant on.

        What is not said here is as in XGBoost. Rows of weight 0 may hold any target. Early stopping
        looks at the mean loss of the last set of `eval_set`. `base_margin`, raw scores to start
        from, stands instead of the best constant. Raises ValueError that names the first bad row.
        """
        task = task_of_numbers(
            "xgboost", y, _rows(X), sample_weight, loss=self.loss, curvature=self.curvature,
            floor=self.floor,
        )  # fmt: skip
        sets = _sets(eval_set, sample_weight_eval_set, base_margin_eval_set)
        _train(self, task, X, base_margin, sets, verbose, xgb_model)
        return self

    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> Array:
        """Return predictions (n,), or (n, outputs), on the scale of the target; quantiles sorted.

        `output_margin` asks for raw scores; the options are XGBoost's.
        """
        scores = super().predict(X, output_margin=True, **options)
        return scores if output_margin else self.fitted_.numbers(scores)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² of predictions that have the target's shape; else the share of the mean loss of
        the best constant, above the least possible, that the model saves.
        """
        scores = self.predict(X, output_margin=True)
        return self.fitted_.score(scores, y, sample_weight)

    def load_model(self, fname: Any) -> Any:
        """Read what `save_model` wrote, and return the estimator; ValueError if it has no loss."""
        super().load_model(fname)
        _recall(self)
        return self


class Classifier(xgb.XGBClassifier):
    """`xgboost.XGBClassifier` that minimises any loss of classes, which may be of any type.

    A loss of one number is fitted to each of more than two classes against the rest. What is not
    said here is as in `Regressor`.

    Parameters:
        loss: "auto" (`binary_cross_entropy` for two classes or 0/1 labels (n, L), else
            `cross_entropy`), a name, or a `losskit.Loss`.

    Attributes:
        classes_: the classes in order, which predictions are of; for labels the numbers of columns.
    """

    def __init__(
        self, loss: Any = "auto", *, curvature: str = "auto", floor: float = FLOOR, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.loss = loss
        self.curvature = curvature
        self.floor = floor

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, without `objective`, which the loss is."""
        return _parameters(super().get_params(deep))

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters that XGBoost knows."""
        return _hosts_parameters(super().get_xgb_params())

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        base_margin: Any = None,
        eval_set: Sequence[tuple[Any, Any]] | None = None,
        verbose: bool | int = True,
        xgb_model: Any = None,
        sample_weight_eval_set: Sequence[Any] | None = None,
        base_margin_eval_set: Sequence[Any] | None = None,
    ) -> Classifier:
        """Fit to X (n, features) and classes y (n,) or 0/1 labels (n, L): as `Regressor.fit`."""
        task = task_of_classes(
            "xgboost", y, _rows(X), sample_weight, loss=self.loss, curvature=self.curvature,
            floor=self.floor,
        )  # fmt: skip
        sets = _sets(eval_set, sample_weight_eval_set, base_margin_eval_set)
        _train(self, task, X, base_margin, sets, verbose, xgb_model)
        self.n_classes_ = len(self.classes_)
        return self

    @property
    def classes_(self) -> Array:
        """The classes in order."""
        classes = self.fitted_.classes
        assert classes is not None
        return classes

    def decision_function(self, X: Any, **options: Any) -> Array:
        """Return raw scores: (n,) of the second of two classes, else (n, K) of all or of labels."""
        scores = super().predict(X, output_margin=True, **options)
        return self.fitted_.decision(scores)

    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> Array:
        """Return classes (n,), or 0 and 1 for each label (n, L)."""
        scores = super().predict(X, output_margin=True, **options)
        return scores if output_margin else self.fitted_.labels(scores)

    @OfProbabilities
    def predict_proba(self, X: Any, **options: Any) -> Array:
        """Return probabilities (n, K) of classes, or (n, L); of a loss that tells them only."""
        scores = super().predict(X, output_margin=True, **options)
        return self.fitted_.probabilities(scores)

    def load_model(self, fname: Any) -> Any:
        """Read what `save_model` wrote, and return the estimator; ValueError if it has no loss."""
        super().load_model(fname)
        _recall(self)
        self.n_classes_ = len(self.classes_)
        return self


def _parameters(every: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in every.items() if name != "objective"}


def _hosts_parameters(every: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in every.items() if name not in _OF_HOST}


def _host(model: Any) -> Any:
    """Return XGBoost's own estimator that a model is."""
    return xgb.XGBClassifier if isinstance(model, xgb.XGBClassifier) else xgb.XGBRegressor


def _rows(X: Any) -> int:
    from sklearn.utils.validation import _num_samples

    return _num_samples(X)


def _sets(eval_set: Any, sample_weights: Any, margins: Any) -> list[tuple[Any, Any, Any, Any]]:
    """Return (X, y, weights, margins) of each evaluation set."""
    given = list(eval_set or ())
    columns = []
    for name, values in (("sample_weight", sample_weights), ("base_margin", margins)):
        made = [None] * len(given) if values is None else list(values)
        if len(made) != len(given):
            raise ValueError(
                f"{name}_eval_set has {len(made)} parts; eval_set has {len(given)}: pass one for "
                "each, None for none"
            )
        columns.append(made)
    return [(X, y, w, m) for (X, y), w, m in zip(given, *columns, strict=True)]


def _train(
    model: Any, task: Task, X: Any, margin: Any, sets: Any, verbose: Any, xgb_model: Any
) -> None:
    """Train a booster and keep it in the model as XGBoost's estimators do."""
    params = model.get_xgb_params()
    _check(model, params)
    if xgb_model is not None:
        xgb_model = begun(xgb_model)
        told = xgb_model.attr(ATTRIBUTE)
        task.check_begun(None if told is None else Fitted.from_text(told), "xgb_model")
    with xgb.config_context(verbosity=model.verbosity):
        dtrain = _matrix(model, X, task.target, task.weight, margin, None)
        evals = []
        for i, (data, y, weight, added) in enumerate(sets):
            target, weight = task.evaluation(f"eval_set[{i}]", y, _rows(data), weight)
            held = _matrix(model, data, target, weight, added, dtrain)
            evals.append((held, f"validation_{i}"))
        log: dict[str, Any] = {}
        ours = trained_with(task.objective, model.curvature)
        booster = ours.train(
            params, dtrain, model.get_num_boosting_rounds(), evals=evals, evals_result=log,
            early_stopping_rounds=model.early_stopping_rounds, verbose_eval=verbose,
            callbacks=model.callbacks or (), xgb_model=xgb_model,
        )  # fmt: skip
    keep(booster, task.fitted)
    model._Booster = booster
    model.fitted_ = task.fitted
    model.loss_, model.loss_why_ = task.loss, task.why
    model.curvature_, model.curvature_why_ = ours.curvature, ours.why
    model.start_ = task.start
    vars(model).pop("evals_result_", None)  # of an earlier fit
    if log:
        model.evals_result_ = log


def _check(model: Any, params: dict[str, Any]) -> None:
    """Raise ValueError or TypeError at a parameter that the loss decides."""
    said = model.objective if model.objective != _host(model)().objective else None
    refuse_decided("xgboost", {**params, "objective": said})
    metrics = model.eval_metric
    if callable(metrics) or any(map(callable, metrics if isinstance(metrics, list) else ())):
        raise TypeError(
            "eval_metric takes names of XGBoost's metrics, to report beside the loss: compute your "
            "own of predict()"
        )


def _matrix(model: Any, X: Any, y: Array, weight: Any, margin: Any, train: Any) -> Any:
    """Return the data as XGBoost's estimators hold them; those to evaluate on are binned alike."""
    types = model.feature_types
    if train is not None and model.enable_categorical and not train.get_categories().empty():
        types = train.get_categories()
    return model._create_dmatrix(
        ref=train, data=X, label=y, weight=weight, base_margin=margin, missing=model.missing,
        enable_categorical=model.enable_categorical, feature_types=types,
        feature_weights=model.feature_weights if train is None else None,
    )  # fmt: skip


def _recall(model: Any) -> None:
    """Set what a loaded booster tells of its loss, and forget what XGBoost took for parameters."""
    host = _host(model)
    text = model.get_booster().attr(ATTRIBUTE)
    if text is None:
        raise ValueError(
            "the model has no loss of losskit's: it was trained without, or with a loss that no "
            f"file keeps; load it by xgboost.{host.__name__}"
        )
    model.fitted_ = Fitted.from_text(text, classifier=host is xgb.XGBClassifier)
    model.objective, model.base_score = host().objective, None
    model.loss_, model.loss_why_ = model.fitted_.loss, "as the model was trained"
