"""Independent solutions of `fit_cases`: other people's solvers, brought to machine precision.

`judge(case)` gives the objective and coefficients to compare a fit with, and how far they may be
from the minimum at most. Smooth objectives come from scikit-learn or statsmodels where these
minimise the same one, and are polished by Newton's steps that keep to the signs found; piecewise
linear ones come from HiGHS (exact linear programs) or libsvm, polished by solving for the rows that
lie at a corner. `peer(case)` is the other library's own answer, unpolished.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from fit_cases import PIECES, Array, Case, lower_bound, pieces_of


@dataclass(frozen=True, eq=False)
class Verdict:
    """The minimum as an independent solver finds it; the true one is at most `slack` lower."""

    objective: float
    coef: Array
    intercept: Array
    who: str
    slack: float


def judge(case: Case) -> Verdict:
    """Return the minimum of a convex case, to machine precision."""
    if case.loss in PIECES:
        return _linear_program(case) if case.penalty in ("l1", None) else _quadratic_program(case)
    found = peer(case)
    d, k = case.x.shape[1], case.outputs
    start = (np.zeros((d, k)), np.zeros(k)) if found is None else found[:2]
    coef, intercept = polished(case, *start)
    who = "Newton" if found is None else f"{found[2]}, polished"
    return Verdict(
        case.objective(coef, intercept), coef, intercept, who, gap(case, coef, intercept)
    )


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
    from dataclasses import replace

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


# --- smooth objectives to machine precision ----------------------------------------------


def polished(case: Case, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Return the minimum by proximal Newton steps, then plain ones with the signs found.

    Steps lower the objective as long as that can be seen to fall, the last ones the violation of
    the optimality conditions, which goes on where the objective is flat to the last digit.
    """
    point = _Point(case)
    theta = np.vstack([coef, intercept]) * point.size
    best = point.objective(theta)
    for _ in range(200):
        gradient, hessian = point.derivatives(theta)
        step = _model_minimum(hessian, gradient, theta[point.free], *point.strengths)
        length = 1.0
        while length > 1e-10:
            trial = theta.copy()
            trial[point.free] += length * step
            value = point.objective(trial)
            if value < best:
                break
            length /= 4
        else:
            break
        theta, best = trial, value
    wrong = point.violation(theta)
    for _ in range(20):
        gradient, hessian = point.derivatives(theta)
        now = theta[point.free]
        moved = _signed_step(hessian, gradient, now, *point.strengths)
        if moved is None:
            break
        trial = theta.copy()
        trial[point.free] += moved
        if (np.sign(trial) != np.sign(theta))[point.penalised].any():
            break
        less = point.violation(trial)
        if not less < wrong:
            break
        theta, wrong = trial, less
    theta = theta / point.size
    return theta[:-1], theta[-1]


class _Point:
    """A case in columns of unit size, so that units do not matter: theta is (d + 1, K)."""

    def __init__(self, case: Case) -> None:
        self.case = case
        x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
        size = np.sqrt(case.share @ x**2)
        self.size = np.append(np.where(size > 0, size, 1.0), 1.0)[:, None]
        self.x = np.hstack([x, np.ones((len(case.y), 1))]) / self.size.T
        shape = (x.shape[1] + 1, case.outputs)
        self.free, self.penalised = np.ones((2, *shape), dtype=bool)
        self.free[-1], self.penalised[-1] = case.intercept, False
        l1, l2 = case.strengths
        l1s, l2s = l1 / self.size * self.penalised, l2 / self.size**2 * self.penalised
        self.strengths = l1s[self.free], l2s[self.free]

    def objective(self, theta: Array) -> float:
        theta = theta / self.size
        return self.case.objective(theta[:-1], theta[-1])

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Return slope and curvature of the mean loss by what is free."""
        raw, share = theta / self.size, self.case.share
        _, slopes, bends = self.case.rows(self.case.scores(raw[:-1], raw[-1]))
        slopes = np.where(share[:, None] > 0, slopes, 0)
        gradient = (self.x.T @ (share[:, None] * slopes))[self.free]
        return gradient, _hessian(self.x, share, bends, self.free)

    def violation(self, theta: Array) -> float:
        """Return the largest violation of the optimality conditions."""
        l1, l2 = self.strengths
        now, (gradient, _) = theta[self.free], self.derivatives(theta)
        pull = gradient + l2 * now
        moving = np.abs(pull + l1 * np.sign(now))
        return float(np.where(now != 0, moving, np.maximum(np.abs(pull) - l1, 0)).max())


def _model_minimum(hessian: Array, gradient: Array, now: Array, l1: Array, l2: Array) -> Array:
    """Return the step to the least second-order model plus penalties, by coordinate descent."""
    if not l1.any():
        return -_solve(hessian + np.diag(l2), gradient + l2 * now)
    diagonal = np.diagonal(hessian) * (1 + 1e-10) + 1e-14
    at, pull = now.copy(), gradient.copy()
    for sweep in range(400):
        largest = 0.0
        for j in range(now.size):
            aim = diagonal[j] * at[j] - pull[j]
            new = math.copysign(max(abs(aim) - l1[j], 0.0), aim) / (diagonal[j] + l2[j])
            if new != at[j]:
                pull += hessian[:, j] * (new - at[j])
                largest = max(largest, abs(new - at[j]))
                at[j] = new
        if largest <= 1e-14 * (1 + np.abs(at).max()):
            break
        if sweep % 20 == 19:  # the signs may have settled: then it is a linear system
            moved = _signed_step(hessian, gradient + hessian @ (at - now), at, l1, l2)
            if moved is not None and (np.sign(at + moved) == np.sign(at))[l1 > 0].all():
                trial = gradient + hessian @ (at + moved - now)
                rest = (at == 0) & (l1 > 0)
                if (np.abs(trial[rest]) <= l1[rest]).all():
                    return at + moved - now
    return at - now


def _signed_step(hessian: Array, gradient: Array, now: Array, l1: Array, l2: Array) -> Array | None:
    """Return Newton's step of what is not held at 0, for the signs that it has."""
    active = (now != 0) | (l1 == 0)
    if not active.any():
        return None
    pull = (gradient + l2 * now + l1 * np.sign(now))[active]
    moved = np.zeros(now.shape)
    moved[active] = -_solve((hessian + np.diag(l2))[np.ix_(active, active)], pull)
    return moved


def _hessian(x: Array, shares: Array, bends: Array, active: Array) -> Array:
    d, k = active.shape
    full = np.zeros((d, k, d, k))
    for i in range(k):
        for j in range(k):
            weight = np.where(shares > 0, shares * np.where(shares > 0, bends[:, i, j], 0), 0)
            full[:, i, :, j] = x.T @ (weight[:, None] * x)
    flat = active.ravel()
    return full.reshape(d * k, d * k)[np.ix_(flat, flat)]


def _solve(matrix: Array, right: Array) -> Array:
    scale = np.sqrt(np.maximum(np.diagonal(matrix), 0))
    scale = np.where(scale > 0, scale, 1.0)
    return np.linalg.lstsq(matrix / scale / scale[:, None], right / scale, rcond=1e-13)[0] / scale


def gap(case: Case, coef: Array, intercept: Array) -> float:
    """Return by how much the objective may exceed the minimum of a convex case.

    A duality gap, plus the Newton decrement of directions without a penalty (an estimate).
    """
    shares = case.share
    values, slopes, bends = case.rows(case.scores(coef, intercept))
    counts = shares > 0
    slopes = shares[:, None] * np.where(counts[:, None], slopes, 0)
    g = np.asarray(case.x.T @ slopes)
    l1, l2 = case.strengths
    x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
    x = np.hstack([x, np.ones((len(case.y), 1))])
    loose = np.vstack([g + l2 * coef, slopes.sum(axis=0) * case.intercept])
    open_ = np.zeros(loose.shape, dtype=bool)
    open_[-1] = case.intercept
    if case.penalty is None:
        open_[:-1] = True
    rest = loose[open_]
    bound = 0.0
    if rest.size:
        bound = 0.5 * float(rest @ _solve(_hessian(x, shares, bends, open_), rest))
    if l2 and not l1:
        bound += float(((g + l2 * coef) ** 2).sum()) / (2 * l2)
    elif l1:
        c = 1.0 if l2 else min(1.0, l1 / max(np.abs(g).max(), 1e-300))
        paid = l1 * np.abs(coef) + l2 / 2 * coef**2 + c * g * coef
        over = np.maximum(np.abs(c * g) - l1, 0) ** 2 / (2 * l2) if l2 else np.zeros(g.shape)
        bound += float((paid + over).sum())
        if c < 1:
            bound += (1 - c) * (float(shares[counts] @ values[counts]) - lower_bound(case))
    return max(bound, 0.0)


# --- piecewise linear losses -------------------------------------------------------------


def _linear_program(case: Case) -> Verdict:
    """Minimise Σ share·t + l1·Σ u with t above every piece and u above ±w, by HiGHS."""
    x = sp.csr_array(case.x)
    n, d = x.shape
    l1, _ = case.strengths
    ones = sp.csr_array(np.ones((n, 1)))
    offset = np.zeros(n) if case.offset is None else case.offset
    above, right = [], []
    for slope, start in pieces_of(case.loss, case.params, case.y):
        d_slope = sp.diags_array(slope)
        above.append(
            sp.hstack([d_slope @ x, d_slope @ ones, -sp.eye_array(n), sp.csr_array((n, d))])
        )
        right.append(-(start + slope * offset))
    for sign in (1, -1):
        above.append(sp.hstack([
            sign * sp.eye_array(d), sp.csr_array((d, 1 + n)), -sp.eye_array(d),
        ]))  # fmt: skip
        right.append(np.zeros(d))
    cost = np.concatenate([np.zeros(d + 1), case.share, np.full(d, l1)])
    bounds = [(None, None)] * d + [(None, None) if case.intercept else (0, 0)]
    bounds += [(None, None)] * n + [(0, None)] * d
    found = linprog(
        cost, sp.vstack(above).tocsr(), np.concatenate(right), bounds=bounds, method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    if found.status != 0:
        raise AssertionError(f"HiGHS on {case!r}: {found.message}")
    coef, intercept = found.x[:d, None], found.x[d : d + 1]
    value = case.objective(coef, intercept)
    return Verdict(value, coef, intercept, "HiGHS", abs(value - _dual_value(case, found)))


def _dual_value(case: Case, found: Any) -> float:
    """Return the value of the dual program at HiGHS's multipliers, a bound from below."""
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    pieces = pieces_of(case.loss, case.params, case.y)
    n = len(case.y)
    multipliers = -found.ineqlin.marginals[: n * len(pieces)].reshape(len(pieces), n)
    return float(sum(m @ (b + a * offset) for m, (a, b) in zip(multipliers, pieces, strict=True)))


def _quadratic_program(case: Case) -> Verdict:
    """Solve for the slopes of the rows at a corner, which are found by smoothing ever less."""
    if case.strengths[0] or case.penalty is None:
        raise AssertionError(f"no judge for {case!r}: an elastic net on a piecewise linear loss")
    x = np.asarray(case.x.todense()) if sp.issparse(case.x) else case.x
    kinks, slopes = _corners(case)
    share = case.share
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    found = peer(case)
    starts = [] if found is None else [np.append(found[0], found[1])]
    best: Verdict | None = None
    for start in [*starts, *_smoothed_starts(case, x, kinks, slopes)]:
        scores = x @ start[:-1] + start[-1] + offset
        distance = np.abs(scores[:, None] - kinks)
        for near in np.logspace(-9, -1, 17):
            at = (distance.min(axis=1) < near * (1 + np.abs(case.y))) & (share > 0)
            point = _at_corners(case, x, scores, at, kinks, slopes)
            if point is not None and (best is None or point.slack < best.slack):
                best = point
        if best is not None and best.slack <= 1e-12 * (1 + abs(best.objective)):
            return best
    raise AssertionError(f"no judge for {case!r}: gap {best and best.slack}")


def _corners(case: Case) -> tuple[Array, Array]:
    """Return where each row's corners are (n, c), and its slopes between them (n, c + 1)."""
    pieces = pieces_of(case.loss, case.params, case.y)
    slopes = np.stack([p[0] for p in pieces], axis=1)
    starts = np.stack([p[1] for p in pieces], axis=1)
    order = np.argsort(slopes, axis=1, kind="stable")
    slopes, starts = (np.take_along_axis(a, order, axis=1) for a in (slopes, starts))
    kinks = -np.diff(starts, axis=1) / np.diff(slopes, axis=1)
    return kinks, slopes


def _smoothed_starts(case: Case, x: Array, kinks: Array, slopes: Array) -> Any:
    """Yield minima of the objective with corners rounded by ever less, by Newton's method."""
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    jumps, share, l2 = np.diff(slopes, axis=1), case.share, case.strengths[1]
    x = np.hstack([x, np.full((len(case.y), 1), 1.0 * case.intercept)])
    ridge = np.append(np.full(x.shape[1] - 1, l2), 0.0)
    theta = np.zeros(x.shape[1])

    def look(at: Array, width: float) -> tuple[float, Array, Array]:
        r = (x @ at + offset)[:, None] - kinks
        root = np.hypot(r, width)
        line = slopes[:, 0] * (r[:, 0] + kinks[:, 0])
        value = share @ (line + (jumps * (r + root) / 2).sum(axis=1))
        pull = share * (slopes[:, 0] + (jumps * (1 + r / root) / 2).sum(axis=1))
        bend = share * (jumps * width**2 / root**3 / 2).sum(axis=1)
        hessian = x.T @ (bend[:, None] * x) + np.diag(ridge)
        return float(value + ridge / 2 @ at**2), x.T @ pull + ridge * at, hessian

    for width in np.logspace(1, -9, 31):
        value, gradient, hessian = look(theta, width)
        for _ in range(50):
            step, length = -_solve(hessian, gradient), 1.0
            while length > 1e-9 and not look(theta + length * step, width)[0] < value:
                length /= 3
            if length <= 1e-9:
                break
            theta = theta + length * step
            value, gradient, hessian = look(theta, width)
        if width < 1e-2:
            yield theta


def _at_corners(
    case: Case, x: Array, scores: Array, at: Array, kinks: Array, slopes: Array
) -> Verdict | None:
    """Return the optimum where just the rows `at` lie at their nearest corners, if there is one.

    Stationarity makes w a sum of rows, w = −Σ share·slope·x/l2, with the known slopes of rows away
    from corners, and those of the others and the intercept from f = corner: a linear system.
    """
    l2, share = case.strengths[1], case.share
    offset = np.zeros(len(case.y)) if case.offset is None else case.offset
    row = np.arange(len(case.y))
    place = np.abs(scores[:, None] - kinks).argmin(axis=1)
    slope = slopes[row, (scores[:, None] > kinks).sum(axis=1)]
    known = np.where(at, 0.0, share * slope)
    m = int(at.sum())
    if m > 4 * x.shape[1] + 8:
        return None
    gram = x[at] @ (x[at].T * share[at]) / -l2
    matrix = np.zeros((m + 1, m + 1))
    matrix[:m, :m] = gram
    matrix[:m, m] = case.intercept
    matrix[m, :m] = share[at] * case.intercept
    matrix[m, m] = 1.0 - case.intercept
    base = x.T @ known / -l2
    right = np.append(
        kinks[at, place[at]] - offset[at] - x[at] @ base, -known.sum() * case.intercept
    )
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    dual = slope.copy()
    dual[at] = np.clip(solution[:m], slopes[at, place[at]], slopes[at, place[at] + 1])
    coef = -(x.T @ (share * dual)) / l2
    intercept = solution[m] if case.intercept else 0.0
    value = case.objective(coef[:, None], np.array([intercept]))
    unbalanced = abs(float(share @ dual)) * case.intercept
    # ℓ*(s) = s·f − ℓ(f) at a corner f whose slopes enclose s: the dual value at these slopes.
    inner = np.clip((dual[:, None] > slopes).sum(axis=1) - 1, 0, kinks.shape[1] - 1)
    corner = kinks[row, inner]
    at_corner = case.rows(corner[:, None])[0]
    conjugate = dual * corner - at_corner
    lower = -float(share @ (conjugate - dual * offset)) - l2 / 2 * float(coef @ coef)
    slack = value - lower + unbalanced * (1 + abs(intercept))
    return Verdict(value, coef[:, None], np.array([intercept]), "KKT system", abs(slack))


def tolerance(verdict: Verdict) -> float:
    """Return by how much a fit's objective may differ: 1e-8 of it, and the judge's own slack."""
    return (
        1e-8 * max(1.0, abs(verdict.objective)) + verdict.slack
        if math.isfinite(verdict.slack)
        else math.nan
    )
