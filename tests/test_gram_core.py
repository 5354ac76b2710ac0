"""Squared loss from XᵀX: sums, centring, folds, paths and their gaps."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet, Ridge

from losskit.fit.solvers.gram import Solution, gap, gram, path, solve, sums


def table(n=200, d=12, seed=0, kind="random"):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    if kind == "correlated":
        X = np.sqrt(0.05) * X + np.sqrt(0.95) * rng.normal(size=(n, 1))
    y = X[:, :4] @ rng.normal(size=4) + rng.normal(size=n) + 3
    X += rng.normal(size=d)
    if kind == "duplicated":
        X[:, 5], X[:, 9], X[:, 7] = X[:, 3], -X[:, 3], 4.2
    if kind == "scaled":
        X *= 10.0 ** rng.uniform(-6, 6, d)
    return X, y, rng.random(n) * (rng.random(n) > 0.1), rng.integers(3, size=n)


KINDS = ("random", "correlated", "duplicated", "scaled", "wide")


def of_kind(kind):
    return table(n=30, d=60) if kind == "wide" else table(kind=kind)


def objective(X, y, w, fit, l1, l2, curvature=1.0):
    coef, b = fit
    r = y - X @ coef - b
    loss = curvature / 2 * (w @ (r * r)) / w.sum()
    return loss + (l1 * np.abs(coef)).sum() + (l2 * coef * coef).sum() / 2


@pytest.mark.parametrize(
    "form", [np.ascontiguousarray, np.asfortranarray, lambda X: X[::-1][::-1], sp.csr_array]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
def test_sums_are_what_they_say(form, weighted, shifted):
    X, y, w, part = table()
    part[5] = -1
    shift = X.mean(axis=0) if shifted else np.zeros(12)
    found = sums(form(X), y, w if weighted else None, part, 3, shift)
    for k in range(3):
        rows = part == k
        own = w[rows] if weighted else np.ones(rows.sum())
        moved = X[rows] - shift
        assert found.weight[k] == pytest.approx(own.sum())
        np.testing.assert_allclose(found.x[k], own @ moved, atol=1e-11)
        assert found.y[k] == pytest.approx(own @ y[rows])
        np.testing.assert_allclose(found.gram[k], (moved.T * own) @ moved, atol=1e-11)
        np.testing.assert_allclose(found.cross[k], (moved.T * own) @ y[rows], atol=1e-11)
        assert found.square[k] == pytest.approx(own @ y[rows] ** 2)
    batches = [sums(form(X[i::2]), y[i::2], w[i::2], part[i::2], 3, shift) for i in (0, 1)]
    together = sums(form(X), y, w, part, 3, shift)
    np.testing.assert_allclose((batches[0] + batches[1]).gram, together.gram, atol=1e-11)
    outside, kept = together.outside(), part != 1
    direct = sums(
        form(X[kept & (part >= 0)]), *(a[kept & (part >= 0)] for a in (y, w)), shift=shift
    )
    np.testing.assert_allclose(outside.gram[1], direct.gram[0], atol=1e-11)
    np.testing.assert_allclose(outside.cross[1], direct.cross[0], atol=1e-11)
    np.testing.assert_allclose(together.whole().gram[0], together.gram.sum(axis=0), atol=1e-11)


def test_blocks_of_rows_and_float32(monkeypatch):
    from losskit.fit.solvers import gram as module

    X, y, w, _ = table(n=500)
    whole = sums(X, y, w)
    monkeypatch.setattr(module, "_ELEMENTS", 7 * 12)
    np.testing.assert_allclose(sums(X, y, w).gram, whole.gram, atol=1e-11)
    narrow = sums(X.astype(np.float32), y, w, shift=X.mean(axis=0))
    assert narrow.gram.dtype == np.float64
    np.testing.assert_allclose(
        gram(narrow).matrix, gram(whole).matrix, atol=1e-5 * np.abs(gram(whole).matrix).max()
    )
    counts = (X * 3).round().astype(np.int64)
    np.testing.assert_allclose(sums(counts, y).gram[0], counts.T @ counts)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("curvature", [1.0, 2.0])
def test_the_objective_is_that_of_the_data(intercept, curvature):
    X, y, w, _ = table()
    shift = X[0] if intercept else None
    made = gram(sums(X, y, w, shift=shift), intercept=intercept, curvature=curvature)
    for seed in range(3):
        coef = np.random.default_rng(seed).normal(size=12)
        b = made.intercept(coef)
        assert b == pytest.approx((w @ (y - X @ coef)) / w.sum() if intercept else 0.0)
        direct = objective(X, y, w, (coef, b), 0.0, 0.0, curvature)
        assert made.value(coef) == pytest.approx(direct)
        assert made.value(coef, made.slope(coef)) == pytest.approx(direct)
        centred = X - (w @ X) / w.sum() if intercept else X
        r = y - X @ coef - b
        np.testing.assert_allclose(
            made.slope(coef), -curvature * (w * r) @ centred / w.sum(), atol=1e-12
        )


def test_centring_with_a_shift_keeps_the_digits():
    X, y, w, _ = table()
    far = X + 1e7
    exact = gram(sums(X, y, w)).matrix
    kept = gram(sums(far, y, w, shift=far.mean(axis=0)))
    np.testing.assert_allclose(kept.matrix, exact, atol=1e-7)
    # Dates in seconds vary by far less than their size, and are no constant.
    dates = 1.6e9 + 100 * X
    assert (gram(sums(dates, y, w, shift=dates[0])).matrix.diagonal() > 0).all()
    X[:, 3], X[:, 4] = 0.1, 1e9 + 0.1
    for shift in (None, X.mean(axis=0), X[0]):
        made = gram(sums(X, y, w, shift=shift))
        assert not made.matrix[3:5].any()
        assert not made.matrix[:, 3:5].any()
        assert not made.pull[3:5].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("share", [0.9, 0.1, 0.003])
def test_solutions_are_scikit_learns(kind, l1_ratio, share):
    X, y, w, _ = of_kind(kind)
    problem = gram(sums(X, y, w, shift=X.mean(axis=0)))
    root = np.sqrt(np.where(problem.matrix.diagonal() > 0, problem.matrix.diagonal(), 1.0))
    # Strengths in units of the columns: theirs is fitted to columns of unit size.
    alpha = share * np.abs(problem.pull / root).max() / l1_ratio
    l1, l2 = alpha * l1_ratio * root, alpha * (1 - l1_ratio) * root**2
    target = 1e-13 * problem.square
    ours = solve(problem, l1, l2, target=target)
    assert 0 <= ours.gap <= target
    centred = (X - (w @ X) / w.sum()) / root
    theirs = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000)
    theirs.fit(centred, y, sample_weight=w)
    coef = theirs.coef_ / root
    fits = [(one, problem.intercept(one)) for one in (ours.weights, coef)]
    best, other = (objective(X, y, w, fit, l1, l2) for fit in fits)
    assert best <= other + 1e-12 * problem.square


@pytest.mark.parametrize("kind", KINDS)
def test_the_gap_bounds_what_is_left(kind):
    X, y, w, _ = of_kind(kind)
    problem = gram(sums(X, y, w, shift=X.mean(axis=0)))
    rng = np.random.default_rng(0)
    root = np.sqrt(np.where(problem.matrix.diagonal() > 0, problem.matrix.diagonal(), 1.0))
    top = np.abs(problem.pull / root).max()
    some = np.arange(problem.size) % 4 == 1
    for l1, l2 in (
        (0.1 * top * root, 0.0),
        (0.1 * top * root, 0.05 * root**2),
        (0.0, 0.1 * root**2),
        (np.where(some, 0.0, 0.2 * top * root), 0.0),
        (np.where(some, 0.3 * top * root, 0.0), np.where(some, 0.0, 0.1 * root**2)),
    ):
        best = solve(problem, l1, l2, target=1e-13 * problem.square)
        assert best.gap <= 1e-12 * problem.square

        def value(u, l1=l1, l2=l2):
            return problem.value(u) + (l1 * np.abs(u)).sum() + (l2 * u * u).sum() / 2

        least = value(best.weights)
        for size in (0.0, 1e-6, 1e-3, 0.1, 10.0):
            u = best.weights + size * rng.normal(size=problem.size) / root
            bound = gap(problem, u, problem.slope(u), l1, l2)
            assert value(u) - least <= bound + 1e-12 * problem.square
        # It is no idle bound: near the minimum it is small.
        near = best.weights * (1 + 1e-9)
        assert gap(problem, near, problem.slope(near), l1, l2) <= 1e-6 * problem.square


@pytest.mark.parametrize("kind", KINDS)
def test_ridge_and_least_squares_are_linear_systems(kind):
    X, y, w, _ = of_kind(kind)
    problem = gram(sums(X, y, w, shift=X.mean(axis=0)))
    root = np.sqrt(w)[:, None]
    centred, target = (X - (w @ X) / w.sum()) * root, (y - (w @ y) / w.sum()) * root[:, 0]
    l2 = 0.01 * np.median(problem.matrix.diagonal())
    ridge = Ridge(alpha=l2 * w.sum(), fit_intercept=False, solver="svd").fit(centred, target)
    found = solve(problem, 0.0, l2, target=1e-12)
    np.testing.assert_allclose(found.weights, ridge.coef_, rtol=1e-6, atol=1e-9)
    assert found.gap <= 1e-12 * problem.square
    plain = solve(problem, 0.0, 0.0, target=1e-12)
    assert plain.gap <= 1e-12 * problem.square
    size = np.linalg.norm(centred, axis=0)
    size = np.where(size > 1e-9, size, 1.0)
    exact = np.linalg.lstsq(centred / size, target, rcond=1e-10)[0] / size
    fitted = [problem.value(coef) for coef in (plain.weights, exact)]
    assert fitted[0] == pytest.approx(fitted[1], abs=1e-12 * problem.square)
    if kind != "scaled":  # lstsq decides what is dependent in the units it is given
        shortest = np.linalg.lstsq(centred, target, rcond=1e-10)[0]
        np.testing.assert_allclose(plain.weights, shortest, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_its_single_fits(kind):
    X, y, w, part = of_kind(kind)
    folds = sums(X, y, w, part, 3, X.mean(axis=0)).outside()
    for k in range(3):
        problem = gram(folds, k)
        root = np.sqrt(np.where(problem.matrix.diagonal() > 0, problem.matrix.diagonal(), 1.0))
        top = np.abs(problem.pull / root).max() / 0.5
        strengths = [
            (0.5 * alpha * root, 0.5 * alpha * root**2)
            for alpha in np.geomspace(top, 0.01 * top, 12)
        ]
        target = 1e-11 * problem.square
        found = list(path(problem, strengths, target=target))
        assert not found[0].weights.any()
        for (l1, l2), one in zip(strengths, found, strict=True):
            assert one.gap <= target
            np.testing.assert_allclose(
                one.slope, problem.slope(one.weights), atol=1e-9 * root.max()
            )
            alone = solve(problem, l1, l2, target=target)
            np.testing.assert_allclose(one.weights * root, alone.weights * root, atol=2e-5)
        again = solve(problem, *strengths[-1], target=target, start=found[-1])
        assert again.sweeps <= 3


def test_a_target_out_of_reach_ends_at_rounding():
    X, y, w, _ = table(kind="correlated")
    problem = gram(sums(X, y, w, shift=X.mean(axis=0)))
    found = solve(problem, 0.01, 0.0, target=0.0)
    assert found.gap <= 1e-14 * problem.square
    assert isinstance(found, Solution)


def test_an_empty_part_is_refused():
    X, y, w, part = table()
    made = sums(X, y, w, part, 4)
    with pytest.raises(ValueError, match="part 3 has a sum of weights of 0"):
        gram(made, 3)
    with pytest.raises(ValueError, match="needs an intercept"):
        gram(sums(X, y, w, shift=X[0]), intercept=False)
