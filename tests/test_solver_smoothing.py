"""Smoothing against exact linear programs and SVMs; its duality gaps against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import losskit
from fit_cases import Case, case
from fit_judges import judge
from losskit import penalties
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Fit, Lanes, NotConverged, Options, fit, fit_path
from losskit.fit.objective.certificate import GAP, PRECISION, RESIDUAL, SMOOTHED
from losskit.fit.objective.dual import row_gaps
from losskit.fit.solvers.smoothing import Smoothing
from losskit.formula.expr import Unsupported

RNG = np.random.default_rng(0)
PENALTY = {"l1": penalties.L1(), "l2": penalties.L2(), None: None}


def fitted(given: Case, tol: float, **options) -> Fit:
    source = MemorySource(given.x, given.y, weight=given.weight, offset=given.offset)
    loss = losskit.get(given.loss, **given.params)
    options = {"solver": "smoothing", "intercept": given.intercept, **options}
    return fit(source, loss, PENALTY[given.penalty], given.alpha, tol=tol, **options)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize(
    "given",
    [
        case("quantile", "correlated", None, params={"q": 0.9}, weighted=True),
        case("quantile", "duplicated", None, params={"q": 0.1}),
        case("quantile", "offset", "l1", params={"q": 0.3}),
        case("hinge", "wide", "l1"),
        case("hinge", "plain", "l2", weighted=True),
        case("epsilon_insensitive", "sparse", "l2", params={"epsilon": 0.2}),
        case("absolute_error", "scales", "l1", intercept=False),
    ],
    ids=repr,
)
def test_certificates_hold_and_are_sharp_at_every_tolerance(given, tol):
    found, verdict = fitted(given, tol), judge(given)
    above = given.objective(found.coef, found.intercept) - verdict.objective
    rounding = 1e-12 * (1 + abs(verdict.objective))
    assert found.certificate.kind == GAP
    assert found.certificate.reached
    assert -verdict.slack - rounding <= above <= found.certificate.value + verdict.slack + rounding
    assert found.certificate.value <= found.certificate.target
    values = [step.certificate for step in found.history]
    assert values[0] >= values[-1]


def test_quantile_regression_of_2000_rows_reaches_the_linear_program():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 10))
    for j in range(1, 10):
        x[:, j] = 0.95 * x[:, j - 1] + np.sqrt(1 - 0.95**2) * x[:, j]
    x[:, 9] = x[:, 8]
    y = x @ rng.normal(size=10) + rng.standard_t(2, size=2000)
    given = Case(
        "two equal", "quantile", x, y, params={"q": 0.9}, weight=rng.exponential(size=2000)
    )
    found, verdict = fitted(given, 1e-8), judge(given)
    assert found.certificate.reached
    assert found.objective - verdict.objective <= 1e-8 * max(1.0, verdict.objective)


@pytest.mark.parametrize("rows", [160, 159])  # with an even number no target is the median
@pytest.mark.parametrize("share", [1.001, 5.0])
def test_a_strong_l1_gives_the_best_constant(share, rows):
    given = case("absolute_error", "plain", "l1", 1.0)
    x, y = given.x[:rows], given.y[:rows]
    slopes = np.sign(np.median(y) - y)
    top = np.abs((x - x[y == np.median(y)].sum(axis=0)).T @ slopes).max() / rows
    options = {"solver": "smoothing", "tol": 1e-6}
    found = fit(MemorySource(x, y), losskit.absolute_error, penalties.L1(), share * top, **options)
    assert not found.coef.any()
    assert found.n_iter == 1
    assert found.objective == pytest.approx(np.abs(y - np.median(y)).mean())
    near = fit(MemorySource(x, y), losskit.absolute_error, penalties.L1(), 0.98 * top, **options)
    assert near.coef.any()


def test_a_path_goes_on_from_where_it_stands():
    given = case("quantile", "plain", "l1")
    source, alphas = MemorySource(given.x, given.y), given.alpha * np.array([4.0, 1.0, 0.3])
    options = {"solver": "smoothing", "tol": 1e-7}
    path = fit_path(source, losskit.quantile, penalties.L1(), alphas, **options)
    for alpha, found in zip(alphas, path, strict=True):
        alone = fit(source, losskit.quantile, penalties.L1(), alpha, **options)
        assert found.objective == pytest.approx(alone.objective, abs=2e-7)
        assert found.certificate.reached


def test_folds_in_lock_step_are_fits_without_their_rows():
    given = case("hinge", "plain", "l2")
    fold = np.arange(len(given.y)) % 2
    source = MemorySource(given.x, given.y, fold=fold)
    options = Options(solver="smoothing", tol=1e-6)
    lanes = Lanes(source, losskit.hinge, penalties.L2(), (0, -1), 1, options, None)
    for held, found in zip((0, -1), lanes.at(given.alpha), strict=True):
        part = MemorySource(given.x[fold != held], given.y[fold != held])
        alone = fit(part, losskit.hinge, penalties.L2(), given.alpha, tol=1e-6)
        assert found.objective == pytest.approx(alone.objective, abs=2e-6)


def test_several_columns_of_targets_are_as_many_fits():
    given = case("absolute_error", "plain", "l2")
    y = np.stack([given.y, np.roll(given.y, 1)], axis=1)
    options = {"solver": "smoothing", "tol": 1e-8}
    loss, penalty = losskit.absolute_error, penalties.L2()
    both = fit(MemorySource(given.x, y), loss, penalty, 0.02, outputs=2, **options)
    for k in range(2):  # the mean is over elements, the penalty over all coefficients
        one = fit(MemorySource(given.x, y[:, k]), loss, penalty, 0.04, **options)
        np.testing.assert_allclose(both.coef[:, k], one.coef[:, 0], atol=1e-3)


@pytest.mark.parametrize(
    "penalty", [penalties.GroupLasso([0, 0, 1, 1] * 3), penalties.Box(-0.1, 0.2)]
)
def test_penalties_that_are_left_to_fista(penalty):
    given = case("absolute_error", "plain", "l2")
    source = MemorySource(given.x, given.y)
    found = fit(source, losskit.absolute_error, penalty, 0.02, solver="smoothing", tol=1e-3)
    assert found.certificate.kind == GAP
    step = 1e-3  # a step from the solution along any random direction does not descend by more
    for _ in range(200):
        coef = penalty.prox(found.coef + step * RNG.normal(size=found.coef.shape), 1e-9, 0.02)
        scores = given.x @ coef[:, 0] + found.intercept[0] + step * RNG.normal()
        value = np.abs(given.y - scores).mean() + penalty.value(coef, 0.02)
        assert value >= found.objective - found.certificate.value


def test_a_penalty_that_is_not_convex_has_a_residual():
    given = case("absolute_error", "plain", "l2")
    source = MemorySource(given.x, given.y)
    found = fit(source, losskit.absolute_error, penalties.MCP(), 0.05, solver="smoothing")
    assert found.certificate.kind == RESIDUAL
    assert "smoothing error" in found.certificate.note
    assert found.certificate.reached


def test_single_precision_ends_at_its_own():
    given = case("quantile", "plain", "l2")
    found = fitted(Case(**{**vars(given), "x": given.x.astype(np.float32)}), 1e-12)
    assert found.certificate.kind in (PRECISION, GAP)
    assert found.certificate.value <= 1e-5
    assert found.objective == pytest.approx(judge(given).objective, rel=1e-5)


def test_a_start_that_cannot_be_improved_is_the_end():
    y = np.where(RNG.random(50) < 0.5, 1.0, -1.0)
    found = fit(MemorySource(RNG.normal(size=(50, 3)), y), losskit.perceptron, solver="smoothing")
    assert found.objective == 0
    assert found.n_iter == 1


def test_few_iterations_leave_a_warning_that_names_the_gap():
    given = case("quantile", "correlated", None)
    with pytest.warns(NotConverged, match=f"{GAP}.*NOT reached") as caught:
        found = fitted(given, 1e-8, max_iter=5)
    assert len(caught) == 1
    assert found.objective - judge(given).objective <= found.certificate.value


def test_without_a_dual_point_the_smoothing_error_is_added(monkeypatch):
    monkeypatch.setattr("losskit.fit.solvers.smoothing._NEWTON", 3)
    given = case("quantile", "plain", None)
    found = fitted(given, 1e-3)
    assert found.certificate.kind in (SMOOTHED, RESIDUAL)
    assert "smoothing error" in found.certificate.note
    assert found.objective - judge(given).objective <= found.certificate.target


def test_a_gentler_sequence_ends_at_the_same():
    given = case("hinge", "correlated", "l1")
    values = []
    for factor in (3.0, 30.0):
        values.append(fitted(given, 1e-7, solver=Smoothing(factor=factor)).objective)
    assert values[0] == pytest.approx(values[1], abs=2e-7)


def test_what_cannot_be_smoothed_is_refused():
    x, y = RNG.normal(size=(30, 2)), RNG.random(30) + 0.5
    with pytest.raises(ValueError, match=r"smoothing.*needs a convex loss"):
        fit(MemorySource(x, y), losskit.smape, solver="smoothing")
    with pytest.raises(Unsupported, match="one target and one score"):
        fit(MemorySource(x, RNG.integers(3, size=30)), losskit.crammer_singer, outputs=3)


# --- gaps of rows ------------------------------------------------------------------------

Y, F = RNG.normal(size=400), 3 * RNG.normal(size=400)
SIGN = np.where(RNG.random(400) < 0.5, 1.0, -1.0)
SHARE = np.concatenate([[0.0, 1.0, 1e-16, 1 - 1e-16, 1e-9], RNG.random(395)])


def conjugates():
    """Pairs of loss, target, slopes in its range, and the conjugate there in closed form."""
    for q in (0.1, 0.5, 0.9):
        z = SHARE - q  # derivatives by the score: 1 − q above the target, −q below
        yield losskit.quantile(q=q), Y, z, z * Y
    yield losskit.absolute_error, Y, 2 * SHARE - 1, (2 * SHARE - 1) * Y
    yield losskit.hinge, SIGN, -SIGN * SHARE, -SHARE
    z = 2 * SHARE - 1
    yield losskit.epsilon_insensitive(epsilon=0.3), Y, z, z * Y + 0.3 * np.abs(z)
    z = 4 * SHARE - 2
    yield losskit.squared_error, Y, z, z * Y + z * z / 4


@pytest.mark.parametrize("given", list(conjugates()), ids=lambda given: repr(given[0]))
@pytest.mark.parametrize("reach", [1e-6, 1.0])
def test_gaps_of_rows_bound_the_conjugate_and_are_sharp(given, reach):
    loss, y, z, conjugate = given
    exact = loss(y, F, raw=True, reduction="none") + conjugate - z * F
    found = row_gaps(loss, y, z, F, reach)
    rounding = 1e-14 * (1 + np.abs(F) + np.abs(y))
    assert (found >= exact - rounding).all()
    assert (found <= exact * 1.0011 + rounding).all()


def test_gaps_of_slopes_that_a_loss_does_not_have_are_infinite():
    for loss, z in ((losskit.absolute_error, 1 + 1e-9), (losskit.quantile(q=0.9), -0.9 - 1e-9)):
        assert np.isinf(row_gaps(loss, Y[:3], np.full(3, z), F[:3], 1.0)).all()
