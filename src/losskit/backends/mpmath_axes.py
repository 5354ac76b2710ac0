"""What the operations along an axis mean, on lists of mpf: the oracle's rows for `formula.axis`.

Each is its definition and nothing else; accuracy comes from the precision it is run at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Numbers = Sequence[Any]


def axis_definitions() -> dict[str, Callable[[Numbers], Any]]:
    """Return what each operation of a row's elements is: a number, or a list of one for each."""
    from mpmath import mp

    def total(x: Numbers) -> Any:
        return sum(x, mp.mpf(0))

    def softmax(x: Numbers) -> list[Any]:
        return [mp.exp(a) / total([mp.exp(b) for b in x]) if a > -mp.inf else mp.mpf(0) for a in x]

    def logsumexp(x: Numbers) -> Any:
        return mp.log(total([mp.exp(a) for a in x]))

    def sparsemax(x: Numbers) -> list[Any]:
        # max(x − t, 0) with the t for which they sum to one; t is the largest that any of the
        # highest k elements would need (Martins & Astudillo, 2016, proposition 1).
        ordered = sorted((a for a in x if mp.isfinite(a)), reverse=True)
        t = max((total(ordered[:k]) - 1) / k for k in range(1, len(ordered) + 1))
        return [max(a - t, mp.mpf(0)) for a in x]

    def sparsemax_surprise(x: Numbers) -> list[Any]:
        pairs = zip(sparsemax(x), x, strict=True)
        potential = total([p * a - p * p / 2 for p, a in pairs if p])
        return [potential - a + mp.mpf(0.5) for a in x]

    def max_share(x: Numbers) -> list[Any]:
        ties = [a == max(x) for a in x]
        return [mp.mpf(tie) / sum(ties) for tie in ties]

    def uniform(x: Numbers) -> list[Any]:
        allowed = [a > -mp.inf for a in x]
        return [mp.mpf(one) / sum(allowed) for one in allowed]

    return {
        "sum": total,
        "max": max,
        "norm": lambda x: mp.sqrt(total([a * a for a in x])),
        "max_share": max_share,
        "uniform": uniform,
        "logsumexp": logsumexp,
        "softmax": softmax,
        "softmax_rest": lambda x: [1 - p for p in softmax(x)],
        "surprise": lambda x: [logsumexp(x) - a for a in x],
        "sparsemax": sparsemax,
        "sparsemax_surprise": sparsemax_surprise,
        "entropy": lambda x: -total([p * mp.log(p) for p in softmax(x) if p]),
    }


def axis_reach(op: str, x: Numbers) -> Iterator[Any]:
    """Yield the exponents that stand in the definition of `op`: beside the largest, and alone."""
    if op in ("logsumexp", "softmax", "softmax_rest", "surprise", "entropy"):
        for a in x:
            yield a - max(x)
            yield a
