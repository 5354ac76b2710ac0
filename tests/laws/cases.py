"""The losses that the laws walk: every registered one at several settings of its parameters."""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import losskit
from losskit.formula.domain import Domain

# Tried for every parameter, where its domain allows; the first few that do are taken.
_CANDIDATES = (0.25, 2.5, 0.0, 0.9, 1.0, -1.5)
_TAKEN = 3

# Values at which a formula changes its form, and the ones that people use.
_SPECIAL: dict[tuple[str, str], tuple[float | None, ...]] = {
    ("asymmetric_focal", "margin"): (0.0, 0.05, 0.5, 0.75),
    ("barron", "alpha"): (2.0, 1.0, 0.0, -2.0, -math.inf, 1.5, 3.0),
    ("focal", "alpha"): (None, 0.25),
    ("focal", "gamma"): (0.0, 0.5, 2.0),
    ("lp", "p"): (0.5, 1.0, 1.5, 2.0, 3.0),
    ("quantile", "q"): (0.1, 0.5, 0.9),
    ("tweedie", "power"): (1.0, 1.5, 1.95, 2.0, 2.5, 3.0),
}


def names() -> list[str]:
    """Return the losses of one number by name; `rows_cases` has the others."""
    return losskit.names("pointwise")


# One of each kind of formula, link and domain: what is slow runs for these in every test run, and
# for the others in `make test-all`.
STRATUM = (
    "binary_cross_entropy",
    "focal",
    "gaussian_nll",
    "gamma",
    "huber",
    "msle",
    "quantile",
    "tweedie",
)


def stratified() -> list[Any]:
    """Return names as pytest parameters, those outside the stratum marked slow."""
    marks = {n: () if n in STRATUM else (pytest.mark.slow,) for n in names()}
    return [pytest.param(n, marks=m) for n, m in marks.items()]


@cache
def settings(name: str) -> tuple[losskit.Loss, ...]:
    """Return the loss `name` at its defaults, then with one parameter changed at a time.

    All values but the defaults are exact in float32, so that both dtypes share one truth.
    """
    loss = losskit.get(name)
    found = [loss]
    for parameter in loss.definition.parameters:
        special = _SPECIAL.get((name, parameter.name))
        values = special or generated(parameter.domain)
        found += [loss(**{parameter.name: exact(v)}) for v in values]
    if len(loss.params) > 1:
        found.append(loss(**{
            p.name: exact((_SPECIAL.get((name, p.name)) or generated(p.domain))[-1])
            for p in loss.definition.parameters
        }))  # fmt: skip
    return tuple(dict.fromkeys(found))


@cache
def every_setting() -> tuple[losskit.Loss, ...]:
    """Return every loss at every setting."""
    return tuple(loss for name in names() for loss in settings(name))


def differentiable() -> list[losskit.Loss]:
    """Return those of `every_setting` that have a derivative."""
    return [loss for loss in every_setting() if has_gradient(loss)]


@cache
def has_gradient(loss: losskit.Loss) -> bool:
    """Say whether the loss has a derivative (zero_one has not)."""
    try:
        loss.form(raw=True).graph.select(("gradient",))
    except losskit.Unsupported:
        return False
    return True


def generated(domain: Domain) -> tuple[float, ...]:
    """Return a few values that a parameter may take."""
    return tuple(v for v in _CANDIDATES if domain.contains(v))[:_TAKEN]


def exact(value: Any) -> Any:
    """Round a number to float32."""
    return None if value is None else float(np.float32(value))


def exact_in(loss: losskit.Loss, dtype: Any) -> bool:
    """Say whether the parameters of `loss` are exact in `dtype`."""
    return all(float(dtype(v)) == v for v in loss.form(raw=True).values)


# --- targets and raw scores --------------------------------------------------------------

_TARGETS = (0.0, 1.0, -1.0, 0.75, 1e-300, 800.0, 3.0, -40.0, 1e-8, 0.3, -0.5, 1 - 2.0**-24)
_SIZES = (1e-300, 1e-8, 1.0, 20.0, 40.0, 700.0, 800.0)
SCORES = (0.0, *(s * size for size in _SIZES for s in (1, -1)))


def targets(loss: losskit.Loss, most: int | None = None) -> list[float]:
    """Return targets from the declared domain, its closed edges included."""
    domain = loss.target_domain
    edges = [e for e in (domain.lower, domain.upper) if math.isfinite(e)]
    inside = [
        v
        for edge in edges
        for v in (edge, math.nextafter(edge, math.inf), math.nextafter(edge, -math.inf))
    ]
    near = [e * (1 - 2.0**-24) for e in edges if e]
    usual = [v for v in (*map(float, domain.values), *_TARGETS) if domain.contains(v)][:most]
    edgy = [v for v in (*inside, *near) if domain.contains(v) and not 0 < abs(v) < 1e-310]
    return list(dict.fromkeys([*usual, *edgy]))


def scores(loss: losskit.Loss, output: int = 0) -> list[float]:
    """Return raw scores that every law tries, and those at the edges of where they may lie."""
    domain = loss.form(raw=True).predictions[output]
    edges = [e for e in (domain.lower, domain.upper) if math.isfinite(e)]
    near = [e + d for e in edges for d in (2.0**-24, 2.0**-53, -(2.0**-24), -(2.0**-53))]
    return [v for v in dict.fromkeys((*SCORES, *near)) if domain.contains(v)]


def random_points(loss: losskit.Loss, count: int, seed: int) -> list[tuple[float, ...]]:
    """Return random (target, raw scores…), exact in float32: of every size and near each other."""
    rng = np.random.default_rng(seed)
    form = loss.form(raw=True)
    made: list[tuple[float, ...]] = []
    choices = form.target.values
    while len(made) < count:
        y = exact(_any_size(rng))
        y = float(rng.choice(choices)) if choices else y
        if form.target.upper == 1 and not choices:
            y = exact(rng.random())
        row = [y]
        for _ in form.graph.outputs:
            near = y + rng.normal() * 10 ** rng.uniform(-6, 1)
            row.append(exact(near if rng.random() < 0.4 else _any_size(rng)))
        if form.target.contains(y) and all(
            d.contains(f) for d, f in zip(form.predictions, row[1:], strict=True)
        ):
            made.append(tuple(row))
    return made


def _any_size(rng: np.random.Generator) -> float:
    return float(rng.choice((-1, 1)) * 10 ** rng.uniform(-5, 2.8))


def grid(loss: losskit.Loss, most: int | None = None) -> list[tuple[float, ...]]:
    """Return every target with every score (of each output, the others being modest)."""
    outputs = len(loss.outputs)
    columns = [scores(loss, i) for i in range(outputs)]
    if outputs == 1:
        return list(product(targets(loss, most), columns[0]))
    rows = []
    for i, column in enumerate(columns):
        for y, f, other in product(targets(loss, most), column, (0.0, 1.5, -20.0)):
            rows.append((y, *(f if j == i else other for j in range(outputs))))
    return list(dict.fromkeys(rows))
