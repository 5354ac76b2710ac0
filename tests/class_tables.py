"""A table of three classes and two models, and how it is scored."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import losskit

LABELS = ["cat", "dog", "a, b"]


def class_rows():
    rng = np.random.default_rng(2)
    n = 300
    p, q = rng.dirichlet([2, 1, 1], n), rng.dirichlet([1, 1, 1], n)
    code = np.array([rng.choice(3, p=row) for row in p])
    return {
        "code": code, "p": p, "q": q, "w": rng.integers(0, 4, n).astype(float),
        "g": rng.integers(0, 3, n),
    }  # fmt: skip


def write_wide(rows, path):
    table = {"y": np.array(LABELS)[rows["code"]], "w": rows["w"], "g": rows["g"]}
    table |= {f"p{k}": rows["p"][:, k] for k in range(3)}
    table |= {name: list(rows[name]) for name in "pq"}
    pq.write_table(pa.table(table), path, row_group_size=50)
    return path


COLUMNS = {"cat": "p0", "dog": "p1", "a, b": "p2"}


def columns(path, **options):
    return losskit.evaluate(path, target="y", class_columns=COLUMNS, **options)


def lists(path, prediction="p", **options):
    options = {"classes": LABELS} | options
    return losskit.evaluate(path, target="y", prediction=prediction, **options)


def values(report, group=None):
    return {(r.loss, r.prediction): r.value for r in report.results if r.group == group}
