"""LossFunctions.jl, read in its source: nothing here runs Julia."""

from losskit.rosetta.facts import FRACTION, SIGNS, ZERO_ONE, Library, Name

_J = "LossFunctions."

JULIA = Library(
    "LossFunctions",
    "LossFunctions.jl",
    aliases=("julia", "lossfunctions.jl"),
    prefixes=("LossFunctions",),
    weighted="n·Σw with normalize=true",
    order="(prediction, target)",
    tested=False,
    names=(
        Name(_J + "L2DistLoss", "squared_error"),
        Name(_J + "L1DistLoss", "absolute_error"),
        Name(_J + "LPDistLoss(P={p})", "lp"),
        Name(_J + "HuberLoss(d={delta})", "huber", defaults={"d": 1.0}),
        Name(_J + "LogCoshLoss", "log_cosh"),
        Name(_J + "QuantileLoss(τ={q})", "quantile"),
        Name(_J + "L1EpsilonInsLoss(ε={epsilon})", "epsilon_insensitive"),
        Name(_J + "L2EpsilonInsLoss(ε={epsilon})", "squared_epsilon_insensitive"),
        Name(_J + "PoissonLoss", "poisson"),
        Name(_J + "L1HingeLoss", "hinge", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
        Name(_J + "L2HingeLoss", "squared_hinge", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
        Name(
            _J + "SmoothedL1HingeLoss(γ={gamma})",
            "smoothed_hinge",
            labels=(SIGNS,),
            silent=(ZERO_ONE, FRACTION),
        ),
        Name(
            _J + "ModifiedHuberLoss", "modified_huber", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)
        ),
        Name(_J + "PerceptronLoss", "perceptron", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
        Name(
            _J + "LogitMarginLoss", "logistic_margin", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)
        ),
        Name(_J + "ExpLoss", "exponential", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
        Name(_J + "ZeroOneLoss", "zero_one", labels=(SIGNS,), silent=(ZERO_ONE, FRACTION)),
    ),
)
