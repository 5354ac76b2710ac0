"""Cross-entropy of a linear layer's logits, without ever holding all of the logits.

The call and its checks; `backends/linear_sweep.py` computes.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from losskit.arrays import Array, check_index, numeric
from losskit.arrays import weights as given_weights
from losskit.backends.linear_kernels import Scale
from losskit.backends.linear_sweep import Layer, NotFinite, sweep
from losskit.reduction import REDUCTIONS, total

#: Bytes for one block of logits, unless a call says otherwise (benchmarks/linear.py chose it).
MEMORY = 1 << 25


@dataclass(frozen=True)
class LinearCrossEntropy:
    """Cross-entropy of ``hidden @ weight.T + bias`` in a small multiple of the gradients' memory.

    For the last layer of a classifier with very many classes, a language model's above all.

    `y_true` (...) holds integer labels, `hidden` (..., D) the layer's input, `weight` (V, D) and
    `bias` (V,) the layer, as in ``torch.nn.Linear``.  The result is a float (or the shape of
    `y_true` for ``reduction="none"``), in natural-log units.

    - `sample_weight`, `mask`: match `y_true`'s leading axes; tokens that are masked, of weight 0 or
      labelled `ignore_index` count for nothing and may hold anything.  The mean is Σwℓ/Σw.
    - `softcap` c replaces logits by c·tanh(logits/c); then `temperature` divides them.
    - `label_smoothing` ε spreads ε of the target evenly over the classes; `z_loss` z adds z·lse².
    - A bias of −inf forbids a class: its probability is 0, and smoothing leaves it out.
    - `empty="zero"` gives 0 where no token counts, which is an error otherwise.
    - `memory` is the number of bytes for one block of logits, 32 MiB by default.

    float32 and float64 compute in their own precision, narrower types in float32 and two different
    types in the wider; a `weight` of another type than that is copied.  Raises ValueError for
    shapes that do not fit, labels outside 0…V−1, and anything that is not finite.

    Sources: Hsu et al., Liger Kernel (arXiv:2410.10989); Wijmans et al., Cut Your Losses
    (arXiv:2411.09009); z_loss: PaLM (arXiv:2204.02311); softcap: Gemma 2 (arXiv:2408.00118).

    >>> import numpy as np, losskit
    >>> hidden, weight = np.array([[1.0, 0.0], [0.0, 2.0]]), np.eye(2)
    >>> round(losskit.linear_cross_entropy([0, 1], hidden, weight), 6)
    0.220095
    """

    def __repr__(self) -> str:
        return "losskit.linear_cross_entropy"

    def __call__(
        self,
        y_true: Any,
        hidden: Any,
        weight: Any,
        *,
        bias: Any = None,
        sample_weight: Any = None,
        mask: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        reduction: str = "mean",
        empty: str = "error",
        memory: int | None = None,
    ) -> Any:
        """Return the loss; the class's text says of what."""
        options = _Options(label_smoothing, z_loss, softcap, temperature, reduction, empty, memory)
        problem = _problem(y_true, hidden, weight, bias, sample_weight, mask, ignore_index, options)
        return _solve(problem, None)[0]

    def value_and_gradient(
        self,
        y_true: Any,
        hidden: Any,
        weight: Any,
        *,
        bias: Any = None,
        sample_weight: Any = None,
        mask: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        reduction: str = "mean",
        empty: str = "error",
        memory: int | None = None,
        upstream: Any = None,
    ) -> tuple[Any, tuple[Array, ...]]:
        """Return the loss and its gradients by `hidden`, `weight` and, where given, `bias`.

        With ``reduction="none"`` there is one value for each token but only one gradient by
        `weight`: `upstream`, of `y_true`'s shape and any sign, says how much each value counts, and
        the gradients are those of Σ upstream·value.

        >>> import numpy as np, losskit
        >>> hidden, weight = np.array([[1.0, 0.0], [0.0, 2.0]]), np.eye(2)
        >>> value, (by_hidden, by_weight) = losskit.linear_cross_entropy.value_and_gradient(
        ...     [0, 1], hidden, weight)
        >>> by_hidden.shape, by_weight.shape
        ((2, 2), (2, 2))
        """
        options = _Options(label_smoothing, z_loss, softcap, temperature, reduction, empty, memory)
        problem = _problem(y_true, hidden, weight, bias, sample_weight, mask, ignore_index, options)
        return _solve(problem, problem.factors(upstream))


#: The loss itself.
linear_cross_entropy = LinearCrossEntropy()

_NAME = "linear_cross_entropy"


@dataclass(frozen=True)
class _Options:
    label_smoothing: float
    z_loss: float
    softcap: float | None
    temperature: float
    reduction: str
    empty: str
    memory: int | None

    def __post_init__(self) -> None:
        for name, allowed in (("reduction", REDUCTIONS), ("empty", ("error", "zero"))):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{_NAME}: {name}={getattr(self, name)!r}; needed is one of "
                    f"{', '.join(map(repr, allowed))}"
                )
        for name, holds, needed in (
            ("label_smoothing", lambda x: 0 <= x <= 1, "a number from 0 to 1"),
            ("z_loss", lambda x: 0 <= x < math.inf, "a finite number of at least 0"),
            ("softcap", lambda x: 0 < x < math.inf, "a finite number above 0, or None"),
            ("temperature", lambda x: 0 < x < math.inf, "a finite number above 0"),
            ("memory", lambda x: x >= 1 and x == int(x), "a whole number of bytes, or None"),
        ):
            given = getattr(self, name)
            if given is None and name in ("softcap", "memory"):
                continue
            if isinstance(given, bool) or not isinstance(given, numbers.Real) or not holds(given):
                raise ValueError(f"{_NAME}: {name}={given!r}; needed is {needed}")

    @property
    def scale(self) -> Scale:
        return Scale(float(self.softcap or 0.0), float(self.temperature))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Checked data of one call."""

    layer: Layer
    weights: Array  # (m,) float64, of the tokens that count
    shape: tuple[int, ...]  # of y_true
    dtypes: tuple[np.dtype[Any], ...]  # of the gradients
    options: _Options

    @cached_property
    def weight_sum(self) -> float:
        with np.errstate(over="ignore"):
            return total(self.weights, pair=False)[0]

    def factors(self, upstream: Any) -> Array:
        """Return what each counting token's derivative is multiplied by."""
        if self.options.reduction != "none":
            if upstream is not None:
                raise ValueError(
                    f"{_NAME}: upstream= goes with reduction='none' only; multiply the gradients "
                    "by it, or pass sample_weight="
                )
            mean = self.options.reduction == "mean" and len(self.weights)
            return self.weights / self.weight_sum if mean else self.weights
        if upstream is None:
            raise ValueError(
                f"{_NAME}: the gradients of reduction='none' need upstream=, how much each "
                "token's value counts (an array like y_true); or use reduction='sum'"
            )
        given = numeric("upstream", upstream).astype(np.float64, copy=False)
        if given.shape != self.shape:
            raise ValueError(
                f"{_NAME}: upstream has shape {given.shape}; needed is y_true's {self.shape}"
            )
        kept = given.reshape(-1)[slice(None) if self.layer.rows is None else self.layer.rows]
        bad = np.flatnonzero(~np.isfinite(kept))
        if bad.size:
            place = self.place(int(bad[0]))
            raise ValueError(f"{_NAME}: upstream{place} = {kept[bad[0]]:g} is not finite")
        return self.weights * kept

    def place(self, token: int, *more: int) -> list[int]:
        """Return where in `y_true` a counting token stands."""
        flat = token if self.layer.rows is None else self.layer.rows[token]
        return [*(int(i) for i in np.unravel_index(flat, self.shape)), *more]


def _problem(
    y_true: Any,
    hidden: Any,
    weight: Any,
    bias: Any,
    sample_weight: Any,
    mask: Any,
    ignore_index: int | None,
    options: _Options,
) -> _Problem:
    check_index(y_true, hidden, sample_weight, mask)
    y, h, w = numeric("y_true", y_true), numeric("hidden", hidden), numeric("weight", weight)
    b = np.empty(0) if bias is None else numeric("bias", bias)
    _check_shapes(y, h, w, None if bias is None else b)
    dtypes = [a.dtype if a.dtype.kind in "fV" else np.dtype(np.float64) for a in (h, w, b)]
    wide = any(dtype.itemsize == 8 for dtype in dtypes[:2])
    dtype = np.dtype(np.float64 if wide else np.float32)
    with np.errstate(over="ignore"):
        b = b.astype(dtype)
    forbidding = options.softcap is None  # a cap would let a forbidden class in again
    bad = np.flatnonzero(~(np.isfinite(b) | (b == -np.inf) & forbidding))
    if bad.size:
        advice = "" if forbidding else " (-inf, a forbidden class, does not go with softcap)"
        raise ValueError(f"{_NAME}: bias[{bad[0]}] = {b[bad[0]]:g} is not finite{advice}")
    weights = _token_weights(y, sample_weight, mask, ignore_index)
    rows = None if weights.all() else np.flatnonzero(weights)
    kept: Any = slice(None) if rows is None else rows
    if not (w.flags.c_contiguous or w.flags.f_contiguous):
        w = np.ascontiguousarray(w)  # BLAS takes no other
    layer = Layer(
        h.reshape(-1, h.shape[-1]).astype(_native(dtypes[0]), copy=False),
        w.astype(dtype, copy=False),
        b,
        y.reshape(-1)[kept].astype(np.int64, copy=False),
        rows,
        options.scale,
        float(options.label_smoothing),
        float(options.z_loss),
        MEMORY if options.memory is None else int(options.memory),
    )
    results = tuple(_native(d) for d in dtypes[: 2 + (bias is not None)])
    problem = _Problem(layer, weights[kept], y.shape, results, options)
    _check_labels(problem, y.reshape(-1)[kept], len(w))
    if not problem.weight_sum < math.inf:
        raise ValueError(f"{_NAME}: the sum of sample_weight overflows; divide all by a constant")
    if not len(problem.weights) and options.reduction != "none" and options.empty == "error":
        raise ValueError(
            f"{_NAME}: no token counts ({y.size} given; all others masked, of weight 0 or equal to "
            f"ignore_index={ignore_index}), so there is no {options.reduction}; pass empty='zero' "
            "for 0"
        )
    return problem


def _check_shapes(y: Array, h: Array, w: Array, b: Array | None) -> None:
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"{_NAME}: y_true has dtype {y.dtype}; needed are integer labels: .astype('int64')"
        )
    if w.ndim != 2 or 0 in w.shape:
        raise ValueError(
            f"{_NAME}: weight has shape {w.shape}; needed is (classes, width), as in nn.Linear"
        )
    if h.ndim == 0 or h.shape[:-1] != y.shape:
        raise ValueError(
            f"{_NAME}: y_true has shape {y.shape} and hidden {h.shape}; needed is hidden "
            f"{(*y.shape, w.shape[1])}: y_true's shape, then the width"
        )
    if h.shape[-1] != w.shape[1]:
        turned = "; pass weight.T" if h.shape[-1] == w.shape[0] else ""
        raise ValueError(
            f"{_NAME}: hidden has width {h.shape[-1]} and weight shape {w.shape}; needed is weight "
            f"(classes, {h.shape[-1]}){turned}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(
            f"{_NAME}: bias has shape {b.shape}; needed is {w.shape[:1]}, one for each class"
        )


def _token_weights(y: Array, sample_weight: Any, mask: Any, ignore_index: int | None) -> Array:
    weights = given_weights(sample_weight, mask, y.shape)
    if weights is None:
        weights = np.ones(y.size)
    if ignore_index is not None:
        weights = np.where(y.reshape(-1) == ignore_index, 0.0, weights)
    bad = np.flatnonzero(~((weights >= 0) & (weights < math.inf)))
    if bad.size:
        place = [int(i) for i in np.unravel_index(bad[0], y.shape)]
        raise ValueError(
            f"{_NAME}: sample_weight at {place} is {weights[bad[0]]:g}; needed are finite weights "
            "of at least 0"
        )
    return weights


def _check_labels(problem: _Problem, labels: Array, classes: int) -> None:
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if bad.size:
        raise ValueError(
            f"{_NAME}: y_true{problem.place(int(bad[0]))} = {labels[bad[0]]} is no class; needed "
            f"are labels from 0 to {classes - 1} (weight has {classes} rows); for padding pass "
            f"ignore_index={labels[bad[0]]} or a mask"
        )


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "V" else dtype.newbyteorder("=")  # "V": bfloat16


def _solve(problem: _Problem, factors: Array | None) -> tuple[Any, tuple[Array, ...]]:
    try:
        losses, gradients = sweep(problem.layer, factors)
    except NotFinite as found:
        _blame(problem, found.token)
    with np.errstate(over="ignore"):  # a narrow type may not hold it: inf
        gradients = tuple(
            one.astype(dtype, copy=False)
            for one, dtype in zip(gradients, problem.dtypes, strict=False)
        )
        value = _reduced(problem, losses)
    if gradients:
        width = gradients[0].shape[1]
        gradients = (gradients[0].reshape(*problem.shape, width), *gradients[1:])
    return value, gradients


def _reduced(problem: _Problem, losses: Array) -> Any:
    weighted = problem.weights * losses
    if problem.options.reduction == "none":
        values = np.zeros(math.prod(problem.shape), problem.dtypes[0])
        values[slice(None) if problem.layer.rows is None else problem.layer.rows] = weighted
        return values.reshape(problem.shape)
    if not len(losses):
        return 0.0
    value = total(weighted, pair=False)[0]
    return value / problem.weight_sum if problem.options.reduction == "mean" else value


def _blame(problem: _Problem, token: int) -> NoReturn:
    """Raise the ValueError that says what is not finite."""
    layer = problem.layer
    row = layer.hidden[layer.tokens(token, token + 1)][0]
    places = np.flatnonzero(~np.isfinite(row))
    if places.size:
        where, value = problem.place(token, int(places[0])), float(row[places[0]])
        raise ValueError(
            f"{_NAME}: hidden{where} = {value:g} is not finite; mask such tokens, or repair them"
        )
    for k, one in enumerate(layer.weight):
        places = np.flatnonzero(~np.isfinite(one))
        if places.size:
            raise ValueError(
                f"{_NAME}: weight[{k}, {places[0]}] = {one[places[0]]:g} is not finite; to forbid "
                f"a class pass bias[{k}] = -inf"
            )
    if layer.bias.size and np.isneginf(layer.bias).all():
        raise ValueError(f"{_NAME}: bias is -inf for every class; allow at least one")
    raise ValueError(
        f"{_NAME}: the logits of y_true{problem.place(token)} overflow {layer.dtype}; scale "
        "hidden or weight down" + ("" if layer.dtype.itemsize == 8 else ", or pass float64")
    )
