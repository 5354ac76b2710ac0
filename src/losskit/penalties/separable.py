"""Penalties of single weights: each a value and a proximal step, as formulas of one number.

The proximal step is the w that makes (w − v)²/(2·step) + value(w) least: everywhere the least, also
where that sum is not convex; of two that are equally good, the one nearer to 0.
"""

from __future__ import annotations

from math import inf
from typing import Annotated

from losskit.formula import UNIT, Domain, maximum, minimum, positive_part, sqrt, where
from losskit.penalties.formulas import elastic, penalty, soft

Share = Annotated[float, UNIT]
AboveOne = Annotated[float, Domain(lower=1)]
AboveTwo = Annotated[float, Domain(lower=2)]
Lower = Annotated[float, Domain(open_lower=False)]
Upper = Annotated[float, Domain(open_upper=False)]


@penalty(
    cite="Tibshirani, R. (1996). Regression shrinkage and selection via the lasso. Journal of the "
    "Royal Statistical Society B 58(1), 267–288."
)
def L1(w, v, step, alpha):
    """Charges every weight its size, which sets those that help little to exactly 0."""
    return elastic(w, v, step, l1=alpha, l2=0)


@penalty(
    cite="Hoerl, A. E., Kennard, R. W. (1970). Ridge regression: biased estimation for "
    "nonorthogonal problems. Technometrics 12(1), 55–67."
)
def L2(w, v, step, alpha):
    """Charges half the square of every weight, which shrinks all of them and keeps all of them."""
    return elastic(w, v, step, l1=0, l2=alpha)


@penalty(
    cite="Zou, H., Hastie, T. (2005). Regularization and variable selection via the elastic net. "
    "Journal of the Royal Statistical Society B 67(2), 301–320."
)
def ElasticNet(w, v, step, alpha, l1_ratio: Share = 0.5):
    """Mixes L1 (a share of l1_ratio) and L2, so that correlated features enter together."""
    return elastic(w, v, step, l1=alpha * l1_ratio, l2=alpha * (1 - l1_ratio))


@penalty(
    cite="Zhang, C.-H. (2010). Nearly unbiased variable selection under minimax concave penalty. "
    "Annals of Statistics 38(2), 894–942."
)
def MCP(w, v, step, alpha, gamma: AboveOne = 3.0):
    """Charges small weights like L1 and those beyond gamma·alpha a constant, so that they are not
    shrunk; it is not convex.
    """
    end = gamma * alpha
    value = where(abs(w) <= end, alpha * abs(w) - w * w / (2 * gamma), end * alpha / 2)
    room = gamma - step  # where positive, the sum that a proximal step minimises is convex
    reach = where(room > 0, end, alpha * sqrt(gamma * step))
    slope = where(room > 0, gamma / where(room > 0, room, 1), 1)
    return value, where(abs(v) <= reach, soft(v, step * alpha) * slope, v)


@penalty(
    cite="Fan, J., Li, R. (2001). Variable selection via nonconcave penalized likelihood and its "
    "oracle properties. Journal of the American Statistical Association 96(456), 1348–1360."
)
def SCAD(w, v, step, alpha, a: AboveTwo = 3.7):
    """Charges weights up to alpha like L1, then ever less per unit, and those beyond a·alpha a
    constant, so that they are not shrunk; it is not convex.
    """
    short = positive_part(a * alpha - abs(w))
    far = (a + 1) * alpha * alpha / 2 - short * short / (2 * (a - 1))
    value = where(abs(w) <= alpha, alpha * abs(w), far)
    room = a - 1 - step  # where positive, the sum that a proximal step minimises is convex
    bend = soft(v, a * step * alpha / (a - 1)) * ((a - 1) / where(room > 0, room, 1))
    jump = where(step <= a + 1, alpha * (a + 1 + step) / 2, alpha * sqrt(step * (a + 1)))
    reach = where(room > 0, a * alpha, jump)
    near = where((room > 0) & (abs(v) > alpha * (1 + step)), bend, soft(v, step * alpha))
    return value, where(abs(v) <= reach, near, v)


@penalty(ordered=("lower", "upper"))
def Box(w, v, step, alpha, lower: Lower = -1.0, upper: Upper = 1.0):
    """Allows weights between two bounds and charges nothing; its strength has no effect."""
    return where((w < lower) | (w > upper), inf, 0), minimum(maximum(v, lower), upper)


@penalty
def NonNegative(w, v, step, alpha):
    """Allows no weight below 0 and charges nothing; its strength has no effect."""
    return where(w < 0, inf, 0), positive_part(v)
