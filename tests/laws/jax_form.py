"""The JAX form of a loss is the NumPy form: values, gradients, Hessians, at kinks and far out.

Run as `python -m laws.jax_form losses…` it writes what differs, by loss (without losses for every
setting of all): JAX's settings and threads belong to a whole process.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import losskit
from laws import accuracy, cases, rows_cases
from laws.points import points
from laws.rows_cases import Data, draw, probabilities
from laws.rows_derivatives import exists
from laws.truth import truth

CLOSE = 1e-12
_SHORT = 64 * float(np.finfo(np.float32).eps)
# XLA takes subnormal numbers as 0, so that what they lead to is not compared.
_NORMAL = {np.float64: 1e-290, np.float32: 1e-30}
_POINTS = 4096  # one shape for all losses, for which JAX compiles each operation once
_ORDERS = ("value", "gradient", "hessian")

Array = Any


def differences(loss: losskit.Loss) -> list[str]:
    """Return where the JAX form differs."""
    found = _of_number(loss) if loss.kind == "pointwise" else _of_rows(loss)
    return list(found)


# --- losses of one number ----------------------------------------------------------------


def _of_number(loss: losskit.Loss) -> Iterator[str]:
    linked = any(link.name != "identity" for link in loss.definition.links)
    for dtype in (np.float64, np.float32) if cases.exact_in(loss, np.float32) else (np.float64,):
        y, f = _data(loss, dtype)
        yield from _unlike_number(loss, y, f, True)
        if linked and dtype is np.float64:
            yield from _unlike_number(loss, *_predicted(loss, y, f), False)


def _data(loss: losskit.Loss, dtype: Any) -> tuple[Array, Array]:
    """Return targets and raw scores at the grid, kinks ± one ulp and random places."""
    found = np.array(points(loss, None, 200, 0))
    with np.errstate(over="ignore"):
        found = found[(found.astype(dtype) == found).all(axis=1)]
    small = (found != 0) & (np.abs(found) < _NORMAL[dtype]) & (np.abs(found) != 1e-300)
    found = np.random.default_rng(0).permutation(found[~small.any(axis=1)])
    found = found[np.arange(_POINTS) % len(found)].astype(dtype)
    return found[:, 0], found[:, 1] if found.shape[1] == 2 else found[:, 1:]


def _predicted(loss: losskit.Loss, y: Array, f: Array) -> tuple[Array, Array]:
    """Return the same targets with predictions for scores of modest size, and the domain's ends."""
    columns = []
    for link, column in zip(loss.definition.links, np.atleast_2d(f.T), strict=True):
        modest = np.clip(column, -30, 30)
        columns.append({"logit": 1 / (1 + np.exp(-modest)), "log": np.exp(modest)}.get(
            link.name, modest))  # fmt: skip
        if link.name == "logit":
            columns[-1][:8] = [0, 1, 0, 1, 2.0**-60, 1 - 2.0**-53, 0.5, 0.25]
    return y, columns[0] if f.ndim == 1 else np.stack(columns, axis=-1)


def _unlike_number(loss: losskit.Loss, y: Array, f: Array, raw: bool) -> Iterator[str]:
    import jax
    import jax.numpy as jnp

    wanted = [o for o in _ORDERS if o in loss.form(raw).graph.orders]
    clip = float(np.finfo(f.dtype).eps)
    with np.errstate(all="ignore"):
        theirs = accuracy.results(loss, y, f, "numpy", tuple(wanted), raw, clip)
    function = losskit.jax.function(loss)
    k = len(loss.outputs)

    def all_of(f: Array) -> list[Array]:
        def value(f: Array) -> Array:
            return function(jnp.asarray(y), f, raw=raw, reduction="none")

        def slope(f: Array) -> Array:
            return jax.grad(lambda f: value(f).sum())(f)

        made = [value(f)]
        if "gradient" in wanted:
            made += [slope(f)] if k == 1 else list(slope(f).T)
        if "hessian" in wanted:
            for i in range(k):
                along = jnp.ones_like(f) if k == 1 else jnp.zeros_like(f).at[:, i].set(1)
                bend = jax.jvp(slope, (f,), (along,))[1]
                made.append(bend if k == 1 else bend[:, i])
        return made

    made = jax.jit(all_of)(jnp.asarray(f))
    labels = [o if o == "value" or k == 1 else f"{o}[{i}]"
              for o in wanted for i in range(1 if o == "value" else k)]  # fmt: skip
    for a, b, label in zip(made, theirs, labels, strict=True):
        a, b = np.asarray(a, np.float64), b.astype(np.float64)
        with np.errstate(all="ignore"):
            allowed = (CLOSE if f.dtype == np.float64 else _SHORT) * np.abs(b)
            off = ~(np.abs(a - b) <= allowed) & (a != b) & ~(np.isnan(a) & np.isnan(b))
        off &= ~(np.maximum(np.abs(a), np.abs(b)) < _NORMAL[f.dtype.type])
        for i in np.flatnonzero(off)[:50]:
            point = (float(y[i]), *np.atleast_1d(f[i]).astype(float).tolist())
            if not _excused(loss, point, label, a[i], b[i], f.dtype, raw):
                yield f"{label} at {point} ({f.dtype}, raw={raw}) is {a[i]!r}, by NumPy {b[i]!r}"
                break


def _excused(
    loss: losskit.Loss, point: tuple[float, ...], label: str, a: float, b: float, dtype: Any,
    raw: bool,
) -> bool:  # fmt: skip
    """Say whether terms cancel here, of which XLA may round one once more or once less."""
    if any(0 < abs(x) < 1e-150 for x in point):
        return True  # products are subnormal
    if len(point) > 2 and np.isinf(b):
        return True  # a product with a unit vector is ∞·0 in the other output
    links, order = loss.definition.links, _ORDERS.index(label.partition("[")[0])
    predicted = [(p, 1.0) if raw else _score(p, k) for p, k in zip(point[1:], links, strict=True)]
    at = (point[0], *(score for score, _ in predicted))
    wanted = tuple(o for o in _ORDERS if o in loss.form(True).graph.orders)
    exact = truth(loss, (at,), wanted)
    j = exact.labels.index(label)
    if raw and accuracy.excused(loss, a, exact, 0, j, dtype.type):
        return True  # beside a corner, or where rounding the input makes as much
    scale = float(min(abs(exact.largest_term(0, j)), 1e300))
    if not raw:
        scale = scale * max(slope for _, slope in predicted) ** order + 1
    return abs(a - b) <= 64 * float(np.finfo(dtype).eps) * scale


def _score(p: float, link: Any) -> tuple[float, float]:
    """Return the raw score of a prediction, and how fast it changes with it."""
    if link.name == "log":
        return math.log(p), 1 / p
    if link.name == "logit":
        inside = min(max(p, 2.0**-52), 1 - 2.0**-52)
        return math.log(inside) - math.log1p(-inside), 1 / inside / (1 - inside)
    return p, 1.0


# --- losses over an axis -----------------------------------------------------------------


def _of_rows(loss: losskit.Loss) -> Iterator[str]:
    linked = any(link.name != "identity" for link in loss.definition.links)
    for soft, size in ((False, 1.5), (True, 1.5), (False, 300.0), (True, 0.0)):
        data = draw(loss, 9, seed=11, soft=soft, size=size)
        yield from _unlike_rows(loss, data, True)
        if linked and size == 1.5:
            yield from _unlike_rows(loss, probabilities(data), False)


def _unlike_rows(loss: losskit.Loss, data: Data, raw: bool) -> Iterator[str]:
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(5)
    vectors = tuple(rng.normal(size=data.arrays[i].shape) for i in data.trained)
    options = {"raw": raw, "reduction": "none"}
    with np.errstate(all="ignore"):
        theirs = {"value": [data.call(**options)]}
        if exists(loss, "gradient"):
            theirs["gradient"] = data.derivatives(**options)
        if exists(loss, "product"):
            v = vectors if len(vectors) > 1 else vectors[0]
            theirs["product"] = data.derivatives("hessian_vector_product", v, **options)
            theirs["product by reverse"] = theirs["product"]
    function = losskit.jax.function(loss)
    query = {} if data.query is None else {"query": data.query}

    def all_of(f: tuple[Array, ...], v: tuple[Array, ...]) -> dict[str, Any]:
        def value(*f: Array) -> Array:
            arrays = dict(enumerate(data.arrays)) | dict(zip(data.trained, f, strict=True))
            return function(*arrays.values(), **options, **query)

        slope = jax.grad(lambda *f: value(*f).sum(), tuple(range(len(f))))
        made: dict[str, Any] = {"value": [value(*f)]}
        if "gradient" in theirs:
            made["gradient"] = slope(*f)
        if "product" in theirs:
            made["product"] = jax.jvp(slope, f, v)[1]
            made["product by reverse"] = jax.vjp(slope, *f)[1](v)
        return made

    trained = tuple(jnp.asarray(data.arrays[i]) for i in data.trained)
    made = jax.jit(all_of)(trained, tuple(map(jnp.asarray, vectors)))
    for label, arrays in theirs.items():
        for a, b in zip(made[label], arrays, strict=True):
            a = np.asarray(a)
            # A product adds up over the row, so its rounding is that of the row's largest.
            size = np.abs(b).max(initial=0, axis=-1, keepdims=True) if b.ndim == 2 else np.abs(b)
            size = size if data.query is None else np.abs(b).max(initial=0)
            with np.errstate(all="ignore"):
                off = ~(np.abs(a - b) <= CLOSE * (1 + size)) & (a != b)
            if label == "product by reverse":  # an infinite curvature times the 0 of others is NaN
                off &= np.isfinite(size)
            if off.any():
                i = tuple(int(x) for x in np.argwhere(off)[0])
                yield f"{label}{list(i)} (raw={raw}) is {a[i]!r}, by NumPy {b[i]!r} ({off.sum()})"


# --- the program -------------------------------------------------------------------------


def every_setting() -> list[losskit.Loss]:
    """Return every loss with a formula at every setting."""
    return [*cases.every_setting(), *rows_cases.every_setting("rows")]


def main(names: list[str]) -> dict[str, list[str]]:
    """Return what differs for each loss at its defaults, or without names for every setting."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import losskit.jax

    losses = map(losskit.get, names) if names else every_setting()
    return {repr(loss): _told(loss) for loss in losses}


def _told(loss: losskit.Loss) -> list[str]:
    try:
        return differences(loss)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"[:2000]]


if __name__ == "__main__":
    json.dump(main(sys.argv[1:]), sys.stdout)
