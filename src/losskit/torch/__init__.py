"""PyTorch: losses as modules and functions, with our gradients and our kernels.

>>> import torch, losskit.torch
>>> criterion = losskit.torch.Loss("huber", delta=1.5)
>>> criterion(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
tensor(1.6875)
"""

from importlib import import_module
from typing import Any

from losskit.extras import require

require("torch")

_PUBLIC = {
    "Loss": "losskit.torch.modules",
    "LinearCrossEntropy": "losskit.torch.linear",
    "apply": "losskit.torch.calls",
    "global_mean": "losskit.torch.distributed",
    "divide_gradients": "losskit.torch.distributed",
}

__all__ = ["LinearCrossEntropy", "Loss", "apply", "divide_gradients", "functional", "global_mean"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        globals()[name] = getattr(import_module(_PUBLIC[name]), name)
        return globals()[name]
    if name == "functional":
        return import_module("losskit.torch.functional")
    raise AttributeError(f"module 'losskit.torch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
