"""The PyTorch form, which other devices run, on CPU tensors against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import losskit
from laws import cases, rows_cases
from laws.accuracy import EXCEPTIONS, backward, results
from laws.points import points
from laws.rows_cases import Data, draw
from laws.rows_derivatives import exists
from laws.truth import arrays
from losskit.backends.mpmath import evaluate, term_scale
from losskit.torch import devices
from losskit.torch.plans import plan_of

AGREE = 1e-12
GROW_AS_LOGARITHMS = ("cauchy", "barron", "msle")


def law_torch(loss: losskit.Loss, most: int | None = 4, count: int = 20) -> None:
    """PyTorch computes value, gradient and Hessian of raw scores to 1e-12 of NumPy's."""
    rows = points(loss, most, count, seed=4)
    wanted = ("value", "gradient", "hessian") if cases.has_gradient(loss) else ("value",)
    y, f = arrays(rows, np.float64)
    with np.errstate(all="ignore"):
        ours = results(loss, y, f, "numpy", wanted)
    theirs = _columns(loss, torch.from_numpy(y), torch.from_numpy(f))
    nodes = loss.form(raw=True).graph.select(wanted)
    labels = ["value", *(name for name in wanted[1:] for _ in loss.outputs)]
    for j, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        with np.errstate(all="ignore"):
            same = (a == b) | (abs(a - b) <= np.maximum(AGREE * abs(a), 1e-300))
        for i in np.flatnonzero(~same):
            _check(loss, rows[i], labels[j], nodes[j], float(a[i]), float(b[i]))


def _columns(loss: losskit.Loss, y: torch.Tensor, f: torch.Tensor) -> list[Any]:
    """Return value, gradient and Hessian's diagonal, a column for each output."""
    plan, slopes = plan_of(loss, True, "none", False), cases.has_gradient(loss)
    value, _, gradients = devices.evaluate(plan, [y, f], None, None, None, slopes, 0)
    made = [value, *(_split(g) for g in gradients)]
    count = len(loss.outputs) if slopes else 0
    for i in range(count):
        along = torch.ones_like(f) if count == 1 else torch.eye(count).to(f)[i].expand_as(f)
        (product,) = devices.product(plan, [y, f], [along], None, None, None, 0)
        made.append(product if count == 1 else product[:, i])
    flat = [one for part in made for one in (part if isinstance(part, tuple) else (part,))]
    return [one.numpy() for one in flat]


def _split(gradient: torch.Tensor) -> Any:
    return gradient.unbind(-1) if gradient.ndim == 2 else gradient


def _check(
    loss: losskit.Loss, row: tuple[float, ...], label: str, node: Any, numpy: float, torch: float
) -> None:
    form = loss.form(raw=True)
    at = dict(zip(form.graph.symbols, (*row, *form.values), strict=True))
    entry = EXCEPTIONS.get((loss.name, label))
    if entry and backward(torch, node, at, evaluate([node], at)[0], np.float64, entry[0]):
        return
    text = f"{loss!r}, {label} at {row}: NumPy {numpy!r}, PyTorch {torch!r}"
    assert np.isfinite(numpy), text
    assert abs(numpy - torch) <= AGREE * float(term_scale(node, at)), text


def law_torch_limits(loss: losskit.Loss) -> None:
    """Infinite raw scores have the limits that NumPy gives them, and what grows as a logarithm has
    its value at a huge number, where NumPy tells that it grows without end.
    """
    # What is within 1e-200 of 0 is left out: a slope as 1/y is finite in NumPy, and too large here
    # to be told from one that grows without end.
    targets = [t for t in cases.targets(loss, 4) if t == 0 or 1e-200 < abs(t) < 1e3]
    outputs, slopes = len(loss.outputs), cases.has_gradient(loss)
    y = np.array(targets)
    for score in (np.inf, -np.inf):
        for i in range(outputs):
            f = np.full((len(y), outputs), 0.5)
            f[:, i] = score
            f = f[:, 0] if outputs == 1 else f
            method = loss.value_and_gradient if slopes else loss
            try:
                made = method(y, f, raw=True, reduction="none")
            except ValueError:  # where −∞ is no score: the devices say NaN
                made = (np.full(y.shape, np.nan), np.full(f.shape, np.nan))[: 1 + slopes]
            plan = plan_of(loss, True, "none", False)
            data = [torch.from_numpy(y), torch.from_numpy(f)]
            value, _, gradients = devices.evaluate(plan, data, None, None, None, slopes, 0)
            pairs = zip(made if slopes else (made,), (value, *gradients), strict=False)
            for mine, one in pairs:
                got, slow = one.numpy(), np.isinf(mine) & np.isfinite(one.numpy())
                if slow.any():
                    huge = np.full_like(f, np.copysign(np.finfo(float).max / 4, score))
                    mine = np.where(slow, loss(y, huge, raw=True, reduction="none"), mine)
                    assert loss.name in GROW_AS_LOGARITHMS
                np.testing.assert_allclose(got, mine, rtol=AGREE, atol=1e-150)


def law_torch_rows(loss: losskit.Loss) -> None:
    """Losses over an axis agree in value, gradient and Hessian–vector product, on both scales."""
    for seed, soft in ((3, False), (4, True)):
        data = draw(loss, 9, seed=seed, soft=soft)
        rng = np.random.default_rng(seed)
        weights = rng.integers(0, 4, data.size).astype(float)
        weights[1] = 2
        for one, raw in ((data, True), (rows_cases.probabilities(data), False)):
            for reduction, weight in (("none", None), ("mean", weights)):
                _rows_agree(one, raw, reduction, weight)


def _rows_agree(data: Data, raw: bool, reduction: str, weight: Any) -> None:
    loss, options = data.loss, {"raw": raw, "reduction": reduction}
    if weight is not None:
        options["sample_weight"] = data.weights_of(weight)
    extras = [options.get("sample_weight"), None, None]
    if data.query is not None:
        extras[2] = np.unique(data.query, return_inverse=True)[1]
        options["query"] = extras[2]
    plan = plan_of(loss, raw, reduction, False)
    given = [_tensor(a) for a in data.arrays]
    more = [None if x is None else _tensor(x) for x in extras]
    value, _, gradients = devices.evaluate(plan, given, *more, True, 0)
    mine, slope = loss.value_and_gradient(*data.arrays, **options)
    pairs = [(mine, value), *zip(_listed(slope), gradients, strict=True)]
    if exists(loss, "product"):
        rng = np.random.default_rng(5)
        v = [rng.normal(size=data.arrays[i].shape) for i in data.trained]
        mine = loss.hessian_vector_product(
            *data.arrays, tuple(v) if len(v) > 1 else v[0], **options
        )
        theirs = devices.product(plan, given, [_tensor(x) for x in v], *more, 0)
        pairs += zip(_listed(mine), theirs, strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(b.numpy(), a, rtol=AGREE, atol=1e-14, err_msg=repr(loss))


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def _listed(made: Any) -> list[Any]:
    return list(made) if isinstance(made, tuple) else [made]
