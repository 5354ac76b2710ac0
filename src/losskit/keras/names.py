"""`model.compile(loss="quantile")`: our names where Keras finds losses by name.

Keras asks one table of its own for strings, and no register of custom objects (keras issue 20112).
We add what it lacks; a name that it has keeps Keras's meaning, and ours is "losskit>huber".
"""

from __future__ import annotations

import warnings
from typing import Any

from keras.src import losses as keras_losses

from losskit.by_rank import BY_RANK
from losskit.keras.adapter import Loss
from losskit.keras.chosen import spellings

_PREFIX = "losskit>"


def register() -> None:
    """Add the catalogue's names to those that `keras.losses.get` knows."""
    table = _known()
    if not table:
        warnings.warn(
            "this version of Keras keeps the names of losses elsewhere: instead of "
            'compile(loss="quantile") write compile(loss=losskit.keras.Loss("quantile"))',
            stacklevel=2,
        )
    for name in _ours():
        made = table[f"{_PREFIX}{name}"] = _made_when_asked(name)
        table.setdefault(name, made)


def shared() -> list[str]:
    """Return the catalogue's names that mean Keras's own loss in `compile(loss=…)`."""
    table = _known()
    return [n for n in _ours() if table[n] is not table[f"{_PREFIX}{n}"]]


def _known() -> dict[str, Any]:
    return getattr(keras_losses, "ALL_OBJECTS_DICT", {})


def _ours() -> list[str]:
    return sorted({*spellings(), *BY_RANK})


def _made_when_asked(name: str) -> Any:
    """Return what makes the loss of this name when called, with the settings of that moment.

    It is a class because Keras calls classes that it finds, and takes anything else as the loss.
    """
    return type(name, (), {"__new__": lambda cls: Loss(name)})
