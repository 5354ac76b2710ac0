"""What can be computed with less work because a value is known to lie in [0, 1].

exp(-|x|) is in [0, 1] for every x: the heart of softplus and sigmoid, in all logistic losses.  Its
log1p needs no range reduction, and several quotients by 1 + exp(-|x|), which is in [1, 2], can
share one reciprocal: its rounding costs them an ulp, and it can neither overflow nor underflow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

Statement = tuple[str, str]

_NEGATIVE = re.compile(r"\(-(\w+)\)")
_ABSOLUTE = re.compile(r"abs\((\w+)\)")
_EXP = re.compile(r"_exp\((\w+)\)")
_LOG1P = re.compile(r"_log1p\((\w+)\)")
_ONE_PLUS = re.compile(r"\(_T\(1\.0\) \+ (\w+)\)|\((\w+) \+ _T\(1\.0\)\)")
_QUOTIENT = re.compile(r"\((.+) / (\w+)\)")


def rewritten(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Give an equal program that uses what is known about exp(-|x|).

    >>> start = [("a", "abs(f)"), ("b", "(-a)"), ("c", "_exp(b)"), ("d", "_log1p(c)")]
    >>> rewritten(start)[3]
    ('d', '_log1p_unit(c)')
    >>> twice = [("e", "(_T(1.0) + c)"), ("g", "(y / e)"), ("h", "(c / e)")]
    >>> for target, text in rewritten([*start, *twice])[4:]:
    ...     print(target, "=", text)
    e = (_T(1.0) + c)
    e_inverse = (_T(1.0) / e)
    g = (y * e_inverse)
    h = (c * e_inverse)
    """
    absolute: set[str] = set()
    negative: set[str] = set()
    unit: set[str] = set()
    one_to_two: set[str] = set()
    for target, text in statements:
        for pattern, inner, names in (
            (_ABSOLUTE, None, absolute),
            (_NEGATIVE, absolute, negative),
            (_EXP, negative, unit),
            (_ONE_PLUS, unit, one_to_two),
        ):
            match = pattern.fullmatch(text)
            if match and (inner is None or (match[1] or match[match.lastindex or 1]) in inner):
                names.add(target)
    divisors = Counter(
        match[2] for _, text in statements if (match := _QUOTIENT.fullmatch(text)) is not None
    )
    shared = {name for name in one_to_two if divisors[name] > 1}
    made: list[Statement] = []
    for target, text in statements:
        quotient, logarithm = _QUOTIENT.fullmatch(text), _LOG1P.fullmatch(text)
        if logarithm and logarithm[1] in unit:
            text = f"_log1p_unit({logarithm[1]})"
        elif quotient and quotient[2] in shared:
            text = f"({quotient[1]} * {quotient[2]}_inverse)"
        made.append((target, text))
        if target in shared:
            made.append((f"{target}_inverse", f"(_T(1.0) / {target})"))
    return tuple(made)
