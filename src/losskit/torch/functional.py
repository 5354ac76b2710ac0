"""Every loss as a function: `losskit.torch.functional.huber(input, target, delta=1.5)`.

The functions are made of the registry when they are first used; `dir()` lists them.

>>> import torch
>>> from losskit.torch import functional
>>> functional.quantile(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0]), q=0.9)
tensor(0.4500)
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from torch import Tensor

import losskit
from losskit.torch.modules import called_as_torch, in_our_order, names_of
from losskit.torch.plans import check_one, constant, named

_OPTIONS = {
    "reduction": "mean", "raw": True, "sample_weight": None, "mask": None, "query": None,
    "validate": False,
}  # fmt: skip


def __getattr__(name: str) -> Callable[..., Tensor]:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        loss = losskit.get(name)
        check_one(loss)
    except (losskit.Unsupported, TypeError, ValueError) as error:
        raise AttributeError(f"losskit.torch.functional has no {name!r}: {error}") from None
    globals()[name] = _function(name, loss)
    return globals()[name]


def __dir__() -> list[str]:
    return losskit.names()


def _function(name: str, loss: Any) -> Callable[..., Tensor]:
    names = names_of(loss.inputs)

    def function(
        *data: Tensor,
        reduction: str = "mean",
        raw: bool = True,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        query: Tensor | None = None,
        validate: bool = False,
        **more: Any,
    ) -> Tensor:
        given = {key: more.pop(key) for key in names if key in more}
        parameters = tuple([(key, constant(value)) for key, value in more.items()])
        plan = named(name, raw, reduction, validate, parameters)
        ours = in_our_order(plan, data, given)
        return called_as_torch(plan, ours, (sample_weight, mask, query))[0]

    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    function.__doc__ = (
        f"{loss.doc}\n\nTakes ({', '.join(names)}), of raw scores unless `raw=False`, and the "
        "options of `losskit.torch.Loss`, which says what they mean."
    )
    function.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            *(Parameter(key, Parameter.POSITIONAL_OR_KEYWORD) for key in names),
            *(Parameter(k, Parameter.KEYWORD_ONLY, default=v) for k, v in loss.params.items()),
            *(Parameter(k, Parameter.KEYWORD_ONLY, default=v) for k, v in _OPTIONS.items()),
        ]
    )
    return function
