"""Losses of a real target: how far the prediction is off, by r = f − y."""

from math import inf

from losskit.catalogue import loss
from losskit.formula import (
    ABOVE_MINUS_ONE,
    NONZERO,
    REAL,
    Extended,
    NonNegative,
    Nonzero,
    Positive,
    Probability,
    abs_pow,
    boxcox_square,
    contrast,
    equal,
    expm1,
    expm1_gap,
    log1p_gap,
    log1p_ratio,
    mul_exp,
    positive_part,
    sqrt,
    where,
)
from losskit.formula import log_cosh as log_cosh_of


@loss(target=REAL, optimum="mean", cite="legendre1805", aliases=("mse", "l2"), root=True,
      same_as={"torch.nn.functional.mse_loss": 1, "sklearn._loss.HalfSquaredError": 2,
               "optax.squared_error": 1, "xgboost.train(objective='reg:squarederror')": 2,
               "lightgbm.train(objective='regression')": 2,
               "catboost.train(loss_function='RMSE')": 2})
def squared_error(y, f):
    """Squares the error, so that one large error counts as much as many small ones."""
    r = f - y
    return r * r


@loss(target=REAL, optimum="median", cite="boscovich1757", aliases=("mae", "l1"),
      same_as={"torch.nn.functional.l1_loss": 1, "sklearn._loss.AbsoluteError": 1,
               "xgboost.train(objective='reg:absoluteerror')": 1,
               "lightgbm.train(objective='regression_l1')": 1,
               "catboost.train(loss_function='MAE')": 2})
def absolute_error(y, f):
    """Takes every error at its size, so that outliers pull no harder than others."""
    r = f - y
    return abs(r)


@loss(target=REAL, optimum="winsorised mean", cite="huber1964",
      same_as={"torch.nn.functional.huber_loss(delta={delta})": 1,
               "optax.huber_loss(delta={delta})": 1,
               "lightgbm.train(objective='huber', alpha={delta})": 1,
               "catboost.train(loss_function='Huber:delta={delta}')": 1})
def huber(y, f, delta: Positive = 1.0):
    """Squares small errors and takes large ones at their size, so outliers have a bounded pull."""
    r = f - y
    return where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2))


@loss(target=REAL, optimum="winsorised mean", cite="girshick2015",
      same_as={"torch.nn.functional.smooth_l1_loss(beta={beta})": 1})
def smooth_l1(y, f, beta: Positive = 1.0):
    """The Huber loss scaled to a slope of at most one: an absolute error without the corner."""
    r = f - y
    return where(abs(r) <= beta, r * r / (2 * beta), abs(r) - beta / 2)


@loss(target=REAL, optimum="between mean and median", cite="charbonnier1997",
      aliases=("charbonnier",),
      same_as={"xgboost.train(objective='reg:pseudohubererror', huber_slope={delta})": 1})
def pseudo_huber(y, f, delta: Positive = 1.0):
    """Bends from squared to absolute error around delta, with derivatives of every order."""
    r = f - y
    return delta * delta / 2 * boxcox_square(r / delta, 0.5)


@loss(target=REAL, optimum="between mean and median", cite="green1990",
      aliases=("logcosh",),
      same_as={"optax.log_cosh": 1, "catboost.train(loss_function='LogCosh')": 1})
def log_cosh(y, f):
    """Squares small errors and takes large ones at their size less log 2, without a parameter."""
    r = f - y
    return log_cosh_of(r)


@loss(target=REAL, optimum="between mean and median", cite="fair1974",
      same_as={"lightgbm.train(objective='fair', fair_c={c})": 1})
def fair(y, f, c: Positive = 1.0):
    """Grows like the absolute error far out, like the square near zero, by a logarithm between."""
    r = f - y
    return c * c * log1p_gap(abs(r) / c)


@loss(target=REAL, optimum="a mode", cite="black1996", aliases=("lorentzian",))
def cauchy(y, f, c: Positive = 1.0):
    """Grows like a logarithm, so that far outliers have almost no pull; it is not convex."""
    r = f - y
    return c * c / 2 * boxcox_square(r / c, 0)


@loss(target=REAL, optimum="mean, median or mode by alpha", cite="barron2019")
def barron(y, f, alpha: Extended = 1.0, c: Positive = 1.0):
    """One family from squared (alpha 2) over pseudo-Huber (1) and Cauchy (0) to Welsch (−∞)."""
    x, b = (f - y) / c, abs(alpha - 2)
    regular = (alpha > -inf) & (b > 0)
    scale, power = where(regular, b, 1), where(regular, alpha / 2, 0)
    general = scale / 2 * boxcox_square(x / sqrt(scale), power)
    return where(regular, general, where(alpha > 0, x * x / 2, -expm1(-x * x / 2)))


@loss(target=REAL, optimum="centre by the p-th power", cite="money1982",
      same_as={"catboost.train(loss_function='Lq:q={p}')": 1})
def lp(y, f, p: Positive = 1.5):
    """Takes a power of the error: between absolute (1) and squared (2), or steeper, or flatter."""
    r = f - y
    return abs_pow(r, p)


@loss(target=REAL, optimum="quantile {q:g}", cite="koenker1978", aliases=("pinball",),
      same_as={"sklearn._loss.PinballLoss(quantile={q})": 1,
               "xgboost.train(objective='reg:quantileerror', quantile_alpha={q})": 1,
               "lightgbm.train(objective='quantile', alpha={q})": 1,
               "catboost.train(loss_function='Quantile:alpha={q}')": 1})
def quantile(y, f, q: Probability = 0.5):
    """Charges q per unit predicted too low and 1 − q per unit too high: it finds a quantile."""
    r = f - y
    return q * positive_part(-r) + (1 - q) * positive_part(r)


@loss(target=REAL, optimum="expectile {q:g}", cite="newey1987",
      same_as={"catboost.train(loss_function='Expectile:alpha={q}')": 1})
def expectile(y, f, q: Probability = 0.5):
    """Squares the error with weight q when predicted too low and 1 − q when too high."""
    r = f - y
    return where(r > 0, (1 - q) * r * r, q * r * r)


@loss(target=REAL, optimum="median within epsilon", cite="vapnik1995", aliases=("svr",))
def epsilon_insensitive(y, f, epsilon: NonNegative = 0.1):
    """Ignores errors up to epsilon and charges the rest, as support-vector regression does."""
    r = f - y
    return positive_part(abs(r) - epsilon)


@loss(target=REAL, optimum="mean within epsilon", cite="vapnik1995")
def squared_epsilon_insensitive(y, f, epsilon: Positive = 0.1):
    """Ignores errors up to epsilon and squares what exceeds it."""
    r = f - y
    excess = positive_part(abs(r) - epsilon)
    return excess * excess


@loss(target=REAL, optimum="quantile alpha/(1 + alpha)", cite="koenker1978")
def asymmetric_absolute(y, f, alpha: Positive = 2.0):
    """Charges alpha for each unit predicted too low and one for each too high."""
    r = f - y
    return alpha * positive_part(-r) + positive_part(r)


@loss(target=REAL, optimum="expectile alpha/(1 + alpha)", cite="newey1987")
def asymmetric_squared(y, f, alpha: Positive = 2.0):
    """Squares the error, and multiplies it by alpha when the prediction is too low."""
    r = f - y
    return where(r < 0, alpha * r * r, r * r)


@loss(target=REAL, optimum="-log E exp(-a y) / a", cite="varian1975")
def linex(y, f, a: Nonzero = 1.0):
    """Grows exponentially on one side (too high for a > 0) and linearly on the other."""
    r = f - y
    return expm1_gap(a * r)


@loss(target=NONZERO, optimum="weighted median", cite="makridakis1993")
def mape(y, f):
    """Takes the error as a fraction of the target, which therefore must not be zero."""
    r = f - y
    return abs(r) / abs(y)


@loss(target=REAL, optimum="no simple statistic", cite="makridakis1993")
def smape(y, f):
    """Takes the error as a fraction of the mean size of target and prediction; between 0 and 2."""
    ratio = 2 * abs(contrast(abs(f), abs(y)))
    same_sign = ((y > 0) & (f > 0)) | ((y < 0) & (f < 0))
    return where(same_sign, ratio, where(equal(f, y), 0, 2))


@loss(target=ABOVE_MINUS_ONE, prediction=ABOVE_MINUS_ONE,
      optimum="exp mean log1p - 1", cite="chai2014",
      same_as={"xgboost.train(objective='reg:squaredlogerror')": 2})
def msle(y, f):
    """Squares the difference of the logarithms of 1 + y, so that ratios count and not sizes."""
    r = log1p_ratio(f, y)
    return r * r


@loss(target=REAL, link=("identity", "log"), optimum="mean and sd", cite="nix1994",
      perfect=lambda y: (y, 0 * y),
      same_as={"torch.nn.functional.gaussian_nll_loss": 1})
def gaussian_nll(y, mean, log_sd):
    """Scores a predicted mean and standard deviation together by the normal density."""
    r = mean - y
    return mul_exp(r * r, -2 * log_sd) / 2 + log_sd
