"""Losses as modules, in PyTorch's order of arguments and with its class axis."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from losskit.several import Several
from losskit.torch.calls import called
from losskit.torch.internals import is_plain
from losskit.torch.messages import name_as_torch
from losskit.torch.plans import Plan, plan_of, with_parameters

_ADVISED_CALLS = 3  # of which the input is looked at: one may be a coincidence, more cost time
_FEWEST = 16  # fewer numbers lie in [0, 1] by chance
_NEAR_ONE = 1e-3  # sums of half-precision probabilities


class Loss(nn.Module):
    """A loss as a module, for training loops: `Loss("huber", delta=1.5)(input, target)`.

    `loss` is a `losskit.Loss` or its name, `params` are its parameters. Where its data are
    (y_true, y_pred) the module takes (input, target) as PyTorch's own do; other losses take
    `loss.inputs` in their order. The class (or label) axis is 1, as in (N, C, d…), and the last
    where there is one axis; several outputs, as of `gaussian_nll`, and features lie along the last.
    `Loss("quantile", q=(0.1, 0.9))` is the mean over a last axis with a column for each value.
    Inputs are raw scores (logits, log-means) unless `raw=False`.

    `reduction="mean"` is Σwℓ/Σw, "sum" Σwℓ, and "none" gives w·ℓ of each example. A mask is True
    where an example counts; what does not count may hold NaN and has gradient 0. `query` groups the
    items of lists. A mean or sum of float16 or bfloat16 is float32, in which they are computed.

    Raises ValueError for values outside the loss's domain with the first index (on the CPU; other
    devices give NaN, or an asynchronous assertion where `validate=True`), TypeError and ValueError
    for types and shapes also while tracing. The module has no state and can be pickled.

    >>> import torch
    >>> import losskit.torch
    >>> criterion = losskit.torch.Loss("cross_entropy", label_smoothing=0.1)
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
        self.loss = with_parameters(loss, params)
        self.reduction, self.raw, self.validate = reduction, raw, validate
        self._calls = 0
        self._plans(reduction)  # which refuses what there is not

    def forward(
        self,
        *data: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        query: Tensor | None = None,
        **named: Tensor,
    ) -> Tensor:
        """Return the loss of `(input, target)`, or of the data that the loss has."""
        return self._called(self.reduction, data, named, (sample_weight, mask, query))[0]

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
        >>> import losskit.torch
        >>> f = torch.tensor([1.0, 4.0])
        >>> square = losskit.torch.Loss("squared_error")
        >>> numerator, denominator = square.parts(f, torch.zeros(2))
        >>> numerator / denominator == square(f, torch.zeros(2))
        tensor(True)
        """
        return self._called("parts", data, named, (sample_weight, mask, query))

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        said = [repr(self.loss)]
        said += [f"reduction={self.reduction!r}"] if self.reduction != "mean" else []
        said += ["raw=False"] if not self.raw else []
        said += ["validate=True"] if self.validate else []
        return ", ".join(said)

    def _plans(self, reduction: str) -> list[Plan]:
        members = self.loss.members if isinstance(self.loss, Several) else (self.loss,)
        return [plan_of(one, self.raw, reduction, self.validate) for one in members]

    def _called(self, reduction: str, data: Any, named: Any, extras: Any) -> tuple[Tensor, Tensor]:
        plan, *others = plans = self._plans(reduction)
        ours = in_our_order(plan, data, named)
        if not torch.compiler.is_compiling() and self._calls < _ADVISED_CALLS:
            self._calls += 1
            if _probabilities_given(plan, ours):
                self._calls = _ADVISED_CALLS
        if not others:
            return called_as_torch(plan, ours, extras)
        columns = _columns(plan, len(plans), *ours)
        found = [
            called_as_torch(one, (ours[0], f), extras)
            for one, f in zip(plans, columns, strict=True)
        ]
        return sum(value for value, _ in found) / len(found), found[0][1]


def called_as_torch(plan: Plan, data: Any, extras: Any) -> tuple[Tensor, Tensor]:
    """Return what `called` does; errors name the data as modules and functions take them."""
    if torch.compiler.is_compiling() or names_of(plan.inputs) != _USUAL:
        return called(plan, data, extras)
    try:
        return called(plan, data, extras)
    except (TypeError, ValueError) as error:
        name_as_torch(error)
        raise


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
    _check_axis_1(plan, ordered, tuple(ordered[plan.trained[0]].shape))
    return tuple(
        x.movedim(1, -1) if wide and getattr(x, "ndim", 0) == axes else x
        for x, wide in zip(ordered, plan.columns, strict=True)
    )


def _columns(plan: Plan, count: int, target: Any, given: Any) -> Any:
    """Return the columns of an input that has one for each of several losses."""
    if not isinstance(given, Tensor):
        given = torch.as_tensor(np.array(given))
    shape, wanted = tuple(given.shape), (*np.shape(target), count)
    if shape != wanted:
        raise ValueError(
            f"{plan.loss.name}: input has shape {shape}; needed is {wanted}: the target's, and a "
            "last axis with a column for each of the losses"
        )
    return given.unbind(-1)


def _check_axis_1(plan: Plan, ordered: tuple[Any, ...], whole: tuple[Any, ...]) -> None:
    """Raise ValueError in the caller's own order of axes, which is another later on."""
    rows = (*whole[:1], *whole[2:])
    names = names_of(plan.inputs)
    keys = names[::-1] if names == _USUAL else names
    for key, x, wide in zip(keys, ordered, plan.columns, strict=True):
        shape = tuple(getattr(x, "shape", ()))
        known = whole if wide else rows[: len(shape)]
        indexed = wide and plan.axis == "class"
        if shape != known and not (indexed and shape == rows):
            indexes = f"{rows} of class indexes, or " if indexed else ""
            raise ValueError(
                f"{plan.loss.name}: {key} has shape {shape}; needed is {indexes}{known}, as "
                f"the axis of the {plan.axis} is 1 and nothing is broadcast"
            )


_USUAL = ("input", "target")


def names_of(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the data in the order in which modules and functions take them."""
    return _USUAL if inputs == ("y_true", "y_pred") else inputs


def _probabilities_given(plan: Plan, data: tuple[Any, ...]) -> bool:
    """Warn where raw scores look like probabilities: a suspicion, as it cannot be proved."""
    if not plan.raw or plan.loss.kind == "written" or plan.outputs > 1:
        return False
    for place, link in zip(plan.trained, plan.loss.definition.links, strict=True):
        x = data[place]
        if link.clips and isinstance(x, Tensor) and is_plain(x) and _alike(x.detach(), link.name):
            warnings.warn(
                f"{plan.loss.name}: all {x.numel()} inputs look like probabilities ("
                + ("they lie in [0, 1]" if link.name == "logit" else "each row sums to 1")
                + "), and raw scores are wanted: leave out the "
                + ("sigmoid" if link.name == "logit" else "softmax")
                + ", or pass raw=False",
                stacklevel=6,
            )
            return True
    return False


def _alike(x: Tensor, link: str) -> bool:
    if x.numel() < _FEWEST or not x.is_floating_point():
        return False
    low, high = torch.aminmax(x)
    if not (low >= 0 and high <= 1 and low < high):
        return False
    if link == "logit":
        return True
    return bool(((x.sum(-1, dtype=torch.float32) - 1).abs() < _NEAR_ONE).all())


def loss_to(loss: Any, **options: Any) -> Loss:
    """Return what `loss.to("torch", …)` gives."""
    return Loss(loss, **options)
