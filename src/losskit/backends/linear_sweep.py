"""The sweep of the fused linear cross-entropy: block by block from logits to loss and gradients.

For n tokens and V classes the logits are n·V numbers, by far the largest thing in the last layer of
a language model.  Here a block of tokens goes from logits to losses to all gradients before the
next is looked at (the idea of Liger-Kernel and of Apple's cut-cross-entropy).  Only where V is so
large that not even `FEW` tokens' logits fit are the classes cut too; as a softmax needs all of
them, their logits are then computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from losskit.backends import linear_kernels as kernels
from losskit.backends.linear_kernels import Array, Scale

FEW = 64  # tokens: with fewer in a block the matrix products would run at the speed of memory
BUFFER = 1 << 23  # bytes of a product that is added to a gradient; it stays in the last cache


@dataclass(frozen=True, eq=False)
class Layer:
    """Checked data: n tokens of width D, of which m count, and a layer of V classes."""

    hidden: Array  # (n, D), in any float type
    weight: Array  # (V, D), C- or Fortran-contiguous, in the type computed in
    bias: Array  # (V,) in that type, or empty; -inf forbids a class
    labels: Array  # (m,) int64
    rows: Array | None  # (m,) the tokens that count; None: all
    scale: Scale
    label_smoothing: float
    z_loss: float
    memory: int  # bytes for a block of logits

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type computed in."""
        return self.weight.dtype

    def tokens(self, first: int, last: int) -> slice | Array:
        """Return the rows of `hidden` of a range of counting tokens."""
        return slice(first, last) if self.rows is None else self.rows[first:last]

    @cached_property
    def block(self) -> tuple[int, int]:
        """How many tokens and how many classes there are in a block of logits."""
        m, classes = len(self.labels), len(self.weight)
        room = max(1, self.memory // self.dtype.itemsize)
        fit = room // classes
        if fit >= min(m, FEW):
            blocks = -(-m // fit)
            return -(-m // blocks), classes
        tokens = min(m, 8 * FEW, math.isqrt(room))
        return tokens, min(classes, room // tokens)


class NotFinite(Exception):
    """The logits or the loss of a token are not finite; `token` counts those that count."""

    def __init__(self, token: int) -> None:
        super().__init__(token)
        self.token = token


def sweep(layer: Layer, factors: Array | None) -> tuple[Array, tuple[Array, ...]]:
    """Return the m losses in float64 and, where `factors` are given, the gradients of Σ factor·ℓ.

    They are by hidden (in its type), by weight (in the type computed in) and, where there is one,
    by bias (in float64).  Raises `NotFinite`.
    """
    m, classes = len(layer.labels), len(layer.weight)
    losses = np.empty(m)
    gradients = None if factors is None else _Gradients.start(layer)
    if m == 0:
        return losses, () if gradients is None else gradients.results
    smooth = layer.label_smoothing > 0
    steps = kernels.steps(layer.dtype, m * classes)
    tokens, slices = layer.block[0], list(_ranges(classes, layer.block[1]))
    room = np.empty(tokens * layer.block[1], layer.dtype)
    for first, last in _ranges(m, tokens):
        h = layer.hidden[layer.tokens(first, last)]
        h = np.ascontiguousarray(h.astype(layer.dtype, copy=False))
        labels, stats = layer.labels[first:last], kernels.new_stats(last - first)
        for a, b in slices:
            z = _logits(h, layer.weight[a:b], room)
            steps.scan(z, layer.bias[a:b], labels - a, stats, layer.scale, smooth)
        part = None if factors is None else factors[first:last]
        losses[first:last], slopes = _softmax(layer, stats, part)
        bad = (stats[:, kernels.BAD] != 0) | np.isnan(losses[first:last])
        if bad.any():
            raise NotFinite(first + int(np.argmax(bad)))
        if gradients is None:
            continue
        for a, b in slices:
            if len(slices) > 1:
                z = _logits(h, layer.weight[a:b], room)
            bias = layer.bias[a:b]
            steps.slope(z, bias, labels - a, stats, slopes, layer.scale, len(slices) > 1)
            gradients.add(layer, (first, last), (a, b), h, z)
    return losses, () if gradients is None else gradients.results


@dataclass(frozen=True, eq=False)
class _Gradients:
    """The gradients while blocks are added to them."""

    hidden: Array
    weight: Array
    bias: Array
    buffer: Array  # for products on their way into the weight's

    @staticmethod
    def start(layer: Layer) -> _Gradients:
        none, width = not len(layer.labels), layer.weight.shape[1]
        all_rows = layer.rows is None and not none
        rows = max(1, BUFFER // (width * layer.dtype.itemsize))
        return _Gradients(
            (np.empty if all_rows else np.zeros)(layer.hidden.shape, layer.hidden.dtype),
            (np.zeros if none else np.empty)(layer.weight.shape, layer.dtype),
            np.zeros(len(layer.bias)),
            np.empty((rows, width), layer.dtype),
        )

    def add(
        self, layer: Layer, tokens: tuple[int, int], classes: tuple[int, int], h: Array, z: Array
    ) -> None:
        """Add what a block gives, `z` being the derivatives by its logits."""
        rows, (a, b) = layer.tokens(*tokens), classes
        with np.errstate(all="ignore"):  # half precision may not hold it: inf
            if a == 0:
                self.hidden[rows] = z @ layer.weight[a:b]
            else:
                self.hidden[rows] += z @ layer.weight[a:b]
        if self.bias.size:
            self.bias[a:b] += np.ones(len(z), z.dtype) @ z
        if tokens[0] == 0:
            np.matmul(z.T, h, out=self.weight[a:b])
            return
        # NumPy's product cannot add to what is there, and a whole one would be a second gradient.
        for c, d in _ranges(b - a, len(self.buffer)):
            self.weight[a + c : a + d] += np.matmul(z[:, c:d].T, h, out=self.buffer[: d - c])

    @property
    def results(self) -> tuple[Array, ...]:
        return (self.hidden, self.weight, self.bias)[: 2 + bool(self.bias.size)]


def _ranges(count: int, step: int) -> Iterator[tuple[int, int]]:
    return ((a, min(a + step, count)) for a in range(0, count, step))


def _logits(h: Array, weight: Array, room: Array) -> Array:
    z = room[: len(h) * len(weight)].reshape(len(h), len(weight))
    with np.errstate(all="ignore"):  # what is not finite is found by `scan`
        return np.matmul(h, weight.T, out=z)


def _softmax(layer: Layer, stats: Array, factors: Array | None) -> tuple[Array, Array]:
    """Return the losses, and the slopes from which `linear_kernels` makes derivatives."""
    largest, others, own, score_sum, count, _ = stats.T
    smoothing, z_loss = layer.label_smoothing, layer.z_loss
    with np.errstate(all="ignore"):
        hit = np.exp(own - largest)
        mass = others + hit
        log_mass = np.where(own == largest, np.log1p(others), np.log(mass))
        lse = largest + log_mass
        losses = log_mass + (largest - own)
        if smoothing:
            spread = log_mass + (largest - score_sum / count)
            losses = (1 - smoothing) * losses + smoothing * spread
        if z_loss:
            losses = losses + z_loss * lse * lse
        slopes = np.zeros((len(stats), 3))
        if factors is None:
            return losses, slopes
        tilt, share = 2 * z_loss * lse, smoothing / count if smoothing else 0.0
        by = factors / layer.scale.temperature
        slopes[:, kernels.FACTOR] = by * (1 + tilt) / mass
        slopes[:, kernels.SHIFT] = by * share
        slopes[:, kernels.AT] = by * (tilt * hit / mass - others / mass + smoothing - share)
    return losses, slopes
