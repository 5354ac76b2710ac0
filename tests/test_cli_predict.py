"""`losskit predict` as a user meets it: rows in order, labels as they were, whole files."""

import csv
import io
import signal
import subprocess
import sys
import time

import duckdb
import numpy as np
import pandas as pd
import pytest

import losskit
from fit_tables import COMMAND, columns, command, write
from losskit.tables import TableError
from losskit.tabular import fit_table, predict_table


@pytest.fixture
def run(capsys):
    return lambda *arguments: command(capsys, *arguments)


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "a.csv", columns())


@pytest.fixture
def model(tmp_path, table):
    path = tmp_path / "m.losskit"
    fit_table(table, target="y", alpha=0.05, output=path)
    return path


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_predictions_are_the_models_in_input_order(run, tmp_path, table, model):
    out = tmp_path / "p.csv"
    code, said, err = run("predict", model, table, "-o", out)
    assert (code, said, err) == (0, f"{out}: 80 rows predicted\n", "")
    rows = read(out.read_text())
    assert list(rows[0]) == ["prediction", "probability_no", "probability_yes"]
    fitted, data = losskit.load(model), columns()
    features = {name: data[name] for name in ("x", "z", "city")}
    assert [row["prediction"] for row in rows] == fitted.predict(features).tolist()
    told = [[float(row[f"probability_{k}"]) for k in ("no", "yes")] for row in rows]
    np.testing.assert_array_equal(told, fitted.predict_proba(features))  # every digit


def test_keep_puts_the_tables_cells_first_as_they_are(run, tmp_path, model):
    data = columns(3) | {"id": ["007", "1e3", " NA"], "note": ["a", "", "b"]}
    path = write(tmp_path / "new.csv", data)
    code, out, err = run("predict", model, path, "-o", "-", "--keep")
    assert (code, err) == (0, "")
    rows = read(out)
    assert list(rows[0]) == [*data, "prediction", "probability_no", "probability_yes"]
    given = read((tmp_path / "new.csv").read_text())
    assert [{name: row[name] for name in data} for row in rows] == given


def test_columns_in_any_order_without_the_target(run, tmp_path, table, model):
    data = columns()
    turned = write(
        tmp_path / "b.csv", {n: data[n] for n in ("city", "z", "x")} | {"more": [0] * 80}
    )
    one, other = (run("predict", model, path, "-o", "-")[1] for path in (table, turned))
    assert one == other
    assert len(one.splitlines()) == 81


@pytest.mark.parametrize("name", ["p.parquet", "p.tsv"])
def test_other_outputs(run, tmp_path, table, model, name):
    code, _, err = run("predict", model, table, "--keep", "-o", tmp_path / name)
    assert (code, err) == (0, "")
    with duckdb.connect() as connection:
        frame = connection.execute("FROM '" + str(tmp_path / name) + "'").fetchnumpy()
    assert list(frame) == [*columns(), "prediction", "probability_no", "probability_yes"]
    np.testing.assert_array_equal(frame["x"], columns()["x"])  # numbers stay numbers in Parquet
    assert frame["x"].dtype == np.float64


def test_standard_input_and_output(table, model):
    with open(table) as source:
        done = subprocess.run(
            [*COMMAND, "predict", model, "-", "-o", "-"], stdin=source, capture_output=True,
            check=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.stderr == ""
    assert len(read(done.stdout)) == 80


@pytest.mark.parametrize(
    ("target", "labels"),
    [([1, 2], {"1", "2"}), (["true", "false"], {"true", "false"}), ([2.5, 4, 7], None)],
)
def test_labels_and_numbers_come_back_as_they_were(run, tmp_path, target, labels):
    data = columns(60)
    data["y"] = [target[int(x > 0)] for x in data["x"]]
    data["y"][0] = target[-1]
    path = write(tmp_path / "a.csv", data)
    fit_table(path, target="y", alpha=0.01, output=tmp_path / "m")
    rows = read(run("predict", tmp_path / "m", path, "-o", "-")[1])
    found = {row["prediction"] for row in rows}
    if labels is None:
        assert list(rows[0]) == ["prediction"]
        assert len(found) == 60
    else:
        assert found == labels
        assert list(rows[0])[1:] == [f"probability_{label}" for label in sorted(labels)]


def test_truth_values_of_a_typed_file(run, tmp_path):
    data = columns(60)
    path = tmp_path / "a.parquet"
    pd.DataFrame(data | {"y": data["x"] > 0}).to_parquet(path)
    found = fit_table(path, target="y", alpha=0.01, output=tmp_path / "m")
    positive = int((data["x"] > 0).sum())
    assert found.classes == ((False, 60 - positive), (True, positive))
    rows = read(run("predict", tmp_path / "m", path, "-o", "-")[1])
    assert {row["prediction"] for row in rows} == {"true", "false"}
    assert list(rows[0])[1:] == ["probability_false", "probability_true"]


def test_a_loss_without_probabilities_and_one_of_counts(run, tmp_path, table):
    fit_table(table, target="y", loss="hinge", alpha=0.1, output=tmp_path / "m")
    assert run("predict", tmp_path / "m", table, "-o", "-")[1].splitlines()[0] == "prediction"
    data = columns(60)
    data["y"] = [max(0, round(3 * x + 2)) for x in data["x"]]
    path = write(tmp_path / "c.csv", data)
    found = fit_table(path, target="y", alpha=0.01, output=tmp_path / "m")
    assert found.loss == "poisson"
    rows = read(run("predict", tmp_path / "m", path, "-o", "-")[1])
    assert all(float(row["prediction"]) > 0 for row in rows)


def test_missing_numbers_become_the_mean_and_are_told(run, tmp_path, model):
    data = columns(4)
    data["x"] = ["", "NA", *data["x"][2:]]
    path = write(tmp_path / "new.csv", data)
    code, out, err = run("predict", model, path, "-o", "-")
    mean = next(c.fill for c in losskit.load(model).preprocessing_.columns if c.name == "x")
    said = f"x is missing in 2 of 4 rows: taken as its mean where the model was fitted, {mean:.6g}"
    assert (code, err) == (0, f"losskit: {said}\n")
    data["x"][:2] = [repr(mean)] * 2
    assert run("predict", model, write(tmp_path / "b.csv", data), "-o", "-")[1] == out


def test_unknown_categories(run, tmp_path, model):
    path = write(tmp_path / "new.csv", columns(4) | {"city": ["Oslo", "Moss", "Rome", "Oslo"]})
    code, out, err = run("predict", model, path, "-o", tmp_path / "p.csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "column 'city' has 'Rome' at row 3, which it never had where the model was" in err
    code, _, err = run("predict", model, path, "-o", tmp_path / "p.csv", "--unknown", "ignore")
    assert (code, err.count("\n")) == (0, 1)
    assert "city has a category that the model was not fitted with in 1 of 4 rows" in err


def test_models_made_in_python(tmp_path, table):
    data = pd.DataFrame(columns())
    plain = data[["z", "x"]]
    band = losskit.Regressor(loss=losskit.quantile(q=(0.1, 0.9)), alpha=0.01)
    band.fit(plain, np.arange(80.0))
    found = predict_table(band, table).columns
    assert list(found) == ["prediction_0.1", "prediction_0.9"]
    np.testing.assert_array_equal(np.column_stack(list(found.values())), band.predict(plain))
    spread = losskit.Regressor(loss="gaussian_nll", alpha=0.01).fit(plain, np.arange(80.0))
    assert list(predict_table(spread, table).columns) == ["prediction_mean", "prediction_log_sd"]
    labels = losskit.Classifier(alpha=0.01).fit(plain, (plain > 0).to_numpy().astype(int))
    assert list(predict_table(labels, table).columns) == [
        "prediction_0", "prediction_1", "probability_0", "probability_1"
    ]  # fmt: skip
    nameless = losskit.Regressor().fit(plain.to_numpy(), np.arange(80.0))
    with pytest.raises(TableError, match="fitted to a matrix without names of columns"):
        predict_table(nameless, table)
    gap = write(tmp_path / "gap.csv", {"x": [1, ""], "z": [1, 2]})
    with pytest.raises(TableError, match="column 'x' is missing at row 2"):
        predict_table(band, gap)


def test_every_mistake_is_one_line_and_exit_code_2(run, tmp_path, table, model):
    data = columns(4)
    tables = {
        "lack": {n: data[n] for n in ("x", "city")}, "text": data | {"x": ["far"] * 4},
        "infinite": data | {"z": [1, "inf", 1, 1]}, "there": data | {"prediction": [1] * 4},
        "blank": data | {"city": ["Oslo", "", "Oslo", "Oslo"]},
    }  # fmt: skip
    for name, content in tables.items():
        write(tmp_path / f"{name}.csv", content)
    (tmp_path / "header.csv").write_text("x,z,city\n")
    broken = tmp_path / "broken.losskit"
    broken.write_bytes(model.read_bytes()[:-100])
    out = tmp_path / "p.csv"
    cases = [
        ([model, tmp_path / "lack.csv"], "has no column 'z'"),
        ([model, tmp_path / "text.csv"], "column 'x' has 'far' at row 1 where a number is needed"),
        ([model, tmp_path / "infinite.csv"], "column 'z' is inf at row 2"),
        ([model, tmp_path / "blank.csv"], "column 'city' has a missing cell at row 2"),
        ([model, tmp_path / "there.csv", "--keep"], "has a column 'prediction' already"),
        ([model, tmp_path / "header.csv"], "has no data rows"),
        ([model, tmp_path / "gone.csv"], "does not exist"),
        ([tmp_path / "gone", table], "does not exist"),
        ([table, model], "is no losskit model"),
        ([broken, table], "is no losskit model, cut off or damaged"),
        ([tmp_path, table], "it is no file"),
        ([model, table, "-o", tmp_path / "p.xlsx"], "asks for a format that is not written"),
        ([model, table, "-o", tmp_path / "no" / "p.csv"], "there is no folder for it"),
        ([model, table, "-o", table], "is what is read; write to another file"),
        ([model, table, "-o", model], "is what is read; write to another file"),
        ([model, table, "--unknown", "guess"], "'guess' is not one of"),
    ]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, message in cases:
        code, said, err = run("predict", "-o", out, *arguments)
        assert (code, said) == (2, ""), (arguments, err)
        assert err.startswith("losskit: error: ")
        assert err.count("\n") == 1, err
        assert message in err, err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "Missing option '-o'" in run("predict", model, table)[2]


def test_a_killed_run_leaves_what_was_there(table, model, tmp_path):
    """The process is killed when all is written and nothing has its name yet."""
    out = tmp_path / "p.csv"
    out.write_text("before")
    code = (
        "import os, sys, time\nos.fsync = lambda handle: time.sleep(120)\n"
        "from losskit.cli.main import main\nmain(sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "predict", model, table, "-o", out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size for part in tmp_path.glob(".*.part")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert out.read_text() == "before"
