"""What computes on Keras's back end: losskit's PyTorch operator or its JAX function."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from losskit.formula.expr import Unsupported
from losskit.keras.messages import told_as_in_keras

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
        return told_as_in_keras(_in_jax(loss).sums, *data, **options)
    from losskit.torch.calls import called
    from losskit.torch.plans import plan_of

    extras = (counting.get("sample_weight"), counting.get("mask"), None)
    plan = plan_of(loss, raw, "parts", validate, clip)
    return told_as_in_keras(called, plan, data, extras)


def _reduced(reduction: str, loss: Any, *data: Any, validate: bool, **options: Any) -> Any:
    if _backend() == "jax":
        # None looks at values where they can be seen, True in compiled programs too.
        options |= {"reduction": reduction, "validate": validate or None}
        return told_as_in_keras(_in_jax(loss), *data, **options)
    from losskit.torch import apply

    options |= {"reduction": reduction, "validate": validate}
    return told_as_in_keras(apply, loss, *data, **options)


@lru_cache(maxsize=256)
def _in_jax(loss: Any) -> Any:
    from losskit.jax import function

    return function(loss)


def _backend() -> str:
    import keras  # which fails without its back end; PyTorch's compiler reads this, not importlib

    return keras.backend.backend()
