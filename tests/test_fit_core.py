"""What fits stand on: sources, lock step, the two ends of a path, scales, what tolerance means."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import losskit
from losskit import penalties
from losskit.fit.data.designs import design
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Lanes, NotConverged, Options, default_alphas, fit, fit_path

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6))
Y = X @ RNG.normal(size=6) + RNG.normal(size=300)
LOSSES = {
    "squared_error": Y,
    "huber": Y,
    "binary_cross_entropy": (Y > 0).astype(float),
    "poisson": RNG.poisson(np.exp(0.3 * Y)).astype(float),
    "quantile": Y,
    "hinge": np.sign(Y),
}


class Stream:
    """A source of batches that offers nothing but the two methods every source has."""

    offers: tuple[str, ...] = ()

    def __init__(self, x: Any, y: Any, **rows: Any) -> None:
        self.whole = MemorySource(x, y, **rows)
        places = np.array_split(np.arange(len(y)), 4)
        self.parts = [self.whole.rows(place) for place in places]

    def describe(self) -> Any:
        return self.whole.describe()

    def reduce(self, kernel: Any, params: Any) -> Any:
        kernel = pickle.loads(pickle.dumps(kernel))
        answers = [part.reduce(kernel, params) for part in self.parts]
        return tuple(sum(each) for each in zip(*answers, strict=True))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("offset", [None, RNG.normal(size=300)], ids=["plain", "offset"])
def test_a_stream_is_fitted_like_memory(name, offset):
    y, weight = LOSSES[name], RNG.random(300)
    loss, penalty = losskit.get(name), penalties.L1
    rows = {"weight": weight, "offset": offset}
    there = fit(Stream(X, y, **rows), loss, penalty, 0.02, tol=1e-7)
    here = fit(MemorySource(X, y, **rows), loss, penalty, 0.02, tol=1e-7)
    assert there.solver == here.solver
    assert there.objective == pytest.approx(here.objective, abs=2 * here.certificate.target)
    assert there.baseline == pytest.approx(here.baseline, rel=1e-12)


def test_a_solver_that_needs_columns_says_that_a_stream_has_none():
    with pytest.raises(ValueError, match="columns of the data in memory, which this source"):
        fit(Stream(X, Y), losskit.huber, penalties.L1, 0.1, solver="coordinate_descent")


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("offset", [None, RNG.normal(size=300)], ids=["plain", "offset"])
def test_the_strong_end_of_a_path_is_the_best_constant_exactly(name, offset):
    loss, source = losskit.get(name), MemorySource(X, LOSSES[name], offset=offset)
    (top,) = default_alphas(source, loss, penalties.L1, count=1)
    for alpha in (top, 1.5 * top, 1e3 * top):
        found = fit(source, loss, penalties.L1, alpha)
        assert not found.coef.any()
        assert found.objective == found.baseline
    assert fit(source, loss, penalties.L1, 0.8 * top, tol=1e-8).nonzeros > 0
    if offset is None:
        best = losskit.get(name).optimal_constant(LOSSES[name], raw=True)
        assert found.intercept[0] == best


@pytest.mark.parametrize("name", ["squared_error", "binary_cross_entropy", "poisson"])
def test_the_weak_end_of_a_path_is_the_unpenalised_optimum(name):
    source = MemorySource(X, LOSSES[name])
    loss = losskit.get(name)
    free = fit(source, loss, None, tol=1e-12)
    for penalty in (penalties.L1, penalties.L2, penalties.MCP):
        assert fit(source, loss, penalty, 0.0, tol=1e-12).objective == pytest.approx(
            free.objective, rel=1e-12
        )


@pytest.mark.parametrize("name", ["squared_error", "huber", "binary_cross_entropy"])
def test_folds_in_lock_step_are_the_fits_of_their_rows(name):
    fold = np.arange(300) % 3
    y, loss = LOSSES[name], losskit.get(name)
    lanes = Lanes(
        MemorySource(X, y, fold=fold), loss, penalties.L1, (-1, 0, 1, 2), 1, Options(tol=1e-9), None
    )
    for alpha in (0.1, 0.01):
        together = lanes.at(alpha)
    for k, one in zip((-1, 0, 1, 2), together, strict=True):
        keep = fold != k
        alone = fit(MemorySource(X[keep], y[keep]), loss, penalties.L1, 0.01, tol=1e-9)
        assert one.objective == pytest.approx(alone.objective, rel=1e-8)
        assert one.coef == pytest.approx(alone.coef, abs=1e-3)


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("penalty", [penalties.L1, penalties.L2, None])
def test_far_means_and_odd_units_change_nothing(shift, kind, penalty):
    units = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6, 1.0])
    moved = (X + shift) * units
    for loss in (losskit.squared_error, losskit.huber):
        # What is sparse is never centred: means of 1e6 deviations cost six digits of the slopes.
        tol = 1e-4 if shift and kind is not np.asarray else 1e-8
        found = fit(MemorySource(kind(moved), Y), loss, penalty, 1e-3, tol=tol)
        scores = moved @ found.coef[:, 0] + found.intercept[0]
        paid = penalty.value(found.coef, 1e-3) if penalty is not None else 0.0
        assert loss(Y, scores) + paid == pytest.approx(found.objective, rel=1e-9)
        dense = fit(MemorySource(moved, Y), loss, penalty, 1e-3, tol=1e-8)
        assert found.objective == pytest.approx(dense.objective, abs=2 * found.certificate.target)


def test_a_loss_that_is_flat_far_out_leaves_the_constant():
    for alpha in (0.1, 0.01):
        found = fit(MemorySource(X, 1e4 * Y), losskit.huber, penalties.L1, alpha, tol=1e-6)
        assert found.certificate.reached
        assert found.objective < 0.9 * found.baseline


def test_an_exact_fit_is_converged():
    for loss in (losskit.squared_error, losskit.huber, losskit.absolute_error):
        assert fit(MemorySource(X, np.full(300, 0.1)), loss, penalties.L2, 0.1).certificate.reached


def test_one_row_is_enough():
    found = fit(MemorySource([[1.0]], [2.0], offset=[1.0]), losskit.squared_error, None)
    assert found.intercept[0] + found.coef[0, 0] == pytest.approx(1.0)


def test_what_is_not_reached_is_a_warning_with_the_certificate():
    with pytest.warns(NotConverged, match=r"duality gap .* \(NOT reached: tol asks for"):
        found = fit(
            MemorySource(X, Y), losskit.huber, penalties.L1, 1e-4, tol=1e-10, max_iter=1,
            solver="fista",
        )  # fmt: skip
    assert not found.certificate.reached


def test_a_gap_is_refused_where_there_is_none():
    for loss, penalty in ((losskit.cauchy, penalties.L1), (losskit.huber, penalties.MCP)):
        with pytest.raises(ValueError, match="is not convex, so there is no duality gap"):
            fit(MemorySource(X, Y), loss, penalty, 0.1, certificate="gap")


def test_a_certificate_bounds_what_is_left():
    for name in LOSSES:
        source, loss = MemorySource(X, LOSSES[name]), losskit.get(name)
        best = fit(source, loss, penalties.ElasticNet(l1_ratio=0.5), 0.05, tol=1e-10).objective
        for tol in (1e-1, 1e-3, 1e-5):
            found = fit(source, loss, penalties.ElasticNet(l1_ratio=0.5), 0.05, tol=tol)
            assert found.objective - best <= found.certificate.value + 1e-12
            assert found.certificate.value <= found.certificate.target


def test_a_path_is_the_fits_of_its_alphas():
    source = MemorySource(X, LOSSES["binary_cross_entropy"])
    loss = losskit.binary_cross_entropy
    for penalty in (penalties.L1, penalties.GroupLasso(groups=[0, 0, 1, 1, 2, 2])):
        for one in fit_path(source, loss, penalty, [0.1, 0.03, 0.0], tol=1e-8):
            alone = fit(source, loss, penalty, one.alpha, tol=1e-8)
            assert one.objective == pytest.approx(alone.objective, abs=2e-8)


def test_many_columns_in_odd_units_are_fitted_by_gradients():
    x = RNG.normal(size=(400, 150)) * 10.0 ** RNG.uniform(-6, 6, 150)
    y = (RNG.random(400) < 0.5).astype(float)
    for alpha in (1e-4, 10.0):
        found = fit(MemorySource(x, y), losskit.binary_cross_entropy, penalties.L2, alpha, tol=1e-6)
        assert found.solver == "lbfgs"
        assert found.certificate.reached
        assert found.n_iter < 100


@pytest.mark.parametrize(
    "kind", [np.asarray, np.asfortranarray, sparse.csr_array, sparse.csc_array]
)
def test_products_with_weights(kind):
    matrix, weight = design(kind(X)), RNG.random(300)
    some = np.array([4, 1])
    bordered = np.column_stack([X[:, some], np.ones(300)])
    wanted = X.T @ (weight[:, None] * bordered)
    assert matrix.columns(np.arange(6)).cross(weight, matrix.columns(some)) == pytest.approx(wanted)
    assert matrix.gram(weight, rough=False) == pytest.approx(X.T @ (weight[:, None] * X))
    assert matrix.gram(weight, rough=True) == pytest.approx(X.T @ (weight[:, None] * X), abs=1e-3)
