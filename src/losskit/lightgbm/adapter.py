"""A loss as LightGBM's two interfaces take it: objective, metric, start, and training that uses
all three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from losskit.arrays import Array
from losskit.boosting.decided import refuse_decided
from losskit.boosting.objective import FLOOR, Objective, objective
from losskit.boosting.sharing import beside_host
from losskit.boosting.targets import check_single, named
from losskit.boosting.units import has_unit, per_row
from losskit.fit.inputs.targets import Classes, coding
from losskit.formula.expr import Unsupported
from losskit.lightgbm.finishing import add_to_leaves, finish
from losskit.lightgbm.starting import begun, check_scores, field, read, started

_BLOCK = 1 << 17  # rows
_LARGEST = float(np.finfo(np.float32).max)
AS_HOST = ("raw_score", "pred_leaf", "pred_contrib")  # of predict: what LightGBM answers itself
_CLASSES = ("num_class", "num_classes")
_KINDS = ("boosting", "boosting_type", "boost")


class Arrays:
    """Two arrays of a shape and type, made once; `filled` says whether a call has filled them."""

    def __init__(self) -> None:
        self.filled = False
        self._kept: dict[Any, tuple[Array, Array]] = {}

    def like(self, f: Array, dtype: Any) -> tuple[Array, Array]:
        """Return two arrays in the shape of scores, column after column."""
        key = f.shape, dtype
        if key not in self._kept:
            self._kept[key] = (np.empty(f.shape, dtype, "F"), np.empty(f.shape, dtype, "F"))
        return self._kept[key]


@dataclass(frozen=True, eq=False)
class LightGBMLoss:
    """One loss for LightGBM; `loss.to("lightgbm")` makes it.

    `objective` and `metric` go into `lightgbm.train` as `params["objective"]` and `feval`, into
    LightGBM's scikit-learn estimators as `objective=` and `eval_metric=`: both calls are told apart
    by their arguments. Neither interface starts a custom objective anywhere but at 0, so pass
    `start` as `init_score` and add it to raw predictions; or call `train`, which does both.

    >>> import lightgbm, losskit, numpy as np
    >>> X = np.arange(90.0).reshape(-1, 1)
    >>> y = np.where(X[:, 0] < 45, 1.0, 9.0)
    >>> poisson = losskit.poisson.to("lightgbm")
    >>> booster = poisson.train({"verbosity": -1}, lightgbm.Dataset(X, y), num_boost_round=50)
    >>> poisson.predict(booster, X[[0, 89]]).round(1).tolist()
    [1.3, 8.7]
    """

    core: Objective

    def __repr__(self) -> str:
        return f"{self.loss!r}.to('lightgbm', curvature={self.curvature!r})"

    def __deepcopy__(self, memo: Any) -> LightGBMLoss:
        return self  # LightGBM copies its parameters at every fit; this has no state

    @property
    def loss(self) -> Any:
        """The loss, or several."""
        return self.core.loss

    @property
    def name(self) -> str:
        """What the metric is called in logs, as in `valid_0's losskit_huber`."""
        return self.core.name

    @property
    def curvature(self) -> str:
        """What is handed over as second derivative; `why` says why this."""
        return self.core.curvature

    @property
    def why(self) -> str:
        """Why this curvature."""
        return self.core.why

    def objective(self, y_true: Any, y_pred: Any, weight: Any = None) -> tuple[Array, Array]:
        """Return gradient and curvature of Σwℓ by raw scores, in float32: of targets, scores and
        weights, or of `(scores, dataset)` as `lightgbm.train` calls it.

        Scores are (n,) or (n, num_class). Both are in the scale of LightGBM's own objective for the
        loss; where it has none and the curvature has units, divided by the mean curvature, so that
        a row counts for 1 in `min_sum_hessian_in_leaf` and `lambda_l2`. Raises ValueError for
        targets that the loss does not take, with the first row.
        """
        return self._derivatives(*_told(y_true, y_pred, weight), Arrays())

    def metric(self, y_true: Any, y_pred: Any, weight: Any = None) -> tuple[str, float, bool]:
        """Return (name, mean loss Σwℓ/Σw of raw scores, False: lower is better); called as
        `objective` is.
        """
        y, f, w = _told(y_true, y_pred, weight)
        return self.name, self.core.metric(self._target(y, f, w), f, w), False

    def start(self, y_true: Any, sample_weight: Any = None, num_class: int = 1) -> Any:
        """Return the raw score, or (num_class,) of them, of the best constant, for `init_score`.

        It is that of the targets as LightGBM keeps them, in float32.
        """
        check_single(np.asarray(y_true, np.float64), name="y_true")
        y = np.asarray(y_true, np.float32)
        w = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        if num_class == 1 or self.core.outputs not in (1, None):
            return self.core.start(y, w)
        if self.core.outputs is None:  # with a column for classes that do not occur too
            return self.core.start((y[:, None] == np.arange(num_class)).astype(float), w)
        return self.core.start(self._target(y, np.empty((0, num_class)), w), w)

    def train(
        self,
        params: Mapping[str, Any],
        train_set: lgb.Dataset,
        num_boost_round: int = 100,
        *,
        valid_sets: Any = None,
        feval: Any = None,
        init_model: Any = None,
        **options: Any,
    ) -> lgb.Booster:
        """Return what `lightgbm.train` makes of this objective, metric and start.

        The start becomes part of the first tree and the link's inverse part of the model, as they
        are of LightGBM's own: the booster predicts on the scale of the target, saved and loaded
        too. (With `keep_training_booster=True`, and for losses whose outputs have links of their
        own or are several numbers, its predictions are raw; `predict` below knows.) Data with an
        `init_score` of its own, or an `init_model`, which may be an estimator, start there. Other
        arguments are those of `lightgbm.train`. Raises ValueError for bad targets, parameters that
        the loss says, or a model of another link; Unsupported for boosting="rf".
        """
        refuse_decided("lightgbm", params)
        check_kind(params, goes_on=bool(options.get("keep_training_booster")))
        others = [valid_sets] if isinstance(valid_sets, lgb.Dataset) else list(valid_sets or ())
        sets = [train_set, *others]
        settings = {**params, "objective": self.in_turns()}
        outputs = next((int(params[name]) for name in _CLASSES if name in params), None)
        start: Any = None
        model = begun(init_model)
        if model is not None:
            check_scores(model, self.loss, outputs or self.core.outputs)
            outputs = model.num_model_per_iteration()
        else:
            read(sets, params)
            begins = field(train_set, "init_score")
            if begins is None:
                start = self._start_of(train_set, outputs or 1)
            rows = len(np.asarray(field(train_set, "label")))
            outputs = np.size(start) if begins is None else np.size(begins) // rows
        outputs = outputs or self.core.outputs or 1
        if outputs > 1:
            settings = {k: v for k, v in settings.items() if k not in _CLASSES}
            settings["num_class"] = outputs
        self._check_held_out(train_set, others, options.get("valid_names"), outputs, start)
        with started(sets, start):
            booster = lgb.train(
                settings,
                train_set,
                num_boost_round,
                valid_sets=others or None,
                feval=[self.metric, *_listed(feval)],
                init_model=model,
                callbacks=[keep_objective, *(options.pop("callbacks", None) or ())],
                **options,
            )
        if not options.get("keep_training_booster"):
            finish(booster, self.loss, start)
        elif start is not None:
            add_to_leaves(booster, start)
        return booster

    def predict(self, booster: Any, data: Any, **options: Any) -> Array:
        """Return predictions (n,) or (n, num_class) by the inverse link: means, probabilities;
        several quantiles are sorted. `booster` is what `train` gave, or a `lightgbm.Booster` of
        its file; options are those of its `predict`, which alone answers raw_score, pred_leaf and
        pred_contrib.
        """
        if any(options.get(name) for name in AS_HOST):
            return booster.predict(data, **options)
        return self.core.predictions(booster.predict(data, raw_score=True, **options))

    def in_turns(self) -> Callable[..., tuple[Array, Array]]:
        """Return `objective` for one training: each call's arrays are the next one's.

        Large arrays cost more to allocate than to fill.
        """
        arrays = Arrays()
        return lambda first, second, weight=None: self._derivatives(
            *_told(first, second, weight), arrays
        )

    def _derivatives(self, y: Array, f: Array, w: Any, arrays: Arrays) -> tuple[Array, Array]:
        with beside_host(f.size):
            return self._in_blocks(y, f, w, arrays)

    def _in_blocks(self, y: Array, f: Array, w: Any, arrays: Arrays) -> tuple[Array, Array]:
        kept = arrays.like(f, np.float32)
        if f.ndim > 1 or has_unit(self.core):
            made = self.core.gradient_and_hessian(self._target(y, f, w), f, w)
            for values, place in zip(per_row(self.core, *made, w), kept, strict=True):
                _to_single(values, place)
            return kept
        scratch = arrays.like(f[:_BLOCK], f.dtype)  # which stays in the processor's cache
        try:
            for first in range(0, len(f), _BLOCK):
                rows = slice(first, first + _BLOCK)
                out = tuple(array[: len(f[rows])] for array in scratch)
                weight = None if w is None else w[rows]
                part = y[rows], f[rows], weight
                if arrays.filled and self.core.is_flat:  # the curvature is there
                    _to_single(self.core.gradient(*part, out=out[0]), kept[0][rows])
                    continue
                both = self.core.gradient_and_hessian(*part, out=out)
                for values, place in zip(both, kept, strict=True):
                    _to_single(values, place[rows])
        except ValueError:  # that names the row among all of them
            self.core.gradient_and_hessian(y, f, w)
            raise
        arrays.filled = True
        return kept

    def _start_of(self, data: lgb.Dataset, num_class: int) -> Any:
        y = np.asarray(field(data, "label")).reshape(-1)
        return self.start(y, field(data, "weight"), num_class)

    def _check_held_out(
        self, train_set: Any, sets: list[Any], names: Any, outputs: int, start: Any
    ) -> None:
        """Raise ValueError for targets that the metric would stop at after the first round."""
        names = [names] if isinstance(names, str) else names
        for i, one in enumerate(sets):
            label = field(one, "label")
            if one is train_set or label is None:
                continue
            with named(f"valid set {names[i] if names else f'valid_{i}'!r}"):
                y, w = np.asarray(label, np.float64).reshape(-1), field(one, "weight")
                check_single(y, name="y_true")
                f = np.zeros((len(y), outputs) if outputs > 1 else len(y))
                self.core.metric(self._target(y, f, w), f + (0.0 if start is None else start), w)

    def _target(self, y: Array, f: Array, w: Any) -> Array:
        """Return targets as the loss takes them: of one number and several scores, (n, K)."""
        if f.ndim == 1 or self.core.outputs != 1:
            return y
        count = f.shape[1]
        strange = ~np.isin(y, np.arange(count))
        if w is not None:
            strange &= np.asarray(w) > 0
        if strange.any():
            row = int(strange.argmax())
            raise ValueError(
                f"{self.loss.name}: y_true[{row}] = {y[row]:g} is none of the {count} classes that "
                f"num_class={count} asks for, 0 to {count - 1} ({strange.sum()} such values)"
            )
        classes = Classes(np.arange(count), y.astype(np.intp))
        return coding(self.loss, classes).target(classes)


def loss_to(loss: Any, curvature: str = "auto", floor: float = FLOOR) -> LightGBMLoss:
    """Return a loss, its name, or several quantiles, as LightGBM takes it.

    `curvature` and `floor` are those of `losskit.boosting.objective.objective`; "host" is the
    curvature that the installed LightGBM itself uses for this loss.
    """
    made = objective(loss, "lightgbm", curvature=curvature, floor=floor)
    if getattr(made.loss, "kind", "") == "rows" and made.loss.definition.axis == "label":
        raise Unsupported(
            f"{made.loss.name} takes a row of labels; LightGBM keeps one target a row: train with "
            "binary_cross_entropy for each label"
        )
    return LightGBMLoss(made)


def check_kind(params: Mapping[str, Any], *, goes_on: bool = False) -> None:
    """Raise Unsupported for kinds of boosting that a custom objective or its start is lost in."""
    for name in _KINDS:
        kind = params.get(name)
        if kind in ("rf", "random_forest"):
            raise Unsupported(
                f"{name}={kind!r}: LightGBM's random forests know only its own objectives; take "
                "boosting='gbdt', with bagging_fraction and bagging_freq"
            )
        if kind == "dart" and goes_on:
            raise Unsupported(
                f"{name}='dart' goes without keep_training_booster=True: rounds to come would "
                "shrink the first tree and the start that it holds; train all rounds at once"
            )


def keep_objective(env: Any) -> None:
    """Spare LightGBM a reset, before the first round, of the objective that `train` has set.

    With data none of whose features can be split that reset is an error (4.7), where LightGBM's
    own objectives make a constant model. A callback of `lightgbm.train`.
    """
    env.model._Booster__set_objective_to_none = True


keep_objective.before_iteration = True  # type: ignore[attr-defined]


def _told(first: Any, second: Any, weight: Any) -> tuple[Array, Array, Any]:
    """Return targets, scores and weights of a call by either interface."""
    if isinstance(second, lgb.Dataset):
        return np.asarray(second.get_label()), first, second.get_weight()
    return np.asarray(first), np.asarray(second), weight


def _to_single(values: Array, place: Array) -> None:
    """Write derivatives as LightGBM keeps them, in float32; an infinite one as 3e38."""
    with np.errstate(over="ignore", invalid="ignore"):
        place[...] = values
        if not np.isfinite(place.sum()):
            np.clip(values, -_LARGEST, _LARGEST, out=place, casting="same_kind")


def _listed(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
