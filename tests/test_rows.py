"""What users see of losses over an axis: shapes, options, errors, chunks and other processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
from losskit.formula import Mixture, Number, OneOf, Score, Vector, surprise, xmul
from losskit.formula.axis import dot, logsumexp, sum_
from losskit.rows import compute

CE = losskit.cross_entropy
RNG = np.random.default_rng(1)
LOGITS = RNG.normal(size=(6, 3))
CLASSES = np.array([0, 2, 1, 1, 0, 2])


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@losskit.loss(axis="class", link="softmax")
def my_entropy(y: Mixture, f: Vector, floor: float = 0.0):
    """A user's cross-entropy."""
    return sum_(xmul(y, surprise(f))) + floor


@losskit.loss(axis="feature")
def attraction(first: Vector, second: Vector):
    """Draws two vectors together."""
    return -dot(first, second)


@losskit.loss(axis="feature")
def scaled_sum(f: Vector, scale: Number):
    """Has one slope for all of a row."""
    return sum_(f) * scale


@losskit.loss(axis="feature")
def scaled_square(f: Vector, scale: Number):
    """Has one curvature for all of a row."""
    return sum_(f * f) * scale


@losskit.loss(axis="feature")
def margin(better: Score, worse: Score):
    """Compares two numbers."""
    return worse - better


# --- shapes --------------------------------------------------------------------------------


def test_known_numbers() -> None:
    assert CE([1], [[0.2, 0.5, 0.3]]) == pytest.approx(np.log(2), rel=1e-15)
    assert CE([0, 1], [[0.5, 0.5], [0.25, 0.75]], reduction="sum") == pytest.approx(
        -np.log(0.5) - np.log(0.75)
    )
    value, gradient = CE.value_and_gradient([2], [[0.0, 0.0, 0.0, 0.0]], raw=True)
    assert value == pytest.approx(np.log(4))
    np.testing.assert_allclose(gradient, [[0.25, 0.25, -0.75, 0.25]])


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 3)])
def test_leading_axes(shape: tuple[int, ...]) -> None:
    n = int(np.prod(shape))
    f, y = np.resize(LOGITS, (n, 3)).reshape(*shape, 3), np.resize(CLASSES, n).reshape(shape)
    flat = CE(y.reshape(-1), f.reshape(-1, 3), raw=True, reduction="none")
    each = CE(y, f, raw=True, reduction="none")
    assert each.shape == shape
    np.testing.assert_array_equal(each.reshape(-1), flat)
    for method in (CE.gradient, CE.hessian):
        assert method(y, f, raw=True).shape == f.shape
    assert CE.hessian_vector_product(y, f, np.ones_like(f), raw=True).shape == f.shape
    one_hot = CE(np.eye(3)[y], f, raw=True, reduction="none")
    np.testing.assert_array_equal(one_hot, each)
    w = np.arange(1.0, n + 1).reshape(shape)
    assert CE(y, f, raw=True, sample_weight=w) == pytest.approx(np.average(flat, weights=w.ravel()))


@pytest.mark.parametrize(("y", "f", "message"), [
    ([0, 1], np.zeros((3, 2)), r"y_true has shape \(2,\); needed is \(3,\) of class indexes"),
    ([[0], [1]], np.zeros((2, 3)), r"pass y_true\[..., 0\]"),
    (np.zeros((2, 2)), np.zeros((2, 3)), r"y_true has shape \(2, 2\)"),
    (0, 1.0, "needed is a last axis of at least one class"),
    ([0], np.zeros((1, 0)), "needed is a last axis of at least one class"),
    ([0, 3], np.zeros((2, 3)), "y_true of row 1 is 3; needed is a class index 0 … 2"),
    ([0, -1], np.zeros((2, 3)), "y_true of row 1 is -1"),
    ([0.5, 1], np.zeros((2, 3)), r"y_true of row 0 is 0\.5"),
    ([[0.5, 0.6, 0.0]], np.zeros((1, 3)), r"y_true of row 0 sums to 1\.1, not 1"),
    ([[1.5, -0.5, 0.0]], np.zeros((1, 3)), r"y_true\[0, 0\] = 1\.5 lies outside \[0, 1\]"),
    (["a"], np.zeros((1, 3)), "needed are real numbers"),
    ([0], [["x", "y"]], "needed are real numbers"),
    ([0], np.ma.masked_array(np.zeros((1, 3))), "pass its data, and mask="),
])  # fmt: skip
def test_wrong_shapes_and_targets(y: Any, f: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        CE(y, f, raw=True)


def test_the_first_bad_place_is_told_in_the_users_axes() -> None:
    f = np.zeros((2, 3, 4))
    f[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"y_pred\[1, 2, 3\] = nan is not a number"):
        CE(np.zeros((2, 3), int), f, raw=True)
    y = np.zeros((2, 3), int)
    y[1, 0] = 9
    with pytest.raises(ValueError, match=r"y_true of row \(1, 0\) is 9"):
        CE(y, np.zeros((2, 3, 4)), raw=True)
    with pytest.raises(ValueError, match=r"sample_weight of row 1 is -1"):
        CE([0, 0], np.zeros((2, 3)), raw=True, sample_weight=[1, -1])


def test_predictions_are_probabilities() -> None:
    with pytest.raises(ValueError, match=r"row 0 sums to 0\.9, not 1.*pass raw=True"):
        CE([0], [[0.4, 0.5]])
    with pytest.raises(ValueError, match=r"y_pred\[0, 0\] = 1\.1 lies outside.*raw=True"):
        CE([0], [[1.1, -0.1]])
    assert CE([0], np.float32([[0.3, 0.3, 0.4]])) == pytest.approx(-np.log(0.3), rel=1e-6)


# --- options -------------------------------------------------------------------------------


def test_class_weights_are_in_numerator_and_denominator() -> None:
    w = np.array([1.0, 2.0, 4.0])
    each = CE(CLASSES, LOGITS, raw=True, reduction="none")
    heavy = CE(class_weight=(1, 2, 4))
    assert heavy(CLASSES, LOGITS, raw=True) == pytest.approx(np.average(each, weights=w[CLASSES]))
    assert heavy(CLASSES, LOGITS, raw=True, reduction="sum") == pytest.approx(each @ w[CLASSES])
    with pytest.raises(ValueError, match=r"class_weight holds 2 numbers.*3 classes"):
        CE(class_weight=(1, 2))(CLASSES, LOGITS, raw=True)
    with pytest.raises(ValueError, match=r"class_weight\[1\]=-1"):
        CE(class_weight=(1, -1, 1))


def test_ignored_rows_do_not_count() -> None:
    y = CLASSES.copy()
    y[1] = -100
    kept = np.arange(6) != 1
    loss = CE(ignore_index=-100)
    assert loss(y, LOGITS, raw=True) == CE(CLASSES[kept], LOGITS[kept], raw=True)
    assert (loss.gradient(y, LOGITS, raw=True)[1] == 0).all()
    assert loss(y, LOGITS, raw=True, reduction="none")[1] == 0
    with pytest.raises(ValueError, match="ignore_index=1 is for class indexes"):
        CE(ignore_index=1)(np.eye(3), np.zeros((3, 3)), raw=True)
    # No one-hot row says a negative index, so there is nothing to ignore.
    assert loss(np.eye(3), np.zeros((3, 3)), raw=True) == CE([0, 1, 2], np.zeros((3, 3)), raw=True)


@pytest.mark.parametrize("policy", ["raise", "omit", "propagate"])
def test_policies_for_nan(policy: str) -> None:
    f = LOGITS.copy()
    f[2, 1] = np.nan
    kept = np.arange(6) != 2
    if policy == "raise":
        with pytest.raises(ValueError, match="nan='omit' or nan='propagate'"):
            CE(CLASSES, f, raw=True)
        return
    value, gradient = CE.value_and_gradient(CLASSES, f, raw=True, nan=policy)
    each = CE(CLASSES, f, raw=True, nan=policy, reduction="none")
    if policy == "omit":
        assert value == CE(CLASSES[kept], LOGITS[kept], raw=True)
        assert (gradient[2] == 0).all()
        assert each[2] == 0
        assert not np.isnan(gradient).any()
    else:
        assert np.isnan(value)
        assert np.isnan(gradient[2]).all()
        assert np.isnan(each[2])
        assert not np.isnan(each[kept]).any()


def test_empty_batches() -> None:
    y, f = np.zeros(0, int), np.zeros((0, 3))
    for method in (CE, CE.gradient, CE.value_and_gradient):
        with pytest.raises(ValueError, match="batch is empty"):
            method(y, f, raw=True)
    assert CE(y, f, raw=True, empty="zero") == 0.0
    assert CE(y, f, raw=True, reduction="none").shape == (0,)
    assert CE.gradient(y, f, raw=True, reduction="none").shape == (0, 3)
    a, b = CE.accumulate(y, f, raw=True), CE.accumulate(CLASSES, LOGITS, raw=True)
    assert (a + b).value == b.value
    with pytest.raises(ValueError, match="sum to zero"):
        _ = a.value


def test_excluded_classes() -> None:
    f = np.array([[0.0, -np.inf, 0.0], [1.0, 2.0, -np.inf]])
    value, gradient = CE.value_and_gradient([0, 1], f, raw=True, reduction="none")
    np.testing.assert_allclose(value, [np.log(2), np.log1p(np.exp(-1))], rtol=1e-15)
    assert (gradient[[0, 1], [1, 2]] == 0).all()
    smooth = CE(label_smoothing=0.5)([0], f[:1], raw=True)
    assert smooth == pytest.approx(np.log(2))  # spread over the two classes that are allowed
    assert CE([1], f[:1], raw=True) == np.inf
    with pytest.raises(ValueError, match="row 1 is −∞ for every class"):
        CE([0, 0], np.array([[0.0, 1], [-np.inf, -np.inf]]), raw=True)


def test_certain_classes() -> None:
    f = np.array([[np.inf, 0.0, 3.0], [np.inf, 0.0, 3.0]])
    value, gradient = CE.value_and_gradient([0, 1], f, raw=True, reduction="none")
    np.testing.assert_array_equal(value, [0, np.inf])
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [1, -1, 0]])


def test_out() -> None:
    g, h, v = np.empty((6, 3)), np.empty((6, 3)), np.empty(6)
    CE.gradient_and_hessian(CLASSES, LOGITS, raw=True, out=(g, h))
    np.testing.assert_array_equal(g, CE.gradient(CLASSES, LOGITS, raw=True))
    np.testing.assert_array_equal(h, CE.hessian(CLASSES, LOGITS, raw=True))
    CE(CLASSES, LOGITS, raw=True, reduction="none", value_out=v)
    np.testing.assert_array_equal(v, CE(CLASSES, LOGITS, raw=True, reduction="none"))
    for bad in (np.empty((6, 2)), np.empty((6, 3), np.float32), [0.0], np.empty((6, 3)).T):
        with pytest.raises(ValueError, match="out"):
            CE.gradient(CLASSES, LOGITS, raw=True, out=bad)
    frozen = np.empty((6, 3))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        CE.gradient(CLASSES, LOGITS, raw=True, out=frozen)


def test_vectors_have_the_shape_of_what_is_trained() -> None:
    with pytest.raises(ValueError, match=r"the vector has shape \(3,\); needed is that of y_pred"):
        CE.hessian_vector_product(CLASSES, LOGITS, np.ones(3), raw=True)
    with pytest.raises(TypeError, match=r"takes \(y_true, y_pred, vector\)"):
        CE.hessian_vector_product()
    a, b = LOGITS, LOGITS[::-1]
    with pytest.raises(ValueError, match="a vector for each of first, second"):
        attraction.hessian_vector_product(a, b, a)
    of_first, of_second = attraction.hessian_vector_product(a, b, (a, b), reduction="sum")
    np.testing.assert_array_equal(of_first, -b)
    np.testing.assert_array_equal(of_second, -a)


def test_several_trained_inputs() -> None:
    a, b = LOGITS, LOGITS[::-1].copy()
    assert attraction.inputs == attraction.outputs == ("first", "second")
    value, (ga, gb) = attraction.value_and_gradient(a, b, reduction="sum")
    assert value == pytest.approx(-(a * b).sum())
    np.testing.assert_array_equal(ga, -b)
    np.testing.assert_array_equal(gb, -a)
    out = (np.empty_like(a), np.empty_like(b))
    attraction.gradient(a, b, reduction="sum", out=out)
    np.testing.assert_array_equal(out[0], -b)
    with pytest.raises(ValueError, match=r"first has shape \(6, 3\) and second \(6, 2\)"):
        attraction(a, b[:, :2])
    better, worse = margin.gradient([1.0, 2.0], [0.0, 0.0])
    np.testing.assert_array_equal([better, worse], [[-0.5, -0.5], [0.5, 0.5]])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: CE(1.5), r"takes data as \(y_true, y_pred\); parameters go by name"),
    (lambda: CE([0], [[1.0]], [1.0]), "not 3 positional arguments; weights go by name"),
    (lambda: CE([0], [[1.0, 0.0]], label_smoothing=0.1), "parameters are set first"),
    (lambda: CE(label_smothing=0.1), "did you mean 'label_smoothing'"),
    (lambda: CE(label_smoothing=1.5), "label_smoothing=1.5"),
    (lambda: CE(temperature=0), "temperature=0"),
    (lambda: CE([0], [[1.0, 0.0]], query=[0]), "query= groups the items of lists"),
    (lambda: CE([0], [[1.0, 0.0]], reduction="avg"), "reduction"),
    (lambda: CE([0], [[1.0, 0.0]], mask=[1.0]), "mask"),
    (lambda: CE.no_such_thing, "has no attribute 'no_such_thing'"),
])  # fmt: skip
def test_wrong_calls(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError), match=message):
        call()


@pytest.mark.parametrize("rows", [1, 3, 5])  # 3: as many as columns
def test_what_all_of_a_row_share_is_repeated(rows: int) -> None:
    f, scale = RNG.normal(size=(rows, 3)), np.arange(1.0, rows + 1)
    options = {"reduction": "sum", "sample_weight": np.full(rows, 2.0)}
    np.testing.assert_array_equal(
        scaled_sum.gradient(f, scale, **options), np.repeat(2 * scale[:, None], 3, axis=1)
    )
    np.testing.assert_array_equal(
        scaled_square.hessian(f, scale, **options), np.repeat(4 * scale[:, None], 3, axis=1)
    )


# --- many rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 3, 5000])
def test_results_do_not_depend_on_blocks(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = max(9, 3 * compute.BLOCK // columns // 40)
    f, y = RNG.normal(size=(rows, columns)), RNG.integers(0, columns, rows)
    w = RNG.uniform(0, 2, rows) * (RNG.random(rows) < 0.9)
    options: dict[str, Any] = {"raw": True, "sample_weight": w, "tier": "numpy"}
    whole = CE.value_and_gradient(y, f, **options)
    monkeypatch.setattr(compute, "BLOCK", compute.BLOCK // 40 + 7)
    parts = CE.value_and_gradient(y, f, **options)
    assert parts[0] == pytest.approx(whole[0], rel=1e-15)
    np.testing.assert_array_equal(parts[1], whole[1])


def test_lists_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    query = RNG.integers(0, 300, 2000)
    y, f = RNG.integers(1, 4, 2000).astype(float), RNG.normal(size=2000)
    loss = losskit.softmax_ranking
    whole = loss.value_and_gradient(y, f, query=query)
    monkeypatch.setattr(compute, "BLOCK", 64)
    parts = loss.value_and_gradient(y, f, query=query)
    assert parts[0] == pytest.approx(whole[0], rel=1e-14)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-14)


def test_lists_are_groups_of_a_query_or_rows_of_a_matrix() -> None:
    loss = losskit.softmax_ranking
    y, f = np.array([[1.0, 0, 2], [0, 1, 0]]), RNG.normal(size=(2, 3))
    each = loss(y, f, reduction="none")
    order = RNG.permutation(6)
    names = np.repeat(["b", "a"], 3)[order]
    flat = loss(y.ravel()[order], f.ravel()[order], query=names, reduction="none")
    np.testing.assert_allclose(flat, each if names[0] == "b" else each[::-1], rtol=1e-14)
    assert loss(y[0], f[0]) == pytest.approx(each[0])
    with pytest.raises(ValueError, match="query"):
        loss(y, f, query=[0, 1])
    w = [1.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="sample_weight differs within query 7"):
        loss(y[0], f[0], query=[7, 7, 7], sample_weight=w)


# --- values that travel ----------------------------------------------------------------------


def test_a_users_loss_travels_to_a_process_without_it(tmp_path: Path) -> None:
    file = tmp_path / "loss.pickle"
    file.write_bytes(pickle.dumps(my_entropy(floor=2.0)))
    script = (
        "import pickle, sys; loss = pickle.load(open(sys.argv[1], 'rb'));"
        "print(loss([1], [[0.5, 0.5]]), loss)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True
    ).stdout.split(maxsplit=1)
    assert float(answer[0]) == pytest.approx(2 + np.log(2))
    assert answer[1].strip() == "my_entropy(floor=2.0)"


def test_a_user_may_redefine_a_loss() -> None:
    def twice(y: OneOf, f: Vector):
        return logsumexp(f) - sum_(y * f)

    a, b = losskit.loss(twice, axis="class"), losskit.loss(twice, axis="class")
    assert a == b
    assert a != CE
    assert a([0], [[1.0, 1.0]]) == pytest.approx(np.log(2))
    assert "twice" not in losskit.names()


def test_names_by_kind() -> None:
    kinds = {kind: set(losskit.names(kind)) for kind in ("pointwise", "rows", "written")}
    assert set().union(*kinds.values()) == set(losskit.names())
    assert sum(map(len, kinds.values())) == len(losskit.names())
    assert CE.kind == "rows"
    with pytest.raises(ValueError, match="needed is one of pointwise, rows, written"):
        losskit.names("list")


def test_names_of_generated_text_are_no_parameters_or_arguments() -> None:
    def one(y: OneOf, f: Vector, t1: float = 2.0) -> Any:
        return logsumexp(t1 * f) - f[y]

    def two(v0: OneOf, f: Vector) -> Any:
        return logsumexp(f) - f[v0]

    def three(y: OneOf, f: Vector, axis: float = 2.0) -> Any:
        return logsumexp(axis * f) - f[y]

    for formula, name in ((one, "t1"), (two, "v0"), (three, "axis")):
        with pytest.raises(ValueError, match=f"can(not)? be called '{name}', which is reserved"):
            losskit.loss(axis="class")(formula)
