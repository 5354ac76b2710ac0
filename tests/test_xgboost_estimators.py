"""XGBoost's estimators with any loss, as scikit-learn's checks find them, next to its own."""

import pytest
import xgboost as xgb
from sklearn.utils.estimator_checks import parametrize_with_checks

from losskit.xgboost import Classifier, Regressor

# XGBoost's own estimators fail these too: predictions of several targets are float32.
FAILS = {"check_regressor_multioutput": "XGBoost predicts in float32"}
# They ask raw scores to agree to 1e-7, which XGBoost's own do not: `test_xgboost_hosts`.
OF_SOFTMAX = dict.fromkeys(
    [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")],
    "XGBoost adds up float32",
)


def known(model):
    """Return the checks that a model fails, as XGBoost does."""
    if isinstance(model, Regressor):
        return FAILS
    return OF_SOFTMAX if model.loss == "auto" else {}


@pytest.mark.slow
@parametrize_with_checks(
    [
        Regressor(n_jobs=1, n_estimators=5),
        Regressor("absolute_error", n_jobs=1, n_estimators=20),
        Regressor("huber", n_jobs=1, n_estimators=20),
        Regressor("epsilon_insensitive", n_jobs=1, n_estimators=20),
        Classifier(n_jobs=1, n_estimators=5),
        Classifier("hinge", n_jobs=1, n_estimators=10),
    ],
    expected_failed_checks=known,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([xgb.XGBRegressor(n_jobs=1, n_estimators=5)])
@pytest.mark.filterwarnings("ignore")
def test_what_the_hosts_own_fail(estimator, check):
    name = getattr(check, "func", check).__name__
    if name in FAILS:
        with pytest.raises(AssertionError):
            check(estimator)
