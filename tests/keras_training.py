"""Training, saving and loading with our losses in Keras, by object and by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import losskit
import losskit.keras
from keras_common import (
    BACKEND,
    WARNINGS,
    Loss,
    Metric,
    costly,
    data,
    fed,
    linear_model,
    own,
)
from losskit.keras.names import shared

pytestmark = WARNINGS


# --- training


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [pytest.param("squared_error", "mse", marks=pytest.mark.slow), ("losskit>huber", "huber")],
)
def test_training_gives_kerass_model(mine: str, theirs: str) -> None:
    x, y = data()
    weights = np.random.default_rng(2).random(64)
    found = []
    for loss in (mine, theirs):
        keras.utils.set_random_seed(3)
        model = linear_model()
        model.compile(keras.optimizers.SGD(0.1), loss=loss)
        model.fit(x, y, epochs=2, batch_size=16, sample_weight=weights, verbose=0)
        found.append(model.predict(x, verbose=0))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_quantiles_are_those_of_the_target() -> None:
    y = np.random.default_rng(4).exponential(size=512).astype("float32")
    model = linear_model(3)
    loss = Loss("quantile", q=(0.1, 0.5, 0.9))
    model.compile(keras.optimizers.Adam(0.1), loss=loss)
    model.fit(np.zeros((512, 3)), y, epochs=50, batch_size=512, verbose=0)
    found = model.predict(np.zeros((1, 3)), verbose=0)[0]
    np.testing.assert_allclose(found, np.quantile(y, (0.1, 0.5, 0.9)), atol=0.2)


@costly
def test_masks_of_layers_reach_the_loss() -> None:
    x = np.random.default_rng(6).normal(size=(8, 5, 2)).astype("float32")
    x[:, 3:] = 0
    y = x.sum(axis=-1, keepdims=True) + 1
    y[:, 3:] = np.nan  # padding
    model = keras.Sequential([
        keras.Input((5, 2)), keras.layers.Masking(), keras.layers.Dense(1),
    ])  # fmt: skip
    model.compile("sgd", loss="losskit>huber", metrics=[Metric("absolute_error")])
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    # On JAX, Keras updates metrics outside of what it differentiates, with tensors without mask.
    assert np.isfinite(history["absolute_error"]).all() == (BACKEND == "torch")
    residual = model.predict(x, verbose=0)[:, :3] - y[:, :3]
    score = model.evaluate(x, y, verbose=0, return_dict=True)
    assert score["absolute_error"] == pytest.approx(abs(residual).mean(), rel=1e-5)
    assert score["loss"] == pytest.approx(losskit.huber(y[:, :3], y[:, :3] + residual), rel=1e-5)


@costly
def test_metrics_weigh_batches_by_their_size() -> None:
    x, y = data(50)
    weights = np.random.default_rng(2).random(50)
    model = linear_model()
    model.compile(
        "sgd",
        loss="mse",
        metrics=[Metric("quantile", q=0.9)],
        weighted_metrics=[Metric("quantile", q=0.9, name="weighed")],
    )
    callback = keras.callbacks.EarlyStopping("quantile", mode="auto")  # asks the metric which way
    model.fit(x, y, verbose=0, callbacks=[callback])
    found = model.evaluate(x, y, batch_size=32, sample_weight=weights, verbose=0, return_dict=True)
    f, loss = model.predict(x, verbose=0)[:, 0], losskit.quantile(q=0.9)
    assert found["quantile"] == pytest.approx(loss(y, f), rel=1e-5)
    assert found["weighed"] == pytest.approx(loss(y, f, sample_weight=weights), rel=1e-5)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX traces: no metric can look at numbers")
def test_metrics_that_look_at_numbers_do_not_make_keras_show_us_ones() -> None:
    class Looking(keras.metrics.Mean):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            super().update_state(float(y_pred.detach().sum()))

    x, y = data()
    model = linear_model(3, "softmax")
    model.compile("sgd", loss="cross_entropy", metrics=[Looking(), Metric("cross_entropy")])
    model.fit(x, y > 0, verbose=0)


@pytest.mark.slow
# PyTorch's compiler looks at gradients while it reads Keras's own training step.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_training_is_eager_training() -> None:
    x, y = data()
    found = []
    for options in ({"run_eagerly": True}, {"jit_compile": True}):
        keras.utils.set_random_seed(3)
        model = linear_model()
        model.compile(keras.optimizers.SGD(0.1), loss="losskit>log_cosh", **options)
        model.fit(x, y, epochs=2, batch_size=16, verbose=0)
        found.append(model.predict(x, verbose=0))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "jax", reason="JAX has no graph to break")
def test_pytorch_compiles_it_whole_and_checks_values_on_cpus() -> None:
    import torch

    loss = Loss("cross_entropy")
    compiled = torch.compile(lambda y, p: loss(y, p), fullgraph=True, backend="aot_eager")
    y, p = torch.tensor([0, 1]), torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    for dtype in (torch.float32, torch.bfloat16):
        assert float(compiled(y, p.to(dtype))) == pytest.approx(float(loss(y, p)), rel=1e-6)
    with pytest.raises(Exception, match="lies outside"):
        compiled(y, p + 1)


@costly
@pytest.mark.parametrize("half", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_the_mixed_policy_trains_and_leaves_out_padding(half: str) -> None:
    x = np.random.default_rng(6).normal(size=(32, 4, 3)).astype("float32")
    x[:, 3:] = 0
    y = (x.sum(axis=-1) > 0).astype(int)
    y[:, 3:] = -7  # no class
    keras.config.set_dtype_policy(f"mixed_{half}")
    keras.utils.set_random_seed(3)
    try:
        model = keras.Sequential([
            keras.Input((4, 3)), keras.layers.Masking(), keras.layers.Dense(2, "softmax"),
        ])  # fmt: skip
        model.compile(keras.optimizers.SGD(0.5), loss=Loss("cross_entropy"))
        history = model.fit(x, y, epochs=6, verbose=0).history["loss"]
        found, p = model.evaluate(x, y, verbose=0), model(x)
    finally:
        keras.config.set_dtype_policy("float32")
    assert str(p.dtype).endswith(half)
    assert np.isfinite(history).all()
    assert history[-1] < history[0]
    p = ops.convert_to_numpy(p).astype(float)[:, :3]
    known = losskit.cross_entropy(y[:, :3], p / p.sum(axis=-1, keepdims=True), clip=1e-3)
    assert found == pytest.approx(known, rel=1e-2)


# --- saving


@pytest.mark.parametrize(
    "make",
    [
        lambda: Loss("binary_cross_entropy", pos_weight=2.0, from_logits=True, reduction="sum"),
        lambda: Loss("hinge", validate=True),
        lambda: Loss("barron", alpha=-np.inf, dtype="float64", name="mine"),
        lambda: Loss(own(), reduction=None),
        lambda: Loss("cross_entropy", class_weight=(1.0, 2.0, 3.0), ignore_index=-1),
        lambda: Loss("quantile", q=(0.1, 0.9)),
        lambda: Loss("log_loss"),
        lambda: Metric("zero_one"),
        lambda: Metric(own(), name="mine", from_logits=True),
    ],
    ids=[
        "parameters",
        "validate",
        "infinite",
        "own",
        "classes",
        "several",
        "by_rank",
        "metric",
        "own_metric",
    ],
)
def test_a_configuration_makes_the_same(make: Any) -> None:

    made = make()
    told = json.loads(json.dumps(keras.saving.serialize_keras_object(made)))
    again = keras.saving.deserialize_keras_object(told)
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    assert again._samples == made._samples
    assert (again.name, again.dtype) == (made.name, made.dtype)


_LOADER = """
import sys
import keras, numpy as np
import losskit.keras
model = keras.models.load_model(sys.argv[1])
x, y = np.load(sys.argv[2]).values()
assert type(model.loss) is losskit.keras.Loss and model.loss.name == "lopsided", model.loss
assert (model.predict(x, verbose=0) == np.load(sys.argv[3])).all()
print(repr(model.loss), model.evaluate(x, y, verbose=0))
"""


@pytest.mark.slow
def test_a_saved_model_is_the_same_elsewhere(tmp_path: Path) -> None:
    x, y = data()
    model = linear_model()
    model.compile("adam", loss=own().to("keras"))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.save(tmp_path / "predicted.npy", model.predict(x, verbose=0))
    names = [str(tmp_path / n) for n in ("model.keras", "data.npz", "predicted.npy")]
    done = subprocess.run(
        [sys.executable, "-c", _LOADER, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown, value = done.stdout.rsplit(maxsplit=1)
    assert shown == "losskit.keras.Loss(lopsided(ratio=3.0))"
    assert float(value) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-6)


@costly
def test_a_loaded_model_trains_on_as_the_saved_one_does(tmp_path: Path) -> None:
    x, y = data()
    model = linear_model()
    model.compile("adam", loss="pinball")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = [m.fit(x, y, epochs=2, shuffle=False, verbose=0).history for m in (model, again)]
    assert found[0] == found[1]


# --- names


def test_every_name_compiles_and_keras_keeps_its_own() -> None:
    for name in (*fed(), "pinball", "log_loss", "nll", "mse", "bce", "l1"):
        assert keras.losses.get(f"losskit>{name}").loss == losskit.get(name)
        if name in shared():
            assert keras.losses.get(name).__module__.startswith("keras.")
        else:
            assert keras.losses.get(name).loss == losskit.get(name)
    assert {"mse", "huber", "log_cosh"} <= {*shared()}
    assert not {"pinball", "quantile", "focal", "cross_entropy", "log_loss"} & {*shared()}
    for name, why in (
        ("triplet", "it takes"),
        ("lambda_rank", "algorithm"),
        ("zero_one", "Metric"),
    ):
        with pytest.raises(losskit.Unsupported, match=why):
            keras.losses.get(name)


def test_names_are_metrics_too() -> None:
    x, y = np.ones((8, 3)), np.arange(8.0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="pinball", metrics=["pinball", "losskit>huber"])
    found = model.evaluate(x, y, return_dict=True, verbose=0)
    assert found["pinball"] == pytest.approx(found["loss"])
    assert found["losskit>huber"] == pytest.approx(
        losskit.huber(y, model.predict(x, verbose=0)[:, 0]), 1e-5
    )


def test_a_name_takes_the_floats_of_its_moment() -> None:
    keras.config.set_floatx("float16")
    try:
        assert keras.losses.get("quantile").dtype == "float16"
    finally:
        keras.config.set_floatx("float32")
    assert keras.losses.get("quantile").dtype == "float32"
