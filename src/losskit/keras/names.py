"""`model.compile(loss="quantile", metrics=["pinball"])`: our names where Keras finds its own.

Keras asks tables of its own for strings, and no register of custom objects (keras issue 20112).
We add what they lack; a name that one has keeps Keras's meaning, and ours is "losskit>huber". A
loss that Keras cannot feed has its name there too, so that asking for it says why not.
"""

from __future__ import annotations

import warnings
from typing import Any

from keras.src import losses, metrics

from losskit.by_rank import BY_RANK
from losskit.definition import REGISTRY
from losskit.keras.adapter import Loss
from losskit.keras.mean import Metric

_PREFIX = "losskit>"


def register() -> None:
    """Add the catalogue's names to those that `keras.losses.get` and `keras.metrics.get` know."""
    for module, kind in ((losses, Loss), (metrics, Metric)):
        table = _known(module)
        if not table:
            warnings.warn(
                "this version of Keras keeps the names of losses elsewhere: instead of "
                'compile(loss="quantile") write compile(loss=losskit.keras.Loss("quantile"))',
                stacklevel=2,
            )
        for name in _ours():
            made = table[f"{_PREFIX}{name}"] = _made_when_asked(kind, name)
            table.setdefault(name, made)


def shared() -> list[str]:
    """Return the catalogue's names that mean Keras's own loss in `compile(loss=…)`."""
    table = _known(losses)
    return [n for n in _ours() if table[n] is not table[f"{_PREFIX}{n}"]]


def _known(module: Any) -> dict[str, Any]:
    return getattr(module, "ALL_OBJECTS_DICT", {})


def _ours() -> list[str]:
    import losskit.losses  # noqa: F401 - fills the registry

    return sorted({*REGISTRY.spellings(), *BY_RANK})


def _made_when_asked(kind: type, name: str) -> Any:
    """Return what makes the loss or metric of this name when called, with that moment's settings.

    It is a class because Keras calls classes that it finds, and takes anything else as the loss.
    """
    return type(name, (), {"__new__": lambda cls: kind(name)})
