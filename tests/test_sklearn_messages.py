"""losskit in scikit-learn: what mistakes say, and that what they advise is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import scale

import losskit
from losskit.sklearn import HistClassifier, HistRegressor, metric, scorer

CANCER, TUMOUR = load_breast_cancer(return_X_y=True)
CANCER = scale(CANCER[:, :6])
SPAM = np.array(["ham", "spam"])[TUMOUR]
MODEL = LogisticRegression().fit(CANCER, SPAM)
SCORES = MODEL.decision_function(CANCER)
LINE = Ridge().fit(CANCER, TUMOUR)
LACKING = np.where(np.arange(len(SPAM)) == 3, None, SPAM.astype(object))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metric("focal")(SPAM, SCORES), r"\) take metric\(…, raw=True\)"),
        (lambda: metric("cross_entropy")([0, 1, 2], np.ones((3, 3))), r"take metric\(…, raw=True"),
        (lambda: metric("poisson")([1.0], [-1.0]), "needed are predictions, not raw scores"),
        (lambda: metric("ordinal")([0, 1, 2], np.full((3, 3), -1 / 3) + 2 / 3 * np.eye(3)[::-1]),
         "sums|lies outside"),
        (lambda: metric("huber")([1.0, np.nan], [1.0, 2.0]), r"y_true\[1\].*give it weight 0$"),
        (lambda: scorer("huber")(LINE, CANCER, np.where(TUMOUR, np.nan, 0)), "or give it weight 0"),
        (lambda: metric("huber")([1.0], [1.0], sample_weight=[0.0]), "positive weight$"),
        (lambda: metric("huber")([], []), "so it has no mean$"),
        (lambda: scorer("poisson")(LINE, CANCER, TUMOUR), "as losskit.Regressor of this loss does"),
        (lambda: scorer("focal")(LINE, CANCER, TUMOUR), "as losskit.Regressor of this loss does"),
    ],
)  # fmt: skip
def test_no_advice_is_of_calls_that_there_are_not(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        call()
    for option in ("pass raw=", "nan=", "empty=", "accumulate"):
        assert option not in str(raised.value)


def test_the_advice_helps() -> None:
    assert metric("focal", raw=True)(SPAM, SCORES) == losskit.focal(TUMOUR, SCORES, raw=True)
    told = metric("huber")([1.0, np.nan], [1.0, 2.0], sample_weight=[1.0, 0.0])
    assert told == losskit.huber([1.0], [1.0])
    shares = losskit.Regressor("focal").fit(CANCER, TUMOUR)
    assert np.isfinite(scorer("focal")(shares, CANCER, TUMOUR))


class _Odd(LogisticRegression):
    """A classifier whose probabilities are none."""

    def predict_proba(self, X: Any) -> Any:
        return 2 * super().predict_proba(X)


def test_a_scorer_names_itself() -> None:
    with pytest.raises(ValueError, match=r"\) take scorer\(…, raw=True\)"):
        scorer("focal")(_Odd().fit(CANCER, SPAM), CANCER, SPAM)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metric("focal", labels=[0, 1]), r"calling: metric\(…\)\(y_true, y_pred, labels="),
        (lambda: metric("focal", pos_label="ham"), "pass it when calling"),
        (lambda: metric("lambda_rank", query=[0, 0]), "pass it when calling"),
        (lambda: scorer("focal", labels=[0, 1]), "the labels are the estimator's classes_"),
        (lambda: scorer("focal", sample_weight=[0, 1]), "pass it when scoring"),
        (lambda: metric("huber", detla=1.0), "did you mean 'delta'"),
        (lambda: metric("huber")([1.0], [1.0], weights=[1.0]),
         "metric huber takes sample_weight .* no 'weights'; did you mean 'sample_weight'"),
        (lambda: metric("focal")([0, 1], [0.5, 0.5], raw=True), r"take metric\(…, raw=True\)"),
        (lambda: metric("lambda_rank")([1.0], [1.0], group=[0]), "query .* no 'group'"),
        (lambda: scorer("huber")(MODEL, CANCER, SPAM), "classifier of .'ham', 'spam'.: score by a"),
        (lambda: scorer("squared_error")(LogisticRegression().fit(CANCER, TUMOUR), CANCER, TUMOUR),
         r"classifier of \[0, 1\]"),
        (lambda: HistRegressor("quantile", q=0.9), r"the loss says it: losskit\.quantile\(q=…\)"),
        (lambda: HistRegressor(losskit.huber, delta=0.9), r"losskit\.huber\(delta=…\)"),
        (lambda: HistClassifier(maxiter=3), "did you mean 'max_iter'"),
    ],
)  # fmt: skip
def test_keywords_that_belong_elsewhere(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_grades_are_numbers() -> None:
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    expected = -np.abs(y - model.predict(X)).mean()
    assert scorer("absolute_error")(model, X, y) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("lacking", [LACKING, pd.Series(LACKING), LACKING.tolist()])
def test_missing_labels_are_named(lacking: Any) -> None:
    # pandas' own missing values are found by scikit-learn, before labels are looked at.
    with pytest.raises(ValueError, match=r"^y\[3\] is missing|^Input contains NaN"):
        HistClassifier().fit(CANCER, lacking)
    with pytest.raises(ValueError, match=r"^y\[3\] is missing"):
        metric("focal")(lacking, MODEL.predict_proba(CANCER))


def test_parameters_of_a_loss_are_not_set_from_outside() -> None:
    for model in (HistRegressor("huber"), HistClassifier(losskit.huber(delta=2.0))):
        with pytest.raises(ValueError, match=r"loss__delta= .* losskit\.huber\(delta=…\)"):
            model.set_params(loss__delta=3)
        model.set_params(loss=losskit.huber(delta=3.0), max_iter=7)
        assert model.get_params()["loss"].params["delta"] == 3.0
    with pytest.raises(ValueError, match="if it has 'gamma'"):
        HistClassifier().set_params(loss__gamma=3)
