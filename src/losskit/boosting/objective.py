"""A loss as a booster needs it: start, derivatives at its scale, metric, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.boosting.classes import gradient_and_hessian as of_classes
from losskit.boosting.curvature import POLICIES, hosted, is_flat, of_rows, policy_for
from losskit.boosting.hosts import HOSTS, Counterpart, counterpart
from losskit.boosting.refusals import FLOOR, refuse_policy
from losskit.boosting.starts import start_of_rows, typical_curvature, typical_distance
from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.formula.expr import Unsupported
from losskit.optimum import inverse
from losskit.several import Several

# Scores of classes have a unit of their own: a slope that changes by one over a margin of one, and
# the bound of the cross-entropy's curvature too (Böhning 1992).
_OF_SCORES = 0.5
_EDGE = 1e-6  # how far scores stay from a bound of theirs: XGBoost's, of reg:squaredlogerror
_NUMBERS = (int, float, np.floating)
_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Objective:
    """One loss for one host, stateless: targets `y` and raw scores `f` in, arrays of f's type out.

    `y` is (n,) and `f` (n,), or (n, K) for a loss over classes, of several outputs, or of several
    quantiles; `y` (n, K) with `f` (n, K) is K targets side by side. Made by `objective`.
    """

    loss: Any
    host: str
    curvature: str
    why: str
    floor: float
    own: Counterpart | None
    _parts: tuple[Any, ...]  # what computes derivatives: one, or one for each quantile

    def __repr__(self) -> str:
        return f"Objective({self.loss!r}, {self.host!r}, curvature={self.curvature!r})"

    def __reduce__(self) -> Any:
        # A copy of a part would lose the curvature, as losses travel by their formulas alone.
        return _again, (self.loss, self.host, self.curvature, self.why, self.floor)

    @property
    def name(self) -> str:
        """What the metric is called in logs."""
        return f"losskit_{self.loss.name}"

    @property
    def outputs(self) -> int | None:
        """Number of raw scores of a row; None where the targets decide, 1 or K."""
        return _outputs(self.loss)

    def start(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the raw score, or (K,) of them, of the best constant: where training starts."""
        y = np.asarray(y)
        if y.ndim == 2 and self._columnwise:
            weights = [sample_weight] * y.shape[1]
            pairs = zip(y.T, weights, strict=True)
            return np.array([self.loss.start_score(column, w) for column, w in pairs])
        if not isinstance(self.loss, Several) and self.loss.kind != "pointwise":
            return start_of_rows(self.loss, y, sample_weight)
        return self.loss.start_score(y, sample_weight)

    def gradient_and_hessian(
        self, y: Any, f: Any, sample_weight: Any = None, distance: Any = None, out: Any = None
    ) -> tuple[Array, Array]:
        """Return both derivatives of Σwℓ by `f`, at the host's scale; the second is the policy's.

        `distance` is what `typical_distance` gave of all rows, where these are some of them; `out`
        two arrays like `f` that may be used for the result. Raises ValueError for targets that the
        loss does not take, with the first index.
        """
        f = _inside(self.loss, f)
        if not isinstance(self.loss, Several):
            return self._derivatives(self._parts[0], y, f, sample_weight, distance, out)
        each = [None] * len(self._parts) if distance is None else distance
        made = [
            self._derivatives(part, y, np.ascontiguousarray(f[:, i]), sample_weight, each[i])
            for i, part in enumerate(self._parts)
        ]
        gradient, hessian = (np.stack(parts, axis=1) for parts in zip(*made, strict=True))
        return gradient, hessian

    def gradient(self, y: Any, f: Any, sample_weight: Any = None, out: Any = None) -> Array:
        """Return the first derivative alone, which is all that is new where `is_flat`."""
        options = {"raw": True, "reduction": "sum", "sample_weight": sample_weight, "out": out}
        made: Array = self._parts[0].gradient(y, _inside(self.loss, f), **options)
        return made

    def typical_distance(self, y: Any, f: Any, sample_weight: Any = None) -> Any:
        """Return what a straight loss has its curvature of beside a row itself; None for others."""
        if self.curvature != "constant" or self._parts[0].kind != "pointwise":
            return None
        y, f = np.asarray(y), np.asarray(f)
        if not isinstance(self.loss, Several):
            return typical_distance(self.loss, y, f, sample_weight)
        columns = zip(self.loss.members, f.T, strict=True)
        return np.array([typical_distance(m, y, at, sample_weight) for m, at in columns])

    def metric(self, y: Any, f: Any, sample_weight: Any = None) -> float:
        """Return the mean loss of raw scores, Σwℓ/Σw, at losskit's own scale."""
        f = _inside(self.loss, f)
        return float(self.loss(y, f, raw=True, sample_weight=sample_weight))

    def predictions(self, f: Any) -> Array:
        """Return predictions of raw scores by the inverse link: see `predictions`."""
        return predictions(self.loss, f)

    @cached_property
    def is_flat(self) -> bool:
        """Whether the curvature is one number, times the weight: the same in every round."""
        (part, *others) = self._parts
        return (
            not others
            and part.kind == "pointwise"
            and len(part.outputs) == 1
            and self.curvature != "constant"
            and is_flat(part)
        )

    @property
    def _columnwise(self) -> bool:
        return not isinstance(self.loss, Several) and self.outputs == 1

    def _derivatives(
        self, part: Any, y: Any, f: Array, weight: Any, distance: Any, out: Any = None
    ) -> tuple[Array, Array]:
        options = {"raw": True, "reduction": "sum", "sample_weight": weight}
        if self.curvature == "constant":
            gradient = part.gradient(y, f, **options)
            if part.kind == "pointwise":
                size = typical_curvature(part, np.asarray(y), f, weight, self.floor, distance)
            else:
                size = _OF_SCORES
            return gradient, _filled(size, f, weight)
        if part.kind == "pointwise":
            return part.gradient_and_hessian(y, f, **options, out=out)
        gradient, hessian = of_classes(part, np.asarray(y), f, weight)
        floor = self.floor if weight is None else _filled(self.floor, f, weight)
        return gradient, of_rows(self.own, self.curvature, gradient, hessian, floor)


def objective(loss: Any, host: str, *, curvature: str = "auto", floor: float = FLOOR) -> Objective:
    """Return a loss (or its name, or several quantiles) as `host` needs it.

    `curvature` is "exact" (the second derivative), "fisher" (its expectation, where the loss tells
    it), "majorizer" (of a parabola that lies above the loss), "host" (the installed library's own
    rule), "constant" (slope over a typical distance, for losses that are straight), or "auto",
    which chooses among them and says why in `why`. It is at least `floor` > 0; "majorizer" and
    "constant", which are as small as distances are large, meet the default one at float32's least.
    Raises Unsupported for a curvature by which the loss would not be lowered.
    """
    if host not in HOSTS:
        raise ValueError(f"host={host!r}; needed is one of {', '.join(HOSTS)}")
    if curvature not in (*POLICIES, "auto"):
        raise ValueError(
            f"curvature={curvature!r}; needed is one of {', '.join(map(repr, POLICIES))} or 'auto'"
        )
    if floor is True or not (isinstance(floor, _NUMBERS) and _LEAST <= floor < np.inf):
        raise ValueError(
            f"floor={floor!r}; needed is a number above 0, of those that float32 has (from "
            f"{_LEAST:.2g}): a leaf is divided by it"
        )
    floor = float(floor)
    loss = get(loss)
    if isinstance(loss, ByRank):
        raise ValueError(
            f"{loss!r} is {loss.flat} or {loss.rows}, by the number of classes: name one of them"
        )
    members = loss.members if isinstance(loss, Several) else (loss,)
    first = members[0]
    _refuse_unfit(first)
    why = "as asked for"
    if curvature == "auto":
        curvature, why = policy_for(first, host)
    own = counterpart(first, host)
    if curvature == "host" and own is None:
        raise Unsupported(
            f"{first!r} is not an objective of {host}, so it has no rule for its curvature; choose "
            "another than curvature='host'"
        )
    refuse_policy(first, curvature, host, floor)
    if first.kind == "pointwise" and curvature in ("majorizer", "constant") and floor == FLOOR:
        floor = _LEAST
    parts = members
    if first.kind == "pointwise":
        parts = tuple(hosted(one, host, curvature, floor) for one in members)
    return Objective(loss, host, curvature, why, floor, own, tuple(parts))


def predictions(loss: Any, f: Any) -> Array:
    """Return predictions of raw scores by the inverse link, in the shape of `f`.

    Several quantiles are sorted, which never makes them worse (Chernozhukov, Fernández-Val and
    Galichon 2010).
    """
    f = _inside(loss, f)
    if isinstance(loss, Several):
        values = [inverse(m.link, f[:, i]) for i, m in enumerate(loss.members)]
        made = np.stack(values, axis=1)
        order = loss.ordered(np.linspace(-1.0, 1.0, 9))
        if order is not None:
            made[:, list(order)] = np.sort(made, axis=1)
        return made
    if isinstance(loss.link, tuple):
        columns = [inverse(one, f[:, i]) for i, one in enumerate(loss.link)]
        return np.stack(columns, axis=1)
    if loss.link.name == "softmax":
        from losskit.fit.estimators.probability import softmax

        return softmax(f)
    return inverse(loss.link, f)


def _outputs(loss: Any) -> int | None:
    if isinstance(loss, Several):
        return len(loss.members)
    return len(loss.outputs) if loss.kind == "pointwise" else None


def _inside(loss: Any, f: Any) -> Array:
    """Return raw scores, float32 or float64, in the loss's domain: of few losses it has bounds,
    which trees overstep.
    """
    f = np.asarray(f)
    f = f if f.dtype in (np.float32, np.float64) else f.astype(np.float64)
    outputs = _outputs(loss)
    if outputs not in (None, 1) and (f.ndim != 2 or f.shape[1] != outputs):
        raise ValueError(f"{loss!r}: scores have shape {f.shape}; needed is (rows, {outputs})")
    domain = (loss.members[0] if isinstance(loss, Several) else loss).prediction_domain(raw=True)
    if np.isinf(domain.lower) and np.isinf(domain.upper):
        return f
    return np.clip(f, domain.lower + _EDGE, domain.upper - _EDGE)


def _again(loss: Any, host: str, curvature: str, why: str, floor: float) -> Objective:
    return replace(objective(loss, host, curvature=curvature, floor=floor), why=why)


def _filled(size: Any, f: Array, weight: Any) -> Array:
    """Return weight·size in the shape and type of scores."""
    if weight is not None:
        w = np.asarray(weight)
        size = size * w.reshape(w.shape + (1,) * (f.ndim - w.ndim))
    return np.array(np.broadcast_to(size, f.shape), f.dtype, order="C")


def _refuse_unfit(loss: Any) -> None:
    """Raise Unsupported for a loss that is not a sum over rows of scores of one target."""
    if loss.inputs != ("y_true", "y_pred"):
        raise Unsupported(
            f"{loss.name} takes ({', '.join(loss.inputs)}); a booster's objective is a sum over "
            "rows of (y_true, y_pred)"
        )
    if loss.kind != "pointwise" and getattr(loss.definition, "axis", "") not in ("class", "label"):
        raise Unsupported(f"{loss.name} sees whole lists; a booster's objective is a sum over rows")
    if loss.kind != "pointwise" and any(one.falling for _, one in loss.definition.inputs):
        raise Unsupported(
            f"{loss.name} needs scores that fall from level to level, which trees do not keep to; "
            "train with cross_entropy"
        )
    if "gradient" not in loss.form(raw=True).graph.orders:
        raise Unsupported(f"{loss.name} has no derivative: it is to be read, not trained with")
