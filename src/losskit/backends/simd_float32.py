"""exp, expm1, log, log1p and pow in float32 that LLVM vectorises: no branch, no table, no call.

Errors against mpmath (tests/test_simd.py): below 1 ulp for exp and log, 1.5 for expm1 and log1p,
and 0.6 for pow, which is computed in float64.  Subnormal results and arguments, signed zeros,
infinities and NaN are right.

The methods are those of `simd_float64`, except that log is a polynomial in f alone: at this
precision it is shorter than a division.  The coefficients are minimax, found by Remez exchange in
60 digits; the comment beside each gives the error of the fit.
"""

from __future__ import annotations

from numba import float32, float64, int32, int64, njit

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

T = float32
I = int32  # noqa: E741 - the integer as wide as T
D = float64
_inline = njit(error_model="numpy", forceinline=True, no_cfunc_wrapper=True)

LOG2_E = 1.4426950216293335
LN2_HI = 0.693145751953125  # 15 bits, so that k * LN2_HI is exact
LN2_LO = 1.428606765330187e-06
ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
SUBNORMAL = -80.0  # from here down e**x may be subnormal
ZERO = -105.0  # from here down e**x is zero

_INF = float("inf")
_NAN = float("nan")
_ONE_BITS = 0x3F800000
_SQRT_HALF_BITS = 0x3F3504F3
_WIDTH = 23  # of the mantissa
_TINY = 1.1754943508222875e-38  # the smallest normal number


@_inline
def exp(x):
    """Give e**x; below -103.98 zero, above 88.73 infinity."""
    x = select(x < T(ZERO), T(ZERO), select(x > T(89.0), T(89.0), x))
    shifted = fma(x, T(LOG2_E), T(ROUND))
    k = shifted - T(ROUND)
    r = fma(-k, T(LN2_LO), fma(-k, T(LN2_HI), x))
    return exp_reduced(r, bits(shifted), x < T(SUBNORMAL))


@_inline
def expm1(x):
    """Give e**x - 1 without cancellation near 0."""
    c = select(x < T(-25.0), T(-25.0), select(x > T(89.0), T(89.0), x))
    shifted = fma(c, T(LOG2_E), T(ROUND))
    k = shifted - T(ROUND)
    r0 = fma(-k, T(LN2_HI), c)
    r1 = k * T(LN2_LO)
    r = r0 - r1
    r_low = (r0 - r) - r1
    r2 = r * r
    # e**r = 1 + r + r*r*p, relative to expm1(r): 2**-31.8
    p0 = fma(T(0.1666666716337204), r, T(0.5))
    p2 = fma(T(0.008333219215273857), r, T(0.04166632518172264))
    p4 = fma(T(0.00019962432270403951), r, T(0.0013943257508799434))
    t = r2 * fma(fma(p4, r2, p2), r2, p0)
    q = r + t
    q_low = ((r - q) + t) + r_low
    # 2**(k-1), doubled at the end, since 2**128 is no float
    half = from_bits(iadd(shift_left(bits(shifted), I(_WIDTH)), I(_ONE_BITS - (1 << _WIDTH))))
    y = fma(half, q_low, fma(half, q, half - T(0.5)))
    # the halving would round a subnormal, and -0 would become +0
    return select(abs(x) < T(1e-8), x, y + y)


@_inline
def log(x):
    """Give the natural logarithm; -inf at 0, NaN below."""
    tiny = x < T(_TINY)
    b = bits(select(tiny, x * T(33554432.0), x))  # 2**25
    e = _biased_exponent(b)
    k = _minus_exponent(e) + select(tiny, T(25.0), T(0.0))
    f = from_bits(iadd(isub(b, shift_left(e, I(_WIDTH))), I(_ONE_BITS))) - T(1.0)
    y = _log_reduced(f, k)
    y = select(x == T(_INF), x, y)
    return select(x > T(0.0), y, select(x == T(0.0), T(-_INF), T(_NAN)))


@_inline
def log1p(x):
    """Give log(1 + x) without cancellation near 0; -inf at -1, NaN below."""
    e = _biased_exponent(bits(T(1.0) + x))
    # 4 * 2**-k, a normal float for every k; its exponent field, 256 - e, is computed modulo 2**9
    s = from_bits(isub(I(-(1 << 31)), shift_left(e, I(_WIDTH))))
    f = T(0.25) * fma(s, x, -(T(4.0) - s))  # written so that -0 stays -0
    y = _log_reduced(f, _minus_exponent(e))
    y = select(x == T(_INF), x, y)
    return select(x > T(-1.0), y, select(x == T(-1.0), T(-_INF), T(_NAN)))


@_inline
def log1p_unit(x):
    """Give log(1 + x) for 0 <= x <= 1 (NaN for NaN), where x needs no splitting."""
    x2 = x * x
    x4 = x2 * x2
    # log1p(x) = x + x*x*p: 2**-30.2
    p0 = _cubic(
        x,
        x2,
        T(-0.49999988079071045),
        T(0.33332690596580505),
        T(-0.24988573789596558),
        T(0.19897893071174622),
    )
    p4 = _cubic(
        x,
        x2,
        T(-0.16129174828529358),
        T(0.12466724216938019),
        T(-0.08306802809238434),
        T(0.04197586327791214),
    )
    p8 = fma(T(0.0020723629277199507), x, T(-0.013628724031150341))
    return fma(x2, fma(fma(p8, x4, p4), x4, p0), x)


@_inline
def pow(x, y):
    """Give x**y for x >= 0 (NaN for x < 0); x**0 and 1**y are 1, 0**y is 0 or infinity."""
    b = bits(D(x))  # a float32 subnormal is a normal float64
    e = shift_right(iadd(b, int64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)), int64(52))
    k = from_bits(ior(e, int64(0x4330000000000000))) - D(4503599627370496.0 + 1023.0)
    m = from_bits(iadd(isub(b, shift_left(e, int64(52))), int64(0x3FF0000000000000)))
    s = (m - D(1.0)) / (m + D(1.0))
    z = s * s
    # 2 atanh(s) = 2 s + s*z*q: 2**-37.6
    q = _cubic(
        z,
        z * z,
        D(0.6666666564136375),
        D(0.40000336201538494),
        D(0.2853723949339601),
        D(0.23583546997666552),
    )
    y_log = D(y) * fma(k, D(0.6931471805599453), fma(s * z, q, s + s))
    at_edge = select(x == T(0.0), D(-_INF), D(_INF)) * D(y)
    c = select((x == T(0.0)) | (x == T(_INF)), at_edge, y_log)

    c = select(c < D(-700.0), D(-700.0), select(c > D(700.0), D(700.0), c))
    shifted = fma(c, D(1.4426950408889634), D(6755399441055744.0))
    n = shifted - D(6755399441055744.0)
    r = fma(-n, D(0.6931471805599453), c)
    # e**r = 1 + r + r*r*p: 2**-34.2
    r2 = r * r
    p0 = fma(D(0.16666665866581531), r, D(0.5000000067833071))
    p2 = fma(D(0.008333497408533784), r, D(0.04166629437376928))
    p4 = fma(D(0.00019790271838435075), r, D(0.0013944703313284307))
    p = fma(fma(p4, r2, p2), r2, p0)
    p = fma(fma(p, r, D(1.0)), r, D(1.0))
    scale = from_bits(iadd(shift_left(bits(shifted), int64(52)), int64(0x3FF0000000000000)))
    result = select(x >= T(0.0), T(p * scale), T(_NAN))
    return select((y == T(0.0)) | (x == T(1.0)), T(1.0), result)


@_inline
def exp_reduced(r, shifted_bits, low):
    """Give 2**k e**r, k the low bits of `shifted_bits`; `low` where the result may be subnormal."""
    r2 = r * r
    # e**r = 1 + r + r*r*p: 2**-28.3; everything is doubled, since 2**128 is no float
    p0 = fma(T(2 * 0.1666652113199234), r, T(2 * 0.4999999403953552))
    p2 = fma(T(2 * 0.008368744514882565), r, T(2 * 0.04166838899254799))
    p = fma(fma(T(2 * 0.0013814568519592285), r2, p2), r2, p0)
    p = fma(fma(p, r, T(2.0)), r, T(2.0))
    b = iadd(shifted_bits, select(low, I(32), I(0)))
    scale = from_bits(iadd(shift_left(b, I(_WIDTH)), I(_ONE_BITS - (1 << _WIDTH))))
    return p * scale * select(low, T(2.3283064365386963e-10), T(1.0))  # 2**-32


@_inline
def _biased_exponent(b):
    return shift_right(iadd(b, I(_ONE_BITS - _SQRT_HALF_BITS)), I(_WIDTH))


@_inline
def _minus_exponent(e):
    # An integer below 2**23 put in the mantissa of 2**23.
    return T(8388608.0 + 127.0) - from_bits(ior(e, I(0x4B000000)))


@_inline
def _log_reduced(f, minus_k):
    """Give k ln 2 + log1p(f); with -k, +0 for k = 0, the sum keeps f = -0."""
    f2 = f * f
    f4 = f2 * f2
    # log1p(f) = f - f*f/2 + f*f*f*p: 2**-30.3
    p0 = _cubic(
        f,
        f2,
        T(0.3333331346511841),
        T(-0.25000008940696716),
        T(0.20002126693725586),
        T(-0.1666800081729889),
    )
    p4 = _cubic(
        f,
        f2,
        T(0.14219389855861664),
        T(-0.12405363470315933),
        T(0.11889233440160751),
        T(-0.11677631735801697),
    )
    p = fma(fma(T(0.06746605038642883), f4, p4), f4, p0)
    small = fma(f2 * f, p, minus_k * T(-LN2_LO))
    return fma(minus_k, T(-LN2_HI), f + fma(T(-0.5), f2, small))


@_inline
def _cubic(x, x2, c0, c1, c2, c3):
    # Pairs, not Horner's chain: a kernel waits for results more than for the multipliers.
    return fma(fma(c3, x, c2), x2, fma(c1, x, c0))
