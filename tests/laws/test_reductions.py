"""Weights, masks, reductions and parts of every loss, in both tiers."""

from __future__ import annotations

import numpy as np
import pytest

import losskit
from laws import cases, reductions
from laws.samples import sample, weights

LAWS = (
    reductions.law_reductions,
    reductions.law_weights_multiply,
    reductions.law_integer_weights_are_repeated_rows,
    reductions.law_left_out_means_left_out,
    reductions.law_parts_add_up,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", cases.names())
def test_reductions(name: str, law) -> None:
    law(losskit.get(name), "numpy")


@pytest.mark.parametrize("name", cases.stratified())
def test_reductions_of_kernels(name: str) -> None:
    for law in LAWS:
        law(losskit.get(name), "numba")


@pytest.mark.parametrize("name", [n for n in cases.names() if cases.has_gradient(losskit.get(n))])
def test_accumulated_gradients(name: str) -> None:
    reductions.law_accumulate_gives_gradients(losskit.get(name))


@pytest.mark.parametrize("name", ["huber", "gamma", "gaussian_nll", "binary_cross_entropy"])
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    loss = losskit.get(name)
    y, f = sample(loss, 200_000)
    w = weights(200_000)
    seen = set()
    from losskit.backends.threads import get_num_threads, set_num_threads

    before = get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            set_num_threads(threads)
            value, gradient = loss.value_and_gradient(y, f, raw=True, sample_weight=w, tier="numba")
            seen.add((value, gradient.tobytes()))
    finally:
        set_num_threads(before)
    assert len(seen) == 1


@pytest.mark.parametrize("tier", ["numpy", "numba"])
def test_sums_that_cancel_are_exact_over_many_blocks(tier: str) -> None:
    loss = losskit.get("gamma")
    y, f = sample(loss, 100_003)
    y[1::2], f[1::2] = 1.0, 0.0
    each = loss(y, f, raw=True, reduction="none", tier=tier)
    whole = loss.accumulate(y, f, raw=True, tier=tier)
    parts = [loss.accumulate(y[s:s + 777], f[s:s + 777], raw=True, tier=tier)
             for s in range(0, 100_003, 777)]  # fmt: skip
    assert abs(sum(parts).value - whole.value) <= 4 * np.spacing(abs(whole.value))
    assert each.size == 100_003
