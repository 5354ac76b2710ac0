"""Cross-entropy of a linear layer's logits, without ever holding all of the logits.

`linear_data` checks and `backends/linear_sweep.py` computes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from losskit.arrays import Array
from losskit.backends.linear_sweep import NotFinite, sweep
from losskit.linear_data import NAME, Options, Problem, problem_of
from losskit.reduction import total


@dataclass(frozen=True)
class LinearCrossEntropy:
    """Cross-entropy of ``hidden @ weight.T + bias`` in a small multiple of the gradients' memory.

    For the last layer of a classifier with very many classes, a language model's above all.

    `y_true` (...) holds integer labels, `hidden` (..., D) the layer's input, `weight` (V, D) and
    `bias` (V,) the layer, as in ``torch.nn.Linear``.  The result is a float (or the shape of
    `y_true` for ``reduction="none"``), in natural-log units.

    - `sample_weight`, `mask`: match `y_true`'s leading axes; tokens that are masked, of weight 0 or
      labelled `ignore_index` count for nothing and may hold anything.  The mean is Σwℓ/Σw.
    - `class_weight`: one factor for each class, by which a token's weight is multiplied.
    - `softcap` c replaces logits by c·tanh(logits/c); then `temperature` divides them.
    - `label_smoothing` ε spreads ε of the target evenly over the classes; `z_loss` z adds z·lse².
    - A bias of −inf forbids a class: its probability is 0, and smoothing leaves it out.
    - `empty="zero"` gives 0 where no token counts, which is an error otherwise.
    - `memory` is the number of bytes for one block of logits, 32 MiB by default.

    Options of `losskit.cross_entropy`'s names mean and allow the same as there; but this is a
    function, so they go with the data in one call.

    float32 and float64 compute in their own precision, narrower types in float32 and two different
    types in the wider; a `weight` of another type than that is copied.  Raises ValueError for
    shapes that do not fit, labels outside 0…V−1, and anything that is not finite.

    Sources: Hsu et al., Liger Kernel (arXiv:2410.10989); Wijmans et al., Cut Your Losses
    (arXiv:2411.09009); z_loss: PaLM (arXiv:2204.02311); softcap: Gemma 2 (arXiv:2408.00118).

    >>> import numpy as np, losskit
    >>> hidden, weight = np.array([[1.0, 0.0], [0.0, 2.0]]), np.eye(2)
    >>> round(losskit.linear_cross_entropy([0, 1], hidden, weight), 6)
    0.220095
    """

    def __repr__(self) -> str:
        return "losskit.linear_cross_entropy"

    def __call__(
        self,
        y_true: Any = None,
        hidden: Any = None,
        weight: Any = None,
        *,
        bias: Any = None,
        sample_weight: Any = None,
        mask: Any = None,
        **options: Any,
    ) -> Any:
        """Return the loss; the class's text says of what."""
        problem = problem_of(
            (y_true, hidden, weight), bias, sample_weight, mask, Options.of(options)
        )
        return solve(problem)[0]

    def value_and_gradient(
        self,
        y_true: Any = None,
        hidden: Any = None,
        weight: Any = None,
        *,
        bias: Any = None,
        sample_weight: Any = None,
        mask: Any = None,
        upstream: Any = None,
        **options: Any,
    ) -> tuple[Any, tuple[Array, ...]]:
        """Return the loss and its gradients by `hidden`, `weight` and, where given, `bias`.

        With ``reduction="none"`` there is one value for each token but only one gradient by
        `weight`: `upstream`, of `y_true`'s shape and any sign, says how much each value counts, and
        the gradients are those of Σ upstream·value.

        >>> import numpy as np, losskit
        >>> hidden, weight = np.array([[1.0, 0.0], [0.0, 2.0]]), np.eye(2)
        >>> value, (by_hidden, by_weight) = losskit.linear_cross_entropy.value_and_gradient(
        ...     [0, 1], hidden, weight)
        >>> by_hidden.shape, by_weight.shape
        ((2, 2), (2, 2))
        """
        problem = problem_of(
            (y_true, hidden, weight), bias, sample_weight, mask, Options.of(options)
        )
        return solve(problem, upstream, gradients=True)

    def gradient(
        self, y_true: Any = None, hidden: Any = None, weight: Any = None, **options: Any
    ) -> tuple[Array, ...]:
        """Return the gradients of `value_and_gradient` alone, which takes the same options."""
        return self.value_and_gradient(y_true, hidden, weight, **options)[1]


#: The loss itself.
linear_cross_entropy = LinearCrossEntropy()


def solve(
    problem: Problem, upstream: Any = None, gradients: bool = False
) -> tuple[Any, tuple[Array, ...]]:
    """Return the value, and gradients times what comes from above, of a checked problem."""
    factors, exponent = problem.factors(upstream) if gradients else (None, 0)
    try:
        losses, slopes = sweep(problem.layer, factors)
    except NotFinite as found:
        _blame(problem, found.token)
    with np.errstate(over="ignore"):  # a narrow type may not hold it: inf
        slopes = tuple(
            np.ldexp(one, exponent, out=one).astype(dtype, copy=False)
            for one, dtype in zip(slopes, problem.dtypes, strict=False)
        )
        value = _reduced(problem, losses)
    if slopes:
        slopes = (slopes[0].reshape(*problem.shape, slopes[0].shape[1]), *slopes[1:])
    return value, slopes


def _reduced(problem: Problem, losses: Array) -> Any:
    weighted = problem.weights * losses
    if problem.options.reduction == "none":
        values = np.zeros(math.prod(problem.shape), problem.dtypes[0])
        kept = slice(None) if problem.layer.rows is None else problem.layer.rows
        values[kept] = np.ldexp(weighted, problem.exponent)
        return values.reshape(problem.shape)
    if not len(losses):
        return 0.0
    value = total(weighted, pair=False)[0]
    if problem.options.reduction == "mean":
        return value / problem.weight_sum
    return float(np.ldexp(value, problem.exponent))


def _blame(problem: Problem, token: int) -> NoReturn:
    """Raise the ValueError that says what is not finite."""
    layer = problem.layer
    row = layer.hidden[layer.tokens(token, token + 1)][0]
    places = np.flatnonzero(~np.isfinite(row))
    if places.size:
        where, value = problem.place(token, int(places[0])), float(row[places[0]])
        raise ValueError(
            f"{NAME}: hidden{where} = {value:g} is not finite; mask such tokens, or repair them"
        )
    for k, one in enumerate(layer.weight):
        places = np.flatnonzero(~np.isfinite(one))
        if places.size:
            value = float(one[places[0]])
            advice = f"; to forbid a class pass bias[{k}] = -inf" if value == -math.inf else ""
            raise ValueError(f"{NAME}: weight[{k}, {places[0]}] = {value:g} is not finite{advice}")
    if layer.bias.size and np.isneginf(layer.bias).all():
        raise ValueError(f"{NAME}: bias is -inf for every class; allow at least one")
    raise ValueError(
        f"{NAME}: the logits of y_true{problem.place(token)} overflow {layer.dtype}; scale "
        "hidden or weight down" + ("" if layer.dtype.itemsize == 8 else ", or pass float64")
    )
