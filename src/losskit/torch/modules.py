"""Losses as modules, in PyTorch's order of arguments and with its class axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import losskit
from losskit.torch.calls import called
from losskit.torch.plans import Plan, plan_of
from losskit.torch.suspicion import probabilities_given

_ADVISED_CALLS = 3  # of which the input is looked at: one may be a coincidence, more cost time


class Loss(nn.Module):
    """A loss as a module, for training loops: `Loss("huber", delta=1.5)(input, target)`.

    `loss` is a `losskit.Loss` or its name, `params` are its parameters. Where its data are
    (y_true, y_pred) the module takes (input, target) as PyTorch's own do; other losses take
    `loss.inputs` in their order. The class (or label) axis is 1, as in (N, C, d…), and the last
    where there is one axis; several outputs, as of `gaussian_nll`, and features lie along the last.
    Inputs are raw scores (logits, log-means) unless `raw=False`.

    `reduction="mean"` is Σwℓ/Σw, "sum" Σwℓ, and "none" gives w·ℓ of each example. A mask is True
    where an example counts; what does not count may hold NaN and has gradient 0. `query` groups the
    items of lists. A mean or sum of float16 or bfloat16 is float32, in which they are computed.

    Raises ValueError for values outside the loss's domain with the first index (on the CPU; other
    devices give NaN, or an asynchronous assertion where `validate=True`), TypeError and ValueError
    for types and shapes also while tracing. The module has no state and can be pickled.

    >>> import torch
    >>> criterion = Loss("cross_entropy", label_smoothing=0.1)
    >>> criterion
    Loss(losskit.cross_entropy(label_smoothing=0.1))
    >>> logits = torch.zeros(2, 3, requires_grad=True)
    >>> criterion(logits, torch.tensor([0, 2]))
    tensor(1.0986, grad_fn=<EvaluatedBackward>)
    """

    def __init__(
        self,
        loss: Any,
        *,
        reduction: str = "mean",
        raw: bool = True,
        validate: bool = False,
        **params: Any,
    ) -> None:
        super().__init__()
        self.loss = losskit.get(loss, **params)
        self.reduction, self.raw, self.validate = reduction, raw, validate
        self._calls = 0
        self._plan(reduction)  # which refuses what there is not

    def forward(
        self,
        *data: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        query: Tensor | None = None,
        **named: Tensor,
    ) -> Tensor:
        """Return the loss of `(input, target)`, or of the data that the loss has."""
        plan = self._plan(self.reduction)
        return self._called(plan, data, named, (sample_weight, mask, query))[0]

    def parts(
        self,
        *data: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        query: Tensor | None = None,
        **named: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return Σwℓ, which can be differentiated, and Σw: of a micro-batch or a worker's part.

        Parts add up to the whole; `losskit.torch.global_mean` makes a mean of workers' parts. A
        batch in which nothing counts gives 0 and 0.

        >>> import torch
        >>> f = torch.tensor([1.0, 4.0])
        >>> numerator, denominator = Loss("squared_error").parts(f, torch.zeros(2))
        >>> numerator / denominator == Loss("squared_error")(f, torch.zeros(2))
        tensor(True)
        """
        return self._called(self._plan("parts"), data, named, (sample_weight, mask, query))

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        said = [repr(self.loss)]
        said += [f"reduction={self.reduction!r}"] if self.reduction != "mean" else []
        said += ["raw=False"] if not self.raw else []
        said += ["validate=True"] if self.validate else []
        return ", ".join(said)

    def _plan(self, reduction: str) -> Plan:
        return plan_of(self.loss, self.raw, reduction, self.validate)

    def _called(self, plan: Plan, data: Any, named: Any, extras: Any) -> tuple[Tensor, Tensor]:
        ours = in_our_order(plan, data, named)
        if not torch.compiler.is_compiling() and self._calls < _ADVISED_CALLS:
            self._calls += 1
            if probabilities_given(plan, ours):
                self._calls = _ADVISED_CALLS
        return called(plan, ours, extras)


def in_our_order(plan: Plan, data: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Return (input, target) with the class axis 1 as NumPy's calls have them."""
    names = names_of(plan.inputs)
    given = dict(zip(names, data, strict=False)) | named
    if len(data) > len(names) or len(data) + len(named) > len(given) or {*given} != {*names}:
        more = f" and {', '.join(named)}=" if named else ""
        raise TypeError(
            f"{plan.loss.name} takes data as ({', '.join(names)}), not {len(data)} of them{more}; "
            "parameters of the loss are set first"
        )
    ordered = tuple(given[name] for name in (names[::-1] if names == _USUAL else names))
    if plan.axis not in ("class", "label"):
        return ordered
    axes = getattr(ordered[plan.trained[0]], "ndim", 0)
    if axes < 3:
        return ordered
    return tuple(
        x.movedim(1, -1) if wide and getattr(x, "ndim", 0) == axes else x
        for x, wide in zip(ordered, plan.columns, strict=True)
    )


_USUAL = ("input", "target")


def names_of(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the data in the order in which modules and functions take them."""
    return _USUAL if inputs == ("y_true", "y_pred") else inputs


def loss_to(loss: Any, **options: Any) -> Loss:
    """Return what `loss.to("torch", …)` gives."""
    return Loss(loss, **options)
