"""Strengths of other libraries and priors: minimised there, and a minimum here.

Weights w minimise mean loss + penalty where the slope of the mean loss is at distance 0 from the
penalty's slopes, and the intercept's slope is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import linear_model, svm

import losskit
from losskit import penalties
from losskit.penalties import L1, L2, ElasticNet, prior, prior_of

ROW, COLUMN = np.arange(40)[:, None], np.arange(1, 5)[None]
X = np.round(np.sin(1.7 * ROW * COLUMN + COLUMN), 3)
Y = np.round(3 * (X @ [1, -2, 0.5, 0] + np.cos(2.3 * ROW[:, 0] ** 2)), 3)
LABELS = (Y > 0).astype(int)
COUNTS = np.round(np.exp(0.3 * Y)) % 7
WEIGHTS = 0.5 + (np.arange(40) % 3)
N, TOTAL = 40, WEIGHTS.sum()


def unsettled(
    loss: Any,
    penalty: Any,
    alpha: float,
    y: Any,
    model: Any,
    weights: Any = None,
    free: bool = True,
) -> float:
    """Return how far a fitted model is from a minimum of mean loss + penalty."""
    coef = np.ravel(model.coef_)
    raw = X @ coef + np.ravel(model.intercept_)[0]
    slope = loss.gradient(y, raw, sample_weight=weights, raw=True)
    rest = [abs(slope.sum())] if free else []
    return float(max([*penalty.distance(coef, X.T @ slope, alpha), *rest]))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("C", [0.3, 2.0])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_c_of_logistic_regression(C: float, l1_ratio: float, weights: Any) -> None:
    model = linear_model.LogisticRegression(
        C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-11, max_iter=100_000, random_state=0
    ).fit(X, LABELS, sample_weight=weights)
    alpha = penalties.from_c(C, n=N if weights is None else TOTAL)
    penalty = ElasticNet(l1_ratio=l1_ratio)
    assert unsettled(losskit.logistic, penalty, alpha, LABELS, model, weights) < 1e-8
    assert penalties.from_c(alpha, n=N if weights is None else TOTAL) == pytest.approx(C)


def test_c_of_a_support_vector_machine() -> None:
    model = svm.LinearSVC(C=0.3, fit_intercept=False, tol=1e-12, max_iter=100_000, random_state=0)
    model.fit(X, LABELS)
    alpha, y = penalties.from_c(0.3, n=N), 2 * LABELS - 1
    assert unsettled(losskit.squared_hinge, L2, alpha, y, model, free=False) < 1e-8


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_alpha_of_ridge(weights: Any) -> None:
    model = linear_model.Ridge(alpha=3.0).fit(X, Y, sample_weight=weights)
    alpha = penalties.from_ridge(3.0, n=N if weights is None else TOTAL)
    assert unsettled(losskit.squared_error, L2, alpha, Y, model, weights) < 1e-12


def test_alpha_of_ridge_with_several_outputs() -> None:
    """A mean over rows and outputs: n counts elements."""
    both = np.stack([Y, Y**2], axis=1)
    model = linear_model.Ridge(alpha=3.0).fit(X, both)
    alpha = penalties.from_ridge(3.0, n=both.size)
    slope = losskit.squared_error.gradient(both, model.predict(X))
    assert L2.distance(model.coef_.T, X.T @ slope, alpha).max() < 1e-11


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_alpha_of_the_elastic_net(l1_ratio: float, weights: Any) -> None:
    model = linear_model.ElasticNet(alpha=0.4, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000)
    model.fit(X, Y, sample_weight=weights)
    alpha, penalty = penalties.from_elastic_net(0.4), ElasticNet(l1_ratio=l1_ratio)
    assert unsettled(losskit.squared_error, penalty, alpha, Y, model, weights) < 1e-7
    assert unsettled(losskit.squared_error, penalty, 0.4, Y, model, weights) > 1e-2


@pytest.mark.parametrize(
    ("model", "loss", "y"),
    [
        (linear_model.PoissonRegressor, losskit.poisson, COUNTS),
        (linear_model.GammaRegressor, losskit.gamma, COUNTS + 1),
    ],
    ids=["poisson", "gamma"],
)
def test_alpha_that_is_the_same(model: Any, loss: Any, y: Any) -> None:
    fitted = model(alpha=0.2, tol=1e-12, solver="newton-cholesky").fit(X, y, sample_weight=WEIGHTS)
    assert unsettled(loss, L2, 0.2, y, fitted, WEIGHTS) < 1e-10


def test_alpha_of_quantile_regression() -> None:
    model = linear_model.QuantileRegressor(quantile=0.3, alpha=0.05).fit(X, Y)

    def objective(coef: Any, intercept: float) -> float:
        return losskit.quantile(q=0.3)(Y, X @ coef + intercept) + L1.value(coef, 0.05)

    least = objective(model.coef_, model.intercept_)
    rng = np.random.default_rng(0)
    for size in 10.0 ** rng.uniform(-6, 0, 500):
        moved = model.coef_ + size * rng.normal(size=4)
        assert objective(moved, model.intercept_ + size * rng.normal()) > least - 1e-12


# Printed by python-glmnet 2.6.1 for this X and Y at lambda 0.7, standardize=False, tol=1e-14; the
# last is LogitNet's at 0.05.
GLMNET = [
    (1.0, [1.5120815023944316, -4.155997862848168, 0.6971312581656937, 0.0], -0.23531980142178915),
    (0.5, [1.9428503234509302, -4.2591694972755185, 1.2340902836353722, 0.0], -0.2591098959272601),
    (
        0.0,
        [2.2802552339782896, -4.341616821575277, 1.6525428851238333, -0.018622219807769323],
        -0.27906481302051034,
    ),
]
LOGITNET = [0.5098478666425738, -1.4110202627152464, 0.22983742995271247, 0.0]


@pytest.mark.parametrize(("mixing", "coef", "intercept"), GLMNET)
def test_lambda_of_glmnet(mixing: float, coef: Any, intercept: float) -> None:
    model = linear_model.Ridge()
    model.coef_, model.intercept_ = np.array(coef), intercept
    alpha, l1_ratio = penalties.from_glmnet(0.7, mixing, gaussian_sd=Y.std())
    assert unsettled(losskit.squared_error, ElasticNet(l1_ratio=l1_ratio), alpha, Y, model) < 1e-7
    # The same minimum, by scikit-learn.
    theirs = linear_model.ElasticNet if mixing else linear_model.Ridge
    options = {"l1_ratio": l1_ratio, "tol": 1e-14, "max_iter": 100_000} if mixing else {}
    again = theirs(alpha=alpha / 2 if mixing else alpha * N / 2, **options).fit(X, Y)
    np.testing.assert_allclose(again.coef_, coef, atol=1e-7)


def test_lambda_of_glmnet_for_other_families() -> None:
    model = linear_model.Ridge()
    model.coef_, model.intercept_ = np.array(LOGITNET), 0.1416492785607888
    alpha, l1_ratio = penalties.from_glmnet(0.05, 0.5, gaussian_sd=None)
    assert (alpha, l1_ratio) == (0.05, 0.5)
    assert unsettled(losskit.logistic, ElasticNet(l1_ratio=l1_ratio), alpha, LABELS, model) < 1e-7
    assert penalties.from_glmnet(0.0, 0.5, gaussian_sd=2.0) == (0.0, 0.5)


def test_lambda_of_the_article() -> None:
    w = [0.5, -0.3, 1.2, 0.8]
    assert L2.value(w, penalties.from_sum_of_squares(0.01)) == pytest.approx(0.01 * np.dot(w, w))
    # scikit-learn's Ridge minimises Σr² + n·λ·Σb², which is n times that objective.
    model = linear_model.Ridge(alpha=N * 0.01).fit(X, Y)
    alpha = penalties.from_sum_of_squares(0.01)
    assert unsettled(losskit.squared_error, L2, alpha, Y, model) < 1e-12


# --- priors


@pytest.mark.parametrize("n", [1, 250.5])
@pytest.mark.parametrize(
    ("given", "density"),
    [
        ({"gaussian": 0.5}, lambda w: stats.norm.logpdf(w, scale=0.5)),
        ({"laplace": 0.25}, lambda w: stats.laplace.logpdf(w, scale=0.25)),
        (
            {"gaussian": 2.0, "laplace": 0.25},
            lambda w: stats.norm.logpdf(w, scale=2.0) + stats.laplace.logpdf(w, scale=0.25),
        ),
    ],
    ids=["gaussian", "laplace", "both"],
)
def test_a_prior_is_a_penalty(given: Any, density: Any, n: float) -> None:
    """Its negative log-density is n times the penalty, up to a constant."""
    w = np.array([0.3, -1.7, 0.0, 4.0])
    penalty, alpha = prior(n, **given)
    expected = (density(np.zeros(4)) - density(w)).sum()
    assert n * penalty.value(w, alpha) == pytest.approx(expected, rel=1e-13)
    assert prior_of(penalty, alpha, n) == pytest.approx(given, rel=1e-13)


def test_the_mode_of_a_posterior() -> None:
    """Weighted squared error, noise of deviation 2, a Gaussian prior: by scipy's densities."""
    penalty, alpha = prior(TOTAL, gaussian=0.5, likelihood=1 / (2 * 2.0**2))

    def negative_log_posterior(coef: Any) -> float:
        likelihood = (WEIGHTS * stats.norm.logpdf(Y, loc=X @ coef, scale=2.0)).sum()
        return -float(likelihood + stats.norm.logpdf(coef, scale=0.5).sum())

    def objective(coef: Any) -> float:
        loss = losskit.squared_error(Y, X @ coef, sample_weight=WEIGHTS)
        return loss + penalty.value(coef, alpha)

    a, b, c = np.random.default_rng(0).normal(size=(3, 4))
    ratio = (negative_log_posterior(a) - negative_log_posterior(b)) / (objective(a) - objective(b))
    again = (negative_log_posterior(a) - negative_log_posterior(c)) / (objective(a) - objective(c))
    assert ratio == pytest.approx(again, rel=1e-12) == pytest.approx(TOTAL / 8, rel=1e-12)


BAD = [
    (lambda: penalties.from_c(0.0, n=10), r"penalties: C=0.0; needed is a number in \(0, ∞\)"),
    (lambda: penalties.from_c(1.0, n=0), r"n=0; needed is a number in \(0, ∞\)"),
    (lambda: penalties.from_ridge(-1.0, n=3), "alpha=-1.0"),
    (lambda: penalties.from_elastic_net(float("nan")), "alpha=nan"),
    (lambda: penalties.from_glmnet(0.1, 2.0, gaussian_sd=None), "mixing=2.0"),
    (lambda: penalties.from_glmnet(0.1, 0.5, gaussian_sd=0.0), "gaussian_sd=0.0"),
    (lambda: prior(n=10), "prior needs gaussian="),
    (lambda: prior(n=10, gaussian=0.0), r"prior: gaussian=0.0; needed is a number in \(0, ∞\)"),
    (lambda: prior(n=10, laplace=-1.0), "laplace=-1.0"),
    (lambda: prior_of(penalties.MCP, 1.0, n=10), "is no Gaussian, Laplace or product of both"),
    (lambda: prior_of(L1, 0.0, n=10), "is no Gaussian"),
]


@pytest.mark.parametrize(("call", "said"), BAD, ids=[said for _, said in BAD])
def test_bad_input_is_one_line(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)
