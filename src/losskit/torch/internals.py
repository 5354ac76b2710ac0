"""What PyTorch does not tell through its public interface, in one place; each asks and changes
nothing, and answers on the safe side where a later version has it no more.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_plain(x: Tensor) -> bool:
    """Say whether the numbers of `x` can be read: no tracer and no transform has it."""
    if type(x) not in (Tensor, torch.nn.Parameter) or x.device.type == "meta":
        return False
    return not torch._C._are_functorch_transforms_active()


def is_plain_one(x: Tensor) -> bool:
    """Say whether what comes from above is just 1, in a backward pass that keeps nothing.

    Then a gradient may be handed on as it is: nobody differentiates the product, and no later pass
    finds in it what the user has done to it.
    """
    if x.ndim or x.requires_grad or x.device.type != "cpu" or not is_plain(x):
        return False
    keeps = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    if keeps() or forward_ad.unpack_dual(x).tangent is not None:
        return False
    return float(x) == 1.0


def nested_forward() -> bool:
    """Say whether forward mode runs inside forward mode, as in `jacfwd(jacfwd(f))`."""
    from torch._functorch import eager_transforms

    return getattr(eager_transforms, "JVP_NESTING", 1) > 1
