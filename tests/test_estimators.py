"""Regressor and Classifier: scikit-learn's own checks, and what a fit has to be."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import losskit
from losskit.fit.fitting import NotConverged
from losskit.penalties import from_c

RNG = np.random.default_rng(3)
N, D = 240, 4
X = RNG.normal(size=(N, D)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 3.0, 0.0, -1.0]
SCORE = X @ [1.0, -0.5, 0.0, 0.8] + 1.0
LABEL = np.where(SCORE + RNG.logistic(size=N) > 0, "yes", "no")
NUMBER = SCORE + RNG.normal(size=N)
COUNT = RNG.poisson(np.exp(SCORE / 2)).astype(float)
W = RNG.integers(0, 4, N).astype(float)
THIRD = np.array(["a", "b", "c"])[
    np.clip(np.round(SCORE / 2 + 1 + RNG.normal(size=N)), 0, 2).astype(int)
]

DEFAULTS = [
    losskit.Regressor(),
    losskit.Classifier(),
    losskit.RegressorCV(alphas=3, cv=3),
    losskit.ClassifierCV(alphas=2, cv=3),
]
OTHERS = [
    losskit.RegressorCV(),
    losskit.ClassifierCV(),
    losskit.Classifier(loss="hinge"),
    losskit.Classifier(loss="logistic_margin", penalty="l1", alpha=1e-3),
    # Repeated rows are compared with weights to 1e-7, more than the default tolerance promises.
    losskit.Regressor(loss="huber", penalty="l1", alpha=1e-2, tol=1e-10),
    losskit.Regressor(loss="absolute_error"),
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_accepts(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", OTHERS, ids=repr)
def test_scikit_learn_accepts_others(estimator: Any) -> None:
    check_estimator(estimator, on_skip=None)


# --- optima


def test_without_penalty_it_is_least_squares() -> None:
    one = np.column_stack([X, np.ones(N)])
    best = np.linalg.lstsq(one, NUMBER, rcond=None)[0]
    for model in (losskit.Regressor(alpha=0.0, tol=1e-12), losskit.Regressor(penalty=None)):
        model.fit(X, NUMBER)
        assert np.append(model.coef_, model.intercept_) == pytest.approx(best, rel=1e-9)
    bare = losskit.Regressor(penalty=None, fit_intercept=False).fit(X, NUMBER)
    assert bare.coef_ == pytest.approx(np.linalg.lstsq(X, NUMBER, rcond=None)[0], rel=1e-9)
    assert bare.intercept_ == 0.0


@pytest.mark.parametrize("matrix", [X, np.asfortranarray(X), sp.csr_array(X), sp.csc_matrix(X)])
def test_the_optimum_is_scikit_learns(matrix: Any) -> None:
    peer = LogisticRegression(C=2.0, tol=1e-12, max_iter=5000, solver="newton-cholesky")
    peer.fit(X, LABEL, sample_weight=W)
    alpha = from_c(2.0, n=W.sum())
    mine = losskit.Classifier(alpha=alpha, tol=1e-12).fit(matrix, LABEL, sample_weight=W)
    assert mine.classes_.tolist() == ["no", "yes"]
    assert mine.coef_ == pytest.approx(peer.coef_, rel=1e-6)
    assert mine.intercept_ == pytest.approx(peer.intercept_, rel=1e-6)
    assert mine.predict_proba(matrix) == pytest.approx(peer.predict_proba(X), rel=1e-6)
    assert mine.decision_function(X) == pytest.approx(peer.decision_function(X), rel=1e-6)


def test_several_classes_are_scikit_learns_multinomial() -> None:
    peer = LogisticRegression(C=1.0, tol=1e-12, max_iter=5000).fit(X, THIRD)
    mine = losskit.Classifier(alpha=from_c(1.0, n=N), tol=1e-13).fit(X, THIRD)
    assert repr(mine.loss_) == "losskit.cross_entropy"
    assert mine.coef_.shape == (3, D)
    assert mine.predict_proba(X) == pytest.approx(peer.predict_proba(X), abs=2e-6)
    assert (mine.predict(X) == peer.predict(X)).all()


def test_counts_are_poissons_on_the_scale_of_means() -> None:
    peer = PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=1000).fit(X, COUNT)
    mine = losskit.Regressor(alpha=0.1, tol=1e-13).fit(X, COUNT)
    assert repr(mine.loss_) == "losskit.poisson"
    assert "counts" in mine.loss_why_
    assert mine.predict(X) == pytest.approx(peer.predict(X), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "y"), [("auto", LABEL), ("auto", THIRD), ("squared_hinge", LABEL)]
)
def test_a_strong_penalty_leaves_exactly_the_best_constant(loss: str, y: Any) -> None:
    path = losskit.Classifier(loss, penalty="l1").path(X, y, 3)
    strongest = clone(path).set_params(alpha=path.alphas_[0]).fit(X, y)
    assert not strongest.coef_.any()
    assert strongest.objective_ == strongest.baseline_
    assert (strongest.intercept_ == path.intercept_path_[0]).all()
    weaker = clone(path).set_params(alpha=path.alphas_[0] * 0.99, tol=1e-9).fit(X, y)
    assert weaker.coef_.any()


def test_the_certificate_holds_what_tol_asks() -> None:
    best = losskit.Classifier(penalty="l1", alpha=0.01, tol=1e-12).fit(X, LABEL).objective_
    for tol in (1e-2, 1e-4, 1e-8):
        model = losskit.Classifier(penalty="l1", alpha=0.01, tol=tol).fit(X, LABEL)
        assert model.certificate_.reached
        assert model.objective_ - best <= model.certificate_.value * (1 + 1e-6) + 1e-12
        assert model.certificate_.value <= tol * model.baseline_
        assert model.history_[-1].objective == model.objective_
        assert model.n_iter_ >= 1


def test_a_fit_that_stops_early_says_so() -> None:
    model = losskit.Classifier(max_iter=1, tol=1e-10, solver="lbfgs")
    with pytest.warns(NotConverged, match=r"NOT reached.*max_iter=1"):
        model.fit(X, LABEL)
    assert not model.certificate_.reached


# --- weights, offsets, starts


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_whole_weights_are_repeated_rows(class_weight: Any) -> None:
    times = W.astype(int)
    model = losskit.Classifier(class_weight=class_weight, tol=1e-10)
    weighted = clone(model).fit(X, LABEL, sample_weight=W)
    repeated = clone(model).fit(X.repeat(times, axis=0), LABEL.repeat(times))
    assert weighted.coef_ == pytest.approx(repeated.coef_, rel=1e-7)
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-12)


def test_rows_of_weight_0_may_hold_anything() -> None:
    dirty = np.vstack([X, np.full((2, D), [np.nan, np.inf, 0, 0])])
    weight = np.append(np.ones(N), [0.0, 0.0])
    plain = losskit.Regressor().fit(X, NUMBER)
    model = losskit.Regressor().fit(dirty, np.append(NUMBER, [np.nan, 7.0]), sample_weight=weight)
    assert (model.coef_ == plain.coef_).all()
    labels = np.append(LABEL.astype(object), [None, "third"])
    classes = losskit.Classifier().fit(dirty, labels, sample_weight=weight).classes_
    assert classes.tolist() == ["no", "yes"]


def test_class_weights_multiply_sample_weights() -> None:
    by_hand = np.where(LABEL == "yes", 3.0, 0.5) * W
    expected = losskit.Classifier(tol=1e-10).fit(X, LABEL, sample_weight=by_hand).coef_
    for given in ({"yes": 3.0, "no": 0.5}, [0.5, 3.0]):
        model = losskit.Classifier(tol=1e-10, class_weight=given)
        assert model.fit(X, LABEL, sample_weight=W).coef_ == pytest.approx(expected, rel=1e-9)
    balanced = losskit.Classifier(tol=1e-10, class_weight="balanced").fit(X, LABEL)
    share = (LABEL == "yes").mean()
    weight = np.where(LABEL == "yes", 0.5 / share, 0.5 / (1 - share))
    by_hand = losskit.Classifier(tol=1e-10).fit(X, LABEL, sample_weight=weight).coef_
    assert balanced.coef_ == pytest.approx(by_hand, rel=1e-9)


def test_an_offset_is_added_to_raw_scores() -> None:
    exposure = np.log(RNG.uniform(1, 5, N))
    counts = RNG.poisson(np.exp(SCORE / 2 + exposure)).astype(float)
    model = losskit.Regressor("poisson", penalty=None, tol=1e-12).fit(X, counts, offset=exposure)
    # The same as rates with the exposure as weight.
    rates = losskit.Regressor("poisson", penalty=None, tol=1e-12)
    rates.fit(X, counts / np.exp(exposure), sample_weight=np.exp(exposure))
    assert model.coef_ == pytest.approx(rates.coef_, rel=1e-5)
    shifted = model.predict(X, offset=exposure)
    plain = model.predict(X, offset=np.zeros(N))
    assert shifted == pytest.approx(plain * np.exp(exposure))
    whole = losskit.Classifier(penalty=None, tol=1e-10)
    moved = clone(whole).fit(X, LABEL, offset=np.full(N, 2.0)).intercept_
    assert moved == pytest.approx(whole.fit(X, LABEL).intercept_ - 2.0, abs=1e-4)


def test_a_warm_start_begins_where_the_last_fit_ended() -> None:
    model = losskit.Classifier(warm_start=True, solver="lbfgs", tol=1e-9).fit(X, LABEL)
    cold = model.n_iter_
    before = model.objective_
    model.fit(X, LABEL)
    assert cold > 3
    assert model.n_iter_ == 1
    assert model.history_[0].objective == pytest.approx(before, rel=1e-12)
    assert model.fit(X[:, :2], LABEL).coef_.shape == (1, 2)


def test_learning_in_parts_comes_near_the_optimum() -> None:
    scales = np.array([1.0, 1e4, 1e-3, 1.0])
    best = losskit.Classifier().fit(X, LABEL)
    model = losskit.Classifier(random_state=0)
    with pytest.raises(ValueError, match="needs classes="):
        model.partial_fit(X, LABEL)
    for start in range(0, 20 * N, 60):
        rows = np.arange(start, start + 60) % N
        model.partial_fit(X[rows] * scales, LABEL[rows], classes=["no", "yes"])
    own = losskit.binary_cross_entropy(
        LABEL == "yes", model.decision_function(X * scales), raw=True
    )
    assert own - best.objective_ < 0.05 * (best.baseline_ - best.objective_)
    assert len(model.history_) == 80
    assert model.history_[-1].objective < model.history_[0].objective
    with pytest.raises(ValueError, match=r"y\[0\] is 'maybe', which is none of the classes"):
        model.partial_fit(X[:1], ["maybe"])
    numbers = losskit.Regressor(random_state=0)
    for _ in range(20):
        numbers.partial_fit(X, 1e3 * NUMBER)
    full = losskit.Regressor().fit(X, 1e3 * NUMBER).score(X, 1e3 * NUMBER)
    assert numbers.score(X, 1e3 * NUMBER) > 0.95 * full


# --- kinds of target


@pytest.mark.parametrize(
    "y",
    [
        LABEL == "yes",
        np.where(LABEL == "yes", 7, -7),
        np.where(LABEL == "yes", 2.0, 1.0),
        LABEL.astype(object),
        pd.Series(LABEL, dtype="string"),
        pd.Categorical(LABEL),
        LABEL.tolist(),
        np.where(LABEL == "yes", np.datetime64("2024-05-01"), np.datetime64("2023-05-01")),
    ],
    ids=lambda y: type(y).__name__ + str(getattr(y, "dtype", "")),
)
def test_classes_of_any_sortable_type(y: Any) -> None:
    model = losskit.Classifier().fit(X, y)
    expected = losskit.Classifier().fit(X, LABEL)
    assert model.classes_.tolist() == sorted(set(np.asarray(y).tolist()))
    assert (model.coef_ == expected.coef_).all()
    same = model.predict(X) == np.asarray(y)
    assert (same == (expected.predict(X) == LABEL)).all()


def test_labels_are_fitted_one_by_one() -> None:
    labels = np.column_stack([LABEL == "yes", THIRD == "a", X[:, 0] > 0.5]).astype(int)
    model = losskit.Classifier(tol=1e-10).fit(X, labels)
    assert model.classes_.tolist() == [0, 1, 2]
    for k in range(3):  # a mean over the labels: a third of the loss, at a third of the strength
        own = losskit.Classifier(alpha=3e-4, tol=1e-10).fit(X, labels[:, k])
        assert model.coef_[k] == pytest.approx(own.coef_[0], rel=1e-4)
    assert model.predict(X).dtype.kind == "i"
    assert ((model.predict_proba(X) > 0.5) == model.predict(X)).all()
    sparse = losskit.Classifier(tol=1e-10).fit(X, sp.csr_matrix(labels))
    assert (sparse.predict(X) == model.predict(X)).all()


def test_each_class_against_the_rest() -> None:
    model = losskit.Classifier("squared_hinge", tol=1e-9).fit(X, THIRD)
    assert model.coef_.shape == (3, D)
    own = losskit.Classifier("squared_hinge", alpha=3e-4, tol=1e-9).fit(X, THIRD == "b")
    assert model.coef_[1] == pytest.approx(own.coef_[0], rel=1e-3)
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(N))


def test_several_targets_and_several_outputs() -> None:
    both = np.column_stack([NUMBER, 2 - NUMBER])
    model = losskit.Regressor(penalty=None).fit(X, both)
    assert model.coef_.shape == (2, D)
    alone = losskit.Regressor(penalty=None).fit(X, NUMBER)
    assert model.coef_ == pytest.approx(np.stack([alone.coef_, -alone.coef_]), rel=1e-6)
    assert model.score(X, both) == pytest.approx(alone.score(X, NUMBER))
    spread = losskit.Regressor("gaussian_nll", penalty=None, tol=1e-6).fit(X, NUMBER)
    mean, sd = spread.predict(X).T
    assert mean == pytest.approx(alone.predict(X), abs=0.2)
    assert 0.7 < np.median(sd) < 1.3


# --- data frames


def test_a_plain_frame_is_scikit_learns() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = losskit.Regressor().fit(frame, NUMBER)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert not hasattr(model, "preprocessing_")
    assert model.coef_ == pytest.approx(losskit.Regressor().fit(X, NUMBER).coef_, rel=1e-12)
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="column 'a' has NaN at row 2; the model was fitted to"):
        model.predict(frame.assign(a=np.where(np.arange(N) == 2, np.nan, X[:, 0])))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_categories_and_missing_values_are_preprocessed(library: str) -> None:
    city = np.array(["Oslo", "Rome"], object)[(X[:, 0] > 0).astype(int)]
    columns = {"age": np.where(np.arange(N) % 9 == 0, np.nan, X[:, 1]), "city": city}

    def frame(given: dict[str, Any]) -> Any:
        if library == "dict":
            return given
        made = pd.DataFrame(given)
        if library == "pandas":
            return made
        module = pytest.importorskip(library)
        of = module.from_pandas if library == "polars" else module.Table.from_pandas
        return of(made)

    model = losskit.Classifier().fit(frame(columns), LABEL)
    assert model.preprocessing_.names == ("age", "age missing", "city=Oslo", "city=Rome")
    assert model.coef_.shape == (1, 4)
    assert model.feature_names_in_.tolist() == ["age", "city"]
    turned = frame({"city": city, "age": columns["age"]})
    assert (model.predict(turned) == model.predict(frame(columns))).all()
    new = frame({"age": np.array([1.0]), "city": np.array(["Paris"], object)})
    with pytest.raises(ValueError, match="'Paris' at row 0"):
        model.predict(new)
    assert model.set_params(unknown="ignore").predict(new).shape == (1,)
    with pytest.raises(ValueError, match="no column 'city'"):
        model.predict(frame({"age": columns["age"]}))


def test_standardising_treats_units_alike() -> None:
    scaled = make_pipeline(StandardScaler(), losskit.Regressor(alpha=0.1)).fit(X, NUMBER)
    for factor in (1.0, 1e5):
        model = losskit.Regressor(alpha=0.1, standardize=True).fit(X * factor, NUMBER)
        assert model.predict(X * factor) == pytest.approx(scaled.predict(X), rel=1e-6)
    with pytest.raises(ValueError, match="sparse X dense"):
        losskit.Regressor(standardize=True).fit(sp.csr_array(X), NUMBER)
    with pytest.raises(ValueError, match="X has 3 features, but Regressor is expecting 4"):
        model.predict(X[:, :3])


# --- what cannot be


BOGUS = [
    (lambda: losskit.Classifier("accuracy").fit(X, LABEL), TypeError, "metric.*cross_entropy"),
    (lambda: losskit.Regressor(losskit.metrics.r2).fit(X, NUMBER), TypeError, "squared_error"),
    (lambda: losskit.Classifier("hinje").fit(X, LABEL), ValueError, "did you mean 'hinge'"),
    (lambda: losskit.Classifier("zero_one").fit(X, LABEL), losskit.Unsupported, "surrogate"),
    (lambda: losskit.Regressor("cauchy", certificate="gap").fit(X, NUMBER), ValueError,
     "not convex"),
    (lambda: losskit.Regressor("cross_entropy").fit(X, NUMBER), ValueError, "Classifier"),
    (lambda: losskit.Classifier("poisson").fit(X, LABEL), ValueError, "no loss of classes"),
    (lambda: losskit.Classifier("dice").fit(X, LABEL), ValueError, "loss over labels"),
    (lambda: losskit.Classifier("ordinal").fit(X, THIRD), losskit.Unsupported, "level to level"),
    (lambda: losskit.Classifier(losskit.quantile(q=(0.1, 0.9))).fit(X, LABEL), ValueError,
     "several"),
    (lambda: losskit.Classifier().fit(X, ["one"] * N), ValueError,
     "two classes; y has one class, 'one'"),
    (lambda: losskit.Classifier().fit(X, NUMBER), ValueError, r"continuous; y\[0\] is"),
    (lambda: losskit.Classifier().fit(X, [None, *LABEL[1:]]), ValueError, r"y\[0\] is missing"),
    (lambda: losskit.Classifier().fit(X, np.array([1, "a"] * (N // 2), object)), ValueError,
     "mixes texts and others"),
    (lambda: losskit.Regressor().fit(X, LABEL), ValueError, r"y\[0\] is '.*Classifier"),
    (lambda: losskit.Regressor().fit(X, NUMBER * np.nan), ValueError, r"y\[0\] is NaN"),
    (lambda: losskit.Regressor("poisson").fit(X, NUMBER), ValueError, r"y_true\[\d+\] = -"),
    (lambda: losskit.Regressor().fit(np.where(X == X[1, 2], np.nan, X), NUMBER), ValueError,
     r"X\[1, 2\] is NaN"),
    (lambda: losskit.Regressor().fit(sp.csr_array(np.where(X == X[3, 0], np.inf, X)), NUMBER),
     ValueError, r"X\[3, 0\] is inf"),
    (lambda: losskit.Regressor().fit(X, NUMBER, sample_weight=0 * W), ValueError,
     "zero in every row"),
    (lambda: losskit.Regressor().fit(X, NUMBER, sample_weight=-W - 1), ValueError, r"\[0\] is -"),
    (lambda: losskit.Regressor().fit(X, NUMBER, offset=[1.0]), ValueError, "offset has shape"),
    (lambda: losskit.Regressor(alpha=-1.0).fit(X, NUMBER), ValueError, "alpha=-1.0"),
    (lambda: losskit.Regressor(penalty="l3").fit(X, NUMBER), ValueError, "no penalty called 'l3'"),
    (lambda: losskit.Classifier(class_weight={"maybe": 1}).fit(X, LABEL), ValueError, "'maybe'"),
    (lambda: losskit.Classifier(class_weight="even").fit(X, LABEL), ValueError, "'balanced'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), BOGUS)
def test_what_cannot_be_is_told_in_one_line(call: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as error:
        call()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


# --- the rest of the contract


def test_probabilities_are_told_by_proper_losses_only() -> None:
    assert not hasattr(losskit.Classifier("hinge"), "predict_proba")
    assert not hasattr(losskit.Classifier("hinge").fit(X, LABEL), "predict_proba")
    assert hasattr(losskit.Classifier("exponential"), "predict_proba")
    margin = losskit.Classifier("logistic_margin", tol=1e-9).fit(X, LABEL)
    entropy = losskit.Classifier(tol=1e-9).fit(X, LABEL)
    assert margin.predict_proba(X) == pytest.approx(entropy.predict_proba(X), abs=1e-5)


def test_pickles_and_clones() -> None:
    model = losskit.Classifier(losskit.focal(gamma=1.0)).fit(X, LABEL)
    back = pickle.loads(pickle.dumps(model))
    assert (back.predict(X) == model.predict(X)).all()
    assert back.loss_ == model.loss_
    assert clone(model).get_params() == model.get_params()


def test_a_path_goes_from_strong_to_weak() -> None:
    model = losskit.Regressor(penalty="l1").path(X, NUMBER, 6)
    assert (np.diff(model.alphas_) < 0).all()
    assert model.coef_path_.shape == (6, D)
    assert not model.coef_path_[0].any()
    assert (model.coef_ == model.coef_path_[-1]).all()
    assert model.alpha_ == model.alphas_[-1]
    assert [one.alpha for one in model.path_] == model.alphas_.tolist()
    named = losskit.Regressor(penalty="l1").path(X, NUMBER, [0.1, 1.0])
    assert named.alphas_.tolist() == [1.0, 0.1]


def test_progress_is_told() -> None:
    seen: list[Any] = []
    model = losskit.Classifier(progress=seen.append).fit(X, LABEL)
    assert [one.step for one in seen] == list(model.history_)
    assert seen[-1].rows_per_second > 0


@pytest.mark.filterwarnings("ignore::losskit.fit.fitting.NotConverged")
def test_a_random_state_reaches_solvers_that_draw_rows() -> None:
    model = losskit.Classifier(solver="adam", random_state=0, tol=0.05)
    assert (model.fit(X, LABEL).coef_ == clone(model).fit(X, LABEL).coef_).all()
    assert (clone(model).set_params(random_state=1).fit(X, LABEL).coef_ != model.coef_).any()
    best = losskit.Classifier().fit(X, LABEL)
    assert model.objective_ - best.objective_ < 0.05 * best.baseline_


def test_real_data_by_defaults() -> None:
    table = load_iris()
    model = losskit.Classifier().fit(table.data, table.target_names[table.target])
    assert model.score(table.data, table.target_names[table.target]) > 0.97
    cancer = load_breast_cancer()
    assert losskit.Classifier(standardize=True).fit(cancer.data, cancer.target).score(
        cancer.data, cancer.target
    ) > 0.98  # fmt: skip


def test_a_loss_of_your_own() -> None:
    @losskit.loss
    def softer(y, f, width: losskit.formula.Positive = 1.0):
        """Squares small errors and grows like their size."""
        r = (f - y) / width
        return losskit.formula.sqrt(1 + r * r) - 1

    mine = losskit.Regressor(softer(width=2.0), tol=1e-9).fit(X, NUMBER)
    same = losskit.Regressor(losskit.pseudo_huber(delta=2.0), alpha=4e-4, tol=1e-9).fit(X, NUMBER)
    assert mine.coef_ == pytest.approx(same.coef_, rel=1e-4)


def test_partial_fit_tells_the_mean_over_all_elements():
    targets = np.column_stack([NUMBER, 2 * NUMBER])
    model = losskit.Regressor("huber", alpha=0.0).partial_fit(X, targets)
    constant = [losskit.huber.optimal_constant(column) for column in targets.T]
    first = losskit.huber(targets, np.tile(constant, (len(X), 1)))
    assert model.baseline_ == pytest.approx(first)
    assert model.objective_ == pytest.approx(first)
