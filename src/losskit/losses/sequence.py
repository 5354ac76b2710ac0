"""Losses of sequences: the classes of tokens, and actions that earned a reward.

Every token or step is a row: `y_true` is (batch, time), `y_pred` (batch, time, classes).
"""

from losskit.catalogue import loss
from losskit.formula import (
    Fraction,
    IgnoredIndex,
    NonNegative,
    Number,
    OneOf,
    Positive,
    Vector,
    entropy,
    sum_,
    surprise,
    xmul,
)
from losskit.losses.classes import cross_entropy


@loss(axis="class", link="softmax", kernel="softmax", perplexity=True,
      optimum="class probabilities",
      cite="good1952", aliases=("language_model",))
def token_cross_entropy(y: OneOf, f: Vector, label_smoothing: Fraction = 0.0,
                        z_loss: NonNegative = 0.0, temperature: Positive = 1.0,
                        ignore_index: IgnoredIndex = -100):
    """The cross-entropy of each token, averaged over those that are no padding.

    The exponential of its mean is the perplexity.
    """
    return cross_entropy.definition.formula(y, f, label_smoothing, z_loss, temperature)


@loss(axis="class", link="softmax", optimum="actions that earn the most", cite="williams1992",
      aliases=("policy_gradient",))
def reinforce(action: OneOf, f: Vector, reward: Number, baseline: float = 0.0,
              entropy_bonus: NonNegative = 0.0):
    """Makes actions likelier that earned more than the baseline, by any metric, smooth or not.

    The value, −(reward − baseline)·log p(action) − entropy_bonus·H(p), has the policy gradient as
    its derivative and tells nothing by itself.
    """
    return (reward - baseline) * sum_(xmul(action, surprise(f))) - entropy_bonus * entropy(f)
