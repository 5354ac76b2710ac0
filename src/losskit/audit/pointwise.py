"""What goes wrong in losses of one number, as checks of any loss that losskit has a formula of."""

from __future__ import annotations

from typing import Any

import numpy as np

from losskit.arrays import Array
from losskit.audit.checks import NAN, SAME_PAIRS, Check
from losskit.formula.domain import UNIT

_SCORES = np.array([-3.3125, -1.1875, -0.4375, 0.6875, 1.8125, 4.5625])
_TARGETS = np.array([-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0])
_LABELS = np.array([0.0, 1.0])
_FAR = np.array([-1000.0, -700.0, -40.0, 40.0, 700.0, 1000.0])


def checks(loss: Any, raw: bool) -> tuple[Check, ...]:
    """Return the checks for a loss of one output: on raw scores, or on the prediction scale."""
    y, f = _grid(loss, raw, _SCORES)
    weight = np.resize([1.0, 2.0, 0.5, 0.0, 3.0], y.shape)
    weighted = {"sample_weight": weight}
    unknown = np.where(weight == 0, np.nan, f)
    ends = [0, -1]  # the whole grid has the same mean when every target meets every score again
    found = [
        Check("values", "the loss itself, its factor and constants included", y, f),
        *_between_labels(loss, raw),
        Check("mean", "Σℓ/n", y, f, reduction="mean"),
        Check("sum", "Σℓ", y, f, reduction="sum"),
        Check(
            "gradient, upstream not uniform",
            "a function that assumes an upstream of ones is right for a mean and wrong for "
            "weights, which come in as upstream gradients",
            y, f, gradient=True,
        ),
        Check(
            "gradient of the mean, upstream 3",
            "a function that ignores the upstream gradient loses loss scaling",
            y, f, reduction="mean", gradient=True,
        ),
        *_at_the_ends(loss, raw),
        *_at_kinks(loss, raw),
        Check("weights: none", "w·ℓ", y, f, weighted, "none"),
        Check(
            "weights: mean",
            "Σwℓ/Σw: divided by n, the step size depends on the weights' scale",
            y, f, weighted, "mean",
        ),
        Check(
            "weights: gradient of the mean",
            "the gradient has the denominator of the value",
            y, f, weighted, "mean", gradient=True,
        ),
        Check(
            "NaN at weight 0", "what does not count may hold anything; 0·NaN is NaN",
            y, unknown, weighted,
        ),
        Check(
            "NaN at weight 0: gradient", "0·NaN is NaN, and one such gradient ends a training run",
            y, unknown, weighted, gradient=True,
        ),
        *_narrow(y, f),
        Check(
            "shape (n, 1) against (n,)",
            "broadcast to n × n, it is a plausible number for pairs that do not belong together",
            y[ends], f[ends, None], right=SAME_PAIRS,
        ),
        Check(
            "NaN prediction", "a NaN that becomes a number is never found",
            y, np.where(np.arange(f.size) == 1, np.nan, f), right=NAN,
        ),
    ]  # fmt: skip
    return tuple(found)


def _between_labels(loss: Any, raw: bool) -> list[Check]:
    """Return the check of probabilities as targets, which not everybody takes."""
    if loss.target_domain != UNIT:
        return []
    y, f = _grid(loss, raw, _SCORES, targets=_TARGETS)
    return [Check("targets between 0 and 1", "the loss is linear in the target", y, f, soft=True)]


def _at_the_ends(loss: Any, raw: bool) -> list[Check]:
    """Return checks of far and infinite scores, which probabilities and means do not have."""
    if not _is_score(loss, raw):
        return []
    y, f = _grid(loss, raw, _FAR)
    y_end, ends = _grid(loss, raw, np.array([-np.inf, np.inf]), keep_all=True)
    return [
        Check(
            "scores of ±40 to ±1000",
            "an exp that overflows gives ∞ or NaN, and float32 inside loses digits",
            y, f,
        ),
        Check(
            "scores of ±40 to ±1000: gradient",
            "∞/∞ is NaN; a gradient that is 0 too early stops training",
            y, f, gradient=True,
        ),
        Check("scores of ±∞", "the limit; ∞ − ∞ and 0·∞ are NaN", y_end, ends),
    ]  # fmt: skip


def _at_kinks(loss: Any, raw: bool) -> list[Check]:
    if not _is_score(loss, raw) or not loss.properties.kinks:
        return []
    kinks = loss.properties.kinks
    return [
        Check(
            "gradient at kinks",
            "any slope between those of the two sides is right; NaN or another is not",
            np.full(len(kinks), float(loss.properties.at)),
            np.array([kink.position for kink in kinks]),
            gradient=True,
            right=(np.array([k.left for k in kinks]), np.array([k.right for k in kinks])),
        )
    ]


def _narrow(y: Array, f: Array) -> list[Check]:
    many_y, many_f = np.resize(y, 4096), np.resize(f, 4096)
    found = []
    for dtype in ("float32", "float16", "bfloat16"):
        found += [
            Check(dtype, "computed in at least float32, rounded once", y, f, dtype=dtype),
            Check(f"{dtype}: gradient", "as the value", y, f, gradient=True, dtype=dtype),
            Check(
                f"{dtype}: mean of 4096",
                "a sum in a half type stops growing, or overflows, long before 4096",
                many_y, many_f, reduction="mean", dtype=dtype,
            ),
        ]  # fmt: skip
    return found


def _is_score(loss: Any, raw: bool) -> bool:
    return raw or loss.link.name == "identity"


def _grid(
    loss: Any, raw: bool, scores: Array, targets: Array | None = None, keep_all: bool = False
) -> tuple[Array, Array]:
    """Return every pair of a target and a score that the loss allows, exact in every float type."""
    if targets is None:
        targets = _LABELS if loss.target_domain == UNIT else _TARGETS
    targets = targets[loss.target_domain.contains(targets)]
    predictions = scores
    if not _is_score(loss, raw):
        predictions = np.exp(scores) / (1 + np.exp(scores) * (loss.link.name == "logit"))
    if not keep_all:
        predictions = _short(predictions)
        predictions = predictions[loss.prediction_domain(raw).contains(predictions)]
    y, f = np.meshgrid(targets, predictions, indexing="ij")
    return y.reshape(-1), f.reshape(-1)


def _short(x: Array) -> Array:
    """Round to seven significant bits, which bfloat16 holds too."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 128) / 128, exponent)
