"""Losses in LightGBM: its own models reproduced, every loss trained, and what else is asked for."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine

import losskit
from lightgbm_cases import QUIET, diabetes, example, visits, weights

lgb = pytest.importorskip("lightgbm")

ROUNDS = 20


# --- the built-in models, reproduced

REAL = {
    "squared_error": (diabetes, losskit.squared_error, {"objective": "regression"}),
    "logistic": (
        lambda: load_breast_cancer(return_X_y=True),
        losskit.binary_cross_entropy,
        {"objective": "binary"},
    ),
    "poisson": (visits, losskit.poisson, {"objective": "poisson"}),
    "gamma": (diabetes, losskit.gamma, {"objective": "gamma"}),
    "tweedie": (
        visits,
        losskit.tweedie(power=1.3),
        {"objective": "tweedie", "tweedie_variance_power": 1.3},
    ),
    "multiclass": (
        lambda: load_wine(return_X_y=True),
        losskit.cross_entropy,
        {"objective": "multiclass", "num_class": 3},
    ),
}
# LightGBM starts these from the mean, or without the weight of positives: not from their optimum.
STARTED_ELSEWHERE = {
    "huber": (diabetes, losskit.huber(delta=40.0), {"objective": "huber", "alpha": 40.0}),
    "fair": (diabetes, losskit.fair(c=30.0), {"objective": "fair", "fair_c": 30.0}),
    "weighted positives": (
        lambda: load_breast_cancer(return_X_y=True),
        losskit.binary_cross_entropy(pos_weight=3.0),
        {"objective": "binary", "scale_pos_weight": 3.0},
    ),
}


def trees(booster):
    """Return which features are split at which thresholds."""
    lines = booster.model_to_string().splitlines()
    return [line for line in lines if line.startswith(("split_feature=", "threshold="))]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", REAL)
def test_the_built_in_model_is_reproduced(case, weighted):
    load, loss, own = REAL[case]
    X, y = load()
    w = weights(len(y)) if weighted else None
    ours = loss.to("lightgbm", curvature="host")
    made = ours.train(QUIET, lgb.Dataset(X, y, weight=w), ROUNDS)
    theirs = lgb.train({**QUIET, **own}, lgb.Dataset(X, y, weight=w), ROUNDS)
    assert trees(made) == trees(theirs)
    for raw in (False, True):
        expected = theirs.predict(X, raw_score=raw)
        np.testing.assert_allclose(
            made.predict(X, raw_score=raw), expected, atol=1e-5 * np.ptp(expected), rtol=0
        )
    np.testing.assert_allclose(ours.predict(made, X), theirs.predict(X), rtol=1e-6)


@pytest.mark.parametrize("case", STARTED_ELSEWHERE)
def test_the_built_in_model_is_reproduced_from_one_start(case):
    load, loss, own = STARTED_ELSEWHERE[case]
    X, y = load()
    ours = loss.to("lightgbm", curvature="host")
    start = np.full(len(y), ours.start(y))
    made = ours.train(QUIET, lgb.Dataset(X, y, init_score=start), ROUNDS)
    theirs = lgb.train({**QUIET, **own}, lgb.Dataset(X, y, init_score=start), ROUNDS)
    assert trees(made) == trees(theirs)
    expected = theirs.predict(X, raw_score=True)
    np.testing.assert_allclose(
        made.predict(X, raw_score=True), expected, atol=1e-5 * np.ptp(expected), rtol=0
    )


@pytest.mark.parametrize(
    ("loss", "own"),
    [
        (losskit.absolute_error, {"objective": "regression_l1"}),
        (losskit.quantile(q=0.1), {"objective": "quantile", "alpha": 0.1}),
        (losskit.quantile(q=0.9), {"objective": "quantile", "alpha": 0.9}),
    ],
    ids=repr,
)
def test_straight_losses_come_near_the_built_in(loss, own):
    X, y = diabetes()
    part = np.random.default_rng(0).permutation(len(y)) % 4
    ours, theirs = 0.0, 0.0
    settings = {**QUIET, "learning_rate": 0.05, "num_leaves": 8}
    adapter = loss.to("lightgbm")
    for fold in range(4):
        rest, test = part != fold, part == fold
        made = adapter.train(settings, lgb.Dataset(X[rest], y[rest]), 150)
        built_in = lgb.train({**settings, **own}, lgb.Dataset(X[rest], y[rest]), 150)
        ours += loss(y[test], adapter.predict(made, X[test]))
        theirs += loss(y[test], built_in.predict(X[test]))
    assert ours <= 1.05 * theirs


@pytest.mark.parametrize(
    "loss", [losskit.absolute_error, losskit.quantile(q=0.8), losskit.squared_error], ids=repr
)
def test_a_target_in_other_units_gives_predictions_in_them(loss):
    X, y = diabetes()
    ours = loss.to("lightgbm")
    one, much, more = (
        ours.predict(ours.train(QUIET, lgb.Dataset(X, times * y), 50), X)
        for times in (1, 1024, 1000)
    )
    assert np.array_equal(much, 1024 * one)  # exact in binary, so every split is the same
    # By 1000 signs of residuals make the same gains but for rounding, and ties go elsewhere.
    assert loss(1000 * y, more) == pytest.approx(loss(1000 * y, 1000 * one), rel=0.02)
    assert more.mean() == pytest.approx(1000 * one.mean(), rel=5e-3)


# --- every loss of the catalogue


def trainable():
    for name in losskit.names():
        try:
            losskit.get(name).to("lightgbm")
        except losskit.Unsupported:
            continue
        yield name


TRAINABLE = list(trainable())
# One of each kind of curvature, link and number of outputs; the others are as slow tests.
STRATUM = {
    "absolute_error", "binary_cross_entropy", "cross_entropy", "crammer_singer", "gaussian_nll",
    "hinge", "huber", "msle", "negative_binomial", "poisson", "tweedie",
}  # fmt: skip
EACH = [
    name if name in STRATUM else pytest.param(name, marks=pytest.mark.slow) for name in TRAINABLE
]


def test_the_catalogue_is_there():
    assert len(TRAINABLE) > 45
    assert {*TRAINABLE} > STRATUM
    for name, reason in (
        ("triplet", "a sum over rows"),
        ("zero_one", "no derivative"),
        ("multilabel_cross_entropy", "one target a row"),
    ):
        with pytest.raises(losskit.Unsupported, match=reason):
            losskit.get(name).to("lightgbm")


@pytest.mark.parametrize("name", EACH)
def test_any_loss_trains_from_its_best_constant_and_travels_in_a_file(name):
    loss = losskit.get(name)
    X, y = example(loss)
    ours = loss.to("lightgbm")
    data = lgb.Dataset(X, y)
    booster = ours.train(QUIET, data, 8)
    start = np.asarray(ours.start(y))
    assert np.isfinite(start).all()
    raw = booster.predict(X, raw_score=True)
    before = loss(y, np.broadcast_to(start, raw.shape), raw=True)
    assert before == 0 or loss(y, raw, raw=True) < before  # a perceptron is content with 0
    np.testing.assert_allclose(ours.predict(booster, X), losskit_predictions(loss, raw))
    if len(getattr(loss, "outputs", "f")) == 1:  # the file tells LightGBM the way back
        np.testing.assert_allclose(booster.predict(X), ours.predict(booster, X), rtol=1e-12)
    loaded = lgb.Booster(model_str=booster.model_to_string())
    assert np.array_equal(ours.predict(loaded, X), ours.predict(booster, X))
    assert data.init_score is None


def losskit_predictions(loss, raw):
    from losskit.boosting.objective import predictions

    return predictions(loss, raw)


@pytest.mark.parametrize("name", EACH)
def test_both_interfaces_get_the_same(name):
    loss = losskit.get(name)
    X, y = example(loss)
    w = weights(len(y))
    ours = copy.deepcopy(pickle.loads(pickle.dumps(loss.to("lightgbm"))))
    start = np.asarray(ours.start(y, w))
    f = np.asfortranarray(np.broadcast_to(start, (len(y), *start.shape)) + 0.01)
    data = lgb.Dataset(X, y, weight=w, params=QUIET).construct()
    label = data.get_label()
    for native, other in zip(ours.objective(f, data), ours.objective(label, f, w), strict=True):
        assert np.array_equal(native, other)
        assert native.shape == f.shape
    gradient, hessian = ours.core.gradient_and_hessian(label, f, w)
    native = ours.objective(f, data)
    np.testing.assert_allclose(native[0] * hessian, native[1] * gradient, rtol=1e-6)
    name, value, higher_is_better = ours.metric(f, data)
    assert name == f"losskit_{loss.name}"
    assert value == loss(label, f, raw=True, sample_weight=w) == ours.metric(label, f, w)[1]
    assert higher_is_better is False


# --- what else training may be asked for


def test_early_stopping_looks_at_the_fitted_loss():
    X, y = visits()
    ours = losskit.poisson.to("lightgbm")
    held_out = lgb.Dataset(X[1000:], y[1000:], weight=weights(len(y) - 1000))
    settings = {**QUIET, "learning_rate": 0.3, "early_stopping_round": 3}
    booster = ours.train(settings, lgb.Dataset(X[:1000], y[:1000]), 200, valid_sets=[held_out])
    assert 0 < booster.best_iteration < 150
    best = losskit.poisson(y[1000:], ours.predict(booster, X[1000:]),
                           sample_weight=weights(len(y) - 1000))  # fmt: skip
    assert booster.best_score["valid_0"] == {"losskit_poisson": pytest.approx(best, rel=1e-6)}
    assert held_out.init_score is None


def test_several_quantiles_do_not_cross_and_lightgbms_do():
    X, y = diabetes()
    shares = (0.4, 0.5, 0.6)
    theirs = [
        lgb.train({**QUIET, "objective": "quantile", "alpha": q}, lgb.Dataset(X, y), 40).predict(X)
        for q in shares
    ]
    assert (np.diff(theirs, axis=0) < 0).any()
    ours = losskit.quantile(q=shares).to("lightgbm")
    made = ours.predict(ours.train(QUIET, lgb.Dataset(X, y), 40), X)
    assert made.shape == (len(y), 3)
    assert (np.diff(made, axis=1) >= 0).all()


def test_a_loss_of_one_number_and_classes_is_each_against_the_rest():
    X, y = load_wine(return_X_y=True)
    ours = losskit.logistic_margin.to("lightgbm")
    booster = ours.train({**QUIET, "num_class": 3}, lgb.Dataset(X, y), 10)
    assert (ours.predict(booster, X).argmax(axis=1) == y).mean() > 0.95
    gradient, _ = ours.objective(y, np.zeros((len(y), 3)))
    assert np.array_equal(gradient, np.where(y[:, None] == np.arange(3), -0.5, 0.5))


def test_classes_that_do_not_occur_have_a_column():
    X, y = load_wine(return_X_y=True)
    ours = losskit.cross_entropy.to("lightgbm")
    booster = ours.train({**QUIET, "num_class": 4}, lgb.Dataset(X, y), 3)
    predicted = ours.predict(booster, X)
    assert predicted.shape == (len(y), 4)
    assert predicted[:, 3].max() < 1e-6


def test_training_goes_on_where_it_was():
    X, y = visits()
    ours = losskit.poisson.to("lightgbm", curvature="host")
    whole = ours.train(QUIET, lgb.Dataset(X, y), 20)
    half = ours.train(QUIET, lgb.Dataset(X, y), 10)
    rest = ours.train(QUIET, lgb.Dataset(X, y), 10, init_model=half)
    np.testing.assert_allclose(ours.predict(rest, X), ours.predict(whole, X), rtol=1e-6)
    kept = ours.train(QUIET, lgb.Dataset(X, y), 10, keep_training_booster=True)
    for _ in range(10):
        kept.update(fobj=ours.objective)
    np.testing.assert_allclose(ours.predict(kept, X), ours.predict(whole, X), rtol=1e-6)


def test_an_offset_of_ones_own_is_kept_and_nothing_is_added():
    X, y = visits()
    exposure = np.random.default_rng(0).uniform(0.5, 2, len(y))
    ours = losskit.poisson.to("lightgbm", curvature="host")
    data = lgb.Dataset(X, y * exposure, init_score=np.log(exposure))
    made = ours.train(QUIET, data, 10)
    own = lgb.train(
        {**QUIET, "objective": "poisson"},
        lgb.Dataset(X, y * exposure, init_score=np.log(exposure)),
        10,
    )
    np.testing.assert_allclose(made.predict(X), own.predict(X), rtol=1e-6)
    assert np.array_equal(data.init_score, np.log(exposure))


def test_data_are_as_they_were_after_training():
    X, y = diabetes()
    data, other = lgb.Dataset(X, y), lgb.Dataset(X, y)
    losskit.huber.to("lightgbm").train(QUIET, data, 3, valid_sets=[data, other])
    built_in = {**QUIET, "objective": "regression"}
    after = lgb.train(built_in, data, 3).predict(X)
    assert np.array_equal(after, lgb.train(built_in, lgb.Dataset(X, y), 3).predict(X))


@pytest.mark.parametrize("extra", [{"linear_tree": True}, {"boosting": "dart"}])
def test_other_kinds_of_trees(extra):
    X, y = diabetes()
    settings = {**QUIET, **extra}
    ours = losskit.squared_error.to("lightgbm")
    made = ours.train(settings, lgb.Dataset(X, y, params=settings), 10)
    own = lgb.train({**settings, "objective": "regression"},
                    lgb.Dataset(X, y, params=settings), 10)  # fmt: skip
    np.testing.assert_allclose(made.predict(X), own.predict(X), rtol=1e-6)
    np.testing.assert_allclose(
        made.predict(X, pred_contrib=True), own.predict(X, pred_contrib=True), atol=1e-4
    ) if "linear_tree" not in extra else None


def test_parameters_that_the_loss_says():
    data = lgb.Dataset(*diabetes())
    for name in ("objective", "alpha", "scale_pos_weight", "application"):
        with pytest.raises(ValueError, match=rf"^{name}=1 cannot be passed: [a-z]"):
            losskit.huber.to("lightgbm").train({**QUIET, name: 1}, data, 1)


def test_a_users_own_loss():
    @losskit.loss(target=losskit.formula.REAL, optimum="mean")
    def mine(y, f, slope: losskit.formula.Positive = 2.0):
        """Squares errors, and more so those below."""
        r = f - y
        return losskit.formula.where(r < 0, slope * r * r, r * r)

    X, y = diabetes()
    ours = mine(slope=3.0).to("lightgbm")
    same = losskit.asymmetric_squared(alpha=3.0).to("lightgbm", curvature="exact")
    predicted = [one.predict(one.train(QUIET, lgb.Dataset(X, y), 10), X) for one in (ours, same)]
    np.testing.assert_allclose(*predicted, rtol=1e-9)


def test_importing_it_imports_no_other_framework():
    code = (
        "import sys, losskit.lightgbm; "
        "print([m for m in ('torch', 'jax', 'keras', 'xgboost', 'catboost') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_file_predicts_in_a_process_without_losskit(tmp_path):
    X, y = diabetes()
    model, data, made = (tmp_path / name for name in ("model.txt", "data.npy", "made.npy"))
    ours = losskit.gamma.to("lightgbm")
    booster = ours.train(QUIET, lgb.Dataset(X, y), 5).save_model(model)
    np.save(data, X)
    code = (
        "import sys; sys.modules['losskit'] = None; import numpy as np, lightgbm\n"
        f"model = lightgbm.Booster(model_file={str(model)!r})\n"
        f"np.save({str(made)!r}, model.predict(np.load({str(data)!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    np.testing.assert_allclose(np.load(made), ours.predict(booster, X), rtol=1e-12)


@pytest.mark.parametrize("name", ["squared_error", "huber", "poisson", "absolute_error"])
@pytest.mark.parametrize("weighted", [False, True])
def test_later_rounds_have_the_derivatives_of_a_call_by_itself(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    y, w = rng.poisson(3, 300).astype(float), rng.uniform(0, 2, 300) if weighted else None
    ours = losskit.get(name).to("lightgbm")
    in_turns = ours.in_turns()
    for _ in range(3):
        f = rng.normal(size=300)
        for found, alone in zip(in_turns(y, f, w), ours.objective(y, f, w), strict=True):
            np.testing.assert_array_equal(found, alone)
