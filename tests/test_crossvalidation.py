"""Cross-validation: folds in lock step are folds one by one, judged by the fitted loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import (
    GroupKFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

import losskit
from losskit.fit import fitting
from losskit.fit.crossvalidation import CrossValidation, cross_validate, fold_ids
from losskit.fit.data.source import MemorySource
from losskit.penalties import L1, ElasticNet

RNG = np.random.default_rng(8)
N, D = 200, 6
X = RNG.normal(size=(N, D))
SCORE = X @ [1.0, -1.0, 0.5, 0.0, 0.0, 0.0]
Y = (SCORE + RNG.logistic(size=N) > 0).astype(float)
W = RNG.integers(0, 3, N).astype(float)
FOLD = np.arange(N) % 4
ALPHAS = [0.1, 0.03, 0.01, 0.003]
LOSS = losskit.binary_cross_entropy


@pytest.mark.parametrize("matrix", [X, sp.csr_array(X)])
@pytest.mark.parametrize("weight", [None, W])
def test_folds_in_lock_step_are_separate_fits(matrix: Any, weight: Any) -> None:
    source = MemorySource(matrix, Y, weight=weight, fold=FOLD)
    found = cross_validate(source, LOSS, L1, ALPHAS, folds=4, tol=1e-10)
    w = np.ones(N) if weight is None else weight
    assert found.weights == pytest.approx([w[FOLD == k].sum() for k in range(4)])
    for k in range(4):
        inside, outside = FOLD == k, FOLD != k
        alone = MemorySource(X[outside], Y[outside], weight=w[outside])
        for j, fit in enumerate(fitting.fit_path(alone, LOSS, L1, ALPHAS, tol=1e-10)):
            score = X[inside] @ fit.coef[:, 0] + fit.intercept[0]
            held = LOSS(Y[inside], score, raw=True, sample_weight=w[inside])
            assert found.scores[k, j] == pytest.approx(held, rel=1e-5)
    whole = fitting.fit_path(MemorySource(X, Y, weight=weight), LOSS, L1, ALPHAS, tol=1e-10)
    for fit, other in zip(found.path, whole, strict=True):
        assert fit.objective == pytest.approx(other.objective, rel=1e-9)


def test_means_and_errors_count_rows() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 2.0], [np.nan, np.nan]])
    cv = CrossValidation(np.array([1.0, 0.1]), scores, np.array([1.0, 3.0, 0.0]), ())
    assert cv.mean == pytest.approx([2.5, 2.0])
    # Σ wᵢ(xᵢ − mean)² / Σw / (folds − 1), as glmnet has it
    assert cv.error == pytest.approx([np.sqrt((1 * 1.5**2 + 3 * 0.5**2) / 4), 0.0])
    even = CrossValidation(np.array([1.0]), RNG.normal(size=(5, 1)), np.ones(5), ())
    assert even.error[0] == pytest.approx(even.scores.std(ddof=1) / np.sqrt(5))


def test_the_strongest_alpha_within_one_error_of_the_best() -> None:
    alphas = np.array([8.0, 4.0, 2.0, 1.0])
    scores = np.array([[4.0, 2.1, 2.0, 3.0], [4.0, 2.3, 2.4, 3.0]])
    cv = CrossValidation(alphas, scores, np.ones(2), ())
    assert cv.mean == pytest.approx([4.0, 2.2, 2.2, 3.0])
    assert cv.lambda_min in (4.0, 2.0)
    assert cv.lambda_1se == 4.0


def test_the_model_is_that_of_all_data_at_the_chosen_alpha() -> None:
    for rule in ("min", "1se"):
        model = losskit.ClassifierCV(penalty="l1", alphas=ALPHAS, cv=FOLD, rule=rule, tol=1e-10)
        model.fit(X, Y)
        cv = model.cv_
        assert model.alpha_ == (cv.lambda_min if rule == "min" else cv.lambda_1se)
        alone = losskit.Classifier(penalty="l1", alpha=model.alpha_, tol=1e-10).fit(X, Y)
        assert model.coef_ == pytest.approx(alone.coef_, abs=1e-5)
        assert model.coef_path_.shape == (4, 1, D)
        assert model.alphas_.tolist() == ALPHAS
        assert cv.metrics["accuracy"].shape == (4, 4)
        assert 0.6 < cv.mean_of(cv.metrics["accuracy"])[cv.best] < 1
        assert cv.lambda_1se >= cv.lambda_min


def test_metrics_are_those_of_held_out_rows() -> None:
    model = losskit.ClassifierCV(alphas=[0.01], cv=FOLD, metrics=["accuracy", "auc", "brier"])
    model.fit(X, Y)
    found = model.cv_.metrics
    assert list(found) == ["accuracy", "auc", "brier"]
    for k in range(4):
        inside = FOLD == k
        alone = losskit.Classifier(alpha=0.01).fit(X[~inside], Y[~inside])
        assert found["accuracy"][k, 0] == pytest.approx(alone.score(X[inside], Y[inside]))
        p = alone.predict_proba(X[inside])[:, 1]
        assert found["auc"][k, 0] == pytest.approx(losskit.metrics.auc(Y[inside], p), abs=1e-3)
        assert found["brier"][k, 0] == pytest.approx(losskit.metrics.brier(Y[inside], p), abs=1e-4)
    numbers = losskit.RegressorCV(alphas=[0.01], cv=FOLD, metrics="r2").fit(X, SCORE + Y)
    assert (numbers.cv_.metrics["r2"] > 0.5).all()
    for k in range(4):
        inside = FOLD == k
        alone = losskit.Regressor(alpha=0.01).fit(X[~inside], (SCORE + Y)[~inside])
        expected = losskit.metrics.r2((SCORE + Y)[inside], alone.predict(X[inside]))
        assert numbers.cv_.metrics["r2"][k, 0] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="takes labels; a regressor gives numbers"):
        losskit.RegressorCV(metrics="accuracy").fit(X, SCORE)
    with pytest.raises(ValueError, match=r"needs probabilities, which losskit\.hinge does not"):
        losskit.ClassifierCV("hinge", metrics="brier").fit(X, Y)


def test_folds_by_number_are_even_seeded_and_stratified() -> None:
    classes = np.repeat([0, 1, 2], [100, 40, 7])
    ids, count = fold_ids(5, 147, classes=classes, seed=1)
    assert count == 5
    assert np.ptp(np.bincount(ids)) <= 1
    for k in range(3):
        assert np.ptp(np.bincount(ids[classes == k], minlength=5)) <= 1
    assert (fold_ids(5, 147, classes=classes, seed=1)[0] == ids).all()
    assert (fold_ids(5, 147, classes=classes, seed=2)[0] != ids).any()
    plain = fold_ids(5, 147, seed=1)[0]
    assert np.ptp(np.bincount(plain)) <= 1


@pytest.mark.parametrize(
    "cv",
    [
        FOLD,
        FOLD.tolist(),
        [(np.flatnonzero(FOLD != k), np.flatnonzero(FOLD == k)) for k in range(4)],
        PredefinedSplit(FOLD),
    ],
    ids=["ids", "list", "pairs", "splitter"],
)
def test_folds_may_be_given(cv: Any) -> None:
    model = losskit.ClassifierCV(alphas=[0.01, 0.1], cv=cv).fit(X, Y)
    same = losskit.ClassifierCV(alphas=[0.01, 0.1], cv=FOLD).fit(X, Y)
    assert (model.cv_.scores == same.cv_.scores).all()


def test_splitters_see_classes_and_groups() -> None:
    model = losskit.ClassifierCV(alphas=[0.1], cv=StratifiedKFold(3)).fit(X, Y)
    assert model.cv_.scores.shape == (3, 1)
    groups = np.arange(N) // 20
    model = losskit.ClassifierCV(alphas=[0.1], cv=GroupKFold(5)).fit(X, Y, groups=groups)
    assert model.cv_.weights.tolist() == [40.0] * 5
    kept = losskit.ClassifierCV(alphas=[0.1], cv=np.where(FOLD == 3, -1, FOLD)).fit(X, Y)
    assert kept.cv_.scores.shape == (3, 1)  # rows of fold −1 are in every fit
    light = losskit.ClassifierCV(alphas=[0.1], cv=FOLD).fit(X, Y, sample_weight=W)
    assert light.cv_.weights == pytest.approx([W[FOLD == k].sum() for k in range(4)])


@pytest.mark.parametrize(
    ("cv", "said"),
    [
        (1, "cv=1 folds of 200 rows"),
        (201, "cv=201 folds of 200 rows"),
        ("five", "needed is a number of folds"),
        (np.zeros(N, int), "one fold, which leaves no row"),
        (np.full(N, -1), "leaves out no row"),
        (ShuffleSplit(3, random_state=0), "in folds 0 and 1|not to all"),
        (TimeSeriesSplit(3), "GridSearchCV"),
    ],
)
def test_what_are_no_folds(cv: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        losskit.ClassifierCV(alphas=[0.1], cv=cv).fit(X, Y)


def test_a_fold_may_lack_a_class() -> None:
    y = np.where(Y == 1, "a", "b")
    y[:6] = "c"
    fold = np.where(np.arange(N) < 6, 0, 1 + np.arange(N) % 3)  # all of c in one fold
    model = losskit.ClassifierCV(alphas=[0.1, 0.01], cv=fold).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.coef_.shape == (3, D)
    assert np.isfinite(model.cv_.scores).all()
    assert model.cv_.scores[0].min() > model.cv_.scores[1:].max()  # what was never seen costs


def test_alphas_begin_where_the_constant_model_ends() -> None:
    model = losskit.ClassifierCV(penalty="elasticnet", alphas=5, cv=3, random_state=0).fit(X, Y)
    assert not model.coef_path_[0].any()
    assert model.coef_path_[1].any()
    assert model.alphas_[-1] == pytest.approx(model.alphas_[0] * 1e-3)
    ridge = losskit.ClassifierCV(alphas=4, cv=3, random_state=0).fit(X, Y)
    assert ridge.alphas_[0] / ridge.alphas_[-1] == pytest.approx(1e7)
    assert np.abs(ridge.coef_path_[0]).max() < 1e-2
    flat = losskit.RegressorCV(penalty="l1", cv=3).fit(X, np.ones(N))
    assert not flat.coef_.any()


def test_l1_ratio_is_chosen_too() -> None:
    y = SCORE + RNG.normal(size=N)
    kept = {"penalty": "elasticnet", "alphas": 6, "cv": FOLD}
    alone = {r: losskit.RegressorCV("huber", l1_ratio=r, **kept).fit(X, y).cv_ for r in (0.1, 1.0)}
    model = losskit.RegressorCV("huber", l1_ratio=[0.1, 1.0], **kept).fit(X, y)
    best = min(alone, key=lambda r: alone[r].mean.min())
    assert model.l1_ratio_ == best
    assert model.cv_.scores == pytest.approx(alone[best].scores, rel=1e-3)


def test_several_quantiles_share_an_alpha() -> None:
    band = losskit.quantile(q=(0.2, 0.8))
    rows = slice(0, 60)
    y = (SCORE + RNG.normal(size=N))[rows]
    kept = {"alphas": [0.1], "cv": FOLD[rows] % 2}
    model = losskit.RegressorCV(band, **kept).fit(X[rows], y)
    parts = [losskit.RegressorCV(one, **kept).fit(X[rows], y) for one in band.members]
    assert model.cv_.scores == pytest.approx(np.mean([p.cv_.scores for p in parts], axis=0))
    assert model.predict(X).shape == (N, 2)


def test_one_warning_for_many_fits() -> None:
    model = losskit.ClassifierCV(alphas=[0.1, 0.01], cv=FOLD, max_iter=1, tol=1e-9)
    with pytest.warns(fitting.NotConverged, match=r"of 10 fits, of a path and its folds") as seen:
        model.fit(X, Y)
    assert len(seen) == 1


def test_control_c_keeps_the_alphas_that_are_done() -> None:
    def stop(progress: Any) -> None:
        if progress.index == 2:
            raise KeyboardInterrupt

    model = losskit.ClassifierCV(penalty="l1", alphas=ALPHAS, cv=FOLD, progress=stop).fit(X, Y)
    assert model.alphas_.tolist() == ALPHAS[:2]
    assert model.cv_.interrupted
    assert model.cv_.path[-1].interrupted
    assert model.predict(X).shape == (N,)
    assert model.cv_.scores.shape == (4, 2)


def test_penalties_reach_the_folds() -> None:
    source = MemorySource(X, Y, fold=FOLD)
    found = cross_validate(source, LOSS, ElasticNet(l1_ratio=0.5), 3, folds=4, tol=1e-8)
    assert found.alphas.size == 3
    assert not found.path[0].coef.any()
