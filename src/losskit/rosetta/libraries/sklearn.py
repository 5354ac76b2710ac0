"""scikit-learn: its private loss module, metrics, and what estimators call `loss=`."""

from losskit.rosetta.facts import (
    BY_WEIGHT,
    FRACTION,
    INDEX,
    SIGNS,
    STEPWISE,
    ZERO_ONE,
    Library,
    Name,
)

_L, _M = "sklearn._loss.", "sklearn.metrics."
_HGB, _GB = "sklearn.ensemble.HistGradientBoosting", "sklearn.ensemble.GradientBoosting"
_SGD = "sklearn.linear_model.SGD"
_TWO_LABELS = "takes any two labels"
_CONSTANTS = "at powers 1 and 2 it is HalfPoissonLoss and HalfGammaLoss, whose constants differ"
_DEVIANCE = "twice what ours exceeds its value at a perfect prediction by"
_RENEWED = "leaves are set to the best constant of their rows after each tree"

SKLEARN = Library(
    "sklearn",
    "scikit-learn",
    aliases=("scikit-learn", "scikit", "sk"),
    prefixes=(
        "sklearn._loss", "sklearn._loss.loss", "sklearn.metrics", "sklearn.linear_model",
        "sklearn.ensemble", "sklearn", "metrics",
    ),
    packages=("scikit-learn",),
    weighted=BY_WEIGHT,
    order="(y_true, y_pred)",
    options=(
        "sample_weight", "multioutput", "normalize", "labels", "pos_label", "n_classes",
    ),
    names=(
        # The loss module.
        Name(_L + "HalfSquaredError"),
        Name(_L + "AbsoluteError"),
        Name(_L + "PinballLoss", defaults={"quantile": 0.5}),
        Name(
            _L + "HuberLoss(delta={delta})",
            "huber",
            defaults={"quantile": 0.9, "delta": 0.5},
            idle=("quantile",),
            differs=("gradient boosting sets delta anew, to a quantile of the residuals",),
        ),
        Name(_L + "HalfPoissonLoss"),
        Name(_L + "HalfGammaLoss"),
        Name(
            _L + "HalfTweedieLoss(power={power})",
            "tweedie",
            target_only=True,
            defaults={"power": 1.5},
            differs=(_CONSTANTS,),
        ),
        Name(
            _L + "HalfTweedieLossIdentity(power={power})",
            "tweedie",
            target_only=True,
            raw=False,
            defaults={"power": 1.5},
        ),
        Name(_L + "HalfBinomialLoss", labels=(ZERO_ONE, FRACTION), silent=(SIGNS,)),
        Name(_L + "HalfMultinomialLoss", labels=(INDEX,)),
        Name(
            "sklearn._loss.loss.ExponentialLoss",
            "exponential",
            labels=(ZERO_ONE,),
            silent=(FRACTION, SIGNS),
            differs=("its raw score is half the log-odds, as ours",),
        ),
        # Metrics.
        Name(_M + "mean_squared_error", "squared_error"),
        Name(_M + "mean_absolute_error", "absolute_error"),
        Name(_M + "mean_pinball_loss(alpha={q})", "quantile", defaults={"alpha": 0.5}),
        Name(
            _M + "mean_absolute_percentage_error",
            "mape",
            clip="a target nearer to 0 than 2.2e-16 counts as that",
        ),
        Name(
            _M + "mean_squared_log_error",
            "msle",
            differs=("refuses targets and predictions below 0, ours from −1 on",),
        ),
        Name(
            _M + "mean_poisson_deviance",
            "poisson",
            factor=0.5,
            target_only=True,
            raw=False,
            differs=(_DEVIANCE,),
        ),
        Name(
            _M + "mean_gamma_deviance",
            "gamma",
            factor=0.5,
            target_only=True,
            raw=False,
            differs=(_DEVIANCE,),
        ),
        Name(_M + "mean_tweedie_deviance(power=0)", "squared_error", defaults={"power": 0}),
        Name(
            _M + "mean_tweedie_deviance(power=1)",
            "poisson",
            factor=0.5,
            target_only=True,
            raw=False,
            differs=(_DEVIANCE,),
        ),
        Name(
            _M + "mean_tweedie_deviance(power=2)",
            "gamma",
            factor=0.5,
            target_only=True,
            raw=False,
            differs=(_DEVIANCE,),
        ),
        Name(
            _M + "mean_tweedie_deviance(power=3)", "inverse_gaussian", factor=0.5, raw=False
        ),
        Name(
            _M + "mean_tweedie_deviance(power={power})",
            "tweedie",
            factor=0.5,
            target_only=True,
            raw=False,
            differs=(_DEVIANCE,),
        ),
        Name(
            _M + "log_loss",
            "binary_cross_entropy",
            raw=False,
            labels=(ZERO_ONE, SIGNS),
            clip="probabilities are kept one eps of their dtype away from 0 and 1, as ours",
            differs=("with a column for each class it is losskit.cross_entropy",),
        ),
        Name(
            _M + "brier_score_loss",
            "squared_error",
            labels=(ZERO_ONE, SIGNS),
            differs=(
                "of probabilities; with a column for each class it is losskit.categorical_brier",
            ),
        ),
        Name(
            _M + "hinge_loss",
            "hinge",
            labels=(ZERO_ONE, SIGNS),
            differs=("with a column for each class it is losskit.crammer_singer",),
        ),
        *(
            Name(_M + name, without=f"it is a metric to be read: {instead}")
            for name, instead in {
                "zero_one_loss": "losskit.metrics.accuracy is 1 less it",
                "root_mean_squared_error": "the root of losskit.squared_error",
                "median_absolute_error": "it is no mean of losses",
                "max_error": "it is no mean of losses",
            }.items()
        ),
        # Estimators.
        Name(_HGB + "Regressor(loss='squared_error')", "squared_error", factor=2.0),
        Name(_HGB + "Regressor(loss='absolute_error')", "absolute_error", differs=(_RENEWED,)),
        Name(_HGB + "Regressor(loss='poisson')", "poisson"),
        Name(_HGB + "Regressor(loss='gamma')", "gamma"),
        Name(
            _HGB + "Regressor(loss='quantile', quantile={q})", "quantile", differs=(_RENEWED,)
        ),
        Name(
            _HGB + "Classifier(loss='log_loss')",
            "binary_cross_entropy",
            differs=(_TWO_LABELS, "of several classes it is losskit.cross_entropy"),
        ),
        Name(_GB + "Regressor(loss='squared_error')", "squared_error", factor=2.0),
        Name(_GB + "Regressor(loss='absolute_error')", "absolute_error", differs=(_RENEWED,)),
        Name(
            _GB + "Regressor(loss='quantile', alpha={q})",
            "quantile",
            defaults={"alpha": 0.9},
            differs=(_RENEWED,),
        ),
        Name(
            _GB + "Regressor(loss='huber')",
            defaults={"alpha": 0.9},
            without="its alpha is a quantile of the residuals, by which delta is set anew for each "
            "tree; losskit.huber(delta=…) keeps one",
        ),
        Name(
            _GB + "Classifier(loss='log_loss')",
            "binary_cross_entropy",
            differs=(_TWO_LABELS, "of several classes it is losskit.cross_entropy"),
        ),
        Name(_GB + "Classifier(loss='exponential')", "exponential", differs=(_TWO_LABELS,)),
        Name(
            _SGD + "Regressor(loss='squared_error')",
            "squared_error",
            factor=2.0,
            weighted=STEPWISE,
        ),
        Name(
            _SGD + "Regressor(loss='huber', epsilon={delta})", "huber", defaults={"epsilon": 0.1},
            weighted=STEPWISE,
        ),
        Name(
            _SGD + "Regressor(loss='epsilon_insensitive', epsilon={epsilon})",
            "epsilon_insensitive",
            defaults={"epsilon": 0.1},
            weighted=STEPWISE,
        ),
        Name(
            _SGD + "Regressor(loss='squared_epsilon_insensitive', epsilon={epsilon})",
            "squared_epsilon_insensitive",
            defaults={"epsilon": 0.1},
            weighted=STEPWISE,
        ),
        *(
            Name(
                _SGD + f"Classifier(loss='{theirs}')",
                ours,
                differs=(_TWO_LABELS,),
                weighted=STEPWISE,
            )
            for theirs, ours in {
                "hinge": "hinge",
                "squared_hinge": "squared_hinge",
                "modified_huber": "modified_huber",
                "perceptron": "perceptron",
                "log_loss": "binary_cross_entropy",
            }.items()
        ),
        Name("sklearn.linear_model.PoissonRegressor", "poisson"),
        Name("sklearn.linear_model.GammaRegressor", "gamma"),
        Name(
            "sklearn.linear_model.TweedieRegressor(power=0)",
            "squared_error",
            factor=2.0,
            defaults={"power": 0.0},
        ),
        Name("sklearn.linear_model.TweedieRegressor(power=1)", "poisson"),
        Name("sklearn.linear_model.TweedieRegressor(power=2)", "gamma"),
        Name(
            "sklearn.linear_model.TweedieRegressor(power={power})", "tweedie", target_only=True
        ),
        Name(
            "sklearn.linear_model.HuberRegressor",
            without="it estimates a scale together with the weights; losskit.huber(delta=…) is in "
            "units of the target",
        ),
    ),
)  # fmt: skip
