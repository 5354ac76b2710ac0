"""Losses of one class out of several: y is a class index, one-hot or class probabilities."""

from losskit.formula import (
    Fraction,
    Mixture,
    NonNegative,
    Positive,
    Vector,
    logsumexp,
    sum_,
    surprise,
    uniform,
    xmul,
)
from losskit.catalogue import loss


@loss(axis="class", link="softmax", optimum="class probabilities", cite="good1952", kernel="softmax",
      aliases=("softmax_cross_entropy", "categorical_cross_entropy", "sparse_categorical_cross_entropy"))
def cross_entropy(y: Mixture, f: Vector, label_smoothing: Fraction = 0.0,
                  z_loss: NonNegative = 0.0, temperature: Positive = 1.0):
    """Charges the logarithm of the probability given to the class that came true."""
    z = f / temperature
    target = (1 - label_smoothing) * y + label_smoothing * uniform(z)
    log_total = logsumexp(z)
    return sum_(xmul(target, surprise(z))) + z_loss * (log_total * log_total)
