"""The compiled softmax cross-entropy: against mpmath and SciPy, both layouts, flags and threads."""

import tracemalloc

import mpmath
import numpy as np
import pytest

pytest.importorskip("numba")

from losskit.backends import softmax, threads
from losskit.backends.softmax import BAD, INFINITE, run

WIDTHS = (np.float64, np.float32)
LAYOUTS = (0, 10**9)  # the most classes that are transposed: always by classes, always by rows


@pytest.fixture(params=LAYOUTS, ids=("by_classes", "by_rows"))
def layout(request, monkeypatch):
    monkeypatch.setattr(softmax, "_FEW_CLASSES", request.param)
    return request.param


@pytest.fixture
def restored_threads():
    yield
    threads.set_num_threads(None)


def compute(f, y, **options):
    value, gradient = np.full(len(f), np.nan, f.dtype), np.full(f.shape, np.nan, f.dtype)
    sums = run(f, y, value=value, gradient=gradient, **options)
    return sums, value, gradient


def data(n, k, dtype=np.float64, spread=3.0, seed=0):
    rng = np.random.default_rng([n, k, seed])
    f = (spread * rng.standard_normal((n, k))).astype(dtype)
    return f, rng.integers(0, k, n), rng.random(n)


def by_scipy(f, q, weight, scale, label_smoothing, z_loss, temperature):
    from scipy.special import log_softmax, logsumexp

    z = f.astype(np.float64) / temperature
    q = (1 - label_smoothing) * q + label_smoothing / f.shape[1]
    log_p, whole = log_softmax(z, axis=1), logsumexp(z, axis=1)
    value = weight * (-(q * log_p).sum(1) + z_loss * whole**2)
    pull = (1 + 2 * z_loss * whole)[:, None] * np.exp(log_p) - q
    return value, (weight * scale / temperature)[:, None] * pull


def by_mpmath(row, label):
    with mpmath.workdps(400):
        x = [mpmath.mpf(float(one)) for one in row]
        e = [mpmath.exp(one - max(x)) for one in x]
        total = mpmath.fsum(e)
        loss = mpmath.log(total) + max(x) - x[label]
        p = [one / total for one in e]
        p[label] = -mpmath.fsum(one for j, one in enumerate(e) if j != label) / total
        return loss, p


def ulps(got, exact):
    """Return the error in units of the last place of the exact result."""
    largest = np.finfo(got.dtype)
    unit = np.spacing(max(abs(got.dtype.type(exact)), largest.smallest_subnormal))
    return abs(float((mpmath.mpf(float(got)) - exact) / mpmath.mpf(float(unit))))


def extreme_rows(k):
    """Return rows on which rounding z - max z, underflow, ties or large shifts would show."""
    rng = np.random.default_rng(3)
    base = rng.standard_normal((14, k))
    for i, gap in enumerate((1.0, 20.0, 40.3, 100.7, 350.1, 690.3, 705.0, 720.9, 744.0)):
        base[i, k // 2] = base[i].max() + gap
    base[9] += 1e4
    base[10] -= 1e4
    base[11] = 1e4 * rng.standard_normal(k)
    base[12] = 0.125  # ties
    base[13] = 1e9 + rng.integers(0, 30, k)
    return base


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("k", [2, 5, 10, 70])
@pytest.mark.parametrize("at", [0, "top"])
def test_extreme_rows_are_within_a_few_ulp(dtype, k, at, layout):
    f = extreme_rows(k).astype(dtype)
    y = f.argmax(1) if at == "top" else np.zeros(len(f), int)
    sums, value, gradient = compute(f, y)
    assert sums.flag == 0
    for i, row in enumerate(f):
        loss, slopes = by_mpmath(row, y[i])
        # Of subnormal terms, each may be half of the smallest number wrong.
        slack = 4 + (k / 2 if loss < 1e-307 else 0)
        assert ulps(value[i], loss) <= slack, (i, value[i], loss)
        worst = max(ulps(got, exact) for got, exact in zip(gradient[i], slopes, strict=True))
        assert worst <= slack + 2, (i, worst)


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 17, 32, 45, 96, 97, 130, 2500])
def test_random_rows_equal_scipy(dtype, k):
    f, y, weight = data(531 if k < 200 else 37, k, dtype)
    options = {"scale": 0.5, "label_smoothing": 0.1, "z_loss": 0.01, "temperature": 1.7}
    sums, value, gradient = compute(f, y, weight=weight, **options)
    expected, slopes = by_scipy(f, np.eye(k)[y], weight, **options)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(value, expected, rtol=20 * eps, atol=eps)
    np.testing.assert_allclose(gradient, slopes, rtol=20 * eps, atol=4 * eps)
    assert sums.flag == 0
    assert sums.value_high == pytest.approx(expected.sum(), rel=4 * eps)
    assert sums.weight_high == pytest.approx(weight.sum(), rel=1e-15)


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("k", [1, 3, 10, 40, 300])
def test_soft_targets(dtype, k, layout):
    f, y, weight = data(200, k, dtype)
    options = {"scale": 2.0, "label_smoothing": 0.2, "z_loss": 0.003, "temperature": 0.5}
    shares = np.random.default_rng(1).dirichlet(np.ones(k), len(f)).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    shares[::5] = np.eye(k)[y[::5]]
    sums, value, gradient = compute(f, shares, weight=weight, **options)
    expected, slopes = by_scipy(f, shares, weight, **options)
    assert sums.flag == 0
    np.testing.assert_allclose(value, expected, rtol=20 * eps, atol=40 * eps)
    np.testing.assert_allclose(gradient, slopes, rtol=20 * eps, atol=20 * eps)


def test_soft_targets_of_the_other_width():
    f = data(60, 5)[0]
    shares = np.random.default_rng(1).dirichlet(np.ones(5), len(f))
    for logits, other in ((np.float32, np.float64), (np.float64, np.float32)):
        x, q = f.astype(logits), shares.astype(other)
        sums, value, gradient = compute(x, q)
        assert sums.flag == 0  # sums of shares are judged by the width they came in
        same = compute(x, q.astype(logits))
        np.testing.assert_array_equal(value, same[1])
        np.testing.assert_array_equal(gradient, same[2])
    shares[7] = 1e300  # no float32
    assert compute(f.astype(np.float32), shares)[0].flag == BAD


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("spread", [1.0, 20.0])  # 20: confident rows, whose 1 - p is tiny
def test_index_and_one_hot_targets_agree(dtype, spread, layout):
    f, y, weight = data(300, 11, dtype, spread)
    y[::2] = f.argmax(1)[::2]
    _, value, gradient = compute(f, y, weight=weight)
    _, soft_value, soft_gradient = compute(f, np.eye(11, dtype=dtype)[y], weight=weight)
    np.testing.assert_array_max_ulp(soft_value, value, 2)
    np.testing.assert_array_max_ulp(soft_gradient, gradient, 4)


def test_gradient_is_jax_autodiff_of_value(layout):
    import jax
    from jax import numpy as jnp

    f, y, weight = data(64, 13)

    def mean(x):
        z = x / 1.3
        log_p = jax.nn.log_softmax(z, axis=1)
        q = 0.9 * jax.nn.one_hot(y, 13) + 0.1 / 13
        rows = -(q * log_p).sum(1) + 0.02 * jax.nn.logsumexp(z, axis=1) ** 2
        return (weight * rows).sum() / weight.sum()

    with jax.enable_x64(True):
        expected = np.asarray(jax.grad(mean)(jnp.asarray(f)))
    options = {"label_smoothing": 0.1, "z_loss": 0.02, "temperature": 1.3}
    _, _, gradient = compute(f, y, weight=weight, scale=1 / weight.sum(), **options)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("k", [5, 50])
def test_rows_of_weight_zero_are_not_looked_at(soft, k, layout):
    f, y, weight = data(333, k)
    weight[::3] = 0
    clean = compute(f, np.eye(k)[y] if soft else y, weight=weight)
    f[::3] = np.nan
    f[3::6] = np.inf
    if soft:
        y = np.where(weight[:, None] == 0, np.nan, np.eye(k)[y])
    else:
        y = np.where(weight == 0, -7, y)
    sums, value, gradient = compute(f, y, weight=weight)
    assert sums == clean[0]
    np.testing.assert_array_equal(value, clean[1])
    np.testing.assert_array_equal(gradient, clean[2])
    assert not value[::3].any()
    assert not gradient[::3].any()


def spoil(f, y, weight, what):
    i, k = 71, f.shape[1]
    if what == "label":
        y[i] = k
    elif what == "negative label":
        y[i] = -1
    elif what == "negative weight":
        weight[i] = -1
    elif what == "nan weight":
        weight[i] = np.nan
    else:
        f[i, k - 1] = {"nan": np.nan, "+inf": np.inf, "-inf": -np.inf}[what]


@pytest.mark.parametrize(
    ("what", "flag"),
    [
        ("label", BAD),
        ("negative label", BAD),
        ("negative weight", BAD),
        ("nan weight", BAD),
        ("nan", BAD),
        ("+inf", INFINITE),
        ("-inf", INFINITE),
    ],
)
@pytest.mark.parametrize("k", [4, 40])
def test_flags(what, flag, k, layout):
    f, y, weight = data(100, k)
    assert compute(f, y, weight=weight)[0].flag == 0
    spoil(f, y, weight, what)
    assert compute(f, y, weight=weight)[0].flag == flag


def test_logits_that_the_temperature_makes_infinite(layout):
    f = np.zeros((3, 4))
    f[1, 2] = 1e300
    assert compute(f, np.zeros(3, int), temperature=1e-9)[0].flag == INFINITE
    with pytest.raises(ValueError, match="temperature"):
        run(np.zeros((3, 4), np.float32), np.zeros(3, int), temperature=1e-60)


def test_finite_logits_of_any_size_are_fine(layout):
    f = np.array([[1e200, -1e200, 0.0], [1e300, 1e300, 1e300], [-1e200, -1e5, -1e5 - 2]])
    sums, value, gradient = compute(f, np.array([0, 1, 1]))
    assert sums.flag == 0
    np.testing.assert_allclose(value, [0, np.log(3), np.log1p(np.exp(-2))], rtol=1e-15)
    tail = 1 / (1 + np.exp(2))
    slopes = [[0, 0, 0], [1 / 3, -2 / 3, 1 / 3], [0, -tail, tail]]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-15)


@pytest.mark.parametrize("entry", [-0.1, np.nan, 1.001])
def test_shares_that_are_none(entry, layout):
    f, _, _ = data(50, 6)
    shares = np.full((50, 6), 1 / 6)
    assert compute(f, shares)[0].flag == 0
    shares[20] = [entry, 1 - entry if entry < 0 else 0, 0, 0, 0, 0]
    assert compute(f, shares)[0].flag == BAD


def test_classes_that_are_not_allowed(layout):
    f, y, _ = data(60, 9)
    y = y % 8
    f[:, 8] = -np.inf
    sums, value, gradient = compute(f, y)
    expected, slopes = by_scipy(f[:, :8], np.eye(8)[y], np.ones(60), 1, 0, 0, 1)
    assert sums.flag == INFINITE
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(gradient[:, :8], slopes, rtol=1e-13, atol=1e-16)
    assert not gradient[:, 8].any()


@pytest.mark.parametrize("k", [3, 200])
@pytest.mark.parametrize("dtype", WIDTHS)
def test_bits_do_not_depend_on_threads(k, dtype, restored_threads):
    f, y, weight = data(900_000 // k, k, dtype)
    answers = []
    for count in (1, 2, 5):
        threads.set_num_threads(count)
        answers.append(compute(f, y, weight=weight))
    for sums, value, gradient in answers[1:]:
        assert sums == answers[0][0]
        np.testing.assert_array_equal(value, answers[0][1])
        np.testing.assert_array_equal(gradient, answers[0][2])


@pytest.mark.parametrize("k", [1, 3, 10, 97, 3000])
@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_writing_past_the_caches_changes_nothing(k, dtype, shift, monkeypatch):
    f, y, weight = data(12_000 // k + 1, k, dtype)
    weight[::7] = 0
    room = np.full(f.size + 64, 77, dtype)
    gradient = room[shift : shift + f.size].reshape(f.shape)
    plain = compute(f, y, weight=weight)[2]
    monkeypatch.setattr(softmax, "_LARGE", 0)
    run(f, y, weight=weight, gradient=gradient)
    np.testing.assert_array_equal(gradient, plain)
    assert (room[:shift] == 77).all()
    assert (room[shift + f.size :] == 77).all()


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint32", "int32", "int64", "uint64"])
def test_labels_of_every_integer_type(name):
    f, y, weight = data(80, 12)
    expected = compute(f, y, weight=weight)
    got = compute(f, y.astype(name), weight=weight.astype(np.float32).astype(np.float64))
    np.testing.assert_array_equal(got[2] != 0, expected[2] != 0)
    np.testing.assert_array_equal(compute(f, y.astype(name))[1], compute(f, y)[1])


def test_labels_too_large_for_int64_are_bad():
    f, y, _ = data(5, 3)
    y = y.astype(np.uint64)
    y[2] = 2**64 - 1
    assert compute(f, y)[0].flag == BAD


def test_weights_of_both_widths():
    f, y, weight = data(80, 12, np.float32)
    weight = weight.astype(np.float32)
    narrow, wide = (compute(f, y, weight=weight.astype(one)) for one in (np.float32, np.float64))
    assert narrow[0] == wide[0]
    np.testing.assert_array_equal(narrow[2], wide[2])


def test_value_alone_is_the_same(layout):
    f, y, weight = data(100, 20)
    sums, value, _ = compute(f, y, weight=weight, label_smoothing=0.1)
    alone = np.empty(100)
    assert run(f, y, weight=weight, label_smoothing=0.1, value=alone) == sums
    np.testing.assert_array_equal(alone, value)


def test_no_rows(layout):
    f = np.empty((0, 4))
    assert run(f, np.empty(0, int), gradient=np.empty((0, 4))) == (0, 0, 0, 0, 0)


def test_shifting_logits_costs_nothing(layout):
    f = np.round(data(100, 10)[0], 3)
    f = np.round(f * 1024) / 1024  # so that f + 10_000 is exact
    y = np.arange(100) % 10
    _, value, gradient = compute(f, y)
    _, shifted_value, shifted_gradient = compute(f + 1e4, y)
    np.testing.assert_array_max_ulp(shifted_value, value, 4)
    np.testing.assert_array_max_ulp(shifted_gradient, gradient, 4)


@pytest.mark.parametrize("k", [10, 1000])
def test_no_temporary_of_the_size_of_the_logits(k):
    f, y, _ = data(2_000_000 // k, k)
    gradient = np.empty_like(f)
    run(f[:9], y[:9], gradient=gradient[:9])
    tracemalloc.start()
    run(f, y, gradient=gradient)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < f.nbytes / 50


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"f": np.zeros((3, 0))}, TypeError, "K at least 1"),
        ({"f": np.zeros((3, 4), np.float16)}, TypeError, "float16"),
        ({"y": np.zeros(3)}, TypeError, "integer"),
        ({"y": np.zeros(4, int)}, TypeError, r"shape \(3,\)"),
        ({"gradient": np.zeros((3, 4), np.float32)}, TypeError, "gradient"),
        ({"weight": np.ones((3, 1))}, TypeError, "weight"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"label_smoothing": 1.5}, ValueError, "from 0 to 1"),
        ({"z_loss": float("nan")}, ValueError, "z_loss"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, words):
    arguments = {"f": np.zeros((3, 4)), "y": np.zeros(3, int), **change}
    with pytest.raises(error, match=words):
        run(arguments.pop("f"), arguments.pop("y"), **arguments)


def test_gradient_over_the_logits_is_refused():
    f = np.zeros((3, 4))
    with pytest.raises(ValueError, match="overlaps"):
        run(f, np.zeros(3, int), gradient=f)
