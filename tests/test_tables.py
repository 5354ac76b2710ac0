"""Reading CSV: nothing that a reader guesses becomes a number."""

import csv
import io
import random

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from losskit.tables import TableError, delimited
from reading import read, same, write

# --- CSV cells


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0), ("-2.5", -2.5), ("+3", 3.0), (".5", 0.5), ("1.", 1.0), ("1e-3", 1e-3),
        ("1E5", 1e5), ("0.1", 0.1), (" 7 ", 7.0), ("00012", 12.0), ("-0", 0.0),
        ("2.2250738585072011e-308", 2.2250738585072011e-308), ("1e400", np.inf),
        ("inf", np.inf), ("-Infinity", -np.inf), ("nan", np.nan), ("NaN", np.nan), ('"0.5"', 0.5),
        ("", None), ("NA", None), ("na", None), ("null", None), ("NULL", None), ("  ", None),
        ('""', None),
    ],
)  # fmt: skip
def test_csv_cell(tmp_path, cell, value):
    path = write(tmp_path, "a.csv", f"y,p\n{cell},1\n2,1\n")
    assert same(read(path, "y"), [value, 2.0])


@pytest.mark.parametrize(
    "cell",
    ["yes", "no", "true", "t", "abc", '"1,5"', "1_000", "+-1", "0x10", "1 000", "$1", "1%", "1.2.3",
     "nan(12)", "--1", "e5", ".", "-", "1e", "١", "N/A", "None", "\\N", "'1'"],
)  # fmt: skip
def test_csv_text_is_no_number(tmp_path, cell):
    path = write(tmp_path, "a.csv", f"y,p\n1,1\n2,1\n{cell},1\n")
    with pytest.raises(TableError, match=r"column 'y' has .* at row 3 where a number is needed"):
        read(path, "y")


def test_text_row_number_is_right_far_into_the_file(tmp_path):
    rows = [f"{i},{i}" for i in range(300_000)]
    rows[250_000] = "1,x"
    path = write(tmp_path, "a.csv", "y,p\n" + "\n".join(rows))
    with pytest.raises(TableError, match="'x' at row 250001"):
        read(path, "p")


def test_decimals_round_correctly(tmp_path):
    rng = random.Random(1)
    texts = [f"{rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300):.17g}" for _ in range(2000)]
    texts = [text if "." in text or "e" in text else f"{text}." for text in texts]
    texts += ["0.30000000000000004", "9007199254740993.0", "123456789012345678901234567890.5"]
    path = write(tmp_path, "a.csv", "y,p\n" + "".join(f"{t},0\n" for t in texts))
    assert read(path, "y") == [float(t) for t in texts]
    texts = [text.replace(".", ".0") if text.endswith(".") else text for text in texts]
    lines = "".join(f'{{"y": {t}}}\n' for t in texts)
    assert read(write(tmp_path, "a.jsonl", lines), "y") == [float(t) for t in texts]


# --- CSV shape


@pytest.mark.parametrize(
    "content",
    [
        "y,p\n1,2\n3,4\n", "y,p\n1,2\n3,4", "y,p\r\n1,2\r\n3,4\r\n", "y,p\r\n1,2\n3,4\r\n",
        "\ufeffy,p\n1,2\n3,4\n", "y,p\n1,2\n\n3,4\n\n\n", '"y","p"\n"1","2"\n"3","4"\n',
        "p,y\n2,1\n4,3\n", 'y,"a\nb, c",p\n1,"x\r\n""y"",",2\n3,"\n\n",4\n',
    ],
)  # fmt: skip
def test_csv_forms(tmp_path, content):
    assert read(write(tmp_path, "a.csv", content), "y", "p") == {"y": [1, 3], "p": [2, 4]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("y,p\n1,2\n3\n", "1 field on line 3 where its header has 2"),
        ("y,p\n1,2\n3,4,5\n", "3 fields on line 3"),
        ("y,p\n1,2\n3,4,\n", "3 fields on line 3"),  # DuckDB takes this one
        ("y,p\n1,2\n3,4,,\n5,6", "4 fields on line 3"),
        ("y,p\n1,2\n3", "1 field on line 3"),
        ('y,p\n"1\n2",2\n3\n', "1 field on line 4"),
        ('y,p\n1,"2\n3,4\n', "opens in the record of line 2 and never closes"),
        ("y,y\n1,2\n", "names columns 1 and 2 both 'y'"),
        ("y,,p\n1,2,3\n", "no name for column 2"),
        (",y,p\n0,2,3\n", r"no name for column 1 .*index=False"),
        ("\ny,p\n1,2\n", "blank line 1"),
        ("y,p\r1,2\r", "CR alone"),
        ("", "is empty"),
        ("  \n \n", "is empty"),
        (b"y,p\n1,\xe9\n", "not UTF-8 text"),
        (b"y,p\n" + b"1,2\n" * 9999 + b"1,\xe9\n", "line 10001 is not UTF-8 text"),
        (b"y\xe9,p\n1,2\n", "not UTF-8"),
        ("y,p\n1,2\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_csv_malformed(tmp_path, content, message):
    path = write(tmp_path, "a.csv", content)
    with pytest.raises(TableError, match=message) as caught:
        read(path, "y", "p")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_csv_shape_agrees_with_pythons_reader(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(delimited, "_CHUNK", chunk)
    rng = random.Random(chunk)
    words = ["", "1", "x", 'a"b', "a,b", "line\nbreak", '"', "crlf\r\nx", "é", "\n", ","]
    for _ in range(40 if chunk < 64 else 80):
        columns = rng.randint(2, 4)
        rows = [[rng.choice(words) for _ in range(columns)] for _ in range(rng.randint(0, 30))]
        ragged = rows and rng.random() < 0.4
        at = rng.randrange(len(rows)) if ragged else None
        text, line = io.StringIO(newline=""), None
        writer = csv.writer(text, lineterminator=rng.choice(["\n", "\r\n"]))
        writer.writerow(f"c{i}" for i in range(columns))
        for i, row in enumerate(rows):
            if i == at:
                line = text.getvalue().count("\n") + 1
                row = [*row, ""]
            writer.writerow(row)
        path = write(tmp_path, "a.csv", text.getvalue())
        if ragged:
            with pytest.raises(TableError, match=f"on line {line} "):
                delimited.measure(path, "a.csv", ",", columns)
        else:
            assert delimited.measure(path, "a.csv", ",", columns).records == len(rows)


def test_quoted_newlines_over_many_buffers_keep_their_rows(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(["text", "y"])
        for i in range(150_000):
            writer.writerow(["a\n" * (i % 40) + '"q", ', i])
    assert read(path, "y") == list(range(150_000))


def test_delimiters(tmp_path):
    assert read(write(tmp_path, "a.tsv", "y\tp\n1\t2\n"), "p") == [2]
    semicolons = write(tmp_path, "a.csv", "y;p\n1;2\n")
    with pytest.raises(TableError, match=r"no column 'p'; .*--delimiter"):
        read(semicolons, "p")
    assert read(semicolons, "p", delimiter=";") == [2]
    with pytest.raises(TableError, match="one ASCII character"):
        read(semicolons, "p", delimiter=";;")


def test_case_of_names_counts(tmp_path):
    content = "Y,y\n1,2\n"
    assert read(write(tmp_path, "a.csv", content), "y") == [2]
    lines = '{"Y": 1, "y": 2}\n'
    assert read(write(tmp_path, "a.jsonl", lines), "y") == [2]
    pq.write_table(pa.table({"Y": [1.0], "y": [2.0], "y_1": [3.0]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "y", "y_1") == {"y": [2], "y_1": [3]}


# --- one rule for whole numbers, in every format


_TOO_LONG = ["9007199254740993", "-9007199254740993", "123456789012345678901234567890"]
_LONG = ["9007199254740992", "-9007199254740992", "9007199254740993.0", "1e30"]


@pytest.mark.parametrize("text", _TOO_LONG)
def test_whole_numbers_beyond_the_limit_are_refused(tmp_path, text):
    message = rf"column 'y' has {text} at row 2, a whole number beyond 2\^53"
    with pytest.raises(TableError, match=message):
        read(write(tmp_path, "a.csv", f"y,p\n1,2\n{text},2\n"), "y")
    with pytest.raises(TableError, match=message):
        read(write(tmp_path, "a.jsonl", f'{{"y": 1}}\n{{"y": {text}}}\n'), "y")
    for kind in ("DECIMAL(38,0)", "HUGEINT"):
        path = tmp_path / f"{kind[0]}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE TABLE t AS SELECT unnest([1, {text}]::{kind}[]) AS y")
        with pytest.raises(TableError, match=message):
            read(path, "y", table="t")


def test_whole_numbers_up_to_the_limit_are_read(tmp_path):
    rows = [*_LONG, "0000000000000000000001"]
    path = write(tmp_path, "a.csv", "y,p\n" + "".join(f"{text},0\n" for text in rows))
    assert read(path, "y") == [float(text) for text in rows]
    lines = "".join(f'{{"y": {text}}}\n' for text in _LONG)
    assert read(write(tmp_path, "a.jsonl", lines), "y") == [float(text) for text in _LONG]


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("yes", "write 1 for yes or true and 0 for no or false"),
        ("True", "write 1 for yes or true"),
        ('"1,5"', "write a decimal point"),
        ('"1,000"', "no grouping of thousands"),
        ("1_000", "no grouping of thousands"),
        ("50%", "50% as 0.5"),
        ("N/A", "only a blank cell, NA and null are read as missing"),
        ("None", "only a blank cell"),
        ("#N/A", "only a blank cell"),
        ("abc", "write a number such as 0.5, or leave the cell blank"),
    ],
)
def test_each_kind_of_text_has_its_advice(tmp_path, cell, advice):
    with pytest.raises(TableError, match=r"at row 1 where a number is needed") as caught:
        read(write(tmp_path, "a.csv", f"y,p\n{cell},0\n"), "y")
    assert advice in str(caught.value)


def test_quoted_json_numbers_have_their_advice(tmp_path):
    with pytest.raises(TableError, match="write it without quotes"):
        read(write(tmp_path, "a.jsonl", '{"y": "0.5"}\n'), "y")


@pytest.mark.parametrize("rows", ["1;2\n", "1,5;2,5\n"])
def test_another_delimiter_is_hinted_at(tmp_path, rows):
    with pytest.raises(TableError, match=r"pass --delimiter ';'"):
        read(write(tmp_path, "a.csv", f"y;p\n{rows}"), "y")


def test_the_wrong_delimiter_is_hinted_at(tmp_path):
    with pytest.raises(TableError, match=r"pass --delimiter ','"):
        read(write(tmp_path, "a.csv", "y,p\n1,2\n"), "y", delimiter=";")


def test_lines_that_are_no_objects(tmp_path):
    with pytest.raises(TableError, match=r"line 1 is not a JSON object such as"):
        read(write(tmp_path, "a.jsonl", "1\n2\n"), "y")


def test_a_truncated_file_has_the_users_name(tmp_path):
    path = write(tmp_path, "trunc.parquet", b"PAR1" + bytes(100))
    with pytest.raises(TableError, match=r"trunc\.parquet") as caught:
        read(path, "y")
    assert "losskit-" not in str(caught.value)
