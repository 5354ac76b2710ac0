"""Where training begins: data of files and subsets, offsets, models to go on from."""

import numpy as np
import pytest
from sklearn.datasets import load_wine

import losskit
from lightgbm_cases import QUIET, diabetes, weights

lgb = pytest.importorskip("lightgbm")

from losskit.lightgbm import Classifier, Regressor  # noqa: E402 - where LightGBM is

SMALL = {"verbosity": -1, "n_jobs": 1, "n_estimators": 10}
OWN = {**QUIET, "objective": "regression", "metric": "l2"}
WINE, SORT = load_wine(return_X_y=True)


def near(made, expected):
    np.testing.assert_allclose(made, expected, atol=1e-5 * np.ptp(expected), rtol=0)


def as_binary(X, y, w, path):
    lgb.Dataset(X, y, weight=w).construct().save_binary(path)
    return lambda: lgb.Dataset(path)


def as_text(X, y, w, path):
    np.savetxt(path, np.column_stack([y, X]), delimiter=",", fmt="%.17g")
    np.savetxt(path.with_suffix(".csv.weight"), w, fmt="%.17g")
    return lambda: lgb.Dataset(path)


def as_subset(X, y, w, path):
    far = np.vstack([X, X]), np.append(y, 1e4 + y), np.append(w, w)
    return lambda: lgb.Dataset(far[0], far[1], weight=far[2]).subset(np.arange(len(y)))


@pytest.mark.parametrize("kept", [as_binary, as_text, as_subset])
def test_weights_that_data_bring_count_for_the_start(kept, tmp_path):
    X, y = diabetes()
    data = kept(X, y, weights(len(y)) ** 3, tmp_path / "data.csv")
    settings = {"max_bin": 31} if kept is as_text else {}  # the others have their bins
    made = losskit.squared_error.to("lightgbm").train({**QUIET, **settings}, data(), 10)
    theirs = lgb.train({**OWN, **settings}, data(), 10)
    near(made.predict(X), theirs.predict(X))


def test_offsets_in_a_file_are_where_training_begins(tmp_path):
    X, y = diabetes()
    path = tmp_path / "data.csv"
    data = as_text(X, y, np.ones(len(y)), path)
    np.savetxt(path.with_suffix(".csv.init"), np.full(len(y), 50.0))
    made = losskit.squared_error.to("lightgbm").train(QUIET, data(), 10)
    near(made.predict(X), lgb.train(OWN, data(), 10).predict(X))
    assert made.predict(X).max() < 250  # without the 50


def test_data_held_out_in_a_file(tmp_path):
    X, y = diabetes()
    held_out = as_text(X[300:], y[300:], weights(142), tmp_path / "test.csv")
    found = []
    for train, told in (
        (losskit.squared_error.to("lightgbm").train, {**QUIET, "metric": "l2"}),
        (lgb.train, OWN),
    ):
        data = lgb.Dataset(X[:300], y[:300])
        booster = train({**told, "max_bin": 31}, data, 10, valid_sets=[data, held_out()])
        found.append(booster.best_score["valid_1"])
    assert found[0]["l2"] == pytest.approx(found[1]["l2"], rel=1e-6)
    assert found[0]["losskit_squared_error"] == pytest.approx(found[1]["l2"], rel=1e-6)


def test_offsets_of_held_out_data_are_beyond_the_start_as_lightgbm_has_them():
    X, y = diabetes()
    offset = np.full(142, 30.0)
    found = []
    for train, told in (
        (losskit.squared_error.to("lightgbm").train, {**QUIET, "metric": "l2"}),
        (lgb.train, OWN),
    ):
        data = lgb.Dataset(X[:300], y[:300])
        valid = lgb.Dataset(X[300:], y[300:], reference=data, init_score=offset)
        found.append(train(told, data, 5, valid_sets=[valid]).best_score["valid_0"]["l2"])
        assert np.array_equal(valid.init_score, offset)
        assert np.array_equal(valid.get_field("init_score"), offset)
        assert data.get_field("init_score") is None
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    settings = {**SMALL, "n_estimators": 5, "metric": "l2"}
    held_out = {"eval_X": X[300:], "eval_y": y[300:], "eval_init_score": [offset]}
    model = Regressor("squared_error", **settings).fit(X[:300], y[:300], **held_out)
    assert model.best_score_["valid_0"]["l2"] == pytest.approx(found[1], rel=1e-6)


def test_data_without_targets():
    with pytest.raises(ValueError, match="has no targets; make it with label=y"):
        losskit.squared_error.to("lightgbm").train(QUIET, lgb.Dataset(diabetes()[0]), 1)


@pytest.mark.parametrize("kind", ["estimator", "booster", "file", "its own file", "host"])
def test_training_goes_on_from_any_kind_of_model(kind, tmp_path):
    X, y = diabetes()
    ours = losskit.squared_error.to("lightgbm")
    model = Regressor("squared_error", **SMALL).fit(X, y)
    path = tmp_path / "model.txt"
    if kind == "its own file":
        model.save_model(path)
    else:
        model.booster_.save_model(path)
    given = {"estimator": model, "booster": model.booster_, "host": model.host_}.get(kind, path)
    expected = Regressor("squared_error", **SMALL | {"n_estimators": 20}).fit(X, y).predict(X)
    near(ours.train(QUIET, lgb.Dataset(X, y), 10, init_model=given).predict(X), expected)
    near(Regressor("squared_error", **SMALL).fit(X, y, init_model=given).predict(X), expected)
    with pytest.raises(TypeError, match="init_model is a dict; needed is a Booster"):
        ours.train(QUIET, lgb.Dataset(X, y), 1, init_model={})  # LightGBM would begin anew


@pytest.mark.parametrize("name", ["cross_entropy", "gaussian_nll"])
def test_training_of_several_scores_goes_on(name):
    X, y = (WINE, SORT) if name == "cross_entropy" else diabetes()
    ours = losskit.get(name).to("lightgbm")
    half = ours.train(QUIET, lgb.Dataset(X, y), 5)
    made = ours.train(QUIET, lgb.Dataset(X, y), 5, init_model=half)
    near(ours.predict(made, X), ours.predict(ours.train(QUIET, lgb.Dataset(X, y), 10), X))


def test_models_of_another_kind_are_refused(tmp_path):
    X, y = diabetes()
    means = losskit.squared_error.to("lightgbm").train(QUIET, lgb.Dataset(X, y), 3)
    for loss in ("poisson", "binary_cross_entropy"):
        with pytest.raises(ValueError, match=f"another link than that of losskit.{loss}") as error:
            losskit.get(loss).to("lightgbm").train(QUIET, lgb.Dataset(X, y), 3, init_model=means)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"gives 1 scores a row, .*gaussian_nll needs 2"):
        Regressor("gaussian_nll", **SMALL).fit(X, y, init_model=means)
    built_in = lgb.train(OWN, lgb.Dataset(X, y), 3)
    losskit.huber.to("lightgbm").train(QUIET, lgb.Dataset(X, y), 3, init_model=built_in)
    two = SORT < 2
    model = Classifier(**SMALL).fit(WINE[two], np.array(["a", "b"])[SORT[two]])
    model.save_model(tmp_path / "model.txt")
    for given in (model, tmp_path / "model.txt"):
        with pytest.raises(ValueError, match=r"classes \['a', 'b'\], y has \['b', 'c'\]"):
            Classifier(**SMALL).fit(WINE[~two | (SORT == 1)],
                                    np.array(["a", "b", "c"])[SORT[~two | (SORT == 1)]],
                                    init_model=given)  # fmt: skip


def test_kinds_of_boosting_that_lose_the_start():
    X, y = diabetes()
    ours = losskit.squared_error.to("lightgbm")
    with pytest.raises(losskit.Unsupported, match="boosting='rf'"):
        ours.train({**QUIET, "boosting": "rf"}, lgb.Dataset(X, y), 1)
    with pytest.raises(losskit.Unsupported, match="boosting_type='rf'"):
        Regressor(boosting_type="rf", **SMALL).fit(X, y)
    dart = {**QUIET, "boosting": "dart", "drop_rate": 0.5, "skip_drop": 0.0}
    with pytest.raises(losskit.Unsupported, match="shrink the first tree"):
        ours.train(dart, lgb.Dataset(X, y), 1, keep_training_booster=True)
    made = ours.train(dart, lgb.Dataset(X, y), 20).predict(X)
    assert made.mean() == pytest.approx(y.mean(), rel=1e-6)
    theirs = lgb.train({**OWN, **dart}, lgb.Dataset(X, y), 20).predict(X)
    assert theirs.mean() < 0.95 * y.mean()  # LightGBM's own loses its start so


def test_classes_by_the_other_name_of_their_number():
    ours = losskit.logistic_margin.to("lightgbm")
    one, other = (
        ours.predict(ours.train({**QUIET, name: 3}, lgb.Dataset(WINE, SORT), 5), WINE)
        for name in ("num_class", "num_classes")
    )
    assert np.array_equal(one, other)
    entropy = losskit.cross_entropy.to("lightgbm")
    booster = entropy.train({**QUIET, "num_classes": 4}, lgb.Dataset(WINE, SORT), 3)
    assert entropy.predict(booster, WINE).shape == (len(SORT), 4)


@pytest.mark.parametrize("bad", [1.5, 7.0, -1.0])
def test_targets_that_are_no_class_are_named(bad):
    y = SORT.astype(float)
    y[4] = bad
    ours = losskit.logistic_margin.to("lightgbm")
    with pytest.raises(ValueError, match=rf"y_true\[4\] = {bad:g} is none of the 3 classes"):
        ours.train({**QUIET, "num_class": 3}, lgb.Dataset(WINE, y), 1)
    w = np.where(np.arange(len(y)) == 4, 0.0, 1.0)
    made, expected = (
        ours.train({**QUIET, "num_class": 3}, lgb.Dataset(WINE, one, weight=w), 3).predict(WINE)
        for one in (y, SORT)
    )
    assert np.array_equal(made, expected)


def test_what_else_a_booster_tells_is_its_own():
    X, y = diabetes()
    ours = losskit.poisson.to("lightgbm")
    booster = ours.train(QUIET, lgb.Dataset(X, y), 5)
    for option in ("pred_leaf", "pred_contrib", "raw_score"):
        expected = booster.predict(X, **{option: True})
        assert np.array_equal(ours.predict(booster, X, **{option: True}), expected)


@pytest.mark.parametrize(("one", "other"), [(Regressor, Classifier), (Classifier, Regressor)])
def test_a_file_of_the_other_estimator_is_refused(one, other, tmp_path):
    X, y = diabetes()
    one(**SMALL).fit(X, y > 140 if one is Classifier else y).save_model(tmp_path / "model.txt")
    with pytest.raises(ValueError, match=rf"model\.txt: .*load it by {one.__name__}$"):
        other().load_model(tmp_path / "model.txt")


def test_cross_validation_is_lightgbms():
    X, y = diabetes()
    w = weights(len(y))
    ours = losskit.squared_error.to("lightgbm")
    start = np.full(len(y), ours.start(y, w))
    told = {"nfold": 3, "stratified": False}
    data = lgb.Dataset(X, y, weight=w, init_score=start)
    made = lgb.cv({**QUIET, "objective": ours.objective}, data, 10, feval=ours.metric, **told)
    theirs = lgb.cv(OWN, lgb.Dataset(X, y, weight=w, init_score=start), 10, **told)
    np.testing.assert_allclose(
        made["valid losskit_squared_error-mean"], theirs["valid l2-mean"], rtol=1e-6
    )
