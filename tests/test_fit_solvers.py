"""Newton-Cholesky and FISTA: against each other, against independent minimisers, and errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

import losskit
from losskit import penalties
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Lanes, NotConverged, Options, fit
from losskit.fit.objective.baseline import start
from losskit.fit.objective.certificate import PRECISION, RESIDUAL
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.fista import FISTA
from losskit.fit.solvers.gradient_descent import GradientDescent
from losskit.fit.solvers.run import Recorder, drive

N, D = 240, 6
GROUPS = penalties.GroupLasso([0, 0, 1, 1, 2, 2])


def features(seed=0, n=N, d=D, rho=0.5):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d))
    for j in range(1, d):
        z[:, j] = rho * z[:, j - 1] + np.sqrt(1 - rho**2) * z[:, j]
    return z * np.logspace(-1, 1, d) + np.arange(d)


X = features()
_RNG = np.random.default_rng(1)
SCORES = (X - X.mean(0)) / X.std(0) @ np.array([1.0, -0.7, 0.0, 0.4, 0.0, 0.2])
BINARY = (_RNG.random(N) < 1 / (1 + np.exp(-SCORES))).astype(float)
REAL = SCORES + _RNG.standard_t(2, size=N)
COUNTS = _RNG.poisson(np.exp(SCORES / 2)).astype(float)
POSITIVE = np.exp(SCORES / 2) * _RNG.gamma(2.0, size=N)
CLASSES = np.digitize(SCORES + _RNG.logistic(size=N), [-0.7, 0.7])

TARGETS = {
    "binary_cross_entropy": BINARY,
    "squared_hinge": 2 * BINARY - 1,
    "smoothed_hinge": 2 * BINARY - 1,
    "exponential": 2 * BINARY - 1,
    "poisson": COUNTS,
    "negative_binomial": COUNTS,
    "gamma": POSITIVE,
    "tweedie": COUNTS,
    "squared_error": REAL,
    "huber": REAL,
    "log_cosh": REAL,
    "lp": REAL,
    "expectile": REAL,
    "linex": REAL / 4,
}
NOT_CONVEX = {"focal": BINARY, "cauchy": REAL, "inverse_gaussian": POSITIVE}


def solved(source, loss, penalty=None, alpha=0.0, **options):
    """Fit, which warns where the certificate is not reached; warnings are errors."""
    found = fit(source, loss, penalty, alpha, **{"tol": 1e-9, **options})
    assert found.certificate.reached
    return found


def slope_of(loss, y, X, found, outputs=1, weight=None, offset=0.0):
    """The derivative of the mean loss by coefficients and intercepts, by the loss alone."""
    f = X @ found.coef + found.intercept
    f = f[:, 0] if outputs == 1 else f
    g = loss.gradient(y, f + offset, raw=True, sample_weight=weight).reshape(len(y), outputs)
    return X.T @ g, g.sum(axis=0)


@pytest.mark.parametrize("alpha", [0.05, 0.0])
@pytest.mark.parametrize("name", TARGETS)
def test_newton_finds_what_lbfgs_finds(name, alpha):
    loss, source = losskit.get(name), MemorySource(X, TARGETS[name])
    penalty = penalties.L2() if alpha else None
    newton = solved(source, loss, penalty, alpha, solver="newton_cholesky")
    other = solved(source, loss, penalty, alpha, solver="lbfgs", tol=1e-11, max_iter=5000)
    room = abs(newton.certificate.target / 1e-9)
    assert newton.objective == pytest.approx(other.objective, abs=2e-9 * room)
    assert newton.n_iter < 40
    w, b = slope_of(loss, TARGETS[name], X, newton)
    assert np.abs(w + alpha * newton.coef).max() < 1e-3
    assert np.abs(b).max() < 1e-4


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_newton_goes_to_a_stationary_point_where_the_loss_is_not_convex(name):
    loss, y = losskit.get(name), NOT_CONVEX[name]
    found = solved(MemorySource(X, y), loss, penalties.L2(), 0.05, solver="newton_cholesky")
    assert found.certificate.kind == RESIDUAL
    w, b = slope_of(loss, y, X, found)
    assert np.abs(w + 0.05 * found.coef).max() < 1e-7
    assert np.abs(b).max() < 1e-8


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
}
SOLVERS = ["newton_cholesky", "fista"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_and_offsets_in_every_layout(layout, intercept, solver):
    rng = np.random.default_rng(2)
    thin = np.where(rng.random(X.shape) < 0.4, X, 0.0)
    count = rng.integers(0, 3, size=N)
    offset = rng.normal(size=N)
    loss, options = losskit.poisson, {"intercept": intercept, "max_iter": 5000, "tol": 1e-10}
    weighted = MemorySource(LAYOUTS[layout](thin), COUNTS, weight=count, offset=offset)
    found = solved(weighted, loss, penalties.L2(), 0.1, solver=solver, **options)
    repeated = MemorySource(
        np.repeat(thin, count, axis=0), np.repeat(COUNTS, count), offset=np.repeat(offset, count)
    )
    other = solved(repeated, loss, penalties.L2(), 0.1, solver="lbfgs", **options)
    np.testing.assert_allclose(found.coef, other.coef, atol=2e-4)
    w, b = slope_of(loss, COUNTS, thin, found, weight=count, offset=offset)
    assert np.abs(w + 0.1 * found.coef).max() < 1e-3
    if intercept:
        assert np.abs(b).max() < 1e-4
    else:
        assert found.intercept == 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision_stops_at_its_own_precision(solver):
    exact = solved(MemorySource(X, BINARY), losskit.logistic, penalties.L2(), 0.05)
    single = MemorySource(X.astype(np.float32), BINARY)
    found = solved(single, losskit.logistic, penalties.L2(), 0.05, solver=solver, tol=1e-12)
    assert found.certificate.kind == PRECISION
    assert found.objective == pytest.approx(exact.objective, rel=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [0.05, 0.0])
def test_several_outputs_that_meet_in_the_loss(solver, alpha):
    loss, source = losskit.softmax_cross_entropy, MemorySource(X, CLASSES)
    penalty = penalties.L2() if alpha else None
    options = {"outputs": 3, "tol": 1e-8, "max_iter": 5000}
    found = solved(source, loss, penalty, alpha, solver=solver, **options)
    other = solved(source, loss, penalty, alpha, solver="lbfgs", **options)
    assert found.objective == pytest.approx(other.objective, abs=1e-7)
    w, b = slope_of(loss, CLASSES, X, found, outputs=3)
    assert np.abs(w + alpha * found.coef).max() < 3e-3
    assert np.abs(b).max() < 1e-3


def test_newton_with_equal_columns_moves_both_alike_or_one_of_them():
    twice = np.hstack([X, X[:, :2], np.ones((N, 1))])
    for penalty, alpha in ((None, 0.0), (penalties.L2(), 0.01)):
        source = MemorySource(twice, BINARY)
        found = solved(source, losskit.logistic, penalty, alpha, solver="newton_cholesky")
        other = solved(source, losskit.logistic, penalty, alpha, solver="lbfgs", max_iter=5000)
        assert found.objective == pytest.approx(other.objective, abs=2e-9)
        assert np.abs(found.coef).max() < 1e3


def test_newton_with_more_columns_than_rows():
    wide = features(seed=3, n=30, d=60)
    source = MemorySource(wide, BINARY[:30])
    found = solved(source, losskit.logistic, penalties.L2(), 0.1, solver="newton_cholesky")
    w, _ = slope_of(losskit.logistic, BINARY[:30], wide, found)
    assert np.abs(w + 0.1 * found.coef).max() < 1e-6


def test_newton_on_separable_classes_drives_the_loss_to_0():
    y = (SCORES > 0).astype(float)
    found = solved(MemorySource(X, y), losskit.logistic, solver="newton_cholesky", tol=1e-6)
    assert found.objective < 1e-5


def test_newton_leaves_the_flat_zones_of_huber():
    loss, source = losskit.huber(delta=0.01), MemorySource(X, REAL)
    far = (np.full((D, 1), 50.0), np.array([-300.0]))  # where no row curves
    found = solved(source, loss, solver="newton_cholesky", begin=far, tol=1e-8)
    other = solved(source, loss, solver="lbfgs", max_iter=5000, tol=1e-8)
    assert found.objective == pytest.approx(other.objective, abs=1e-7)


def test_newton_ends_where_rounding_decides():
    source = MemorySource(X, REAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        found = fit(source, losskit.huber, solver="newton_cholesky", tol=1e-300)
    assert found.n_iter < 30


PENALTIES = {
    "l1": penalties.L1(),
    "elasticnet": penalties.ElasticNet(l1_ratio=0.3),
    "group": GROUPS,
    "nonnegative": penalties.NonNegative(),
    "box": penalties.Box(-0.05, 0.1),
    "mcp": penalties.MCP(),
    "scad": penalties.SCAD(),
    "l2": penalties.L2(),
}


@pytest.mark.parametrize("name", ["binary_cross_entropy", "poisson", "huber"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_fista_ends_at_a_fixed_point_of_proximal_steps(name, penalty):
    loss, chosen = losskit.get(name), PENALTIES[penalty]
    found = solved(MemorySource(X, TARGETS[name]), loss, chosen, 0.1, solver="fista", tol=1e-8)
    w, b = slope_of(loss, TARGETS[name], X, found)
    step = 1e-2
    moved = chosen.prox(found.coef - step * w, step, 0.1)
    assert np.abs(moved - found.coef).max() / step < 1e-3
    assert np.abs(b).max() < 1e-4
    if penalty in ("l1", "mcp", "scad", "group"):
        assert found.nonzeros < D
    falls = np.diff([step.objective for step in found.history])
    assert falls.max(initial=0.0) <= 1e-12


@pytest.mark.parametrize(("penalty", "bounds"), [("nonnegative", (0, None)), ("box", (-0.05, 0.1))])
def test_fista_agrees_with_bounded_minimisation_by_scipy(penalty, bounds):
    def objective(v):
        value, g = losskit.logistic.value_and_gradient(BINARY, X @ v[:-1] + v[-1], raw=True)
        return value, np.append(X.T @ g, g.sum())

    best = minimize(
        objective, np.zeros(D + 1), jac=True, method="L-BFGS-B",
        bounds=[bounds] * D + [(None, None)], options={"ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    source = MemorySource(X, BINARY)
    found = solved(source, losskit.logistic, PENALTIES[penalty], 1.0, solver="fista")
    assert found.objective == pytest.approx(best.fun, abs=1e-8)


def test_fista_agrees_with_working_sets():
    for name in ("binary_cross_entropy", "huber"):
        source = MemorySource(X, TARGETS[name])
        found = solved(source, losskit.get(name), penalties.L1(), 0.05, solver="fista")
        other = solved(source, losskit.get(name), penalties.L1(), 0.05, solver="working_set")
        assert found.objective == pytest.approx(other.objective, abs=1e-8)
        assert ((found.coef == 0) == (other.coef == 0)).all()


def test_fista_without_any_step_to_take():
    source = MemorySource(X, BINARY)
    (gradient,) = drive(source, [_at_origin(source)])
    top = penalties.L1().alpha_max(gradient)
    found = solved(source, losskit.logistic, penalties.L1(), 1.001 * top, solver="fista")
    assert not found.coef.any()
    assert found.n_iter <= 2


def _at_origin(source):
    baseline = yield from start(losskit.logistic, source, 1, -1, True)
    problem = Problem(losskit.logistic, None, 0.0, source.describe(), baseline)
    _, gradient = yield from problem.gradient(problem.origin())
    return gradient[:-1] * problem.scale[:, None]


def test_fista_needs_no_tuned_relaxation():
    source = MemorySource(X, COUNTS)
    objectives = [
        solved(
            source, losskit.poisson, GROUPS, 0.05, solver=FISTA(relax=r), max_iter=5000
        ).objective
        for r in (0.8, 1.0)
    ]
    assert objectives[0] == pytest.approx(objectives[1], abs=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_folds_in_lock_step_are_fits_without_their_rows(solver):
    fold = np.arange(N) % 3
    source = MemorySource(X, BINARY, fold=fold)
    options = Options(solver=solver, tol=1e-9, max_iter=5000)
    lanes = Lanes(source, losskit.logistic, penalties.L2(), (0, 1, -1), 1, options, None)
    for held, found in zip((0, 1, -1), lanes.at(0.05), strict=True):
        rows = fold != held
        alone = solved(MemorySource(X[rows], BINARY[rows]), losskit.logistic, penalties.L2(), 0.05)
        assert found.objective == pytest.approx(alone.objective, abs=3e-9)


@pytest.mark.parametrize(
    ("solver", "loss", "penalty", "missing"),
    [
        ("newton_cholesky", losskit.logistic, penalties.L1(), "no penalty but an L2 one"),
        ("newton_cholesky", losskit.hinge, penalties.L2(), "a loss without corners"),
        ("fista", losskit.hinge, penalties.L1(), "a loss without corners"),
        ("adam", losskit.logistic, GROUPS, "a penalty of single coefficients"),
        ("gradient_descent", losskit.quantile, None, "a loss without corners"),
    ],
)
def test_solvers_say_what_they_need(solver, loss, penalty, missing):
    y = 2 * BINARY - 1 if loss is losskit.hinge else BINARY
    with pytest.raises(ValueError, match=f"{solver}.* needs {missing}.*use solver='auto'"):
        fit(MemorySource(X, y), loss, penalty, 0.1, solver=solver)


class Stream(MemorySource):
    """A source that only sums."""

    offers = ()


@pytest.mark.parametrize("solver", ["sgd", "adagrad", "rmsprop", "adam"])
def test_streams_have_no_single_rows(solver):
    with pytest.raises(ValueError, match=r"single rows of the data in memory.*'lbfgs'"):
        fit(Stream(X, BINARY), losskit.logistic, solver=solver)


@pytest.mark.parametrize("solver", ["newton_cholesky", "fista", GradientDescent(standardized=True)])
def test_streams_are_fitted_all_the_same(solver):
    options = {"tol": 1e-5, "solver": solver}
    found = solved(Stream(X, BINARY), losskit.logistic, penalties.L2(), 0.1, **options)
    other = solved(MemorySource(X, BINARY), losskit.logistic, penalties.L2(), 0.1)
    assert found.objective == pytest.approx(other.objective, abs=1e-5)


def test_an_interrupted_newton_keeps_its_best_point():
    """A recorder that is asked to stop in the middle has what was reached until then."""
    source = MemorySource(X, COUNTS)
    seen = []

    def stop(progress):
        seen.append(progress.step.objective)
        if len(seen) == 3:
            raise KeyboardInterrupt

    found = fit(source, losskit.poisson, solver="newton_cholesky", progress=stop, tol=1e-12)
    assert not found.certificate.reached
    assert found.objective == min(seen)


def test_recorders_keep_no_trace_unless_asked():
    source = MemorySource(X, BINARY)
    assert solved(source, losskit.logistic, solver="newton_cholesky").trace == ()
    assert Recorder.__dataclass_fields__["trace"].default is None
