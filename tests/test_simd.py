"""The compiled kernels' SIMD functions: against mpmath, at their edges, as machine code."""

import re
from functools import cache

import mpmath
import numpy as np
import pytest

numba = pytest.importorskip("numba")

from losskit.backends import simd_float32, simd_float64  # noqa: E402 - these import Numba

MODULES = {"float64": simd_float64, "float32": simd_float32}
INF, NAN = np.inf, np.nan

# Largest error allowed, in units of the last place of the correctly rounded result.
BUDGET = {"exp": 1.0, "expm1": 1.5, "log": 1.0, "log1p": 1.5, "log1p_unit": 1.5, "pow": 1.1}
REFERENCE = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "log1p_unit": mpmath.log1p,
    "pow": mpmath.power,
}


@cache
def looped(name, dtype):
    """Compile a loop over the function, as a kernel has it."""
    function = getattr(MODULES[dtype], name)
    if name == "pow":

        def loop(x, y, out):
            for i in range(out.shape[0]):
                out[i] = function(x[i], y[i])

    else:

        def loop(x, out):
            for i in range(out.shape[0]):
                out[i] = function(x[i])

    kind = numba.from_dtype(np.dtype(dtype))
    arrays = (kind[::1],) * (3 if name == "pow" else 2)
    return numba.njit(arrays, error_model="numpy")(loop)


def call(name, dtype, *arguments):
    with np.errstate(over="ignore", under="ignore"):
        columns = [np.ascontiguousarray(a, dtype) for a in arguments]
    out = np.empty_like(columns[0])
    looped(name, dtype)(*columns, out)
    return columns, out


def points(name, dtype):
    """Give arguments all over the domain, dense where reductions and branches change."""
    rng = np.random.default_rng(7)
    limits = np.finfo(dtype)
    tiny, least = float(limits.tiny), float(limits.smallest_subnormal)
    top = float(np.log(float(limits.max)))
    bottom = float(np.log(least))
    n = 1200
    signed = np.concatenate(
        [
            rng.uniform(bottom, top, n),
            rng.normal(size=n),
            rng.normal(size=n) * 10.0 ** rng.uniform(-20, 0, n),
            np.log(2) * (rng.integers(-20, 20, n) + 0.5 + rng.normal(size=n) * 1e-6),
            [tiny, -tiny, least, -least, top * (1 - 1e-6), bottom],
        ]
    )
    positive = np.concatenate(
        [
            10.0 ** rng.uniform(np.log10(tiny), np.log10(float(limits.max)) - 0.01, n),
            rng.uniform(0.5, 2, n),
            1 + rng.normal(size=n) * 1e-3,
            np.sqrt(2) * (1 + rng.normal(size=n // 4) * 1e-6),
            np.sqrt(0.5) * (1 + rng.normal(size=n // 4) * 1e-6),
            rng.integers(1, 2**20, n // 4) * least,
            [float(limits.max), tiny, least, 1.0],
        ]
    )
    unit = np.concatenate(
        [rng.uniform(0, 1, 2 * n), 10.0 ** rng.uniform(-30, 0, n), [0.0, 1.0, tiny, least]]
    )
    if name == "pow":
        near = rng.uniform(0.5, 2, n)
        base = np.concatenate([positive, near])
        log = np.log(base.astype(dtype).astype(float))
        log[log == 0] = 1
        power = np.concatenate(
            [rng.normal(size=len(positive)) * 3, rng.uniform(bottom, top, n) / log[-n:]]
        )
        wide = np.abs(log * power) > -bottom
        power[wide] = 0.5
        return base, power
    if name == "log1p":
        return (np.concatenate([positive, unit, -unit[unit < 0.999999], signed[n : 3 * n]]),)
    return ({"log": positive, "log1p_unit": unit}.get(name, signed),)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", list(BUDGET))
def test_error_stays_within_its_budget(name, dtype):
    with mpmath.workdps(40):
        columns, got = call(name, dtype, *points(name, dtype))
        if name == "log1p":
            inside = columns[0] > -1
            columns, got = [columns[0][inside]], got[inside]
        for *x, y in zip(*columns, got, strict=True):
            truth = REFERENCE[name](*(mpmath.mpf(float(v)) for v in x))
            with np.errstate(over="ignore"):
                rounded = np.dtype(dtype).type(float(truth))
            if np.isinf(rounded):
                assert y == rounded, (name, x)
                continue
            ulp = abs(mpmath.mpf(float(np.spacing(rounded))))
            error = abs(mpmath.mpf(float(y)) - truth) / ulp
            assert error <= BUDGET[name], (name, x, y, float(error))


EDGES = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (1e30, INF), (-1e30, 0)],
    "expm1": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -1), (NAN, NAN), (-800, -1), (1e-30, 1e-30)],
    "log": [(0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (NAN, NAN), (-1, NAN), (1, 0)],
    "log1p": [
        (0, 0),
        (-0.0, -0.0),
        (INF, INF),
        (-INF, NAN),
        (NAN, NAN),
        (-1, -INF),
        (-2, NAN),
        (1e-30, 1e-30),
    ],
    "log1p_unit": [(0, 0), (NAN, NAN)],
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", list(EDGES))
def test_edges_are_exact(name, dtype):
    x, wanted = zip(*EDGES[name], strict=True)
    _, got = call(name, dtype, x)
    wanted = np.array(wanted, dtype)
    np.testing.assert_array_equal(got, wanted)
    numbers = ~np.isnan(wanted)
    assert (np.signbit(got) == np.signbit(wanted))[numbers].all()


def test_exp_overflows_and_underflows_where_ieee_does():
    _, got = call("exp", "float64", [710.0, 709.78, -745.0, -745.2, -800.0, -708.5])
    np.testing.assert_array_equal(got[[0, 2, 3, 4]], [INF, 5e-324, 0.0, 0.0])
    assert np.isfinite(got[1])
    assert 0 < got[5] < np.finfo(float).tiny  # a subnormal, not flushed
    _, got = call("exp", "float32", [89.0, 88.7, -103.9, -104.1])
    np.testing.assert_array_equal(got[[0, 2, 3]], np.array([INF, 1e-45, 0], np.float32))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_subnormals_pass_through_where_the_function_is_the_identity(dtype):
    least = np.finfo(dtype).smallest_subnormal
    x = np.array([least, -least, 3 * least], dtype)
    for name in ("expm1", "log1p"):
        np.testing.assert_array_equal(call(name, dtype, x)[1], x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pow_at_its_edges_is_numpys(dtype):
    ends = [0.0, 0.5, 1.0, 2.0, INF, NAN]
    powers = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e30, -1e30, INF, -INF, NAN]
    x, y = (a.ravel() for a in np.meshgrid(ends, powers))
    (base, power), got = call("pow", dtype, x, y)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got, np.power(base, power))
    assert np.isnan(call("pow", dtype, [-1.0], [2.0])[1])  # a negative base is not in the domain


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", list(BUDGET))
def test_loop_is_vectorised_and_calls_no_library(name, dtype):
    loop = looped(name, dtype)
    text = loop.inspect_asm(loop.signatures[0])
    if numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[0][:6] != "x86_64":
        pytest.skip("reads x86 assembly")
    assert "gather" not in text
    assert not re.search(r"\$_?(exp|expm1|log|log1p|pow|fma)f?\b", text)
    packed = "pd" if dtype == "float64" or name == "pow" else "ps"  # pow works in float64
    assert re.search(rf"vf?n?m(add|sub)\w*{packed}\s.*[yz]mm", text)


def test_mixed_widths_are_refused_rather_than_widened():
    from losskit.backends.simd_intrinsics import select

    with pytest.raises(numba.TypingError, match="select: needs arguments of one type"):
        numba.njit(lambda x: select(x > 0, x, 0.5))(np.float32(1))
