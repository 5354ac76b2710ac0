"""Weights, masks, reductions, parts and classes that do not count: for rows and written losses."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import losskit
from laws import rows_cases
from laws.rows_cases import Data, draw, spoiled
from laws.rows_derivatives import exists
from laws.samples import weights

ULP = float(np.finfo(np.float64).eps)


def independent(loss: losskit.Loss) -> bool:
    """Say whether a row's loss depends on nothing but the row: not so where examples are mined."""
    return loss.kind == "rows" or loss.definition.axis == "item"


def law_reductions(loss: losskit.Loss) -> None:
    """Mean, sum and none are one another's, in value and derivative."""
    data = draw(loss, 37)
    w = data.weights_of(weights(data.size))
    each = data.call(reduction="none", sample_weight=w)
    total = data.call(reduction="sum", sample_weight=w)
    mean = data.call(sample_weight=w)
    assert isinstance(total, float)
    assert isinstance(mean, float)
    size = math.fsum(np.abs(each))
    assert abs(total - math.fsum(each)) <= 2 * ULP * size, f"{loss!r}: sum {total!r} against none"
    divisor = sum(data.call("accumulate", sample_weight=w).denominator)
    assert abs(mean - total / divisor) <= 4 * ULP * abs(mean), f"{loss!r}: mean {mean!r}"
    if loss.kind == "rows":
        assert each.shape == (data.size,)
        assert divisor == pytest.approx(weights(data.size).sum(), rel=1e-15)
    for method in ("gradient", "hessian"):
        if exists(loss, method):
            made = [data.derivatives(method, reduction=r, sample_weight=w)
                    for r in ("sum", "none", "mean")]  # fmt: skip
            for s, n, m in zip(*made, strict=True):
                np.testing.assert_array_equal(s, n, err_msg=repr(loss))
                np.testing.assert_allclose(
                    m, s / divisor, rtol=64 * ULP, atol=16 * ULP * abs(m).max(), err_msg=repr(loss)
                )


def law_weights_multiply(loss: losskit.Loss) -> None:
    """A weight multiplies value and derivatives: exactly, for powers of two."""
    if loss.kind != "rows":
        return
    data = draw(loss, 24)
    rows = np.exp2(np.arange(24) % 7 - 3.0)
    w = data.weights_of(rows)
    plain, weighted = (data.call(reduction="none", **o) for o in ({}, {"sample_weight": w}))
    np.testing.assert_array_equal(weighted, plain * rows, err_msg=repr(loss))
    for method in ("gradient", "hessian"):
        if exists(loss, method):
            a, b = (data.derivatives(method, reduction="none", **o)
                    for o in ({}, {"sample_weight": w}))  # fmt: skip
            for p, q in zip(a, b, strict=True):
                factor = w if p.ndim == 1 else w[:, None]
                np.testing.assert_array_equal(q, p * factor, err_msg=repr(loss))


def law_integer_weights_are_repeated_rows(loss: losskit.Loss) -> None:
    """A weight of 3 is the row, or the list, three times."""
    if not independent(loss):
        return
    data = draw(loss, 20)
    times = np.arange(20) % 4
    a = data.call(sample_weight=data.weights_of(times.astype(float)))
    b = data.take(np.repeat(np.arange(20), times)).call()
    assert a == pytest.approx(b, rel=1e-13), f"{loss!r}: weights {a!r}, repeated rows {b!r}"


def law_left_out_means_left_out(loss: losskit.Loss) -> None:
    """Masked rows and rows of weight 0 may hold NaN and contribute exactly nothing."""
    data = draw(loss, 15)
    out = np.arange(15) % 3 == 1
    kept = np.flatnonzero(~out)
    bad = spoiled(data, np.flatnonzero(out))
    rows = weights(15) if independent(loss) else np.ones(15)
    w, ok = data.weights_of(rows), data.weights_of(~out)
    ways: tuple[dict[str, Any], ...] = (
        {"sample_weight": w, "mask": ok},
        {"sample_weight": np.where(ok, w, np.nan), "mask": ok},
        {"sample_weight": np.where(ok, w, 0.0)},
    )
    part = data.take(kept)
    options = {"sample_weight": part.weights_of(rows[kept])}
    for way in ways:
        for reduction in ("mean", "sum"):
            whole = bad.call(reduction=reduction, **way)
            wanted = part.call(reduction=reduction, **options)
            assert whole == pytest.approx(wanted, rel=64 * ULP), f"{loss!r}: {whole!r}, {wanted!r}"
            for method in ("gradient", "hessian"):
                if not exists(loss, method):
                    continue
                made = bad.derivatives(method, reduction=reduction, **way)
                wants = part.derivatives(method, reduction=reduction, **options)
                for g, h in zip(made, wants, strict=True):
                    assert (g[data.places(np.flatnonzero(out))] == 0).all(), repr(loss)
                    np.testing.assert_allclose(
                        _by_rows(data, g, kept), _by_rows(part, h, range(part.size)),
                        rtol=1e-12, atol=1e-15 * (1 + abs(h).max()), err_msg=repr(loss),
                    )  # fmt: skip


def law_masked_items_are_left_out(loss: losskit.Loss) -> None:
    """A masked item of a list is as if it were not there, and may hold NaN."""
    if not rows_cases.ragged(loss):
        return
    data = draw(loss, 8, seed=4)
    counts = np.ones(len(data.arrays[0]), bool)
    for i in range(data.size):
        where = data.places([i])
        if len(where) > 2:
            counts[where[1]] = False
    arrays = tuple(np.where(counts, a, np.nan) for a in data.arrays)
    bad = Data(loss, arrays, data.query)
    part = Data(loss, tuple(a[counts] for a in data.arrays), data.query[counts])
    assert bad.call(mask=counts) == pytest.approx(part.call(), rel=1e-13)
    for g, h in zip(bad.derivatives(mask=counts), part.derivatives(), strict=True):
        assert (g[~counts] == 0).all()
        np.testing.assert_allclose(g[counts], h, rtol=1e-12, atol=1e-15)


def law_nothing_counts(loss: losskit.Loss) -> None:
    """Where no row counts there is an error, or 0 and a gradient of 0 with `empty="zero"`."""
    data = draw(loss, 6)
    bad = spoiled(data, range(6))
    n = len(data.arrays[0])
    for way in ({"mask": np.zeros(n, bool)}, {"sample_weight": np.zeros(n)}):
        for method in ("__call__", "gradient"):
            with pytest.raises(ValueError, match="empty='zero'"):
                bad.call(method, **way)
        for reduction in ("mean", "sum"):
            assert bad.call(empty="zero", reduction=reduction, **way) == 0.0
            for g, i in zip(bad.derivatives(empty="zero", reduction=reduction, **way),
                            data.trained, strict=True):  # fmt: skip
                assert g.shape == data.arrays[i].shape
                assert (g == 0).all(), repr(loss)
        part = bad.call("accumulate", **way)
        assert (part.numerator, part.denominator) == ((0.0, 0.0), (0.0, 0.0))


def law_parts_add_up(loss: losskit.Loss) -> None:
    """The sum of accumulations is the whole to 4 ulp, with its gradient."""
    if not independent(loss):
        return
    data = draw(loss, 60)
    rows = weights(60)
    order = np.arange(60)
    data = data.take(order)
    whole = data.call("accumulate", sample_weight=data.weights_of(rows), gradient=True)
    parts, slopes = [], []
    for a, b in itertools.pairwise((0, 1, 2, 20, 45, 60)):
        part = data.take(slice(a, b))
        made = part.call("accumulate", sample_weight=part.weights_of(rows[a:b]), gradient=True)
        parts.append(replace(made, gradient=None))
        slopes.append(made.gradient)

    merged = sum(parts[1:], parts[0])
    assert abs(merged.value - whole.value) <= 4 * ULP * abs(whole.value), repr(loss)
    for k in range(len(data.trained)):
        pieces = [s[k] if isinstance(s, tuple) else s for s in slopes]
        full = whole.gradient[k] if isinstance(whole.gradient, tuple) else whole.gradient
        np.testing.assert_allclose(
            np.concatenate(pieces), full, rtol=1e-13, atol=1e-300, err_msg=repr(loss)
        )


def law_ignored_and_weighted_classes(loss: losskit.Loss) -> None:
    """A class weight is the row's weight, an ignored index a row left out."""
    if not rows_cases.of_classes(loss):
        return
    loss = loss(ignore_index=None)
    data = draw(loss, 30)
    y_at = next(i for i, one in enumerate(data.kinds) if one.classes)
    y = data.arrays[y_at].astype(int)
    classes = rows_cases.COLUMNS + (data.kinds[y_at].classes == "level")
    table = np.array([0.5, 2.0, 0.0, 1.25, 3.0, 1.5])[:classes]
    w = weights(30)
    heavy = data.of(loss(class_weight=tuple(table.tolist())))
    for method in ("__call__", "gradient"):
        np.testing.assert_array_equal(
            heavy.call(method, sample_weight=w), data.call(method, sample_weight=w * table[y])
        )
    for ignored in (1, -100):
        marked = data.with_(y_at, np.where(y == 1, ignored, y)).of(loss(ignore_index=ignored))
        for method in ("__call__", "gradient"):
            np.testing.assert_array_equal(
                marked.call(method, sample_weight=w),
                data.call(method, sample_weight=w, mask=y != 1),
            )
    with pytest.raises(ValueError, match=r"class index 0 … \d+"):
        data.with_(y_at, np.where(np.arange(30) == 7, -100, y)).call()
    everything = data.with_(y_at, np.full(30, -100)).of(loss(ignore_index=-100))
    with pytest.raises(ValueError, match="ignored"):
        everything.call()
    assert everything.call(empty="zero") == 0.0


def _by_rows(data: Data, g: Any, rows: Any) -> Any:
    return np.concatenate([np.ravel(g[data.places([i])]) for i in rows])
