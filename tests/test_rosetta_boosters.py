"""The table of names: what it says of boosters is what the installed ones train and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import losskit
from laws.samples import sample
from losskit.rosetta.facts import (
    AT_BEST,
    AT_MEAN,
    AT_ZERO,
    FRACTION,
    INDEX,
    ONE_STEP,
    SIGNS,
    ZERO_ONE,
)
from losskit.rosetta.listing import Entry, entries

ROWS, CLASSES, COPIES = 8, 3, 500
Array = np.ndarray[Any, Any]
ENTRIES = [
    e for e in entries()
    if e.library.name in ("xgboost", "lightgbm", "catboost") and not e.name.without
]  # fmt: skip
NOT_YET = {"xgboost.train reg:expectileerror": "XGBoost has it from 3.3 on"}
# What runs in every test run: one objective of each library.
STRATUM = (
    "xgboost.train reg:pseudohubererror", "lightgbm.train huber", "catboost.train CrossEntropy",
)  # fmt: skip


def marked(entries: list[Entry]) -> list[Any]:
    """Return entries as parameters, those outside the stratum slow."""
    slow = [pytest.mark.slow]
    return [
        pytest.param(e, marks=[] if e.key in STRATUM else slow, id=f"{e.key} {e.name.text}")
        for e in entries
    ]


# Whose leaves do not tell the gradient, as they are set anew after each tree, or start nowhere.
BY_METRIC = {
    "xgboost.train reg:absoluteerror", "xgboost.train reg:quantileerror",
    "lightgbm.train regression_l1", "lightgbm.train quantile", "lightgbm.train mape",
    "catboost.train RMSEWithUncertainty", "catboost.train MultiRMSE", "catboost.train MultiLogloss",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    entry = request.node.callspec.params.get("entry") if hasattr(request.node, "callspec") else None
    if entry is not None:
        pytest.importorskip(entry.library.name)
        if entry.key in NOT_YET and not _known_to(entry):
            pytest.skip(NOT_YET[entry.key])


def _known_to(entry: Entry) -> bool:
    version = import_module(entry.library.name).__version__
    return tuple(map(int, version.split(".")[:2])) >= (3, 3)


def needed(entry: Entry) -> dict[str, Any]:
    """Return parameters that the objective does not do without, at values of their own."""
    own = losskit.get(entry.name.loss).params
    values = {"focal_alpha": 0.25, "focal_gamma": 1.5, "q": 1.75, "delta": 0.75}
    return {
        theirs: values.get(theirs, own[ours])
        for theirs, ours in entry.call.parameters.items()
        if theirs not in entry.name.defaults
    }


def other(entry: Entry) -> dict[str, Any]:
    """Return parameters that are not the defaults."""
    values = {
        "alpha": 0.3, "delta": 1.75, "power": 1.25, "q": 0.3, "c": 0.5, "pos_weight": 2.5,
        "gamma": 1.0, "p": 2.5,
    }  # fmt: skip
    return {theirs: values[ours] for theirs, ours in entry.call.parameters.items()}


def numbers(loss: losskit.Loss, seed: int = 3) -> tuple[Array, Array]:
    """Return targets and raw scores, exact in float32 as boosters keep them."""
    rng = np.random.default_rng(seed)
    if loss.kind == "rows":
        f = rng.normal(size=(ROWS, CLASSES)).astype(np.float32)
        labels = np.arange(ROWS) % CLASSES
        y = labels if loss.name == "cross_entropy" else np.eye(CLASSES)[labels]
        return y, f.astype(float)
    y, f = sample(loss, ROWS, seed=seed)
    if loss.target_domain.upper == 1:  # both labels in every pair of rows
        y = np.arange(ROWS) % 2 * (1 - loss.target_domain.lower) + loss.target_domain.lower
    f = np.clip(f, -3, 3)
    if any(link.name == "log" for link in loss.definition.links) and f.ndim == 1:
        f, y = (
            abs(f) * np.tile([-0.5, 0.5], ROWS // 2),
            np.maximum(y, 0.5) * np.tile([1.0, 0.2], ROWS // 2),
        )
    if loss.name in ("mape", "msle"):
        y, f = abs(y) + 1.0, abs(f) + 1.5
    return y.astype(np.float32).astype(float), f.astype(np.float32).astype(float)


def coded(entry: Entry, loss: losskit.Loss, y: Array) -> Array:
    """Return targets as the booster takes them."""
    if loss.name == "hinge":
        return (y + 1) / 2
    return y.argmax(1) if y.ndim == 2 and INDEX in entry.name.labels else y


# --- gradients: one leaf for each row, at two strengths of the penalty -------------------------


def by_xgboost(title: str, given: dict, y: Array, f: Array, ours: Array) -> Array:
    xgb = import_module("xgboost")
    wide = {"num_class": CLASSES} if f.ndim == 2 else {}
    leaves = []
    for strength in (100.0, 1000.0):
        usual = {
            "objective": title, "lambda": strength, "learning_rate": 1.0, "min_child_weight": 0,
            "max_depth": 1, "nthread": 1, "base_score": 0.5, "disable_default_eval_metric": True,
            "verbosity": 0,
        }  # fmt: skip
        rows = []
        for i in range(len(y)):
            data = xgb.DMatrix(np.zeros((1, 1)), label=[y[i]], base_margin=f[[i]])
            made = xgb.train({**usual, **wide, **given}, data, 1)
            dumped = made.get_dump(dump_format="json")
            rows.append([json.loads(tree)["leaf"] for tree in dumped])
        leaves.append(np.squeeze(np.array(rows)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 900.0 / (1 / leaves[0] - 1 / leaves[1])


def by_lightgbm(title: str, given: dict, y: Array, f: Array, ours: Array) -> Array:
    lgb = import_module("lightgbm")
    wide = {"num_class": CLASSES} if f.ndim == 2 else {}
    found = np.zeros(f.shape)
    for place in np.ndindex(ours.shape):  # beside a row that pulls the other way, so that it splits
        pulls = ours[(slice(None), *place[1:])]
        # Many of each, as it takes the number of rows in a leaf from the sum of their curvature.
        pair = np.repeat([place[0], int(np.argmax(-np.sign(ours[place]) * pulls))], COPIES)
        leaves = []
        for strength in (0.0, float(COPIES)):
            params = {
                "objective": title, "lambda_l2": strength, "learning_rate": 1.0, "num_leaves": 2,
                "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0, "min_data_in_bin": 1,
                "feature_pre_filter": False, "boost_from_average": False, "verbosity": -1,
                "num_threads": 1, "deterministic": True,
            }  # fmt: skip
            start = f[pair].T.ravel() if f.ndim == 2 else f[pair]
            x = np.repeat([[0.0], [1.0]], COPIES, axis=0)
            data = lgb.Dataset(x, label=y[pair], init_score=start)
            made = lgb.train({**params, **wide, **given}, data, 1)
            leaves.append(made.predict(x[:1], raw_score=True)[(0, *place[1:])])
        found[place] = 1.0 / (1 / leaves[0] - 1 / leaves[1])
    return found


def by_catboost(title: str, given: dict, y: Array, f: Array, ours: Array) -> Array:
    bits = (np.arange(ROWS)[:, None] >> np.arange(3)) & 1  # so that depth 3 parts all rows
    return -catboost_leaves(title, given, bits, y, f, depth=3)


def catboost_leaves(
    title: str, given: dict, x: Array, y: Array, f: Array | None, depth: int
) -> Array:
    """Return the mean of what it descends by over each leaf: minus the gradient, weighed."""
    catboost = import_module("catboost")
    inside = ";".join(f"{n}={v}" for n, v in given.items() if n != "scale_pos_weight")
    model = catboost.CatBoost({
        "loss_function": f"{title}:{inside}" if inside else title,
        "leaf_estimation_method": "Gradient", "leaf_estimation_iterations": 1,
        "iterations": 1, "depth": depth, "learning_rate": 1.0, "l2_leaf_reg": 0.0,
        "bootstrap_type": "No", "random_strength": 0.0, "boost_from_average": False,
        "verbose": 0, "allow_writing_files": False, "thread_count": 1,
        **{n: v for n, v in given.items() if n == "scale_pos_weight"},
    })  # fmt: skip
    model.fit(catboost.Pool(x, label=y, baseline=f))
    return np.array(model.predict(x, prediction_type="RawFormulaVal"))


GRADIENTS: dict[str, Callable[..., Array]] = {
    "xgboost": by_xgboost, "lightgbm": by_lightgbm, "catboost": by_catboost,
}  # fmt: skip


@pytest.mark.parametrize("entry", marked(ENTRIES))
def test_the_gradient_of_ours_is_theirs_times_the_factor(entry: Entry) -> None:
    if entry.key in BY_METRIC:
        pytest.skip("its leaves do not tell: its metric is compared below")
    for given in (needed(entry), other(entry)) if entry.call.parameters else ({},):
        loss = entry.read(given)
        y, f = numbers(loss)
        if entry.library.name == "catboost" and "scale_pos_weight" in given:
            continue  # a leaf of one row does not tell its weight: see below
        ours = loss.gradient(y, f, raw=True, reduction="none")
        for title in entry.spellings if given == needed(entry) else entry.spellings[:1]:
            theirs = GRADIENTS[entry.library.name](title, given, coded(entry, loss, y), f, ours)
            theirs = np.where((ours == 0) & np.isnan(theirs), 0.0, theirs)  # 0/0: leaves of 0
            np.testing.assert_allclose(ours, factor(entry) * theirs, rtol=2e-4, atol=2e-5)


def factor(entry: Entry) -> float:
    return {"1/classes": 1 / CLASSES}.get(entry.factor, entry.factor)


# --- metrics: what a booster reports of raw scores ---------------------------------------------

# Objective → the metric that is its loss, and whether that is reported by its root.
METRICS = {
    "xgboost.train reg:absoluteerror": "mae",
    "xgboost.train reg:quantileerror": "quantile",
    "lightgbm.train regression_l1": "l1",
    "lightgbm.train quantile": "quantile",
    "lightgbm.train mape": "mape",
    "catboost.train RMSEWithUncertainty": "RMSEWithUncertainty",
    "catboost.train MultiRMSE": "MultiRMSE",
    "catboost.train MultiLogloss": "MultiLogloss",
    "xgboost.train binary:logistic": "logloss",
    "xgboost.train multi:softprob": "mlogloss",
    "lightgbm.train huber": "huber",
    "lightgbm.train binary": "binary_logloss",
    "catboost.train Huber": "Huber",
    "catboost.train CrossEntropy": "CrossEntropy",
}


def reported(entry: Entry, given: dict, y: Array, f: Array, w: Array) -> float:
    name, library = METRICS[entry.key], import_module(entry.library.name)
    if entry.library.name == "catboost":
        inside = ";".join(f"{n}={v}" for n, v in given.items())
        score = import_module("catboost.utils").eval_metric
        metric = f"{name}:{inside}" if inside else name
        return score(y, f, metric, weight=w)[0]
    wide = {"num_class": CLASSES} if f.ndim == 2 else {}
    x = np.arange(len(y), dtype=float)[:, None]
    if entry.library.name == "xgboost":
        data = library.DMatrix(x, label=y, weight=w, base_margin=f)
        params = {"objective": entry.title, "eval_metric": name, "learning_rate": 0.0, "nthread": 1}
        found: dict = {}
        library.train(
            {**params, **wide, **given}, data, 1, evals=[(data, "it")], evals_result=found,
            verbose_eval=False,
        )  # fmt: skip
        return found["it"][name][-1]
    start = f.T.ravel() if f.ndim == 2 else f
    data = library.Dataset(x, label=y, weight=w, init_score=start, free_raw_data=False)
    found = {}
    params = {
        "objective": entry.title, "metric": name, "learning_rate": 1e-15, "verbosity": -1,
        "num_threads": 1, "min_data_in_leaf": 1,
    }  # fmt: skip
    library.train(
        {**params, **wide, **given}, data, 1, valid_sets=[data], valid_names=["it"],
        callbacks=[library.record_evaluation(found)],
    )  # fmt: skip
    return found["it"][name][-1]


@pytest.mark.parametrize("entry", marked([e for e in ENTRIES if e.key in METRICS]))
def test_the_metric_is_the_mean_over_the_weights(entry: Entry) -> None:
    given = needed(entry)
    loss = entry.read(given)
    y, f = numbers(loss)
    if entry.key.endswith("MultiRMSE"):
        y, f = np.stack([y, f], axis=1), np.stack([f, y / 2], axis=1)
    w = np.where(np.arange(ROWS) % 3 == 0, 1.0, 3.0)
    theirs = reported(entry, given, coded(entry, loss, y), f, w)
    weight = np.repeat(w[:, None], 2, axis=1) if entry.key.endswith("MultiRMSE") else w
    ours = loss(y, f, raw=True, sample_weight=weight) - entry.name.shift
    if entry.key.endswith("MultiRMSE"):  # the root of a sum over both targets
        ours = np.sqrt(2 * ours)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)


@pytest.mark.slow
def test_catboost_weighs_positives_by_scale_pos_weight() -> None:
    pytest.importorskip("catboost")
    x, y = np.array([[0], [0], [1], [1], [1]]), np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    leaves = catboost_leaves("Logloss", {"scale_pos_weight": 2.5}, x, y, None, depth=1)
    loss = losskit.binary_cross_entropy(pos_weight=2.5)
    slopes = loss.gradient(y, np.zeros(5), raw=True, reduction="none")
    weight = np.where(y == 1, 2.5, 1.0)
    expected = [-slopes[x[:, 0] == i].sum() / weight[x[:, 0] == i].sum() for i in x[:, 0]]
    np.testing.assert_allclose(leaves, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("title", ["MultiRMSE", "MultiLogloss", "MultiCrossEntropy"])
def test_catboost_trains_several_targets_on_the_sum_over_them(title: str) -> None:
    pytest.importorskip("catboost")
    (entry,) = [e for e in ENTRIES if title in e.spellings and e.library.name == "catboost"]
    rng = np.random.default_rng(1)
    y = (rng.random((ROWS, CLASSES)) < 0.5) * (1.0 if title == "MultiLogloss" else 0.75)
    y = y.astype(int) if title == "MultiLogloss" else y
    x = np.arange(ROWS)[:, None] % 2
    leaves = catboost_leaves(title, {}, x, y, None, depth=1)
    loss = entry.read({})
    slopes = loss.gradient(y, np.zeros(y.shape), raw=True, reduction="none")
    for group in (0, 1):
        rows = x[:, 0] == group
        expected = -slopes[rows].mean(axis=0) / factor(entry)
        np.testing.assert_allclose(leaves[rows], np.tile(expected, (4, 1)), rtol=1e-6)


# --- defaults, starts, labels ------------------------------------------------------------------


@pytest.mark.slow
def test_defaults_of_xgboost_are_the_installed_ones() -> None:
    xgb = pytest.importorskip("xgboost")
    for entry in ENTRIES:
        if entry.library.name == "xgboost" and entry.name.defaults:
            data = xgb.DMatrix(np.zeros((2, 1)), label=[0.0, 1.0])
            made = xgb.train({"objective": entry.title, **needed(entry)}, data, 1)
            said = json.loads(made.save_config())["learner"]["objective"]
            held = {
                n: v for part in said.values() if isinstance(part, dict) for n, v in part.items()
            }
            for name, value in entry.name.defaults.items():
                assert float(held[name]) == value, (entry.key, name)


@pytest.mark.parametrize(
    "entry", marked([e for e in ENTRIES if e.library.name == "lightgbm" and e.name.defaults])
)
def test_defaults_of_lightgbm_are_the_installed_ones(entry: Entry) -> None:
    lgb = pytest.importorskip("lightgbm")
    y, _ = numbers(entry.read({}))

    def model(**given: Any) -> Array:
        params = {
            "objective": entry.title, "verbosity": -1, "min_data_in_leaf": 1, "num_threads": 1,
            "min_data_in_bin": 1, "min_sum_hessian_in_leaf": 0.0, **given,
        }  # fmt: skip
        x = np.arange(len(y), dtype=float)[:, None]
        return lgb.train(params, lgb.Dataset(x, label=y), 3).predict(x, raw_score=True)

    assert np.array_equal(model(), model(**entry.name.defaults))
    for name, value in entry.name.defaults.items():
        assert not np.array_equal(model(), model(**{name: value * 0.75})), name


@pytest.mark.slow
def test_defaults_of_catboost_are_the_installed_ones() -> None:
    catboost = pytest.importorskip("catboost")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 1)), (rng.random(50) < 0.5).astype(float)

    def model(title: str, **given: Any) -> Array:
        params = {
            "loss_function": title, "iterations": 2, "verbose": 0, "allow_writing_files": False,
            "thread_count": 1, **given,
        }  # fmt: skip
        return catboost.CatBoost(params).fit(x, y).predict(x)

    assert np.array_equal(model("Quantile"), model("Quantile:alpha=0.5"))
    assert not np.array_equal(model("Quantile"), model("Quantile:alpha=0.25"))
    assert np.array_equal(model("Logloss"), model("Logloss", scale_pos_weight=1.0))
    for entry in ENTRIES:
        if entry.library.name == "catboost" and needed(entry):
            with pytest.raises(catboost.CatBoostError):
                model(entry.title)


def start(entry: Entry, y: Array) -> Array:
    """Return the raw score from which the booster starts, by a model that does not move."""
    library, given = import_module(entry.library.name), needed(entry)
    x = np.linspace(-1, 1, len(y))[:, None]
    wide = {"num_class": CLASSES} if INDEX in entry.name.labels else {}
    if entry.library.name == "xgboost":
        params = {"objective": entry.title, "learning_rate": 1e-12, **wide, **given}
        made = library.train(params, library.DMatrix(x, label=y), 1)
        return made.predict(library.DMatrix(x[:1]), output_margin=True)[0]
    if entry.library.name == "lightgbm":
        params = {"objective": entry.title, "learning_rate": 1e-12, "verbosity": -1}
        made = library.train({**params, **wide, **given}, library.Dataset(x, label=y), 1)
        return made.predict(x[:1], raw_score=True)[0]
    inside = ";".join(f"{n}={v}" for n, v in given.items() if n != "scale_pos_weight")
    model = library.CatBoost({
        "loss_function": f"{entry.title}:{inside}" if inside else entry.title, "depth": 1,
        "learning_rate": 1e-6, "iterations": 1, "verbose": 0, "allow_writing_files": False,
        "thread_count": 1,
    }).fit(x, y)  # fmt: skip
    return model.predict(x[:1], prediction_type="RawFormulaVal")[0]


@pytest.mark.parametrize(
    "entry", marked([e for e in ENTRIES if e.key not in BY_METRIC or "Multi" not in e.key])
)
def test_training_starts_where_the_table_says(entry: Entry) -> None:
    loss = entry.read(needed(entry))
    rng = np.random.default_rng(0)
    if loss.kind == "rows":
        y = np.repeat([0, 1, 1, 2, 2, 2], 50)
        expected = losskit.cross_entropy.start_score(y)
        if loss.name == "multilabel_cross_entropy":
            expected = np.array(
                [losskit.binary_cross_entropy.start_score(y == k) for k in range(3)]
            )
    elif loss.target_domain.upper == 1:
        y = np.repeat([loss.target_domain.lower] * 2 + [1.0], 100)
        expected = loss.start_score(y)
    else:
        y = 1.5 + rng.gamma(1, 2, 300)
        expected = loss.start_score(y)
    if entry.start == AT_MEAN:
        expected = y.mean()
    elif entry.start == AT_ZERO:
        expected = np.zeros(np.shape(expected))
    elif entry.start == ONE_STEP:
        g, h = loss.gradient_and_hessian(y, np.zeros(300), raw=True, reduction="sum")
        expected = -g.sum() / h.sum()
    elif entry.start != AT_BEST:
        pytest.fail(f"no test knows {entry.start!r}")
    theirs = start(entry, coded(entry, loss, y))
    if loss.name == "cross_entropy":  # which sees differences of scores only
        theirs, expected = theirs - np.mean(theirs), expected - np.mean(expected)
    np.testing.assert_allclose(theirs, expected, rtol=3e-3, atol=5e-5)


def trained(entry: Entry, y: Array) -> Array:
    library, x = import_module(entry.library.name), np.linspace(-1, 1, len(y))[:, None]
    given = needed(entry)
    if entry.library.name == "xgboost":
        params = {"objective": entry.title, "verbosity": 0, "base_score": 0.5, **given}
        data = library.DMatrix(x, label=y)
        return library.train(params, data, 2).predict(data, output_margin=True)
    if entry.library.name == "lightgbm":
        params = {"objective": entry.title, "verbosity": -1, "min_data_in_leaf": 1, **given}
        return library.train(params, library.Dataset(x, label=y), 2).predict(x, raw_score=True)
    inside = ";".join(f"{n}={v}" for n, v in given.items() if n != "scale_pos_weight")
    model = library.CatBoost({
        "loss_function": f"{entry.title}:{inside}" if inside else entry.title, "iterations": 2,
        "verbose": 0, "allow_writing_files": False, "thread_count": 1,
    }).fit(x, y)  # fmt: skip
    return model.predict(x, prediction_type="RawFormulaVal")


@pytest.mark.parametrize("code", [ZERO_ONE, FRACTION, SIGNS])
@pytest.mark.parametrize(
    "entry",
    marked(
        [
            e
            for e in ENTRIES
            if ZERO_ONE in e.name.labels and e.name.loss != "multilabel_cross_entropy"
        ]
    ),
)
def test_a_booster_takes_the_labels_that_the_table_says(entry: Entry, code: str) -> None:
    yes = np.arange(12) % 3 > 0
    y = {ZERO_ONE: yes * 1.0, FRACTION: np.where(yes, 0.75, 0.25 * (np.arange(12) % 2)),
         SIGNS: 2.0 * yes - 1}[code]  # fmt: skip
    if code in entry.name.labels:
        made = trained(entry, y)
        if code == SIGNS:
            assert np.array_equal(made, trained(entry, yes * 1.0))
    elif code in entry.name.silent:
        assert np.isfinite(trained(entry, y)).all()
    else:
        with pytest.raises(Exception, match=r"(?i)label|target|class|\[0, 1\]"):
            trained(entry, y)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["lightgbm", "catboost"])
def test_a_target_below_one_counts_as_one_in_mape(library: str) -> None:
    pytest.importorskip(library)
    (entry,) = [e for e in ENTRIES if e.library.name == library and e.name.loss == "mape"]
    assert entry.name.clip == "a target below 1 in size counts as 1"
    y, f = np.array([0.25, 0.5, 2.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
    theirs = (
        import_module("catboost.utils").eval_metric(y, f, "MAPE")[0]
        if library == "catboost"
        else reported(entry, {}, y, f, np.ones(4))
    )
    np.testing.assert_allclose(theirs, np.mean(abs(f - y) / np.maximum(y, 1)), rtol=1e-6)
    assert theirs < losskit.mape(y, f)
