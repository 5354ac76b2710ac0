"""Reading Parquet and JSON lines: types, names and order as the file has them."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from losskit.tables import TableError
from reading import read, same, write

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
