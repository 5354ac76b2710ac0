"""exp, expm1, log, log1p and pow in float64 that LLVM vectorises: no branch, no table, no call.

Errors against mpmath (tests/test_simd.py): below 1 ulp for exp and log, 1.5 for expm1 and log1p,
1.1 for pow.  Subnormal results and arguments, signed zeros, infinities and NaN are right.

Method.  exp: x = k ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, and 2**k applied so that
subnormal results round once.  log: x = 2**k m with sqrt(1/2) <= m < sqrt(2), then
2 atanh(f / (2 + f)) with f = m - 1, arranged as in fdlibm's e_log.c.  log1p scales its argument
rather than 1 + x, which needs no correction term.  pow: log in double-double.  The coefficients are
minimax, found by Remez exchange in 60 digits; the comment beside each gives the error of the fit.
"""

from __future__ import annotations

from numba import float64, int64, njit

from losskit.backends.simd_intrinsics import (
    bits,
    fma,
    from_bits,
    iadd,
    ior,
    isub,
    select,
    shift_left,
    shift_right,
)

T = float64
I = int64  # noqa: E741 - the integer as wide as T
_inline = njit(error_model="numpy", forceinline=True, no_cfunc_wrapper=True)

LOG2_E = 1.4426950408889634
LN2_HI = 0.6931471803691238  # 32 bits, so that k * LN2_HI is exact
LN2_LO = 1.9082149292705877e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
SUBNORMAL = -700.0  # from here down e**x may be subnormal
ZERO = -746.0  # from here down e**x is zero

_INF = float("inf")
_NAN = float("nan")
_ONE_BITS = 0x3FF0000000000000
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_WIDTH = 52  # of the mantissa


@_inline
def exp(x):
    """Give e**x; below -745.14 zero, above 709.79 infinity."""
    x = select(x < T(ZERO), T(ZERO), select(x > T(710.0), T(710.0), x))
    shifted = fma(x, T(LOG2_E), T(ROUND))
    k = shifted - T(ROUND)
    r = fma(-k, T(LN2_LO), fma(-k, T(LN2_HI), x))
    return exp_reduced(r, bits(shifted), x < T(SUBNORMAL))


@_inline
def expm1(x):
    """Give e**x - 1 without cancellation near 0."""
    c = select(x < T(-50.0), T(-50.0), select(x > T(710.0), T(710.0), x))
    shifted = fma(c, T(LOG2_E), T(ROUND))
    k = shifted - T(ROUND)
    r0 = fma(-k, T(LN2_HI), c)
    r1 = k * T(LN2_LO)
    r = r0 - r1
    r_low = (r0 - r) - r1
    r2 = r * r
    r4 = r2 * r2
    # e**r = 1 + r + r*r*p, relative to expm1(r): 2**-58.3
    p0 = _cubic(
        r, r2, T(0.5), T(0.1666666666666667), T(0.041666666666652245), T(0.00833333333332613)
    )
    p4 = _cubic(
        r,
        r2,
        T(0.0013888888895613237),
        T(0.00019841269874845685),
        T(2.4801574517655057e-05),
        T(2.7557255359590168e-06),
    )
    p8 = fma(
        T(1.7687742276743934e-09), r2, fma(T(2.510523676362362e-08), r, T(2.756793567479518e-07))
    )
    t = r2 * fma(fma(p8, r4, p4), r4, p0)
    q = r + t
    q_low = ((r - q) + t) + r_low
    # 2**(k-1), doubled at the end, since 2**1024 is no float
    half = from_bits(iadd(shift_left(bits(shifted), I(_WIDTH)), I(_ONE_BITS - (1 << _WIDTH))))
    y = fma(half, q_low, fma(half, q, half - T(0.5)))
    # the halving would round a subnormal, and -0 would become +0
    return select(abs(x) < T(1e-17), x, y + y)


@_inline
def log(x):
    """Give the natural logarithm; -inf at 0, NaN below."""
    tiny = x < T(2.2250738585072014e-308)
    b = bits(select(tiny, x * T(18014398509481984.0), x))  # 2**54
    e = _biased_exponent(b)
    k = _minus_exponent(e) + select(tiny, T(54.0), T(0.0))
    y = _log_reduced(_mantissa(b, e) - T(1.0), k)
    y = select(x == T(_INF), x, y)
    return select(x > T(0.0), y, select(x == T(0.0), T(-_INF), T(_NAN)))


@_inline
def log1p(x):
    """Give log(1 + x) without cancellation near 0; -inf at -1, NaN below."""
    e = _biased_exponent(bits(T(1.0) + x))
    # 4 * 2**-k, a normal float for every k; its exponent field, 2048 - e, is computed modulo 2**12
    s = from_bits(isub(I(-(1 << 63)), shift_left(e, I(_WIDTH))))
    f = T(0.25) * fma(s, x, -(T(4.0) - s))  # written so that -0 stays -0
    y = _log_reduced(f, _minus_exponent(e))
    y = select(x == T(_INF), x, y)
    return select(x > T(-1.0), y, select(x == T(-1.0), T(-_INF), T(_NAN)))


@_inline
def log1p_unit(x):
    """Give log(1 + x) for 0 <= x <= 1 (NaN for NaN), where x needs no splitting."""
    s = x / (x + T(2.0))
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    # 2 atanh(s) = 2 s + s*z*q: 2**-59.4
    q0 = _cubic(
        z,
        z2,
        T(0.6666666666666631),
        T(0.4000000000015739),
        T(0.2857142854783381),
        T(0.22222223971061295),
    )
    q4 = _cubic(
        z,
        z2,
        T(0.18181743875475825),
        T(0.1538656102535345),
        T(0.13300958539081323),
        T(0.12106209417035822),
    )
    q8 = fma(T(0.17019632442536778), z, T(0.08339546703479998))
    q = fma(fma(q8, z4, q4), z4, q0)
    square = x * x
    return fma(T(-0.5), fma(-s, fma(z + z, q, square), square), x)


@_inline
def pow(x, y):
    """Give x**y for x >= 0 (NaN for x < 0); x**0 and 1**y are 1, 0**y is 0 or infinity."""
    tiny = x < T(2.2250738585072014e-308)
    b = bits(select(tiny, x * T(18014398509481984.0), x))
    e = _biased_exponent(b)
    k = select(tiny, T(-54.0), T(0.0)) - _minus_exponent(e)
    high, low = _log_double(_mantissa(b, e) - T(1.0), k)
    high = select(x == T(0.0), T(-_INF), select(x == T(_INF), x, high))
    product = high * y
    rest = fma(high, y, -product) + low * y
    rest = select(abs(product) < T(2000.0), rest, T(0.0))  # beyond, it may be NaN and is idle

    c = select(product < T(ZERO), T(ZERO), select(product > T(710.0), T(710.0), product))
    shifted = fma(c, T(LOG2_E), T(ROUND))
    n = shifted - T(ROUND)
    r = fma(-n, T(LN2_LO), fma(-n, T(LN2_HI), c)) + rest
    z = exp_reduced(r, bits(shifted), c < T(SUBNORMAL))
    z = select(x >= T(0.0), z, T(_NAN))
    return select((y == T(0.0)) | (x == T(1.0)), T(1.0), z)


@_inline
def exp_reduced(r, shifted_bits, low):
    """Give 2**k e**r, k the low bits of `shifted_bits`; `low` where the result may be subnormal."""
    r2 = r * r
    r4 = r2 * r2
    # e**r = 1 + r + r*r*p: 2**-57.9; everything is doubled, since 2**1024 is no float
    p0 = _cubic(
        r,
        r2,
        T(2 * 0.5000000000000011),
        T(2 * 0.1666666666666641),
        T(2 * 0.041666666666529725),
        T(2 * 0.008333333333494914),
    )
    p4 = _cubic(
        r,
        r2,
        T(2 * 0.0013888888943760945),
        T(2 * 0.00019841269505885313),
        T(2 * 2.480149294855125e-05),
        T(2 * 2.755758671992313e-06),
    )
    p8 = fma(T(2 * 2.5000041926713554e-08), r, T(2 * 2.7630306668051004e-07))
    p = fma(fma(p8, r4, p4), r4, p0)
    p = fma(fma(p, r, T(2.0)), r, T(2.0))
    b = iadd(shifted_bits, select(low, I(64), I(0)))
    scale = from_bits(iadd(shift_left(b, I(_WIDTH)), I(_ONE_BITS - (1 << _WIDTH))))
    return p * scale * select(low, T(5.421010862427522e-20), T(1.0))  # 2**-64


@_inline
def _cubic(x, x2, c0, c1, c2, c3):
    # Pairs, not Horner's chain: a kernel waits for results more than for the multipliers.
    return fma(fma(c3, x, c2), x2, fma(c1, x, c0))


@_inline
def _biased_exponent(b):
    return shift_right(iadd(b, I(_ONE_BITS - _SQRT_HALF_BITS)), I(_WIDTH))


@_inline
def _minus_exponent(e):
    # An integer below 2**52 put in the mantissa of 2**52; AVX2 has no int64 to float64 conversion.
    return T(4503599627370496.0 + 1023.0) - from_bits(ior(e, I(0x4330000000000000)))


@_inline
def _mantissa(b, e):
    return from_bits(iadd(isub(b, shift_left(e, I(_WIDTH))), I(_ONE_BITS)))


@_inline
def _log_reduced(f, minus_k):
    """Give k ln 2 + log1p(f); with -k, +0 for k = 0, the sum keeps f = -0."""
    s = f / (f + T(2.0))
    z = s * s
    z2 = z * z
    # 2 atanh(s) = 2 s + s*z*q: 2**-59.5
    q0 = _cubic(
        z,
        z2,
        T(0.6666666666666735),
        T(0.3999999999941111),
        T(0.2857142874325923),
        T(0.2222219847623143),
    )
    q4 = fma(T(0.14797508156422653), z2, fma(T(0.15313903316627284), z, T(0.18183569732233623)))
    q = fma(q4, z2 * z2, q0)
    half_square = T(0.5) * f * f
    small = fma(s, fma(z, q, half_square), minus_k * T(-LN2_LO))
    return fma(minus_k, T(-LN2_HI), f - (half_square - small))


@_inline
def _log_double(f, k):
    """Give k ln 2 + log1p(f) as an unevaluated sum, relative error about 2**-64."""
    d = f + T(2.0)
    d_low = f - (d - T(2.0))
    inverse = T(1.0) / d
    s = f * inverse
    s_low = inverse * (fma(-s, d, f) - s * d_low)
    z = s * s
    z_low = fma(s, s, -z) + T(2.0) * s * s_low
    z2 = z * z
    # 2 atanh(s) = 2 s + s*z*(2/3 + z*p): 2**-65.3
    p0 = _cubic(
        z,
        z2,
        T(0.39999999999999997),
        T(0.28571428571434265),
        T(0.22222222220088525),
        T(0.18181818568153343),
    )
    p4 = _cubic(
        z,
        z2,
        T(0.15384576734339575),
        T(0.13335581430526885),
        T(0.11689207946579136),
        T(0.1187354438251536),
    )
    p = fma(p4, z2 * z2, p0)
    t = z * p
    c = T(0.6666666666666666) + t
    c_low = ((T(0.6666666666666666) - c) + t) + T(3.700743415417188e-17) + fma(z, p, -t)
    cube = s * z
    cube_low = fma(s, z, -cube) + s * z_low + s_low * z
    g = cube * c
    g_low = fma(cube, c, -g) + cube * c_low + cube_low * c
    s2 = s + s
    m = s2 + g
    m_low = ((s2 - m) + g) + (s_low + s_low + g_low)
    a = k * T(0.6931471805598903)  # 42 bits, so that the product is exact
    total = a + m
    # |a| >= 0.69 > |m| unless k = 0, when a = 0
    zero = k == T(0.0)
    error = select(zero, T(0.0), (a - total) + m)
    low = error + fma(k, T(5.497923018708371e-14), m_low)
    high = total + low
    return high, (total - high) + low
