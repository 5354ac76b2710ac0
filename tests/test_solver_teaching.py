"""Gradient descent and its relatives: textbook steps, their optimum, schedules, divergence."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse

import losskit
from losskit import penalties
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Lanes, NotConverged, Options, fit
from losskit.fit.objective.baseline import start
from losskit.fit.objective.problem import Problem
from losskit.fit.solvers.fista import FISTA
from losskit.fit.solvers.gradient_descent import GradientDescent, Momentum, Nesterov
from losskit.fit.solvers.run import drive
from losskit.fit.solvers.schedules import Constant, Cosine, Inverse, StepDecay, WarmUp
from losskit.fit.solvers.smoothing import Smoothing
from losskit.fit.solvers.stochastic import SGD, AdaGrad, Adam, RMSProp

RNG = np.random.default_rng(0)
N = 300
X = RNG.normal(size=(N, 4)) * [1.0, 0.5, 2.0, 1.0] + [0.0, 1.0, 0.0, -0.5]
SCORES = X @ [1.0, -1.0, 0.3, 0.0]
BINARY = (RNG.random(N) < 1 / (1 + np.exp(-SCORES))).astype(float)
REAL = SCORES + RNG.normal(size=N)
COUNTS = RNG.poisson(np.exp(SCORES / 2)).astype(float)
CLASSES = np.digitize(SCORES, [-0.5, 0.5])
FULL = [GradientDescent, Momentum, Nesterov]
STOCHASTIC = [SGD, AdaGrad, RMSProp, Adam]
RATES = {SGD: None, AdaGrad: 0.5, RMSProp: 0.05, Adam: 0.05}  # for few steps


def walked(source, loss, penalty=None, alpha=0.0, **options):
    """Fit whether or not the certificate is reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConverged)
        return fit(source, loss, penalty, alpha, **options)


def best(source, loss, penalty=None, alpha=0.0, **options):
    return fit(source, loss, penalty, alpha, tol=1e-10, max_iter=5000, **options)


# --- the article's example 15: one point, and a whole line of minima ----------------------

POINT = MemorySource([[1.0]], [2.0])


@pytest.mark.parametrize("begin", [(0.0, 0.0), (3.0, -7.0), (-5.0, 1.0), (1.5, 0.5)])
@pytest.mark.parametrize("kind", FULL)
def test_a_line_of_minima_is_found_from_any_start(kind, begin):
    w, b = begin
    found = walked(POINT, losskit.squared_error, solver=kind(), begin=([[w]], [b]))
    assert found.coef[0, 0] + found.intercept[0] == pytest.approx(2.0, abs=1e-12)
    # Both slopes are equal, so that the point of the line that is nearest to the start is found.
    assert found.coef[0, 0] - found.intercept[0] == pytest.approx(w - b, abs=1e-12)
    assert found.certificate.reached


@pytest.mark.parametrize("begin", [(0.0, 0.0), (3.0, -7.0)])
@pytest.mark.parametrize(
    "solver", [SGD(), AdaGrad(1.0, epochs=500), RMSProp(0.1, epochs=500), Adam(0.1, epochs=500)]
)
def test_the_line_is_found_by_stochastic_ones_too(solver, begin):
    w, b = begin
    found = walked(POINT, losskit.squared_error, solver=solver, begin=([[w]], [b]))
    assert found.coef[0, 0] + found.intercept[0] == pytest.approx(2.0, abs=1e-3)
    assert found.coef[0, 0] - found.intercept[0] == pytest.approx(w - b, abs=1e-9)


# --- textbook steps, by hand -------------------------------------------------------------

BEGIN = (np.array([[0.5], [-0.2], [0.1], [0.3]]), np.array([0.4]))


def by_hand(theta, alpha=0.1):
    """The gradient of mean squared error + alpha/2·|w|² by (w, b)."""
    residual = X @ theta[:-1] + theta[-1] - REAL
    return np.append(2 * X.T @ residual / N + alpha * theta[:-1], 2 * residual.mean())


def trace_of(solver, **options):
    options = {"max_iter": 3, "begin": BEGIN, **options}
    source = MemorySource(X, REAL)
    found = walked(source, losskit.squared_error, penalties.L2(), 0.1, solver=solver, **options)
    made = np.stack([np.append(coef, intercept) for coef, intercept in found.trace])
    assert len(found.trace) == len(found.history)
    return made


def test_gradient_descent_steps_are_those_of_the_textbook():
    x = np.append(*BEGIN)
    for made in trace_of(GradientDescent(0.02)):
        np.testing.assert_allclose(made, x, rtol=1e-12)
        x = x - 0.02 * by_hand(x)


def test_momentum_steps_are_those_of_the_textbook():
    x, velocity = np.append(*BEGIN), 0.0
    for made in trace_of(Momentum(0.02, momentum=0.8)):
        np.testing.assert_allclose(made, x, rtol=1e-12)
        velocity = 0.8 * velocity - 0.02 * by_hand(x)
        x = x + velocity


def test_nesterov_steps_are_those_of_the_textbook():
    x, velocity = np.append(*BEGIN), 0.0
    for made in trace_of(Nesterov(0.02, momentum=0.8)):
        np.testing.assert_allclose(made, x, rtol=1e-12)
        velocity = 0.8 * velocity - 0.02 * by_hand(x + 0.8 * velocity)
        x = x + velocity


OWN = {"batch_size": N, "epochs": 3, "schedule": Constant()}  # whole batches: nothing is random


def test_stochastic_steps_of_whole_batches_are_those_of_the_textbook():
    x, velocity = np.append(*BEGIN), 0.0
    for made in trace_of(SGD(0.02, momentum=0.5, **OWN)):
        np.testing.assert_allclose(made, x, rtol=1e-12)
        velocity = 0.5 * velocity - 0.02 * by_hand(x)
        x = x + velocity
    x, squares = np.append(*BEGIN), 0.0
    for made in trace_of(AdaGrad(0.1, **OWN)):
        np.testing.assert_allclose(made, x, rtol=1e-7)
        squares = squares + by_hand(x) ** 2
        x = x - 0.1 * by_hand(x) / np.sqrt(squares)
    x, squares = np.append(*BEGIN), 0.0
    for made in trace_of(RMSProp(0.01, decay=0.7, **OWN)):
        np.testing.assert_allclose(made, x, rtol=1e-6)
        squares = 0.7 * squares + 0.3 * by_hand(x) ** 2
        x = x - 0.01 * by_hand(x) / np.sqrt(squares)
    x, mean, squares = np.append(*BEGIN), 0.0, 0.0
    for t, made in enumerate(trace_of(Adam(0.01, momentum=0.8, decay=0.9, **OWN)), start=1):
        np.testing.assert_allclose(made, x, rtol=1e-6)
        mean = 0.8 * mean + 0.2 * by_hand(x)
        squares = 0.9 * squares + 0.1 * by_hand(x) ** 2
        x = x - 0.01 * (mean / (1 - 0.8**t)) / np.sqrt(squares / (1 - 0.9**t))


def test_a_schedule_changes_the_rate_from_step_to_step():
    x = np.append(*BEGIN)
    for t, made in enumerate(trace_of(GradientDescent(0.04, schedule=StepDecay(2, 0.5)))):
        np.testing.assert_allclose(made, x, rtol=1e-12)
        x = x - 0.04 * 0.5 ** (t // 2) * by_hand(x)


def test_a_trace_is_kept_only_if_wanted():
    found = walked(MemorySource(X, REAL), losskit.squared_error, solver=SGD(epochs=2, trace=False))
    assert found.trace == ()


# --- where they lead ---------------------------------------------------------------------

CASES = {
    "logistic": (losskit.logistic, BINARY, None, 0.0),
    "ridge": (losskit.squared_error, REAL, penalties.L2(), 0.1),
    "lasso": (losskit.squared_error, REAL, penalties.L1(), 0.3),
    "counts": (losskit.poisson, COUNTS, penalties.ElasticNet(), 0.05),
    "robust": (losskit.huber, REAL, penalties.L2(), 0.05),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", FULL)
def test_full_batches_reach_their_certificate(kind, case):
    loss, y, penalty, alpha = CASES[case]
    source = MemorySource(X, y)
    found = fit(source, loss, penalty, alpha, solver=kind(), tol=1e-6, max_iter=3000)
    other = best(source, loss, penalty, alpha)
    room = found.certificate.target / 1e-6
    assert other.objective - 1e-12 <= found.objective <= other.objective + 1e-6 * room
    if penalty == penalties.L1():
        assert ((found.coef == 0) == (other.coef == 0)).all()
        assert (other.coef == 0).any()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", STOCHASTIC)
def test_mini_batches_come_near(kind, case):
    loss, y, penalty, alpha = CASES[case]
    source = MemorySource(X, y)
    solver = kind(RATES[kind], epochs=40, batch_size=16, random_state=0)
    found = walked(source, loss, penalty, alpha, solver=solver, tol=1e-6)
    other = best(source, loss, penalty, alpha)
    room = found.certificate.target / 1e-6
    assert other.objective - 1e-12 <= found.objective <= other.objective + 3e-3 * room


def test_weights_of_rows_count_in_batches_too():
    weight = np.where(X[:, 0] > 0, 3.0, 0.0) + (RNG.random(N) < 0.5)
    y = np.where(weight > 0, REAL, 1e3)  # what counts for nothing may be anything
    source = MemorySource(X, y, weight=weight)
    found = walked(source, losskit.squared_error, solver=SGD(epochs=60, random_state=1))
    other = best(source, losskit.squared_error)
    assert found.objective == pytest.approx(other.objective, rel=1e-3)


@pytest.mark.parametrize("make", [np.asfortranarray, sparse.csr_matrix, sparse.csc_matrix])
def test_batches_of_every_layout_are_the_same(make):
    solver = SGD(epochs=2, random_state=3)
    thin = np.where(RNG.random(X.shape) < 0.5, X, 0.0)
    found = [
        walked(MemorySource(x, REAL), losskit.huber, solver=solver) for x in (thin, make(thin))
    ]
    np.testing.assert_allclose(found[0].coef, found[1].coef, rtol=1e-9)


def test_single_precision_batches():
    source = MemorySource(X.astype(np.float32), BINARY)
    found = walked(source, losskit.logistic, solver=Adam(0.05, epochs=30, random_state=0))
    other = best(MemorySource(X, BINARY), losskit.logistic)
    assert found.objective == pytest.approx(other.objective, abs=1e-3)


@pytest.mark.parametrize("solver", [Nesterov(), SGD(epochs=60, batch_size=16, random_state=0)])
def test_several_outputs(solver):
    options = {"outputs": 3, "solver": solver, "tol": 1e-3}
    source = MemorySource(X, CLASSES)
    found = walked(source, losskit.softmax_cross_entropy, penalties.L2(), 0.01, **options)
    other = fit(source, losskit.softmax_cross_entropy, penalties.L2(), 0.01, outputs=3, tol=1e-8)
    assert found.objective == pytest.approx(other.objective, abs=5e-3)


@pytest.mark.parametrize(("loss", "y"), [(losskit.hinge, 2 * BINARY - 1), (losskit.quantile, REAL)])
def test_stochastic_slopes_of_losses_with_corners(loss, y):
    source = MemorySource(X, y)
    found = walked(source, loss, penalties.L2(), 0.05, solver=SGD(random_state=0, epochs=60))
    other = fit(source, loss, penalties.L2(), 0.05, tol=1e-6)
    assert found.objective == pytest.approx(other.objective, abs=5e-3)


def test_seeds_decide_the_order_of_rows():
    source = MemorySource(X, REAL)
    first, again, other = (
        walked(source, losskit.huber, solver=SGD(epochs=2, random_state=seed)).coef
        for seed in (5, 5, 6)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_standardized_coordinates_suit_columns_of_odd_units():
    odd = MemorySource(X * [1e3, 1.0, 1e-2, 1.0] + [0.0, 50.0, 0.0, 0.0], REAL)
    plain = walked(odd, losskit.squared_error, solver=GradientDescent(), max_iter=200)
    brought = walked(odd, losskit.squared_error, solver=GradientDescent(standardized=True))
    other = best(odd, losskit.squared_error)
    assert not plain.certificate.reached
    assert brought.certificate.reached
    assert brought.objective == pytest.approx(other.objective, abs=1e-3)


def test_without_an_intercept_none_is_walked():
    source = MemorySource(X, REAL)
    for solver in (GradientDescent(), SGD(epochs=30, random_state=0)):
        found = walked(source, losskit.squared_error, solver=solver, intercept=False)
        other = best(source, losskit.squared_error, intercept=False)
        assert found.intercept == 0
        assert found.objective == pytest.approx(other.objective, abs=1e-2)


def test_folds_in_lock_step_are_fits_without_their_rows():
    fold = np.arange(N) % 2
    source = MemorySource(X, BINARY, fold=fold)
    for solver in (GradientDescent(), Adam(0.05, epochs=40, random_state=0)):
        options = Options(solver=solver, tol=1e-2)
        lanes = Lanes(source, losskit.logistic, penalties.L2(), (0, 1), 1, options, None)
        for held, found in zip((0, 1), lanes.at(0.05), strict=True):
            rows = fold != held
            alone = best(
                MemorySource(X[rows], BINARY[rows]), losskit.logistic, penalties.L2(), 0.05
            )
            assert alone.objective <= found.objective + 1e-9 <= alone.objective + 7e-3


def test_batches_add_up_to_the_gradient():
    weight, offset = RNG.random(N), RNG.normal(size=N)
    source = MemorySource(X, BINARY, weight=weight, offset=offset, fold=np.arange(N) % 3)
    (baseline,) = drive(source, [start(losskit.logistic, source, 1, 1, True)])
    problem = Problem(losskit.logistic, None, 0.0, source.describe(), baseline, held=1)
    u = RNG.normal(size=(5, 1))
    parts = np.array_split(RNG.permutation(N), 6)
    made = drive(source, [problem.batch_gradient(u, index) for index in parts])
    ((_, whole),) = drive(source, [problem.gradient(u)])
    np.testing.assert_allclose(np.mean(made, axis=0), whole, atol=1e-12)


# --- what can go wrong -------------------------------------------------------------------


@pytest.mark.parametrize("loss", [losskit.squared_error, losskit.poisson, losskit.logistic])
@pytest.mark.parametrize("kind", [*FULL, SGD, RMSProp, Adam])  # AdaGrad's rate comes down
def test_divergence_is_told_and_leaves_no_nan(kind, loss):
    y = {losskit.poisson: COUNTS, losskit.logistic: BINARY}.get(loss, REAL)
    with pytest.warns(NotConverged, match=r"diverged with learning_rate=1e\+04: take a smaller"):
        found = fit(MemorySource(X, y), loss, solver=kind(1e4), max_iter=20)
    assert np.isfinite(found.coef).all()
    assert np.isfinite(found.objective)
    assert not found.certificate.reached


def test_default_rates_never_diverge_even_where_curvature_has_no_bound():
    steep = MemorySource(3 * X, np.exp(SCORES))
    for kind in FULL:
        found = walked(steep, losskit.poisson, solver=kind(), max_iter=300)
        assert "diverged" not in found.certificate.note
        assert found.objective < found.baseline


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GradientDescent(-1.0), "learning_rate is -1.0; needed is a positive number"),
        (lambda: Momentum(momentum=1.0), r"momentum is 1.0; needed is a number in \[0, 1\)"),
        (lambda: Adam(decay=-0.1), r"decay is -0.1; needed is a number in \[0, 1\)"),
        (lambda: SGD(batch_size=0), "batch_size is 0; needed is a whole number of at least 1"),
        (lambda: RMSProp(epochs=2.5), "epochs is 2.5; needed is a whole number of at least 1"),
        (lambda: FISTA(relax=0.0), r"relax is 0.0; needed is a number in \(0, 1\]"),
        (lambda: Smoothing(factor=1.0), "factor is 1.0; needed is a number above 1"),
        (lambda: StepDecay(every=0), "every is 0; needed is a positive number"),
        (lambda: StepDecay(factor=1.5), "factor is 1.5; needed is a number from 0 to 1"),
        (lambda: Cosine(length=math.inf), "length is inf; needed is a positive number"),
        (lambda: Inverse(rate=-1), "rate is -1; needed is a positive number"),
        (lambda: WarmUp(start=2), "start is 2; needed is a number from 0 to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_schedules_are_values():
    assert Inverse(0.1) == Inverse(0.1)
    assert len({Constant(), Constant(), Cosine(10)}) == 2
    assert pickle.loads(pickle.dumps(WarmUp(3, then=Cosine(7)))) == WarmUp(3, then=Cosine(7))
    assert Inverse(rate=1.0, power=0.5)(3.0) == 0.5
    assert Cosine(length=10, floor=0.1)(25.0) == pytest.approx(0.1)
    assert WarmUp(length=2, start=0.5, then=Inverse(1.0))(3.0) == 0.5
