"""What other libraries compute for a name of theirs, with parameters and data as they take them.

`python -m rosetta_peers LIBRARY` reads requests (path, title, parameters, predictions, targets,
weight) from standard input and writes for each the values of single rows, or with a weight the
number that the library itself makes of the rows; an error as its text. One process each, as
settings and OpenMP runtimes belong to a whole process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def resolve(path: str) -> Any:
    """Return the object that a dotted path names."""
    pieces = path.split(".")
    for cut in range(len(pieces) - 1, 0, -1):
        try:
            found = import_module(".".join(pieces[:cut]))
        except ModuleNotFoundError:
            continue
        for piece in pieces[cut:]:
            found = getattr(found, piece)
        return found
    raise ImportError(path)


def by_torch(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    import torch

    thing = resolve(path)
    name = path.rpartition(".")[2].lower().replace("_", "")
    given = {
        n: torch.tensor(v, dtype=torch.float64) if n in ("pos_weight", "weight") and v else v
        for n, v in given.items()
    }
    x, y = [torch.tensor(a) for a in trained], [torch.tensor(a) for a in targets]
    if name.startswith("gaussiannll"):
        x, y = [x[0][:, 0]], [y[0], x[0][:, 1] ** 2]
    if name in ("nllloss", "kldiv", "kldivloss"):
        x = [torch.log_softmax(x[0], 1)]
    reduction = {"reduction": "none" if w is None else "mean"}
    if w is not None and not isinstance(thing, type) and "weight" not in given:
        given["weight"] = torch.tensor(w)
    if isinstance(thing, type):
        made = thing(**given, **reduction)(*x, *y)
    else:
        made = thing(*x, *y, **given, **reduction)
    return made.sum(1) if made.ndim == 2 else made


def by_keras(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.config.set_epsilon(1e-14)
    thing = resolve(path) if "." in path else keras.losses.get(path)
    p, y = (*trained, *targets)
    if p.ndim == 1:
        p, y = p[:, None], y[:, None]
    of_batch = any(name in path.lower() for name in ("dice", "tversky"))
    if not isinstance(thing, type):
        if of_batch:
            return [float(thing(a, b, **given)) for a, b in zip(y, p, strict=True)]
        return thing(y, p, **given)
    if w is not None:
        return thing(**given)(y, p, sample_weight=np.array(w))
    if of_batch:
        made = thing(reduction="sum", **given)
        return [float(made(a, b)) for a, b in zip(y, p, strict=True)]
    return thing(reduction=None, **given)(y, p)


def by_optax(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    function = resolve(path)
    x, y = [jax.numpy.asarray(a) for a in trained], [jax.numpy.asarray(a) for a in targets]
    if path.endswith("dice_loss"):
        columns = {"reduction": "none", "axis": (1,)}
        return function(x[0][..., None], y[0][..., None], **given, **columns)[:, 0]
    if path.endswith("kl_divergence"):
        x = [jax.nn.log_softmax(x[0])]
    if path.endswith("ranking_softmax_loss"):
        given["reduce_fn"] = None
    return function(*x, *y, **given)


def by_sklearn(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    p, y = np.array(trained[0]), np.array(targets[0])
    thing = resolve(path)
    if path.startswith("sklearn._loss"):
        classes = {"n_classes": p.shape[1]} if "Multinomial" in path else {}
        made = thing(**given, **classes)
        if w is not None:
            return made(y_true=y.astype(float), raw_prediction=p, sample_weight=np.array(w))
        return made.loss(y_true=y.astype(float), raw_prediction=p)
    if path.startswith("sklearn.metrics"):
        if path.endswith("log_loss"):
            given["labels"] = np.unique(y)
        if w is not None:
            return thing(y, p, sample_weight=np.array(w), **given)
        if path.endswith("brier_score_loss"):
            given["pos_label"] = 1
        if path.endswith("hinge_loss"):  # which needs both labels: a second row that costs nothing
            far = {min(y): [max(y), 9.0], max(y): [min(y), -9.0]}
            return [2 * thing([a, far[a][0]], [f, far[a][1]]) for a, f in zip(y, p, strict=True)]
        return [thing(y[[i]], p[[i]], **given) for i in range(len(y))]
    return _sklearn_estimator(thing, title, given, p, y, w)


def _sklearn_estimator(kind: Any, title: str, given: dict, f: Array, y: Array, w: Any) -> Any:
    estimator = kind(**({"loss": title} if title else {}), **given)
    if hasattr(estimator, "_get_loss_function"):
        made = estimator._get_loss_function(title)
        one = getattr(made, "py_loss", None)
        pairs = zip(f, y, strict=True)
        if one is not None:
            return [one(float(a), float(b)) for a, b in pairs]
        # As SGD's sweep calls them: the target, then the score.
        return _cython_losses(made, y, f)
    if "Boosting" in kind.__name__:
        small = {"max_iter": 1} if "Hist" in kind.__name__ else {"n_estimators": 1}
        estimator.set_params(**small)
        classes = "Classifier" in kind.__name__
        start = np.arange(40) % 2 if classes else 1.0 + np.arange(40.0)
        estimator.fit(np.arange(40.0)[:, None], start)
        made = estimator._loss
    else:
        made = estimator._get_loss()
    if w is not None:
        return made(y_true=y.astype(float), raw_prediction=f, sample_weight=np.array(w))
    return made.loss(y_true=y.astype(float), raw_prediction=f)


def _cython_losses(made: Any, y: Array, f: Array) -> Array:
    out = np.empty_like(f)
    made.loss(y.astype(float), f, None, out, 1)
    return out


def by_scipy(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    solve = resolve(path)
    residuals = np.array(trained[0]) - np.array(targets[0])
    return [_cost_at(solve, r, title, given) for r in residuals]


def _cost_at(solve: Callable[..., Any], r: float, title: str, given: dict) -> float:
    return solve(lambda x: np.array([r]) + 0 * x, [0.0], loss=title, **given).cost


def by_statsmodels(
    path: str, title: str, given: dict, trained: Sequence, targets: Sequence, w: Any
) -> Any:
    p, y = np.array(trained[0]), np.array(targets[0])
    made = resolve(path)(**given)
    if hasattr(made, "rho"):
        return made.rho(p - y)
    if w is not None:
        return made.deviance(y, p, freq_weights=np.array(w))
    return [made.deviance(y[[i]], p[[i]]) for i in range(len(y))]


def main(library: str, requests: Sequence[Any]) -> list[Any]:
    """Answer all requests of one library."""
    call = globals()[f"by_{library}"]
    return [_answer(call, request) for request in requests]


def _answer(call: Callable[..., Any], request: Any) -> Any:
    import warnings

    path, title, given, trained, targets, weight = request
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library warns of is its own affair
        try:
            arrays = [np.array(a) for a in trained], [np.array(a) for a in targets]
            made = call(path, title, dict(given), *arrays, weight)
            return np.asarray(made, dtype=float).tolist()
        except Exception as error:
            return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    json.dump(main(sys.argv[1], json.load(sys.stdin)), sys.stdout)
