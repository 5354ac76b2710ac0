"""A loss for XGBoost's native and scikit-learn interfaces: `loss.to("xgboost")`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xgboost as xgb

from losskit.arrays import Array
from losskit.boosting.decided import refuse_decided
from losskit.boosting.estimators import Fitted
from losskit.boosting.objective import FLOOR, Objective, objective
from losskit.boosting.targets import named
from losskit.formula.expr import Unsupported
from losskit.xgboost.continuing import begun, check_scores
from losskit.xgboost.declared import base_score, can_renew, declared, is_renewed
from losskit.xgboost.evaluating import Evaluation
from losskit.xgboost.rounds import Rounds, derivatives

ATTRIBUTE = "losskit"  # of a booster, where its loss is kept: saved with it


def loss_to(loss: Any, curvature: str = "auto", floor: float = FLOOR) -> XGBoostLoss:
    """Return a loss (or its name, or several quantiles) as XGBoost trains with it.

    `curvature` and `floor` are those of `losskit.boosting.objective.objective`. Raises Unsupported
    for a loss that is no sum over rows of (y_true, y_pred).
    """
    return trained_with(objective(loss, "xgboost", curvature=curvature, floor=floor), curvature)


def trained_with(core: Objective, asked: str) -> XGBoostLoss:
    """Return the loss for XGBoost where `asked` is the curvature that was asked for.

    Straight losses that XGBoost has itself are declared as such under "auto", for it then replaces
    leaf values by the loss's own statistic, as for its own objective.
    """
    if asked == "auto" and can_renew(core):
        why = "XGBoost replaces leaf values itself where its own objective is declared"
        core = replace(_recurved(core, "host"), why=why)
    if core.own is not None and is_renewed(core) and not can_renew(core):
        raise Unsupported(
            f"XGBoost {xgb.__version__} smooths the slope of {core.own.objective} itself, which no "
            "curvature reproduces; choose curvature='constant'"
        )
    return XGBoostLoss(core)


def _recurved(core: Objective, curvature: str) -> Objective:
    return objective(core.loss, core.host, curvature=curvature, floor=core.floor)


@dataclass(frozen=True, eq=False)
class Metric:
    """The mean loss of raw scores, Σwℓ/Σw: (predt, dmatrix) → (name, value), as `custom_metric`,
    and (y_true, y_pred, sample_weight) → value, as `eval_metric` of the scikit-learn interface.
    """

    core: Objective

    @property
    def __name__(self) -> str:  # what the scikit-learn interface calls it in logs
        return self.core.name

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Return the mean loss: see the class."""
        if isinstance(second, xgb.DMatrix):
            y, w = labels(second), weights(second)
            return self.core.name, self.core.metric(y, first, w)
        return self.core.metric(first, second, sample_weight)


@dataclass(frozen=True, eq=False)
class XGBoostLoss:
    """A loss for XGBoost; made by `loss.to("xgboost")`.

    `train` does all of it. By hand, `xgboost.train` takes `ours.params(dtrain)` beside your own,
    `obj=ours.objective` and `custom_metric=ours.metric`; then `ours.predict(booster, data)`.

    >>> import losskit, xgboost
    >>> dtrain = xgboost.DMatrix([[0.0], [1.0], [2.0], [3.0]], [1.0, 1.0, 4.0, 4.0])
    >>> ours = losskit.poisson.to("xgboost")
    >>> booster = ours.train({"eta": 1.0, "lambda": 0.0}, dtrain, 20)
    >>> ours.predict(booster, dtrain).round(2).tolist() == booster.predict(dtrain).round(2).tolist()
    True
    """

    core: Objective

    def __repr__(self) -> str:
        return f"{self.core.loss!r}.to('xgboost', curvature={self.core.curvature!r})"

    @property
    def curvature(self) -> str:
        """The policy of the second derivative; `why` tells why."""
        return self.core.curvature

    @property
    def why(self) -> str:
        """Why this curvature."""
        return self.core.why

    def objective(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Return gradient and curvature at raw scores, (n,) or (n, outputs), weights multiplied in.

        Called as `obj`, (predt, dtrain), or as `objective` of the scikit-learn interface, (y_true,
        y_pred, sample_weight). Raises ValueError at the first target that the loss does not take.
        """
        if isinstance(second, xgb.DMatrix):
            y = labels(second)
            return derivatives(self._core_for(y), y, first, weights(second))
        return derivatives(self._by_hand, first, second, sample_weight)

    @property
    def metric(self) -> Metric:
        """The mean loss, for `custom_metric` and `eval_metric`: see `Metric`."""
        return Metric(self.core)

    def start(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return the raw score, or (outputs,) of them, of the best constant."""
        return self.core.start(y_true, sample_weight)

    def params(self, dtrain: xgb.DMatrix) -> dict[str, Any]:
        """Return the parameters that belong to the loss and these targets.

        The declared objective, which undoes the link; `base_score`, the best constant, which the
        model then keeps; `num_class` where there are several outputs. Raises ValueError for targets
        and weights that the loss does not take.
        """
        return self._params(dtrain, self.start(labels(dtrain), weights(dtrain)))

    def train(
        self,
        params: Mapping[str, Any],
        dtrain: xgb.DMatrix,
        num_boost_round: int = 10,
        *,
        evals: Sequence[tuple[xgb.DMatrix, str]] = (),
        callbacks: Sequence[Any] = (),
        xgb_model: Any = None,
        **options: Any,
    ) -> xgb.Booster:
        """Return a booster trained as `xgboost.train` does, from the best constant on.

        The loss is the metric of `evals`, last in the list and thus what `early_stopping_rounds`
        looks at, at full precision (XGBoost itself rounds a metric to six decimals). The booster
        keeps the loss, through its own files too. `xgb_model`, as XGBoost takes it or an estimator,
        is trained on from where it is. Raises ValueError for bad targets, weights, parameters that
        the loss decides, or a model of another link.
        """
        refuse_decided("xgboost", params)
        first = self.start(labels(dtrain), weights(dtrain))
        self._check_evaluation(evals, first)
        own = self._params(dtrain, first)
        start = own["base_score"]
        if xgb_model is not None:
            del own["base_score"]  # it would replace the model's
            xgb_model = begun(xgb_model)
            check_scores(xgb_model, own, self.core.loss, np.size(start))
        elsewhere = xgb_model is not None or dtrain.get_base_margin().size
        core = self._core_for(labels(dtrain))
        booster = xgb.train(
            {**params, **own},
            dtrain,
            num_boost_round,
            obj=Rounds(core, labels(dtrain), weights(dtrain), None if elsewhere else start),
            evals=evals,
            callbacks=[*([Evaluation(self.metric, evals)] if evals else ()), *callbacks],
            xgb_model=xgb_model,
            **options,
        )
        keep(booster, Fitted(self.core.loss, np.size(start)))
        return booster

    def predict(self, booster: xgb.Booster, data: Any, **options: Any) -> Array:
        """Return predictions (n,) or (n, outputs) on the scale of the loss; quantiles sorted.

        `data` is a DMatrix, or a table as `Booster.inplace_predict` takes it, which the options go
        to. After early stopping the best iteration is what predicts, as in the scikit-learn
        interface, unless `iteration_range` says otherwise.
        """
        return self.core.predictions(raw_scores(booster, data, **options))

    @cached_property
    def _by_hand(self) -> Objective:
        """For the scikit-learn interface, which declares no objective that would renew leaves."""
        return _recurved(self.core, "constant") if is_renewed(self.core) else self.core

    def _core_for(self, y: Array) -> Objective:
        """Return the objective for these targets: XGBoost's own quantiles are of one target."""
        return self._by_hand if is_renewed(self.core) and y.ndim == 2 else self.core

    def _params(self, dtrain: xgb.DMatrix, start: Any) -> dict[str, Any]:
        y = labels(dtrain)
        core = self._core_for(y)
        made = {
            **declared(core),
            "base_score": base_score(core, start),
            "disable_default_eval_metric": True,
        }
        if np.ndim(start) and y.ndim == 1 and not is_renewed(core):
            made["num_class"] = len(start)
        return made

    def _check_evaluation(self, evals: Sequence[Any], start: Any) -> None:
        """Raise ValueError for targets that the metric would stop at after the first round."""
        for data, name in evals:
            scores = np.broadcast_to(start, (data.num_row(), *np.shape(start)))
            with named(f"evals {name!r}"):
                self.core.metric(labels(data), scores, weights(data))


def labels(data: xgb.DMatrix) -> Array:
    """Return the targets of a matrix, (n,) or (n, m)."""
    return data.get_label()


def weights(data: xgb.DMatrix) -> Array | None:
    """Return the weights of a matrix's rows, None where it has none."""
    w = data.get_weight()
    return w if w.size else None


def raw_scores(booster: xgb.Booster, data: Any, **options: Any) -> Array:
    """Return raw scores, of the best iteration where early stopping found one."""
    if "iteration_range" not in options and booster.attr("best_iteration") is not None:
        options["iteration_range"] = (0, booster.best_iteration + 1)
    if isinstance(data, xgb.DMatrix):
        return booster.predict(data, output_margin=True, **options)
    return booster.inplace_predict(data, predict_type="margin", **options)


def keep(booster: xgb.Booster, fitted: Fitted) -> None:
    """Keep a loss in a booster, for its files, if it can be written at all."""
    try:
        booster.set_attr(**{ATTRIBUTE: fitted.to_text()})
    except ValueError:  # a user's loss with parts that only Python has
        booster.set_attr(**{ATTRIBUTE: None})
