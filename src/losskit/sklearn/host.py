"""What of scikit-learn's private loss interface the trees stand on, and its own losses there.

`HistGradientBoosting*` takes an instance of the private `sklearn._loss.loss.BaseLoss` as `loss=`.
All that is used of it is imported and checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sklearn

from losskit.formula.expr import Unsupported
from losskit.interface import Loss

_SAYS = (
    "losskit's trees in scikit-learn stand on its private loss interface, as version 1.9 has it; "
    f"{sklearn.__version__} is installed, where {{}}. Scorers and metrics do not need it; "
    "losskit.xgboost and losskit.lightgbm fit trees of any loss through public interfaces"
)
# What a BaseLoss is asked for by scikit-learn's `gradient_boosting.py`, and its parameters.
_METHODS = {
    "__call__": ("y_true", "raw_prediction", "sample_weight", "n_threads"),
    "gradient": ("y_true", "raw_prediction", "sample_weight", "gradient_out", "n_threads"),
    "gradient_hessian": (
        "y_true", "raw_prediction", "sample_weight", "gradient_out", "hessian_out", "n_threads",
    ),
    "fit_intercept_only": ("y_true", "sample_weight"),
    "init_gradient_and_hessian": ("n_samples", "dtype", "order"),
}  # fmt: skip

try:
    import sklearn._loss.loss as losses
    from sklearn._loss.link import IdentityLink, LogitLink, LogLink, MultinomialLogit
    from sklearn._loss.loss import BaseLoss
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
except ImportError as error:
    raise Unsupported(_SAYS.format(f"an import of it fails ({error})")) from None

# By the names that losskit's links have.
LINKS = {
    "identity": IdentityLink,
    "log": LogLink,
    "logit": LogitLink,
    "softmax": MultinomialLogit,
}


def check(base: Any, estimators: tuple[Any, ...]) -> None:
    """Raise Unsupported unless `base` and the estimators that take it are as they were in 1.9."""
    from inspect import signature

    for name, wanted in _METHODS.items():
        method = getattr(base, name, None)
        given = tuple(signature(method).parameters)[1:] if method is not None else ()
        if given != wanted:
            raise Unsupported(_SAYS.format(f"BaseLoss.{name} takes {given}, not {wanted}"))
    for estimator in estimators:
        if base not in estimator._parameter_constraints.get("loss", ()):
            raise Unsupported(_SAYS.format(f"{estimator.__name__} takes no BaseLoss"))
        for hook in ("_finalize_sample_weight", "_encode_y", "_get_loss"):
            if not hasattr(estimator, hook):
                raise Unsupported(_SAYS.format(f"{estimator.__name__} has no {hook}"))


check(BaseLoss, (HistGradientBoostingRegressor, HistGradientBoostingClassifier))


@dataclass(frozen=True)
class Peer:
    """scikit-learn's own class of a loss, and the factor: ours = factor · theirs."""

    name: str
    parameters: tuple[tuple[str, float], ...]
    factor: float

    @property
    def of_classes(self) -> bool:
        """Whether it is a loss of classes."""
        return hasattr(getattr(losses, self.name), "predict_proba")

    def make(self, n_classes: int | None = None) -> Any:
        """Return an instance of it."""
        classes = {"n_classes": n_classes} if getattr(losses, self.name).is_multiclass else {}
        return getattr(losses, self.name)(**dict(self.parameters), **classes)


def peer(loss: Loss) -> Peer | None:
    """Return the loss of scikit-learn's that `loss` says it is the same as, if there is one."""
    for name, factor in loss.same_as.items():
        found = re.fullmatch(r"sklearn\._loss\.(\w+)(?:\((.*)\))?", name)
        if found and issubclass(getattr(losses, found[1], object), BaseLoss):
            pairs = [one.split("=") for one in (found[2] or "").split(", ") if one]
            return Peer(found[1], tuple((key, float(value)) for key, value in pairs), factor)
    return None
