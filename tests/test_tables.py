"""Reading tables: nothing that a reader guesses becomes a number."""

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from losskit.tables import TableError, delimited, open_table


def read(path, *names, **options):
    """All rows of the named columns: a list of floats where None is missing."""
    with open_table(path, **options) as table:
        table.require(names)
        found = {name: [] for name in names}
        row = 1
        for batch in table.batches(names):
            assert batch.first_row == row
            row += batch.length
            for name in names:
                missing = batch.missing.get(name, np.zeros(batch.length, bool))
                pairs = zip(batch.columns[name].tolist(), missing, strict=True)
                found[name] += [None if gone else value for value, gone in pairs]
    return found if len(names) > 1 else found[names[0]]


def same(a, b):
    return len(a) == len(b) and all(
        x is y or x == y or (x is not None and y is not None and x != x and y != y)
        for x, y in zip(a, b, strict=True)
    )


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


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
    texts += ["0.30000000000000004", "9007199254740993", "123456789012345678901234567890.5"]
    path = write(tmp_path, "a.csv", "y,p\n" + "".join(f"{t},0\n" for t in texts))
    assert read(path, "y") == [float(t) for t in texts]
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


# --- Parquet


def test_parquet_types(tmp_path):
    table = pa.table(
        {
            "float": pa.array([0.1, np.nan, None], pa.float32()),
            "half": pa.array(np.array([1, 2, 3], np.float16)),
            "int": pa.array([1, -(2**53), None]),
            "unsigned": pa.array([1, 2**53, None], pa.uint64()),
            "bool": pa.array([True, False, None]),
            "decimal": pa.array([Decimal("1.10"), None, Decimal("-3.25")]),
            "wide": pa.array([Decimal("12345678901234567890123456789.12"), None, Decimal("0.30")]),
            "dictionary": pa.array([1.5, 2.5, 1.5]).dictionary_encode(),
            "none": pa.nulls(3),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    assert same(read(path, "float"), [float(np.float32(0.1)), np.nan, None])
    assert read(path, "half") == [1, 2, 3]
    assert read(path, "int") == [1, -(2**53), None]
    assert read(path, "unsigned") == [1, 2**53, None]
    assert read(path, "bool") == [1, 0, None]
    assert read(path, "decimal") == [1.1, None, -3.25]
    assert read(path, "wide") == [float("12345678901234567890123456789.12"), None, 0.3]
    assert read(path, "dictionary") == [1.5, 2.5, 1.5]
    assert read(path, "none") == [None] * 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array(["0.5", "yes"]), "holds text, not numbers"),
        (pa.array(["a", "b"]).dictionary_encode(), "holds text"),
        (pa.array([1, 2], pa.timestamp("ms")), "holds TIMESTAMP"),
        (pa.array([[1.0], [2.0]]), r"holds DOUBLE\[\]"),
        (pa.array([{"x": 1}, {"x": 2}]), "holds STRUCT"),
        (pa.array([1, 2**53 + 1]), "9007199254740993 at row 2, a whole number beyond 2"),
        (pa.array([1, -(2**53) - 1]), "-9007199254740993 at row 2"),
        (pa.array([1, 2**64 - 1], pa.uint64()), "18446744073709551615 at row 2"),
    ],
)
def test_parquet_refuses(tmp_path, values, message):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"other": [1.0, 2.0], "y": values}), path)
    with pytest.raises(TableError, match=message):
        read(path, "y")
    assert read(path, "other") == [1, 2]


def test_parquet_beside_nested_columns_and_repeated_names(tmp_path):
    nested = pa.array([{"x": {"z": 1}, "y": [1]}] * 2)
    columns = [nested, pa.array([1.0, 2.0]), pa.array([[1], [2]]), pa.array([3.0, 4.0])]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays(columns, names=["s", "y", "l", "p"]), path)
    assert read(path, "y", "p") == {"y": [1, 2], "p": [3, 4]}
    pq.write_table(pa.Table.from_arrays(columns[1::2], names=["y", "y"]), path)
    with pytest.raises(TableError, match="several columns named 'y'"):
        read(path, "y")


def test_order_and_rows_over_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": np.arange(1_000_003.0)}), path, row_group_size=77_777)
    assert read(path, "y") == list(range(1_000_003))


@pytest.mark.parametrize("cut", [8, 100, -20])
def test_damaged_parquet(tmp_path, cut):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"y": np.arange(1000.0)}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(TableError, match="cannot be read"):
        read(path, "y")


# --- JSON lines


def test_json_lines(tmp_path):
    content = (
        '{"y": 1, "p": 0.5}\n\n{"y": true, "p": NaN}\r\n{"p": null, "y": -1e-3}\n{"p": Infinity}'
    )
    path = write(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + content.encode())
    assert same(read(path, "y"), [1, 1, -1e-3, None])
    assert same(read(path, "p"), [0.5, np.nan, None, np.inf])


def test_json_rows_keep_their_order(tmp_path):
    small = write(tmp_path, "a.jsonl", '{"y": 0}\n\n{"y": 1}\r\n{"y": 2}\n{"y": 3}')
    large = write(tmp_path, "b.jsonl", "".join(f'{{"y": {i}}}\n' for i in range(400_000)))
    for _ in range(20):
        assert read(small, "y") == [0, 1, 2, 3]
    assert read(large, "y") == list(range(400_000))


def test_json_keys_are_literal(tmp_path):
    record = {"a b/c~d": 1, 'é"q': 2, "": 3, "0": 4, "$.x": 5, "it's": 6}
    path = write(tmp_path, "a.ndjson", json.dumps(record) + "\n")
    found = read(path, *record)
    assert found == {key: [value] for key, value in record.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"y": 1}\n{"y": "0.5"}\n', "'\"0.5\"' at row 2 where a number is needed"),
        ('{"y": 1}\n{"y": [1]}\n', "at row 2"),
        ('{"y": 1}\n5\n', "'5' at row 2"),
        ('{"y": 1}\n\n{"y": 2\n{"y": 3}\n', "line 3 is not a JSON object"),
        ('{"y": 1}\n{"y": 01}\n', "line 2 is not a JSON object"),
        ('{"y": 1}\n{"y": 2}x\n', "line 2"),
        ('[{"y": 1}, {"y": 2}]\n', r"one JSON array; write one object per line"),
        ('{"x": 1}\n', "no column 'y'"),
    ],
)
def test_json_refuses(tmp_path, content, message):
    with pytest.raises(TableError, match=message):
        read(write(tmp_path, "a.json", content), "y")


def test_json_key_that_appears_late(tmp_path):
    content = '{"x": 1}\n' * 5000 + '{"y": 1}\n'
    assert read(write(tmp_path, "a.jsonl", content), "y") == [None] * 5000 + [1]


# --- databases


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "my data.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE TABLE "odd ""name" AS SELECT 1.5::DOUBLE AS y, 2 AS "Y 2"')
        connection.execute("CREATE TABLE scores AS SELECT range::INT AS y FROM range(5)")
        connection.execute("CREATE SCHEMA s; CREATE TABLE s.scores AS SELECT 7 AS y")
        connection.execute("CREATE VIEW v AS SELECT y + 1 AS y FROM scores")
        connection.execute(f"CREATE VIEW spy AS SELECT 1 AS y FROM read_text('{__file__}')")
    return path


def test_database_tables(database):
    before = database.read_bytes()
    assert read(database, "y", table="scores") == [0, 1, 2, 3, 4]
    assert read(database, "y", table="main.scores") == [0, 1, 2, 3, 4]
    assert read(database, "y", table="s.scores") == [7]
    assert read(database, "y", table="v") == [1, 2, 3, 4, 5]
    assert read(database, "y", "Y 2", table='odd "name') == {"y": [1.5], "Y 2": [2]}
    assert database.read_bytes() == before


def test_database_errors(database, tmp_path):
    with pytest.raises(TableError, match=r"pass --table \(it has .*scores"):
        read(database, "y")
    with pytest.raises(TableError, match="no table 'score'; did you mean 'scores'"):
        read(database, "y", table="score")
    with pytest.raises(TableError, match="no column 'z'"):
        read(database, "z", table="scores")
    with pytest.raises(TableError, match="cannot be read"):
        read(database, "y", table="spy")
    with pytest.raises(TableError, match="names a table of a database, but"):
        read(write(tmp_path, "a.csv", "y\n1\n"), "y", table="scores")


def test_database_in_use_by_a_writer(database):
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(database)!r}); print(1, flush=True); input()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout.readline()
        with pytest.raises(TableError, match="cannot be read") as caught:
            read(database, "y", table="scores")
        assert "\n" not in str(caught.value)
        writer.communicate(b"\n")


# --- files


def test_gzip_of_every_format(tmp_path, database):
    pq.write_table(pa.table({"y": [1.0, 2.0]}), tmp_path / "a.parquet")
    contents = {
        "a.csv.gz": b"y,p\n1,1\n2,1\n",
        "a.TSV.GZ": b"y\tp\n1\t1\n2\t1\n",
        "a.jsonl.gz": b'{"y": 1}\n{"y": 2}\n',
        "a.parquet.gz": (tmp_path / "a.parquet").read_bytes(),
    }
    for name, content in contents.items():
        assert read(write(tmp_path, name, gzip.compress(content)), "y") == [1, 2]
    members = gzip.compress(b"y,p\n1,1\n") + gzip.compress(b"2,1\n")
    assert read(write(tmp_path, "b.csv.gz", members), "y") == [1, 2]
    packed = write(tmp_path, "b.duckdb.gz", gzip.compress(database.read_bytes()))
    assert read(packed, "y", table="v") == [1, 2, 3, 4, 5]


def test_damaged_gzip(tmp_path):
    content = gzip.compress(b"y,p\n" + b"".join(b"%d,1\n" % i for i in range(50_000)))
    wrong_sum = bytearray(content)
    wrong_sum[-6] ^= 0xFF  # DuckDB's own reader does not look at it
    for damaged in (
        content[: len(content) // 2],
        content[:-3],
        bytes(wrong_sum),
        content + b"rest",
    ):
        with pytest.raises(TableError, match="is damaged gzip"):
            read(write(tmp_path, "a.csv.gz", damaged), "y")


def test_paths_are_literal(tmp_path):
    for name in (
        "a*.csv",
        "a?.csv",
        "a[1].csv",
        "it's.csv",
        "{a,b}.csv",
        "a\\b.csv",
        "k=1.csv",
        "~",
    ):
        write(tmp_path, name, f"y,p\n{len(name)},1\n")
    write(tmp_path, "ab.csv", "y,p\n-1,1\n")
    for name in (
        "a*.csv",
        "a?.csv",
        "a[1].csv",
        "it's.csv",
        "{a,b}.csv",
        "a\\b.csv",
        "k=1.csv",
        "~",
    ):
        assert read(tmp_path / name, "y") == [len(name)]
    folder = tmp_path / "y=5"
    folder.mkdir()
    write(folder, "part.csv", "x,p\n1,1\n")
    with pytest.raises(TableError, match="no column 'y'"):
        read(folder / "part.csv", "y")


def test_glob(tmp_path):
    for i in range(3):
        write(tmp_path, f"part{i}.csv", f"y,p\n{i},0\n{i}.5,0\n")
    pattern = str(tmp_path / "part*.csv")
    assert read(pattern, "y", glob=True) == [0, 0.5, 1, 1.5, 2, 2.5]
    with pytest.raises(TableError, match="does not exist; a path is taken literally: --glob"):
        read(pattern, "y")
    with pytest.raises(TableError, match="no file matches"):
        read(str(tmp_path / "none*.csv"), "y", glob=True)
    write(tmp_path, "part1.csv", "y,p\n1,0\nx,0\n")
    with pytest.raises(TableError, match=r"'x' at row 2 of .*part1\.csv"):
        read(pattern, "y", glob=True)
    write(tmp_path, "part1.csv", "z,p\n1,0\n")
    with pytest.raises(TableError, match=r"part1\.csv has no column 'y'"):
        read(pattern, "y", glob=True)
    with open_table(str(tmp_path / "part[02].csv"), glob=True) as table:
        assert [table.row_name(row) for row in (2, 3)] == [
            f"row 2 of {tmp_path / 'part0.csv'}", f"row 1 of {tmp_path / 'part2.csv'}",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.db", b"SQLite format 3\0", "SQLite"),
        ("a.xlsx", b"PK\x03\x04....", "Excel"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd....", "zstd"),
        ("a.parquet", b"y,p\n1,2\n", "not a Parquet file"),
        ("a.duckdb", b"y,p\n1,2\n", "not a DuckDB database"),
    ],
)
def test_foreign_files(tmp_path, name, content, message):
    with pytest.raises(TableError, match=message):
        read(write(tmp_path, name, content), "y")


def test_missing_and_unreadable_files(tmp_path):
    write(tmp_path, "scores.csv", "y,p\n1,1\n")
    with pytest.raises(TableError, match=r"does not exist; did you mean 'scores\.csv'"):
        read(tmp_path / "score.csv", "y")
    with pytest.raises(TableError, match="is a directory"):
        read(tmp_path, "y")
    with pytest.raises(TableError, match="has no column 'q' "):
        read(tmp_path / "scores.csv", "q")
    with pytest.raises(TableError, match=r"cannot be opened|does not exist"):
        read(str(tmp_path / "scores.csv" / "x"), "y")
    with pytest.raises(TableError, match="input format 'xml' is unknown"):
        read(tmp_path / "scores.csv", "y", input_format="xml")


def test_format_by_content_where_the_name_says_nothing(tmp_path):
    for i, content in enumerate(("y,p\n1,1\n", "y\tp\n1\t1\n", '{"y": 1}\n')):
        assert read(write(tmp_path, f"{i}.txt", content), "y") == [1]
    pq.write_table(pa.table({"y": [1.0]}), tmp_path / "a.data")
    assert read(tmp_path / "a.data", "y") == [1]
    assert read(write(tmp_path, "b.txt", "y\tx,q\n1,3\n"), "q", input_format="csv") == [3]


def test_a_pipe_is_read_once_and_kept(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"y,p\n1,1\n2,1\n"))
    writer.start()
    with open_table(path) as table:
        for _ in range(2):
            assert sum(batch.length for batch in table.batches(["y"])) == 2
    writer.join()


def test_groups_are_text_in_order(tmp_path):
    content = "y,g\n1,10\n2,9\n3,\n4,b\n5,a\n6,10\n7,it's\n"
    with open_table(write(tmp_path, "a.csv", content)) as table:
        groups = table.group_names("g")
        assert groups == ["9", "10", "", "a", "b", "it's"]
        (batch,) = table.batches(["y"], "g", groups)
        assert [groups[code] for code in batch.group] == ["10", "9", "", "b", "a", "10", "it's"]
    pq.write_table(pa.table({"y": [1.0, 2.0, 3.0], "g": [2, 10, None]}), tmp_path / "a.parquet")
    with open_table(tmp_path / "a.parquet") as table:
        assert table.group_names("g") == ["2", "10", ""]


def test_too_many_groups(tmp_path):
    pq.write_table(pa.table({"y": np.arange(10_001.0)}), tmp_path / "a.parquet")
    with open_table(tmp_path / "a.parquet") as table, pytest.raises(TableError, match="more than"):
        table.group_names("y")


def test_reading_needs_neither_pandas_nor_pyarrow(tmp_path):
    write(tmp_path, "a.csv", "y,p\n1,1\n")
    code = (
        "import sys\n"
        "from losskit.tables import open_table\n"
        f"with open_table({str(tmp_path / 'a.csv')!r}) as table:\n"
        "    print(sum(batch.length for batch in table.batches(['y'])))\n"
        "print([m for m in ('pandas', 'pyarrow', 'polars', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n[]\n"


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = write(tmp_path, "a.csv.gz", gzip.compress(b"y,p\n1,1\nx,1\n"))
    with pytest.raises(TableError):
        read(path, "y")
    assert list(Path(folder).iterdir()) == []
