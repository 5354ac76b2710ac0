"""Anybody's loss functions against the known bug list: `losskit.conformance`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from losskit.audit import classes, pointwise
from losskit.audit.checks import Reference, run
from losskit.audit.implementation import implementation
from losskit.audit.table import Conformance, Row
from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.formula.expr import Unsupported

__all__ = ["Conformance", "Row", "conformance"]


def conformance(
    loss_fn: Callable[..., Any],
    like: Any = "cross_entropy",
    *,
    framework: str | None = None,
    order: str | None = None,
    class_axis: int | None = None,
    raw: bool = True,
    supports: Mapping[str, str | None] | None = None,
    gradient: Callable[..., Any] | None = None,
    device: str | None = None,
) -> Conformance:
    """Run an implementation of a loss through the known mistakes; return a table of pass and fail.

    Expected numbers are those of losskit's own loss in float64. A check that needs what the
    implementation does not have (an option, soft targets, a gradient) does not apply. What it
    raises is reported, never raised.

    Args:
        loss_fn: A function of arrays of NumPy, torch, JAX or Keras; or a class or a module of
            torch or Keras; or a loss of losskit's. A `functools.partial` sets its parameters.
        like: The loss that it should be: "cross_entropy", or any loss of one number, by name or
            with parameters (`losskit.huber(delta=2.0)`).
        framework: "numpy", "torch", "jax" or "keras"; default by the modules it comes from or uses.
        order: "true_first" or "pred_first"; default by the name of its first parameter.
        class_axis: Where its logits have the classes; default 1 for torch, the last for others.
        raw: Whether its predictions are raw scores (logits); set for it where it has the option.
        supports: Its names of losskit's options where they are not the usual ones, None for one
            that it lacks: "reduction", "raw", "label_smoothing", "ignore_index", "class_weight"
            (losses over classes), "sample_weight" (losses of one number).
        gradient: For NumPy: a function of the same arguments that returns the derivative by the
            predictions of what `loss_fn` returns. Others are differentiated by their own library.
        device: torch's device for the arrays; default the CPU.

    Raises:
        ValueError: The framework or the order cannot be told, or `like` is no known loss.
        losskit.Unsupported: There are no checks for `like`.

    Example:
        >>> import losskit
        >>> import numpy as np
        >>> def naive(y_true, y_pred):
        ...     return np.log1p(np.exp(y_pred)) - y_true * y_pred
        >>> report = losskit.conformance(naive, like="binary_cross_entropy")
        >>> report.failed
        ('scores of ±40 to ±1000', 'scores of ±∞', 'shape (n, 1) against (n,)')
    """
    loss = get(like)
    if isinstance(loss, ByRank):
        raise ValueError(f"like={like!r}: name which it should be, {loss.flat!r} or {loss.rows!r}")
    over_classes = loss.name == "cross_entropy"
    if not over_classes and (loss.kind != "pointwise" or len(loss.outputs) != 1):
        raise Unsupported(
            f"there are no checks for {loss.name}; there are some for cross_entropy and for every "
            "loss of one number"
        )
    checked = implementation(
        loss_fn,
        over_classes=over_classes,
        library=framework,
        order=order,
        class_axis=class_axis,
        raw=raw,
        supports=supports or {},
        gradient=gradient,
        device=device,
    )
    chosen = classes.checks(raw) if over_classes else pointwise.checks(loss, raw)
    rows = tuple(run(chosen, checked, Reference(loss, raw)))
    return Conformance(checked.name, repr(loss), checked.framework.name, rows)
