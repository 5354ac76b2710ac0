"""statsmodels: families of generalised linear models by their deviance, and robust norms."""

from losskit.rosetta.facts import (
    FRACTION,
    SIGNS,
    SUMMED,
    UNWEIGHTED,
    ZERO_ONE,
    Library,
    Name,
)

_G, _N = "statsmodels.api.families.", "statsmodels.robust.norms."

STATSMODELS = Library(
    "statsmodels",
    "statsmodels",
    aliases=("sm",),
    prefixes=(
        "sm.families",
        "sm.robust.norms",
        "statsmodels.api.families",
        "statsmodels.robust.norms",
        "statsmodels",
    ),
    packages=("statsmodels",),
    raw=False,
    weighted=SUMMED,
    order="deviance(endog, mu); rho(residual)",
    names=(
        Name(_G + "Gaussian", "squared_error"),
        Name(_G + "Poisson", "poisson", factor=0.5, target_only=True),
        Name(_G + "Gamma", "gamma", factor=0.5, target_only=True),
        Name(_G + "InverseGaussian", "inverse_gaussian", factor=0.5),
        Name(
            _G + "NegativeBinomial(alpha={dispersion})",
            "negative_binomial",
            factor=0.5,
            target_only=True,
            defaults={"alpha": 1.0},
        ),
        Name(
            _G + "Binomial",
            "binary_cross_entropy",
            factor=0.5,
            target_only=True,
            labels=(ZERO_ONE, FRACTION),
            silent=(SIGNS,),
        ),
        Name(
            _G + "Tweedie(var_power={power})",
            "tweedie",
            factor=0.5,
            target_only=True,
            differs=("var_power is 1 unless given, which is Poisson's",),
        ),
        Name(_N + "LeastSquares", "squared_error", factor=2.0, weighted=UNWEIGHTED),
        Name(_N + "HuberT(t={delta})", "huber", defaults={"t": 1.345}, weighted=UNWEIGHTED),
    ),
)
