"""A loss as CatBoost takes it: objective, metric, start, and training that uses all three."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import catboost
import numpy as np

from losskit.arrays import Array
from losskit.boosting.decided import refuse_decided
from losskit.boosting.estimators import Fitted
from losskit.boosting.objective import FLOOR, Objective, objective
from losskit.boosting.targets import check_single, named
from losskit.catboost.continuing import METADATA, begun, check_scores
from losskit.catboost.contracts import MetricOfOne, MetricOfSeveral, OfOne, OfSeveral, Scale


def loss_to(loss: Any, curvature: str = "auto", floor: float = FLOOR) -> CatBoostLoss:
    """Return a loss, its name, or several quantiles, as CatBoost takes it.

    `curvature` and `floor` are those of `losskit.boosting.objective.objective`; "host" is the
    curvature that the installed CatBoost itself uses for this loss.
    """
    return CatBoostLoss(objective(loss, "catboost", curvature=curvature, floor=floor))


@dataclass(frozen=True, eq=False)
class CatBoostLoss:
    """One loss for CatBoost; `loss.to("catboost")` makes it.

    `train` does all of it. By hand, of one score a row: `CatBoost({"loss_function":
    ours.objective, "eval_metric": ours.metric, "leaf_estimation_method": "Newton"})`, fitted to a
    `Pool` whose `baseline` is `ours.start(y)` for each row, and after it
    `set_scale_and_bias(1.0, ours.start(y))`. Objective and metric share what they know of a
    training's rows: make a new one for each training.

    A loss over classes, of several outputs, or several quantiles has several scores a row, which
    CatBoost keeps as targets side by side, (n, K): classes one-hot, one target K times.

    >>> import catboost, losskit, numpy as np
    >>> X = np.arange(90.0).reshape(-1, 1)
    >>> y = np.where(X[:, 0] < 45, 1.0, 9.0)
    >>> poisson = losskit.poisson.to("catboost")
    >>> model = poisson.train({"iterations": 60, "learning_rate": 0.3}, catboost.Pool(X, y))
    >>> poisson.predict(model, X[[0, 89]]).round(1).tolist()
    [1.0, 9.0]
    """

    core: Objective
    wide: bool = False  # whether there are several scores a row
    _scale: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        wide = self.wide or self.core.outputs != 1
        object.__setattr__(self, "wide", wide)
        object.__setattr__(self, "_scale", Scale(self.core))

    def __repr__(self) -> str:
        return f"{self.loss!r}.to('catboost', curvature={self.curvature!r})"

    @property
    def loss(self) -> Any:
        """The loss, or several."""
        return self.core.loss

    @property
    def curvature(self) -> str:
        """What is handed over as second derivative; `why` says why this."""
        return self.core.curvature

    @property
    def why(self) -> str:
        """Why this curvature."""
        return self.core.why

    @cached_property
    def objective(self) -> Any:
        """The object that CatBoost asks for derivatives, as `loss_function`."""
        return OfSeveral(self._scale) if self.wide else OfOne(self._scale)

    @cached_property
    def metric(self) -> Any:
        """The mean loss, as `eval_metric`; less is better."""
        return MetricOfSeveral(self._scale) if self.wide else MetricOfOne(self._scale)

    def start(self, y_true: Any, sample_weight: Any = None) -> Any:
        """Return the raw score, or (K,) of them, of the best constant.

        It is that of the targets as CatBoost keeps them, in float32.
        """
        check_single(np.asarray(y_true, np.float64), name="y_true")
        y = np.asarray(y_true, np.float32)
        return self.core.start(y, sample_weight)

    def train(
        self,
        params: Mapping[str, Any],
        pool: catboost.Pool,
        eval_set: Any = None,
        *,
        init_model: Any = None,
        **options: Any,
    ) -> catboost.CatBoost:
        """Return a `catboost.CatBoost` trained from the best constant on, by this loss.

        The start becomes the model's bias, so that the model's own file has it: raw scores are
        `model.predict(data)`, and `predict` below undoes the link. A pool that has a baseline
        starts there; with `init_model`, a CatBoost model, an estimator or a file, training goes on
        from its scores. Leaves are estimated by Newton's method unless `params` says otherwise;
        CatBoost's automatic learning rate, and its ten steps in a leaf for classes, are for its own
        objectives alone: say `learning_rate` and `leaf_estimation_iterations` for the same.
        Raises ValueError for targets, weights and parameters that the loss does not take, and for
        a model of another link, before training starts; other arguments are `CatBoost.fit`'s.
        """
        refuse_decided("catboost", params)
        sets = [] if eval_set is None else eval_set if isinstance(eval_set, list) else [eval_set]
        y, w = _told(pool)
        ours = CatBoostLoss(self.core, self.wide or y.ndim == 2)
        if ours.wide and any(np.size(one.get_baseline()) for one in (pool, *sets)):
            raise ValueError(
                "CatBoost takes no baseline where a row has several scores; leave it out, and "
                "training starts at the loss's best constant"
            )
        before = begun(init_model)
        based = before is not None or np.size(pool.get_baseline())
        start = None if based else ours.start(ours._rows(y), w)
        if before is not None:
            check_scores(before, self.core.loss, ours._width(y))
        first = ours._first(pool, y, start, before)
        elsewhere = np.zeros(first.shape[1:]) if start is None else start
        ours._check(pool, elsewhere)
        for i, one in enumerate(sets):
            with named(f"eval_set[{i}]"):
                ours._check(one, elsewhere)
        ours._scale.look(ours._rows(y), first, w)
        settings = {
            "leaf_estimation_method": "Newton",
            "allow_writing_files": False,
            "logging_level": "Silent",
            **params,
            "loss_function": ours.objective,
            "eval_metric": ours.metric,
        }
        if {"verbose", "silent", "verbose_eval"} & {*params}:
            del settings["logging_level"]
        model = catboost.CatBoost(settings)
        if ours.wide and start is not None:
            ours._scale.offset = start
        with _started([] if ours.wide else [pool, *sets], start):
            try:
                model.fit(pool, eval_set=eval_set, init_model=before, **options)
            except catboost.CatBoostError as error:
                raise ValueError(f"CatBoost: {_plain(error)}") from error
        if start is not None:
            model.set_scale_and_bias(1.0, np.atleast_1d(start).tolist() if ours.wide else start)
        keep(model, Fitted(self.core.loss, ours._width(y)))
        return model

    def predict(self, model: Any, data: Any, **options: Any) -> Array:
        """Return predictions (n,) or (n, K) by the inverse link: means, probabilities; several
        quantiles are sorted. `model` is what `train` gave, or one that its file gave; options are
        those of its `predict`.
        """
        scores = model.predict(data, prediction_type="RawFormulaVal", **options)
        return self.core.predictions(np.asarray(scores))

    def _rows(self, y: Array) -> Array:
        """Return targets as the loss takes them, of what a pool holds."""
        loss = self.core.loss
        one = self.core.outputs not in (1, None)
        if one and y.ndim == 2:
            return y[:, 0]
        if self.core.outputs is None and y.ndim == 1:
            raise ValueError(
                f"{loss!r} has several scores a row: the pool needs one-hot targets (n, classes), "
                "as in np.eye(classes)[y]"
            )
        if one and y.ndim == 1:
            raise ValueError(
                f"{loss!r} has {self.core.outputs} scores a row: the pool needs the target as "
                f"often, (n, {self.core.outputs}), as in np.tile(y[:, None], {self.core.outputs})"
            )
        return y

    def _check(self, pool: Any, start: Any) -> None:
        """Raise ValueError for targets that the metric would stop at in the first iteration."""
        if not isinstance(pool, catboost.Pool):
            raise TypeError(f"needed is a catboost.Pool, not a {type(pool).__name__}")
        y, w = _told(pool)
        f = np.broadcast_to(start, (len(y), *np.shape(start))).astype(np.float64)
        self.core.metric(self._rows(y), f, w)

    def _width(self, y: Array) -> int:
        """Return the number of scores of a row, whose targets are (n,) or (n, K)."""
        return y.shape[1] if y.ndim == 2 else 1

    def _first(self, pool: Any, y: Array, start: Any, before: Any) -> Array:
        """Return the scores at which training starts."""
        if before is not None:
            return np.asarray(before.predict(pool, prediction_type="RawFormulaVal"))
        if start is None:
            return np.asarray(pool.get_baseline(), np.float64).reshape(-1)
        return np.broadcast_to(start, (len(y), *np.shape(start))).astype(np.float64)


def keep(model: catboost.CatBoost, fitted: Fitted) -> None:
    """Keep a loss in a model, for its files, if it can be written at all."""
    try:
        model.get_metadata()[METADATA] = fitted.to_text()
    except ValueError:  # a user's loss with parts that only Python has
        return


class _started:
    """Let pools that have no baseline begin at a start, and be as they were afterwards."""

    def __init__(self, pools: list[Any], start: Any) -> None:
        self.pools, self.start = ([] if start is None else pools), start

    def __enter__(self) -> None:
        for pool in self.pools:
            value = np.atleast_1d(np.asarray(self.start, np.float64))
            pool.set_baseline(np.tile(value, (pool.num_row(), 1)))

    def __exit__(self, *_: Any) -> None:
        for pool in self.pools:
            pool.set_baseline(np.empty((pool.num_row(), 0)))


def _plain(error: Exception) -> str:
    """Return what CatBoost says without the place in its source."""
    return re.sub(r"^\S+\.(?:cpp|h):\d+: ", "", str(error).strip())


def _told(pool: Any) -> tuple[Array, Array | None]:
    """Return the targets of a pool, (n,) or (n, K), and its weights, None where it has none."""
    labels = np.asarray(pool.get_label())
    if labels.dtype.kind not in "fiub":
        raise ValueError(f"the pool's targets are {labels.dtype}; needed are numbers")
    weight = np.asarray(pool.get_weight(), np.float64)
    return labels, None if (weight == 1).all() else weight
