"""The fused linear cross-entropy: types, layouts, refusals, threads and memory."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from losskit.backends import linear_kernels
from losskit.linear import LinearCrossEntropy, linear_cross_entropy

N, D, V = 23, 7, 1100
RNG = np.random.default_rng(4)
Y = RNG.integers(0, V, N)
HIDDEN = RNG.normal(size=(N, D))
WEIGHT = RNG.normal(size=(V, D))
BIAS = RNG.normal(size=V)
WEIGHTS = RNG.random(N)
WEIGHTS[[2, 11]] = 0.0


def relative(one, other):
    return np.abs(np.asarray(one, np.float64) - other).max() / np.abs(other).max()


def test_narrow_types_compute_in_float32():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    pairs = [("float16", "float16"), ("float16", "float32"), (bfloat16, bfloat16)]
    for of_hidden, of_weight in pairs:
        hidden, weight = HIDDEN.astype(of_hidden), WEIGHT.astype(of_weight)
        value, gradients = linear_cross_entropy.value_and_gradient(Y, hidden, weight)
        wide = [a.astype(np.float32) for a in (hidden, weight)]
        expected = linear_cross_entropy.value_and_gradient(Y, *wide)
        assert value == expected[0]
        for one, good, dtype in zip(gradients, expected[1], (of_hidden, of_weight), strict=True):
            assert one.dtype == dtype
            np.testing.assert_array_equal(one, good.astype(dtype))
        none = linear_cross_entropy(Y, hidden, weight, reduction="none")
        assert none.dtype == of_hidden


def test_layouts_of_memory():
    expected = linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT)
    wide = np.zeros((V, 2 * D))
    wide[:, ::2] = WEIGHT
    swapped = HIDDEN.astype(HIDDEN.dtype.newbyteorder())
    for hidden, weight in (
        (np.asfortranarray(HIDDEN), np.asfortranarray(WEIGHT)),
        (HIDDEN[::-1].copy()[::-1], wide[:, ::2]),
        (swapped, WEIGHT.astype(WEIGHT.dtype.newbyteorder())),
        (HIDDEN.tolist(), WEIGHT.tolist()),
    ):
        value, gradients = linear_cross_entropy.value_and_gradient(
            Y.astype(np.int16), hidden, weight
        )
        assert value == pytest.approx(expected[0], rel=1e-14)
        for one, good in zip(gradients, expected[1], strict=True):
            assert relative(one, good) < 1e-14
            assert one.dtype == np.float64
    for given in (HIDDEN, WEIGHT):
        given.flags.writeable = False
    try:
        assert linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT)[0] == expected[0]
    finally:
        for given in (HIDDEN, WEIGHT):
            given.flags.writeable = True


@pytest.mark.parametrize("given", [{"mask": np.zeros(N, bool)}, {"sample_weight": np.zeros(N)}])
def test_nothing_counts(given):
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match=r"no token counts .* pass empty='zero'"):
            linear_cross_entropy(Y, HIDDEN, WEIGHT, reduction=reduction, **given)
        value, gradients = linear_cross_entropy.value_and_gradient(
            Y, HIDDEN, WEIGHT, bias=BIAS, reduction=reduction, empty="zero", **given
        )
        assert value == 0.0
        assert [g.shape for g in gradients] == [(N, D), (V, D), (V,)]
        assert not any(g.any() for g in gradients)
    assert not linear_cross_entropy(Y, HIDDEN, WEIGHT, reduction="none", **given).any()
    with pytest.raises(ValueError, match="equal to ignore_index=7"):
        linear_cross_entropy(np.full(N, 7), HIDDEN, WEIGHT, ignore_index=7)
    assert linear_cross_entropy([], HIDDEN[:0], WEIGHT, empty="zero") == 0.0
    with pytest.raises(ValueError, match=r"no token counts \(0 given"):
        linear_cross_entropy(Y[:0], HIDDEN[:0], WEIGHT)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": Y + 1e-3}, r"needed are integer labels"),
        ({"y": np.where(np.arange(N) == 4, -1, Y)}, r"y_true\[4\] = -1 is no class.*0 to 1099"),
        ({"y": np.where(np.arange(N) == 9, V, Y)}, r"y_true\[9\] = 1100 is no class"),
        ({"y": Y[1:]}, r"y_true has shape \(22,\) and hidden \(23, 7\)"),
        ({"weight": WEIGHT[:, 1:]}, r"hidden has width 7 and weight shape \(1100, 6\)"),
        ({"weight": WEIGHT.T}, r"pass weight\.T"),
        ({"weight": BIAS}, r"weight has shape \(1100,\)"),
        ({"bias": BIAS[1:]}, r"bias has shape \(1099,\); needed is \(1100,\)"),
        ({"bias": np.where(np.arange(V) == 3, np.nan, BIAS)}, r"bias\[3\] = nan"),
        ({"sample_weight": WEIGHTS - 0.1}, r"sample_weight of row 2 is -0\.1; needed is finite"),
        ({"class_weight": [1.0, -1.0]}, r"class_weight\[1\]=-1; needed is a number in \[0, ∞\)"),
        ({"class_weight": [1.0, 2.0]}, r"class_weight holds 2 numbers; needed .* 1100 classes"),
        ({"ignore_index": "pad"}, r"ignore_index='pad'; needed is a whole number"),
        ({"ignore_index": 1.5}, r"ignore_index=1\.5; needed is a whole number"),
        ({"sample_weight": WEIGHTS[1:]}, r"sample_weight has shape \(22,\)"),
        ({"label_smoothing": 1.5}, r"label_smoothing=1\.5; needed is a number in \[0, 1\)"),
        ({"label_smoothing": float("nan")}, r"label_smoothing=nan"),
        ({"z_loss": -1}, r"z_loss=-1"),
        ({"softcap": 0}, r"softcap=0; needed is a number in \(0, ∞\)"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"temperature": True}, r"temperature=True"),
        ({"memory": 0}, r"memory=0; needed is a whole number of at least 1"),
        ({"reduction": "avg"}, r"reduction='avg'; needed is one of 'mean', 'sum', 'none'"),
        ({"empty": "nan"}, r"empty='nan'"),
    ],
)
def test_refusals(changed, message):
    data = {"y": Y, "hidden": HIDDEN, "weight": WEIGHT}
    data |= {k: v for k, v in changed.items() if k in data}
    options = {k: v for k, v in changed.items() if k not in data}
    with pytest.raises((ValueError, TypeError), match=message):
        linear_cross_entropy(*data.values(), **options)


def test_results_do_not_depend_on_threads():
    pytest.importorskip("numba")
    from losskit.backends.threads import set_num_threads

    z = RNG.normal(size=(40, 3000))
    labels = RNG.integers(0, 3000, 40)
    found = []
    for threads in (1, 3):
        set_num_threads(threads)
        steps = linear_kernels.steps(z.dtype, 1 << 30)
        stats, block = linear_kernels.new_stats(len(z)), z.copy()
        steps.scan(block, np.empty(0), labels, stats, linear_kernels.Scale(), True)
        found.append((stats, block))
    set_num_threads(None)
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_options_are_those_of_cross_entropy():
    import losskit

    given = {"label_smoothing": 0.2, "z_loss": 0.01, "temperature": 0.7, "ignore_index": Y[3]}
    weights = {"class_weight": RNG.random(V) + 0.5, "sample_weight": WEIGHTS}
    ours = linear_cross_entropy(Y, HIDDEN, WEIGHT, **given, **weights)
    by_class = {"class_weight": tuple(weights.pop("class_weight"))}
    logits = HIDDEN @ WEIGHT.T
    theirs = losskit.cross_entropy(**given, **by_class)(Y, logits, raw=True, **weights)
    assert ours == pytest.approx(theirs, rel=1e-14)
    one = linear_cross_entropy(Y, HIDDEN, WEIGHT, class_weight=2.0, reduction="sum")
    assert one == pytest.approx(2 * linear_cross_entropy(Y, HIDDEN, WEIGHT, reduction="sum"))
    # A class of weight 0 does not count at all.
    hidden, no_such = HIDDEN.copy(), np.ones(V)
    hidden[3] = np.nan
    no_such[Y[3]] = 0.0
    alone = linear_cross_entropy(Y, hidden, WEIGHT, class_weight=no_such)
    assert alone == linear_cross_entropy(Y, hidden, WEIGHT, ignore_index=int(Y[3]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("power", [-1020, -170, 170, 1023])  # of 2; the sum of some overflows
def test_weights_of_any_size(dtype, power):
    data = Y, HIDDEN.astype(dtype), WEIGHT.astype(dtype)
    counts = np.arange(N) % 5 != 0
    plain, size = counts.astype(float), np.ldexp(1.0, power)
    value, gradients = linear_cross_entropy.value_and_gradient(*data, sample_weight=plain)
    by_class = {"sample_weight": plain * np.ldexp(1.0, power // 2)}
    by_class["class_weight"] = np.full(V, np.ldexp(1.0, power - power // 2))
    for weights in ({"sample_weight": plain * size}, by_class):
        got, by = linear_cross_entropy.value_and_gradient(*data, **weights)
        assert got == value
        for one, good in zip(by, gradients, strict=True):
            np.testing.assert_array_equal(one, good)
        for reduction in ("sum", "none"):
            few = linear_cross_entropy(*data, sample_weight=plain, reduction=reduction)
            with np.errstate(over="ignore"):
                expected = np.ldexp(few, power)
            got = linear_cross_entropy(*data, **weights, reduction=reduction)
            np.testing.assert_array_equal(got, expected)
    by = linear_cross_entropy.gradient(
        *data, sample_weight=plain * size, reduction="none", upstream=np.full(N, 1 / size)
    )
    expected = linear_cross_entropy.gradient(*data, sample_weight=plain, reduction="sum")
    for one, good in zip(by, expected, strict=True):
        np.testing.assert_array_equal(one, good)


def test_a_call_without_data_says_what_to_call():
    message = (
        r"losskit\.linear_cross_entropy\(y_true, hidden, weight, label_smoothing=0\.1\): unlike"
    )
    with pytest.raises(TypeError, match=message):
        linear_cross_entropy(label_smoothing=0.1)
    with pytest.raises(TypeError, match=r"data are missing.*\(y_true, hidden, weight\)"):
        linear_cross_entropy.gradient(Y, HIDDEN)


def test_both_calls_have_the_same_options():
    call = inspect.signature(LinearCrossEntropy.__call__).parameters
    both = dict(inspect.signature(LinearCrossEntropy.value_and_gradient).parameters)
    assert both.pop("upstream").default is None
    assert both == dict(call)
    assert repr(linear_cross_entropy) == "losskit.linear_cross_entropy"


PEAK = """
import sys
from pathlib import Path
import numpy as np
from losskit.linear import linear_cross_entropy

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(x.split()[1] for x in lines if x.startswith(key + ":")))

def run(n, d, v):
    y = np.arange(n) % v
    hidden, weight = np.ones((n, d), np.float32), np.ones((v, d), np.float32)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    linear_cross_entropy.value_and_gradient(y, hidden, weight, memory=1 << 22)
    return status("VmHWM") - before

run(256, 16, 16384)  # libraries, machine code, BLAS's own buffers
print(run(4096, 16, 16384))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")
def test_logits_are_never_whole():
    done = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, timeout=120, check=False
    )
    if "PermissionError" in done.stderr:
        pytest.skip("this system does not let a process reset its peak")
    assert done.returncode == 0, done.stderr
    # All logits would be 256 MiB; a block has 4, the gradients 1.25.
    assert int(done.stdout) < 32 << 20
