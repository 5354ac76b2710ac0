"""Constants of a loss: the best constant prediction, where training starts, the lower bound."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from losskit.arrays import Array, batch
from losskit.backends import numpy as numpy_backend
from losskit.formula.domain import REAL, SIGN
from losskit.formula.expr import Trace, Unsupported
from losskit.invalid import inspect
from losskit.links import Link
from losskit.reduction import total

_STARTS = 257  # places from which a loss with several minima is searched
_SWEEPS = 200  # over the outputs of a loss with several


def optimal_constant(loss: Any, y_true: Any, sample_weight: Any, raw: bool) -> Any:
    """Return the constant with the least mean loss, a float, or an array for several outputs."""
    if loss.kind != "pointwise":
        return _rows(loss).optimal_constant(loss, y_true, sample_weight, raw)
    y, w = _targets(loss, y_true, sample_weight)
    known = loss.task != "user"  # what an author of the catalogue declares is held by a law
    if known and loss.definition.optimum in ("mean", "probability"):
        mean = _sum(y * w) / _sum(w)  # these losses are linear in the target
        best = float(_perfect(loss, np.array([min(max(mean, y.min()), y.max())]))[0])
        return float(_link(loss.link, np.array([best]))[0]) if raw else best
    if known and loss.definition.optimum in ("median", "quantile {q:g}"):
        return _weighted_quantile(y, w, float(loss.params.get("q") or 0.5))
    scores = _minimise(loss, y, w)
    if raw:
        return scores[0] if len(scores) == 1 else np.array(scores)
    links = loss.definition.links
    means = [float(inverse(k, np.array([s]))[0]) for k, s in zip(links, scores, strict=True)]
    return means[0] if len(means) == 1 else np.array(means)


def start_score(loss: Any, y_true: Any, sample_weight: Any) -> Any:
    """Return the raw scores of the optimal constant, 10 eps inside the domain of predictions."""
    if loss.kind != "pointwise":
        return _rows(loss).start_score(loss, y_true, sample_weight)
    margin = 10 * float(np.finfo(np.float64).eps)
    best = np.atleast_1d(optimal_constant(loss, y_true, sample_weight, raw=False)).astype(float)
    scores = []
    for link, value in zip(loss.definition.links, best, strict=True):
        if link.name == "identity":  # a score; only labels that are all alike make it infinite
            limit = -math.log(margin) if math.isinf(value) else math.inf
            scores.append(float(np.clip(value, -limit, limit)))
        else:
            lower, upper = link.domain.lower + margin, link.domain.upper - margin
            scores.append(float(_link(link, np.clip([value], lower, upper))[0]))
    return scores[0] if len(scores) == 1 else np.array(scores)


def infimum(loss: Any, y_true: Any) -> Any:
    """Return the greatest lower bound of the loss for each target, in the targets' shape."""
    if loss.kind != "pointwise":
        return _rows(loss).infimum(loss, y_true)
    y, _ = _targets(loss, y_true, None)
    shape = np.shape(y_true)
    if loss.task != "user" or loss.definition.perfect is not None:
        scores = _perfect_scores(loss, y)
    else:  # a user's loss may have its minimum anywhere
        distinct, place = np.unique(y, return_inverse=True)
        found = [_minimise(loss, np.array([v]), np.ones(1)) for v in distinct]
        scores = np.array(found)[place]
        scores = scores[:, 0] if scores.shape[1] == 1 else scores
    values = loss(y, scores, raw=True, reduction="none").reshape(shape)
    return float(values) if shape == () else values


def _rows(loss: Any) -> Any:
    from losskit.rows import optimum

    if loss.kind == "rows":
        return optimum
    raise Unsupported(f"{loss.name} has no best constant and no bound: its examples are not rows")


def inverse(link: Link, scores: Array) -> Array:
    """Return predictions of raw scores."""
    return _run(link.name, link.inverse, scores)


def _link(link: Link, predictions: Array) -> Array:
    return _run(link.name, link.forward, predictions)


def _run(name: str, function: Callable[[Any], Any], values: Array) -> Array:
    trace = Trace(["f"])
    text = numpy_backend.source(name, ("f",), [function(trace.symbols["f"])])
    with np.errstate(all="ignore"):
        return np.asarray(numpy_backend.compiled(text)(values)[0])


def _targets(loss: Any, y_true: Any, sample_weight: Any) -> tuple[Array, Array]:
    given = batch(y_true, np.zeros(np.shape(y_true)), 1, sample_weight)
    inspect(loss.name, given, loss.target_domain, [REAL], False, "raise")
    weight = np.ones(given.size) if given.weight is None else given.weight
    y = given.y.astype(np.float64)[weight > 0]
    if not y.size:
        raise ValueError(f"{loss.name}: there is no target with a positive weight")
    return y, weight[weight > 0]


def _perfect(loss: Any, y: Array) -> Array:
    perfect = loss.definition.perfect
    if perfect is None:
        return y
    best = perfect(y, **loss.params)  # one array, or one for each output
    return np.stack(best, axis=-1) if isinstance(best, tuple) else np.asarray(best)


def _perfect_scores(loss: Any, y: Array) -> Array:
    """Return the raw scores at which the loss of each target is least."""
    if loss.target_domain == SIGN:
        return y * np.inf
    best = _perfect(loss, y)
    if best.ndim == 2:
        return np.stack(
            [_link(k, c) for k, c in zip(loss.definition.links, best.T, strict=True)], axis=1
        )
    return _link(loss.link, best)


def _weighted_quantile(y: Array, w: Array, q: float) -> float:
    """Return the middle of the interval of q-quantiles of weighted values."""
    order = np.argsort(y, kind="stable")
    y, below = y[order], np.cumsum(w[order])
    share = q * below[-1]
    tolerance = 1e-12 * below[-1]  # the weights' sums are rounded; so many decide on a tie
    lower = y[np.searchsorted(below, share - tolerance)]
    upper = y[min(np.searchsorted(below, share + tolerance), y.size - 1)]
    return float(lower + (upper - lower) / 2)


def _minimise(loss: Any, y: Array, w: Array) -> list[float]:
    """Return the raw scores of the best constant, one output after the other until none moves."""
    outputs = len(loss.outputs)
    scores = [_first_guess(loss, y, w)] + [0.0] * (outputs - 1)
    for _ in range(_SWEEPS if outputs > 1 else 1):
        before = list(scores)
        for i in range(outputs):
            scores[i] = _minimise_one(_Line(loss, y, w, scores, i))
        if all(a == b or abs(a - b) <= 1e-14 * abs(a) for a, b in zip(scores, before, strict=True)):
            break
    return scores


def _first_guess(loss: Any, y: Array, w: Array) -> float:
    return 0.0 if loss.target_domain == SIGN else float(np.average(y, weights=w))


def _sum(values: Array) -> float:
    return total(values, pair=False)[0]


class _Line:
    """The mean loss and its slope along one output, the others being held."""

    def __init__(self, loss: Any, y: Array, w: Array, scores: list[float], output: int) -> None:
        self.loss, self.y, self.w, self.scores, self.output = loss, y, w, scores, output

    def _predictions(self, c: float) -> Array:
        row = np.array(self.scores)
        row[self.output] = c
        return np.full(self.y.shape, c) if row.size == 1 else np.tile(row, (self.y.size, 1))

    def value(self, c: float) -> float:
        return float(self.loss(self.y, self._predictions(c), sample_weight=self.w, raw=True))

    def slope(self, c: float) -> float:
        g = self.loss.gradient(self.y, self._predictions(c), sample_weight=self.w, raw=True)
        return _sum(g if g.ndim == 1 else g[:, self.output])


def _minimise_one(line: _Line) -> float:
    starts = _starts(line)
    values = [line.value(c) for c in starts]
    best = int(np.nanargmin(values))
    level = values[best] + 1e-12 * abs(values[best])  # what is flat is one minimum
    first = next((i for i in range(best, -1, -1) if values[i] > level), -1)
    last = next((i for i in range(best, len(values)) if values[i] > level), len(values))
    try:
        left = starts[first] if first >= 0 else _outward(line, starts[0], -1)
        right = starts[last] if last < len(starts) else _outward(line, starts[-1], 1)
        lower = _snap(_first_true(lambda c: line.slope(c) >= 0, left, right), line.y)
        rises = _first_true(lambda c: line.slope(c) > 0, left, right)
        flat = math.isinf(rises)  # to the end of the range
        upper = rises if flat else _snap(math.nextafter(rises, -math.inf), line.y)
    except Unsupported:  # a step: any best start will do
        return starts[best]
    middle = lower + (upper - lower) / 2 if math.isfinite(upper - lower) else lower
    if not math.isfinite(middle):
        middle = upper
    if abs(middle) < 1e-30:  # rounding, or a kink at 0 whose subgradient is not 0
        middle = 0.0
    finite = min((c for c in (middle, starts[best]) if math.isfinite(c)), key=line.value)
    domain = line.loss.form(raw=True).predictions[line.output]
    # A positive prediction has no limit at infinity: `invalid.inspect`.
    ends = [e for e in (domain.lower, domain.upper) if math.isinf(e) and domain.lower != 0]
    far = min(ends, key=line.value, default=finite)
    return far if line.value(far) < line.value(finite) else finite


def _snap(edge: float, y: Array) -> float:
    """Return the target within two floats of `edge`, where kinks are, or `edge` itself."""
    if not math.isfinite(edge):
        return math.inf if edge > 0 else edge
    nearest = float(y[np.argmin(np.abs(y - edge))])
    return nearest if abs(nearest - edge) <= 2 * float(np.spacing(abs(edge))) else edge


def _starts(line: _Line) -> list[float]:
    link = line.loss.definition.links[line.output]
    if link.name == "identity" and line.loss.target_domain != SIGN:
        values = np.unique(line.y)
        if values.size > _STARTS:
            values = np.quantile(values, np.linspace(0, 1, _STARTS))
        return [float(v) for v in values]
    return [float(v) for v in np.linspace(-36, 36, 73)]


def _outward(line: _Line, start: float, direction: int) -> float:
    """Return a point beyond `start` where the loss rises again, or the end of the range."""
    domain = line.loss.form(raw=True).predictions[line.output]
    ends = math.nextafter(domain.lower, math.inf), math.nextafter(domain.upper, -math.inf)
    step = max(1.0, abs(start))
    for _ in range(600):
        c = float(np.clip(start + direction * step, max(ends[0], -1e300), min(ends[1], 1e300)))
        if abs(c) == 1e300 or c in ends or line.slope(c) * direction > 0:
            break
        step *= 2
    return c


def _first_true(holds: Callable[[float], bool], left: float, right: float) -> float:
    """Return the first number in (left, right] where `holds`, by bisection over the floats."""
    if not holds(right):
        return math.inf
    if holds(left):
        return left
    low, high = _rank(left), _rank(right)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(_unrank(middle)) else (middle, high)
    return _unrank(high)


def _rank(x: float) -> int:
    """Number the floats in their order, so that bisection halves their count."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)


def _unrank(rank: int) -> float:
    (x,) = struct.unpack("<d", struct.pack("<q", abs(rank)))
    return float(x) if rank >= 0 else -float(x)
