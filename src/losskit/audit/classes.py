"""What goes wrong in losses over classes, as checks of a cross-entropy.

Each is a mistake that was measured in shipping code, or the ordinary case beside it. Numbers are
eighths, which every float type holds exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from losskit.arrays import Array
from losskit.audit.checks import NAN, ZERO, Check


def checks(raw: bool) -> tuple[Check, ...]:
    """Return the checks of a cross-entropy on logits, or those of its values on probabilities."""
    if raw:
        return CHECKS
    # Off the simplex everyone continues the loss differently, so that gradients say nothing; and
    # half types hold no rows that sum to 1.
    return tuple(
        replace(check, f=_softmax(check.f))
        for check in CHECKS
        if "logit" not in check.name and not check.gradient and check.dtype == "float64"
    )


def _softmax(f: Array) -> Array:
    powers = np.exp(f)
    return np.asarray(powers / powers.sum(-1, keepdims=True))


_F = np.array([[2.0, -1.0, 0.5], [0.0, 0.25, 0.0], [-1.5, 3.0, 0.25], [1.0, 0.5, -2.0]])
_Y = np.array([0, 2, 1, 2])
_SOFT = np.array([[0.75, 0.25, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0], [0.125, 0.25, 0.625]])
# A class that is not allowed in some rows, and is the target of none.
_BARRED = np.where([[0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]], -np.inf, _F)
_Q_BARRED = np.array([[0.75, 0.0, 0.25], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0], [0.0, 0.25, 0.75]])
_HUGE = np.array([[1000.0, -1000.0, 0.0], [-1000.0, 0.0, 1000.0], [40.0, 0.0, -40.0], [0, 700, 0]])
_WEIGHTS = np.array([1.0, 2.0, 4.0])
_IGNORE = -100
_SOME = np.where([False, True, False, False], _IGNORE, _Y)
_NAN_WHERE_IGNORED = np.where((_SOME == _IGNORE)[:, None], np.nan, _F)
_ALL = np.full_like(_Y, _IGNORE)
_IGNORING = {"ignore_index": _IGNORE}
_SMOOTH = {"label_smoothing": 0.1}
_WEIGHTED = {"class_weight": _WEIGHTS}
_MANY_F, _MANY_Y = np.tile(_F * 4, (1024, 1)), np.tile(_Y, 1024)

CHECKS = (
    Check("values", "the loss itself", _Y, _F),
    Check(
        "gradient, upstream not uniform",
        "a fused kernel that assumes an upstream of ones is right for a mean and wrong for "
        "per-token weights, which come in as upstream gradients",
        _Y, _F, gradient=True,
    ),
    Check(
        "gradient of the mean, upstream 3",
        "a kernel that ignores the upstream gradient loses loss scaling and auxiliary weights",
        _Y, _F, reduction="mean", gradient=True,
    ),
    Check("sum", "Σℓ", _Y, _F, reduction="sum"),
    Check("mean", "Σℓ/n", _Y, _F, reduction="mean"),
    Check("soft targets", "−Σ q·log p for targets that are distributions", _SOFT, _F, soft=True),
    Check(
        "soft targets: gradient",
        "p − q in every class, times the upstream gradient of the row",
        _SOFT, _F, soft=True, gradient=True,
    ),
    Check(
        "sequences",
        "logits with a position axis: a class axis in the wrong place gives numbers all the same",
        np.stack([_Y, _Y[::-1]]), np.stack([_F, _F[::-1] * 2]),
    ),
    # --- large and infinite logits
    Check(
        "logits shifted by 10⁴",
        "the loss does not change; exp without subtracting the maximum overflows",
        _Y, _F + 1e4,
    ),
    Check(
        "logits shifted by 10⁴: gradient",
        "exp without subtracting the maximum gives NaN",
        _Y, _F + 1e4, gradient=True,
    ),
    Check(
        "logits shifted by 10⁴ in float32",
        "adding the maximum back before subtracting the target's logit costs three digits",
        _Y, _F + 1e4, dtype="float32",
    ),
    Check("logits of ±1000", "the loss is linear there, neither ∞ nor clipped", _Y, _HUGE),
    Check(
        "logits of ±1000: gradient", "it is bounded by 1", _Y, _HUGE, gradient=True,
        dtype="float32",
    ),
    Check(
        "−∞ logit of another class",
        "a class that is not allowed has probability 0",
        _Y, _BARRED,
    ),
    Check(
        "−∞ logit of another class: gradient",
        "it is 0 there; ∞ − ∞ or 0·∞ poisons the whole row",
        _Y, _BARRED, gradient=True,
    ),
    Check(
        "−∞ logit with soft target 0",
        "0·log 0 is 0; as a product it is NaN",
        _Q_BARRED, _BARRED, soft=True,
    ),
    Check(
        "−∞ logit with soft target 0: gradient",
        "0·log 0 is 0, and so is its derivative",
        _Q_BARRED, _BARRED, soft=True, gradient=True,
    ),
    Check(
        "−∞ logit of the target",
        "the loss is ∞: a finite number hides an impossible target",
        np.array([1, 2, 1, 2]), _BARRED,
    ),
    Check(
        "+∞ logit of the target",
        "the limit is 0; ∞ − ∞ is NaN",
        _Y, np.where(np.eye(3)[_Y] == 1, np.inf, _F),
    ),
    # --- ignored targets
    Check(
        "ignored targets: mean",
        "the denominator counts what is not ignored",
        _SOME, _F, _IGNORING, "mean",
    ),
    Check(
        "ignored targets: none", "an ignored target costs exactly 0", _SOME, _F, _IGNORING, "none"
    ),
    Check(
        "ignored targets: gradient",
        "an ignored row pulls at nothing",
        _SOME, _F, _IGNORING, gradient=True,
    ),
    Check(
        "NaN in an ignored row",
        "padding may hold anything; 0·NaN is NaN",
        _SOME, _NAN_WHERE_IGNORED, _IGNORING,
    ),
    Check(
        "NaN in an ignored row: gradient",
        "0·NaN is NaN, and one such gradient ends a training run",
        _SOME, _NAN_WHERE_IGNORED, _IGNORING, gradient=True,
    ),
    Check(
        "all targets ignored: mean",
        "0/0: a batch of padding alone makes the loss NaN, and with it every average",
        _ALL, _F, _IGNORING, "mean", right=ZERO,
    ),
    Check(
        "all targets ignored: gradient of the mean",
        "0/0: a NaN here reaches every weight of the model",
        _ALL, _F, _IGNORING, "mean", gradient=True, right=ZERO,
    ),
    # --- label smoothing
    Check("label smoothing", "targets are (1 − s)·y + s/K", _Y, _F, _SMOOTH),
    Check(
        "label smoothing: gradient", "p − q for the smoothed q", _Y, _F, _SMOOTH, gradient=True
    ),
    Check(
        "label smoothing with soft targets", "smoothing is of any target",
        _SOFT, _F, _SMOOTH, soft=True,
    ),
    Check(
        "label smoothing over a −∞ logit",
        "smoothed over the allowed classes; over all of them the loss is ∞",
        _Y, _BARRED, _SMOOTH,
    ),
    Check(
        "label smoothing over a −∞ logit: gradient",
        "smoothed over the allowed classes; over all of them training stops at once",
        _Y, _BARRED, _SMOOTH, gradient=True,
    ),
    Check(
        "label smoothing with ignored targets",
        "an ignored target is not smoothed either, nor counted",
        _SOME, _F, {**_SMOOTH, **_IGNORING}, "mean",
    ),
    # --- class weights and their denominator
    Check("class weights: none", "each loss times the weight of its class", _Y, _F, _WEIGHTED,
          "none"),
    Check(
        "class weights: mean",
        "Σwℓ/Σw: divided by n, the loss and the step size depend on which classes a batch holds",
        _Y, _F, _WEIGHTED, "mean",
    ),
    Check(
        "class weights: gradient of the mean",
        "the gradient has the denominator of the value",
        _Y, _F, _WEIGHTED, "mean", gradient=True,
    ),
    Check(
        "class weights: mean over one-hot targets",
        "the same data as labels, so the same number",
        _Y, _F, _WEIGHTED, "mean", one_hot=True,
    ),
    Check(
        "class weights with ignored targets",
        "an ignored target has no weight in the denominator",
        _SOME, _F, {**_WEIGHTED, **_IGNORING}, "mean",
    ),
    # --- narrow types
    *(
        check
        for dtype in ("float32", "float16", "bfloat16")
        for check in (
            Check(
                f"{dtype}", "computed in at least float32, rounded once",
                _Y, _F * 8, dtype=dtype,
            ),
            Check(
                f"{dtype}: gradient", "as the value; what is small stays small",
                _Y, _F * 8, gradient=True, dtype=dtype,
            ),
            Check(
                f"{dtype}: mean of 4096 rows",
                "a sum in a half type stops growing, or overflows, long before 4096",
                _MANY_Y, _MANY_F, reduction="mean", dtype=dtype,
            ),
        )
    ),
    Check(
        "float16: smoothed mean of 4096 rows",
        "smoothing adds all logits of all rows, whose sum in a half type overflows",
        _MANY_Y, _MANY_F, _SMOOTH, "mean", dtype="float16",
    ),
    # --- what has no answer
    Check(
        "label out of range",
        "an index that wraps around or is clamped gives a plausible number for a broken data set",
        np.array([0, 3, 1, 2]), _F, right=NAN,
    ),
    Check(
        "NaN logit", "a NaN that becomes a number is never found",
        _Y, np.where([[0, 0, 1], [0] * 3, [0] * 3, [0] * 3], np.nan, _F), right=NAN,
    ),
)  # fmt: skip
