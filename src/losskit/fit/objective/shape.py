"""What solvers and certificates have to know of a loss's shape, found from its formula."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from losskit.formula.expr import Unsupported


@dataclass(frozen=True)
class Shape:
    """A loss as a function of raw scores."""

    convex: bool
    differentiable: bool
    quadratic: bool  # its curvature is one number everywhere
    curved: bool  # it has second derivatives: a Hessian, or its products with vectors
    coupled: bool  # one example's outputs meet in the loss


@lru_cache(maxsize=256)
def shape_of(loss: Any) -> Shape:
    """Return the shape of a loss that linear models can be fitted to, or say why they cannot.

    Raises:
        TypeError: it is no loss (a metric, a name).
        Unsupported: it has no derivative, or sees more than targets and predictions.
    """
    if loss.inputs != ("y_true", "y_pred"):
        raise Unsupported(
            f"{loss.name} takes ({', '.join(loss.inputs)}); a model is fitted to losses of "
            "(y_true, y_pred)"
        )
    from losskit.fit.objective.smoothing import PARAMETER, is_smoothed  # which looks at shapes

    if is_smoothed(loss) and loss.params[PARAMETER] != 1.0:  # alike at every width
        return shape_of(loss(**{PARAMETER: 1.0}))
    if loss.kind == "pointwise":
        return _pointwise(loss)
    if loss.kind == "rows" and loss.definition.axis in ("class", "label"):
        return _rows(loss)
    raise Unsupported(
        f"{loss.name} is a loss of {loss.task}, whose examples are not rows of a table; fit with "
        "one of losskit.names() of the tasks regression, counts, binary, classes or multilabel"
    )


def _pointwise(loss: Any) -> Shape:
    graph, found = loss.form(raw=True).graph, loss.properties
    if "gradient" not in graph.orders:
        raise Unsupported(
            f"{loss.name} has no derivative to follow; fit with a surrogate such as "
            "losskit.logistic or losskit.hinge, and evaluate with this one"
        )
    several = len(loss.outputs) > 1
    low, high = found.curvature
    return Shape(
        convex=bool(found.convex),
        differentiable=bool(found.differentiable),
        quadratic=bool(not several and found.differentiable and 0 < low == high),
        curved="hessian" in graph.orders and not several,
        coupled=several,
    )


def _rows(loss: Any) -> Shape:
    """Look at the eigenvalues of Hessians at random scores, near and far."""
    rng = np.random.default_rng(0)
    classes = loss.params.get("class_weight")
    outputs = len(classes) if isinstance(classes, tuple) else 4
    labels = loss.definition.axis == "label"
    y = rng.integers(2, size=(64, outputs)) if labels else rng.integers(outputs, size=64)
    f = rng.normal(size=(64, outputs)) * np.logspace(-2, 1.5, 64)[:, None]
    hessians = np.empty((64, outputs, outputs))
    try:
        for k in range(outputs):
            unit = np.zeros_like(f)
            unit[:, k] = 1.0
            hessians[:, :, k] = loss.hessian_vector_product(y, f, unit, raw=True, reduction="none")
    except Unsupported:
        return Shape(False, True, False, False, True)
    except ValueError as error:
        raise Unsupported(
            f"{loss.name} cannot be fitted with a free coefficient for every output: {error}"
        ) from None
    least = np.linalg.eigvalsh(hessians).min(axis=1)
    scale = np.abs(hessians).max()
    diagonal = np.abs(hessians[:, ~np.eye(outputs, dtype=bool)]).max(initial=0.0) == 0
    return Shape(
        convex=bool((least >= -1e-9 * scale).all()),
        differentiable=bool(scale > 0),  # piecewise linear: it has corners
        quadratic=False,
        curved=bool(scale > 0),
        coupled=not diagonal,
    )
