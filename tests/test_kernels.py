"""The compiled kernels' frame: sums, weights, flags, types and threads."""

import math
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("numba")

from losskit.backends import kernel_parts, threads
from losskit.backends import numba as compiled
from losskit.backends.kernel_rewrites import rewritten
from losskit.backends.numba import BAD, INFINITE, Bounds, compile_kernel, run

SQUARED = (("r", "(f - y)"), ("v", "(_T(0.5) * (r * r))"))
PAIR = (  # a Gaussian's two raw outputs, with simple derivatives to check by
    ("r", "((y - f0) * f1)"),
    ("v", "(r * r)"),
    ("a", "((_T(-2.0) * r) * f1)"),
    ("b", "((_T(2.0) * r) * (y - f0))"),
)
RNG = np.random.default_rng(5)


def squared(dtype="float64", outputs=("value", "gradient")):
    results = {"value": "v", "gradient": "r", "hessian": "_T(1.0)"}
    return compile_kernel(
        "squared",
        SQUARED,
        [results[one] for one in outputs],
        outputs=outputs,
        n_outputs=1,
        parameters=(),
        dtype=dtype,
    )


def pair(dtype="float64"):
    return compile_kernel(
        "pair",
        PAIR,
        ("v", "a", "b"),
        outputs=("value", "gradient"),
        n_outputs=2,
        parameters=(),
        dtype=dtype,
    )


def total(sums):
    return sums.value_high + sums.value_low


@pytest.fixture
def restored_threads():
    yield
    threads.set_num_threads(None)


@pytest.fixture
def uncached(monkeypatch):
    """Give machine code made in this process: what comes from the disk has no assembly to read."""
    monkeypatch.setenv("LOSSKIT_CACHE_DIR", os.devnull)


def softplus(name):
    steps = (("a", "abs(f)"), ("b", "(-a)"), ("c", "_exp(b)"), ("d", "_log1p(c)"))
    steps = (*steps, ("e", "(_T(1.0) + c)"), ("g", "(y / e)"))
    return compile_kernel(
        name,
        steps,
        ("d", "g"),
        outputs=("value", "gradient"),
        n_outputs=1,
        parameters=(),
        dtype="float64",
    )


# ---- values


@pytest.mark.parametrize("n", [0, 1, 31, 100, 511, 513, 32768, 70001])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sum_and_arrays_are_the_formulas(n, dtype):
    y, f = RNG.normal(size=n).astype(dtype), RNG.normal(size=n).astype(dtype)
    value, gradient = np.empty(n, dtype), np.empty(n, dtype)
    sums = run(squared(dtype), y, f, scale=0.25, bounds=Bounds(), value=value, gradient=gradient)
    wanted = np.asarray(0.5, dtype) * (f - y) * (f - y)
    np.testing.assert_array_almost_equal_nulp(value, wanted, 2)
    np.testing.assert_array_equal(gradient, (f - y) * np.asarray(0.25, dtype))
    assert total(sums) == pytest.approx(math.fsum(value.astype(float)), rel=4e-16, abs=0)
    assert sums.weight_high + sums.weight_low == n
    assert sums.flag == 0


@pytest.mark.parametrize(
    ("dtype", "target"),
    [
        *(("float64", one) for one in ("bool", "int8", "int64", "uint64", "float32")),
        *(("float32", one) for one in ("bool", "int32", "float64")),
    ],
)
def test_targets_of_every_type_are_taken_as_they_are(target, dtype):
    y = RNG.integers(0, 2, 1000).astype(target)
    f = RNG.normal(size=1000).astype(dtype)
    gradient = np.empty_like(f)
    bounds = Bounds(0, 1, discrete=True)
    assert run(squared(dtype), y, f, bounds=bounds, gradient=gradient).flag == 0
    np.testing.assert_array_equal(gradient, f - y.astype(dtype))
    if target != "bool":
        y[777] = 2
        assert run(squared(dtype), y, f, bounds=bounds, gradient=gradient).flag == BAD


def test_every_subset_of_outputs():
    y, f = RNG.normal(size=700), RNG.normal(size=700)
    hessian = np.empty(700)
    run(squared(outputs=("hessian",)), y, f, scale=0.5, hessian=hessian)
    np.testing.assert_array_equal(hessian, 0.5)
    both = squared(outputs=("gradient", "hessian"))
    gradient = np.empty(700)
    assert total(run(both, y, f, gradient=gradient, hessian=hessian)) == 0
    np.testing.assert_array_equal(gradient, f - y)
    assert total(run(squared(outputs=("value",)), y, f)) == total(run(squared(), y, f))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
def test_several_raw_outputs(dtype, weighted):
    n = 1500
    y, f = RNG.normal(size=n).astype(dtype), RNG.normal(size=(n, 2)).astype(dtype)
    w = RNG.integers(0, 3, n).astype(dtype) if weighted else np.ones(n, dtype)
    gradient = np.empty((n, 2), dtype)
    sums = run(
        pair(dtype), y, f, weight=w if weighted else None, bounds=Bounds(), gradient=gradient
    )
    r = (y - f[:, 0]) * f[:, 1]
    wanted = w[:, None] * np.stack([-2 * r * f[:, 1], 2 * r * (y - f[:, 0])], 1)
    close = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(gradient, wanted, rtol=close, atol=close)
    assert total(sums) == pytest.approx(float((w * r * r).sum(dtype=float)), rel=close)
    f[1234, 1] = 9
    inside = Bounds(raw=((-math.inf, math.inf), (-8.0, 8.0)))
    w[1234] = 1
    assert run(pair(dtype), y, f, weight=w, bounds=inside).flag == BAD


# ---- sums


def test_sums_lose_nothing_and_do_not_depend_on_the_cut():
    n = 200_003
    y = np.zeros(n)
    f = RNG.normal(size=n) * 10.0 ** RNG.uniform(-9, 9, n)
    value = np.empty(n)
    whole = run(squared(), y, f, value=value)
    exact = math.fsum(value)
    assert total(whole) == exact
    parts = [
        run(squared(), y[a:b], f[a:b]) for a, b in ((0, 1), (1, 777), (777, 99999), (99999, n))
    ]
    assert math.fsum(s for p in parts for s in (p.value_high, p.value_low)) == exact


def test_float32_sums_are_float64():
    f = np.full(1_000_000, 0.1, np.float32)
    sums = run(squared("float32"), np.zeros_like(f), f, bounds=Bounds())
    each = float(np.float32(0.5) * (f[0] * f[0]))
    assert total(sums) == pytest.approx(each * 1e6, rel=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_results_are_bit_equal_for_any_number_of_threads(dtype, restored_threads):
    n = 300_017
    y, f, w = (RNG.normal(size=n).astype(dtype) for _ in range(3))
    w = abs(w)
    seen = set()
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        gradient = np.empty_like(f)
        sums = run(squared(dtype), y, f, weight=w, scale=0.1, bounds=Bounds(), gradient=gradient)
        seen.add((*sums, gradient.tobytes()))
    assert len(seen) == 1


def test_an_infinite_value_makes_an_infinite_sum():
    f = np.zeros(1000)
    f[500] = 1e300  # its square overflows
    assert total(run(squared(), np.zeros(1000), f, bounds=Bounds())) == math.inf


# ---- weights


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_weights_are_repetitions(dtype, kind):
    n = 5000
    y, f = RNG.normal(size=n).astype(dtype), RNG.normal(size=n).astype(dtype)
    w = RNG.integers(0, 4, n)
    value, gradient = np.empty(n, dtype), np.empty(n, dtype)
    sums = run(
        squared(dtype),
        y,
        f,
        weight=w.astype(kind),
        scale=0.5,
        bounds=Bounds(),
        value=value,
        gradient=gradient,
    )
    again = run(squared(dtype), np.repeat(y, w), np.repeat(f, w), bounds=Bounds())
    assert total(sums) == pytest.approx(total(again), rel=1e-6 if dtype == "float32" else 1e-15)
    assert sums.weight_high + sums.weight_low == w.sum()
    np.testing.assert_allclose(gradient, 0.5 * w * (f - y), rtol=1e-6)
    np.testing.assert_allclose(value, w * 0.5 * (f - y) ** 2, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_elements_of_weight_zero_are_exactly_absent(dtype):
    n = 3000
    y, f = RNG.normal(size=n).astype(dtype), RNG.normal(size=n).astype(dtype)
    w = np.ones(n, dtype)
    w[::3] = 0
    w[3] = -0.0
    clean = run(squared(dtype), y, f, weight=w, bounds=Bounds(-9, 9))
    y[::6], f[::9], f[3::9], y[3::6] = np.nan, np.inf, np.nan, 1e6
    value, gradient = np.empty(n, dtype), np.empty(n, dtype)
    sums = run(squared(dtype), y, f, weight=w, bounds=Bounds(-9, 9), value=value, gradient=gradient)
    assert sums == clean
    assert not value[::3].any()
    assert not gradient[::3].any()


@pytest.mark.parametrize("bad", [-1.0, np.nan, -math.inf])
def test_a_bad_weight_is_flagged(bad):
    w = np.ones(40_000)
    w[39_999] = bad
    y = np.zeros(40_000)
    assert run(squared(), y, y, weight=w, bounds=Bounds()).flag & BAD
    assert run(squared(), y, y, weight=w).flag == 0  # nothing is validated without bounds


# ---- flags

UNIT = Bounds(0.0, 1.0)


@pytest.mark.parametrize("at", [0, 300, 511, 512, 33_000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("bounds", "y", "f", "flag"),
    [
        (Bounds(), np.nan, 0, BAD),
        (Bounds(), 0, np.nan, BAD),
        (Bounds(), 0, np.inf, INFINITE),
        (Bounds(), 0, -np.inf, INFINITE),
        (Bounds(), np.inf, 0, 0),
        (Bounds(hi=1e30), np.inf, 0, BAD),
        (UNIT, 1, 0, 0),
        (UNIT, 1.0000002, 0, BAD),
        (UNIT, -1e-30, 0, BAD),
        (Bounds(0, 1, discrete=True), 0.5, 0, BAD),
        (Bounds(0, 1, discrete=True), 1e-30, 0, BAD),
        (Bounds(-1, 1, discrete=True), 0, 0, BAD),
        (Bounds(-1, 1, discrete=True), -1, 0, 0),
        (Bounds(hole=0.0), 0, 0, BAD),
        (Bounds(hole=0.0), -0.0, 0, BAD),
        (Bounds(lo=5e-324), 0, 0, BAD),
        (Bounds(raw=((0.0, 1.0),)), 0, 1, 0),
        (Bounds(raw=((0.0, 1.0),)), 0, 1.25, BAD),
        (Bounds(raw=((0.0, 1.0),)), 0, -np.inf, BAD | INFINITE),
        (Bounds(raw=((math.nextafter(-1, 0), math.inf),)), 0, -1, BAD),
    ],
)
def test_flags(bounds, y, f, flag, dtype, at):
    good = 1.0
    targets, raw = np.full(40_000, good, dtype), np.full(40_000, 0.5, dtype)
    targets[at], raw[at] = y, f
    assert run(squared(dtype), targets, raw, bounds=bounds).flag == flag
    weight = np.ones(40_000, dtype)
    assert run(squared(dtype), targets, raw, weight=weight, bounds=bounds).flag == flag
    weight[at] = 0
    assert run(squared(dtype), targets, raw, weight=weight, bounds=bounds).flag == 0


def test_float64_targets_of_a_float32_kernel_are_checked_before_they_are_rounded():
    y, f = np.ones(100), np.zeros(100, np.float32)
    y[5] = np.nextafter(1, 2)
    assert run(squared("float32"), y, f, bounds=UNIT).flag == BAD


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.zeros(4, "float16")}, "y has dtype float16"),
        ({"y": np.zeros(4, object)}, "y has dtype object"),
        ({"y": np.zeros((4, 1))}, r"shape \(4, 1\)"),
        ({"y": np.zeros(8)[::2]}, "C-contiguous"),
        ({"y": np.zeros(4, ">f8")}, "y has dtype >f8"),
        ({"f": np.zeros(4, "float32")}, "f has dtype float32"),
        ({"f": np.zeros((4, 2))}, "f has dtype float64 and shape"),
        ({"f": np.frombuffer(bytes(33), offset=1)}, "aligned"),
        ({"weight": np.ones(3)}, r"weight has dtype float64 and shape \(3,\)"),
        ({"weight": np.ones(4, int)}, "weight has dtype int64"),
        ({"gradient": np.zeros(5)}, "gradient"),
        ({"gradient": np.frombuffer(bytes(32))}, "writeable"),
        ({"hessian": np.zeros(4)}, r"one of \('value', 'gradient'\)"),
        ({"params": (1.0,)}, "1 parameters"),
    ],
)
def test_what_the_machine_code_would_take_on_trust_is_checked(changes, message):
    arguments = {"y": np.zeros(4), "f": np.zeros(4), **changes}
    with pytest.raises(TypeError, match=message):
        run(squared(), arguments.pop("y"), arguments.pop("f"), **arguments)


def test_read_only_inputs_need_no_compilation_of_their_own():
    kernel = squared()
    y, f = np.frombuffer(bytes(800)), np.frombuffer(bytes(800))
    assert not f.flags.writeable
    run(kernel, np.zeros(100), np.zeros(100))
    before = len(kernel._entries)
    assert total(run(kernel, y, f, bounds=Bounds())) == 0
    assert len(kernel._entries) == before


@pytest.mark.parametrize("name", ["not a name", "class", "_hidden"])
def test_only_identifiers_become_variables(name):
    with pytest.raises(ValueError, match="cannot name a variable"):
        compile_kernel(
            "bad",
            ((name, "f"),),
            ("f",),
            outputs=("value",),
            n_outputs=1,
            parameters=(),
            dtype="float64",
        )


def test_constants_agree_where_they_are_written_twice():
    assert compiled._SPAN == kernel_parts.SPAN
    assert (compiled.BAD, compiled.INFINITE) == (kernel_parts.BAD, kernel_parts.INFINITE)


def test_equal_programs_share_a_kernel():
    assert squared() is squared()


def test_rewriting_keeps_to_what_is_known():
    unknown = (("c", "_exp(f)"), ("d", "_log1p(c)"), ("e", "(_T(1.0) + c)"), ("g", "(y / e)"))
    assert rewritten(unknown) == unknown
    single = (("a", "abs(f)"), ("b", "(-a)"), ("c", "_exp(b)"), ("e", "(_T(1.0) + c)"))
    single = (*single, ("g", "(y / e)"))
    assert rewritten(single) == single  # one quotient is exact as it is


def test_the_loop_is_vectorised(uncached):
    from numba.core.registry import cpu_target

    if not cpu_target.target_context.codegen().magic_tuple()[0].startswith("x86"):
        pytest.skip("reads x86 assembly")
    kernel = softplus("softplus_in_memory")
    kernel.prepare()
    text = kernel._dispatcher.inspect_asm(kernel._dispatcher.signatures[0])
    block = re.search(r"\n_ZN\S*_block\S*:\n(.*?)\n\s+\.size", text, re.S)
    assert block is not None
    assert "gather" not in block[1]
    assert re.search(r"vdivpd\s.*[yz]mm", block[1])


# ---- threads


def test_eight_threads_may_compile_and_run_the_same_kernel(uncached, restored_threads):
    threads.set_num_threads(2)
    y, f = np.zeros(100_000), RNG.normal(size=100_000)
    start = threading.Barrier(8)

    def job(_):
        start.wait()
        kernel = softplus("softplus_by_eight")
        return [run(kernel, y, f, bounds=Bounds()) for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        answers = [sums for made in pool.map(job, range(8)) for sums in made]
    assert len(set(answers)) == 1
