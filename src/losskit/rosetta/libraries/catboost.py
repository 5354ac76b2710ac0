"""CatBoost's loss functions, compared by their gradients and by the metric of the same name."""

import math

from losskit.rosetta.facts import (
    AT_BEST,
    AT_ZERO,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    SIGNS,
    ZERO_ONE,
    Library,
    Name,
)

_C = "catboost.train"

CATBOOST = Library(
    "catboost",
    "CatBoost",
    aliases=("cat", "cb"),
    packages=("catboost",),
    weighted=BY_WEIGHT,
    order="labels in the data, raw scores within",
    objective="loss_function",
    start=AT_ZERO,
    inside=True,
    names=(
        Name(
            _C + " RMSE",
            start=AT_BEST,
            reports="the root of the mean",
            differs=("trains on half the square and reports the root of the mean",),
        ),
        Name(_C + " MAE", start=AT_BEST),
        Name(_C + " Quantile", defaults={"alpha": 0.5}, start=AT_BEST),
        Name(_C + " Expectile", differs=("needs alpha",)),
        Name(_C + " Huber", differs=("needs delta",)),
        Name(_C + " LogCosh"),
        Name(_C + " Lq", differs=("needs q, of 1 or more",)),
        Name(
            _C + "(loss_function='MAPE')",
            "mape",
            start=AT_BEST,
            clip="a target below 1 in size counts as 1",
        ),
        Name(_C + " Poisson"),
        Name(_C + " Tweedie", differs=("needs variance_power, between 1 and 2",)),
        Name(_C + " CrossEntropy", labels=(ZERO_ONE, FRACTION)),
        Name(
            _C + "(loss_function='Logloss', scale_pos_weight={pos_weight})",
            "binary_cross_entropy",
            defaults={"scale_pos_weight": 1.0},
            labels=(ZERO_ONE, SIGNS),
        ),
        Name(
            _C + "(loss_function='Focal:focal_alpha={alpha};focal_gamma={gamma}')",
            "focal",
            labels=(ZERO_ONE, SIGNS),
            differs=("needs both parameters",),
        ),
        Name(_C + " MultiClass", labels=(INDEX,)),
        Name(
            _C + "(loss_function='MultiClassOneVsAll')",
            "multilabel_cross_entropy",
            factor="1/classes",
            labels=(INDEX,),
            differs=("one label is a yes; ours takes labels one-hot, and averages over them",),
        ),
        Name(
            _C + "(loss_function='MultiLogloss')",
            "multilabel_cross_entropy",
            factor="1/classes",
            also=("MultiCrossEntropy",),
            labels=(ZERO_ONE,),
            differs=("reports the mean over labels, as ours, and trains on their sum",),
        ),
        Name(
            _C + "(loss_function='RMSEWithUncertainty')",
            "gaussian_nll",
            takes="means and logarithms of deviations",
            shift=-0.5 * math.log(2 * math.pi),
            start=AT_BEST,
            differs=("trains by the natural gradient",),
        ),
        Name(
            _C + "(loss_function='MultiRMSE')",
            "squared_error",
            factor=2.0,
            reports="the root of the mean sum",
            differs=(
                "of several targets side by side: trains on the sum over them of half the squares, "
                "and reports the root of the mean sum",
            ),
        ),
        Name(_C + "(loss_function='LogLinQuantile')", without="losskit.quantile(q=…) of log y"),
        *(
            Name(_C + f"(loss_function='{name}')", without=instead)
            for name, instead in {
                "YetiRank": "it draws its pairs at random; losskit.lambda_rank is of its kind",
                "PairLogit": "it takes pairs; losskit.pairwise_logistic finds them in lists",
                "QuerySoftMax": "losskit.softmax_ranking is of its kind",
                "QueryRMSE": "it takes the mean residual of each list out first",
                "Cox": "censored times are not of ours",
                "SurvivalAft": "censored times are not of ours",
            }.items()
        ),
    ),
)
