"""XGBoost's native interface: what `loss.to("xgboost")` gives, beside what is written by hand."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import xgboost as xgb

import losskit
import losskit.xgboost
from losskit.boosting.objective import objective
from xgboost_cases import (
    BENIGN,
    COUNTS,
    DIABETES,
    IRIS,
    OWN,
    PARAMS,
    PROGRESSION,
    SPECIES,
    TUMOURS,
    WEIGHTS,
)

# --- what goes wrong when an objective is written by hand (facts §3), next to ours


def by_hand(y, predt):
    """Poisson as the documentation shows custom objectives."""
    with np.errstate(over="ignore"):
        return np.exp(predt) - y, np.exp(predt)


def test_start_scores_by_hand_and_ours():
    matrix, slow = xgb.DMatrix(DIABETES, COUNTS + 1), {**PARAMS, "eta": 0.05}
    hand = xgb.train(slow, matrix, 20, obj=lambda f, d: by_hand(d.get_label(), f))
    booster = losskit.poisson.to("xgboost", curvature="exact").train(slow, matrix, 20)
    losses = [
        losskit.poisson(COUNTS + 1, f, raw=True)
        for f in (hand.predict(matrix), booster.predict(matrix, output_margin=True))
    ]
    assert losses[1] < losses[0] - 0.25, losses  # it starts at 0.5, where the best constant is 2.2
    assert booster.predict(matrix).mean() == pytest.approx(np.mean(COUNTS + 1), rel=0.01)
    assert hand.predict(matrix).mean() < 0.3 * np.mean(COUNTS + 1)  # raw scores, taken for means


def test_large_counts_by_hand_and_ours():
    y = 500 * COUNTS + 1
    matrix = xgb.DMatrix(DIABETES, y)
    hand = xgb.train(PARAMS, matrix, 3, obj=lambda f, d: by_hand(d.get_label(), f))
    assert np.isnan(hand.predict(matrix)).all()  # its first step from 0.5 is one of 1000, to e^1000
    booster = losskit.poisson.to("xgboost").train(PARAMS, matrix, 3)
    assert booster.predict(matrix).mean() == pytest.approx(y.mean(), rel=0.05)


def test_predictions_are_on_the_right_scale_without_losskit():
    for name in ("poisson", "logistic", "gamma", "softmax"):
        loss, features, y = OWN[name]
        matrix = xgb.DMatrix(features, y)
        ours = loss.to("xgboost")
        booster = ours.train(PARAMS, matrix, 10)
        np.testing.assert_allclose(
            booster.predict(matrix), ours.predict(booster, matrix), rtol=1e-5
        )
    hinge = losskit.negative_binomial.to("xgboost")  # no objective of XGBoost's, and a link of its
    matrix = xgb.DMatrix(DIABETES, COUNTS)
    booster = hinge.train(PARAMS, matrix, 10)
    np.testing.assert_allclose(booster.predict(matrix), hinge.predict(booster, matrix), rtol=1e-5)


@pytest.mark.parametrize("ending", [pytest.param("json", marks=pytest.mark.slow), "ubj"])
@pytest.mark.parametrize("name", [*OWN, "gaussian_nll"])
def test_a_saved_model_starts_and_predicts_the_same(name, ending, tmp_path):
    loss, features, y = OWN.get(name, (losskit.gaussian_nll, DIABETES, PROGRESSION))
    matrix = xgb.DMatrix(features, y)
    ours = loss.to("xgboost")
    booster = ours.train(PARAMS, matrix, 5)
    path = tmp_path / f"model.{ending}"
    booster.save_model(path)
    again = xgb.Booster(model_file=path)
    np.testing.assert_array_equal(again.predict(matrix), booster.predict(matrix))
    np.testing.assert_array_equal(ours.predict(again, matrix), ours.predict(booster, features))
    nothing = ours.train(PARAMS, matrix, 0)
    first = nothing.predict(matrix, output_margin=True)[0]
    np.testing.assert_allclose(first, ours.start(y), rtol=1e-4, atol=1e-6)


def test_weights_count_once():
    w, params = WEIGHTS, {**PARAMS, "tree_method": "exact"}
    repeated = np.repeat(np.arange(len(w)), w.astype(int))
    for loss in (losskit.squared_error, losskit.gamma, losskit.huber(delta=20.0), losskit.lp):
        ours = loss.to("xgboost")
        trained = [
            ours.predict(ours.train(params, matrix, 10), DIABETES)
            for matrix in (
                xgb.DMatrix(DIABETES, PROGRESSION, weight=w),
                xgb.DMatrix(DIABETES[repeated], PROGRESSION[repeated]),
                xgb.DMatrix(DIABETES, PROGRESSION),
            )
        ]
        weighted, rows, without = trained
        assert np.abs(weighted - without).max() > 0.1 * np.ptp(rows)
        seen = w > 0  # thresholds lie midway between values, of which the others may be one
        np.testing.assert_allclose(weighted[seen], rows[seen], atol=1e-4 * np.ptp(rows))
    y = PROGRESSION
    ours = losskit.huber.to("xgboost")
    g, h = ours.objective(y, y + 0.5, w)
    assert (g[w == 0] == 0).all()
    np.testing.assert_allclose(g, w / 2)
    np.testing.assert_allclose(h, w)


def test_the_scikit_learn_interface_takes_weights_and_both_functions():
    ours = losskit.log_cosh.to("xgboost")
    model = xgb.XGBRegressor(
        objective=ours.objective, eval_metric=ours.metric, n_estimators=5, n_jobs=1,
        base_score=ours.start(PROGRESSION, WEIGHTS),
    )  # fmt: skip
    model.fit(
        DIABETES, PROGRESSION, sample_weight=WEIGHTS, eval_set=[(DIABETES, PROGRESSION)],
        sample_weight_eval_set=[WEIGHTS], verbose=False,
    )  # fmt: skip
    log = model.evals_result()["validation_0"]["losskit_log_cosh"]
    expected = losskit.log_cosh(PROGRESSION, model.predict(DIABETES), sample_weight=WEIGHTS)
    assert log[-1] == pytest.approx(expected, rel=1e-5)
    assert log[-1] < log[0]
    with pytest.raises(ValueError, match="sample_weight"):  # what a two-argument form would do
        xgb.XGBRegressor(objective=lambda y, f: ours.objective(y, f), n_estimators=1).fit(
            DIABETES, PROGRESSION, sample_weight=WEIGHTS
        )


def test_shapes_of_classes_and_the_hosts_factor():
    matrix = xgb.DMatrix(IRIS, SPECIES)
    ours = losskit.cross_entropy.to("xgboost")
    f = np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)
    g, h = ours.objective(f, matrix)
    assert g.shape == h.shape == (150, 3)
    assert g.flags.c_contiguous
    assert h.flags.c_contiguous
    p = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(g, p - np.eye(3)[SPECIES], atol=1e-6)
    np.testing.assert_allclose(h, 2 * p * (1 - p), atol=1e-6)  # twice, until 3.5 makes it |p − y|
    exact = losskit.cross_entropy.to("xgboost", curvature="exact").objective(f, matrix)[1]
    np.testing.assert_allclose(exact, h / 2, rtol=1e-6)


def test_flat_curvature_trains_where_the_host_is_silent():
    """An objective of zero curvature gives trees of one leaf, without a word; ours has a floor."""
    matrix = xgb.DMatrix(DIABETES, PROGRESSION)
    flat = xgb.train(PARAMS, matrix, 5, obj=lambda f, d: (f - d.get_label(), np.zeros_like(f)))
    assert np.ptp(flat.predict(matrix)) == 0
    for name in ("mape", "absolute_error"):
        ours = losskit.get(name).to("xgboost", curvature="constant")
        assert np.ptp(ours.train(PARAMS, matrix, 5).predict(matrix)) > 10


# --- evaluation


def test_the_metric_sees_raw_scores_and_is_not_rounded():
    y = PROGRESSION * 5e-6
    train, test = xgb.DMatrix(DIABETES[:300], y[:300]), xgb.DMatrix(DIABETES[300:], y[300:])
    ours, log = losskit.squared_error.to("xgboost"), {}
    booster = ours.train(
        PARAMS, train, 200, evals=[(train, "train"), (test, "test")], evals_result=log,
        early_stopping_rounds=5, verbose_eval=False,
    )  # fmt: skip
    values = log["test"]["losskit_squared_error"]
    assert 5 < booster.best_iteration < 100
    assert booster.best_iteration == int(np.argmin(values))
    assert values[booster.best_iteration] == pytest.approx(
        losskit.squared_error(y[300:], ours.predict(booster, test)), rel=1e-5
    )
    hand, log = {}, {}
    xgb.train(
        {**PARAMS, **ours.params(train)}, train, 200, obj=ours.objective, evals=[(test, "test")],
        custom_metric=ours.metric, evals_result=log, early_stopping_rounds=5, verbose_eval=False,
    )  # fmt: skip
    hand = log["test"]["losskit_squared_error"]
    assert max(hand) == 0  # XGBoost writes six decimals: stopped after the first round
    assert len(hand) < 10


def test_own_metrics_stand_before_the_loss():
    matrix, log = xgb.DMatrix(TUMOURS, BENIGN), {}
    ours = losskit.binary_cross_entropy.to("xgboost")
    ours.train(
        {**PARAMS, "eval_metric": ["auc", "logloss"]}, matrix, 3, evals=[(matrix, "train")],
        evals_result=log, verbose_eval=False,
    )  # fmt: skip
    assert list(log["train"]) == ["auc", "logloss", "losskit_binary_cross_entropy"]
    own = log["train"]["losskit_binary_cross_entropy"][-1]
    assert log["train"]["logloss"][-1] == pytest.approx(own, abs=1e-5)  # of probabilities


def test_cross_validation():
    matrix = xgb.DMatrix(DIABETES, COUNTS)
    ours = losskit.poisson.to("xgboost")
    table = xgb.cv(
        {**PARAMS, **ours.params(matrix)}, matrix, 10, nfold=3, obj=ours.objective,
        custom_metric=ours.metric, as_pandas=False, seed=1,
    )  # fmt: skip
    assert table["test-losskit_poisson-mean"][-1] < table["test-losskit_poisson-mean"][0]


# --- being told no


@pytest.mark.parametrize(
    ("name", "y", "match"),
    [
        ("logistic_margin", [0.0, 1.0, 1.0], r"y_true\[0\] = 0 .*\{-1, 1\}"),
        ("poisson", [1.0, 2.0, -1.0], r"poisson: y_true\[2\] = -1"),
        ("gamma", [1.0, 0.0, 1.0], r"gamma: y_true\[1\] = 0"),
        ("binary_cross_entropy", [0.0, 2.0, 1.0], r"binary_cross_entropy: y_true\[1\] = 2"),
        ("cross_entropy", [0.0, 0.5, 1.0], r"cross_entropy: y_true of row 1"),
        ("cross_entropy", [0.0, -1.0, 1.0], r"cross_entropy: y_true of row 1"),
    ],
)
def test_bad_targets_are_named_before_training(name, y, match):
    good = [1.0, 2.0, 1.0] if name in ("poisson", "gamma") else [0.0, 1.0, 1.0]
    good = [-1.0, 1.0, 1.0] if name == "logistic_margin" else good
    train, test = (xgb.DMatrix([[0.0], [1.0], [2.0]], one) for one in (good, y))
    ours = losskit.get(name).to("xgboost")
    rounds = []

    class Count(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            rounds.append(epoch)
            return False

    for data, evals in ((test, []), (train, [(test, "test")])):
        with pytest.raises(ValueError, match=match) as error:
            ours.train(PARAMS, data, 3, evals=evals, callbacks=[Count()])
        assert "\n" not in str(error.value)
    assert rounds == []


def test_bad_targets_are_named_with_their_set():
    wrong = xgb.DMatrix(DIABETES, np.where(np.arange(442) == 3, -1.0, PROGRESSION))
    with pytest.raises(ValueError, match=r"^evals 'mine': poisson: y_true\[3\] = -1"):
        losskit.poisson.to("xgboost").train(
            PARAMS, xgb.DMatrix(DIABETES, PROGRESSION), 1, evals=[(wrong, "mine")]
        )


def test_weights_that_are_all_zero():
    matrix = xgb.DMatrix([[0.0], [1.0]], [1.0, 2.0], weight=[0.0, 0.0])
    with pytest.raises(ValueError, match="no target with a positive weight"):
        losskit.huber.to("xgboost").train(PARAMS, matrix, 3)
    with pytest.raises(xgb.core.XGBoostError, match="isinf"):  # what XGBoost itself says
        xgb.train(PARAMS, matrix, 3)


@pytest.mark.parametrize(
    "name", ["triplet", "lambda_rank", "softmax_ranking", "ordinal", "zero_one"]
)
def test_what_no_booster_trains_with(name):
    with pytest.raises(losskit.Unsupported, match=name):
        losskit.get(name).to("xgboost")


def test_parameters_that_the_loss_decides():
    matrix = xgb.DMatrix(TUMOURS, BENIGN)
    ours = losskit.binary_cross_entropy.to("xgboost")
    for name, value in (
        ("objective", "binary:logistic"), ("base_score", 0.5), ("scale_pos_weight", 3.0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name}=.* cannot be passed: [a-z].*"):
            ours.train({**PARAMS, name: value}, matrix, 1)
    # because XGBoost takes no notice of it beside a custom objective
    told = {**PARAMS, **ours.params(matrix)}
    deaf = [
        xgb.train({**told, "scale_pos_weight": s}, matrix, 3, obj=ours.objective).predict(matrix)
        for s in (1.0, 50.0)
    ]
    np.testing.assert_array_equal(*deaf)


def test_options_and_their_errors():
    with pytest.raises(ValueError, match="curvature='none'"):
        losskit.huber.to("xgboost", curvature="none")
    with pytest.raises(ValueError, match="floor=0"):
        losskit.huber.to("xgboost", floor=0)
    with pytest.raises(losskit.Unsupported, match="is not an objective of xgboost"):
        losskit.huber.to("xgboost", curvature="host")
    assert losskit.huber.to("xgboost").curvature == "majorizer"
    assert "majorizer" in repr(losskit.huber.to("xgboost"))
    assert losskit.absolute_error.to("xgboost").why.startswith("XGBoost replaces leaf values")


def test_scores_beyond_a_bound_are_brought_back():
    y = np.where(DIABETES[:, 2] > 0, 50.0, -0.99)
    matrix = xgb.DMatrix(DIABETES, y)
    ours = losskit.msle.to("xgboost")
    booster = ours.train({**PARAMS, "eta": 1.0, "lambda": 0.0}, matrix, 30)
    assert booster.predict(matrix).min() < -1  # the trees overstep
    assert ours.predict(booster, matrix).min() > -1
    assert np.isfinite(ours.core.metric(y, booster.predict(matrix)))


def test_own_losses():
    @losskit.loss(target=losskit.Domain(), optimum="mean")
    def skewed(y, f, a: float = 2.0):
        """Charges too high twice."""
        from losskit.formula import where

        r = f - y
        return where(r > 0, a * r * r, r * r)

    matrix = xgb.DMatrix(DIABETES, PROGRESSION)
    ours = skewed.to("xgboost")
    booster = ours.train(PARAMS, matrix, 30)
    start = ours.train(PARAMS, matrix, 0)
    assert skewed(PROGRESSION, ours.predict(booster, matrix)) < 0.5 * skewed(
        PROGRESSION, ours.predict(start, matrix)
    )


def test_copies_keep_scale_and_curvature():
    f, y = np.array([0.5, -1.0, 30.0]), np.array([1.0, 2.0, 3.0])
    for name in ("squared_error", "poisson", "absolute_error", "huber"):
        ours = losskit.get(name).to("xgboost")
        expected = ours.objective(y, f)
        for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert again.why == ours.why
            np.testing.assert_array_equal(again.objective(y, f), expected)


def test_a_version_that_starts_elsewhere_is_noticed(monkeypatch):
    real = xgb.train

    def elsewhere(params, *given, **options):
        return real({**params, "base_score": 0.75}, *given, **options)

    monkeypatch.setattr(xgb, "train", elsewhere)
    matrix = xgb.DMatrix(DIABETES, PROGRESSION)
    with pytest.raises(RuntimeError, match=r"starts at 0.75 where base_score=152.*report"):
        losskit.squared_error.to("xgboost").train(PARAMS, matrix, 1)


def test_rounds_do_not_share_what_the_user_gets():
    ours = losskit.huber.to("xgboost")
    y = np.array([1.0, 2.0])
    first = ours.objective(y, np.array([1.5, 2.0]))
    ours.objective(y, np.array([9.0, 9.0]))
    np.testing.assert_array_equal(first[0], [0.5, 0.0])


def test_derivatives_are_the_objectives():
    y, f = np.array([1.0, 5.0]), np.array([0.0, 3.0])
    core = objective("squared_error", "xgboost")
    np.testing.assert_array_equal(
        losskit.squared_error.to("xgboost").objective(y, f), core.gradient_and_hessian(y, f)
    )


def test_importing_it_imports_no_other_framework():
    code = (
        "import sys, losskit.xgboost; "
        "print([m for m in ('torch','jax','keras','lightgbm','catboost') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, losskit; print('xgboost' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_a_file_predicts_in_a_process_without_losskit(tmp_path):
    model, data, made = (tmp_path / name for name in ("model.json", "data.npy", "made.npy"))
    losskit.xgboost.Classifier(n_estimators=5, n_jobs=1).fit(IRIS, SPECIES).save_model(model)
    np.save(data, IRIS)
    code = (
        "import sys; sys.modules['losskit'] = None; import numpy as np, xgboost\n"
        f"model = xgboost.XGBClassifier(); model.load_model({str(model)!r})\n"
        f"np.save({str(made)!r}, model.predict_proba(np.load({str(data)!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    again = losskit.xgboost.Classifier()
    again.load_model(model)
    np.testing.assert_allclose(np.load(made), again.predict_proba(IRIS), atol=1e-6)
