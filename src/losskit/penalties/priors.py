"""Priors as penalties: the mode of a posterior is the least of mean loss + penalty.

The negative logarithm of the posterior is Σ of n negative log-likelihoods + Σ of the weights'
negative log-densities, up to a constant; losskit divides it by n.
"""

from __future__ import annotations

import math
from typing import Any

from losskit.definition import Parameter
from losskit.formula.domain import POSITIVE
from losskit.penalties.interface import Penalty
from losskit.penalties.separable import L1, L2, ElasticNet


def prior(
    n: float,
    *,
    gaussian: float | None = None,
    laplace: float | None = None,
    likelihood: float = 1.0,
) -> tuple[Penalty, float]:
    """Return the penalty and alpha whose fit is the mode of the posterior under a prior.

    `gaussian` is the standard deviation of a Gaussian around 0 for each weight (the penalty is
    L2), `laplace` the scale of a Laplace density (L1); with both the density is their product
    (elastic net). `n` is the sum of the sample weights, or the number of rows. `likelihood` says
    how many times the loss the negative log-likelihood is: 1 for losses that are one, as
    cross-entropy and Poisson are, and 1/(2σ²) for the squared error of noise with deviation σ.

    >>> from losskit import penalties
    >>> penalties.prior(n=200, gaussian=0.5)
    (losskit.penalties.L2, 0.02)
    >>> penalties.prior(n=200, laplace=0.5)
    (losskit.penalties.L1, 0.01)
    """
    if gaussian is None and laplace is None:
        raise ValueError("prior needs gaussian=(standard deviation), laplace=(scale) or both")
    total = _positive("n", n) * _positive("likelihood", likelihood)
    l1 = 0.0 if laplace is None else 1 / (_positive("laplace", laplace) * total)
    l2 = 0.0 if gaussian is None else 1 / (_positive("gaussian", gaussian) ** 2 * total)
    if gaussian is None or laplace is None:
        return (L1, l1) if gaussian is None else (L2, l2)
    return ElasticNet(l1_ratio=l1 / (l1 + l2)), l1 + l2


def prior_of(
    penalty: Penalty, alpha: float, n: float, *, likelihood: float = 1.0
) -> dict[str, float]:
    """Return the prior that a penalty stands for, as the keywords of `prior`.

    >>> from losskit import penalties
    >>> penalties.prior_of(penalties.L2, alpha=0.02, n=200)
    {'gaussian': 0.5}
    """
    strengths = penalty.elastic(alpha)
    if strengths is None or strengths == (0.0, 0.0):
        raise ValueError(
            f"{penalty!r} at alpha={alpha:g} is no Gaussian, Laplace or product of both"
        )
    total = _positive("n", n) * _positive("likelihood", likelihood)
    found: dict[str, float] = {}
    if strengths[1] > 0:
        found["gaussian"] = 1 / math.sqrt(strengths[1] * total)
    if strengths[0] > 0:
        found["laplace"] = 1 / (strengths[0] * total)
    return found


def _positive(name: str, value: Any) -> float:
    return float(Parameter(name, 1.0, POSITIVE).check("prior", value))
