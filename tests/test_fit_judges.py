"""The judges of fits are right themselves: gaps, peers, and the formulas written out once more."""

from __future__ import annotations

import numpy as np
import pytest

import losskit
from fit_cases import KINDS, PIECES, Case, case
from fit_judges import judge
from fit_peers import huber_case, peer, quantile_by_statsmodels
from fit_polish import polished

SMOOTH = (
    "squared_error", "logistic", "cross_entropy", "poisson", "gamma", "tweedie", "huber",
    "squared_hinge", "negative_binomial",
)  # fmt: skip
PARAMS = {"quantile": {"q": 0.2}, "epsilon_insensitive": {"epsilon": 0.3}}


def cases(loss: str) -> list[Case]:
    """Return every case of a loss that has a minimum and a judge."""
    made = []
    for i, kind in enumerate(KINDS):
        for penalty in ("l2", "l1", "elasticnet", None):
            if penalty is None and kind in ("wide", "separable"):
                continue  # without end, or a minimum that rounding decides
            if loss in PIECES and (
                penalty == "elasticnet" or (penalty == "l2" and kind in ("scales", "separable"))
            ):
                continue  # no judge
            share = 1e-6 if (kind, penalty) == ("scales", "l2") else 0.1
            made.append(
                case(
                    loss, kind, penalty, share, weighted=i % 2 == 0, params=PARAMS.get(loss, {}),
                    intercept=kind != "correlated",
                )
            )  # fmt: skip
    return made


def parameters(losses: tuple[str, ...], every: int) -> list[object]:
    """Return all cases, of which one in `every` runs in every test run, the others when asked."""
    found = [one for loss in losses for one in cases(loss)]
    return [
        pytest.param(one, marks=() if i % every == 0 else (pytest.mark.slow,), id=repr(one))
        for i, one in enumerate(found)
    ]


@pytest.mark.parametrize("given", parameters((*SMOOTH, *PIECES), 7))
def test_a_judge_is_at_the_minimum(given: Case) -> None:
    verdict = judge(given)
    assert verdict.slack <= 1e-11 * (1 + abs(verdict.objective))
    # No point nearby is lower.
    rng = np.random.default_rng(0)
    for size in (1e-6, 1e-3, 1e-1):
        step = rng.normal(size=verdict.coef.shape) * size / (1e-300 + abs(given.x).max())
        move = rng.normal(size=verdict.intercept.shape) * size * given.intercept
        moved = given.objective(verdict.coef + step, verdict.intercept + move)
        assert moved >= verdict.objective - 1e-15 * (1 + abs(verdict.objective))


@pytest.mark.parametrize("given", parameters((*SMOOTH, *PIECES), 7))
def test_peers_minimise_the_same_objective(given: Case) -> None:
    found = peer(given)
    if found is None:
        return
    excess = given.objective(found[0], found[1]) - judge(given).objective
    # Without a penalty, statsmodels leaves duplicates, whose minima are a line, early.
    allowed = 2e-3 if given.penalty is None and given.name == "duplicated" else 1e-6
    assert -1e-11 <= excess <= allowed


@pytest.mark.parametrize("loss", [*SMOOTH, *PIECES])
def test_the_formulas_are_the_catalogue_s(loss: str) -> None:
    given = case(loss, "plain", None, params=PARAMS.get(loss, {}))
    rng = np.random.default_rng(1)
    f = rng.normal(0, 2, (len(given.y), given.outputs))
    own = losskit.get(loss, **given.params)
    y = given.y.astype(int) if loss == "cross_entropy" else given.y
    scores = f if given.outputs > 1 else f[:, 0]
    value, slope, bend = given.rows(f)
    options = {"raw": True, "reduction": "none"}
    np.testing.assert_allclose(own(y, scores, **options), value, rtol=1e-12, atol=1e-12)
    found = own.gradient(y, scores, **options).reshape(slope.shape)
    np.testing.assert_allclose(found, slope, rtol=1e-12, atol=1e-12)
    curved = np.einsum("nkk->nk", bend)
    found = own.hessian(y, scores, **options).reshape(curved.shape)
    np.testing.assert_allclose(found, curved, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_huber_regressor_solves_our_huber_loss(weighted: bool) -> None:
    rows = case("huber", "plain", None, weighted=weighted)
    given, (coef, intercept) = huber_case(rows, epsilon=1.35, alpha=0.5)
    excess = given.objective(coef, intercept) - judge(given).objective
    assert -1e-12 <= excess <= 1e-8


def test_quantile_regression_of_statsmodels_comes_near() -> None:
    given = case("quantile", "plain", None, params={"q": 0.2})
    verdict = judge(given)
    excess = given.objective(*quantile_by_statsmodels(given)) - verdict.objective
    assert -1e-12 <= excess <= 1e-5


def test_polishing_finds_the_minimum_from_a_bad_start() -> None:
    given = case("logistic", "correlated", "l1", 0.05)
    wanted = judge(given)
    rng = np.random.default_rng(2)
    coef, intercept = polished(given, rng.normal(size=wanted.coef.shape), np.zeros(1))
    assert given.objective(coef, intercept) == pytest.approx(wanted.objective, abs=1e-14)
    assert ((coef == 0) == (wanted.coef == 0)).all()


def test_a_judge_says_what_it_cannot_judge() -> None:
    with pytest.raises(AssertionError, match="no judge"):
        judge(case("hinge", "plain", "elasticnet"))
