"""A loss as the private loss object that scikit-learn's histogram gradient boosting takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.curvature import POLICIES, hosted
from losskit.boosting.objective import Objective
from losskit.boosting.refusals import FLOOR, refuse_policy
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.inputs.targets import Classes, Coding, coding
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.sklearn.host import LINKS, BaseLoss, peer
from losskit.sklearn.leaves import best_of_residuals, of_residual, within_reach
from losskit.sklearn.policies import (
    HOST,
    is_one,
    is_renewed,
    policy,
    refuse_flat,
    refuse_unfit,
)
from losskit.sklearn.responses import loss_of


def hist_loss(
    loss: Any,
    *,
    curvature: str = "auto",
    n_classes: int | None = None,
    weighted: bool = True,
    renew: bool = True,
) -> HistLoss:
    """Return a loss that scikit-learn's `HistGradientBoosting*` takes as `loss=`.

    `losskit.sklearn.HistRegressor` and `HistClassifier` do this by themselves; here it is for the
    parts: `n_classes` is how many classes there are (None for numbers, so that a classifier needs
    it), and `weighted=False` says that `fit` gets no weights, which saves a curvature array. The
    object stands on a private interface, checked when it is imported.

    `curvature` is "exact" (the second derivative), "fisher" (its expectation), "majorizer" (of a
    parabola above the loss), "constant", "host" (all as scikit-learn's own class of this loss does:
    also start, leaf values, slope of a target that is met), or "auto": scikit-learn's curvature for
    losses that it has, else what suits the loss. Losses of the residual y − f with a corner, such
    as `quantile`, are renewed: each leaf gets the constant that is best for its residuals, as
    scikit-learn does with its own; `renew=False` leaves them as grown, within the bounds of
    `monotonic_cst`, which renewed leaves do not keep to, and so are those of classes, as of their
    residuals scikit-learn tells no more than y − f with y 0 or 1. Under "majorizer" and "constant"
    the mean curvature is 1, so that `l2_regularization` counts rows, as for squared error. Raises
    Unsupported for losses that are no sum over rows.

    >>> from losskit.sklearn import hist_loss
    >>> hist_loss("log_cosh")
    losskit.sklearn.hist_loss(losskit.log_cosh, curvature='majorizer')
    >>> hist_loss("absolute_error")
    losskit.sklearn.hist_loss(losskit.absolute_error, curvature='constant', renewed leaves)
    """
    if curvature not in (*POLICIES, "auto"):
        raise ValueError(
            f"curvature={curvature!r}; needed is one of {', '.join(map(repr, POLICIES))} or 'auto'"
        )
    found = loss_of(loss, {})
    if n_classes is not None and (not isinstance(n_classes, (int, np.integer)) or n_classes < 2):
        raise ValueError(f"n_classes={n_classes!r}; needed is a whole number from 2, or None")
    refuse_unfit(found, n_classes)
    if n_classes is None:
        return HistLoss(found, curvature, None, weighted, renew)
    return HistClassLoss(found, curvature, int(n_classes), weighted, renew)


class HistLoss(BaseLoss):
    """A loss of numbers, at the scale of scikit-learn's own class of it where there is one."""

    def __init__(
        self, loss: Loss, curvature: str, n_classes: int | None, weighted: bool, renew: bool
    ) -> None:
        super().__init__(closs=None, link=_link(loss, n_classes), n_classes=n_classes)
        self.loss_ = loss
        self.asked, self.weighted, self.renew = curvature, weighted, renew
        own = peer(loss)
        self.factor = 1.0 if own is None else own.factor
        self.curvature, self.why = policy(loss, curvature, own, n_classes)
        self.differentiable = not (
            renew
            and is_renewed(loss, own, n_classes)
            and (curvature == "host" or self.curvature == "constant")
        )
        if self.differentiable:
            refuse_policy(loss, self.curvature, HOST)
        self.host = None
        if curvature == "host":
            assert own is not None
            self.host = own.make(n_classes)
        self.approx_hessian = self.curvature != "exact"
        self.is_multiclass = bool(n_classes and n_classes > 2)
        self.constant_hessian = not weighted and (
            not self.differentiable or is_one(loss, self.factor, self.curvature)
        )
        part = loss
        if loss.kind == "pointwise":
            part = hosted(loss, HOST, self.curvature, FLOOR)
        # An exact curvature that was not asked for may vanish where the loss is straight.
        self.guarded = (
            self.curvature == "exact" and curvature == "auto" and own is None
            and loss.kind == "pointwise"
        )  # fmt: skip
        self.objective = Objective(loss, HOST, self.curvature, self.why, FLOOR, None, (part,))

    def __repr__(self) -> str:
        how = "" if self.differentiable else ", renewed leaves"
        said = "host" if self.host is not None else self.curvature
        return f"losskit.sklearn.hist_loss({self.loss_!r}, curvature={said!r}{how})"

    def __reduce__(self) -> Any:
        given = self.loss_, self.asked, self.n_classes, self.weighted, self.renew
        return type(self), given

    # --- what scikit-learn calls; scores are (n,), (n, 1) or (n, classes), results weighted

    def __call__(
        self, y_true: Array, raw_prediction: Array, sample_weight: Any = None, n_threads: int = 1
    ) -> float:
        """Return the mean loss, at scikit-learn's scale."""
        scores = self._scores(raw_prediction)
        return self.objective.metric(self._target(y_true), scores, sample_weight) / self.factor

    def loss(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Any = None,
        loss_out: Any = None,
        n_threads: int = 1,
    ) -> Array:
        """Return the weighted loss of each row."""
        scores = self._scores(raw_prediction)
        made = self.loss_(
            self._target(y_true), scores, raw=True, reduction="none", sample_weight=sample_weight
        )
        return _into(loss_out, made / self.factor)

    def gradient(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Any = None,
        gradient_out: Any = None,
        n_threads: int = 1,
    ) -> Array:
        """Return the weighted gradient of each row."""
        if sample_weight is not None and self.constant_hessian:  # whose curvature would lack them
            raise ValueError("hist_loss(weighted=False) is for a fit without weights; leave it out")
        y, f = self._target(y_true), self._scores(raw_prediction)
        made = self.loss_.gradient(y, f, raw=True, reduction="sum", sample_weight=sample_weight)
        made = self._told(made / self.factor)
        if self.host is not None and not self.differentiable:
            met = np.flatnonzero(y == f)  # where the host's slope is not 0, as ours is
            weight = None if sample_weight is None else sample_weight[met]
            made[met] = self.host.gradient(y[met], f[met], weight)
        return _into(gradient_out, made)

    def loss_gradient(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Any = None,
        loss_out: Any = None,
        gradient_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Return both."""
        value = self.loss(y_true, raw_prediction, sample_weight, loss_out)
        return value, self.gradient(y_true, raw_prediction, sample_weight, gradient_out)

    def gradient_hessian(
        self,
        y_true: Array,
        raw_prediction: Array,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[Array, Array]:
        """Return the weighted gradient and the curvature that trees are grown with."""
        if not self.differentiable:  # leaves are renewed; curvature weighs rows alone
            g = self.gradient(y_true, raw_prediction, sample_weight, gradient_out)
            h = np.ones_like(g) if hessian_out is None else hessian_out
            h[...] = 1.0 if sample_weight is None else sample_weight
            return g, h
        y, f = self._target(y_true), self._scores(raw_prediction)
        made = self.objective.gradient_and_hessian(y, f, sample_weight)
        if self.guarded:
            made = made[0], within_reach(self.loss_, y, f, *made)
        size = self.factor
        if self.curvature in ("majorizer", "constant"):
            total = len(y) if sample_weight is None else float(np.sum(sample_weight))
            size = float(np.sum(made[1])) / total or 1.0
        g, h = (self._told(each / size) for each in made)
        return _into(gradient_out, g), _into(hessian_out, h)

    def fit_intercept_only(self, y_true: Array, sample_weight: Any = None) -> Any:
        """Return the raw score of the best constant: a tree's start, and a renewed leaf's value."""
        if self.host is not None:
            return self._told(np.asarray(self.host.fit_intercept_only(y_true, sample_weight)))
        y = self._target(np.asarray(y_true))
        if of_residual(self.loss_):
            start = np.asarray(best_of_residuals(self.loss_, y, sample_weight))
        else:
            start = np.asarray(self.objective.start(y, sample_weight), dtype=np.float64)
        if not np.isfinite(start).all():
            raise ValueError(
                f"{self.loss_.name}: its best constant is {start}, where no tree can start; needed "
                "is a loss that is least somewhere"
            )
        return self._told(start)

    def constant_to_optimal_zero(self, y_true: Array, sample_weight: Any = None) -> Array:
        """Return what, added to the loss, makes that of a perfect prediction 0."""
        made = -self.loss_.infimum(self._target(y_true)) / self.factor
        return np.asarray(made if sample_weight is None else made * sample_weight)

    # --- between scikit-learn's layout and the loss's

    def _target(self, y: Array) -> Array:
        return y

    def _scores(self, raw: Array) -> Array:
        return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw

    def _told(self, made: Array) -> Array:
        return made


class HistClassLoss(HistLoss):
    """A loss of classes, whose targets are places among them: 0, 1, …."""

    def __init__(
        self, loss: Loss, curvature: str, n_classes: int, weighted: bool, renew: bool
    ) -> None:
        super().__init__(loss, curvature, n_classes, weighted, renew)
        self.coding = _coding(loss, n_classes)
        refuse_flat(loss, self.coding)
        # scikit-learn grows one tree for two classes; a loss over classes sees the scores 0 and d.
        self.pair = self.coding.layout == "index" and n_classes == 2

    def fit_intercept_only(self, y_true: Array, sample_weight: Any = None) -> Any:
        """Return the raw scores of the best constant; raise if there are other classes."""
        found = max(int(np.max(y_true)) + 1, 2)
        if found != self.n_classes:
            raise ValueError(
                f"y has {found} classes; this loss was made with n_classes={self.n_classes}"
            )
        return super().fit_intercept_only(y_true, sample_weight)

    def predict_proba(self, raw_prediction: Array) -> Array:
        """Return probabilities (n, K), of a loss that is proper only."""
        if estimator_of(self.loss_, self.coding) is None:
            raise Unsupported(f"{self.loss_!r} tells no probabilities")
        scores = self._scores(raw_prediction)
        flat = scores if scores.ndim == 2 else scores[:, None]
        return np.asarray(probabilities(self.loss_, self.coding, flat, False))

    def _target(self, y: Array) -> Array:
        if self.coding.layout == "index":
            return y.astype(np.intp)
        return y if self.coding.negative == 0.0 else np.where(y == 1, 1.0, self.coding.negative)

    def _scores(self, raw: Array) -> Array:
        one = super()._scores(raw)
        return np.stack([np.zeros_like(one), one], axis=1) if self.pair else one

    def _told(self, made: Array) -> Array:
        if not self.pair:
            return made
        return np.asarray(made[1] - made[0]) if made.ndim == 1 else made[:, 1]


def coding_of(loss: Loss, n_classes: int) -> Coding:
    """Return how that many classes are told to a loss."""
    return coding(loss, Classes(np.arange(n_classes), np.arange(n_classes)))


def _coding(loss: Loss, n_classes: int) -> Coding:
    how = coding_of(loss, n_classes)
    if how.layout == "each":
        raise ValueError(
            f"Only binary classification is supported. {loss.name} sees two classes, and there are "
            f"{n_classes}: fit a loss over classes, such as cross_entropy, or a "
            "sklearn.multiclass.OneVsRestClassifier"
        )
    return how


def _link(loss: Loss, n_classes: int | None) -> Any:
    """Return scikit-learn's own link of raw scores, which it uses to predict."""
    if n_classes == 2 and loss.link.name == "softmax":
        return LINKS["logit"]()
    return LINKS[loss.link.name]()


def _into(out: Any, made: Array) -> Array:
    if out is None:
        return made
    out[...] = made.reshape(out.shape)  # trees are grown from float32
    return out
