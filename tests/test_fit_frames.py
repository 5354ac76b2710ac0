"""From data frames to matrices: what is learned, what is recorded, and what is refused."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from losskit.fit.inputs.frames import UnusableColumn, is_frame, open_frame
from losskit.fit.inputs.preprocessing import Preprocessing

PEOPLE = {
    "age": [20.0, None, 40.0, 60.0],
    "children": [0, 2, 1, 2],
    "smoker": [True, False, None, False],
    "city": ["Oslo", "Bergen", None, "Oslo"],
}
KINDS = {
    "pandas": pd.DataFrame,
    "pandas nullable": lambda data: pd.DataFrame(data).convert_dtypes(),
    "pandas objects": lambda data: pd.DataFrame(data, dtype=object),
    "pandas categories": lambda data: pd.DataFrame(data).astype({"city": "category"}),
    "pandas arrow": lambda data: pd.DataFrame(data).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "polars categories": lambda data: pl.DataFrame(data).cast({"city": pl.Categorical}),
    "polars enum": lambda data: pl.DataFrame(data).cast({"city": pl.Enum(["Oslo", "Bergen"])}),
    "arrow": pa.table,
    "arrow dictionary": lambda data: pa.table(data).set_column(
        3, "city", pa.array(data["city"]).dictionary_encode()
    ),
    "dict of lists": dict,
    "dict of arrays": lambda data: {
        "age": np.array([20, np.nan, 40, 60], np.float32),
        "children": np.array([0, 2, 1, 2], np.uint8),
        "smoker": np.ma.array([True, False, False, False], mask=[0, 0, 1, 0]),
        "city": np.array(data["city"], object),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_the_same_matrix(kind):
    frame = KINDS[kind](PEOPLE)
    step = Preprocessing.learn(frame, standardize=False)
    assert step.names == (
        "age", "age missing", "children", "smoker", "smoker missing",
        "city=Bergen", "city=Oslo", "city missing",
    )  # fmt: skip
    third = 1 / 3
    want = [
        [20, 0, 0, 1, 0, 0, 1, 0],
        [40, 1, 2, 0, 0, 1, 0, 0],
        [40, 0, 1, third, 1, 0, 0, 1],
        [60, 0, 2, 0, 0, 0, 1, 0],
    ]
    found = step.apply(frame)
    np.testing.assert_array_equal(found, want)
    assert found.dtype == np.float64
    assert found.flags.f_contiguous
    assert is_frame(frame)


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(5, 3, 200), "city": rng.choice(["a", "b", "c"], 200)})
    frame["y"] = rng.integers(0, 9, 200)
    weight = rng.integers(0, 3, 200).astype(float)
    found = Preprocessing.learn(frame, weight=weight).apply(frame)
    scaled = StandardScaler().fit(frame[["x", "y"]], sample_weight=weight)
    numbers = scaled.transform(frame[["x", "y"]])
    levels = OneHotEncoder(sparse_output=False).fit_transform(frame[["city"]])
    want = np.column_stack([numbers[:, 0], levels, numbers[:, 1]])
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_integer_weights_are_repeated_rows():
    times = np.array([2, 0, 1, 3])
    weighted = Preprocessing.learn(pd.DataFrame(PEOPLE), weight=times)
    repeated = Preprocessing.learn(pd.DataFrame(PEOPLE).loc[np.repeat(range(4), times)])
    assert weighted.names == repeated.names
    assert not {"city=Bergen", "age missing"} & {*weighted.names}  # in a row of weight 0 only
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-14)
    np.testing.assert_allclose(weighted.centre, repeated.centre, rtol=1e-14)


def test_rows_of_weight_0_may_hold_anything():
    frame = {"x": [1.0, np.inf, 3.0], "c": ["a", "new", "b"]}
    step = Preprocessing.learn(frame, weight=[1, 0, 1])
    assert step.names == ("x", "c=a", "c=b")
    np.testing.assert_array_equal(
        step.apply(frame, weight=[1, 0, 1]), [[-1, 1, 0], [0, 0, 0], [1, 0, 1]]
    )
    with pytest.raises(ValueError, match="column 'x' is inf at row 1"):
        step.apply(frame)


def test_columns_are_found_by_name_and_others_ignored():
    frame = pd.DataFrame(PEOPLE)
    step = Preprocessing.learn(frame)
    other = frame[["smoker", "city", "children", "age"]].assign(extra=datetime.date(2020, 1, 1))
    np.testing.assert_array_equal(step.apply(other), step.apply(frame))
    assert step.sources == ("age", "age", "children", "smoker", "smoker", "city", "city", "city")
    assert step.kinds == {"age": "number", "children": "number", "smoker": "number", "city": "text"}


def test_features_and_exclude():
    assert Preprocessing.learn(PEOPLE, features=["city", "age"]).names[0] == "city=Bergen"
    left = Preprocessing.learn(PEOPLE, exclude=["city", "age"])
    assert left.sources == ("children", "smoker", "smoker")
    with pytest.raises(ValueError, match=r"no column 'ages'; did you mean 'age'\? \(it has 'age'"):
        Preprocessing.learn(PEOPLE, features=["ages"])
    with pytest.raises(ValueError, match="no column 'target'"):
        Preprocessing.learn(PEOPLE, exclude=["target"])


def test_numbers_are_standardised_without_loss():
    frame = {
        "huge": [1e300, -1e300, 0.0],
        "tiny": [1e-300, 2e-300, 3e-300],
        "far": [1e9, 1e9 + 1, 1e9 + 2],
    }
    found = Preprocessing.learn(frame).apply(frame)
    step = np.sqrt(1.5)
    np.testing.assert_allclose(found[:, 0], [step, -step, 0], rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], [-step, 0, step], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found[:, 2], [-step, 0, step], rtol=1e-14)


def test_coefficients_in_the_units_of_the_frame():
    rng = np.random.default_rng(1)
    frame = {"x": rng.normal(50, 9, 30), "c": rng.choice(["a", "b"], 30)}
    step = Preprocessing.learn(frame)
    w = np.array([0.3, -1.0, 2.0])
    plain = np.column_stack([frame["x"], frame["c"] == "a", frame["c"] == "b"])
    units, found = w / step.scale, step.apply(frame) @ w
    np.testing.assert_allclose(found, plain @ units - step.centre @ units, rtol=1e-12)


# --- missing cells


def test_a_missing_number_becomes_the_mean_and_is_told():
    frame = {"x": [1.0, np.nan, 4.0]}
    step = Preprocessing.learn(frame)
    assert step.notes == (
        "x is missing in 1 of 3 rows: filled with the mean 2.5; 'x missing' says where",
    )
    np.testing.assert_array_equal(step.apply(frame), [[-1, 0], [0, 1], [1, 0]])


def test_a_number_missing_only_at_prediction_becomes_the_mean():
    step = Preprocessing.learn({"x": [1.0, 4.0]}, standardize=False)
    assert step.names == ("x",)
    np.testing.assert_array_equal(step.apply({"x": [np.nan, 3.0]}), [[2.5], [3.0]])
    np.testing.assert_array_equal(step.apply({"x": [None, None]}), [[2.5], [2.5]])


def test_a_constant_with_gaps_leaves_the_gaps():
    frame = {"x": [5.0, np.nan, 5.0]}
    step = Preprocessing.learn(frame)
    assert step.names == ("x missing",)
    assert "only 'x missing' is used" in step.notes[0]
    np.testing.assert_array_equal(step.apply(frame), [[0], [1], [0]])
    np.testing.assert_array_equal(step.apply({"x": [7.0]}), [[0]])


CONSTANT = {
    "it is 5 in all rows": [5, 5, 5],
    "it varies by rounding only": [0.1 + 0.2, 0.3, 0.3],
    "all of it is missing": [None, np.nan, None],
    "it is 'a' in all rows": ["a", "a", "a"],
}


@pytest.mark.parametrize("why", CONSTANT)
def test_what_does_not_vary_is_left_out_with_a_note(why):
    values = CONSTANT[why]
    step = Preprocessing.learn({"x": values, "y": [1, 2, 3]})
    assert step.names == ("y",)
    assert step.notes == (f"x is left out: {why}",)
    assert step.apply({"y": [2]}) == [[0]]  # and needed no more
    with pytest.raises(ValueError, match=f"no column is left to learn from: x is left out: {why}"):
        Preprocessing.learn({"x": values})


# --- categories


def test_categories_of_numbers_are_categories():
    for frame in (
        pd.DataFrame({"grade": pd.Categorical([10, 2, None, 10])}),
        pd.DataFrame({"grade": pd.Categorical([10.0, 2.0, None, 10.0])}),
        {"grade": ["10", "2", None, "10"]},
    ):
        step = Preprocessing.learn(frame)
        assert step.names == ("grade=2", "grade=10", "grade missing")
        # however the same labels arrive later
        want = [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
        for again in ([10, 2, None], [10.0, 2.0, np.nan], ["10", "2", None]):
            np.testing.assert_array_equal(step.apply({"grade": again}), want)


def test_numbers_as_text_are_told():
    step = Preprocessing.learn({"x": ["1.5", "20", "3"]})
    assert step.names == ("x=1.5", "x=3", "x=20")
    assert step.notes[0].startswith("x holds numbers as text ('1.5', '3', '20')")


def test_the_reference_level_has_no_column():
    frame = {"c": ["b", "a", None, "b"]}
    step = Preprocessing.learn(frame, reference=True)
    assert step.names == ("c=b", "c missing")
    np.testing.assert_array_equal(step.apply(frame), [[1, 0], [0, 0], [0, 1], [1, 0]])
    assert "compared with 'a'" in step.describe()
    with pytest.raises(ValueError, match="for the level that was left out"):
        step.apply(frame, unknown="ignore")


def test_an_unknown_category_is_an_error_or_no_level():
    step = Preprocessing.learn({"c": ["a", "b"], "x": [1, 2]})
    frame = {"c": ["a", "Paris", "Paris"], "x": [1, 1, 1]}
    with pytest.raises(
        ValueError, match=r"column 'c' has 'Paris' at row 1, which it never had .* \('a', 'b'\)"
    ):
        step.apply(frame)
    np.testing.assert_array_equal(
        step.apply(frame, unknown="ignore")[:, :2], [[1, 0], [0, 0], [0, 0]]
    )
    with pytest.raises(ValueError, match="column 'c' has a missing cell at row 0"):
        step.apply({"c": [None], "x": [1]})
    with pytest.raises(ValueError, match=r"in line 12\b"):
        step.apply(frame, where=lambda row: f"in line {row + 11}")
    with pytest.raises(ValueError, match="unknown is 'error' or 'ignore', not 'skip'"):
        step.apply(frame, unknown="skip")


def test_identifiers_and_free_text_are_refused_or_left_out():
    texts = {
        "all different": [f"row {i}" for i in range(3000)],
        "most different": [f"ticket {i % 900}" for i in range(1700)],
        "1500 levels": [f"level {i % 1500}" for i in range(3000)],
    }
    for name, values in texts.items():
        frame = {"x": list(range(len(values))), name: values}
        with pytest.raises(UnusableColumn, match=f"column '{name}' h.*; leave it out"):
            Preprocessing.learn(frame)
        step = Preprocessing.learn(frame, unusable="leave out")
        assert step.names == ("x",)
        assert any(note.startswith(f"{name} is left out: it h") for note in step.notes)
        with pytest.raises(UnusableColumn):  # it was asked for
            Preprocessing.learn(frame, features=["x", name], unusable="leave out")
    assert len(Preprocessing.learn({"c": [f"level {i % 900}" for i in range(2700)]}).names) == 900
    assert len(Preprocessing.learn({"c": ["a", "b", "c"]}).names) == 3  # so few rows say nothing


def test_a_number_that_counts_the_rows_is_told():
    ids = np.random.default_rng(0).permutation(100)[:80] + 1
    step = Preprocessing.learn({"id": ids, "age": np.arange(80) % 50, "pay": np.arange(80) * 1000})
    assert [note for note in step.notes if "number the rows" in note] == [
        f"id seems to number the rows ({ids.min()} to {ids.max()}, each once): leave it out unless "
        "the order means something"
    ]


# --- what is refused

WHEN = datetime.datetime(2020, 1, 2)
UNUSABLE = {
    "dates": (pd.DataFrame({"x": [WHEN, WHEN]}), "holds dates"),
    "polars dates": (pl.DataFrame({"x": [WHEN.date()]}), r"holds dates \(2020-01-02 at row 0\)"),
    "text dates": ({"x": ["2020-01-02", "2021-11-30 10:00"]}, "holds dates"),
    "durations": (pd.DataFrame({"x": [WHEN - WHEN]}), "holds durations"),
    "date objects": ({"x": [WHEN.date()]}, "holds date objects"),
    "periods": (pd.DataFrame({"x": pd.period_range("2020", periods=2)}), "holds Period objects"),
    "lists": (pd.DataFrame({"x": [[1], [2]]}), r"holds list objects \(the first at row 0\)"),
    "nested": (pl.DataFrame({"x": [[1], [2]]}), r"holds List\(Int64\)"),
    "structs": (pa.table({"x": [{"a": 1}]}), "holds Struct"),
    "bytes": (pa.table({"x": [b"a"]}), "holds Binary"),
    "byte arrays": ({"x": np.array([b"a"])}, r"holds \|S1"),
    "complex": ({"x": np.array([1j])}, "holds complex128"),
    "mixed": ({"x": ["a", None, 1.5]}, r"mixes texts and numbers \('a' at row 0, 1.5 at row 2\)"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_columns(case):
    frame, said = UNUSABLE[case]
    with pytest.raises(UnusableColumn, match=f"column 'x' {said}"):
        Preprocessing.learn(frame)


NO_FRAME = {
    "matrix": (np.ones((2, 2)), TypeError, "needed is a data frame .* not ndarray"),
    "series": (pd.Series([1.0]), TypeError, "not Series"),
    "lazy": (pl.LazyFrame({"x": [1]}), TypeError, r"pass frame.collect\(\)"),
    "no text names": (pd.DataFrame([[1, 2]]), ValueError, "column 0 is named 0"),
    "same names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "unique column names"),
    "lengths": ({"a": [1, 2], "b": [1]}, ValueError, "'a' has 2 rows and column 'b' 1"),
    "two axes": ({"a": np.ones((2, 2))}, ValueError, r"'a' has shape \(2, 2\)"),
    "empty": ({"a": []}, ValueError, "has no rows"),
    "infinite": ({"a": [1.0, -np.inf]}, ValueError, "column 'a' is -inf at row 1"),
    "beyond": ({"a": [1, 10**400]}, ValueError, "column 'a' is inf at row 1"),
    "same matrix names": (
        {"c=a": [1, 2], "c": ["a", "b"]}, ValueError, "two columns of the matrix .* 'c=a'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_FRAME)
def test_what_is_no_frame(case):
    frame, kind, said = NO_FRAME[case]
    with pytest.raises(kind, match=said):
        Preprocessing.learn(frame)


BAD_WEIGHTS = {
    "weight has shape": [1, 1],
    r"weight\[1\] = -1": [1, -1, 1],
    r"weight\[2\] = nan": [1, 1, np.nan],
    "all weights are 0": [0, 0, 0],
}


@pytest.mark.parametrize("said", BAD_WEIGHTS)
def test_bad_weights(said):
    with pytest.raises(ValueError, match=said):
        Preprocessing.learn({"x": [1, 2, 3]}, weight=BAD_WEIGHTS[said])


def test_what_is_missing_or_changed_at_prediction():
    step = Preprocessing.learn({"age": [1, 2], "pay": [3, 4], "c": ["a", "b"]})
    with pytest.raises(
        ValueError,
        match=r"no column 'age' \(nor 'pay'\).*; did you mean 'Age'\? \(it has 'Age', 'c'",
    ):
        step.apply({"Age": [1], "c": ["a"]})
    with pytest.raises(ValueError, match=r"column 'age' held numbers .* but has 'old' at row 1"):
        step.apply({"age": [None, "old"], "pay": [1, 2], "c": ["a", "b"]})
    with pytest.raises(ValueError, match=r"column 'age' has 1e\+308 at row 0, too many standard"):
        Preprocessing.learn({"age": [1e-5, 2e-5]}).apply({"age": [1e308]})


def test_python_numbers_and_their_kinds():
    values = [1, 2.5, True, np.float32(4), np.int8(3), decimal.Decimal("1.25"), None, pd.NA]
    column = open_frame({"x": values}).column("x")
    np.testing.assert_array_equal(column.values, [1, 2.5, 1, 4, 3, 1.25, np.nan, np.nan])
    assert not column.is_text


# --- the record


def test_the_record_survives_json_exactly():
    step = Preprocessing.learn(PEOPLE)
    again = Preprocessing.from_json(json.loads(json.dumps(step.to_json(), allow_nan=False)))
    assert again == step
    assert hash(again) == hash(step)
    np.testing.assert_array_equal(again.apply(PEOPLE), step.apply(PEOPLE))
    assert step.describe().splitlines() == [
        "age: number, mean 40, standard deviation 16.3299; missing becomes the mean, and a column "
        "says where",
        "children: number, mean 1.25, standard deviation 0.829156",
        "smoker: number, mean 0.333333, standard deviation 0.471405; missing becomes the mean, and "
        "a column says where",
        "city: category of 2 levels ('Bergen', 'Oslo'), or missing",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("columns"),
        lambda d: d.update(columns=[]),
        lambda d: d.update(notes=[1]),
        lambda d: d["columns"][0].update(kind="__import__('os')"),
        lambda d: d["columns"][0].update(scale=0.0),
        lambda d: d["columns"][0].update(scale=float("nan")),
        lambda d: d["columns"][0].update(fill=10**400),
        lambda d: d["columns"][0].update(centre=True),
        lambda d: d["columns"][0].update(varies=1),
        lambda d: d["columns"][0].update(name=["age"]),
        lambda d: d["columns"][1].update(name="age"),
        lambda d: d["columns"][3].update(levels=["a", "a"]),
        lambda d: d["columns"][3].update(levels=[None]),
        lambda d: d["columns"][3].update(levels=[str(i) for i in range(2000)]),
        lambda d: d["columns"][3].pop("missing"),
        lambda d: d["columns"].append(5),
    ],
)
def test_a_damaged_record_is_refused(change):
    data = Preprocessing.learn(PEOPLE).to_json()
    change(data)
    with pytest.raises(ValueError, match="the preprocessing step is damaged"):
        Preprocessing.from_json(data)
