"""Saying what is wrong with the arguments of a call: always in the words of the NumPy form.

A program gives NaN for what it cannot score. Where values can be seen, NumPy then judges the data;
where they cannot, `validate=True` has the running program hand them out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from losskit.arrays import look_like_probabilities
from losskit.jax.inputs import trained
from losskit.wording import in_words

Array = Any
_ADVICE = {  # of options and methods that a JAX function has not: what it has instead
    "pass nan='omit' or nan='propagate'": "mask it (mask= is True where an example counts)",
    "accumulate()": "sums()",
}
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
    axis_name: Hashable = None,
    own_sums: Callable[[], Any] | None = None,
) -> Any:
    """Return `made`; raise ValueError where it is NaN and the data are at fault.

    Looks at arrays that are not traced and lie on a CPU; with `validate` True at all, a compiled
    program raising while it runs, and with False at none. Where `made` is over mapped axes too,
    `own_sums` gives the sums of the part at hand.
    """
    if validate is False:
        return made
    seen = jax.lax.stop_gradient(made)
    given = {
        k: jax.lax.stop_gradient(a) if isinstance(a, jax.Array) else a
        for k, a in given.items()
        if a is not None
    }
    arrays = [a for a in (*jax.tree.leaves(seen), *given.values()) if isinstance(a, jax.Array)]
    if any(isinstance(a, jax.core.Tracer) for a in arrays):
        if validate:
            sums = None if own_sums is None else jax.lax.stop_gradient(own_sums())
            return _judged_later(loss, made, sums, axis_name, given, options)
    elif validate or all(a.is_fully_addressable and _on_cpu(a) for a in arrays):
        _judge_now(loss, seen, given, options)
    return made


def _on_cpu(array: Array) -> bool:
    return all(device.platform == "cpu" for device in array.devices())


def _judged_later(
    loss: Any, made: Any, own: Any, axis_name: Hashable, given: Mapping[str, Any], options: Any
) -> Any:
    """Return `made`, as what a program gives that raises where it is NaN."""
    dtype = jax.tree.leaves(made)[0].dtype
    running = {k: a for k, a in given.items() if isinstance(a, jax.Array)}

    def told(wrong: Array, part: Array, arrays: Mapping[str, Array]) -> None:
        if not wrong:  # `vmap` comes here with all of its examples
            return
        where = "" if own is None else f" (in part {part} along axis_name={axis_name!r})"
        try:
            _say_why(loss, dtype, {**given, **arrays}, options)
        except (TypeError, ValueError) as why:
            raise type(why)(f"{why}{where}") from None  # XLA prints the traceback of this one

    def judged(made: Any, own: Any, arrays: Mapping[str, Array]) -> Any:
        wrong = _any_nan(made)

        def raised() -> Array:
            part = (0, arrays) if own is None else _at_fault(_any_nan(own), arrays, axis_name)
            jax.debug.callback(told, wrong, *part)
            return jnp.float32(jnp.nan)

        nothing = jax.lax.cond(wrong, raised, lambda: jnp.float32(0))
        return jax.tree.map(lambda a: a + nothing.astype(a.dtype), made)

    # A program of its own, for an eager `shard_map` runs one for each step: whoever waits for this
    # result gets the error, which a step without a result tells nobody. The callback remains where
    # only derivatives are asked for.
    return jax.jit(judged)(made, own, running)


def _at_fault(
    here: Array, arrays: Mapping[str, Array], axis_name: Hashable
) -> tuple[Array, Mapping[str, Array]]:
    """Return which part along the axes first has a NaN of its own, or 0 if none, and its arrays.

    Every part then raises the same: one that raised alone would leave the others waiting for it.
    """
    part, parts = jax.lax.axis_index(axis_name), jax.lax.psum(1, axis_name)
    first = jax.lax.pmin(jnp.where(here, part, part + parts), axis_name) % parts

    def sent(a: Array) -> Array:
        numbers = a.astype(np.int32) if a.dtype == jnp.bool_ else a
        return jax.lax.psum(jnp.where(part == first, numbers, 0), axis_name).astype(a.dtype)

    return first, jax.tree.map(sent, arrays)


def _any_nan(made: Any) -> Array:
    leaves = [jax.lax.stop_gradient(a) for a in jax.tree.leaves(made)]
    return jnp.any(jnp.stack([jnp.isnan(a).any() for a in leaves]))


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
    with in_words(_ADVICE):
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
    if look_like_probabilities(x, link.name == "softmax"):
        warnings.warn(
            f"{loss.name}: {key} with raw=True holds raw scores (logits), and these look like "
            "probabilities; pass them with raw=False",
            UserWarning,
            stacklevel=5,  # who called the function
        )
