"""What a call computes, apart from its tensors: a loss with its options, named by a text.

Operators of PyTorch take numbers, texts and tensors. A loss travels through them as JSON, which is
the same in every process, so that a compiled graph that was cached or exported finds it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import torch

import losskit
from losskit.by_rank import ByRank
from losskit.call import DEFAULTS, check_options
from losskit.formula.expr import Unsupported
from losskit.portable import loss_from_json, loss_to_json
from losskit.reduction import REDUCTIONS
from losskit.several import Several


@dataclass(frozen=True, eq=False)
class Plan:
    """A loss with the options of its calls, and what follows from both."""

    loss: Any
    raw: bool
    reduction: str  # or "parts": a sum that is told with its weight, 0 where nothing counts
    validate: bool
    clip: float | None  # of probabilities; None is the eps of their own type
    text: str  # what names this plan in operators
    inputs: tuple[str, ...]
    trained: tuple[int, ...]  # places of the inputs that gradients are taken by
    columns: tuple[bool, ...]  # of each input: whether it may vary along the axis
    shares: tuple[bool, ...]  # of each input: whether it is probabilities of classes
    axis: str  # "" where the formula sees one number
    lists: bool  # whether examples are lists of items, which `query` groups
    by_row: bool  # whether each row is scored alone, so that rows of any shape are
    outputs: int  # raw outputs that a formula of one number takes
    differentiable: bool
    # All of these are fields: Dynamo reads no properties of a constant.


@torch.compiler.assume_constant_result
def plan_of(
    loss: Any, raw: bool, reduction: str, validate: bool, clip: float | None = None
) -> Plan:
    """Return the plan of a loss, or of the loss of this name."""
    loss = losskit.get(loss) if isinstance(loss, str) else loss
    return _planned(loss, raw, reduction, validate, clip)


@torch.compiler.assume_constant_result
def named(name: str, raw: bool, reduction: str, validate: bool, parameters: tuple) -> Plan:
    """Return the plan of the loss `name` with parameters: pairs of a name and a `constant`."""
    values = {key: _number(v) for key, v in parameters}
    return _planned(with_parameters(name, values), raw, reduction, validate, None)


def with_parameters(loss: Any, params: dict[str, Any]) -> Any:
    """Return a loss, or the loss of this name, with parameters."""
    try:
        return losskit.get(loss, **params)
    except TypeError as error:
        known = getattr(losskit.get(loss), "params", params)
        if {*params} <= {*known}:
            raise
        raise TypeError(f"{error}; {_OPTIONS}") from None


def clip_of(plan: Plan, dtype: torch.dtype) -> float:
    """Return how near to 0 and 1 probabilities of this type are taken as they are."""
    return float(torch.finfo(dtype).eps) if plan.clip is None else plan.clip


def constant(value: Any) -> Any:
    """Return a parameter as `named` takes it.

    In compiled code a float that has changed between calls is a symbol, which only what its methods
    return makes a constant again.
    """
    return (_HEX, value.hex()) if isinstance(value, float) else value


def planned(text: str) -> Plan:
    """Return the plan that a text names, which another process may have written."""
    return _PLANS.get(text) or _from_text(text)


_OPTIONS = f"reduction (of {str(REDUCTIONS)[1:-1]}), raw and validate are options beside them"
_HEX = "float"
_PLANS: dict[str, Plan] = {}
_ALGORITHMS: dict[str, Any] = {}  # users' own, which no text can hold
_NUMBERS = count()


@lru_cache(maxsize=4096)
def _planned(loss: Any, raw: bool, reduction: str, validate: bool, clip: float | None) -> Plan:
    check_one(loss)
    public = "sum" if reduction == "parts" else reduction
    check_options(loss.name, {**DEFAULTS, "reduction": public, "clip": clip})
    said = {"loss": _key(loss), "raw": raw, "reduction": reduction, "validate": validate,
            "clip": clip}  # fmt: skip
    text = json.dumps(said, sort_keys=True)
    if loss.kind == "pointwise":
        axis = ""
        trained: tuple[int, ...] = (1,)
        columns: tuple[bool, ...] = (False, False)
        shares: tuple[bool, ...] = (False, False)
    else:
        kinds = [one for _, one in loss.definition.inputs]
        trained = tuple(i for i, one in enumerate(kinds) if one.trained)
        columns = tuple(one.rank == 2 for one in kinds)
        links = dict(zip(trained, loss.definition.links, strict=False))  # algorithms have none
        shares = tuple(
            not raw and links[i].name == "softmax" if i in links else bool(one.classes)
            for i, one in enumerate(kinds)
        )
        axis = loss.definition.axis
    made = Plan(
        loss, raw, reduction, validate, clip, text, loss.inputs, trained, columns, shares, axis,
        lists=axis == "item",
        by_row=axis != "item" and loss.kind != "written",
        outputs=len(loss.outputs) if loss.kind == "pointwise" else 1,
        differentiable=_differentiable(loss),
    )  # fmt: skip
    return _PLANS.setdefault(text, made)


def check_one(loss: Any) -> None:
    """Raise TypeError for what is no loss, and Unsupported for what is more than one."""
    if isinstance(loss, losskit.Loss):
        return
    if isinstance(loss, ByRank):
        raise Unsupported(
            f"{loss!r} is {loss.flat} (of one number) or {loss.rows} (of a row of classes) by the "
            f"rank of y_pred, and PyTorch is given one of them: losskit.{loss.flat} or "
            f"losskit.{loss.rows}"
        )
    if isinstance(loss, Several):
        raise Unsupported(
            f"{loss!r} is several losses, and a function is given one: losskit.torch.Loss takes "
            "them, with a column of the input for each"
        )
    raise TypeError(f"needed is a loss, as losskit.huber, or its name, not {loss!r:.60}")


def _key(loss: Any) -> Any:
    try:
        return loss_to_json(loss)
    except ValueError:
        if loss.kind != "written":
            raise
        name = f"{loss.name} {next(_NUMBERS)}"
        _ALGORITHMS[name] = loss
        return name


def _from_text(text: str) -> Plan:
    said = json.loads(text)
    key = said["loss"]
    if isinstance(key, str) and key not in _ALGORITHMS:
        raise ValueError(
            f"{key.split()[0]} is an algorithm of another process; call its loss here first"
        )
    loss = _ALGORITHMS[key] if isinstance(key, str) else loss_from_json(key)
    return _planned(loss, said["raw"], said["reduction"], said["validate"], said["clip"])


def _number(value: Any) -> Any:
    is_float = isinstance(value, tuple) and len(value) == 2 and value[0] == _HEX
    return float.fromhex(value[1]) if is_float else value


def _differentiable(loss: Any) -> bool:
    if loss.kind == "written":
        return True
    try:
        return bool(loss.form(raw=True).graph.gradient)
    except Unsupported:
        return False
