"""LightGBM's objectives, compared by their gradients."""

from losskit.rosetta.facts import (
    AT_BEST,
    AT_MEAN,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    SIGNS,
    ZERO_ONE,
    Library,
    Name,
)

_L = "lightgbm.train"

LIGHTGBM = Library(
    "lightgbm",
    "LightGBM",
    aliases=("lgb", "lgbm"),
    packages=("lightgbm",),
    weighted=BY_WEIGHT,
    order="labels in the data, raw scores within",
    objective="objective",
    start=AT_BEST,
    names=(
        Name(
            _L + " regression",
            also=("regression_l2", "l2", "mean_squared_error", "mse"),
        ),
        Name(
            _L + "(objective='rmse')",
            "squared_error",
            factor=2.0,
            also=("l2_root", "root_mean_squared_error"),
            reports="the root of the mean",
            differs=("trains on half the square and reports the root of the mean",),
        ),
        Name(_L + " regression_l1", also=("l1", "mean_absolute_error", "mae")),
        Name(_L + " huber", defaults={"alpha": 0.9}, start=AT_MEAN),
        Name(_L + " fair", defaults={"fair_c": 1.0}, start=AT_MEAN),
        Name(_L + " quantile", defaults={"alpha": 0.9}),
        Name(
            _L + "(objective='mape')",
            "mape",
            also=("mean_absolute_percentage_error",),
            clip="a target below 1 in size counts as 1",
        ),
        Name(_L + " poisson"),
        Name(_L + " gamma"),
        Name(_L + " tweedie", defaults={"tweedie_variance_power": 1.5}),
        Name(
            _L + " binary",
            defaults={"scale_pos_weight": 1.0, "sigmoid": 1.0},
            labels=(ZERO_ONE, SIGNS),
            silent=(FRACTION,),
            differs=("any label above 0 is a yes", "sigmoid=s takes the raw score times s"),
        ),
        Name(
            _L + "(objective='cross_entropy')",
            "binary_cross_entropy",
            also=("xentropy",),
            labels=(ZERO_ONE, FRACTION),
        ),
        Name(_L + " multiclass", also=("softmax",), labels=(INDEX,)),
        Name(
            _L + "(objective='multiclassova')",
            "multilabel_cross_entropy",
            factor="1/classes",
            also=("multiclass_ova", "ova", "ovr"),
            labels=(INDEX,),
            differs=("one label is a yes; ours takes labels one-hot, and averages over them",),
        ),
        Name(
            _L + "(objective='cross_entropy_lambda')",
            also=("xentlambda",),
            without="weights enter it as numbers of trials",
        ),
        Name(
            _L + "(objective='lambdarank')",
            also=("rank_xendcg", "xendcg"),
            without="it normalises its own way; losskit.lambda_rank is of its kind",
        ),
    ),
)  # fmt: skip
