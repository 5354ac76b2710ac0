"""The fused linear cross-entropy: values and gradients, blocks, options and refusals."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from losskit.backends import linear_kernels, linear_sweep
from losskit.linear import LinearCrossEntropy, linear_cross_entropy

N, D, V = 23, 7, 1100  # more than two of the kernels' blocks of 512 classes
RNG = np.random.default_rng(3)
Y = RNG.integers(0, V, N)
HIDDEN = RNG.normal(size=(N, D))
WEIGHT = RNG.normal(size=(V, D))
BIAS = RNG.normal(size=V)
WEIGHTS = RNG.random(N)
WEIGHTS[[2, 11]] = 0.0

OPTIONS = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.1},
    "all smooth": {"label_smoothing": 1.0},
    "z_loss": {"z_loss": 0.01},
    "softcap": {"softcap": 2.5},
    "temperature": {"temperature": 0.6},
    "all": {"label_smoothing": 0.2, "z_loss": 0.003, "softcap": 4.0, "temperature": 1.7},
}
# One block of all; several blocks of tokens; blocks that cut the classes too.
MEMORIES = {"one": None, "tokens": 64 * V * 8 // 8, "classes": 8 * 150, "tiny": 1}


@pytest.fixture(params=["numpy", "compiled"])
def tier(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
        monkeypatch.setattr(linear_kernels, "CROSSOVER", 0)
        if linear_kernels.steps(np.dtype("float64"), 1) is linear_kernels.NUMPY:
            pytest.skip("Numba is switched off")
    else:
        monkeypatch.setattr(linear_kernels, "CROSSOVER", 1 << 62)
    return request.param


@pytest.fixture
def small_blocks(monkeypatch):
    """Let little data be cut as much data is."""
    monkeypatch.setattr(linear_sweep, "FEW", 4)
    monkeypatch.setattr(linear_sweep, "BUFFER", 8 * D * 100)


def scores(hidden, weight, bias, softcap=None, temperature=1.0):
    z = hidden @ weight.T + bias
    return (z if softcap is None else softcap * np.tanh(z / softcap)) / temperature


def losses(y, hidden, weight, bias, label_smoothing=0.0, z_loss=0.0, **scale):
    s = scores(hidden, weight, bias, **scale)
    top = s.max(axis=-1)
    lse = top + np.log(np.exp(s - top[:, None]).sum(axis=-1))
    own = np.take_along_axis(s, y[:, None], -1)[:, 0]
    spread = (lse[:, None] - s).mean(axis=-1)
    return (1 - label_smoothing) * (lse - own) + label_smoothing * spread + z_loss * lse**2


def torch_gradients(upstream, label_smoothing=0.0, z_loss=0.0, softcap=None, temperature=1.0):
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(a, requires_grad=True) for a in (HIDDEN, WEIGHT, BIAS)]
    s = leaves[0] @ leaves[1].T + leaves[2]
    if softcap is not None:
        s = softcap * torch.tanh(s / softcap)
    s = s / temperature
    each = torch.nn.functional.cross_entropy(
        s, torch.tensor(Y), reduction="none", label_smoothing=label_smoothing
    )
    each = each + z_loss * torch.logsumexp(s, -1) ** 2
    (each * torch.tensor(upstream)).sum().backward()
    return [leaf.grad.numpy() for leaf in leaves]


def relative(one, other):
    return np.abs(np.asarray(one, np.float64) - other).max() / np.abs(other).max()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.usefixtures("small_blocks")
def test_value_and_gradients(tier, options, memory, dtype):
    value, gradients = linear_cross_entropy.value_and_gradient(
        Y,
        HIDDEN.astype(dtype),
        WEIGHT.astype(dtype),
        bias=BIAS.astype(dtype),
        sample_weight=WEIGHTS,
        memory=memory,
        **options,
    )
    truth = np.average(losses(Y, HIDDEN, WEIGHT, BIAS, **options), weights=WEIGHTS)
    tolerance = 1e-14 if dtype == "float64" else 2e-6
    assert value == pytest.approx(truth, rel=tolerance)
    expected = torch_gradients(WEIGHTS / WEIGHTS.sum(), **options)
    for gradient, good in zip(gradients, expected, strict=True):
        assert gradient.shape == good.shape
        assert gradient.dtype == dtype
        assert relative(gradient, good) < tolerance
    assert not gradients[0][[2, 11]].any()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_call_gives_the_value_alone(tier, options):
    arguments = (Y, HIDDEN, WEIGHT)
    options = {**options, "bias": BIAS, "memory": 8 * 150}
    assert (
        linear_cross_entropy(*arguments, **options)
        == linear_cross_entropy.value_and_gradient(*arguments, **options)[0]
    )


def test_blocks_cover_what_there_is():
    def block(tokens, classes, memory, dtype="float32"):
        labels = np.empty(tokens, np.int64)
        weight = np.empty((classes, 1), dtype)
        return linear_sweep.Layer(
            weight, weight, weight, labels, None, linear_kernels.Scale(), 0.0, 0.0, memory
        ).block

    assert block(4096, 32000, 1 << 25) == (256, 32000)  # 262 would fit; all blocks alike
    assert block(4096, 32000, 64 * 32000 * 4) == (64, 32000)
    tokens, classes = block(4096, 32000, 64 * 32000 * 4 - 1)
    assert (tokens, classes) == (512, 3999)
    assert block(3, 32000, 3 * 32000 * 4) == (3, 32000)
    assert block(4096, 32000, 1) == (1, 1)
    for memory in (1, 100, 10_000, 1_000_000, 1 << 30):
        tokens, classes = block(1000, 5000, memory)
        assert 4 * tokens * classes <= max(4, memory)


@pytest.mark.usefixtures("small_blocks")
def test_room_for_few_tokens_cuts_the_tokens_only(monkeypatch):
    seen = []
    real = linear_sweep._logits
    monkeypatch.setattr(
        linear_sweep,
        "_logits",
        lambda h, w, room: seen.append((len(h), len(w))) or real(h, w, room),
    )
    linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, memory=8 * V * 6)
    assert seen == [(6, V)] * 3 + [(5, V)]
    seen.clear()
    linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, memory=8 * V * 3)
    assert sum(a * b for a, b in seen) == 2 * N * V
    assert max(a * b for a, b in seen) <= V * 3


def test_reductions(tier):
    each = losses(Y, HIDDEN, WEIGHT, BIAS)
    none = linear_cross_entropy(
        Y, HIDDEN, WEIGHT, bias=BIAS, sample_weight=WEIGHTS, reduction="none"
    )
    np.testing.assert_allclose(none, WEIGHTS * each, rtol=1e-13)
    assert none.dtype == np.float64
    total, gradients = linear_cross_entropy.value_and_gradient(
        Y, HIDDEN, WEIGHT, bias=BIAS, sample_weight=WEIGHTS, reduction="sum"
    )
    assert isinstance(total, float)
    assert total == pytest.approx(WEIGHTS @ each, rel=1e-14)
    for gradient, good in zip(gradients, torch_gradients(WEIGHTS), strict=True):
        assert relative(gradient, good) < 1e-14


def test_upstream_of_each_token(tier):
    upstream = RNG.normal(size=N)  # of either sign
    options = {"bias": BIAS, "sample_weight": WEIGHTS, "reduction": "none", "z_loss": 0.01}
    value, gradients = linear_cross_entropy.value_and_gradient(
        Y, HIDDEN, WEIGHT, upstream=upstream, **options
    )
    np.testing.assert_array_equal(value, linear_cross_entropy(Y, HIDDEN, WEIGHT, **options))
    expected = torch_gradients(WEIGHTS * upstream, z_loss=0.01)
    for gradient, good in zip(gradients, expected, strict=True):
        assert relative(gradient, good) < 1e-14
    with pytest.raises(ValueError, match="need upstream="):
        linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, reduction="none")
    with pytest.raises(ValueError, match="goes with reduction='none' only"):
        linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, upstream=upstream)
    with pytest.raises(ValueError, match=r"upstream has shape \(22,\)"):
        linear_cross_entropy.value_and_gradient(
            Y, HIDDEN, WEIGHT, upstream=upstream[1:], reduction="none"
        )
    upstream[4] = np.nan
    with pytest.raises(ValueError, match=r"upstream\[4\] = nan"):
        linear_cross_entropy.value_and_gradient(
            Y, HIDDEN, WEIGHT, upstream=upstream, reduction="none"
        )


@pytest.mark.parametrize("way", ["mask", "ignore_index", "sample_weight"])
@pytest.mark.parametrize("memory", [None, 8 * 150])
def test_tokens_that_do_not_count_may_hold_anything(tier, way, memory):
    counts = np.ones(N, bool)
    counts[[0, 5, 22]] = False
    y, hidden = Y.copy(), HIDDEN.copy()
    hidden[~counts] = [[np.nan], [np.inf], [-np.inf]]
    y[~counts] = -100
    given = {"mask": counts, "ignore_index": -100, "sample_weight": counts.astype(float)}[way]
    value, gradients = linear_cross_entropy.value_and_gradient(
        y, hidden, WEIGHT, bias=BIAS, memory=memory, **{way: given}
    )
    kept = linear_cross_entropy.value_and_gradient(
        Y[counts], HIDDEN[counts], WEIGHT, bias=BIAS, memory=memory
    )
    assert value == pytest.approx(kept[0], rel=1e-14)
    assert not gradients[0][~counts].any()
    np.testing.assert_allclose(gradients[0][counts], kept[1][0], rtol=1e-10, atol=1e-16)
    for one, good in zip(gradients[1:], kept[1][1:], strict=True):
        assert relative(one, good) < 1e-14
    none = linear_cross_entropy(
        y, hidden, WEIGHT, bias=BIAS, reduction="none", memory=memory, **{way: given}
    )
    assert not none[~counts].any()
    assert none[counts].all()


def test_batches_of_sequences():
    y, hidden = Y[:20].reshape(4, 5), HIDDEN[:20].reshape(4, 5, D)
    flat_value, flat = linear_cross_entropy.value_and_gradient(Y[:20], HIDDEN[:20], WEIGHT)
    value, (by_hidden, by_weight) = linear_cross_entropy.value_and_gradient(y, hidden, WEIGHT)
    assert value == flat_value
    np.testing.assert_array_equal(by_hidden, flat[0].reshape(4, 5, D))
    np.testing.assert_array_equal(by_weight, flat[1])
    assert linear_cross_entropy(y, hidden, WEIGHT, reduction="none").shape == (4, 5)
    by_row = linear_cross_entropy(y, hidden, WEIGHT, sample_weight=[1.0, 0.0, 0.0, 0.0])
    assert by_row == pytest.approx(linear_cross_entropy(y[0], hidden[0], WEIGHT), rel=1e-14)
    one = linear_cross_entropy(np.int64(3), HIDDEN[0], WEIGHT)
    assert one == pytest.approx(linear_cross_entropy([3], HIDDEN[:1], WEIGHT), rel=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_confident_predictions_keep_their_gradient(tier, dtype):
    # p − 1 would be 0 in either type: the own class leads by 60.
    hidden, weight = np.ones((1, 1), dtype), np.array([[60.0], [0.0], [1.0]], dtype)
    value, (_, by_weight) = linear_cross_entropy.value_and_gradient([0], hidden, weight)
    others = np.exp([-60.0, -59.0])
    assert value == pytest.approx(np.log1p(others.sum()), rel=1e-6, abs=0)
    np.testing.assert_allclose(
        by_weight[:, 0], [-others.sum(), *others], rtol=1e-14 if dtype == "float64" else 1e-6
    )


def test_shifted_logits(tier):
    near = linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, bias=BIAS)
    far = linear_cross_entropy.value_and_gradient(Y, HIDDEN, WEIGHT, bias=BIAS + 1e4)
    assert far[0] == pytest.approx(near[0], rel=1e-11)
    for one, other in zip(far[1], near[1], strict=True):
        assert relative(one, other) < 1e-10


@pytest.mark.parametrize("memory", [None, 8 * 150])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_forbidden_classes(tier, memory, label_smoothing):
    forbidden = np.zeros(V, bool)
    forbidden[600:] = True  # a whole block of the kernels, and most of a second
    bias, y = np.where(forbidden, -np.inf, BIAS), Y % 600
    options = {"label_smoothing": label_smoothing, "z_loss": 0.01, "memory": memory}
    value, gradients = linear_cross_entropy.value_and_gradient(
        y, HIDDEN, WEIGHT, bias=bias, **options
    )
    expected = linear_cross_entropy.value_and_gradient(
        y, HIDDEN, WEIGHT[:600], bias=BIAS[:600], **options
    )
    assert value == pytest.approx(expected[0], rel=1e-14)
    assert relative(gradients[0], expected[1][0]) < 1e-13
    for one, good in zip(gradients[1:], expected[1][1:], strict=True):
        assert relative(one[:600], good) < 1e-14
        assert not one[600:].any()
    assert linear_cross_entropy([700], HIDDEN[:1], WEIGHT, bias=bias, memory=memory) == np.inf
    with pytest.raises(ValueError, match="for every class"):
        linear_cross_entropy(y, HIDDEN, WEIGHT, bias=np.full(V, -np.inf), memory=memory)
    with pytest.raises(ValueError, match=r"bias\[600\] = -inf .* does not go with softcap"):
        linear_cross_entropy(y, HIDDEN, WEIGHT, bias=bias, softcap=3.0)


def test_narrow_types_compute_in_float32():
    pairs = [("float16", "float16"), ("float16", "float32")]
    if "ml_dtypes" in sys.modules or pytest.importorskip("ml_dtypes"):
        import ml_dtypes

        pairs.append((ml_dtypes.bfloat16, ml_dtypes.bfloat16))
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
        ({"sample_weight": WEIGHTS - 0.1}, r"sample_weight at \[2\] is -0\.1"),
        ({"sample_weight": np.full(N, 1e308)}, r"sum of sample_weight overflows"),
        ({"sample_weight": WEIGHTS[1:]}, r"sample_weight has shape \(22,\)"),
        ({"label_smoothing": 1.5}, r"label_smoothing=1\.5; needed is a number from 0 to 1"),
        ({"label_smoothing": float("nan")}, r"label_smoothing=nan"),
        ({"z_loss": -1}, r"z_loss=-1"),
        ({"softcap": 0}, r"softcap=0; needed is a finite number above 0, or None"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"temperature": True}, r"temperature=True"),
        ({"memory": 0}, r"memory=0; needed is a whole number of bytes"),
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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("memory", [None, 8 * 150])
def test_what_is_not_finite_is_named(tier, bad, memory):
    hidden, weight, counts = HIDDEN.copy(), WEIGHT.copy(), np.ones(N, bool)
    counts[:3] = False
    hidden[[1, 13], 2] = bad
    with pytest.raises(ValueError, match=r"hidden\[13, 2\] = (nan|inf|-inf) is not finite"):
        linear_cross_entropy(Y, hidden, WEIGHT, mask=counts, memory=memory)
    weight[777, 5] = bad
    with pytest.raises(ValueError, match=r"weight\[777, 5\] = (nan|inf|-inf) is not finite"):
        linear_cross_entropy.value_and_gradient(Y, HIDDEN, weight, memory=memory)


def test_overflow_is_named(tier):
    with pytest.raises(ValueError, match=r"logits of y_true\[0\] overflow float32.*float64"):
        linear_cross_entropy([0, 1], np.full((2, 1), 1e30, "f"), np.full((2, 1), 1e30, "f"))
    # ±1e38 with a bias of as much: one sum overflows, though no product does
    with pytest.raises(ValueError, match="overflow float32"):
        linear_cross_entropy(
            [1], np.ones((1, 1), "f"), np.array([[3e38], [0]], "f"), bias=np.array([3e38, 0], "f")
        )


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
