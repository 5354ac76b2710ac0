"""Coordinate-descent kernels: both tiers against optimality conditions and other solvers."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet

from losskit import penalties
from losskit.backends import descent
from losskit.backends import numba as numba_tier
from losskit.backends.descent import columns, quadratic
from losskit.fit.objective.quadratics import (
    lasso,
    least_norm,
    newton_step,
    prox_of,
    solve_semidefinite,
)

KINDS = ("random", "correlated", "duplicated", "scaled", "wide")
PENALTIES = {
    "L1": penalties.L1,
    "L2": penalties.L2,
    "ElasticNet": penalties.ElasticNet(l1_ratio=0.3),
    "MCP": penalties.MCP(gamma=2.5),
    "SCAD": penalties.SCAD,
    "Box": penalties.Box(lower=-0.2, upper=0.1),
    "NonNegative": penalties.NonNegative,
}
L1 = prox_of(penalties.L1)


def data(kind, n=120, d=30, seed=0):
    rng = np.random.default_rng(seed)
    d = 2 * n if kind == "wide" else d
    X = rng.normal(size=(n, d))
    if kind == "correlated":
        X = np.sqrt(0.05) * X + np.sqrt(0.95) * rng.normal(size=(n, 1))
    y = X[:, :6] @ rng.normal(size=min(6, d)) + rng.normal(size=n)
    if kind == "duplicated":
        X[:, 5], X[:, 9], X[:, 7] = X[:, 3], -X[:, 3], 0.0
    if kind == "scaled":
        X *= 10.0 ** rng.uniform(-6, 6, d)
    return X, y


def model(X, y):
    """Return G, b and the roots of G's diagonal (1 for 0) of ½ mean (y − Xw)²."""
    G = X.T @ X / len(y)
    size = np.sqrt(np.diagonal(G))
    return G, X.T @ y / len(y), np.where(size > 0, size, 1.0)


@pytest.fixture(params=["compiled", "plain"])
def tier(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(numba_tier, "available", lambda: False)
    descent._kernel.cache_clear()
    yield request.param
    descent._kernel.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PENALTIES)
def test_quadratic_ends_where_the_penalty_balances_the_slope(kind, name):
    X, y = data(kind, n=60 if kind == "wide" else 120)
    G, b, size = model(X, y)
    G, b = np.ascontiguousarray(G / size / size[:, None]), b / size
    penalty, alpha = PENALTIES[name], 0.2 * np.abs(b).max()
    start = np.zeros(len(b))
    found = quadratic(G, -b, start, prox_of(penalty), alpha, tol=1e-13, max_sweeps=50_000)
    assert found.largest <= 1e-13
    np.testing.assert_allclose(found.slope, G @ found.weights - b, atol=1e-13)
    assert penalty.distance(found.weights, found.slope, alpha).max() <= 1e-11
    if name not in ("Box", "NonNegative"):  # all weights are a part of what they allow
        again = quadratic(G, found.slope, found.weights, prox_of(penalty), alpha, tol=1e-13)
        np.testing.assert_allclose(again.weights, found.weights, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.001])
def test_lasso_has_scikit_learns_objective(kind, l1_ratio, share):
    X, y = data(kind)
    G, b, size = model(X, y)
    scaled, b = X / size, b / size
    G = np.ascontiguousarray(G / size / size[:, None])
    alpha = share * np.abs(b).max() / l1_ratio
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    ours = lasso(G + l2 * np.eye(len(b)), -b, np.zeros(len(b)), l1, tol=1e-14)
    theirs = ElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-13, max_iter=1_000_000
    ).fit(scaled, y)

    def objective(w):
        r = y - scaled @ w
        return r @ r / (2 * len(y)) + l1 * np.abs(w).sum() + l2 / 2 * (w @ w)

    assert objective(ours.weights) <= objective(theirs.coef_) + 1e-13 * objective(np.zeros(len(b)))
    slope = scaled.T @ (scaled @ ours.weights - y) / len(y)
    penalty = penalties.ElasticNet(l1_ratio=l1_ratio)
    assert penalty.distance(ours.weights, slope, alpha).max() <= 1e-12
    if kind != "duplicated" and not (kind == "wide" and l1_ratio == 1.0 and share < 0.05):
        np.testing.assert_allclose(ours.weights, theirs.coef_, atol=1e-7)


def test_units_of_columns_do_not_matter():
    X, y = data("correlated")
    G, b, size = model(X, y)
    l1 = 0.1 * np.abs(b / size).max() * size
    units = 2.0 ** np.random.default_rng(1).integers(-30, 30, len(b))
    other_G, nothing = np.ascontiguousarray(G * units * units[:, None]), np.zeros(len(b))
    for tol in (1e-2, 1e-5, 1e-8):
        plain = quadratic(G, -b, nothing, L1, l1, tol=tol)
        other = quadratic(other_G, -b * units, nothing, L1, l1 * units, tol=tol)
        assert (other.sweeps, other.largest) == (plain.sweeps, plain.largest)
        np.testing.assert_array_equal(other.weights * units, plain.weights)
        assert 0 < plain.largest <= tol
    assert plain.sweeps > 20
    exact = lasso(other_G, -b * units, nothing, l1 * units, tol=1e-14)
    np.testing.assert_allclose(exact.weights * units, plain.weights, atol=1e-6)


def test_nearly_dependent_columns_need_few_sweeps():
    X, y = data("random")
    X[:, 1:] = X[:, :1] + 1e-4 * X[:, 1:]
    G, b, _ = model(X, y)
    l1 = 1e-7 * np.abs(b).max()
    found = lasso(G, -b, np.zeros(len(b)), l1, tol=1e-12)
    assert found.largest <= 1e-12
    assert found.sweeps < 200
    slope = X.T @ (X @ found.weights - y) / len(y)
    rounding = 1e-15 * (np.abs(G) @ np.abs(found.weights)).max()
    assert rounding < 0.01 * l1
    assert penalties.L1.distance(found.weights, slope, l1).max() <= rounding
    alone = quadratic(G, -b, np.zeros(len(b)), L1, l1, tol=1e-12, max_sweeps=20_000)
    assert alone.largest > 1e-12  # sweeps alone do not get there


def test_a_newton_step_never_raises_the_objective():
    rng = np.random.default_rng(0)
    for seed in range(50):
        X, y = data(("random", "correlated", "duplicated")[seed % 3], d=12, seed=seed)
        G, b, _ = model(X, y)
        l1 = np.where(rng.random(12) < 0.2, 0.0, 0.3 * rng.random())
        w = np.where(rng.random(12) < 0.3, 0.0, rng.normal(size=12))
        made, slope, _ = newton_step(G, G @ w - b, w, l1)

        def objective(u, G=G, b=b, l1=l1):
            return u @ G @ u / 2 - b @ u + l1 @ np.abs(u)

        assert objective(made) <= objective(w) + 1e-13
        assert (made[l1 > 0] * w[l1 > 0] >= 0).all()  # no sign changes, and who would stops at 0
        np.testing.assert_allclose(slope, G @ made - b, atol=1e-12)


# --- coordinates of a kind


def test_python_runs_the_same_text(monkeypatch):
    X, y = data("correlated")
    G, b, _ = model(X, y)

    def run():
        descent._kernel.cache_clear()
        found = [
            columns(
                form(X), -y, np.ones(len(y)), np.zeros(len(b)), L1, 0.05, total=float(len(y)),
                intercept=True, tol=1e-10,
            )
            for form in (np.asfortranarray, sp.csc_array)
        ]  # fmt: skip
        return [quadratic(G, -b, np.full(len(b), 0.01), L1, 0.05, tol=1e-10), *found]

    compiled = run()
    monkeypatch.setattr(numba_tier, "available", lambda: False)
    plain = run()
    descent._kernel.cache_clear()
    for one, other in zip(compiled, plain, strict=True):
        assert one.sweeps == other.sweeps
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-12)
    np.testing.assert_allclose(plain[1].weights, plain[2].weights, atol=1e-9)


def test_a_matrix_of_float32_is_computed_with_in_float64():
    X, y = data("random")
    G, b, _ = model(X, y)
    narrow = G.astype(np.float32)
    one = quadratic(narrow, -b, np.zeros(len(b)), L1, 0.05, tol=1e-13)
    other = quadratic(narrow.astype(np.float64), -b, np.zeros(len(b)), L1, 0.05, tol=1e-13)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-13)


def test_few_of_many_coordinates_are_gathered():
    # 400 coordinates of which a few leave zero: the small matrix grows, and is right.
    X, y = data("random", n=300, d=400)
    G, b, _ = model(X, y)
    for share in (0.9, 0.5, 0.3, 0.15):
        alpha = share * np.abs(b).max()
        found = quadratic(G, -b, np.zeros(400), L1, alpha, tol=1e-13)
        assert 0 < np.count_nonzero(found.weights) < 200
        assert penalties.L1.distance(found.weights, G @ found.weights - b, alpha).max() < 1e-12


def test_flat_coordinates_go_to_the_penaltys_minimum_or_stay(tier):
    G, start, tol = np.zeros((4, 4)), np.array([1.0, -2.0, 3.0, 0.0]), 1e-12

    def ends(name, g, alpha, **options):
        found = quadratic(
            G, np.array(g), start, prox_of(PENALTIES[name]), alpha, tol=tol, **options
        )
        return found.weights.tolist()

    assert ends("L1", [0.0, 0.5, -0.5, 0.5], 1.0) == [0, 0, 0, 0]
    assert ends("L1", [0.0, 0.5, -2.0, 2.0], 1.0) == [0, 0, 3, 0]  # the slope wins: no minimum
    assert ends("L1", [0.0] * 4, 0.0) == start.tolist()
    assert ends("L2", [0.0, 0.5, -2.0, 2.0], 2.0) == pytest.approx([0, -0.25, 1, -1], rel=1e-15)
    assert ends("L2", [0.0] * 4, 2.0) == [0, 0, 0, 0]
    assert ends("MCP", [0.0] * 4, 1.0) == [0, 0, 0, 0]
    assert ends("Box", [1.0, -1.0, 0.0, 0.0], 1.0) == [-0.2, 0.1, 0.1, 0]
    assert ends("Box", [0.0] * 4, 0.0) == [0.1, -0.2, 0.1, 0]  # bounds hold at any strength
    free = np.array([True, False, True, False])
    assert ends("Box", [0.0] * 4, 1.0, free=free) == [1, -0.2, 3, 0]


def test_strengths_and_freedom_are_each_coordinates_own():
    X, y = data("random")
    G, b, _ = model(X, y)
    alpha = np.linspace(0.0, 0.3, len(b))
    free = np.arange(len(b)) % 5 == 4
    found = quadratic(G, -b, np.zeros(len(b)), L1, alpha, free=free, tol=1e-14)
    slope = G @ found.weights - b
    assert np.abs(slope[free]).max() < 1e-13
    for j in np.flatnonzero(~free):
        distance = penalties.L1.distance(found.weights[j : j + 1], slope[j : j + 1], alpha[j])
        assert distance[0] < 1e-13


def test_sweeps_are_limited_and_the_largest_move_says_so():
    X, y = data("correlated")
    G, b, _ = model(X, y)
    found = quadratic(G, -b, np.zeros(len(b)), L1, 1e-4, tol=1e-13, max_sweeps=3)
    assert found.sweeps == 3
    assert found.largest > 1e-6
    np.testing.assert_allclose(found.slope, G @ found.weights - b, atol=1e-12)


# --- columns of data


def weighted(n, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), np.where(rng.random(n) < 0.2, 0.0, rng.random(n))


@pytest.mark.parametrize("form", ["F64", "F32", "csc32", "csc64", "matrix"])
@pytest.mark.parametrize("intercept", [False, True])
def test_columns_minimise_what_the_matrix_of_their_products_does(tier, form, intercept):
    X, _ = data("random", n=80, d=12)
    X[np.random.default_rng(5).random(X.shape) < 0.6] = 0.0
    X[:, 4] = 0.0
    X += 3.0 * (np.arange(12) == 2) + 1.5 * (np.arange(12) == 6) * (X != 0)
    X = X.astype(np.float32).astype(np.float64)
    g, h = weighted(80)
    total, centre = 17.0, np.linspace(-1, 1, 12)
    chosen = np.array([2, 3, 5, 4, 11, 6, 0])
    start = np.array([0.3, 0.0, -0.2, 0.0, 0.0, 0.1, 0.0])
    given = {
        "F64": np.asfortranarray(X),
        "F32": np.asfortranarray(X, dtype=np.float32),
        "csc32": sp.csc_array(X),
        "csc64": sp.csc_array(X),
        "matrix": sp.csc_matrix(X.astype(np.float32)),
    }[form]
    if form == "csc64":
        given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    alpha = np.array([0.01, 0.02, 0.01, 0.02, 0.01, 0.02, 0.01])
    free = np.arange(7) == 1
    prox = prox_of(penalties.ElasticNet(l1_ratio=0.6))
    found = columns(
        given, g, h, start, prox, alpha, total=total, chosen=chosen, centre=centre[chosen],
        intercept=intercept, free=free, tol=1e-14,
    )  # fmt: skip
    centred = X[:, chosen] - centre[chosen]
    ones = np.ones((80, 1)) if intercept else np.zeros((80, 1))
    wide = np.hstack([centred, ones])
    judge = quadratic(
        np.ascontiguousarray((wide.T * h) @ wide / total), wide.T @ g / total,
        np.append(start, 0.0), prox, np.append(alpha, 0.0), free=np.append(free, True),
        tol=1e-15, max_sweeps=100_000,
    )  # fmt: skip
    np.testing.assert_allclose(found.weights, judge.weights[:7], atol=1e-11)
    assert found.intercept == pytest.approx(judge.weights[7] if intercept else 0.0, abs=1e-10)
    moved = found.intercept + centred @ (found.weights - start)
    np.testing.assert_allclose(found.scores, moved, atol=1e-12)


@pytest.mark.parametrize("form", [np.asfortranarray, sp.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_one_visit_finds_one_columns_best(form, intercept):
    X, y = data("random", n=50, d=1)
    X[:35] = 0.0
    _, h = weighted(50)
    found = columns(
        form(X), -y, h, np.zeros(1), L1, 0.01, total=50.0, centre=np.array([0.7]),
        intercept=intercept, tol=1e-14,
    )  # fmt: skip
    assert found.weights[0] != 0
    assert found.sweeps == 3  # it leaves zero, and two sweeps find nothing to do
    assert found.largest <= 1e-14


@pytest.mark.parametrize("form", [np.asfortranarray, sp.csc_array])
@pytest.mark.parametrize("free", [False, True])
def test_a_constant_column_is_flat_beside_an_intercept(form, free):
    X, y = data("random", n=50, d=5)
    X[:, 2], X[:, 3] = 7.1, 30 + X[:, 3]
    alpha = np.full(5, 1e-4)
    found = columns(
        form(X), -y, np.full(50, 0.3), np.zeros(5), L1, alpha, total=50.0, intercept=True,
        free=np.full(5, free), tol=1e-12,
    )  # fmt: skip
    assert found.weights[2] == 0
    centred = X - X.mean(axis=0)
    centred[:, 2] = 0.0
    judge = quadratic(
        np.ascontiguousarray(0.3 * centred.T @ centred / 50), -centred.T @ y / 50, np.zeros(5), L1,
        alpha, free=np.full(5, free), tol=1e-14,
    )  # fmt: skip
    np.testing.assert_allclose(found.weights, judge.weights, atol=1e-8)


@pytest.mark.parametrize("form", [np.asfortranarray, sp.csc_array])
def test_rows_without_curvature_leave_the_intercept_where_it_is(form):
    X, y = data("random", n=20, d=3)
    found = columns(
        form(X), y, np.zeros(20), np.ones(3), L1, 100.0, total=20.0, intercept=True, tol=1e-9
    )
    assert found.intercept == 0
    assert found.weights.tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.scores, -X.sum(axis=1), atol=1e-12)


# --- linear systems


def test_linear_systems_of_any_units_and_rank():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    units = 10.0 ** rng.uniform(-6, 6, 8)
    right = (X.T @ rng.normal(size=40)) * units
    whole = (X * units).T @ (X * units)
    exact = np.linalg.solve(X.T @ X, right / units) / units
    np.testing.assert_allclose(solve_semidefinite(whole, right), exact, rtol=1e-9)
    np.testing.assert_allclose(least_norm(whole, right), exact, rtol=1e-9)
    X[:, 5], X[:, 6] = X[:, 4], 0.0
    y = rng.normal(size=40)
    np.testing.assert_allclose(
        least_norm(X.T @ X, X.T @ y), np.linalg.lstsq(X, y, rcond=1e-10)[0], atol=1e-10
    )
    # Of w₄ + 3w₅ = c the shortest, in the units of w and not of the columns.
    X[:, 5] *= 3
    shortest = least_norm(X.T @ X, X.T @ y)
    np.testing.assert_allclose(shortest, np.linalg.lstsq(X, y, rcond=1e-10)[0], atol=1e-10)
    assert shortest[5] == pytest.approx(3 * shortest[4])
    assert shortest[6] == 0


# --- errors, processes


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda: quadratic(np.eye(3), np.ones(2), np.ones(2), L1, 1.0, tol=0.1),
            TypeError,
            "(2, 2)",
        ),
        (
            lambda: quadratic(np.eye(2, dtype=int), np.ones(2), np.ones(2), L1, 1.0, tol=0.1),
            TypeError,
            "int64",
        ),
        (lambda: quadratic(np.eye(2), np.ones(3), np.ones(2), L1, 1.0, tol=0.1), TypeError, "(3,)"),
        (
            lambda: quadratic(np.eye(2), np.ones(2), np.ones(2), L1, [1.0, -1.0], tol=0.1),
            ValueError,
            "alpha[1] is -1.0",
        ),
        (
            lambda: quadratic(np.eye(2), np.array([1.0, np.nan]), np.ones(2), L1, 1.0, tol=0.1),
            FloatingPointError,
            "gradient[1] = nan",
        ),
        (
            lambda: columns(
                np.ones((3, 2)), np.ones(3), np.ones(3), np.ones(2), L1, 1.0, total=3, tol=0.1
            ),
            TypeError,
            "Fortran",
        ),
        (
            lambda: columns(
                sp.csr_array(np.ones((3, 2))), np.ones(3), np.ones(3), np.ones(2), L1, 1.0,
                total=3, tol=0.1,
            ),
            TypeError,
            "csr_array",
        ),
        (
            lambda: columns(
                np.ones((3, 2), order="F"), np.ones(3), np.ones(3), np.ones(1), L1, 1.0, total=3,
                chosen=np.array([2]), tol=0.1,
            ),
            IndexError,
            "the matrix has 2",
        ),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(call, error, said):
    with pytest.raises(error) as raised:
        call()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_second_process_compiles_nothing(tmp_path):
    code = textwrap.dedent(
        """
        import numpy as np
        from numba.core import event
        from losskit import penalties
        from losskit.backends.descent import quadratic
        from losskit.fit.objective.quadratics import prox_of
        compilations = []
        class Count(event.Listener):
            def on_start(self, event):
                compilations.append(event)
            def on_end(self, event):
                pass
        event.register("numba:run_pass", Count())
        prox = prox_of(penalties.L1)
        found = quadratic(2 * np.eye(3), np.ones(3), np.zeros(3), prox, 0.5, tol=1e-9)
        print(found.weights.tolist(), len(compilations) > 0)
        """
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**clean, "LOSSKIT_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["[-0.25, -0.25, -0.25] True", "[-0.25, -0.25, -0.25] False"]
