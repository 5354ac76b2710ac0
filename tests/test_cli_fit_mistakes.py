"""Mistakes at `losskit fit`: one line each, exit code 2, nothing written."""

import numpy as np
import pytest

import losskit
from fit_tables import columns, command, fit, write
from losskit.tables import TableError
from losskit.tabular import fit_table


@pytest.fixture
def run(capsys):
    return lambda *arguments: command(capsys, *arguments)


def test_every_mistake_is_one_line_and_exit_code_2(run, tmp_path):
    data = columns(40)
    tables = {
        "a": data, "one": data | {"y": ["a"] * 40}, "same": data | {"y": [1.5] * 40},
        "infinite": data | {"z": [*data["z"][:6], "inf", *data["z"][7:]]},
        "blank": data | {"y": ["", *data["y"][1:]]},
        "never": data | {"w": [0] * 40}, "less": data | {"w": [1, -1] * 20},
        "lack": data | {"w": [1, ""] * 20}, "negative": data | {"y": [3, -1] * 20},
        "names": data | {"y": [f"p{i}" for i in range(40)]},
        "flat": {"x": [1] * 40, "y": data["y"]},
        "far": data | {"y": [*range(39), "inf"]}, "share": data | {"y": np.arange(40) / 40},
    }  # fmt: skip
    for name, content in tables.items():
        write(tmp_path / f"{name}.csv", content)
    (tmp_path / "header.csv").write_text("x,y\n")
    (tmp_path / "ragged.csv").write_text("x,y\n1,2\n3\n")
    cases = [
        ("one", [], "target 'y' is 'a' in every row that counts; needed are two classes"),
        ("same", [], "target 'y' is 1.5 in every row that counts; needed are two different"),
        ("infinite", [], "column 'z' is inf at row 7; a finite number is needed"),
        ("blank", [], "target 'y' is missing at row 1 (1 of 40 rows); fill it, or pass --drop-"),
        ("never", ["--weight", "w"], "weight 'w' is 0 in every row"),
        ("less", ["--weight", "w"], "weight 'w' is -1 at row 2"),
        ("lack", ["--weight", "w"], "weight 'w' is missing at row 2"),
        ("negative", ["--loss", "poisson"], "target 'y' is -1 at row 2; needed is [0, ∞), which"),
        ("names", [], "target 'y' has 40 different values in 40 rows"),
        ("share", ["--loss", "cross_entropy"], "target 'y' has 40 different values in 40 rows"),
        ("flat", [], "no column is left to learn from: x is left out: it is 1 in all rows"),
        ("far", [], "target 'y' is inf at row 40; needed is a finite number"),
        ("header", [], "has no data rows"),
        ("ragged", [], "has 1 field on line 3"),
        ("gone", [], "does not exist"),
        ("a", ["--loss", "accuracy"], "'accuracy' is a metric, to be read and not trained with; "
         "the usual loss to train with is cross_entropy"),
        ("a", ["--loss", "hubre"], "no loss called 'hubre'; did you mean 'huber'?"),
        ("a", ["--loss", "huber"], "target 'y' holds text ('yes' at row 1), but huber is a loss"),
        ("a", ["--loss", "focal:gama=1"], "no parameter 'gama'; did you mean 'gamma'?"),
        ("a", ["--loss", "zero_one"], "zero_one has no derivative to follow"),
        ("a", ["--loss", "triplet"], "triplet takes (anchor, positive, negative)"),
        ("a", ["--loss", "multilabel_cross_entropy"], "is a loss of several labels in each row"),
        ("a", ["--loss", "cross_entropy:class_weight=1/2/3"], "class_weight holds 3 numbers;"),
        ("a", ["--features", "x,y"], "column 'y' is the target; it cannot be a feature"),
        ("a", ["--features", "x,town"], "has no column 'town'"),
        ("a", ["--features", '"x'], "--features '\"x' is not understood"),
        ("a", ["--exclude", "x,z,city"], "no column is left to predict 'y' from"),
        ("a", ["--weight", "y"], "it cannot be the weight"),
        ("a", ["--solver", "lbgfs"], "there is no solver 'lbgfs'; did you mean 'lbfgs'"),
        ("a", ["--penalty", "l1", "--solver", "lbfgs"], "L1"),
        ("a", ["--alpha", "much"], "--alpha 'much' is not understood"),
        ("a", ["--alpha", "-1"], "alpha is -1.0; needed is 'cv' or a number of at least 0"),
        ("a", ["--alpha", "nan"], "alpha is nan"),
        ("a", ["--l1-ratio", "2"], "l1_ratio is 2.0"),
        ("a", ["--test-size", "1"], "test_size is 1.0; needed is a share of the rows"),
        ("a", ["--seed", "-1"], "seed is -1"),
        ("a", ["--folds", "1"], "folds is 1"),
        ("a", ["--folds", "50", "--alpha", "cv"], "50 folds of 32 rows to fit"),
        ("a", ["--tol", "0"], "tol=0.0; needed is"),
        ("a", ["--max-iter", "0"], "max_iter=0; needed is"),
        ("a", ["--penalty", "l3"], "'l3' is not one of 'l1', 'l2', 'elasticnet'"),
        ("a", ["--output", tmp_path], "is a directory"),
        ("a", ["--output", tmp_path / "a.csv"], "is what is read; write to another file"),
        ("a", ["--output", tmp_path / "no" / "m"], "there is no folder for it"),
        ("a", ["--output", ""], "the name of the file to write is empty"),
        ("a", ["--target", "Y"], "no column 'Y'; did you mean 'y'?"),
        ("a", ["--lost", "mse"], "No such option"),
    ]  # fmt: skip
    before = {path.name for path in tmp_path.iterdir()}
    for name, arguments, message in cases:
        code, out, err = fit(run, tmp_path / f"{name}.csv", *arguments)
        assert (code, out) == (2, ""), (name, arguments, err)
        assert err.startswith("losskit: error: ")
        assert err.count("\n") == 1, err
        assert message in err, err
    assert {path.name for path in tmp_path.iterdir()} == before  # nothing was written
    assert run("fit", tmp_path / "a.csv", "-o", "m")[2].count("\n") == 1
    assert "Missing option '-o'" in run("fit", tmp_path / "a.csv", "--target", "y")[2]


def test_from_python_mistakes_are_table_errors(tmp_path):
    table = write(tmp_path / "a.csv", columns())
    for given in ({"alpha": True}, {"rule": "best"}, {"seed": 1.5}, {"test_size": "a"}):
        with pytest.raises(TableError, match=f"{next(iter(given))} is "):
            fit_table(table, target="y", **given)
    with pytest.raises(TableError, match="is a metric"):
        fit_table(table, target="y", loss=losskit.metrics.auc)
    with pytest.raises(TableError, match="is several losses"):
        fit_table(table, target="y", loss=losskit.quantile(q=(0.1, 0.9)))
