"""A loss as the private loss object that scikit-learn's histogram gradient boosting takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.curvature import POLICIES, hosted, is_straight, policy_for
from losskit.boosting.objective import FLOOR, Objective
from losskit.fit.estimators.probability import estimator_of, probabilities
from losskit.fit.inputs.targets import Classes, Coding, coding
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.sklearn.host import LINKS, BaseLoss, Peer, peer
from losskit.sklearn.leaves import best_of_residuals, of_residual, properties, within_reach
from losskit.sklearn.responses import axis_of, levels, loss_of

# What it is called in `losskit.boosting`, where no loss says that it is an objective of this host:
# scikit-learn's are classes, and `host.peer` finds them.
_HOST = "scikit-learn"


def hist_loss(
    loss: Any, *, curvature: str = "auto", n_classes: int | None = None, weighted: bool = True
) -> HistLoss:
    """Return a loss that scikit-learn's `HistGradientBoosting*` takes as `loss=`.

    `losskit.sklearn.HistRegressor` and `HistClassifier` do this by themselves; here it is for the
    parts: `n_classes` is how many classes there are (None for numbers), and `weighted=False` says
    that `fit` gets no weights, which saves a curvature array. The object stands on a private
    interface, checked when it is imported.

    `curvature` is "exact" (the second derivative), "fisher" (its expectation), "majorizer" (of a
    parabola above the loss), "constant", "host" (all as scikit-learn's own class of this loss does:
    also start, leaf values, slope of a target that is met), or "auto": scikit-learn's curvature for
    losses that it has, else what suits the loss. Losses of the residual y − f with a corner, such
    as `quantile`, are renewed: each leaf gets the constant that is best for its residuals, as
    scikit-learn does with its own. Under "majorizer" and "constant" the mean curvature is 1, so
    that `l2_regularization` counts rows, as for squared error. Raises Unsupported for losses that
    are no sum over rows.

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
    _refuse_unfit(found, n_classes)
    if n_classes is None:
        return HistLoss(found, curvature, None, weighted)
    return HistClassLoss(found, curvature, n_classes, weighted)


class HistLoss(BaseLoss):
    """A loss of numbers, at the scale of scikit-learn's own class of it where there is one."""

    def __init__(self, loss: Loss, curvature: str, n_classes: int | None, weighted: bool) -> None:
        super().__init__(closs=None, link=_link(loss, n_classes), n_classes=n_classes)
        self.loss_ = loss
        self.asked, self.weighted = curvature, weighted
        own = peer(loss)
        self.factor = 1.0 if own is None else own.factor
        self.curvature, self.why = _policy(loss, curvature, own)
        self.host = None
        if curvature == "host":
            assert own is not None
            self.host = own.make(n_classes)
        self.differentiable = not (
            _is_renewed(loss, own) and (curvature == "host" or self.curvature == "constant")
        )
        self.approx_hessian = self.curvature != "exact"
        self.is_multiclass = bool(n_classes and n_classes > 2)
        self.constant_hessian = not weighted and (
            not self.differentiable or _is_one(loss, self.factor, self.curvature)
        )
        part = loss
        if loss.kind == "pointwise":
            part = hosted(loss, _HOST, self.curvature, FLOOR)
        # An exact curvature that was not asked for may vanish where the loss is straight.
        self.guarded = (
            self.curvature == "exact" and curvature == "auto" and own is None
            and loss.kind == "pointwise"
        )  # fmt: skip
        self.objective = Objective(loss, _HOST, self.curvature, self.why, FLOOR, None, (part,))

    def __repr__(self) -> str:
        how = "" if self.differentiable else ", renewed leaves"
        said = "host" if self.host is not None else self.curvature
        return f"losskit.sklearn.hist_loss({self.loss_!r}, curvature={said!r}{how})"

    def __reduce__(self) -> Any:
        return type(self), (self.loss_, self.asked, self.n_classes, self.weighted)

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
            return self.host.fit_intercept_only(y_true, sample_weight)
        y = self._target(np.asarray(y_true))
        if of_residual(self.loss_):
            return np.float64(best_of_residuals(self.loss_, y, sample_weight))
        start = self.objective.start(y, sample_weight)
        return self._told(np.asarray(start, dtype=np.float64))

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

    def __init__(self, loss: Loss, curvature: str, n_classes: int, weighted: bool) -> None:
        super().__init__(loss, curvature, n_classes, weighted)
        self.coding = _coding(loss, n_classes)
        # scikit-learn grows one tree for two classes; a loss over classes sees the scores 0 and d.
        self.pair = self.coding.layout == "index" and n_classes == 2

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


def _policy(loss: Loss, asked: str, own: Peer | None) -> tuple[str, str]:
    """Return the policy and why it was chosen."""
    if asked == "host" and own is None:
        raise Unsupported(f"curvature='host': scikit-learn has no loss of its own like {loss!r}")
    if asked == "exact" and loss.kind == "pointwise" and is_straight(loss):
        raise ValueError(
            f"curvature='exact': {loss.name} is straight where it does not bend, and trees divide "
            "by its curvature, 0; choose 'auto' or 'constant'"
        )
    if asked not in ("auto", "host"):
        return asked, "as asked for"
    if own is not None:
        exact = own.make(3).differentiable
        return "exact" if exact else "constant", f"scikit-learn has this loss as {own.name}"
    return policy_for(loss, _HOST)


def _is_renewed(loss: Loss, own: Peer | None) -> bool:
    """Whether leaves get the best constant of their residuals: of a loss that they determine, and
    whose slope jumps.
    """
    if own is not None:
        return not own.make(3).differentiable
    return of_residual(loss) and not properties(loss).differentiable


def _is_one(loss: Loss, factor: float, curvature: str) -> bool:
    """Whether the curvature that is handed over is 1 everywhere."""
    exact = curvature == "exact" and loss.kind == "pointwise" and loss.link.name == "identity"
    return exact and properties(loss).curvature == (factor, factor)


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


def _refuse_unfit(loss: Loss, n_classes: int | None) -> None:
    """Raise Unsupported where trees of scikit-learn's cannot be grown by a loss, and say why."""
    where = "scikit-learn's histogram gradient boosting"
    axis = axis_of(loss)
    if loss.inputs != ("y_true", "y_pred") or axis not in ("", "class"):
        raise Unsupported(
            f"{where} fits one number a row, or one class; {loss.name} sees "
            f"{f'an axis of {axis}s' if axis else ', '.join(loss.inputs)}"
        )
    if loss.kind == "pointwise" and len(loss.outputs) > 1:
        raise Unsupported(
            f"{where} fits one number a row; {loss.name} has the outputs {', '.join(loss.outputs)}"
        )
    if levels(loss):
        raise Unsupported(
            f"{where} grows a tree for each class; {loss.name} has one score fewer, which have to "
            "fall: fit cross_entropy, or a losskit.Classifier"
        )
    if "gradient" not in loss.form(raw=True).graph.orders:
        raise Unsupported(f"{loss.name} has no derivative: it is to be read, not trained with")
    if axis == "class" and n_classes is None:
        raise Unsupported(f"{loss.name} is a loss of classes: fit a HistClassifier, or n_classes=")
    raw = loss.prediction_domain(raw=True)
    if not (math.isinf(raw.lower) and math.isinf(raw.upper)):
        raise Unsupported(
            f"{loss.name} takes predictions in {raw} only, and steps of trees do not keep to it: "
            "transform the target, as sklearn.compose.TransformedTargetRegressor does"
        )
