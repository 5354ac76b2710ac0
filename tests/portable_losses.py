"""Losses as users write them, of every kind that can be saved."""

from __future__ import annotations

from typing import Annotated

import losskit
from losskit.formula import (
    Choice,
    Domain,
    Mixture,
    OptionalProbability,
    Positive,
    Relevance,
    Score,
    Vector,
    Weights,
    exp,
    log_cosh,
    logsumexp,
    softplus,
    sum_,
    surprise,
    where,
)  # fmt: skip

Side = Annotated[str, Choice(("left", "right"))]


@losskit.loss(target=Domain(lower=0), link="log", optimum="mean {scale:g}", cite="me (2026)")
def scaled(y, f, scale: Positive = 2.0, floor: OptionalProbability = None):
    """Grows like a cosh.

    Has a second paragraph."""
    r = (exp(f) - y) / scale
    return log_cosh(r) if floor is None else where(abs(r) < floor, 0, log_cosh(r))


@losskit.loss(link=("identity", "log"), same_as={"elsewhere.nll(scale={scale})": 2.0})
def two_outputs(y, mean, log_sd, scale: Positive = 1.0):
    """Sees a mean and a spread."""
    r = (y - mean) * exp(-log_sd) / scale
    return r * r / 2 + log_sd


@losskit.loss(target=lambda q: Domain(lower=-q))
def bounded(y, f, q: Positive = 3.0):
    """Has a target domain that depends on its parameter."""
    return softplus(f) * q - y * f


@losskit.loss(axis="class", link="softmax", optimum="class probabilities")
def own_entropy(
    y: Mixture, f: Vector, weight: Weights = 1.0, sharp: Positive = 1.5, side: Side = "left"
):
    """Weighs classes."""
    term = sum_(weight * y * surprise(f * sharp))
    return term + sum_(y * y) if side == "right" else term


@losskit.loss(axis="feature")
def preferred(first: Score, second: Score, margin: Positive = 1.0):
    """Sees two trained inputs."""
    return softplus(margin - (first - second))


@losskit.loss(axis="item")
def spread_out(y: Relevance, f: Vector):
    """Sees lists."""
    return logsumexp(f) - sum_(y * f) / sum_(y)


OWN = (
    scaled, scaled(scale=0.25, floor=0.5), two_outputs(scale=3.0), bounded(q=2.0), own_entropy,
    own_entropy(weight=(0.5, 2.0, 1.5, 1.0), sharp=0.75, class_weight=(1.0, 2.0, 1.0, 1.0)),
    own_entropy(side="right", ignore_index=1), preferred(margin=0.5), spread_out,
    losskit.listwise(losskit.cross_entropy(label_smoothing=0.125), target="softmax"),
)  # fmt: skip
