"""Losses of one class out of several: y is a class index, one-hot or class probabilities."""

import math
from typing import Annotated

from losskit.catalogue import loss
from losskit.formula import (
    UNIT,
    ClassWeight,
    Falling,
    Fraction,
    Level,
    Mixture,
    NonNegative,
    OneOf,
    Positive,
    Vector,
    equal,
    expm1_gap,
    expm1_over,
    held,
    log,
    log1mexp,
    logsumexp,
    max_,
    minimum,
    pick,
    position,
    positive_part,
    softmax,
    softmax_rest,
    softplus,
    softplus_gap,
    sparsemax_surprise,
    sum_,
    surprise,
    uniform,
    where,
    xmul,
)
from losskit.losses.binary import focal


@loss(axis="class", link="softmax", kernel="softmax", perplexity=True, cite="good1952", aliases=(
          "softmax_cross_entropy", "categorical_cross_entropy", "sparse_categorical_cross_entropy"),
      optimum="class probabilities",
      same_as={"torch.nn.functional.cross_entropy(label_smoothing={label_smoothing})": 1,
               "optax.losses.softmax_cross_entropy": 1, "sklearn._loss.HalfMultinomialLoss": 1,
               "xgboost.train(objective='multi:softprob')": 1,
               "lightgbm.train(objective='multiclass')": 1,
               "catboost.train(loss_function='MultiClass')": 1})
def cross_entropy(y: Mixture, f: Vector, label_smoothing: Fraction = 0.0,
                  z_loss: NonNegative = 0.0, temperature: Positive = 1.0):
    """Charges the logarithm of the probability given to the class that came true."""
    z = f / temperature
    target = (1 - label_smoothing) * y + label_smoothing * uniform(z)
    log_total = logsumexp(z)
    return sum_(xmul(target, surprise(z))) + z_loss * (log_total * log_total)


@loss(axis="class", link="softmax", optimum="shrunken class probabilities", cite="lin2017")
def categorical_focal(y: OneOf, f: Vector, gamma: NonNegative = 2.0, alpha: ClassWeight = None):
    """A cross-entropy that fades where the true class is already likely, so hard examples count."""
    own = sum_(xmul(y, f))
    possible = own > -math.inf  # else it fades no more, and is the cross-entropy
    best = held(max_(where(y > 0, -math.inf, f)))
    best = where(best > -math.inf, best, 0)
    lack = logsumexp(where(y > 0, -math.inf, f - best)) + (best - where(possible, own, 0))
    faded, bare = focal.definition.formula(1, -lack, gamma), sum_(xmul(y, surprise(f)))
    charged = where(possible, faded, bare)
    return charged if alpha is None else sum_(y * alpha) * charged


@loss(axis="class", link="softmax", optimum="class probabilities to the power 1/(1 − q), rescaled",
      cite="zhang2018")
def generalized_cross_entropy(y: Mixture, f: Vector, q: Annotated[float, UNIT] = 0.5):
    """Lies between cross-entropy (q = 0) and the chance of error (q = 1), to bear wrong labels."""
    return sum_(where(y > 0, -y * expm1_over(-surprise(f), q), 0))


@loss(axis="class", link="softmax", optimum="class probabilities", cite="kullback1951",
      aliases=("kullback_leibler",), same_as={"optax.losses.kl_divergence": 1})
def kl_divergence(y: Mixture, f: Vector):
    """Charges the nats lost by coding the target's classes with the predicted probabilities."""
    # Of terms that are not negative, y·log(y/p) − y + p, so that nothing cancels near y = p.
    seen = y > 0
    log_ratio = where(seen, log(where(seen, y, 1)) + surprise(f), 0)
    return sum_(where(seen, y * expm1_gap(-log_ratio), softmax(f)))


@loss(axis="class", link="softmax", optimum="no simple statistic", cite="lin1991",
      aliases=("jensen_shannon",))
def js_divergence(y: Mixture, f: Vector):
    """Compares target and predicted classes by a divergence that is symmetric and at most log 2."""
    log_ratio = log(y) + minimum(surprise(f), 1e38)  # of an excluded class it would be ∞ − ∞
    return -sum_(xmul(y, softplus_gap(-log_ratio)) + xmul(softmax(f), softplus_gap(log_ratio))) / 2


@loss(axis="class", link="softmax", optimum="class probabilities", cite="brier1950")
def categorical_brier(y: Mixture, f: Vector):
    """Squares the errors of the class probabilities: bounded, so no single row can dominate."""
    r = (1 - y) * softmax(f) - y * softmax_rest(f)
    return sum_(r * r)


@loss(axis="class", link="softmax", optimum="class probabilities, sharpened", cite="leng2022",
      same_as={"optax.losses.poly_loss_cross_entropy(epsilon={epsilon})": 1})
def poly1(y: Mixture, f: Vector, epsilon: NonNegative = 2.0):
    """A cross-entropy with its first term, one minus the true class's probability, strengthened."""
    return sum_(xmul(y, surprise(f) + epsilon * softmax_rest(f)))


@loss(axis="class", optimum="most likely class", cite="crammer2001",
      aliases=("multiclass_hinge", "categorical_hinge"),
      same_as={"optax.losses.multiclass_hinge_loss": 1})
def crammer_singer(y: OneOf, f: Vector, margin: Positive = 1.0):
    """Charges what the true class's score lacks to a margin above the best other score."""
    best = max_(where(y > 0, -math.inf, f))
    return positive_part(margin + best - sum_(xmul(y, f)))


@loss(axis="class", optimum="most likely class", cite="weston1999", aliases=("multi_margin",))
def weston_watkins(y: OneOf, f: Vector, margin: Positive = 1.0):
    """Sums over all other classes what the true class's score lacks to a margin above theirs.

    PyTorch's `multi_margin_loss` divides the sum by the number of classes.
    """
    lack = positive_part(margin + f - sum_(xmul(y, f)))
    return sum_(where((y > 0) | equal(f, -math.inf), 0, lack))


@loss(axis="class", optimum="most likely class", cite="collins2002",
      same_as={"optax.losses.multiclass_perceptron_loss": 1})
def multiclass_perceptron(y: OneOf, f: Vector):
    """Charges how far the true class's score lies below the best one, and nothing if it is best."""
    return max_(f) - sum_(xmul(y, f))


@loss(axis="class", optimum="class probabilities, by sparsemax", cite="martins2016",
      same_as={"optax.losses.multiclass_sparsemax_loss": 1})
def sparsemax(y: Mixture, f: Vector):
    """Trains scores whose sparsemax, which gives unlikely classes exactly 0, is the prediction."""
    return sum_(xmul(y, sparsemax_surprise(f))) - (1 - sum_(y * y)) / 2


@loss(axis="class", link="logit", optimum="probabilities of exceeding each level",
      cite="mccullagh1980", aliases=("cumulative_logit", "proportional_odds"))
def ordinal(y: Level, f: Falling):
    """Charges the logarithm of an ordered level's probability, a difference of cumulative ones.

    `y_true` is a level 0 … K, `y_pred` (…, K) holds P(y > 0), P(y > 1), …, which must decrease.
    """
    below, above = equal(position(f), y - 1), equal(position(f), y)
    inner = sum_(where(below, 1, 0)) * sum_(where(above, 1, 0)) > 0
    step = where(inner, pick(f, y - 1) - pick(f, y), 1)
    ends = where(below, softplus(-f), where(above, softplus(f), 0))
    return sum_(ends) - where(inner, log1mexp(step), 0)
