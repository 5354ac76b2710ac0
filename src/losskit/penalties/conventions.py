"""Strengths that other libraries and texts mean, turned into losskit's alpha.

losskit minimises (Σ w·loss)/(Σ w) + alpha·(l1_ratio·‖b‖₁ + (1 − l1_ratio)/2·‖b‖²), where b are the
coefficients without the intercept and `losskit.squared_error` is r², without ½. Each function here
divides the other's objective by what stands before its mean loss. `n` is the sum of the sample
weights, or the number of rows (of elements, where a loss of one number has several outputs). The
table of who minimises what is in docs/guide/penalties.md.
"""

from __future__ import annotations

from typing import Any

from losskit.definition import Parameter
from losskit.formula.domain import NONNEGATIVE, POSITIVE, UNIT


def from_c(C: float, n: float) -> float:
    """Return alpha for scikit-learn's C, with which it minimises C·Σ w·loss + P: 1/(C·n).

    It is its own inverse: `from_c(alpha, n)` is C. liblinear, and with it `LinearSVC` and
    `LinearSVR`, penalises the intercept too, which losskit never does.

    >>> from losskit import penalties
    >>> penalties.from_c(0.5, n=400)
    0.005
    """
    return 1 / (_number("C", C, POSITIVE) * _number("n", n, POSITIVE))


def from_ridge(alpha: float, n: float) -> float:
    """Return alpha for scikit-learn's `Ridge`, which minimises Σ w·r² + alpha·‖b‖²: 2·alpha/n.

    With `losskit.squared_error` and the penalty L2.

    >>> from losskit import penalties
    >>> penalties.from_ridge(1.0, n=400)
    0.005
    """
    return 2 * _number("alpha", alpha, NONNEGATIVE) / _number("n", n, POSITIVE)


def from_elastic_net(alpha: float) -> float:
    """Return alpha for that of scikit-learn's `ElasticNet`, `Lasso` or `SGDRegressor`, which halve
    the mean square and not the penalty: 2·alpha.

    With `losskit.squared_error` and the same l1_ratio (1 for `Lasso`).

    >>> from losskit import penalties
    >>> penalties.from_elastic_net(0.1)
    0.2
    """
    return 2 * _number("alpha", alpha, NONNEGATIVE)


def from_glmnet(
    strength: float, mixing: float = 1.0, *, gaussian_sd: float | None
) -> tuple[float, float]:
    """Return (alpha, l1_ratio) for glmnet's lambda and alpha.

    For its Gaussian family `gaussian_sd` is the standard deviation of the targets (dividing by n):
    glmnet halves the mean square, and scales targets to unit deviation, which leaves the L2 part of
    its penalty divided by it. For other families it is None. Pass standardize=FALSE there, or
    standardise the features here too.

    >>> from losskit import penalties
    >>> penalties.from_glmnet(0.1, 0.5, gaussian_sd=None)
    (0.1, 0.5)
    >>> penalties.from_glmnet(0.1, 0.5, gaussian_sd=2.0)
    (0.15000000000000002, 0.6666666666666666)
    """
    strength = _number("strength", strength, NONNEGATIVE)
    mixing = _number("mixing", mixing, UNIT)
    if gaussian_sd is None or strength == 0:
        return strength, mixing
    l1 = 2 * strength * mixing
    l2 = 2 * strength * (1 - mixing) / _number("gaussian_sd", gaussian_sd, POSITIVE)
    return l1 + l2, l1 / (l1 + l2)


def from_sum_of_squares(strength: float) -> float:
    """Return alpha for the λ of mean loss + λ·Σb², without ½: 2·λ, with the penalty L2.

    >>> from losskit import penalties
    >>> penalties.from_sum_of_squares(0.01)
    0.02
    """
    return 2 * _number("strength", strength, NONNEGATIVE)


def _number(name: str, value: Any, domain: Any) -> float:
    return float(Parameter(name, 1.0, domain).check("penalties", value))
