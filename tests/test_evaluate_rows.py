"""Which rows count and which losses are taken, and the documented form of the result."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import losskit
from losskit.evaluation import InvalidRowsError, TableError, parse_loss
from losskit.evaluation.spelling import spelled
from scoring import score, write

# --- which rows count


def test_invalid_rows_stop(tmp_path):
    path = write(
        tmp_path,
        y=[1, 0, None, 0, 1, 0, 1, 3],
        p=[0.5, "NaN", 0.5, "inf", 1.2, 0.5, 0.5, 0.5],
        q=[0.5, None, 0.5, 0.5, "nan", 0.25, None, 0.5],
    )
    with pytest.raises(InvalidRowsError) as caught:
        score(path, ["p", "q"], loss="bce")
    # Row 2 is missing in q and NaN in p: it counts once, as null.
    assert caught.value.counts == {"null": 3, "nan": 1, "infinite": 1, "domain": 1}
    assert str(caught.value).splitlines() == [
        "6 of 8 rows cannot be scored:",
        "  null     3 rows, first row 2: prediction 'q' is missing",
        "  nan       1 row, first row 5: prediction 'q' is NaN",
        "  infinite  1 row, first row 4: prediction 'p' is inf",
        "  domain    1 row, first row 8: target 'y' is 3, but binary_cross_entropy needs [0, 1]",
        "correct them, or pass --invalid skip (invalid='skip') to leave them out of every score",
    ]


def test_skipped_rows_leave_numerator_and_denominator(tmp_path):
    # The trap of SQL clipping: a missing or NaN prediction must not score as a perfect one.
    path = write(tmp_path, y=[1, 1, 1, 1, 1], p=[0.9, 0.8, 0.7, None, "NaN"])
    report = score(path, loss="bce", invalid="skip")
    (result,) = report.results
    assert result.value == pytest.approx(-math.log(0.9 * 0.8 * 0.7) / 3, rel=1e-14)
    assert report.rows == 5
    assert report.invalid == {"null": 1, "nan": 1, "infinite": 0, "domain": 0}
    assert report.first_invalid["nan"] == "row 5: prediction 'p' is NaN"


def test_a_row_invalid_for_one_is_skipped_for_all(tmp_path):
    path = write(tmp_path, y=[1, 2, 0, 4], p=[1, 3, 1, 4], q=[2, None, 1, 5], w=[1, 2, 3, 4])
    report = score(path, ["p", "q"], loss=["mse", "mape"], invalid="skip", weight="w")
    # Row 2 for its blank, row 3 for mape, whose target must not be 0.
    assert [result.value for result in report.results] == [0, 1, 0, 0.4]
    assert report.invalid == {"null": 1, "nan": 0, "infinite": 0, "domain": 1}


def test_rows_without_weight_are_not_validated(tmp_path):
    path = write(tmp_path, y=[1, None, "nan", 7, 0], p=[0.5, 0.5, 2, "inf", 0.5], w=[1, 0, 0, 0, 3])
    report = score(path, loss="bce", weight="w")
    assert report.results[0].value == pytest.approx(math.log(2), rel=1e-15)
    assert report.rows == 5
    assert sum(report.invalid.values()) == 0


@pytest.mark.parametrize(
    ("weight", "kind", "message"),
    [
        (None, "null", "weight 'w' is missing"),
        ("NaN", "nan", "weight 'w' is NaN"),
        ("inf", "infinite", "weight 'w' is inf"),
        (-1, "domain", "weight 'w' is -1, but a weight needs a number >= 0"),
    ],
)
def test_bad_weights(tmp_path, weight, kind, message):
    path = write(tmp_path, y=[1, 2, 3], p=[1, 3, 9], w=[1, 1, weight])
    with pytest.raises(InvalidRowsError) as caught:
        score(path, loss="mse", weight="w")
    assert caught.value.first == {kind: f"row 3: {message}"}
    report = score(path, loss="mse", weight="w", invalid="skip")
    assert report.results[0].value == 0.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [1, 2], "p": [1, 2], "w": [0, 0]}, "their weights sum to 0"),
        ({"y": [None, None], "p": [1, 2], "w": [1, 0]}, "each is invalid or has weight 0"),
        ({"y": [], "p": [], "w": []}, "has no data rows"),
    ],
)
def test_nothing_to_score(tmp_path, columns, message):
    with pytest.raises(TableError, match=message):
        score(write(tmp_path, **columns), loss="mse", weight="w", invalid="skip")


def test_wrong_label_encoding_is_an_error(tmp_path):
    with pytest.raises(InvalidRowsError, match=r"target 'y' is 0, but hinge needs \{-1, 1\}"):
        score(write(tmp_path, y=[1, 0], p=[0.5, 0.5]), loss="hinge")
    with pytest.raises(InvalidRowsError, match=r"target 'y' is -1, but binary_cross_entropy needs"):
        score(write(tmp_path, y=[1, -1], p=[0.5, 0.5]), loss="bce")


def test_groups(tmp_path):
    path = write(tmp_path, y=[1, 2, 3, 4], p=[1, 3, 5, "nan"], g=["b", None, "b", "c"])
    report = score(path, loss="mse", by="g", invalid="skip")
    found = {result.group: result.value for result in report.results}
    assert found.pop("c") != found["b"]  # c has no row to score: NaN
    assert found == {None: pytest.approx(5 / 3), "": 1, "b": 2}
    assert report.to_dict()["results"][-1]["value"] is None
    with pytest.raises(TableError, match="no column 'h'"):
        score(path, loss="mse", by="h")


# --- which losses


def losses_of(path, prediction="p", **options):
    report = score(path, prediction, **options)
    return list(dict.fromkeys(result.loss for result in report.results)), report.chosen


def test_default_losses(tmp_path):
    binary, why = losses_of(write(tmp_path, y=[0, 1], p=[0.2, 1], q=[0, 0.5]), ["p", "q"])
    assert binary == ["binary_cross_entropy", "squared_error"]
    assert why.startswith("target 'y' holds only 0 and 1 and every prediction lies in [0, 1]; ")
    counts, why = losses_of(write(tmp_path, y=[0, 1, 7], p=[0.2, 1, 3]))
    assert counts == ["poisson", "squared_error", "absolute_error"]
    assert "whole numbers >= 0 and every prediction is positive" in why
    numbers, why = losses_of(write(tmp_path, y=[0, 1, 7.5], p=[0.2, 1, 3]))
    assert numbers == ["squared_error", "absolute_error"]
    assert "'y' holds numbers" in why
    numbers, why = losses_of(write(tmp_path, y=[0, 1, 7], p=[0.2, -1, 3]))
    assert numbers == ["squared_error", "absolute_error"]
    assert "prediction 'p' is -1 at row 2" in why
    assert losses_of(write(tmp_path, y=[-1, 1], p=[0.2, 1]))[0] == numbers


def test_default_losses_of_raw_scores(tmp_path):
    assert losses_of(write(tmp_path, y=[0, 1], p=[-3, 7]), raw=True)[0] == ["binary_cross_entropy"]
    assert losses_of(write(tmp_path, y=[0, 5], p=[-3, 7]), raw=True)[0] == ["poisson"]


def test_labels_with_something_that_is_no_probability(tmp_path):
    path = write(tmp_path, y=[0, 1, 1], p=[0.2, 0.5, 1.2])
    with pytest.raises(TableError, match=r"prediction 'p' is 1\.2 at row 3, which is no prob"):
        score(path)
    with pytest.raises(
        InvalidRowsError, match=r"'p' is 1\.2, but binary_cross_entropy needs \[0, 1"
    ):
        score(path, loss="bce")


def test_the_default_follows_every_row(tmp_path):
    y = np.zeros(400_000)
    for value, first in ((0.0, "binary_cross_entropy"), (2.0, "poisson"), (0.5, "squared_error")):
        y[399_999] = value
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"y": y, "p": np.full(400_000, 0.5)}), path)
        assert losses_of(path)[0][0] == first


def test_the_default_ignores_rows_that_do_not_count(tmp_path):
    path = write(tmp_path, y=[0, 1, 0.5, None], p=[0.5, 0.5, 7, 9], w=[1, 2, 0, 0])
    assert losses_of(path, weight="w")[0][0] == "binary_cross_entropy"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("huber", "huber"), ("huber:delta=1.5", "huber:delta=1.5"), ("mse", "squared_error"),
        ("huber:delta=1", "huber"), ("barron: alpha = -inf , c=2", "barron:alpha=-inf,c=2"),
        ("focal:alpha=none", "focal"), ("focal:alpha=.25,gamma=1e-1", "focal:gamma=0.1,alpha=0.25"),
    ],
)  # fmt: skip
def test_spelling(text, canonical):
    loss = parse_loss(text)
    assert spelled(loss) == canonical
    assert parse_loss(canonical) == loss


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hubr", "no loss called 'hubr'; did you mean 'huber'"),
        ("huber:delt=1", "no parameter 'delt'; did you mean 'delta'"),
        ("huber:delta", "'delta' where param=value is needed"),
        ("huber:", "'' where param=value is needed"),
        ("huber:delta=1,delta=2", "gives 'delta' twice"),
        ("huber:delta=__import__('os')", "must be a number or none"),
        ("huber:delta=1_0", "must be a number or none"),
        ("huber:delta=-1", "delta=-1"),
        ("huber:delta=nan", "delta=nan"),
        ("gaussian_nll", r"needs 2 numbers per prediction \(mean, log_sd\)"),
        ("", "no loss called ''"),
    ],
)
def test_wrong_spelling(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        score(write(tmp_path, y=[1], p=[1]), loss=text)


def test_losses_as_values_and_user_losses(tmp_path):
    @losskit.loss
    def cubed(y, f, scale=1.0):
        """Cubes."""
        r = (f - y) * scale
        return abs(r) * r * r

    path = write(tmp_path, y=[1, 2], p=[3, 2])
    report = score(path, loss=[cubed, cubed(scale=2.0), losskit.mse, "l2"])
    assert [(result.loss, result.value) for result in report.results] == [
        ("cubed", 4), ("cubed:scale=2", 32), ("squared_error", 2),
    ]  # fmt: skip


def test_every_loss_of_the_catalogue_can_score(tmp_path):
    tasks = {
        "regression": write(tmp_path, "r.csv", y=[1.5, 2, 0.25], p=[1, 2, 3]),
        "counts": write(tmp_path, "c.csv", y=[1, 2, 5], p=[1, 2.5, 3]),
        (0, 1): write(tmp_path, "b.csv", y=[1, 0, 1], p=[0.5, 0.25, 0.75]),
        (-1, 1): write(tmp_path, "s.csv", y=[1, -1, 1], p=[0.5, 0.25, -0.75]),
    }
    for name in losskit.names("pointwise"):
        loss = losskit.get(name)
        if len(loss.outputs) > 1:
            continue
        ends = loss.target_domain.lower, loss.target_domain.upper
        report = score(tasks[ends if loss.task == "binary" else loss.task], loss=name)
        assert math.isfinite(report.results[0].value), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"invalid": "drop"}, "invalid must be 'stop' or 'skip'"),
        ({"prediction": []}, "no prediction column"),
        ({"prediction": None}, "missing option --prediction"),
        ({"prediction": ["p", "p"]}, "'p' was given twice"),
        ({"loss": []}, "no loss was given"),
        ({"prediction": "pp"}, "no column 'pp'; did you mean 'p'"),
        ({"weight": "w"}, "no column 'w'"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    path = write(tmp_path, y=[1], p=[1])
    with pytest.raises(TableError, match=message):
        score(path, **options)


def test_the_documented_form(tmp_path):
    report = score(write(tmp_path, y=[1, 2], p=[1, 4], q=[1, 3]), ["p", "q"], loss="mse", by="y")
    plain = report.to_dict()
    assert list(plain) == ["rows", "queries", "invalid", "results", "differences"]
    assert plain["rows"] == 2
    assert plain["invalid"] == {"null": 0, "nan": 0, "infinite": 0, "domain": 0}
    assert plain["results"][0] == {
        "prediction": "p", "loss": "squared_error", "value": 2.0, "root": math.sqrt(2),
        "standard_error": math.sqrt(8) / 2, "clipped": 0, "group": None, "perplexity": None,
        "better": "lower",
    }  # fmt: skip
    assert [result["group"] for result in plain["results"]] == [None, None, "1", "1", "2", "2"]
    assert plain["differences"] == [
        {"a": "p", "b": "q", "loss": "squared_error", "value": 1.5,
         "standard_error": math.sqrt(2 * 1.5**2) / 2, "better": "lower"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": {"y": [1]}}, "table must be the path of a file, not dict"),
        ({"target": 3}, "target must be the name of a column, not int"),
        ({"prediction": 3}, "prediction must be the name of a column or a list of names"),
        ({"prediction": ["p", 3]}, "prediction must be the name"),
        ({"loss": 3}, "loss must be a name such as 'huber:delta=1.5', a loss, or a list"),
        ({"by": 3}, "by must be the name of a column"),
    ],
)
def test_wrong_types(tmp_path, options, message):
    given = {"table": write(tmp_path, y=[1], p=[1]), "target": "y", "prediction": "p"} | options
    with pytest.raises(TypeError, match=message):
        losskit.evaluate(given.pop("table"), **given)


def test_invalid_rows_come_before_the_choice_of_losses(tmp_path):
    with pytest.raises(InvalidRowsError, match=r"row 2: weight 'w' is -1"):
        score(write(tmp_path, y=[1, 2], p=[2, 3], w=[1, -1]), weight="w")
    with pytest.raises(InvalidRowsError, match=r"row 1: target 'y' is inf"):
        score(write(tmp_path, y=["1e400", "1e-400"], p=[2, 3]))
    path = write(tmp_path, y=[1, 0], p=[1.2, 0.5])
    with pytest.raises(TableError, match=r"name a --loss, which skipping needs here"):
        score(path, invalid="skip")
    assert score(path, invalid="skip", loss="bce").invalid["domain"] == 1


def test_labels_of_the_other_convention(tmp_path):
    with pytest.raises(InvalidRowsError, match=r"by 2\*y - 1") as caught:
        score(write(tmp_path, y=[1, 0], p=[1, -1]), loss="hinge")
    assert "--invalid skip" not in str(caught.value)
    with pytest.raises(InvalidRowsError, match=r"by \(y \+ 1\)/2"):
        score(write(tmp_path, y=[1, -1], p=[1, 0.5]), loss="bce")
    with pytest.raises(InvalidRowsError, match="--invalid skip"):
        score(write(tmp_path, y=[1, 5], p=[1, 0.5]), loss="hinge")


def test_one_row_has_no_standard_error(tmp_path):
    path = write(tmp_path, y=[1, 2, 3], p=[2, 2, 5], q=[1, 1, 1], w=[1, 0, 0], g=["a", "a", "b"])
    report = score(path, ["p", "q"], weight="w", loss="mse", by="g")
    plain = report.to_dict()
    assert [item["standard_error"] for item in plain["results"] + plain["differences"]] == [
        None
    ] * 7
    assert report.scored == {None: 1, "a": 1, "b": 0}
