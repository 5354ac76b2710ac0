"""Which losses Keras can train with, and how a configuration keeps one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from losskit.by_rank import ByRank
from losskit.catalogue import get
from losskit.formula.expr import Unsupported
from losskit.interface import Loss
from losskit.portable.losses import loss_from_json, loss_to_json
from losskit.several import Several

_DATA = ("y_true", "y_pred")


def chosen(loss: Any, params: Mapping[str, Any]) -> Any:
    """Return the loss of this name, or this loss, with `params`, if Keras can feed it."""
    if "raw" in params:
        raise TypeError("losskit.keras takes no raw=: predictions are raw with from_logits=True")
    if isinstance(loss, str):
        loss = get(loss)
    if not isinstance(loss, Loss | ByRank | Several):
        raise TypeError(
            f"losskit.keras takes a loss or its name, as losskit.huber or 'huber', not a "
            f"{type(loss).__name__}"
        )
    made = loss(**params)
    if isinstance(made, Loss) and (reason := lacking(made)):
        raise Unsupported(f"{made.name} is no loss for Keras: {reason}")
    return made


def lacking(loss: Loss) -> str:
    """Return why Keras cannot train with `loss`, or nothing where it can."""
    if loss.kind == "written":
        return "it is an algorithm in NumPy, which Keras's back ends do not run alike"
    if loss.inputs != _DATA:
        return f"it takes ({', '.join(loss.inputs)}), and Keras passes ({', '.join(_DATA)})"
    return ""


def flag(name: str, value: Any) -> bool:
    """Return an option that is True or False, or raise TypeError: any text would be True."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} has to be True or False, not a {type(value).__name__}")
    return bool(value)


def to_config(loss: Any) -> dict[str, Any]:
    """Return a loss as plain JSON values."""
    if isinstance(loss, Several):
        members = [loss_to_json(one) for one in loss.members]
        return {"parameter": loss.parameter, "members": members}
    return loss_to_json(loss)


def from_config(config: Mapping[str, Any]) -> Any:
    """Return the loss that `to_config` wrote, or raise ValueError naming what is wrong."""
    if "members" not in config:
        return loss_from_json(config)
    members = [loss_from_json(one, f"members[{i}]") for i, one in enumerate(config["members"])]
    name = config["parameter"]
    return members[0](**{name: tuple(one.params[name] for one in members)})
