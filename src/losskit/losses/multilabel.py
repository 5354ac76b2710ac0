"""Losses of several labels at once: y holds a yes/no, or its probability, for every label."""

from losskit.catalogue import loss
from losskit.formula import (
    Fraction,
    Labels,
    NonNegative,
    Vector,
    Weights,
    mean_,
    sigmoid,
    sum_,
)
from losskit.losses.binary import asymmetric_focal, binary_cross_entropy


@loss(axis="label", link="logit", optimum="probability of each label", cite="good1952",
      aliases=("multilabel_bce", "multilabel_soft_margin"),
      same_as={"torch.nn.functional.multilabel_soft_margin_loss": 1})
def multilabel_cross_entropy(y: Labels, f: Vector, pos_weight: Weights = 1.0):
    """Averages binary cross-entropies over the labels, each of which may weigh its positives.

    Where some labels are unknown, `binary_cross_entropy` takes a mask of each.
    """
    return mean_(binary_cross_entropy.definition.formula(y, f, pos_weight))


@loss(axis="label", link="logit", optimum="no simple statistic", cite="benbaruch2021")
def multilabel_asymmetric(y: Labels, f: Vector, gamma_pos: NonNegative = 0.0,
                          gamma_neg: NonNegative = 4.0, margin: Fraction = 0.05):
    """Averages asymmetric focal losses over the labels, so absent ones do not drown the few.

    The published loss is the sum over the labels.
    """
    return mean_(asymmetric_focal.definition.formula(y, f, gamma_pos, gamma_neg, margin))


@loss(axis="label", link="logit", optimum="no simple statistic", cite="salehi2017")
def tversky(y: Labels, f: Vector, alpha: NonNegative = 0.5, beta: NonNegative = 0.5,
            smooth: NonNegative = 1.0):
    """A Dice loss in which false positives weigh alpha and false negatives beta.

    With I = Σyp it is 1 − (I + smooth)/(I + alpha·Σ(1−y)p + beta·Σy(1−p) + smooth). Keras 3.15
    exchanges the two: its alpha multiplies Σy(1−p).
    """
    # What lacks over the whole, rather than 1 − overlap/whole, which cancels near perfection.
    lack = alpha * sum_((1 - y) * sigmoid(f)) + beta * sum_(y * sigmoid(-f))
    return lack / (lack + sum_(y * sigmoid(f)) + smooth)


@loss(axis="label", link="logit", optimum="no simple statistic", cite="milletari2016")
def dice(y: Labels, f: Vector, smooth: NonNegative = 1.0):
    """One minus twice the overlap of labels and predictions over the sum of their sizes.

    With I = Σyp it is 1 − (2I + smooth)/(Σy + Σp + smooth): sizes are sums, not sums of squares.
    It is `tversky(smooth=smooth/2)`; Optax's `smooth` is half of ours.
    """
    return tversky.definition.formula(y, f, 0.5, 0.5, smooth / 2)


@loss(axis="label", link="logit", optimum="no simple statistic", cite="rahman2016",
      aliases=("soft_iou",))
def jaccard(y: Labels, f: Vector, smooth: NonNegative = 1.0):
    """One minus the overlap of labels and predictions over the size of their union."""
    return tversky.definition.formula(y, f, 1.0, 1.0, smooth)
