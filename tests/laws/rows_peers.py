"""Losses over an axis in other libraries, by the text that `same_as` names them with.

Run as `python -m laws.rows_peers` it reads [[entry, trained arrays, targets], …] from standard
input and writes what each is there: a number for each row, or the mean of all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from laws.peers import parse
from losskit.boosting.hosts import HOSTS


def readable(entry: str) -> bool:
    """Say whether an entry names a function, rather than describes one in words."""
    try:
        module, _, _ = parse(entry)
    except (SyntaxError, AttributeError):
        return False
    return bool(module) and module not in HOSTS  # whose objectives no function tells


def value(entry: str, trained: Sequence[Any], targets: Sequence[Any]) -> Any:
    """Return what a peer gives for raw scores."""
    module, name, keywords = parse(entry)
    library = module.partition(".")[0]
    made = _CALLS[library](module, name, keywords, trained, targets)
    return np.asarray(made, dtype=float)


def _torch(module: str, name: str, keywords: Any, trained: Any, targets: Any) -> Any:
    import torch

    function = getattr(import_module(module), name)
    given = [torch.tensor(a) for a in (*trained, *targets)]
    return function(*given, reduction="none", **keywords).numpy()


def _jax(module: str, name: str, keywords: Any, trained: Any, targets: Any) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    function = getattr(import_module(module), name)
    given = [jax.numpy.asarray(a) for a in (*trained, *targets)]
    if name in ("softmax_cross_entropy", "poly_loss_cross_entropy") and given[1].ndim == 1:
        given[1] = jax.nn.one_hot(given[1], given[0].shape[1], dtype=float)
    if name == "kl_divergence":
        given[0] = jax.nn.log_softmax(given[0])
        if given[1].ndim == 1:
            given[1] = jax.nn.one_hot(given[1], given[0].shape[1], dtype=float)
    return function(*given, **keywords)


def _sklearn(module: str, name: str, keywords: Any, trained: Any, targets: Any) -> Any:
    from sklearn._loss import loss

    (f,), (y,) = trained, targets
    kind = getattr(loss, name)(n_classes=f.shape[1], **keywords)
    return kind.loss(y_true=y.astype(float), raw_prediction=f)


_CALLS = {"torch": _torch, "optax": _jax, "rax": _jax, "sklearn": _sklearn}
LIBRARIES = tuple(_CALLS)


def main(requests: Sequence[Any]) -> list[Any]:
    """Answer requests of (entry, trained arrays, targets); a failure is told in words."""
    return [_answer(*request) for request in requests]


def _answer(entry: str, trained: Any, targets: Any) -> Any:
    try:
        return value(entry, list(map(np.array, trained)), list(map(np.array, targets))).tolist()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
