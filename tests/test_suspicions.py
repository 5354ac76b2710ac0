"""What a fit says looks wrong: each finding where it is planted, and none where it is not."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from losskit.fit.inputs.preprocessing import Preprocessing
from losskit.tabular import suspicions

FORMS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
}


def named(d):
    return [f"x{j}" for j in range(d)]


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("form", FORMS)
def test_constant_columns(form):
    x = normal(50, 8)
    x[:, 2], x[:, 5] = 0, 7.5
    assert suspicions.constant_columns(FORMS[form](x), named(8)) == [
        "'x2' is 0 in all rows: it cannot matter",
        "'x5' is 7.5 in all rows: it cannot matter",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_duplicate_columns(form):
    x = normal(300, 40)
    x[:, 11] = x[:, 3]
    x[:, 30] = 1e4 - 1e-3 * x[:, 7]
    x[:, 31] = 32 + 1.8 * x[:, 7]
    x[:, 35] = x[:, 5] + 1e-3 * x[:, 6]  # only nearly the same
    x[:, 36] = 1.0
    x[:, 37] = 2.0
    assert suspicions.duplicate_columns(FORMS[form](x), named(40)) == [
        "'x11' is 'x3': their coefficients share one effect",
        "'x30' is the opposite of 'x7': their coefficients share one effect",
        "'x31' is 'x7' in other units: their coefficients share one effect",
    ]


def test_duplicates_are_found_among_many_columns():
    x = sparse.random_array((500, 5000), density=0.02, rng=np.random.default_rng(0), format="csr")
    same = sparse.hstack([x, 3 * x[:, [17, 4321]]]).tocsc()
    told = suspicions.duplicate_columns(same, named(5002))
    assert [line.split(" in other")[0] for line in told] == [
        "'x5000' is 'x17'",
        "'x5001' is 'x4321'",
    ]
    assert suspicions.duplicate_columns(x, named(5000)) == []


def test_numbers_of_any_size_and_rounded_constants():
    x = normal(100_000, 4) * [1e-200, 1e200, 1, 1]
    x[:, 2:] = 0.1  # whose mean is not just 0.1
    for form in FORMS.values():
        assert suspicions.duplicate_columns(form(x), named(4)) == []
        assert leaks(form(x), normal(100_000, 1, seed=5)[:, 0], classes=False) == []


def test_many_findings_are_counted():
    x = np.repeat(normal(30, 1), 12, axis=1)
    told = suspicions.duplicate_columns(x, named(12))
    assert len(told) == 6
    assert told[-1] == "… and 6 more like this"


def test_levels_of_one_category_are_not_compared():
    rng = np.random.default_rng(0)
    frame = {"sex": rng.choice(["f", "m"], 100), "x": rng.normal(size=100), "w": None}
    frame["w"] = frame["sex"] == "m"
    step = Preprocessing.learn(frame)
    told = suspicions.duplicate_columns(step.apply(frame), step.names, step.sources)
    assert len(told) == 1  # the two levels of sex are opposites, but of one source
    assert told[0].startswith("'w' is the opposite of 'sex=f'")
    assert len(suspicions.duplicate_columns(step.apply(frame), step.names)) == 2


# --- leakage


def leaks(x, y, *, classes, names=None, **options):
    names = named(x.shape[1]) if names is None else names
    told = suspicions.leaking_features(x, names, y, classes=classes, **options)
    return [line.split("'")[1] for line in told]


@pytest.mark.parametrize("n", [100, 3000, 30_000])
@pytest.mark.parametrize("form", FORMS)
def test_a_feature_that_knows_the_target(n, form):
    x = normal(n, 6)
    x[:, 1] = np.round(x[:, 1])
    noise = normal(n, 1, seed=9)[:, 0]
    made = FORMS[form](x)
    assert leaks(made, x[:, 2], classes=False) == ["x2"]
    assert leaks(made, np.exp(3 * x[:, 2]), classes=False) == ["x2"]
    assert leaks(made, x[:, 2] > 0.5, classes=True) == ["x2"]
    assert leaks(made, np.abs(x[:, 2]) > 0.5, classes=True) == (["x2"] if n > 1000 else [])
    assert leaks(made, np.where(x[:, 2] > 0.5, "yes", "no"), classes=True) == ["x2"]
    # most of the target is not all of it
    assert leaks(made, x[:, 2] + 0.2 * noise, classes=False) == []
    assert leaks(made, x[:, 2] + 0.2 * noise > 0, classes=True) == []
    assert leaks(made, noise, classes=False) == []
    assert leaks(made, np.ones(n), classes=False) == []


def test_a_column_of_ties_knows_nothing_of_sorted_rows():
    """In rows that are sorted by the target a constant column must not look like it."""
    y = np.repeat([0.0, 1.0, 2.0], 200)
    x = np.column_stack([np.repeat([0, 1], 300), np.tile([0, 1], 300), np.ones(600), y * 2 + 1])
    assert leaks(x, y, classes=True) == ["x3"]
    assert leaks(x, y, classes=False) == ["x3"]


def test_a_category_that_knows_the_target():
    rng = np.random.default_rng(0)
    city = rng.choice(list("abcdefgh"), 2000)
    frame = {"city": city, "other": rng.choice(list("abcdefgh"), 2000), "x": rng.normal(size=2000)}
    step = Preprocessing.learn(frame)
    x = step.apply(frame)
    code = np.array([{"a": 2, "c": 0}.get(c, 1) for c in city])
    for y, classes in ((code, True), (code, False), (np.array(list("xyz"))[code], True)):
        assert leaks(x, y, classes=classes, names=step.names, sources=step.sources) == ["city"]
    mixed = np.where(rng.random(2000) < 0.05, rng.integers(0, 3, 2000), code)
    assert leaks(x, mixed, classes=True, names=step.names, sources=step.sources) == []
    assert leaks(x, city == "a", classes=True, names=step.names) == ["city=a"]


def test_a_category_of_many_levels_in_few_rows():
    rng = np.random.default_rng(0)
    level = rng.permutation(np.arange(400) % 40)
    y = rng.integers(0, 3, 40)[level]
    step = Preprocessing.learn({"c": [f"level {i}" for i in level]})
    x = step.apply({"c": [f"level {i}" for i in level]})
    assert leaks(x, y, classes=True, names=step.names, sources=step.sources) == ["c"]
    assert leaks(x, rng.permutation(y), classes=True, names=step.names, sources=step.sources) == []


def test_whether_a_cell_is_missing_knows_the_target():
    rng = np.random.default_rng(0)
    y = rng.random(500) < 0.3
    frame = {"refund": np.where(y, np.nan, rng.normal(size=500)), "x": rng.normal(size=500)}
    step = Preprocessing.learn(frame)
    told = leaks(step.apply(frame), y, classes=True, names=step.names, sources=step.sources)
    assert told == ["refund missing"]


def test_several_targets():
    x = normal(400, 5)
    assert leaks(x, np.column_stack([x[:, 1] > 0, x[:, 4] > 1]), classes=True) == ["x1", "x4"]


def test_a_rare_class_at_the_end_of_a_column_says_nothing():
    x = normal(1000, 200)
    y = np.zeros(1000)
    y[np.argmax(x[:, 7])] = 1
    assert leaks(x, y, classes=True) == []


def test_few_rows_say_nothing():
    x = np.arange(12.0)[:, None]
    assert leaks(x, x[:, 0], classes=False) == []


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine, load_diabetes])
def test_real_data_is_not_suspected(load):
    data = load()
    classes = load is not load_diabetes
    names = list(map(str, data.feature_names))
    assert leaks(data.data, data.target, classes=classes, names=names) == []
    assert suspicions.duplicate_columns(data.data, names) == []
    assert suspicions.constant_columns(data.data, names) == []
    assert suspicions.rare_classes(data.target) == [] or not classes


def test_leaks_among_thousands_of_columns():
    x = normal(500, 3000)
    assert leaks(x, x[:, 2222] > 0, classes=True) == ["x2222"]
    assert leaks(sparse.csr_array(x), x[:, 2222], classes=False) == ["x2222"]


# --- classes, scores, grid


def test_rare_classes():
    assert suspicions.rare_classes([0] * 80 + [1] * 20) == []
    assert suspicions.rare_classes(["a"] * 1000 + ["b"] * 50) == [
        "class 'b' has 4.8% of the rows (50 of 1050): see its recall, accuracy says little"
    ]
    assert suspicions.rare_classes([True] * 50 + [False] * 4) == [
        "class False has too few rows to learn from (4 of 54)"
    ]
    ten = np.repeat(np.arange(10), 100)
    assert suspicions.rare_classes(ten) == []
    weight = np.where(ten == 3, 0.1, 1.0)
    assert suspicions.rare_classes(ten, weight)[0].startswith(
        "class 3 has 1.1% of the rows (100 of"
    )


def test_separable_scores():
    y = np.array(["no", "yes", "no", "yes"])
    apart = np.array([-3.0, -1.0, -2.0, 5.0])  # by a threshold other than 0
    assert len(suspicions.separable(apart, y)) == 1
    assert suspicions.separable(-apart, y) == []
    assert suspicions.separable([-3, -2, -2, 5], y) == []  # they touch
    assert len(suspicions.separable([-3, -2, -2, 5], y, [1, 1, 0, 1])) == 1
    assert suspicions.separable(apart, y, [1, 0, 1, 0]) == []  # one class is left
    three = np.array([0, 1, 2, 1])
    scores = np.array([[2, 1, 0], [0, 1, 0.5], [0, 0, 1], [-1, 0, -1.0]])
    assert len(suspicions.separable(scores, three)) == 1
    scores[3, 1] = -1.0
    assert suspicions.separable(scores, three) == []


def test_separable_agrees_with_a_linear_programme():
    from scipy.optimize import linprog

    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(6, 14))
        x = np.column_stack([rng.normal(size=(n, 4)), np.ones(n)])
        sign = np.where(rng.random(n) < 0.5, 1, -1)
        if abs(sign.sum()) == n:
            continue
        solved = linprog(
            np.zeros(5), A_ub=-sign[:, None] * x, b_ub=-np.ones(n), bounds=(None, None)
        )
        scores = x @ (solved.x if solved.status == 0 else np.linalg.lstsq(x, sign)[0])
        assert bool(suspicions.separable(scores, sign)) == (solved.status == 0)


@pytest.mark.parametrize("grid", [[1.0, 0.1, 0.01], [0.01, 0.1, 1.0]])
def test_edges_of_the_grid(grid):
    said = [suspicions.edge_of_grid(grid, best) for best in range(3)]
    small, large = (said[2], said[0]) if grid[0] == 1 else (said[0], said[2])
    assert said[1] == []
    assert small == [
        "the best alpha, 0.01, is the smallest that was tried: a smaller one may be better"
    ]
    assert "1, is the largest" in large[0]
    assert suspicions.edge_of_grid([0.1], 0) == []
    assert "no penalty may be needed" in suspicions.edge_of_grid([0.1, 0.0], 1)[0]


def test_checks_are_cheap():
    n, d = 100_000, 100
    x, names = normal(n, d), named(d)
    y = x @ np.ones(d) > 0
    best = np.inf
    for _ in range(3):  # the machine may be busy
        start = time.perf_counter()
        found = suspicions.constant_columns(x, names) + suspicions.duplicate_columns(x, names)
        found += suspicions.leaking_features(x, names, y, classes=True)
        found += suspicions.rare_classes(y) + suspicions.separable(x[:, 0], y)
        best = min(best, time.perf_counter() - start)
        assert found == []
    assert best < 2  # 0.2 s on an idle machine


def test_the_tables_of_the_examples():
    """The files that README fits: nothing is planted in them."""
    from pathlib import Path

    folder = Path(__file__).parents[1] / "examples" / "data"
    for name, target, classes in (
        ("breast_cancer", "diagnosis", True),
        ("doctor_visits", "visits", False),
    ):
        frame = pd.read_csv(folder / f"{name}.csv")
        step = Preprocessing.learn(frame, exclude=[target])
        assert step.notes == ()
        x, y = step.apply(frame), frame[target].to_numpy()
        assert (
            suspicions.leaking_features(x, step.names, y, classes=classes, sources=step.sources)
            == []
        )
        assert suspicions.duplicate_columns(x, step.names, step.sources) == []
