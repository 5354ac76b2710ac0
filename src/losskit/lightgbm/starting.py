"""Where training begins: LightGBM has it with the data, as `init_score`, or in a model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from losskit.arrays import Array
from losskit.boosting.estimators import Fitted
from losskit.boosting.objective import predictions
from losskit.lightgbm.finishing import told_loss


def read(sets: Sequence[lgb.Dataset], params: Mapping[str, Any]) -> None:
    """Construct data of which a file or a larger set holds targets, weights and starts.

    `sets` are those of `lightgbm.train`, the training data first; `params` are its parameters,
    which LightGBM bins features by.
    """
    first, *others = sets
    if all(one.label is not None for one in sets):
        return
    for one in sets:
        # Of data without targets LightGBM makes targets of 0.
        if one.label is None and isinstance(getattr(one.data, "shape", None), tuple):
            raise ValueError("a lightgbm.Dataset has no targets; make it with label=y")
    for one in others:
        if one is not first:
            one.set_reference(first)
    for one in sets:
        if one._handle is None:
            one.params = {**(one.params or {}), **params}
    for one in sets:
        if one.label is None:
            one.construct()


def field(data: lgb.Dataset, name: str) -> Any:
    """Return targets, weights or starts of data, from their file too; None where there are none."""
    said = getattr(data, name)
    return data.get_field(name) if said is None and data._handle is not None else said


@contextmanager
def started(sets: Sequence[lgb.Dataset], start: Any) -> Iterator[None]:
    """Let data begin at a start, beyond offsets of their own, and be as they were afterwards.

    LightGBM adds the start of its own objectives to the offsets of data held out, too.
    """
    changed = [] if start is None else [*{id(one): one for one in sets}.values()]
    before = [field(one, "init_score") for one in changed]
    try:
        for one, offset in zip(changed, before, strict=True):
            made = repeated(start, len(np.asarray(field(one, "label"))))
            if offset is not None:
                made += np.asarray(offset, np.float64).reshape(made.shape, order="F")
            one.set_init_score(made)
        yield
    finally:
        for one, offset in zip(changed, before, strict=True):
            one.init_score = offset
            if one._handle is not None and offset is not None:
                one.set_init_score(offset)
            elif one._handle is not None:
                one.set_field("init_score", None)


def repeated(start: Any, rows: int) -> Array:
    """Return a start for each row, (rows,) or (rows, num_class)."""
    value = np.asarray(start, dtype=np.float64)
    return np.ascontiguousarray(np.broadcast_to(value, (rows, *value.shape)))


def begun(init_model: Any) -> lgb.Booster | None:
    """Return the booster of a model (an estimator, a booster, or its file) to train on from.

    `lightgbm.train` takes no notice of what is neither a booster nor a path.
    """
    model = getattr(init_model, "booster_", init_model)
    if isinstance(model, str | os.PathLike):
        return lgb.Booster(model_file=model)
    if model is None or isinstance(model, lgb.Booster):
        return model
    raise TypeError(
        f"init_model is a {type(init_model).__name__}; needed is a Booster, an estimator, or the "
        "path of a model's file"
    )


def check_scores(model: lgb.Booster, loss: Any, outputs: int | None) -> None:
    """Raise ValueError where a model has other scores a row, or another way back from them."""
    count = model.num_model_per_iteration()
    if outputs not in (None, count):
        raise ValueError(
            f"init_model gives {count} scores a row, {loss!r} needs {outputs} of these targets"
        )
    head = model.model_to_string(num_iteration=1).partition("\nTree=")[0]
    if "\nobjective=" not in head:  # of a custom objective, which says nothing of its scores
        return
    row = np.full((1, model.num_feature()), np.nan)
    score, said = model.predict(row, raw_score=True), model.predict(row)
    seen = predictions(loss, score)
    if not np.allclose(seen, said, rtol=1e-6):
        raise ValueError(
            f"init_model was trained with another link than that of {loss!r}: of missing features "
            f"it predicts {np.ravel(said)[0]:.6g}, and with this {np.ravel(seen)[0]:.6g}; go on "
            "with its own"
        )


def fitted_of(init_model: Any) -> Fitted | None:
    """Return what an estimator or its file tells of its loss and classes, else None."""
    if isinstance(init_model, str | os.PathLike):
        told = told_loss(Path(init_model).read_text(encoding="utf-8"))
        return None if told is None else Fitted.from_text(told)
    found = getattr(init_model, "fitted_", None)
    return found if isinstance(found, Fitted) else None
