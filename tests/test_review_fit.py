"""What reviewers of the estimators found, so that it stays found."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import losskit
from losskit import penalties
from losskit.fit import fitting
from losskit.fit.crossvalidation import alpha_grid
from losskit.fit.data.source import MemorySource
from losskit.fit.inputs.preprocessing import Preprocessing
from losskit.tables import TableError

RNG = np.random.default_rng(11)
N, D = 120, 3
X = RNG.normal(size=(N, D))
Y = X @ [1.0, -0.5, 0.0] + 0.3 * RNG.normal(size=N)
LABEL = np.where(Y > 0, "b", "a")
THIRD = np.array(["a", "b", "c"])[np.digitize(Y, [-0.5, 0.5])]
BAND = losskit.quantile(q=(0.1, 0.5, 0.9))
QUICK = {"alpha": 0.05, "tol": 1e-2}


# --- offsets


@pytest.mark.parametrize("offset", [np.zeros((N, 2)), np.zeros(N - 1), 1.0, np.zeros((N, 1, 1))])
def test_an_offset_of_another_shape_is_refused_by_fit_and_predict(offset: Any) -> None:
    model = losskit.Regressor().fit(X, Y)
    for call in (
        lambda: model.predict(X, offset=offset),
        lambda: model.score(X, Y, offset=offset),
        lambda: losskit.Regressor().fit(X, Y, offset=offset),
        lambda: losskit.RegressorCV().fit(X, Y, offset=offset),
    ):
        with pytest.raises(ValueError, match=rf"offset has shape .*needed is .*\({N},\)"):
            call()


def test_an_offset_that_is_not_finite_names_its_row() -> None:
    offset = np.zeros(N)
    offset[7] = np.nan
    model = losskit.Regressor().fit(X, Y)
    for call in (model.predict, lambda X, offset: losskit.Regressor().fit(X, Y, offset=offset)):
        with pytest.raises(ValueError, match=r"offset\[7\] is not finite"):
            call(X, offset=offset)
    weight = np.ones(N)
    weight[7] = 0.0  # such a row may hold anything
    assert losskit.Regressor().fit(X, Y, sample_weight=weight, offset=offset).offset_in_fit_


def test_a_column_of_offsets_is_the_same_as_a_row_of_them() -> None:
    offset = np.linspace(0, 1, N)
    flat = losskit.Regressor().fit(X, Y, offset=offset)
    column = losskit.Regressor().fit(X, Y, offset=offset[:, None])
    assert (flat.coef_ == column.coef_).all()
    assert (flat.predict(X, offset) == column.predict(X, offset[:, None])).all()


def test_one_number_for_all_classes_is_no_offset() -> None:
    with pytest.raises(ValueError, match=rf"differences between classes.*\({N}, 3\)"):
        losskit.Classifier().fit(X, THIRD, offset=np.ones(N))
    plain = losskit.Classifier(**QUICK).fit(X, THIRD)
    moved = losskit.Classifier(**QUICK).fit(X, THIRD, offset=np.tile([5.0, 0.0, 0.0], (N, 1)))
    assert moved.intercept_[0] - moved.intercept_[1] < plain.intercept_[0] - plain.intercept_[1] - 4


def test_a_prediction_without_the_offset_of_the_fit_warns(tmp_path: Any) -> None:
    offset = np.ones(N)
    model = losskit.Regressor().fit(X, Y, offset=offset)
    model.save(tmp_path / "m.losskit")
    for one in (model, losskit.load(tmp_path / "m.losskit")):
        with pytest.warns(UserWarning, match="fitted with offset=") as seen:
            one.predict(X)
        assert seen[0].filename == __file__
        one.predict(X, offset=offset)  # says nothing: warnings are errors
    losskit.Regressor().fit(X, Y).predict(X)


def test_a_table_predicted_by_a_model_with_offsets_says_so(tmp_path: Any) -> None:
    frame = {"x": X[:, 0]}
    model = losskit.Regressor().fit(frame, Y, offset=np.ones(N))
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n2\n")
    found = losskit.predict_table(model, path)
    assert "offset 0" in " ".join(found.notes)
    assert not losskit.predict_table(losskit.Regressor().fit(frame, Y), path).notes


# --- what is no option


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"certificate": "gapp"}, "certificate='gapp'; needed is 'auto' or 'gap'"),
        ({"max_iter": -1}, "max_iter=-1; needed is a whole number"),
        ({"max_iter": 2.5}, r"max_iter=2\.5; needed is a whole number"),
        ({"tol": -1.0}, r"tol=-1\.0; needed is a finite number above 0"),
        ({"tol": np.nan}, "tol=nan"),
        ({"tol": "1e-4"}, "tol='1e-4'"),
        ({"alpha": "cv"}, "alpha='cv'; needed is a finite number of at least 0; RegressorCV"),
        ({"alpha": -1.0}, r"alpha=-1\.0; needed is a finite number of at least 0$"),
        ({"alpha": np.nan}, "alpha=nan"),
        ({"penalty": "elasticnet", "l1_ratio": 5}, "l1_ratio=5"),
        ({"penalty": "elasticnet", "l1_ratio": np.nan}, "l1_ratio=nan"),
    ],
)
def test_what_is_no_option_is_refused(options: dict[str, Any], said: str) -> None:
    for loss in ("squared_error", BAND):
        with pytest.raises(ValueError, match=said):
            losskit.Regressor(loss, **options).fit(X, Y)
    if "alpha" not in options:
        with pytest.raises(ValueError, match=said):
            losskit.RegressorCV(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fit_intercept": "False"}, "fit_intercept='False'; needed is True or False"),
        ({"standardize": "yes"}, "standardize='yes'"),
        ({"warm_start": 1}, "warm_start=1"),
        ({"unknown": "drop"}, "unknown='drop'"),
        ({"l1_ratio": 2}, "l1_ratio=2"),
        ({"random_state": "x"}, "random_state='x'"),
        ({"random_state": -1}, "random_state=-1"),
        ({"progress": 5}, "progress=5"),
        ({"alpha": True}, "alpha=True"),
        ({"alpha": None}, "alpha=None"),
        ({"tol": np.inf}, "tol=inf"),
        ({"max_iter": None}, "max_iter=None"),
    ],
)
def test_parameters_that_solvers_do_not_look_at_are_checked(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        losskit.Regressor(**options).fit(X, Y)
    with pytest.raises(ValueError, match=said):
        losskit.Classifier(**options).fit(X, LABEL)


# --- data that says something else


def test_labels_in_another_order_are_no_pairs() -> None:
    frame = pd.DataFrame(X, columns=list("abc"))
    turned = pd.Series(Y, index=range(N))[::-1]
    with pytest.raises(ValueError, match=r"another order.*y\.loc\[X\.index\]"):
        losskit.Regressor().fit(frame, turned)
    paired = losskit.Regressor().fit(frame, turned.loc[frame.index])
    assert paired.coef_ == pytest.approx(losskit.Regressor().fit(X, Y).coef_)
    losskit.Regressor().fit(frame, pd.Series(Y, index=range(N, 2 * N)))  # other labels say nothing


def test_masks_are_not_ignored() -> None:
    with pytest.raises(ValueError, match="y is a masked array"):
        losskit.Regressor().fit(X, np.ma.array(Y, mask=Y > 1))
    with pytest.raises(ValueError, match="X is a masked array"):
        losskit.Regressor().fit(np.ma.array(X, mask=X > 1), Y)


def test_targets_whose_squares_overflow_are_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"y\[3\] is 1e\+300; its square overflows"):
        losskit.Regressor().fit(X, np.where(np.arange(N) == 3, 1e300, Y))
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 7}.5e300\n" for i in range(1, 40)))
    with pytest.raises(TableError, match="choose other units"):
        losskit.fit_table(path, target="y")


def test_codes_with_leading_zeros_stay_as_they_are(tmp_path: Any) -> None:
    path = tmp_path / "a.csv"
    rows = [
        f"{i % 11}.5,{'01234' if i % 3 else '10001'},{'007' if i % 2 else '010'}" for i in range(60)
    ]
    path.write_text("x,zip,y\n" + "\n".join(rows) + "\n")
    found = losskit.fit_table(path, target="y", alpha=0.1)
    assert [label for label, _ in found.classes] == ["007", "010"]
    assert {"zip=01234", "zip=10001"} < set(found.model.preprocessing_.names)
    assert set(losskit.predict_table(found.model, path).columns["prediction"]) <= {"007", "010"}
    assert found.model.preprocessing_.kinds["x"] == "number"


def test_a_table_says_what_it_ignored(tmp_path: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text("c,y\n" + "".join(f"{'ab'[i % 2]},{i}.5\n" for i in range(40)))
    with pytest.raises(TableError, match="standard output"):
        losskit.fit_table(path, target="y", output="-")
    found = losskit.fit_table(path, target="y", alpha=0.1, test_size=0.001)
    assert "none of 40 rows is tested" in found.notes[0]
    path.write_text("c\na\nz\nz\n")
    notes = losskit.predict_table(found.model, path, unknown="ignore").notes
    assert "in 2 of 3 rows: taken for no level" in notes[0]


@pytest.mark.parametrize(
    ("kind", "own"),
    [(losskit.Classifier, {"alpha": 0.01}), (losskit.ClassifierCV, {"alphas": [0.1, 0.01]})],
)
def test_warnings_point_to_the_call(kind: Any, own: dict[str, Any]) -> None:
    with pytest.warns(fitting.NotConverged) as seen:
        kind(solver="lbfgs", max_iter=1, tol=1e-10, **own).fit(X, LABEL)
    assert {one.filename for one in seen} == {__file__}


def test_a_cross_validation_is_told_in_a_line() -> None:
    model = losskit.RegressorCV(alphas=[1.0, 0.1]).fit(X, Y)
    assert len(repr(model.cv_)) < 250
    assert f"lambda_min {model.cv_.lambda_min:.4g}" in repr(model.cv_)


# --- Ctrl-C


class _CtrlC:
    """Progress that presses Ctrl-C at its n-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, step: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("loss", ["huber", BAND], ids=str)
def test_control_c_keeps_what_is_there(loss: Any, tmp_path: Any) -> None:
    model = losskit.Regressor(loss, progress=_CtrlC(2), **QUICK).fit(X, Y)
    assert model.interrupted_
    assert not model.certificate_.reached
    model.save(tmp_path / "m.losskit")
    assert losskit.load(tmp_path / "m.losskit").interrupted_
    assert np.isfinite(model.predict(X)).all()
    assert not losskit.Regressor(loss, **QUICK).fit(X, Y).interrupted_


def test_control_c_leaves_the_members_that_did_not_begin_with_their_constants() -> None:
    model = losskit.Regressor(BAND, progress=_CtrlC(1), **QUICK).fit(X, Y)
    whole = losskit.Regressor(BAND, **QUICK).fit(X, Y)
    assert not model.coef_[1:].any()
    for one, constant in zip(BAND.members[1:], model.intercept_[1:], strict=True):
        best = one(Y, np.full(N, one.optimal_constant(Y)))
        assert one(Y, np.full(N, constant)) == pytest.approx(best, rel=1e-12)
    # What is said of them is a bound: no member is further above its minimum.
    assert model.certificate_.value >= model.objective_ - whole.objective_
    assert model.history_[-1].objective == pytest.approx(model.objective_)


def test_control_c_on_a_path_of_several_ends_it_where_all_members_are() -> None:
    steps: list[Any] = []
    losskit.Regressor(BAND, tol=1e-2, progress=steps.append).path(X, Y, [0.5, 0.1])
    at = next(i for i, step in enumerate(steps) if step.index == 1)
    model = losskit.Regressor(BAND, tol=1e-2, progress=_CtrlC(at + 1)).path(X, Y, [0.5, 0.1])
    assert model.alphas_.tolist() == [0.5]
    assert model.interrupted_
    first = losskit.Regressor(BAND, tol=1e-2, alpha=0.5).fit(X, Y)
    assert (model.coef_ == first.coef_).all()


def test_control_c_in_folds_of_several_keeps_the_alphas_that_are_done() -> None:
    steps: list[Any] = []
    options = {"alphas": [0.5, 0.1], "cv": 2, "random_state": 0, "tol": 1e-2}
    losskit.RegressorCV(BAND, progress=steps.append, **options).fit(X, Y)
    at = next(i for i, step in enumerate(steps) if step.index == 1)
    model = losskit.RegressorCV(BAND, progress=_CtrlC(at + 1), **options).fit(X, Y)
    assert model.cv_.alphas.tolist() == [0.5]
    assert model.cv_.interrupted


def test_before_there_is_a_model_control_c_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(self: Any, *rest: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "drive", stop)
    with pytest.raises(KeyboardInterrupt):
        losskit.Regressor(BAND).fit(X, Y)


def test_bounds_without_0_leave_no_constant_to_keep() -> None:
    model = losskit.Regressor(BAND, penalty=penalties.Box(1, 2), progress=_CtrlC(1), **QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)


def test_several_tell_the_largest_certificate_and_one_history() -> None:
    model = losskit.Regressor(BAND, **QUICK).fit(X, Y)
    alone = [losskit.Regressor(one, **QUICK).fit(X, Y) for one in BAND.members]
    assert model.certificate_.value == max(one.certificate_.value for one in alone)
    assert [step.iteration for step in model.history_] == list(range(len(model.history_)))
    assert len(model.history_) == max(len(one.history_) for one in alone)
    assert model.history_[-1].objective == pytest.approx(model.objective_, rel=1e-12)
    assert model.objective_ == pytest.approx(np.mean([one.objective_ for one in alone]))


# --- grids


@pytest.mark.parametrize("penalty", [penalties.NonNegative, penalties.Box(0, 2)], ids=str)
def test_a_penalty_without_a_strength_has_one_alpha(penalty: Any) -> None:
    assert not penalty.scaled
    source = MemorySource(X, Y)
    assert alpha_grid(source, losskit.squared_error, penalty, None).tolist() == [1.0]
    model = losskit.RegressorCV(penalty=penalty).fit(X, Y)
    assert model.cv_.scores.shape == (5, 1)


@pytest.mark.parametrize("name", ["l1", "l2", "elasticnet", "mcp", "scad"])
def test_all_others_have_a_strength(name: str) -> None:
    assert penalties.get(name).scaled
    assert penalties.GroupLasso([0, 0, 1]).scaled


# --- what is learnt of which rows


def test_preprocessing_is_learnt_on_all_rows_but_the_test(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{x},{y}" for x, y in zip(X[:, 0], Y, strict=True)]
    path.write_text("x,y\n" + "\n".join(rows) + "\n")
    learn, seen = Preprocessing.learn.__func__, []  # type: ignore[attr-defined]

    def counted(cls: Any, frame: Any, **options: Any) -> Preprocessing:
        seen.append(len(frame["x"]))
        return learn(cls, frame, **options)

    monkeypatch.setattr(Preprocessing, "learn", classmethod(counted))
    found = losskit.fit_table(path, target="y", alpha=0.01)
    assert seen == [found.rows.fitted] == [96]
    assert found.model.preprocessing_.names == ("x",)
    assert found.model.feature_names_in_.tolist() == ["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(losskit.predict_table(found.model, path).columns["prediction"]).all()


def test_folds_share_the_standardisation_of_all_rows() -> None:
    fold = np.arange(N) % 3
    model = losskit.RegressorCV(standardize=True, alphas=[0.1], cv=fold).fit(X, Y)
    step = (X - X.mean(axis=0)) / X.std(axis=0)
    by_hand = []
    for k in range(3):
        one = losskit.Regressor(alpha=0.1).fit(step[fold != k], Y[fold != k])
        by_hand.append(losskit.squared_error(Y[fold == k], one.predict(step[fold == k])))
    assert model.cv_.scores[:, 0] == pytest.approx(by_hand, rel=1e-6)
    for kind in (losskit.RegressorCV, losskit.ClassifierCV):
        assert "learnt once on all rows" in " ".join(str(kind.__doc__).split())
