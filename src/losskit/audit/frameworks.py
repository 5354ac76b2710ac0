"""The array libraries whose functions can be checked: arrays in, numbers and derivatives out."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from losskit.arrays import Array

FLOATS = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Framework:
    """How to talk to one array library.

    `array(data, dtype)` makes its array, of integers where dtype is None; `numbers` reads one back
    as float64; `pull_back(function, x, u)` is the gradient of Σ u·function(x) by its own autograd,
    None where it has no such thing. Calls run inside `context()`.
    """

    name: str
    array: Callable[[Array, str | None], Any]
    numbers: Callable[[Any], Array]
    pull_back: Callable[[Callable[[Any], Any], Any, Array], Any] | None = None
    floats: tuple[str, ...] = FLOATS
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


def framework(name: str, device: str | None = None) -> Framework:
    """Return a framework by name; "keras" is the one whose arrays Keras computes with."""
    if name == "keras":
        name = import_module("keras").backend.backend()
    if name not in _MAKERS:
        raise ValueError(f"framework={name!r}; needed is one of {', '.join(map(repr, _MAKERS))}")
    return _MAKERS[name](device)


def detect(function: Any) -> str:
    """Return the framework of a callable: of its module, its class, or the modules it uses."""
    roots = _roots(function)
    for name, members in _LIBRARIES.items():
        if roots & members:
            return name
    raise ValueError(
        f"cannot tell which arrays {getattr(function, '__name__', function)!r} takes; pass "
        'framework="numpy", "torch" or "jax"'
    )


_LIBRARIES = {
    "keras": {"keras"},
    "torch": {"torch"},
    "jax": {"jax", "jaxlib", "optax", "flax", "rax"},
    "numpy": {"numpy", "scipy", "sklearn", "losskit", "math"},
}


def _roots(function: Any) -> set[str]:
    """Return the top-level packages that a callable, or what its code names, comes from."""
    kinds = function.__mro__ if isinstance(function, type) else type(function).__mro__
    modules = {getattr(function, "__module__", None), *(kind.__module__ for kind in kinds)}
    if inspect.isfunction(function) or inspect.ismethod(function):
        used = inspect.getclosurevars(function)
        steps = dis.get_instructions(function)
        modules |= {step.argval for step in steps if step.opname == "IMPORT_NAME"}
        for each in (*used.globals.values(), *used.nonlocals.values()):
            modules.add(
                each.__name__ if inspect.ismodule(each) else getattr(each, "__module__", None)
            )
    return {module.split(".")[0] for module in modules if isinstance(module, str)}


def _numpy(device: str | None) -> Framework:
    return Framework(
        "numpy",
        lambda data, dtype: data.copy() if dtype is None else data.astype(dtype),
        lambda result: np.array(result, np.float64),
        floats=FLOATS[:3],  # bfloat16 is no type of NumPy's
    )


def _torch(device: str | None) -> Framework:
    import torch

    def array(data: Array, dtype: str | None) -> Any:
        kind = torch.int64 if dtype is None else getattr(torch, dtype)
        return torch.tensor(data, dtype=kind, device=device)

    def numbers(result: Any) -> Array:
        tensor = torch.as_tensor(result).detach()
        return np.array(tensor.to("cpu", torch.float64).numpy())

    def pull_back(function: Callable[[Any], Any], x: Any, upstream: Array) -> Any:
        x = x.requires_grad_()
        out = function(x)
        u = torch.tensor(upstream, dtype=out.dtype, device=out.device).reshape(out.shape)
        return torch.autograd.grad(out, x, u)[0]

    return Framework("torch", array, numbers, pull_back)


def _jax(device: str | None) -> Framework:
    import jax
    from jax import numpy as jnp

    def pull_back(function: Callable[[Any], Any], x: Any, upstream: Array) -> Any:
        out, back = jax.vjp(function, x)
        return back(jnp.asarray(upstream, out.dtype).reshape(out.shape))[0]

    return Framework(
        "jax",
        lambda data, dtype: jnp.asarray(data, dtype),
        lambda result: np.asarray(result).astype(np.float64),
        pull_back,
        context=lambda: jax.enable_x64(True),
    )


_MAKERS: dict[str, Callable[[str | None], Framework]] = {
    "numpy": _numpy,
    "torch": _torch,
    "jax": _jax,
}
