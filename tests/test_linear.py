"""The fused linear cross-entropy: values and gradients, blocks, and what is not finite."""

import numpy as np
import pytest

from losskit.backends import linear_kernels, linear_sweep
from losskit.linear import linear_cross_entropy

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
    "z_loss": {"z_loss": 0.01},
    "softcap": {"softcap": 2.5},
    "temperature": {"temperature": 0.6},
    "all": {"label_smoothing": 0.2, "z_loss": 0.003, "softcap": 4.0, "temperature": 1.7},
}
# One block of all; several blocks of tokens; blocks that cut the classes too.
MEMORIES = {"one": None, "tokens": 64 * V * 8 // 8, "classes": 8 * 150, "tiny": 8 * 20}


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


def test_blocks_of_one_logit(tier):
    data = (Y[:5] % 11, HIDDEN[:5], WEIGHT[:11])
    value, gradients = linear_cross_entropy.value_and_gradient(*data, memory=1)
    whole_value, whole = linear_cross_entropy.value_and_gradient(*data)
    assert value == pytest.approx(whole_value, rel=1e-14)
    for one, good in zip(gradients, whole, strict=True):
        assert relative(one, good) < 1e-14


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


def test_an_infinite_weight_forbids_nothing(tier):
    weight, data = np.abs(WEIGHT), (np.zeros(N, int), np.abs(HIDDEN))
    weight[900] = -np.inf  # with positive hidden, every logit is −inf and every loss finite
    with pytest.raises(ValueError, match=r"weight\[900, 0\] = -inf .* pass bias\[900\] = -inf"):
        linear_cross_entropy(*data, weight)
    for bad in (np.nan, np.inf):  # which nobody writes to forbid a class
        weight[900] = bad
        with pytest.raises(ValueError, match=r"weight\[900, 0\] = (nan|inf) is not finite$"):
            linear_cross_entropy(*data, weight)


def test_overflow_is_named(tier):
    with pytest.raises(ValueError, match=r"logits of y_true\[0\] overflow float32.*float64"):
        linear_cross_entropy([0, 1], np.full((2, 1), 1e30, "f"), np.full((2, 1), 1e30, "f"))
    # ±1e38 with a bias of as much: one sum overflows, though no product does
    with pytest.raises(ValueError, match="overflow float32"):
        linear_cross_entropy(
            [1], np.ones((1, 1), "f"), np.array([[3e38], [0]], "f"), bias=np.array([3e38, 0], "f")
        )
