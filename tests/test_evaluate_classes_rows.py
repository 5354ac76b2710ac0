"""Class probabilities: rows that have no score, options that do not go together, spellings."""

import importlib
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from class_tables import COLUMNS, class_rows, lists, write_wide
from losskit.evaluation import InvalidRowsError, TableError, parse_loss
from losskit.evaluation.spelling import spelled
from scoring import write


@pytest.fixture(scope="module")
def rows():
    return class_rows()


@pytest.fixture(scope="module")
def wide(rows, tmp_path_factory):
    """One column for each class and one of lists for each of two models."""
    return write_wide(rows, tmp_path_factory.mktemp("wide") / "a.parquet")


# --- classes: invalid rows


def test_invalid_rows_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "y,p,w\ncat,\"[.5,.25,.25]\",1\n,\"[.5,.25,.25]\",1\ncat,,1\ncat,\"[.5,null,.5]\",1\n"
        "dog,\"[.5,nan,.5]\",1\ndog,\"[.5,inf,.5]\",1\ncow,\"[.5,.25,.25]\",1\n"
        "dog,\"[.5,.5]\",1\ndog,\"[.5,.6,-.1]\",1\ndog,\"[.5,.25,.2]\",1\ncow,\"[1]\",0\n"
    )  # fmt: skip
    with pytest.raises(InvalidRowsError) as caught:
        lists(path, weight="w")
    assert caught.value.counts == {"null": 3, "nan": 1, "infinite": 1, "domain": 4}
    assert caught.value.first == {
        "null": "row 2: target 'y' is missing",
        "nan": "row 5: prediction 'p' holds NaN",
        "infinite": "row 6: prediction 'p' holds inf",
        "domain": "row 7: target 'y' is 'cow', which is none of the classes 'cat', 'dog', 'a, b'",
    }
    report = lists(path, weight="w", invalid="skip", loss="brier")
    assert report.results[0].value == 0.375
    assert report.scored == {None: 1}


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ("dog", "[.5,.5]", "row 1: prediction 'p' holds 2 numbers, but there are 3 classes"),
        ("dog", "[]", "row 1: prediction 'p' holds 0 numbers, but there are 3 classes"),
        ("dog", "[.5,.6,-.1]", "'p' is -0.1 for class 'a, b', which is no probability; pass --raw"),
        (
            "dog",
            "[.5,.25,.2]",
            "probabilities of prediction 'p' sum to 0.95, not 1; is a class",
        ),
        ("Dog ", "[.5,.25,.25]", "is 'Dog ', which is none .*did you mean 'dog'?"),
    ],
)
def test_each_kind_of_invalid_row(tmp_path, y, p, message):
    path = tmp_path / "a.csv"
    path.write_text(f'y,p\n{y},"{p}"\n')
    with pytest.raises(InvalidRowsError, match=message):
        lists(path)


def test_a_label_written_as_another_number(tmp_path):
    path = write(tmp_path, y=["1.0", 2], u=[0.5, 0.5], v=[0.5, 0.5])
    with pytest.raises(InvalidRowsError, match=r"'1\.0', which is none .*did you mean '1'\?"):
        losskit.evaluate(path, target="y", class_columns={"1": "u", "2": "v"})


def test_float32_and_rounded_text_sum_to_one(tmp_path):
    p = np.float32([0.1, 0.2, 0.7])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": ["cat"], "p": [p * np.float32(1.0001)]}), path)
    report = lists(path, loss="cross_entropy")  # scored as the shares that they are
    share = float(p[0]) / math.fsum(map(float, p))
    assert report.results[0].value == pytest.approx(-math.log(share), rel=1e-6)
    pq.write_table(pa.table({"y": ["cat"], "p": [p * np.float32(1.001)]}), path)
    with pytest.raises(InvalidRowsError, match=r"sum to 1\.001"):
        lists(path)


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("0.5", "pass --class-column LABEL=COLUMN"), ("[0.5 ... 0.5]", "NumPy left numbers out"),
        ("[0.5; 0.5]", r"write \[0.1, 0.2, 0.7\]"), ("[1_0, 2]", "where a list of numbers"),
        ("[a, b, c]", "where a list of numbers is needed"), ("[[1, 2]]", "where a list"),
    ],
)  # fmt: skip
def test_what_is_no_list(tmp_path, cell, advice):
    path = tmp_path / "a.csv"
    path.write_text(f'y,p\ncat,"[0.5,0.25,0.25]"\ncat,"{cell}"\n')
    with pytest.raises(TableError, match=rf"column 'p' has .* at row 2 .*{advice}"):
        lists(path)


# --- what does not go together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prediction": "p"}, "were both given"),
        ({"classes": ["a", "b"]}, "leave out --classes"),
        ({"query": "g"}, "leave out --classes and --class-column"),
        ({"log_probability": "p"}, "leave out --class-column"),
        ({"class_columns": None}, "missing option --prediction"),
        ({"class_columns": None, "classes": ["a", "b"]}, "pass it as --prediction"),
        ({"target": None}, "missing option --target"),
        ({"class_columns": {"cat": "p0"}}, "one class alone"),
        ({"class_columns": {}}, "no class was named"),
        ({"class_columns": {"cat": "p0", "dog": "p0"}}, "'p0' was given for classes 'cat'"),
        ({"class_columns": {"cat": "p0", " ": "p1"}}, "empty label"),
        ({"class_columns": {"cat": "p0", "dog": "p9"}}, "no column 'p9'; did you mean"),
        ({"loss": "binary_cross_entropy"}, "does not score class probabilities"),
        ({"loss": "accuracy:threshold=0.2"}, "accuracy takes no parameters here"),
        ({"loss": "ordinal"}, "does not score class probabilities"),
        ({"loss": "multilabel_cross_entropy"}, "does not score class probabilities"),
        ({"loss": "ndcg"}, "metrics here are brier, accuracy|is a metric"),
        ({"loss": "cross_entropy:class_weight=1/2"}, "holds 2 numbers; needed is one for each"),
        ({"loss": "cross_entropy:class_weight=1/x/2"}, "must be a number or none"),
        ({"loss": "cross_entropy:ignore_index=0.5"}, "a whole number"),
        ({"loss": "cross_entropy:class_weight=0/0/0"}, "leaves out every row: its class"),
    ],
)  # fmt: skip
def test_conflicts(wide, options, message):
    given = {"target": "y", "class_columns": COLUMNS} | options
    with pytest.raises(TableError, match=message):
        losskit.evaluate(wide, **given)


def test_wrong_types(wide):
    for options, message in (
        ({"class_columns": ["p0", "p1"]}, "class_columns must map labels to names"),
        ({"class_columns": {0: "p0", 1: "p1"}}, "class_columns must map labels to names"),
        ({"prediction": "p", "classes": [0, 1]}, "classes must be a list of labels, not int"),
        ({"prediction": "p", "query": 3}, "query must be the name of a column, not int"),
        ({"log_probability": 3}, "log_probability must be the name of a column"),
    ):
        with pytest.raises(TypeError, match=message):
            losskit.evaluate(wide, target="y", **options)


def test_lists_without_classes_are_told_how(wide, tmp_path):
    with pytest.raises(TableError, match="name the classes: --classes a,b,c"):
        losskit.evaluate(wide, target="w", prediction="p", loss="mse")
    path = tmp_path / "a.csv"
    path.write_text('y,p\n1,"[0.5, 0.5]"\n')
    with pytest.raises(TableError, match="name the classes: --classes a,b,c"):
        losskit.evaluate(path, target="y", prediction="p", loss="mse")
    with pytest.raises(TableError, match="pass --class-column LABEL=COLUMN for each class"):
        losskit.evaluate(path, target="y", prediction="p", loss="cross_entropy")
    with pytest.raises(TableError, match="holds DOUBLE, not lists of numbers"):
        lists(wide, "p0")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cross_entropy:class_weight=1/2/.5", "cross_entropy:class_weight=1/2/0.5"),
        ("cross_entropy:ignore_index=-100", "cross_entropy:ignore_index=-100"),
        ("cross_entropy:class_weight=2", "cross_entropy:class_weight=2"),
        ("softmax_cross_entropy:temperature=2", "cross_entropy:temperature=2"),
    ],
)
def test_spelling(text, canonical):
    assert spelled(parse_loss(text)) == canonical
    assert parse_loss(canonical) == parse_loss(text)


def test_spelling_of_choices():
    importlib.import_module("losskit.losses.embedding")
    made = parse_loss("triplet:distance=cosine,swap=TRUE")
    assert (made.params["distance"], made.params["swap"]) == ("cosine", True)
    assert spelled(made) == "triplet:distance=cosine,swap=true"
    with pytest.raises(TableError, match=r"'distance' .* is 'city'; it must be one of eu"):
        parse_loss("triplet:distance=city")
    with pytest.raises(TableError, match="it must be one of false, true"):
        parse_loss("triplet:swap=1")
