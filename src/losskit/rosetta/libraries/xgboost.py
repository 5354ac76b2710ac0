"""XGBoost's objectives, compared by their gradients."""

from losskit.rosetta.facts import (
    AT_BEST,
    AT_ZERO,
    BY_WEIGHT,
    FRACTION,
    INDEX,
    ONE_STEP,
    SIGNS,
    ZERO_ONE,
    Library,
    Name,
)

_X = "xgboost.train"

XGBOOST = Library(
    "xgboost",
    "XGBoost",
    aliases=("xgb",),
    packages=("xgboost", "xgboost-cpu"),
    weighted=BY_WEIGHT,
    order="labels in the data, raw scores within",
    objective="objective",
    start=AT_BEST,
    names=(
        Name(_X + " reg:squarederror", also=("reg:linear",)),
        Name(
            _X + " reg:squaredlogerror",
            start=ONE_STEP,
            differs=("the raw score is the prediction, above −1",),
        ),
        Name(_X + " reg:absoluteerror"),
        Name(_X + " reg:quantileerror", differs=("needs quantile_alpha; a list gives several",)),
        Name(_X + " reg:pseudohubererror", defaults={"huber_slope": 1.0}, start=ONE_STEP),
        Name(
            _X + "(objective='reg:expectileerror', expectile_alpha={q})",
            "expectile",
            differs=("from 3.3 on",),
        ),
        Name(
            _X + " binary:logistic",
            also=("reg:logistic", "binary:logitraw"),
            defaults={"scale_pos_weight": 1.0},
            labels=(ZERO_ONE, FRACTION),
        ),
        Name(
            _X + "(objective='binary:hinge')",
            "hinge",
            labels=(ZERO_ONE,),
            silent=(FRACTION, SIGNS),
            start=AT_ZERO,
            differs=("predicts classes",),
        ),
        Name(_X + " count:poisson"),
        Name(_X + " reg:gamma"),
        Name(_X + " reg:tweedie", defaults={"tweedie_variance_power": 1.5}),
        Name(_X + " multi:softprob", also=("multi:softmax",), labels=(INDEX,)),
        Name(
            _X + "(objective='survival:cox')",
            also=("survival:aft",),
            without="censored times are not of ours",
        ),
        Name(
            _X + "(objective='rank:ndcg')",
            also=("rank:map", "rank:pairwise"),
            without="it draws pairs its own way; losskit.lambda_rank and "
            "losskit.pairwise_logistic are of its kind",
        ),
    ),
)
