"""Saying what is wrong with the arguments of a call: always in the words of the NumPy form.

A program gives NaN for what it cannot score. Where values can be seen, NumPy then judges the data;
where they cannot, `validate=True` has the running program hand them out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from losskit.jax.inputs import trained

Array = Any
_ENOUGH = 20  # numbers in [0, 1] that are no accident
_SEEN = 1 << 10  # rows that the warning about probabilities looks at


def refuse(loss: Any, arrays: Mapping[str, Array], static: Any) -> NoReturn:
    """Raise what NumPy raises for arrays of these shapes and types."""
    zeros = {k: np.zeros(a.shape, a.dtype) for k, a in arrays.items()}
    _explain(loss, zeros, {"raw": static.raw, "clip": static.clip, "reduction": static.reduction})
    said = ", ".join(f"{key} {a.dtype}{list(a.shape)}" for key, a in arrays.items())
    raise ValueError(f"{loss.name}: the arguments do not fit each other: {said}")


def judge(
    loss: Any,
    made: Any,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    validate: bool | None,
) -> None:
    """Raise ValueError where the result is NaN and the data are at fault.

    Looks at arrays that are not traced and lie on a CPU; with `validate` True at all, a compiled
    program raising while it runs, and with False at none.
    """
    if validate is False:
        return
    made = jax.lax.stop_gradient(made)
    given = {
        k: jax.lax.stop_gradient(a) if isinstance(a, jax.Array) else a
        for k, a in given.items()
        if a is not None
    }
    arrays = [a for a in (*jax.tree.leaves(made), *given.values()) if isinstance(a, jax.Array)]
    if any(isinstance(a, jax.core.Tracer) for a in arrays):
        if validate:
            _judge_later(loss, made, given, options)
    elif validate or all(a.is_fully_addressable and _on_cpu(a) for a in arrays):
        _judge_now(loss, made, given, options)


def _on_cpu(array: Array) -> bool:
    return all(device.platform == "cpu" for device in array.devices())


def _judge_later(loss: Any, made: Any, given: Mapping[str, Any], options: Any) -> None:
    dtype = jax.tree.leaves(made)[0].dtype
    running = {k: a for k, a in given.items() if isinstance(a, jax.Array)}
    wrong = jnp.any(jnp.stack([jnp.isnan(a).any() for a in jax.tree.leaves(made)]))

    def told(arrays: Mapping[str, Array]) -> None:
        _say_why(loss, dtype, {**given, **arrays}, options)

    jax.lax.cond(wrong, lambda: jax.debug.callback(told, running), lambda: None)


def _judge_now(loss: Any, made: Any, given: Mapping[str, Any], options: Any) -> None:
    results = [np.asarray(a) for a in jax.tree.leaves(made)]
    if any(np.isnan(a).any() for a in results):
        _say_why(loss, results[0].dtype, given, options)
    if options["raw"]:
        _hint(loss, given)


def _say_why(loss: Any, dtype: Any, given: Mapping[str, Any], options: Any) -> NoReturn:
    """Raise what NumPy raises for data of which the result is NaN."""
    _explain(loss, given, options)
    raise ValueError(
        f"{loss.name}: the result in {dtype} is NaN, though NumPy can score these data: they, or "
        "the weights, go beyond that type; scale them, or compute in float64 with "
        "jax.config.update('jax_enable_x64', True)"
    )


def _explain(loss: Any, arrays: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    data = [_host(arrays[key]) for key in loss.inputs]
    more = {k: _host(a) for k, a in arrays.items() if k not in loss.inputs}
    reduction = options["reduction"] if options["reduction"] in ("mean", "sum") else "none"
    loss(*data, **more, **{**options, "reduction": reduction, "tier": "numpy"})


def _host(array: Any) -> Any:
    return np.asarray(array) if isinstance(array, jax.Array) else array


def _hint(loss: Any, given: Mapping[str, Any]) -> None:
    """Warn where raw scores look like probabilities; it cannot be proved."""
    link = loss.definition.links[0]
    if not link.clips or len(loss.definition.links) > 1:
        return
    key = trained(loss)[0]
    x = np.asarray(given[key])
    x = x.reshape(-1, x.shape[-1] if x.ndim else 1)[:_SEEN].astype(np.float64)
    likely = x.size >= _ENOUGH and bool(((x >= 0) & (x <= 1)).all())
    if link.name == "softmax":
        likely = likely and bool((np.abs(x.sum(axis=1) - 1) < 1e-3).all())
    if likely and np.ptp(x) > 0:
        warnings.warn(
            f"{loss.name}: {key} with raw=True holds raw scores (logits), and these look like "
            "probabilities; pass them with raw=False",
            UserWarning,
            stacklevel=5,  # who called the function
        )
