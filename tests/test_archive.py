"""Estimators in files: what predicts comes back bit by bit; what was changed is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import losskit
from losskit.fit.files import saving
from losskit.penalties import GroupLasso

RNG = np.random.default_rng(4)
N = 90
X = RNG.normal(size=(N, 3))
SCORE = X @ [1.0, -2.0, 0.0]
NUMBER = SCORE + RNG.normal(size=N)
LABEL = np.where(SCORE + RNG.logistic(size=N) > 0, "yes", "no")
FRAME = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 1, np.nan, X[:, 1]),
                      "c": np.where(X[:, 2] > 0, "Oslo", "Bergen")})  # fmt: skip


@losskit.loss
def own(y, f, width: losskit.formula.Positive = 1.0):
    """A loss of this module, which whoever loads the file does not have."""
    r = (f - y) / width
    return losskit.formula.log1p(r * r)


MODELS = [
    (losskit.Regressor(), X, NUMBER),
    (losskit.Regressor("huber", penalty="l1", alpha=0.1, fit_intercept=False), X, NUMBER),
    (losskit.Regressor(own(width=2.0), solver="lbfgs", random_state=3), X, NUMBER),
    (losskit.Regressor(losskit.quantile(q=(0.9, 0.1)), alpha=0.1), X, NUMBER),
    (losskit.Regressor(penalty=GroupLasso([0, 0, 1]), alpha=0.1), X, np.c_[NUMBER, SCORE]),
    (losskit.Classifier(class_weight={"yes": 2.0, "no": 1.0}), X, LABEL),
    (losskit.Classifier("log_loss", class_weight=[1.0, 2.0]), X, LABEL == "yes"),
    (losskit.Classifier("hinge", alpha=0.1), X, RNG.integers(3, size=N)),
    (losskit.Classifier(), X, np.c_[LABEL == "yes", X[:, 0] > 0].astype(int)),
    (losskit.Classifier(standardize=True), FRAME, LABEL),
    (losskit.RegressorCV(penalty="elasticnet", l1_ratio=[0.2, 1.0], alphas=3, cv=3,
                         random_state=1), X, NUMBER),
    (losskit.ClassifierCV(alphas=[1.0, 0.1], cv=3, random_state=0, rule="1se",
                          metrics=["accuracy", "auc"]), X, LABEL),
]  # fmt: skip


@pytest.mark.parametrize(("model", "X", "y"), MODELS, ids=lambda v: repr(v)[:40])
def test_a_model_comes_back_as_it_was(model: Any, X: Any, y: Any, tmp_path: Path) -> None:
    model.fit(X, y)
    path = tmp_path / "m.losskit"
    model.save(path)
    back = losskit.load(path)
    assert type(back) is type(model)
    assert (np.asarray(back.predict(X)) == np.asarray(model.predict(X))).all()
    for method in ("decision_function", "predict_proba"):
        assert hasattr(back, method) == hasattr(model, method)
        if hasattr(model, method):
            assert (getattr(back, method)(X) == getattr(model, method)(X)).all()
    for name in vars(model):
        if name.endswith("_") and name not in ("cv_", "feature_names_in_", "preprocessing_"):
            left, right = getattr(back, name), getattr(model, name)
            assert type(left) is type(right), name
            assert np.array_equal(left, right) if isinstance(right, np.ndarray) else left == right
    assert back.certificate_ == model.certificate_
    assert back.history_ == model.history_
    if hasattr(model, "cv_"):
        assert (back.cv_.scores == model.cv_.scores).all()
        assert back.cv_.lambda_1se == model.cv_.lambda_1se
        assert {k: v.tolist() for k, v in back.cv_.metrics.items()} == {
            k: v.tolist() for k, v in model.cv_.metrics.items()
        }
        assert [f.objective for f in back.cv_.path] == [f.objective for f in model.cv_.path]
    again = tmp_path / "again.losskit"
    back.save(again)
    assert again.read_bytes() == path.read_bytes()
    assert back.fit(X, y).coef_ == pytest.approx(model.coef_, rel=1e-6, abs=1e-9)


def test_what_cannot_be_kept_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.losskit"
    seed = np.random.RandomState(0)
    folds = np.arange(N) % 3
    model = losskit.ClassifierCV(alphas=2, cv=folds, random_state=seed, progress=lambda p: None)
    model.fit(X, LABEL).save(path)
    back = losskit.load(path)
    assert (back.cv, back.random_state, back.progress) == (5, None, None)
    with pytest.raises(ValueError, match="not fitted"):
        losskit.Classifier().save(path)


def changed(path: Path, change: Any) -> None:
    document, arrays = saving.read(path)
    change(document, arrays)
    saving.write(path, document, arrays)


CHANGES = [
    (lambda d, a: d.update(kind="Estimator"), "kind"),
    (lambda d, a: d.pop("fitted"), "has no 'fitted'"),
    (lambda d, a: d["parameters"].update(os="rm"), "has 'os', which is unknown here"),
    (lambda d, a: d["parameters"].pop("tol"), "has no 'tol'"),
    (lambda d, a: d["parameters"].update(alpha="1"), "parameters.alpha is '1'"),
    (lambda d, a: d["parameters"].update(solver={"name": "os:system", "options": {}}), "solver"),
    (lambda d, a: d["fitted"].update(__class__="x"), "which a Classifier has not"),
    (lambda d, a: d["fitted"].update(order_=None), "which a Classifier has not"),
    (lambda d, a: d["fitted"].pop("classes_"), "has no 'classes_'"),
    (lambda d, a: d["fitted"].update(loss_="hinge"), "needed is a loss"),
    (lambda d, a: d["fitted"].update(n_features_in_=4), "for 4 features"),
    (lambda d, a: d["fitted"].update(feature_names_in_=["a"]), "has 1 names for 3"),
    (lambda d, a: d["fitted"]["classes_"].update(values=["no"]), "has 1 classes"),
    (lambda d, a: d["fitted"].update(multilabel_=1), "multilabel_"),
    (lambda d, a: d.update(cv={"metrics": [], "fits": []}), "has no cross-validation|l1_ratio_"),
    (lambda d, a: a.update(coef_=np.zeros((2, 3))), "shape|classes"),
    (lambda d, a: a.update(coef_=np.full((1, 3), np.nan)), "coef_ holds what is not finite"),
    (lambda d, a: a.update(coef_=np.zeros((1, 3), int)), "no float64 array coef_"),
    (lambda d, a: a.pop("intercept_"), "no float64 array intercept_"),
    (lambda d, a: a.update(intercept_=np.zeros(2)), "intercept_ has shape"),
    (lambda d, a: a.update(history=np.zeros((2, 4))), "history has shape"),
    (lambda d, a: a.update(alphas_=np.array(1.0)), "alphas_ has no axis"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_changed_file_is_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.losskit"
    losskit.Classifier().fit(X, LABEL).save(path)
    changed(path, change)
    with pytest.raises(ValueError, match=said) as error:
        losskit.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.losskit"
    losskit.Classifier().fit(X, LABEL).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="losskit"):
            losskit.load(path)
