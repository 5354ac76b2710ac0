"""Cross-entropies with deliberate mistakes, what each fails, and what released libraries fail.

Deep-learning frameworks run in processes of their own, which call `reports`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from losskit.audit import classes, conformance

SHIFTED = "logits shifted by 10⁴"
BFLOAT16 = {"bfloat16", "bfloat16: gradient", "bfloat16: mean of 4096 rows"}
SMOOTHED = {"label smoothing over a −∞ logit", "label smoothing over a −∞ logit: gradient"}

# Mistakes that `right` makes on demand, and all that each of them fails.
MISTAKES = {
    "": set(),
    "naive exp": {
        SHIFTED, f"{SHIFTED}: gradient", f"{SHIFTED} in float32", "logits of ±1000",
        "logits of ±1000: gradient", "+∞ logit of the target",
    },
    "maximum added back": {f"{SHIFTED} in float32"},
    "mean over n": {
        "class weights: mean", "class weights: gradient of the mean",
        "class weights: mean over one-hot targets", "class weights with ignored targets",
    },
    "0/0": {"all targets ignored: mean", "all targets ignored: gradient of the mean"},
    "ignored by product": {"NaN in an ignored row", "NaN in an ignored row: gradient"},
    "smoothed over all": SMOOTHED,
    "labels clamped": {"label out of range"},
}  # fmt: skip

# Autodiff differs from the derivative that NumPy is given: `where` stops its 0/0 before the logits.
# JAX, which compiles every operation for every shape, takes a part of them.
_DIFFERENTIATED = {
    **MISTAKES,
    "0/0": {"all targets ignored: mean"},
    "uniform upstream": {c.name for c in classes.CHECKS if c.gradient and c.reduction is None},
}
OWN = {
    "torch": _DIFFERENTIATED,
    "jax": {m: _DIFFERENTIATED[m] for m in ("", "uniform upstream", "smoothed over all")},
}

# What they are compared with, where it is not the cross-entropy.
LIKE = {
    "huber": "huber",
    "huber_loss": "huber",
    "soft_margin_loss": "logistic_margin",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
}

# What released libraries fail, as found here: torch 2.13, optax 0.2.8, Keras 3.15.
_INFINITE = {"−∞ logit of another class", "−∞ logit of the target", "+∞ logit of the target"}
_MEAN_IN_FLOAT32 = ("mean", "scores of ±40 to ±1000")  # what keras.ops.mean does to float64
_OF_TORCH = {
    "−∞ logit with soft target 0", "+∞ logit of the target", "NaN in an ignored row: gradient",
    "all targets ignored: mean", "class weights: mean over one-hot targets",
    "float16: smoothed mean of 4096 rows", *SMOOTHED,
}  # fmt: skip
THEIRS = {
    "torch": {
        "cross_entropy": _OF_TORCH,
        "CrossEntropyLoss": _OF_TORCH,
        "binary_cross_entropy_with_logits": {
            "scores of ±∞", "weights: mean", "weights: gradient of the mean",
            "NaN at weight 0", "NaN at weight 0: gradient",
        },
        "huber_loss": {
            "weights: mean", "weights: gradient of the mean", "NaN at weight 0",
            "NaN at weight 0: gradient", "shape (n, 1) against (n,)",
        },
        "soft_margin_loss": {"scores of ±40 to ±1000", "scores of ±40 to ±1000: gradient"},
    },
    "jax": {
        "softmax_cross_entropy": {*_INFINITE, "−∞ logit with soft target 0"},
        "softmax_cross_entropy_with_integer_labels": {
            f"{SHIFTED} in float32", "+∞ logit of the target",
        },
        "safe_softmax_cross_entropy": {"+∞ logit of the target"},
        "huber_loss": {"shape (n, 1) against (n,)"},
    },
    "keras on torch": {
        "sparse_categorical_crossentropy": {"+∞ logit of the target"},
        "categorical_crossentropy": {*_INFINITE, *SMOOTHED, "−∞ logit with soft target 0"},
        "CategoricalCrossentropy": {
            *_INFINITE, *SMOOTHED, "−∞ logit with soft target 0", _MEAN_IN_FLOAT32[0],
        },
        "huber": {_MEAN_IN_FLOAT32[1]},
    },
    "keras on jax": {
        "sparse_categorical_crossentropy": {*_INFINITE, "label out of range"},
    },
}  # fmt: skip


# What the guide calls them.
TITLES = {"torch": "torch", "jax": "optax",
          "keras on torch": "Keras on torch", "keras on jax": "Keras on JAX"}  # fmt: skip


def right(
    xp: Any, mistake: str, derivative: bool, y: Any, f: Any, weight: Any, ignored: int,
    smoothing: float, reduction: str,
) -> Any:  # fmt: skip
    """A cross-entropy of any array library that is right unless a mistake is asked for."""
    ones = xp.ones(f.shape, dtype=xp.float64 if f.dtype == xp.float64 else xp.float32)
    f, classes_ = f * ones, f.shape[-1]
    w, known = ones[..., 0], ones[..., 0] > 0
    if y.shape == f.shape:
        q = y * ones
    else:
        keep = y != ignored
        y, w = xp.where(keep, y, 0), w * keep
        if mistake == "labels clamped":
            y = xp.clip(y, 0, classes_ - 1)
        if mistake != "ignored by product":
            f = xp.where(keep[..., None], f, 0.0)
        known = (y >= 0) & (y < classes_)
        q = xp.stack([y == i for i in range(classes_)], -1) * ones
    n = w.sum()
    if weight is not None:
        w = w * (q * weight).sum(-1)
    allowed = ones if mistake == "smoothed over all" else (f != -np.inf) * ones
    q = (1 - smoothing) * q + smoothing * allowed / allowed.sum(-1)[..., None]
    f = xp.where(f == np.inf, 1e30, f)
    top = 0.0 if mistake == "naive exp" else xp.amax(f, -1)[..., None]
    powers = xp.exp(f - top)
    total = powers.sum(-1)[..., None]
    if mistake == "maximum added back":
        log_p = f - (top + xp.log(total))
    else:
        log_p = f - top - xp.log(total)
    terms = xp.where(q > 0, q * xp.where(q > 0, log_p, 0.0), 0.0)
    losses = w * xp.where(known, -terms.sum(-1), np.nan)
    below = n if mistake == "mean over n" else w.sum()
    if mistake != "0/0":
        below = xp.where(below == 0, 1.0, below)
    if derivative:  # for NumPy, which has no other way to it
        slopes = w[..., None] * (powers / total - q)
        return slopes / below if reduction == "mean" else slopes
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / below}[reduction]


def own(xp: Any, mistake: str, derivative: bool = False) -> Callable[..., Any]:
    def cross_entropy(
        target, input, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"
    ):
        options = (weight, ignore_index, label_smoothing, reduction)
        return right(xp, mistake, derivative, target, input, *options)

    return cross_entropy


def uniform_upstream_torch() -> Callable[..., Any]:
    """Right, but for a backward pass that takes the first row's upstream gradient for all."""
    import torch

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(ctx, f, function):
            with torch.enable_grad():
                x = f.detach().requires_grad_()
                out = function(x)
                ctx.save_for_backward(torch.autograd.grad(out.sum(), x)[0])
            return out.detach()

        @staticmethod
        def backward(ctx, upstream):
            return ctx.saved_tensors[0] * upstream.reshape(-1)[0], None

    def cross_entropy(
        target, input, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"
    ):
        options = (weight, ignore_index, label_smoothing, reduction)
        return Fused.apply(input, lambda x: right(torch, "", False, target, x, *options))

    return cross_entropy


def uniform_upstream_jax() -> Callable[..., Any]:
    import jax

    def cross_entropy(
        target, input, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"
    ):
        options = (weight, ignore_index, label_smoothing, reduction)

        @jax.custom_vjp
        def fused(x):
            return right(jax.numpy, "", False, target, x, *options)

        fused.defvjp(
            lambda x: (fused(x), jax.grad(lambda z: fused.fun(z).sum())(x)),
            lambda saved, upstream: (saved * upstream.reshape(-1)[0],),
        )
        return fused(input)

    return cross_entropy


def reports(library: str) -> dict[str, dict[str, str]]:
    """Return check → status of every implementation of one library; run in a process of its own."""
    implementations = _MAKERS[library]()
    found = {
        name: conformance(function, framework=library, class_axis=-1)
        for name, function in implementations.items()
        if name in OWN.get(library, ())
    }
    for name in THEIRS[library]:
        found[name] = conformance(implementations[name], LIKE.get(name, "cross_entropy"))
    return {name: {row.check: row.status for row in r.rows} for name, r in found.items()}


def _torch() -> dict[str, Callable[..., Any]]:
    import torch
    from torch.nn import functional

    devices = set()
    recording = conformance(
        lambda input, target: devices.add(input.device.type), framework="torch", device="meta"
    )
    assert devices == {"meta"}
    assert not recording.passed
    theirs = {n: getattr(functional, n, None) or getattr(torch.nn, n) for n in THEIRS["torch"]}
    ours = {mistake: own(torch, mistake) for mistake in MISTAKES}
    return {**theirs, **ours, "uniform upstream": uniform_upstream_torch()}


def _jax() -> dict[str, Callable[..., Any]]:
    import jax
    import optax

    theirs = {n: jax.jit(getattr(optax.losses, n)) for n in THEIRS["jax"]}
    ours = {mistake: own(jax.numpy, mistake) for mistake in MISTAKES}
    return {**theirs, **ours, "uniform upstream": uniform_upstream_jax()}


def _keras() -> dict[str, Callable[..., Any]]:
    from keras import losses

    # Its classes cast to float32 unless told otherwise.
    whole = partial(losses.CategoricalCrossentropy, dtype="float64")
    functions = ("sparse_categorical_crossentropy", "categorical_crossentropy", "huber")
    return {"CategoricalCrossentropy": whole, **{n: getattr(losses, n) for n in functions}}


_MAKERS = {"torch": _torch, "jax": _jax, "keras on torch": _keras, "keras on jax": _keras}
