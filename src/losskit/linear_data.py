"""Checked data and options of the fused linear cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from losskit.arrays import Array, check_index, numeric
from losskit.arrays import weights as given_weights
from losskit.backends import suggest
from losskit.backends.linear_kernels import Scale
from losskit.backends.linear_sweep import Layer
from losskit.definition import Parameter
from losskit.formula.domain import Domain
from losskit.formula.inputs import Choice, Integer
from losskit.losses.classes import cross_entropy
from losskit.reduction import REDUCTIONS, total, weight_exponent
from losskit.rows.batch import RowBatch
from losskit.rows.checks import class_weights

#: Bytes for one block of logits, unless a call says otherwise (benchmarks/linear.py chose it).
MEMORY = 1 << 25

NAME = "linear_cross_entropy"

#: What the options may be; those that cross_entropy has too are stated there.
_PARAMETERS = {p.name: p for p in cross_entropy.definition.parameters} | {
    "softcap": Parameter("softcap", None, Domain(lower=0, none=True)),
    "reduction": Parameter("reduction", "mean", Choice(REDUCTIONS)),
    "empty": Parameter("empty", "error", Choice(("error", "zero"))),
    "memory": Parameter("memory", None, Integer(lower=1, none=True)),
}


@dataclass(frozen=True)
class Options:
    """What a call asks for, checked."""

    class_weight: Any
    ignore_index: int | None
    label_smoothing: float
    z_loss: float
    softcap: float | None
    temperature: float
    reduction: str
    empty: str
    memory: int | None

    def __post_init__(self) -> None:
        for one in fields(self):
            checked = _PARAMETERS[one.name].check(NAME, getattr(self, one.name))
            object.__setattr__(self, one.name, checked)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Return the options with those given; raise TypeError for one that there is not."""
        names = [one.name for one in fields(cls)]
        for name in given:
            if name not in names:
                raise TypeError(f"{NAME}: unknown option {name!r}{suggest(name, names)}")
        return cls(**{name: given.get(name, _PARAMETERS[name].default) for name in names})

    @property
    def changed(self) -> str:
        """What was given, as it is written in a call."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return "".join(f", {k}={v!r:.40}" for k, v in given.items() if v != _PARAMETERS[k].default)

    @property
    def scale(self) -> Scale:
        """From logits to scores."""
        return Scale(self.softcap or 0.0, self.temperature)


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked data of one call."""

    layer: Layer
    weights: Array  # (m,) float64, of the tokens that count, over 2**exponent
    exponent: int
    shape: tuple[int, ...]  # of y_true
    dtypes: tuple[np.dtype[Any], ...]  # of the gradients
    options: Options

    @cached_property
    def weight_sum(self) -> float:
        """What a mean is divided by."""
        return total(self.weights, pair=False)[0]

    def factors(self, upstream: Any) -> tuple[Array, int]:
        """Return what each counting token's derivative is multiplied by, over a power of two, and
        that power.
        """
        if self.options.reduction != "none":
            if upstream is not None:
                raise ValueError(
                    f"{NAME}: upstream= goes with reduction='none' only; multiply the gradients "
                    "by it, or pass sample_weight="
                )
            mean = self.options.reduction == "mean" and len(self.weights)
            return (self.weights / self.weight_sum, 0) if mean else (self.weights, self.exponent)
        if upstream is None:
            raise ValueError(
                f"{NAME}: the gradients of reduction='none' need upstream=, how much each "
                "token's value counts (an array like y_true); or use reduction='sum'"
            )
        given = numeric("upstream", upstream).astype(np.float64, copy=False)
        if given.shape != self.shape:
            raise ValueError(
                f"{NAME}: upstream has shape {given.shape}; needed is y_true's {self.shape}"
            )
        kept = given.reshape(-1)[slice(None) if self.layer.rows is None else self.layer.rows]
        bad = np.flatnonzero(~np.isfinite(kept))
        if bad.size:
            place = self.place(int(bad[0]))
            raise ValueError(f"{NAME}: upstream{place} = {kept[bad[0]]:g} is not finite")
        scale = weight_exponent(np.abs(kept))
        return self.weights * np.ldexp(kept, -scale), self.exponent + scale

    def place(self, token: int, *more: int) -> list[int]:
        """Return where in `y_true` a counting token stands."""
        flat = token if self.layer.rows is None else self.layer.rows[token]
        return [*(int(i) for i in np.unravel_index(flat, self.shape)), *more]


def problem_of(
    data: tuple[Any, ...], bias: Any, sample_weight: Any, mask: Any, options: Options
) -> Problem:
    """Return a call's arguments, `data` being y_true, hidden and weight; raise where they do not
    fit.
    """
    if any(one is None for one in data):
        raise TypeError(
            f"{NAME}: the data are missing; needed is one call with data and options, "
            f"losskit.{NAME}(y_true, hidden, weight{options.changed}): unlike "
            "losskit.cross_entropy, this function makes no loss to be called later"
        )
    check_index(*data[:2], sample_weight, mask)
    y, h, w = map(numeric, ("y_true", "hidden", "weight"), data)
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
        raise ValueError(f"{NAME}: bias[{bad[0]}] = {b[bad[0]]:g} is not finite{advice}")
    weights, exponent = _token_weights(y, len(w), sample_weight, mask, options)
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
        options.label_smoothing,
        options.z_loss,
        options.memory or MEMORY,
    )
    results = tuple(_native(d) for d in dtypes[: 2 + (bias is not None)])
    problem = Problem(layer, weights[kept], exponent, y.shape, results, options)
    if not len(problem.weights) and options.reduction != "none" and options.empty == "error":
        raise ValueError(
            f"{NAME}: no token counts ({y.size} given; all others masked, of weight 0 or equal to "
            f"ignore_index={options.ignore_index}), so there is no {options.reduction}; pass "
            "empty='zero' for 0"
        )
    return problem


def _check_shapes(y: Array, h: Array, w: Array, b: Array | None) -> None:
    if y.dtype.kind not in "iu" and y.size:
        raise TypeError(
            f"{NAME}: y_true has dtype {y.dtype}; needed are integer labels: .astype('int64')"
        )
    if w.ndim != 2 or 0 in w.shape:
        raise ValueError(
            f"{NAME}: weight has shape {w.shape}; needed is (classes, width), as in nn.Linear"
        )
    if h.ndim == 0 or h.shape[:-1] != y.shape:
        raise ValueError(
            f"{NAME}: y_true has shape {y.shape} and hidden {h.shape}; needed is hidden "
            f"{(*y.shape, w.shape[1])}: y_true's shape, then the width"
        )
    if h.shape[-1] != w.shape[1]:
        turned = "; pass weight.T" if h.shape[-1] == w.shape[0] else ""
        raise ValueError(
            f"{NAME}: hidden has width {h.shape[-1]} and weight shape {w.shape}; needed is weight "
            f"(classes, {h.shape[-1]}){turned}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(
            f"{NAME}: bias has shape {b.shape}; needed is {w.shape[:1]}, one for each class"
        )


def _token_weights(
    y: Array, classes: int, sample_weight: Any, mask: Any, options: Options
) -> tuple[Array, int]:
    """Return a weight for each token, 0 where it does not count, over a power of two, and that."""
    key, target = cross_entropy.definition.inputs[0]
    given = given_weights(sample_weight, mask, y.shape)
    weight = np.ones(y.size) if given is None else given
    tokens = RowBatch(
        inputs={key: target},
        values={key: y.reshape(-1)},
        weight=weight,
        shape=y.shape,
        columns=classes,
        lists=None,
        dtype=weight.dtype,
        compute=weight.dtype,
    )
    ignored = {"ignore_index": options.ignore_index}
    weight = np.asarray(class_weights(NAME, tokens, ignored))
    wrong = (tokens.values[key] < 0) | (tokens.values[key] >= classes)
    bad = np.flatnonzero(wrong & (weight != 0))
    if bad.size:
        place, label = [int(i) for i in np.unravel_index(bad[0], y.shape)], y.flat[bad[0]]
        raise ValueError(
            f"{NAME}: y_true{place} = {label} is no class; needed are labels from 0 to "
            f"{classes - 1} (weight has {classes} rows); for padding pass ignore_index={label} or "
            "a mask"
        )
    weight, exponent = _near_one(weight)
    if options.class_weight is None:
        return weight, exponent
    by_class, more = _near_one(np.asarray(options.class_weight))
    both = class_weights(NAME, replace(tokens, weight=weight), {"class_weight": by_class})
    weight, last = _near_one(np.asarray(both))
    return weight, exponent + more + last


def _near_one(weight: Array) -> tuple[Array, int]:
    """Return weights over a power of two, whose products stay in range, and that power."""
    exponent = weight_exponent(weight)
    return (np.ldexp(weight, -exponent) if exponent else weight), exponent


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "V" else dtype.newbyteorder("=")  # "V": bfloat16
