"""Fits agree with independent solvers on the same objective to 1e-8; their certificates hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import losskit
from fit_cases import PIECES, Case, Verdict, case
from fit_judges import judge, tolerance
from fit_skglm import ANSWERS, CASES, GAMMA, case_of
from losskit import penalties
from losskit.fit.data.source import MemorySource
from losskit.fit.fitting import Fit, fit
from test_fit_judges import SMOOTH, parameters

TOL = 1e-9


def fitted(given: Case, penalty: Any = None, **options: Any) -> Fit:
    """Return losskit's fit of a case; a warning that it did not converge is an error."""
    if penalty is None and given.penalty is not None:
        penalty = {
            "l1": penalties.L1(),
            "l2": penalties.L2(),
            "elasticnet": penalties.ElasticNet(l1_ratio=given.l1_ratio),
        }[given.penalty]
    y = given.y.astype(int) if given.loss == "cross_entropy" else given.y
    source = MemorySource(given.x, y, weight=given.weight, offset=given.offset)
    loss = losskit.get(given.loss, **given.params)
    options = {"tol": TOL, "max_iter": 5000, "intercept": given.intercept, **options}
    return fit(source, loss, penalty, given.alpha, outputs=given.outputs, **options)


def agree(given: Case, found: Fit, verdict: Verdict) -> None:
    """Hold a fit against a judge: its objective, what it says of itself, its certificate."""
    objective = given.objective(found.coef, found.intercept)
    rounding = 1e-12 * max(1.0, abs(objective))
    assert abs(found.objective - objective) <= rounding
    above = objective - verdict.objective
    assert above >= -verdict.slack - rounding
    assert above <= tolerance(verdict)
    assert found.certificate.reached
    if "estimate" not in found.certificate.kind and "residual" not in found.certificate.kind:
        assert found.certificate.value >= above - verdict.slack - rounding


@pytest.mark.parametrize("given", parameters(SMOOTH, 5))
def test_smooth_losses(given: Case) -> None:
    agree(given, fitted(given), judge(given))


@pytest.mark.parametrize("given", parameters(tuple(PIECES), 9))
def test_losses_with_corners(given: Case) -> None:
    agree(given, fitted(given), judge(given))


SOLVERS = {
    "gram": ("l2", "l1", "elasticnet"),
    "lbfgs": ("l2", None),
    "newton_cholesky": ("l2", None),
    "working_set": ("l1", "elasticnet"),
    "coordinate_descent": ("l1", "elasticnet"),
    "fista": ("l2", "l1", "elasticnet"),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["plain", "sparse", "wide"])
def test_every_solver_finds_the_same(solver: str, kind: str) -> None:
    loss = "squared_error" if solver == "gram" else "logistic"
    for penalty in SOLVERS[solver]:
        if penalty is None and kind == "wide":
            continue
        given = case(loss, kind, penalty, 0.2, weighted=True)
        found = fitted(given, solver=solver)
        assert found.solver == solver
        agree(given, found, judge(given))


@pytest.mark.parametrize("name", CASES)
def test_skglm(name: str) -> None:
    given, concave = case_of(name)
    theirs = np.array(json.loads(ANSWERS.read_text())[name])[:, None]
    penalty = penalties.MCP(gamma=GAMMA) if concave else None
    found = fitted(given, penalty)

    def objective(coef: np.ndarray) -> float:
        if penalty is None:
            return given.objective(coef, np.zeros(1))
        values = given.rows(given.scores(coef, np.zeros(1)))[0]
        return float(given.share @ values) + penalty.value(coef[:, 0], given.alpha)

    assert found.objective == pytest.approx(objective(found.coef), abs=1e-12)
    assert found.objective <= objective(theirs) + 1e-8
    if not concave:
        assert found.objective >= objective(theirs) - 1e-8
    np.testing.assert_allclose(found.coef, theirs, atol=1e-4)
    assert ((found.coef != 0) == (theirs != 0)).all()


def test_an_offset_of_one_number_is_an_intercept() -> None:
    given = case("poisson", "plain", "l1", 0.2)
    found = fitted(given)
    moved = Case(**{**vars(given), "offset": np.full(len(given.y), 0.75)})
    again = fitted(moved)
    assert again.objective == pytest.approx(found.objective, abs=1e-9)
    np.testing.assert_allclose(again.intercept + 0.75, found.intercept, atol=1e-5)


def test_whole_weights_are_repeated_rows() -> None:
    given = case("logistic", "plain", "elasticnet", 0.2)
    times = np.random.default_rng(0).integers(0, 4, len(given.y))
    fields = {**vars(given), "weight": times.astype(float)}
    rows = np.repeat(np.arange(len(times)), times)
    repeated = Case(**{**vars(given), "x": given.x[rows], "y": given.y[rows]})
    one, other = fitted(Case(**fields)), fitted(repeated)
    assert one.objective == pytest.approx(other.objective, abs=1e-9)
    np.testing.assert_allclose(one.coef, other.coef, atol=1e-5)
