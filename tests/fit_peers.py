"""What scikit-learn and statsmodels find, each on the objective of a case: `peer(case)`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from fit_cases import Array, Case


def peer(case: Case) -> tuple[Array, Array, str] | None:
    """Return what scikit-learn or statsmodels find, None where neither minimises this objective."""
    if case.offset is not None or (case.penalty is None and case.loss != "squared_error"):
        return _statsmodels(case)
    if case.name == "scales":  # they do not get near in any time
        return None
    make = {
        "squared_error": _least_squares,
        "logistic": _logistic,
        "cross_entropy": _logistic,
        "poisson": _glm,
        "gamma": _glm,
        "tweedie": _glm,
        "quantile": _quantile,
        "absolute_error": _quantile,
        "hinge": _support_vectors,
        "epsilon_insensitive": _support_vectors,
    }.get(case.loss)
    return None if make is None else make(case)


# --- scikit-learn ------------------------------------------------------------------------


def _fitted(model: Any, case: Case, y: Array | None = None) -> tuple[Array, Array, str]:
    """Return coefficients (d, K), intercepts (K,) and the name of a fitted model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it stops early; we polish
        model.fit(case.x, case.y if y is None else y, sample_weight=case.weight)
    coef = model.coef_.todense() if sp.issparse(model.coef_) else model.coef_
    coef = np.atleast_2d(np.asarray(coef)).T.astype(np.float64)
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    if not case.intercept:
        intercept = np.zeros(coef.shape[1])
    return coef, intercept, f"scikit-learn's {type(model).__name__}"


def _total(case: Case) -> float:
    return float(len(case.y) if case.weight is None else case.weight.sum())


def _least_squares(case: Case) -> tuple[Array, Array, str] | None:
    from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

    l1, l2 = case.strengths
    if l1:  # ½ mean r² + α(…)
        ratio = l1 / (l1 + l2)
        model = ElasticNet(
            alpha=(l1 + l2) / 2, l1_ratio=ratio, fit_intercept=case.intercept, tol=1e-12,
            max_iter=200_000,
        )  # fmt: skip
    elif l2:  # Σ r² + α w²
        model = Ridge(alpha=l2 / 2 * _total(case), fit_intercept=case.intercept, tol=1e-12)
    else:
        model = LinearRegression(fit_intercept=case.intercept, tol=1e-14)
    return _fitted(model, case)


def _logistic(case: Case) -> tuple[Array, Array, str] | None:
    from sklearn.linear_model import LogisticRegression

    l1, l2 = case.strengths
    model = LogisticRegression(  # C·Σwℓ + ½ w²
        C=1 / (case.alpha * _total(case)), l1_ratio=l1 / (l1 + l2),
        solver="saga" if l1 else "lbfgs" if sp.issparse(case.x) else "newton-cholesky",
        fit_intercept=case.intercept, tol=1e-8, max_iter=5000, random_state=0,
    )  # fmt: skip
    return _fitted(model, case, case.y.astype(int))


def _glm(case: Case) -> tuple[Array, Array, str] | None:
    from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor

    l1, l2 = case.strengths
    if l1:
        return None
    solver = "lbfgs" if sp.issparse(case.x) else "newton-cholesky"
    options = {"alpha": l2, "fit_intercept": case.intercept, "tol": 1e-6, "solver": solver}
    if case.loss == "tweedie":
        power = case.params.get("power", 1.5)
        return _fitted(TweedieRegressor(power=power, link="log", **options), case)
    return _fitted(
        {"poisson": PoissonRegressor, "gamma": GammaRegressor}[case.loss](**options), case
    )


def _quantile(case: Case) -> tuple[Array, Array, str] | None:
    from sklearn.linear_model import QuantileRegressor

    if case.strengths[1]:
        return _support_vectors(case) if case.loss == "absolute_error" else None
    factor = 2.0 if case.loss == "absolute_error" else 1.0  # |r| is twice the median's loss
    model = QuantileRegressor(
        quantile=case.params.get("q", 0.5), alpha=case.strengths[0] / factor,
        fit_intercept=case.intercept, solver="highs",
    )  # fmt: skip
    return _fitted(model, case)


def _support_vectors(case: Case) -> tuple[Array, Array, str] | None:
    from sklearn.svm import SVC, SVR

    if case.strengths[0] or not case.strengths[1] or not case.intercept:
        return None
    options = {
        "kernel": "linear",
        "C": 1 / (case.alpha * _total(case)),
        "tol": 1e-6,
        "max_iter": 200_000,
    }
    if case.loss == "hinge":
        return _fitted(SVC(**options), case)
    width = 0.0 if case.loss == "absolute_error" else case.params.get("epsilon", 0.1)
    return _fitted(SVR(epsilon=width, **options), case)


def huber_case(case: Case, epsilon: float, alpha: float) -> tuple[Case, tuple[Array, Array]]:
    """Return the Huber case that HuberRegressor solves on these rows, and its answer.

    It finds a scale σ beside the coefficients. At its σ, Σσ + H(r/σ)σ is 2/σ times the sum of our
    loss at delta = ε·σ, so that its penalty α·w² is ours at alpha = α·σ/n.
    """
    from sklearn.linear_model import HuberRegressor

    model = HuberRegressor(
        epsilon=epsilon, alpha=alpha, fit_intercept=case.intercept, tol=1e-10, max_iter=20_000
    )
    coef, intercept, _ = _fitted(model, case)
    made = replace(
        case, loss="huber", params={"delta": epsilon * float(model.scale_)}, penalty="l2",
        alpha=alpha * float(model.scale_) / _total(case),
    )  # fmt: skip
    return made, (coef, intercept)


# --- statsmodels -------------------------------------------------------------------------


def _statsmodels(case: Case) -> tuple[Array, Array, str] | None:
    """Generalised linear models without a penalty, by iterated least squares."""
    import statsmodels.api as sm

    if case.penalty is not None or sp.issparse(case.x):
        return None
    log = sm.families.links.Log()
    families = {
        "logistic": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(link=log),
        "tweedie": sm.families.Tweedie(link=log, var_power=case.params.get("power", 1.5)),
        "negative_binomial": sm.families.NegativeBinomial(
            alpha=case.params.get("dispersion", 1.0), link=log
        ),
        "squared_error": sm.families.Gaussian(),
    }
    if case.loss not in families:
        return None
    counts = case.share > 0
    columns = [np.ones((len(case.y), 1))] if case.intercept else []
    x = np.hstack([*columns, case.x])[counts]
    weight = None if case.weight is None else case.weight[counts]
    offset = None if case.offset is None else case.offset[counts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sm.GLM(
            case.y[counts], x, family=families[case.loss], offset=offset, freq_weights=weight
        ).fit(maxiter=200, tol=1e-13)
    theta = np.asarray(found.params, dtype=np.float64)[:, None]
    intercept = theta[0] if case.intercept else np.zeros(1)
    return theta[case.intercept * 1 :], intercept, "statsmodels' GLM"


def quantile_by_statsmodels(case: Case) -> tuple[Array, Array]:
    """Return statsmodels' quantile regression, which is iterated least squares and only near."""
    import statsmodels.api as sm

    x = np.hstack([np.ones((len(case.y), 1)), case.x])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.QuantReg(case.y, x)
        found = model.fit(q=case.params["q"], max_iter=5000, p_tol=1e-10)
    return found.params[1:, None], found.params[:1]
