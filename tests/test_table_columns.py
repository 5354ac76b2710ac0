"""Whole tables as columns, and columns written as tables."""

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer

from losskit.tables import TableError, columns, open_table
from losskit.tables.columns import read_columns
from losskit.tables.writing import write_table
from reading import write

EXAMPLES = Path(__file__).parents[1] / "examples" / "data"


def load(path, names=None, *, kinds=None, progress=None, **options):
    with open_table(path, **options) as table:
        return read_columns(table, names, kinds=kinds, progress=progress)


def plain(found):
    """Columns as (type of array, list with None where missing)."""
    return {
        name: (values.dtype.name, [None if v != v else v for v in values.tolist()])
        for name, values in found.items()
    }


MIXED = {
    "age": ("float64", [31.5, None, 40.0]),
    "children": ("int64", [0, 2, 1]),
    "city": ("object", ["Oslo", None, "New York, NY"]),
    "answer": ("object", ["true", "NA", "false"]),
    "nothing": ("float64", [None, None, None]),
}
CSV = (
    "age,children,city,answer,nothing\n"
    '31.5,0,Oslo,true,\n NA ,2,,NA,NA\n40,1,"New York, NY",false,\n'
)


def test_csv_and_its_forms(tmp_path):
    assert plain(load(write(tmp_path, "a.csv", CSV))) == MIXED
    assert plain(load(write(tmp_path, "a.csv.gz", gzip.compress(CSV.encode())))) == MIXED
    rows = csv.reader(CSV.splitlines())
    tabs = "\n".join("\t".join(row) for row in rows)
    assert plain(load(write(tmp_path, "a.tsv", tabs))) == MIXED


def test_typed_files_keep_their_types(tmp_path):
    data = {
        "age": pa.array([31.0, None, 40.0]),
        "whole": pa.array([31.0, 2.0, 40.0]),
        "children": pa.array([0, 2, 1], pa.int8()),
        "gaps": pa.array([0, None, 1]),
        "city": pa.array(["Oslo", None, ""]).dictionary_encode(),
        "answer": pa.array([True, True, False]),
        "unsure": pa.array([True, None, False]),
        "price": pa.array(["1.10", "2.25", None]).cast(pa.decimal128(6, 2)),
        "day": pa.array([18000, 18001, None], pa.date32()),
        "nothing": pa.nulls(3),
    }
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    want = {
        "age": ("float64", [31.0, None, 40.0]),
        "whole": ("float64", [31.0, 2.0, 40.0]),
        "children": ("int64", [0, 2, 1]),
        "gaps": ("float64", [0.0, None, 1.0]),
        "city": ("object", ["Oslo", None, None]),
        "answer": ("bool", [True, True, False]),
        "unsure": ("object", [True, None, False]),
        "price": ("float64", [1.1, 2.25, None]),
        "day": ("object", ["2019-04-14", "2019-04-15", None]),
    }
    found = plain(load(tmp_path / "a.parquet"))
    assert found.pop("nothing")[1] == [None] * 3
    assert found == want
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        parquet = str(tmp_path / "a.parquet")
        connection.execute(f"CREATE TABLE t AS SELECT * EXCLUDE nothing FROM '{parquet}'")
    assert plain(load(tmp_path / "a.duckdb", table="t")) == want


def test_json_lines(tmp_path):
    rows = [
        {"x": 1, "f": 2.5, "b": True, "s": "1", "gap": None, "m": True, "n": "a"},
        {"x": 2, "f": 1, "b": False, "s": "", "gap": True, "m": 0, "n": 1.0},
        {"x": 3, "f": 1, "b": True, "s": "a", "m": 1},
    ]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert plain(load(path)) == {
        "x": ("int64", [1, 2, 3]),
        "f": ("float64", [2.5, 1.0, 1.0]),
        "b": ("bool", [True, False, True]),
        "s": ("object", ["1", None, "a"]),
        "gap": ("object", [None, True, None]),
        "m": ("int64", [1, 0, 1]),
        "n": ("object", ["a", "1", None]),
    }
    path = write(tmp_path, "b.jsonl", '{"x": 1}\n{"x": [1, 2]}\n')
    with pytest.raises(TableError, match=r"column 'x' of .*b.jsonl holds lists or objects"):
        load(path)


def test_standard_input(tmp_path):
    code = (
        "from losskit.tables import open_table\n"
        "from losskit.tables.columns import read_columns\n"
        "with open_table('-') as t: print({k: v.tolist() for k, v in read_columns(t).items()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="a,b\n1,x\n", capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'a': [1], 'b': ['x']}\n"


def test_names_kinds_and_progress(tmp_path):
    path = write(tmp_path, "a.csv", "code,x\n007,1\n12,0\n")
    assert plain(load(path, ["x", "x"])) == {"x": ("int64", [1, 0])}
    assert plain(load(path, kinds={"code": "text", "other": "text"})) == {
        "code": ("object", ["007", "12"]),
        "x": ("int64", [1, 0]),
    }
    seen = []
    load(path, progress=lambda done, rows: seen.append((done, rows)))
    assert seen == [(2, 2)]
    with pytest.raises(TableError, match=r"no column 'y' \(it has 'code', 'x'\)"):
        load(path, ["y"])


def test_kinds_of_typed_columns(tmp_path):
    pq.write_table(pa.table({"n": [1.0, 2.5], "s": ["a", "b"]}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", kinds={"n": "text"})["n"].tolist() == ["1", "2.5"]
    with pytest.raises(TableError, match=r"column 's' .* holds text, not numbers"):
        load(tmp_path / "a.parquet", kinds={"s": "number"})


def test_a_few_texts_in_a_column_of_numbers_are_mistakes(tmp_path):
    cells = [str(i) for i in range(40)]
    cells[17] = "n/a"
    path = write(tmp_path, "a.csv", "x,y\n" + "".join(f"{cell},1\n" for cell in cells))
    with pytest.raises(
        TableError,
        match=r"^column 'x' has 'n/a' at row 18 where a number is needed; only a blank cell, NA "
        "and null are read as missing$",
    ):
        load(path)
    assert load(path, kinds={"x": "text"})["x"][16:18].tolist() == ["16", "n/a"]
    cells[10:16] = "abcdef"
    path = write(tmp_path, "b.csv", "x,y\n" + "".join(f"{cell},1\n" for cell in cells))
    assert load(path)["x"].dtype == object
    with pytest.raises(TableError, match="'a' at row 11 where a number is needed; write a number"):
        load(path, kinds={"x": "number"})


def test_advice_is_not_about_probabilities(tmp_path):
    cells = ["1"] * 20 + ["abc"]
    path = write(tmp_path, "a.csv", "x,y\n" + "".join(f"{cell},1\n" for cell in cells))
    with pytest.raises(TableError, match=r"\(or NA\) where it is missing$"):
        load(path)


@pytest.mark.parametrize("late", ["abc", "99999999999999999"])
def test_what_only_late_rows_show(tmp_path, monkeypatch, late):
    """A column that the first rows take for one of numbers is read again as text."""
    monkeypatch.setattr(columns, "_SAMPLE", 10)
    cells = [str(i) for i in range(30)] + [late] * 30
    path = write(
        tmp_path, "a.csv", "x,y\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))
    )
    found = load(path)
    assert found["x"].tolist() == cells
    assert found["y"].tolist() == list(range(60))
    path = write(tmp_path, "b.csv", "x,y\n" + "".join(f"{cell},1\n" for cell in cells[:31]))
    with pytest.raises(TableError, match="at row 31"):
        load(path)


def test_identifiers_beyond_float64_are_text(tmp_path):
    ids = [2**60 + i for i in range(30)]
    pq.write_table(pa.table({"id": ids}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet")["id"].tolist() == [str(i) for i in ids]
    path = write(tmp_path, "a.csv", "id,y\n" + "".join(f"{i},1\n" for i in ids))
    assert load(path)["id"].tolist() == [str(i) for i in ids]


def test_json_booleans_that_are_none_later(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_SAMPLE", 5)
    lines = ['{"x": true}'] * 20 + ['{"x": 5}']
    assert load(write(tmp_path, "a.jsonl", "\n".join(lines)))["x"].tolist() == [1] * 20 + [5]
    lines = ['{"x": true}'] * 20 + ['{"x": "yes"}'] * 20
    found = load(write(tmp_path, "b.jsonl", "\n".join(lines)))["x"]
    assert found.tolist() == ["true"] * 20 + ["yes"] * 20


def test_several_files(tmp_path):
    write(tmp_path, "1.csv", "x,c\n1,a\n2,b\n")
    write(tmp_path, "2.csv", "c,x\n7,3.5\n8,4\n")
    found = load(tmp_path / "*.csv", glob=True)
    assert plain(found) == {
        "x": ("float64", [1.0, 2.0, 3.5, 4.0]),
        "c": ("object", ["a", "b", "7", "8"]),
    }
    write(tmp_path, "3.csv", "x\n1\n")
    with pytest.raises(TableError, match=r"3.csv has no column 'c'"):
        load(tmp_path / "*.csv", glob=True)


def test_nested_columns_are_refused_by_name(tmp_path):
    for values, said in (([[1.0], [2.0]], r"DOUBLE\[\]"), ([{"a": 1}, {"a": 2}], "STRUCT")):
        pq.write_table(pa.table({"x": [1, 2], "v": values}), tmp_path / "a.parquet")
        with pytest.raises(TableError, match=f"column 'v' of .*a.parquet holds {said}"):
            load(tmp_path / "a.parquet")
        assert load(tmp_path / "a.parquet", ["x"])["x"].tolist() == [1, 2]


def test_whole_numbers_beyond_int64_stay_float(tmp_path):
    found = load(write(tmp_path, "a.csv", "x,y\n1e300,1\n2,inf\n"))
    assert plain(found) == {"x": ("float64", [1e300, 2.0]), "y": ("float64", [1.0, np.inf])}


def test_no_rows(tmp_path):
    found = load(write(tmp_path, "a.csv", "x,y\n"))
    assert [len(values) for values in found.values()] == [0, 0]


def test_many_batches_stay_in_order(tmp_path):
    n = 60_000
    lines = "".join(f"{i},{i / 7!r},t{i % 11}\n" for i in range(n))
    found = load(write(tmp_path, "a.csv", "i,f,t\n" + lines))
    np.testing.assert_array_equal(found["i"], np.arange(n))
    np.testing.assert_array_equal(found["f"], np.arange(n) / 7)
    assert found["t"].tolist() == [f"t{i % 11}" for i in range(n)]
    assert len({id(text) for text in found["t"]}) == 11  # equal texts are one object


def test_the_tables_of_the_examples():
    data = load_breast_cancer()
    found = load(EXAMPLES / "breast_cancer.csv")
    diagnosis = found.pop("diagnosis")
    np.testing.assert_array_equal(np.column_stack(list(found.values())), data.data)
    assert list(found) == [name.replace(" ", "_") for name in data.feature_names]
    assert diagnosis.tolist() == data.target_names[data.target].tolist()
    visits = load(EXAMPLES / "doctor_visits.csv")
    assert visits["visits"].dtype == np.int64
    assert (
        visits["visits"].tolist()
        == load(EXAMPLES / "doctor_visits_predictions.csv")["visits"].tolist()
    )
    assert set(visits["health"]) == {"excellent", "good", "fair", "poor"}


# --- writing

WRITTEN = {
    "f": np.array([0.1, np.nan, np.inf, 1e-300]),
    "f32": np.array([0.1, 1, 2, 3], np.float32),
    "i": np.array([1, 2, 3, 4]),
    "b": np.array([True, False, True, True]),
    "s": np.array(['a,"b"', None, "line\nbreak", " x "], object),
    "u": np.array(["p", "q", "r", "s"]),
    "é, name": np.array([None, True, False, None], object),
}


def test_writing_csv(tmp_path):
    write_table(tmp_path / "a.csv", WRITTEN)
    assert (tmp_path / "a.csv").read_bytes().decode() == (
        'f,f32,i,b,s,u,"é, name"\n'
        '0.1,0.1,1,true,"a,""b""",p,\n'
        ",1.0,2,false,,q,true\n"
        'inf,2.0,3,true,"line\nbreak",r,false\n'
        "1e-300,3.0,4,true, x ,s,\n"
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a", "a.TSV"])
def test_what_was_written_is_read_again(tmp_path, name):
    rng = np.random.default_rng(0)
    n = 20_000
    data = {
        "f": np.ldexp(rng.normal(size=n), rng.integers(-900, 900, n)),
        "i": rng.integers(-(2**53), 2**53, n),
        "s": rng.choice(np.array(["a", "b,c", '"', "\n", "x\ty", "NA", "d'e"]), n),
        "t": np.array(["a", "é"] * (n // 2), np.dtypes.StringDType()),
        "late": np.array([None] * (n - 1) + ["x"], object),
    }
    write_table(tmp_path / name, data)
    form = {".csv": "csv", ".parquet": "parquet", "": "csv"}.get((tmp_path / name).suffix, "tsv")
    found = load(tmp_path / name, input_format=form)
    assert list(found) == list(data)
    for column in data:
        assert found[column].tolist() == data[column].tolist()


def test_one_column_of_blanks(tmp_path):
    write_table(tmp_path / "a.csv", {"s": np.array([None, "x", None], object)})
    assert load(tmp_path / "a.csv")["s"].tolist() == [None, "x", None]


def test_writing_to_standard_output(capsys):
    write_table("-", {"x": np.array([1, 2])})
    assert capsys.readouterr().out == "x\n1\n2\n"


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")

    class Bad:
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(path, {"x": np.array([1] * 50_000 + [Bad()], object)})
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.csv"]
    with pytest.raises(KeyboardInterrupt):
        write_table(tmp_path / "new.csv", {"x": np.array([Bad()], object)})
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_killed_process_leaves_no_half_file(tmp_path):
    code = (
        "import os, sys\nfrom losskit.replacing import replacing\n"
        "with replacing(sys.argv[1]) as own:\n"
        "    own.write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.csv"], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "a.csv").exists()


def test_the_name_keeps_its_rights_and_links(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("x")
    real.chmod(0o640)
    link.symlink_to(real)
    write_table(link, {"x": np.array([1])})
    assert link.is_symlink()
    assert real.read_text() == "x\n1\n"
    assert real.stat().st_mode & 0o777 == 0o640
    mask = os.umask(0o027)
    try:
        write_table(tmp_path / "new.csv", {"x": np.array([1])})
    finally:
        os.umask(mask)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o640


def test_devices_are_written_directly():
    write_table("/dev/null", {"x": np.array([1])})
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xlsx", "a format that is not written; end the name in .csv, .tsv or .parquet"),
        ("a.csv.gz", "a format that is not written"),
        ("a.jsonl", "a format that is not written"),
        ("no/such/a.csv", "cannot be written: there is no folder for it"),
        ("", "is a directory"),
    ],
)
def test_names_that_cannot_be_written(tmp_path, name, said):
    with pytest.raises(TableError, match=said):
        write_table(tmp_path / name, {"x": np.array([1])})


def test_columns_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="columns of one length"):
        write_table(tmp_path / "a.csv", {"x": np.array([1]), "y": np.array([1, 2])})
    with pytest.raises(TableError, match="columns 'A' and 'a' differ in nothing else"):
        write_table(tmp_path / "a.parquet", {"A": np.array([1]), "a": np.array([1])})
    assert os.listdir(tmp_path) == []
