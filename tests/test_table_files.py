"""Databases, gzip, pipes, patterns, groups, and files that are something else."""

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from losskit.tables import TableError, open_table
from reading import read, write

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
