"""A Keras model that predicts three quantiles, saved and loaded with its loss."""

import os
import tempfile
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")  # or jax; chosen before Keras is imported

import keras
import numpy as np

import losskit.keras

# NumPy 2 deprecates how Keras reads the tensors of its PyTorch back end.
warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)

rng = np.random.default_rng(0)
x = rng.uniform(0, 4, size=(4000, 1)).astype("float32")
y = (x[:, 0] + (0.2 + x[:, 0] / 2) * rng.normal(size=4000)).astype("float32")  # ever wider

wanted = (0.1, 0.5, 0.9)
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
model.compile(keras.optimizers.Adam(0.02), loss=losskit.keras.Loss("quantile", q=wanted))
history = model.fit(x, y, batch_size=256, epochs=12, verbose=0).history["loss"]
print(f"mean quantile loss {history[0]:.3f} -> {history[-1]:.3f}")

band = model.predict(x, verbose=0)
share = (y[:, None] <= band).mean(axis=0)
for q, found in zip(wanted, share, strict=True):
    print(f"{q:.0%} of targets should lie below, {found:.1%} do")
assert np.abs(share - wanted).max() < 0.05

with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/band.keras")
    again = keras.models.load_model(f"{folder}/band.keras")
assert (again.predict(x, verbose=0) == band).all()
print("loaded", again.loss)
