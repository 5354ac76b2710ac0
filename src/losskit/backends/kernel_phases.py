"""Cutting a straight-line program into short loops, and one function made shorter by what is known.

A CPU looks about two hundred vector instructions ahead.  A loop that computes exp, then log1p of it,
then a quotient is one chain of several hundred cycles, and half the time is waiting; the same work
in two loops over a block in the cache runs 10-15 % faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Statement = tuple[str, str]

_MOST_CUTS = 3
_LONG = re.compile(r"\b_(?:exp|expm1|log|log1p|log1p_unit|pow)\(")
_NAME = re.compile(r"\b[A-Za-z]\w*\b")


@dataclass(frozen=True)
class Phase:
    """One loop: its statements and the texts of what it computes.

    Besides y, f and parameters, its statements use the `cuts` of the phases before it.
    """

    statements: tuple[Statement, ...]
    results: tuple[str, ...]


def phases(statements: Sequence[Statement], results: Sequence[str]) -> tuple[Phase, ...]:
    """Cut a program after each long function but the last; cheap statements are repeated.

    All phases but the last have one result, a name.

    >>> cut = phases([("a", "(-f)"), ("b", "_exp(a)"), ("c", "_log(y)")], ["(b + c)", "a"])
    >>> [(len(phase.statements), phase.results) for phase in cut]
    [(2, ('b',)), (2, ('(b + c)', 'a'))]
    """
    long = [target for target, text in statements if _LONG.search(text)]
    cuts = long[:-1][:_MOST_CUTS]
    made = [Phase(_needed(statements, [cut], known=cuts[:j]), (cut,)) for j, cut in enumerate(cuts)]
    return (*made, Phase(_needed(statements, results, known=cuts), tuple(results)))


def with_unit_logarithms(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Replace log1p(exp(-|x|)), the heart of softplus, by a logarithm that knows 0 <= exp <= 1.

    >>> with_unit_logarithms([("a", "abs(f)"), ("b", "(-a)"), ("c", "_exp(b)"), ("d", "_log1p(c)")])[3]
    ('d', '_log1p_unit(c)')
    """
    known = {"abs(": set[str](), "(-": set[str](), "_exp(": set[str]()}
    before = {"(-": "abs(", "_exp(": "(-"}
    made = []
    for target, text in statements:
        for start, names in known.items():
            inner = text[len(start) : -1]
            if text == f"{start}{inner})" and (
                start not in before or inner in known[before[start]]
            ):
                if inner.isidentifier():
                    names.add(target)
        if text.startswith("_log1p(") and text[len("_log1p(") : -1] in known["_exp("]:
            text = "_log1p_unit" + text[len("_log1p") :]
        made.append((target, text))
    return tuple(made)


def _needed(
    statements: Sequence[Statement], texts: Iterable[str], known: Sequence[str]
) -> tuple[Statement, ...]:
    wanted = {name for text in texts for name in _NAME.findall(text)} - set(known)
    kept = []
    for target, text in reversed(statements):
        if target in wanted and target not in known:
            kept.append((target, text))
            wanted |= set(_NAME.findall(text)) - set(known)
    return tuple(reversed(kept))
