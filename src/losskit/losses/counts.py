"""Losses of counts and positive amounts, whose predictions are positive means (log link)."""

from typing import Annotated

from losskit.catalogue import loss
from losskit.formula import (
    NONNEGATIVE,
    POSITIVE,
    Domain,
    Positive,
    exp,
    expm1_over,
    log,
    mul_exp,
    mul_expm1_over,
    softplus_scaled,
    where,
)


@loss(target=NONNEGATIVE, link="log", optimum="mean", cite="nelder1972",
      same_as={"torch.nn.functional.poisson_nll_loss": 1, "sklearn._loss.HalfPoissonLoss": 1,
               "xgboost.train(objective='count:poisson')": 1,
               "lightgbm.train(objective='poisson')": 1,
               "catboost.train(loss_function='Poisson')": 1})
def poisson(y, f):
    """Scores counts whose variance equals their mean."""
    return exp(f) - y * f


@loss(target=POSITIVE, link="log", optimum="mean", cite="nelder1972",
      same_as={"sklearn._loss.HalfGammaLoss": 1, "xgboost.train(objective='reg:gamma')": 1,
               "lightgbm.train(objective='gamma')": 1})
def gamma(y, f):
    """Scores positive amounts whose standard deviation is proportional to their mean."""
    return f + mul_exp(y, -f)


@loss(target=lambda power: POSITIVE if power >= 2 else NONNEGATIVE, link="log", optimum="mean",
      cite="jorgensen1987",
      same_as={"xgboost.train(objective='reg:tweedie', tweedie_variance_power={power})": 1,
               "lightgbm.train(objective='tweedie', tweedie_variance_power={power})": 1,
               "catboost.train(loss_function='Tweedie:variance_power={power}')": 1})
def tweedie(y, f, power: Annotated[float, Domain(1, 3, False, False)] = 1.5):
    """Scores amounts that are often zero, with a variance that grows as the mean to a power."""
    plain = expm1_over(f, 2 - power) - mul_expm1_over(y, f, 1 - power)
    # Above 2 both terms overflow for very negative f: there, with their common factor.
    a = where(power > 2, 2 - power, -1)
    steep = mul_exp(1 / a - mul_exp(y, -f) / (a - 1), a * f) - 1 / a + y / (a - 1)
    return where((power > 2) & (f < -80), steep, plain)


@loss(target=NONNEGATIVE, link="log", optimum="mean", cite="lawless1987", aliases=("nb2",))
def negative_binomial(y, f, dispersion: Positive = 1.0):
    """Scores counts that vary more than Poisson's: variance mean + dispersion · mean²."""
    d = dispersion
    return softplus_scaled(f, d) / d + y * (softplus_scaled(-f, 1 / d) + log(d))


@loss(target=POSITIVE, link="log", optimum="mean", cite="tweedie1957")
def inverse_gaussian(y, f):
    """Scores positive amounts with very long right tails: variance proportional to mean³."""
    r = mul_exp(y, -f) - 1
    return r * (r / y) / 2
