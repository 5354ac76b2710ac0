"""What computes on Keras's back end: losskit's PyTorch operator or its JAX function."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from losskit.formula.expr import Unsupported

BACKENDS = ("torch", "jax")
_ADVICE = (
    "set the environment variable KERAS_BACKEND to torch or jax before keras is first imported"
)


def check_backend() -> None:
    """Raise Unsupported where Keras runs on a back end that losskit has no derivatives for."""
    try:
        name = _backend()
    except ModuleNotFoundError as missing:
        if missing.name in ("keras", None):
            raise
        raise Unsupported(
            f"Keras is set to a back end that is not installed ({missing.name}): {_ADVICE}"
        ) from None
    if name not in BACKENDS:
        raise Unsupported(f"losskit computes for Keras on torch and jax, not on {name}: {_ADVICE}")


def each(loss: Any, y_true: Any, y_pred: Any, **options: Any) -> Any:
    """Return w·ℓ of each example, which Keras's back end differentiates by our rules.

    Options are `raw`, `validate`, and `clip`, `sample_weight` and `mask`, which may be None.
    """
    return _reduced("none", loss, y_true, y_pred, **options)


def mean(loss: Any, y_true: Any, y_pred: Any, **options: Any) -> Any:
    """Return Σwℓ/Σw; an error where nothing counts."""
    return _reduced("mean", loss, y_true, y_pred, **options)


def sums(
    loss: Any, *data: Any, raw: bool, validate: bool, clip: float | None, **counting: Any
) -> tuple[Any, Any]:
    """Return Σwℓ and Σw from one pass, 0 where nothing counts."""
    if _backend() == "jax":
        options = {"raw": raw, "clip": clip, "validate": validate or None, **counting}
        return _in_jax(loss).sums(*data, **options)
    from losskit.torch.calls import called
    from losskit.torch.plans import plan_of

    extras = (counting.get("sample_weight"), counting.get("mask"), None)
    return called(plan_of(loss, raw, "parts", validate, clip), data, extras)


def _reduced(reduction: str, loss: Any, *data: Any, validate: bool, **options: Any) -> Any:
    if _backend() == "jax":
        # None looks at values where they can be seen, True in compiled programs too.
        return _in_jax(loss)(*data, reduction=reduction, validate=validate or None, **options)
    from losskit.torch import apply

    return apply(loss, *data, reduction=reduction, validate=validate, **options)


@lru_cache(maxsize=256)
def _in_jax(loss: Any) -> Any:
    from losskit.jax import function

    return function(loss)


def _backend() -> str:
    return str(import_module("keras").backend.backend())
