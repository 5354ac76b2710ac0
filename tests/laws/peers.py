"""Losses of other libraries, by the text that `same_as` names them with.

Run as `python -m laws.peers` it reads [[entry, targets, raw scores], …] from standard input and
writes what each entry's loss is there: each deep-learning framework in a process of its own, as
their settings and OpenMP runtimes belong to a whole process.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np


def parse(entry: str) -> tuple[str, str, dict[str, Any]]:
    """Split "torch.nn.functional.huber_loss(delta=1.0)" into module, name and keywords."""
    tree = ast.parse(entry, mode="eval").body
    keywords: dict[str, Any] = {}
    if isinstance(tree, ast.Call):
        keywords = {k.arg or "": ast.literal_eval(k.value) for k in tree.keywords}
        tree = tree.func
    module, _, name = ast.unparse(tree).rpartition(".")
    return module, name, keywords


def library(entry: str) -> str:
    """Return the package that an entry belongs to."""
    return parse(entry)[0].partition(".")[0]


def installed(entry: str) -> bool:
    """Say whether the package of an entry is there."""
    return find_spec(library(entry)) is not None


def values(entry: str, y: Any, f: Any) -> Any:
    """Return the peer's losses, element by element, of raw scores f."""
    module, name, keywords = parse(entry)
    call = _CALLS[module.partition(".")[0]]
    return np.asarray(call(getattr(import_module(module), name), name, keywords, y, f), float)


def _torch(function: Any, name: str, keywords: dict[str, Any], y: Any, f: Any) -> Any:
    import torch

    target, scores = torch.tensor(y), torch.tensor(f)
    if "pos_weight" in keywords:
        keywords["pos_weight"] = torch.tensor(keywords["pos_weight"])
    if name == "gaussian_nll_loss":
        keywords["var"] = torch.exp(2 * scores[:, 1])
        scores = scores[:, 0]
    return function(scores, target, reduction="none", **keywords).numpy()


def _sklearn(kind: Any, name: str, keywords: dict[str, Any], y: Any, f: Any) -> Any:
    return kind(**keywords).loss(y_true=y, raw_prediction=f)


def _optax(function: Any, name: str, keywords: dict[str, Any], y: Any, f: Any) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return function(jax.numpy.asarray(f), jax.numpy.asarray(y), **keywords)


_CALLS: dict[str, Callable[..., Any]] = {"torch": _torch, "sklearn": _sklearn, "optax": _optax}


def main(requests: Sequence[Any]) -> list[Any]:
    """Answer requests of (entry, targets, raw scores)."""
    return [values(e, np.array(y), np.array(f)).tolist() for e, y, f in requests]


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
