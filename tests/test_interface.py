"""Calling a loss: data, options, results, errors; in the tier of small arrays and of large ones."""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import losskit
from losskit import binary_cross_entropy as bce
from losskit import gaussian_nll, huber, poisson, squared_error

Y = np.array([1.0, 2.0, 9.0])
F = np.array([1.5, 2.0, 2.0])
TIERS = ("numpy", "numba")


# --- calling -----------------------------------------------------------------------------


def test_a_call_gives_a_python_float() -> None:
    for tier in (None, *TIERS):
        value = huber(Y, F, tier=tier)
        assert type(value) is float
        assert value == (0.125 + 0 + 6.5) / 3
    assert type(huber(Y, F, reduction="sum")) is float
    assert type(huber(1.0, 2.0)) is float


def test_a_loss_with_parameters_is_another_loss() -> None:
    other = huber(delta=1.5)
    assert other is not huber
    assert other.params == {"delta": 1.5}
    assert huber.params == {"delta": 1.0}
    assert repr(other) == "losskit.huber(delta=1.5)"
    assert repr(huber) == "losskit.huber"
    assert huber(delta=1) == huber
    assert hash(huber(delta=1)) == hash(huber)
    assert huber() is huber
    assert other(delta=1.0) == huber
    assert losskit.get("huber", delta=1.5) == other
    assert losskit.get("focal", alpha=0.25)(alpha=None) == losskit.focal
    with pytest.raises(dataclasses.FrozenInstanceError):
        huber.values = ()


def test_names_and_suggestions() -> None:
    assert losskit.mse == losskit.get("l2") == squared_error
    with pytest.raises(ValueError, match=r"no loss called 'hubr'; did you mean 'huber'"):
        losskit.get("hubr")
    with pytest.raises(AttributeError, match="did you mean 'huber'"):
        losskit.hubr  # noqa: B018
    assert not hasattr(losskit, "__wrapped__")
    assert {*losskit.names()} <= {*dir(losskit)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: huber(1.5), r"parameters go by name: huber\(delta=1.5\)"),
        (lambda: squared_error(1.5), r"takes data as \(y_true, y_pred\)"),
        (lambda: huber(Y, F, Y), "not 3 positional arguments; weights go by name"),
        (lambda: huber(Y, F, delta=2), r"parameters are set first: huber\(delta=…\)"),
        (lambda: huber(Y, F, sample_weights=Y), "did you mean 'sample_weight'"),
        (lambda: huber(dleta=2), "no parameter 'dleta'; did you mean 'delta'"),
        (lambda: huber(sample_weight=Y), r"goes with data: huber\(y_true, y_pred\)"),
        (lambda: squared_error(delta=1), "it has none"),
    ],
)
def test_wrong_calls_are_explained(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "average"}, "'mean', 'sum', 'none'"),
        ({"nan": "drop"}, "'raise', 'propagate', 'omit'"),
        ({"raw": "yes"}, "raw has to be True or False"),
        ({"clip": -0.1}, r"\[0, 0.5\)"),
        ({"clip": 0.5}, r"\[0, 0.5\)"),
        ({"clip": "eps"}, "clip='eps'"),
        ({"value_out": np.zeros(3)}, "reduction='none'"),
    ],
)
def test_wrong_options_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        bce([0, 1, 1], [0.5, 0.5, 0.5], **options)


# --- results -----------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_derivatives_are_of_what_the_call_returns(tier: str) -> None:
    w = np.array([1.0, 2.0, 5.0])
    pull = np.array([0.5, 0.0, -1.0])
    options: dict[str, Any] = {"sample_weight": w, "tier": tier}
    assert huber.gradient(Y, F, **options) == pytest.approx(w * pull / 8, rel=1e-15)
    assert huber.gradient(Y, F, reduction="sum", **options).tolist() == [0.5, 0.0, -5.0]
    assert huber.gradient(Y, F, reduction="none", **options).tolist() == [0.5, 0.0, -5.0]
    assert huber(Y, F, reduction="none", **options).tolist() == [0.125, 0.0, 32.5]
    assert huber.hessian(Y, F, reduction="sum", **options).tolist() == [1, 2, 0]
    value, gradient = huber.value_and_gradient(Y, F, **options)
    assert value == huber(Y, F, **options)
    assert (gradient == huber.gradient(Y, F, **options)).all()
    first, second = huber.gradient_and_hessian(Y, F, reduction="sum", **options)
    assert first.tolist() == [0.5, 0.0, -5.0]
    assert second.tolist() == [1, 2, 0]


@pytest.mark.parametrize("tier", TIERS)
def test_a_constant_derivative_has_the_shape_of_the_predictions(tier: str) -> None:
    assert squared_error.hessian(Y, F, reduction="sum", tier=tier).tolist() == [2, 2, 2]


@pytest.mark.parametrize("tier", TIERS)
def test_several_outputs(tier: str) -> None:
    y, p = np.array([1.0, 2.0]), np.array([[1.5, 0.5], [2.0, 2.0]])
    raw = p.copy()
    raw[:, 1] = np.log(raw[:, 1])
    value = gaussian_nll(y, p, tier=tier)
    assert value == pytest.approx(gaussian_nll(y, raw, raw=True, tier=tier), rel=1e-15)
    assert value == pytest.approx(np.mean([0.5 + math.log(0.5), math.log(2.0)]))
    for method in (gaussian_nll.gradient, gaussian_nll.hessian):
        assert method(y, p, tier=tier).shape == (2, 2)
    cube = np.stack([p, p, p])
    assert gaussian_nll.gradient(np.stack([y, y, y]), cube, tier=tier).shape == (3, 2, 2)
    with pytest.raises(ValueError, match="last axis of 2"):
        gaussian_nll(y, y)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 3), (0,), (3, 0)])
@pytest.mark.parametrize("tier", TIERS)
def test_shapes_are_kept(shape: tuple[int, ...], tier: str) -> None:
    y, f = np.zeros(shape), np.full(shape, 0.5)
    assert huber(y, f, reduction="none", tier=tier).shape == shape
    assert huber.gradient(y, f, reduction="none", tier=tier).shape == shape
    if y.size:
        assert huber(y, f, tier=tier) == 0.125
    else:
        with pytest.raises(ValueError, match="empty"):
            huber(y, f, tier=tier)
        with pytest.raises(ValueError, match="empty"):
            huber(y, f, reduction="sum", tier=tier)


@pytest.mark.parametrize(
    ("y", "f"), [((3,), (3, 1)), ((3, 1), (3,)), ((3,), (4,)), ((), (1,)), ((2, 3), (3, 2))]
)
def test_nothing_is_broadcast(y: tuple[int, ...], f: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="nothing is broadcast") as caught:
        huber(np.zeros(y), np.zeros(f))
    assert str(y) in str(caught.value)
    assert str(f) in str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("f8", "f8"),
        ("f4", "f4"),
        ("f2", "f2"),
        ("i8", "f8"),
        ("i4", "f8"),
        ("u1", "f8"),
        ("?", "f8"),
    ],
)
def test_the_predictions_dtype_decides(given: str, made: str, tier: str) -> None:
    f = np.array([0, 1, 1]).astype(given)
    targets = (np.array([1, 1, 0]), np.array([1.0, 1.0, 0.0]), np.array([1, 1, 0], np.float16))
    for y in targets if tier == "numpy" or given == "f4" else targets[:1]:  # each is compiled for
        gradient = huber.gradient(y, f, reduction="sum", tier=tier)
        assert gradient.dtype == made
        assert gradient.tolist() == [-1, 0, 1]
        assert huber(y, f, tier=tier) == 1 / 3


@pytest.mark.parametrize("tier", TIERS)
def test_half_precision_computes_in_single(tier: str) -> None:
    f = np.array([10.0, 11.0], np.float16)  # e^11 is 59874, e^12 is not a float16
    value = poisson(np.array([0.0, 0.0]), f, raw=True, tier=tier)
    assert value == pytest.approx((math.exp(10) + math.exp(11)) / 2, rel=1e-6)


@pytest.mark.parametrize("tier", TIERS)
def test_targets_are_checked_at_their_own_width(tier: str) -> None:
    f = np.array([0.5, 0.5], np.float32)
    with pytest.raises(ValueError, match=r"y_true\[1\]"):
        bce(np.array([1.0, 1 + 1e-12]), f, tier=tier)
    with pytest.raises(ValueError, match=r"y_true\[1\]"):
        losskit.focal(np.array([1, 2**40]), f, tier=tier)


def test_layouts_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    y, f = rng.normal(size=(6, 8)), rng.normal(size=(6, 8))
    value = huber(y, f)
    wide = np.repeat(f, 2, axis=1)
    swapped = f.astype(f.dtype.newbyteorder())
    frozen = f.copy()
    frozen.flags.writeable = False
    packed = np.zeros(f.size, dtype=[("pad", "i1"), ("f", "f8")])
    packed["f"] = f.ravel()
    for tier in TIERS:
        options: dict[str, Any] = {"tier": tier}
        for same in (np.asfortranarray(f), wide[:, ::2], swapped, frozen, f.tolist()):
            assert huber(y, same, **options) == value
        assert huber(y[::-1, ::-1], f[::-1, ::-1], **options) == pytest.approx(value, rel=1e-15)
        assert huber(y.ravel(), packed["f"], **options) == value
        assert huber.gradient(y, swapped, **options).dtype.isnative


def test_inputs_are_not_changed() -> None:
    y, f, w = Y.copy(), F.copy(), np.array([1.0, 0.0, 2.0])
    for tier in TIERS:
        huber.value_and_gradient(
            y, f, sample_weight=w, mask=np.array([True, False, True]), tier=tier
        )
        y[1] = np.nan
        huber(y, f, nan="omit", tier=tier)
        y[1] = 2.0
    assert (y == Y).all()
    assert (f == F).all()
    assert w.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b", "c"], "dtype <U1"),
        ([1.0, None, 2.0], "holding a NoneType"),
        (np.array(["2020-01-01"] * 3, "M8[D]"), "datetime64"),
        ([1j, 2, 3], "complex128"),
        (np.array([1.0, 2.0, 3.0], dtype=object), "astype"),
        (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), "mask=~"),
        ([[1.0], [1.0, 2.0], [1.0]], "NumPy cannot read"),
        (np.array([1, 2, 3], np.longdouble), "float64"),
    ],
)
def test_what_is_not_numbers_is_refused(value: Any, message: str) -> None:
    for name, data in (("y_true", (value, F)), ("y_pred", (Y, value))):
        with pytest.raises(TypeError, match=message) as caught:
            huber(*data)
        assert name in str(caught.value)
    with pytest.raises(TypeError, match=message):
        huber(Y, F, sample_weight=value)


# --- frames ------------------------------------------------------------------------------


def test_frames_go_by_position() -> None:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    assert huber(pandas.Series(Y), polars.Series(F)) == huber(Y, F)
    assert huber(pandas.Series(Y, index=[7, 8, 9]), pandas.Series(F)) == huber(Y, F)
    frame = pandas.DataFrame({"y": Y, "f": F}, index=["a", "b", "c"])
    assert huber(frame.y, frame.f, sample_weight=frame.y) == huber(Y, F, sample_weight=Y)
    with pytest.raises(ValueError, match="same labels in another order"):
        huber(frame.y, frame.f[::-1])


# --- the user's own losses ---------------------------------------------------------------


def test_a_users_loss_has_everything() -> None:
    @losskit.loss(target=losskit.formula.POSITIVE, link=("log", "log"), optimum="")
    def weibull_like(y, scale, shape, floor: losskit.formula.NonNegative = 0.0):
        """Charges a scaled distance with a floor."""
        from losskit.formula import exp, where

        r = scale - y
        return where(r > floor, r * r, abs(r)) * exp(-shape) + shape

    y, p = np.array([1.0, 2.0]), np.array([[1.5, 2.0], [0.5, 0.25]])
    assert "weibull_like" not in losskit.names()
    other = weibull_like(floor=0.5)
    assert other.params == {"floor": 0.5}
    assert other(y, p) == pytest.approx(other(y, np.log(p), raw=True))
    assert other.gradient(y, p).shape == (2, 2)
    for tier in TIERS:
        np.testing.assert_allclose(other.hessian(y, p, tier=tier), other.hessian(y, p), rtol=1e-14)
    assert other.accumulate(y, p).value == other(y, p)
    assert other.latex()
    assert other.source("numpy").startswith("def weibull_like(")
    assert np.isfinite(other.optimal_constant(y)).all()


def test_redefinition_replaces() -> None:
    def make(factor: float) -> losskit.Loss:
        @losskit.loss
        def mine(y, f):
            """Scales the error."""
            return factor * abs(f - y)

        return mine

    one, two = make(1.0), make(2.0)
    assert one([0.0], [1.0]) == 1
    assert two([0.0], [1.0]) == 2
    assert one != two
    assert one == make(1.0)


def test_a_users_loss_travels_to_a_process_that_cannot_import_it(tmp_path: Path) -> None:
    @losskit.loss
    def local(y, f, scale: losskit.formula.Positive = 2.0):
        """Cannot be imported."""
        return abs(f - y) / scale

    file = tmp_path / "loss.pickle"
    file.write_bytes(pickle.dumps(local(scale=4.0)))
    script = (
        "import pickle, sys; loss = pickle.load(open(sys.argv[1], 'rb')); "
        "print(repr(loss), loss([0.0], [8.0]), loss(scale=1.0)([0.0], [8.0]))"
    )
    source = str(Path(losskit.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert answer.stdout.split() == ["local(scale=4.0)", "2.0", "8.0"]
