"""scikit-learn's histogram gradient boosting with any loss: its estimators, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from losskit.arrays import Array
from losskit.backends import suggest
from losskit.by_rank import BY_RANK, ByRank
from losskit.catalogue import get
from losskit.fit.estimators.probability import estimator_of
from losskit.fit.inputs.choosing import AUTO, loss_of_classes
from losskit.fit.inputs.targets import Classes, read_classes
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.sklearn.hist import HistLoss, coding_of, hist_loss
from losskit.sklearn.host import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from losskit.sklearn.responses import loss_of
from losskit.wording import in_words


def _parameters(host: Any, loss: str) -> inspect.Signature:
    """Return the host's parameters with another default of `loss`, and `curvature` after it."""
    given = [
        p for p in inspect.signature(host.__init__).parameters.values() if p.name != "quantile"
    ]
    place = next(i for i, p in enumerate(given) if p.name == "loss")
    given[place] = given[place].replace(default=loss)
    extra = inspect.Parameter("curvature", inspect.Parameter.KEYWORD_ONLY, default="auto")
    return inspect.Signature([*given[: place + 1], extra, *given[place + 1 :]])


def _known(estimator: Any, given: dict[str, Any], loss: Any) -> dict[str, Any]:
    """Return the parameters for the host, or raise TypeError at one that there is not."""
    known = inspect.signature(estimator.__init__).parameters
    for name in given.keys() - known.keys():
        raise TypeError(f"{estimator.__name__} has no parameter {name!r}{_hint(name, loss, known)}")
    return given


def _hint(name: str, loss: Any, known: Iterable[str]) -> str:
    """Return where a parameter belongs that an estimator does not have."""
    if name == "quantile":
        return "; the loss says it: losskit.quantile(q=…)"
    said = _with(loss, name)
    return f"; the loss says it: {said}" if said else suggest(name, known)


def _with(loss: Any, parameter: str) -> str:
    """Return how a loss with such a parameter is written, nothing if there is none."""
    with suppress(TypeError, ValueError):
        found = get(loss)
        if parameter in getattr(found, "params", ()):
            return f"{repr(found).partition('(')[0]}({parameter}=…)"
    return ""


def _refuse_nested(loss: Any, given: Iterable[str]) -> None:
    """Raise ValueError at a parameter of the loss, which does not change."""
    for name in given:
        part, nested, own = name.partition("__")
        if part == "loss" and nested:
            said = _with(loss, own) or f"losskit.huber(delta=…), if it has {own!r}"
            raise ValueError(
                f"{name}= cannot be set, as a loss keeps its parameters: set loss= to another, "
                f"{said}, and in a search 'loss' to a list of these"
            )


def _constraints(host: Any) -> dict[str, Any]:
    """Return what scikit-learn checks of parameters: its own, less what the loss says itself."""
    own: dict[str, Any] = {"loss": "no_validation", "curvature": [str]}  # `loss_of` says more
    return {k: v for k, v in host._parameter_constraints.items() if k != "quantile"} | own


def _renews(estimator: Any) -> bool:
    """Whether leaves may be renewed, which monotonic constraints would not survive: scikit-learn's
    own losses break them, and "host" is to do as these do.
    """
    told = estimator.monotonic_cst
    signs = list(told.values()) if isinstance(told, dict) else np.ravel(0 if told is None else told)
    return estimator.curvature == "host" or not np.any(signs)


class HistRegressor(HistGradientBoostingRegressor):
    """`HistGradientBoostingRegressor` with any loss of numbers.

    Start, gradient, curvature, leaves and early stopping are the loss's own; everything else,
    speed included, is scikit-learn's. Predictions are on the scale of the target: positive means
    under the log link.

    Parameters:
        loss: a name or a `losskit.Loss`, such as `losskit.huber(delta=2.0)`.
        curvature: what trees divide by, see `losskit.sklearn.hist_loss`.
        others: those of `HistGradientBoostingRegressor`, by name.

    >>> import numpy as np
    >>> from losskit.sklearn import HistRegressor
    >>> x = np.arange(200.0)[:, None]
    >>> y = x[:, 0] + 1000.0 * (np.arange(200) % 10 == 0)
    >>> model = HistRegressor("huber", max_iter=200).fit(x, y)
    >>> bool(abs(model.predict([[105.0]])[0] - 105.0) < 10.0)
    True
    """

    _parameter_constraints = _constraints(HistGradientBoostingRegressor)

    def __init__(
        self, loss: Any = "squared_error", *, curvature: str = "auto", **host: Any
    ) -> None:
        super().__init__(**_known(type(self), host, loss))
        self.loss = loss
        self.curvature = curvature

    __init__.__signature__ = _parameters(  # type: ignore[attr-defined]
        HistGradientBoostingRegressor, "squared_error"
    )

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the estimator; those of a loss come with another loss."""
        _refuse_nested(params.get("loss", self.loss), params)
        return super().set_params(**params)

    # scikit-learn's hook for weights is the last before it takes the loss, if that is none of its.
    def _finalize_sample_weight(self, sample_weight: Any, y: Array) -> Any:
        weight = super()._finalize_sample_weight(sample_weight, y)
        self._loss = hist_loss(
            self.loss,
            curvature=self.curvature,
            weighted=weight is not None,
            renew=_renews(self),
        )
        return weight

    def _get_loss(self, sample_weight: Any) -> Any:
        return self._loss

    def _encode_y(self, y: Array) -> Array:
        self.n_trees_per_iteration_ = 1
        return y.astype(np.float64, copy=False)


def _of_classes(given: Any, count: int) -> Loss:
    """Return the loss for that many classes."""
    name = given.name if isinstance(given, ByRank) else given
    if isinstance(name, str) and (name == AUTO or name in BY_RANK):
        return loss_of_classes(name, Classes(np.arange(count), np.arange(count)))[0]
    return loss_of(given, {})


def _tells_probabilities(model: Any) -> bool:
    """Whether the loss that was fitted is proper; before `fit`, whether it is for two classes."""
    if isinstance(getattr(model, "_loss", None), HistLoss):
        loss, count = model._loss.loss_, model._loss.n_classes
    else:
        try:
            loss, count = _of_classes(model.loss, 2), 2
        except (TypeError, ValueError, Unsupported):
            return True  # `fit` says what is wrong with it
    if estimator_of(loss, coding_of(loss, count)) is None:
        raise AttributeError(
            f"{loss!r} tells no probabilities; use decision_function, or a loss that does, such as "
            "binary_cross_entropy"
        )
    return True


class HistClassifier(HistGradientBoostingClassifier):
    """`HistGradientBoostingClassifier` with any loss of classes.

    Losses of one number fit two classes, whatever these are called; losses over classes, such as
    `categorical_focal`, fit two or more. `predict_proba` is there where the loss is proper.

    Parameters:
        loss: "auto" (`binary_cross_entropy` for two classes, else `cross_entropy`), a name or a
            `losskit.Loss`.
        curvature: what trees divide by, see `losskit.sklearn.hist_loss`.
        others: those of `HistGradientBoostingClassifier`, by name.

    >>> import numpy as np
    >>> from losskit.sklearn import HistClassifier
    >>> x = np.arange(100.0)[:, None]
    >>> model = HistClassifier("squared_hinge").fit(x, np.where(x[:, 0] > 50, "yes", "no"))
    >>> model.predict([[20.0], [80.0]]).tolist()
    ['no', 'yes']
    """

    _parameter_constraints = _constraints(HistGradientBoostingClassifier)

    def __init__(self, loss: Any = "auto", *, curvature: str = "auto", **host: Any) -> None:
        super().__init__(**_known(type(self), host, loss))
        self.loss = loss
        self.curvature = curvature

    __init__.__signature__ = _parameters(  # type: ignore[attr-defined]
        HistGradientBoostingClassifier, "auto"
    )

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the estimator; those of a loss come with another loss."""
        _refuse_nested(params.get("loss", self.loss), params)
        return super().set_params(**params)

    @available_if(_tells_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Return probabilities (n, K) of the classes."""
        return super().predict_proba(X)

    @available_if(_tells_probabilities)
    def staged_predict_proba(self, X: Any) -> Any:
        """Yield probabilities after each iteration."""
        return super().staged_predict_proba(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with suppress(TypeError, ValueError, Unsupported):  # `fit` says what is wrong with it
            tags.classifier_tags.multi_class = _of_classes(self.loss, 3).kind != "pointwise"
        return tags

    def _encode_y(self, y: Array) -> Array:
        try:
            return np.asarray(super()._encode_y(y))
        except TypeError:  # as of None among texts
            with in_words({", give it weight 0,": ""}):  # scikit-learn looks at all labels
                read_classes(y, len(y))
            raise

    def _finalize_sample_weight(self, sample_weight: Any, y: Array) -> Any:
        # scikit-learn 1.9 looks for places among the classes in `class_weight`, and so gives the
        # weight of class 1 to the second one.
        weight = super()._finalize_sample_weight(sample_weight, self.classes_[y.astype(np.intp)])
        self._loss = hist_loss(
            _of_classes(self.loss, max(2, len(self.classes_))),
            curvature=self.curvature,
            n_classes=max(2, len(self.classes_)),
            weighted=weight is not None,
            renew=_renews(self),
        )
        return weight

    def _get_loss(self, sample_weight: Any) -> Any:
        return self._loss
