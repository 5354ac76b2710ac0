"""`losskit fit` as a user meets it: real tables, one line per mistake, nothing half written."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import losskit
from fit_tables import COMMAND, columns, command, fit, write
from losskit.formula import softplus
from losskit.tabular import fit_table
from losskit.tabular.splitting import split_rows

DATA = Path(__file__).parents[1] / "examples" / "data"


@pytest.fixture
def run(capsys):
    return lambda *arguments: command(capsys, *arguments)


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "a.csv", columns())


def test_breast_cancer(run, tmp_path):
    model = tmp_path / "m.losskit"
    code, out, err = run("fit", DATA / "breast_cancer.csv", "--target", "diagnosis", "-o", model)
    assert (code, err) == (0, "")
    for said in (
        "569 rows",
        "target 'diagnosis' (benign 357, malignant 212), predicted from 30 columns",
        "455 rows fitted, 114 tested (of each class alike, drawn by seed 0)",
        "binary_cross_entropy: the target holds two classes",
        "the least mean loss of",
        "5-fold cross-validation",
        "min ← chosen",
        "1se",
        "Coefficients by size, 15 of 30: what one standard deviation adds to the raw score, "
        "towards 'malignant'",
        f"Model written to {model}",
    ):
        assert said in out
    assert "\x1b" not in out  # no colour where it is no terminal
    found = losskit.load(model)
    score = next(line for line in out.splitlines() if line.startswith("binary_cross_entropy "))
    own, baseline = float(score.split()[1]), float(score.split()[4])
    assert own < 0.1
    assert abs(baseline - 0.6582) < 0.0002  # of the share of malignant rows among those fitted
    assert f"alpha {found.alpha_:.4g}" in out
    assert list(found.classes_) == ["benign", "malignant"]


def test_doctor_visits_are_counts(run, tmp_path):
    path = DATA / "doctor_visits.csv"
    model = tmp_path / "m.losskit"
    code, out, _ = run("fit", path, "--target", "visits", "--alpha", ".2", "-o", model)
    assert code == 0
    assert "poisson: the target holds counts: whole numbers from 0 up" in out
    assert "mean absolute error" in out
    assert "D² (loss saved)" in out
    assert "health=poor" in out


def test_what_is_told_is_what_the_model_does(table, tmp_path):
    """The scores are those of the saved model on the rows that it was not fitted to."""
    path = tmp_path / "m.losskit"
    found = fit_table(table, target="y", alpha=0.05, output=path, seed=3)
    data = columns()
    codes = (data["y"] == "yes").astype(int)
    fitted, tested = split_rows(80, 0.2, 3, codes)
    assert (found.rows.fitted, found.rows.tested) == (len(fitted), len(tested)) == (64, 16)
    model = losskit.load(path)
    unseen = {name: data[name][tested] for name in ("x", "z", "city")}
    p = model.predict_proba(unseen)[:, 1]
    losses = losskit.binary_cross_entropy(codes[tested], p, reduction="none")
    first = found.scores[0]
    np.testing.assert_allclose(first.value, losses.mean(), rtol=1e-12)
    np.testing.assert_allclose(first.error, losses.std() / np.sqrt(16), rtol=1e-12)
    share = codes[fitted].mean()
    constant = losskit.binary_cross_entropy(codes[tested], np.full(16, share))
    np.testing.assert_allclose(first.baseline, constant, rtol=1e-9)
    accuracy = next(score for score in found.scores if score.name == "accuracy")
    np.testing.assert_allclose(accuracy.value, (model.predict(unseen) == data["y"][tested]).mean())
    # The model is the one of the other rows, and of nothing else.
    again = losskit.Classifier(alpha=0.05, standardize=True)
    again.fit({name: data[name][fitted] for name in ("x", "z", "city")}, data["y"][fitted])
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_the_same_seed_gives_the_same_file(run, table, tmp_path):
    texts = []
    for seed in ("1", "1", "2"):
        code, out, _ = fit(run, table, "--seed", seed, alpha="cv")
        assert code == 0
        assert f"drawn by seed {seed}" in out
        model = losskit.load(tmp_path / "m.losskit")
        texts.append((model.coef_.tobytes(), model.cv_.scores.tobytes()))
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--penalty", "l1", "--rule", "1se"], "L1, alpha"),
        (["--penalty", "elasticnet", "--l1-ratio", ".3"], "elastic net (L1's share 0.3), alpha"),
        (["--loss", "squared_hinge"], "squared_hinge: as asked for"),
        (["--loss", "focal:gamma=1", "--folds", "3"], "focal:gamma=1: as asked for"),
    ],
)
def test_penalties_losses_and_rules(run, table, options, said):
    code, out, err = fit(run, table, *options, alpha="cv")
    assert (code, err) == (0, "")
    assert said in out
    if "1se" in options:
        assert "1se ← chosen" in out


def test_columns_are_chosen(run, tmp_path):
    data = columns()
    path = write(tmp_path / "a.csv", data | {"a,b": data.pop("z")})
    code, out, _ = run(
        "fit", write_quoted(path), "--target", "y", "--alpha", "1", "--features", 'x,"a,b"',
        "--features", "city", "--exclude", "city", "-o", tmp_path / "m",
    )  # fmt: skip
    assert code == 0
    assert "predicted from 2 columns" in out
    assert {"x", "a,b"} == set(losskit.load(tmp_path / "m").preprocessing_.sources)


def write_quoted(path):
    """Quote the name that holds a comma in the header of a file that `write` wrote."""
    text = Path(path).read_text()
    Path(path).write_text(text.replace("a,b", '"a,b"', 1))
    return path


@pytest.mark.parametrize(
    ("target", "loss"),
    [
        (["a", "b", "c"], "cross_entropy: the target holds 3 classes"),
        ([1, 2], "binary_cross_entropy: the target holds two classes"),
        (["0", "1", ""], "binary_cross_entropy: the target holds two classes"),
        ([0, 1, 5], "poisson: the target holds counts"),
        ([1.5, 2, 7], "squared_error: the target holds numbers"),
        ([-1, 0, 1], "squared_error: the target holds numbers"),
    ],
)
def test_the_loss_goes_by_the_target(run, tmp_path, target, loss):
    data = columns(60)
    data["y"] = [target[i % len(target)] for i in range(60)]
    path = write(tmp_path / "a.csv", data)
    code, out, err = fit(run, path, "--drop-missing-target")
    assert (code, err) == (0, "")
    assert loss in out
    assert ("40 rows" in out or "20 left out (no target)" in out) == ("" in target)
    assert ("if they name classes, pass --loss cross_entropy" in out) == (
        target in ([0, 1, 5], [-1, 0, 1])
    )


def test_a_loss_of_ones_own(tmp_path, table):
    """It is fitted to classes if its targets lie within −1 and 1, and travels with the model."""

    @losskit.loss(target=losskit.Domain(-1, 1, False, False, values=(-1, 1)))
    def mine(y, f):
        """Pays for the wrong side."""
        return softplus(-y * f)

    found = fit_table(table, target="y", loss=mine, alpha=0.01, output=tmp_path / "m")
    theirs = fit_table(table, target="y", loss="logistic_margin", alpha=0.01)
    assert found.loss == "mine"
    np.testing.assert_allclose(found.model.coef_, theirs.model.coef_, rtol=1e-6)
    assert losskit.load(tmp_path / "m").loss_.name == "mine"


def test_labels_keep_their_type(tmp_path):
    data = columns(60)
    data["y"] = ["2" if i % 3 else "" for i in range(59)] + ["1"]
    data["y"][:9] = ["1"] * 9
    path = write(tmp_path / "a.csv", data)  # blanks make floats of them
    found = fit_table(path, target="y", alpha=1.0, drop_missing_target=True)
    assert found.model.classes_.tolist() == [1, 2]
    assert found.classes[0][0] == 1
    assert found.rows.dropped == (("no target", 17),)


def test_weights(run, tmp_path):
    """A row of weight 2 counts as two, one of weight 0 not at all, whatever it holds."""
    data = columns(40)
    weight = np.arange(40) % 3
    data["w"] = weight
    data["z"] = np.where(weight == 0, np.inf, data["z"])
    path = write(tmp_path / "a.csv", data)
    code, out, _ = fit(run, path, "--weight", "w", "--test-size", "0")
    assert code == 0
    assert "14 left out (weight 0)" in out
    assert "all 26 rows fitted, none tested (seed 0)" in out
    weighted = losskit.load(tmp_path / "m.losskit")
    times = np.repeat(np.arange(40), weight)
    repeated = write(tmp_path / "b.csv", {n: data[n][times] for n in ("x", "z", "city", "y")})
    found = fit_table(repeated, target="y", alpha=0.01, test_size=0, tol=1e-12)
    again = fit_table(path, target="y", alpha=0.01, test_size=0, tol=1e-12, weight="w")
    np.testing.assert_allclose(found.model.coef_, again.model.coef_, rtol=1e-6)
    np.testing.assert_allclose(weighted.coef_, again.model.coef_, rtol=0.1, atol=0.01)


def test_split_rows():
    classes = np.repeat([0, 1, 2], [70, 29, 1])
    fitted, tested = split_rows(100, 0.2, 0, classes)
    assert np.array_equal(np.sort(np.concatenate([fitted, tested])), np.arange(100))
    assert np.bincount(classes[tested], minlength=3).tolist() == [14, 6, 0]
    assert not np.array_equal(tested, split_rows(100, 0.2, 1, classes)[1])
    assert len(split_rows(10, 0.99, 0, None)[0]) == 1  # a row is left to fit
    assert len(split_rows(10, 0, 0, None)[1]) == 0


def test_what_looks_wrong_is_told(run, tmp_path):
    data = columns(200)
    data["fahrenheit"] = 1.8 * data["x"] + 32
    data["always"] = ["yes"] * 200
    data["refund"] = np.where(data["y"] == "yes", 3, 0)
    data["name"] = [f"p{i}" for i in range(200)]
    path = write(tmp_path / "a.csv", data)
    code, out, err = fit(run, path)
    assert (code, err) == (0, "")
    for said in (
        "- always is left out: it is 'yes' in all rows",
        "- name is left out: it holds",
        "- 'refund' alone predicts the target",
        "- 'fahrenheit' is 'x' in other units",
        "- the fitted scores separate the classes without a mistake",
    ):
        assert said in out


def test_not_converged_and_the_edge_of_the_path_are_told(run, table):
    code, out, _ = fit(run, table, "--max-iter", "1", "--tol", "1e-14", alpha="0.001")
    assert code == 0
    assert "NOT reached" in out
    assert "- not converged: " in out
    with_one = fit_table(table, target="y", alpha="cv", features=["z"], penalty="l1")
    assert any("the largest that was tried" in told for told in with_one.warnings) == (
        with_one.model.cv_.best == 0
    )


def test_a_level_of_test_rows_alone_is_told(tmp_path):
    data = columns(80)
    codes = (data["y"] == "yes").astype(int)
    _, tested = split_rows(80, 0.2, 0, codes)
    data["city"] = data["city"].astype(object)
    data["city"][tested[2]] = "Rome"
    found = fit_table(write(tmp_path / "a.csv", data), target="y", alpha=0.1)
    told = [note for note in found.notes if "Rome" in note]
    assert told == [
        f"column 'city' has 'Rome' at row {tested[2] + 1}, which it never had where the model was "
        "fitted ('Bergen', 'Moss', 'Oslo'); tested as no level"
    ]
    assert np.isfinite(found.scores[0].value)


def test_many_columns(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 150)).round(3)
    data = {f"x{j}": column for j, column in enumerate(x.T)} | {"y": x[:, 7] + x[:, 3]}
    found = fit_table(write(tmp_path / "a.csv", data), target="y", penalty="l1", alpha=0.1)
    assert {one.feature for one in found.coefficients[:2]} == {"x7", "x3"}
    assert len(found.columns) == 150


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "-"])
def test_other_tables(tmp_path, table, name):
    import duckdb

    path = tmp_path / name
    if name != "-":
        form = "parquet" if name.endswith("parquet") else "json"
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{table}') TO '{path}' (FORMAT {form})")
    else:
        path = "-"
    model = tmp_path / "m"
    done = subprocess.run(
        [*COMMAND, "fit", str(path), "--target", "y", "--alpha", "0.05", "-o", str(model)],
        input=Path(table).read_bytes() if path == "-" else b"", capture_output=True, check=True,
        timeout=120,
    )  # fmt: skip
    assert b"80 rows" in done.stdout
    found = fit_table(table, target="y", alpha=0.05)
    np.testing.assert_allclose(losskit.load(model).coef_, found.model.coef_, rtol=1e-9)
