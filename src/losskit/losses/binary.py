"""Losses of a yes/no target: y in {0, 1} or [0, 1], or margins m = y·f with y in {−1, 1}."""

from typing import Annotated

from losskit.catalogue import loss
from losskit.formula import (
    BINARY,
    SIGN,
    UNIT,
    Domain,
    NonNegative,
    OptionalProbability,
    Positive,
    abs_pow,
    equal,
    exp,
    indicator,
    log,
    log1p,
    positive_part,
    sigmoid,
    softplus,
    where,
)


@loss(target=UNIT, link="logit", optimum="probability", cite="good1952",
      perfect=lambda y, pos_weight: pos_weight * y / (pos_weight * y + (1 - y)),
      aliases=("bce", "logistic"),
      same_as={"torch.nn.functional.binary_cross_entropy_with_logits(pos_weight={pos_weight})": 1,
               "sklearn._loss.HalfBinomialLoss": 1,
               "xgboost.train(objective='binary:logistic', scale_pos_weight={pos_weight})": 1,
               "lightgbm.train(objective='binary', scale_pos_weight={pos_weight})": 1,
               "catboost.train(loss_function='CrossEntropy')": 1})
def binary_cross_entropy(y, f, pos_weight: Positive = 1.0):
    """Charges the logarithm of the probability given to what happened."""
    return pos_weight * y * softplus(-f) + (1 - y) * softplus(f)


@loss(target=SIGN, optimum="log-odds", cite="friedman2000", aliases=("soft_margin",),
      same_as={"torch.nn.functional.soft_margin_loss": 1})
def logistic_margin(y, f):
    """The cross-entropy for labels −1 and 1: charges log(1 + e⁻ᵐ) for a margin m."""
    m = y * f
    return softplus(-m)


@loss(target=SIGN, optimum="sign", cite="cortes1995", same_as={"optax.hinge_loss": 1})
def hinge(y, f):
    """Charges what a margin lacks to one, and nothing beyond: the support-vector machine's loss."""
    m = y * f
    return positive_part(1 - m)


@loss(target=SIGN, optimum="twice the probability, less one", cite="lee2001")
def squared_hinge(y, f):
    """Squares what a margin lacks to one."""
    m = y * f
    lack = positive_part(1 - m)
    return lack * lack


@loss(target=SIGN, optimum="sign", cite="rennie2005")
def smoothed_hinge(y, f, gamma: Positive = 1.0):
    """A hinge whose corner is rounded over a width gamma."""
    m = y * f
    bend = where(m >= 1 - gamma, (1 - m) * (1 - m) / (2 * gamma), 1 - m - gamma / 2)
    return where(m >= 1, 0, bend)


@loss(target=SIGN, optimum="twice the probability, less one", cite="zhang2004")
def modified_huber(y, f):
    """A squared hinge that grows linearly below margin −1, so mislabelled points pull less."""
    m = y * f
    lack = positive_part(1 - m)
    return where(m >= -1, lack * lack, -4 * m)


@loss(target=SIGN, optimum="sign", cite="rosenblatt1958")
def perceptron(y, f):
    """Charges a negative margin at its size and is content with any positive one."""
    m = y * f
    return where(m <= 0, -m, 0)


@loss(target=SIGN, optimum="half the log-odds", cite="freund1997",
      aliases=("adaboost",))
def exponential(y, f):
    """Grows exponentially with a wrong margin: the least forgiving of mislabelled points."""
    m = y * f
    return exp(-m)


@loss(target=SIGN, optimum="class", cite="devroye1996")
def zero_one(y, f):
    """Counts errors; it has no useful derivative, so it is to be read and not trained with."""
    m = y * f
    return indicator(m <= 0)


@loss(target=BINARY, link="logit", optimum="a shrunken probability", cite="lin2017")
def focal(y, f, gamma: NonNegative = 2.0, alpha: OptionalProbability = None):
    """A cross-entropy that fades where predictions are already right, so hard examples count."""
    positive = exp(-gamma * softplus(f)) * softplus(-f)
    negative = exp(-gamma * softplus(-f)) * softplus(f)
    a, b = (1, 1) if alpha is None else (alpha, 1 - alpha)
    return a * y * positive + b * (1 - y) * negative


@loss(target=BINARY, link="logit", optimum="no simple statistic", cite="benbaruch2021")
def asymmetric_focal(y, f, gamma_pos: NonNegative = 0.0, gamma_neg: NonNegative = 4.0,
                     margin: Annotated[float, Domain(0, 1, open_lower=False)] = 0.05):
    """A focal loss that fades negatives faster than positives and drops those below a margin."""
    positive = exp(-gamma_pos * softplus(f)) * softplus(-f)
    p = positive_part(sigmoid(f) - margin)
    far = where(equal(margin, 0), softplus(f), -log(sigmoid(-f) + margin))
    negative = abs_pow(p, gamma_neg) * where(p < 0.5, -log1p(-p), far)
    return y * positive + (1 - y) * negative
