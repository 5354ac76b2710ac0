"""A program: run the rows of the places it is given, and print as JSON what they give.

Of every row {"theirs": {value, gradient}, "adapter": {value, gradient} or an error's message}: the
library's own results, and those of losskit's adapter for that library.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any

import numpy as np

from silent.ours import arguments, arrays, loss_of
from silent.rows import ROWS, WITHOUT_ADAPTER, Row


def main(places: list[str]) -> None:
    """Print the results of all rows of these places, by their numbers."""
    os.environ["KERAS_BACKEND"] = "numpy" if "keras-numpy" in places else "jax"
    warnings.simplefilter("ignore")  # NumPy's, of NaN
    made = {}
    for number, row in enumerate(ROWS):
        if row.by in places:
            adapter = {} if row.by in WITHOUT_ADAPTER else _adapter(row)
            made[number] = {"theirs": _LIBRARIES[row.by](row), "adapter": adapter}
    print(json.dumps(made))


def _adapter(row: Row) -> dict[str, float] | str:
    try:
        return _ADAPTERS[row.by](row)
    except Exception as error:  # one row's test says so, not all
        return f"{type(error).__name__}: {error}"


# --- PyTorch


def _torch(row: Row) -> dict[str, float]:
    import torch

    data = {name: torch.tensor(a) for name, a in arrays(row).items()}
    x = data["x"].requires_grad_()
    space = {"torch": torch, "F": torch.nn.functional}
    value = eval(str(row.theirs), space, data).sum()
    value.backward()
    return _numbers(value.detach(), x.grad, 0)


def _torch_adapter(row: Row) -> dict[str, float]:
    import torch

    import losskit.torch

    loss = loss_of(row)
    data = [torch.tensor(a) for a in arguments(row)]
    x = data[loss.inputs.index(loss.outputs[0] if loss.kind != "pointwise" else "y_pred")]
    x.requires_grad_()
    value = losskit.torch.apply(loss, *data, raw=row.raw)
    value.backward()
    return _numbers(value.detach(), x.grad, row.at)


# --- JAX, optax, Keras on JAX


def _jax(row: Row) -> dict[str, float]:
    import jax
    import jax.numpy as jnp
    import optax

    space: dict[str, Any] = {"jax": jax, "jnp": jnp, "optax": optax}
    if row.by == "keras":
        import keras

        space["keras"] = keras
    data = {name: jnp.asarray(a) for name, a in arrays(row).items()}

    def of_x(x: Any) -> Any:
        return eval(str(row.theirs), space, {**data, "x": x}).sum()

    value, gradient = jax.value_and_grad(of_x)(data["x"])
    return _numbers(value, gradient, 0)


def _jax_adapter(row: Row) -> dict[str, float]:
    import jax
    import jax.numpy as jnp

    import losskit.jax

    loss = loss_of(row)
    function = losskit.jax.function(loss)
    data = [jnp.asarray(a) for a in arguments(row)]
    place = loss.inputs.index(loss.outputs[0] if loss.kind != "pointwise" else "y_pred")
    function(*data, raw=row.raw)  # values are looked at where nothing is traced
    value, gradient = jax.value_and_grad(
        lambda x: function(*data[:place], x, *data[place + 1 :], raw=row.raw)
    )(data[place])
    return _numbers(value, gradient, row.at)


def _keras_adapter(row: Row) -> dict[str, float]:
    import jax
    import jax.numpy as jnp

    import losskit.keras

    y, x = (jnp.asarray(a) for a in arguments(row))
    loss = losskit.keras.Loss(loss_of(row), from_logits=row.raw, dtype=row.dtype)
    loss(y, x)  # values are looked at where nothing is traced
    value, gradient = jax.value_and_grad(lambda x: loss(y, x))(x)
    return _numbers(value, gradient, row.at)


# --- Keras on NumPy, LightGBM: values alone


def _keras_numpy(row: Row) -> dict[str, float]:
    import keras

    data = arrays(row)
    return {"value": float(np.ravel(eval(str(row.theirs), {"keras": keras}, data))[0])}


def _lightgbm(row: Row) -> dict[str, float]:
    import lightgbm

    def probability(x: Any, y: Any) -> Any:
        options = {"objective": "binary", "verbose": -1, "num_threads": 1}
        return lightgbm.train(options, lightgbm.Dataset(x, y), 3).predict(x)

    made = eval(str(row.theirs), {"probability": probability}, arrays(row))
    return {"value": float(made.min())}


def _numbers(value: Any, gradient: Any, at: int) -> dict[str, float]:
    flat = np.ravel(np.asarray(gradient, float))
    return {"value": float(value), "gradient": float(flat[at])}


_LIBRARIES = {
    "torch": _torch,
    "jax": _jax,
    "optax": _jax,
    "keras": _jax,
    "keras-numpy": _keras_numpy,
    "lightgbm": _lightgbm,
}
_ADAPTERS = {
    "torch": _torch_adapter,
    "jax": _jax_adapter,
    "optax": _jax_adapter,
    "keras": _keras_adapter,
}

if __name__ == "__main__":
    main(sys.argv[1:])
