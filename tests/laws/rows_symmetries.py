"""What must not matter: order of rows, names of classes, scale of input, dtype, spelling of y."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import losskit
from laws import rows_cases
from laws.rows_cases import COLUMNS, Data, draw, probabilities
from laws.rows_derivatives import exists

EPS = float(np.finfo(np.float64).eps)
# Losses without a gradient at a probability that is exactly 0 and not clipped, and why.
UNCLIPPED = {
    "generalized_cross_entropy": "y·p^(q − 1) is 0·∞ at p = 0 of another class than the target",
    "categorical_focal": "log-odds of 0 and of 1 differ by ∞ − ∞",
}


def law_order_of_rows(loss: losskit.Loss) -> None:
    """Rows in another order give the same in that order; so do lists and their items."""
    data = draw(loss, 17)
    order = np.random.default_rng(1).permutation(len(data.arrays[0]))
    query = None if data.query is None else data.query[order]
    shuffled = Data(loss, tuple(a[order] for a in data.arrays), query)
    if _breaks_ties_by_place(data):
        return
    for reduction in ("mean", "sum"):
        a, b = data.call(reduction=reduction), shuffled.call(reduction=reduction)
        assert a == pytest.approx(b, rel=1e-13), f"{loss!r}: {a!r}, in another order {b!r}"
    if loss.kind == "rows" and query is None:
        each = data.call(reduction="none")
        np.testing.assert_array_equal(shuffled.call(reduction="none"), each[order])
    for method in ("gradient", "hessian"):
        if exists(loss, method):
            pairs = zip(data.derivatives(method), shuffled.derivatives(method), strict=True)
            for g, h in pairs:
                np.testing.assert_allclose(
                    h, g[order], rtol=1e-11, atol=1e-14 * (1 + abs(g).max()), err_msg=repr(loss)
                )


def _breaks_ties_by_place(data: Data) -> bool:
    """A written ranking of tied targets may take them by place, as ListMLE has to."""
    return data.loss.kind == "written" and rows_cases.ragged(data.loss) and not _order_free(data)


def _order_free(data: Data) -> bool:
    return data.loss.name.startswith(("pairwise", "lambda", "approx"))


def law_order_of_classes(loss: losskit.Loss) -> None:
    """Classes, labels and features under other names give the same under those names."""
    if loss.kind != "rows" or rows_cases.ragged(loss) or rows_cases.has_levels(loss):
        return
    data = draw(loss, 15)
    order = np.random.default_rng(2).permutation(COLUMNS)
    place = np.argsort(order)  # where each class went
    arrays = [
        place[a] if one.classes and a.ndim == 1 else a[:, order] if a.ndim == 2 else a
        for one, a in zip(data.kinds, data.arrays, strict=True)
    ]
    moved = {k: tuple(v[i] for i in order) for k, v in loss.params.items() if isinstance(v, tuple)}
    renamed = Data(loss(**moved) if moved else loss, tuple(arrays))
    pairs = [(data.call(reduction="none"), renamed.call(reduction="none"), False)]
    for method in ("gradient", "hessian"):
        if exists(loss, method):
            found = zip(data.derivatives(method), renamed.derivatives(method), strict=True)
            pairs += [(g, h, True) for g, h in found]
    for a, b, varies in pairs:
        np.testing.assert_allclose(
            b, a[:, order] if varies and a.ndim == 2 else a,
            rtol=1e-12, atol=1e-14 * (1 + abs(a).max()), err_msg=repr(loss),
        )  # fmt: skip


def law_shift(loss: losskit.Loss) -> None:
    """Raising all logits by ten thousand changes nothing."""
    if not rows_cases.by_softmax(loss) or loss.params.get("z_loss"):
        return  # the z-loss is there to keep logits near 0
    data = draw(loss, 20)
    data = data.each_trained(lambda a: np.round(a * 2**10) / 2**10)  # so that the shift is exact
    shifted = data.each_trained(lambda a: a + 10_000.0)
    slack = 10_000 * 8 * EPS  # of logits that are then divided by a temperature
    for reduction in ("none", "mean"):
        np.testing.assert_allclose(
            shifted.call(reduction=reduction), data.call(reduction=reduction),
            rtol=slack, atol=slack, err_msg=repr(loss),
        )  # fmt: skip
    for g, h in zip(shifted.derivatives(), data.derivatives(), strict=True):
        np.testing.assert_allclose(g, h, rtol=slack, atol=slack, err_msg=repr(loss))


def law_prediction_scale(loss: losskit.Loss) -> None:
    """Predictions give the value of their raw scores, and derivatives by the chain rule."""
    links = [link.name for link in getattr(loss.definition, "links", ())]
    if not set(links) - {"identity"}:
        return
    for soft in (False, True):
        data = _normalized(draw(loss, 25, soft=soft))
        given = probabilities(data)
        options: dict[str, Any] = {"raw": False, "clip": 0.0}
        np.testing.assert_allclose(
            given.call(reduction="none", **options), data.call(reduction="none"),
            rtol=1e-11, atol=1e-13, err_msg=repr(loss),
        )  # fmt: skip
        by_score = data.derivatives(reduction="none")
        by_prediction = given.derivatives(reduction="none", **options)
        for i, link, g, h in zip(data.trained, links, by_score, by_prediction, strict=True):
            p = given.arrays[i]
            chained = _chained(link, p, h)
            np.testing.assert_allclose(chained, g, rtol=1e-9, atol=1e-11, err_msg=repr(loss))


def _normalized(data: Data) -> Data:
    """Return logits that are log-probabilities: all that predictions say of them."""
    if not rows_cases.by_softmax(data.loss):
        return data
    return data.each_trained(lambda f: f - np.log(np.exp(f).sum(axis=-1, keepdims=True)))


def _chained(link: str, p: Any, h: Any) -> Any:
    """Return the derivative by the raw score from that by the prediction p."""
    if link == "softmax":
        return p * (h - (p * h).sum(axis=-1, keepdims=True))
    return {"logit": p * (1 - p), "log": p, "identity": 1}[link] * h


def law_certain_predictions(loss: losskit.Loss) -> None:
    """Probabilities of 0 and 1 are clipped, or with `clip=0` give their limit, never NaN."""
    if not rows_cases.by_softmax(loss):
        return
    data = draw(loss, 10, 4)
    given = data.with_(data.trained[0], np.eye(4)[np.arange(10) % 4])
    for reduction in ("none", "mean", "sum"):
        assert np.isfinite(given.call(raw=False, reduction=reduction)).all(), repr(loss)
        assert np.isfinite(given.derivatives(raw=False, reduction=reduction)[0]).all(), repr(loss)
    exact: dict[str, Any] = {"raw": False, "clip": 0.0, "reduction": "none"}
    made = given.call(**exact)
    assert not np.isnan(made).any(), f"{loss!r}: clip=0 gives {made}"
    if loss.name not in UNCLIPPED and loss == losskit.get(loss.name):
        slope = given.derivatives(**exact)[0]
        assert not np.isnan(slope).any(), f"{loss!r}: gradient, clip=0: {slope}"


def law_index_is_one_hot(loss: losskit.Loss) -> None:
    """A class index and its one-hot row are the same target."""
    one = rows_cases.class_input(loss)
    if one is None or one.classes not in ("hard", "soft"):
        return
    loss = loss(ignore_index=None)  # which is for indexes
    data = draw(loss, 25)
    at = next(i for i, k in enumerate(data.kinds) if k.classes)
    y = data.arrays[at]
    for kind in (np.int64, np.int8, np.uint16, np.float64, np.float32):
        spelled = data.with_(at, y.astype(kind))
        np.testing.assert_array_equal(spelled.call(reduction="none"), data.call(reduction="none"))
    for kind in (np.float64, np.float32, np.int64, np.bool_):
        hot = data.with_(at, np.eye(COLUMNS)[y].astype(kind))
        for method in ("__call__", "gradient", *(["hessian"] if exists(loss, "hessian") else [])):
            np.testing.assert_allclose(
                hot.call(method), data.call(method), rtol=4 * EPS, atol=1e-18, err_msg=repr(loss)
            )


def law_dtypes(loss: losskit.Loss) -> None:
    """The dtype of what is trained decides the result's, and halves compute in float32."""
    import ml_dtypes

    data = draw(loss, 20)
    halves = data.each_trained(lambda a: a.astype(ml_dtypes.bfloat16).astype(np.float64))
    wide = halves.call(reduction="none")
    slopes = halves.derivatives(reduction="none")
    for kind in (np.float32, np.float16, ml_dtypes.bfloat16):
        narrow = halves.each_trained(lambda a, kind=kind: a.astype(kind))
        unit = float(ml_dtypes.finfo(kind).eps)
        values = narrow.call(reduction="none")
        assert values.dtype == kind, f"{loss!r}: {values.dtype} of {kind}"
        size = 1 + abs(wide).max()
        np.testing.assert_allclose(
            values.astype(float), wide, rtol=2 * unit + 1e-4, atol=1e-5 * size
        )
        for g, h in zip(narrow.derivatives(reduction="none"), slopes, strict=True):
            assert g.dtype == kind, repr(loss)
            slack = (1e-4 + unit**2) * (1 + abs(h).max())
            np.testing.assert_allclose(
                g.astype(float), h, rtol=2 * unit + 1e-3, atol=slack, err_msg=repr(loss)
            )
        assert isinstance(narrow.call(), float)
    whole = data.each_trained(lambda a: np.round(a).astype(np.int64))
    assert whole.call(reduction="none").dtype == np.float64


def law_results_do_not_alias_or_change_data(loss: losskit.Loss) -> None:
    """A call changes none of its arguments, and results are the caller's own."""
    data = draw(loss, 12)
    frozen = replace(data, arrays=tuple(a.copy() for a in data.arrays))
    for a in data.arrays:
        a.flags.writeable = False
    first = data.derivatives(reduction="none")
    for a, b in zip(data.arrays, frozen.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    for g in first:
        assert g.flags.writeable
        assert not any(np.shares_memory(g, a) for a in data.arrays)
    for g, h in zip(first, data.derivatives(reduction="none"), strict=True):
        assert not np.shares_memory(g, h)
        np.testing.assert_array_equal(g, h)
    out = [np.full_like(g, np.nan) for g in first]
    data.call("gradient", reduction="none", out=tuple(out) if len(out) > 1 else out[0])
    for g, h in zip(first, out, strict=True):
        np.testing.assert_array_equal(g, h)


def law_layout(loss: losskit.Loss) -> None:
    """Lists, Fortran order and strides give what contiguous arrays give."""
    data = draw(loss, 10)
    wanted = data.call(reduction="none")
    ways = (
        lambda a: a.tolist(),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(a.dtype.newbyteorder(">")),
    )
    for way in ways:
        other = replace(data, arrays=tuple(way(a) for a in data.arrays))
        np.testing.assert_array_equal(other.call(reduction="none"), wanted, err_msg=repr(loss))
