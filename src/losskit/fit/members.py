"""Fits of a loss, or of several losses of one target side by side, each with its own output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from losskit.fit.certificate import Certificate
from losskit.fit.crossvalidation import CrossValidation, alpha_grid, cross_validate
from losskit.fit.fitting import INTERRUPTED, Fit, fit_path
from losskit.fit.source import Source
from losskit.several import Several


def path_of(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Sequence[float],
    *,
    outputs: int,
    begin: tuple[Any, Any] | None = None,
    **options: Any,
) -> tuple[Fit, ...]:
    """Return `fit_path` of a loss, or of `Several` with one output for each."""
    if not isinstance(loss, Several):
        return fit_path(source, loss, penalty, alphas, outputs=outputs, begin=begin, **options)
    paths = []
    for k, one in enumerate(loss.members):
        own = None if begin is None else (begin[0][:, k : k + 1], begin[1][k : k + 1])
        paths.append(fit_path(source, one, penalty, alphas, outputs=1, begin=own, **options))
        if paths[-1][-1].certificate.note == INTERRUPTED and k + 1 < len(loss.members):
            raise KeyboardInterrupt  # the others have no model yet
    return tuple(_joined(fits) for fits in zip(*paths, strict=False))


def validated(
    source: Source,
    loss: Any,
    penalty: Any,
    alphas: Iterable[float] | int | None,
    *,
    folds: int,
    outputs: int,
    intercept: bool,
    **options: Any,
) -> CrossValidation:
    """Return `cross_validate` of a loss, or of `Several`, whose mean loss chooses one alpha."""
    options["intercept"] = intercept
    if not isinstance(loss, Several):
        return cross_validate(
            source, loss, penalty, alphas, folds=folds, outputs=outputs, **options
        )
    options["metrics"] = None  # figures of one prediction
    grids = [alpha_grid(source, m, penalty, alphas, intercept=intercept) for m in loss.members]
    grid = max(grids, key=lambda one: float(one[0]))
    found = [
        cross_validate(source, m, penalty, grid, folds=folds, outputs=1, **options)
        for m in loss.members
    ]
    count = min(len(one.path) for one in found)
    return CrossValidation(
        found[0].alphas[:count],
        np.mean([one.scores[:, :count] for one in found], axis=0),
        found[0].weights,
        tuple(_joined(fits) for fits in zip(*(one.path for one in found), strict=False)),
    )


def _joined(fits: Sequence[Fit]) -> Fit:
    """Return fits of several losses as one: what is a number is the mean over them."""
    first = fits[0]
    kinds = list(dict.fromkeys(one.certificate.kind for one in fits))
    notes = list(dict.fromkeys(one.certificate.note for one in fits if one.certificate.note))
    certificate = Certificate(
        kind="; ".join(kinds),
        value=_mean(fits, lambda one: one.certificate.value),
        target=_mean(fits, lambda one: one.certificate.target),
        reached=all(one.certificate.reached for one in fits),
        note=notes[0] if len(notes) == 1 else "; ".join(notes),
    )
    return Fit(
        np.hstack([one.coef for one in fits]),
        np.concatenate([one.intercept for one in fits]),
        first.alpha,
        _mean(fits, lambda one: one.objective),
        certificate,
        tuple(step for one in fits for step in one.history),
        first.solver,
        first.why,
        _mean(fits, lambda one: one.baseline),
    )


def _mean(fits: Sequence[Fit], number: Callable[[Fit], float]) -> float:
    return float(np.mean([number(one) for one in fits]))
